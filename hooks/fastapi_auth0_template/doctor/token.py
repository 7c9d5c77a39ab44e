"""Explains in plain words what is wrong with a token. The project's own guard judges it.

Each check looks at one part of the token. A part that the guard refused is a failure, whatever is
found here. A part that it did not reach, or could not be asked about, is skipped.
"""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..declared import declared_api
from ..model import Json
from ..problems import Problem
from ..text import printable
from .check import SETUP, Check, Examination, failure, ok, skipped, warning
from .inside import Inside, Settings

# The guard's reasons, in its order, and the check that explains each.
REASONS = {
    "no_credentials": "token-form",
    "ambiguous_credentials": "token-form",
    "opaque_token": "token-form",
    "token_too_long": "token-form",
    "token_malformed": "token-form",
    "algorithm": "token-form",
    "token_type": "token-use",
    "issuer": "token-issuer",
    "audience": "token-audience",
    "claims": "token-claims",
    "expired": "token-time",
    "not_yet_valid": "token-time",
    "unknown_key": "token-key",
    "signature": "token-key",
    "keys_unavailable": "token-key",
    "bound_token": "token-binding",
    "unbound_token": "token-binding",
    "proof": "token-binding",
}
WORDS = {
    "token_too_long": "too long for the API (16 384 bytes)",
    "token_malformed": "not a JWT as the API reads it",
    "token_type": "its header says that it is not an access token",
    "signature": "its signature is wrong",
    "keys_unavailable": "the API could not fetch the tenant's keys",
    "not_yet_valid": "the API says that it is not valid yet",
}
NEW = "Get a new token from this tenant."
Part = tuple[Json, Json]


@dataclass(frozen=True)
class Look:
    """The parts of the token, and what they are compared with."""

    header: Json
    claims: Json
    settings: Settings
    audience: str
    keys: list[Json] | None
    examination: Examination


def token(
    examination: Examination, inside: Inside, audience: str, keys: list[Json] | None
) -> Iterator[Check]:
    """Yield every check of the token; the guard's verdict overrides the findings."""
    given = bare(examination.token or "")
    shape, parts = form(given, audience, keys)
    if parts is None:
        yield shape
        return
    look = Look(*parts, inside.settings, audience, keys, examination)
    verdict = inside.verdict or {}
    reason = str(verdict.get("reason") or "")
    at = REASONS.get(reason, "") if reason else ""
    before = bool(inside.verdict)  # the guard got this far, and found nothing
    for check in (shape, *(part(look) for part in PARTS)):
        if check.id == "token-binding" and reason in ("bound_token", "proof"):
            yield check
        elif check.id == at:
            yield _refused(check, reason, verdict)
        elif check.status == "ok" and not before:
            yield skipped(check.id, f"{check.found}; {_why(inside, reason)}")
        else:
            yield check
        before = before and check.id != at
    if reason not in ("", *REASONS) or (inside.verdict and verdict.get("status") != 200 and not at):
        told = reason or f"status {verdict.get('status')}"
        yield failure("token-guard", f"the API refuses it: {told}", "Look at the API's log.")


def _why(inside: Inside, reason: str) -> str:
    if reason:
        return "the API refused the token before it got to this"
    return f"not judged by the API: {inside.why or inside.guard_error or 'its settings are wrong'}"


def _refused(check: Check, reason: str, verdict: Json) -> Check:
    """Turn the finding into the guard's verdict: a failure, in the most fitting words."""
    if reason == "keys_unavailable":
        return skipped(check.id, WORDS[reason], "See the check `guard`.")
    if check.status == "failure":
        return check
    words = WORDS.get(reason, reason)
    if claim := verdict.get("claim"):
        words = f"the claim {printable(str(claim))} is missing or malformed"
    hint = printable(str(verdict.get("hint") or ""))
    found = f"{words} ({reason})" if words != reason else f"refused: {reason}"
    return failure(check.id, found + (f"; {hint}" if hint else ""), check.remedy or NEW)


