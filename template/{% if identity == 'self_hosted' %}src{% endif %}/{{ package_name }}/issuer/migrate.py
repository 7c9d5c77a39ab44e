"""The issuer's schema, and the checks of schema and keys at startup."""

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from ..auth import AuthSettings
from ..auth.settings import cannot_start
from ..database import now
from ..schema import History, transaction
from ..units import reason
from . import keys
from .keys import KeyRing
from .models import metadata

HISTORY = History("issuer", metadata, "admin")
NO_KEY = "there is no signing key: uv run scripts/admin.py init EMAIL"
WRONG = "no key in the database opens with it; keys rewrap needs old and new, with a comma"


def unreachable(settings: AuthSettings, error: SQLAlchemyError) -> str:
    """Return one sentence about a failing database, without its password."""
    return f"{settings.database_name} does not answer: {reason(error)}"


def prepare(settings: AuthSettings, ring: KeyRing) -> None:
    """Check schema and keys before the start; in development, make missing ones."""
    development = settings.environment == "development"
    try:
        with transaction(settings.database_url) as connection:
            problem = HISTORY.fault(connection)
        if problem == HISTORY.behind and development:
            HISTORY.upgrade(settings.database_url)
        elif problem:
            cannot_start([f"DATABASE_URL: {problem}"])
        with transaction(settings.database_url, lock=development) as connection:
            ring.load(connection)
            if not ring.known and development:
                keys.add(connection, ring, connection.scalar(select(now())))
                ring.load(connection)
    except SQLAlchemyError as error:
        cannot_start([f"DATABASE_URL: {unreachable(settings, error)}"])
    if ring.signing is None:
        cannot_start([f"ISSUER_KEY_SECRET: {WRONG if ring.known else NO_KEY}"])
