"""The doctor against a real tenant: it finds what makes tokens fail, and writes nowhere."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from setup import loopback_tenant as loopback
from setup.workbench import AUDIENCE, Machine
from support import commit_all

DISCOVERY, KEYS = "/.well-known/openid-configuration", "/.well-known/jwks.json"
FOR_EVER = float("inf")


def change_api(**changes: Any) -> Callable[[Machine], None]:
    def spoil(machine: Machine) -> None:
        machine.tenant.apis(AUDIENCE)[0].update(changes)

    return spoil


def fail(path: str, answer: loopback.Answer) -> Callable[[Machine], None]:
    def spoil(machine: Machine) -> None:
        machine.tenant.fail(answer, "GET", path, times=FOR_EVER)

    return spoil


def replace_in_env(old: str, new: str) -> Callable[[Machine], None]:
    def spoil(machine: Machine) -> None:
        machine.env_file.write_text(machine.env_file.read_text().replace(old, new))

    return spoil


def another_issuer(machine: Machine) -> None:
    machine.tenant.issuer = "https://login.example.com/"


def api_deleted(machine: Machine) -> None:
    machine.tenant.resource_servers[:] = machine.tenant.resource_servers[:1]


def env_of_everybody(machine: Machine) -> None:
    machine.env_file.chmod(0o644)


def scope_only_in_code(machine: Machine) -> None:
    path = machine.project / "auth0" / "tenant.yaml"
    path.write_text(path.read_text().replace("write:messages", "send:messages"))


SPOILT = {
    "discovery down": (fail(DISCOVERY, loopback.SERVER_ERROR), "discovery", "failure"),
    "discovery is a page": (fail(DISCOVERY, loopback.HTML_PAGE), "discovery", "failure"),
    "discovery hangs": (fail(DISCOVERY, loopback.HANG), "discovery", "failure"),
    "another issuer": (another_issuer, "issuer", "failure"),
    "keys down": (fail(KEYS, loopback.SERVER_ERROR), "keys", "failure"),
    "no keys": (fail(KEYS, loopback.Answer(200, {"keys": []})), "keys", "failure"),
    "no API": (api_deleted, "api", "failure"),
    "another audience": (replace_in_env(AUDIENCE, AUDIENCE + "/"), "api", "failure"),
    "no audience": (replace_in_env("AUTH0_AUDIENCE", "OTHER_THING"), "settings", "failure"),
    "a URL for a domain": (replace_in_env("=localhost", "=https://localhost"), "settings", "fail"),
    "symmetric signatures": (change_api(signing_alg="HS256"), "api-signing", "failure"),
    "permissions for scopes": (
        change_api(enforce_policies=True, token_dialect="access_token_authz"),
        "api-authorization",
        "warning",
    ),
    "another profile": (change_api(token_dialect="rfc9068_profile"), "api-profile", "failure"),
    "a scope is missing": (change_api(scopes=[]), "scopes-tenant", "failure"),
    "code and tenant.yaml differ": (scope_only_in_code, "scopes-project", "failure"),
    "everybody reads .env": (env_of_everybody, "env-file", "warning"),
}
CODES = {"ok": 0, "warning": 1, "failure": 2}


def checks(machine: Machine, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = machine.run("doctor", "--json", "--timeout", "2", *arguments)
    assert "Traceback" not in done.said
    return done.code, {check["id"]: check for check in json.loads(done.stdout)["checks"]}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_wrong_is_found(machine: Machine, name: str) -> None:
    spoil, check, status = SPOILT[name]
    machine.use("api")
    assert machine.setup().code == 0
    del machine.environment["AUTH0_DOMAIN"]  # or it would win over .env
    spoil(machine)
    writes, files = machine.tenant.writes, machine.snapshot()
    env = machine.env_file.read_bytes()
    code, found = checks(machine, "--via", "api", "--tenant", machine.tenant.domain)
    assert found[check]["status"].startswith(status), found
    assert found[check]["remedy"]
    assert code == max(CODES.get(each["status"], 0) for each in found.values())
    assert (machine.tenant.writes, machine.snapshot()) == (writes, files)
    assert machine.env_file.read_bytes() == env


@pytest.mark.parametrize("via", ["cli", "api"])
def test_nothing_is_wrong(machine: Machine, via: str) -> None:
    machine.use(via)
    assert machine.setup("--via", via).code == 0
    code, found = checks(machine, "--via", via)
    assert {
        name for name, check in found.items() if check["status"] not in ("ok", "skipped")
    } == set()
    assert code == 0
    assert {"api", "api-signing", "api-authorization", "scopes-tenant"} <= {
        name for name, check in found.items() if check["status"] == "ok"
    }


def test_without_access_to_the_management_api(machine: Machine) -> None:
    """What only an administrator sees is skipped and named; the rest is looked at."""
    machine.use("api")
    assert machine.setup().code == 0
    machine.environment.clear()
    code, found = checks(machine)
    assert found["api"]["status"] == "skipped"
    assert found["discovery"]["status"] == found["keys"]["status"] == "ok"
    assert code in (0, 1)


def test_an_env_in_git_is_found_inside_a_hook_too(machine: Machine) -> None:
    machine.use("api")
    assert machine.setup().code == 0
    commit_all(machine.project)
    machine.environment["GIT_DIR"] = str(machine.root / "elsewhere")
    found = checks(machine)[1]["env-file"]
    assert (found["status"], found["found"]) == ("failure", ".env is in git")


@pytest.mark.parametrize("fault", ["link", "UTF-16"])
def test_an_env_that_cannot_be_merged_is_one_finding_of_many(machine: Machine, fault: str) -> None:
    machine.use("api")
    assert machine.setup().code == 0
    if fault == "link":
        machine.env_file.rename(machine.root / "elsewhere")
        machine.env_file.symlink_to(machine.root / "elsewhere")
    else:
        machine.env_file.write_bytes(machine.env_file.read_text().encode("utf-16"))
    code, found = checks(machine)
    assert (code, found["env-file"]["status"]) == (2, "failure")
    assert found["keys"]["status"] == "ok"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exec sleep 60", "no answer from the Auth0 CLI"),
        ("kill -SEGV $$", "exit code -11"),
        ("echo 'Please update!'", "it printed no JSON"),
    ],
)
def test_an_executable_that_does_not_run(machine: Machine, script: str, says: str) -> None:
    machine.use("api")
    assert machine.setup().code == 0
    (machine.programs / "auth0").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (machine.programs / "auth0").chmod(0o755)
    code, found = checks(machine, "--timeout", "2")
    assert (code, found["cli"]["status"]) == (1, "warning")
    assert says in found["cli"]["found"]


def test_a_development_build_of_the_executable_is_good(machine: Machine) -> None:
    machine.use("cli")
    machine.install(version="")
    assert machine.setup().code == 0
    assert checks(machine)[1]["cli"]["status"] == "ok"


def test_without_access_the_way_to_it_is_told(machine: Machine) -> None:
    machine.use("cli")
    assert machine.setup().code == 0
    machine.log_in(machine.login("other.eu.auth0.com"))
    found = checks(machine)[1]["api"]
    assert found["status"] == "skipped"
    assert "--tenant" in found["remedy"]
