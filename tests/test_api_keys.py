"""`api_keys=true`: a database comes with it, and a switch keeps what is yours."""

import re
from collections.abc import Callable
from pathlib import Path

import copier
import pytest

from support import EXAMPLE, render
from update.lifecycle import commit, update
from update.releases import WORKING


def test_without_keys_there_is_no_trace(plain_template: Path, tmp_path: Path) -> None:
    project = render(plain_template, tmp_path / "project")
    for path in [
        path for folder in ("src", "scripts", "tests") for path in project.glob(f"{folder}/**/*.py")
    ]:
        assert not re.search(r"api.?key", path.read_text(encoding="utf-8"), re.IGNORECASE), path


def test_keys_need_a_database(plain_template: Path, tmp_path: Path) -> None:
    project = render(plain_template, tmp_path / "project", {"api_keys": True})
    assert (project / "migrations" / "env.py").is_file()
    answers = EXAMPLE | {"api_keys": True, "database": False}
    with pytest.raises(ValueError, match="database=true"):
        copier.run_copy(str(plain_template), tmp_path / "no", answers, defaults=True, quiet=True)


def test_on_and_off_keeps_the_owners_migrations(project: Callable[..., Path]) -> None:
    folder = project(WORKING, database=True)
    own = folder / "migrations" / "versions" / "0001_notes.py"
    own.write_text('"""Notes."""\n', encoding="utf-8")
    commit(folder)
    update(folder, WORKING, api_keys=True)
    assert (folder / "src/my_api/api_keys/check.py").is_file()
    commit(folder)
    update(folder, WORKING, api_keys=False)
    assert not (folder / "scripts/keys.py").exists()
    assert own.read_text(encoding="utf-8") == '"""Notes."""\n'
