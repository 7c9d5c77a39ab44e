"""A tenant that fails, at each kind of request and in each way: the run ends as documented.

Whatever happens: no traceback, the cause and the next step are named, .env is whole, no file of the
project changes, and the next run completes the job without a duplicate.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from setup import loopback_tenant as loopback
from setup.loopback_tenant import Answer
from setup.workbench import AUDIENCE, Machine

FOR_EVER = float("inf")
API, CLIENTS, GRANTS = (f"/api/v2/{name}" for name in ("resource-servers", "clients", "client-gr"))
NEW, OLD, MANAGEMENT = "1.33.0", "1.27.2", "api"  # ways to the tenant; versions of the executable


@dataclass(frozen=True)
class Place:
    """A request of the set-up; `skip` such requests come before it."""

    method: str
    path: str
    scope: str
    skip: int = 0
    first: bool = False  # no write has come before


@dataclass(frozen=True)
class Case:
    """A fault, and how the run ends: the exit code, and words of the message."""

    answer: Callable[[Place], Answer]
    code: int = 0
    words: tuple[str, ...] = ()
    times: float = 1
    after_effect: bool = False
    timeout: str = "20"


def just(answer: Answer) -> Callable[[Place], Answer]:
    return lambda place: answer


CONFLICT = loopback.refusal(409, "Conflict", "It exists already.", "conflict")
FORBIDDEN = loopback.refusal(403, "Forbidden", "Not for you.", "access_denied")
INVALID = loopback.refusal(400, "Bad Request", "Payload validation error.", "invalid_body")
SERVER_ERROR, BAD_GATEWAY = loopback.SERVER_ERROR, loopback.BAD_GATEWAY
# In reading as in writing.
ANYWHERE = {
    "401": Case(just(loopback.UNAUTHORIZED), 1, ("401: Invalid token",)),
    "403 lacking a scope": Case(lambda place: loopback.lacking(place.scope), 3),
    "403": Case(just(FORBIDDEN), 1, times=FOR_EVER),
    "400": Case(just(INVALID), 1, ("Payload validation error",)),
    "429 for a moment": Case(lambda place: loopback.rate_limited(1)),
    "429 for an hour": Case(lambda place: loopback.rate_limited(3600), 1, times=9, timeout="2"),
    "500 twice": Case(just(SERVER_ERROR), times=2),
    "500 for good": Case(just(SERVER_ERROR), 1, ("500",), times=FOR_EVER),
    "502 of a proxy for good": Case(just(loopback.HTML_BAD_GATEWAY), 1, times=FOR_EVER),
    "hang for good": Case(just(loopback.HANG), 1, ("within 1 s",), FOR_EVER, timeout="1"),
    "reset": Case(just(loopback.RESET)),
    "reset for good": Case(just(loopback.RESET), 1, times=FOR_EVER),
}
READING = {
    "404": Case(just(loopback.NOT_FOUND), 1, ("404",)),
    "a page instead of an answer": Case(just(loopback.HTML_PAGE), 1),
}
WRITING = {
    "409 once": Case(just(CONFLICT)),
    "409 for good": Case(just(CONFLICT), 1, ("409",), times=FOR_EVER),
    "404 once": Case(just(loopback.NOT_FOUND)),
    "success, then 502": Case(just(BAD_GATEWAY), after_effect=True),
    "success, then 502 of a proxy": Case(just(loopback.HTML_BAD_GATEWAY), after_effect=True),
    "success, then a page": Case(just(loopback.HTML_PAGE), after_effect=True),
    "success, then a reset": Case(just(loopback.RESET), after_effect=True),
    "success, then a hang": Case(just(loopback.HANG), after_effect=True, timeout="3"),
    "hang": Case(just(loopback.HANG), timeout="3"),
}
READ_API = Place("GET", API, "read:resource_servers", first=True)
READ_APPS = Place("GET", CLIENTS, "read:clients", first=True)
READ_BACK = Place("GET", API, "read:resource_servers", skip=1)
CREATE_API = Place("POST", API, "create:resource_servers", first=True)
CREATE_TEST_APP = Place("POST", CLIENTS, "create:clients")
CREATE_GRANT = Place("POST", GRANTS, "create:client_grants")
CREATE_DOCS_APP = Place("POST", CLIENTS, "create:clients", skip=1)
CHANGE_API = Place("PATCH", API, "update:resource_servers", first=True)
# Before 1.32 the executable prints errors as if they were results.
PRINTED_DIFFERENTLY = {
    *("401", "403", "403 lacking a scope", "400", "404", "404 once", "409 once", "409 for good"),
    *("500 for good", "502 of a proxy for good", "a page instead of an answer"),
    *("success, then 502", "success, then a page"),
}
SOME = ("403 lacking a scope", "500 for good", "409 once", "success, then 502", "hang")


def matrix() -> Iterator[object]:
    every = {**ANYWHERE, **WRITING}
    some = {name: every[name] for name in SOME}
    double = {**WRITING, **{name: ANYWHERE[name] for name in ("403", "500 for good")}}
    few = {name: ANYWHERE[name] for name in ("401", "500 for good")}
    yield from rows("read the API", READ_API, {**ANYWHERE, **READING})
    yield from rows("read the applications", READ_APPS, few)
    yield from rows("create the API", CREATE_API, every)
    yield from rows("create the test app", CREATE_TEST_APP, double)
    yield from rows("create the grant", CREATE_GRANT, some)
    yield from rows("create the docs app", CREATE_DOCS_APP, some)
    yield from rows("change the API", CHANGE_API, some)
    yield from rows("read back", READ_BACK, few)


def rows(title: str, place: Place, cases: dict[str, Case]) -> Iterator[object]:
    for name, case in cases.items():
        old = place in (READ_API, CREATE_API) and name in PRINTED_DIFFERENTLY
        for way in (NEW, MANAGEMENT, *[OLD] * old):
            yield pytest.param(place, case, way, id=f"{title}: {name} [{way}]")


@pytest.mark.parametrize(("place", "case", "way"), list(matrix()))
def test_a_fault(machine: Machine, place: Place, case: Case, way: str) -> None:
    via = "api" if way == MANAGEMENT else "cli"
    machine.use(via)
    if via == "cli":
        machine.install(version=way)
    if place.method == "PATCH":
        machine.tenant.add_api(AUDIENCE)
    files = machine.snapshot()
    machine.tenant.fail(
        case.answer(place),
        place.method,
        place.path,
        skip=place.skip,
        times=case.times,
        after_effect=case.after_effect,
    )
    form = ["--json"] if way == OLD else []
    done = machine.setup("--via", via, "--timeout", case.timeout, *form)

    expected = 1 if case.code == 3 and not place.first else case.code
    assert done.code == expected, done
    done.says(*case.words, *[place.scope] * (case.code == 3))
    if done.code:
        done.says("error:", "next:")
        machine.assert_env_whole()
    else:
        machine.assert_complete()
    assert machine.snapshot() == files
    if form:
        report = json.loads(done.stdout)
        assert (report["exit_code"], bool(report["error"])) == (done.code, done.code != 0)
    if done.code:
        machine.finish("--via", via)


SOUND = {"id": "a" * 24, "identifier": AUDIENCE, "name": "API", "scopes": []}
UNSOUND: list[tuple[str, object]] = [
    (API, {}),
    (API, {"resource_servers": [{"identifier": AUDIENCE}]}),
    (API, {"resource_servers": [{**SOUND, "scopes": ["read:messages"]}]}),
    (API, {"resource_servers": [{**SOUND, "subject_type_authorization": "allow"}]}),
    (CLIENTS, {"clients": [{"name": "Somebody's"}]}),
    (GRANTS, [{"client_id": "c" * 32, "audience": AUDIENCE}]),
]


@pytest.mark.parametrize("via", ["cli", "api"])
@pytest.mark.parametrize(("path", "body"), UNSOUND)
def test_an_answer_of_another_shape(machine: Machine, via: str, path: str, body: object) -> None:
    machine.use(via)
    assert machine.setup().code == 0
    before = machine.env_file.read_bytes(), len(machine.tenant.writes)
    machine.tenant.fail(Answer(200, body), "GET", path, times=FOR_EVER)
    for command in (("setup", "--yes", "--test-app"), ("doctor",)):
        done = machine.run(*command, "--via", via)
        if path == CLIENTS and command == ("doctor",):
            continue  # it looks at none
        done.says("no list of" if via == "cli" else "the Management API gave")
        assert "defect" not in done.said
        assert done.code == (1 if command[0] == "setup" else 0), done
    assert (machine.env_file.read_bytes(), len(machine.tenant.writes)) == before
    machine.finish()


def test_an_answer_that_is_nested_too_deep(machine: Machine) -> None:
    machine.use("api")
    machine.tenant.fail(Answer(200, "[" * 100_000), "GET", API)
    done = machine.setup()
    done.says("an answer that cannot be parsed (RecursionError)")
    assert (done.code, "defect" in done.said) == (1, False)
    machine.finish()


def test_an_outgrown_answer_is_told_by_its_json(machine: Machine) -> None:
    """Releases after 1.33 announce errors as one JSON object."""
    machine.install(version="1.34.0", envelope=True)
    machine.log_in()
    machine.tenant.fail(loopback.lacking("create:clients"), "POST", CLIENTS)
    machine.tenant.fail(CONFLICT, "POST", API)
    done = machine.setup()
    assert done.code == 1, done
    done.says("create:clients", "next:")
    machine.finish()


def test_a_write_is_not_repeated_blindly(machine: Machine) -> None:
    """The library would; the executable does, and its twin is removed."""
    machine.use("api")
    machine.tenant.fail(BAD_GATEWAY, "POST", CLIENTS, after_effect=True)
    assert machine.setup().code == 0
    sent = [request.status for request in machine.tenant.writes if request.url == CLIENTS]
    assert sent == [502, 201]
    assert not any(request.method == "DELETE" for request in machine.tenant.writes)
    machine.assert_complete()
