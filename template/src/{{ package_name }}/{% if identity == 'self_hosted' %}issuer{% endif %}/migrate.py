"""The schema of the issuer: its own history, version table and engine; and the checks at the start.

Your tables have a history of their own in `migrations/`. SQLite changes a table by making it anew,
which deletes what refers to it, so migrations run with foreign keys off.

Alembic is imported when it migrates: a start that finds nothing to do is a fifth faster without it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from ..auth import AuthSettings
from ..auth.settings import cannot_start
from ..database import engines, now
from . import keys
from .keys import KeyRing
from .models import metadata

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "issuer_version"
VERSIONS = Path(__file__).parent / "migrations/versions"
OWN = Path("migrations")  # yours, in the project
REVISIONS = sorted(path.stem[:4] for path in VERSIONS.glob("[0-9]*.py"))
BEHIND = "the schema is behind: uv run scripts/admin.py migrate"
NEWER = "the schema is of a newer release of this project: deploy that one"
NO_KEY = "there is no signing key: uv run scripts/admin.py init"
WRONG = "no key in the database opens with it; keys rewrap needs old and new, with a comma"


class NewerSchema(Exception):
    """The database was migrated by a newer release."""


def config(connection: Connection) -> "Config":
    """Alembic's configuration: all of it is here."""
    from alembic.config import Config

    found = Config()
    found.set_main_option("script_location", f"{__package__}:migrations")
    found.attributes["options"] = {
        "connection": connection,
        "target_metadata": metadata,
        "version_table": VERSION_TABLE,
        "include_name": lambda name, kind, _: kind != "table" or name in metadata.tables,
        "render_as_batch": True,
    }
    return found


def upgrade(url: str) -> None:
    """Bring the tables of the issuer up to date; of several processes at once, one does it."""
    from alembic import command

    def work(connection: Connection) -> None:
        if fault(connection) == NEWER:
            raise NewerSchema(NEWER)
        command.upgrade(config(connection), "head")

    migrate(url, work)


def upgrade_own(url: str) -> None:
    """Bring your tables up to date, if there is a history of them."""
    from alembic import command
    from alembic.config import Config

    if OWN.is_dir():

        def work(connection: Connection) -> None:
            own = Config()
            own.set_main_option("script_location", str(OWN))
            own.attributes["connection"] = connection
            command.upgrade(own, "head")

        migrate(url, work)


def migrate(url: str, work: Callable[[Connection], object]) -> None:
    """Run Alembic in one transaction."""
    reader, writer, atomic = engines(url, foreign_keys=False)
    try:
        with atomic.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(7519)"))
            work(connection)
    finally:
        reader.dispose()
        writer.dispose()


def fault(connection: Connection) -> str | None:
    """What is wrong with the schema, and what to do; None if it is the one of this release."""
    version = None
    if inspect(connection).has_table(VERSION_TABLE):
        version = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    if version == REVISIONS[-1]:
        return None
    return BEHIND if version is None or version in REVISIONS else NEWER


def unreachable(settings: AuthSettings, error: SQLAlchemyError) -> str:
    """One sentence about a database that fails, without its password."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return f"{settings.database_name} does not answer: {reason}"


def prepare(settings: AuthSettings, ring: KeyRing) -> None:
    """Check schema and keys before the start; in development make what is missing."""
    reader, writer, atomic = engines(settings.database_url)
    development = settings.environment == "development"
    try:
        with reader.connect() as connection:
            problem = fault(connection)
        if problem == BEHIND and development:
            upgrade(settings.database_url)
        elif problem:
            cannot_start([f"DATABASE_URL: {problem}"])
        with atomic.begin() as connection:
            ring.load(connection)
            if not ring.known and development:
                keys.add(connection, ring, connection.scalar(select(now())))
                ring.load(connection)
    except SQLAlchemyError as error:
        cannot_start([f"DATABASE_URL: {unreachable(settings, error)}"])
    finally:
        reader.dispose()
        writer.dispose()
    if ring.signing is None:
        cannot_start([f"ISSUER_KEY_SECRET: {WRONG if ring.known else NO_KEY}"])
