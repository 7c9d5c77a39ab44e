"""What a refused request is answered, and what the log says of it.

RFC 6750 3 for Bearer and RFC 9449 7.1 for DPoP: every 401 and 403 carries a challenge for each scheme
that the API accepts, and the one the client used names the error. A client without credentials gets bare
challenges. When the signing keys cannot be had, the token may well be good: 503 and Retry-After, not 401.

All texts are fixed. Nothing from a token or an exception is ever sent back: such text could break the
header, or the connection.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import HTTPException

RETRY_AFTER = 5  # seconds
ALGS = 'algs="ES256"'  # what the SDK accepts for DPoP proofs

# reason code: (status, error, error_description)
REASONS = {
    "no_credentials": (401, "invalid_request", "An access token is required"),
    "ambiguous_credentials": (401, "invalid_request", "More than one Authorization header"),
    "opaque_token": (401, "invalid_token", "The access token is not a JWT"),
    "token_too_long": (401, "invalid_token", "The access token is too long"),
    "token_malformed": (401, "invalid_token", "The access token is malformed"),
    "token_type": (401, "invalid_token", "The token is not an access token"),
    "algorithm": (401, "invalid_token", "The access token is not signed with RS256"),
    "claims": (401, "invalid_token", "A claim is missing or malformed"),
    "issuer": (401, "invalid_token", "The access token is from another issuer"),
    "audience": (401, "invalid_token", "The access token is for another API"),
    "expired": (401, "invalid_token", "The access token has expired"),
    "not_yet_valid": (401, "invalid_token", "The access token is not valid yet"),
    "unknown_key": (401, "invalid_token", "The access token is signed with an unknown key"),
    "signature": (401, "invalid_token", "The access token could not be verified"),
    "bound_token": (401, "invalid_token", "The access token is bound to a key: use DPoP"),
    "binding": (401, "invalid_token", "The access token is not bound to the key of the DPoP proof"),
    "proof": (401, "invalid_dpop_proof", "The DPoP proof is missing, malformed or does not fit"),
    "proof_replayed": (401, "invalid_dpop_proof", "The DPoP proof was used before"),
    "scope": (403, "insufficient_scope", "The access token does not allow this"),
    "keys_unavailable": (503, "temporarily_unavailable", "Tokens cannot be verified right now"),
    "replay_store_unavailable": (503, "temporarily_unavailable", "Proofs cannot be verified right now"),
}
HINTS = {
    "opaque_token": "the client did not send `audience`, the Identifier of this API, when it asked for the token",
    "audience": "the client asked for the token with another `audience`, or sent an ID token",
    "issuer": "is it a custom domain of the tenant? AUTH0_CUSTOM_DOMAINS lists those",
    "token_type": "AUTH0_TOKEN_DIALECT must be the token dialect of the API in Auth0",
    "bound_token": "AUTH0_DPOP=off refuses DPoP-bound tokens",
}


class Refused(Exception):
    """The request is not let in; `reason` is a key of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refusal(reason: str, mode: str, scheme: str, scopes: Iterable[str] = ()) -> HTTPException:
    """The answer; `mode` is the DPoP setting, `scheme` what the client used, `scopes` what the route needs."""
    status, error, description = REASONS[reason]
    detail = {"error": error, "error_description": description}
    if status == 503:
        return HTTPException(status, detail, {"Retry-After": str(RETRY_AFTER)})
    told = f'error="{error}", error_description="{description}"' if error != "invalid_request" else ""
    if told and scopes:
        told += f', scope="{" ".join(sorted(scopes))}"'
    challenges = []
    if mode != "required":
        bearer = ['realm="api"', told if scheme == "bearer" else ""]
        challenges.append("Bearer " + ", ".join(filter(None, bearer)))
    if mode != "off":
        dpop = [told if scheme == "dpop" or mode == "required" else "", ALGS]
        challenges.append("DPoP " + ", ".join(filter(None, dpop)))
    return HTTPException(status, detail, {"WWW-Authenticate": ", ".join(challenges)})


@dataclass
class EventLog:
    """One JSON line per refusal on the given logger, at most BURST per reason and WINDOW seconds.

    Further ones are counted, and the next line of that reason says how many (`suppressed`), so that an
    attack can neither flood the log nor hide another reason in it. No token is logged, and subjects only
    as a hash; JSON escapes line breaks.
    """

    logger: logging.Logger
    windows: dict[str, list[float]] = field(default_factory=dict)

    BURST = 20
    WINDOW = 10.0

    def refused(self, reason: str, route: str, header: dict[str, Any], claims: Mapping[str, Any]) -> None:
        """Log one refusal; `header` and `claims` are the client's word, not verified."""
        now = time.monotonic()
        window = self.windows.setdefault(reason, [now, 0])  # its start, and how many so far
        suppressed = 0
        if now - window[0] >= self.WINDOW:
            suppressed = max(0, int(window[1]) - self.BURST)
            window[:] = [now, 0]
        window[1] += 1
        if window[1] > self.BURST:
            return
        line = {
            "event": "auth.refused",
            "reason": reason,
            "status": REASONS[reason][0],
            "route": route,
            "kid": _short(header.get("kid")),
            "client_id": _short(claims.get("azp", claims.get("client_id"))),
            "subject": _hashed(claims.get("sub")),
            "suppressed": suppressed or None,
            "hint": HINTS.get(reason),
        }
        present = {key: value for key, value in line.items() if value is not None}
        self.logger.warning("%s", json.dumps(present))


def _short(value: object) -> str | None:
    return value[:80] if isinstance(value, str) else None


def _hashed(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:16]
