"""The signing keys: fetched once, kept fresh, kept in an outage, not fetched for an attacker."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from memory_tenant import Tenant, ec_key, public_jwk, rsa_key

Probe = Callable[..., TestClient]
HOUR = 3600.0


class Clock:
    """The time as the keys of one application see it; the test lets it pass."""

    def __init__(self, client: TestClient, tenant: Tenant) -> None:
        self.now = time.monotonic()
        self.issuer = client.app.state.guard.keys.issuers[tenant.issuer]  # type: ignore[attr-defined]
        self.issuer.clock = lambda: self.now

    def __iadd__(self, seconds: float) -> "Clock":
        self.now += seconds
        return self


def status(client: TestClient, tenant: Tenant, **token: Any) -> int:
    """What a request with a fresh token is answered."""
    return client.get("/any", auth=tenant.auth(**token)).status_code


def settle(client: TestClient, tenant: Tenant) -> None:
    """Let what runs in the background finish."""
    while (task := client.app.state.guard.keys.issuers[tenant.issuer].task) and not task.done():  # type: ignore[attr-defined]
        client.get("/open")


def test_both_documents_are_fetched_once_for_any_number_of_requests(
    probe: Probe, tenant: Tenant
) -> None:
    client = probe()
    for number in range(20):
        assert status(client, tenant, jti=str(number)) == 200
    assert tenant.fetches == [tenant.discovery_url, tenant.jwks_uri]


def test_concurrent_requests_of_a_cold_process_share_one_fetch(
    probe: Probe, tenant: Tenant
) -> None:
    client = probe()
    settle(client, tenant)
    issuer = client.app.state.guard.keys.issuers[tenant.issuer]  # type: ignore[attr-defined]
    issuer.keys, issuer.fetched, tenant.delay = {}, float("-inf"), 0.01
    tenant.fetches.clear()

    async def burst() -> list[int]:
        transport = httpx2.ASGITransport(client.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as many:
            calls = [many.get("/any", auth=tenant.auth(jti=str(n))) for n in range(50)]
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    assert asyncio.run(burst()) == [200] * 50
    assert len(tenant.fetches) == 2


def test_the_first_token_of_a_new_key_passes_after_one_refetch(
    probe: Probe, tenant: Tenant
) -> None:
    client = probe()
    for _ in range(2):
        assert status(client, tenant) == 200
        tenant.fetches.clear()
        tenant.rotate()
        assert status(client, tenant) == 200
        assert tenant.fetches.count(tenant.jwks_uri) == 1


def test_invented_key_ids_cause_one_refetch_in_a_while(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    clock = Clock(client, tenant)
    assert status(client, tenant) == 200
    tenant.fetches.clear()
    invented = [{"kid": f"invented-{number}"} for number in range(20)]
    assert status(client, tenant, header=invented[0]) == 401
    for header in invented[1:]:  # one of these might be new, and is not looked for yet
        assert status(client, tenant, header=header) == 503
    assert status(client, tenant, header=invented[0]) == 401
    assert tenant.fetches.count(tenant.jwks_uri) == 1
    tenant.rotate()
    assert status(client, tenant) == 503
    clock += 11
    assert status(client, tenant) == 200


def test_a_revoked_key_is_forgotten_with_the_tokens_it_signed(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    clock = Clock(client, tenant)
    old = tenant.auth()
    assert client.get("/any", auth=old).status_code == 200
    tenant.rotate(revoke=True)
    clock += 301
    assert status(client, tenant, jti="refreshes in the background") == 200
    settle(client, tenant)
    assert client.get("/any", auth=old).status_code == 401


def test_keys_are_refreshed_in_the_background(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    clock = Clock(client, tenant)
    assert status(client, tenant, jti="1") == 200
    tenant.fetches.clear()
    clock += 301
    assert status(client, tenant, jti="2") == 200
    settle(client, tenant)
    assert tenant.fetches == [tenant.discovery_url, tenant.jwks_uri]


def test_keys_are_fetched_again_and_again_without_any_request(
    app: FastAPI, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        if seconds > tenant.delay:
            pauses.append(seconds)
            tenant.down = len(pauses) in (2, 3)
        if len(pauses) == 6:
            raise TimeoutError

    monkeypatch.setattr(asyncio, "sleep", pause)
    with pytest.raises(TimeoutError):
        asyncio.run(app.state.guard.keys.keep_fresh())
    assert pauses == [300, 300, 1, 2, 300, 300]


def test_an_outage_does_not_matter_for_a_day(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    clock = Clock(client, tenant)
    assert status(client, tenant, jti="0") == 200
    tenant.down = True
    for number in range(1, 5):
        clock += 5 * HOUR
        assert status(client, tenant, jti=str(number)) == 200
    assert client.app.state.guard.ready()  # type: ignore[attr-defined]
    settle(client, tenant)
    fetches = len(tenant.fetches)
    for number in range(10):
        assert status(client, tenant, jti=f"again {number}") == 200
    assert len(tenant.fetches) == fetches  # not one for each request
    clock += 5 * HOUR
    assert status(client, tenant, jti="after a day") == 503
    assert not client.app.state.guard.ready()  # type: ignore[attr-defined]


def test_without_keys_the_answer_is_503_until_they_can_be_had(probe: Probe, tenant: Tenant) -> None:
    tenant.down = True
    client = probe()
    clock = Clock(client, tenant)
    answer = client.get("/any", auth=tenant.auth())
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "WWW-Authenticate" not in answer.headers
    assert client.get("/any").status_code == 401
    assert status(client, tenant, fault="expired") == 401
    fetches = len(tenant.fetches)
    assert [status(client, tenant) for _ in range(20)] == [503] * 20
    assert len(tenant.fetches) == fetches  # not one more for each request
    tenant.down = False
    clock += 2
    assert status(client, tenant) == 200


def test_an_unknown_key_in_an_outage_is_503_since_it_may_be_new(
    probe: Probe, tenant: Tenant
) -> None:
    client = probe()
    assert status(client, tenant, jti="1") == 200
    tenant.down = True
    tenant.rotate()
    assert status(client, tenant) == 503


METADATA = {
    "issuer": "https://tenant.example.auth0.com/",
    "jwks_uri": "https://tenant.example.auth0.com/.well-known/jwks.json",
}
WRONG_DOCUMENTS: list[tuple[str, Any]] = [
    ("metadata", {}),
    ("metadata", []),
    ("metadata", None),
    ("metadata", {**METADATA, "issuer": "https://evil.example.com/"}),
    ("metadata", {"issuer": METADATA["issuer"]}),
    ("metadata", {**METADATA, "jwks_uri": METADATA["jwks_uri"].replace("https", "http")}),
    ("keys", {}),
    ("keys", []),
    ("keys", {"keys": "none"}),
    ("keys", {"keys": ["text", None, {}, {"kty": "RSA", "kid": "key-1"}]}),
    ("keys", {"keys": [{**public_jwk(rsa_key(1), "key-1"), "use": "enc"}]}),
    ("keys", {"keys": [{**public_jwk(rsa_key(1), "key-1"), "alg": "RS512"}]}),
    ("keys", {"keys": [{**public_jwk(rsa_key(1), "key-1"), "key_ops": ["sign"]}]}),
    ("keys", {"keys": [{**public_jwk(rsa_key(1), "key-1"), "n": "AQAB"}]}),
    ("keys", {"keys": [public_jwk(rsa_key(1, 1024), "key-1")]}),
    ("keys", {"keys": [{**public_jwk(ec_key(1)), "kid": "key-1"}]}),
]


def test_documents_of_the_wrong_shape_are_not_used(probe: Probe, tenant: Tenant) -> None:
    keys = tenant.own_documents()[tenant.jwks_uri]
    for name, document in WRONG_DOCUMENTS:
        url = tenant.discovery_url if name == "metadata" else tenant.jwks_uri
        insecure = tenant.jwks_uri.replace("https", "http")
        tenant.documents = {insecure: keys, url: document}
        assert status(probe(), tenant) == 503, document


def test_wrong_documents_do_not_replace_good_ones(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    clock = Clock(client, tenant)
    assert status(client, tenant, jti="1") == 200
    tenant.documents = {tenant.jwks_uri: {"keys": []}}
    clock += 301
    assert status(client, tenant, jti="2") == 200
    settle(client, tenant)
    assert status(client, tenant, jti="3") == 200


def test_custom_domains_of_the_tenant_are_issuers_too(probe: Probe, tenant: Tenant) -> None:
    custom, foreign = Tenant("login.example.com"), Tenant("login.evil.example")
    custom.rotate(revoke=True)  # it has a key of its own
    tenant.documents = custom.own_documents()
    client = probe(auth0_custom_domains=(custom.domain,))
    assert status(client, tenant) == 200
    assert client.get("/any", auth=custom.auth()).status_code == 200
    assert client.get("/any", auth=foreign.auth()).status_code == 401
    forged = custom.auth(iss=tenant.issuer, header={"kid": "key-1"})
    assert client.get("/any", auth=forged).status_code == 401


class Body(httpx.AsyncByteStream):
    """The body of a document, which counts what is read of it."""

    def __init__(self, *parts: bytes) -> None:
        self.parts, self.read = parts, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            self.read += len(part)
            yield part


class Network(httpx.AsyncBaseTransport):
    """The tenant as httpx reaches it; like a real connection, it is of no use once closed."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant, self.closed, self.sent = tenant, False, dict[str, httpx.Response]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert not self.closed
        assert request.headers["Accept-Encoding"] == "identity"
        if answer := self.sent.get(str(request.url)):
            return answer
        document = json.dumps(await self.tenant.fetch(str(request.url)))
        return httpx.Response(200, stream=Body(document.encode()))

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def network(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Network:
    """What the HTTP client of the guard is connected to."""
    network, build = Network(tenant), httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **_: build(transport=network))
    return network


