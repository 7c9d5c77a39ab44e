"""A project's inventory finds whatever its owner leaves open, whoever made the route."""

import re
from pathlib import Path

import pytest

from support import PYTEST, render, run

OPENINGS = '''
"""Every way to answer a request past the guard; an owner would have one or two of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from ..auth import Claims, auth0

FOLDER = __file__.rpartition("/")[0]


async def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("open")


async def application(scope: Any, receive: Any, send: Any) -> None: ...


inner = FastAPI()
inner.add_route("/plain", answer)
inner.frontend("/web", directory=FOLDER)


@inner.get("/guarded", dependencies=[Depends(auth0.require_auth())])
async def guarded() -> None: ...


@asynccontextmanager
async def late(app: FastAPI) -> AsyncIterator[None]:
    app.add_route("/late", answer)
    app.router.routes.append(Router(routes=[Route("/routed", answer)]))
    app.router.default = answer
    inner.state.guard = app.state.guard
    yield


router = APIRouter(lifespan=late)
router.add_route("/metrics", answer)
router.add_route("/docs2", answer)
router.add_websocket_route("/socket", application)
router.mount("/graphql", application)
router.mount("/admin", Starlette(routes=[Route("/", answer), Route("/users", answer)]))
router.mount("/static", StaticFiles(directory=FOLDER))
router.mount("/inner", inner)
router.mount("/nested", Router(routes=[Mount("/deep", app=inner)]))
router.mount("/zipped", GZipMiddleware(inner))
router.routes.append(Host("admin.example.com", app=application))
router.frontend("/app", directory=FOLDER)


@router.websocket("/live")
async def live(websocket: WebSocket) -> None: ...


@router.websocket("/guarded-live")
async def guarded_live(
    websocket: WebSocket, claims: Annotated[Claims, Depends(auth0.require_auth())]
) -> None: ...
'''
OPEN = [
    "/*",
    "/?",
    "/admin",
    "/app",
    "/docs2",
    "/graphql",
    "/inner/plain",
    "/inner/web",
    "/late",
    "/live",
    "/metrics",
    "/nested/deep/plain",
    "/nested/deep/web",
    "/socket",
    "/static",
    "/zipped",
    "admin.example.com",
]
INVENTORY = [*PYTEST, "tests/auth/test_inventory.py"]

LOST = '''
"""Ways to answer in place of a guard that the route has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Response, WebSocket
from fastapi.routing import APIRoute

from ..auth import Claims, RequireAuth, auth0

guard = auth0.require_auth()
PATH = "/orders/{number:int}/{key:uuid}"


def caller(claims: Annotated[Claims, Depends(guard)]) -> str:
    return claims.sub


@asynccontextmanager
async def overridden(app: FastAPI) -> AsyncIterator[None]:
    app.dependency_overrides[OVERRIDDEN] = lambda: "ada"
    yield
    app.dependency_overrides.clear()


class Lenient(RequireAuth):
    async def __call__(self) -> Any: ...


class Cached(APIRoute):
    def get_route_handler(self) -> Any:
        async def handler(request: Any) -> Response:
            return Response("kept")

        return handler


class Soft(APIRoute):
    def get_route_handler(self) -> Any:
        inner = super().get_route_handler()

        async def handler(request: Any) -> Response:
            try:
                return await inner(request)
            except HTTPException as error:
                if error.status_code == 401:
                    raise
                return Response("no error: a client of ours cannot show one")

        return handler


OVERRIDDEN: Any = None
writer = auth0.require_auth(scopes="write:messages")
router = APIRouter(lifespan=overridden)
guarded = APIRouter(lifespan=overridden, dependencies=[Depends(guard)])
'''
READ = "async def read(sub: Annotated[str, Depends(caller)]) -> None: ..."
LOSSES = {
    "an override of the guard": f"OVERRIDDEN = guard\n@router.get(PATH)\n{READ}",
    "an override around it": f"OVERRIDDEN = caller\n@router.get(PATH)\n{READ}",
    "a guard that lets all pass": (
        "@router.get(PATH, dependencies=[Depends(Lenient(frozenset()))])\n"
        "async def read() -> None: ..."
    ),
    "a route class": f"router.route_class = Cached\n@router.get(PATH)\n{READ}",
    "an earlier route": (
        "@router.get('/orders/{rest:path}', tags=['public'])\n"
        f"async def rest() -> None: ...\n\n\n@router.get(PATH)\n{READ}"
    ),
    "a mounted application without it": (
        f"inner = FastAPI()\nrouter.mount('/inner', inner)\n@inner.get(PATH)\n{READ}"
    ),
    "an override of a scope": (
        f"OVERRIDDEN = writer\nrouter = guarded\n"
        f"@router.get(PATH, dependencies=[Depends(writer)])\n{READ}"
    ),
    "a route class that hides 403": (
        f"router.route_class = Soft\n@router.get(PATH, dependencies=[Depends(writer)])\n{READ}"
    ),
    "a WebSocket": (
        "OVERRIDDEN = caller\n@router.websocket(PATH)\n"
        "async def read(socket: WebSocket, sub: Annotated[str, Depends(caller)]) -> None:\n"
        "    await socket.accept()"
    ),
}


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(plain_template, tmp_path_factory.mktemp("inventory") / "project")


