"""`--via env`: the executable of 1.37 with a login from the environment, and nothing stored."""

import json
from typing import Any

import pytest

from setup.workbench import AUDIENCE, Machine

MODE = "AUTH0_CLI_AUTH_MODE"


def ready(machine: Machine, version: str = "1.37.0", **state: Any) -> None:
    """The executable without a login of its own; credentials of a machine."""
    machine.install(version=version, **state)
    client_id, secret = machine.tenant.add_machine()
    machine.environment |= {
        "AUTH0_DOMAIN": machine.tenant.domain,
        "AUTH0_CLIENT_ID": client_id,
        "AUTH0_CLIENT_SECRET": secret,
    }


def test_all_is_created_with_one_token(machine: Machine) -> None:
    ready(machine)
    done = machine.setup("--via", "env")
    assert done.code == 0, done
    machine.assert_complete()
    assert [r.url for r in machine.tenant.log].count("/oauth/token") == 1
    secret = machine.environment["AUTH0_CLIENT_SECRET"]
    assert not any(secret in argument for call in machine.calls for argument in call)
    assert not machine.config.exists()
    done = machine.setup("--via", "env", "--json")
    assert json.loads(done.stdout)["via"] == "env"
    assert machine.run("doctor", "--via", "env").code == 0


@pytest.mark.parametrize("name", ["AUTH0_ACCESS_TOKEN", "AUTH0_API_TOKEN"])
def test_a_token_of_the_environment_is_enough(machine: Machine, name: str) -> None:
    machine.install(version="1.37.0")
    machine.environment |= {
        "AUTH0_DOMAIN": machine.tenant.domain,
        name: f"{machine.tenant.management_token()}\n",
    }
    assert machine.setup("--via", "env").code == 0
    machine.assert_complete()


def test_an_older_executable_has_no_such_mode(machine: Machine) -> None:
    ready(machine, version="1.36.2")
    done = machine.setup("--via", "env")
    assert done.code == 3
    done.says("--via env needs auth0 1.37.0; this is 1.36.2", "Update it")
    assert machine.tenant.writes == []


@pytest.mark.parametrize("name", ["AUTH0_DOMAIN", "AUTH0_CLIENT_SECRET"])
def test_without_all_of_it_nothing_starts(machine: Machine, name: str) -> None:
    ready(machine)
    del machine.environment[name]
    done = machine.setup("--via", "env")
    assert done.code == 3
    done.says(name)
    assert machine.tenant.log == []


def test_a_stored_login_is_used_whatever_the_environment_says(machine: Machine) -> None:
    """Without --via env the mode is taken from the executable's environment."""
    machine.install(version="1.37.0")
    machine.log_in()
    machine.environment |= {MODE: "env", "AUTH0_API_TOKEN": "a.b.c"}
    done = machine.setup("--via", "cli")
    assert done.code == 0, done
    machine.assert_complete()


@pytest.mark.parametrize(
    ("failure", "error", "code", "words"),
    [
        ({"code": "conflict"}, "conflict", 1, "409"),
        ({"code": "network"}, "network", 1, "cannot reach localhost:"),
        ({"code": "api"}, "server", 1, "with an error"),
        ({"code": "rate_limit"}, "rate_limited", 1, "429"),
        ({"code": "not_found"}, "not_found", 1, "has no Management API"),
        ({"code": "usage"}, "cli_too_old", 3, "too old"),
        ({"code": "auth", "reason": "stored_token_unavailable"}, "keyring", 3, "keyring"),
        ({"code": "auth", "reason": "env_auth_exchange_failed"}, "unauthorized", 1, "no token"),
        ({"code": "unknown", "reason": "unclassified"}, "bad_answer", 1, "--via api"),
    ],
    ids=lambda value: value.get("reason", value["code"]) if isinstance(value, dict) else "",
)
def test_a_class_of_the_error_envelope(
    machine: Machine, failure: dict[str, Any], error: str, code: int, words: str
) -> None:
    ready(machine, failure={"message": "It said so", **failure}, envelope=True)
    done = machine.run("setup", "--yes", "--via", "env", "--json")
    assert done.code == code, done
    assert json.loads(done.stdout)["error"]["code"] == error
    done.says(words, "next:")


def test_ctrl_c_inside_of_the_executable(machine: Machine) -> None:
    machine.install(version="1.37.0", exit=130)
    machine.log_in()
    done = machine.run("setup", "--yes", "--via", "cli")
    assert done.code == 130
    done.says("interrupted")
    machine.use("cli")
    assert machine.run("setup", "--yes", "--audience", AUDIENCE).code == 0
