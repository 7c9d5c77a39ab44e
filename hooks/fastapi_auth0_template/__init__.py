"""The words that all layers of the set-up share: a problem, a way to the tenant, how long to wait.

Each module imports only from those below it:

    app                 the command line: flags, questions, printing, exit codes
    doctor              the checks
    cli | management    the two ways to the tenant's Management API
    web                 the tenant's public endpoints, and test tokens
    apply               read the tenant, carry out the plan, read back
    plan                wanted state + found state -> changes, no input or output
    project             what the project's files say; .env, merged and written in one step
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]


class Problem(Exception):
    """Why the command cannot go on, and what to do next; `code` is stable, for machines."""

    def __init__(self, code: str, message: str, next_step: str, *, wait: float = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.next_step = next_step
        self.wait = wait  # seconds after which the same call may succeed, if the tenant said so

    @property
    def passing(self) -> bool:
        """The same call may succeed in a moment."""
        return self.code in {"server", "network", "rate_limited"}

    @property
    def uncertain(self) -> bool:
        """The tenant may have done what was asked: only reading again tells."""
        return self.passing or self.code in {"conflict", "timeout", "bad_answer", "not_found"}


def lacking_scopes(scopes: str, message: str) -> Problem:
    """The login or the token lacks scopes of the Management API."""
    wanted = ",".join(re.findall(r"[a-z]+:[a-z_]+", scopes))
    if wanted and wanted not in message:
        message += f" (needed: {wanted})"
    login = f"auth0 login --scopes {wanted}" if wanted else "auth0 login"
    return Problem(
        "scopes", message, f"Run `{login}`, or grant the scopes to the client that you use."
    )


@dataclass(frozen=True)
class Patience:
    """How long a single call may take, and whom to tell while it does."""

    seconds: float
    tell: Callable[[str], None]

    def at_most(self, seconds: float) -> "Patience":
        return Patience(min(self.seconds, seconds), self.tell)


def all_pages(page: Callable[[int], list[Json]], size: int, key: str) -> list[Json]:
    """The items of all pages, each once; ends also if the server repeats a page for ever."""
    found: dict[str, Json] = {}
    number, more = 0, True
    while more:
        items = page(number)
        new = {item[key]: item for item in items if item.get(key) not in found}
        found |= new
        number, more = number + 1, bool(new) and len(items) >= size
    return list(found.values())


class Tenant(Protocol):
    """The part of Auth0's Management API that the set-up needs. Raises Problem, never asks.

    `kind` is a path of that API: resource-servers, clients, client-grants.
    """

    domain: str

    def apis(self, identifier: str) -> list[Json]: ...

    def applications(self) -> list[Json]: ...

    def grants(self, client_id: str, audience: str) -> list[Json]: ...

    def custom_domains(self) -> list[str]: ...

    def client_secret(self, client_id: str) -> str | None: ...

    def create(self, kind: str, body: Json) -> Json: ...

    def update(self, kind: str, key: str, body: Json) -> Json: ...

    def delete_application(self, client_id: str) -> None: ...
