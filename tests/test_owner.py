"""What owners add and where they run it: a project's tests go on, or say what to do."""

import json
import re
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from support import PYTEST, ROOT, SELF_HOSTED, check_types, lint, render, run, uv

PLUGINS = [  # those that most projects add; anyio brings one that is there in any case
    *("pytest-asyncio", "pytest-cov", "pytest-env", "pytest-mock", "pytest-randomly"),
    *("pytest-rerunfailures", "pytest-sugar", "pytest-timeout", "pytest-xdist"),
]
READ_ONLY = 'mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" && ! touch x 2>&- && "$@"'
SHORT = ["tests/auth/test_inventory.py", "tests/auth/test_settings.py", "tests/test_routes.py"]
FAST = ["tests/issuer", "tests/api_keys", "tests/test_logs.py", "tests/test_routes.py"]
TEXT_ROUTE = '''
"""/api/text: answers text, which its document does not say."""

from fastapi import APIRouter, Response

router = APIRouter(prefix="/api/text", tags=["public"])


@router.get("")
async def text() -> Response:
    return Response("text", 418, media_type="text/plain")
'''
CLAIM = """
from memory_tenant import Tenant


def test_a_claim(tenant: Tenant) -> None:
    assert tenant.auth(**{"https://example.com/roles": ["admin"]})
    assert tenant.token(**{"https://example.com/roles": ["admin"]})
"""
NEW_ROLES = """
import json
from my_api.issuer import allow_admin, allow_moderator, roles

scopes = {str(role): sorted(roles.scopes_of(role)) for role in [*roles.Role, "gone"]}
both = {"allow_moderator": allow_moderator, "allow_admin": allow_admin}
print(json.dumps({"scopes": scopes, **{n: sorted(one.allowed_roles) for n, one in both.items()}}))
"""
PLUGIN = """
import warnings


def pytest_configure() -> None:
    warnings.warn("a plugin of the owner's warns", DeprecationWarning, stacklevel=1)
"""
OWN_WARNING = """
import warnings


def test_own() -> None:
    warnings.warn("what the owner can mend", DeprecationWarning, stacklevel=1)
"""

EVERYTHING = SELF_HOSTED | {"api_keys": True, "logs": "json"}
SCOPES = '    SEND_LETTERS = "send:letters", "Send letters"\n'
ROLES = '''"""Roles of the owner's: other names, and one that grants nothing."""

from enum import StrEnum

from sqlalchemy import Connection, delete

from ..scopes import Scope


class Role(StrEnum):
    """What a user may be."""

    READER = "reader"
    WRITER = "writer"
    OWNER = "owner"


DEFAULT = Role.READER
ADMINISTRATOR = Role.OWNER
SCOPES: dict[str, frozenset[Scope]] = {Role.OWNER: frozenset(Scope)}


def scopes_of(role: str) -> frozenset[str]:
    """The scopes of a role."""
    return SCOPES.get(role, frozenset())


def on_user_deleted(connection: Connection, sub: str) -> None:
    """Delete the letters of a user."""
    from ..routes.letters import Letter

    connection.execute(delete(Letter).where(Letter.author == sub))
'''
LETTERS = '''
"""/api/letters: for users, for one role, for their author."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import delete
from sqlalchemy.orm import Mapped, mapped_column

from ..auth import Claims, auth0
from ..database import Base, DbSession, Timestamps
from ..issuer import CurrentUser, Role, RoleChecker, check_owner
from ..scopes import Scope

router = APIRouter(prefix="/api/letters", tags=["letters"])
Sender = Annotated[Claims, Depends(auth0.require_auth(scopes=Scope.SEND_LETTERS))]
Burner = RoleChecker([Role.OWNER])


class Letter(Timestamps, Base):
    """A letter."""

    __tablename__ = "letters"
    id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[str] = mapped_column(index=True)


@router.post("", status_code=201)
def send(claims: Sender, session: DbSession) -> None:
    """Send a letter."""
    session.add(Letter(author=claims.sub))


@router.get("/{number}", responses={404: {"description": "No such letter"}})
def read(number: int, user: CurrentUser, session: DbSession) -> str:
    """Read a letter of one's own."""
    if (letter := session.get(Letter, number)) is None:
        raise HTTPException(404)
    check_owner(user, letter.author)
    return letter.author


@router.delete("", dependencies=[Depends(Burner)], status_code=204)
def burn(claims: Sender, session: DbSession) -> None:
    """Delete all letters."""
    session.execute(delete(Letter))
'''

