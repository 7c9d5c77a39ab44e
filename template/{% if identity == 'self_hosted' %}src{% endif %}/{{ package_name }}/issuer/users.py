"""Users: made, listed, changed, deactivated, deleted; never without an active administrator.

Each function is one step of a transaction. Changing an administrator locks all active ones first:
otherwise, two who demote each other at the same time would leave none.
"""

import re
import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

import idna
from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Row, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError, NoResultFound

from . import links, roles, sessions
from .models import sessions as session_table
from .models import users

# No `=?`: a mail header would decode it, and the mail would go to another mailbox.
LOCAL = re.compile(r"(?!.*=\?)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")


class User(BaseModel):
    """A user, as shown in answers."""

    model_config = ConfigDict(from_attributes=True)
    id: UUID
    sub: str
    email: str
    email_verified: bool
    role: str
    active: bool
    created_at: datetime
    updated_at: datetime


SHOWN = select(*(users.c[name] for name in User.model_fields))
to_user = User.model_validate  # from a row


class Conflict(HTTPException):
    """The change is not possible; the text says why."""

    def __init__(self, why: str) -> None:
        super().__init__(409, why)


def normal_email(text: str) -> str:
    """Return the canonical address: ASCII, lower case, IDNA 2008 domain; else ValueError."""
    local, _, domain = text.strip().rpartition("@")
    try:
        host = idna.encode(domain, uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError):
        host = ""
    if not (local.isascii() and LOCAL.fullmatch(local.lower()) and DOMAIN.fullmatch(host)):
        raise ValueError("This is not an e-mail address")
    email = f"{local.lower()}@{host}"
    if len(email) > 254 or len(local) > 64:
        raise ValueError("This e-mail address is too long")
    return email


def by_email(connection: Connection, email: str) -> Row[Any] | None:
    return connection.execute(select(users).where(users.c.email == email)).one_or_none()


def by_id(connection: Connection, user_id: UUID) -> Row[Any] | None:
    return connection.execute(select(users).where(users.c.id == user_id)).one_or_none()


def create(connection: Connection, email: str, role: str = roles.DEFAULT, **more: Any) -> User:
    """Add a user; without a password nobody can log in until a reset link is redeemed."""
    values = {"sub": f"auth0|{secrets.token_hex(12)}", "email": email, "role": role, **more}
    try:
        return to_user(connection.execute(insert(users).values(values).returning(users)).one())
    except IntegrityError:  # looking first would miss what another transaction is adding
        raise Conflict("The e-mail address is taken") from None


def create_with_link(
    connection: Connection, email: str, context: links.Context, **more: Any
) -> tuple[User, str]:
    """Add a user; also return the token of a link for them."""
    user = create(connection, email, **more)
    return user, links.create(connection, user.id, email, context)


def page(connection: Connection, after: UUID | None, limit: int) -> list[User]:
    """Return the next users in the order of their ids."""
    query = SHOWN.where(users.c.id > after) if after else SHOWN
    return [to_user(row) for row in connection.execute(query.order_by(users.c.id).limit(limit))]


def change(
    connection: Connection, user_id: UUID, *, role: str | None = None, active: bool | None = None
) -> tuple[User, list[str]]:
    """Change role or activity, which ends the user's sessions at once; also return the events."""
    row = _locked(connection, user_id)
    role, active = role or row.role, row.active if active is None else active
    if role != roles.ADMINISTRATOR or not active:
        _keep_one(connection, row)
    events = ["role_changed"] if role != row.role else []
    events += ["user_activated" if active else "user_deactivated"] if active != row.active else []
    if not events:
        return to_user(row), events
    changed = update(users).where(users.c.id == user_id).values(role=role, active=active)
    result = connection.execute(changed.returning(users)).one()
    sessions.revoke(connection, session_table.c.user_id == user_id)
    if not active:
        links.void(connection, user_id)
    return to_user(result), events


def remove(connection: Connection, user_id: UUID) -> User:
    """Delete a user and their rows in your tables (roles.on_user_deleted)."""
    row = _locked(connection, user_id)
    _keep_one(connection, row)
    roles.on_user_deleted(connection, row.sub)
    connection.execute(delete(users).where(users.c.id == user_id))
    return to_user(row)


def set_password(
    connection: Connection, row: Row[Any], hashed: str, keep: UUID | None = None, **more: Any
) -> bool:
    """Replace the verified password; end all sessions except `keep`, and void all links.

    Return False if it was changed in the meantime.
    """
    same = users.c.password_hash.is_not_distinct_from(row.password_hash)
    changed = update(users).where(users.c.id == row.id, same, users.c.active)
    if connection.execute(changed.values(password_hash=hashed, **more)).rowcount != 1:
        return False
    _end_others(connection, row.id, keep)
    return True


def set_email(
    connection: Connection, row: Row[Any], email: str, *, verified: bool, keep: UUID | None = None
) -> User | None:
    """Replace the address; end all sessions except `keep`, void all links. None if taken."""
    changed = update(users).where(users.c.id == row.id, users.c.email == row.email)
    changed = changed.values(email=email, email_verified=verified).returning(users)
    try:
        result = connection.execute(changed).one()
    except (IntegrityError, NoResultFound):
        return None
    _end_others(connection, row.id, keep)
    return to_user(result)


def confirm(connection: Connection, row: Row[Any], password_hash: str | None = None) -> None:
    """Hand an account to the address's owner: void what a stranger may have set before.

    Otherwise, whoever registers another's address in advance would keep password and sessions. The
    owner's password, if there is one, replaces the stranger's.
    """
    void = password_hash is not None or not row.email_verified
    values = {"email_verified": True} | ({"password_hash": password_hash} if void else {})
    connection.execute(update(users).where(users.c.id == row.id).values(values))
    if void:
        _end_others(connection, row.id, None)


def _end_others(connection: Connection, user_id: UUID, keep: UUID | None) -> None:
    others = session_table.c.user_id == user_id
    sessions.revoke(connection, others & (session_table.c.id != keep) if keep else others)
    links.void(connection, user_id)


def administrators() -> Any:
    return users.c.active & (users.c.role == roles.ADMINISTRATOR)


def _locked(connection: Connection, user_id: UUID) -> Row[Any]:
    """Lock the active administrators, in a fixed order, and the user; 404 if there is none."""
    query = select(users.c.id).where(administrators()).order_by(users.c.id)
    connection.execute(query.with_for_update()).all()
    one = select(users).where(users.c.id == user_id).with_for_update()
    row = connection.execute(one).one_or_none()
    if row is None:
        raise HTTPException(404)
    return row


def _keep_one(connection: Connection, row: Row[Any]) -> None:
    """Refuse to remove the last active administrator."""
    if row.role == roles.ADMINISTRATOR and row.active:
        others = exists().where(administrators(), users.c.id != row.id)
        if not connection.scalar(select(others)):
            raise Conflict("This is the last active administrator")
