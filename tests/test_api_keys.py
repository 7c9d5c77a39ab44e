"""`api_keys=true`: a database comes with it, and a switch keeps what is yours."""

import re
import sys
from pathlib import Path

import copier
import pytest

from support import EXAMPLE, SELF_HOSTED, render, run


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


@pytest.mark.parametrize("answers", [{"api_keys": True}, SELF_HOSTED], ids=["keys", "own"])
def test_a_start_with_nothing_to_migrate_imports_no_alembic(
    plain_template: Path, tmp_path: Path, answers: dict[str, object]
) -> None:
    """It takes a fifth of the start of such a project."""
    given = {"auth0_setup": "automatic"} if answers is SELF_HOSTED else {}
    project = render(plain_template, tmp_path / "project", answers | given)
    start = "import sys; from my_api.main import create_app; create_app()"
    for expected in ("True", "False"):  # the first start makes the tables
        code = f"{start}; print('alembic' in sys.modules)"
        done = run([sys.executable, "-W", "ignore", "-c", code], project, {"PYTHONPATH": "src"})
        assert done.stdout.splitlines()[-1] == expected, done.stdout
