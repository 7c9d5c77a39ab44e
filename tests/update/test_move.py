"""A self-hosted project with a table and roles of its own moves to Auth0, as its page says."""

import sys
from collections.abc import Callable
from pathlib import Path

from support import SELF_HOSTED, git, run
from update.lifecycle import check, commit, green, update
from update.releases import WORKING

TABLE = '''"""Notes of users; a row belongs to the `sub` of a token."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from .database import Base, Timestamps


class Note(Timestamps, Base):
    """One note."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(255), index=True)
    text: Mapped[str] = mapped_column(String(280))
'''
ROUTES = '''"""/api/notes: the notes of a user, and all of them for moderators."""

from fastapi import APIRouter, Depends
from sqlalchemy import delete, select

from ..database import DbSession
from ..issuer import CurrentUser, Role, RoleChecker
from ..notes import Note

router = APIRouter(prefix="/api/notes", tags=["notes"])
moderators = RoleChecker([Role.ADMIN, Role.MODERATOR])


@router.get("")
def list_notes(session: DbSession, user: CurrentUser) -> list[str]:
    """List the notes of the caller."""
    return list(session.scalars(select(Note.text).where(Note.owner == user.sub)))


@router.delete("", dependencies=[Depends(moderators)])
def delete_notes(session: DbSession) -> None:
    """Delete all notes."""
    session.execute(delete(Note))
'''
# What move-check lists, as a person changes it.
CHANGED = [
    ("from fastapi import APIRouter, Depends\n", "from typing import Annotated\n\n{}"),
    ("from ..issuer import CurrentUser, Role, RoleChecker\n", ""),
    ("from ..database import DbSession\n", "from ..auth import Claims, auth0\n{}"),
    (
        "moderators = RoleChecker([Role.ADMIN, Role.MODERATOR])\n",
        "User = Annotated[Claims, Depends(auth0.require_auth())]\n"
        'moderators = auth0.require_auth(scopes=["write:messages"])\n',
    ),
    ("user: CurrentUser", "claims: User"),
    ("Note.owner == user.sub", "Note.owner == claims.sub"),
]
TESTS = '''"""Notes, with tokens of the issuer that the project has."""

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from my_api.notes import Note

from memory_tenant import Tenant

SUB = "auth0|0123456789abcdef01234567"


def add_note(app: FastAPI) -> None:
    with Session(app.state.database.atomic) as session, session.begin():
        session.add(Note(owner=SUB, text="Kept"))


def test_a_row_is_found_by_the_token_of_its_sub(
    app: FastAPI, client: TestClient, tenant: Tenant
) -> None:
    add_note(app)
    assert client.get("/api/notes", auth=tenant.auth(sub=SUB)).json() == ["Kept"]
    assert client.get("/api/notes", auth=tenant.auth(sub="auth0|other")).json() == []


def test_only_a_moderator_deletes(app: FastAPI, client: TestClient, tenant: Tenant) -> None:
    add_note(app)
    plain = tenant.auth("read:messages", scope="read:messages write:messages", sub=SUB)
    assert client.delete("/api/notes", auth=plain).status_code == 403
    moderator = tenant.auth("read:messages", "write:messages", sub=SUB)
    assert client.delete("/api/notes", auth=moderator).status_code == 200
'''
ROLES = "src/my_api/issuer/roles.py"
OPTIONS = {"PYTHONPATH": "src", "UV_PROJECT_ENVIRONMENT": sys.prefix}


def add_notes(project: Path) -> None:
    """The owner's table, routes, migration and a change to a role."""
    package = project / "src" / "my_api"
    (package / "notes.py").write_text(TABLE)
    (package / "routes" / "notes.py").write_text(ROUTES)
    env = project / "migrations" / "env.py"
    imported = "from my_api import routes\n"
    assert imported in env.read_text()
    named = "from my_api import notes, routes  # noqa: F401\n"
    env.write_text(env.read_text().replace(imported, named))
    for words in (
        ["scripts/admin.py", "migrate"],
        ["-m", "alembic", "revision", "--autogenerate", "-m", "Add notes"],
        ["scripts/admin.py", "migrate"],
        ["-m", "ruff", "format", "-q", "--config", "extend-exclude = []", "migrations"],
    ):
        done = run([sys.executable, *words], project, OPTIONS)
        assert done.returncode == 0, done.stdout
    assert list((project / "migrations" / "versions").glob("*add_notes.py"))


def move_check(project: Path) -> tuple[int, str]:
    tool = [sys.executable, "-m", "fastapi_auth0_template", "move-check", "--project", str(project)]
    hooks = str(Path(__file__).resolve().parents[2] / "hooks")
    done = run(tool, project, OPTIONS | {"PYTHONPATH": hooks})
    return done.returncode, " ".join(done.stdout.split())


def test_a_project_with_a_table_and_roles_moves_to_auth0(
    project: Callable[..., Path], mypy_cache: Path
) -> None:
    folder = project(WORKING, **SELF_HOSTED, api_keys=True)
    add_notes(folder)
    logs_in = folder / "tests" / "test_log_in.py"
    logs_in.write_text("def test_log_in(log_in): ...\n")
    with (folder / ROLES).open("a") as roles:
        roles.write("# Ours.\n")
    commit(folder)
    routes = folder / "src" / "my_api" / "routes" / "notes.py"
    main = folder / "src" / "my_api" / "main.py"
    of_main = main.read_text()
    main.write_text(of_main + "\n\nfrom .issuer import current_user  # noqa: E402\n")

    code, said = move_check(folder)
    assert code == 2, said
    for line in (
        "src/my_api/routes/notes.py:7: import of CurrentUser",
        "src/my_api/routes/notes.py:11: RoleChecker([Role.ADMIN, Role.MODERATOR])"
        " auth0.require_auth(scopes=['write:messages'])",
        "src/my_api/routes/notes.py:15: CurrentUser"
        " Annotated[Claims, Depends(auth0.require_auth())]; claims.sub is the user's sub",
        'tests/test_log_in.py:1: the fixture log_in in its place, auth=tenant.auth("…") sends',
        "src/my_api/main.py:",
    ):
        assert line in said, said
    assert said.count("routes/notes.py:") == said.count(".py:") - 2 == 5, said
    logs_in.unlink()
    main.write_text(of_main)

    text = routes.read_text()
    for old, new in CHANGED:
        assert old in text
        text = text.replace(old, new.format(old))
    routes.write_text(text)
    assert move_check(folder)[0] == 0
    (folder / "tests" / "test_notes.py").write_text(TESTS)
    commit(folder, "Ask for scopes")

    before = {path.name for path in (folder / "migrations" / "versions").iterdir()}
    update(folder, WORKING, identity="auth0", auth0_setup="automatic")
    assert check(folder).stdout.splitlines()[1:] == [f"  {ROLES}"]
    git(folder, "rm", "--quiet", ROLES)
    package = folder / "src" / "my_api"
    left = [path for path in (package / "issuer").rglob("*") if path.is_file()]
    assert [path for path in left if path.suffix != ".pyc"] == []
    assert not (folder / "scripts" / "admin.py").exists()
    assert (package / "database.py").is_file()
    assert {path.name for path in (folder / "migrations" / "versions").iterdir()} == before
    assert "import notes" in (folder / "migrations" / "env.py").read_text()
    assert (folder / "auth0" / "tenant.yaml").is_file()
    green(folder, mypy_cache)
