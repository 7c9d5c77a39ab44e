"""What anybody may call, without a token."""

from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter(prefix="/api", tags=["public"])


class Message(BaseModel):
    """One line for the caller."""

    message: str


@router.get("/public")
async def public() -> Message:
    """Open to everybody."""
    return Message(message="No token needed.")