def bare(text: str) -> str:
    """Return the token from what people paste: a header, quotes, broken lines, Auth0's answer."""
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        text = str(json.loads(text)["access_token"])
    text = re.sub(r"(?i)^\s*(authorization:\s*)?(bearer|dpop)\s+", "", text)
    return re.sub(r"[\s\"']+", "", text)


def form(given: str, audience: str, keys: list[Json] | None) -> tuple[Check, Part | None]:
    """The token is a signed JWT, and whole."""
    name = "token-form"
    ask = f"Ask for it with audience={audience}" if audience else "Ask for it with an audience."
    parts = given.split(".")
    if not given:
        return failure(name, "stdin was empty", "Pipe the token in."), None
    header = _part(parts[0])
    if len(parts) == 5 and header is not None and header.get("alg") not in ("dir", "RS256"):
        return failure(name, "encrypted (JWE)", "Turn token encryption off."), None
    if len(parts) != 3 or header is None:
        opaque = len(parts) == 1 or (header or {}).get("alg") == "dir"
        found = "opaque: no audience was asked for" if opaque else "not a token (JWT)"
        return failure(name, found, ask), None
    claims = _part(parts[1])
    if claims is None:
        return failure(name, "its claims cannot be read", "Copy the whole token."), None
    found = printable(f"a JWT, {header.get('alg')}, typ {header.get('typ')}")
    if header.get("alg") != "RS256":
        return failure(name, found, "The API must sign with RS256: run the set-up."), (
            header,
            claims,
        )
    sizes = {len(_bytes(str(key.get("n", "")))) for key in keys or ()}
    if sizes and len(_bytes(parts[2])) not in sizes:
        return failure(name, "cut off, or something was added", "Copy the whole token."), (
            header,
            claims,
        )
    return ok(name, found), (header, claims)


