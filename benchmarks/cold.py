"""A cold process that gets 200 requests at once: what it fetches, and how long its loop stalls.

    python3 hooks/bootstrap.py run benchmarks/cold.py [--rounds 5] [--sdk-rounds 2]

Each round starts a process that builds the application and hands it 200 requests in one turn of
the event loop; keys come over real TLS from a tenant in another process. To answer 200 requests in
one turn is a stall, too, without any fetching: the same requests again, with the keys at hand, show
how long. What a cold start adds to it is due to fetching.
"""

import argparse
import asyncio
import logging
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from fastapi import FastAPI

from apps import APPS
from asgi import request, status_of
from harness import Target, print_table, print_targets, rendered_project, say_where
from servers import SPAWN
from tls_tenant import TlsTenant, tls_tenant

REQUESTS = 200
TICK = 0.001  # seconds


@dataclass(frozen=True)
class Burst:
    """What 200 requests at once met with; times in milliseconds."""

    refused: int
    last_answer: float
    stall: float


@dataclass(frozen=True)
class Round:
    """What one process did, and what it had its tenant send."""

    cold: Burst
    warm: Burst
    fetches: int


def main() -> None:
    parser = argparse.ArgumentParser(description="200 requests at once to a cold process.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sdk-rounds", type=int, default=2, help="0 leaves the SDK out")
    options = parser.parse_args()
    with rendered_project(), tls_tenant(2 * REQUESTS) as tenant:
        say_where()
        guard, sdk = [], []
        for number in range(max(options.rounds, options.sdk_rounds)):
            if number < options.rounds:
                guard.append(in_new_process("guard", tenant))
            if number < options.sdk_rounds:
                sdk.append(in_new_process("SDK alone", tenant))
    report({"guard": guard, "SDK alone": sdk} if sdk else {"guard": guard})


def in_new_process(name: str, tenant: TlsTenant) -> Round:
    tenant.told.fetches.value = 0
    with ProcessPoolExecutor(1, mp_context=SPAWN) as new:
        cold, warm = new.submit(run, name, tenant.domain, tenant.tokens).result()
    return Round(cold, warm, tenant.told.fetches.value)


def run(name: str, domain: str, tokens: list[str]) -> tuple[Burst, Burst]:
    """The process: a burst as its first work, and a second one."""
    from memory_tenant import Tenant  # type: ignore[import-not-found]  # of the rendered project

    logging.disable(logging.CRITICAL)
    app = APPS[name](Tenant(domain), None)

    async def bursts() -> tuple[Burst, Burst]:
        async with app.router.lifespan_context(app):
            return await burst(app, tokens[:REQUESTS]), await burst(app, tokens[REQUESTS:])

    return asyncio.run(bursts())


async def burst(app: FastAPI, tokens: list[str]) -> Burst:
    """All requests in one turn of the loop, while a ticker measures how late it is."""
    stalls: list[float] = []

    async def tick() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            stalls.append(now - last - TICK)
            last = now

    async def ask(token: str) -> tuple[int, float]:
        status = await status_of(app, request(token))
        return status, time.perf_counter() - start

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    start = time.perf_counter()
    answers = await asyncio.gather(*map(ask, tokens))
    await asyncio.sleep(2 * TICK)
    ticking.cancel()
    return Burst(
        refused=sum(status != 200 for status, _ in answers),
        last_answer=1000 * max(seconds for _, seconds in answers),
        stall=1000 * max(stalls),
    )


def report(rounds: dict[str, list[Round]]) -> None:
    added = {}
    rows = []
    for name, column in rounds.items():
        cold = statistics.median(each.cold.stall for each in column)
        warm = statistics.median(each.warm.stall for each in column)
        added[name] = statistics.median(each.cold.stall - each.warm.stall for each in column)
        rows.append(
            [
                name,
                max(each.cold.refused for each in column),
                max(each.fetches for each in column),
                f"{statistics.median(each.cold.last_answer for each in column):.0f}",
                f"{cold:.0f} ({max(each.cold.stall for each in column):.0f})",
                f"{warm:.0f}",
            ]
        )
    head = ["200 at once, cold", "refused", "fetches", "last ms", "stall ms (worst)", "warm stall"]
    print_table(head, rows)
    print_targets(
        Target("guard, fetches", max(each.fetches for each in rounds["guard"]), 2),
        Target("guard, stall beyond the warm one", added["guard"], 50, " ms"),
    )


if __name__ == "__main__":
    main()
