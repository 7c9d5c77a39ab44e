"""A self-hosted project on this machine: rendered, with users, served by processes; a PostgreSQL.

What the benchmarks and the tests of self-hosted identity share. PostgreSQL is Debian's; it refuses
to run as root, so root runs it as the user `postgres`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from bed import Process, answers, free_port, wait_until
from harness import ANSWERS, PACKAGE, render

IDENTITY = {
    "identity": "self_hosted",
    "authorization": "permissions",
    "dpop": "off",
    "token_dialect": "rfc9068_profile",
}
PASSWORD = "correct horse battery staple"  # noqa: S105  of the users of a benchmark
ISSUER = "https://localhost:8000/"
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
NORMAL = "import uvicorn; uvicorn.main()"


@contextmanager
def self_hosted_project() -> Iterator[Path]:
    """Render the working tree, committed or not; its package can be imported."""
    given = {name: ANSWERS[name] for name in ANSWERS if name not in ("auth0_setup", "auth0_domain")}
    given["authorization"] = IDENTITY["authorization"]
    with tempfile.TemporaryDirectory() as folder:
        project = render(Path(folder) / "project", given | IDENTITY)
        sys.path[:0] = [str(project / "src"), str(project / "tests")]
        yield project


def environment(project: Path, url: str, **more: str) -> dict[str, str]:
    """What a process of the project reads."""
    paths = [str(project / "src"), str(Path(__file__).parent)]
    return {
        **os.environ,
        "ENVIRONMENT": "development",
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": "https://api.example.com",
        "DATABASE_URL": url,
        "ISSUER_KEY_SECRET": b64encode(bytes(32)).decode(),
        "PYTHONPATH": os.pathsep.join(paths),
        **more,
    }


def settings(url: str, **more: Any) -> Any:
    """Settings for an application in this process."""
    from importlib import import_module

    return import_module(f"{PACKAGE}.settings").Settings(
        _env_file=None,
        environment="development",
        auth_issuer=ISSUER,
        auth_audience="https://api.example.com",
        database_url=url,
        issuer_key_secret=b64encode(bytes(32)).decode(),
        **more,
    )


def prepare(url: str, count: int, hashes: Sequence[str] = ()) -> list[str]:
    """Make the schema, a key, and `count` users who share a hash; their addresses."""
    from importlib import import_module

    issuer = f"{PACKAGE}.issuer"
    migrate, keys, models, passwords = (
        import_module(f"{issuer}.{name}") for name in ("migrate", "keys", "models", "passwords")
    )
    database = import_module(f"{PACKAGE}.database")
    migrate.HISTORY.upgrade(url)
    known = list(hashes) or [passwords.Hasher().hash(PASSWORD)]
    rows = [
        {
            "id": uuid4(),
            "sub": f"auth0|{uuid4().hex[:24]}",
            "email": f"user{number}@example.com",
            "email_verified": True,
            "password_hash": known[number % len(known)],
            "role": "admin" if number == 0 else "user",
            "active": True,
        }
        for number in range(count)
    ]
    reader, writer, atomic = database.engines(url)
    with atomic.begin() as connection:
        connection.execute(models.users.insert(), rows)
        ring = keys.KeyRing(b64encode(bytes(32)).decode())
        ring.load(connection)
        if not ring.known:
            keys.add(connection, ring, database.now())
    reader.dispose()
    writer.dispose()
    return [str(row["email"]) for row in rows]


@contextmanager
def served(
    project: Path, url: str, *, processes: int = 1, start: str = NORMAL, **more: str
) -> Iterator[list[tuple[int, Process]]]:
    """Serve the project by processes of their own; gives the port and the process of each."""
    with ExitStack() as stack:
        found = []
        for number in range(processes):
            port = free_port()
            command = [sys.executable, "-c", start, "--factory", f"{PACKAGE}.main:create_app"]
            command += ["--http", "h11", "--no-access-log", "--port", str(port)]
            command += ["--timeout-keep-alive", "600"]
            log = project / f"api{number}.log"
            api = Process(command, log, environment(project, url, **more))
            api.start()
            stack.callback(api.end, signal.SIGKILL)
            found.append((port, api))
        for port, api in found:
            ready = f"http://127.0.0.1:{port}/readyz"
            wait_until(lambda ready=ready: answers(ready), ready, api.log)  # type: ignore[misc]
        yield found


def login_request(email: str, password: str = PASSWORD) -> bytes:
    return post("/auth/login", {"email": email, "password": password})


def post(path: str, body: dict[str, str], **headers: str) -> bytes:
    """A request with a JSON body, as bytes."""
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content


class Postgres:
    """A server of its own on loopback, with an empty database; it can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.user = "postgres" if os.getuid() == 0 else None

    def call(self, program: str, *arguments: str) -> None:
        command = [str(BINARIES[0] / program), "-D", str(self.folder / "data"), *arguments]
        done = subprocess.run(
            command, user=self.user, cwd=self.folder, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise SystemExit(f"{program}: {done.stdout}{done.stderr}")

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(self.folder / "log")
        self.call("pg_ctl", "start", "-w", "-l", log, "-o", options)

    def stop(self) -> None:
        self.call("pg_ctl", "stop", "-w", "-m", "immediate")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL; `BINARIES` is empty where there is none."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        server = Postgres(folder)
        if server.user:
            shutil.chown(folder, server.user)
        server.call("initdb", "-U", "postgres", "--auth", "trust", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
