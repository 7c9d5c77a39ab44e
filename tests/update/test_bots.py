"""Update bots: what a hosted Renovate needs, and the command that it runs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from update.lifecycle import check, copier_command, tree, update
from update.releases import NEXT, WORKING


def test_the_configuration_needs_no_script_and_no_trust(project: Callable[..., Path]) -> None:
    text = (project(WORKING, renovate=True) / "renovate.json").read_text()
    assert "config:recommended" in json.loads(text)["extends"]
    for word in ("allowScripts", "ignoreScripts", "postUpgradeTasks", "trust="):
        assert word not in text
    [rule] = json.loads(text)["packageRules"]
    assert rule["matchManagers"] == ["copier"]
    assert rule["automerge"] is False


@pytest.mark.parametrize("renovate", [True, False])
def test_the_command_of_renovate_is_an_update(
    project: Callable[..., Path], tmp_path: Path, renovate: bool
) -> None:
    """Its copier manager adds --trust only where its operator allows scripts."""
    folder = project(WORKING, renovate=renovate)
    words = ["--skip-answered", "--defaults", "--answers-file", ".copier-answers.yml"]
    done = copier_command(folder, "update", *words, "--vcs-ref", NEXT)
    assert done.returncode == 0, done.stdout
    assert check(folder).returncode == 0
    other = project(WORKING, to="other", renovate=renovate)
    update(other, NEXT)
    assert tree(folder) == tree(other)
