"""What the holder of any valid token of this API may call, whatever its scopes."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from ..auth import Claims, auth0

router = APIRouter(prefix="/api", tags=["private"])

AnyToken = Annotated[Claims, Depends(auth0.require_auth())]


class Subject(BaseModel):
    """Whose token it is."""

    sub: str


class Profile(Subject):
    """What the token says of its holder."""

    scope: str
    issuer: str


class Notice(BaseModel):
    """One line for the caller."""

    message: str


@router.get("/private")
async def private(claims: AnyToken) -> Subject:
    """Any valid token; answers whose it is."""
    return Subject(sub=claims["sub"])


@router.get("/protected", dependencies=[Depends(auth0.require_auth())])
async def protected() -> Notice:
    """Any valid token; the claims are not used."""
    return Notice(message="Your token is valid.")


@router.get("/profile")
async def profile(claims: AnyToken) -> Profile:
    """Any valid token; answers what it says of its holder."""
    return Profile(sub=claims.sub, scope=" ".join(sorted(claims.scopes)), issuer=claims.issuer)
