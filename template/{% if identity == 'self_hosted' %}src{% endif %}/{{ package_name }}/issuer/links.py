"""One-time links: to set a password (reset), confirm an address (verify), or change it (change).

The table holds digests. A link names the user who asked, and is good while that user still has the
address that it was sent to; redeeming deletes it. Only a POST redeems: mail scanners follow links.

Lock the user before a link: whoever changes a user voids the links after it.
"""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select

from ..database import now
from .models import one_time_links as links
from .models import users

Context = Literal["reset", "verify", "change"]
LIVES = {"reset": timedelta(hours=1), "verify": timedelta(days=1), "change": timedelta(hours=1)}


def create(
    connection: Connection,
    user_id: UUID,
    sent_to: str,
    context: Context,
    new_email: str | None = None,
) -> str:
    """Make a link's token; void earlier ones of the same context."""
    token = secrets.token_urlsafe(32)
    locked = select(now()).select_from(users).where(users.c.id == user_id).with_for_update()
    moment: datetime = connection.scalars(locked).one()
    connection.execute(delete(links).where(links.c.user_id == user_id, links.c.context == context))
    connection.execute(
        insert(links).values(
            digest=sha256(token.encode()).digest(),
            user_id=user_id,
            context=context,
            sent_to=sent_to,
            new_email=new_email,
            expires_at=moment + LIVES[context],
        )
    )
    return token


def find(connection: Connection, token: str, *contexts: Context) -> Row[Any] | None:
    """Return the user that a valid token is for; the token stays valid."""
    query = select(users, links.c.context, links.c.new_email).join(
        links, (links.c.user_id == users.c.id) & (links.c.sent_to == users.c.email)
    )
    return connection.execute(query.where(_good(token, contexts), users.c.active)).one_or_none()


def redeem(connection: Connection, token: str, *contexts: Context) -> Row[Any] | None:
    """Do the same as `find`, and void the token: only one of several callers gets the user."""
    owner = select(links.c.user_id).where(_good(token, contexts)).scalar_subquery()
    connection.execute(select(users.c.id).where(users.c.id == owner).with_for_update())
    row = find(connection, token, *contexts)
    gone = connection.execute(delete(links).where(_good(token, contexts)))
    return row if gone.rowcount else None


def void(connection: Connection, user_id: UUID) -> None:
    """Delete all links of a user."""
    connection.execute(delete(links).where(links.c.user_id == user_id))


def _good(token: str, contexts: tuple[Context, ...]) -> Any:
    digest = sha256(token.encode(errors="replace")).digest()
    return (links.c.digest == digest) & links.c.context.in_(contexts) & (links.c.expires_at > now())
