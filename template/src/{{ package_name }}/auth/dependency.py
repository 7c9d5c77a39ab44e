"""The dependency of guarded routes, `Depends(auth0.require_auth(scopes=...))`, and when it runs.

A route may also state scopes in FastAPI's own way, `Security(auth0.require_auth(), scopes=[...])`,
at any level: application, router, decorator, parameter, or a dependency around the guard.
"""

import re
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.security import SecurityScopes
from opentelemetry.trace import get_current_span
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .guard import Guard, presented
from .refusals import Refused, response_to
from .token import Claims

SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 3.3
NONE_STATED = SecurityScopes()
FROM_HEADERS = {400, 413, 415}  # answers that FastAPI may give from a request's headers alone


class RequireAuth:
    """Requires a valid token with all `scopes`; returns its claims."""

    def __init__(self, scopes: frozenset[str]) -> None:
        self.scopes = scopes

    async def __call__(
        self, connection: HTTPConnection, stated: SecurityScopes = NONE_STATED
    ) -> Claims:
        return await self.check(connection.scope, self.scopes.union(stated.scopes))

    async def check(self, scope: Scope, needed: frozenset[str]) -> Claims:
        """Return the claims of the request's token, or raise Refused."""
        guard: Guard = scope["app"].state["guard"]  # as an attribute it would take thrice as long
        known: tuple[Guard, Claims] | None = scope.get("auth0")
        if known is None or known[0] is not guard:
            known = scope["auth0"] = guard, await guard.authenticate(scope)
        claims = known[1]
        if not needed <= claims.scopes:
            raise Refused("scope", scopes=needed)
        return claims


class Auth:
    """The interface for routes. It holds no state: the guard is in `app.state.guard`."""

    def require_auth(self, scopes: str | Sequence[str] | None = None) -> RequireAuth:
        """Return a dependency that requires a valid token with all `scopes`."""
        needed = frozenset([scopes] if isinstance(scopes, str) else scopes or ())
        if scopes is not None and not all(map(SCOPE.fullmatch, needed or {""})):
            raise ValueError(f"{scopes!r} is not a scope, or a list of scopes")
        return RequireAuth(needed)


auth0 = Auth()
require_auth = auth0.require_auth


def guards(
    dependant: Dependant | None, stated: frozenset[str] = frozenset()
) -> Iterator[tuple[RequireAuth, frozenset[str]]]:
    """Yield each guard of a route, however deep, and the scopes that it needs there."""
    for dependency in dependant.dependencies if dependant else ():
        needed = stated.union(dependency.own_oauth_scopes or ())
        if isinstance(dependency.call, RequireAuth):
            yield dependency.call, dependency.call.scopes | needed
        yield from guards(dependency, needed)


class TokenFirst:
    """Middleware that asks a route's guards before the first byte of the body is read.

    FastAPI reads the whole body into memory before it runs dependencies. Without this, anybody
    could fill the memory without a token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        async def checked_receive() -> Message:
            await ask_guards(scope)
            return await receive()

        return self.app(scope, checked_receive if scope["type"] == "http" else receive, send)


class RefusalFirst:
    """Middleware around CORS and FastAPI's own, which act on a request's headers alone.

    They answer 400 to a multipart body without a boundary and 413 to one above `max_body_size`;
    without a token it must be 401 or 403. They put the query, where clients put tokens, into spans.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and scope["query_string"]:
            get_current_span().set_attribute("url.query", "REDACTED")
        if scope.get("method", "GET") in ("GET", "HEAD"):  # no body
            return self.app(scope, receive, send)
        refused: Refused | None = None

        async def checked_send(message: Message) -> None:
            nonlocal refused
            if message.get("status") in FROM_HEADERS:
                try:
                    await ask_guards(scope)
                except Refused as error:
                    refused = error
                    given = scope["app"].exception_handlers[Refused](Request(scope), error)
                    refusal = given if isinstance(given, Response) else await given
                    refusal.raw_headers += [h for h in message["headers"] if b"content" not in h[0]]
                    await refusal(scope, receive, send)
            if refused is None:
                await send(message)

        return self.app(scope, receive, checked_send)


async def ask_guards(scope: Scope) -> None:
    """Let each guard of the matched route refuse; if a test overrides any, FastAPI asks all."""
    if not getattr(scope["app"], "dependency_overrides", {}):
        for guard, needed in guards(getattr(matched(scope), "dependant", None)):
            await guard.check(scope, needed)


def matched(scope: Scope) -> Any:
    """Return the route of a request, with the path and the dependencies that its routers add.

    FastAPI does not document the key that holds those. Without it, return the route as its own
    router knows it: FastAPI then asks guards of outer routers after the body is read, and the log
    names the path without their prefixes.
    """
    route = scope.get("route")
    context = scope.get("fastapi", {}).get("effective_route_context")
    return context if getattr(context, "original_route", None) is route else route


async def answer(connection: HTTPConnection, refused: Exception) -> Response:
    """Answer and log a refused request: the exception handler of Refused."""
    assert isinstance(refused, Refused)  # noqa: S101
    scope = connection.scope
    guard: Guard = scope["app"].state.guard
    scheme, header, payload = presented(scope, guard.schemes)
    known, claims = scope.get("auth0", (None, None))
    if known is guard:  # a scope is missing; the credentials may not be a Bearer token
        payload = claims
    if "auth0.refused" not in scope:
        scope["auth0.refused"] = refused
        path = scope.get("root_path", "") + getattr(matched(scope), "path", "?")
        route = f"{scope.get('method', 'WEBSOCKET')} {path}"
        guard.log.write(refused, route, header, payload)
    return response_to(refused, guard.settings.dpop, scheme)
