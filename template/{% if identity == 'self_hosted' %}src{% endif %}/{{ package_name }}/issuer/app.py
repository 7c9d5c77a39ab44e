"""The issuer of one application: the interface for main.py, and the state that routes share."""

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException

from ..auth import AuthSettings, around
from ..auth.refusals import warn
from ..units import Database, Lifespan
from . import sessions, users
from .answers import Events, Tokens
from .keys import KeyRing
from .limits import Limits
from .migrate import prepare
from .passwords import Gate, floor, problem
from .roles import scopes_of
from .sessions import Verified

if TYPE_CHECKING:
    from .mail import Mail

RELOAD = 60.0  # seconds after which the signing key is looked up again
NIST = 15  # SP 800-63B, 3.1.1.2: characters of a password without a second factor
SHORT = "PASSWORD_MIN_LENGTH is {}; NIST asks for {} without a second factor"
log = logging.getLogger(__name__)
Json = dict[str, Any]


class Issuer:
    """Issues the tokens of this API. A fault stops the start, with exit code 2."""

    def __init__(self, settings: AuthSettings) -> None:
        self.settings = settings
        if settings.password_min_length < NIST:
            warn(log, SHORT.format(settings.password_min_length, NIST))
        self.ring = KeyRing(settings.issuer_key_secret)
        prepare(settings, self.ring)
        self.database = Database(settings.database_url)
        self.gate = Gate(settings.hash_concurrency)
        self.limits = Limits(settings.redis_url)
        self.events = Events(log)
        self.mail: Mail | None = None
        if settings.smtp_url and settings.mail_from:
            from . import mail  # a start without mail is faster without its library

            self.mail = mail.Mail(settings.smtp_url, settings.mail_from)
        self.loaded = 0.0
        idle, longest = settings.refresh_idle_days, settings.refresh_max_days
        self.lives = sessions.Lives(timedelta(days=idle), timedelta(days=longest))

    # -------------------------------------------------------------------------------- for main.py

    async def fetch(self, url: str) -> Json:
        """Return metadata and keys to the guard, in place of its HTTP client."""
        if url.endswith("/jwks.json"):
            return await self.jwks()
        return self.metadata()

    def install(self, app: FastAPI) -> None:
        """Add the routes and the database."""
        from . import admin_routes, link_routes, me_routes, token_routes  # they import this
        from .current import declare_users
        from .routing import StrictTransport

        app.state.issuer = self
        self.database.install(app)
        declare_users(app)
        for module in (token_routes, link_routes, me_routes, admin_routes):
            app.include_router(module.router)
        if self.settings.environment == "production":
            around(app, StrictTransport)

    def around(self, inner: Lifespan) -> Lifespan:
        """Wrap a lifespan; close threads and connections after it."""
        return self.database.around(inner, self.gate.close)

    # ------------------------------------------------------------------------------ for the routes

    def metadata(self) -> Json:
        """Return the metadata (OpenID Connect Discovery 3); its URLs never come from a request."""
        url = self.settings.auth_issuer
        return {
            "issuer": url,
            "jwks_uri": f"{url}.well-known/jwks.json",
            "token_endpoint": f"{url}auth/token",
            "revocation_endpoint": f"{url}auth/revoke",
            "grant_types_supported": self.settings.grant_types,
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["none"],
        }

    async def jwks(self) -> Json:
        """Return the public keys, read from the database."""
        jwks = await self.database.read(self.ring.load)
        self.loaded = time.monotonic()
        return jwks

    async def verify(self, email: str, password: str, network: str) -> Verified | None:
        """Check a password behind limits and gate; raise 429 or 503 if it has to wait.

        A failure takes FLOOR, whatever its cause. Limits are tested before the queue, to keep it
        short, and again inside the gate, so that parallel guesses do not slip through together.
        """

        async def known_network() -> bool:
            return await self.database.read(lambda c: sessions.known_network(c, email, network))

        async def check() -> None:
            try:
                await self.limits.check(email, network, known_network)
            except HTTPException:
                self.events("login_limited", email=email, network=network)
                raise

        await check()
        async with self.gate.enter() as entered:
            await check()
            await self.limits.attempt(email, network)
            row = await self.database.read(lambda c: users.by_email(c, email))
            good, better = await self.gate.verify(password, row.password_hash if row else None)
        if row and good and row.active:
            await self.limits.succeeded(email, network)
            return Verified(row, better)
        reason = "unknown" if row is None else "inactive" if good else "password"
        self.events("login_failed", reason=reason, email=email, network=network)
        await self.limits.network_failed("login", network)
        await floor(entered)
        return None

    def password_problem(self, password: str, email: str) -> str | None:
        """Return why a new password is refused, or None."""
        return problem(password, self.settings.password_min_length, email)

    async def send(self, email: str, context: str, token: str) -> None:
        """Deliver a one-time link, after the answer. Without mail, log it."""
        link = f"{self.settings.link_url or self.settings.auth_issuer}#token={token}"
        if self.mail:
            await self.mail.link(email, context, link)
        elif self.delivers:
            warn(log, f"{context} link for {email}: {link}")

    async def note(self, email: str, about: str) -> None:
        """Tell the owner of an account what somebody is doing with its address."""
        if self.mail:
            await self.mail.note(email, about)

    @property
    def delivers(self) -> bool:
        """Return whether links can reach anybody."""
        return self.mail is not None or self.settings.environment == "development"

    async def tokens(self, granted: sessions.Granted) -> Tokens:
        """Sign an access token for a session, which it never outlives."""
        if time.monotonic() - self.loaded > RELOAD:
            await self.jwks()
        left = int((granted.ends_at - granted.now).total_seconds())
        life = max(1, min(self.settings.access_token_seconds, left))
        scopes = sorted(scopes_of(granted.role))
        issued = int(time.time())
        claims = {
            "iss": self.settings.auth_issuer,
            "aud": self.settings.auth_audience,
            "sub": granted.sub,
            "iat": issued,
            "exp": issued + life,
            "jti": uuid4().hex,
            "client_id": "first-party",
            "sid": str(granted.sid),
            "scope": " ".join(scopes),
            "permissions": scopes,
        }
        return Tokens(
            access_token=self.ring.sign(claims),
            expires_in=life,
            refresh_token=granted.refresh_token,
            scope=" ".join(scopes),
        )
