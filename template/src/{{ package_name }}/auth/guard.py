"""The guard around Auth0's SDK: every request that needs a token passes here.

The SDK (auth0-fastapi-api) is the only verifier: nothing is accepted that it has not verified. The
guard reads the Authorization header (RFC 6750 2.1, RFC 9449 7.1), refuses what is malformed, sees
to it that the signing keys are at hand, asks the SDK, and answers as the RFCs say. A verified
Bearer token is remembered by the SHA-256 of its header until it expires, for REMEMBER seconds at
most, and forgotten when the keys change.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Container, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from hashlib import sha256
from typing import Any, cast

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_plugin import Auth0FastAPI, VerifyAccessTokenError
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from . import dpop, openapi
from .answers import EventLog, Refused, refusal
from .keys import FRESH, Fetch, Keys
from .settings import AuthSettings
from .tokens import MAX_TOKEN, Claims, Json, check_claims, check_header, parse, view

REMEMBER = FRESH  # so that a token signed with a revoked key is not trusted longer than the key
NOT_REMEMBERED: tuple[float, Claims | None] = (0.0, None)
SCHEMES = {"off": {"bearer"}, "accepted": {"bearer", "dpop"}, "required": {"dpop"}}
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 3.3


class RequireAuth:
    """A dependency that lets in who holds a valid token with all of `scopes`."""

    def __init__(self, scopes: frozenset[str]) -> None:
        self.scopes = scopes

    async def __call__(self, connection: HTTPConnection) -> Claims:
        scope = connection.scope
        guard: Guard = scope["app"].state.guard
        claims: Claims | None = scope.get("auth0.claims") or guard.recall(scope)
        if claims is None:
            claims = await guard.authenticate(connection)
        scope["auth0.claims"] = claims
        if not self.scopes <= claims.scopes:
            scheme, token = credentials(field(scope, b"authorization"), guard.schemes)
            told = parse(token)
            raise guard.refuse(Refused("scope"), connection, scheme, *told, self.scopes)
        return claims


class Door:
    """What routes use; it holds nothing, the guard is the application's (`app.state.guard`)."""

    def require_auth(self, scopes: str | Sequence[str] | None = None) -> RequireAuth:
        """A dependency that gives the Claims of a token with all of `scopes`, or refuses."""
        needed = frozenset([scopes] if isinstance(scopes, str) else scopes or ())
        for scope in needed:
            if not SCOPE.fullmatch(scope):
                raise ValueError(f"{scope!r} is not a scope")
        return RequireAuth(needed)


auth0 = Door()


