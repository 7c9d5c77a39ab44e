"""GET /healthz and GET /readyz, for the platform that runs this API. Neither needs a token."""

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel

from .auth import Guard

router = APIRouter(tags=["public"])


class Health(BaseModel):
    """What the probe found."""

    status: str


@router.get("/healthz")
async def healthz() -> Health:
    """The process is alive."""
    return Health(status="alive")


@router.get("/readyz", responses={503: {"model": Health, "description": "No signing keys yet"}})
async def readyz(request: Request, response: Response) -> Health:
    """The settings are good and the tenant's signing keys are at hand."""
    guard: Guard = request.app.state.guard
    if guard.ready():
        return Health(status="ready")
    response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Health(status="waiting for the signing keys of the tenant")
