"""`token` in every state: only a token on stdout, or one line that says what is missing."""

import json

import pytest

from setup import loopback_tenant as loopback
from setup.loopback_tenant import Answer
from setup.workbench import OWN, Machine

TOKEN = "/oauth/token"


def ready(machine: Machine) -> None:
    """A test application; nothing of the management is left in the environment."""
    machine.use("api")
    assert machine.setup().code == 0
    machine.environment.clear()
    machine.tenant.log.clear()


@pytest.mark.parametrize("missing", ["AUTH0_TEST_CLIENT_ID", "AUTH0_TEST_CLIENT_SECRET"])
def test_before_the_set_up(machine: Machine, missing: str) -> None:
    ready(machine)
    machine.env_file.write_text(machine.env_file.read_text().replace(missing, "OTHER_THING"))
    done = machine.run("token")
    assert (done.code, done.stdout, done.stderr.count("\n")) == (3, "", 1), done
    done.says("setup --test-app")
    assert machine.tenant.log == []


FAULTS = {
    "refused": (
        Answer(401, {"error": "access_denied", "error_description": "Unauthorized"}),
        "401",
    ),
    "no grant": (Answer(403, {"error": "access_denied", "error_description": "Not it"}), "Not it"),
    "500": (loopback.SERVER_ERROR, "500"),
    "429": (loopback.rate_limited(60), "429"),
    "a page": (loopback.HTML_PAGE, "not a JSON object"),
    "no token": (Answer(200, {}), "no access token"),
    "hang": (loopback.HANG, "within 1 s"),
    "reset": (loopback.RESET, "cannot be reached"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_tenant_refuses(machine: Machine, name: str) -> None:
    ready(machine)
    answer, words = FAULTS[name]
    machine.tenant.fail(answer, "POST", TOKEN)
    done = machine.run("token", "--timeout", "1")
    assert (done.code, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    done.says("error:", words)
    assert machine.settings()["AUTH0_TEST_CLIENT_SECRET"] not in done.said
    done = machine.run("token")
    assert (done.code, done.stdout.count(".")) == (0, 2), done


def test_a_token_is_given_to_the_doctor(machine: Machine) -> None:
    ready(machine)
    got = machine.run("token", "--scope", "read:messages")
    assert got.code == 0
    done = machine.run("doctor", "--token", got.stdout.strip())
    assert done.code == 64
    done.says("shell's history")
    found = doctor(machine, got.stdout, "--scope", "read:messages")
    assert found["token-audience"] == found["token-scopes"] == found["token-key"] == "ok"
    assert doctor(machine, got.stdout, "--scope", "write:messages")["token-scopes"] == "failure"
    assert doctor(machine, "opaque")["token-form"] == "failure"


def doctor(machine: Machine, token: str, *arguments: str) -> dict[str, str]:
    """The state of each check, with a token on stdin."""
    done = machine.feed(token, "doctor", "--json", "--token", "-", *arguments)
    assert "Traceback" not in done.said
    return {check["id"]: check["status"] for check in json.loads(done.stdout)["checks"]}


@pytest.mark.parametrize("content", ["", "[]", '{"expires_at": "x"}', "[" * 100_000])
def test_a_cache_that_is_damaged_costs_another_token(machine: Machine, content: str) -> None:
    ready(machine)
    token = machine.run("token").stdout
    [kept] = machine.home.rglob("*.json")
    kept.write_text(content, encoding="utf-8")
    done = machine.run("token")
    assert (done.code, len(done.stdout), done.stderr) == (0, len(token), "")


def test_the_secret_is_rotated(machine: Machine) -> None:
    """What was cached for the old secret is not given out for the new one."""
    ready(machine)
    assert machine.run("token").code == 0
    (client,) = machine.tenant.applications("test")
    client["client_secret"] = "rotated"
    machine.use("api")
    done = machine.run("token")
    assert done.code == 0  # still good, and cached
    machine.env_file.write_text(OWN)
    assert machine.setup().code == 0
    assert machine.settings()["AUTH0_TEST_CLIENT_SECRET"] == "rotated"
    asked = len(machine.tenant.log)
    assert machine.run("token").code == 0
    assert [request.url for request in machine.tenant.log[asked:]] == [TOKEN]


def test_a_new_scope_asks_for_a_new_token(machine: Machine) -> None:
    ready(machine)
    first = machine.run("token").stdout
    assert machine.run("token").stdout == first
    declared = machine.project / "auth0" / "tenant.yaml"
    added = "      - value: send:messages\n        description: Send messages\n"
    text = declared.read_text().replace("    # Seconds that", f"{added}    # Seconds that")
    declared.write_text(text)
    machine.use("api")
    assert machine.setup().code == 0
    second = machine.run("token").stdout
    assert second != first
    found = doctor(machine, second, "--scope", "send:messages")
    assert found["token-scopes"] == "ok"


def test_a_scope_that_nobody_granted_is_named(machine: Machine) -> None:
    ready(machine)
    done = machine.run("token", "--scope", "nope:x")
    assert (done.code, done.stdout) == (1, ""), done
    done.says("nope:x", "Declare the scope")
