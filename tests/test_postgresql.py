"""A self-hosted project against a real PostgreSQL, started from Debian's package."""

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from support import ROOT, SELF_HOSTED, render, run

ADMIN, PASSWORD = "admin@example.com", "correct horse battery staple"
PROGRAMS = [Path("/usr/lib/postgresql"), Path("/usr/local/pgsql")]


def program(name: str) -> str | None:
    """A program of PostgreSQL, which Debian keeps out of PATH."""
    found = [path for folder in PROGRAMS for path in sorted(folder.glob(f"*/bin/{name}"))]
    return str(found[-1]) if found else shutil.which(name)


class Server:
    """PostgreSQL on a socket in a folder of its own; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.account = folder, self._account()
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://tester@/postgres?host={folder}"
        if self.account:
            os.chown(folder, self.account["user"], self.account["group"])
        make = [needed("initdb"), "-D", str(folder / "data"), "--auth=trust", "--username=tester"]
        self._run([*make, "--no-sync"]).wait(60)

    @staticmethod
    def _account() -> dict[str, int]:
        """PostgreSQL refuses to run as root."""
        if os.getuid() != 0:
            return {}
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL needs an account other than root")
        return {"user": account.pw_uid, "group": account.pw_gid}

    def _run(self, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self.account)  # type: ignore[call-overload,no-any-return]

    def start(self) -> None:
        options = ["-k", str(self.folder), "-c", "listen_addresses=", "-c", "fsync=off"]
        self.process = self._run([needed("postgres"), "-D", str(self.folder / "data"), *options])
        ready = [needed("pg_isready"), "-h", str(self.folder), "-t", "30"]
        for _ in range(100):
            if subprocess.run(ready, stdout=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Close every connection, as a restart does."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
            self.process = None


def needed(name: str) -> str:
    found = program(name)
    if not found:
        pytest.skip("there is no PostgreSQL on this machine: apt-get install postgresql")
    return found


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    """In no folder of pytest, which closes its own to other accounts whenever one starts."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        server = Server(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = SELF_HOSTED | {"api_keys": True}
    return render(plain_template, tmp_path_factory.mktemp("made") / "project", answers)


def test_the_tests_of_issuer_and_api_keys_pass_on_postgresql(
    project: Path, postgresql: Server
) -> None:
    folders = ["tests/issuer", "tests/api_keys"]
    done = run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *folders],
        project,
        # Where clocks change, an hour comes twice: times are compared in UTC.
        {
            "TEST_DATABASE_URL": postgresql.url,
            "PYTHONPATH": str(project / "src"),
            "PGTZ": "America/St_Johns",
        },
    )
    assert done.returncode == 0, done.stdout


