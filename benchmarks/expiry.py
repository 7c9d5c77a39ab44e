"""100 requests a second while keys expire, the tenant fails, or its key set takes 10 seconds.

    python3 hooks/bootstrap.py run benchmarks/expiry.py [--seconds 60] [--sdk-seconds 30]

Application, tenant and client are processes; keys come over real TLS with `max-age=15`, which the
SDK follows. The guard does not, it fetches every 300 seconds: here it is made to every 15, so that
this run sees its refreshes. Each request has a token of its own, so that no remembered token hides
a missing key. Requests are due at their time (open loop), over 200 kept-alive connections. Trouble
starts after the first answer.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass

from client import Answer, ask, ask_at_rate, connect, raw_request
from harness import Target, percentile, print_table, print_targets, rendered_project, say_where
from servers import Options, Server, served
from tls_tenant import TlsTenant, tls_tenant

RATE = 100.0
MAX_AGE = 15
DAY = 86_400


@dataclass(frozen=True)
class Case:
    """Which application meets what."""

    name: str
    app: str = "guard"
    max_age: int = MAX_AGE
    status: int = 200
    jwks_delay: float = 0.0


BASE = Case("guard, no expiry", max_age=DAY)
GUARD = [
    Case("guard, expiry"),
    Case("guard, tenant answers 500", status=500),
    Case("guard, keys take 10 s", jwks_delay=10.0),
]
SDK = [
    Case("SDK, expiry", app="SDK alone"),
    Case("SDK, tenant answers 500", app="SDK alone", status=500),
    Case("SDK, keys take 10 s", app="SDK alone", jwks_delay=10.0),
]


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency while keys expire.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--sdk-seconds", type=int, default=30, help="0 leaves the SDK out")
    options = parser.parse_args()
    seconds = dict.fromkeys([BASE, *GUARD], options.seconds)
    seconds |= {case: options.sdk_seconds for case in SDK if options.sdk_seconds}
    with rendered_project(), tls_tenant(round(max(seconds.values()) * RATE)) as tenant:
        say_where()
        answers = {case: run(case, tenant, lasting) for case, lasting in seconds.items()}
    report(answers)


@dataclass(frozen=True)
class Run:
    """The answers of one case, and what was fetched from when the trouble began."""

    answers: list[Answer]
    fetches: int

    def p99(self) -> float:
        return percentile([1000 * answer.seconds for answer in self.answers], 99)

    def not_200(self) -> int:
        return sum(answer.status != 200 for answer in self.answers)


def run(case: Case, tenant: TlsTenant, seconds: int) -> Run:
    told = tenant.told
    told.status.value, told.jwks_delay.value, told.max_age.value = 200, 0.0, case.max_age
    refresh = MAX_AGE if case.max_age == MAX_AGE else None
    with served(case.app, Options(domain=tenant.domain, refresh=refresh)) as server:
        asyncio.run(first_answer(server, tenant.tokens[0]))
        told.fetches.value = 0
        told.status.value, told.jwks_delay.value = case.status, case.jwks_delay
        tokens = tenant.tokens[: round(seconds * RATE)]
        answers = asyncio.run(ask_at_rate(server.port, tokens, RATE))
        return Run(answers, told.fetches.value)


async def first_answer(server: Server, token: str) -> None:
    """Wait for the keys to be at hand."""
    pool = await connect(server.port, 1)
    for _ in range(50):
        if (await ask(server.port, pool, raw_request(token), time.perf_counter())).status == 200:
            return
        await asyncio.sleep(0.2)
    raise SystemExit("the application does not let a valid token in")


def report(runs: dict[Case, Run]) -> None:
    rows = []
    for case, run in runs.items():
        times = [1000 * answer.seconds for answer in run.answers]
        rows.append(
            [
                case.name,
                len(times),
                f"{100 * run.not_200() / len(times):.1f}",
                *(f"{percentile(times, percent):.1f}" for percent in (50, 99, 100)),
                run.fetches,
            ]
        )
    print_table(["100 a second", "n", "% not 200", "p50 ms", "p99", "max", "fetches"], rows)
    bound = round(2 * runs[BASE].p99(), 1)
    for case in GUARD:
        print_targets(
            Target(f"{case.name}, answers but 200", runs[case].not_200(), 0),
            Target(f"{case.name}, p99", runs[case].p99(), bound, " ms"),
        )


if __name__ == "__main__":
    main()
