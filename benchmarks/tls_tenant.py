"""An Auth0 tenant on loopback, in a process of its own, behind TLS that httpx verifies.

It publishes its metadata and its keys as slowly, and for as long (max-age), as it is told, or
answers 500; it counts what it is asked for.
"""

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import certifi
import trustme
import uvicorn

from servers import SPAWN

LATENCY = 0.03  # seconds that each answer takes


class Told:
    """What both processes see: how to answer (a change counts at once), and what was asked for."""

    def __init__(self) -> None:
        self.status = SPAWN.Value("i", 200)
        self.max_age = SPAWN.Value("i", 15)
        self.jwks_delay = SPAWN.Value("d", 0.0)
        self.fetches = SPAWN.Value("i", 0)


@dataclass(frozen=True)
class TlsTenant:
    """A running tenant; `tokens` are good for an API with its domain."""

    domain: str
    tokens: list[str]
    told: Told


@contextmanager
def tls_tenant(tokens: int) -> Iterator[TlsTenant]:
    """Run a tenant that has signed `tokens` tokens; processes started within trust it."""
    told = Told()
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=run, args=(tokens, theirs, told), daemon=True)
    process.start()
    theirs.close()
    before = os.environ.get("SSL_CERT_FILE")
    with tempfile.TemporaryDirectory() as folder:
        try:
            domain, authority, signed = ours.recv()
            # With all the authorities of a real client, whose loading takes its time.
            bundle = Path(folder) / "authorities.pem"
            bundle.write_bytes(Path(certifi.where()).read_bytes() + authority)
            os.environ["SSL_CERT_FILE"] = str(bundle)
            yield TlsTenant(domain, signed, told)
        finally:
            os.environ.pop("SSL_CERT_FILE", None)
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before
            process.kill()
            process.join()


def run(tokens: int, control: Connection, told: Told) -> None:
    """The process: sign, tell the domain, answer until killed."""
    from memory_tenant import Tenant  # type: ignore[import-not-found]  # of the rendered project

    listener = socket.create_server(("localhost", 0), backlog=1024)
    tenant = Tenant(f"localhost:{listener.getsockname()[1]}")
    authority = trustme.CA()
    signed = [tenant.token(jti=str(number)) for number in range(tokens)]
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "server.pem"
        issued = authority.issue_cert("localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
        config = uvicorn.Config(
            publisher(tenant, told), log_level="critical", ssl_certfile=str(certificate)
        )
        control.send((tenant.domain, authority.cert_pem.bytes(), signed))
        uvicorn.Server(config).run(sockets=[listener])


def publisher(tenant: Any, told: Told) -> Any:
    """The application of the tenant, as plain ASGI."""
    documents = {
        url.removeprefix(tenant.issuer.rstrip("/")): json.dumps(document).encode()
        for url, document in tenant.own_documents().items()
    }

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        with told.fetches.get_lock():
            told.fetches.value += 1
        slow = "jwks" in scope["path"]
        await asyncio.sleep(LATENCY + (told.jwks_delay.value if slow else 0))
        cache = f"max-age={told.max_age.value}".encode()
        headers = [(b"content-type", b"application/json"), (b"cache-control", cache)]
        status = told.status.value
        body = documents[scope["path"]] if status == 200 else b"{}"
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
