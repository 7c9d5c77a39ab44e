"""The signing keys of the tenant: at hand, and fetched by a request only if there is no other way.

A domain publishes its metadata (OpenID Connect Discovery 4) and, at the `jwks_uri` named there, its
keys (RFC 7517 5). Both are fetched at start, and again in the background every FRESH seconds. All
who need a fetch share one. While Auth0 does not answer, the keys at hand serve for STALE seconds.
A token with an unknown key id causes one fetch, since Auth0 may just have rotated its keys; if that
does not find the id, no other unknown id causes a fetch for COOL_DOWN seconds.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx
from authlib.jose import RSAKey
from fastapi_plugin import CacheAdapter

from .answers import Refused
from .settings import cannot_start

FRESH = 300.0  # a key that Auth0 revokes is trusted no longer than this, while Auth0 answers
STALE = 86_400.0  # in an outage: what Auth0 allows caches (stale-if-error), and a token's life
COOL_DOWN = 10.0
PAUSE = 1.0  # after a failed fetch, before a request without keys causes the next
PATIENCE = 5.0  # that a request waits for a fetch before it is answered 503
TIMEOUT = 20.0  # of one document, however slowly it trickles in; others need not wait so long
MIN_BITS = 2048  # RFC 7518 3.3
NEVER = float("-inf")
CERTIFICATE_FILES = ("SSL_CERT_FILE", "SSLKEYLOGFILE")

Json = dict[str, Any]
Fetch = Callable[[str], Awaitable[Json]]
log = logging.getLogger(__name__)


class LoadedKey(dict[str, Any], RSAKey):  # type: ignore[misc]
    """A JWK that the SDK need not load for each token, which would double the time it takes."""

    def __init__(self, jwk: Json) -> None:
        dict.__init__(self, jwk)
        RSAKey.__init__(self)
        self._dict_data = jwk
        self.public_key = self.load_public_key()

    @property
    def tokens(self) -> Json:
        return self  # else copied anew for each check of `use` and `key_ops`


class Issuer:
    """One domain of the tenant: its keys, and when they were fetched."""

    def __init__(self, domain: str, fetch: Fetch, changed: Callable[[], None]) -> None:
        self.url = f"https://{domain}/"
        self.fetch, self.changed, self.clock = fetch, changed, time.monotonic
        self.keys: dict[str, LoadedKey] = {}
        self.documents: dict[str, Json] = {}  # by URL, and the metadata by issuer, as the SDK asks
        self.fetched = self.failed = self.missed = NEVER
        self.task: asyncio.Task[None] | None = None

    def usable(self) -> bool:
        """There are keys, and they are not too old."""
        return self.clock() - self.fetched < STALE

    async def find(self, kid: str) -> None:
        """Return when the key is at hand; refuse if there is none, or if keys cannot be had."""
        now = self.clock()
        if self.usable() and kid in self.keys:
            if now - self.fetched > FRESH and now - self.failed > COOL_DOWN:
                self.refresh()
            return
        if now - self.failed < PAUSE:
            raise Refused("keys_unavailable")
        if self.usable() and now - self.missed < COOL_DOWN:
            raise Refused("unknown_key")
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.refresh()), PATIENCE)
        if self.fetched < now:
            raise Refused("keys_unavailable")
        if kid not in self.keys:
            self.missed = self.clock()
            raise Refused("unknown_key")

    def refresh(self) -> asyncio.Task[None]:
        """Fetch in the background, unless a fetch is on its way."""
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._fetch())
        return self.task

    async def _fetch(self) -> None:
        try:
            discovery = f"{self.url}.well-known/openid-configuration"
            metadata = await self.fetch(discovery)
            jwks_uri = checked_jwks_uri(metadata, self.url)
            keys = usable_keys(await self.fetch(jwks_uri))
        except Exception as error:
            self.failed = self.clock()
            log.warning("The signing keys of %s could not be fetched: %r", self.url, error)
            return
        self.fetched, self.failed = self.clock(), NEVER
        jwks = {"keys": list(keys.values())}
        self.documents = {self.url: metadata, discovery: metadata, jwks_uri: jwks}
        if keys != self.keys:
            self.keys = keys
            self.changed()


class Keys(CacheAdapter):  # type: ignore[misc]
    """The keys of every domain of the tenant, by issuer; `changed` is called when a set changes.

    To the SDK this is its cache, which always has what it asks for, and its network.
    """

    def __init__(
        self, domains: Iterable[str], fetch: Fetch | None, changed: Callable[[], None]
    ) -> None:
        self.http = None if fetch else http_client(domains)
        issuers = [Issuer(domain, fetch or self._get, changed) for domain in domains]
        self.issuers = {issuer.url: issuer for issuer in issuers}

    async def _get(self, url: str) -> Json:
        assert self.http is not None  # noqa: S101
        async with asyncio.timeout(TIMEOUT):
            response = await self.http.get(url)
        document: Json = response.raise_for_status().json()
        return document

    def get(self, key: str) -> Json | None:
        for issuer in self.issuers.values():
            if key in issuer.documents:
                return issuer.documents[key]
        return None

    async def fetch(self, url: str) -> Json:
        return self.get(url) or {}

    def set(self, key: str, value: object, ttl_seconds: int | None = None) -> None: ...
    def delete(self, key: str) -> None: ...
    def clear(self) -> None: ...

    def ready(self) -> bool:
        return all(issuer.usable() for issuer in self.issuers.values())

    async def keep_fresh(self) -> None:
        """Fetch now and every FRESH seconds; while that fails, after 1, 2, 4 ... 32 seconds."""
        pause = 1.0
        while True:
            await asyncio.wait([issuer.refresh() for issuer in self.issuers.values()])
            failing = any(issuer.failed > NEVER for issuer in self.issuers.values())
            await asyncio.sleep(pause if failing else FRESH)
            pause = min(pause * 2, 32.0) if failing else 1.0

    async def close(self) -> None:
        for issuer in self.issuers.values():
            if issuer.task:
                issuer.task.cancel()
        if self.http:
            await self.http.aclose()


def http_client(domains: Iterable[str]) -> httpx.AsyncClient:
    """The client that fetches keys, by the proxy and the certificates that the environment names.

    httpx cannot read a NO_PROXY with an IPv6 network, so the standard library does. Building a
    client loads certificates, which takes 25 ms and more: one serves all fetches.
    """
    proxies = getproxies()
    name, proxy = next(((n, proxies[n]) for n in ("https", "all") if proxies.get(n)), ("", None))
    direct = [domain for domain in domains if proxy_bypass(domain)]
    try:
        certificates = httpx.create_ssl_context()
        return httpx.AsyncClient(
            timeout=TIMEOUT,
            verify=certificates,
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


def checked_jwks_uri(metadata: object, issuer: str) -> str:
    """Metadata must be of the issuer that was asked for (OpenID Connect Discovery 4.3)."""
    if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
        raise ValueError("the metadata of another issuer")
    jwks_uri = metadata.get("jwks_uri")
    if not isinstance(jwks_uri, str) or not jwks_uri.startswith("https://"):
        raise ValueError("no jwks_uri")
    return jwks_uri


def usable_keys(jwks: object) -> dict[str, LoadedKey]:
    """The RS256 signing keys by key id; others are left out, a key set without any is refused."""
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    keys: dict[str, LoadedKey] = {}
    for jwk in listed if isinstance(listed, list) else ():
        with suppress(Exception):  # a key we cannot load is a key we do not have
            key = LoadedKey(jwk)
            if for_rs256(jwk) and key.public_key.key_size >= MIN_BITS:
                keys.setdefault(jwk["kid"], key)
    if not keys:
        raise ValueError("no usable key")
    return keys


def for_rs256(jwk: Json) -> bool:
    """It is, or may be, for verifying RS256 signatures (RFC 7517 4.2 to 4.4)."""
    return (
        jwk["kty"] == "RSA"
        and isinstance(jwk["kid"], str)
        and jwk.get("use", "sig") == "sig"
        and jwk.get("alg", "RS256") == "RS256"
        and "verify" in jwk.get("key_ops", ["verify"])
        and "d" not in jwk
    )
