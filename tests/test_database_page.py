"""docs/database.md: the module that it shows, on SQLite and on a real PostgreSQL."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import ROOT, render, run
from test_recipes import files
from update.lifecycle import green

PAGE = (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
TOOLS = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
CALLS = '''\
"""Notes as their callers see them."""

import os

import pytest
from fastapi.testclient import TestClient

from memory_tenant import Tenant


@pytest.fixture
def database_url(database_url: str) -> str:
    return os.environ.get("NOTES_DATABASE", database_url)


def test_notes(client: TestClient, tenant: Tenant) -> None:
    ada, bob = (tenant.auth(sub=f"auth0|{name}-{os.getpid()}") for name in ("ada", "bob"))
    assert client.get("/api/notes").status_code == 401
    for number in range(3):
        body = {"title": f"Note {number}", "text": "Hello"}
        assert client.post("/api/notes", json=body, auth=ada).status_code == 201
    taken = {"title": "Note 1", "text": "Again"}
    assert client.post("/api/notes", json=taken, auth=ada).status_code == 409
    assert client.post("/api/notes", json=taken, auth=bob).status_code == 201

    page = client.get("/api/notes?limit=2", auth=ada).json()
    assert [note["title"] for note in page["items"]] == ["Note 0", "Note 1"]
    rest = client.get(f"/api/notes?limit=2&after={page['next']}", auth=ada).json()
    assert ([note["title"] for note in rest["items"]], rest["next"]) == (["Note 2"], None)
    assert len(client.get("/api/notes", auth=bob).json()["items"]) == 1

    url = f"/api/notes/{page['items'][0]['id']}"
    for method in ("GET", "DELETE"):
        assert client.request(method, url, auth=bob).status_code == 404
    for number in (0, -1, 2**40):
        assert client.get(f"/api/notes/{number}", auth=ada).status_code == 404
    tag = client.get(url, auth=ada).headers["ETag"]
    same = client.get(url, auth=ada, headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)

    new = {"title": "Note 0", "text": "Changed"}
    changed = client.put(url, json=new, auth=ada, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["text"]) == (200, "Changed")
    assert changed.headers["ETag"] != tag
    assert client.put(url, json=new, auth=ada, headers={"If-Match": tag}).status_code == 412
    assert client.put(url, json=taken, auth=ada).status_code == 409
    assert client.get(url, auth=ada).json()["text"] == "Changed"
    assert client.put(url, json=new, auth=bob).status_code == 404
    assert client.delete(url, auth=ada).status_code == 204
    assert client.get(url, auth=ada).status_code == 404
'''


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notes") / "project"
    project = render(plain_template, folder, {"database": True})
    [(path, code)] = files(PAGE).items()
    (project / path).write_text(code, encoding="utf-8")
    (project / "tests" / "test_notes.py").write_text(CALLS, encoding="utf-8")
    env = project / "migrations" / "env.py"
    seam = "from my_api.settings import Settings\n"
    text = env.read_text(encoding="utf-8")
    assert seam in text
    imported = f"from my_api.routes import notes  # noqa: F401\n{seam}"
    env.write_text(text.replace(seam, imported), encoding="utf-8")
    return project


def test_a_project_with_notes_is_green(project: Path, tmp_path: Path) -> None:
    green(project, tmp_path / "mypy")


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL of this test, on a Unix socket, where its user may go."""
    root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp(dir="/var/lib/postgresql" if root else None))
    if root:  # which PostgreSQL refuses to run as
        shutil.chown(folder, "postgres")
    user = ["runuser", "-u", "postgres", "--"] if root else []
    control = [*user, str(TOOLS[-1]), "-D", str(folder / "data"), "-w"]
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    made = run([*control, "init", "-o", "--auth=trust --username=postgres"], folder)
    assert made.returncode == 0, made.stdout
    start = [*control, "-l", str(folder / "log"), "-o", options, "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        run([*control, "-m", "immediate", "stop"], folder)
        shutil.rmtree(folder)


@pytest.mark.skipif(not TOOLS, reason="there is no PostgreSQL: apt-get install postgresql")
def test_the_same_on_postgresql(project: Path, postgres: str) -> None:
    """With the table that Alembic makes by the commands of the page."""
    environment = {
        "DATABASE_URL": postgres,
        "NOTES_DATABASE": postgres,
        "PYTHONPATH": "src",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    python = [sys.executable, "-W", "ignore", "-m"]
    for command in (
        ["alembic", "revision", "--autogenerate", "-m", "Add notes"],
        ["alembic", "upgrade", "head"],
        ["pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "tests/test_notes.py"],
    ):
        done = run([*python, *command], project, environment)
        assert done.returncode == 0, f"{command}: {done.stdout}"
    assert list((project / "migrations" / "versions").glob("*add_notes.py"))
