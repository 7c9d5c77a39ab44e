"""A client of loopback servers: kept-alive connections, and requests at a rate of its own.

A request is due at its time whether or not those before it were answered (open loop), and its time
counts from then, so that a server that stalls cannot hide it.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from apps import PATH

PATIENCE = 60.0  # seconds for one answer
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Answer:
    """The status, 0 without any answer, and the seconds since the request was due."""

    status: int
    seconds: float


def raw_request(token: str, path: str = PATH, proof: str = "") -> bytes:
    """A request with a Bearer token, or with a DPoP token and its proof."""
    scheme = f"DPoP: {proof}\r\nAuthorization: DPoP" if proof else "Authorization: Bearer"
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{scheme} {token}\r\n\r\n".encode()


async def connect(port: int, count: int) -> "asyncio.Queue[Connection]":
    """A pool of open connections; the one that waited longest comes first."""
    pool: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(count):
        pool.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    return pool


async def ask(port: int, pool: "asyncio.Queue[Connection]", request: bytes, due: float) -> Answer:
    """Send one request over a free connection."""
    reader, writer = await pool.get()
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        status = int(head.split(b" ", 2)[1])
        closed = b"connection: close" in head
    except (OSError, EOFError, TimeoutError):
        status, closed = 0, True
    if closed:
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = Answer(status, time.perf_counter() - due)
    pool.put_nowait((reader, writer))
    return answer


async def ask_at_rate(
    port: int, tokens: Sequence[str], rate: float, connections: int = 200
) -> list[Answer]:
    """One request per token, `rate` a second; returns when all are answered."""
    pool = await connect(port, connections)
    begin = time.perf_counter() + 0.1
    asking = []
    for number, token in enumerate(tokens):
        due = begin + number / rate
        await asyncio.sleep(due - time.perf_counter())
        asking.append(asyncio.create_task(ask(port, pool, raw_request(token), due)))
    return await asyncio.gather(*asking)
