"""The OpenAPI document and Swagger: what the guard asks for, and how the Authorize button asks."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from memory_tenant import Tenant

READ, WRITE = "read:things", "write:things"
Probe = Callable[..., TestClient]


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
