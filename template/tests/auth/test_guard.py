"""What a refused request is answered (RFC 6750 3), what a good one gets, and what the log says."""

import hashlib
import json
import logging
import logging.config
import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import FastAPIError
from fastapi.testclient import TestClient
from pydantic import PydanticUserError
from starlette.testclient import WebSocketDenialResponse

from memory_tenant import FAULTS, OMIT, Tenant

READ, WRITE = "read:things", "write:things"
Probe = Callable[..., TestClient]

BARE = 'Bearer realm="api"'


def test_no_credentials_get_a_bare_challenge(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    values = ["", "Basic YTpi", "Bearer", "Bearer ", "a.b.c", "Negotiate x", ", Bearer x"]
    for value in [*values, f"DPoP {tenant.token()}"]:
        for headers in [{}, {"Authorization": value}]:
            answer = client.get("/any", headers=headers)
            assert answer.status_code == 401, value
            assert answer.headers["WWW-Authenticate"] == BARE
            assert set(answer.json()["detail"]) == {"error", "error_description"}


def test_a_bad_token_is_401_invalid_token(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    for fault in FAULTS:
        answer = client.get("/any", auth=tenant.auth(fault=fault))
        assert answer.status_code == 401, fault
        detail = answer.json()["detail"]
        assert detail["error"] == "invalid_token", fault
        told = f'error="invalid_token", error_description="{detail["error_description"]}"'
        assert answer.headers["WWW-Authenticate"] == f"{BARE}, {told}"


def test_a_claim_of_the_wrong_type_is_401(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    for claim in ["scope", "azp", "aud", "sub", "exp", "iat", "nbf", "cnf"]:
        for value in [True, [], [[]], {"a": 1}, 10**400, -1]:
            claims: Any = {claim: value}
            answer = client.get("/read", auth=tenant.auth(READ, **claims))
            assert answer.status_code == 401, claims


def test_permissions_of_the_wrong_type_are_401(probe: Probe, tenant: Tenant) -> None:
    client = probe(auth0_authorization="permissions")
    for value in [5, READ, {READ: 1}, [[READ]], None]:
        assert client.get("/read", auth=tenant.auth(permissions=value)).status_code == 401, value


@pytest.mark.parametrize(
    ("dialect", "typ", "status"),
    [
        ("access_token", "JWT", 200),
        ("access_token", "at+jwt", 200),
        ("access_token", OMIT, 200),
        ("access_token", "dpop+jwt", 401),
        ("rfc9068_profile", "at+jwt", 200),
        ("rfc9068_profile", "application/AT+JWT", 200),
        ("rfc9068_profile", "JWT", 401),
        ("rfc9068_profile", OMIT, 401),
    ],
)
def test_the_type_must_fit_the_dialect(
    probe: Probe, tenant: Tenant, dialect: str, typ: object, status: int
) -> None:
    client = probe(auth0_token_dialect=dialect)
    assert client.get("/any", auth=tenant.auth(header={"typ": typ})).status_code == status


def test_clocks_may_differ_a_little(probe: Probe, tenant: Tenant) -> None:
    soon = int(time.time()) + 5
    assert probe().get("/any", auth=tenant.auth(iat=soon, nbf=soon)).status_code == 200


def test_lacking_a_scope_is_403_and_the_challenge_names_what_is_needed(
    probe: Probe, tenant: Tenant
) -> None:
    answer = probe().post("/write", auth=tenant.auth(WRITE))
    assert answer.status_code == 403
    assert answer.json()["detail"]["error"] == "insufficient_scope"
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith(f'{BARE}, error="insufficient_scope", ')
    assert 'scope="read:things write:things"' in challenge


def test_a_scope_is_compared_to_the_letter(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    others = ["", "read:things2", "READ:things", "write:things", "read", "a,read:things"]
    for scope in [*others, *(f"x{blank}read:things" for blank in "\u00a0\t\n\v")]:
        assert client.get("/read", auth=tenant.auth(scope=scope)).status_code == 403, scope


@pytest.mark.parametrize("authorization", ["scopes", "permissions"])
def test_grants_come_from_the_claim_that_the_setting_names(
    probe: Probe, tenant: Tenant, authorization: str
) -> None:
    client = probe(auth0_authorization=authorization)
    assert client.get("/read", auth=tenant.auth(READ)).status_code == 200
    other: Any = {"permissions": [READ]}
    if authorization == "permissions":
        other = {"scope": READ, "permissions": []}
    assert client.get("/read", auth=tenant.auth(**other)).status_code == 403


def test_a_good_token_gives_its_claims(probe: Probe, tenant: Tenant) -> None:
    answer = probe().get("/any", auth=tenant.auth(READ, WRITE, sub="auth0|ada", azp="app"))
    assert answer.json() == {"sub": "auth0|ada", "scopes": [READ, WRITE], "client": "app"}


def test_the_scheme_may_be_spelt_in_any_case(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    for scheme in ["bearer", "BEARER", "Bearer "]:
        headers = {"Authorization": f"{scheme} {tenant.token()}"}
        assert client.get("/any", headers=headers).status_code == 200


def test_two_authorization_headers_are_refused(probe: Probe, tenant: Tenant) -> None:
    client, header = probe(), ("Authorization", f"Bearer {tenant.token()}")
    assert client.get("/any", headers=[header]).status_code == 200
    assert client.get("/any", headers=[header, header]).status_code == 401


BODIES = {  # hostile bodies, and what is answered to who may send one
    "unfinished": (b"{", 422),
    "empty": (b"", 422),
    "not a number": (b'{"text": NaN}', 422),
    "infinite": (b'{"text": 1e999}', 422),
    "half of a surrogate pair": (rb'{"text": "\ud800"}', 422),
    "deep": (b'{"text": ' + b"[" * 900 + b"]" * 900 + b"}", 422),
    "too deep": (b"[" * 100_000, 400),
    "not UTF-8": (b'{"text": "\xff"}', 400),
    "a number without end": (b'{"text": ' + b"9" * 6_000 + b"}", 400),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
def test_a_bad_body_neither_breaks_the_answer_nor_hides_that_the_token_is_missing(
    probe: Probe, tenant: Tenant, body: bytes, status: int
) -> None:
    client = probe()
    sent: dict[str, Any] = {"content": body, "headers": {"Content-Type": "application/json"}}
    assert client.post("/write", **sent).status_code == 401
    assert client.post("/write", auth=tenant.auth(READ), **sent).status_code == 403
    assert client.post("/write", auth=tenant.auth(READ, WRITE), **sent).status_code == status


def test_who_lacks_a_token_cannot_make_the_api_read_a_body(probe: Probe, tenant: Tenant) -> None:
    read: list[bool] = []

    def body() -> Iterator[bytes]:
        read.append(True)
        yield b"{}"

    client = probe()
    assert client.post("/write", content=body()).status_code == 401
    assert client.post("/write", content=body(), auth=tenant.auth(READ)).status_code == 403
    assert not read
    assert client.post("/write", content=body(), auth=tenant.auth(READ, WRITE)).status_code == 422
    assert read


def test_a_router_that_is_included_twice_is_guarded_as_it_is_included(
    probe: Probe,
    tenant: Tenant,
    require_auth: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = APIRouter()

    @router.post("/item/{number}")
    async def item(number: int, text: Annotated[str, Body(embed=True)]) -> str:
        return text

    client: Any = probe()
    client.app.include_router(router, prefix="/free")
    writers = APIRouter(prefix="/writers", dependencies=[Depends(require_auth(scopes=WRITE))])
    writers.include_router(router, prefix="/nested")
    client.app.include_router(writers)
    assert client.post("/free/item/1", json={}).status_code == 422
    assert client.post("/writers/nested/item/1", json={}).status_code == 401
    assert client.post("/writers/nested/item/1", json={}, auth=tenant.auth()).status_code == 403
    assert refusals(caplog)[-1]["route"] == "POST /writers/nested/item/{number}"


def test_a_route_may_return_its_claims(
    probe: Probe, tenant: Tenant, require_auth: Callable[..., Any]
) -> None:
    client: Any = probe()

    async def show(claims: Annotated[Any, Depends(require_auth())]) -> Any:
        with pytest.raises(AttributeError):
            claims.scopes |= {WRITE}  # requests share them
        return claims

    kinds: list[Any] = [None, dict[str, Any], Mapping[str, Any]]
    for number, kind in enumerate(kinds):
        client.app.get(f"/claims/{number}", response_model=kind)(show)
        shown = client.get(f"/claims/{number}", auth=tenant.auth(READ, sub="auth0|ada")).json()
        told = [shown.get(name) for name in ("iss", "sub", "scope")]
        assert told == [tenant.issuer, "auth0|ada", READ]


def test_no_request_brings_claims(require_auth: Callable[..., Any]) -> None:
    """FastAPI would read them from the body where `Depends(the guard)` is forgotten."""
    guard = require_auth()
    claims: Any = guard.check.__annotations__["return"]
    bare = [claims, claims | None, Annotated[claims, guard]]
    for kind in [*bare, Annotated[claims, Depends()], Annotated[Any, Depends(claims)]]:

        async def forged(claims: Any) -> None: ...

        forged.__annotations__["claims"] = kind
        with pytest.raises((FastAPIError, PydanticUserError)):
            FastAPI().post("/forged")(forged)


def test_a_mounted_application_is_guarded_alike(
    probe: Probe,
    tenant: Tenant,
    require_auth: Callable[..., Any],
    protect: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    mounted = FastAPI()

    @mounted.post("/item", dependencies=[Depends(require_auth(scopes=WRITE))])
    async def item(text: Annotated[str, Body(embed=True)]) -> str:
        return text

    client: Any = probe()
    protect(mounted, client.app.state.guard, StrEnum("Scopes", {"WRITE": WRITE}))
    client.app.mount("/mounted", mounted)
    bad = {"content": b'{"text": NaN}', "headers": {"Content-Type": "application/json"}}
    assert client.post("/mounted/item", **bad).status_code == 401
    assert refusals(caplog)[-1]["route"] == "POST /mounted/item"
    assert client.post("/mounted/item", auth=tenant.auth(WRITE), **bad).status_code == 422
    good = client.post("/mounted/item", auth=tenant.auth(WRITE), json={"text": "Hi"})
    assert (good.status_code, good.json()) == (200, "Hi")
    assert "security" in mounted.openapi()["paths"]["/item"]["post"]


def test_a_dependency_that_a_test_overrides_is_not_asked(
    probe: Probe, require_auth: Callable[..., Any]
) -> None:
    client: Any = probe()
    app: FastAPI = client.app
    writer = require_auth(scopes=WRITE)

    @app.post("/item", dependencies=[Depends(writer)])
    async def item(text: Annotated[str, Body(embed=True)]) -> str:
        return text

    assert client.post("/item", json={"text": "Hi"}).status_code == 401
    app.dependency_overrides[writer] = lambda: None
    assert client.post("/item", json={"text": "Hi"}).status_code == 200


@pytest.mark.parametrize("limit", ["of the route", "of the application"])
def test_the_token_comes_before_what_the_headers_of_a_body_say(
    probe: Probe,
    tenant: Tenant,
    require_auth: Callable[..., Any],
    protect: Callable[..., None],
    limit: str,
) -> None:
    known: Any = probe()
    of_app, of_route = (100, None) if limit == "of the application" else (None, 100)
    app = FastAPI(max_body_size=of_app)
    protect(app, known.app.state.guard, StrEnum("Scopes", {"WRITE": WRITE}))
    client = TestClient(app)

    def no_boundary(request: Request) -> None:  # as FastAPI answers to such a multipart body
        if request.headers["Content-Type"] == "multipart/form-data":
            raise HTTPException(400)

    guarded = [Depends(no_boundary), Depends(require_auth(scopes=WRITE))]

    @app.post("/body", dependencies=guarded, max_body_size=of_route)
    async def body(request: Request) -> int:
        return len(await request.body())

    good = tenant.auth(WRITE)
    for kind, size, status in [("multipart/form-data", 1, 400), ("text/plain", 200, 413)]:
        sent: dict[str, Any] = {"content": b"x" * size, "headers": {"Content-Type": kind}}
        assert client.post("/body", **sent).status_code == 401
        assert client.post("/body", auth=tenant.auth(READ), **sent).status_code == 403
        assert client.post("/body", auth=good, **sent).status_code == status
    headers = {"Content-Type": "text/plain"}
    assert client.post("/body", auth=good, content=b"x", headers=headers).json() == 1


@pytest.mark.parametrize("waits", [True, False])
def test_an_answer_of_the_owners_is_given_to_each_refusal(
    waits: bool, probe: Probe, require_auth: Callable[..., Any], protect: Callable[..., None]
) -> None:
    known: Any = probe()
    app = FastAPI(max_body_size=100)
    protect(app, known.app.state.guard, StrEnum("Scopes", {"WRITE": WRITE}))
    [refused] = [one for one in app.exception_handlers if getattr(one, "__name__", "") == "Refused"]

    def own(request: Request, error: Exception) -> Response:
        return Response("refused", 401)

    async def awaited(request: Request, error: Exception) -> Response:
        return own(request, error)

    app.add_exception_handler(refused, awaited if waits else own)

    @app.post("/body", dependencies=[Depends(require_auth())])
    async def body(text: Annotated[str, Body()]) -> None: ...

    client = TestClient(app)
    for size in (1, 200):  # FastAPI itself refuses the longer one
        assert client.post("/body", content=b"x" * size).text == "refused"


def test_without_the_undocumented_key_guards_of_routers_are_asked_after_the_body(
    probe: Probe,
    require_auth: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = APIRouter()

    @router.post("/item")
    async def item(text: Annotated[str, Body(embed=True)]) -> str:
        return text

    client: Any = probe()
    client.app.include_router(router, prefix="/within", dependencies=[Depends(require_auth())])
    assert client.post("/within/item", content=b"{").status_code == 401
    monkeypatch.setattr("fastapi.routing._FASTAPI_EFFECTIVE_ROUTE_CONTEXT_KEY", "renamed")
    bad = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    assert client.post("/within/item", **bad).status_code == 422
    assert client.post("/within/item", json={"text": "Hi"}).status_code == 401
    assert [line["route"] for line in refusals(caplog)] == ["POST /within/item", "POST /item"]


def test_a_good_body_is_read(probe: Probe, tenant: Tenant) -> None:
    good = probe().post("/write", auth=tenant.auth(READ, WRITE), json={"text": "Hi"})
    assert (good.status_code, good.json()) == (200, "Hi")


def test_a_large_token_is_accepted_and_a_huge_one_is_not(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    assert client.get("/any", auth=tenant.auth(extra="x" * 7_000)).status_code == 200
    assert client.get("/any", auth=tenant.auth(extra="x" * 20_000)).status_code == 401


def test_a_bound_token_is_not_accepted_as_bearer(probe: Probe, tenant: Tenant) -> None:
    headers = {"Authorization": f"Bearer {tenant.bound_token()}"}
    assert probe().get("/any", headers=headers).status_code == 401


def test_a_websocket_is_guarded_like_a_route(probe: Probe, tenant: Tenant) -> None:
    client = probe()
    headers = {"Authorization": f"Bearer {tenant.token(READ)}"}
    with client.websocket_connect("/socket", headers=headers) as socket:
        assert socket.receive_text() == "auth0|ada"
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/socket"):
        pass
    assert refused.value.status_code == 401


# ------------------------------------------------------------------------- remembered tokens


def test_a_token_is_verified_once_per_request_and_then_remembered(
    probe: Probe, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = probe()
    api_client = client.app.state.guard.sdk.api_client  # type: ignore[attr-defined]
    verify, verified = api_client.verify_access_token, []

    async def count(token: str) -> object:
        verified.append(token)
        return await verify(token)

    monkeypatch.setattr(api_client, "verify_access_token", count)
    auth = tenant.auth(READ)
    for _ in range(3):  # /read asks twice: any token, and the scope
        assert client.get("/read", auth=auth).status_code == 200
    assert len(verified) == 1


def test_nothing_is_remembered_when_the_setting_is_zero(probe: Probe, tenant: Tenant) -> None:
    client = probe(auth0_token_cache_size=0)
    assert client.get("/any", auth=tenant.auth()).status_code == 200
    assert not client.app.state.guard.remembered.claims  # type: ignore[attr-defined]


def test_what_is_remembered_is_bounded(probe: Probe, tenant: Tenant) -> None:
    client = probe(auth0_token_cache_size=2)
    for number in range(4):
        assert client.get("/any", auth=tenant.auth(jti=str(number))).status_code == 200
    assert len(client.app.state.guard.remembered.claims) == 2  # type: ignore[attr-defined]


def test_a_token_is_remembered_once_however_it_is_spelt(probe: Probe, tenant: Tenant) -> None:
    client, token = probe(auth0_token_cache_size=10), tenant.token(READ)
    for blanks in range(1, 30):
        for scheme in ["Bearer", "bearer", "BEARER"]:
            headers = {"Authorization": f"{scheme}{' ' * blanks}{token}"}
            assert client.get("/any", headers=headers).status_code == 200
    assert len(client.app.state.guard.remembered.claims) == 1  # type: ignore[attr-defined]


def test_what_is_remembered_is_bounded_in_bytes(probe: Probe, tenant: Tenant) -> None:
    client = probe(auth0_token_cache_size=10)
    for number in range(10):
        auth = tenant.auth(jti=str(number), extra="x" * 9_000)
        assert client.get("/any", auth=auth).status_code == 200
    remembered = client.app.state.guard.remembered  # type: ignore[attr-defined]
    assert sum(remembered.lengths.values()) <= 10 * 2_048
    assert remembered.claims


def test_claims_are_read_by_name_and_cannot_be_changed(
    probe: Probe, tenant: Tenant, require_auth: Callable[..., Any]
) -> None:
    client: Any = probe()
    app: FastAPI = client.app
    seen: list[Any] = []

    @app.get("/claims")
    async def claims(claims: Annotated[Any, Depends(require_auth())]) -> dict[str, Any]:
        seen.append(claims)
        return dict(claims)

    answer = client.get("/claims", auth=tenant.auth(READ, org_id="org_1"))
    assert (answer.json()["sub"], answer.json()["org_id"]) == ("auth0|ada", "org_1")
    [found] = seen
    assert (found["sub"], found.get("scope"), found.get("no")) == (found.sub, READ, None)
    assert found.raw == dict(found)
    assert found.client_id == "test-client"
    assert found.issuer == tenant.issuer
    assert found.expires_at == found["exp"]
    for name in ["sub", "scopes", "other"]:
        with pytest.raises(AttributeError):
            setattr(found, name, "evil")
    with pytest.raises(TypeError):
        found["sub"] = "evil"
    with pytest.raises(TypeError):
        found.raw["sub"] = "evil"


def test_a_remembered_token_is_forgotten_when_it_expires(
    probe: Probe, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = probe()
    auth, soon = tenant.auth(exp=int(time.time()) + 60), time.time() + 61
    assert client.get("/any", auth=auth).status_code == 200
    monkeypatch.setattr(time, "time", lambda: soon)
    assert client.get("/any", auth=auth).status_code == 401


def test_two_applications_share_nothing(probe: Probe, tenant: Tenant) -> None:
    first, second = probe(), probe(auth0_audience="https://second.example.com")
    auth = tenant.auth()
    assert first.get("/any", auth=auth).status_code == 200
    assert second.get("/any", auth=auth).status_code == 401


# ------------------------------------------------------------------------------- the log


def refusals(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The lines of the event log, parsed."""
    lines = [record.getMessage() for record in caplog.records]
    return [json.loads(line) for line in lines if "auth.refused" in line]


def test_a_refusal_is_one_structured_line(
    probe: Probe, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    token = tenant.token(sub="auth0|ada", azp="app")
    probe().get("/read", headers={"Authorization": f"Bearer {token}"})
    assert refusals(caplog) == [
        {
            "event": "auth.refused",
            "reason": "scope",
            "status": 403,
            "route": "GET /read",
            "kid": "key-1",
            "client_id": "app",
            "subject": hashlib.sha256(b"auth0|ada").hexdigest()[:16],
        }
    ]
    assert token not in caplog.text
    assert "ada" not in caplog.text


def test_the_log_says_that_the_client_forgot_the_audience(
    probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    client = probe()
    for opaque in ("v2.local.opaque", "0Tk3pQ", "eyJhbGciOiJkaXIifQ..a.b.c"):
        answer = client.get("/any", headers={"Authorization": f"Bearer {opaque}"})
        assert answer.status_code == 401
    assert "`audience`" in str(refusals(caplog)[-1]["hint"])


def test_an_attack_neither_floods_the_log_nor_hides_other_refusals(
    probe: Probe, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    client = probe()
    log = client.app.state.guard.log  # type: ignore[attr-defined]
    log.clock = lambda: 0.0
    for _ in range(25):
        client.get("/any", auth=tenant.auth(fault="signature"))
    client.get("/any", auth=tenant.auth(fault="expired"))
    reasons = [line["reason"] for line in refusals(caplog)]
    assert reasons == ["signature"] * 20 + ["expired"]
    log.clock = lambda: 11.0
    client.get("/any", auth=tenant.auth(fault="signature"))
    assert refusals(caplog)[-1]["suppressed"] == 5


def test_the_log_survives_a_dictconfig_that_silences_other_loggers(
    probe: Probe, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    client = probe()
    loggers = [
        one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)
    ]
    enabled = [one for one in loggers if not one.disabled]
    logging.config.dictConfig({"version": 1})
    client.get("/any", auth=tenant.auth(fault="expired"))
    for one in enabled:
        one.disabled = False
    assert [line["reason"] for line in refusals(caplog)] == ["expired"]


def test_the_log_names_the_claim_that_is_at_fault(
    probe: Probe, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    client = probe()
    faults: list[Any] = [{"sub": OMIT}, {"exp": "x"}, {"iat": OMIT}, {"azp": 5}, {"scope": []}]
    for fault in faults:
        assert client.get("/any", auth=tenant.auth(**fault)).status_code == 401
    named = [line["claim"] for line in refusals(caplog)]
    assert named == ["sub", "exp", "iat", "azp", "scope"]


def test_nothing_of_a_token_breaks_out_of_its_line(
    probe: Probe, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    header = {"kid": 'key"\r\nforged: line\u2028' + "x" * 500}
    probe().get("/any", auth=tenant.auth(header=header, azp="app\r\nforged"))
    [record] = [record for record in caplog.records if "unknown_key" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert len(record.getMessage().splitlines()) == 1
    assert len(record.getMessage()) < 500
