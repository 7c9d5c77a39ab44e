"""What main.py adds around the guard: CORS, proxies, the OpenAPI document and Swagger."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from memory_tenant import Tenant

READ, WRITE = "read:things", "write:things"
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
ORIGIN = {"Origin": "https://app.example.com"}
Probe = Callable[..., TestClient]


def test_a_preflight_needs_no_token(application: Probe) -> None:
    client = application(cors_origins=(ORIGIN["Origin"],))
    wanted = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, dpop, content-type, x-request-id",
    }
    preflight = client.options("/probe/write", headers={**ORIGIN, **wanted})
    assert preflight.status_code == 200
    allowed = preflight.headers["Access-Control-Allow-Headers"]
    assert allowed == wanted["Access-Control-Request-Headers"]


@pytest.mark.parametrize(("path", "status"), [("open", 200), ("any", 401), ("broken", 500)])
def test_each_answer_carries_cors_headers_for_an_allowed_origin(
    application: Probe, path: str, status: int
) -> None:
    client = application(cors_origins=(ORIGIN["Origin"],))
    answer = client.get(f"/probe/{path}", headers=ORIGIN)
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    assert answer.headers["Access-Control-Expose-Headers"] == "*"
    early = {**ORIGIN, "Content-Type": "multipart/form-data"}  # answered by its headers alone
    unread = client.post("/probe/write", content=b"x", headers=early)
    assert unread.status_code == 401
    assert unread.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    foreign = client.get(f"/probe/{path}", headers={"Origin": "https://evil.example.com"})
    assert "Access-Control-Allow-Origin" not in foreign.headers


def test_no_origin_is_allowed_by_default(application: Probe) -> None:
    answer = application(cors_origins=()).get("/probe/open", headers=ORIGIN)
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/probe/open/", "/probe/any/"])
def test_a_slash_too_many_is_not_redirected_to_a_host_that_the_client_names(
    application: Probe, path: str
) -> None:
    client = application(public_url="https://api.example.com")
    answer = client.get(path, headers={"Host": "evil.example.com"}, follow_redirects=False)
    assert answer.status_code == 404
    assert "Location" not in answer.headers


def test_the_document_has_the_version_of_the_project(application: Probe) -> None:
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    version = application().get("/openapi.json").json()["info"]["version"]
    assert version in (project["version"], "0"), "0 where the project is not installed"


def document(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def test_each_guarded_route_shows_its_scopes_and_refusals(probe: Probe) -> None:
    paths = document(probe())["paths"]
    assert "security" not in paths["/open"]["get"]
    assert paths["/any"]["get"]["security"] == [{"auth0": []}]
    assert paths["/read"]["get"]["security"] == [{"auth0": [READ]}]
    assert paths["/write"]["post"]["security"] == [{"auth0": [READ, WRITE]}]
    assert set(paths["/any"]["get"]["responses"]) == {"200", "401", "503"}
    answers = {"200", "400", "401", "403", "422", "503"}
    assert set(paths["/write"]["post"]["responses"]) == answers
    lacking = paths["/write"]["post"]["responses"]["403"]["description"]
    assert "`read:things`, `write:things`" in lacking


def test_without_a_client_id_the_button_takes_a_pasted_token(probe: Probe) -> None:
    client = probe()
    schemes = document(client)["components"]["securitySchemes"]
    assert schemes == {"auth0": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    assert "initOAuth" not in client.get("/docs").text


def test_with_a_client_id_the_button_logs_in_with_pkce_and_audience(
    probe: Probe, tenant: Tenant
) -> None:
    client = probe(auth0_docs_client_id="docs-client")
    [flow] = document(client)["components"]["securitySchemes"]["auth0"]["flows"].items()
    assert flow == (
        "authorizationCode",
        {
            "authorizationUrl": f"{tenant.issuer}authorize",
            "tokenUrl": f"{tenant.issuer}oauth/token",
            "scopes": {READ: READ, WRITE: WRITE},
        },
    )
    page = client.get("/docs").text
    assert '"usePkceWithAuthorizationCodeGrant": true' in page
    assert f'"audience": "{tenant.audience}"' in page
    assert "secret" not in page.lower()


def test_documentation_can_be_off(probe: Probe) -> None:
    client = probe(docs_enabled=False)
    for path in ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"]:
        assert client.get(path).status_code == 404


def test_a_scope_that_cannot_stand_in_a_challenge_is_refused_at_once(
    require_auth: Callable[..., object],
) -> None:
    for scope in ["two words", 'a"b', "a\\b", "é", ""]:
        with pytest.raises(ValueError, match="scope"):
            require_auth(scopes=[scope])
    for none in [[], (), "", iter(())]:  # such as a setting that is empty, a filter that finds none
        with pytest.raises(ValueError, match="scope"):
            require_auth(scopes=none)
