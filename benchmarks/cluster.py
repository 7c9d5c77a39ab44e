"""Three processes behind HAProxy under load, while something happens to them: who is refused?

    python3 hooks/bootstrap.py run benchmarks/cluster.py [--seconds 30] [--scenario NAME]

Needs haproxy and redis-server (`apt-get install haproxy redis-server`). 100 requests a second, each
due at its time: a third with a new Bearer token, a third with one of ten repeated tokens, a third
with a DPoP token and a new proof.
"""

import argparse
import asyncio
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bed import Cluster, missing
from client import Pace, ask, close, connect, raw_request
from harness import Target, percentile, print_table, print_targets, rendered_project, say_where

RATE = 100.0
PATH = "/api/private"
KINDS = ("new", "repeated", "dpop")
SLOW = "clock 20 s behind in one"
SLOW_BY = 10.0  # seconds: a clock 20 s behind, less the guard's tolerance of 10 s


@dataclass(frozen=True)
class Sent:
    """One request: when it was due, by time.perf_counter, what it was, what came back."""

    at: float
    kind: str
    status: int
    seconds: float
    age: float  # of its token, in seconds


@dataclass
class Run:
    """What a scenario saw."""

    sent: list[Sent] = field(default_factory=list)
    notes: dict[str, float] = field(default_factory=dict)

    def failed(self, *kinds: str) -> list[Sent]:
        return [one for one in self.sent if one.status != 200 and one.kind in (kinds or KINDS)]


