"""Limits on guessing, by account and network. Failures count; the 429 comes before any look-up.

An account is the hash of the e-mail that was sent, known or not. From one network it gets FREE
failures, then has to wait 1, 2, 4 … 60 seconds. After MANY failures from anywhere it is open only
to networks where its owner is logged in, so that a stranger cannot lock the owner out. A network
gets MANY in 15 minutes. REDIS_URL shares the counters; while it is down, each process counts.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

from .answers import limited

if TYPE_CHECKING:
    from limits.aio.storage import MemoryStorage, RedisStorage

FREE = 5
MANY = 100
WINDOW = 900
MEMORY = 30 * 86_400  # how long failures of an account count, unless a login succeeds
MOST = 20_000  # counters of this process; it looks through all of them at each failure
LONGEST = 60
REDIS_PAUSE = 10.0
Asks = Callable[[], Awaitable[bool]]
log = logging.getLogger(__name__)


def network_of(connection: HTTPConnection) -> str:
    """Return the client's IPv4 address or IPv6 /64; main.py has already dealt with proxies."""
    try:
        address = ip_address(connection.client.host if connection.client else "")
    except ValueError:
        return "unknown"
    mapped = getattr(address, "ipv4_mapped", None)
    if address.version == 4 or mapped:
        return str(mapped or address)
    return str(ip_network((address, 64), strict=False))


class Limits:
    """The counters of the application."""

    def __init__(self, redis_url: str | None) -> None:
        self.shared = shared(redis_url) if redis_url else None
        self.broken_until = 0.0

    @cached_property
    def own(self) -> "MemoryStorage":
        """The counters of this process; a start, which counts nothing, is faster without them."""
        from limits.aio.storage import MemoryStorage

        return MemoryStorage()

    async def _ask(self, question: str, key: str, *more: int) -> Any:
        """Call a method of the shared counters, or of this process's until those count again."""
        retry = question == "incr" and 0 < self.broken_until < time.monotonic()
        if self.shared and (retry or not self.broken_until):
            try:
                found = await getattr(self.shared, question)(key, *more)
                self.broken_until = 0.0 if retry else self.broken_until
                return found
            except Exception as error:
                if time.monotonic() > self.broken_until:  # log it once, not for each request
                    log.warning("REDIS_URL fails; this process counts alone: %r", error)
                self.broken_until = time.monotonic() + REDIS_PAUSE
        return await getattr(self.own, question)(key, *more)

    async def _count(self, key: str, seconds: int) -> int:
        if len(self.own.storage) > MOST:  # a flood of addresses: the oldest go
            for old in list(self.own.storage)[: MOST // 2]:
                await self.own.clear(old)
        return int(await self._ask("incr", key, seconds))

    async def _refuse_from(self, most: int, key: str) -> None:
        """Raise 429 until the counter expires, if it has reached its limit."""
        if await self._ask("get", key) >= most:
            raise limited(await self._ask("get_expiry", key) - time.time())

    async def check_network(self, purpose: str, network: str) -> None:
        """Refuse a network with too many failures."""
        await self._refuse_from(MANY, f"{purpose}|{network}")

    async def network_failed(self, purpose: str, network: str) -> None:
        await self._count(f"{purpose}|{network}", WINDOW)

    async def check(self, email: str, network: str, known_network: Asks) -> None:
        """Refuse an account or network that has to wait; `known_network` asks the database."""
        account, pair = keys(email, network)
        await self.check_network("login", network)
        await self._refuse_from(1, f"{pair}|wait")
        if await self._ask("get", account) >= MANY and not await known_network():
            raise limited(WINDOW)

    async def attempt(self, email: str, network: str) -> None:
        """Count an attempt as a failure before it is judged, so that parallel ones count too."""
        account, pair = keys(email, network)
        await self._count(account, MEMORY)
        if (failures := await self._count(pair, WINDOW)) >= FREE:
            await self._count(f"{pair}|wait", min(2 ** (failures - FREE), LONGEST))

    async def succeeded(self, email: str, network: str) -> None:
        """Forget the account's failures from this network; never the network's own."""
        account, pair = keys(email, network)
        for key in (account, pair, f"{pair}|wait"):
            await self._ask("clear", key)

    async def reopen(self, email: str) -> None:
        """Forget the account's failures from everywhere: the owner proved themselves by a reset."""
        await self._ask("clear", keys(email, "")[0])

    async def mail(self, purpose: str, email: str) -> bool:
        """Count a mail, and return whether it may be sent: one a minute, three an hour.

        Each purpose counts for itself: who registers another's address stops no reset of theirs.
        """
        account = f"{purpose}|{keys(email, '')[0]}"
        first = await self._count(f"{account}|minute", 60) == 1
        return first and await self._count(f"{account}|hour", 3600) <= 3


def keys(email: str, network: str) -> tuple[str, str]:
    account = sha256(email.encode(errors="replace")).hexdigest()[:32]
    return account, f"{account}|{network}"


def shared(redis_url: str) -> "RedisStorage":
    """The counters of all processes."""
    from limits.aio.storage import RedisStorage
    from redis.asyncio import ConnectionPool  # it takes URLs that `limits` does not

    pool: Any = ConnectionPool.from_url(redis_url, socket_timeout=0.5, socket_connect_timeout=0.5)
    return RedisStorage("async+redis://", False, "redispy", connection_pool=pool)