INNER = '''"""What the page mounts."""

from fastapi import APIRouter

from .issuer import CurrentUser

router = APIRouter()


@router.get("/mail")
async def mail(user: CurrentUser) -> str:
    """Return the address of the caller."""
    return user.email
'''
FOLLOWED = '''"""What the pages tell an owner to test."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from my_api.issuer import Role

from memory_tenant import Tenant


{tests}


@pytest.mark.parametrize(
    ("role", "statuses"), [(Role.USER, [200, 403, 403]), (Role.ADMIN, [200, 200, 200])]
)
def test_drafts(
    client: TestClient, log_in: Callable[..., dict[str, str]], role: Role, statuses: list[int]
) -> None:
    headers = log_in(role)
    calls = [("GET", ""), ("POST", "/1/review"), ("DELETE", "/1")]
    paths = [(method, f"/api/drafts{{path}}") for method, path in calls]
    assert [client.request(*one, headers=headers).status_code for one in paths] == statuses
    assert {{client.request(*one).status_code for one in paths}} == {{401}}
    assert "@" in client.get("/inner/mail", headers=headers).json()
    assert client.get("/inner/mail").status_code == 401
'''


@pytest.fixture
def project(plain_template: Path, tmp_path: Path) -> Path:
    return render(plain_template, tmp_path / "project")


def add(project: Path, path: str, text: str) -> None:
    (project / path).write_text(text, encoding="utf-8")


def outcome(project: Path, *paths: str, **values: str) -> tuple[int, str]:
    done = run([*PYTEST, *paths], project, {"PYTHONPATH": str(project / "src"), **values})
    return done.returncode, done.stdout


def test_a_route_module_without_a_router_is_named(project: Path) -> None:
    add(project, "src/my_api/routes/helpers.py", '"""No routes here."""\n')
    said = outcome(project, "tests/auth/test_inventory.py")[1]
    assert "helpers.py has no router: add one, or call it _helpers.py" in said


def test_a_route_that_answers_text_gets_a_hint(project: Path) -> None:
    add(project, "src/my_api/routes/text.py", TEXT_ROUTE)
    code, said = outcome(project, "tests/test_routes.py")
    assert code == 1
    assert "response_class=PlainTextResponse" in said


def test_a_claim_with_a_url_as_its_name_passes_mypy(project: Path) -> None:
    add(project, "tests/test_claim.py", CLAIM)
    done = run([sys.executable, "-m", "mypy", "tests/test_claim.py"], project)
    assert done.returncode == 0, done.stdout
    assert outcome(project, "tests/test_claim.py")[0] == 0


def test_a_warning_is_an_error_only_where_the_owner_can_mend_it(project: Path) -> None:
    add(project, "tests/noisy_plugin.py", PLUGIN)
    code, said = outcome(project, "-p", "noisy_plugin", SHORT[0])
    assert code == 0, said
    add(project, "tests/test_own.py", OWN_WARNING)
    assert outcome(project, "tests/test_own.py")[0] == 1


def test_a_project_is_green_with_the_plugins_that_most_add(project: Path) -> None:
    added = [word for name in PLUGINS for word in ("--with", name)]
    options = ["-n", "2", "--cov=my_api", "--reruns=1", "--timeout=120"]
    command = [uv(), "run", "--quiet", *added, "pytest", *options, *SHORT]
    done = run(command, project, {"UV_PYTHON": sys.executable})
    assert done.returncode == 0, done.stdout
    listed = done.stdout.partition("plugins: ")[2].partition("\n")[0]
    assert all(f"{name.removeprefix('pytest-')}-" in listed for name in [*PLUGINS, "anyio"])


