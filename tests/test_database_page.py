"""docs/database.md: the stored resource of `database=true`, on SQLite and on a real PostgreSQL."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import ROOT, SELF_HOSTED, render, run
from test_recipes import files
from update.lifecycle import green

PAGE = (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
MODULE = "src/my_api/routes/messages.py"
TOOLS = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
needs_postgresql = pytest.mark.skipif(
    not TOOLS, reason="there is no PostgreSQL: apt-get install postgresql"
)
RACE = '''\
"""Another transaction changes the item between the reading and the writing of a request."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

from memory_tenant import Tenant

WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
OTHER = text("UPDATE stored_messages SET text = 'Theirs', version = version + 1")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_no_change_is_lost(app: FastAPI, client: TestClient, tenant: Tenant, method: str) -> None:
    auth = tenant.auth("read:messages", "write:messages")
    client.post("/api/messages", auth=auth, json={"text": "Hi"})
    url, ours = "/api/messages/1", {"text": "Ours"}
    engine = app.state.database.atomic
    with ThreadPoolExecutor() as pool, engine.begin() as other, engine.connect() as watch:
        other.execute(OTHER)
        answer = pool.submit(client.request, method, url, auth=auth, json=ours)
        for _ in range(100):
            if watch.scalar(WAITING):
                break
            watch.rollback()
            time.sleep(0.1)
        other.commit()
        assert answer.result().status_code == 412
    assert client.get(url, auth=auth).json()["text"] == "Theirs"
'''

CHAT = '''\
"""A WebSocket that writes, while others write too."""

from fastapi.testclient import TestClient

from memory_tenant import Tenant


def test_a_socket_keeps_what_it_is_sent(client: TestClient, tenant: Tenant) -> None:
    headers = {"Authorization": f"Bearer {tenant.token('read:messages', 'write:messages')}"}
    with client.websocket_connect("/api/chat", headers=headers) as socket:
        for text in ("one", "two"):
            socket.send_text(text)
            assert socket.receive_text() == "kept"
            other = {"text": f"not {text}"}
            assert client.post("/api/messages", headers=headers, json=other).status_code == 201
    kept = [item["text"] for item in client.get("/api/messages", headers=headers).json()]
    assert kept == ["one", "not one", "two", "not two"]
'''


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(plain_template, tmp_path_factory.mktemp("stored") / "project", {"database": True})


def blocks() -> list[str]:
    """The indented blocks of the page."""
    found = re.findall(r"(?:^    .*\n(?:^\n(?=    ))*)+", PAGE, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def commands(start: str) -> list[list[str]]:
    """The commands of the block that starts so, by this interpreter."""
    [block] = [block for block in blocks() if block.startswith(start)]
    words = [line.removeprefix("uv run ") for line in block.splitlines()]
    return [[sys.executable, "-W", "ignore", "-m", *split(line)] for line in words]


def split(line: str) -> list[str]:
    return [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]


def pass_in(project: Path, url: str, *steps: list[str]) -> None:
    """Run commands in a project whose database has this URL."""
    environment = {
        "DATABASE_URL": url,
        "PYTHONPATH": "src",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for command in steps:
        done = run(command, project, environment)
        assert done.returncode == 0, f"{command}: {done.stdout}"


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


def test_the_page_shows_what_is_rendered(project: Path) -> None:
    code = (project / MODULE).read_text(encoding="utf-8")
    shown = [block for block in blocks() if block.startswith(("class ", "def "))]
    assert len(shown) == 2
    for block in shown:
        assert block.rstrip() in code


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'stored.db'}"
    return str(request.getfixturevalue("postgres"))


@pytest.mark.parametrize("answers", [{"database": True}, SELF_HOSTED], ids=["auth0", "self-hosted"])
def test_the_migration_makes_the_tables_of_the_routes(
    plain_template: Path, tmp_path: Path, url: str, answers: dict[str, str]
) -> None:
    project = render(plain_template, tmp_path / "project", answers)
    alembic = [sys.executable, "-W", "ignore", "-m", "alembic"]
    pass_in(project, url, *commands("uv run alembic upgrade"), [*alembic, "check"])
    pass_in(project, url, [*alembic, "downgrade", "base"], [*alembic, "upgrade", "head"])


def test_a_table_is_changed_as_the_page_says(
    plain_template: Path, tmp_path: Path, url: str
) -> None:
    project = render(plain_template, tmp_path / "project", {"database": True})
    pass_in(project, url, *commands("uv run alembic upgrade"))
    [column] = [block for block in blocks() if block.startswith("pinned")]
    last = "    version: Mapped[int] = mapped_column()\n"
    code = (project / MODULE).read_text(encoding="utf-8")
    assert last in code
    changed = code.replace(last, f"{last}    {column.strip()}\n")
    (project / MODULE).write_text(changed, encoding="utf-8")
    pass_in(project, url, *commands("uv run alembic revision"))
    [added] = (project / "migrations" / "versions").glob("*_add_pinned.py")
    assert "pinned" in added.read_text(encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    pass_in(project, url, [*ruff, "check"], [*ruff, "format", "--check"])
    pass_in(project, url, [sys.executable, "-W", "ignore", "-m", "alembic", "check"])


@pytest.mark.parametrize("answers", [{"database": True}, SELF_HOSTED], ids=["auth0", "self-hosted"])
def test_a_table_with_a_name_of_the_template_s_is_refused(
    plain_template: Path, tmp_path: Path, answers: dict[str, str]
) -> None:
    project = render(plain_template, tmp_path / "project", answers)
    code = (project / MODULE).read_text(encoding="utf-8")
    (project / MODULE).write_text(code.replace('"stored_messages"', '"users"'), encoding="utf-8")
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path / 'stored.db'}", "PYTHONPATH": "src"}
    for command in commands("uv run alembic revision"):
        done = run(command, project, environment)
        assert done.returncode != 0
        assert "call yours otherwise: users" in done.stdout


@needs_postgresql
def test_the_tests_of_the_routes_pass_on_postgresql(project: Path, postgres: str) -> None:
    race = project / "tests" / "test_race.py"
    race.write_text(RACE, encoding="utf-8")
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist"]
    pytest_command += ["-p", "no:cacheprovider", "tests/test_routes.py", "tests/test_race.py"]
    done = run(pytest_command, project, {"TEST_DATABASE_URL": postgres, "PYTHONPATH": "src"})
    race.unlink()
    assert done.returncode == 0, done.stdout


def test_the_stored_resource_and_the_socket_of_the_page_are_green(
    project: Path, mypy_cache: Path
) -> None:
    [(path, code)] = files(PAGE).items()
    (project / path).write_text(code, encoding="utf-8")
    (project / "tests" / "test_chat.py").write_text(CHAT, encoding="utf-8")
    green(project, mypy_cache)
