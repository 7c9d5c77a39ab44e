"""The tenant's public endpoints over HTTPS, each call with an end; test tokens and their cache."""

import hashlib
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

from . import Json, Patience, Problem, lacking_scopes
from .project import write_private

LIMIT = 1 << 20  # bytes of an answer; a discovery document has some thousand
PATIENT_AFTER = 4.0  # seconds of silence before the user is told what is waited for
REFUSED = (
    "Run `uv run scripts/tenant.py setup --test-app`; if the secret was rotated, delete"
    " AUTH0_TEST_CLIENT_SECRET from .env first."
)
UNGRANTED = (
    "Declare the scope in scopes.py and auth0/tenant.yaml, then run"
    " `uv run scripts/tenant.py setup --test-app`."
)
Result = TypeVar("Result")


def within(patience: Patience, what: str, call: Callable[[], Result]) -> Result:
    """The result of the call, or Problem("timeout"): also where the library cannot stop, as in DNS.

    The call goes on in a daemon thread when its time is up; the process ends without it.
    """
    outcome: list[Callable[[], Result]] = []
    done = threading.Event()

    def work() -> None:
        try:
            result = call()
            outcome.append(lambda: result)
        except BaseException as error:
            failure = error

            def fail() -> Result:
                raise failure

            outcome.append(fail)
        done.set()

    threading.Thread(target=work, daemon=True).start()
    started, told = time.monotonic(), False
    while not done.wait(0.2):  # in slices: on Windows a wait cannot be interrupted
        waited = time.monotonic() - started
        if waited > patience.seconds:
            break
        if waited > PATIENT_AFTER and not told:
            told = True
            patience.tell(f"Still waiting for {what} (at most {patience.seconds:g} s) ...")
    if not outcome:
        raise timed_out(what, patience)
    return outcome[0]()


def timed_out(what: str, patience: Patience) -> Problem:
    return Problem(
        "timeout",
        f"no answer from {what} within {patience.seconds:g} s",
        "Check the network, then run the command again; --timeout SECONDS waits longer.",
    )


def http_problem(status: int, body: Json, headers: Mapping[str, str] | None = None) -> Problem:
    """What an error answer of Auth0 means, and what to do about it."""
    error_code = str(body.get("errorCode") or body.get("error") or "")
    text = printable(str(body.get("message") or body.get("error_description") or error_code))
    message = f"Auth0 answered {status}" + (f": {text}" if text else "")
    if status == 403 and (
        error_code == "insufficient_scope" or "insufficient scope" in text.lower()
    ):
        return lacking_scopes(text, message)
    if status == 429:
        reset = {key.lower(): value for key, value in (headers or {}).items()}
        wait = _seconds_until(reset.get("x-ratelimit-reset", "")) or 1.0
        return Problem("rate_limited", message, "Wait a minute, then run it again.", wait=wait)
    code, next_step = {
        400: ("invalid_request", "Put right what it names (auth0/tenant.yaml), then run it again."),
        401: ("unauthorized", "Log in again (auth0 login), or renew the credentials."),
        403: ("forbidden", "Ask an administrator of the tenant for access."),
        404: ("not_found", "Run it again: what it asked for was removed meanwhile."),
        409: ("conflict", "Run it again: it reads the tenant first and goes on from there."),
    }.get(status, ("server", "Run it again in a minute; see https://status.auth0.com"))
    return Problem(code, message, next_step)


def printable(text: str, limit: int = 300) -> str:
    """Text from outside on one line, without control characters, at a sane length."""
    text = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b.", "", text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


# ------------------------------------------------------------------------------------------- HTTPS


@dataclass(frozen=True)
class Answer:
    """A JSON answer, and how far the tenant's clock is ahead of ours, in seconds."""

    body: Json
    ahead: float | None = None


def get_json(url: str, patience: Patience) -> Answer:
    """The JSON object at the URL."""
    return _call(urllib.request.Request(url, headers={"Accept": "application/json"}), patience)  # noqa: S310


def post_form(url: str, form: Mapping[str, str], patience: Patience) -> Answer:
    """The JSON answer to a form; the form never shows in a message."""
    data = urllib.parse.urlencode(form).encode()
    return _call(urllib.request.Request(url, data=data), patience)  # noqa: S310


def discovery(domain: str, patience: Patience) -> Answer:
    """The OpenID Connect configuration of the tenant."""
    return get_json(f"https://{domain}/.well-known/openid-configuration", patience)


