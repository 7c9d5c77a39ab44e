"""The current user: who is calling, as the database knows them now, and what they may do.

`auth0.require_auth` alone trusts an access token until it expires. These dependencies ask the
database once per request: an ended session, inactive user or changed role is refused at once.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException
from fastapi.dependencies.models import Dependant
from sqlalchemy import bindparam
from starlette.requests import HTTPConnection

from ..auth import Claims, Refused, auth0
from ..auth.openapi import guarded, refusal
from .app import Issuer
from .models import sessions, users
from .roles import ADMINISTRATOR, Role
from .sessions import live
from .users import SHOWN, User, to_user

SIGNED_IN = (
    SHOWN.join(sessions, sessions.c.user_id == users.c.id)
    .where(users.c.sub == bindparam("sub"), sessions.c.id == bindparam("sid"))
    .where(users.c.active, live())
)
Token = Annotated[Claims, Depends(auth0.require_auth())]


async def session_id(claims: Token) -> UUID:
    """Return the session of a token; only this issuer's tokens have one."""
    try:
        return UUID(claims.raw.get("sid"))
    except (ValueError, TypeError, AttributeError):
        raise Refused("session") from None


SessionId = Annotated[UUID, Depends(session_id)]


async def current_user(connection: HTTPConnection, claims: Token) -> User:
    """Return the active user of a token whose session has not ended; else raise 401."""
    issuer: Issuer = connection.app.state.issuer
    values = {"sub": claims.sub, "sid": await session_id(claims)}
    row = await issuer.database.read(lambda c: c.execute(SIGNED_IN, values).one_or_none())
    if row is None:
        raise Refused("session")
    return to_user(row)


CurrentUser = Annotated[User, Depends(current_user)]
ActiveUser = CurrentUser  # an inactive user is never a current user


class RoleChecker:
    """A dependency that returns the current user if they have one of the roles; else 403."""

    def __init__(self, allowed_roles: Role | Iterable[Role]) -> None:
        roles = [allowed_roles] if isinstance(allowed_roles, str) else allowed_roles
        self.allowed_roles = frozenset(map(Role, roles))  # refuses what is no role

    async def __call__(self, user: CurrentUser) -> User:
        if user.role not in self.allowed_roles:
            raise Refused("role")
        return user


allow_admin = RoleChecker(Role(ADMINISTRATOR))
allow_moderator = RoleChecker(role for role in Role if role in (ADMINISTRATOR, "moderator"))
AdminUser = Annotated[User, Depends(allow_admin)]


def dependencies(dependant: Dependant) -> Iterator[Any]:
    """Yield what a route depends on, however deep."""
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from dependencies(dependency)


def declare_users(app: FastAPI) -> None:
    """Declare in the OpenAPI document which routes want a user's token alone, and which a role."""
    build = app.openapi

    def openapi() -> dict[str, Any]:
        document = build()
        for operation, _, route in guarded(app, document):
            asked = [*dependencies(route.dependant)]
            if current_user in asked or session_id in asked:
                operation["security"] = [need for need in operation["security"] if "bearer" in need]
            for checker in asked:
                if isinstance(checker, RoleChecker):
                    text = f"The user is none of: {', '.join(sorted(checker.allowed_roles))}"
                    operation["responses"].setdefault("403", refusal(text, "WWW-Authenticate"))
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def check_owner(user: User, owner: str, *roles: Role) -> None:
    """Refuse another user's object, by its `sub`, unless the user has one of `roles`.

    404, not 403: whoever may not see an object must not learn that it exists.
    """
    if user.sub != owner and user.role not in roles:
        raise HTTPException(404, "Not Found")
