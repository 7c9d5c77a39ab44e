"""The one door to authentication; outside of this package nothing knows who issues the tokens.

In a route: `Depends(auth0.require_auth())` asks for any valid access token, and
`Depends(auth0.require_auth(scopes=Scope.READ_MESSAGES))` for one that carries the scope; both give
the `Claims` of the token. Nothing is read or fetched on import.
"""

import warnings

with warnings.catch_warnings(record=True):
    # The SDK's own import announces the end of authlib.jose, to people who can do nothing about it.
    import fastapi_plugin  # noqa: F401

from .guard import Guard, auth0
from .keys import Fetch
from .settings import AuthSettings, load_settings
from .tokens import Claims

__all__ = ["AuthSettings", "Claims", "Fetch", "Guard", "auth0", "load_settings"]
