"""The table of API keys. It holds only a digest of each key."""

from uuid import uuid4

from sqlalchemy import JSON, Column, LargeBinary, MetaData, String, Table, Uuid

from ..database import NAMING, UtcDateTime

metadata = MetaData(naming_convention=NAMING)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True, default=uuid4),  # `key|<id>` is the subject of a key
    Column("prefix", String(12), nullable=False, unique=True),  # how a key begins, to name it by
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of the 32 random bytes behind it
    Column("name", String(100), nullable=False),
    Column("owner_sub", String(255), index=True),  # a key without an owner is a machine's own
    Column("scopes", JSON, nullable=False),
    Column("expires_at", UtcDateTime),  # null: never
    Column("last_used_at", UtcDateTime),  # to the minute
    Column("revoked_at", UtcDateTime),
)
