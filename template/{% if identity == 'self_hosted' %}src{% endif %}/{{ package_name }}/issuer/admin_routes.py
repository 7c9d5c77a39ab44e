"""User administration. The routes ask for the role, because scopes.py is the owner's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel

from . import users
from .current import AdminUser
from .roles import DEFAULT, Role
from .routing import SHARED, Incoming, Responses, Visit, checked_email
from .users import User

router = APIRouter(prefix="/api/users", tags=["users"], **SHARED)
UNKNOWN: Responses = {404: {"description": "There is no such user"}}
CONFLICT: Responses = {409: {"description": "Taken, or the last active administrator"}}


class NewUser(Incoming):
    """A new user, without a password: the user gets a link that sets it."""

    email: str
    role: Role = DEFAULT


class Change(Incoming):
    """The changes to a user."""

    role: Role | None = None
    active: bool | None = None


class Page(BaseModel):
    """A page of users; `next` is the `after` of the next page."""

    users: list[User]
    next: UUID | None


@router.get("")
async def list_users(
    admin: AdminUser,
    visit: Visit,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
) -> Page:
    """List users in the order of their ids."""
    found = await visit.database.read(lambda c: users.page(c, after, limit))
    return Page(users=found, next=found[-1].id if len(found) == limit else None)


@router.post("", status_code=201, responses=CONFLICT)
async def create_user(body: NewUser, admin: AdminUser, visit: Visit) -> User:
    """Add a user, who gets a link to set a password."""
    email = checked_email(body.email)
    user, token = await visit.database.transaction(
        lambda c: users.create_with_link(c, email, "reset", role=body.role)
    )
    visit.later(visit.issuer.send, email, "reset", token)
    visit.event("user_created", sub=user.sub, actor=admin.id)
    return user


@router.get("/{user_id}", responses=UNKNOWN)
async def get_user(user_id: UUID, admin: AdminUser, visit: Visit) -> User:
    """Return a user."""
    row = await visit.database.read(lambda c: users.by_id(c, user_id))
    if row is None:
        raise HTTPException(404)
    return users.to_user(row)


@router.patch("/{user_id}", responses=UNKNOWN | CONFLICT)
async def change_user(user_id: UUID, body: Change, admin: AdminUser, visit: Visit) -> User:
    """Change role or activity; the user's sessions end."""
    user, events = await visit.database.transaction(
        lambda c: users.change(c, user_id, role=body.role, active=body.active)
    )
    for event in events:
        visit.event(event, sub=user.sub, actor=admin.id, role=user.role)
    return user


@router.delete("/{user_id}", status_code=204, responses=UNKNOWN | CONFLICT)
async def delete_user(user_id: UUID, admin: AdminUser, visit: Visit) -> None:
    """Delete a user, all their sessions, and the rows that `roles.on_user_deleted` deletes."""
    user = await visit.database.transaction(lambda c: users.remove(c, user_id))
    visit.event("user_deleted", sub=user.sub, actor=admin.id)
