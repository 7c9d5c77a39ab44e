"""One process for 15 minutes at half its capacity: does it grow, does it pause?

    python3 hooks/bootstrap.py run benchmarks/soak.py [--minutes 15] [--rate REQUESTS_PER_SECOND]

Needs haproxy and redis-server. A third of the requests has a new Bearer token, a third one of ten
repeated ones, a third a DPoP token and a new proof. watched.py writes down, each second, what the
process holds. A pause is time in which its event loop did not run. What the process computed in it
tells its own pauses from those of a busy machine.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bed import Cluster, missing
from client import ask, connect
from cluster import Sent, Tokens, load
from harness import (
    PACKAGE,
    Target,
    percentile,
    print_table,
    print_targets,
    rendered_project,
    say_where,
)

CHUNK = 20.0  # seconds of load at a time


async def capacity(cluster: Cluster, seconds: float = 5) -> float:
    """Requests a second that the process answers if there is always a next one."""
    tokens, port = Tokens(cluster), cluster.ports[0]
    pool = await connect(port, 16)
    requests = [tokens.request(number)[1] for number in range(int(seconds * 1500))]
    answered, begin = 0, time.perf_counter()

    async def client() -> None:
        nonlocal answered
        while requests and time.perf_counter() - begin < seconds:
            await ask(port, pool, requests.pop(), begin)
            answered += 1

    await asyncio.gather(*(client() for _ in range(16)))
    return answered / (time.perf_counter() - begin)


def soak(cluster: Cluster, minutes: float, rate: float) -> list[Sent]:
    """Load the process; statuses and times of all requests."""
    sent: list[Sent] = []
    until = time.monotonic() + 60 * minutes
    tokens = Tokens(cluster)
    while (left := until - time.monotonic()) > 0:
        seconds = min(left, CHUNK)
        sent += asyncio.run(load(cluster, tokens, seconds, rate, cluster.ports[0]))
    return sent


def slope(lines: list[dict[str, Any]]) -> float:
    """Megabytes an hour that the memory grows by, as the line through its last half says."""
    later = [line for line in lines if line["at"] > lines[-1]["at"] / 2]
    found = statistics.linear_regression([one["at"] for one in later], [one["mb"] for one in later])
    return 3600 * found.slope


def main() -> None:
    parser = argparse.ArgumentParser(description="One process for a long time.")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--rate", type=float, help="requests a second; default: half the capacity")
    options = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"missing: apt-get install {' '.join(lacking)}")
    with rendered_project() as project, tempfile.TemporaryDirectory() as folder:
        say_where()
        report = Path(folder) / "report"
        os.environ |= {"SOAK_REPORT": str(report), "SOAK_PACKAGE": PACKAGE}
        cluster = Cluster(project, Path(folder), size=1, factory="watched:create_app")
        with cluster.running():
            most = asyncio.run(capacity(cluster))
            rate = options.rate or most / 2
            print(f"capacity: {most:.0f} requests a second; load: {rate:.0f}\n", flush=True)
            sent = soak(cluster, options.minutes, rate)
            time.sleep(2)  # until the connections of the load are closed
            lines = [json.loads(line) for line in report.read_text().splitlines()][10:]
    print_report(sent, lines)


def print_report(sent: list[Sent], lines: list[dict[str, Any]]) -> None:
    rows = []
    for part in range(6):
        piece = lines[len(lines) * part // 6 : len(lines) * (part + 1) // 6]
        most = {name: max(line[name] for line in piece) for name in ("tasks", "files", "pause")}
        middle = statistics.median(line["mb"] for line in piece)
        row = [f"{middle:.1f}", most["tasks"], most["files"], f"{1000 * most['pause']:.0f}"]
        rows.append([f"until minute {piece[-1]['at'] / 60:.1f}", *row])
    print_table(["", "MB", "tasks", "files", "longest pause ms"], rows)
    print("statuses:", dict(Counter(one.status for one in sent)))
    times = [1000 * one.seconds for one in sent]
    print(f"p50 {percentile(times, 50):.1f} ms, p99 {percentile(times, 99):.1f} ms\n")
    third = len(lines) // 3  # and of each the least: what is held between requests
    grown = {
        name: min(line[name] for line in lines[-third:]) - min(line[name] for line in lines[:third])
        for name in ("tasks", "files")
    }
    own = max(1000 * min(line["pause"], line["busy"]) for line in lines)
    print_targets(
        Target("requests that were not let in", sum(one.status != 200 for one in sent), 0),
        Target("growth of memory in the last half", slope(lines), 5, " MB an hour"),
        Target("longest pause in which the process computed", own, 50, " ms"),
        Target("growth of tasks, last third and first", grown["tasks"], 1),
        Target("growth of open files, last third and first", grown["files"], 2),
    )


if __name__ == "__main__":
    main()
