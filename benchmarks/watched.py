"""The application of a project, which watches its own process: a factory for uvicorn.

Each second it writes a line to the file that SOAK_REPORT names. It imports nothing that the
application would not, so that the memory is the application's. Run as a program, it watches a
process that does nothing: the pauses of that one are the machine's.
"""

import asyncio
import gc
import json
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

TICK = 0.005  # seconds that the task in the application sleeps
IDLE_TICK = 0.001


def create_app() -> Any:
    app = import_module(f"{os.environ['SOAK_PACKAGE']}.main").create_app()
    inner = app.router.lifespan_context
    app.router.lifespan_context = lambda app: Watch(inner(app))
    return app


class Watch:
    """A lifespan with a task that looks at the process around another lifespan."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __aenter__(self) -> Any:
        self.task = asyncio.create_task(watch(Path(os.environ["SOAK_REPORT"])))
        return await self.inner.__aenter__()

    async def __aexit__(self, *error: Any) -> Any:
        self.task.cancel()
        return await self.inner.__aexit__(*error)


class Collections:
    """The garbage collections since they were last asked for: each one stops the process."""

    def __init__(self) -> None:
        self.start = 0.0
        self.seen: dict[int, list[float]] = {}
        gc.callbacks.append(self)

    def __call__(self, phase: str, what: dict[str, int]) -> None:
        now = time.process_time()
        if phase == "start":
            self.start = now
        else:
            self.seen.setdefault(what["generation"], []).append(now - self.start)

    def taken(self) -> dict[int, tuple[int, float, float]]:
        """For each generation: how many, their seconds, the longest."""
        seen, self.seen = self.seen, {}
        return {each: (len(spent), sum(spent), max(spent)) for each, spent in seen.items()}


async def watch(report: Path, tick: float = TICK) -> None:
    """Write a line each second until cancelled."""
    second, collections = time.monotonic(), Collections()
    pause = busy = 0.0
    with report.open("a", encoding="utf-8") as lines:
        while True:
            before, computed = time.monotonic(), time.process_time()
            await asyncio.sleep(tick)
            now = time.monotonic()
            late = now - before - tick
            if late > pause:
                pause, busy = late, time.process_time() - computed
            if now - second >= 1:
                line = {
                    "at": now,
                    "cpu": time.process_time(),
                    "mb": resident() / 1e6,
                    "tasks": len(asyncio.all_tasks()),
                    "files": open_files(),
                    "pause": pause,
                    "busy": busy,
                    "collections": collections.taken(),
                }
                lines.write(json.dumps(line) + "\n")
                lines.flush()
                second, pause, busy = now, 0.0, 0.0


def open_files() -> int:
    """Files and sockets that this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    asyncio.run(watch(Path(os.environ["SOAK_REPORT"]), IDLE_TICK))
