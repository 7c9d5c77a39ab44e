"""Responses to refused requests, and their log lines.

RFC 6750 3 for Bearer and RFC 9449 7.1 for DPoP: every 401 and 403 carries a challenge for each
scheme that the API accepts, and the challenge of the scheme that the client used names the error. A
client without credentials gets bare challenges. Without signing keys the token may well be good, so
that is 503 with Retry-After.

All texts are fixed. Nothing from a token or an exception is sent back: such text could break the
header, and with it the connection.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from opentelemetry.metrics import get_meter

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
    "store_unavailable": "REDIS_URL does not answer, or is not set and the memory is full",
}


COUNTER = get_meter(__package__).create_counter(
    "auth.refusals", unit="{request}", description="Refused requests, by reason"
)


class Refused(HTTPException):
    """The request is refused: `reason` is a key of REASONS; `claim`, `scopes` say what is at fault.

    It is an HTTPException because FastAPI answers 400 to any other one while it reads a body.
    """

    def __init__(self, reason: str, *, claim: str = "", scopes: Iterable[str] = ()) -> None:
        status, error, description = REASONS[reason]
        super().__init__(status, {"error": error, "error_description": description})
        self.reason, self.claim, self.scopes = reason, claim, sorted(scopes)


def response_to(refused: Refused, dpop: str, scheme: str) -> JSONResponse:
    """Build the response; `dpop` is the setting, `scheme` the one that the client used, if any."""
    status, error, description = REASONS[refused.reason]
    content = {"detail": refused.detail}
    if status == 503:
        return JSONResponse(content, status, {"Retry-After": str(RETRY_AFTER)})
    parameters = [f'error="{error}"', f'error_description="{description}"']
    if refused.scopes:
        parameters.append(f'scope="{" ".join(refused.scopes)}"')
    challenges = []
    if dpop != "required":
        challenges.append(["Bearer", 'realm="api"', *(parameters if scheme == "bearer" else [])])
    if dpop != "off":
        challenges.append(["DPoP", *(parameters if scheme == "dpop" else []), ALGS])
    value = ", ".join(f"{name} {', '.join(rest)}" for name, *rest in challenges)
    return JSONResponse(content, status, {"WWW-Authenticate": value})


class RefusalLog:
    """One JSON line per refusal, at most BURST per reason in WINDOW seconds.

    Further ones are counted, and the next line of that reason has the number (`suppressed`): an
    attack can neither flood the log nor hide another reason in it. No token is logged, and subjects
    only as a hash; JSON escapes line breaks.
    """

    BURST = 20
    WINDOW = 10.0

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self.clock = time.monotonic
        self.windows: dict[str, tuple[float, int]] = {}  # by reason: start, refusals since

    def write(
        self, refused: Refused, route: str, header: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> None:
        """Count and log one refusal; `header` and `claims` are of the token, verified or not."""
        COUNTER.add(1, {"reason": refused.reason})
        reason, cause, now = refused.reason, refused.__cause__, self.clock()
        start, count = self.windows.get(reason, (now, 0))
        suppressed = 0
        if now - start >= self.WINDOW:
            start, count, suppressed = now, 0, max(0, count - self.BURST)
        self.windows[reason] = start, count + 1
        if count >= self.BURST:
            return
        line = {
            "event": "auth.refused",
            "reason": reason,
            "claim": refused.claim or None,
            "status": refused.status_code,
            "route": route,
            "kid": _short(header.get("kid")),
            "client_id": _short(claims.get("azp", claims.get("client_id"))),
            "subject": _hashed(claims.get("sub")),
            "cause": type(cause).__name__ if cause else None,
            "suppressed": suppressed or None,
            "hint": HINTS.get(reason),
        }
        present = {name: value for name, value in line.items() if value is not None}
        warn(self.logger, json.dumps(present))


def warn(logger: logging.Logger, message: str) -> None:
    """Log a warning, also where a dictConfig has silenced all loggers that it does not name."""
    logger.disabled = False
    logger.warning("%s", message)


def _short(value: object) -> str | None:
    return value[:80] if isinstance(value, str) else None


def _hashed(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return hashlib.sha256(value.encode()).hexdigest()[:16]