def inventory(project: Path) -> tuple[int, str]:
    done = run(INVENTORY, project, {"PYTHONPATH": "src"})
    return done.returncode, done.stdout


def faults_with(project: Path, text: str) -> str:
    """What the inventory says to a module of routes with this text; it must find a fault."""
    module = project / "src/my_api/routes/orders.py"
    module.write_text(text, encoding="utf-8")
    code, said = inventory(project)
    module.unlink()
    assert code == 1
    return said


def test_each_opening_is_named_and_the_line_to_add_ends_it(project: Path) -> None:
    (project / "src/my_api/routes/openings.py").write_text(OPENINGS, encoding="utf-8")
    code, said = inventory(project)
    found = re.search(r"^E +(OPEN_ON_PURPOSE = .*)$", said, re.MULTILINE)
    assert code == 1
    assert found, said
    assert re.findall(r'"(.*?)"', found[1]) == OPEN
    tests = project / "tests/test_routes.py"
    text = tests.read_text(encoding="utf-8")
    empty = "OPEN_ON_PURPOSE: list[str] = []"
    assert empty in text
    tests.write_text(text.replace(empty, found[1]), encoding="utf-8")
    assert inventory(project)[0] == 0
    (project / "src/my_api/routes/openings.py").unlink()
    code, said = inventory(project)
    assert code == 1, "a line that no route needs would open the next route of that path"
    assert "OPEN_ON_PURPOSE = []" in said
    tests.write_text(text.replace(empty, ""), encoding="utf-8")
    assert inventory(project)[0] == 0, "no list is an empty one"
    tests.unlink()
    assert inventory(project)[0] == 0, "nor is the file needed"


@pytest.mark.parametrize("loss", LOSSES)
def test_a_guard_that_something_answers_for_is_named(project: Path, loss: str) -> None:
    said = faults_with(project, f"{LOST}\n\n{LOSSES[loss]}\n")
    assert re.search(
        r"(GET|WEBSOCKET) (/inner)?/orders/1/00000000-0000-4000-8000-000000000000"
        r" without (a token|its scopes): (101|200|500), neither 401 nor 403",
        said,
    ), said


