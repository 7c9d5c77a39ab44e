"""`api_keys=true`: a database comes with it, and a switch keeps what is yours."""

import re
from pathlib import Path

import copier
import pytest

from support import EXAMPLE, render


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
