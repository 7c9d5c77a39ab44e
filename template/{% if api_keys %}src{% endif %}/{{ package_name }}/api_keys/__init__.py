"""API keys for callers that cannot get a token: `X-API-Key`, checked by the guard.

Read it in this order: models, store, check, migrate.
"""

from .check import ApiKeys, PrivateAnswers

__all__ = ["ApiKeys", "PrivateAnswers"]
