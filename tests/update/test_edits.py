"""The edit matrix: no edit of an owner is lost after an update from any release.

A cell is one edit in a project of one release. That a conflict would be found is in test_check.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from support import run, uv
from update.edits import EDITS, Edit
from update.lifecycle import check, commit, green, update
from update.releases import NEXT, WORKING, has_history, releases

UPDATES = [*((release, WORKING) for release in releases()), (WORKING, NEXT)]
NAMES = [f"{old} to {new}" for old, new in UPDATES]
EXCLUSIVE = ["the example deleted", "a route added"]  # two edits
WHOLE = [(edit, WORKING, NEXT) for edit in EXCLUSIVE]
WHOLE += [(EXCLUSIVE[place % 2], *update) for place, update in enumerate(UPDATES[:-1])]


@pytest.mark.parametrize(("old", "new"), UPDATES, ids=NAMES)
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_survives(project: Callable[..., Path], edit: Edit, old: str, new: str) -> None:
    folder = project(old)
    edit.make(folder)
    commit(folder)
    update(folder, new)
    assert edit.lost(folder) == []
    checked = check(folder)
    assert checked.returncode == (old in edit.conflicts), checked.stdout


@pytest.mark.parametrize(("left_out", "old", "new"), WHOLE)
def test_a_project_with_every_edit_is_green(
    project: Callable[..., Path], mypy_cache: Path, left_out: str, old: str, new: str
) -> None:
    """All edits at once, but one of the two that exclude each other; they take turns."""
    folder = project(old)
    edits = [edit for edit in EDITS if edit.name != left_out and old not in edit.conflicts]
    for edit in edits:
        edit.make(folder)
    commit(folder)
    update(folder, new)
    assert [edit.name for edit in edits if edit.lost(folder)] == []
    green(folder, mypy_cache)


@pytest.mark.parametrize(
    ("option", "comment"), [([], "# `uv add` puts"), (["--dev"], "# `uv add --dev` puts")]
)
def test_uv_puts_dependencies_where_updates_do_not_meddle(
    project: Callable[..., Path], option: list[str], comment: str
) -> None:
    """uv sorts them in where the others are sorted, between lines that releases change."""
    folder = project(WORKING)
    for name in ("zope-interface", "boltons"):
        done = run([uv(), "add", "--frozen", *option, name], folder)
        assert done.returncode == 0, done.stdout
    lines = (folder / "pyproject.toml").read_text().splitlines()
    [at] = [number for number, line in enumerate(lines) if comment in line]
    assert [line.strip() for line in lines[at + 1 : at + 3]] == ['"zope-interface",', '"boltons",']


def test_the_releases_are_known() -> None:
    print(f"{len(UPDATES) * len(EDITS)} cells: {len(EDITS)} edits, updates {UPDATES}")
    if not has_history():
        pytest.skip("a shallow clone or no git: updated is only from this version to a made one")
    assert releases()