class Api:
    """The project, served; each request has a connection of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, timeout=30, **more)

    def log_in(self, password: str = PASSWORD) -> httpx.Response:
        return self.ask("POST", "/auth/login", json={"email": ADMIN, "password": password})


@pytest.fixture
def served(project: Path, postgresql: Server) -> Iterator[tuple[Api, dict[str, str]]]:
    """The project with an administrator on PostgreSQL, and an API key for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    values = {"DATABASE_URL": postgresql.url, "PYTHONPATH": str(project / "src")}
    drop = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    clean = (
        f"import psycopg; psycopg.connect({postgresql.url!r}, autocommit=True).execute({drop!r})"
    )
    made = run([sys.executable, "-c", clean], project, values)
    assert made.returncode == 0, made.stdout
    admin = [sys.executable, "scripts/admin.py"]
    environment = {**os.environ, **values}
    for command in (["init", ADMIN], ["api-keys", "add", "a machine"]):
        done = subprocess.run(
            [*admin, *command],
            input=f"{PASSWORD}\n",
            cwd=project,
            env=environment,
            text=True,
            capture_output=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    start = ["-m", "uvicorn", "--factory", "my_api.main:create_app", "--port", str(port)]
    api = Api(port)
    with (project / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *start], cwd=project, env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: api.ask("GET", "/healthz").status_code == 200)
        yield api, {"X-API-Key": done.stdout.strip()}
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if done():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_database_that_goes_and_comes_back(
    served: tuple[Api, dict[str, str]], postgresql: Server, project: Path
) -> None:
    api, key = served
    tokens = api.log_in().json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    refresh = {"refresh_token": tokens["refresh_token"]}
    asking: dict[str, Callable[[], httpx.Response]] = {
        "who is logged in": lambda: api.ask("GET", "/api/users/me", headers=bearer),
        "a login": api.log_in,
        "a failed login": lambda: api.log_in("wrong"),
        "a refresh": lambda: api.ask("POST", "/auth/refresh", json=refresh),
        "an API key": lambda: api.ask("GET", "/api/private", headers=key),
    }
    guarded: Callable[[], httpx.Response] = partial(api.ask, "GET", "/api/private", headers=bearer)
    good = {name: 401 if "failed" in name else 200 for name in asking}
    assert {name: ask().status_code for name, ask in asking.items()} == good
    over = Event()

    def keep_asking(ask: Callable[[], httpx.Response]) -> set[int]:
        statuses = set()
        while not over.is_set():
            statuses.add(ask().status_code)
        return statuses

    busy = [asking["who is logged in"], asking["an API key"], guarded]
    with ThreadPoolExecutor(len(busy)) as threads:
        running = [threads.submit(keep_asking, ask) for ask in busy]
        try:
            postgresql.stop()
            for name, ask in asking.items():
                answer = ask()
                assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5"), name
            assert guarded().status_code == 200
            postgresql.start()
            wait_for(lambda: asking["who is logged in"]().status_code == 200)
        finally:
            over.set()
        seen = [each.result() for each in running]
    assert seen == [{200, 503}, {200, 503}, {200}]
    refresh["refresh_token"] = api.log_in().json()["refresh_token"]
    assert {name: ask().status_code for name, ask in asking.items()} == good
    with ThreadPoolExecutor(8) as threads:  # so that several connections are kept for reads
        asked = [threads.submit(busy[0]) for _ in range(80)]
    assert {each.result().status_code for each in asked} == {200}
    postgresql.stop()
    postgresql.start()
    assert [busy[0]().status_code for _ in range(10)][1:] == [200] * 9  # one notices, at most
    log = (project / "log").read_text()
    assert "Traceback" not in log
    assert PASSWORD not in log


def test_a_backup_is_restored_as_the_page_says(
    served: tuple[Api, dict[str, str]], postgresql: Server, project: Path
) -> None:
    """Each command of docs/self-hosted.md, on PostgreSQL and on the SQLite file of .env."""
    page = (ROOT / "docs" / "self-hosted.md").read_text(encoding="utf-8")
    part = page.partition("\n## Back up and restore\n")[2].partition("\n## ")[0]
    lines = [line[4:] for line in part.splitlines() if line.startswith("    ")]
    dump, copy, empty, restore, replace = lines
    path = f"{Path(needed('pg_dump')).parent}:{os.environ['PATH']}"
    here = {"PATH": path, "PYTHONPATH": str(project / "src")}

    def done(*command: str) -> str:
        ended = run(command, project, here)
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    admin = (sys.executable, "scripts/admin.py")
    for url, save, bring in (
        (postgresql.url, dump, f"{empty} && {restore}"),
        (None, copy, replace),
    ):
        here |= {"DATABASE_URL": url or "sqlite:///./my_api.db"}
        done(*admin, "migrate")
        done(*admin, "users", "add", "bob@example.com")
        done("sh", "-c", save)
        done(*admin, "users", "add", "eve@example.com")
        done("sh", "-c", bring)
        listed = done(*admin, "users", "list")
        assert "bob@example.com" in listed
        assert "eve@example.com" not in listed
    assert stat.S_IMODE((project / "backup.db").stat().st_mode) == 0o600


def test_two_who_run_init_at_once_make_one_administrator(project: Path, postgresql: Server) -> None:
    """Both begin with an empty database; whoever comes second finds the first one's work."""
    values = {**os.environ, "DATABASE_URL": postgresql.url, "PYTHONPATH": str(project / "src")}
    drop = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    clean = (
        f"import psycopg; psycopg.connect({postgresql.url!r}, autocommit=True).execute({drop!r})"
    )
    assert run([sys.executable, "-c", clean], project, values).returncode == 0
    made = [
        subprocess.Popen(
            [sys.executable, "scripts/admin.py", "init", f"{name}@example.com"],
            cwd=project,
            env=values,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for name in ("ada", "bob")
    ]
    for each in made:
        assert each.stdin
        each.stdin.write(f"{PASSWORD}\n")
        each.stdin.flush()
    said = "".join(each.communicate(timeout=60)[0] for each in made)
    assert [each.returncode for each in made] == [0, 0]
    assert (said.count("Nothing else to do"), said.count("Made signing key")) == (1, 1)
