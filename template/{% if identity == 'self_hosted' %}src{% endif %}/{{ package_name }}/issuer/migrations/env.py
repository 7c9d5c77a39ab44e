"""Alembic's entry for the tables of the issuer; schema.py gives the connection and the rest."""

from alembic import context

context.configure(**context.config.attributes["options"])
with context.begin_transaction():
    context.run_migrations()
