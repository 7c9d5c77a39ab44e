"""DPoP, RFC 9449: a token that only the holder of a key can use, who proves it in each request.

The SDK verifies the proof: its signature, `typ`, `htm`, `htu`, `ath`, the age of `iat`, and that
its key is the one in the token's `cnf`. Here is what it leaves out: exactly one proof (4.3, check
1), its shape, the URL that the client used where a proxy changes it (4.3, check 9), and that no
proof is used twice (11.1).
"""

import hashlib
import time
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import HTTPConnection

from .answers import Refused
from .tokens import parse

if TYPE_CHECKING:
    from redis.asyncio import Redis

MAX_AGE = 300  # seconds that a proof is good for, as in the SDK
LEEWAY = 30  # seconds that the client's clock may be ahead


class ReplayStore(Protocol):
    """Remembers used proofs for as long as they are good."""

    async def first_use(self, key: str) -> bool: ...
    async def close(self) -> None: ...


class MemoryStore:
    """For one process. With several workers a proof could be used once in each: set REDIS_URL."""

    def __init__(self) -> None:
        self.clock = time.monotonic
        self.used: dict[str, float] = {}  # in the order of expiry, since all live equally long

    async def first_use(self, key: str) -> bool:
        now = self.clock()
        while self.used and self.used[oldest := next(iter(self.used))] < now:
            del self.used[oldest]
        if key in self.used:
            return False
        self.used[key] = now + MAX_AGE + LEEWAY
        return True

    async def close(self) -> None:
        self.used.clear()


class RedisStore:
    """For all workers that share the Redis. While it does not answer, no proof is accepted."""

    def __init__(self, redis: "Redis") -> None:
        self.redis = redis

    async def first_use(self, key: str) -> bool:
        try:
            return bool(await self.redis.set(f"dpop:{key}", 1, nx=True, ex=MAX_AGE + LEEWAY))
        except Exception:
            raise Refused("store_unavailable") from None

    async def close(self) -> None:
        await self.redis.aclose()


def replay_store(redis_url: str | None) -> ReplayStore:
    """In memory, unless there is a Redis."""
    if redis_url is None:
        return MemoryStore()
    try:
        from redis.asyncio import Redis
    except ImportError:
        raise SystemExit("REDIS_URL needs the package redis: uv sync --extra redis") from None
    return RedisStore(Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1))


def check_proof(proofs: list[bytes]) -> dict[str, Any]:
    """Exactly one proof, of a shape that can be verified; return its claims."""
    try:
        [proof] = proofs
        header, claims = parse(proof)
    except (ValueError, Refused):
        raise Refused("proof") from None
    if not isinstance(header.get("jwk"), dict):
        raise Refused("proof")
    members = [claims.get(name) for name in ("htm", "htu", "jti", "ath")]
    members += [header["jwk"].get(name) for name in ("kty", "crv", "x", "y")]
    if not all(isinstance(member, str) for member in members):
        raise Refused("proof")
    return claims


def proof_key(claims: dict[str, Any], token: bytes) -> str:
    """What makes a proof unique: its `jti`, for this token; hashed, since the client chose it."""
    return hashlib.sha256(token + b" " + claims["jti"].encode()).hexdigest()


def client_url(connection: HTTPConnection, public_url: str | None) -> str:
    """The URL that the client used, which `htu` must match; percent-encoded as it was sent."""
    scope, url = connection.scope, connection.url
    path = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else url.path
    if public_url is None:
        scheme = {"ws": "http", "wss": "https"}.get(url.scheme, url.scheme)
        return str(url.replace(scheme=scheme, path=path))
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    return public_url.rstrip("/") + path.removeprefix(root)
