"""Public routes for people without a password, or who forgot it: register, reset, verify.

They answer the same whether an address is known or not. Only a POST redeems a link.
"""

from typing import NoReturn

from fastapi import APIRouter, HTTPException, Response
from sqlalchemy import Connection

from . import links, users
from .routing import LIMITED, Incoming, Responses, Visit, checked_email, new_hash, refused_value

router = APIRouter(tags=["public"], **LIMITED)
OFF: Responses = {404: {"description": "Turned off by the settings"}}
SPENT = "The link is not good any more: ask for another one"
BAD: Responses = {400: {"description": SPENT}}
ACCEPTED: Responses = {202: {"description": "With mail: the same for any address"}}
TAKEN: Responses = {409: {"description": "The address is taken"}}
DONE = {"message": "If the address is known, a message is on its way"}


class Registration(Incoming):
    """A new user."""

    email: str
    password: str


class Address(Incoming):
    """The address of the account whose password is to be reset."""

    email: str


class Reset(Incoming):
    """The token of a link, and the password that it sets."""

    token: str
    password: str


class Confirmation(Incoming):
    """The token of a link; after a registration, also the password that its owner wants."""

    token: str
    password: str | None = None


async def spent(visit: Visit) -> NoReturn:
    """Count an invalid token, and refuse it."""
    await visit.limits.network_failed("confirm", visit.network)
    raise HTTPException(400, SPENT)


@router.post("/auth/register", status_code=201, responses=OFF | TAKEN | ACCEPTED)
async def register(
    body: Registration, response: Response, visit: Visit
) -> users.User | dict[str, str]:
    """Add a user (REGISTRATION=open). With mail, 202 for any address; without, 201 or 409."""
    if visit.issuer.settings.registration != "open":
        raise HTTPException(404)
    email = checked_email(body.email)
    await visit.limits.check_network("register", visit.network)
    await visit.limits.network_failed("register", visit.network)
    hashed = await new_hash(visit.issuer, body.password, email)
    if not visit.issuer.mail:
        return await add(visit, email, hashed)
    await visit.database.read(lambda c: users.by_email(c, email))  # lost: 503 for any address
    if await visit.limits.mail("register", email):
        visit.later(add_or_note, visit, email, hashed)
    response.status_code = 202
    return DONE


async def add_or_note(visit: Visit, email: str, hashed: str) -> None:
    """Add a user, or tell the owner of the address that somebody tried to."""
    try:
        await add(visit, email, hashed)
    except users.Conflict:
        await visit.issuer.note(email, "registered")


async def add(visit: Visit, email: str, hashed: str) -> users.User:
    user, token = await visit.database.transaction(
        lambda c: users.create_with_link(c, email, "verify", password_hash=hashed)
    )
    visit.event("registered", sub=user.sub)
    await visit.issuer.send(email, "verify", token)
    return user


@router.post("/auth/reset", status_code=202, responses=OFF)
async def reset(body: Address, visit: Visit) -> dict[str, str]:
    """Ask for a link that sets a new password; the work for it comes after the answer."""
    if not visit.issuer.delivers:
        raise HTTPException(404)
    email = checked_email(body.email)
    await visit.limits.check_network("reset", visit.network)
    await visit.limits.network_failed("reset", visit.network)
    await visit.database.read(lambda c: users.by_email(c, email))  # lost: 503 for any address
    visit.event("reset_requested", email=email)
    if await visit.limits.mail("reset", email):
        visit.later(send_reset, visit, email)
    return DONE


async def send_reset(visit: Visit, email: str) -> None:
    """Send a link if there is such a user."""

    def link(connection: Connection) -> str | None:
        row = users.by_email(connection, email)
        return links.create(connection, row.id, email, "reset") if row and row.active else None

    if token := await visit.database.transaction(link):
        await visit.issuer.send(email, "reset", token)


@router.post("/auth/reset/confirm", status_code=204, responses=BAD)
async def confirm_reset(body: Reset, visit: Visit) -> None:
    """Set the password with a link; this ends all sessions and confirms the address."""
    await visit.limits.check_network("confirm", visit.network)
    row = await visit.database.read(lambda c: links.find(c, body.token, "reset"))
    if row is None:
        await spent(visit)
    hashed = await new_hash(visit.issuer, body.password, row.email)

    def redeem(connection: Connection) -> bool:
        row = links.redeem(connection, body.token, "reset")
        return row is not None and users.set_password(connection, row, hashed, email_verified=True)

    if not await visit.database.transaction(redeem):
        await spent(visit)
    await visit.limits.reopen(row.email)
    visit.event("password_reset", sub=row.sub)


@router.post("/auth/verify", status_code=204, responses=OFF | BAD)
async def verify(body: Confirmation, visit: Visit) -> None:
    """Confirm an address, or a new one, with a link.

    The first confirmation voids the password of the registration, unless one is sent here.
    """
    if not visit.issuer.delivers:
        raise HTTPException(404)
    await visit.limits.check_network("confirm", visit.network)
    hashed = None
    if body.password is not None:
        row = await visit.database.read(lambda c: links.find(c, body.token, "verify", "change"))
        if row is None:
            await spent(visit)
        if row.context == "change":
            raise refused_value("password", "This link sets no password")
        hashed = await new_hash(visit.issuer, body.password, row.email)

    def redeem(connection: Connection) -> str | None:
        row = links.redeem(connection, body.token, "verify", "change")
        if row is None:
            return None
        if row.context == "verify":
            users.confirm(connection, row, hashed)
        elif not users.set_email(connection, row, row.new_email, verified=True):
            return None
        return str(row.sub)

    sub = await visit.database.transaction(redeem)
    if sub is None:
        await spent(visit)
    visit.event("email_changed", sub=sub)
    if hashed:
        visit.event("password_reset", sub=sub)
