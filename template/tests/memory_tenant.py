"""An Auth0 tenant in memory: it publishes keys, and signs tokens and DPoP proofs, also faulty ones.

The tests go through the real verification with it, without a network or an account: the
application is `create_app(settings, fetch=tenant.fetch)`, and a request says `auth=tenant.auth()`.
"""

import asyncio
import hashlib
import json
import re
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

Json = dict[str, Any]
RSA_KEYS: dict[tuple[int, int], rsa.RSAPrivateKey] = {}
OMIT = object()  # as the value of a claim or header member: leave it out


class Followed(Protocol):
    """The settings that say which tokens the API expects."""

    @property
    def grants_claim(self) -> str: ...
    @property
    def dpop(self) -> str: ...
    @property
    def token_dialect(self) -> str: ...


class Tenant:
    """`fetches` lists what was asked for; `down`, `delay` and `documents` change the answer."""

    def __init__(self, domain: str = "tenant.example.auth0.com") -> None:
        self.domain = domain
        self.issuer = f"https://{domain}/"
        self.audience = "https://api.example.com"
        self.discovery_url = f"{self.issuer}.well-known/openid-configuration"
        self.jwks_uri = f"{self.issuer}.well-known/jwks.json"
        self.key_number = 1
        self.published = [1]
        self.fetches: list[str] = []
        self.documents: Json = {}
        self.down = False
        self.delay = 0.0
        self.authorization = "scopes"
        self.token_dialect = "access_token"
        self.dpop_required = False
        rsa_key(self.key_number)  # made here: the application runs in a thread of its own

    def follow(self, settings: Followed) -> None:
        """Issue from now on the tokens that an API with these settings expects."""
        self.authorization = "scopes" if settings.grants_claim == "scope" else "permissions"
        self.token_dialect = settings.token_dialect
        self.dpop_required = settings.dpop == "required"

    # ------------------------------------------------------------------- what the API fetches

    async def fetch(self, url: str) -> Json:
        """Answer as the HTTP client would."""
        self.fetches.append(url)
        await asyncio.sleep(self.delay)
        if self.down:
            raise ConnectionError("the tenant is down")
        document: Json = {**self.own_documents(), **self.documents}[url]
        return document

    def own_documents(self) -> Json:
        """The metadata and the key set, by URL."""
        metadata = {
            "issuer": self.issuer,
            "jwks_uri": self.jwks_uri,
            "authorization_endpoint": f"{self.issuer}authorize",
            "token_endpoint": f"{self.issuer}oauth/token",
        }
        keys = [public_jwk(rsa_key(number), f"key-{number}") for number in self.published]
        return {self.discovery_url: metadata, self.jwks_uri: {"keys": keys}}

    def rotate(self, *, revoke: bool = False) -> None:
        """Sign with a new key from now on; `revoke` takes the old ones out of the key set."""
        self.key_number += 1
        self.published = [*([] if revoke else self.published), self.key_number]
        rsa_key(self.key_number)

    # ------------------------------------------------------------------------------- tokens

    def token(self, *grants: str, fault: Any = None, header: Any = None, **claims: Any) -> str:
        """An access token with these grants; `header` and `claims` replace members or OMIT them."""
        now = int(time.time())
        payload: Json = {
            "iss": self.issuer,
            "sub": "auth0|ada",
            "aud": [self.audience, f"{self.issuer}userinfo"],
            "iat": now,
            "exp": now + 3600,
            "azp": "test-client",
            "scope": " ".join(grants) if self.authorization == "scopes" else "openid",
        }
        if self.authorization == "permissions":
            payload["permissions"] = list(grants)
        if self.dpop_required:
            payload["cnf"] = {"jkt": thumbprint(public_jwk(ec_key(1)))}
        typ = "at+jwt" if self.token_dialect == "rfc9068_profile" else "JWT"
        protected: Json = {"alg": "RS256", "typ": typ, "kid": f"key-{self.key_number}"}
        wrong_header, wrong_claims = FAULTS[fault](now) if fault else ({}, {})
        protected = {**protected, **wrong_header, **(header or {})}
        payload = {**payload, **wrong_claims, **claims}
        signed = self.sign(without_omitted(protected), without_omitted(payload))
        return signed[:-6] + "AAAAAA" if fault == "signature" else signed

    def bound_token(self, *grants: str, **claims: Any) -> str:
        """A token that is bound to the key of `proof`."""
        return self.token(*grants, cnf={"jkt": thumbprint(public_jwk(ec_key(1)))}, **claims)

    def sign(self, header: object, payload: object) -> str:
        """Sign anything, also what is no JWT, with the current key; bytes are taken as they are."""
        text = f"{segment(header)}.{segment(payload)}"
        signature = rsa_key(self.key_number).sign(text.encode(), padding.PKCS1v15(), SHA256())
        return f"{text}.{base64url(signature)}"

    def proof(
        self,
        token: str,
        method: str,
        url: str,
        *,
        key: int = 1,
        header: Json | None = None,
        **claims: object,
    ) -> str:
        """A DPoP proof (RFC 9449 4.2) for one request; tokens are bound to key 1."""
        protected: Json = {"typ": "dpop+jwt", "alg": "ES256", "jwk": public_jwk(ec_key(key))}
        payload = {
            "jti": uuid.uuid4().hex,
            "htm": method,
            "htu": url.partition("?")[0],
            "iat": int(time.time()),
            "ath": base64url(hashlib.sha256(token.encode()).digest()),
            **claims,
        }
        protected.update(header or {})
        text = f"{segment(without_omitted(protected))}.{segment(without_omitted(payload))}"
        r, s = decode_dss_signature(ec_key(key).sign(text.encode(), ec.ECDSA(SHA256())))
        return f"{text}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def auth(self, *grants: str, dpop: Any = None, **token: Any) -> "TokenAuth":
        """For a request: Bearer, or DPoP if the API requires it; `dpop=True` or `False` chooses.

        A claim that is no Python name: `auth(**{"https://example.com/roles": ["admin"]})`.
        """
        if dpop if dpop is not None else self.dpop_required:
            return TokenAuth(self, self.bound_token(*grants, **token), dpop=True)
        return TokenAuth(self, self.token(*grants, **token), dpop=False)


