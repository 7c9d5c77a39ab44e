"""The application of a project, which watches its own process: a factory for uvicorn.

Each second it writes a line to the file that SOAK_REPORT names. It imports nothing that the
application would not, so that the memory is the application's.
"""

import asyncio
import json
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

TICK = 0.005  # seconds


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


async def watch(report: Path) -> None:
    """Write a line each second until cancelled."""
    start = second = time.perf_counter()
    pause = busy = 0.0
    with report.open("a", encoding="utf-8") as lines:
        while True:
            before, computed = time.perf_counter(), time.process_time()
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            late = now - before - TICK
            if late > pause:
                pause, busy = late, time.process_time() - computed
            if now - second >= 1:
                line = {
                    "at": now - start,
                    "mb": resident() / 1e6,
                    "tasks": len(asyncio.all_tasks()),
                    "files": open_files(),
                    "pause": pause,
                    "busy": busy,
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
