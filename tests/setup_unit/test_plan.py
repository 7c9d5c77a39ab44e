"""The plan: what changes for which wanted and found state."""

from typing import Any

import pytest

from fastapi_auth0_template.model import all_pages
from fastapi_auth0_template.plan import (
    Found,
    Wanted,
    access_notes,
    changes,
    choose_apps,
    describe_api,
    is_system,
)

AUDIENCE = "https://api.example.com"
READ = {"value": "read:messages", "description": "Read messages"}
WRITE = {"value": "write:messages", "description": "Write messages"}
API: dict[str, Any] = {
    "name": "My API",
    "identifier": AUDIENCE,
    "signing_alg": "RS256",
    "scopes": [READ, WRITE],
    "token_lifetime": 3600,
    "enforce_policies": False,
    "token_dialect": "access_token",
}
FOUND = {**API, "id": "689", "is_system": False, "token_lifetime_for_web": 7200}


def app(client_id: str, purpose: str = "test", run: str = "r1", **more: Any) -> dict[str, Any]:
    marker = {
        "created_by": "fastapi-auth0-template",
        "audience": AUDIENCE,
        "purpose": purpose,
        "run": run,
    }
    grants = ["client_credentials"]
    return {
        "client_id": client_id,
        "name": "x",
        "client_metadata": marker,
        "grant_types": grants,
    } | more


def summary(wanted: Wanted, found: Found) -> list[tuple[str, str]]:
    return [(change.target, change.action) for change in changes(wanted, found, "run")]


def test_an_api_that_is_missing_is_created_with_everything_declared() -> None:
    (change,) = changes(Wanted(API), Found(), "run")
    assert (change.target, change.action, change.kind) == ("api", "create", "resource-servers")
    assert change.body == API
    assert "scope read:messages" in change.text


def test_the_same_state_needs_nothing() -> None:
    assert changes(Wanted(API), Found(FOUND), "run") == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("name", "Other", "name: Other -> My API"),
        ("signing_alg", "HS256", "signing_alg: HS256 -> RS256"),
        ("token_lifetime", 86400, "token_lifetime: 86400 -> 3600"),
        ("enforce_policies", True, "enforce_policies: on -> off"),
        (
            "token_dialect",
            "access_token_authz",
            "token_dialect: access_token_authz -> access_token",
        ),
    ],
)
def test_a_differing_setting_is_the_only_one_sent(key: str, value: Any, words: str) -> None:
    (change,) = changes(Wanted(API), Found({**FOUND, key: value}), "run")
    assert change.body == {key: API[key]}
    assert change.key == "689"
    assert words in change.text


def test_what_the_tenant_leaves_out_is_its_default() -> None:
    found = {key: value for key, value in FOUND.items() if not key.startswith(("token_d", "enf"))}
    assert changes(Wanted(API), Found(found), "run") == []


def test_a_nested_setting_is_merged() -> None:
    wanted = {**API, "proof_of_possession": {"mechanism": "dpop", "required": True}}
    found = {**FOUND, "proof_of_possession": {"mechanism": "dpop", "required": False, "for": "all"}}
    (change,) = changes(Wanted(wanted), Found(found), "run")
    assert change.body == {
        "proof_of_possession": {"mechanism": "dpop", "required": True, "for": "all"}
    }


def test_scopes_are_added_and_described_and_none_is_lost() -> None:
    old = {"value": "old:scope", "description": "Old", "extra": 1}
    bare = {"value": "read:messages"}
    (change,) = changes(Wanted(API), Found({**FOUND, "scopes": [old, bare]}), "run")
    assert change.body == {"scopes": [old, READ, WRITE]}
    assert change.text[1:] == (
        'describe scope read:messages: "Read messages"',
        "add scope write:messages",
    )


def test_only_prune_drops_scopes_and_names_them() -> None:
    found = Found({**FOUND, "scopes": [{"value": "old:scope"}, READ, WRITE]})
    assert changes(Wanted(API), found, "run") == []
    (change,) = changes(Wanted(API, prune=True), found, "run")
    assert change.body == {"scopes": [READ, WRITE]}
    assert change.text[1:] == ("drop scope old:scope",)


def test_applications_come_only_on_request() -> None:
    assert summary(Wanted(API), Found()) == [("api", "create")]
    wanted = Wanted(API, test_app=True, callbacks=("https://a/docs/oauth2-redirect",))
    assert summary(wanted, Found()) == [
        ("api", "create"),
        ("test_app", "create"),
        ("test_grant", "create"),
        ("docs_app", "create"),
    ]


def test_the_test_application_is_granted_exactly_the_declared_scopes() -> None:
    found = Found(FOUND, {"test": app("c1")})
    (change,) = changes(Wanted(API, test_app=True), found, "run")
    assert change.body == {
        "client_id": "c1",
        "audience": AUDIENCE,
        "scope": ["read:messages", "write:messages"],
    }


@pytest.mark.parametrize(
    ("grant", "prune", "expected"),
    [
        (["read:messages", "write:messages"], False, None),
        (["write:messages", "read:messages"], True, None),
        (["read:messages"], False, ["read:messages", "write:messages"]),
        (["old", "read:messages", "write:messages"], False, None),
        (["old", "read:messages"], False, ["old", "read:messages", "write:messages"]),
        (["old", "read:messages", "write:messages"], True, ["read:messages", "write:messages"]),
    ],
)
def test_a_grant_only_grows_unless_pruned(
    grant: list[str], prune: bool, expected: list[str] | None
) -> None:
    api = {**FOUND, "scopes": [*FOUND["scopes"], {"value": "old"}]}
    found = Found(api, {"test": app("c1")}, grant={"id": "g1", "scope": grant})
    planned = changes(Wanted(API, test_app=True, prune=prune), found, "run")
    bodies = [change.body for change in planned if change.target == "test_grant"]
    assert bodies == ([{"scope": expected}] if expected else [])


