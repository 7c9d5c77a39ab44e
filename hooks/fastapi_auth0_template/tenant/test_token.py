"""Gets machine tokens by client credentials; caches test tokens, because Auth0 counts them."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..model import COMMAND, Patience
from ..problems import BadAnswer, CredentialsMissing, EnvFault, Forbidden, Problem, Unauthorized
from ..project import write_private
from ..text import printable, protect
from . import http

UNGRANTED = (
    f"Declare the scope in scopes.py and auth0/tenant.yaml, then run `{COMMAND} setup --test-app`."
)
REFUSED = (
    f"Run `{COMMAND} setup --test-app`; if the secret was rotated, delete"
    " AUTH0_TEST_CLIENT_SECRET from .env first."
)


@dataclass(frozen=True)
class Client:
    """A client that asks for a token: where, and for which API."""

    domain: str
    client_id: str
    secret: str
    audience: str
    scopes: tuple[str, ...] = ()


def credential(environ: Mapping[str, str], name: str) -> str:
    """Return a secret from the environment, without the spaces that pasting leaves around it."""
    value = environ.get(name, "").strip()
    protect(value)
    if not value.isascii() or any(char.isspace() or not char.isprintable() for char in value):
        raise CredentialsMissing(
            f"{name} has a space, a line break or a character that no secret has",
            "Copy it again, complete and nothing else.",
        )
    return value


def client_credentials(client: Client, patience: Patience, remedy: str) -> tuple[str, float]:
    """Return a token for the client, and the time when it expires.

    `remedy` says what to do when Auth0 refuses the client.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": client.secret,
        "audience": client.audience,
    }
    if client.scopes:
        form["scope"] = " ".join(client.scopes)
    protect(client.secret)
    try:
        body = http.post_form(f"https://{client.domain}/oauth/token", form, patience).body
    except Problem as problem:
        if client.scopes and "scope" in problem.message:
            raise type(problem)(problem.message, UNGRANTED) from None
        if isinstance(problem, Unauthorized | Forbidden):
            raise type(problem)(problem.message, remedy) from None
        raise
    # No scope in the answer means: as requested (RFC 6749 5.1).
    granted = str(body.get("scope", " ".join(client.scopes))).split()
    if missing := [scope for scope in client.scopes if scope not in granted]:
        words = printable(", ".join(missing))
        raise Forbidden(f"the application is not granted {words}", UNGRANTED)
    token, lifetime = body.get("access_token"), body.get("expires_in", 0)
    if not isinstance(token, str) or not token or not isinstance(lifetime, int | float):
        raise BadAnswer(f"{client.domain} sent no access token", "Run it again.")
    protect(token)
    return token, time.time() + lifetime


def cached_token(
    client: Client, patience: Patience, *, declared: Sequence[str] = (), fresh: bool = False
) -> str:
    """Return a test token that lives for at least another minute.

    The cache is outside the project and readable by its owner only. Its key covers everything that
    shaped the token, including the secret and the `declared` scopes, so that a change of these gets
    a new token.
    """
    scopes, names = sorted(set(client.scopes)), sorted(declared)
    who = [client.domain, client.client_id, client.secret, client.audience]
    key = json.dumps([*who, scopes, names])
    folder = cache_folder()
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json" if folder else None
    if path and not fresh:
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["expires_at"] > time.time() + 60 and isinstance(kept["access_token"], str):
                return str(kept["access_token"])
    token, expires_at = client_credentials(client, patience, REFUSED)
    if path:
        # A cache that cannot be written only costs another token next time.
        with suppress(OSError, EnvFault):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = json.dumps({"access_token": token, "expires_at": expires_at})
            write_private(path, content.encode())
    return token


def cache_folder() -> Path | None:
    """Return the platform's folder for caches, or None without a home."""
    name = "fastapi-auth0-template"
    with suppress(RuntimeError):
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return (Path(local) if local else Path.home() / "AppData" / "Local") / name / "Cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / name
        base = os.environ.get("XDG_CACHE_HOME", "")
        return (Path(base) if base.startswith("/") else Path.home() / ".cache") / name
    return None
