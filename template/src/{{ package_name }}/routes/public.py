"""Routes that anybody may call, without a token."""

from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter(prefix="/api", tags=["public"])


class Message(BaseModel):
    """One line for the caller."""

    message: str


@router.get("/public")
async def public() -> Message:
    """Return a fixed message; requires no token."""
    return Message(message="No token needed.")
