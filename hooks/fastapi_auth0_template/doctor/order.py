"""Runs the checks in the order in which one failure explains the next."""

from collections.abc import Iterator

from ..model import Json
from ..problems import EnvNotAFile
from ..values import audience_fault, domain_fault
from . import project as of_project
from . import tenant as of_tenant
from . import token as of_token
from .check import Check, Examination, skipped
from .inside import Inside, ask, raw_settings

WAIT = 10.0  # seconds that the guard waits for the tenant's keys, at most


def run(examination: Examination) -> Iterator[Check]:
    """Run every check, one after the other."""
    project, patience = examination.project, examination.patience
    yield of_project.env(project, examination.env_fault)
    inside = _inside(examination)
    settings = inside.settings
    yield of_project.settings(project, inside)
    audience = examination.audience or settings.auth0_audience
    keys: list[Json] | None = None
    if domain_fault(settings.auth0_domain):
        for name in of_tenant.PUBLIC_CHECKS:
            yield skipped(name, _unusable("AUTH0_DOMAIN", settings.auth0_domain, "domain"))
    else:
        keys = yield from of_tenant.public(settings.auth0_domain, patience)
    for domain in settings.auth0_custom_domains:
        yield of_tenant.custom_domain(domain, patience)
    yield of_project.guard(inside)
    if audience_fault(audience):
        for name in ("api", *of_tenant.API_CHECKS):
            yield skipped(name, _unusable("AUTH0_AUDIENCE", audience, "identifier"))
    else:
        yield from of_tenant.api(examination, audience, settings)
    yield of_project.scopes(project, inside, audience)
    yield of_project.cors(settings)
    yield of_project.proxy(project, settings)
    yield of_project.cli(patience)
    if examination.token is not None:
        yield from of_token.token(examination, inside, audience, keys)


def _unusable(name: str, value: str, kind: str) -> str:
    return f"{name} is not a valid {kind}" if value else f"{name} is not set"


def _inside(examination: Examination) -> Inside:
    """Ask the project, unless it would wait forever for a .env that is not a file."""
    project, fault = examination.project, examination.env_fault
    if isinstance(fault, EnvNotAFile):
        return Inside(raw_settings(project), ".env cannot be read", remedy=fault.next_step)
    token = examination.token
    given = None if token is None else of_token.bare(token)
    return ask(project, given, min(WAIT, examination.patience.seconds))