MISUSED = '''
"""Ways to state a scope, below a guarded router, that FastAPI does not ask anybody about."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.requests import HTTPConnection

from ..auth import RequireAuth, auth0

guard = auth0.require_auth()
writer = auth0.require_auth(scopes="write:messages")
router = APIRouter(prefix="/misused", dependencies=[Depends(guard)])


def made() -> Any:
    return auth0.require_auth(scopes="write:messages")


def within() -> Any:
    own = auth0.require_auth(scopes="write:messages")
    return lambda: own


def not_awaited(request: Request) -> Any:
    return writer(request)


class Writers:
    def __init__(self) -> None:
        self.guard = auth0.require_auth(scopes="write:messages")

    def __call__(self) -> RequireAuth:
        return self.guard


async def asked(connection: HTTPConnection) -> Any:
    return await writer(connection)


async def nothing() -> None: ...


for name, function in {
    "lambda": lambda: auth0.require_auth(scopes="write:messages"),
    "kept": lambda: writer,
    "uncalled": auth0.require_auth,
    "partial": partial(auth0.require_auth, scopes="write:messages"),
    "class": RequireAuth,
    "made": made,
    "within": within(),
    "not-awaited": not_awaited,
    "writers": Writers,
    "a-writer": Writers(),
    "asked": asked,
    "guarded": writer,
}.items():
    router.get(f"/{name}", dependencies=[Depends(function)])(nothing)


@router.get("/body")
async def body() -> None:
    auth0.require_auth(scopes="write:messages")
'''
NOT_MISUSED = {"asked", "guarded"}


def test_a_guard_that_is_named_and_never_asked_is_named(project: Path) -> None:
    said = faults_with(project, MISUSED)
    named = set(re.findall(r"^E +/misused/([a-z-]+): ", said, re.MULTILINE))
    assert named == {*re.findall(r'^    "([a-z-]+)":', MISUSED, re.MULTILINE), "body"} - NOT_MISUSED


@pytest.mark.parametrize("place", ["router", "application"])
def test_a_dependency_that_a_router_gets_too_late_is_named(project: Path, place: str) -> None:
    late = "router" if place == "router" else "app.router"
    said = faults_with(
        project,
        "from contextlib import asynccontextmanager\n"
        "from fastapi import APIRouter, Depends\n"
        "from ..auth import auth0\n\n\n"
        "@asynccontextmanager\n"
        "async def add(app):\n"
        f"    {late}.dependencies.append(Depends(auth0.require_auth(scopes='write:messages')))\n"
        "    yield\n\n\n"
        "router = APIRouter(dependencies=[Depends(auth0.require_auth())], lifespan=add)\n\n\n"
        "@router.get('/late')\n"
        "async def late() -> None: ...\n",
    )
    assert "it was added before [Depends(" in said


@pytest.mark.parametrize(
    ("dependency", "named"),
    [
        ("Security(auth0.require_auth(), scopes=['write:orders'])", "declare the scope"),
        ("Depends(auth0.require_auth()), Security(limit, scopes=['read:messages'])", "no auth0"),
    ],
)
def test_a_scope_that_is_unknown_or_that_no_guard_looks_at_is_named(
    project: Path, dependency: str, named: str
) -> None:
    said = faults_with(
        project,
        "from fastapi import APIRouter, Depends, Security\n"
        "from ..auth import auth0\n\n\n"
        "def limit() -> None: ...\n\n\n"
        f"router = APIRouter(dependencies=[{dependency}])\n\n\n"
        "@router.get('/orders')\n"
        "async def orders() -> None: ...\n",
    )
    assert f"/orders: {named}" in said


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('ODD = "nachrichten:ändern", "Odd"', "'nachrichten:ändern' is not a scope"),
        ('DELETE = "write:messages", "Delete"', "DELETE is WRITE_MESSAGES: both have the value"),
    ],
)
def test_a_scope_that_cannot_be_told_or_is_another_is_named(
    project: Path, line: str, named: str
) -> None:
    """`Security` takes what `require_auth` would refuse at once."""
    module = project / "src/my_api/scopes.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(f"{text}    {line}\n", encoding="utf-8")
    code, said = inventory(project)
    module.write_text(text, encoding="utf-8")
    assert code == 1
    assert named in said
