"""A tenant through the auth0 executable, with its login or the environment's credentials (1.37).

All calls are `auth0 api`, which behaves the same in all versions since 1.17.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from ..model import Json, Patience, all_pages, list_of
from ..plan import APP_FIELDS, PAGE
from ..problems import BadAnswer, NotFound, NotLoggedIn, Problem
from .output import AGAIN, result
from .process import run

QUIET = ("--no-input", "--no-color")


class CliTenant:
    """A tenant that the executable works on, with its own login or the credentials in `login`."""

    def __init__(
        self, domain: str, patience: Patience, login: Mapping[str, str] | None = None
    ) -> None:
        self.domain = domain
        self._patience, self._login = patience, login

    def apis(self, identifier: str) -> list[Json]:
        query = {"identifiers": identifier, "include_totals": "true", "per_page": "50"}
        found = self._list("resource-servers", query, "resource_servers")
        return [api for api in found if api.get("identifier") == identifier]

    def applications(self) -> list[Json]:
        return all_pages(self._applications, PAGE, "client_id")

    def _applications(self, number: int) -> list[Json]:
        query = {
            "app_type": "non_interactive,spa",
            "is_global": "false",
            "fields": APP_FIELDS,
            "include_fields": "true",
            "include_totals": "true",
            "per_page": str(PAGE),
            "page": str(number),
        }
        return self._list("clients", query, "clients")

    def grants(self, audience: str, client_id: str | None = None) -> list[Json]:
        if client_id:
            query = {"client_id": client_id, "audience": audience}
            return self._list("client-grants", query, "client_grants")

        def page(number: int) -> list[Json]:
            query = {"audience": audience, "per_page": str(PAGE), "page": str(number)}
            return self._list("client-grants", query, "client_grants")

        return all_pages(page, PAGE, "id")

    def custom_domains(self) -> list[str]:
        found = self._list("custom-domains", {}, "custom_domains")
        return [str(domain.get("domain")) for domain in found]

    def client_secret(self, client_id: str) -> str | None:
        query = urlencode({"fields": "client_id,client_secret", "include_fields": "true"}, safe=",")
        client = self._object("get", f"clients/{quote(client_id, safe='')}?{query}")
        return client.get("client_secret")

    def create(self, kind: str, body: Json) -> Json:
        return self._object("post", kind, body)

    def update(self, kind: str, key: str, body: Json) -> Json:
        return self._object("patch", f"{kind}/{quote(key, safe='')}", body)

    def delete_application(self, client_id: str) -> None:
        self._call("delete", f"clients/{quote(client_id, safe='')}", extra=("--force",))

    def _list(self, path: str, query: Mapping[str, str], name: str) -> list[Json]:
        # A space-free, fully quoted query survives the executable and every shell shim.
        parts = urlencode(query, quote_via=quote, safe=",")
        try:
            answer = self._call("get", f"{path}?{parts}" if parts else path)
        except NotFound as problem:
            raise no_such_list(self.domain, problem) from None
        items = answer.get(name) if isinstance(answer, dict) else answer
        if (found := list_of(name, items)) is None:
            raise BadAnswer(f"`auth0 api get {path}` gave no list of {name}", AGAIN)
        return found

    def _object(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = self._call(method, path, body)
        if not isinstance(answer, dict) or not (answer.get("id") or answer.get("client_id")):
            raise BadAnswer(f"`auth0 api {method} {path.partition('?')[0]}` gave no object", AGAIN)
        return answer

    def _call(
        self, method: str, path: str, body: Json | None = None, extra: Sequence[str] = ()
    ) -> Any:
        argv = ["api", method, path, *QUIET, "--tenant", self.domain, *extra]
        text = None if body is None else json.dumps(body)
        output = run(argv, self._patience, text, self._login)
        return result(output, self._patience, self.domain, silent=method == "delete")


def no_such_list(domain: str, problem: NotFound) -> NotFound:
    """Return what 404 for a list means: a tenant always has the list, even if it is empty."""
    return NotFound(
        f"{problem.message} (https://{domain} has no Management API)",
        "Check that it is the tenant's own domain, and that no proxy answers for it.",
    )


def tenants(patience: Patience) -> list[str]:
    """Return the domains of the tenants that the executable knows; logins may have expired."""
    patience = patience.at_most(20)
    output = run(["tenants", "list", "--json-compact", *QUIET], patience)
    try:
        found = result(output, patience, "")
    except NotLoggedIn as problem:
        if type(problem) is not NotLoggedIn:
            raise
        return []
    try:
        return sorted(str(tenant["name"]) for tenant in found)
    except (TypeError, KeyError):
        raise BadAnswer("`auth0 tenants list` gave no list of tenants", AGAIN) from None


def version(patience: Patience) -> tuple[int, ...] | None:
    """Return the version, or None if the executable does not say (a development build)."""
    patience = patience.at_most(20)
    output = run(["--version"], patience)
    said = output.stdout.strip()
    if not said.startswith("auth0 version"):
        result(output, patience, "")  # says why
    match = re.match(r"auth0 version v?(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(number) for number in match.groups()) if match else None


def login_command(problem: Problem | None = None) -> list[str]:
    """Return the command to log in, with the missing scopes if that was the problem."""
    match = re.search(r"auth0 login --scopes ([\w:,]+)", problem.next_step if problem else "")
    return ["auth0", "login", *(["--scopes", match[1]] if match else [])]
