"""Routes for any valid token of this API, whatever its scopes."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from ..auth import Claims, auth0

router = APIRouter(prefix="/api", tags=["private"])

AnyToken = Annotated[Claims, Depends(auth0.require_auth())]


class Subject(BaseModel):
    """The subject of a token."""

    sub: str


class Profile(Subject):
    """The caller, as the token describes them."""

    scope: str
    issuer: str


class Notice(BaseModel):
    """One line for the caller."""

    message: str


@router.get("/private")
async def private(claims: AnyToken) -> Subject:
    """Return the caller's subject; requires a valid token."""
    return Subject(sub=claims["sub"])


@router.get("/protected", dependencies=[Depends(auth0.require_auth())])
async def protected() -> Notice:
    """Return a fixed message; requires a valid token."""
    return Notice(message="Your token is valid.")


@router.get("/profile")
async def profile(claims: AnyToken) -> Profile:
    """Return what the token says about the caller; requires a valid token."""
    return Profile(sub=claims.sub, scope=" ".join(sorted(claims.scopes)), issuer=claims.issuer)