def test_a_second_lifespan_fetches_keys_too(
    network: Network, probe_without_fetch: Probe, tenant: Tenant
) -> None:
    client = probe_without_fetch()
    for number in range(3):  # as Mangum does: one for each call
        tenant.rotate()
        with client:
            assert status(client, tenant) == 200, number


def test_a_document_that_is_large_or_compressed_is_not_used(
    network: Network, probe_without_fetch: Probe, tenant: Tenant
) -> None:
    packed = gzip.compress(b" " * 20_000_000)
    large = Body(*[b" " * 64_000] * 1_000)
    good = json.dumps(tenant.own_documents()[tenant.jwks_uri]).encode()
    answers = [
        httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Body(packed)),
        httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Body(good)),
        httpx.Response(200, stream=large),
    ]
    for answer in answers:
        network.sent = {tenant.jwks_uri: answer}
        with probe_without_fetch() as client:
            assert status(client, tenant) == 503
    assert large.read < 600_000


def test_without_a_lifespan_the_probe_of_readiness_starts_the_fetch(
    app: FastAPI, tenant: Tenant
) -> None:
    async def ask() -> list[int]:
        transport = httpx2.ASGITransport(app)  # runs no lifespan
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
            answers = [(await client.get("/readyz")).status_code]
            while answers[-1] != 200 and len(answers) < 500:
                await asyncio.sleep(0.01)
                answers.append((await client.get("/readyz")).status_code)
            return answers

    answers = asyncio.run(ask())
    assert (answers[0], answers[-1]) == (503, 200)
    assert tenant.fetches == [tenant.discovery_url, tenant.jwks_uri]


def test_nothing_is_fetched_for_a_token_that_is_refused_anyway(
    probe: Probe, tenant: Tenant
) -> None:
    client = probe()
    settle(client, tenant)
    tenant.fetches.clear()
    for fault in ["issuer", "audience", "expired", "alg_null", "no_kid"]:
        assert status(client, tenant, fault=fault) == 401
    assert tenant.fetches == []
