"""DPoP (RFC 9449): a proof is needed, fits the request, and is good once."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from memory_tenant import OMIT, Tenant, ec_key, public_jwk, segment

READ = "read:things"
URL = "http://testserver/read"
Probe = Callable[..., TestClient]


def send(client: TestClient, token: str, *proofs: str, path: str = "/read", **headers: str) -> Any:
    """A GET with the token under the DPoP scheme and these proofs."""
    fields = [("Authorization", f"DPoP {token}"), *headers.items()]
    return client.get(path, headers=fields + [("DPoP", proof) for proof in proofs])


@pytest.mark.parametrize("mode", ["accepted", "required"])
def test_a_proof_is_good_once(probe: Probe, tenant: Tenant, mode: str) -> None:
    client = probe(auth0_dpop=mode)
    token = tenant.bound_token(READ)
    proof = tenant.proof(token, "GET", URL)
    assert send(client, token, proof).status_code == 200
    replayed = send(client, token, proof)
    assert replayed.status_code == 401
    assert replayed.json()["detail"]["error"] == "invalid_dpop_proof"
    assert send(client, token, tenant.proof(token, "GET", URL)).status_code == 200


def test_a_failed_proof_is_answered_as_the_rfc_says(probe: Probe, tenant: Tenant) -> None:
    token = tenant.bound_token(READ)
    for mode, first in [("accepted", 'Bearer realm="api", '), ("required", "")]:
        answer = send(probe(auth0_dpop=mode), token, tenant.proof(token, "POST", URL))
        assert answer.status_code == 401
        description = answer.json()["detail"]["error_description"]
        assert answer.headers["WWW-Authenticate"] == (
            f'{first}DPoP error="invalid_dpop_proof", error_description="{description}", '
            'algs="ES256"'
        )


def test_lacking_a_scope_is_told_to_the_scheme_that_was_used(probe: Probe, tenant: Tenant) -> None:
    token = tenant.bound_token()
    answer = send(probe(), token, tenant.proof(token, "GET", URL))
    assert answer.status_code == 403
    told = 'DPoP error="insufficient_scope", '
    assert f'Bearer realm="api", {told}' in answer.headers["WWW-Authenticate"]
    assert 'scope="read:things", algs="ES256"' in answer.headers["WWW-Authenticate"]


BAD_PROOFS: list[dict[str, Any]] = [
    {"htm": "POST"},
    {"htm": None},
    {"htm": 5},
    {"htu": "http://testserver/other"},
    {"htu": "http://other/read"},
    {"htu": 5},
    {"ath": "x"},
    {"ath": OMIT},
    {"jti": OMIT},
    {"jti": 5},
    {"jti": ""},
    {"iat": OMIT},
    {"iat": "now"},
    {"iat": True},
    {"iat": float("nan")},
    {"iat": float("inf")},
    {"iat": 10**400},
    {"iat": int(time.time()) - 600},
    {"iat": int(time.time()) + 600},
    {"header": {"typ": "JWT"}},
    {"header": {"alg": "none"}},
    {"header": {"alg": ["ES256"]}},
    {"header": {"alg": "RS256"}},
    {"header": {"crit": ["x\r\ny: z"]}},
    {"header": {"jwk": OMIT}},
    {"header": {"jwk": {"kty": "EC", "crv": "P-256", "y": "x"}}},
    {"header": {"jwk": {"kty": "EC", "crv": "P-256", "x": 5, "y": 5}}},
    {"header": {"jwk": {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}}},
    {"header": {"jwk": {**public_jwk(ec_key(1)), "d": "AAAA"}}},
    {"header": {"jwk": public_jwk(ec_key(2))}},
]


def test_a_bad_proof_is_401_invalid_dpop_proof(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    token = tenant.bound_token(READ)
    texts = ["", "a", "a.b.c", f"{segment([])}.{segment({})}.x", f"{segment(None)}.e30.x"]
    proofs = [tenant.proof(token, "GET", URL, **bad) for bad in BAD_PROOFS] + texts
    for proof in proofs:
        answer = send(client, token, proof)
        assert answer.status_code == 401, proof
        assert answer.json()["detail"]["error"] == "invalid_dpop_proof", proof


def test_there_must_be_exactly_one_proof(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    token = tenant.bound_token(READ)
    proofs = [tenant.proof(token, "GET", URL) for _ in range(2)]
    assert send(client, token).status_code == 401
    assert send(client, token, *proofs).status_code == 401
    assert send(client, token, ", ".join(proofs)).status_code == 401
    assert send(client, token, proofs[0]).status_code == 200


def test_a_token_is_good_only_with_the_key_that_it_is_bound_to(
    probe: Probe, tenant: Tenant
) -> None:
    client = probe()
    token = tenant.bound_token(READ)
    stolen = send(client, token, tenant.proof(token, "GET", URL, key=2))
    assert (stolen.status_code, stolen.json()["detail"]["error"]) == (401, "invalid_token")
    for cnf in [OMIT, "text", [], {}, {"jkt": 5}, {"x5t#S256": "x"}]:
        unbound = tenant.token(READ, cnf=cnf)
        assert send(client, unbound, tenant.proof(unbound, "GET", URL)).status_code == 401


def test_the_access_token_is_checked_like_any_other(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    for fault in ["expired", "audience", "signature", "no_sub"]:
        answer = client.get("/read", auth=tenant.auth(READ, dpop=True, fault=fault))
        assert (answer.status_code, answer.json()["detail"]["error"]) == (401, "invalid_token")


@pytest.mark.parametrize("public_url", [None, "https://api.example.com/v1"])
def test_the_url_is_compared_as_it_was_sent(
    probe: Probe,
    tenant: Tenant,
    require_auth: Callable[..., Any],
    public_url: str | None,
) -> None:
    client: Any = probe(public_url=public_url)
    app: FastAPI = client.app

    @app.get("/named/{name}", dependencies=[Depends(require_auth())])
    async def named(name: str) -> str:
        return name

    token = tenant.bound_token()
    url = f"{public_url or 'http://testserver'}/named/"
    for name in ["aA", "a%2Bb", "a%25b", "a%7Eb", "a%26b", "a%3Fb", "%C3%A9"]:
        proof = tenant.proof(token, "GET", url + name)
        assert send(client, token, proof, path=f"/named/{name}").status_code == 200, name
    other = tenant.proof(token, "GET", f"{url}aA")
    assert send(client, token, other, path="/named/a%2541").status_code == 401


def test_behind_a_proxy_the_url_is_the_public_one(probe: Probe, tenant: Tenant) -> None:
    client = probe(public_url="https://api.example.com/v1")
    token = tenant.bound_token(READ)
    public = tenant.proof(token, "GET", "https://api.example.com/v1/read")
    assert send(client, token, public).status_code == 200
    assert send(client, token, tenant.proof(token, "GET", URL)).status_code == 401
    elsewhere = tenant.proof(token, "GET", "https://other.example/read")
    assert send(client, token, elsewhere, Host="other.example").status_code == 401


def test_only_a_trusted_proxy_says_that_the_client_used_tls(probe: Probe, tenant: Tenant) -> None:
    token = tenant.bound_token(READ)
    for trusted, status in [(("10.0.0.0/8",), 200), (("192.0.2.1",), 401)]:
        client = probe(trusted_proxies=trusted)
        client._transport.client = ("10.0.0.7", 50000)  # type: ignore[attr-defined]
        proof = tenant.proof(token, "GET", "https://testserver/read")
        answer = send(client, token, proof, **{"X-Forwarded-Proto": "https"})
        assert answer.status_code == status


def test_proofs_are_remembered_for_as_long_as_they_are_good(probe: Probe) -> None:
    store = probe().app.state.guard.proofs  # type: ignore[attr-defined]

    async def use(key: str) -> bool:
        return bool(await store.first_use(key))

    now = 1000.0
    store.clock = lambda: now
    assert [asyncio.run(use(key)) for key in ("a", "b", "a")] == [True, True, False]
    now += 331
    assert asyncio.run(use("c")) is True
    assert list(store.used) == ["c"]


class SharedRedis:
    """As much of Redis as the store uses."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.down = False

    async def set(self, name: str, value: int, *, nx: bool, ex: int) -> bool | None:
        if self.down:
            raise ConnectionError
        if nx and name in self.kept:
            return None
        self.kept[name] = ex
        return True

    async def aclose(self) -> None: ...


def test_workers_that_share_a_redis_share_used_proofs(
    probe: Probe, tenant: Tenant, redis_store: Callable[[object], object]
) -> None:
    workers = [probe(), probe()]
    redis = SharedRedis()
    for worker in workers:
        worker.app.state.guard.proofs = redis_store(redis)  # type: ignore[attr-defined]
    token = tenant.bound_token(READ)
    proof = tenant.proof(token, "GET", URL)
    assert [send(worker, token, proof).status_code for worker in workers] == [200, 401]
    assert [300 <= seconds <= 600 for seconds in redis.kept.values()] == [True]
    redis.down = True
    answer = send(workers[0], token, tenant.proof(token, "GET", URL))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
