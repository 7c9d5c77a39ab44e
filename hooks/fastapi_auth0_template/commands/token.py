"""`token`: print a token of the test application; nothing else goes to stdout."""

import os

from ..console import Console
from ..declared import declared_api
from ..model import COMMAND, Options, Patience
from ..problems import MissingSetting
from ..project import load
from ..tenant.test_token import Client, cached_token, credential
from ..values import domain_fault


def token(options: Options, console: Console) -> int:
    """Print a token, cached or new."""
    project = load(options.project)
    needed = {
        "AUTH0_DOMAIN": options.tenant or project.setting("AUTH0_DOMAIN", os.environ),
        "AUTH0_AUDIENCE": options.audience or project.setting("AUTH0_AUDIENCE", os.environ),
        "AUTH0_TEST_CLIENT_ID": project.setting("AUTH0_TEST_CLIENT_ID", os.environ),
        "AUTH0_TEST_CLIENT_SECRET": project.setting("AUTH0_TEST_CLIENT_SECRET", os.environ),
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise MissingSetting(
            f"not set: {', '.join(missing)}", f"Run `{COMMAND} setup --test-app` first."
        )
    domain, audience = needed["AUTH0_DOMAIN"], needed["AUTH0_AUDIENCE"]
    client_id = credential(needed, "AUTH0_TEST_CLIENT_ID")
    secret = credential(needed, "AUTH0_TEST_CLIENT_SECRET")
    if fault := domain_fault(domain):
        raise MissingSetting(f"the tenant {domain!r}: {fault}", "Give another one.")
    dpop = project.setting("AUTH0_DPOP", os.environ) or project.answers.get("dpop", "")
    if dpop == "required":
        raise MissingSetting(
            "this API accepts only DPoP-bound tokens, and those are of no use without their key",
            "Use `uv run scripts/demo.py`, or set AUTH0_DPOP=accepted while you try.",
        )
    scopes = tuple(scope for given in options.scopes for scope in given.split())
    patience = Patience(options.timeout, console.tell).at_most(20)
    declared = list(declared_api(project.root, audience).scopes)
    client = Client(domain, client_id, secret, audience, scopes)
    console.result(cached_token(client, patience, declared=declared, fresh=options.fresh))
    return 0
