"""docs/production.md: each of its blocks is executed, in a project that stays green."""

import asyncio
import json
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from limits.aio.storage import RedisStorage
from limits.errors import StorageError

from support import ROOT, render
from test_recipes import files
from test_start import free_port, python, serving
from update.lifecycle import green

PAGE = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
SERVERS = re.findall(r"^    uv run (\S.+)$", PAGE, re.MULTILINE)
CALLS = '''\
"""The recipes as their callers and the receivers see them."""

import re
import sys
from importlib import import_module
from typing import Any, ClassVar

import pytest
import sentry_sdk
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY, generate_latest
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from my_api import errors, main, rate_limit

from memory_tenant import Tenant


def test_a_caller_is_limited_and_another_is_not(client: TestClient, tenant: Tenant) -> None:
    auth = tenant.auth(sub="auth0|busy")
    first = client.get("/api/searches", auth=auth)
    assert first.status_code == 200
    assert first.headers["RateLimit-Policy"] == '"minute";q=60;w=60'
    assert re.fullmatch(r\'"minute";r=59;t=[1-9][0-9]?\', first.headers["RateLimit"])
    answers = [client.get("/api/searches", auth=auth) for _ in range(60)]
    assert [answer.status_code for answer in answers] == [200] * 59 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].headers["RateLimit"].startswith(\'"minute";r=0;\')
    assert client.get("/api/searches", auth=tenant.auth(sub="auth0|calm")).status_code == 200
    assert client.get("/api/searches").status_code == 401
    assert rate_limit.LIMIT.amount == 60


def test_work_is_done_after_the_response(
    client: TestClient, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert client.post("/api/reports", auth=tenant.auth(sub="auth0|reader")).status_code == 202
    assert "a report is made for 12 characters" in caplog.text
    assert client.post("/api/reports").status_code == 401


def test_prometheus_gets_metrics_and_nothing_secret(
    app: FastAPI, client: TestClient, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("my_api.metrics.start_http_server", lambda port, address: None)
    monkeypatch.setattr(main, "create_app", lambda: app)
    assert import_module("my_api.serve").app is app
    token = tenant.token(sub="auth0|watched-person")
    for sent in [token, token[:-4] + "AAAA"]:
        client.get("/api/private", headers={"Authorization": f"Bearer {sent}"})
    text = generate_latest(REGISTRY).decode()
    assert "auth_refusals" in text
    assert "http_server_request_duration" in text
    assert "auth_keys_age" in text
    for secret in [token, *token.split("."), "watched-person"]:
        assert secret not in text


class Kept(Transport):
    """Keeps what would be sent."""

    envelopes: ClassVar[list[Envelope]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)


def careless(tenant: Tenant) -> tuple[dict[str, str], list[str]]:
    """Headers of a request, and what of them nobody else may see."""
    token = tenant.token(sub="auth0|unlucky-person")
    proof = tenant.proof(token, "POST", "http://testserver/fails/1")
    headers = {"Authorization": f"Bearer {token}", "DPoP": proof, "X-API-Key": "key-0123456789"}
    return headers, [token, proof, *token.split("."), "key-0123456789", "unlucky-person", "azp"]


def test_sentry_gets_the_error_and_nothing_of_the_request(app: FastAPI, tenant: Tenant) -> None:
    errors.report_errors("https://key@sentry.example.com/1", transport=Kept, traces_sample_rate=1.0)
    headers, secrets = careless(tenant)

    @app.post("/fails/{number}")
    async def fail(number: int, text: dict[str, str]) -> None:
        raise RuntimeError("it broke")

    with TestClient(app, raise_server_exceptions=False) as client:
        client.get("/api/private", headers=headers)
        url = f"/fails/1?token={secrets[0]}"
        assert client.post(url, headers=headers, json={"text": secrets[0]}).status_code == 500
    sentry_sdk.flush()
    left = "".join(envelope.serialize().decode() for envelope in Kept.envelopes)
    sentry_sdk.get_client().close()
    assert "it broke" in left
    assert "/fails/{number}" in left
    assert [secret for secret in secrets if secret in left] == []
    for header in ["authorization", "dpop", "x-api-key"]:
        assert f'"{header}"' not in left.lower()


def event(path: str, **headers: str) -> dict[str, Any]:
    """A request as API Gateway hands it to a function."""
    http = {"method": "GET", "path": path, "sourceIp": "203.0.113.7", "protocol": "HTTP/1.1"}
    context = {"http": http, "stage": "$default", "domainName": "api.example.com"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "api.example.com", **headers},
        "requestContext": context,
        "isBase64Encoded": False,
    }


def test_a_function_answers_and_refreshes_its_keys_in_passing(
    app: FastAPI, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "create_app", lambda: app)
    sys.modules.pop("my_api.serverless", None)
    handler = import_module("my_api.serverless").handler
    bearer = {"authorization": f"Bearer {tenant.token()}"}

    def status(path: str, **headers: str) -> int:
        code: int = handler(event(path, **headers), object())["statusCode"]
        return code

    assert status("/api/public") == 200
    assert status("/api/private") == 401
    assert status("/api/private", **bearer) == 200
    fetched = len(tenant.fetches)
    issuer = next(iter(app.state.guard.keys.issuers.values()))
    issuer.fetched -= 301
    for number in range(3):  # other tokens: the first is remembered
        token = tenant.token(jti=str(number))
        assert status("/api/private", authorization=f"Bearer {token}") == 200
    assert len(tenant.fetches) == fetched + 2
    assert issuer.age() < 60
'''


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = render(plain_template, tmp_path_factory.mktemp("production") / "project")
    shown = files(PAGE)
    assert len(shown) == PAGE.count("    # src/my_api/") == 7
    for path, code in shown.items():
        (project / path).write_text(code, encoding="utf-8")
    (project / "tests" / "test_calls.py").write_text(CALLS, encoding="utf-8")
    return project


