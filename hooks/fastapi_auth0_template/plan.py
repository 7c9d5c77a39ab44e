"""The plan: wanted state + found state -> changes, in data and in words. Pure: no I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .model import Json

MARK = "fastapi-auth0-template"
APP_FIELDS = (  # what the plan needs of an application, never its secret
    "client_id,name,app_type,client_metadata,grant_types,callbacks,token_endpoint_auth_method"
)
PAGE = 100  # applications per request, the maximum of the Management API
FIXED_FIELDS = ("id", "identifier", "is_system", "client_id")  # the tenant refuses to change these
DEFAULTS: Mapping[str, Any] = {"token_dialect": "access_token", "enforce_policies": False}
USER, CLIENT = "user", "client"  # subjects of a client grant


@dataclass(frozen=True)
class Wanted:
    """The wanted state. `callbacks` is empty if no Swagger application is wanted."""

    api: Json
    test_app: bool = False
    callbacks: tuple[str, ...] = ()
    prune: bool = False

    @property
    def audience(self) -> str:
        return str(self.api["identifier"])

    @property
    def purposes(self) -> tuple[str, ...]:
        return ("test",) * self.test_app + ("docs",) * bool(self.callbacks)


@dataclass(frozen=True)
class Found:
    """The found state. `twins` are applications that one repeated request created twice."""

    api: Json | None = None
    apps: Mapping[str, Json] = field(default_factory=dict)
    twins: tuple[Json, ...] = ()
    grant: Json | None = None  # of the test application
    docs_grant: Json | None = None


@dataclass(frozen=True)
class Change:
    """One call that writes: `action` on `target`, described for people in `text`."""

    target: str
    action: str
    text: tuple[str, ...]
    body: Json = field(default_factory=dict)
    key: str = ""

    @property
    def kind(self) -> str:
        if self.target == "api":
            return "resource-servers"
        return "client-grants" if self.target.endswith("_grant") else "clients"

    @property
    def step(self) -> tuple[str, str, str]:
        """The key that tells this call from every other of a run."""
        return self.target, self.action, self.key if self.target == "duplicate" else ""


def changes(wanted: Wanted, found: Found, run: str) -> list[Change]:
    """Return the changes to write, in the order to write them.

    `run` marks the applications that this run creates: two with the same mark come from one
    request that was sent twice.
    """
    return [
        *_api(wanted, found),
        *_duplicates(found),
        *_test_app(wanted, found, run),
        *_test_grant(wanted, found),
        *_docs_app(wanted, found, run),
        *_docs_grant(wanted, found),
    ]


def choose_apps(
    apps: Iterable[Json], wanted: Wanted, preferred: Iterable[str]
) -> tuple[dict[str, Json], tuple[Json, ...], list[str]]:
    """Return the application for each purpose, the twins to remove, and notes about look-alikes.

    An application is ours if its metadata say so for this audience. Of several, take the one that
    .env names (`preferred`), else the first by client id.
    """
    chosen: dict[str, Json] = {}
    twins: list[Json] = []
    notes: list[str] = []
    preferred = set(preferred)
    for purpose in wanted.purposes:
        ours = [app for app in apps if _is_marked(app, wanted.audience, purpose)]
        ours.sort(key=lambda app: (app["client_id"] not in preferred, app["client_id"]))
        for app in ours[1:]:
            if _run(app) and _run(app) == _run(ours[0]) and app["client_id"] not in preferred:
                twins.append(app)
            else:
                notes.append(
                    f'another {purpose} application for this API is left alone: "{app.get("name")}"'
                    f" ({app['client_id']})"
                )
        if ours:
            chosen[purpose] = ours[0]
    return chosen, tuple(twins), notes


def describe_api(api: Json) -> str:
    """Describe an existing API in one sentence, so that adopting it is an informed choice."""
    count = len(api.get("scopes") or [])
    return (
        f'the API exists: "{api.get("name")}" ({api.get("id")}), {count} scope{"s"[: count != 1]},'
        f" {api.get('signing_alg')}, RBAC {'on' if api.get('enforce_policies') else 'off'}"
    )


def is_system(api: Json | None, audience: str) -> bool:
    """Return whether this is an API of Auth0's own, which the set-up must not touch."""
    return bool(api and api.get("is_system")) or (
        audience.startswith("https://") and audience.rstrip("/").endswith("/api/v2")
    )


