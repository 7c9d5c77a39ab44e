"""Roles, and the scopes that each one grants. This file is yours; so is the hook at its end."""

from enum import StrEnum

from sqlalchemy import Connection

from ..scopes import Scope


class Role(StrEnum):
    """What a user may be; `users.role` holds the value."""

    USER = "user"
    MODERATOR = "moderator"
    ADMIN = "admin"


DEFAULT = Role.USER
ADMINISTRATOR = Role.ADMIN  # manages users, and is never left without an active one

READING = frozenset(scope for scope in Scope if scope.startswith("read:"))
SCOPES: dict[str, frozenset[Scope]] = {
    Role.USER: READING,
    Role.MODERATOR: frozenset(Scope),
    Role.ADMIN: frozenset(Scope),
}


def scopes_of(role: str) -> frozenset[str]:
    """The scopes of a role; none of a role that has no entry here."""
    return SCOPES.get(role, frozenset())


def on_user_deleted(connection: Connection, sub: str) -> None:
    """Delete what your own tables keep of a user; it is part of the same transaction."""
