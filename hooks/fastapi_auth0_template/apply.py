"""Carrying out the plan: read the tenant, apply the changes, read back; what .env should say."""

import secrets
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import Json, Patience, Problem, Tenant, lacking_scopes
from .plan import Change, Found, Wanted, changes, choose_apps, is_system
from .project import Project, is_private

ATTEMPTS = 3  # of one and the same change, when the tenant leaves us in doubt
PAUSE = 0.5  # seconds before the next
NEW = "(of the new application)"
SECRETS = ("AUTH0_TEST_CLIENT_SECRET",)


@dataclass(frozen=True)
class EnvPlan:
    """What .env should say, in words what that changes, and the keys whose values it replaces."""

    domain: str
    values: Mapping[str, str] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


class Run:
    """One run of the set-up; `wrote` says whether it may have changed the tenant or .env."""

    def __init__(
        self, project: Project, wanted: Wanted, patience: Patience, *, writes_env: bool = True
    ) -> None:
        self.project, self.wanted, self.patience = project, wanted, patience
        self.writes_env = writes_env
        self.mark = secrets.token_hex(8)
        self.wrote = False
        self.notes: list[str] = []
        self._created: dict[str, Json] = {}  # target -> the tenant's answer, secrets included
        self._custom_domains: list[str] | None = None
        self._left: set[str] = set()  # twins that may not be deleted

    def look(self, tenant: Tenant) -> Found:
        """Read from the tenant what the plan needs, and no more."""
        self.patience.tell(f"Reading {tenant.domain} ...")
        wanted = self.wanted
        api = next(iter(tenant.apis(wanted.audience)), None)
        if is_system(api, wanted.audience):
            raise system_api(wanted.audience)
        if not wanted.purposes:
            return Found(api)
        apps, twins, notes = choose_apps(tenant.applications(), wanted, self._known_apps())
        self.note(notes)
        grants = []
        if "test" in apps:
            grants = tenant.grants(apps["test"]["client_id"], wanted.audience)
        grant = next((g for g in grants if g.get("subject_type", "client") == "client"), None)
        return Found(api, apps, twins, grant)

    def plan(self, found: Found) -> list[Change]:
        planned = changes(self.wanted, found, self.mark)
        return [change for change in planned if change.key not in self._left]

    def reconcile(self, tenant: Tenant, found: Found) -> Found:
        """Apply the plan for what was found, then read back until nothing is left to do.

        After a conflict, an error of the server or silence nobody knows what the tenant did: it is
        read again, and what is left is done. What was not in the plan that people saw is not done,
        but for the twin of an application that a repeated request of this run made.
        """
        seen = {(change.target, change.action) for change in self.plan(found)}
        seen.add(("duplicate", "delete"))
        attempts: Counter[tuple[str, str]] = Counter()
        while todo := self.plan(found):
            for change in todo:
                step = (change.target, change.action)
                attempts[step] += 1
                if step not in seen or attempts[step] > ATTEMPTS:
                    raise _unsettled(tenant, change, new=step not in seen)
                try:
                    self._apply(tenant, change)
                except Problem as problem:
                    if not problem.uncertain or attempts[step] == ATTEMPTS:
                        raise
                    self._pause(problem)
                    break
            found = self.look(tenant)
        return found

    def env_for(self, tenant: Tenant, found: Found) -> EnvPlan:
        """The settings for .env: what is there and right stays, also a custom domain."""
        if not self.writes_env:
            return EnvPlan(tenant.domain)
        current = self.project.env.values
        domain = self._domain(tenant)
        values = {"AUTH0_DOMAIN": domain, "AUTH0_AUDIENCE": self.wanted.audience}
        if self.wanted.test_app:
            values |= self._test_credentials(tenant, found)
        if self.wanted.callbacks:
            values["AUTH0_DOCS_CLIENT_ID"] = found.apps.get("docs", {}).get("client_id", NEW)
        text, replaced = [], []
        for key, value in values.items():
            old = "" if self._is_placeholder(key) else current.get(key, "")
            if old == value:
                continue
            if old:
                replaced.append(key)
            text.append(_words(key, old, value))
        if not text and not is_private(self.project.env.path):
            text.append("make it readable by you only (mode 0600)")
        return EnvPlan(domain, values, tuple(text), tuple(replaced))

    def note(self, notes: Iterable[str]) -> None:
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)
                self.patience.tell(f"note: {note}")

    def _apply(self, tenant: Tenant, change: Change) -> None:
        self.patience.tell(f"{change.text[0]} ...")
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
            if change.target == "test_grant":
                body.setdefault("client_id", self._created.get("test_app", {}).get("client_id"))
            self._created[change.target] = tenant.create(change.kind, body)

    def _delete(self, tenant: Tenant, change: Change) -> None:
        try:
            tenant.delete_application(change.key)
        except Problem as problem:
            if problem.code not in ("scopes", "forbidden"):
                raise
            # The twin is in nobody's way: no reason to stop before .env is written.
            self._left.add(change.key)
            self.note([f"{change.text[0]} in the Dashboard: {problem.message}"])

    def _pause(self, problem: Problem) -> None:
        if problem.wait > self.patience.seconds:
            raise problem
        self.patience.tell(f"{problem.message}; reading the tenant again ...")
        time.sleep(max(problem.wait, PAUSE))

    def _known_apps(self) -> set[str]:
        values = self.project.env.values
        known = {values.get(f"AUTH0_{name}_CLIENT_ID", "") for name in ("TEST", "DOCS")}
        return known | {app["client_id"] for app in self._created.values() if "client_id" in app}

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
                # Not to know is no failure: the difference is shown, and asked about.
                self._custom_domains = []
        return configured if configured in self._custom_domains else tenant.domain

    def _test_credentials(self, tenant: Tenant, found: Found) -> dict[str, str]:
        """Client id and secret: from the answer that created the client, .env, or the tenant."""
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
        if not secret:
            raise lacking_scopes(
                "read:client_keys", f"the secret of the test application {client_id} is not shown"
            )
        return {"AUTH0_TEST_CLIENT_ID": client_id, "AUTH0_TEST_CLIENT_SECRET": secret}


def system_api(audience: str) -> Problem:
    return Problem(
        "system_api",
        f"{audience} is an API of Auth0 itself; the set-up leaves it alone",
        "Choose an identifier of your own: --audience https://api.example.com",
    )


def _words(key: str, old: str, value: str) -> str:
    if key in SECRETS:
        old, value = old and "(hidden)", "(hidden)"
    return f"replace {key}={old} by {value}" if old else f"{key}={value}"


def _unsettled(tenant: Tenant, change: Change, *, new: bool) -> Problem:
    if new:
        return Problem(
            "conflict",
            f"{tenant.domain} changed meanwhile; not in the plan: {change.text[0]}",
            "Run the command again to see the new plan.",
        )
    return Problem(
        "verify",
        f"{tenant.domain} took the change and still lacks it: {'; '.join(change.text)}",
        "Run the command again; if it stays, the tenant does not support the setting.",
    )
