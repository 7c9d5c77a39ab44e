"""The issuer's tables. Times have zones; credentials are kept only as digests, or encrypted."""

from uuid import uuid4

from sqlalchemy import Boolean, Column, ForeignKey, LargeBinary, MetaData, String, Table, Text, Uuid

from ..database import NAMING, UtcDateTime, now

metadata = MetaData(naming_convention=NAMING)

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True, default=uuid4),
    Column("sub", String(255), nullable=False, unique=True),  # in tokens, and in your own tables
    Column("email", String(254), nullable=False, unique=True),  # as `users.normal_email` gives it
    Column("email_verified", Boolean, nullable=False, default=False),
    Column("password_hash", Text),
    Column("role", String(20), nullable=False),
    Column("active", Boolean, nullable=False, default=True),
    Column("created_at", UtcDateTime, nullable=False, default=now()),
    Column("updated_at", UtcDateTime, nullable=False, default=now(), onupdate=now()),
)

# One row is one login. A refresh swaps the digest; the row stays until it is purged.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True, default=uuid4),  # `sid` in tokens and listings
    Column("handle", LargeBinary(16), nullable=False, unique=True),  # only in refresh tokens
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of the secret that is good now
    Column("previous", LargeBinary(32)),
    Column("salt", LargeBinary(32), nullable=False),
    Column("rotated_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),  # unless it is refreshed
    Column("ends_at", UtcDateTime, nullable=False),  # whatever happens
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("network", String(64), nullable=False),
    Column("client", String(200), nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(43), primary_key=True),
    Column("private_pem", Text, nullable=False),
    Column("signs_from", UtcDateTime, nullable=False, index=True),
    Column("verifies_until", UtcDateTime),  # null: it has no successor yet
)

one_time_links = Table(
    "one_time_links",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("context", String(10), nullable=False),  # reset, verify or change
    Column("sent_to", String(254), nullable=False),
    Column("new_email", String(254)),
    Column("expires_at", UtcDateTime, nullable=False),
)
