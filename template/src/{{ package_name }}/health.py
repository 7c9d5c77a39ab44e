"""Probes for the platform that runs this API: GET /healthz and GET /readyz, without a token."""

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel

from .auth import Guard

router = APIRouter(tags=["public"])


class Health(BaseModel):
    """The result of a probe."""

    status: str


@router.get("/healthz")
async def healthz() -> Health:
    """Report that the process is alive."""
    return Health(status="alive")


@router.get("/readyz", responses={503: {"model": Health, "description": "No signing keys yet"}})
async def readyz(request: Request, response: Response) -> Health:
    """Report whether the signing keys are loaded, so that tokens can be verified."""
    guard: Guard = request.app.state.guard
    if guard.ready():
        return Health(status="ready")
    response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Health(status="waiting for the signing keys")