def test_a_project_with_all_recipes_is_green(project: Path, mypy_cache: Path) -> None:
    green(project, mypy_cache)


def test_counters_in_redis_say_that_it_is_down() -> None:
    [shown] = re.findall(r"^    (RedisStorage\(.*\))$", PAGE, re.MULTILINE)
    code = shown.replace("6379", str(free_port()))
    storage = eval(code, {"RedisStorage": RedisStorage})  # noqa: S307
    with pytest.raises(StorageError):
        asyncio.run(storage.incr("key", 60))


@pytest.mark.parametrize("command", SERVERS, ids=lambda command: command.split()[0])
def test_another_server_serves_and_stops(project: Path, command: str) -> None:
    words, port = shlex.split(command), free_port()
    address = ["--port", str(port)] if words[0] == "granian" else ["--bind", f"127.0.0.1:{port}"]
    started: list[str | Path] = [Path(sys.executable).with_name(words[0]), *words[1:]]
    with serving(project, [*started, *address], port, signal.SIGTERM) as server:
        url = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{url}/api/public").status_code == 200
        refused = httpx.get(f"{url}/api/private", headers={"Authorization": "Bearer opaque"})
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
        asked = time.monotonic()
    assert time.monotonic() - asked < 15
    assert "Traceback" not in server.written, server.written


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """What receives OTLP on loopback: its URL, and the paths and bodies that it got."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", got
        finally:
            server.shutdown()
            thread.join()


def test_otlp_needs_three_variables_and_sends_nothing_secret(project: Path) -> None:
    variables = dict(re.findall(r"^    ([A-Z_]+)=(\S+)$", PAGE, re.MULTILINE))
    assert len(variables) == 3
    port = free_port()
    with collector() as (endpoint, got):
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        command = python("-m", "uvicorn", "my_api.app:app", port=port)
        with serving(project, command, port, signal.SIGTERM, **variables):
            url = f"http://127.0.0.1:{port}/api/private?token=in-the-query"
            httpx.get(
                url, headers={"Authorization": "Bearer in-the-header", "X-API-Key": "in-a-key"}
            )
    paths = {path for path, _ in got}
    assert paths == {"/v1/traces", "/v1/metrics"}
    sent = b"".join(body for _, body in got)
    assert b"GET /api/private" in sent
    assert b"auth.refusals" in sent
    assert json.dumps(variables["OTEL_SERVICE_NAME"]).strip('"').encode() in sent
    for secret in (b"in-the-query", b"in-the-header", b"in-a-key"):
        assert secret not in sent