class Tokens:
    """The tokens of well-behaved clients: they take new ones when the tenant rotates its keys."""

    def __init__(self, cluster: Cluster, age: int = 0) -> None:
        self.cluster = cluster
        self.renew(age)

    def renew(self, age: int = 0) -> None:
        """Take new tokens, which may be some seconds old already."""
        memory, self.made = self.cluster.tenant.memory, int(time.time()) - age
        self.repeated = [memory.token(jti=str(number), iat=self.made) for number in range(10)]
        self.bound = memory.bound_token(iat=self.made)

    def request(self, number: int) -> tuple[str, bytes, float]:
        """The kind of request, its bytes, and the age of its token."""
        # Three of a kind in a row, since HAProxy gives each to another process.
        memory, kind = self.cluster.tenant.memory, KINDS[number // 3 % len(KINDS)]
        age = time.time() - self.made
        if kind == "new":
            return kind, raw_request(memory.token(jti=f"n{number}"), PATH), 0.0
        if kind == "repeated":
            return kind, raw_request(self.repeated[number % 10], PATH), age
        proof = memory.proof(self.bound, "GET", self.cluster.url + PATH)
        return kind, raw_request(self.bound, PATH, proof), age


async def load(
    cluster: Cluster, tokens: Tokens, count: int, pace: Pace | None = None, port: int = 0
) -> list[Sent]:
    """Send at a pace; a request is due whether or not those before it were answered."""
    port = port or cluster.port
    pool = await connect(port, 60)
    pace = pace or Pace(RATE)
    pace.begin()

    async def send(number: int, due: float) -> Sent:
        kind, request, age = tokens.request(number)
        answer = await ask(port, pool, request, due)
        return Sent(due, kind, answer.status, answer.seconds, age)

    sending = []
    for number in range(count):
        sending.append(asyncio.create_task(send(number, await pace.next())))
    sent = await asyncio.gather(*sending)
    close(pool)
    return sent


async def during(
    cluster: Cluster, seconds: float, event: Callable[[], None], tokens: Tokens | None = None
) -> Run:
    """Let an event happen, in a thread, after a quarter of the load."""

    async def happen() -> None:
        await asyncio.sleep(seconds / 4)
        await asyncio.to_thread(event)

    tokens = tokens or Tokens(cluster)
    sent, _ = await asyncio.gather(load(cluster, tokens, int(seconds * RATE)), happen())
    return Run(sent)


async def rolling_restart(cluster: Cluster, seconds: float) -> Run:
    def event() -> None:
        for number in range(len(cluster.apis)):
            cluster.restart(number)

    return await during(cluster, seconds, event)


async def kill_of_one(cluster: Cluster, seconds: float) -> Run:
    def event() -> None:
        cluster.apis[0].end(signal.SIGKILL)
        time.sleep(seconds / 4)
        cluster.apis[0].start()
        cluster.wait_until_ready(0)

    return await during(cluster, seconds, event)


async def rotation(cluster: Cluster, seconds: float) -> Run:
    """The old key is revoked; clients have new tokens from then on."""
    tokens = Tokens(cluster)

    def event() -> None:
        cluster.tenant.rotate()
        tokens.renew()

    old = tokens.repeated[0]
    run = await during(cluster, seconds, event, tokens)
    run.notes["processes that still take a token of the old key"] = sum(
        [await status(port, raw_request(old, PATH)) == 200 for port in cluster.ports]
    )
    return run


async def redis_restart(cluster: Cluster, seconds: float) -> Run:
    back = 0.0

    def event() -> None:
        nonlocal back
        cluster.redis.end(signal.SIGKILL)
        time.sleep(seconds / 4)
        cluster.redis.start()
        back = time.perf_counter()

    run = await during(cluster, seconds, event)
    away = [one for one in run.sent if one.kind == "dpop" and one.status != 200]
    run.notes["DPoP requests answered other than 200 and 503"] = sum(
        one.status != 503 for one in away
    )
    last = max((one.at for one in away), default=back)
    run.notes["seconds until DPoP is accepted again"] = max(0.0, last - back)
    return run


async def tenant_down(cluster: Cluster, seconds: float) -> Run:
    def event() -> None:
        cluster.tenant.down = True

    try:
        return await during(cluster, seconds, event)
    finally:
        cluster.tenant.down = False


async def slow_clock(cluster: Cluster, seconds: float) -> Run:
    """The first process of this cluster is 20 s behind: it takes a token that it knows to be new
    for one from the future."""
    run = Run(await load(cluster, Tokens(cluster, age=6), int(seconds * RATE)))
    run.notes["age of the oldest refused token, s"] = max(
        (one.age for one in run.failed()), default=0.0
    )
    return run


async def proof_once(cluster: Cluster, seconds: float) -> Run:
    """Each proof goes to all processes at the same time."""
    memory, run = cluster.tenant.memory, Run()
    token = memory.bound_token()
    accepted: Counter[int] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        proof = memory.proof(token, "GET", cluster.url + PATH)
        request = raw_request(token, PATH, proof)
        statuses = await asyncio.gather(*(status(port, request) for port in cluster.ports))
        accepted[statuses.count(200)] += 1
        if set(statuses) - {200, 401}:
            run.notes["other statuses"] = run.notes.get("other statuses", 0) + 1
    run.notes["proofs"] = accepted.total()
    run.notes["proofs that were not good exactly once"] = accepted.total() - accepted[1]
    return run


async def status(port: int, request: bytes) -> int:
    """The status of one request, on a connection of its own."""
    pool = await connect(port, 1)
    answer = await ask(port, pool, request, time.perf_counter())
    close(pool)
    return answer.status


SCENARIOS = {
    "rolling restart of all": rolling_restart,
    "kill of one": kill_of_one,
    "rotation, old key revoked": rotation,
    "Redis restarted": redis_restart,
    "tenant down": tenant_down,
    "a proof at all at once": proof_once,
    SLOW: slow_clock,
}


def targets(name: str, run: Run) -> list[Target]:
    """What a scenario has to reach."""
    if name in ("rolling restart of all", "rotation, old key revoked", "tenant down"):
        reached = [Target(f"{name}: failed requests", len(run.failed()), 0)]
    elif name == "kill of one":  # what it was answering is lost
        reached = [Target(f"{name}: failed requests", len(run.failed()), RATE / 10)]
    elif name == "Redis restarted":
        reached = [Target(f"{name}: Bearer refused", len(run.failed("new", "repeated")), 0)]
    else:
        reached = []
    bounds = {
        "processes that still take a token of the old key": 0,
        "DPoP requests answered other than 200 and 503": 0,
        "seconds until DPoP is accepted again": 2,
        "age of the oldest refused token, s": SLOW_BY + 1,
        "proofs that were not good exactly once": 0,
        "other statuses": 0,
    }
    notes = [(note, value) for note, value in run.notes.items() if note in bounds]
    return [*reached, *(Target(f"{name}: {note}", value, bounds[note]) for note, value in notes)]


@contextmanager
def cluster_of_three(project: Path, slow_clocks: int = 0) -> Iterator[Cluster]:
    """Start three processes and all that they need; of the first, the clock may be behind."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Cluster(project, Path(folder), size=3, slow_clocks=slow_clocks).running() as cluster,
    ):
        yield cluster


def play(names: Iterable[str], project: Path, seconds: float) -> Iterator[tuple[str, Run]]:
    """Run scenarios, each of which leaves the cluster whole; one has a cluster of its own."""
    with cluster_of_three(project) as cluster:
        for name in names:
            if name != SLOW:
                yield name, asyncio.run(SCENARIOS[name](cluster, seconds))
    if SLOW in names:
        with cluster_of_three(project, slow_clocks=1) as cluster:
            yield SLOW, asyncio.run(slow_clock(cluster, seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description="Three processes behind HAProxy.")
    parser.add_argument("--seconds", type=float, default=30, help="of each scenario")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    options = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"missing: apt-get install {' '.join(lacking)}")
    with rendered_project() as project:
        say_where()
        names = options.scenario or list(SCENARIOS)
        runs = dict(play(names, project, options.seconds))
    rows = []
    for name, run in runs.items():
        by_status = Counter(one.status for one in run.sent)
        others = ", ".join(f"{n} x {status}" for status, n in by_status.items() if status != 200)
        times = [1000 * one.seconds for one in run.sent] or [0.0]
        p50, p99 = (f"{percentile(times, percent):.1f}" for percent in (50, 99))
        rows.append([name, len(run.sent), others or "-", p50, p99, f"{max(times):.0f}"])
    print_table(["", "requests", "not 200", "p50 ms", "p99 ms", "max ms"], rows)
    for name, run in runs.items():
        for note, value in run.notes.items():
            print(f"{name}: {note}: {value:.3g}")
    print_targets(*(target for name, run in runs.items() for target in targets(name, run)))


if __name__ == "__main__":
    main()
