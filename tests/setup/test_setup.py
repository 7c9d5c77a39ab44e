"""`setup` where nothing is wrong: what it calls and leaves; a second run changes nothing."""

import json
import os

import pytest

from setup.workbench import AUDIENCE, Machine, commands


@pytest.mark.parametrize("via", ["cli", "api"])
def test_all_is_created_once(machine: Machine, via: str) -> None:
    machine.use(via)
    files = machine.snapshot()
    done = machine.setup("--via", via)
    assert done.code == 0, done
    machine.assert_complete()
    assert machine.snapshot() == files
    secret = machine.tenant.applications("test")[0]["client_secret"]
    assert secret not in done.said
    assert not any(secret in argument for call in machine.calls for argument in call)

    writes, calls = machine.tenant.writes, len(machine.calls)
    env = machine.env_file.stat()
    done = machine.setup("--via", via)
    done.says("the tenant and .env are as auth0/tenant.yaml declares")
    assert done.code == 0
    assert machine.tenant.writes == writes
    assert machine.env_file.stat() == env
    assert len(machine.calls) - calls == (4 if via == "cli" else 0)
    machine.assert_complete()


def test_nothing_but_the_api_costs_two_calls(machine: Machine) -> None:
    machine.use("cli")
    machine.run("setup", "--yes")
    calls = len(machine.calls)
    assert machine.run("setup", "--yes").code == 0
    assert commands(machine.calls[calls:]) == ["tenants list", "api get"]


@pytest.mark.parametrize("via", ["cli", "api"])
def test_a_dry_run_writes_nothing(machine: Machine, via: str) -> None:
    machine.use(via)
    env = machine.env_file.read_bytes()
    done = machine.run("setup", "--dry-run", "--test-app", "--docs-app", "--via", via)
    assert done.code == 2
    done.says("Create the API", "Create the test application", "scope read:messages")
    assert machine.tenant.writes == []
    assert machine.env_file.read_bytes() == env
    machine.finish("--via", via)
    assert machine.run("setup", "--dry-run", "--via", via).code == 0


@pytest.mark.parametrize("via", ["cli", "api"])
def test_machines_read_one_object(machine: Machine, via: str) -> None:
    machine.use(via)
    done = machine.run("setup", "--yes", "--json", "--test-app", "--via", via)
    report = json.loads(done.stdout)
    assert (done.code, report["exit_code"], report["status"]) == (0, 0, "applied")
    assert [(change["target"], change["action"]) for change in report["changes"]] == [
        ("api", "create"),
        ("test_app", "create"),
        ("test_grant", "create"),
        ("env", "update"),
    ]
    assert machine.tenant.applications("test")[0]["client_secret"] not in done.said
    report = json.loads(machine.run("setup", "--json", "--test-app", "--via", via).stdout)
    assert (report["status"], report["changes"]) == ("unchanged", [])


@pytest.mark.parametrize("via", ["cli", "api"])
def test_an_api_that_exists_is_completed_and_loses_nothing(machine: Machine, via: str) -> None:
    machine.use(via)
    theirs = {"value": "admin:all", "description": "Theirs"}
    bare = {"value": "read:messages", "description": "Read messages"}
    machine.tenant.add_api(AUDIENCE, name="Kept", scopes=[theirs, bare], token_lifetime=60)
    done = machine.setup("--via", via)
    assert done.code == 0, done
    done.says('the API exists: "Kept"', "add scope write:messages")
    (api,) = machine.tenant.apis(AUDIENCE)
    assert theirs in api["scopes"]
    assert bare in api["scopes"]
    machine.assert_complete()

    done = machine.setup("--via", via, "--prune")
    done.says("drop scope admin:all")
    assert theirs not in machine.tenant.apis(AUDIENCE)[0]["scopes"]


@pytest.mark.parametrize("via", ["cli", "api"])
def test_an_api_of_auth0_is_refused(machine: Machine, via: str) -> None:
    machine.use(via)
    machine.tenant.add_api("urn:theirs", is_system=True)
    for identifier in (machine.tenant.management_audience, "urn:theirs"):
        done = machine.setup("--via", via, "--audience", identifier)
        assert done.code == 3, done
        done.says("an API of Auth0's own", "next:")
    assert machine.tenant.writes == []
    machine.finish("--via", via)


def test_a_tenant_of_another_name_is_not_verified(machine: Machine) -> None:
    machine.use("cli")
    machine.tenant.issuer = "https://login.example.com/"
    done = machine.setup()
    assert done.code == 1
    done.says("its issuer is https://login.example.com/", "next:")
    machine.assert_env_whole()
    machine.tenant.issuer = None
    machine.finish()


def test_relative_paths_in_the_environment_count_from_here(machine: Machine) -> None:
    """The executable runs in another folder."""
    machine.use("cli")
    certificates = os.path.relpath(machine.certificates, machine.project)
    programs = os.path.relpath(machine.programs, machine.project)
    path = f"{programs}:/usr/bin:/bin"
    done = machine.run("setup", "--yes", SSL_CERT_FILE=certificates, PATH=path)
    assert done.code == 0, done


def test_a_url_for_nothing_is_refused(machine: Machine) -> None:
    machine.use("api")
    for arguments in (["--docs-url", "http://localhost:1"], ["--docs-app", "--docs-url", "no url"]):
        done = machine.run("setup", "--yes", *arguments)
        assert done.code == 64
        done.says("--docs-url")
    assert not machine.tenant.writes


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("setup", ["--tenant", ""]),
        ("setup", ["--audience", " "]),
        ("setup", ["--via", "x"]),
        ("setup", ["--docs-url", "x"]),
        ("doctor", ["--bogus"]),
        ("doctor", ["--scope", ""]),
        ("move-check", ["more"]),
    ],
)
def test_a_wrong_command_line_is_one_object_too(
    machine: Machine, command: str, wrong: list[str]
) -> None:
    """An empty value is that of a variable which is not set: no default is taken for it."""
    machine.use("cli")
    done = machine.run(command, *wrong, "--json")
    assert done.code == 64
    told = json.loads(done.stdout)
    assert (told["status"], told["exit_code"], told["error"]["code"]) == ("failed", 64, "usage")
    assert told["error"]["message"] in done.said
    assert machine.tenant.log == []
