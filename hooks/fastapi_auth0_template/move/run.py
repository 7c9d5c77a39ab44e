"""Moves the users: look at the tenant, plan the changes, apply them. Each step can be repeated."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..model import Json
from ..plan import Change
from ..problems import NoConnection, NotMoved, RoleTaken
from ..tenant.users import UserTenant, wait_for_job
from . import files
from .plan import Comparison, Role, api_change, compare, wanted_roles
from .project import Access, SelfHosted, User

AT_ONCE = 2  # import jobs: as many as a tenant runs
JOB_SECONDS = 1800.0


@dataclass(frozen=True)
class State:
    """The users, the API and the roles that the tenant holds."""

    connection: Json
    users: Comparison
    api: list[Change]
    roles: list[Role]


@dataclass
class Move:
    """The work of one run."""

    project: SelfHosted
    access: Access
    users: list[User]
    folder: Path
    tenant: UserTenant
    wrote: bool = False
    notes: list[str] = field(default_factory=list)

    def look(self) -> State:
        """Read the tenant; raise EmailTaken or RoleTaken before anything is changed."""
        roles = wanted_roles(self.access, self.project.package, self.users)
        return State(
            self._connection(),
            self._compared(self.users),
            self._api_change(),
            [self._found(role) for role in roles],
        )

    def plan(self, state: State) -> list[tuple[str, ...]]:
        """Describe the changes, each as a headline and its details."""
        texts = [change.text for change in state.api]
        if count := len(state.users.missing):
            name = state.connection["name"]
            texts.append((f"Import {count} user{'s'[: count != 1]} into {name}",))
        if count := len(state.users.block):
            texts.append((f"Block or unblock {count} user{'s'[: count != 1]}",))
        texts += [text for role in state.roles if (text := role.text(self.users))]
        return texts

    def apply(self, state: State) -> None:
        """Make the API and the roles, import, check every user, and only then assign the roles."""
        self.wrote = True
        for change in state.api:
            if change.action == "create":
                self.tenant.create(change.kind, change.body)
            else:
                self.tenant.update(change.kind, change.key, change.body)
        roles = [self._made(role) for role in state.roles]
        errors = self._import(state)
        self._check(state.users.missing, errors)
        for user in state.users.block:
            self.tenant.block(user.sub, not user.active)
        for role in roles:
            for subject in role.extra_users(self.users):
                self.tenant.unassign(role.id, subject)
            self.tenant.assign(role.id, role.missing_users)

    # ------------------------------------------------------------------------------------- reading

    def _connection(self) -> Json:
        found = self.tenant.connections()
        if len(found) != 1:
            names = ", ".join(str(each.get("name")) for each in found) or "none"
            raise NoConnection(f"the tenant has to have one database connection; it has: {names}")
        return found[0]

    def _compared(self, users: Iterable[User]) -> Comparison:
        return compare(users, {user.email: self.tenant.by_email(user.email) for user in users})

    def _api_change(self) -> list[Change]:
        found = self.tenant.apis(self.access.audience)
        return api_change(self.access, self.project.package, found[0] if found else None)

    def _found(self, role: Role) -> Role:
        """Return the role with its state in the tenant."""
        found = self.tenant.roles(role.name)
        if not found:
            return role
        if found[0].get("description") != role.description:
            raise RoleTaken(f'the tenant has a role {role.name} that is not "{role.description}"')
        key = str(found[0]["id"])
        scopes = frozenset(
            permission["permission_name"]
            for permission in self.tenant.permissions(key)
            if permission["resource_server_identifier"] == self.access.audience
        )
        members = frozenset(self.tenant.members(key))
        return replace(role, id=key, has_scopes=scopes, has_users=members)

    # ------------------------------------------------------------------------------------- writing

    def _made(self, role: Role) -> Role:
        key = role.id or self.tenant.create_role(role.name, role.description)
        for action, scopes in (("add", role.missing_scopes), ("delete", role.extra_scopes)):
            self.tenant.change_permissions(action, key, scopes, self.access.audience)
        return replace(role, id=key)

    def _import(self, state: State) -> list[str]:
        """Import missing users, few files at a time; return a line for each refused one."""
        errors: list[str] = []
        paths = files.write(self.folder, state.users.missing)
        for number in range(0, len(paths), AT_ONCE):
            jobs = [
                self.tenant.start_import(state.connection["id"], path.name, path.read_bytes())
                for path in paths[number : number + AT_ONCE]
            ]
            for job in jobs:
                errors += wait_for_job(self.tenant, job, JOB_SECONDS)
        return errors

    def _check(self, users: list[User], errors: list[str]) -> None:
        """Check that the tenant holds each user with the same id and e-mail."""
        left = self._compared(users).missing
        if left:
            listed = errors or [user.email for user in left]
            raise NotMoved(f"{len(left)} users were not imported: {'; '.join(listed)}")
