"""Used DPoP proofs in memory, filled to the limit: the longest pause, and the memory it takes.

    python3 hooks/bootstrap.py run benchmarks/proofs.py

Fills the store, lets all of it expire at once, and fills it again: each request forgets two expired
proofs at most, so none pays for all.
"""

import asyncio
import gc
import os
import time
import tracemalloc
from importlib import import_module
from typing import Any

from harness import PACKAGE, Target, print_table, print_targets, rendered_project, say_where

PAUSE = 50.0  # ms


def main() -> None:
    with rendered_project():
        say_where()
        dpop = import_module(f"{PACKAGE}.auth.dpop")
        filled, again, refused = asyncio.run(measure(dpop))
        rows = [["filled", f"{filled:.1f}"], ["all expired, filled again", f"{again:.1f}"]]
        print_table([f"{dpop.LIMIT} proofs", "longest pause ms"], rows)
        print_targets(
            Target("longest pause while filled", filled, PAUSE, " ms"),
            Target("longest pause while all expire", again, PAUSE, " ms"),
            Target("beyond the limit, refused", refused, 1, at_least=True),
            Target("memory", memory(dpop), 150, " MB"),
        )


async def measure(dpop: Any) -> tuple[float, float, int]:
    """The longest pause in milliseconds, twice, and whether one proof too many is refused."""
    store = dpop.MemoryStore()
    now = 0.0
    store.clock = lambda: now
    gc.disable()  # of this process; what is measured is the store
    filled = await fill(store, dpop.LIMIT)
    try:
        await store.first_use(os.urandom(32))
        refused = 0
    except import_module(f"{PACKAGE}.auth").Refused:
        refused = 1
    now += 2.0 * dpop.KEEP
    return filled, await fill(store, dpop.LIMIT), refused


async def fill(store: Any, count: int) -> float:
    longest = 0.0  # CPU time of the thread, so that others on the machine do not count
    for _ in range(count):
        key = os.urandom(32)
        start = time.thread_time()
        await store.first_use(key)
        longest = max(longest, time.thread_time() - start)
    return longest * 1000


def memory(dpop: Any) -> float:
    """Megabytes of a full store."""
    store = dpop.MemoryStore()
    tracemalloc.start()
    asyncio.run(fill(store, dpop.LIMIT))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken / 1e6


if __name__ == "__main__":
    main()
