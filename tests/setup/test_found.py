"""Tenants that hold something already: found, kept, completed; never made twice."""

from typing import Any

import pytest

from setup.loopback_tenant import ALL_SCOPES, Answer
from setup.workbench import AUDIENCE, OWN, Machine

CLIENTS = "/api/v2/clients"


def mark(purpose: str, run: str) -> dict[str, str]:
    """How the set-up knows its own applications."""
    marked = {"created_by": "fastapi-auth0-template", "audience": AUDIENCE, "purpose": purpose}
    return {**marked, "run": run}


def add_client(machine: Machine, **properties: Any) -> dict[str, Any]:
    client = {
        "name": "An application",
        "app_type": "non_interactive",
        "grant_types": ["client_credentials"],
        "client_metadata": {},
        "callbacks": [],
        **properties,
    }
    client |= machine.tenant.new_id("clients", client)
    machine.tenant.clients.append(client)
    return client


@pytest.mark.parametrize("via", ["cli", "api"])
def test_an_application_on_the_last_page(machine: Machine, via: str) -> None:
    machine.use(via)
    for number in range(230):
        add_client(machine, name=f"Other {number}")
    ours = add_client(machine, name="Renamed by hand", client_metadata=mark("test", "earlier"))
    done = machine.setup("--via", via)
    assert done.code == 0, done
    machine.assert_complete()
    assert machine.settings()["AUTH0_TEST_CLIENT_ID"] == ours["client_id"]
    assert ours["name"] == "Renamed by hand"


@pytest.mark.parametrize("via", ["cli", "api"])
def test_of_two_applications_env_names_the_one(machine: Machine, via: str) -> None:
    """Neither is a repeated request of one run: nobody knows which is in use, so both stay."""
    machine.use(via)
    apps = [add_client(machine, client_metadata=mark("test", run)) for run in ("one", "two")]
    last = max(apps, key=lambda app: str(app["client_id"]))
    credentials = f"AUTH0_TEST_CLIENT_ID={last['client_id']}\n"
    credentials += f"AUTH0_TEST_CLIENT_SECRET={last['client_secret']}\n"
    machine.env_file.write_text(OWN + credentials)
    done = machine.setup("--via", via)
    assert done.code == 0, done
    done.says("another test application for this API is left alone")
    assert machine.tenant.applications("test") == apps
    assert machine.settings()["AUTH0_TEST_CLIENT_ID"] == last["client_id"]


@pytest.mark.parametrize("via", ["cli", "api"])
def test_the_twin_of_a_run_that_died_is_removed(machine: Machine, via: str) -> None:
    machine.use(via)
    for _ in range(2):
        add_client(machine, client_metadata=mark("test", "died"))
    done = machine.setup("--via", via)
    assert done.code == 0, done
    done.says("Delete the twin")
    machine.assert_complete()


@pytest.mark.parametrize("via", ["cli", "api"])
def test_an_application_that_was_deleted(machine: Machine, via: str) -> None:
    """.env names one that is gone: a new one, but only with a yes to the new values."""
    machine.use(via)
    assert machine.setup("--via", via).code == 0
    (gone,) = machine.tenant.applications("test")
    machine.tenant.clients.remove(gone)
    machine.tenant.grants[:] = [
        grant for grant in machine.tenant.grants if grant["client_id"] != gone["client_id"]
    ]
    env, writes = machine.env_file.read_bytes(), machine.tenant.writes
    done = machine.setup("--via", via)
    assert done.code == 3, done
    done.says("AUTH0_TEST_CLIENT_ID", "Add --replace-env")
    assert (machine.env_file.read_bytes(), machine.tenant.writes) == (env, writes)
    machine.finish("--via", via, "--replace-env")


@pytest.mark.parametrize("via", ["cli", "api"])
def test_callbacks_are_added(machine: Machine, via: str) -> None:
    machine.use(via)
    theirs = "https://theirs.example.com/callback"
    docs = add_client(
        machine, app_type="spa", callbacks=[theirs], client_metadata=mark("docs", "earlier")
    )
    done = machine.setup("--via", via, "--docs-url", "https://api.example.com")
    assert done.code == 0, done
    assert docs["callbacks"] == [theirs, "https://api.example.com/docs/oauth2-redirect"]


def test_a_secret_that_may_not_be_read(machine: Machine) -> None:
    """The answer that creates an application has it; later it takes a scope of its own."""
    machine.install()
    scopes = frozenset(ALL_SCOPES - {"read:client_keys"})
    token = machine.tenant.management_token(scopes)
    machine.log_in(machine.login(access_token=token))
    done = machine.setup()
    assert done.code == 0, done
    machine.assert_complete()

    lost = machine.env_file.read_text().replace("AUTH0_TEST_CLIENT_SECRET", "LOST")
    machine.env_file.write_text(lost)
    writes = machine.tenant.writes
    done = machine.setup()
    assert done.code == 3, done
    done.says("auth0 login --scopes read:client_keys")
    assert (machine.env_file.read_text(), machine.tenant.writes) == (lost, writes)
    machine.env_file.write_text(OWN)
    machine.use("cli")
    machine.finish()


@pytest.mark.parametrize("via", ["cli", "api"])
def test_a_tenant_that_is_slow_to_see_its_own_changes(machine: Machine, via: str) -> None:
    machine.use(via)
    nothing = {"total": 0, "start": 0, "limit": 100, "clients": []}
    machine.tenant.fail(Answer(200, nothing), "GET", CLIENTS, skip=1)
    done = machine.setup("--via", via)
    assert done.code in (0, 1), done
    machine.assert_env_whole()
    machine.finish("--via", via)


def test_a_custom_domain_in_env_stays(machine: Machine) -> None:
    machine.use("cli")
    custom = machine.tenant.domain.replace("localhost", "127.0.0.1")
    machine.tenant.custom_domains.append({"domain": custom, "status": "ready"})
    machine.tenant.issuer = f"https://{custom}/"
    env = f"AUTH0_DOMAIN={custom}\nAUTH0_AUDIENCE={AUDIENCE}\n"
    machine.env_file.write_text(env)
    done = machine.run("setup", "--yes", "--tenant", machine.tenant.domain)
    assert done.code == 0, done
    assert machine.env_file.read_text() == env


@pytest.mark.parametrize("via", ["cli", "api"])
def test_two_runs_at_once(machine: Machine, via: str) -> None:
    """The API is there once whatever happens; nothing breaks, and a run afterwards is content."""
    machine.use(via)
    arguments = ("setup", "--yes", "--via", via)
    both = [machine.start(*arguments) for _ in range(2)]
    for process in both:
        stderr = process.communicate(timeout=60)[1]
        assert "Traceback" not in stderr
        assert process.returncode in (0, 1), stderr
    assert len(machine.tenant.apis(AUDIENCE)) == 1
    machine.finish("--via", via)