def _bytes(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515 2); return nothing if it is malformed."""
    with suppress(ValueError):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return b""


def _part(text: str) -> Json | None:
    try:
        value = json.loads(_bytes(text))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# --------------------------------------------------------------------------- one part of the token


def use(look: Look) -> Check:
    """It is an access token, of the profile that the API expects."""
    name, audiences = "token-use", _audiences(look.claims)
    id_token = any(key in look.claims for key in ("nonce", "at_hash", "c_hash")) or (
        audiences and all(re.fullmatch(r"[A-Za-z0-9]{32}", value) for value in audiences)
    )
    if id_token:
        return failure(
            name,
            "an ID token: it tells the application who logged in, and is not for an API",
            "Send the access_token of the same answer.",
        )
    typ = str(look.header.get("typ", "")).lower().removeprefix("application/")
    strict = look.settings.auth0_token_dialect.startswith("rfc9068")
    if strict and typ != "at+jwt":
        return failure(name, f"typ is {printable(typ)}, not at+jwt (RFC 9068)", SETUP)
    return ok(name, "an access token")


def issued(look: Look) -> Check:
    """It is from the tenant."""
    issuer = look.claims.get("iss")
    trusted = [look.settings.auth0_domain, *look.settings.auth0_custom_domains]
    if issuer in [f"https://{domain}/" for domain in trusted]:
        return ok("token-issuer", str(issuer))
    return failure(
        "token-issuer",
        f"issued by {printable(str(issuer))}; the API trusts {', '.join(trusted)}",
        "Log in at that domain, or add it to AUTH0_CUSTOM_DOMAINS if it is the same tenant.",
    )


def audience_of(look: Look) -> Check:
    """It is for this API."""
    audiences, audience = _audiences(look.claims), look.audience
    if audience in audiences:
        return ok("token-audience", audience)
    found = printable(f"for {', '.join(audiences) or 'nobody'}, not for {audience or 'any API'}")
    if audience and any(value.rstrip("/") == audience.rstrip("/") for value in audiences):
        found += " (they differ by a slash)"
    remedy = f"Ask for it with audience={audience}" if audience else "Set AUTH0_AUDIENCE."
    return failure("token-audience", found, remedy)


def claims_of(look: Look) -> Check:
    """The claims that every token has are there."""
    subject = look.claims.get("sub")
    if isinstance(subject, str) and subject:
        return ok("token-claims", f"sub {printable(subject, 60)}")
    return failure(
        "token-claims",
        "the claim sub is missing or malformed",
        "Auth0 always sets it: get a token from a tenant, not from a simulator without sub.",
    )


def times(look: Look) -> Check:
    """It is valid now."""
    name, now, claims = "token-time", time.time(), look.claims
    expires: Any = claims.get("exp")
    if not _is_number(expires):
        return failure(name, "it has no expiry", "It is not from Auth0: get another.")
    if expires <= now:
        return failure(name, f"expired {_ago(now - expires)} ago", "Get a new one.")
    starts: Any = max(
        (claims[key] for key in ("nbf", "iat") if _is_number(claims.get(key))), default=0
    )
    if starts > now + 60:
        return failure(name, f"valid only in {_ago(starts - now)}", "Set the clock right (NTP).")
    return ok(name, f"expires in {_ago(expires - now)}")


def key(look: Look) -> Check:
    """It is signed with a key of the tenant."""
    if look.keys is None:
        return skipped("token-key", "the tenant's keys could not be read")
    if look.header.get("kid") in [key.get("kid") for key in look.keys]:
        return ok("token-key", "signed with a key of the tenant")
    return failure("token-key", "signed with a key that the tenant does not have", NEW)


def scopes_of(look: Look) -> Check:
    """It has the scopes that routes ask for."""
    name = "token-scopes"
    claim = "permissions" if look.settings.auth0_authorization == "permissions" else "scope"
    value = look.claims.get(claim)
    if value is None and claim == "permissions":
        return failure(name, "no permissions claim: RBAC is off for the API", SETUP)
    listed = value if isinstance(value, list) and claim == "permissions" else []
    granted = value.split(" ") if isinstance(value, str) else list(map(str, listed))
    granted = [scope for scope in granted if scope]
    wanted = [scope for given in look.examination.scopes for scope in given.split()]
    carries = f"{claim}: {printable(' '.join(granted)) or 'none'}"
    if missing := [scope for scope in wanted if scope not in granted]:
        remedy = (
            "Give the user's role the permission (Auth0, User Management, Roles)."
            if claim == "permissions"
            else "Ask for it with scope=...; an application needs it in its client grant."
        )
        return failure(name, f"lacks {', '.join(missing)}; {carries}", remedy)
    if not wanted and not set(_declared(look)) & set(granted) and _declared(look):
        return warning(
            name, f"none of the API's scopes: scoped routes answer 403; {carries}", "Ask for them."
        )
    return ok(name, carries)


def binding(look: Look) -> Check:
    """It can be sent in a way that the API accepts."""
    name, dpop, cnf = "token-binding", look.settings.auth0_dpop, look.claims.get("cnf")
    bound = isinstance(cnf, dict) and "jkt" in cnf
    if bound and dpop == "off":
        return failure(
            name, "bound to a key (DPoP), and the API has DPoP off", "AUTH0_DPOP=accepted"
        )
    if bound:
        return warning(
            name,
            "bound to a key (DPoP): as a Bearer token it is refused; its signature was not checked",
            "Send `Authorization: DPoP ...` with a proof for each request (DPoP header).",
        )
    if cnf is not None:
        return failure(name, "bound in a way that the API does not know (cnf)", NEW)
    if dpop == "required":
        return failure(
            name, "not bound to a key, but the API needs DPoP", "Ask for it with a DPoP proof."
        )
    return ok(name, "a Bearer token")


PARTS: tuple[Callable[[Look], Check], ...] = (
    *(use, issued, audience_of, claims_of, times, key, binding, scopes_of),
)


def _declared(look: Look) -> list[str]:
    try:
        return list(declared_api(look.examination.project.root, look.audience).scopes)
    except Problem:
        return []


def _audiences(claims: Json) -> list[str]:
    value = claims.get("aud", [])
    return [str(entry) for entry in (value if isinstance(value, list) else [value])]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
