"""Sessions: opened by a login, refreshed by compare-and-swap, ended by revoking their row.

A refresh token is base64url(handle + secret); the row holds SHA-256 of the secret. A refresh draws
a new salt, and the successor is HMAC-SHA256(salt, old secret): callers who race, or retry within
RETRY, derive the same one, and nothing about it is stored. Any other secret with a known handle
was replaced earlier, so two parties hold it, and one of them stole it: the session ends.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, insert, select, update

from ..database import now
from .models import sessions, users

RETRY = timedelta(seconds=10)  # in which the last token is answered again; tests lower it
MOST = 50  # of one user; ended ones do not count, and are removed
HANDLE, SECRET = 16, 32  # bytes


class Lives(NamedTuple):
    """How long sessions last: when unused, and at most."""

    idle: timedelta
    longest: timedelta


class Verified(NamedTuple):
    """A user whose password is right, and the new hash if theirs is outdated."""

    row: Row[Any]
    better: str | None


class Granted(NamedTuple):
    """The data that tokens are made from."""

    sid: UUID
    sub: str
    role: str
    ends_at: datetime
    refresh_token: str
    now: datetime


class Reused(Exception):
    """A refresh token was used after it had been replaced; its session has ended."""

    def __init__(self, sid: UUID, sub: str) -> None:
        self.sid, self.sub = sid, sub


def live() -> ColumnElement[bool]:
    """Return the condition that the session has not ended."""
    in_time = (sessions.c.expires_at > now()) & (sessions.c.ends_at > now())
    return sessions.c.revoked_at.is_(None) & in_time


FOUND = (
    select(sessions, users.c.sub, users.c.role, (live() & users.c.active).label("live"))
    .add_columns(now().label("now"))
    .join(users, users.c.id == sessions.c.user_id)
    .where(sessions.c.handle == bindparam("sent"))
)
SWAP = (
    update(sessions)
    .where(sessions.c.id == bindparam("sid"), sessions.c.digest == bindparam("old"))
    .where(sessions.c.revoked_at.is_(None))
)


def encode(handle: bytes, secret: bytes) -> str:
    return urlsafe_b64encode(handle + secret).decode()


def decode(token: str) -> tuple[bytes, bytes] | None:
    """Return handle and secret, if the text has the form of a refresh token."""
    if len(token) != 64 or not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token)
    except ValueError:
        return None
    return (raw[:HANDLE], raw[HANDLE:]) if encode(raw[:HANDLE], raw[HANDLE:]) == token else None


def digest(secret: bytes) -> bytes:
    return sha256(secret).digest()


def open_session(
    connection: Connection, verified: Verified, network: str, client: str, lives: Lives
) -> Granted | None:
    """Open a session in a transaction, if the user is still the one that was verified.

    Lock the user's row: otherwise, a password change that commits between the check of the
    password and this would leave a session to whoever knew the old password.
    """
    user, better = verified
    same = (users.c.id == user.id) & users.c.active & (users.c.role == user.role)
    same &= users.c.password_hash == user.password_hash
    # Shared, unless the hash is replaced: then two who share it would wait for each other.
    locked = select(now()).select_from(users).where(same).with_for_update(read=better is None)
    moment: datetime | None = connection.scalar(locked)
    if moment is None:
        return None
    if better:
        connection.execute(update(users).where(same).values(password_hash=better))
    sid, handle, secret = uuid4(), secrets.token_bytes(HANDLE), secrets.token_bytes(SECRET)
    row: dict[str, Any] = {
        "id": sid,
        "handle": handle,
        "user_id": user.id,
        "digest": digest(secret),
        "salt": secrets.token_bytes(SECRET),
        "rotated_at": moment,
        "expires_at": moment + lives.idle,
        "ends_at": moment + lives.longest,
        "created_at": moment,
        "network": network,
        "client": client[:200],
    }
    connection.execute(insert(sessions), row)
    own = sessions.c.user_id == user.id
    kept = select(sessions.c.id).where(own, live()).order_by(sessions.c.created_at.desc())
    connection.execute(delete(sessions).where(own, sessions.c.id.not_in(kept.limit(MOST))))
    return Granted(sid, user.sub, user.role, row["ends_at"], encode(handle, secret), moment)


def refresh(connection: Connection, token: str, lives: Lives) -> Granted | None:
    """Swap the token for its successor; return None if invalid, Reused if it was replaced."""
    handle, secret = decode(token) or (b"", b"")
    row = _read(connection, handle)
    if row is None or not row.live:
        return None
    if hmac.compare_digest(row.digest, digest(secret)):
        salt = secrets.token_bytes(SECRET)
        following = hmac.digest(salt, secret, "sha256")
        values = {
            "sid": row.id,
            "old": row.digest,
            "digest": digest(following),
            "previous": row.digest,
            "salt": salt,
            "rotated_at": row.now,
            "expires_at": min(row.now + lives.idle, row.ends_at),
        }
        if connection.execute(SWAP, values).rowcount == 1:
            return _granted(row, handle, following)
        row = _read(connection, handle)  # another caller was first
        if row is None or not row.live:
            return None
    retried = row.previous is not None and hmac.compare_digest(row.previous, digest(secret))
    if retried and row.now - row.rotated_at <= RETRY:
        return _granted(row, handle, hmac.digest(row.salt, secret, "sha256"))
    revoke(connection, sessions.c.id == row.id)
    raise Reused(row.id, row.sub)


def _read(connection: Connection, handle: bytes) -> Row[Any] | None:
    return connection.execute(FOUND, {"sent": handle}).one_or_none() if handle else None


def _granted(row: Row[Any], handle: bytes, secret: bytes) -> Granted:
    return Granted(row.id, row.sub, row.role, row.ends_at, encode(handle, secret), row.now)


def revoke(connection: Connection, which: ColumnElement[bool]) -> int:
    """End sessions at once; return how many were live."""
    ending = update(sessions).where(which, live())
    return connection.execute(ending.values(revoked_at=now())).rowcount


def revoke_token(connection: Connection, token: str) -> Row[Any] | None:
    """End and return the session of a refresh token, even of a replaced one (RFC 7009)."""
    handle, _ = decode(token) or (b"", b"")
    row = _read(connection, handle)
    return row if row is not None and revoke(connection, sessions.c.id == row.id) else None


def known_network(connection: Connection, email: str, network: str) -> bool:
    """Return whether the user is logged in from this network."""
    query = select(sessions.c.id).join(users, users.c.id == sessions.c.user_id)
    query = query.where(users.c.email == email, sessions.c.network == network, live())
    return connection.execute(query.limit(1)).first() is not None


def purge(connection: Connection) -> int:
    """Delete sessions that ended more than a day ago."""
    old = connection.scalars(select(now())).one() - timedelta(days=1)
    ended = (sessions.c.expires_at < old) | (sessions.c.revoked_at < old)
    return connection.execute(delete(sessions).where(ended)).rowcount
