"""What users do with their account: log out, see it, change it, end sessions."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy import Connection, select

from . import links, sessions, users
from .answers import limited
from .app import Issuer
from .current import CurrentUser, Token, session_id
from .limits import network_of
from .models import sessions as table
from .routing import SHARED, FromIssuer, Incoming, Responses, checked_email, refused_value
from .sessions import Verified
from .users import User

router = APIRouter(tags=["account"], **SHARED)
ME = "/api/users/me"
WRONG: Responses = {400: {"description": "The current password is wrong"}}
UNKNOWN: Responses = {404: {"description": "The user has no such session"}}


class NewEmail(Incoming):
    """The next address, and the password as a proof of presence."""

    email: str
    current_password: str


class NewPassword(Incoming):
    """The password as it is, and as it is to be."""

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


async def present(issuer: Issuer, request: Request, user: User, password: str) -> Verified:
    """The user, if the password is theirs; the same limits as at login."""
    verified = await issuer.verify(user.email, password, network_of(request))
    if verified is None:
        raise HTTPException(400, "The current password is wrong")
    return verified


@router.post("/auth/logout", status_code=204)
async def logout(request: Request, claims: Token, issuer: FromIssuer) -> None:
    """End the session of the token; its refresh token is void at once."""
    sid = session_id(claims)
    await issuer.database.write(lambda c: sessions.revoke(c, table.c.id == sid))
    issuer.events("logout", sub=claims.sub, sid=sid, network=network_of(request))


@router.get(ME)
async def me(user: CurrentUser) -> User:
    """The user of the token."""
    return user


@router.patch(ME, responses=WRONG)
async def change_email(
    request: Request,
    body: NewEmail,
    user: CurrentUser,
    claims: Token,
    issuer: FromIssuer,
    later: BackgroundTasks,
) -> User:
    """Change the address: by a link to the new one; without mail at once, unverified."""
    email = checked_email(body.email)
    row, _ = await present(issuer, request, user, body.current_password)
    if issuer.mail:
        if not await issuer.limits.mail(user.email):
            raise limited(60)
        later.add_task(ask_new_address, issuer, user, email)
        return user
    sid = session_id(claims)
    changed = await issuer.database.transaction(
        lambda c: users.set_email(c, row, email, verified=False, keep=sid)
    )
    if changed is None:
        raise refused_value("email", "This address cannot be used")
    issuer.events("email_changed", sub=user.sub, sid=sid, network=network_of(request))
    return changed


async def ask_new_address(issuer: Issuer, user: User, email: str) -> None:
    """Send a link to the new address, unless it is somebody's, and a note to the old one."""

    def link(connection: Connection) -> str | None:
        if users.by_email(connection, email):
            return None
        return links.create(connection, user.id, user.email, "change", email)

    await issuer.note(user.email, "changing")
    if await issuer.limits.mail(email) and (token := await issuer.database.transaction(link)):
        await issuer.send(email, "change", token)


@router.post(f"{ME}/password", status_code=204, responses=WRONG)
async def change_password(
    request: Request, body: NewPassword, user: CurrentUser, claims: Token, issuer: FromIssuer
) -> None:
    """Change the password; other sessions end."""
    why = issuer.password_problem(body.new, user.email)
    if why:
        raise refused_value("new", why)
    row, _ = await present(issuer, request, user, body.current)
    async with issuer.gate.enter():
        hashed = await issuer.gate.hash(body.new)
    sid = session_id(claims)
    if not await issuer.database.transaction(lambda c: users.set_password(c, row, hashed, sid)):
        raise HTTPException(400, "The current password is wrong")
    issuer.events("password_changed", sub=user.sub, sid=sid, network=network_of(request))


@router.get(f"{ME}/sessions")
async def list_sessions(user: CurrentUser, claims: Token, issuer: FromIssuer) -> list[SessionInfo]:
    """The live logins of the user, the latest first."""
    return await find(issuer, user, session_id(claims), None)


@router.get(ME + "/sessions/{session}", responses=UNKNOWN)
async def get_session(
    session: UUID, user: CurrentUser, claims: Token, issuer: FromIssuer
) -> SessionInfo:
    """One live login of the user."""
    found = await find(issuer, user, session_id(claims), session)
    if not found:
        raise HTTPException(404, "Not Found")
    return found[0]


@router.delete(f"{ME}/sessions", status_code=204)
async def end_sessions(request: Request, user: CurrentUser, issuer: FromIssuer) -> None:
    """Log out everywhere, here too."""
    await issuer.database.write(lambda c: sessions.revoke(c, table.c.user_id == user.id))
    issuer.events("session_revoked", sub=user.sub, sid="all", network=network_of(request))


@router.delete(ME + "/sessions/{session}", status_code=204, responses=UNKNOWN)
async def end_session(
    request: Request, session: UUID, user: CurrentUser, issuer: FromIssuer
) -> None:
    """Log out one place."""
    which = (table.c.user_id == user.id) & (table.c.id == session)
    if not await issuer.database.write(lambda c: sessions.revoke(c, which)):
        raise HTTPException(404, "Not Found")
    issuer.events("session_revoked", sub=user.sub, sid=session, network=network_of(request))


async def find(
    issuer: Issuer, user: User, current: UUID, session: UUID | None
) -> list[SessionInfo]:
    names = [name for name in SessionInfo.model_fields if name != "current"]
    query = select(*(table.c[name] for name in names)).where(table.c.user_id == user.id)
    query = query.where(sessions.live()).order_by(table.c.created_at.desc())
    query = query.where(table.c.id == session) if session else query
    rows = await issuer.database.read(lambda c: c.execute(query).all())
    return [SessionInfo(current=row.id == current, **row._mapping) for row in rows]
