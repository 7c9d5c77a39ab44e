"""Prepares an application at startup, so that its routes can ask the guard."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from . import openapi
from .dependency import RefusalFirst, TokenFirst, answer
from .guard import Guard
from .refusals import Refused
from .settings import AuthSettings


def protect(app: FastAPI, guard: Guard, scopes: type[StrEnum]) -> None:
    """Make `guard` the guard of `app`; its OpenAPI document declares `scopes` and refusals."""
    app.state.guard = guard
    openapi.declare(app, guard.settings, scopes)
    app.add_exception_handler(Refused, answer)
    app.add_exception_handler(RequestValidationError, invalid_request)
    app.add_middleware(TokenFirst)
    around(app, RefusalFirst)


def around(app: FastAPI, middleware: Callable[..., ASGIApp], **options: Any) -> None:
    """Put a middleware around all others, including FastAPI's own, which answer 413 and 500."""
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: middleware(build(), **options)  # type: ignore[method-assign]


def docs(settings: AuthSettings) -> dict[str, Any]:
    """Return arguments for FastAPI: the documentation's URLs, and how its button logs in."""
    if not settings.docs_enabled:
        return {"openapi_url": None, "docs_url": None, "redoc_url": None}
    if not settings.docs_client_id:
        return {}
    login = {
        "clientId": settings.docs_client_id,
        "usePkceWithAuthorizationCodeGrant": True,
        "additionalQueryStringParams": {"audience": settings.audience},
    }
    return {"swagger_ui_init_oauth": login}


async def invalid_request(request: Request, error: Exception) -> Response:
    """Answer FastAPI's 422, even if it would quote what JSON cannot express, such as NaN."""
    try:
        return await request_validation_exception_handler(request, cast(Any, error))
    except (ValueError, RecursionError):
        detail = [{"type": "json_invalid", "loc": ["body"], "msg": "The body is not valid"}]
        return JSONResponse({"detail": detail}, 422)
