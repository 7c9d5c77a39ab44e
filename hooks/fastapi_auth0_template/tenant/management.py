"""A tenant through its Management API and auth0-python, with a machine's credentials: for CI."""

import importlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..model import Json, Patience, all_pages, list_of
from ..plan import APP_FIELDS, PAGE
from ..problems import BadAnswer, CredentialsMissing, Forbidden, LibraryMissing, NotFound, Problem
from .executable import no_such_list
from .http import client, http_problem, network_problem, within
from .test_token import Client, client_credentials, credential

REFUSED = (
    "Check AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET, and that the application is authorised for the"
    " Auth0 Management API."
)
OWN_DOMAIN = (
    "The Management API needs the tenant's own domain, not a custom one: name it with --tenant,"
    " such as --tenant your-tenant.eu.auth0.com."
)
CREDENTIALS = ("AUTH0_ACCESS_TOKEN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET")


def credentials_given(environ: Mapping[str, str]) -> bool:
    """Return whether the environment holds a machine's credentials."""
    token, client_id, secret = (environ.get(name, "").strip() for name in CREDENTIALS)
    return bool(token or (client_id and secret))


def machine_token(domain: str, environ: Mapping[str, str], via: str, patience: Patience) -> str:
    """Return a token for the Management API: the environment's own, or one for its client."""
    if not credentials_given(environ):
        raise CredentialsMissing(
            f"--via {via} needs AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET, or AUTH0_ACCESS_TOKEN"
        )
    token, client_id, secret = (credential(environ, name) for name in CREDENTIALS)
    if token:
        return token
    machine = Client(domain, client_id, secret, f"https://{domain}/api/v2/")
    try:
        return client_credentials(machine, patience, REFUSED)[0]
    except Forbidden as problem:
        if "service not" in problem.message.lower():  # found, or enabled within domain
            raise Forbidden(problem.message, OWN_DOMAIN) from None
        raise


def connect(domain: str, environ: Mapping[str, str], patience: Patience) -> "ManagementTenant":
    """Log in with the environment's token, or with its client id and secret."""
    return ManagementTenant(*login(domain, environ, patience))


def login(
    domain: str, environ: Mapping[str, str], patience: Patience
) -> tuple[str, Any, str, Patience]:
    """Return the parts of a tenant: its domain, the library, a token, and the patience."""
    try:
        library = importlib.import_module("auth0.management")
    except ImportError:
        raise LibraryMissing("--via api needs auth0-python, which cannot be imported") from None
    token = machine_token(domain, environ, "api", patience)
    return domain, library, token, patience


