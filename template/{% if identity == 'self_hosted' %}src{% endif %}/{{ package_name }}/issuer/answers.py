"""Output: tokens, OAuth 2 errors (RFC 6749 5.2), and events for the log."""

import json
import logging
import time
from hashlib import sha256
from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel

log = logging.getLogger(__name__)
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="api"'}
NO_STORE = {"Cache-Control": "no-store"}
OAUTH_ERRORS = {
    "invalid_request": "A parameter is missing, repeated or malformed",
    "invalid_grant": "The credentials or the refresh token are not good",
    "unsupported_grant_type": "grant_type is not supported here",
    "unsupported_token_type": "Access tokens expire; revoke the refresh token",
    "invalid_scope": "The user may not have one of the scopes",
}


class Tokens(BaseModel):
    """An access token, and a refresh token, which replaces the one that was sent."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  the name of a scheme
    expires_in: int
    refresh_token: str
    scope: str


class OAuthError(HTTPException):
    """A 400 of RFC 6749 5.2: `{"error": …}` without `detail` around it."""

    def __init__(self, error: str) -> None:
        body = {"error": error, "error_description": OAUTH_ERRORS[error]}
        super().__init__(400, body, NO_STORE)


def unauthorized(text: str) -> HTTPException:
    return HTTPException(401, text, CHALLENGE | NO_STORE)


def limited(seconds: float) -> HTTPException:
    """Return a 429, with the time after which a new attempt makes sense."""
    headers = {"Retry-After": str(max(1, round(seconds + 0.5))), **NO_STORE}
    return HTTPException(429, "Too many attempts: try again later", headers)


def unavailable() -> HTTPException:
    return HTTPException(503, "Try again in a moment", {"Retry-After": "5"})


def hashed(value: str) -> str:
    """Hash an e-mail or subject for the log, where it can be matched but not read."""
    return sha256(value.encode()).hexdigest()[:16]


def event_line(event: str, *, email: str | None = None, sub: str | None = None, **more: Any) -> str:
    """Return an event as a line of JSON, without the fields that are None."""
    line = {"event": f"issuer.{event}", **more}
    line |= {"email": email and hashed(email), "subject": sub and hashed(sub)}
    told = {name: value for name, value in line.items() if value is not None}
    return json.dumps(told, default=str)


class Events:
    """Logs one JSON line per event, like the guard's log.

    It thins refusals: BURST per event and network in WINDOW seconds, and the next line says how
    many were left out. It never thins changes of state: a flood must not hide a takeover.
    """

    BURST = 20
    WINDOW = 10.0
    REFUSALS = frozenset({"login_failed", "login_limited"})

    def __init__(self) -> None:
        self.windows: dict[tuple[str, str], tuple[float, int]] = {}

    def __call__(self, event: str, *, network: str = "", **fields: Any) -> None:
        if event in self.REFUSALS:
            suppressed = self._count(event, network)
            if suppressed is None:
                return
            fields["suppressed"] = suppressed or None
        log.disabled = False  # even if a dictConfig has silenced all loggers that it does not name
        log.info("%s", event_line(event, network=network or None, **fields))

    def _count(self, event: str, network: str) -> int | None:
        """Return None to leave this one out, else how many were left out since the last line."""
        current = time.monotonic()
        if len(self.windows) > 10_000:  # many networks: forget them, which logs more, not less
            self.windows.clear()
        start, count = self.windows.get((event, network), (current, 0))
        suppressed = 0
        if current - start >= self.WINDOW:
            start, count, suppressed = current, 0, max(0, count - self.BURST)
        self.windows[event, network] = start, count + 1
        return suppressed if count < self.BURST else None
