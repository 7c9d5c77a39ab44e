"""From a new project in automatic mode to answered calls: set-up, doctor, token, running API."""

import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx
import pytest
import trustme

from setup.loopback_tenant import LoopbackTenant
from setup.workbench import AUDIENCE, OWN, Machine
from support import AUTOMATIC, render

SERVING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


@contextmanager
def served(machine: Machine) -> Iterator[httpx.Client]:
    """The project's API in a process of its own, as its README starts it; a client of it."""
    source = {"PYTHONPATH": str(machine.project / "src"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "my_api.main:create_app", "--port", "0"],
        cwd=machine.project,
        env=without_credentials(machine) | source,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    said: list[str] = []

    def read() -> None:
        with process.stdout or nullcontext(()) as output:
            for line in output:
                lines.put(line)
        lines.put("")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while not (match := SERVING.search(said[-1] if said else "")):
            said.append(lines.get(timeout=60))
            assert said[-1], said
        with httpx.Client(base_url=match[1], trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait(10)
        reader.join(10)


def without_credentials(machine: Machine) -> dict[str, str]:
    """The environment of the API: all that it needs is in .env."""
    return {name: value for name, value in machine.env().items() if not name.startswith("AUTH0_")}


def token(machine: Machine, *arguments: str) -> dict[str, str]:
    """What a caller sends who asked `token` for one."""
    done = machine.run("token", *arguments)
    assert (done.code, done.stdout.count("\n")) == (0, 1), done
    return {"Authorization": f"Bearer {done.stdout.strip()}"}


def wait_until_ready(client: httpx.Client) -> None:
    """As a platform does: the keys of the tenant are fetched when the API starts."""
    deadline = time.monotonic() + 20
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def check_api(machine: Machine) -> None:
    """The API answers who has a token that the set-up got, and only those."""
    everything = token(machine)
    with served(machine) as client:
        assert client.get("/healthz").status_code == 200
        wait_until_ready(client)
        assert client.get("/api/public").status_code == 200

        assert client.get("/api/private").status_code == 401
        answer = client.get("/api/private", headers=everything)
        assert answer.status_code == 200
        subject = f"{machine.settings()['AUTH0_TEST_CLIENT_ID']}@clients"
        assert subject in answer.text

        assert client.get("/api/messages", headers=everything).status_code == 200
        new = {"text": "Hello"}
        assert client.post("/api/messages", headers=everything, json=new).status_code == 201

        forged = {"Authorization": everything["Authorization"][:-8] + "AAAAAAAA"}
        assert client.get("/api/private", headers=forged).status_code == 401

        reading = token(machine, "--scope", "read:messages")
        assert client.get("/api/messages", headers=reading).status_code == 200
        refused = client.post("/api/messages", headers=reading, json=new)
        assert refused.status_code == 403
        assert "insufficient_scope" in refused.headers["WWW-Authenticate"]

        assert machine.settings()["AUTH0_DOCS_CLIENT_ID"] in client.get("/docs").text


def check_doctor(machine: Machine, via: str) -> None:
    """The doctor finds nothing wrong, and skips nothing but CORS and proxies that are not there."""
    done = machine.run("doctor", "--via", via)
    assert done.code == 0, done
    assert not re.search(r"^(warning|failure)", done.stdout, re.MULTILINE), done


SCOPES, PERMISSIONS = {"authorization": "scopes"}, {"authorization": "permissions"}
PROFILE = {"token_dialect": "rfc9068_profile"}


@pytest.mark.parametrize(
    ("answers", "dialect", "via"),
    [
        (SCOPES, "access_token", "cli"),
        (SCOPES, "access_token", "api"),
        (PERMISSIONS, "access_token_authz", "cli"),
        (PERMISSIONS, "access_token_authz", "api"),
        (SCOPES | PROFILE, "rfc9068_profile", "cli"),
        (PERMISSIONS | PROFILE, "rfc9068_profile_authz", "api"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value,
)
def test_a_new_project_answers(
    tenant: LoopbackTenant,
    certificates: Path,
    plain_template: Path,
    tmp_path: Path,
    answers: dict[str, str],
    dialect: str,
    via: str,
) -> None:
    machine = Machine(tmp_path, tenant, certificates)
    render(plain_template, machine.project, AUTOMATIC | answers)
    machine.env_file.write_text(OWN)
    machine.use(via)

    planned = machine.run("setup", "--dry-run", "--test-app", "--docs-app", "--via", via)
    assert (planned.code, tenant.writes) == (2, []), planned
    done = machine.setup("--via", via)
    assert done.code == 0, done
    machine.assert_complete()
    (api,) = tenant.apis(AUDIENCE)
    assert api["enforce_policies"] == (answers["authorization"] == "permissions")
    assert api["token_dialect"] == dialect

    check_doctor(machine, via)
    check_api(machine)
    machine.finish("--via", via)


def test_a_token_is_asked_for_once(machine: Machine) -> None:
    """Auth0 counts the tokens of machines."""
    machine.use("api")
    assert machine.setup().code == 0
    asked = [r for r in machine.tenant.log if r.url == "/oauth/token"]
    first, second = token(machine), token(machine)
    assert first == second
    fresh = token(machine, "--fresh")
    after = [r for r in machine.tenant.log if r.url == "/oauth/token"]
    assert len(after) - len(asked) == 2
    (cached,) = {path.parent for path in machine.home.rglob("*.json")}
    assert machine.project not in cached.parents
    assert fresh["Authorization"].startswith("Bearer ")
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in cached.iterdir())


def test_a_tenant_that_is_not_trusted_is_refused(machine: Machine, tmp_path: Path) -> None:
    """A certificate of someone else is a failed set-up, and says so; nothing is written."""
    machine.use("api")
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    done = machine.run("setup", "--yes", "--via", "api", SSL_CERT_FILE=os.fspath(other))
    assert done.code == 1, done
    done.says("certificate", "is not trusted", "next:")
    assert not machine.tenant.log
    assert machine.env_file.read_text() == OWN
