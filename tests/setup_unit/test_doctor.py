"""The doctor's findings that need no network: the API's settings, the clock, and a token."""

import base64
import json
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from fastapi_auth0_template.doctor import project as of_project
from fastapi_auth0_template.doctor import tenant as of_tenant
from fastapi_auth0_template.doctor import token as of_token
from fastapi_auth0_template.doctor.check import Check, Examination
from fastapi_auth0_template.doctor.inside import Inside, Settings
from fastapi_auth0_template.model import Patience
from fastapi_auth0_template.problems import NotLoggedIn
from fastapi_auth0_template.project import load
from fastapi_auth0_template.tenant.http import http_problem
from fastapi_auth0_template.text import printable

AUDIENCE = "https://api.example.com"
DOMAIN = "t.eu.auth0.com"
YAML = """\
resourceServers:
  - name: My API
    identifier: "##AUTH0_AUDIENCE##"
    scopes:
      - {value: "read:messages", description: Read messages}
"""


def settings(**changes: Any) -> Settings:
    return Settings(**{"auth0_domain": DOMAIN, "auth0_audience": AUDIENCE, **changes})


def nobody() -> NoReturn:
    raise NotLoggedIn("not logged in", "Log in.")


def segment(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def part(value: dict[str, Any]) -> str:
    return segment(json.dumps(value).encode())


SIGNATURE = segment(b"s" * 256)
KEYS = [{"kid": "k1", "n": segment(b"n" * 256)}]


def token(header: dict[str, Any] | None = None, **claims: Any) -> str:
    good = {
        "iss": f"https://{DOMAIN}/",
        "aud": [AUDIENCE],
        "sub": "somebody",
        "exp": time.time() + 3600,
        "iat": time.time(),
        "scope": "read:messages",
    }
    return (
        f"{part({'alg': 'RS256', 'kid': 'k1', **(header or {})})}.{part(good | claims)}.{SIGNATURE}"
    )


ACCEPTED = {"status": 200}


def findings(
    project: Path,
    given: str,
    *scopes: str,
    verdict: dict[str, Any] | None = ACCEPTED,
    **changes: Any,
) -> dict[str, Check]:
    """The checks of a token of which the guard of the project thinks this."""
    (project / "auth0").mkdir()
    (project / "auth0" / "tenant.yaml").write_text(YAML)
    examination = Examination(load(project), Patience(1, print), nobody, None, given, scopes)
    inside = Inside(settings(**changes), valid=True, verdict=verdict)
    found = of_token.token(examination, inside, AUDIENCE, KEYS)
    return {check.id: check for check in found}


def test_a_good_token_has_nothing_wrong(tmp_path: Path) -> None:
    found = findings(tmp_path, f"Bearer {token()}\n", "read:messages")
    assert {check.status for check in found.values()} == {"ok"}
    assert len(found) == 9


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("token_too_long", "token-form"),
        ("token_type", "token-use"),
        ("issuer", "token-issuer"),
        ("audience", "token-audience"),
        ("claims", "token-claims"),
        ("not_yet_valid", "token-time"),
        ("signature", "token-key"),
        ("unbound_token", "token-binding"),
        ("something_new", "token-guard"),
    ],
)
def test_what_the_guard_refuses_is_a_failure(tmp_path: Path, reason: str, name: str) -> None:
    """However good it looks; and nothing is good that the guard did not come to."""
    verdict = {"status": 401, "reason": reason, "claim": "iat"}
    found = findings(tmp_path, token(), verdict=verdict)
    assert found[name].status == "failure"
    assert found[name].remedy
    names = list(found)
    later = names[names.index(name) + 1 :]
    assert {found[each].status for each in later} <= {"skipped"}
    if reason == "claims":
        assert "iat" in found[name].found


def test_without_the_guard_nothing_is_good(tmp_path: Path) -> None:
    found = findings(tmp_path, token(), verdict=None)
    assert {check.status for check in found.values()} == {"skipped"}


def test_without_keys_the_signature_is_not_judged(tmp_path: Path) -> None:
    verdict = {"status": 503, "reason": "keys_unavailable"}
    found = findings(tmp_path, token(), verdict=verdict)
    assert found["token-key"].status == "skipped"
    assert found["token-time"].status == "ok"


