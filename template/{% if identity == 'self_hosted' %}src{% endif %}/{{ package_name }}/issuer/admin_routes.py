"""What administrators do with users. The routes ask for the role: scopes.py is the owner's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, HTTPException, Query, Request
from pydantic import BaseModel
from sqlalchemy import Connection

from . import links, users
from .current import FORBIDDEN, AdminUser
from .limits import network_of
from .roles import DEFAULT, Role
from .routing import MAX_BODY, FromIssuer, Incoming, IssuerRoute, Responses, checked_email
from .users import Conflict, User

router = APIRouter(
    prefix="/api/users",
    tags=["users"],
    route_class=IssuerRoute,
    responses=FORBIDDEN,
    max_body_size=MAX_BODY,
)
UNKNOWN: Responses = {404: {"description": "There is no such user"}}
CONFLICT: Responses = {409: {"description": "Taken, or the last active administrator"}}


class NewUser(Incoming):
    """Nobody chooses another's password: the user gets a link that sets it."""

    email: str
    role: Role = DEFAULT


class Change(Incoming):
    """What is to change."""

    role: Role | None = None
    active: bool | None = None


class Page(BaseModel):
    """Some users; `next` is the `after` of the next page."""

    users: list[User]
    next: UUID | None


@router.get("")
async def list_users(
    admin: AdminUser,
    issuer: FromIssuer,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
) -> Page:
    """List users in the order of their ids."""
    found = await issuer.database.read(lambda c: users.page(c, after, limit))
    return Page(users=found, next=found[-1].id if len(found) == limit else None)


@router.post("", status_code=201, responses=CONFLICT)
async def create_user(
    request: Request, body: NewUser, admin: AdminUser, issuer: FromIssuer, later: BackgroundTasks
) -> User:
    """Add a user, who gets a link to set a password."""
    email = checked_email(body.email)

    def create(connection: Connection) -> tuple[User, str]:
        user = users.create(connection, email, body.role)
        return user, links.create(connection, user.id, email, "reset")

    try:
        user, token = await issuer.database.transaction(create)
    except Conflict as conflict:
        raise HTTPException(409, str(conflict)) from None
    later.add_task(issuer.send, email, "reset", token)
    issuer.events("user_created", sub=user.sub, actor=admin.id, network=network_of(request))
    return user


@router.get("/{user_id}", responses=UNKNOWN)
async def get_user(user_id: UUID, admin: AdminUser, issuer: FromIssuer) -> User:
    """One user."""
    row = await issuer.database.read(lambda c: users.by_id(c, user_id))
    if row is None:
        raise HTTPException(404, "Not Found")
    return users.to_user(row)


@router.patch("/{user_id}", responses=UNKNOWN | CONFLICT)
async def change_user(
    request: Request, user_id: UUID, body: Change, admin: AdminUser, issuer: FromIssuer
) -> User:
    """Change role or activity; the user's sessions end."""
    try:
        user = await issuer.database.transaction(
            lambda c: users.change(c, user_id, role=body.role, active=body.active)
        )
    except Conflict as conflict:
        raise HTTPException(409, str(conflict)) from None
    if user is None:
        raise HTTPException(404, "Not Found")
    network = network_of(request)
    if body.role is not None:
        issuer.events("role_changed", sub=user.sub, actor=admin.id, role=body.role, network=network)
    if body.active is not None:
        event = "user_activated" if body.active else "user_deactivated"
        issuer.events(event, sub=user.sub, actor=admin.id, network=network)
    return user


@router.delete("/{user_id}", status_code=204, responses=UNKNOWN | CONFLICT)
async def delete_user(
    request: Request, user_id: UUID, admin: AdminUser, issuer: FromIssuer
) -> None:
    """Delete a user with all sessions, and what `roles.on_user_deleted` deletes."""
    try:
        user = await issuer.database.transaction(lambda c: users.remove(c, user_id))
    except Conflict as conflict:
        raise HTTPException(409, str(conflict)) from None
    if user is None:
        raise HTTPException(404, "Not Found")
    issuer.events("user_deleted", sub=user.sub, actor=admin.id, network=network_of(request))