class TokenFirst:
    """Middleware that has the guards of a route asked before anybody reads the body.

    FastAPI reads and parses the body before it asks dependencies. So who lacks a token would learn
    what is wrong with the body, and could fill the memory with it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def judged_receive() -> Message:
            if "auth0.claims" not in scope:
                await ask_guards(scope)
            return await receive()

        await self.app(scope, judged_receive if scope["type"] == "http" else receive, send)


async def ask_guards(scope: Scope) -> None:
    """Let each guard of the matched route refuse; if a test overrides some, FastAPI asks them."""
    overridden = getattr(scope["app"], "dependency_overrides", {})
    for call in openapi.calls(getattr(matched(scope), "dependant", None)):
        if isinstance(call, RequireAuth) and not overridden:
            await call(HTTPConnection(scope))


def matched(scope: Scope) -> Any:
    """The route of a request, with the path and the dependencies that its routers add."""
    route = scope.get("route")
    context = scope.get("fastapi", {}).get("effective_route_context")
    return context if getattr(context, "original_route", None) is route else route


class Guard:
    """The guard of one application: its settings, keys, remembered tokens and used proofs."""

    def __init__(self, settings: AuthSettings, *, fetch: Fetch | None = None) -> None:
        self.settings = settings
        self.schemes = SCHEMES[settings.auth0_dpop]
        self.log = EventLog(logging.getLogger(__name__))
        self.remembered: dict[bytes, tuple[float, Claims]] = {}
        domains = list(dict.fromkeys([settings.auth0_domain, *settings.auth0_custom_domains]))
        self.keys = Keys(domains, fetch, self.remembered.clear)
        self.proofs = dpop.replay_store(settings.redis_url)
        self.sdk = Auth0FastAPI(
            domain=settings.auth0_domain,
            audience=settings.auth0_audience,
            domains=domains if len(domains) > 1 else None,
            custom_fetch=self.keys.fetch,
            cache_adapter=self.keys,
            dpop_enabled=settings.auth0_dpop != "off",
            dpop_required=settings.auth0_dpop == "required",
            dpop_iat_offset=dpop.MAX_AGE,
            dpop_iat_leeway=dpop.LEEWAY,
        )

    # ------------------------------------------------------------------------------- for main.py

    def docs(self) -> dict[str, Any]:
        """Arguments for FastAPI about its documentation."""
        return openapi.docs(self.settings)

    def protect(self, app: FastAPI, scopes: type[StrEnum]) -> None:
        """Make this the guard of `app`; its OpenAPI document declares `scopes` and refusals."""
        app.state.guard = self
        openapi.declare(app, self.settings, scopes, needed_scopes)
        app.add_exception_handler(RequestValidationError, invalid_request)
        app.add_middleware(TokenFirst)
        if self.settings.trusted_proxies:
            app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=self.settings.trusted_proxies)
        if self.settings.cors_origins:
            app.add_middleware(
                CORSMiddleware,
                allow_origins=self.settings.cors_origins,
                allow_methods=["*"],
                allow_headers=["*"],  # and no cookies: what a request may do is in its token
                expose_headers=["*"],
            )

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Fetch the keys now and keep them fresh; nobody waits, so Auth0 may be down at start."""
        refreshing = asyncio.create_task(self.keys.keep_fresh())
        try:
            yield
        finally:
            refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await refreshing
            await self.keys.close()
            await self.proofs.close()

    def ready(self) -> bool:
        """The signing keys of every domain are at hand."""
        return self.keys.ready()

    # ---------------------------------------------------------------------------- for each request

    def recall(self, scope: Scope) -> Claims | None:
        """The claims of a remembered Bearer token: the way of most requests, so a short one."""
        values = field(scope, b"authorization")
        if len(values) != 1 or len(values[0]) > MAX_TOKEN:
            return None
        until, claims = self.remembered.get(sha256(values[0]).digest(), NOT_REMEMBERED)
        return claims if time.time() < until else None

    def _remember(self, value: bytes, claims: Claims) -> None:
        if size := self.settings.auth0_token_cache_size:
            if len(self.remembered) >= size:
                del self.remembered[next(iter(self.remembered))]
            until = min(claims.expires_at, time.time() + REMEMBER)
            self.remembered[sha256(value).digest()] = until, claims

    async def authenticate(self, connection: HTTPConnection) -> Claims:
        """The claims of the request's token, verified."""
        values = field(connection.scope, b"authorization")
        scheme, header, payload = "", Json(), Json()
        try:
            scheme, token = credentials(values, self.schemes)
            header, payload = parse(token)
            check_header(header, self.settings.auth0_token_dialect)
            check_claims(payload, self.keys.issuers, self.settings.auth0_audience, time.time())
            await self.keys.issuers[payload["iss"]].find(header["kid"])
            if scheme == "dpop":
                return await self._verify_dpop(token, payload, connection)
            claims = await self._verify_bearer(token, payload)
        except Refused as refused:
            raise self.refuse(refused, connection, scheme, header, payload) from refused
        self._remember(values[0], claims)
        return claims

    async def _verify_bearer(self, token: bytes, payload: Json) -> Claims:
        if payload.get("cnf") is not None:
            raise Refused("bound_token")
        try:
            verified = await self.sdk.api_client.verify_access_token(token.decode("ascii"))
        except Exception as error:
            raise Refused("signature") from error
        return self._view(verified, payload)

    async def _verify_dpop(self, token: bytes, payload: Json, connection: HTTPConnection) -> Claims:
        cnf = payload.get("cnf")
        if not (isinstance(cnf, dict) and isinstance(cnf.get("jkt"), str)):
            raise Refused("unbound_token")
        proofs = field(connection.scope, b"dpop")
        proof_claims = dpop.check_proof(proofs)
        try:
            verified = await self.sdk.api_client.verify_request(
                headers={"authorization": f"DPoP {token.decode()}", "dpop": proofs[0].decode()},
                http_method=connection.scope.get("method", "GET"),
                http_url=dpop.client_url(connection, self.settings.public_url),
            )
        except VerifyAccessTokenError as error:
            raise Refused("signature") from error
        except Exception as error:
            raise Refused("proof") from error
        claims = self._view(verified, payload)
        if not await self.proofs.first_use(dpop.proof_key(proof_claims, token)):
            raise Refused("proof_replayed")
        return claims

    def _view(self, verified: Json, payload: Json) -> Claims:
        if verified != payload:  # what was checked must be what was verified
            raise Refused("signature")
        return view(payload, self.settings.auth0_authorization)

    def refuse(
        self,
        refused: Refused,
        connection: HTTPConnection,
        scheme: str,
        header: Mapping[str, Any],
        payload: Mapping[str, Any],
        scopes: frozenset[str] = frozenset(),
    ) -> HTTPException:
        """The answer to a refused request, which is logged."""
        scope = connection.scope
        path = scope.get("root_path", "") + getattr(matched(scope), "path", "?")
        route = f"{scope.get('method', 'WEBSOCKET')} {path}"
        self.log.refused(refused, route, header, payload)
        return refusal(refused.reason, self.settings.auth0_dpop, scheme, scopes)


def needed_scopes(dependency: object) -> frozenset[str] | None:
    """The scopes that a dependency asks for; None if it is not of the guard."""
    return dependency.scopes if isinstance(dependency, RequireAuth) else None


async def invalid_request(request: Request, error: Exception) -> Response:
    """FastAPI's 422, also where it would quote what JSON cannot say, such as NaN."""
    try:
        return await request_validation_exception_handler(request, cast(Any, error))
    except (ValueError, RecursionError):
        detail = [{"type": "json_invalid", "loc": ["body"], "msg": "The body is not valid"}]
        return JSONResponse({"detail": detail}, 422)


def field(scope: Scope, name: bytes) -> list[bytes]:
    """The values of a header, one for each time that it was sent."""
    return [value for key, value in scope["headers"] if key == name]


def credentials(values: list[bytes], schemes: Container[str]) -> tuple[str, bytes]:
    """Scheme, in lower case, and token of the one Authorization header (RFC 9110 11.6.2)."""
    if len(values) > 1:
        raise Refused("ambiguous_credentials")
    scheme, _, token = values[0].partition(b" ") if values else (b"", b"", b"")
    name = scheme.decode("latin-1").lower()
    if not token or name not in schemes:
        raise Refused("no_credentials")
    return name, token.strip(b" ")
