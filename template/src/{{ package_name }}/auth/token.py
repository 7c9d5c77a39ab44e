"""Checks the SDK leaves out, and the claims routes receive.

An access token is a JWT in compact serialization: three base64url segments, the header, the claims
and the signature (RFC 7515 3.1, RFC 7519). The SDK verifies the signature, `iss`, `aud` and `exp`.
This module checks the shape of each part, `nbf` and `iat` (RFC 7519 4.1.5, 4.1.6), `sub`, and the
type of the token (RFC 8725 3.11, RFC 9068 4).

Nothing here accepts a token. Anything read before the signature is verified can only refuse it.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Container, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from .refusals import Refused

MAX_TOKEN = 16_384  # bytes; parsing time grows with size, and Auth0's tokens are 1 to 4 KB
LEEWAY = 10  # seconds that the issuer's clock may be ahead of ours
COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
TYPES = {  # by token dialect; an absent type is ""
    "access_token": {"", "jwt", "at+jwt"},  # not dpop+jwt, logout+jwt and the like
    "rfc9068_profile": {"at+jwt"},
}

Json = dict[str, Any]
shared_set = lru_cache(maxsize=256)(frozenset[str])  # one for all tokens with the same grants


class Claims(Mapping[str, Any]):
    """The claims of a verified token: `claims["sub"]`, `claims.get("org_id")`.

    Read-only, because requests share it; no dataclass, whose fields FastAPI would send instead.
    """

    __slots__ = ("_raw", "_scopes")

    def __init__(self, _raw: Json, _scopes: frozenset[str]) -> None:  # `_`: read from no body
        self._raw, self._scopes = _raw, _scopes

    def __getitem__(self, name: str) -> Any:
        return self._raw[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    @property
    def raw(self) -> Mapping[str, Any]:
        """All claims, in a view: what requests share cannot be changed by it either."""
        return MappingProxyType(self._raw)

    @property
    def scopes(self) -> frozenset[str]:
        """What the token allows, whichever claim says so."""
        return self._scopes

    @property
    def sub(self) -> str:
        """The user, or the client itself (RFC 9068 5)."""
        return str(self._raw["sub"])

    @property
    def issuer(self) -> str:
        """The URL of the issuer."""
        return str(self._raw["iss"])

    @property
    def client_id(self) -> str | None:
        """The client: `azp`, Auth0's name, or `client_id`, that of RFC 9068."""
        value: str | None = self._raw.get("azp", self._raw.get("client_id"))
        return value

    @property
    def expires_at(self) -> int:
        """When the token expires, in seconds since 1970."""
        return int(self._raw["exp"])


def parse(token: bytes) -> tuple[Json, Json]:
    """Split a compact JWS into header and claims, unverified; neither may be changed."""
    if len(token) > MAX_TOKEN:
        raise Refused("token_too_long")
    parts = COMPACT.fullmatch(token)
    if parts is None:
        raise Refused("token_malformed" if token.count(b".") == 2 else "opaque_token")
    try:
        return parse_header(parts[1]), parse_segment(parts[2])
    except (ValueError, RecursionError):
        raise Refused("token_malformed") from None


def check_header(header: Json, dialect: str) -> None:
    """Check algorithm (RS256), key id, and the type that the dialect requires."""
    kid, typ = header.get("kid"), header.get("typ", "")
    if header.get("alg") != "RS256":
        raise Refused("algorithm")
    if not isinstance(kid, str) or not isinstance(typ, str):
        raise Refused("token_malformed")
    if typ.lower().removeprefix("application/") not in TYPES[dialect]:
        raise Refused("token_type")


def check_claims(payload: Json, issuers: Container[str], audience: str, now: float) -> None:
    """Check issuer, audience, subject and times."""
    issuer, aud = payload.get("iss"), payload.get("aud")
    if not isinstance(issuer, str) or issuer not in issuers:
        raise Refused("issuer")
    if audience not in (aud if isinstance(aud, list) else [aud]):
        raise Refused("audience")
    if not isinstance(payload.get("sub"), str) or not payload["sub"]:
        raise Refused("claims", claim="sub")
    if _seconds(payload, "exp") <= now:
        raise Refused("expired")
    start = max(_seconds(payload, "iat"), _seconds(payload, "nbf") if "nbf" in payload else 0)
    if start > now + LEEWAY:
        raise Refused("not_yet_valid")


def to_claims(payload: Json, grants_claim: str) -> Claims:
    """Build the claims for routes; `grants_claim` names the claim that holds the grants."""
    granted = payload.get(grants_claim, "" if grants_claim == "scope" else [])
    if grants_claim == "scope":
        granted = granted.split(" ") if isinstance(granted, str) else None  # RFC 6749 3.3
    if not isinstance(granted, list) or not all(isinstance(grant, str) for grant in granted):
        raise Refused("claims", claim=grants_claim)
    claims = Claims(payload, shared_set(tuple(filter(None, granted))))
    if not isinstance(claims.client_id, str | None):
        raise Refused("claims", claim="azp" if "azp" in payload else "client_id")
    return claims


def _seconds(payload: Json, name: str) -> float:
    """Return a time in seconds since 1970 (NumericDate, RFC 7519 2)."""
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise Refused("claims", claim=name)
    return value


def unique_members(pairs: list[tuple[str, Any]]) -> Json:
    """Build an object; refuse duplicate members."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


# int() refuses NaN and Infinity, which are not JSON.
STRICT = json.JSONDecoder(object_pairs_hook=unique_members, parse_constant=int)


def parse_segment(segment: bytes) -> Json:
    """Parse strict JSON: an object, no duplicate member (RFC 7515 4), no NaN, no lone surrogate."""
    text = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)).decode()
    value = STRICT.decode(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    return value


parse_header = lru_cache(maxsize=16)(parse_segment)  # a key signs tokens with the same header
