"""CPU time of one request through the application, without a server: the guard and its rivals.

    python3 hooks/bootstrap.py run benchmarks/request.py [--rounds 200]

The applications take turns in an order that changes each round, so that a busy machine slows them
alike; a figure is the median over the rounds, a ratio the median of the ratios within a round.
"""

import argparse
import asyncio
import random
import time
from contextlib import AsyncExitStack
from itertools import repeat
from typing import Any

from fastapi import FastAPI

from apps import APPS
from asgi import request, status_of
from harness import (
    Target,
    print_table,
    print_targets,
    ratio,
    rendered_project,
    say_where,
    spread,
)

CALLS = 20  # of one application in one round
REPEATED, NEW = "guard, repeated token", "guard, new token"
AT_HAND = "SDK, keys at hand, new"
ROWS = {
    "open route": "open route",
    "no-op dependency": "no-op dependency",
    REPEATED: "guard",
    NEW: "guard",
    "SDK alone": "SDK alone",
    AT_HAND: "SDK, keys at hand",
    "PyJWT by hand": "PyJWT by hand",
    "joserfc by hand": "joserfc by hand",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU time of one request.")
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    with rendered_project():
        say_where()
        report(asyncio.run(measure(rounds)))


async def measure(rounds: int) -> dict[str, list[float]]:
    """Microseconds per request, by row and round."""
    from memory_tenant import Tenant  # type: ignore[import-not-found]  # of the rendered project

    tenant = Tenant()
    tokens = {name: repeat(tenant.token()) for name in ROWS}
    new = iter([tenant.token(jti=str(number)) for number in range((rounds + 1) * CALLS * 2)])
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    async with AsyncExitStack() as stack:
        apps = {name: APPS[app](tenant, tenant.fetch) for name, app in ROWS.items()}
        for app in apps.values():
            await stack.enter_async_context(app.router.lifespan_context(app))
        await asyncio.sleep(0.1)  # the keys are fetched in the background
        for number in range(rounds + 1):
            for name in random.sample(list(ROWS), len(ROWS)):
                source = new if name in (NEW, AT_HAND) else tokens[name]
                spent = await microseconds(apps[name], [next(source) for _ in range(CALLS)])
                if number:  # The first round warms everything.
                    times[name].append(spent)
    return times


async def microseconds(app: FastAPI, tokens: list[str]) -> float:
    """CPU time of a request; each must be answered 200."""
    requests: list[dict[str, Any]] = [request(token) for token in tokens]
    start = time.thread_time_ns()
    statuses = [await status_of(app, scope) for scope in requests]
    spent = time.thread_time_ns() - start
    if set(statuses) != {200}:
        raise SystemExit(f"not all requests were answered 200: {statuses}")
    return spent / 1000 / len(requests)


def report(times: dict[str, list[float]]) -> None:
    ratios = {name: ratio(column, times["open route"]) for name, column in times.items()}
    rows = []
    for name, column in times.items():
        low, median, high = spread(column)
        rows.append([name, f"{median:.1f}", f"{low:.1f} - {high:.1f}", f"{ratios[name]:.2f}"])
    print_table(["CPU time of a request", "median us", "10 % - 90 %", "x open"], rows)
    print_targets(
        Target(f"{REPEATED}, to the open route", ratios[REPEATED], 1.35, " x"),
        Target(f"{NEW}, to the open route", ratios[NEW], 3.5, " x"),
    )


if __name__ == "__main__":
    main()
