"""Forged and hostile tokens: each is 401, none crashes the API, and nothing of it is sent back."""

import hmac
import json
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.testclient import TestClient
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memory_tenant import Json, Tenant, base64url, public_jwk, rsa_key, segment

Probe = Callable[..., TestClient]
EVIL = 666  # the number of the attacker's key


def claims(tenant: Tenant) -> Json:
    """Claims that would be let in, were they signed by the tenant."""
    now = int(time.time())
    audience, issuer = tenant.audience, tenant.issuer
    return {"iss": issuer, "sub": "evil", "aud": audience, "iat": now, "exp": now + 60}


def header(**members: object) -> Json:
    return {"alg": "RS256", "typ": "JWT", "kid": "key-1", **members}


def unsigned(tenant: Tenant, alg: str) -> str:
    return f"{segment(header(alg=alg))}.{segment(claims(tenant))}."


def evil(tenant: Tenant, **members: object) -> str:
    """Signed with the attacker's key."""
    text = f"{segment(header(**members))}.{segment(claims(tenant))}"
    return f"{text}.{base64url(rsa_key(EVIL).sign(text.encode(), padding.PKCS1v15(), SHA256()))}"


def signed_with_public_key(tenant: Tenant, alg: str) -> str:
    """CVE-2016-10555: the RSA public key, which everybody knows, as the secret of an HMAC."""
    pem = rsa_key(1).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = f"{segment(header(alg=alg))}.{segment(claims(tenant))}"
    return f"{text}.{base64url(hmac.digest(pem, text.encode(), sha256))}"


def swapped_payload(tenant: Tenant) -> str:
    protected, _, signature = tenant.token().split(".")
    return f"{protected}.{segment(claims(tenant))}.{signature}"


def twice(tenant: Tenant, member: bytes) -> str:
    """A member twice, the first time with what an attacker would like a lax parser to see."""
    text = json.dumps(claims(tenant)).encode()
    return tenant.sign(header(), b"{" + member + b"," + text[1:])


def padded(tenant: Tenant) -> str:
    return tenant.token() + "=="


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


FORGERIES: dict[str, Callable[[Tenant], str]] = {
    "alg none": lambda t: unsigned(t, "none"),
    "alg None": lambda t: unsigned(t, "None"),
    "alg nOnE": lambda t: unsigned(t, "nOnE"),
    "alg empty": lambda t: unsigned(t, ""),
    "alg HS256 with the public key": lambda t: signed_with_public_key(t, "HS256"),
    "alg RS256 but an HMAC": lambda t: signed_with_public_key(t, "RS256"),
    "alg RS512": lambda t: t.sign(header(alg="RS512"), claims(t)),
    "the attacker's key under our kid": lambda t: evil(t),
    "embedded jwk (CVE-2018-0114)": lambda t: evil(t, jwk=public_jwk(rsa_key(EVIL), "key-1")),
    "jku": lambda t: evil(t, jku="https://evil.example/jwks.json", kid="evil"),
    "x5u": lambda t: evil(t, x5u="https://evil.example/chain.pem", kid="evil"),
    "kid traversal": lambda t: evil(t, kid="../../../../dev/null"),
    "kid SQL": lambda t: evil(t, kid="x' UNION SELECT 'key'--"),
    "kid command": lambda t: evil(t, kid="key-1|/bin/id"),
    "null signature (CVE-2020-28042)": lambda t: t.token().rpartition(".")[0] + ".",
    "zero signature": lambda t: t.token().rpartition(".")[0] + "." + "A" * 342,
    "payload swapped": swapped_payload,
    "padding": padded,
    "crit unknown": lambda t: t.sign(header(crit=["exp"], exp=1), claims(t)),
    "crit b64": lambda t: t.sign(header(crit=["b64"], b64=False), claims(t)),
    "crit with a line break": lambda t: t.sign(header(crit=["x\r\nSet-Cookie: a=b"]), claims(t)),
    "alg with a line break": lambda t: unsigned(t, "HS\r\nSet-Cookie: a=b"),
    "alg with quotes": lambda t: unsigned(t, 'HS", realm="evil'),
    "alg not latin-1": lambda t: unsigned(t, "HS€"),
    "alg a surrogate": lambda t: unsigned(t, "HS\ud800"),
    "issuer twice": lambda t: twice(t, b'"iss":"https://evil.example/"'),
    "audience twice": lambda t: twice(t, b'"aud":"https://other.example"'),
    "header a list": lambda t: t.sign([header()], claims(t)),
    "header null": lambda t: t.sign(None, claims(t)),
    "payload a list": lambda t: t.sign(header(), [claims(t)]),
    "payload null": lambda t: t.sign(header(), None),
    "payload a number": lambda t: t.sign(header(), 5),
    "payload UTF-16": lambda t: t.sign(header(), json.dumps(claims(t)).encode("utf-16")),
    "payload nested": lambda t: t.sign(header(), nested(1500)),
    "header nested": lambda t: t.sign(nested(1500), claims(t)),
    "payload with a huge number": lambda t: t.sign(header(), b'{"exp":' + b"9" * 5000 + b"}"),
    "a Python bytes literal": lambda t: f"b'{t.token()}'",
    "JSON serialization": lambda t: json.dumps({"payload": t.token().split(".")[1]}),
    "JWE": lambda t: f"{t.token()}.e30.e30",
    "100 KB": lambda t: t.token(extra="x" * 75_000),
    "dots": lambda t: "." * 5000,
}


