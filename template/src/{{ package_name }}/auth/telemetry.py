"""What OpenTelemetry gets beyond FastAPI's own spans and metrics: three metrics, and no query.

Nothing is recorded until an exporter is configured (docs/operations.md of the template says how).
"""

from collections.abc import Iterator
from typing import Protocol
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Observation, get_meter
from opentelemetry.trace import get_current_span
from starlette.types import ASGIApp, Receive, Scope, Send


class Aging(Protocol):
    """The keys of one domain."""

    def age(self) -> float: ...


issuers: WeakSet[Aging] = WeakSet()


def oldest(_: CallbackOptions) -> Iterator[Observation]:
    """Observe the age of the oldest keys; nothing before any were fetched."""
    ages = [issuer.age() for issuer in issuers]
    if known := [age for age in ages if age < float("inf")]:
        yield Observation(max(known))


meter = get_meter(__package__)
refusals = meter.create_counter(
    "auth.refusals", unit="{request}", description="Refused requests, by reason"
)
failed_refreshes = meter.create_counter(
    "auth.keys.failed_refreshes", unit="{fetch}", description="Fetches of signing keys that failed"
)
meter.create_observable_gauge(
    "auth.keys.age", [oldest], unit="s", description="Time since the oldest signing keys came"
)


class NoQuery:
    """Middleware that takes the query out of FastAPI's span: clients put tokens into it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["query_string"]:
            get_current_span().set_attribute("url.query", "REDACTED")
        await self.app(scope, receive, send)
