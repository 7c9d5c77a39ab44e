"""A rendered project's application for a tenant in memory: its settings, and served on loopback."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import uvicorn


def settings(project: SimpleNamespace, tenant: Any, **values: Any) -> Any:
    """Settings of the rendered project for this tenant."""
    known = {"auth0_domain": tenant.domain, "auth0_audience": tenant.audience}
    return project.settings.Settings(_env_file=None, **known, **values)


@contextmanager
def served(app: Any, **options: Any) -> Iterator[tuple[str, int]]:
    """Serve on a free port of loopback, by a real uvicorn in a thread; gives host and port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join(10)
