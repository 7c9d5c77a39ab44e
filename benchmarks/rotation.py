"""A new signing key, and 10 000 tokens with invented key ids: what is let in, and what is fetched.

    python3 hooks/bootstrap.py run benchmarks/rotation.py [--invented 10000]

A refetch is one of the key set. The last column is the worst case: Auth0 rotates right after the
invented ids, when the guard does not trust unknown ids to be worth a fetch for a while.
"""

import argparse
import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from apps import APPS
from asgi import request, status_of
from harness import Target, print_table, print_targets, rendered_project, say_where

AT_ONCE = 100
LATENCY = 0.05  # seconds that the tenant in memory takes
WORST = 15.0  # seconds to wait for the last column
HANDFUL = 5


@dataclass(frozen=True)
class Rotation:
    """What one application did."""

    first_status: int  # of the first token signed with a new key
    first_refetches: int
    let_in: int  # of the invented ids
    refetches: int  # caused by them
    worst: float | None  # seconds until a key made right after them was accepted


def main() -> None:
    parser = argparse.ArgumentParser(description="Key rotation and invented key ids.")
    parser.add_argument("--invented", type=int, default=10_000)
    invented = parser.parse_args().invented
    logging.disable(logging.CRITICAL)
    with rendered_project():
        say_where()
        seen = {name: asyncio.run(rotate(name, invented)) for name in ("guard", "SDK alone")}
    report(seen, invented)


async def rotate(name: str, invented: int) -> Rotation:
    from memory_tenant import Tenant  # type: ignore[import-not-found]  # of the rendered project

    tenant = Tenant()
    tenant.delay = LATENCY
    app = APPS[name](tenant, tenant.fetch)

    def refetches() -> int:
        found: int = tenant.fetches.count(tenant.jwks_uri)
        tenant.fetches.clear()
        return found

    async with app.router.lifespan_context(app):
        if await status_of(app, request(tenant.token())) != 200:
            raise SystemExit("a valid token was refused")
        refetches()
        tenant.rotate()
        first = await status_of(app, request(tenant.token()))
        caused_by_first = refetches()
        let_in = await invent(app, tenant, invented)
        caused_by_invented = refetches()
        tenant.rotate()
        worst = await until_accepted(app, tenant.token())
    return Rotation(first, caused_by_first, let_in, caused_by_invented, worst)


async def invent(app: FastAPI, tenant: Any, count: int) -> int:
    """Send tokens whose key ids are invented, many at once; how many were let in."""
    from memory_tenant import segment

    _, claims, signature = tenant.token().split(".")
    statuses: list[int] = []
    for start in range(0, count, AT_ONCE):
        headers = ({"alg": "RS256", "kid": f"key-x{start + number}"} for number in range(AT_ONCE))
        tokens = [f"{segment(header)}.{claims}.{signature}" for header in headers]
        statuses += await asyncio.gather(*(status_of(app, request(token)) for token in tokens))
    return statuses.count(200)


async def until_accepted(app: FastAPI, token: str) -> float | None:
    """Seconds until the token is let in; None if that takes too long."""
    start = time.perf_counter()
    while (waited := time.perf_counter() - start) < WORST:
        if await status_of(app, request(token)) == 200:
            return waited
        await asyncio.sleep(0.1)
    return None


def report(seen: dict[str, Rotation], invented: int) -> None:
    rows = []
    for name, one in seen.items():
        worst = f"over {WORST:.0f} s" if one.worst is None else f"{one.worst:.1f} s"
        rows.append([name, one.first_status, one.first_refetches, one.let_in, one.refetches, worst])
    head = ["", "first token", "refetches", f"{invented} let in", "refetches", "worst case"]
    print_table(head, rows)
    guard = seen["guard"]
    print_targets(
        Target("guard, first token of a new key refused", int(guard.first_status != 200), 0),
        Target("guard, refetches for it", guard.first_refetches, 1),
        Target("guard, invented key ids let in", guard.let_in, 0),
        Target(f"guard, refetches for {invented} invented key ids", guard.refetches, HANDFUL),
    )


if __name__ == "__main__":
    main()
