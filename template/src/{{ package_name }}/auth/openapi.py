"""The OpenAPI document: what the guard requires, and how Swagger's Authorize button gets a token.

What a route needs is read from the dependency that guards it, when the document is first asked for.
With AUTH0_DOCS_CLIENT_ID the button logs in by authorization code and PKCE (RFC 7636) and sends
`audience`, without which Auth0 issues opaque tokens. Without it, the button takes a pasted token.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from .dependency import guards
from .settings import AuthSettings

Json = dict[str, Any]

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


def declare(app: FastAPI, settings: AuthSettings, scopes: type[StrEnum]) -> None:
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
            for operation, needed in guarded(app, document):
                operation["security"] = [{name: sorted(needed)} for name in schemes]
                answers = refusals(needed)
                if "requestBody" in operation:
                    answers["400"] = {"description": "The body cannot be parsed"}
                for status, response in answers.items():
                    operation["responses"].setdefault(status, response)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def security_schemes(settings: AuthSettings, scopes: dict[str, str]) -> Json:
    """Return how a client authenticates; Swagger can use Bearer tokens, but none of DPoP."""
    bearer: Json = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    if flows := settings.login_flows:
        flows = {name: {**flow, "scopes": scopes} for name, flow in flows.items()}
        bearer = {"type": "oauth2", "flows": flows}
    if settings.dpop == "accepted":
        bearer["description"] = "A token that is bound to a key comes with a DPoP proof (RFC 9449)."
    if settings.dpop == "required":
        told = "A token that is bound to a key, and a proof (RFC 9449), which Swagger cannot make."
        return {"dpop": {"type": "http", "scheme": "DPoP", "description": told}}
    return {settings.security_scheme: bearer}


def guarded(app: FastAPI, document: Json) -> Iterator[tuple[Json, set[str]]]:
    """Yield each guarded operation, with the scopes that all its guards need together."""
    for route in iter_route_contexts(app.routes):
        operations = document["paths"].get(route.path_format, {})
        needs = [needed for _, needed in guards(getattr(route, "dependant", None))]
        for method in route.methods or () if needs else ():
            if operation := operations.get(method.lower()):
                yield operation, set().union(*needs)


def refusals(needed: set[str]) -> Json:
    """Return the responses of the guard to a route with these scopes."""
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
