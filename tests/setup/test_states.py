"""Every state of the executable and of its login: said, nothing touched, and a second run finishes.

Without a terminal, as in continuous integration and inside agents.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from setup.auth0_stand_in import required_scopes
from setup.loopback_tenant import ALL_SCOPES, LoopbackTenant
from setup.workbench import AUDIENCE, PAST, Done, Machine, commands

SETUP = ("setup", "--yes", "--via", "cli")
DOCTOR = ("doctor", "--json", "--via", "cli")
SECONDS = 30  # for a busy machine; nothing waits for the minute that a call may take
OWN_ENV = "# mine\nOTHER='1'  # kept\n"
VERSIONS = {version: version for version in ("1.17.0", "1.27.2", "1.31.0", "1.32.0", "1.33.0")}
VERSIONS |= {"next": "1.34.0", "newest": "1.37.0"}
READ_ONLY = frozenset(scope for scope in ALL_SCOPES if scope.startswith("read:"))


@dataclass(frozen=True)
class State:
    """What is wrong on the machine; how the set-up ends with it, and what it says."""

    prepare: Callable[[Machine], None]
    error: str
    says: tuple[str, ...]
    code: int = 3
    flags: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    doctor_reads: bool = False  # it only reads, and asks for no choice


def state(version: str = "1.33.0", device: str = "pending", **login: Any) -> Any:
    """This version, with a login that is good but for the changes; nobody is in the browser."""

    def prepare(machine: Machine) -> None:
        machine.install(version=version, device=device)
        machine.log_in(machine.login(**login))

    return prepare


def not_installed(machine: Machine) -> None:
    machine.log_in()


def announced(**login: Any) -> Any:
    """As `state`, for the release that was announced: its errors are JSON."""

    def prepare(machine: Machine) -> None:
        # It lingers: what it said is read as it stands before it is known how it ends.
        machine.install(version="1.34.0", device="pending", envelope=True, linger=0.3)
        machine.log_in(machine.login(**login))

    return prepare


def installed_only(version: str = "1.33.0") -> Callable[[Machine], None]:
    return lambda machine: machine.install(version=version)


def logged_out_of_all(machine: Machine) -> None:
    machine.install()
    machine.log_in()
    machine.config.write_text('{"default_tenant": "", "tenants": {}}')


def config_corrupt(text: str) -> Callable[[Machine], None]:
    def prepare(machine: Machine) -> None:
        machine.install()
        machine.log_in()
        machine.config.write_text(text)

    return prepare


def several_tenants(machine: Machine) -> None:
    machine.install()
    machine.log_in(machine.login(), machine.login("other.eu.auth0.com"))


def lacking(
    scopes: frozenset[str], version: str = "1.33.0", *, envelope: bool = False
) -> Callable[[Machine], None]:
    def prepare(machine: Machine) -> None:
        machine.install(version=version, envelope=envelope)
        machine.log_in(machine.login(access_token=machine.tenant.management_token(scopes)))

    return prepare


def installed_as(**executable: Any) -> Callable[[Machine], None]:
    def prepare(machine: Machine) -> None:
        machine.install(**executable)
        machine.log_in()

    return prepare


def nobody_listens(machine: Machine) -> None:
    machine.install()
    machine.log_in(machine.login("localhost:1"))


LOG_IN = "next: Run `auth0 login`, then run this"
GRANTS = "`auth0 login --scopes create:client_grants,update:client_grants,delete:client_grants`"
OUTGROWN = ("is out of date: this auth0 version wants a new one", LOG_IN)
STATES = {
    "not installed": State(
        not_installed, "not_installed", ("no `auth0` on PATH", "or set AUTH0_DOMAIN with")
    ),
    "too old": State(
        installed_as(version="1.16.0"),
        "cli_too_old",
        ("too old (at least 1.17.0 is needed)", "Update it: https://"),
    ),
    "never logged in": State(installed_only(), "not_logged_in", ("not logged in to Auth0", LOG_IN)),
    "logged out of all": State(
        logged_out_of_all, "not_logged_in", ("not logged in to Auth0", LOG_IN)
    ),
    "session expired, 1.18": State(
        state("1.18.0", expires_at=PAST), "session_expired", ("has expired", LOG_IN)
    ),
    "session expired, 1.27": State(
        state("1.27.2", expires_at=PAST), "session_expired", ("has expired", LOG_IN)
    ),
    "session expired, 1.27, no way out": State(
        state("1.27.2", "unreachable", expires_at=PAST), "session_expired", ("has expired", LOG_IN)
    ),
    "session expired, 1.31": State(
        state("1.31.0", expires_at=PAST), "session_expired", ("has expired", LOG_IN)
    ),
    "session expired, next": State(
        announced(expires_at=PAST), "session_expired", ("has expired", LOG_IN)
    ),
    "keyring not reachable": State(
        state(access_token=""), "session_expired", ("has expired", LOG_IN)
    ),
    "scopes changed, 1.27": State(state("1.27.2", scopes=[]), "login_hijack", OUTGROWN),
    "scopes changed, from 1.27 to 1.31": State(
        state("1.31.0", scopes=required_scopes((1, 27))), "login_hijack", OUTGROWN
    ),
    "scopes changed, from 1.32 to 1.33": State(
        state("1.33.0", scopes=required_scopes((1, 32))), "login_hijack", OUTGROWN
    ),
    "scopes changed, next": State(
        announced(scopes=required_scopes((1, 27))),
        "scopes",
        ("lacks a Management API scope", GRANTS),
    ),
    "scopes changed, 1.33, no way out": State(
        state("1.33.0", "unreachable", scopes=[]), "login_hijack", OUTGROWN
    ),
    "machine login expired": State(
        state(expires_at=PAST, client_id="machine"),
        "machine_reauth",
        ("cannot be renewed", "Run `auth0 login` again with the client's id and secret"),
    ),
    "token corrupt": State(
        state(access_token="abc"),
        "token_corrupt",
        ("is corrupt", "next: Run `auth0 logout localhost:"),
    ),
    "token corrupt, next": State(
        announced(access_token="abc"), "token_corrupt", ("is corrupt", "Run `auth0 logout")
    ),
    "machine login expired, next": State(
        announced(expires_at=PAST, client_id="machine"), "machine_reauth", ("cannot be renewed",)
    ),
    "never logged in, next": State(
        installed_only("1.34.0"), "not_logged_in", ("not logged in to Auth0", LOG_IN)
    ),
    "config cut off": State(
        config_corrupt('{"tenants": '),
        "config_corrupt",
        ("cannot read its own configuration", "Run `auth0 login`: it rewrites the file."),
    ),
    "config no JSON": State(
        config_corrupt("<html>"), "config_corrupt", ("cannot read its own configuration",)
    ),
    "several tenants": State(
        several_tenants,
        "tenant_choice",
        ("which tenant? Logged in to: localhost:", "other.eu.auth0.com", "--tenant DOMAIN"),
        doctor_reads=True,
    ),
    "another tenant asked for": State(
        several_tenants,
        "unknown_tenant",
        ("not logged in to third.eu.auth0.com", "or choose one of: localhost:"),
        flags=("--tenant", "third.eu.auth0.com"),
    ),
    "token refused, 1.27": State(
        state("1.27.2", access_token="a.b.c"),
        "unauthorized",
        ("Auth0 answered 401: Invalid token", "Log in again (auth0 login)"),
        code=1,
    ),
    "token refused": State(
        state(access_token="a.b.c"), "unauthorized", ("Auth0 answered 401: Invalid token",), code=1
    ),
    "token refused, next": State(
        announced(access_token="a.b.c"), "unauthorized", ("Auth0 answered 401", "Log in"), code=1
    ),
    "may not read, 1.27": State(
        lacking(frozenset(), "1.27.2"),
        "scopes",
        ("(needed: read:resource_servers)", "auth0 login --scopes read:resource_servers`"),
    ),
    "may not read": State(lacking(frozenset()), "scopes", ("needed: read:resource_servers",)),
    "may not read, next": State(
        lacking(frozenset(), "1.34.0", envelope=True), "scopes", ("needed: read:resource_servers",)
    ),
    "may not create, 1.27": State(
        lacking(READ_ONLY, "1.27.2"),
        "scopes",
        ("(needed: create:resource_servers)", "auth0 login --scopes create:resource_servers`"),
        doctor_reads=True,
    ),
    "may not create": State(
        lacking(READ_ONLY), "scopes", ("needed: create:resource_servers",), doctor_reads=True
    ),
    "keyring locked": State(
        installed_as(keyring="locked"),
        "timeout",
        ("within 2 s", "or the keyring is locked", "--timeout SECONDS waits longer"),
        code=1,
        flags=("--timeout", "2"),
    ),
    "crash": State(installed_as(crash=True), "bad_answer", ("Auth0 CLI crashed",), code=1),
    "certificate not trusted": State(
        state(),
        "tls",
        ("does not trust the certificate of localhost:", "set SSL_CERT_FILE"),
        code=1,
        environment={"SSL_CERT_FILE": "/etc/hostname"},
    ),
    "nobody listens": State(
        nobody_listens,
        "network",
        ("cannot reach localhost:1", "Check the network"),
        code=1,
        flags=("--tenant", "localhost:1"),
    ),
}


def error_of(done: Done) -> Any:
    return json.loads(done.stdout)["error"]


def run_in(machine: Machine, state: State, *arguments: str) -> tuple[Done, float]:
    started = time.monotonic()
    done = machine.run(*arguments, *state.flags, **state.environment)
    return done, time.monotonic() - started


@pytest.mark.parametrize("name", STATES)
def test_setup_stops_and_finishes_later(machine: Machine, name: str) -> None:
    state = STATES[name]
    state.prepare(machine)
    machine.env_file.write_text(OWN_ENV)
    before = machine.snapshot(), stored(machine.home)
    done, seconds = run_in(machine, state, *SETUP, "--json")
    assert done.code == state.code
    assert error_of(done)["code"] == state.error
    done.says("error: ", *state.says)
    assert seconds < SECONDS
    assert (machine.snapshot(), stored(machine.home)) == before
    assert machine.env_file.read_text() == OWN_ENV
    assert len(machine.tenant.resource_servers) == 1

    machine.use("cli")
    done = machine.run(*SETUP)
    assert done.code == 0, done
    assert len(machine.tenant.apis(AUDIENCE)) == 1
    assert machine.env_file.read_text() == (
        f"{OWN_ENV}AUTH0_DOMAIN={machine.tenant.domain}\nAUTH0_AUDIENCE={AUDIENCE}\n"
    )
    assert machine.snapshot() == before[0]


@pytest.mark.parametrize("name", STATES)
def test_the_doctor_goes_on_without_the_tenant(machine: Machine, name: str) -> None:
    state = STATES[name]
    state.prepare(machine)
    env = f"AUTH0_DOMAIN={machine.tenant.domain}\nAUTH0_AUDIENCE={AUDIENCE}\n"
    machine.env_file.write_text(env)
    machine.env_file.chmod(0o600)
    before = machine.snapshot(), stored(machine.home)
    done, seconds = run_in(machine, state, *DOCTOR)
    report = json.loads(done.stdout)
    api = next(check for check in report["checks"] if check["id"] == "api")
    if state.doctor_reads:
        assert (api["status"], done.code) == ("failure", 2)
        assert f"has no API {AUDIENCE}" in api["found"]
    else:
        assert api["status"] == "skipped"
        assert state.says[0] in f"{api['found']} {api['remedy']}"
    found = {check["status"] for check in report["checks"]}
    assert done.code == (2 if "failure" in found else 1 if "warning" in found else 0)
    assert "Traceback" not in done.said
    assert seconds < SECONDS
    assert (machine.snapshot(), stored(machine.home)) == before
    assert machine.env_file.read_text() == env
    assert not machine.tenant.writes


def test_a_hidden_login_that_someone_approves_counts_for_nothing(
    machine: Machine, authority: trustme.CA
) -> None:
    """In the browser any tenant can be chosen: the executable then works on that one."""
    with LoopbackTenant(authority) as other:
        login = machine.login(other.domain, access_token=other.management_token())
        machine.install(device="approved", login={other.domain: login})
        machine.log_in(machine.login(scopes=[]))
        done = machine.run(*SETUP, "--json")
        assert (done.code, error_of(done)["code"]) == (3, "login_hijack")
        assert not machine.tenant.writes
        assert not other.writes


def stored(home: Path) -> dict[str, bytes]:
    """What is in a home: the set-up leaves the logins there alone."""
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", VERSIONS)
def test_every_version_sets_up(machine: Machine, name: str) -> None:
    machine.install(version=VERSIONS[name], envelope=name in ("next", "newest"))
    machine.log_in()
    done = machine.setup("--via", "cli")
    assert done.code == 0, done
    machine.assert_complete()
    calls, writes = len(machine.calls), len(machine.tenant.writes)
    done = machine.setup("--via", "cli")
    assert (done.code, "Nothing to change" in done.stdout) == (0, True)
    assert len(machine.tenant.writes) == writes
    assert len(machine.calls) - calls <= 4, commands(machine.calls[calls:])


@pytest.mark.parametrize(
    "environment",
    [{"CLAUDECODE": "1"}, {"CLICOLOR_FORCE": "1"}, {"CI": "true"}, {"AUTH0_AGENT_MODE": "true"}],
    ids=lambda environment: next(iter(environment)),
)
def test_what_changes_the_output_changes_nothing(
    machine: Machine, environment: dict[str, str]
) -> None:
    machine.use("cli")
    done = machine.run(*SETUP, **environment)
    assert done.code == 0, done
    assert "\x1b" not in done.stdout + done.stderr
    assert machine.settings()["AUTH0_DOMAIN"] == machine.tenant.domain
