"""Nothing secret leaves by telemetry: a project's whole test run, recorded and searched."""

import json
from pathlib import Path
from typing import Any

import pytest

from support import PYTEST, ROOT, SELF_HOSTED, render, run

ISSUER = ("login", "sessions", "users")
OWN = {"auth.refusals", "auth.keys.age", "auth.keys.failed_refreshes"}
PROBE = '''\
"""One request that carries everything where it does not belong, and one that fails."""

import os

from fastapi.testclient import TestClient
from memory_tenant import Tenant

from my_api.main import create_app

ORIGIN = "https://app.example.com"


def test_a_careless_client(make_settings) -> None:
    tenant = Tenant()
    values = {"telemetry_exceptions": "EXCEPTIONS" in os.environ, "cors_origins": (ORIGIN,)}
    app = create_app(make_settings(**values), fetch=tenant.fetch)

    @app.get("/fails")
    def fail(text: str) -> None:
        raise RuntimeError(f"failed at {text}")

    with TestClient(app, raise_server_exceptions=False) as client:
        token = tenant.token(sub="auth0|careless-person")
        bound = tenant.bound_token(sub="auth0|careless-person")
        proof = tenant.proof(bound, "GET", "http://testserver/api/private")
        headers = {"Cookie": f"token={token}", "X-API-Key": token, "Baggage": f"token={token}"}
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
        assert client.options(f"/api/private?access_token={token}", headers=asked).is_success
        for scheme, sent in [("Bearer", token), ("DPoP", bound)]:
            auth = {"Authorization": f"{scheme} {sent}", "DPoP": proof, **headers}
            client.get(f"/api/private?access_token={token}", headers=auth)
            client.post("/api/messages", headers=auth, json={"text": token})
        assert client.get(f"/fails?text={token}").status_code == 500
'''


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = {"logs": "json", "authorization": "permissions"}
    project = render(plain_template, tmp_path_factory.mktemp("telemetry") / "project", answers)
    (project / "tests" / "test_careless.py").write_text(PROBE)
    return project


def recorded(project: Path, report: Path, *chosen: str, **environment: str) -> dict[str, Any]:
    """Run tests of the project with the plugin; what it found."""
    known = {"PYTHONPATH": f"src:{ROOT / 'tests'}", "TELEMETRY_FOUND": str(report)}
    command = [*PYTEST, "-p", "telemetry_plugin"]
    done = run([*command, *chosen], project, known | environment, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:]
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def test_no_token_claim_or_secret_leaves(project: Path, tmp_path: Path) -> None:
    report = recorded(project, tmp_path / "report.json")
    assert report["found"] == []
    assert set(report["metrics"]) >= OWN
    assert "http.server.request.duration" in report["metrics"]
    counts = report["counts"]
    assert counts["span"] > 100, counts
    assert counts["line"] > 20, counts
    assert counts["secrets"] > 100, counts
    assert set(report["reasons"]) >= {"no_credentials", "expired", "scope", "keys_unavailable"}


def test_no_credential_of_a_self_hosted_project_leaves(
    plain_template: Path, tmp_path: Path
) -> None:
    """Passwords, refresh tokens, links, API keys and addresses."""
    answers = {**SELF_HOSTED, "auth0_setup": "automatic", "api_keys": True, "logs": "json"}
    project = render(plain_template, tmp_path / "project", answers)
    chosen = ["tests/api_keys", *(f"tests/issuer/test_{name}.py" for name in ISSUER)]
    report = recorded(project, tmp_path / "report.json", *chosen)
    assert report["found"] == []
    counts = report["counts"]
    assert counts["span"] > 100, counts
    assert counts["line"] > 20, counts
    assert counts["secrets"] > 100, counts


def test_exceptions_are_recorded_if_a_setting_says_so(project: Path, tmp_path: Path) -> None:
    """This also shows that the search finds what is there."""
    report = recorded(project, tmp_path / "found.json", "tests/test_careless.py", EXCEPTIONS="1")
    assert report["counts"]["log"] == 1
    assert {one.partition(":")[0] for one in report["found"]} == {"log"}