def access_policy(api: Json | None, subject: str) -> str:
    """Return the policy for tokens of the API that are issued to users, or to clients."""
    policies = (api or {}).get("subject_type_authorization") or {}
    return str((policies.get(subject) or {}).get("policy") or "allow_all")


def access_notes(wanted: Wanted, found: Found) -> list[str]:
    """Say whom the API's access policy shuts out: neither plan nor tokens show it."""
    after = {**(found.api or {}), **wanted.api}
    notes = []
    if access_policy(after, CLIENT) == "deny_all":
        notes.append(
            "subject_type_authorization denies all clients: no test token can be issued (client)"
        )
    if access_policy(after, USER) == "deny_all":
        notes.append("subject_type_authorization denies all users: no login gets a token (user)")
    if access_policy(after, USER) == "require_client_grant":
        notes.append(
            "subject_type_authorization asks for a grant (require_client_grant, user): every"
            " application that logs users in needs one for this API"
        )
    return notes


def missing_from(wanted: Any, found: Any) -> bool:
    """Return whether `found` lacks something in `wanted`; extra content does not count."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return any(missing_from(value, found.get(key)) for key, value in wanted.items())
    return bool(wanted != found)


# ------------------------------------------------------------------------------------------ the API


def _api(wanted: Wanted, found: Found) -> list[Change]:
    if found.api is None:
        return [Change("api", "create", _new_api_text(wanted.api), wanted.api)]
    body, text = _changed_settings(wanted.api, found.api)
    scopes, scope_text = _merged_scopes(wanted, found.api.get("scopes") or [])
    if scope_text:
        body["scopes"] = scopes
    if not body:
        return []
    headline = f"Change the API {wanted.audience}"
    return [Change("api", "update", (headline, *text, *scope_text), body, found.api["id"])]


def _new_api_text(api: Json) -> tuple[str, ...]:
    settings = [
        f"{key}: {_words(value)}"
        for key, value in api.items()
        if key not in ("name", "identifier", "scopes")
    ]
    scopes = [f"scope {scope['value']}" for scope in api.get("scopes") or []]
    return (f'Create the API "{api.get("name")}" {api["identifier"]}', *settings, *scopes)


def _changed_settings(wanted: Json, found: Json) -> tuple[Json, list[str]]:
    body: Json = {}
    text: list[str] = []
    for key, value in wanted.items():
        if key == "scopes" or key in FIXED_FIELDS:
            continue
        current = found.get(key, DEFAULTS.get(key))
        if missing_from(value, current):
            nested = isinstance(value, dict) and isinstance(current, dict)
            body[key] = current | value if nested else value
            text.append(f"{key}: {_words(current)} -> {_words(value)}")
    return body, text


def _merged_scopes(wanted: Wanted, found: list[Json]) -> tuple[list[Json], list[str]]:
    """Return the scopes to send, and the changes; none is lost unless pruning was asked for."""
    declared = {scope["value"]: scope for scope in wanted.api.get("scopes") or []}
    merged: list[Json] = []
    text: list[str] = []
    for scope in found:
        value = scope["value"]
        if value not in declared and wanted.prune:
            text.append(f"drop scope {value}")
            continue
        if value in declared and missing_from(declared[value], scope):
            scope = {**scope, **declared[value]}
            text.append(f'describe scope {value}: "{scope.get("description")}"')
        merged.append(scope)
    present = {scope["value"] for scope in found}
    for value, scope in declared.items():
        if value not in present:
            merged.append(scope)
            text.append(f"add scope {value}")
    return merged, text


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    return "not set" if value is None else str(value)


# ----------------------------------------------------------------------------------- applications


def _marker(audience: str, purpose: str, run: str) -> Json:
    # Auth0 allows 255 characters in a value of client_metadata.
    return {"created_by": MARK, "audience": audience[:255], "purpose": purpose, "run": run}


def _run(app: Json) -> str:
    return str((app.get("client_metadata") or {}).get("run", ""))


def _is_marked(app: Json, audience: str, purpose: str) -> bool:
    return not missing_from(
        {"created_by": MARK, "audience": audience[:255], "purpose": purpose},
        app.get("client_metadata") or {},
    )


def _duplicates(found: Found) -> list[Change]:
    return [
        Change(
            "duplicate",
            "delete",
            (f'Delete the twin of the application "{app.get("name")}" ({app["client_id"]})',),
            key=app["client_id"],
        )
        for app in found.twins
    ]


def _test_app(wanted: Wanted, found: Found, run: str) -> list[Change]:
    if not wanted.test_app:
        return []
    name = f"{wanted.api.get('name')} (test)"
    app = found.apps.get("test")
    if app is None:
        body = {
            "name": name,
            "app_type": "non_interactive",
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "client_secret_post",
            "oidc_conformant": True,
            "jwt_configuration": {"alg": "RS256"},
            "client_metadata": _marker(wanted.audience, "test", run),
        }
        return [Change("test_app", "create", (f'Create the test application "{name}"',), body)]
    return _add_to_list(app, "test_app", "grant_types", ("client_credentials",))


def _docs_app(wanted: Wanted, found: Found, run: str) -> list[Change]:
    if not wanted.callbacks:
        return []
    name = f"{wanted.api.get('name')} (docs)"
    app = found.apps.get("docs")
    if app is None:
        body = {
            "name": name,
            "app_type": "spa",
            "grant_types": ["authorization_code"],
            "token_endpoint_auth_method": "none",
            "oidc_conformant": True,
            "jwt_configuration": {"alg": "RS256"},
            "callbacks": list(wanted.callbacks),
            "client_metadata": _marker(wanted.audience, "docs", run),
        }
        text = tuple(f"callback {url}" for url in wanted.callbacks)
        headline = f'Create the application "{name}" for Swagger'
        return [Change("docs_app", "create", (headline, *text), body)]
    return _add_to_list(app, "docs_app", "callbacks", wanted.callbacks)


def _add_to_list(app: Json, target: str, name: str, values: tuple[str, ...]) -> list[Change]:
    current = list(app.get(name) or [])
    new = [value for value in values if value not in current]
    if not new:
        return []
    text = (f'Change the application "{app.get("name")}"', *(f"{name}: add {v}" for v in new))
    return [Change(target, "update", text, {name: current + new}, app["client_id"])]


def _test_grant(wanted: Wanted, found: Found) -> list[Change]:
    if not wanted.test_app:
        return []
    return _grant(wanted, found, "test", found.grant, {})


def _docs_grant(wanted: Wanted, found: Found) -> list[Change]:
    """Grant the docs application access for its users, if the API asks for a grant."""
    after = {**(found.api or {}), **wanted.api}
    if not wanted.callbacks or access_policy(after, USER) != "require_client_grant":
        return []
    return _grant(wanted, found, "docs", found.docs_grant, {"subject_type": USER})


def _grant(
    wanted: Wanted, found: Found, purpose: str, grant: Json | None, extra: Json
) -> list[Change]:
    """Grant exactly the declared scopes to a new grant; add later ones to an existing grant.

    Drop scopes that the API no longer has, because Auth0 refuses a grant that names one.
    """
    declared = [scope["value"] for scope in wanted.api.get("scopes") or []]
    if grant is None:
        body: Json = {"audience": wanted.audience, "scope": declared, **extra}
        if purpose in found.apps:
            body["client_id"] = found.apps[purpose]["client_id"]
        text = f"Grant the {purpose} application {' '.join(declared) or 'no scope'}"
        return [Change(f"{purpose}_grant", "create", (text,), body)]
    if grant.get("allow_all_scopes"):
        return []
    current = list(grant.get("scope") or [])
    existing = {scope["value"] for scope in (found.api or {}).get("scopes") or []}
    allowed = set(declared) if wanted.prune else existing | set(declared)
    kept = [scope for scope in current if scope in allowed]
    scopes_to_be = kept + [scope for scope in declared if scope not in kept]
    if scopes_to_be == current:
        return []
    text_lines = [
        *(f"add {scope}" for scope in scopes_to_be if scope not in current),
        *(f"drop {scope}" for scope in current if scope not in kept),
    ]
    headline = f"Change the grant of the {purpose} application"
    body = {"scope": scopes_to_be}
    return [Change(f"{purpose}_grant", "update", (headline, *text_lines), body, grant["id"])]
