"""What an access token must look like beside the SDK's verification, and what routes see of it.

An access token is a JWT in compact serialization: three base64url segments, the header, the claims
and the signature (RFC 7515 3.1, RFC 7519). The SDK verifies the signature, `iss`, `aud` and `exp`.
Here is what it leaves out: the shape of each part, `nbf` and `iat` (RFC 7519 4.1.5, 4.1.6), `sub`,
and the type of the token (RFC 8725 3.11, RFC 9068 4).

Nothing here accepts a token. What is read before the signature is verified can only refuse.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Container, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from .answers import Refused

MAX_TOKEN = 16_384  # bytes; parsing costs time in proportion, and Auth0's tokens are 1 to 4 KB
LEEWAY = 10  # seconds that the clock of the issuer may be ahead of ours
COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
TYPES = {  # by token dialect; an absent type is ""
    "access_token": {"", "jwt", "at+jwt"},  # not dpop+jwt, logout+jwt and the like
    "rfc9068_profile": {"at+jwt"},
}

Json = dict[str, Any]


class Claims(NamedTuple):
    """A verified token: who holds it, and what it allows. `raw` has every claim."""

    sub: str
    issuer: str
    scopes: frozenset[str]
    client_id: str | None
    expires_at: int
    raw: Mapping[str, Any]


def parse(token: bytes) -> tuple[Json, Json]:
    """Split a compact JWS into header and claims, unverified; neither may be changed."""
    if len(token) > MAX_TOKEN:
        raise Refused("token_too_long")
    parts = COMPACT.fullmatch(token)
    if parts is None:
        raise Refused("token_malformed" if token.count(b".") == 2 else "opaque_token")
    try:
        return header_of(parts[1]), json_object(parts[2])
    except (ValueError, RecursionError):
        raise Refused("token_malformed") from None


def check_header(header: Json, dialect: str) -> None:
    """Only what Auth0 issues: RS256, a key id, and the type that the dialect has."""
    kid, typ = header.get("kid"), header.get("typ", "")
    if header.get("alg") != "RS256":
        raise Refused("algorithm")
    if not isinstance(kid, str) or not isinstance(typ, str):
        raise Refused("token_malformed")
    if typ.lower().removeprefix("application/") not in TYPES[dialect]:
        raise Refused("token_type")


def check_claims(payload: Json, issuers: Container[str], audience: str, now: float) -> None:
    """Refuse what no signature could make good."""
    issuer, aud = payload.get("iss"), payload.get("aud")
    if not isinstance(issuer, str) or issuer not in issuers:
        raise Refused("issuer")
    if audience not in (aud if isinstance(aud, list) else [aud]):
        raise Refused("audience")
    if not isinstance(payload.get("sub"), str) or not payload["sub"]:
        raise Refused("claims")
    if _seconds(payload, "exp") <= now:
        raise Refused("expired")
    if _seconds(payload, "iat") > now + LEEWAY:
        raise Refused("not_yet_valid")
    if "nbf" in payload and _seconds(payload, "nbf") > now + LEEWAY:
        raise Refused("not_yet_valid")


def view(claims: Json, authorization: str) -> Claims:
    """Verified claims as routes see them; `authorization` names the claim that has the grants."""
    client_id = claims.get("azp", claims.get("client_id"))  # Auth0's name, RFC 9068's name
    granted = claims.get("permissions", [])
    if authorization == "scopes":
        granted = claims.get("scope", "")
        granted = granted.split() if isinstance(granted, str) else None
    if not (client_id is None or isinstance(client_id, str)) or not isinstance(granted, list):
        raise Refused("claims")
    if not all(isinstance(grant, str) for grant in granted):
        raise Refused("claims")
    return Claims(
        sub=claims["sub"],
        issuer=claims["iss"],
        scopes=frozenset(granted),
        client_id=client_id,
        expires_at=int(claims["exp"]),
        raw=MappingProxyType(claims),
    )


def _seconds(payload: Json, name: str) -> float:
    """A time in seconds since 1970 (NumericDate, RFC 7519 2), before the year 33658."""
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise Refused("claims")
    return value


def members(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def no_constant(name: str) -> NoReturn:
    raise ValueError(name)


STRICT = json.JSONDecoder(object_pairs_hook=members, parse_constant=no_constant)


def json_object(segment: bytes) -> Json:
    """Strict JSON: an object, no member twice (RFC 7515 4), no NaN, no half of a surrogate pair."""
    text = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)).decode()
    value = STRICT.decode(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    return value


header_of = lru_cache(maxsize=16)(json_object)  # all tokens that a key signs have the same header
