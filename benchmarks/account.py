"""CPU time of a login beside the bare hash, and of `GET /api/users/me` beside the guard alone.

    python3 hooks/bootstrap.py run benchmarks/account.py

Straight into the application of a self-hosted project, all threads counted; what is compared takes
turns. PostgreSQL is measured where Debian's package is installed; its own CPU time is not counted.
It also times a page of 10 000 users, and their export.
"""

import asyncio
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import self_hosted
from harness import PACKAGE, Target, print_table, print_targets, ratio, say_where
from self_hosted import PASSWORD, prepare, self_hosted_project

ROUNDS, CALLS = 30, 20
USERS = 10_000
Work = Callable[[], Awaitable[None]]


def main() -> None:
    logging.disable(logging.INFO)
    with self_hosted_project() as project, ExitStack() as stack:
        say_where()
        urls = {"SQLite": f"sqlite:///{project}/account.db"}
        if self_hosted.BINARIES:
            urls["PostgreSQL"] = stack.enter_context(self_hosted.postgres()).url
        targets = []
        for name, url in urls.items():
            emails = prepare(url, USERS)
            times = asyncio.run(measure(url, emails))
            targets += report(name, times, 3.0 if name == "SQLite" else 4.5)
        targets.append(export(project, urls["SQLite"]))
    print_targets(*targets)


async def measure(url: str, emails: list[str]) -> dict[str, list[float]]:
    """Milliseconds of CPU time, by what was done and round; of wall time for the page."""
    app = import_module(f"{PACKAGE}.main").create_app(self_hosted.settings(url))
    hasher = app.state.issuer.gate.hasher
    hashed = hasher.hash(PASSWORD)
    async with app.router.lifespan_context(app):
        token = (await log_in(app, emails[0]))["access_token"]

        def get(path: str, query: str = "") -> Work:
            async def work() -> None:
                await call(app, "GET", path, token=token, query=query)

            return work

        async def login() -> None:
            await log_in(app, emails[1])

        async def bare() -> None:
            hasher.verify(PASSWORD, hashed)

        works: dict[str, tuple[Work, Callable[[], float]]] = {
            "bare hash": (bare, time.process_time),
            "login": (login, time.process_time),
            "guard alone": (get("/api/private"), time.process_time),
            "GET /api/users/me": (get("/api/users/me"), time.process_time),
            "page of 100": (get("/api/users", "limit=100"), time.perf_counter),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for number in range(ROUNDS + 1):
            for name, (work, clock) in works.items():
                calls = CALLS if name in ("guard alone", "GET /api/users/me") else 2
                start = clock()
                for _ in range(calls):
                    await work()
                if number:  # the first round warms everything
                    times[name].append((clock() - start) * 1000 / calls)
    return times


async def log_in(app: Any, email: str) -> Any:
    return await call(app, "POST", "/auth/login", {"email": email, "password": PASSWORD})


async def call(
    app: Any, method: str, path: str, body: Any = None, token: str = "", query: str = ""
) -> Any:
    """Send a request into the application; its answer must be 200."""
    content = json.dumps(body).encode() if body else b""
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    headers += [(b"authorization", f"Bearer {token}".encode())] if token else []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "https",
        "method": method,
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
    }
    statuses, parts = [], []

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        else:
            parts.append(message["body"])

    await app(scope, receive, send)
    if statuses != [200]:
        raise SystemExit(f"{method} {path} was answered {statuses}: {b''.join(parts)!r}")
    return json.loads(b"".join(parts)) if method == "POST" else None


def report(name: str, times: dict[str, list[float]], bound: float) -> list[Target]:
    medians = {what: statistics.median(column) for what, column in times.items()}
    print_table([name, "median ms"], [[what, f"{ms:.2f}"] for what, ms in medians.items()])
    login = ratio(times["login"], times["bare hash"])
    me = ratio(times["GET /api/users/me"], times["guard alone"])
    return [
        Target(f"{name}: login, to the bare hash", login, 1.4, " x"),
        Target(f"{name}: /me, to the guard", me, bound, " x"),
        Target(f"{name}: a page of {USERS} users", medians["page of 100"], 5, " ms"),
    ]


def export(project: Path, url: str) -> Target:
    """The whole command, with the start of Python."""
    command = [sys.executable, "scripts/admin.py", "users", "export", "users.ndjson"]
    start = time.perf_counter()
    environment = self_hosted.environment(project, url)
    subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    lines = (project / "users.ndjson").read_text(encoding="utf-8").splitlines()
    if len(lines) != USERS:
        raise SystemExit(f"{len(lines)} users were exported")
    return Target(f"export of {USERS} users", seconds, 5, " s")


if __name__ == "__main__":
    main()