@pytest.mark.parametrize(
    "given",
    [
        f"Authorization: Bearer {token()}",
        f'"{token()}"',
        f"{token()[:70]}\n{token()[70:]}",
        json.dumps({"access_token": token(), "token_type": "Bearer"}),
    ],
    ids=["header", "quoted", "broken", "answer"],
)
def test_a_token_is_found_in_what_people_paste(tmp_path: Path, given: str) -> None:
    assert {check.status for check in findings(tmp_path, given).values()} == {"ok"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "empty"),
        ("kq3v9xYtopaque", "no audience was asked for"),
        (f"{part({'alg': 'dir', 'enc': 'A256GCM'})}...x.y", "no audience was asked for"),
        (f"{part({'alg': 'RSA-OAEP'})}.a.b.c.d", "encrypted"),
        ("a.b.c", "not a token"),
        (f"{part({'alg': 'RS256'})}.b.c", "cannot be read"),
        (f"{part({'alg': 'HS256'})}.{part({})}.c", "HS256"),
        (token()[:-100], "cut off"),
        (token().removesuffix(SIGNATURE), "cut off"),
        (token() + "\n" + token(), "not a token"),
    ],
)
def test_a_token_that_cannot_be_read(tmp_path: Path, given: str, words: str) -> None:
    check = findings(tmp_path, given)["token-form"]
    assert check.status == "failure"
    assert words in check.found
    assert check.remedy


@pytest.mark.parametrize(
    ("claims", "name", "status", "words"),
    [
        ({"nonce": "n"}, "token-use", "failure", "ID token"),
        ({"aud": "a" * 32}, "token-use", "failure", "ID token"),
        ({"iss": "https://other/"}, "token-issuer", "failure", "issued by https://other/"),
        ({"aud": "https://other"}, "token-audience", "failure", "for https://other"),
        ({"aud": AUDIENCE + "/"}, "token-audience", "failure", "slash"),
        ({"exp": time.time() - 7200}, "token-time", "failure", "expired 2 h ago"),
        ({"exp": None}, "token-time", "failure", "no expiry"),
        ({"nbf": time.time() + 86_400}, "token-time", "failure", "valid only in"),
        ({"scope": ""}, "token-scopes", "warning", "none of the API's scopes"),
        ({"sub": ""}, "token-claims", "failure", "sub is missing"),
        ({"cnf": {"x5t#S256": "x"}}, "token-binding", "failure", "does not know"),
        ({"cnf": {"jkt": "x"}}, "token-binding", "warning", "bound to a key"),
    ],
)
def test_a_fault_in_the_claims(
    tmp_path: Path, claims: dict[str, Any], name: str, status: str, words: str
) -> None:
    check = findings(tmp_path, token(**claims))[name]
    assert check.status == status
    assert words in check.found
    assert check.remedy


@pytest.mark.parametrize(
    ("changes", "given", "name", "words"),
    [
        ({"auth0_dpop": "required"}, token(), "token-binding", "not bound"),
        ({"auth0_dpop": "off"}, token(cnf={"jkt": "x"}), "token-binding", "DPoP off"),
        ({"auth0_authorization": "permissions"}, token(), "token-scopes", "RBAC is off"),
        ({"auth0_token_dialect": "rfc9068_profile"}, token(), "token-use", "at+jwt"),
        ({}, token({"kid": "other"}), "token-key", "does not have"),
    ],
)
def test_a_fault_that_the_settings_make(
    tmp_path: Path, changes: dict[str, Any], given: str, name: str, words: str
) -> None:
    check = findings(tmp_path, given, **changes)[name]
    assert check.status == "failure"
    assert words in check.found


def test_a_missing_scope_is_named(tmp_path: Path) -> None:
    check = findings(tmp_path, token(), "write:messages")["token-scopes"]
    assert check.status == "failure"
    assert "lacks write:messages" in check.found


def test_a_custom_domain_of_the_settings_is_trusted(tmp_path: Path) -> None:
    given = token(iss="https://login.example.com/")
    found = findings(tmp_path, given, auth0_custom_domains=("login.example.com",))
    assert found["token-issuer"].status == "ok"