def test_a_project_is_green_in_a_folder_that_is_read_only(project: Path) -> None:
    unshare = [str(shutil.which("unshare")), "--mount", "--map-root-user", "--user"]
    if not shutil.which("unshare") or run([*unshare, "true"], project).returncode:
        pytest.skip("this machine lets nobody mount")
    command = [*unshare, "sh", "-c", READ_ONLY, "sh", *PYTEST, *SHORT]
    done = run(command, project, {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "values",
    [
        {"PYTHONOPTIMIZE": "1"},
        {"PYTHONSAFEPATH": "1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONWARNDEFAULTENCODING": "1"},
        {"DATABASE_URL": "poison", "CORS_ORIGINS": "poison", "AUTH0_DPOP": "poison"},
        {"HTTPS_PROXY": "http://proxy:3128", "all_proxy": "socks5://x", "SSL_CERT_FILE": "/none"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_project_is_green_in_odd_environments(project: Path, values: dict[str, str]) -> None:
    for path in ("src/my_api/scopes.py", "auth0/tenant.yaml"):
        text = (project / path).read_text(encoding="utf-8")
        assert "Read messages" in text
        add(project, path, text.replace("Read messages", "Nachrichten ändern"))
    with (project / "src/my_api/settings.py").open("a", encoding="utf-8") as settings:
        settings.write("\n    database_url: str\n")
    add(project, "tests/settings.env", "DATABASE_URL=sqlite://\n")
    code, said = outcome(project, *SHORT, **values)
    assert code == 0, said


def test_a_setting_of_the_owners_without_a_value_for_tests_is_named(project: Path) -> None:
    with (project / "src/my_api/settings.py").open("a", encoding="utf-8") as settings:
        settings.write("\n    database_url: str\n")
    said = outcome(project, "tests/test_routes.py")[1]
    assert "DATABASE_URL is missing: see " in said
    assert "settings.env" in said
    assert "ValidationError" not in said


def test_a_self_hosted_project_is_green_with_roles_scopes_routes_and_settings_of_the_owners(
    plain_template: Path, tmp_path: Path
) -> None:
    project = render(plain_template, tmp_path / "project", EVERYTHING)
    source = project / "src/my_api"
    for example in ("messages", "private", "public"):
        (source / f"routes/{example}.py").unlink()
    add(project, "src/my_api/routes/letters.py", LETTERS)
    add(project, "src/my_api/issuer/roles.py", ROLES)
    scopes = (source / "scopes.py").read_text(encoding="utf-8")
    add(project, "src/my_api/scopes.py", scopes[: scopes.index("    READ_MESSAGES")] + SCOPES)
    with (source / "settings.py").open("a", encoding="utf-8") as settings:
        settings.write("\n    postage: int\n")
    add(project, "tests/settings.env", "POSTAGE=1\n")
    tests = (project / "tests/test_routes.py").read_text(encoding="utf-8")
    first, last = tests.index("def test_public_needs"), tests.index("def test_whatever_is_sent")
    add(project, "tests/test_routes.py", tests[:first] + tests[last:])
    code, said = outcome(project, *FAST)
    assert code == 0, said


def test_a_self_hosted_project_that_followed_its_pages_is_green(
    plain_template: Path, tmp_path: Path, mypy_cache: Path
) -> None:
    project = render(plain_template, tmp_path / "project", SELF_HOSTED)
    tests = []
    for page in (project / "README.md", project / "AGENTS.md", ROOT / "docs/self-hosted.md"):
        for block in re.findall(r"(?:^(?:    .*)?\n)+", page.read_text(encoding="utf-8"), re.M):
            shown = textwrap.dedent(block).strip()
            if module := re.search(r'APIRouter\(prefix="/api/(\w+)"', shown):
                add(project, f"src/my_api/routes/{module[1]}.py", f"{shown}\n")
            elif shown.startswith("def test_"):
                tests.append(shown)
    with (project / "src/my_api/scopes.py").open("a", encoding="utf-8") as scopes:
        scopes.write('    READ_ORDERS = "read:orders", "Read orders"\n')
    add(project, "tests/test_followed.py", FOLLOWED.format(tests="\n\n\n".join(tests)))
    text = (ROOT / "docs/self-hosted.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^    mounted = FastAPI.*\n(?:    .*\n)+", text, re.M)
    main = (project / "src/my_api/main.py").read_text(encoding="utf-8")
    main = main.replace("    return app\n", f"\n{block}    return app\n", 1)
    add(project, "src/my_api/main.py", main.replace("import health,", "import health, inner,"))
    add(project, "src/my_api/inner.py", INNER)
    assert len(tests) == 2
    assert len((project / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= 60
    lint(project)
    check_types(project, mypy_cache)
    code, said = outcome(project, "tests/test_followed.py", *SHORT[::2])
    assert code == 0, said


def test_the_roles_that_a_new_project_has(plain_template: Path, tmp_path: Path) -> None:
    """The project's own tests know none of them by name: its owner may change them."""
    project = render(plain_template, tmp_path / "project", SELF_HOSTED)
    done = run([sys.executable, "-W", "ignore", "-c", NEW_ROLES], project, {"PYTHONPATH": "src"})
    assert done.returncode == 0, done.stdout
    read, write = "read:messages", "write:messages"
    assert json.loads(done.stdout) == {
        "scopes": {"user": [read], "moderator": [read, write], "admin": [read, write], "gone": []},
        "allow_moderator": ["admin", "moderator"],
        "allow_admin": ["admin"],
    }
