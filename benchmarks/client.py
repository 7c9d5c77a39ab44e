"""A client of loopback servers: kept-alive connections, and requests at a rate of its own.

A request is due at its time whether or not those before it were answered (open loop), and its time
counts from then, so that a server that stalls cannot hide it. A client that stalls, or a machine
that stops both, is another matter: real clients do not stall together, and what they would not have
sent at once must not be either. So a request that the client could not send in time is due when it
can, and so much later are those after it; `Pace` counts them. Nothing that the server does makes a
request late in this sense: to send waits for no answer, and a request that waits for a connection
is due already.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from apps import PATH

PATIENCE = 60.0  # seconds for one answer
AT_ONCE = 0.01  # seconds that the client may be late: what was due in them is sent at once
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pace:
    """The times at which requests are due, and how much later than planned the client was."""

    def __init__(self, rate: float) -> None:
        self.gap = 1 / rate
        self.sent = self.shifts = 0
        self.due = self.shifted = self.longest = 0.0

    def begin(self) -> None:
        """Let the first request be due soon."""
        self.due = time.perf_counter() + 0.1

    async def next(self) -> float:
        """Sleep until the next request is due, and return when that is."""
        await asyncio.sleep(self.due - time.perf_counter())
        late = time.perf_counter() - self.due
        if late > AT_ONCE:
            self.shifts, self.longest = self.shifts + 1, max(self.longest, late)
            self.shifted, self.due = self.shifted + late, self.due + late
        due, self.due = self.due, self.due + self.gap
        self.sent += 1
        return due


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


def close(pool: "asyncio.Queue[Connection]") -> None:
    """Close the connections of a pool, all of which are free."""
    while not pool.empty():
        pool.get_nowait()[1].close()


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
    pace, asking = Pace(rate), []
    pace.begin()
    for token in tokens:
        due = await pace.next()
        asking.append(asyncio.create_task(ask(port, pool, raw_request(token), due)))
    answers = await asyncio.gather(*asking)
    close(pool)
    return answers
