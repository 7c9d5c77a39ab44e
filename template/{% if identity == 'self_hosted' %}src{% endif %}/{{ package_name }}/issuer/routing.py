"""Shared by the issuer's routes: the visit, strict bodies, answers that echo nothing."""

from collections.abc import Awaitable, Callable, Coroutine
from ipaddress import ip_address
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..units import Database, lost
from . import users
from .answers import OAuthError
from .app import Issuer
from .limits import Limits, network_of

Responses = dict[int | str, dict[str, Any]]  # for OpenAPI
TOLD = ("type", "loc", "msg")  # of a validation error: not the input
HSTS = (b"strict-transport-security", b"max-age=31536000")


class Visitor:
    """A request as the issuer sees it: its origin, and the work to do after the answer."""

    def __init__(self, request: Request, tasks: BackgroundTasks) -> None:
        self.issuer: Issuer = request.app.state.issuer
        self.database: Database = self.issuer.database
        self.limits: Limits = self.issuer.limits
        self.network, self.client = network_of(request), request.headers.get("user-agent", "")
        self.request, self.tasks = request, tasks

    def later(self, work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Work after the answer; a lost database is then only a line in the log."""

        async def quietly() -> None:
            try:
                await work(*arguments)
            except SQLAlchemyError as error:
                await lost(self.request, error)

        self.tasks.add_task(quietly)

    def event(self, event: str, **fields: Any) -> None:
        self.issuer.events(event, network=self.network, **fields)


async def visitor(request: Request, tasks: BackgroundTasks) -> Visitor:
    """Make the visitor here, because `Depends(Visitor)` would run in a thread, as a `def` does."""
    return Visitor(request, tasks)


Visit = Annotated[Visitor, Depends(visitor)]


class Incoming(BaseModel):
    """A body: refuses unknown members; its validation errors do not quote the input."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class IssuerRoute(APIRoute):
    """A route whose errors never quote a password, and that production serves only over TLS."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            issuer: Issuer = request.app.state.issuer
            production = issuer.settings.environment == "production"
            if production and self.path.startswith("/auth/") and in_clear(request):
                return JSONResponse({"detail": "Use https"}, 403)
            try:
                return await handle(request)
            except RequestValidationError as error:
                detail = [{name: one[name] for name in TOLD} for one in error.errors()]
                return JSONResponse({"detail": detail}, 422)
            except OAuthError as error:
                return JSONResponse(error.detail, error.status_code, error.headers)

        return answer


class StrictTransport:
    """Middleware that adds HSTS to answers over TLS, also to those of no route (RFC 6797)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start" and not in_clear(HTTPConnection(scope)):
                message["headers"] = [*message["headers"], HSTS]
            await send(message)

        await self.app(scope, receive, send_with_header)


LARGE: Responses = {413: {"description": "The body is larger than 16 KB"}}
LATER = {"description": "Not now: Retry-After says when"}
SHARED: dict[str, Any] = {  # by the routers of the issuer
    "route_class": IssuerRoute,
    "max_body_size": 16_384,  # counted while it is read
    "responses": LARGE,
}
LIMITED = SHARED | {"responses": LARGE | {429: LATER, 503: LATER}}


def in_clear(connection: HTTPConnection) -> bool:
    """Return whether it came by http from another machine; main.py has dealt with proxies."""
    if connection.scope["scheme"] == "https":
        return False
    try:
        return not ip_address(connection.client.host if connection.client else "").is_loopback
    except ValueError:
        return True


def refused_value(field: str, why: str) -> HTTPException:
    """Return a 422, in FastAPI's form, for a value that has the right type."""
    return HTTPException(422, [{"type": "value_error", "loc": ["body", field], "msg": why}])


def checked_email(text: str) -> str:
    """Return the canonical form of an address, or raise a 422 that says what is wrong with it."""
    try:
        return users.normal_email(text)
    except ValueError as error:
        raise refused_value("email", str(error)) from None


async def new_hash(issuer: Issuer, password: str, email: str) -> str:
    """Return the hash of a new password, or refuse it."""
    if why := issuer.password_problem(password, email):
        raise refused_value("password", why)
    return await issuer.gate.hash(password)