def test_what_the_api_no_longer_has_leaves_the_grant() -> None:
    """Auth0 refuses a grant that names it."""
    grant = {"id": "g1", "scope": ["gone", "read:messages"]}
    found = Found(FOUND, {"test": app("c1")}, grant=grant)
    (change,) = changes(Wanted(API, test_app=True), found, "run")
    assert change.body == {"scope": ["read:messages", "write:messages"]}
    assert "drop gone" in change.text


@pytest.mark.parametrize("policy", ["allow_all", "require_client_grant"])
def test_the_docs_application_gets_its_grant_where_one_is_asked_for(policy: str) -> None:
    api = {**FOUND, "subject_type_authorization": {"user": {"policy": policy}}}
    planned = changes(Wanted(API, callbacks=("https://x/cb",)), Found(api), "run")
    grants = [change for change in planned if change.target == "docs_grant"]
    assert len(grants) == (policy == "require_client_grant")
    assert all(change.body["subject_type"] == "user" for change in grants)
    assert all(change.kind == "client-grants" for change in grants)


@pytest.mark.parametrize(
    ("user", "client", "notes"),
    [
        ("allow_all", "require_client_grant", 0),
        ("require_client_grant", "require_client_grant", 1),
        ("deny_all", "require_client_grant", 1),
        ("deny_all", "deny_all", 2),
    ],
)
def test_whom_the_access_policy_shuts_out_is_said(user: str, client: str, notes: int) -> None:
    policies = {"user": {"policy": user}, "client": {"policy": client}}
    found = Found({**FOUND, "subject_type_authorization": policies})
    assert len(access_notes(Wanted(API), found)) == notes
    assert not access_notes(Wanted(API), Found())


def test_callbacks_are_added_to_those_that_are_there() -> None:
    wanted = Wanted(API, callbacks=("https://a/docs/oauth2-redirect", "https://b"))
    found = Found(FOUND, {"docs": app("c2", "docs", callbacks=["https://b", "https://mine"])})
    (change,) = changes(wanted, found, "run")
    assert change.body == {
        "callbacks": ["https://b", "https://mine", "https://a/docs/oauth2-redirect"]
    }


def test_an_application_is_found_by_its_marker_and_the_one_in_env_is_preferred() -> None:
    others = [
        {"client_id": "a0", "name": "no metadata"},
        app("a1", run="other"),
        app("a2", "docs"),
        {**app("a3"), "client_metadata": {"created_by": "fastapi-auth0-template"}},
    ]
    wanted = Wanted(API, test_app=True)
    chosen, twins, notes = choose_apps([app("b1"), *others], wanted, preferred=["b1"])
    assert chosen["test"]["client_id"] == "b1"
    assert twins == ()
    assert len(notes) == 1
    assert "a1" in notes[0]


def test_a_twin_of_the_same_run_is_deleted_unless_it_is_in_use() -> None:
    wanted = Wanted(API, test_app=True)
    chosen, twins, _ = choose_apps([app("b1"), app("b2")], wanted, preferred=["b2"])
    assert chosen["test"]["client_id"] == "b2"
    assert [twin["client_id"] for twin in twins] == ["b1"]
    found = Found(FOUND, chosen, twins, {"id": "g", "scope": ["read:messages", "write:messages"]})
    assert summary(wanted, found) == [("duplicate", "delete")]
    _, twins, notes = choose_apps([app("b1"), app("b2")], wanted, preferred=["b1", "b2"])
    assert twins == ()
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("api", "audience", "expected"),
    [
        (None, AUDIENCE, False),
        (None, "https://t.eu.auth0.com/api/v2/", True),
        (None, "https://t.eu.auth0.com/api/v2", True),
        ({"is_system": True}, AUDIENCE, True),
        ({"is_system": False}, AUDIENCE, False),
    ],
)
def test_system_apis(api: dict[str, Any] | None, audience: str, expected: bool) -> None:
    assert is_system(api, audience) is expected


def test_an_adopted_api_is_described() -> None:
    assert describe_api(FOUND) == 'the API exists: "My API" (689), 2 scopes, RS256, RBAC off'
    assert "1 scope," in describe_api({**FOUND, "scopes": [READ]})


@pytest.mark.parametrize(("total", "asked"), [(0, 1), (1, 1), (2, 2), (5, 3)])
def test_all_pages_are_read_and_no_more(total: int, asked: int) -> None:
    items = [{"id": str(number)} for number in range(total)]
    pages: list[int] = []

    def page(number: int) -> list[dict[str, Any]]:
        pages.append(number)
        return items[number * 2 : number * 2 + 2]

    assert all_pages(page, 2, "id") == items
    assert pages == list(range(asked))


def test_a_page_that_comes_again_and_again_is_the_last() -> None:
    assert all_pages(lambda number: [{"id": "1"}, {"id": "2"}], 2, "id") == [
        {"id": "1"},
        {"id": "2"},
    ]
