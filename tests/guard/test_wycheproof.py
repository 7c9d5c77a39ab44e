"""Project Wycheproof's JOSE vectors against a rendered project: none gets in, nothing crashes."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from authlib.jose import JsonWebSignature  # type: ignore[import-untyped]
from authlib.jose.errors import JoseError  # type: ignore[import-untyped]
from fastapi.testclient import TestClient

from guard.serving import settings

VECTORS = Path(__file__).parent / "wycheproof"
FILES = ["json_web_signature_test", "json_web_crypto_test", "json_web_key_test"]
# RSA keys made by a broken chip (ROCA): they look like any other, and Auth0 does not publish such.
ROCA = [("json_web_crypto_test", 46), ("json_web_key_test", 7)]


def groups(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VECTORS / f"{file}.json").read_text())["testGroups"]
    return found


def keys_of(group: dict[str, Any]) -> list[dict[str, Any]]:
    """The public keys of a group, or what it has."""
    document = group.get("public", group["private"])
    listed: list[dict[str, Any]] = document.get("keys", [document])
    return listed


def tokens(file: str) -> Iterator[tuple[str, list[dict[str, Any]], dict[str, Any]]]:
    """Each vector that is a token: the text, the keys that it comes with, and the vector."""
    for group in groups(file):
        for vector in group["tests"]:
            token = vector.get("jws", vector.get("jwe"))
            yield token if isinstance(token, str) else json.dumps(token), keys_of(group), vector


@pytest.mark.parametrize("file", FILES)
def test_every_vector_is_401_as_a_bearer_token(
    project: SimpleNamespace, tenant: Any, file: str
) -> None:
    own = tenant.own_documents()[tenant.jwks_uri]["keys"]
    client, published, seen = None, None, 0
    for token, keys, vector in tokens(file):
        if client is None or keys != published:
            published, tenant.documents = keys, {tenant.jwks_uri: {"keys": [*keys, *own]}}
            app = project.main.create_app(settings(project, tenant), fetch=tenant.fetch)
            client = TestClient(app)
        for scheme in ["Bearer", "DPoP"]:
            authorization = f"{scheme} {token}".encode()
            headers = [(b"Authorization", authorization), (b"DPoP", token.encode())]
            answer = client.get("/api/private", headers=headers)
            assert answer.status_code == 401, f"{file} {vector['tcId']} {vector['comment']}"
        seen += 1
    assert seen == json.loads((VECTORS / f"{file}.json").read_text())["numberOfTests"]


def test_signatures_are_verified_right_with_the_keys_that_the_guard_takes(
    project: SimpleNamespace,
) -> None:
    """What the SDK verifies with, its JOSE library and RS256, on keys as the guard loads them."""
    engine = JsonWebSignature(["RS256"])
    accepted = refused = 0
    for file in FILES:
        for token, jwks, vector in tokens(file):
            for key in taken(project, jwks):
                name = f"{file} {vector['tcId']} {vector['comment']}"
                valid = verifies(engine, token, key)
                good = vector["result"] == "valid" or (file, vector["tcId"]) in ROCA
                assert good or not valid, name
                accepted, refused = accepted + valid, refused + (not valid)
    assert accepted >= 5
    assert refused >= 100


def taken(project: SimpleNamespace, jwks: list[dict[str, Any]]) -> list[Any]:
    """The keys of a key set that the guard would use."""
    try:
        return list(project.keys.usable_keys({"keys": jwks}).values())
    except ValueError:
        return []


def verifies(engine: Any, token: str, key: Any) -> bool:
    try:
        engine.deserialize_compact(token.encode(), key)
    except (JoseError, ValueError):
        return False
    return True
