"""One process for 15 minutes at half its capacity: does it grow, does it pause?

    python3 hooks/bootstrap.py run benchmarks/soak.py [--minutes 15] [--rate REQUESTS_PER_SECOND]

Needs haproxy and redis-server. A third of the requests has a new Bearer token, a third one of ten
repeated ones, a third a DPoP token and a new proof. watched.py writes down, each second, what the
process holds. Once a minute the load rests for some seconds and closes its connections, so that
what is still open then has been left behind. The first minute is the warm-up: the process opens its
connections to Redis as it needs them, ten at most, and keeps them. What it holds at rest must not
grow from then on.

A pause is time in which the event loop did not run. A second process that only sleeps is watched
beside the first one: its pauses are those of the machine. Nor is it a pause of the server's own if
the client stalls for 200 ms and then sends 200 requests, which the server finds in one turn of its
loop. So the client's own delays shift what it sends later (client.py); how often, and the rate that
was left, is printed. A server that stalls is seen as ever: its loop does not run, requests go on
being due, and their times count from then.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bed import Cluster, Process, missing
from client import Pace, ask, connect
from cluster import Tokens, load
from harness import (
    PACKAGE,
    Target,
    percentile,
    print_table,
    print_targets,
    rendered_project,
    say_where,
)

REST = 4.0  # seconds: connections close at once, those that were kept alive after 5 seconds idle
WARM = 1  # minutes after which nothing that is left at rest may grow
Line = dict[str, Any]


@dataclass
class Minute:
    """A minute of load, and the rest after it: from, until, in monotonic seconds."""

    load: tuple[float, float]
    rest: tuple[float, float]
    pace: Pace


@dataclass
class Soak:
    """What was sent, and when."""

    minutes: list[Minute] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)


async def capacity(cluster: Cluster, seconds: float = 8) -> float:
    """Requests a second that the process answers if there is always a next one."""
    tokens, port = Tokens(cluster), cluster.ports[0]
    pool = await connect(port, 16)
    requests = [tokens.request(number)[1] for number in range(int(seconds * 2000))]
    answered, begin = 0, time.perf_counter()

    async def client() -> None:
        nonlocal answered
        while requests and time.perf_counter() - begin < seconds:
            await ask(port, pool, requests.pop(), begin)
            answered += 1

    await asyncio.gather(*(client() for _ in range(16)))
    return answered / (time.perf_counter() - begin)


def soak(cluster: Cluster, minutes: float, rate: float) -> Soak:
    """Load the process, minute by minute."""
    done, tokens = Soak(), Tokens(cluster)
    until = time.monotonic() + 60 * minutes
    gc.disable()  # a pause of the client would send what it held back all at once
    while (left := until - time.monotonic()) > 2 * REST:
        start = time.monotonic()
        count, pace = int(rate * (min(left, 60) - REST)), Pace(rate)
        sent = asyncio.run(load(cluster, tokens, count, pace, cluster.ports[0]))
        done.statuses.update(one.status for one in sent)
        done.milliseconds += [1000 * one.seconds for one in sent]
        del sent
        end = time.monotonic()
        gc.collect()
        time.sleep(max(0.0, end + REST - time.monotonic()))
        done.minutes.append(Minute((start, end), (end, time.monotonic()), pace))
    gc.enable()
    return done


@contextmanager
def idle_process(folder: Path) -> Iterator[Path]:
    """Watch a process that does nothing; gives its report."""
    report = folder / "idle"
    command = [sys.executable, str(Path(__file__).with_name("watched.py"))]
    process = Process(command, folder / "idle.log", {**os.environ, "SOAK_REPORT": str(report)})
    process.start()
    try:
        yield report
    finally:
        process.end()


def read(report: Path) -> list[Line]:
    return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]


def within(lines: list[Line], span: tuple[float, float]) -> list[Line]:
    """The lines of seconds that lie within a span."""
    return [line for line in lines if span[0] + 1 <= line["at"] <= span[1]]


def slope(values: list[tuple[float, float]]) -> float:
    """What a value grows by in an hour, as the line through its last half says."""
    later = values[len(values) // 2 :]
    if len(later) < 2:
        return 0.0
    return 3600 * statistics.linear_regression(*zip(*later, strict=True)).slope


def main() -> None:
    parser = argparse.ArgumentParser(description="One process for a long time.")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--rate", type=float, help="requests a second; default: half the capacity")
    options = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"missing: apt-get install {' '.join(lacking)}")
    with rendered_project() as project, tempfile.TemporaryDirectory() as name:
        say_where()
        folder = Path(name)
        report = folder / "report"
        os.environ |= {"SOAK_REPORT": str(report), "SOAK_PACKAGE": PACKAGE}
        cluster = Cluster(project, folder, size=1, factory="watched:create_app")
        with cluster.running(), idle_process(folder) as idle:
            rate = options.rate
            if rate is None:
                most = asyncio.run(capacity(cluster))
                rate = most / 2
                print(f"capacity: {most:.0f} requests a second")
                time.sleep(REST)
            print(f"load: {rate:.0f} requests a second\n", flush=True)
            done = soak(cluster, options.minutes, rate)
            lines, machine = read(report), read(idle)
    print_report(done, lines, machine)


def print_report(done: Soak, lines: list[Line], machine: list[Line]) -> None:
    """One row for each minute, what the requests got, and the targets."""
    rows, rests = [], []
    for number, minute in enumerate(done.minutes, 1):
        loaded, rested = within(lines, minute.load), within(lines, minute.rest)
        rest = {name: min(line[name] for line in rested) for name in ("tasks", "files")}
        rests.append(rest)
        cpu = (loaded[-1]["cpu"] - loaded[0]["cpu"]) / (loaded[-1]["at"] - loaded[0]["at"])
        row = [f"{statistics.median(line['mb'] for line in loaded):.1f}", f"{100 * cpu:.0f} %"]
        for name in ("tasks", "files"):
            row.append(f"{max(line[name] for line in loaded):.0f}, {rest[name]:.0f}")
        for name in ("pause", "busy"):
            row.append(f"{1000 * max(line[name] for line in loaded):.0f}")
        row.append(f"{1000 * max(line['pause'] for line in within(machine, minute.load)):.0f}")
        row.append(f"{1000 * minute.pace.longest:.0f}")
        rows.append([f"minute {number}", *row])
    head = ["MB", "CPU", "tasks, at rest", "files, at rest"]
    head += ["pause ms", "computing ms", "idle process ms", "client late ms"]
    print_table(["", *head], rows)
    loaded = [line for minute in done.minutes for line in within(lines, minute.load)]
    other = [line for minute in done.minutes for line in within(machine, minute.load)]
    head = ["number", "seconds", "longest ms"]
    rows = [
        [f"garbage collection, generation {name}", *values] for name, values in collections(loaded)
    ]
    print_table(["", *head], rows)
    print("requests:", sum(done.statuses.values()), "statuses:", dict(done.statuses))
    print(sending(done))
    p50, p99 = (percentile(done.milliseconds, percent) for percent in (50, 99))
    print(f"p50 {p50:.1f} ms, p99 {p99:.1f} ms\n")
    warm = rests[min(WARM, len(rests)) - 1]
    grown = {name: rests[-1][name] - warm[name] for name in ("tasks", "files")}
    print_targets(
        Target("requests that were not let in", done.statuses.total() - done.statuses[200], 0),
        Target(
            "growth of memory in the last half",
            slope([(line["at"], line["mb"]) for line in loaded]),
            5,
            " MB an hour",
        ),
        Target(
            "longest pause in which the process computed",
            1000 * max(min(line["pause"], line["busy"]) for line in loaded),
            50,
            " ms",
        ),
        Target("growth of tasks at rest, after the warm-up", grown["tasks"], 0),
        Target("growth of open files at rest, after the warm-up", grown["files"], 0),
    )
    print("\nFor benchmarks/README.md:\n")
    print(textwrap.fill(summary(done, loaded, other, rests), 130))


def collections(lines: list[Line]) -> Iterator[tuple[str, list[str]]]:
    """For each generation: how many garbage collections there were, their seconds, the longest."""
    for name in sorted({name for line in lines for name in line["collections"]}):
        found = [line["collections"][name] for line in lines if name in line["collections"]]
        counts, seconds, longest = zip(*found, strict=True)
        yield name, [f"{sum(counts)}", f"{sum(seconds):.2f}", f"{1000 * max(longest):.1f}"]


def sending(done: Soak) -> str:
    """The rate that was reached, and what the client was late for."""
    paces = [minute.pace for minute in done.minutes]
    seconds = sum(minute.load[1] - minute.load[0] for minute in done.minutes)
    return (
        f"sent: {sum(pace.sent for pace in paces) / seconds:.0f} a second; "
        f"the client was late {sum(pace.shifts for pace in paces)} times, "
        f"{sum(pace.shifted for pace in paces):.1f} s in all"
    )


def summary(done: Soak, loaded: list[Line], other: list[Line], rests: list[Line]) -> str:
    """The run in a few sentences."""

    def longest(lines: list[Line], name: str) -> str:
        return f"{1000 * max(line[name] for line in lines):.0f} ms"

    first, last = (statistics.median(line["mb"] for line in part) for part in ends(loaded))
    good = done.statuses[200]
    *_, (name, (_, _, slowest)) = collections(loaded)
    return (
        f"{done.statuses.total()} requests in {len(done.minutes)} minutes, "
        f"{'all' if good == done.statuses.total() else good} 200; {sending(done)}. "
        f"Memory {first:.1f} MB in the first minute and {last:.1f} MB in the last. "
        f"At rest {rests[0]['tasks']:.0f} tasks and {rests[0]['files']:.0f} open files after the "
        f"first minute, {rests[-1]['tasks']:.0f} and {rests[-1]['files']:.0f} after the last. "
        f"Longest pause {longest(loaded, 'pause')}, in which it computed for "
        f"{longest(loaded, 'busy')}; longest garbage collection of generation {name}: "
        f"{slowest} ms. "
        f"An idle process beside it paused for {longest(other, 'pause')}."
    )


def ends(lines: list[Line]) -> tuple[list[Line], list[Line]]:
    """The lines of the first minute and of the last."""
    start, end = lines[0]["at"], lines[-1]["at"]
    first = [line for line in lines if line["at"] < start + 60]
    return first, [line for line in lines if line["at"] > end - 60]


if __name__ == "__main__":
    main()
