"""Hostile bytes against a real server: each request is answered, and the next one too."""

import json
import socket
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from guard.serving import served, settings
from support import ROOT
from test_recipes import files


@pytest.fixture(params=["httptools", "h11"])
def address(
    request: pytest.FixtureRequest, project: SimpleNamespace, tenant: Any
) -> Iterator[tuple[str, int]]:
    """An application of the project, served by uvicorn with either of its HTTP parsers."""
    app = project.main.create_app(settings(project, tenant), fetch=tenant.fetch)
    with served(app, http=request.param) as address:
        yield address


def segment(value: Any) -> bytes:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def ask(address: tuple[str, int], *headers: bytes, path: bytes = b"/api/private") -> bytes:
    """Send one request byte by byte as given; what comes back until the server closes."""
    lines = [b"GET " + path + b" HTTP/1.1", b"Host: api", b"Connection: close", *headers]
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b""))


def tokens(tenant: Any) -> Iterator[bytes]:
    """Tokens whose header or claims would break a response that quoted them."""
    broken = ["HS\r\nSet-Cookie: a=b", "HS\r\n\r\nHTTP/1.1 200 OK", 'HS", a="b', "HS€", "HS\ud800"]
    payload = {"iss": tenant.issuer, "aud": tenant.audience, "sub": "x", "iat": 1, "exp": 10**11}
    for value in [*broken, None]:
        changes: list[dict[str, Any]] = [{"alg": value}, {"kid": value}, {"crit": [value]}]
        for change in changes:
            full = {"typ": "JWT", "kid": "key-1", "alg": "RS256", **change}
            yield b".".join([segment(full), segment(payload), b"AAAA"])
            yield b".".join([segment(full), segment({**payload, "scope": value}), b"AAAA"])
    yield from (segment([]) + b".e30.AAAA", segment(None) + b".bnVsbA.AAAA")


def test_hostile_tokens_are_refused_and_not_quoted(address: tuple[str, int], tenant: Any) -> None:
    for token in tokens(tenant):
        for scheme in [b"Bearer ", b"DPoP "]:
            answer = ask(address, b"Authorization: " + scheme + token, b"DPoP: " + token)
            # 503: the key id might be of a new key, and keys were fetched a moment ago.
            assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 503 ")), token
            assert b"Set-Cookie" not in answer
            assert answer.count(b"HTTP/1.1") == 1
    assert ask(address, path=b"/api/public").startswith(b"HTTP/1.1 200 ")


def test_bytes_that_are_no_text_are_answered(address: tuple[str, int]) -> None:
    for value in [b"\xff\xfe", "€".encode(), b"\x80" * 300, b'"', b"\t", b"a, b", b"x" * 30_000]:
        for name in [b"Authorization: Bearer ", b"Authorization: ", b"Authorization: DPoP "]:
            answer = ask(address, name + value, b"DPoP: " + value)
            assert answer.startswith(b"HTTP/1.1 401 "), name + value[:20]


def test_an_outage_is_answered_503(project: SimpleNamespace, tenant: Any) -> None:
    tenant.down = True
    app = project.main.create_app(settings(project, tenant), fetch=tenant.fetch)
    with served(app) as address:
        token = b"Authorization: Bearer " + tenant.token().encode()
        answer = ask(address, token)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 5\r\n" in answer.lower()


APPLICATION = """
import gc, sys
sys.path[:0] = ["src", "tests"]
from fastapi.testclient import TestClient
from memory_tenant import Tenant
from guarded_api.main import create_app
from guarded_api.settings import Settings

tenant = Tenant()
settings = Settings(auth0_domain=tenant.domain, auth0_audience=tenant.audience)


def collected(client, tokens):
    for number in tokens:
        auth = tenant.auth("read:messages", jti=str(number))
        assert client.get("/api/private", auth=auth).status_code == 200
    gc.collect()
    return len(gc.get_objects())


with TestClient(create_app(settings, fetch=tenant.fetch)) as client:
    print(collected(client, range(1)), collected(client, range(1, 501)))
"""


def test_a_garbage_collection_looks_at_little(project: SimpleNamespace) -> None:
    """It stops all requests: 70 000 objects take 50 ms, and 2 000 tokens are remembered."""
    command = [sys.executable, "-W", "ignore", "-c", APPLICATION]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    at_first, then = map(int, done.stdout.split())
    assert at_first < 10_000, done.stderr
    assert then - at_first < 3.5 * 500  # a token's claims, their mapping, and the list in `aud`


def test_problem_details_as_the_page_shows_them(project: SimpleNamespace, tenant: Any) -> None:
    """A test client does not see a Content-Length that is wrong."""
    [(path, code)] = files((ROOT / "docs/errors.md").read_text(encoding="utf-8")).items()
    package = project.main.__package__
    (project.folder / path.replace("my_api", package)).write_text(code, encoding="utf-8")
    app = project.main.create_app(settings(project, tenant), fetch=tenant.fetch)
    refused = import_module(f"{package}.auth").Refused
    app.add_exception_handler(refused, import_module(f"{package}.problems").problem)
    with served(app) as address:
        head, _, body = ask(address).partition(b"\r\n\r\n")
    assert b"www-authenticate: Bearer realm" in head
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["title"] == "invalid_request"
