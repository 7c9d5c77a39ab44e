"""The OpenAPI document says what the guard asks for, and Swagger's Authorize button gets a token.

What a route needs is read from the very dependency that guards it, when the document is first asked
for; requests pay nothing. With AUTH0_DOCS_CLIENT_ID the button logs in with Auth0 by authorization
code and PKCE (RFC 7636) and sends `audience`, without which Auth0 issues opaque tokens; without it,
the button takes a pasted token.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from .settings import AuthSettings

Json = dict[str, Any]
Needs = Callable[[object], frozenset[str] | None]  # a dependency: the scopes it needs, if it guards

REFUSAL = {
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "type": "object",
            "required": ["error", "error_description"],
            "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
        }
    },
}


def docs(settings: AuthSettings) -> Json:
    """Arguments for FastAPI: where the documentation is, and how its Authorize button logs in."""
    if not settings.docs_enabled:
        return {"openapi_url": None, "docs_url": None, "redoc_url": None}
    if not settings.auth0_docs_client_id:
        return {}
    login = {
        "clientId": settings.auth0_docs_client_id,
        "usePkceWithAuthorizationCodeGrant": True,
        "additionalQueryStringParams": {"audience": settings.auth0_audience},
    }
    return {"swagger_ui_init_oauth": login}


def declare(app: FastAPI, settings: AuthSettings, scopes: type[StrEnum], needs: Needs) -> None:
    """Add security schemes, needed scopes and refusals to what FastAPI knows of its routes."""
    described = {scope.value: getattr(scope, "description", scope.value) for scope in scopes}
    if app.swagger_ui_init_oauth:
        app.swagger_ui_init_oauth["scopes"] = " ".join(described)
    build = app.openapi

    def openapi() -> Json:
        document = build()
        components = document.setdefault("components", {})
        if "AuthRefusal" not in components.setdefault("schemas", {}):
            components["schemas"]["AuthRefusal"] = REFUSAL
            schemes = security_schemes(settings, described)
            components.setdefault("securitySchemes", {}).update(schemes)
            for operation, needed in guarded(app, document, needs):
                operation["security"] = [{name: sorted(needed)} for name in schemes]
                answers = refusals(needed)
                if "requestBody" in operation:
                    answers["400"] = {"description": "The body cannot be parsed"}
                for status, response in answers.items():
                    operation["responses"].setdefault(status, response)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def security_schemes(settings: AuthSettings, scopes: dict[str, str]) -> Json:
    """How a client proves who it is, in OpenAPI's words: one entry for each accepted scheme."""
    issuer = f"https://{settings.auth0_domain}"
    flow = {
        "authorizationUrl": f"{issuer}/authorize",
        "tokenUrl": f"{issuer}/oauth/token",
        "scopes": scopes,
    }
    bearer: Json = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    if settings.auth0_docs_client_id:
        bearer = {"type": "oauth2", "flows": {"authorizationCode": flow}}
    dpop = {"type": "http", "scheme": "DPoP", "description": "RFC 9449: a token and a proof"}
    schemes = {"auth0": bearer, "dpop": dpop}
    refused = {"off": "dpop", "required": "auth0"}.get(settings.auth0_dpop)
    return {name: scheme for name, scheme in schemes.items() if name != refused}


def guarded(app: FastAPI, document: Json, needs: Needs) -> Iterator[tuple[Json, set[str]]]:
    """Each guarded operation of the document, with the scopes that all its guards need together."""
    for route in iter_route_contexts(app.routes):
        operations = document["paths"].get(route.path_format, {})
        dependant = getattr(route, "dependant", None)
        guards = [needed for call in calls(dependant) if (needed := needs(call)) is not None]
        for method in route.methods or () if guards else ():
            if operation := operations.get(method.lower()):
                yield operation, set().union(*guards)


def calls(dependant: Dependant | None) -> Iterator[object]:
    """Every dependency of a route, however deep."""
    for dependency in dependant.dependencies if dependant else ():
        yield dependency.call
        yield from calls(dependency)


def refusals(needed: set[str]) -> Json:
    """The answers of the guard to a route with these scopes."""
    challenge = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    answers = {
        "401": _refusal("No access token, or one that is not valid", challenge),
        "503": _refusal(
            "Tokens cannot be verified right now", {"Retry-After": {"schema": {"type": "integer"}}}
        ),
    }
    if needed:
        scopes = ", ".join(f"`{scope}`" for scope in sorted(needed))
        answers["403"] = _refusal(f"The access token lacks {scopes}", challenge)
    return answers


def _refusal(description: str, headers: Json) -> Json:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/AuthRefusal"}}}
    return {"description": description, "headers": headers, "content": content}
