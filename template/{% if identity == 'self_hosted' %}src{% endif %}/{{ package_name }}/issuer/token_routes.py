"""The public routes: tokens for passwords and refresh tokens, revocation, metadata and keys."""

from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response

from . import sessions, users
from .answers import OAuthError, Tokens, unauthorized
from .roles import scopes_of
from .routing import LIMITED, Incoming, Responses, Visit
from .sessions import Granted, Verified

router = APIRouter(tags=["public"], **LIMITED)
FORM = "application/x-www-form-urlencoded"
WRONG = "Incorrect e-mail or password"
BAD = "The refresh token is not good"
MALFORMED: Responses = {400: {"description": "RFC 6749 5.2"}}


def cached(policy: str) -> Any:
    """A dependency that says how long others may cache an answer."""

    async def add(response: Response) -> None:
        response.headers["Cache-Control"] = policy

    return Depends(add)


SECRET, PUBLISHED = cached("no-store"), cached("public, max-age=300")


class Login(Incoming):
    """A user's e-mail and password."""

    email: str
    password: str


class RefreshToken(Incoming):
    """The refresh token from the last answer."""

    refresh_token: str


def form_of(*fields: str) -> dict[str, Any]:
    """Describe in OpenAPI a form that `read_form` reads; its first field is required."""
    properties = {field: {"type": "string", "minLength": 1} for field in fields}
    schema = {"type": "object", "properties": properties, "required": [fields[0]]}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}}}}


async def read_form(request: Request) -> dict[str, str]:
    """Read parameters by RFC 6749 3.2: none twice; one without a value counts as absent."""
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


def needed(form: dict[str, str], name: str) -> str:
    """Return a required parameter."""
    if name not in form:
        raise OAuthError("invalid_request")
    return form[name]


async def log_in(visit: Visit, email: str, password: str, scope: str = "") -> Tokens | None:
    """Open a session for the right password; return None if anything is wrong."""
    issuer = visit.issuer
    try:
        email = users.normal_email(email)
    except ValueError:
        email = ascii(email.strip().lower())[:254]  # limited like any other, and nobody's

    async def once() -> tuple[Verified | None, Granted | None]:
        verified = await issuer.verify(email, password, visit.network)
        if verified is None:
            return None, None
        if not set(scope.split()) <= scopes_of(verified.row.role):
            raise OAuthError("invalid_scope")
        return verified, await visit.database.transaction(
            lambda c: sessions.open_session(c, verified, visit.network, visit.client, issuer.lives)
        )

    verified, granted = await once()
    if verified and granted is None:  # the user has changed: has a login replaced an old hash?
        verified, granted = await once()
    if verified is None or granted is None:
        return None
    visit.event("login", sub=granted.sub, sid=granted.sid)
    if verified.better:
        visit.event("password_rehashed", sub=granted.sub)
    return await issuer.tokens(granted)


async def refresh(visit: Visit, token: str) -> Tokens | None:
    """Swap a refresh token; return None if anything is wrong."""
    await visit.limits.check_network("refresh", visit.network)
    lives = visit.issuer.lives
    try:
        granted = await visit.database.write(lambda c: sessions.refresh(c, token, lives))
    except sessions.Reused as reused:
        visit.event("refresh_reused", sub=reused.sub, sid=reused.sid)
        granted = None
    if granted is None:
        await visit.limits.network_failed("refresh", visit.network)
        return None
    visit.event("refresh", sub=granted.sub, sid=granted.sid)
    return await visit.issuer.tokens(granted)


@router.post(
    "/auth/token",
    dependencies=[SECRET],
    openapi_extra=form_of("grant_type", "username", "password", "refresh_token", "scope"),
    responses=MALFORMED,
)
async def token(form: Form, visit: Visit) -> Tokens:
    """Exchange a password (if PASSWORD_GRANT is on) or a refresh token for tokens (RFC 6749)."""
    grant = needed(form, "grant_type")
    if grant not in visit.issuer.settings.grant_types:
        raise OAuthError("unsupported_grant_type")
    if grant == "password":
        email, password = needed(form, "username"), needed(form, "password")
        tokens = await log_in(visit, email, password, form.get("scope", ""))
    else:
        tokens = await refresh(visit, needed(form, "refresh_token"))
    if tokens is None:
        raise OAuthError("invalid_grant")
    return tokens


@router.post("/auth/login", dependencies=[SECRET], responses={401: {"description": WRONG}})
async def login(body: Login, visit: Visit) -> Tokens:
    """Log in with JSON."""
    tokens = await log_in(visit, body.email, body.password)
    if tokens is None:
        raise unauthorized(WRONG)
    return tokens


@router.post("/auth/refresh", dependencies=[SECRET], responses={401: {"description": BAD}})
async def refresh_tokens(body: RefreshToken, visit: Visit) -> Tokens:
    """Swap a refresh token for new tokens, with JSON."""
    tokens = await refresh(visit, body.refresh_token)
    if tokens is None:
        raise unauthorized(f"{BAD}: log in again")
    return tokens


@router.post("/auth/revoke", openapi_extra=form_of("token", "token_type_hint"), responses=MALFORMED)
async def revoke(form: Form, visit: Visit) -> None:
    """End the session of a refresh token (RFC 7009); an unknown token counts as revoked."""
    value = needed(form, "token")
    if value.count(".") == 2:
        raise OAuthError("unsupported_token_type")
    row = await visit.database.write(lambda c: sessions.revoke_token(c, value))
    if row is not None:
        visit.event("session_revoked", sub=row.sub, sid=row.id)


@router.get("/.well-known/openid-configuration", dependencies=[PUBLISHED])
async def metadata(visit: Visit) -> dict[str, Any]:
    """Return this issuer's metadata (OpenID Connect Discovery)."""
    return visit.issuer.metadata()


@router.get("/.well-known/jwks.json", dependencies=[PUBLISHED])
async def jwks(visit: Visit) -> dict[str, Any]:
    """Return the public signing keys (RFC 7517), including the next one."""
    return await visit.issuer.jwks()
