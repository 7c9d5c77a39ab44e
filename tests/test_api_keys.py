"""`api_keys=true`: a database comes with it, and a switch keeps what is yours."""

import re
import sys
from pathlib import Path

import copier
import pytest

from support import EXAMPLE, PYTEST, ROOT, SELF_HOSTED, check_types, lint, render, run
from test_recipes import files

KEYS_ONLY = '''\
"""The page's route that takes keys only."""

from collections.abc import Callable

from fastapi.testclient import TestClient

from memory_tenant import Tenant


def test_keys_only(client: TestClient, tenant: Tenant, add_key: Callable[..., str]) -> None:
    assert client.post("/api/webhook").status_code == 401
    assert client.post("/api/webhook", auth=tenant.auth()).status_code == 403
    answer = client.post("/api/webhook", headers={"X-API-Key": add_key()})
    assert answer.json().startswith("key|")
'''


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
        assert "setup plugin" not in done.stdout


def test_the_route_of_the_page_takes_keys_only(
    plain_template: Path, tmp_path: Path, mypy_cache: Path
) -> None:
    project = render(plain_template, tmp_path / "project", {"api_keys": True})
    [(path, code)] = files((ROOT / "docs/api-keys.md").read_text(encoding="utf-8")).items()
    (project / path).write_text(code, encoding="utf-8")
    (project / "tests/api_keys/test_page.py").write_text(KEYS_ONLY, encoding="utf-8")
    lint(project)
    check_types(project, mypy_cache)
    tests = ("tests/api_keys/test_page.py", "tests/test_routes.py", "tests/auth/test_inventory.py")
    done = run([*PYTEST, *tests], project, {"PYTHONPATH": "src"})
    assert done.returncode == 0, done.stdout
