"""Every state of a machine's credentials (`--via api`): said, nothing touched, finished later.

And of the public endpoints, which both ways to the tenant share.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from setup import loopback_tenant as loopback
from setup.loopback_tenant import ALL_SCOPES, Answer
from setup.workbench import OWN, Machine

SECRET = re.compile(r"(?<!_)CLIENT_SECRET|eyJ")
TOKEN, DISCOVERY = "/oauth/token", "/.well-known/openid-configuration"


@dataclass(frozen=True)
class State:
    """What is wrong; how `setup` ends, and what it says."""

    prepare: Callable[[Machine], None]
    error: str
    says: tuple[str, ...]
    code: int = 3


def without(*names: str) -> Callable[[Machine], None]:
    def prepare(machine: Machine) -> None:
        machine.use("api")
        for name in names:
            del machine.environment[name]

    return prepare


def given(**environment: str) -> Callable[[Machine], None]:
    def prepare(machine: Machine) -> None:
        machine.use("api")
        machine.environment |= environment

    return prepare


def token_with(scopes: frozenset[str]) -> Callable[[Machine], None]:
    def prepare(machine: Machine) -> None:
        machine.environment["AUTH0_DOMAIN"] = machine.tenant.domain
        machine.environment["AUTH0_ACCESS_TOKEN"] = machine.tenant.management_token(scopes)

    return prepare


def no_grant(machine: Machine) -> None:
    machine.use("api")
    machine.tenant.grants.clear()


def secret_in_env_file(machine: Machine) -> None:
    """Credentials of a tenant's administration do not belong into the settings of the API."""
    machine.environment["AUTH0_DOMAIN"] = machine.tenant.domain
    client_id, secret = machine.tenant.add_machine()
    credentials = f"AUTH0_CLIENT_ID={client_id}\nAUTH0_CLIENT_SECRET={secret}\n"
    machine.env_file.write_text(OWN + credentials)


def library_missing(machine: Machine) -> None:
    machine.use("api")
    blocker = machine.root / "blocker" / "auth0"
    blocker.mkdir(parents=True)
    (blocker / "__init__.py").write_text("raise ImportError('not installed')")
    machine.environment["PYTHONPATH"] = f"{blocker.parent}{os.pathsep}{machine.env()['PYTHONPATH']}"


def failing(answer: Answer, times: float = float("inf")) -> Callable[[Machine], None]:
    def prepare(machine: Machine) -> None:
        machine.use("api")
        machine.tenant.fail(answer, "POST", TOKEN, times=times)

    return prepare


READ_ONLY = frozenset(scope for scope in ALL_SCOPES if scope.startswith("read:"))
STATES = {
    "no credentials": State(
        without("AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"),
        "credentials_missing",
        ("needs AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET, or AUTH0_ACCESS_TOKEN",),
    ),
    "no secret": State(without("AUTH0_CLIENT_SECRET"), "credentials_missing", ("in the envir",)),
    "secret in .env": State(secret_in_env_file, "credentials_missing", ("not in .env",)),
    "no domain": State(without("AUTH0_DOMAIN"), "missing_setting", ("AUTH0_DOMAIN is not set",)),
    "a URL for a domain": State(
        given(AUTH0_DOMAIN="https://x.eu.auth0.com/"), "missing_setting", ("x.eu.auth0.com",)
    ),
    "library missing": State(
        library_missing, "management_missing", ("cannot be imported", "Install the tool again")
    ),
    "wrong secret": State(given(AUTH0_CLIENT_SECRET="no"), "unauthorized", ("401",), 1),
    "not allowed to use the Management API": State(
        no_grant, "forbidden", ("403", "not authorized to access"), 1
    ),
    "token not good any more": State(
        given(AUTH0_ACCESS_TOKEN="eyJ.eyJ.x"), "unauthorized", ("401: Invalid token",), 1
    ),
    "may not read": State(token_with(frozenset()), "scopes", ("any of: read:resource_servers",)),
    "may not create": State(token_with(READ_ONLY), "scopes", ("any of: create:resource_servers",)),
    "nobody listens": State(given(AUTH0_DOMAIN="localhost:1"), "network", ("localhost:1",), 1),
    "no token: 500": State(failing(loopback.SERVER_ERROR), "server", ("500",), 1),
    "no token: a page": State(failing(loopback.HTML_PAGE), "bad_answer", ("JSON",), 1),
    "no token: hang": State(failing(loopback.HANG), "timeout", ("within 2 s",), 1),
    "no token: reset": State(failing(loopback.RESET), "network", ("cannot be reached",), 1),
    "no token: 429": State(failing(loopback.rate_limited(3600)), "rate_limited", ("429",), 1),
}


def report(stdout: str) -> Any:
    return json.loads(stdout)["error"]


@pytest.mark.parametrize("name", STATES)
def test_a_state(machine: Machine, name: str) -> None:
    state = STATES[name]
    state.prepare(machine)
    files, env = machine.snapshot(), machine.env_file.read_bytes()
    done = machine.setup("--via", "api", "--json", "--timeout", "2")
    assert (report(done.stdout)["code"], done.code) == (state.error, state.code), done
    done.says("error:", *state.says, "next:")
    assert not SECRET.search(done.said)
    assert {write.status for write in machine.tenant.writes} <= {403}
    assert (machine.snapshot(), machine.env_file.read_bytes()) == (files, env)

    machine.environment.clear()
    machine.tenant.clients.clear()
    machine.tenant.grants.clear()
    machine.env_file.write_text(OWN)
    machine.use("api")
    machine.finish("--via", "api")


def test_a_token_of_the_environment_is_enough(machine: Machine) -> None:
    token_with(ALL_SCOPES)(machine)
    done = machine.setup()
    assert done.code == 0, done
    machine.assert_complete()
    assert not any(request.url == TOKEN for request in machine.tenant.log)


VERIFYING = {
    "500": loopback.SERVER_ERROR,
    "a page": loopback.HTML_PAGE,
    "hang": loopback.HANG,
    "reset": loopback.RESET,
}


@pytest.mark.parametrize("via", ["cli", "api"])
@pytest.mark.parametrize("name", VERIFYING)
def test_discovery_fails_after_the_tenant_is_complete(
    machine: Machine, name: str, via: str
) -> None:
    """What was done stays, .env is not written, and the next run only has that left to do."""
    machine.use(via)
    machine.tenant.fail(VERIFYING[name], "GET", DISCOVERY, times=float("inf"))
    done = machine.setup("--via", via, "--timeout", "2")
    assert done.code == 1, done
    done.says("error:", "(what was done stays; a second run continues from there)", "next:")
    assert machine.env_file.read_text() == OWN
    writes = machine.tenant.writes
    machine.finish("--via", via)
    assert machine.tenant.writes == writes


def test_an_answer_that_is_not_understood_shows_no_secret(machine: Machine) -> None:
    machine.use("api")
    odd = Answer(201, {"client_id": 5, "client_secret": "odd secret", "name": []})
    machine.tenant.fail(odd, "POST", f"{loopback.MANAGEMENT}clients", times=float("inf"))
    done = machine.setup("--json")
    assert done.code == 1
    assert json.loads(done.stdout)["error"]["code"] == "bad_answer"
    assert "odd secret" not in done.said
    machine.finish()
