"""Output: tokens, OAuth 2 errors (RFC 6749 5.2), and events for the log."""

import json
import logging
from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel

from ..auth.refusals import RefusalLog, hashed

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


def event_line(event: str, *, email: str | None = None, sub: str | None = None, **more: Any) -> str:
    """Return an event as a line of JSON, without the fields that are None."""
    line = {"event": f"issuer.{event}", **more, "email": hashed(email), "subject": hashed(sub)}
    present = {name: value for name, value in line.items() if value is not None}
    return json.dumps(present, default=str)


class Events:
    """Logs one JSON line per event.

    It thins refusals of one network as the guard does. It never thins changes of state: a flood
    must not hide a takeover.
    """

    REFUSALS = frozenset({"login_failed", "login_limited"})

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self.refusals = RefusalLog(logger)

    def __call__(self, event: str, *, network: str = "", **fields: Any) -> None:
        if event in self.REFUSALS:
            if len(self.refusals.windows) > 10_000:  # networks: forget them, which logs more
                self.refusals.windows.clear()
            suppressed = self.refusals.suppressed((event, network))
            if suppressed is None:
                return
            fields["suppressed"] = suppressed or None
        self.logger.disabled = False  # as a dictConfig leaves loggers that it does not name
        self.logger.info("%s", event_line(event, network=network or None, **fields))
