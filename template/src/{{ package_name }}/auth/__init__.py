"""The one door to authentication; nothing outside this package knows who issues the tokens.

In a route, `Depends(auth0.require_auth())` requires any valid access token, and
`Depends(auth0.require_auth(scopes=Scope.READ_MESSAGES))` one with that scope. Both return the
token's `Claims`. Importing this package reads and fetches nothing.

Read it in the order of a request: `dependency`, `guard`, `token`, `keys`, `dpop` (unless DPoP is
off), `refusals`; then the parts that run at startup: `install`, `openapi`, `settings`.
"""

import warnings

with warnings.catch_warnings(record=True):
    # The SDK's own import warns of the end of authlib.jose, which its users can do nothing about.
    import fastapi_plugin  # noqa: F401

from .dependency import RequireAuth, auth0, require_auth
from .guard import Guard
from .install import around, docs, protect
from .keys import Fetch
from .refusals import Refused
from .settings import AuthSettings, load_settings
from .token import Claims

__all__ = [
    "AuthSettings",
    "Claims",
    "Fetch",
    "Guard",
    "Refused",
    "RequireAuth",
    "around",
    "auth0",
    "docs",
    "load_settings",
    "protect",
    "require_auth",
]
