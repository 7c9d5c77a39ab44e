"""Refreshes over HTTP: one process on SQLite with 50 writers, then two processes on one file.

    python3 hooks/bootstrap.py run benchmarks/refresh.py [--seconds 10]

Each writer has a session of its own and sends the refresh token of the last answer at once. The
client runs on the same machine.
"""

import argparse
import asyncio
import json
import time

from harness import Target, percentile, print_table, print_targets, say_where
from self_hosted import login_request, post, prepare, self_hosted_project, served

WRITERS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description="Refreshes over HTTP.")
    parser.add_argument("--seconds", type=float, default=10)
    seconds = parser.parse_args().seconds
    rows, targets = [], []
    with self_hosted_project() as project:
        say_where()
        for processes in (1, 2):
            url = f"sqlite:///{project}/refresh{processes}.db"
            emails = prepare(url, WRITERS)
            with served(project, url, processes=processes) as apis:
                ports = [port for port, _ in apis]
                times, failed = asyncio.run(run(ports, emails, seconds))
                locked = sum(api.log.read_text().count("locked") for _, api in apis)
            rate, p99 = len(times) / seconds, percentile(times, 99) * 1000
            rows.append([f"processes: {processes}", f"{rate:.0f}", f"{p99:.0f}", failed, locked])
            if processes == 1:
                targets.append(Target("refreshes a second", rate, 500, at_least=True))
                targets.append(Target("p99 of 50 writers", p99, 250, " ms"))
            targets.append(Target(f"not answered 200, {processes} at work", failed + locked, 0))
    print_table(["", "a second", "p99 ms", "failed", "locked"], rows)
    print_targets(*targets)


async def run(ports: list[int], emails: list[str], seconds: float) -> tuple[list[float], int]:
    """Seconds of each good refresh, and how many were not answered 200."""
    times: list[float] = []
    failed = 0
    connections = [
        await asyncio.open_connection("127.0.0.1", ports[number % len(ports)])
        for number in range(len(emails))
    ]
    tokens = []
    for (reader, writer), email in zip(connections, emails, strict=True):
        _, body = await ask(reader, writer, login_request(email))
        tokens.append(body["refresh_token"])
    end = time.perf_counter() + seconds

    async def refresh(number: int) -> None:
        nonlocal failed
        token = tokens[number]
        while (start := time.perf_counter()) < end:
            status, body = await ask(
                *connections[number], post("/auth/refresh", {"refresh_token": token})
            )
            if status != 200:
                failed += 1
                return
            times.append(time.perf_counter() - start)
            token = body["refresh_token"]

    await asyncio.gather(*(refresh(number) for number in range(len(emails))))
    return times, failed


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, dict[str, str]]:
    """Send a request; the status and the JSON of its answer."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    body: dict[str, str] = json.loads(await reader.readexactly(length))
    return int(head.split(b" ", 2)[1]), body


if __name__ == "__main__":
    main()
