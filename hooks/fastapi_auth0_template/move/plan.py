"""The plan of a move: the project's users and roles + what the tenant holds -> changes. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..model import Json
from ..plan import Change, Found, Wanted, changes
from ..problems import EmailTaken
from .project import Access, User

ROLE_NAME = 50  # characters, the most that Auth0 accepts


@dataclass(frozen=True)
class Role:
    """A role of the project in the tenant; without an id it has yet to be created."""

    name: str
    description: str
    scopes: frozenset[str]
    users: frozenset[str]  # subjects who have it in the project
    id: str = ""
    has_scopes: frozenset[str] = frozenset()  # of this API; another API's are not ours
    has_users: frozenset[str] = frozenset()

    @property
    def missing_scopes(self) -> list[str]:
        return sorted(self.scopes - self.has_scopes)

    @property
    def extra_scopes(self) -> list[str]:
        return sorted(self.has_scopes - self.scopes)

    @property
    def missing_users(self) -> list[str]:
        return sorted(self.users - self.has_users)

    def extra_users(self, moved: Iterable[User]) -> list[str]:
        """Return users who have it in the tenant, but by now another one in the project."""
        return sorted(self.has_users & {user.sub for user in moved} - self.users)

    def text(self, moved: Iterable[User]) -> tuple[str, ...]:
        """Describe the changes; return nothing if there are none."""
        lines = [f"add {scope}" for scope in self.missing_scopes]
        lines += [f"drop {scope}" for scope in self.extra_scopes]
        if count := len(self.missing_users):
            lines.append(f"give it to {count} user{'s'[: count != 1]}")
        if count := len(self.extra_users(moved)):
            lines.append(f"take it from {count} user{'s'[: count != 1]}")
        if not self.id:
            return (f"Create the role {self.name}", *lines)
        return (f"Change the role {self.name}", *lines) if lines else ()


@dataclass(frozen=True)
class Comparison:
    """The project's users compared with the tenant's."""

    missing: list[User] = field(default_factory=list)
    moved: list[User] = field(default_factory=list)
    block: list[User] = field(default_factory=list)  # moved, but with the wrong `blocked` there


def compare(users: Iterable[User], held: Mapping[str, list[Json]]) -> Comparison:
    """Sort the users; `held` lists what the tenant has for each e-mail.

    An e-mail that the tenant holds under another id ends the run: somebody may have registered it
    before its owner, and would get the owner's role.
    """
    result, taken = Comparison(), []
    for user in users:
        found = held[user.email]
        taken += [
            f"{user.email} ({other['user_id']})" for other in found if other["user_id"] != user.sub
        ]
        same = next((each for each in found if each["user_id"] == user.sub), None)
        (result.missing if same is None else result.moved).append(user)
        if same is not None and bool(same.get("blocked")) == user.active:
            result.block.append(user)
    if taken:
        raise EmailTaken(
            f"the tenant holds {len(taken)} of these e-mails under another id: {', '.join(taken)}"
        )
    return result


def api_change(access: Access, name: str, found: Json | None) -> list[Change]:
    """Return the change that gives the API its scopes, with RBAC on: roles decide, not clients."""
    api: Json = {
        "name": name,
        "identifier": access.audience,
        "signing_alg": "RS256",
        "scopes": [{"value": value, "description": text} for value, text in access.scopes.items()],
        "enforce_policies": True,
        "token_dialect": "rfc9068_profile_authz",
    }
    if found is not None:
        api.pop("name")
    return changes(Wanted(api), Found(found), "")


def wanted_roles(access: Access, package: str, users: Iterable[User]) -> list[Role]:
    """Return the project's roles. Their names begin with the package's.

    A tenant has one list of roles for all its APIs: another API's `admin` must not become ours.
    """
    users = list(users)
    return [
        Role(
            f"{package}:{role}"[:ROLE_NAME],
            f"The role {role} of {access.audience}",
            frozenset(scopes),
            frozenset(user.sub for user in users if user.role == role),
        )
        for role, scopes in access.roles.items()
    ]