class ManagementTenant:
    """A tenant whose Management API accepts our token."""

    def __init__(self, domain: str, library: Any, token: str, patience: Patience) -> None:
        self.domain = domain
        self._api = library.ManagementClient(
            domain=domain,
            token=token,
            httpx_client=client(domain, patience),
            timeout=patience.seconds,
        )
        self._patience = patience

    def apis(self, identifier: str) -> list[Json]:
        found = self._read(
            lambda options: (
                self._api.resource_servers.list(
                    identifiers=[identifier], per_page=50, request_options=options
                ).items
            )
        )
        found = checked("resource_servers", found)
        return [api for api in found if api.get("identifier") == identifier]

    def applications(self) -> list[Json]:
        return all_pages(self._applications, PAGE, "client_id")

    def _applications(self, number: int) -> list[Json]:
        page = self._read(
            lambda options: (
                self._api.clients.list(
                    app_type="non_interactive,spa",
                    is_global=False,
                    fields=APP_FIELDS,
                    include_fields=True,
                    per_page=PAGE,
                    page=number,
                    request_options=options,
                ).items
            )
        )
        return checked("clients", page)

    def grants(self, audience: str, client_id: str | None = None) -> list[Json]:
        named = {"client_id": client_id} if client_id else {}
        found = self._pages(
            lambda options: self._api.client_grants.list(
                audience=audience, request_options=options, **named
            )
        )
        return checked("client_grants", found)

    def custom_domains(self) -> list[str]:
        found = self._read(lambda options: self._api.custom_domains.list(request_options=options))
        return [str(domain.get("domain")) for domain in found]

    def client_secret(self, client_id: str) -> str | None:
        client = self._read(
            lambda options: self._api.clients.get(
                client_id,
                fields="client_id,client_secret",
                include_fields=True,
                request_options=options,
            )
        )
        secret: str | None = client.get("client_secret")
        return secret

    def create(self, kind: str, body: Json) -> Json:
        required = {
            "resource-servers": ("identifier",),
            "clients": ("name",),
            "client-grants": ("audience",),
        }[kind]
        named = {name: body[name] for name in required}
        created: Json = self._write(
            body, lambda options: self._kind(kind).create(**named, request_options=options)
        )
        return created

    def update(self, kind: str, key: str, body: Json) -> Json:
        updated: Json = self._write(
            body, lambda options: self._kind(kind).update(key, request_options=options)
        )
        return updated

    def delete_application(self, client_id: str) -> None:
        self._write(
            {}, lambda options: self._api.clients.delete(client_id, request_options=options)
        )

    def _kind(self, kind: str) -> Any:
        return getattr(self._api, kind.replace("-", "_"))

    def _pages(self, call: Callable[[Json], Any]) -> list[Json]:
        """Return the items of all pages, each page read on its own: a limit costs none again."""
        found: list[Json] = []
        page = self._read(call)
        while page and page.items:
            found += _plain(page.items)
            following = page.next_page if page.has_next else None
            page = following and self._read(lambda _, ask=following: ask())  # type: ignore[misc]
        return found

    def _read(self, call: Callable[[Json], Any]) -> Any:
        """Ask up to three times: reading again is harmless."""
        for pause in (0.5, 1.5, None):
            try:
                return self._ask(call, {})
            except NotFound as problem:
                raise no_such_list(self.domain, problem) from None
            except Problem as problem:
                pause = max(pause, problem.wait) if pause and problem.passing else None
                if pause is None or pause > self._patience.seconds:
                    raise
                self._patience.tell(f"{problem.message}; trying again in {pause:.1f} s ...")
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _write(self, body: Json, call: Callable[[Json], Any]) -> Any:
        # The library does not know every field of the Management API: send the body as it is.
        return self._ask(call, {"additional_body_parameters": body} if body else {})

    def _ask(self, call: Callable[[Json], Any], extra: Json) -> Any:
        # The library's own retries would send a POST again after a 502 that hid a success.
        options = {"timeout": self._patience.seconds, "max_retries": 0, **extra}
        errors = importlib.import_module("auth0.management.core.api_error")
        parsing = importlib.import_module("auth0.management.core.parse_error")
        http = importlib.import_module("httpx")
        try:
            return _plain(within(self._patience, self.domain, lambda: call(options)))
        except errors.ApiError as error:
            raise _problem(error) from None
        except http.HTTPError as error:
            raise network_problem(self.domain, error, self._patience) from None
        except (ValueError, RecursionError, parsing.ParsingError) as error:
            raise _not_understood(error) from None


def _problem(error: Any) -> Problem:
    status = error.status_code or 0
    body = error.body if isinstance(error.body, dict) else {}
    if status < 400:
        return _not_understood(error)
    return http_problem(status, body, error.headers)


def _not_understood(error: Exception) -> Problem:
    return BadAnswer(
        f"the Management API gave an answer that cannot be parsed ({type(error).__name__})",
        "Run it again; check that no proxy answers for the tenant.",
    )


def checked(name: str, items: Any) -> list[Json]:
    """Return the items of an answer, if it is a list of such objects."""
    if (found := list_of(name, items)) is None:
        raise BadAnswer(f"the Management API gave no list of {name}")
    return found


def _plain(answer: Any) -> Any:
    """Return the library's objects as plain data."""
    if isinstance(answer, list):
        return [_plain(item) for item in answer]
    return json.loads(answer.json()) if hasattr(answer, "json") else answer
