"""What a refused request is answered, and what the log says of it.

RFC 6750 3 for Bearer and RFC 9449 7.1 for DPoP: every 401 and 403 carries a challenge for each
scheme that the API accepts, and the one that the client used names the error. A client without
credentials gets bare challenges. When the signing keys cannot be had, the token may well be good:
that is 503 with Retry-After, not 401.

All texts are fixed. Nothing from a token or an exception is ever sent back: such text could break
the header, and with it the connection.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import HTTPException

RETRY_AFTER = 5  # seconds
ALGS = 'algs="ES256"'  # what the SDK accepts for DPoP proofs

REASONS = {  # reason code: status, error, error_description
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
    "unbound_token": (401, "invalid_token", "The access token is not bound to a key"),
    "proof": (401, "invalid_dpop_proof", "The DPoP proof is missing or not valid"),
    "proof_replayed": (401, "invalid_dpop_proof", "The DPoP proof was used before"),
    "scope": (403, "insufficient_scope", "The access token does not allow this"),
    "keys_unavailable": (503, "temporarily_unavailable", "Tokens cannot be verified right now"),
    "store_unavailable": (503, "temporarily_unavailable", "Proofs cannot be verified right now"),
}
HINTS = {  # for the log: what somebody probably forgot
    "opaque_token": "the client did not send `audience` when it asked for the token",
    "audience": "the client asked for the token with another `audience`, or sent an ID token",
    "issuer": "AUTH0_CUSTOM_DOMAINS lists the custom domains of the tenant",
    "token_type": "AUTH0_TOKEN_DIALECT must be the token dialect of the API in Auth0",
    "bound_token": "a sender-constrained token came as Bearer; AUTH0_DPOP says what is accepted",
    "store_unavailable": "REDIS_URL does not answer",
}


class Refused(Exception):
    """The request is not let in; `reason` is a key of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refusal(reason: str, dpop: str, scheme: str, scopes: Iterable[str] = ()) -> HTTPException:
    """The answer; `dpop` is the setting, `scheme` the one that the client used, if any."""
    status, error, description = REASONS[reason]
    detail = {"error": error, "error_description": description}
    if status == 503:
        return HTTPException(status, detail, {"Retry-After": str(RETRY_AFTER)})
    told = [f'error="{error}"', f'error_description="{description}"']
    if reason == "scope":
        told.append(f'scope="{" ".join(sorted(scopes))}"')
    challenges = []
    if dpop != "required":
        challenges.append(["Bearer", 'realm="api"', *(told if scheme == "bearer" else [])])
    if dpop != "off":
        challenges.append(["DPoP", *(told if scheme == "dpop" else []), ALGS])
    value = ", ".join(f"{name} {', '.join(parameters)}" for name, *parameters in challenges)
    return HTTPException(status, detail, {"WWW-Authenticate": value})


class EventLog:
    """One JSON line per refusal, at most BURST per reason in WINDOW seconds.

    Further ones are counted, and the next line of that reason says how many (`suppressed`): an
    attack can neither flood the log nor hide another reason in it. No token is logged, and subjects
    only as a hash; JSON escapes line breaks.
    """

    BURST = 20
    WINDOW = 10.0

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self.clock = time.monotonic
        self.windows: dict[str, tuple[float, int]] = {}  # by reason: start, refusals since

    def admit(self, reason: str) -> int | None:
        """Count a refusal; None if it is not to be logged, else how many were not before it."""
        now = self.clock()
        start, count = self.windows.get(reason, (now, 0))
        suppressed = 0
        if now - start >= self.WINDOW:
            start, count, suppressed = now, 0, max(0, count - self.BURST)
        self.windows[reason] = start, count + 1
        return suppressed if count < self.BURST else None

    def refused(
        self, refused: Refused, route: str, header: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> None:
        """Log one refusal; `header` and `claims` are what the token says, verified or not."""
        reason, cause = refused.reason, refused.__cause__
        suppressed = self.admit(reason)
        if suppressed is None:
            return
        line = {
            "event": "auth.refused",
            "reason": reason,
            "status": REASONS[reason][0],
            "route": route,
            "kid": _short(header.get("kid")),
            "client_id": _short(claims.get("azp", claims.get("client_id"))),
            "subject": _hashed(claims.get("sub")),
            "cause": type(cause).__name__ if cause else None,
            "suppressed": suppressed or None,
            "hint": HINTS.get(reason),
        }
        told = {name: value for name, value in line.items() if value is not None}
        self.logger.warning("%s", json.dumps(told))


def _short(value: object) -> str | None:
    return value[:80] if isinstance(value, str) else None


def _hashed(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return hashlib.sha256(value.encode()).hexdigest()[:16]
