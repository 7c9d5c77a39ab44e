"""The workflows, here and in a project: actions pinned, least rights, clean for zizmor."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import ROOT, render, run

OWN = ROOT / ".github" / "workflows" / "ci.yml"
PIN = re.compile(r"uses: ([\w-]+/[\w/-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$", re.MULTILINE)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "renovate"])
def project(
    request: pytest.FixtureRequest, plain_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("workflows") / "project"
    return render(plain_template, folder, {"renovate": request.param})


def pins(workflow: Path) -> set[tuple[str, str, str]]:
    text = workflow.read_text(encoding="utf-8")
    found = PIN.findall(text)
    assert len(found) == text.count("uses:"), f"{workflow}: pin each action by commit"
    return set(found)


def test_each_action_is_pinned_by_one_commit_everywhere(project: Path) -> None:
    everywhere = pins(OWN) | pins(project / ".github" / "workflows" / "ci.yml")
    names = [name for name, *_ in everywhere]
    assert len(set(names)) == len(names), everywhere


def test_no_job_has_more_rights_than_reading(project: Path) -> None:
    for path in (OWN, project / ".github" / "workflows" / "ci.yml"):
        workflow: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            assert job["permissions"] == {"contents": "read"}
            assert job["timeout-minutes"]


def test_zizmor_finds_nothing_in_a_project(project: Path) -> None:
    tool = Path(sys.executable).with_name("zizmor")
    done = run([tool, "--offline", "--persona", "auditor", ".github"], project)
    assert done.returncode == 0, done.stdout


def test_the_workflow_names_the_updater_of_the_project(project: Path) -> None:
    workflow = (project / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    renovate = project / "renovate.json"
    if renovate.exists():
        assert "Renovate moves the pins" in workflow
        assert "helpers:pinGitHubActionDigests" in json.loads(renovate.read_text())["extends"]
    else:
        assert "`copier update` moves the pins" in workflow


@pytest.mark.parametrize("container", [True, False])
def test_renovate_pins_base_images_where_there_are_some(
    plain_template: Path, tmp_path: Path, container: bool
) -> None:
    answers = {"renovate": True, "container": container}
    project = render(plain_template, tmp_path / "project", answers)
    extends = json.loads((project / "renovate.json").read_text())["extends"]
    assert ("docker:pinDigests" in extends) is container


def test_a_project_has_no_misspelling(project: Path) -> None:
    tool = Path(sys.executable).with_name("typos")
    done = run([tool, "--isolated", "--config", ROOT / "pyproject.toml"], project)
    assert done.returncode == 0, done.stdout
