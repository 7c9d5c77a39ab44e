"""200 logins at once to one process of a self-hosted project, and how long failures take.

    python3 hooks/bootstrap.py run benchmarks/logins.py

The pause is the longest answer of /healthz, asked all the time over a connection of its own, while
200 requests arrive at once: guarded ones, then logins. Four kinds of failure must be alike.
"""

import asyncio
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from client import Answer, ask, connect, raw_request
from harness import PACKAGE, Target, print_table, print_targets, say_where
from self_hosted import PASSWORD, login_request, prepare, self_hosted_project, served

AT_ONCE = 200
CONCURRENCY, HASH_MB = 2, 19
ROUNDS = 5
FAILURES = 20  # of each kind: a network gets 100
BCRYPT = "$2b$10$C7hV5xg6aFzdl/e9GHaVf.dG9YZVBhLJvhXBZCXKdfj6lvGbFpBFW"  # of another password
KINDS = ("wrong password", "unknown user", "inactive user", "wrong password, bcrypt")


def main() -> None:
    with self_hosted_project() as project:
        say_where()
        url = f"sqlite:///{project}/logins.db"
        emails = prepare(url, AT_ONCE + 2 * FAILURES)
        spoil(url, emails[AT_ONCE:])
        with served(project, url) as [(port, api)]:
            process = api.running.pid if api.running else 0
            token = first_token(port, emails[0])
            memory = megabytes(process, "VmRSS")
            guarded, logins = [], []
            for _ in range(ROUNDS):
                guarded.append(burst(port, [raw_request(token, "/api/private")] * AT_ONCE))
                logins.append(burst(port, [login_request(email) for email in emails[:AT_ONCE]]))
            peak = megabytes(process, "VmHWM")
            times, seen = failures(port, emails)
    pauses = [statistics.median(pause for pause, _, _ in runs) for runs in (guarded, logins)]
    statuses = sorted({status for _, found, _ in logins for status in found})
    rate = AT_ONCE / statistics.median(seconds for _, _, seconds in logins)
    rows = [[kind, f"{statistics.median(times[kind]) * 1000:.0f}"] for kind in KINDS]
    print(f"logins a second: {rate:.0f}; statuses: {statuses}")
    shown = [f"{pause * 1000:.0f} ms" for pause in pauses]
    print(f"pause: {shown[0]} with guarded requests, {shown[1]} with logins")
    print(f"memory: {memory:.0f} MB before, {peak:.0f} at most\n")
    print_table(["failed login", "median ms"], rows)
    medians = [statistics.median(times[kind]) for kind in KINDS]
    print_targets(
        Target("pause, to that of guarded requests", pauses[1] / pauses[0], 2.5, " x"),
        Target("memory that logins added", peak - memory, CONCURRENCY * HASH_MB + 60, " MB"),
        Target("logins not answered 200", sum(status != 200 for status in statuses), 0),
        Target("slowest kind of failure, to the fastest", max(medians) / min(medians), 1.1, " x"),
        Target("different answers to failures", len(seen), 1),
    )


def spoil(url: str, emails: list[str]) -> None:
    """Make the first half of them inactive; the others have a hash of bcrypt."""
    engines = import_module(f"{PACKAGE}.database").engines
    users = import_module(f"{PACKAGE}.issuer.models").users
    *_, writer, atomic = engines(url)
    with atomic.begin() as connection:
        for number, email in enumerate(emails):
            change = {"active": False} if number < FAILURES else {"password_hash": BCRYPT}
            connection.execute(users.update().where(users.c.email == email).values(change))
    writer.dispose()


def first_token(port: int, email: str) -> str:
    body = raw_answer(port, login_request(email)).rpartition("\n")[2]
    return str(json.loads(body)["access_token"])


async def send(port: int, requests: list[bytes]) -> list[Answer]:
    pool = await connect(port, len(requests))
    start = time.perf_counter()
    return list(await asyncio.gather(*(ask(port, pool, one, start) for one in requests)))


def burst(port: int, requests: list[bytes]) -> tuple[float, list[int], float]:
    """The longest pause meanwhile, the statuses, and the seconds until the last answer."""
    with probe(port) as pauses:
        answers = asyncio.run(send(port, requests))
    return max(pauses), [one.status for one in answers], max(one.seconds for one in answers)


@contextmanager
def probe(port: int) -> Iterator[list[float]]:
    """Ask /healthz again and again; gives the seconds of each answer."""
    seconds: list[float] = []
    over = threading.Event()

    def run() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while not over.is_set():
                start = time.perf_counter()
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                connection.recv(65536)
                seconds.append(time.perf_counter() - start)
                time.sleep(0.002)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.1)
    try:
        yield seconds
    finally:
        over.set()
        thread.join()


def failures(port: int, emails: list[str]) -> tuple[dict[str, list[float]], set[str]]:
    """Seconds of each failure, the kinds taking turns; and the different answers."""
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    seen = set()
    for number in range(FAILURES):
        names = (
            emails[number],
            f"nobody{number}@example.com",
            emails[AT_ONCE + number],
            emails[AT_ONCE + FAILURES + number],
        )
        for kind, name in zip(KINDS, names, strict=True):
            request = login_request(name, PASSWORD if kind == "inactive user" else "wrong")
            start = time.perf_counter()
            seen.add(raw_answer(port, request))
            times[kind].append(time.perf_counter() - start)
    return times, seen


def raw_answer(port: int, request: bytes) -> str:
    """Status, headers but the date, and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return "\n".join(line for line in text.split("\r\n") if not line.lower().startswith("date:"))


def megabytes(process: int, name: str) -> float:
    """A figure of /proc, Linux only."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


if __name__ == "__main__":
    main()
