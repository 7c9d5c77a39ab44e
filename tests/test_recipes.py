"""docs/recipes.md: every file that it shows works in a rendered project, which stays green."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from support import PYTEST, ROOT, render, run
from update.lifecycle import green

PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
VARIANTS: list[dict[str, Any]] = [
    {},
    {"authorization": "permissions", "dpop": "required", "database": True},
]
CALLS = '''\
"""The recipes as their callers see them."""

import time
from hashlib import sha256
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Request
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from my_api.settings import Settings

from memory_tenant import Tenant

READ, WRITE = "read:messages", "write:messages"
OLD, NEW = sha256(b"old key").hexdigest(), sha256(b"new key").hexdigest()
GUARDED = ["organization", "me", "me/messages", "moderation/queue", "feed"]
EXPIRED = "The access token has expired"


@pytest.mark.parametrize("path", GUARDED)
def test_no_token_is_401(client: TestClient, path: str) -> None:
    assert client.get(f"/api/{path}").status_code == 401


def test_the_organization_of_the_token(client: TestClient, tenant: Tenant) -> None:
    answer = client.get("/api/organization", auth=tenant.auth(org_id="org_1"))
    assert (answer.status_code, answer.json()) == (200, {"organization": "org_1"})
    assert client.get("/api/organization", auth=tenant.auth()).status_code == 403
    assert client.get("/api/organization", auth=tenant.auth(org_id=["org_1"])).status_code == 403


def test_the_current_user_is_an_active_row(client: TestClient, tenant: Tenant) -> None:
    answer = client.get("/api/me", auth=tenant.auth(sub="auth0|ada"))
    assert (answer.status_code, answer.json()) == (200, {"name": "Ada"})
    for sub in ["auth0|bob", "auth0|nobody", "machine@clients"]:
        answer = client.get("/api/me", auth=tenant.auth(sub=sub))
        assert (answer.status_code, answer.json()["detail"]["error"]) == (403, "access_denied")
        assert "WWW-Authenticate" not in answer.headers


def test_a_token_from_before_is_refused(client: TestClient, tenant: Tenant) -> None:
    answer = client.get("/api/me", auth=tenant.auth(sub="auth0|eve"))
    assert (answer.status_code, answer.json()["detail"]["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_the_current_user_and_a_scope(client: TestClient, tenant: Tenant) -> None:
    assert client.get("/api/me/messages", auth=tenant.auth()).status_code == 403
    assert client.get("/api/me/messages", auth=tenant.auth(READ)).json() == ["Hello, Ada."]


def test_a_router_guards_each_of_its_routes(
    client: TestClient, tenant: Tenant, app: FastAPI
) -> None:
    for method, path, good in [("GET", "queue", 200), ("DELETE", "queue/1", 204)]:
        url = f"/api/moderation/{path}"
        assert client.request(method, url).status_code == 401
        assert client.request(method, url, auth=tenant.auth(READ)).status_code == 403
        assert client.request(method, url, auth=tenant.auth(READ, WRITE)).status_code == good
        shown = app.openapi()["paths"][url.replace("/1", "/{number}")][method.lower()]
        assert [READ, WRITE] in shown["security"][0].values()


def test_any_of_two_scopes(
    client: TestClient, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    for grants in [[READ], [WRITE], [READ, WRITE]]:
        assert client.get("/api/feed", auth=tenant.auth(*grants)).status_code == 200
    answer = client.get("/api/feed", auth=tenant.auth("other:scope"))
    assert (answer.status_code, answer.json()["detail"]["error"]) == (403, "insufficient_scope")
    assert f'scope="{READ}"' in answer.headers["WWW-Authenticate"]
    assert '"reason": "scope"' in caplog.text


def test_a_database_is_open_while_the_application_runs(client: TestClient, tenant: Tenant) -> None:
    for sub, count in [("ada", 1), ("ada", 2), ("bob", 1)]:
        assert client.post("/api/visits", auth=tenant.auth(sub=sub)).json() == count
    assert client.post("/api/visits").status_code == 401


def test_a_socket_lives_as_long_as_the_token(client: TestClient, tenant: Tenant) -> None:
    def connect(lifetime: float) -> WebSocketTestSession:
        request = Request("GET", "http://testserver/api/live")
        auth = tenant.auth(READ, exp=time.time() + lifetime)
        return client.websocket_connect("/api/live", headers=dict(auth(request).headers))

    with connect(60) as socket:
        socket.send_text("Hi")
        assert socket.receive_text() == "Hi"
    with connect(1.5) as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (1008, EXPIRED)


def call_webhook(app: FastAPI, hashes: str, key: bytes, header: bytes = b"X-API-Key") -> int:
    settings = app.state.guard.settings
    app.state.guard.settings = settings.model_copy(update={"api_key_hashes": hashes})
    return TestClient(app).post("/api/webhook", headers={header: key}).status_code


def test_a_static_key(app: FastAPI, tenant: Tenant) -> None:
    assert call_webhook(app, OLD, b"old key") == 202
    for key in [b"old key", b"new key"]:
        assert call_webhook(app, f"{OLD},{NEW}", key) == 202
    for hashes in ["", NEW]:
        for key in [b"old key", NEW.encode(), b"", b"\\xff"]:
            assert call_webhook(app, hashes, key) == 401
        token = f"Bearer {tenant.token()}".encode()
        assert call_webhook(app, hashes, token, header=b"Authorization") == 401


def test_a_malformed_hash_is_refused(tenant: Tenant) -> None:
    good: Any = {"auth0_domain": tenant.domain, "auth0_audience": tenant.audience}
    for hashes in ["key", OLD.upper(), f"{OLD}, {NEW}", f"{OLD},", f"{OLD}\\n"]:
        with pytest.raises(ValueError, match="api_key_hashes"):
            Settings(_env_file=None, api_key_hashes=hashes, database_path="", **good)
'''


def files(page: str) -> dict[str, str]:
    """The code blocks of a page that start with their path in the project, by that path."""
    blocks = re.findall(r"^    # (\w[\w/]*\.py)\n((?:(?:    .*)?\n)+)", page, re.MULTILINE)
    return {path: f"# {path}\n{textwrap.dedent(code).rstrip()}\n" for path, code in blocks}


@pytest.mark.parametrize("answers", VARIANTS, ids=["example", "permissions-required-database"])
def test_a_project_with_all_recipes_is_green(
    plain_template: Path, tmp_path: Path, mypy_cache: Path, answers: dict[str, Any]
) -> None:
    project = render(plain_template, tmp_path / "project", answers)
    shown = files(PAGE)
    assert len(shown) == PAGE.count("    # src/my_api/") == 9
    for path, code in shown.items():
        (project / path).write_text(code, encoding="utf-8")
    with (project / "src/my_api/settings.py").open("a", encoding="utf-8") as settings:
        settings.write("    database_path: str\n")
    (project / "tests" / "settings.env").write_text("DATABASE_PATH=:memory:\n", encoding="utf-8")
    (project / "tests" / "test_calls.py").write_text(CALLS, encoding="utf-8")
    green(project, mypy_cache)


def test_the_route_of_a_static_key_has_to_be_tagged(plain_template: Path, tmp_path: Path) -> None:
    """The page says why it is tagged as public; the project's inventory insists on it."""
    project = render(plain_template, tmp_path / "project")
    for path in ("src/my_api/settings.py", "src/my_api/routes/webhook.py"):
        code = files(PAGE)[path].replace('tags=["public"]', 'tags=["webhook"]')
        (project / path).write_text(code, encoding="utf-8")
    inventory = [*PYTEST, "tests/auth/test_inventory.py"]
    done = run(inventory, project, {"PYTHONPATH": "src"})
    assert "/api/webhook: guard it by" in done.stdout


def test_the_page_tells_every_field_of_the_claims() -> None:
    source = ROOT / "template/src/{{ package_name }}/auth/token.py"
    found = re.search(r"class Claims.*?\n\n\n", source.read_text(encoding="utf-8"), re.S)
    assert found
    names = re.findall(r"^    ([a-z]\w*):|@property\n    def (\w+)", found[0], re.MULTILINE)
    assert len(names) == 6
    for name in map("".join, names):  # `raw` beside the claims by name
        assert f"`claims.{name}" in PAGE, name


def test_the_page_names_checks_and_reasons_that_exist() -> None:
    answers = ROOT / "template/src/{{ package_name }}/auth/refusals.py.jinja"
    reasons = re.findall(r'^    "(\w+)": \(', answers.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`reason: (\w+)`", PAGE)) <= set(reasons)
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z-]+`[^|]*) \|", page, re.MULTILINE)
    checks = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    for told in re.findall(r"`doctor`: ((?:`[a-z-]+`(?:, )?)+)", PAGE):
        assert set(re.findall(r"`([a-z-]+)`", told)) <= checks, told