@pytest.mark.parametrize(
    ("api", "authorization", "status"),
    [
        ({"enforce_policies": False, "token_dialect": "access_token"}, "scopes", "ok"),
        ({"enforce_policies": True, "token_dialect": "access_token_authz"}, "permissions", "ok"),
        ({"enforce_policies": True, "token_dialect": "rfc9068_profile_authz"}, "permissions", "ok"),
        ({"enforce_policies": True, "token_dialect": "access_token"}, "permissions", "failure"),
        ({"enforce_policies": False}, "permissions", "failure"),
        ({"enforce_policies": True, "token_dialect": "access_token"}, "scopes", "warning"),
    ],
)
def test_rbac_has_to_fit(api: dict[str, Any], authorization: str, status: str) -> None:
    assert of_tenant.authorization(api, authorization).status == status


@pytest.mark.parametrize(
    ("api", "dialect", "status"),
    [
        ({}, "access_token", "ok"),
        ({"token_dialect": "access_token_authz"}, "access_token", "ok"),
        ({"token_dialect": "rfc9068_profile_authz"}, "rfc9068_profile", "ok"),
        ({"token_dialect": "access_token"}, "rfc9068_profile", "failure"),
    ],
)
def test_the_token_profile_has_to_fit(api: dict[str, Any], dialect: str, status: str) -> None:
    assert of_tenant.profile(api, dialect).status == status


@pytest.mark.parametrize(
    ("required", "dpop", "status"),
    [
        (False, "accepted", "ok"),
        (True, "required", "ok"),
        (True, "accepted", "ok"),
        (True, "off", "failure"),
        (False, "required", "warning"),
    ],
)
def test_proof_of_possession_has_to_fit(required: bool, dpop: str, status: str) -> None:
    assert of_tenant.dpop({"proof_of_possession": {"required": required}}, dpop).status == status


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(None, "skipped"), (2, "ok"), (-12, "warning"), (30, "warning"), (-61, "failure")],
)
def test_the_clock(ahead: float | None, status: str) -> None:
    assert of_tenant.clock(ahead).status == status


@pytest.mark.parametrize(
    ("cors", "url", "proxies", "cors_status", "proxy_status"),
    [
        ((), None, (), "ok", "ok"),
        (("http://localhost:3000",), "https://a.example.com", ("10.0.0.0/8",), "ok", "ok"),
        (("*",), "http://a.example.com", (), "warning", "warning"),
        (("http://a.example.com",), None, ("0.0.0.0/0",), "warning", "warning"),
    ],
)
def test_front_ends_and_proxies(
    tmp_path: Path,
    cors: tuple[str, ...],
    url: str | None,
    proxies: tuple[str, ...],
    cors_status: str,
    proxy_status: str,
) -> None:
    (tmp_path / "auth0").mkdir()
    (tmp_path / "auth0" / "tenant.yaml").write_text(YAML)
    given = settings(cors_origins=cors, public_url=url, trusted_proxies=proxies)
    assert of_project.cors(given).status == cors_status
    assert of_project.proxy(load(tmp_path), given).status == proxy_status


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"message": "Payload validation error"}, "invalid_request"),
        (401, {"error": "access_denied", "error_description": "Unauthorized"}, "unauthorized"),
        (403, {"message": "Insufficient scope, expected any of: read:clients"}, "scopes"),
        (403, {"message": "no", "errorCode": "insufficient_scope"}, "scopes"),
        (403, {}, "forbidden"),
        (404, {}, "not_found"),
        (409, {}, "conflict"),
        (429, {}, "rate_limited"),
        (502, {}, "server"),
    ],
)
def test_an_error_answer_gets_its_code(status: int, body: dict[str, Any], code: str) -> None:
    found = http_problem(status, body)
    assert found.code == code
    assert str(status) in found.message


def test_a_rate_limit_says_when() -> None:
    found = http_problem(429, {}, {"X-RateLimit-Reset": str(int(time.time()) + 30)})
    assert 25 < found.wait < 31


def test_text_from_outside_is_made_harmless() -> None:
    assert printable("a\x1b[31mred\x1b[0m\r\n\x07b") == "ared b"
    assert len(printable("x" * 1000)) == 300