class TokenAuth:
    """Adds Authorization, and a fresh DPoP proof for a bound token, to a request of any client."""

    def __init__(self, tenant: Tenant, token: str, *, dpop: bool) -> None:
        self.tenant, self.token, self.dpop = tenant, token, dpop

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"{'DPoP' if self.dpop else 'Bearer'} {self.token}"
        if self.dpop:
            url = re.sub("^ws", "http", str(request.url))  # a handshake is a GET
            request.headers["DPoP"] = self.tenant.proof(self.token, request.method, url)
        return request


# Named faults of a token: what they change in the header and in the claims, given the time.
FAULTS: dict[str, Callable[[int], tuple[Json, Json]]] = {
    "expired": lambda now: ({}, {"iat": now - 7200, "exp": now - 3600}),
    "no_exp": lambda now: ({}, {"exp": OMIT}),
    "exp_text": lambda now: ({}, {"exp": str(now + 3600)}),
    "exp_true": lambda now: ({}, {"exp": True}),
    "exp_nan": lambda now: ({}, {"exp": float("nan")}),
    "exp_infinite": lambda now: ({}, {"exp": float("inf")}),
    "nbf_ahead": lambda now: ({}, {"nbf": now + 3600}),
    "nbf_text": lambda now: ({}, {"nbf": "tomorrow"}),
    "iat_ahead": lambda now: ({}, {"iat": now + 3600}),
    "no_iat": lambda now: ({}, {"iat": OMIT}),
    "iat_null": lambda now: ({}, {"iat": None}),
    "no_sub": lambda now: ({}, {"sub": OMIT}),
    "sub_number": lambda now: ({}, {"sub": 5}),
    "sub_empty": lambda now: ({}, {"sub": ""}),
    "sub_surrogate": lambda now: ({}, {"sub": "auth0|\ud800"}),
    "audience": lambda now: ({}, {"aud": "https://other.example.com"}),
    "no_audience": lambda now: ({}, {"aud": OMIT}),
    "issuer": lambda now: ({}, {"iss": "https://evil.example.com/"}),
    "no_issuer": lambda now: ({}, {"iss": OMIT}),
    "issuer_list": lambda now: ({}, {"iss": ["https://tenant.example.auth0.com/"]}),
    "azp_list": lambda now: ({}, {"azp": ["test-client"]}),
    "type": lambda now: ({"typ": "logout+jwt"}, {}),
    "type_number": lambda now: ({"typ": 5}, {}),
    "unknown_kid": lambda now: ({"kid": "key-of-nobody"}, {}),
    "no_kid": lambda now: ({"kid": OMIT}, {}),
    "kid_list": lambda now: ({"kid": ["key-1"]}, {}),
    "alg_null": lambda now: ({"alg": None}, {}),
    "alg_list": lambda now: ({"alg": ["RS256"]}, {}),
    "signature": lambda now: ({}, {}),
}


def rsa_key(number: int, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Signing keys by number; made when first needed, shared by all tenants of the process."""
    if (number, bits) not in RSA_KEYS:
        RSA_KEYS[number, bits] = rsa.generate_private_key(65537, bits)
    return RSA_KEYS[number, bits]


@cache
def ec_key(number: int) -> ec.EllipticCurvePrivateKey:
    """The keys that DPoP clients hold, by number; the same in each run, so tokens stay good."""
    return ec.derive_private_key(1_000_003 * number, ec.SECP256R1())


def public_jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str = "") -> Json:
    """The public half as a JWK (RFC 7517)."""
    numbers = key.public_key().public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        rsa_jwk = {"kty": "RSA", "n": base64url(n), "e": base64url(numbers.e.to_bytes(3, "big"))}
        return {**rsa_jwk, "use": "sig", "alg": "RS256", "kid": kid}
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    return {"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)}


def thumbprint(jwk: Json) -> str:
    """RFC 7638, for EC keys."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return base64url(hashlib.sha256(text.encode()).digest())


def without_omitted(members: Json) -> Json:
    return {name: value for name, value in members.items() if value is not OMIT}


def segment(value: object) -> str:
    """One part of a JWT: JSON, unless it is bytes already."""
    return base64url(value if isinstance(value, bytes) else json.dumps(value).encode())


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
