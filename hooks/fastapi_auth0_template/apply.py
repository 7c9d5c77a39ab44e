"""Carries out the plan: reads the tenant, applies the changes, reads back; plans .env."""

import os
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import env_file
from .declared import Declared
from .model import Json, Patience, Tenant
from .plan import (
    USER,
    Change,
    Found,
    Wanted,
    access_notes,
    access_policy,
    changes,
    choose_apps,
    is_system,
)
from .problems import (
    Conflict,
    Forbidden,
    InvalidRequest,
    LackingScopes,
    NotVerified,
    Problem,
    SystemApi,
)
from .project import PRIVATE, Project, env_notes, is_private
from .text import protect

ATTEMPTS = 3  # of the same change, while the tenant leaves its outcome in doubt
PAUSES = (0.5, 1.0, 2.0)  # seconds before the tenant is read again
NEW = "(of the new application)"
SECRETS = ("AUTH0_TEST_CLIENT_SECRET",)


@dataclass(frozen=True)
class EnvPlan:
    """The values for .env, the changes in words, and the keys whose values are replaced."""

    domain: str
    values: Mapping[str, str] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


class Run:
    """One run of the set-up; `wrote` says whether it may have changed the tenant or .env."""

    def __init__(
        self,
        project: Project,
        declared: Declared,
        wanted: Wanted,
        patience: Patience,
        *,
        writes_env: bool = True,
    ) -> None:
        self.project, self.declared, self.wanted = project, declared, wanted
        self.patience, self.writes_env = patience, writes_env
        self.mark = secrets.token_hex(8)
        self.wrote = False
        self.notes: list[str] = []
        self._created: dict[str, Json] = {}  # target -> the tenant's answer, secrets included
        self._custom_domains: list[str] | None = None
        self._left: set[str] = set()  # twins that may not be deleted

    # ------------------------------------------------------------------------------ the tenant

    def look(self, tenant: Tenant) -> Found:
        """Read only what the plan needs from the tenant."""
        self.patience.tell(f"Reading {tenant.domain} ...")
        wanted = self.wanted
        api = next(iter(tenant.apis(wanted.audience)), None)
        if is_system(api, wanted.audience):
            raise SystemApi(wanted.audience)
        if not wanted.purposes:
            return Found(api)
        apps, twins, notes = choose_apps(tenant.applications(), wanted, self._known_apps())
        self.note(notes)
        grant = docs_grant = None
        if "test" in apps:
            grant = self._grant(tenant, apps["test"], "client")
        if "docs" in apps and self._asks_for_grants(api):
            docs_grant = self._grant(tenant, apps["docs"], USER)
        return Found(api, apps, twins, grant, docs_grant)

    def _grant(self, tenant: Tenant, app: Json, subject: str) -> Json | None:
        grants = tenant.grants(self.wanted.audience, app["client_id"])
        return next((g for g in grants if g.get("subject_type", "client") == subject), None)

    def _asks_for_grants(self, api: Json | None) -> bool:
        after = {**(api or {}), **self.wanted.api}
        return access_policy(after, USER) == "require_client_grant"

    def plan(self, found: Found) -> list[Change]:
        """Return the changes left to make."""
        self.note(access_notes(self.wanted, found))
        planned = changes(self.wanted, found, self.mark)
        return [change for change in planned if change.key not in self._left]

    def reconcile(self, tenant: Tenant, found: Found) -> Found:
        """Apply the plan for what was found, then read back until nothing is left to do.

        After a conflict, a server error or silence, nobody knows what the tenant did: read it
        again, and do what is left. Never resend a change that the tenant confirmed: it may be slow
        to show it, so read again after a pause. Do nothing that was not in the plan that people
        saw, except to delete an application that a repeated request of this run made twice.
        """
        todo = self.plan(found)
        seen = {change.step[:2] for change in todo} | {("duplicate", "delete")}
        attempts: Counter[tuple[str, str, str]] = Counter()
        confirmed: set[tuple[str, str, str]] = set()
        waits = 0
        while todo:
            if late := next((change for change in todo if change.step in confirmed), None):
                if waits == len(PAUSES):
                    raise _unsettled(tenant, late, new=False)
                self._wait(f"{tenant.domain} does not show the change yet", PAUSES[waits])
                waits += 1
            else:
                self._work(tenant, todo, seen, attempts, confirmed)
            found = self.look(tenant)
            todo = self.plan(found)
        return found

    def _work(
        self,
        tenant: Tenant,
        todo: list[Change],
        seen: set[tuple[str, str]],
        attempts: Counter[tuple[str, str, str]],
        confirmed: set[tuple[str, str, str]],
    ) -> None:
        """Apply the changes one by one, until the outcome of one is in doubt."""
        for number, change in enumerate(todo, start=1):
            attempts[change.step] += 1
            new = change.step[:2] not in seen
            if new or attempts[change.step] > ATTEMPTS:
                raise _unsettled(tenant, change, new=new)
            try:
                self.patience.tell(f"[{number}/{len(todo)}] {change.text[0]} ...")
                self._apply(tenant, change)
                confirmed.add(change.step)
            except InvalidRequest as problem:
                raise self._located(change, problem) from None
            except Problem as problem:
                if not problem.uncertain or attempts[change.step] == ATTEMPTS:
                    raise
                if problem.wait > self.patience.seconds:
                    raise
                self._wait(problem.message, max(problem.wait, PAUSES[0]))
                return

    def _wait(self, why: str, seconds: float) -> None:
        self.patience.tell(f"{why}; reading the tenant again ...")
        time.sleep(seconds)

    def _located(self, change: Change, problem: InvalidRequest) -> Problem:
        """Say which line of the file was refused, or that it was not the file."""
        if change.target != "api":
            return InvalidRequest(
                f"{problem.message} ({change.text[0]})",
                "Look at that application and its grant in the Dashboard, then run it again.",
            )
        where = self.declared.where(problem.message)
        return InvalidRequest(problem.message, where and f"Fix {where}, then run it again.")

    def _apply(self, tenant: Tenant, change: Change) -> None:
        before, self.wrote = self.wrote, True
        try:
            self._call(tenant, change)
        except Problem as problem:
            self.wrote = before or problem.uncertain
            raise

    def _call(self, tenant: Tenant, change: Change) -> None:
        if change.action == "delete":
            self._delete(tenant, change)
        elif change.action == "update":
            tenant.update(change.kind, change.key, change.body)
        else:
            body = dict(change.body)
            if change.kind == "client-grants":
                app = self._created.get(change.target.replace("_grant", "_app"), {})
                body.setdefault("client_id", app.get("client_id"))
            created = self._created[change.target] = tenant.create(change.kind, body)
            protect(created.get("client_secret"))

    def _delete(self, tenant: Tenant, change: Change) -> None:
        try:
            tenant.delete_application(change.key)
        except (LackingScopes, Forbidden) as problem:
            # The twin does no harm: no reason to stop before .env is written.
            self._left.add(change.key)
            self.note([f"{change.text[0]} in the Dashboard: {problem.message}"])

    def _known_apps(self) -> set[str]:
        values = self.project.env.values
        known = {values.get(f"AUTH0_{name}_CLIENT_ID", "") for name in ("TEST", "DOCS")}
        return known | {app["client_id"] for app in self._created.values() if "client_id" in app}

    # ------------------------------------------------------------------------------------ .env

    def env_for(self, tenant: Tenant, found: Found) -> EnvPlan:
        """Return the settings for .env; right values stay, including a custom domain."""
        if not self.writes_env:
            return EnvPlan(tenant.domain)
        current = self.project.env.values
        domain = self._domain(tenant)
        values = {"AUTH0_DOMAIN": domain, "AUTH0_AUDIENCE": self.wanted.audience}
        if self.wanted.test_app:
            values |= self._test_credentials(tenant, found)
        if self.wanted.callbacks:
            values["AUTH0_DOCS_CLIENT_ID"] = found.apps.get("docs", {}).get("client_id", NEW)
        env_file.merged(self.project.env.text, values)  # refuses before anything is changed
        text, replaced = [], []
        for key, value in values.items():
            old = "" if self._is_placeholder(key) else current.get(key, "")
            if old == value:
                continue
            if old:
                replaced.append(key)
            text.append(_words(key, old, value))
        if not is_private(self.project.env.path):
            text.append(PRIVATE)
        return EnvPlan(domain, values, tuple(text), tuple(replaced))

    def env_notes(self, env: EnvPlan) -> list[str]:
        """Say what is odd about .env, and which of its values the environment overrides."""
        notes = env_notes(self.project.env)
        for key, value in env.values.items():
            if os.environ.get(key, value) != value:
                notes.append(f"{key} is also set in the environment, which overrides .env")
        return notes

    def note(self, notes: Iterable[str]) -> None:
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)
                self.patience.tell(f"note: {note}")

    def _is_placeholder(self, key: str) -> bool:
        return self.project.env.values.get(key) == self.project.placeholders.get(key)

    def _domain(self, tenant: Tenant) -> str:
        configured = self.project.env.values.get("AUTH0_DOMAIN", "")
        if not configured or configured == tenant.domain or self._is_placeholder("AUTH0_DOMAIN"):
            return tenant.domain
        if self._custom_domains is None:
            try:
                self._custom_domains = tenant.custom_domains()
            except Problem:
                # Not knowing is not a failure: the difference is shown, and asked about.
                self._custom_domains = []
        return configured if configured in self._custom_domains else tenant.domain

    def _test_credentials(self, tenant: Tenant, found: Found) -> dict[str, str]:
        """Return id and secret: from the answer that created the client, .env, or the tenant."""
        if "test" not in found.apps:
            return {"AUTH0_TEST_CLIENT_ID": NEW, "AUTH0_TEST_CLIENT_SECRET": NEW}
        current = self.project.env.values
        client_id = found.apps["test"]["client_id"]
        created = self._created.get("test_app", {})
        secret = ""
        if created.get("client_id") == client_id:
            secret = created.get("client_secret", "")
        elif current.get("AUTH0_TEST_CLIENT_ID") == client_id:
            secret = current.get("AUTH0_TEST_CLIENT_SECRET", "")
        secret = secret or tenant.client_secret(client_id) or ""
        protect(secret)
        if not secret:
            raise LackingScopes(
                "read:client_keys", f"the secret of the test application {client_id} is not shown"
            )
        return {"AUTH0_TEST_CLIENT_ID": client_id, "AUTH0_TEST_CLIENT_SECRET": secret}


def _words(key: str, old: str, value: str) -> str:
    if key in SECRETS:
        old, value = old and "(hidden)", "(hidden)"
    return f"replace {key}={old} by {value}" if old else f"{key}={value}"


def _unsettled(tenant: Tenant, change: Change, *, new: bool) -> Problem:
    if new:
        return Conflict(
            f"{tenant.domain} changed meanwhile; not in the plan: {change.text[0]}",
            "Run the command again to see the new plan.",
        )
    return NotVerified(
        f"{tenant.domain} took the change and still lacks it: {'; '.join(change.text)}",
        "Run the command again; if it stays, the tenant does not support the setting.",
    )
