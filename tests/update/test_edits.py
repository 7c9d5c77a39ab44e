"""The edit matrix: no edit of an owner is lost in an update, from any release.

Each cell makes one edit in a project of one release and updates it. Where the same line changed on
both sides a conflict is right: CONFLICTS lists those cells, and the project's own check finds them.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from update.edits import EDITS, Edit
from update.lifecycle import check, commit, green, update
from update.releases import NEXT, WORKING, has_history, releases

UPDATES = [*((release, WORKING) for release in releases()), (WORKING, NEXT)]
CELLS = [(edit, old, new) for old, new in UPDATES for edit in EDITS]
# Both sides append to the same file.
CONFLICTS = {("a fixture added to a file of the template", NEXT): "tests/conftest.py"}


def expected(edit: Edit, new: str) -> str | None:
    return CONFLICTS.get((edit.name, new))


@pytest.mark.parametrize(
    ("edit", "old", "new"), CELLS, ids=[f"{edit.name}-{old}-{new}" for edit, old, new in CELLS]
)
def test_an_edit_survives(project: Callable[..., Path], edit: Edit, old: str, new: str) -> None:
    folder = project(old)
    edit.make(folder)
    commit(folder)
    update(folder, new)
    assert edit.lost(folder) == []
    checked = check(folder)
    conflict = expected(edit, new)
    assert checked.returncode == (1 if conflict else 0), checked.stdout
    places = [line.split(":")[0].strip() for line in checked.stdout.splitlines()[1:]]
    assert set(places) == ({conflict} if conflict else set())


@pytest.mark.parametrize(("old", "new"), UPDATES, ids="-".join)
@pytest.mark.parametrize("example", ["kept", "deleted"])
def test_a_project_with_every_edit_is_green(
    project: Callable[..., Path], mypy_cache: Path, example: str, old: str, new: str
) -> None:
    """Every edit at once, but for those that have to conflict; with and without the example."""
    folder = project(old)
    left_out = {"kept": "the example deleted", "deleted": "a route added"}[example]
    edits = [edit for edit in EDITS if edit.name != left_out and not expected(edit, new)]
    for edit in edits:
        edit.make(folder)
    commit(folder)
    update(folder, new)
    assert [edit.name for edit in edits if edit.lost(folder)] == []
    green(folder, mypy_cache)


def test_few_cells_conflict() -> None:
    conflicts = sum(expected(edit, new) is not None for edit, _, new in CELLS)
    print(f"{len(CELLS)} cells from {[old for old, _ in UPDATES]}: {conflicts} conflict, 0 lost")
    assert conflicts <= 0.05 * len(CELLS)


def test_releases_are_known() -> None:
    if not has_history():
        pytest.skip("a shallow clone or no git: only the update to a made release is tested")
    assert releases()
