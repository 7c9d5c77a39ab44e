"""A finding of the doctor, and the examination it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass

from ..model import COMMAND, Json, Patience, Tenant
from ..problems import Problem
from ..project import Project

SETUP = f"Run `{COMMAND} setup`."


@dataclass(frozen=True)
class Check:
    """One finding: ok, warning, failure or skipped; `id` is stable, for machines."""

    id: str
    status: str
    found: str
    remedy: str | None = None

    def as_json(self) -> Json:
        return {"id": self.id, "status": self.status, "found": self.found, "remedy": self.remedy}


def ok(name: str, found: str) -> Check:
    return Check(name, "ok", found)


def skipped(name: str, why: str, remedy: str | None = None) -> Check:
    """Skip a check that could not run: it never counts as good."""
    return Check(name, "skipped", why, remedy)


def warning(name: str, found: str, remedy: str) -> Check:
    return Check(name, "warning", found, remedy)


def failure(name: str, found: str, remedy: str) -> Check:
    return Check(name, "failure", found, remedy)


@dataclass(frozen=True)
class Examination:
    """What the doctor is asked to examine; `connect` returns the tenant, or raises Problem."""

    project: Project
    patience: Patience
    connect: Callable[[], Tenant]
    audience: str | None = None
    token: str | None = None
    scopes: tuple[str, ...] = ()  # that the token should carry
    env_fault: Problem | None = None
