"""What main.py adds around the guard: CORS, proxies, the OpenAPI document of the project."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

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