def test_forgeries_are_refused(probe: Probe, tenant: Tenant) -> None:
    for name, forge in FORGERIES.items():
        answer = probe().get("/any", headers={"Authorization": f"Bearer {forge(tenant)}"})
        assert answer.status_code == 401, name
        assert answer.json()["detail"]["error"] == "invalid_token", name
        assert "evil" not in str(answer.headers) + answer.text, name
        assert "Set-Cookie" not in str(answer.headers) + answer.text, name


def test_bytes_of_any_kind_in_the_headers_are_refused(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    for value in [b"\xe9", "€".encode(), b"a\x00b", b'a"b', b"\xff" * 300, b"a\tb", b"'; DROP"]:
        for prefix in [b"Bearer ", b"DPoP ", b""]:
            headers = [(b"Authorization", prefix + value), (b"DPoP", value)]
            assert client.get("/any", headers=headers).status_code == 401, prefix + value


TEXT = st.text('aA0 .:/"\\\r\n\0é€\ud800', max_size=8)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
CLAIMS = ["iss", "sub", "aud", "exp", "iat", "nbf", "scope", "permissions", "azp", "cnf", "act"]
HEADER = ["alg", "kid", "typ", "crit", "jwk"]


def test_claims_and_headers_of_any_type_never_crash(probe: Probe, tenant: Tenant) -> None:
    clients = [probe(), probe(auth0_authorization="permissions")]
    some_header = st.dictionaries(st.sampled_from(HEADER), ANYTHING, max_size=1)
    some_claims = st.dictionaries(st.sampled_from(CLAIMS), ANYTHING, max_size=2)

    ways = st.sampled_from(clients)

    @settings(max_examples=30, deadline=None, database=None)
    @given(changed_header=some_header, changed_claims=some_claims, client=ways)
    @example(changed_header={"kid": "unknown"}, changed_claims={}, client=clients[0])
    @example(changed_header={"kid": "another"}, changed_claims={}, client=clients[0])
    def check(changed_header: Any, changed_claims: Any, client: TestClient) -> None:
        protected = {**header(), **changed_header}
        token = tenant.sign(protected, {**claims(tenant), **changed_claims})
        answer = client.get("/read", headers={"Authorization": f"Bearer {token}"})
        if isinstance(changed_header.get("kid"), str) and answer.status_code == 503:
            return  # of several unknown keys, one is looked up in ten seconds
        assert answer.status_code in {401, 403}
        assert answer.headers["WWW-Authenticate"]

    check()


def test_a_good_token_beside_all_this_is_let_in(probe: Probe, tenant: Tenant) -> None:
    token = tenant.sign(header(), claims(tenant))
    answer = probe().get("/any", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_a_truncated_token_is_refused(probe: Probe, tenant: Tenant, length: int) -> None:
    token = tenant.token()
    headers = {"Authorization": f"Bearer {token[: len(token) - length - 1]}"}
    assert probe().get("/any", headers=headers).status_code == 401
