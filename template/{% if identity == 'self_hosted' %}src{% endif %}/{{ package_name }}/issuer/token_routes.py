"""The public routes: tokens for passwords and refresh tokens, one-time links, metadata and keys."""

from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response

from . import sessions, users
from .answers import NO_STORE, OAuthError, Tokens, unauthorized
from .app import Issuer
from .limits import network_of
from .roles import scopes_of
from .routing import SHARED, FromIssuer, Incoming, Responses
from .sessions import Granted, Verified

router = APIRouter(tags=["public"], **SHARED)
FORM = "application/x-www-form-urlencoded"
WRONG = "Incorrect e-mail or password"
MALFORMED: Responses = {400: {"description": "RFC 6749 5.2"}}
PUBLISHED = {"Cache-Control": "public, max-age=300"}


class Login(Incoming):
    """What a user knows."""

    email: str
    password: str


class RefreshToken(Incoming):
    """The refresh token of the last answer."""

    refresh_token: str


def form_of(*fields: str, required: tuple[str, ...]) -> dict[str, Any]:
    """The OpenAPI description of a form that is read by hand."""
    properties = {field: {"type": "string", "minLength": 1} for field in fields}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}}}}


async def read_form(request: Request) -> dict[str, str]:
    """Parameters as RFC 6749 3.2 has them: none twice; one without a value is as good as absent."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request")
    try:
        text = (await request.body()).decode()
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError:
        raise OAuthError("invalid_request") from None
    fields = dict(pairs)
    if len(fields) != len(pairs) or any("\0" in value for value in fields.values()):
        raise OAuthError("invalid_request")
    return {name: value for name, value in fields.items() if value}


Form = Annotated[dict[str, str], Depends(read_form)]


async def log_in(
    issuer: Issuer, request: Request, email: str, password: str, scope: str = ""
) -> Tokens | None:
    """Open a session for the right password; None for all that is wrong."""
    network = network_of(request)
    try:
        email = users.normal_email(email)
    except ValueError:
        email = ascii(email.strip().lower())[:254]  # limited like any other, and known to nobody
    client = request.headers.get("user-agent", "")

    async def once() -> tuple[Verified | None, Granted | None]:
        verified = await issuer.verify(email, password, network)
        if verified is None:
            return None, None
        if not set(scope.split()) <= scopes_of(verified.row.role):
            raise OAuthError("invalid_scope")
        return verified, await issuer.database.transaction(
            lambda c: sessions.open_session(c, verified, network, client, issuer.lives)
        )

    verified, granted = await once()
    if verified and granted is None:  # the user has changed since: a login replaced an old hash?
        verified, granted = await once()
    if verified is None or granted is None:
        return None
    issuer.events("login", sub=granted.sub, network=network, sid=granted.sid)
    if verified.better:
        issuer.events("password_rehashed", sub=granted.sub, network=network)
    return await issuer.tokens(granted)


async def refresh(issuer: Issuer, request: Request, token: str) -> Tokens | None:
    """Swap a refresh token; None for all that is wrong."""
    network = network_of(request)
    await issuer.limits.check_network("refresh", network)
    try:
        granted = await issuer.database.write(lambda c: sessions.refresh(c, token, issuer.lives))
    except sessions.Reused as reused:
        issuer.events("refresh_reused", sub=reused.sub, sid=reused.sid, network=network)
        granted = None
    if granted is None:
        await issuer.limits.network_failed("refresh", network)
        return None
    issuer.events("refresh", sub=granted.sub, sid=granted.sid, network=network)
    return await issuer.tokens(granted)


@router.post(
    "/auth/token",
    openapi_extra=form_of(
        "grant_type", "username", "password", "refresh_token", "scope", required=("grant_type",)
    ),
    responses=MALFORMED,
)
async def token(request: Request, response: Response, form: Form, issuer: FromIssuer) -> Tokens:
    """Exchange a password (if PASSWORD_GRANT is on) or a refresh token for tokens (RFC 6749)."""
    response.headers.update(NO_STORE)
    grant = form.get("grant_type")
    if grant is None:
        raise OAuthError("invalid_request")
    if grant not in issuer.settings.grant_types:
        raise OAuthError("unsupported_grant_type")
    needed = ("username", "password") if grant == "password" else ("refresh_token",)
    values = [form.get(name) for name in needed]
    known = [value for value in values if value is not None]
    if len(known) != len(needed):
        raise OAuthError("invalid_request")
    if grant == "password":
        tokens = await log_in(issuer, request, known[0], known[1], form.get("scope", ""))
    else:
        tokens = await refresh(issuer, request, known[0])
    if tokens is None:
        raise OAuthError("invalid_grant")
    return tokens


@router.post("/auth/login", responses={401: {"description": WRONG}})
async def login(request: Request, response: Response, body: Login, issuer: FromIssuer) -> Tokens:
    """Log in, in JSON."""
    response.headers.update(NO_STORE)
    tokens = await log_in(issuer, request, body.email, body.password)
    if tokens is None:
        raise unauthorized(WRONG)
    return tokens


@router.post("/auth/refresh", responses={401: {"description": "The refresh token is not good"}})
async def refresh_tokens(
    request: Request, response: Response, body: RefreshToken, issuer: FromIssuer
) -> Tokens:
    """Swap a refresh token for new tokens, in JSON."""
    response.headers.update(NO_STORE)
    tokens = await refresh(issuer, request, body.refresh_token)
    if tokens is None:
        raise unauthorized("The refresh token is not good: log in again")
    return tokens


@router.post(
    "/auth/revoke",
    openapi_extra=form_of("token", "token_type_hint", required=("token",)),
    responses=MALFORMED,
)
async def revoke(request: Request, form: Form, issuer: FromIssuer) -> None:
    """End the session of a refresh token (RFC 7009); an unknown token is as good as revoked."""
    value = form.get("token")
    if value is None:
        raise OAuthError("invalid_request")
    if value.count(".") == 2:
        raise OAuthError("unsupported_token_type")
    row = await issuer.database.write(lambda c: sessions.revoke_token(c, value))
    if row is not None:
        issuer.events("session_revoked", sub=row.sub, sid=row.id, network=network_of(request))


@router.get("/.well-known/openid-configuration")
async def metadata(response: Response, issuer: FromIssuer) -> dict[str, Any]:
    """The metadata of this issuer (OpenID Connect Discovery)."""
    response.headers.update(PUBLISHED)
    return issuer.metadata()


@router.get("/.well-known/jwks.json")
async def jwks(response: Response, issuer: FromIssuer) -> dict[str, Any]:
    """The public signing keys (RFC 7517), the next one too."""
    response.headers.update(PUBLISHED)
    return await issuer.jwks()