def verify_tenant(domain: str, patience: Patience) -> None:
    """The domain is a tenant as the API expects it: discovery answers, and the issuer fits."""
    issuer = discovery(domain, patience).body.get("issuer")
    if issuer != f"https://{domain}/":
        raise Problem(
            "verify",
            f"https://{domain} says that its issuer is {printable(str(issuer))}",
            f"AUTH0_DOMAIN must be the host of the issuer: expected https://{domain}/",
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A tenant does not redirect; a secret must not follow one."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _call(request: urllib.request.Request, patience: Patience) -> Answer:
    host = request.host
    if not request.full_url.startswith("https://"):
        raise Problem("tls", f"{request.full_url} is not https", "Use https.")

    def exchange() -> tuple[int, Mapping[str, str], bytes]:
        handler = urllib.request.HTTPSHandler(context=_trust())
        opener = urllib.request.build_opener(handler, _NoRedirect)
        try:
            with opener.open(request, timeout=patience.seconds) as answer:
                return answer.status, dict(answer.headers), answer.read(LIMIT)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read(LIMIT)

    try:
        status, headers, content = within(patience, host, exchange)
    except (OSError, ValueError, EOFError) as error:
        raise network_problem(host, error, patience) from None
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if status >= 300:
        raise http_problem(status, body if isinstance(body, dict) else {}, headers)
    if not isinstance(body, dict):
        raise Problem(
            "bad_answer",
            f"{host} answered with something that is not a JSON object",
            "Check that it is the domain of an Auth0 tenant, and that no proxy answers for it.",
        )
    return Answer(body, _ahead(headers.get("Date", "")))


def _trust() -> ssl.SSLContext:
    """The certificates that the API's own HTTP client trusts, and those of the system."""
    context = ssl.create_default_context()  # reads SSL_CERT_FILE and SSL_CERT_DIR
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        with suppress(ImportError):
            import certifi

            context.load_verify_locations(certifi.where())
    return context


def network_problem(host: str, error: BaseException, patience: Patience) -> Problem:
    """DNS, TLS, refusal or silence, told apart."""
    cause: object = error
    while isinstance(cause, urllib.error.URLError) and isinstance(cause.reason, BaseException):
        cause = cause.reason
    if isinstance(cause, TimeoutError):
        return timed_out(host, patience)
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = printable(cause.verify_message)
        return Problem(
            "tls",
            f"the certificate of {host} is not trusted: {reason}",
            "Behind a company proxy, set SSL_CERT_FILE to its certificates (PEM).",
        )
    if isinstance(cause, ssl.SSLError):
        return Problem(
            "tls", f"no TLS with {host}: {printable(str(cause.reason))}", "Check the domain."
        )
    if isinstance(cause, socket.gaierror):
        return Problem(
            "network",
            f"there is no host {host} (or no DNS here)",
            "Check the spelling of the domain (AUTH0_DOMAIN), and the network.",
        )
    reason = printable(str(getattr(cause, "strerror", None) or cause))
    return Problem(
        "network", f"{host} cannot be reached: {reason}", "Check the network, then run it again."
    )


def _ahead(date: str) -> float | None:
    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(date).timestamp() - time.time()
    return None


def _seconds_until(timestamp: str) -> float:
    with suppress(ValueError):
        return max(0.0, float(timestamp) - time.time())
    return 0.0


# ------------------------------------------------------------------------------------------ tokens


def client_credentials(
    domain: str,
    client: tuple[str, str],
    audience: str,
    scopes: Sequence[str],
    patience: Patience,
    remedy: str,
) -> tuple[str, float]:
    """A token for the client (id, secret), and the time at which it expires.

    `remedy` says what to do when Auth0 refuses the client.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": client[0],
        "client_secret": client[1],
        "audience": audience,
    }
    if scopes:
        form["scope"] = " ".join(scopes)
    try:
        body = post_form(f"https://{domain}/oauth/token", form, patience).body
    except Problem as problem:
        if scopes and "scope" in problem.message:
            raise Problem(problem.code, problem.message, UNGRANTED) from None
        if problem.code in ("unauthorized", "forbidden"):
            raise Problem(problem.code, problem.message, remedy) from None
        raise
    granted = str(body.get("scope", " ".join(scopes))).split()  # absent: as asked (RFC 6749 5.1)
    if missing := [scope for scope in scopes if scope not in granted]:
        words = printable(", ".join(missing))
        raise Problem("forbidden", f"the application is not granted {words}", UNGRANTED)
    token, lifetime = body.get("access_token"), body.get("expires_in", 0)
    if not isinstance(token, str) or not token or not isinstance(lifetime, int | float):
        raise Problem("bad_answer", f"{domain} sent no access token", "Run it again.")
    return token, time.time() + lifetime


def cached_token(
    domain: str,
    client: tuple[str, str],
    audience: str,
    scopes: Sequence[str],
    patience: Patience,
    *,
    declared: Sequence[str] = (),
    fresh: bool = False,
) -> str:
    """A test token that lives for another minute at least; kept, since Auth0 counts them.

    The cache lies outside the project and is readable by its owner only; it is keyed by everything
    that shaped the token, also the secret and the `declared` scopes: after a change of these it
    asks anew.
    """
    key = json.dumps([domain, *client, audience, sorted(set(scopes)), sorted(declared)])
    folder = cache_folder()
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json" if folder else None
    if path and not fresh:
        with suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["expires_at"] > time.time() + 60 and isinstance(kept["access_token"], str):
                return str(kept["access_token"])
    token, expires_at = client_credentials(domain, client, audience, scopes, patience, REFUSED)
    if path:
        # A cache that cannot be written costs a token next time, nothing else.
        with suppress(OSError, Problem):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = json.dumps({"access_token": token, "expires_at": expires_at})
            write_private(path, content.encode())
    return token


def cache_folder() -> Path | None:
    """The folder for caches that the platform has, or None without a home."""
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
