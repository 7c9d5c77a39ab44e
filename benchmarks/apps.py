"""The same one route, open and behind each way to verify a token: what the benchmarks compare.

Each application does the same work but for its dependency. The guard comes from the rendered
project, which `harness.rendered_project` must have made importable before anything here is called.
PyJWT and joserfc are what one writes by hand: the key is at hand, found by its id; algorithm,
issuer, audience and expiry are checked. They fetch nothing, so they say nothing about keys.
"""

import warnings
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import jwt
from authlib.deprecate import AuthlibDeprecationWarning  # type: ignore[import-untyped]
from fastapi import Depends, FastAPI, HTTPException, Request
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel

from harness import PACKAGE

warnings.filterwarnings("ignore", category=AuthlibDeprecationWarning)  # the SDK's, at each start

PATH = "/api/measured"
Fetch = Callable[[str], Awaitable[dict[str, Any]]] | None
Build = Callable[[Any, Fetch], FastAPI]  # a tenant of the project's tests, and how to fetch from it


class Message(BaseModel):
    """What the route answers."""

    message: str


def one_route(dependency: Any = None, **options: Any) -> FastAPI:
    """An application whose only route needs what `dependency` gives."""
    app = FastAPI(openapi_url=None, **options)

    @app.get(PATH, dependencies=[Depends(dependency)] if dependency else [])
    async def measured() -> Message:
        return Message(message="Hello.")

    return app


def open_route(tenant: Any, fetch: Fetch) -> FastAPI:
    return one_route()


def no_op(tenant: Any, fetch: Fetch) -> FastAPI:
    """What FastAPI itself takes for a dependency: nothing can be faster."""

    async def nothing(request: Request) -> None:
        pass

    return one_route(nothing)


def guard(tenant: Any, fetch: Fetch) -> FastAPI:
    """The rendered project's guard, with its defaults."""
    auth = import_module(f"{PACKAGE}.auth")
    settings = import_module(f"{PACKAGE}.settings").Settings(
        _env_file=None, auth0_domain=tenant.domain, auth0_audience=tenant.audience
    )
    guard = auth.Guard(settings, fetch=fetch)
    app = one_route(auth.auth0.require_auth(), lifespan=guard.lifespan)
    auth.protect(app, guard, import_module(f"{PACKAGE}.scopes").Scope)
    return app


def sdk(tenant: Any, fetch: Fetch) -> FastAPI:
    """Auth0's SDK alone, with its defaults."""
    auth0_fastapi = import_module("fastapi_plugin").Auth0FastAPI
    auth0 = auth0_fastapi(domain=tenant.domain, audience=tenant.audience, custom_fetch=fetch)
    return one_route(auth0.require_auth())


def sdk_with_keys(tenant: Any, fetch: Fetch) -> FastAPI:
    """Auth0's SDK with the keys of a guard at hand, and nothing else: what it takes to verify."""
    app = guard(tenant, fetch)

    async def verified(request: Request) -> dict[str, Any]:
        client = app.state.guard.sdk.api_client
        claims: dict[str, Any] = await client.verify_access_token(bearer(request))
        return claims

    return one_route(verified, lifespan=lambda _: app.router.lifespan_context(app))


def bearer(request: Request) -> str:
    """The token of the Authorization header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401)
    return token


def pyjwt(tenant: Any, fetch: Fetch) -> FastAPI:
    """Hand-written, with PyJWT."""
    keys = jwt.PyJWKSet.from_dict(tenant.own_documents()[tenant.jwks_uri])
    by_id = {key.key_id: key for key in keys.keys}

    async def verified(request: Request) -> dict[str, Any]:
        token = bearer(request)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                by_id[jwt.get_unverified_header(token)["kid"]],
                algorithms=["RS256"],
                audience=tenant.audience,
                issuer=tenant.issuer,
            )
        except (jwt.PyJWTError, KeyError) as error:
            raise HTTPException(401) from error
        return claims

    return one_route(verified)


def joserfc(tenant: Any, fetch: Fetch) -> FastAPI:
    """Hand-written, with joserfc."""
    keys = KeySet.import_key_set(tenant.own_documents()[tenant.jwks_uri])
    registry = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": tenant.issuer},
        aud={"essential": True, "value": tenant.audience},
        exp={"essential": True},
    )

    async def verified(request: Request) -> dict[str, Any]:
        try:
            token = joserfc_jwt.decode(bearer(request), keys, algorithms=["RS256"])
            registry.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise HTTPException(401) from error
        return token.claims

    return one_route(verified)


APPS: dict[str, Build] = {
    "open route": open_route,
    "no-op dependency": no_op,
    "guard": guard,
    "SDK alone": sdk,
    "SDK, keys at hand": sdk_with_keys,
    "PyJWT by hand": pyjwt,
    "joserfc by hand": joserfc,
}
