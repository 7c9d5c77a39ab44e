"""Finds the lines of a project that use its own issuer, and says what replaces each with Auth0."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .project import Access, SelfHosted

# The template's own, which the update rewrites or removes; {} is the package.
TEMPLATES = (
    *("src/{}/issuer/", "src/{}/auth/", "src/{}/app.py", "tests/issuer/"),
    *("src/{}/database.py", "src/{}/schema.py", "src/{}/units.py", "migrations/env.py", ".venv/"),
    *("scripts/admin.py", "scripts/demo.py", "tests/conftest.py"),
    *("src/{}/api_keys/", "scripts/keys.py", "tests/api_keys/"),
    *("tests/memory_tenant.py", "tests/auth/"),
)
FIXTURES = {
    "log_in": 'in its place, auth=tenant.auth("…") sends a token with these scopes',
    "add_user": "sub=… of tenant.auth names the user",
}
CLAIMS = "Annotated[Claims, Depends(auth0.require_auth())]"
USERS = ("CurrentUser", "ActiveUser", "current_user", "User")


@dataclass(frozen=True)
class Use:
    """One line to change: its place, its text, and its replacement."""

    path: str
    line: int
    name: str
    instead: str


def find_uses(project: SelfHosted, access: Access) -> list[Use]:
    """Return every line outside the template's files that uses a name of the issuer."""
    skipped = tuple(place.format(project.package) for place in TEMPLATES)
    update_does = (f"src/{project.package}/main.py", "import of Issuer")
    found = []
    for path in sorted(project.root.rglob("*.py")):
        name = path.relative_to(project.root).as_posix()
        if path.is_file() and not name.startswith(skipped):  # an editor's lock is a broken link
            found += list(_uses(name, path.read_bytes(), access))
    return [use for use in found if (use.path, use.name) != update_does]


def _uses(path: str, source: bytes, access: Access) -> Iterator[Use]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        yield Use(path, 1, "a file that cannot be parsed", "read it yourself")
        return
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        imported = _imported(node)
        names |= imported
        for name in imported.values():
            yield Use(path, node.lineno, f"import of {name}", "remove it")  # type: ignore[attr-defined]
    inside: set[ast.AST] = set()  # a RoleChecker(…), which counts as one use
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func, names) == "RoleChecker":
            inside |= set(ast.walk(node))
            yield Use(path, node.lineno, ast.unparse(node), for_call(node, access))
        elif isinstance(node, ast.arg) and path.startswith("tests/") and node.arg in FIXTURES:
            yield Use(path, node.lineno, f"the fixture {node.arg}", FIXTURES[node.arg])
        elif node not in inside and (instead := _instead(_name(node, names), access)):
            yield Use(path, node.lineno, ast.unparse(node), instead)  # type: ignore[attr-defined]


def _imported(node: ast.AST) -> dict[str, str]:
    """Return the node's imports from the issuer: the name here -> the name there."""
    if isinstance(node, ast.Import):
        of_issuer = [alias for alias in node.names if "issuer" in alias.name.split(".")]
        return {alias.asname or alias.name: alias.name for alias in of_issuer}
    if not isinstance(node, ast.ImportFrom):
        return {}
    inside = "issuer" in (node.module or "").split(".")
    return {
        alias.asname or alias.name: alias.name
        for alias in node.names
        if inside or alias.name == "issuer"
    }


def _name(node: ast.AST, names: Mapping[str, str]) -> str:
    """Return the issuer's name of a name, or of an attribute such as issuer.CurrentUser."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        base = ast.unparse(node.value)
        if base in names and names[base].rpartition(".")[2] in ("issuer", "current", "roles"):
            return node.attr
    return ""


def _instead(name: str, access: Access) -> str:
    if name in USERS:
        return f"{CLAIMS}; claims.sub is the user's sub"
    if name in ("allow_admin", "AdminUser"):
        return for_roles({access.administrator}, access)
    if name == "allow_moderator":
        moderators = {access.members[each] for each in ("MODERATOR",) if each in access.members}
        return for_roles({access.administrator} | moderators, access)
    if name == "check_owner":
        return "compare the object's owner with claims.sub, and answer 404"
    if name in ("roles", "Role"):
        return "a scope: a role's scopes come in the token as permissions"
    return ""


def for_call(node: ast.Call, access: Access) -> str:
    """Return the replacement for RoleChecker([Role.X, …])."""
    members = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    allowed = {access.members[name] for name in members if name in access.members}
    texts = {str(each.value) for each in ast.walk(node) if isinstance(each, ast.Constant)}
    allowed |= texts & set(access.roles)
    return for_roles(allowed, access)


def for_roles(allowed: Iterable[str], access: Access) -> str:
    """Return the scopes that all of these roles have, and none of the others."""
    allowed = set(allowed)
    if not allowed:
        return "auth0.require_auth(scopes=…) with scopes that only these roles have"
    common = set.intersection(*(set(access.roles[role]) for role in allowed))
    others = {scope for role in set(access.roles) - allowed for scope in access.roles[role]}
    if telling := sorted(common - others):
        return f"auth0.require_auth(scopes={telling!r})"
    names = " and ".join(sorted(allowed))
    return (
        f"auth0.require_auth(scopes=…): no scope is only {names}'s; add one to scopes.py, give it"
        " to them in roles.py, then ask for it here"
    )
