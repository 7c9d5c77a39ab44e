"""The doctor asks the project: its settings and its guard judge, by the project's own Python."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt

from setup.test_end_to_end import served, wait_until_ready
from setup.workbench import AUDIENCE, Done, Machine


def ready(machine: Machine) -> None:
    """A tenant that is set up, and nothing of the management in the environment."""
    machine.use("api")
    assert machine.setup().code == 0
    machine.environment.clear()


def signed(machine: Machine, header: dict[str, Any], changes: dict[str, Any]) -> str:
    """A token of the tenant, as Auth0 makes them but for the changes.

    None takes a claim away; a function gives it at the time of the test.
    """
    now = int(time.time())
    claims = {
        "iss": f"https://{machine.tenant.domain}/",
        "aud": [AUDIENCE, f"https://{machine.tenant.domain}/userinfo"],
        "sub": "auth0|somebody",
        "iat": now,
        "exp": now + 3600,
        "azp": "a-client",
        "scope": "openid read:messages",
    }
    changes = {name: value(now) if callable(value) else value for name, value in changes.items()}
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    key = machine.tenant.key
    return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": key.kid, **header}, claims, key)


def judged(machine: Machine, token: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = machine.feed(token, "doctor", "--json", "--token", "-", *arguments)
    checks = {check["id"]: check for check in json.loads(done.stdout)["checks"]}
    return done.code, checks


TOKENS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "good": ({}, {}),
    "of a service": ({}, {"sub": "a-client@clients", "gty": "client-credentials"}),
    "at+jwt": ({"typ": "at+jwt"}, {}),
    "no scope": ({}, {"scope": None}),
    "no sub": ({}, {"sub": None}),
    "sub is a number": ({}, {"sub": 7}),
    "no iat": ({}, {"iat": None}),
    "iat in 30 s": ({}, {"iat": lambda now: now + 30}),
    "iat is a word": ({}, {"iat": "now"}),
    "no exp": ({}, {"exp": None}),
    "expired": ({}, {"exp": lambda now: now - 1}),
    "nbf in 30 s": ({}, {"nbf": lambda now: now + 30}),
    "scope is a list": ({}, {"scope": ["read:messages"]}),
    "dpop+jwt": ({"typ": "dpop+jwt"}, {}),
    "typ is a number": ({"typ": "logout+jwt"}, {}),
    "17 KB": ({}, {"filler": "x" * 17_000}),
    "cnf of another kind": ({}, {"cnf": {"x5t#S256": "x"}}),
    "bound to a key": ({}, {"cnf": {"jkt": "x"}}),
    "another key": ({"kid": "unknown"}, {}),
    "another audience": ({}, {"aud": "https://other.example.com"}),
    "another issuer": ({}, {"iss": "https://other.eu.auth0.com/"}),
    "azp is a list": ({}, {"azp": ["a"]}),
}


def test_the_doctor_says_what_the_api_does(machine: Machine) -> None:
    ready(machine)
    differ = {}
    with served(machine) as client:
        wait_until_ready(client)
        for name, (header, changes) in TOKENS.items():
            token = signed(machine, header, changes)
            answer = client.get("/api/private", headers={"Authorization": f"Bearer {token}"})
            code, checks = judged(machine, token)
            failed = {check["id"] for check in checks.values() if check["status"] == "failure"}
            bound = checks["token-binding"]["status"] == "warning"
            if (answer.status_code == 200) != (not failed and not bound):
                differ[name] = answer.status_code, failed
            if answer.status_code == 401 and not bound:
                assert code == 2, name
                assert any(each.startswith("token-") for each in failed), name
        forged = signed(machine, {}, {})[:-12] + "AAAAAAAAAAAA"
        assert judged(machine, forged)[1]["token-key"]["status"] == "failure"
    assert differ == {}


def test_the_claim_at_fault_is_named(machine: Machine) -> None:
    ready(machine)
    found = judged(machine, signed(machine, {}, {"scope": ["read:messages"]}))[1]["token-claims"]
    assert found["status"] == "failure"
    assert "the claim scope is" in found["found"]


def doctor(machine: Machine, *arguments: str, **environment: str) -> tuple[Done, dict[str, Any]]:
    done = machine.run("doctor", "--json", "--timeout", "2", *arguments, **environment)
    assert "Traceback" not in done.said
    assert "defect" not in done.said
    return done, {check["id"]: check for check in json.loads(done.stdout)["checks"]}


def test_without_an_environment_nothing_is_called_good(machine: Machine) -> None:
    """What the project alone can judge is skipped, with the reason; skipped alone exits 0."""
    ready(machine)
    done, checks = doctor(machine, UV_PROJECT_ENVIRONMENT=".not-there", PATH="/usr/bin:/bin")
    assert done.code == 0, checks
    for name in ("settings", "guard", "scopes-project"):
        assert checks[name]["status"] == "skipped"
        assert "no environment" in checks[name]["found"]
        assert "uv sync" in checks[name]["remedy"]
    token = signed(machine, {}, {})
    machine.environment["UV_PROJECT_ENVIRONMENT"] = ".not-there"
    found = judged(machine, token)[1]
    assert {check["status"] for name, check in found.items() if name[:6] == "token-"} == {"skipped"}


def test_packages_that_are_not_there_yet(machine: Machine) -> None:
    ready(machine)
    python = machine.root / "bare" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/python3")
    done, checks = doctor(machine, UV_PROJECT_ENVIRONMENT=str(python.parents[1]))
    assert "ModuleNotFoundError" in checks["settings"]["found"]
    assert checks["settings"]["status"] == "skipped"
    assert done.code == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("CORS_ORIGINS", "nonsense"), ("AUTH0_DPOP", "sometimes"), ("PUBLIC_URL", "ftp://x")],
)
def test_a_setting_is_refused_by_the_projects_own_rules(
    machine: Machine, name: str, value: str
) -> None:
    ready(machine)
    with machine.env_file.open("a", encoding="utf-8") as file:
        file.write(f"{name}={value}\n")
    done, checks = doctor(machine)
    assert done.code == 2
    assert checks["settings"]["status"] == "failure"
    assert f"{name}: " in checks["settings"]["found"]
    assert checks["guard"]["status"] == "skipped"


def test_a_rule_of_the_owner_counts_too(machine: Machine) -> None:
    ready(machine)
    path = machine.project / "src" / "my_api" / "settings.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n    page_size: int\n", encoding="utf-8")
    assert "PAGE_SIZE: it is not set" in doctor(machine)[1]["settings"]["found"]
    assert doctor(machine, PAGE_SIZE="20")[1]["settings"]["status"] == "ok"


def test_a_broken_module_is_a_failure(machine: Machine) -> None:
    ready(machine)
    (machine.project / "src" / "my_api" / "settings.py").write_text("1 +", encoding="utf-8")
    done, checks = doctor(machine)
    assert done.code == 2
    assert "SyntaxError" in checks["settings"]["found"]


def test_what_the_project_prints_is_no_answer(machine: Machine) -> None:
    ready(machine)
    path = machine.project / "src" / "my_api" / "settings.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\n\nprint('{{}}')\n", encoding="utf-8")
    assert doctor(machine)[1]["settings"]["status"] == "ok"


def test_a_project_that_never_answers_is_skipped(machine: Machine) -> None:
    ready(machine)
    path = machine.project / "src" / "my_api" / "settings.py"
    path.write_text("import os\n\nos._exit(3)\n", encoding="utf-8")
    checks = doctor(machine)[1]
    assert checks["settings"]["status"] == "skipped"
    assert "could not be asked" in checks["settings"]["found"]


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"NO_PROXY": "localhost,[::1]"}, "NO_PROXY"),
        ({"ALL_PROXY": "socks5://127.0.0.1:9", "HTTPS_PROXY": ""}, "ALL_PROXY"),
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_variable_that_breaks_http_is_named_or_works(
    machine: Machine, environment: dict[str, str], named: str
) -> None:
    """In the set-up and in the doctor as in the API, which has the same client."""
    ready(machine)
    done, checks = doctor(machine, **environment)
    worked = checks["discovery"]["status"] == "ok"
    if not worked:
        assert named in f"{checks['discovery']} {checks['tls']}"
        assert done.code == 2
    assert (checks["guard"]["status"] == "ok") == worked, checks["guard"]
    machine.use("api")
    done = machine.run("setup", "--dry-run", **environment)
    assert "defect" not in done.said
    assert done.code == 0 if worked else named in done.said


def test_a_named_pipe_for_env_does_not_hang(machine: Machine) -> None:
    ready(machine)
    machine.env_file.unlink()
    os.mkfifo(machine.env_file)
    done, checks = doctor(machine)
    assert done.code == 2
    assert "is not a file" in checks["env-file"]["found"]
    assert checks["settings"]["status"] != "ok"


def test_without_settings_no_sentence_has_a_hole(machine: Machine) -> None:
    machine.use("api")
    machine.environment.clear()
    machine.env_file.unlink()
    done = machine.run("doctor")
    assert done.code == 2
    done.says("AUTH0_DOMAIN is not set", "AUTH0_AUDIENCE is not set")
    assert not [line for line in done.stdout.splitlines() if line.rstrip().endswith(("=", ":"))]
    token = "eyJhbGciOiJSUzI1NiJ9.e30.eA"
    done = machine.feed(token, "doctor", "--token", "-")
    assert "audience= " not in f"{done.said} "
    assert "not for  " not in done.said


FACTS: dict[str, Callable[[Machine], object]] = {
    "pycache": lambda machine: list((machine.project / "src").rglob("__pycache__")),
    "files": lambda machine: machine.snapshot(),
}


@pytest.mark.parametrize("fact", FACTS)
def test_asking_leaves_nothing_behind(machine: Machine, fact: str) -> None:
    ready(machine)
    before = FACTS[fact](machine)
    doctor(machine)
    assert FACTS[fact](machine) == before
