"""API keys for callers that can get no token: `X-API-Key`, checked by the guard.

Read it in this order: models, store, check, migrate.
"""

from .check import ApiKeys

__all__ = ["ApiKeys"]
