"""Caches signing keys and refreshes them in the background.

A domain publishes its metadata (OpenID Connect Discovery 4) and, at the `jwks_uri` named there, its
keys (RFC 7517 5). Both are fetched at startup, and again every FRESH seconds. Requests that need a
fetch share one. While Auth0 does not answer, cached keys serve for STALE seconds. A token with an
unknown key id causes one fetch, because Auth0 may just have rotated its keys; if that does not find
the id, no other unknown id causes a fetch for COOL_DOWN seconds.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.request import getproxies, proxy_bypass
from weakref import WeakSet

import httpx
from authlib.jose import RSAKey
from fastapi_plugin import CacheAdapter
from opentelemetry.metrics import CallbackOptions, Observation, get_meter

from .refusals import Refused, warn
from .settings import cannot_start

FRESH = 300.0  # a key that Auth0 revokes is trusted no longer than this, while Auth0 answers
STALE = 86_400.0  # in an outage: Auth0's own limit for caches (stale-if-error), and a token's life
COOL_DOWN = 10.0
PAUSE = 1.0  # after a failed fetch, before a request without keys causes the next
PATIENCE = 5.0  # how long a request waits for a fetch before it gets 503
TIMEOUT = 20.0  # for one document, however slowly it trickles in; requests wait less
MAX_DOCUMENT = 512_000  # bytes; Auth0's are below 10 KB
MIN_BITS = 2048  # RFC 7518 3.3
NEVER = float("-inf")
CERTIFICATE_FILES = ("SSL_CERT_FILE", "SSLKEYLOGFILE")

Json = dict[str, Any]
Fetch = Callable[[str], Awaitable[Json]]
log = logging.getLogger(__name__)
meter = get_meter(__package__)
FAILURES = meter.create_counter(
    "auth.keys.failed_refreshes", unit="{fetch}", description="Fetches of signing keys that failed"
)


class LoadedKey(dict[str, Any], RSAKey):  # type: ignore[misc]
    """A JWK that is loaded only once; the SDK would load it for each token, twice the work."""

    def __init__(self, jwk: Json) -> None:
        dict.__init__(self, jwk)
        RSAKey.__init__(self)
        self._dict_data = jwk
        self.public_key = self.load_public_key()

    @property
    def tokens(self) -> Json:
        return self  # otherwise copied for each check of `use` and `key_ops`


class Issuer:
    """One domain of the tenant: its keys, and when they were fetched."""

    def __init__(self, domain: str, fetch: Fetch, changed: Callable[[], None]) -> None:
        self.url = f"https://{domain}/"
        self.fetch, self.changed, self.clock = fetch, changed, time.monotonic
        self.keys: dict[str, LoadedKey] = {}
        self.documents: dict[str, Json] = {}  # by URL, and the metadata by issuer, as the SDK asks
        self.fetched = self.failed = self.missed = NEVER
        self.missing = ""  # the key id that the last fetch did not find
        self.task: asyncio.Task[None] | None = None
        ISSUERS.add(self)

    def age(self) -> float:
        """Return the seconds since the keys were fetched; infinity if they never were."""
        return self.clock() - self.fetched

    def usable(self) -> bool:
        """Return whether there are keys that are not too old."""
        return self.age() < STALE

    async def find(self, kid: str) -> None:
        """Return once the key is there; raise Refused if it is unknown or cannot be fetched."""
        now = self.clock()
        if self.usable() and kid in self.keys:
            if now - self.fetched > FRESH and now - self.failed > COOL_DOWN:
                self.refresh()
            return
        if now - self.failed < PAUSE:
            raise Refused("keys_unavailable")
        if self.usable() and now - self.missed < COOL_DOWN:
            # Only this one is known to be missing; another may be new, and its token good.
            raise Refused("unknown_key" if kid == self.missing else "keys_unavailable")
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.refresh()), PATIENCE)
        if self.fetched < now:
            raise Refused("keys_unavailable")
        if kid not in self.keys:
            self.missed, self.missing = self.clock(), kid
            raise Refused("unknown_key")

    def refresh(self) -> asyncio.Task[None]:
        """Fetch in the background, unless a fetch is already running."""
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._fetch())
        return self.task

    async def _fetch(self) -> None:
        try:
            discovery = f"{self.url}.well-known/openid-configuration"
            metadata = await self.fetch(discovery)
            if not isinstance(metadata, dict) or metadata.get("issuer") != self.url:
                raise ValueError("the metadata of another issuer")  # Discovery 4.3
            jwks_uri = metadata.get("jwks_uri")
            if not isinstance(jwks_uri, str) or not jwks_uri.startswith("https://"):
                raise ValueError("no jwks_uri")
            keys = usable_keys(await self.fetch(jwks_uri))
        except Exception as error:
            self.failed = self.clock()
            FAILURES.add(1)
            warn(log, f"The signing keys of {self.url} could not be fetched: {error!r:.500}")
            return
        self.fetched, self.failed = self.clock(), NEVER
        jwks = {"keys": list(keys.values())}
        self.documents = {self.url: metadata, discovery: metadata, jwks_uri: jwks}
        if keys != self.keys:
            self.keys = keys
            self.changed()


ISSUERS: WeakSet[Issuer] = WeakSet()


def oldest(_: CallbackOptions) -> Iterator[Observation]:
    """Observe the age of the oldest keys; nothing until some were fetched."""
    if ages := [issuer.age() for issuer in ISSUERS if issuer.fetched > NEVER]:
        yield Observation(max(ages))


meter.create_observable_gauge(
    "auth.keys.age", [oldest], unit="s", description="Time since the oldest signing keys came"
)


class Keys(CacheAdapter):  # type: ignore[misc]
    """The keys of every domain of the tenant, by issuer; `changed` is called when a set changes.

    To the SDK this is its cache, which always has what it asks for, and its network.
    """

    def __init__(
        self, domains: Iterable[str], fetch: Fetch | None, changed: Callable[[], None]
    ) -> None:
        self.http = None if fetch else http_client(domains)
        listed = [Issuer(domain, fetch or self._get, changed) for domain in domains]
        self.issuers = {issuer.url: issuer for issuer in listed}

    async def _get(self, url: str) -> Json:
        assert self.http is not None  # noqa: S101
        # Neither compressed nor large: a small compressed document may unpack to gigabytes.
        asked = self.http.stream("GET", url, headers={"Accept-Encoding": "identity"})
        async with asyncio.timeout(TIMEOUT), asked as response:
            if "Content-Encoding" in response.raise_for_status().headers:
                raise ValueError("the document is compressed")
            body = b""
            async for part in response.aiter_raw():
                body += part
                if len(body) > MAX_DOCUMENT:
                    raise ValueError(f"the document is larger than {MAX_DOCUMENT} bytes")
        document: Json = json.loads(body)
        return document

    def get(self, key: str) -> Json | None:
        found = (each.documents[key] for each in self.issuers.values() if key in each.documents)
        return next(found, None)

    async def fetch(self, url: str) -> Json:
        return self.get(url) or {}

    def set(self, key: str, value: object, ttl_seconds: int | None = None) -> None: ...
    def delete(self, key: str) -> None: ...
    def clear(self) -> None: ...

    def ready(self) -> bool:
        """Return whether all keys are there; if not, start a fetch, in case no lifespan has."""
        missing = [issuer for issuer in self.issuers.values() if not issuer.usable()]
        for issuer in missing:
            if issuer.clock() - issuer.failed >= PAUSE:
                issuer.refresh()
        return not missing

    async def keep_fresh(self) -> None:
        """Fetch now and every FRESH seconds; after a failure, retry in 1, 2, 4 ... 32 seconds."""
        pause = 1.0
        while True:
            await asyncio.wait([issuer.refresh() for issuer in self.issuers.values()])
            failing = any(issuer.failed > NEVER for issuer in self.issuers.values())
            await asyncio.sleep(pause if failing else FRESH)
            pause = min(pause * 2, 32.0) if failing else 1.0

    async def close(self) -> None:
        """Stop running fetches. Another lifespan may follow, so close nothing else."""
        for issuer in self.issuers.values():
            if issuer.task and not issuer.task.done():
                issuer.task.cancel()
                await asyncio.wait([issuer.task])


def http_client(domains: Iterable[str]) -> httpx.AsyncClient:
    """Build the client that fetches keys, with the environment's proxies and certificates.

    httpx cannot read a NO_PROXY with an IPv6 network, so the standard library does. Building a
    client loads certificates, which takes 25 ms or more, so one serves all fetches. It keeps no
    connection open between them, so that it outlives event loops and lifespans.
    """
    proxies = getproxies()
    name, proxy = next(((n, proxies[n]) for n in ("https", "all") if proxies.get(n)), ("", None))
    direct = [domain for domain in domains if proxy_bypass(domain)]
    try:
        return httpx.AsyncClient(
            timeout=TIMEOUT,
            limits=httpx.Limits(max_keepalive_connections=0),
            verify=httpx.create_ssl_context(),
            proxy=f"http://{proxy}" if proxy and "://" not in proxy else proxy,
            mounts={f"https://{domain}": None for domain in direct},
            trust_env=False,
        )
    except OSError as error:
        files = [f"{n}={path}" for n in CERTIFICATE_FILES if (path := os.environ.get(n))]
        problem = f"{' or '.join(files) or 'certificates'}: {error.strerror or error}"
    except ImportError:
        problem = f"{name.upper()}_PROXY: a SOCKS proxy needs a package: uv add 'httpx[socks]'"
    except (ValueError, httpx.InvalidURL):
        problem = f"{name.upper()}_PROXY: type a URL, such as http://proxy.example.com:3128"
    cannot_start([problem])


def usable_keys(jwks: object) -> dict[str, LoadedKey]:
    """Return the RS256 signing keys by key id; refuse a key set without any."""
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    keys: dict[str, LoadedKey] = {}
    for jwk in listed if isinstance(listed, list) else ():
        with suppress(Exception):  # skip a key that cannot be loaded
            key = LoadedKey(jwk)
            signs_rs256 = (  # or may (RFC 7517 4.2 to 4.4)
                jwk["kty"] == "RSA"
                and isinstance(jwk["kid"], str)
                and jwk.get("use", "sig") == "sig"
                and jwk.get("alg", "RS256") == "RS256"
                and "verify" in jwk.get("key_ops", ["verify"])
                and "d" not in jwk
            )
            if signs_rs256 and key.public_key.key_size >= MIN_BITS:
                keys.setdefault(jwk["kid"], key)
    if not keys:
        raise ValueError("no usable key")
    return keys
