"""Scopes count wherever FastAPI lets them be stated, and before the body is read."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Security, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from memory_tenant import Tenant

READ, WRITE = "read:things", "write:things"
Probe = Callable[..., TestClient]
RequireAuth = Callable[..., Any]


def add_routes(app: FastAPI, require_auth: RequireAuth) -> None:
    """One route for each place that can state WRITE."""
    guard = require_auth()
    write = Security(guard, scopes=[WRITE])

    def user(claims: Annotated[Any, Depends(guard)]) -> Any:
        return claims

    def admin(owner: Annotated[Any, Depends(user)]) -> Any:
        return owner

    async def echo(text: Annotated[str, Body(embed=True)]) -> str:
        return text

    @app.post("/parameter")
    async def parameter(
        claims: Annotated[Any, write], text: Annotated[str, Body(embed=True)]
    ) -> str:
        return text

    app.post("/decorator", dependencies=[write])(echo)
    app.post("/nested", dependencies=[Security(user, scopes=[WRITE])])(echo)
    app.post("/deep", dependencies=[Security(admin, scopes=[WRITE])])(echo)
    app.post("/after", dependencies=[Depends(guard), write])(echo)
    app.post("/before", dependencies=[write, Depends(guard)])(echo)
    uncached = Security(guard, scopes=[WRITE], use_cache=False)
    app.post("/uncached", dependencies=[Depends(guard), uncached])(echo)
    of_router = APIRouter(dependencies=[write])
    of_router.post("/router")(echo)
    app.include_router(of_router)
    plain = APIRouter()
    plain.post("/included")(echo)
    around = APIRouter()
    around.include_router(plain, dependencies=[Security(user, scopes=[WRITE])])
    app.include_router(around)


PLACES = ["parameter", "decorator", "nested", "deep", "after", "before", "uncached"]
PLACES += ["router", "included"]


@pytest.fixture
def client(probe: Probe, require_auth: RequireAuth) -> Any:
    """The probe with a route for each place."""
    client: Any = probe()
    add_routes(client.app, require_auth)
    return client


@pytest.mark.parametrize("place", PLACES)
def test_a_scope_counts_where_it_is_stated(client: Any, tenant: Tenant, place: str) -> None:
    path, text = f"/{place}", {"text": "Hi"}
    read: list[bool] = []

    def body() -> Iterator[bytes]:
        read.append(True)
        yield b"{}"

    assert client.post(path, content=body()).status_code == 401
    refused = client.post(path, content=body(), auth=tenant.auth(READ))
    assert refused.status_code == 403
    assert f'scope="{WRITE}"' in refused.headers["WWW-Authenticate"]
    assert not read
    assert client.post(path, json=text, auth=tenant.auth(WRITE)).json() == "Hi"
    operation = client.get("/openapi.json").json()["paths"][path]["post"]
    assert operation["security"] == [{"auth0": [WRITE]}]
    assert {"401", "403"} <= set(operation["responses"])


def test_scopes_of_all_levels_are_needed_together(
    probe: Probe, tenant: Tenant, require_auth: RequireAuth
) -> None:
    client: Any = probe()
    app: FastAPI = client.app
    reader = require_auth(scopes=READ)

    def user(claims: Annotated[Any, Security(reader, scopes=["b"])]) -> Any:
        return claims

    @app.get("/all", dependencies=[Security(user, scopes=["a"])])
    async def everything(claims: Annotated[Any, Security(reader, scopes=["c"])]) -> list[str]:
        return sorted(claims.scopes)

    needed = [READ, "a", "b", "c"]
    for missing in needed:
        grants = [scope for scope in needed if scope != missing]
        assert client.get("/all", auth=tenant.auth(*grants)).status_code == 403, missing
    assert client.get("/all", auth=tenant.auth(*needed)).json() == sorted(needed)
    operation = client.get("/openapi.json").json()["paths"]["/all"]["get"]
    assert operation["security"] == [{"auth0": sorted(needed)}]


def test_a_scope_of_one_route_is_not_needed_at_another(
    client: Any, tenant: Tenant, require_auth: RequireAuth
) -> None:
    assert client.get("/any", auth=tenant.auth()).status_code == 200
    assert client.get("/read", auth=tenant.auth(READ)).status_code == 200


def test_scopes_of_an_application_count_for_each_route(
    tenant: Tenant, probe: Probe, require_auth: RequireAuth, protect: Callable[..., None]
) -> None:
    outer: Any = probe()
    app = FastAPI(dependencies=[Security(require_auth(), scopes=[WRITE])])
    protect(app, outer.app.state.guard, StrEnum("Scopes", {"WRITE": WRITE}))

    @app.get("/item")
    async def item() -> str:
        return "item"

    client = TestClient(app)
    assert client.get("/item").status_code == 401
    assert client.get("/item", auth=tenant.auth(READ)).status_code == 403
    assert client.get("/item", auth=tenant.auth(WRITE)).status_code == 200


def test_a_websocket_needs_the_scopes_that_are_stated(
    probe: Probe, tenant: Tenant, require_auth: RequireAuth
) -> None:
    client: Any = probe()
    app: FastAPI = client.app

    @app.websocket("/live", dependencies=[Security(require_auth(), scopes=[WRITE])])
    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("Hi")
        await websocket.close()

    for token, status in [(tenant.token(READ), 403), ("", 401)]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            client.websocket_connect("/live", headers=headers),
        ):
            pass
        assert refused.value.status_code == status
    headers = {"Authorization": f"Bearer {tenant.token(WRITE)}"}
    with client.websocket_connect("/live", headers=headers) as socket:
        assert socket.receive_text() == "Hi"


def test_another_guard_does_not_trust_what_the_first_one_verified(
    probe: Probe, tenant: Tenant, require_auth: RequireAuth
) -> None:
    """An owner's own middleware may ask the guard of the outer application."""
    outer: Any = probe()
    inner: Any = probe(auth0_audience="https://second.example.com")

    async def asking(scope: Any, receive: Any, send: Any) -> None:
        await require_auth().check({**scope, "app": outer.app}, frozenset())
        scope["auth0"] = outer.app.state.guard, "what the outer guard verified"
        await inner.app(scope, receive, send)

    token = tenant.auth(aud="https://api.example.com")
    assert TestClient(asking).get("/any", auth=token).status_code == 401
