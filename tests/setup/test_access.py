"""Who may get a token: the API's access policy, and client grants that lag behind the API."""

import json
from typing import Any

import pytest

from setup.loopback_tenant import Answer
from setup.workbench import AUDIENCE, Machine

NOT_FOUND = "The requested resource was not found"
SUBJECTS = "subject_type_authorization"


def policies(user: str, client: str) -> dict[str, Any]:
    return {SUBJECTS: {"user": {"policy": user}, "client": {"policy": client}}}


def check(machine: Machine, name: str) -> dict[str, Any]:
    done = machine.run("doctor", "--json", "--via", "api")
    found: dict[str, Any] = next(c for c in json.loads(done.stdout)["checks"] if c["id"] == name)
    return found


@pytest.mark.parametrize("via", ["cli", "api"])
def test_the_docs_application_gets_the_grant_that_the_api_asks_for(
    machine: Machine, via: str
) -> None:
    machine.use(via)
    machine.tenant.add_api(AUDIENCE, **policies("require_client_grant", "require_client_grant"))
    done = machine.setup("--via", via)
    assert done.code == 0, done
    done.says("require_client_grant", "Grant the docs application")
    (docs,) = machine.tenant.applications("docs")
    grants = [g for g in machine.tenant.grants if g["client_id"] == docs["client_id"]]
    assert [(g["subject_type"], g["scope"]) for g in grants] == [
        ("user", ["read:messages", "write:messages"])
    ]
    done = machine.setup("--via", via)
    done.says("Nothing to change")
    if via == "api":
        assert check(machine, "api-access")["status"] == "ok"


@pytest.mark.parametrize(
    ("user", "client", "status", "words"),
    [
        ("require_client_grant", "require_client_grant", "warning", "needs a grant"),
        ("deny_all", "require_client_grant", "warning", "no login gets a token"),
        ("allow_all", "deny_all", "warning", "no test token"),
        ("deny_all", "deny_all", "failure", "nobody can get a token"),
        ("allow_all", "require_client_grant", "ok", "for users: allow_all"),
    ],
)
def test_whom_the_policy_shuts_out_is_named(
    machine: Machine, user: str, client: str, status: str, words: str
) -> None:
    machine.use("api")
    machine.tenant.add_api(AUDIENCE, **policies(user, client))
    done = machine.run("setup", "--yes")
    assert done.code == 0, done
    assert (SUBJECTS in done.said) == (status != "ok")
    found = check(machine, "api-access")
    assert (found["status"], words in found["found"]) == (status, True), found


@pytest.mark.parametrize("via", ["cli", "api"])
def test_a_scope_that_the_api_has_lost_does_not_block(machine: Machine, via: str) -> None:
    machine.use(via)
    path = machine.project / "auth0" / "tenant.yaml"
    first = path.read_text(encoding="utf-8")
    dropped = first.replace("write:messages", "send:messages")
    assert machine.setup("--via", via).code == 0
    api = machine.tenant.apis(AUDIENCE)[0]
    api["scopes"] = [scope for scope in api["scopes"] if scope["value"] != "write:messages"]
    path.write_text(dropped, encoding="utf-8")
    done = machine.setup("--via", via)
    assert done.code == 0, done
    (test,) = machine.tenant.applications("test")
    (grant,) = [g for g in machine.tenant.grants if g["client_id"] == test["client_id"]]
    assert grant["scope"] == ["read:messages", "send:messages"]


def test_clients_that_lack_a_new_scope_are_named(machine: Machine) -> None:
    machine.use("api")
    assert machine.setup().code == 0
    assert check(machine, "grants")["status"] == "ok"
    grant = {"id": "cgr_old", "client_id": "an-old-client", "audience": AUDIENCE}
    machine.tenant.grants.append({**grant, "scope": ["read:messages"]})
    found = check(machine, "grants")
    assert found["status"] == "warning"
    assert "an-old-client lacks write:messages" in found["found"]


@pytest.mark.parametrize("via", ["cli", "api"])
def test_a_tenant_without_a_management_api(machine: Machine, via: str) -> None:
    """A list is never missing: it may be empty. So 404 means another host."""
    machine.use(via)
    fault = {"statusCode": 404, "error": "Not Found", "message": NOT_FOUND}
    machine.tenant.fail(Answer(404, fault), "GET", "/api/v2/resource-servers", times=9)
    done = machine.run("setup", "--yes", "--via", via)
    assert done.code == 1
    done.says("has no Management API", "the tenant's own domain")
    assert "removed meanwhile" not in done.said


@pytest.mark.parametrize("via", ["cli", "api"])
def test_what_was_made_is_made_once_though_the_tenant_does_not_show_it_yet(
    machine: Machine, via: str
) -> None:
    machine.use(via)
    nothing = {"total": 0, "start": 0, "limit": 50, "resource_servers": []}
    late = Answer(200, nothing)
    machine.tenant.fail(late, "GET", "/api/v2/resource-servers", skip=1, times=2)
    done = machine.run("setup", "--yes", "--via", via)
    assert done.code == 0, done
    posts = [r for r in machine.tenant.writes if r.method == "POST" and "resource" in r.url]
    assert [request.status for request in posts] == [201]
    done.says("does not show the change yet")


def test_the_management_api_wants_the_tenants_own_domain(machine: Machine) -> None:
    machine.use("api")
    custom = machine.tenant.domain.replace("localhost", "127.0.0.1")
    done = machine.run("setup", "--yes", AUTH0_DOMAIN=custom)
    assert done.code == 1
    done.says("not a custom one", "--tenant your-tenant.eu.auth0.com")
    assert machine.tenant.writes == []
    done = machine.run("setup", "--yes", "--tenant", machine.tenant.domain, AUTH0_DOMAIN=custom)
    assert done.code == 0, done


def test_another_answer_than_the_settings_is_said(machine: Machine) -> None:
    """`copier update -d auth0_audience=...` changes the answer, and nothing else."""
    machine.use("api")
    assert machine.run("setup", "--yes").code == 0
    answers = machine.project / ".copier-answers.yml"
    text = answers.read_text(encoding="utf-8").replace(AUDIENCE, "https://new.example.com")
    answers.write_text(text, encoding="utf-8")
    done = machine.run("setup", "--yes")
    assert done.code == 0
    done.says(f"AUTH0_AUDIENCE is {AUDIENCE}", "the answer in .copier-answers.yml is https://new")
    done = machine.run("setup", "--yes", "--audience", "https://new.example.com", "--replace-env")
    assert done.code == 0
    assert machine.settings()["AUTH0_AUDIENCE"] == "https://new.example.com"


def test_what_a_killed_run_left_goes_with_the_next(machine: Machine) -> None:
    """It may hold a secret; the next run need not write .env to clear it away."""
    machine.use("api")
    assert machine.run("setup", "--yes").code == 0
    (machine.project / ".env.new-abcd").write_text("AUTH0_TEST_CLIENT_SECRET=x\n", encoding="utf-8")
    assert machine.run("setup").code == 0
    assert not list(machine.project.glob(".env.new-*"))


def test_an_env_that_others_read_is_made_private_and_it_is_said(machine: Machine) -> None:
    machine.use("api")
    assert machine.run("setup", "--yes").code == 0
    machine.env_file.chmod(0o644)
    done = machine.run("setup", "--yes")
    assert done.code == 0
    done.says("make it readable by you only (mode 0600)")
    assert machine.env_file.stat().st_mode & 0o777 == 0o600
