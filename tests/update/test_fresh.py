"""An update without edits is a fresh render; whose file is whose; questions that change."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml

from support import AUTOMATIC, EXAMPLE, ROOT, git, refusal
from update.edits import EDITS
from update.lifecycle import (
    SETTINGS,
    Tree,
    commit,
    copier_command,
    fresh,
    split,
    tree,
    update,
)
from update.next_release import ADDED, CHANGED, REMOVED
from update.releases import NEXT, WORKING, number, releases

ANSWERS = ".copier-answers.yml"
OTHER = AUTOMATIC | {"authorization": "permissions", "dpop": "required", "license": "MIT"}


def answers_of(project: Path) -> dict[str, Any]:
    stored: dict[str, Any] = yaml.safe_load((project / ANSWERS).read_text())
    return stored


def without_answers(files: Tree) -> Tree:
    return {name: text for name, text in files.items() if name != ANSWERS}


@pytest.mark.parametrize("answers", [EXAMPLE, OTHER], ids=["example", "other"])
@pytest.mark.parametrize(
    ("old", "new"), [*((release, WORKING) for release in releases()), (WORKING, NEXT)]
)
def test_an_update_without_edits_is_a_fresh_render(
    project: Callable[..., Path],
    line: Path,
    tmp_path: Path,
    old: str,
    new: str,
    answers: dict[str, Any],
) -> None:
    updated = project(old, **answers)
    owned_before = split(tree(updated))[0]
    update(updated, new)
    owned, others = split(tree(updated))
    wanted = split(tree(fresh(line, new, tmp_path / "fresh", answers)))[1]
    assert without_answers(others) == without_answers(wanted)
    assert owned == owned_before
    stored = answers_of(updated)
    # The generation of the rules is that of the release which the project was started with.
    assert stored | {"rules": 0} == answers_of(tmp_path / "fresh") | {"rules": 0}


def test_the_owners_files_are_the_same_for_copy_recopy_and_update() -> None:
    """An update does not see the files that a recopy leaves alone: copier.yml lists both.

    Save for those that a later switch of an answer has to be able to add.
    """
    block = next(entry for entry in SETTINGS["_exclude"] if "_copier_operation" in entry)
    later = ["/migrations/**", "/src/*/issuer/roles.py"]
    kept = [rule for rule in SETTINGS["_skip_if_exists"] if rule not in later]
    assert block.split()[6:-3] == kept


def test_no_line_reaches_the_owners_files_and_every_other_file_is_updated(
    project: Callable[..., Path],
) -> None:
    folder = project(WORKING, **OTHER, renovate=True)
    before = tree(folder)
    owned, _ = split(before)
    assert {"README.md", "src/my_api/scopes.py", "tests/test_routes.py"} <= set(owned)
    update(folder, NEXT)
    after = tree(folder)
    assert {name for name in before if before[name] == after.get(name)} == set(owned)
    assert set(before) - set(after) == {REMOVED}
    assert set(after) - set(before) == {ADDED}
    assert CHANGED.encode() in after["src/my_api/auth/guard.py"]


def test_a_resource_of_ones_own_touches_no_file_of_the_template(
    project: Callable[..., Path],
) -> None:
    """The README shows it: a module, a line for its scope, and the twin of that line."""
    folder = project(WORKING)
    readme = (folder / "README.md").read_text()
    edit = EDITS[0]
    assert textwrap.indent(edit.writes["src/my_api/routes/orders.py"], "    ") in readme
    others = split(tree(folder))[1]
    edit.make(folder)
    changed = {name for name, text in tree(folder).items() if text != others.get(name)}
    assert changed & set(others) == {"auth0/tenant.yaml"}  # Shared: an update merges it.


def test_recopy_leaves_the_owners_files(project: Callable[..., Path]) -> None:
    folder = project(WORKING)
    for name in split(tree(folder))[0]:
        (folder / name).write_text("ours\n")
    commit(folder)
    done = copier_command(folder, "recopy", "--defaults", "--overwrite", "-r", NEXT)
    assert done.returncode == 0, done.stdout
    assert {text for name, text in split(tree(folder))[0].items()} == {b"ours\n"}


# --------------------------------------------------------------------------------------- questions


def test_no_answer_of_a_release_is_forgotten() -> None:
    """Each of its questions is still there, or the default of another one reads its answer."""
    now = (ROOT / "copier.yml").read_text()
    for release, commit_ in releases().items():
        questions = yaml.safe_load(git(ROOT, "show", f"{commit_}:copier.yml"))
        for name, question in questions.items():
            if not name.startswith("_") and question.get("when") is not False:
                assert name in SETTINGS or f"{name} | default(" in now, f"{name} of {release}"


def test_every_question_lets_an_update_pass() -> None:
    for name, question in SETTINGS.items():
        if not name.startswith("_") and question.get("when") is not False:
            ask = question.get("ask")
            assert ask is False or ask.startswith(f"{{{{ {name} is undefined"), name
            # The set-up is told at the first copy, and the domain with it.
            assert "default" in question or name == "auth0_setup", name


def test_new_renamed_retyped_and_stricter_questions_need_no_flag(
    project: Callable[..., Path],
) -> None:
    """next_release.py adds a question, renames one, changes a type, and makes a rule stricter."""
    folder = project(WORKING, description="Ours", behind_proxy=True, resource="b")
    done = copier_command(folder, "update", "--defaults")
    assert done.returncode == 0, done.stdout
    stored = answers_of(folder)
    assert stored["_commit"] == NEXT
    assert stored["log_level"] == "INFO"
    assert stored["summary"] == "Ours"
    assert stored["proxy"] == "ends_tls"
    assert stored["resource"] == "b"  # A new project needs two letters there.
    assert not {"description", "behind_proxy"} & set(stored)
    assert 'description = "Ours"' in (folder / "pyproject.toml").read_text()
    assert "\nTRUSTED_PROXIES=" in (folder / ".env.example").read_text()


@pytest.mark.parametrize("old", [old for old in releases() if number(old) < [0, 4, 0]])
def test_answers_that_are_refused_by_now_survive_an_update(
    project: Callable[..., Path], old: str
) -> None:
    """Unattended, as an update bot runs it."""
    odd = {
        "project_name": "My\u00a0API",
        "auth0_audience": "https://a.example.com,https://b.example.com",
        "auth0_domain": "x.eu.auth0.comx.eu.auth0.com:99999",
        "description": "One\u2028line",
        "cors_origins": "http://localhost:99999",
    }
    assert all(refusal(name, answer) for name, answer in odd.items())
    folder = project(old, **odd)
    done = copier_command(folder, "update", "--defaults", "-r", WORKING)
    assert done.returncode == 0, done.stdout
    stored = answers_of(folder)
    assert stored == stored | odd | {"_commit": WORKING}


@pytest.mark.parametrize("old", [release for release in releases() if release == "v0.1.0"])
def test_a_project_keeps_a_name_that_is_reserved_by_now(
    project: Callable[..., Path], old: str
) -> None:
    folder = project(old, package_name="memory_tenant")
    update(folder, WORKING)
    stored = answers_of(folder)
    assert (stored["_commit"], stored["package_name"]) == (WORKING, "memory_tenant")


def test_a_new_project_meets_the_stricter_rule(line: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least two letters"):
        fresh(line, NEXT, tmp_path / "project", {"resource": "b"})


def test_answers_stay_after_a_second_update_and_a_recopy(project: Callable[..., Path]) -> None:
    folder = project(WORKING, description="Ours", behind_proxy=True, resource="b")
    update(folder, NEXT)
    first = tree(folder)
    commit(folder)
    update(folder, NEXT)
    assert tree(folder) == first
    done = copier_command(folder, "recopy", "--defaults", "--overwrite", "-r", NEXT)
    assert done.returncode == 0, done.stdout
    assert tree(folder) == first


def test_an_update_asks_only_what_is_new(project: Callable[..., Path]) -> None:
    folder = project(WORKING)
    terminal = pexpect.spawn(
        sys.executable, ["-m", "copier", "update"], cwd=str(folder), encoding="utf-8", timeout=60
    )
    terminal.expect("How much is logged")
    asked = terminal.before or ""
    terminal.send("DEBUG\r")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert "🎤" not in asked.rpartition("🎤")[0]
    assert answers_of(folder)["log_level"] == "INFODEBUG"


@pytest.mark.parametrize(
    ("pattern", "first"), [("dpop", "Proof of possession"), ("project_*", "Name of the project")]
)
def test_an_update_asks_again_on_request(
    project: Callable[..., Path], pattern: str, first: str
) -> None:
    folder = project(WORKING)
    words = ["-m", "copier", "update", "-r", WORKING, "--ask", pattern]
    terminal = pexpect.spawn(sys.executable, words, cwd=str(folder), encoding="utf-8", timeout=60)
    terminal.expect("🎤")
    terminal.expect(first)
    terminal.close(force=True)


def test_an_update_says_what_comes_next(project: Callable[..., Path]) -> None:
    done = copier_command(project(WORKING), "update", "--defaults")
    message = done.stdout[done.stdout.index("Next:") :]
    assert "python3 scripts/check_update.py" in message
    assert "uv run pytest" in message
    assert NEXT in done.stdout


def test_releases_are_tags_in_order(line: Path) -> None:
    assert git(line, "tag", "--sort=version:refname").split() == [*releases(), WORKING, NEXT]
