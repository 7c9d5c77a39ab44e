"""Routes for users' own accounts: log out, read it, change it, end sessions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel
from sqlalchemy import Connection, Row, select

from . import links, sessions, users
from .answers import limited
from .current import CurrentUser, SessionId, Token
from .models import sessions as table
from .routing import LIMITED, Incoming, Responses, Visit, checked_email, refused_value
from .users import User

router = APIRouter(tags=["account"], **LIMITED)
ME = "/api/users/me"
WRONG = "The current password is wrong"
REFUSED: Responses = {400: {"description": WRONG}}
UNKNOWN: Responses = {404: {"description": "The user has no such session"}}


class NewEmail(Incoming):
    """The new address, and the password as a proof of presence."""

    email: str
    current_password: str


class NewPassword(Incoming):
    """The current password and the new one."""

    current: str
    new: str


class SessionInfo(BaseModel):
    """One login of the user."""

    id: UUID
    created_at: datetime
    rotated_at: datetime
    expires_at: datetime
    network: str
    client: str
    current: bool


async def present(visit: Visit, user: User, password: str) -> Row[Any]:
    """Return the user's row, if the password is theirs; with the same limits as login."""
    verified = await visit.issuer.verify(user.email, password, visit.network)
    if verified is None:
        raise HTTPException(400, WRONG)
    return verified.row


@router.post("/auth/logout", status_code=204)
async def logout(claims: Token, sid: SessionId, visit: Visit) -> None:
    """End the session of the token; its refresh token is void at once."""
    if await visit.database.write(lambda c: sessions.revoke(c, table.c.id == sid)):
        visit.event("logout", sub=claims.sub, sid=sid)


@router.get(ME)
async def me(user: CurrentUser) -> User:
    """Return the user of the token."""
    return user


@router.patch(ME, responses=REFUSED)
async def change_email(body: NewEmail, user: CurrentUser, sid: SessionId, visit: Visit) -> User:
    """Change the address through a link to the new one; without mail, at once and unverified."""
    email = checked_email(body.email)
    row = await present(visit, user, body.current_password)
    if visit.issuer.mail:
        if not await visit.limits.mail("change", user.email):
            raise limited(60)
        visit.later(ask_new_address, visit, user, email)
        return user
    changed = await visit.database.transaction(
        lambda c: users.set_email(c, row, email, verified=False, keep=sid)
    )
    if changed is None:
        raise refused_value("email", "This address cannot be used")
    visit.event("email_changed", sub=user.sub, sid=sid)
    return changed


async def ask_new_address(visit: Visit, user: User, email: str) -> None:
    """Send a link to the new address, unless it is taken, and a notice to the old one."""

    def link(connection: Connection) -> str | None:
        taken = users.by_email(connection, email)
        return None if taken else links.create(connection, user.id, user.email, "change", email)

    await visit.issuer.note(user.email, "changing")
    allowed = await visit.limits.mail("change", email)
    if allowed and (token := await visit.database.transaction(link)):
        await visit.issuer.send(email, "change", token)


@router.post(f"{ME}/password", status_code=204, responses=REFUSED)
async def change_password(
    body: NewPassword, user: CurrentUser, sid: SessionId, visit: Visit
) -> None:
    """Change the password; other sessions end."""
    if why := visit.issuer.password_problem(body.new, user.email):
        raise refused_value("new", why)
    row = await present(visit, user, body.current)
    hashed = await visit.issuer.gate.hash(body.new)
    if not await visit.database.transaction(lambda c: users.set_password(c, row, hashed, sid)):
        raise HTTPException(400, WRONG)
    visit.event("password_changed", sub=user.sub, sid=sid)


@router.get(f"{ME}/sessions")
async def list_sessions(user: CurrentUser, sid: SessionId, visit: Visit) -> list[SessionInfo]:
    """List the user's live logins, latest first."""
    return await find(visit, user, sid)


@router.get(ME + "/sessions/{session}", responses=UNKNOWN)
async def get_session(
    session: UUID, user: CurrentUser, sid: SessionId, visit: Visit
) -> SessionInfo:
    """Return one of the user's live logins."""
    found = await find(visit, user, sid, session)
    if not found:
        raise HTTPException(404)
    return found[0]


@router.delete(f"{ME}/sessions", status_code=204)
async def end_sessions(user: CurrentUser, visit: Visit) -> None:
    """Log out everywhere, including here."""
    await visit.database.write(lambda c: sessions.revoke(c, table.c.user_id == user.id))
    visit.event("session_revoked", sub=user.sub, sid="all")


@router.delete(ME + "/sessions/{session}", status_code=204, responses=UNKNOWN)
async def end_session(session: UUID, user: CurrentUser, visit: Visit) -> None:
    """End one of the user's logins."""
    which = (table.c.user_id == user.id) & (table.c.id == session)
    if not await visit.database.write(lambda c: sessions.revoke(c, which)):
        raise HTTPException(404)
    visit.event("session_revoked", sub=user.sub, sid=session)


async def find(visit: Visit, user: User, here: UUID, one: UUID | None = None) -> list[SessionInfo]:
    columns = (table.c[name] for name in SessionInfo.model_fields if name != "current")
    which = [table.c.user_id == user.id, sessions.live(), *([table.c.id == one] if one else [])]
    query = select(*columns).where(*which).order_by(table.c.created_at.desc())
    rows = await visit.database.read(lambda c: c.execute(query).all())
    return [SessionInfo(current=row.id == here, **row._mapping) for row in rows]
