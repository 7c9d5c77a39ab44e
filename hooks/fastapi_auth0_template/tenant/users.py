"""A tenant's users, import jobs and roles, through the Management API with a machine's login."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from ..model import Json
from ..problems import Problem, RateLimited
from ..text import printable
from .management import ManagementTenant, checked

BATCH = 50  # users or permissions in one request
PAGE = 50


class UserTenant(ManagementTenant):
    """A tenant into which users are moved."""

    def connections(self) -> list[Json]:
        """Return the tenant's own user databases."""
        return self._pages(
            lambda options: self._api.connections.list(
                strategy=["auth0"], take=PAGE, request_options=options
            )
        )

    def by_email(self, email: str) -> list[Json]:
        """Return all users with this address, in any connection."""
        found = self._read(
            lambda options: self._api.users.list_users_by_email(
                email=email,
                fields="user_id,email,blocked",
                include_fields=True,
                request_options=options,
            )
        )
        return checked("users", found)

    def start_import(self, connection: str, name: str, content: bytes) -> str:
        """Upload an import file and return the id of the job. Existing users stay as they are."""
        self._patience.tell(f"Importing {name}; a job may take minutes ...")
        job: Json = self._write(
            {},
            lambda options: self._api.jobs.users_imports.create(
                users=(name, content, "application/json"),
                connection_id=connection,
                upsert=False,
                external_id=name,
                send_completion_email=False,
                request_options=options,
            ),
        )
        return str(job["id"])

    def job(self, key: str) -> Json:
        found: Json = self._read(lambda options: self._api.jobs.get(key, request_options=options))
        return found

    def job_errors(self, key: str) -> list[Json]:
        """Return the users whom a job did not import, each with the reasons."""
        found: list[Json] | Json | None = self._read(
            lambda options: self._api.jobs.errors.get(key, request_options=options)
        )
        return found if isinstance(found, list) else []

    def block(self, user: str, blocked: bool) -> None:
        self._write(
            {"blocked": blocked},
            lambda options: self._api.users.update(user, request_options=options),
        )

    # ---------------------------------------------------------------------------------------- roles

    def roles(self, name: str) -> list[Json]:
        found = self._pages(
            lambda options: self._api.roles.list(
                name_filter=name, per_page=PAGE, request_options=options
            )
        )
        return [role for role in found if role.get("name") == name]

    def create_role(self, name: str, description: str) -> str:
        role: Json = self._write(
            {},
            lambda options: self._api.roles.create(
                name=name, description=description, request_options=options
            ),
        )
        return str(role["id"])

    def permissions(self, role: str) -> list[Json]:
        return self._pages(
            lambda options: self._api.roles.permissions.list(
                role, per_page=PAGE, request_options=options
            )
        )

    def change_permissions(self, action: str, role: str, scopes: Iterable[str], api: str) -> None:
        """Add scopes of the API to a role, or delete them from it."""
        call = getattr(self._api.roles.permissions, action)
        for batch in _batches(scopes):
            body = [
                {"resource_server_identifier": api, "permission_name": scope} for scope in batch
            ]
            self._write({}, _calling(call, role, permissions=body))

    def members(self, role: str) -> set[str]:
        """Return the ids of the users who have the role."""
        found = self._pages(
            lambda options: self._api.roles.users.list(role, take=PAGE, request_options=options)
        )
        return {str(user["user_id"]) for user in found}

    def assign(self, role: str, users: Iterable[str]) -> None:
        for batch in _batches(users):
            self._write({}, _calling(self._api.roles.users.assign, role, users=batch))

    def unassign(self, role: str, user: str) -> None:
        self._write({}, _calling(self._api.users.roles.delete, user, roles=[role]))

    def _read(self, call: Callable[[Json], Any]) -> Any:
        return self._in_time(lambda: super(UserTenant, self)._read(call))

    def _write(self, body: Json, call: Callable[[Json], Any]) -> Any:
        return self._in_time(lambda: super(UserTenant, self)._write(body, call))

    def _in_time(self, ask: Callable[[], Any]) -> Any:
        """Ask; on a 429 nothing was done, so wait and ask again: a move sends many requests."""
        deadline = time.monotonic() + 10 * self._patience.seconds
        while True:
            try:
                return ask()
            except RateLimited as problem:
                pause = max(problem.wait, 1.0)
                if time.monotonic() + pause > deadline:
                    raise
                self._patience.tell(f"{problem.message}; trying again in {pause:.0f} s ...")
                time.sleep(pause)


def reasons(error: Json) -> str:
    """Return one line, without a hash, for a user whom a job did not import."""
    user = error.get("user") or {}
    texts = [str(each.get("message") or each.get("code")) for each in error.get("errors") or [{}]]
    return printable(f"{user.get('email') or user.get('user_id')}: {', '.join(texts)}")


def wait_for_job(tenant: UserTenant, key: str, seconds: float) -> list[str]:
    """Wait until the job has ended; return a line for each user whom it did not import."""
    deadline, pause = time.monotonic() + seconds, 0.1
    while (job := tenant.job(key)).get("status") in ("pending", "processing"):
        if time.monotonic() > deadline:
            raise Problem(
                f"the job {key} has not ended within {seconds:g} s", "Run it again later."
            )
        time.sleep(pause)
        pause = min(pause * 2, 5.0)
    lines = [reasons(error) for error in tenant.job_errors(key)]
    if not lines and job.get("status") != "completed":
        lines = [printable(f"job {key}: {job.get('status_details') or job.get('status')}")]
    return lines


def _calling(call: Callable[..., Any], key: str, **body: Any) -> Callable[[Json], Any]:
    return lambda options: call(key, **body, request_options=options)


def _batches(values: Iterable[str]) -> Iterator[Sequence[str]]:
    iterator = iter(values)
    while batch := list(islice(iterator, BATCH)):
        yield batch
