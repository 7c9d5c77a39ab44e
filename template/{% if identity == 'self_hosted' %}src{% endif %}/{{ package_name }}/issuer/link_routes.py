"""The public routes for who has no password yet, or no longer: register, reset, verify.

They answer the same whether an address is known or not. Only a POST redeems a link.
"""

from typing import NoReturn

from fastapi import APIRouter, BackgroundTasks, HTTPException, Request, Response
from sqlalchemy import Connection

from . import links, users
from .app import Issuer
from .limits import network_of
from .routing import SHARED, FromIssuer, Incoming, Responses, checked_email, new_hash, refused_value
from .users import Conflict

router = APIRouter(tags=["public"], **SHARED)
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
    """Whose password is to be set anew."""

    email: str


class Reset(Incoming):
    """The token of a link, and the password that it sets."""

    token: str
    password: str


class Confirmation(Incoming):
    """The token of a link; after a registration, the password that its owner wants."""

    token: str
    password: str | None = None


async def spent(issuer: Issuer, network: str) -> NoReturn:
    """Count a token that is not good, and refuse it."""
    await issuer.limits.network_failed("confirm", network)
    raise HTTPException(400, SPENT)


@router.post("/auth/register", status_code=201, responses=OFF | TAKEN | ACCEPTED)
async def register(
    request: Request,
    body: Registration,
    issuer: FromIssuer,
    later: BackgroundTasks,
    response: Response,
) -> users.User | dict[str, str]:
    """Add a user (REGISTRATION=open). With mail 202 for any address; without, 201 or 409."""
    if issuer.settings.registration != "open":
        raise HTTPException(404, "Not Found")
    network = network_of(request)
    email = checked_email(body.email)
    await issuer.limits.check_network("register", network)
    await issuer.limits.network_failed("register", network)
    hashed = await new_hash(issuer, body.password, email)
    if issuer.mail:
        if await issuer.limits.mail(email):
            later.add_task(add_or_note, issuer, email, hashed, network)
        response.status_code = 202
        return DONE
    try:
        return await add(issuer, email, hashed, network)
    except Conflict as conflict:
        raise HTTPException(409, str(conflict)) from None


async def add_or_note(issuer: Issuer, email: str, hashed: str, network: str) -> None:
    """Add a user, or tell the owner of the address that somebody tried to."""
    try:
        await add(issuer, email, hashed, network)
    except Conflict:
        await issuer.note(email, "registered")


async def add(issuer: Issuer, email: str, hashed: str, network: str) -> users.User:
    def create(connection: Connection) -> tuple[users.User, str]:
        user = users.create(connection, email, password_hash=hashed)
        return user, links.create(connection, user.id, email, "verify")

    user, token = await issuer.database.transaction(create)
    issuer.events("registered", sub=user.sub, network=network)
    await issuer.send(email, "verify", token)
    return user


@router.post("/auth/reset", status_code=202, responses=OFF)
async def reset(
    request: Request, body: Address, issuer: FromIssuer, later: BackgroundTasks
) -> dict[str, str]:
    """Ask for a link that sets a new password; what is done for it comes after the answer."""
    if not issuer.delivers:
        raise HTTPException(404, "Not Found")
    network = network_of(request)
    email = checked_email(body.email)
    await issuer.limits.check_network("reset", network)
    await issuer.limits.network_failed("reset", network)
    issuer.events("reset_requested", email=email, network=network)
    if await issuer.limits.mail(email):
        later.add_task(send_reset, issuer, email)
    return DONE


async def send_reset(issuer: Issuer, email: str) -> None:
    """Send a link if there is such a user."""

    def link(connection: Connection) -> str | None:
        row = users.by_email(connection, email)
        return links.create(connection, row.id, email, "reset") if row and row.active else None

    if token := await issuer.database.transaction(link):
        await issuer.send(email, "reset", token)


@router.post("/auth/reset/confirm", status_code=204, responses=BAD)
async def confirm_reset(request: Request, body: Reset, issuer: FromIssuer) -> None:
    """Set the password by a link; all sessions end, and the address is confirmed."""
    network = network_of(request)
    await issuer.limits.check_network("confirm", network)
    row = await issuer.database.read(lambda c: links.find(c, body.token, "reset"))
    if row is None:
        await spent(issuer, network)
    hashed = await new_hash(issuer, body.password, row.email)

    def redeem(connection: Connection) -> bool:
        row = links.redeem(connection, body.token, "reset")
        if row is None:
            return False
        users.mark_verified(connection, row.id)
        return users.set_password(connection, row, hashed)

    if not await issuer.database.transaction(redeem):
        await spent(issuer, network)
    await issuer.limits.reopen(row.email)
    issuer.events("password_reset", sub=row.sub, network=network)


@router.post("/auth/verify", status_code=204, responses=OFF | BAD)
async def verify(request: Request, body: Confirmation, issuer: FromIssuer) -> None:
    """Confirm an address, or a new one, by a link.

    The first confirmation voids the password of the registration, unless one is sent here.
    """
    if not issuer.delivers:
        raise HTTPException(404, "Not Found")
    network = network_of(request)
    await issuer.limits.check_network("confirm", network)
    hashed = None
    if body.password is not None:
        row = await issuer.database.read(lambda c: links.find(c, body.token, "verify", "change"))
        if row is None:
            await spent(issuer, network)
        if row.context == "change":
            raise refused_value("password", "This link sets no password")
        hashed = await new_hash(issuer, body.password, row.email)

    def redeem(connection: Connection) -> str | None:
        row = links.redeem(connection, body.token, "verify", "change")
        if row is None:
            return None
        if row.context == "verify":
            users.confirm(connection, row, hashed)
        elif not users.set_email(connection, row, row.new_email, verified=True):
            return None
        return str(row.sub)

    sub = await issuer.database.transaction(redeem)
    if sub is None:
        await spent(issuer, network)
    issuer.events("email_changed", sub=sub, network=network)
    if hashed:
        issuer.events("password_reset", sub=sub, network=network)
