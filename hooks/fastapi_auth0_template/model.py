"""Data that all layers share: the options of a run, and a way to the tenant."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]
COMMAND = "uv run scripts/tenant.py"  # as people type it in a project


@dataclass(frozen=True)
class Options:
    """The command line, parsed once."""

    command: str
    project: Path
    tenant: str | None = None
    audience: str | None = None
    timeout: float = 60.0  # seconds, for each single call
    no_input: bool = False
    via: str | None = None
    json: bool = False
    # setup
    dry_run: bool = False
    yes: bool = False
    replace_env: bool = False
    no_env: bool = False
    prune: bool = False
    test_app: bool = False
    docs_app: bool = False
    docs_urls: tuple[str, ...] = ()
    # doctor and token
    token: str | None = None
    scopes: tuple[str, ...] = ()
    fresh: bool = False
    # move-users
    files: Path = Path()
    upload: bool = False

    def never_asking(self) -> "Options":
        """Return the same options for a part of a command that must not ask."""
        return replace(self, no_input=True)


@dataclass(frozen=True)
class Patience:
    """How long a single call may take, and how to say that it is taking long."""

    seconds: float
    tell: Callable[[str], None]

    def at_most(self, seconds: float) -> "Patience":
        return Patience(min(self.seconds, seconds), self.tell)


class Tenant(Protocol):
    """The part of Auth0's Management API that the set-up needs. Raises Problem, never asks.

    `kind` is a path of that API: resource-servers, clients, client-grants.
    """

    domain: str

    def apis(self, identifier: str) -> list[Json]: ...

    def applications(self) -> list[Json]: ...

    def grants(self, audience: str, client_id: str | None = None) -> list[Json]: ...

    def custom_domains(self) -> list[str]: ...

    def client_secret(self, client_id: str) -> str | None: ...

    def create(self, kind: str, body: Json) -> Json: ...

    def update(self, kind: str, key: str, body: Json) -> Json: ...

    def delete_application(self, client_id: str) -> None: ...


@dataclass(frozen=True)
class Connection:
    """A tenant, and the way to it: cli, env or api."""

    tenant: Tenant
    via: str

    @property
    def words(self) -> str:
        return "the Management API" if self.via == "api" else "the Auth0 CLI"


KEYS = {"clients": "client_id", "users": "user_id", "custom_domains": "domain"}  # others: id


def list_of(name: str, items: Any) -> list[Json] | None:
    """Return the list, or None if it is none of such objects, with what is read of each."""
    key = KEYS.get(name, "id")
    if not isinstance(items, list) or not all(_is_sound(item, key) for item in items):
        return None
    return items


def _is_sound(item: object, key: str) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get(key), str):
        return False
    declared, granted = item.get("scopes") or [], item.get("scope") or []
    policies = item.get("subject_type_authorization") or {}
    return (
        all(isinstance(each, list) for each in (declared, granted))
        and all(isinstance(each, dict) and isinstance(each.get("value"), str) for each in declared)
        and all(isinstance(each, str) for each in granted)
        and isinstance(policies, dict)
        and all(isinstance(each or {}, dict) for each in policies.values())
    )


def all_pages(page: Callable[[int], list[Json]], size: int, key: str) -> list[Json]:
    """Return the items of all pages, each once; end even if the server repeats a page forever."""
    found: dict[str, Json] = {}
    number, more = 0, True
    while more:
        items = page(number)
        new = {item[key]: item for item in items if item.get(key) not in found}
        found |= new
        number, more = number + 1, bool(new) and len(items) >= size
    return list(found.values())
