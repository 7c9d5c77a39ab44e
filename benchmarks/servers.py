"""Applications in processes of their own, behind uvicorn on loopback.

A process is started anew (spawn), so nothing is warm in it, and is ended with the context.
"""

import logging
import multiprocessing
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import uvicorn

from apps import APPS
from harness import PACKAGE

SPAWN = multiprocessing.get_context("spawn")


def pin(core: int | None) -> None:
    """Let this process run on one core only, where the system can do that."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


@dataclass(frozen=True)
class Options:
    """How an application is served."""

    domain: str | None = None  # of a tenant that is fetched from over TLS; else one in memory
    core: int | None = None
    refresh: float | None = None  # seconds after which the guard fetches its keys again


@dataclass(frozen=True)
class Server:
    """A running application."""

    port: int
    token: str  # good for it, if its tenant is in memory


@contextmanager
def served(name: str, options: Options) -> Iterator[Server]:
    """Serve an application of apps.py in a new process."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=run, args=(name, options, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Server(*ours.recv())
    finally:
        process.kill()
        process.join()


def run(name: str, options: Options, control: Connection) -> None:
    """The process: build the application, tell its port, serve it until killed."""
    from memory_tenant import Tenant  # type: ignore[import-not-found]  # of the rendered project

    pin(options.core)
    logging.disable(logging.CRITICAL)
    tenant = Tenant(options.domain) if options.domain else Tenant()
    app = APPS[name](tenant, None if options.domain else tenant.fetch)
    if options.refresh:
        keys: Any = import_module(f"{PACKAGE}.auth.keys")
        keys.FRESH = options.refresh
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    control.send((listener.getsockname()[1], tenant.token()))
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_config=None, timeout_keep_alive=120
    )
    uvicorn.Server(config).run(sockets=[listener])
