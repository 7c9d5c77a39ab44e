"""Connects to the tenant that was asked for, or to the only one there is; never guesses one."""

import os
from collections.abc import Sequence

from ..console import Console
from ..model import Connection, Options, Patience
from ..problems import CliTooOld, MissingSetting, NotLoggedIn, TenantChoice, UnknownTenant
from ..project import Project
from ..values import domain_fault
from . import executable, management
from .output import ENV_MODE
from .test_token import credential

WAYS = ("cli", "env", "api")


def connect(options: Options, console: Console, project: Project) -> Connection:
    """Return the tenant and the way to it; ask only if the console may."""
    via = options.via or ("api" if management.credentials_given(os.environ) else "cli")
    console.report.facts["via"] = via
    patience = Patience(options.timeout, console.tell)
    configured = project.setting("AUTH0_DOMAIN", os.environ)
    named = options.tenant or (configured if via != "cli" else "")
    if named and (fault := domain_fault(named)):
        raise MissingSetting(f"the tenant {named!r}: {fault}", "Give another --tenant.")
    if via == "cli":
        named = _choose(options, console, configured, executable.tenants(patience))
    elif not named:
        raise MissingSetting("which tenant? AUTH0_DOMAIN is not set", "Set it, or use --tenant.")
    console.report.facts["tenant"] = named
    if via == "api":
        return Connection(management.connect(named, os.environ, patience), via)
    login = _env_login(named, patience) if via == "env" else None
    return Connection(executable.CliTenant(named, patience, login), via)


def _env_login(domain: str, patience: Patience) -> dict[str, str]:
    """Return the executable's credentials: one token for the run, not one for each call."""
    version = executable.version(patience)
    if version and version < ENV_MODE:
        needed, found = (".".join(map(str, each)) for each in (ENV_MODE, version))
        raise CliTooOld(f"--via env needs auth0 {needed}; this is {found}")
    token = credential(os.environ, "AUTH0_API_TOKEN")
    token = token or management.machine_token(domain, os.environ, "env", patience)
    return {"AUTH0_DOMAIN": domain, "AUTH0_API_TOKEN": token}


def _choose(options: Options, console: Console, configured: str, names: Sequence[str]) -> str:
    """Return one of the tenants that the command line is logged in to."""
    if not names:
        raise NotLoggedIn("not logged in to Auth0", "Run `auth0 login`, then run this again.")
    if options.tenant:
        if options.tenant not in names:
            raise UnknownTenant(
                f"the Auth0 CLI is not logged in to {options.tenant}",
                f"Run `auth0 login` for it, or choose one of: {', '.join(names)}",
            )
        return options.tenant
    if configured in names:
        return configured
    if configured:
        console.tell(f"note: AUTH0_DOMAIN is {configured}, which has no login here.")
    if len(names) == 1 and (console.asks or not configured):
        return names[0]
    if console.asks and (chosen := console.choice("Which tenant?", names)) in names:
        return chosen
    raise TenantChoice(f"which tenant? Logged in to: {', '.join(names)}")
