"""The tenant's public endpoints over HTTPS: each call has an end, each failure a class.

The client is httpx, built the way the API builds its own: the environment's proxies and
certificates have the same effect here as on the API.
"""

import json
import os
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..model import Json, Patience
from ..problems import (
    BadAnswer,
    Conflict,
    Forbidden,
    InvalidRequest,
    LackingScopes,
    MissingSetting,
    NetworkFault,
    NotFound,
    NotVerified,
    Problem,
    RateLimited,
    ServerFault,
    TimedOut,
    TlsFault,
    Unauthorized,
)
from ..text import printable

if TYPE_CHECKING:
    import httpx

LIMIT = 1 << 20  # bytes of an answer; a discovery document has a few thousand
PATIENT_AFTER = 4.0  # seconds of silence before the user hears what it is waiting for
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
STATUS: Mapping[int, type[Problem]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
}
Result = TypeVar("Result")


def within(patience: Patience, what: str, call: Callable[[], Result]) -> Result:
    """Return the result of the call, or raise TimedOut, even if nothing can stop it, as in DNS.

    When its time is up, the call goes on in a daemon thread; the process ends without it.
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
        raise TimedOut(what, patience.seconds)
    return outcome[0]()


# ------------------------------------------------------------------------------------ the failures


def http_problem(status: int, body: Json, headers: Mapping[str, str] | None = None) -> Problem:
    """Return what an error response from Auth0 means, and what to do about it."""
    error_code = str(body.get("errorCode") or body.get("error") or "")
    text = printable(str(body.get("message") or body.get("error_description") or error_code))
    message = f"Auth0 answered {status}" + (f": {text}" if text else "")
    if status == 403 and (
        error_code == "insufficient_scope" or "insufficient scope" in text.lower()
    ):
        return LackingScopes(text, message)
    if status == 429:
        reset = {key.lower(): value for key, value in (headers or {}).items()}
        wait = _seconds_until(reset.get("x-ratelimit-reset", "")) or 1.0
        return RateLimited(message, wait=wait)
    return STATUS.get(status, ServerFault)(message)


def network_problem(host: str, error: BaseException, patience: Patience) -> Problem:
    """Tell DNS, TLS, refusal and silence apart; a library's own text may quote a secret."""
    causes = _causes(error)
    if any(
        isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in causes
    ):
        return TimedOut(host, patience.seconds)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = printable(cause.verify_message)
            return TlsFault(f"the certificate of {host} is not trusted: {reason}")
        if isinstance(cause, ssl.SSLError):
            reason = printable(str(cause.reason))
            return TlsFault(f"no TLS with {host}: {reason}", "Check the domain.")
        if isinstance(cause, socket.gaierror):
            return NetworkFault(
                f"there is no host {host} (or no DNS here)",
                "Check the spelling of the domain (AUTH0_DOMAIN), and the network.",
            )
    reasons = (cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror)
    reason = printable(next(reasons, type(error).__name__))
    return NetworkFault(f"{host} cannot be reached: {reason}")


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and its causes, innermost first."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause and cause not in causes:
        causes.insert(0, cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def environment_fault(environ: Mapping[str, str], proxy: str, error: Exception) -> Problem:
    """Name the environment variable that keeps an HTTP client from being built."""
    if isinstance(error, OSError):  # ssl.SSLError is one
        files = {name: environ[name] for name in CERTIFICATES if environ.get(name)}
        missing = {name: path for name, path in files.items() if not Path(path).exists()}
        listed = [f"{name}={path}" for name, path in (missing or files).items()]
        named = " or ".join(listed) or "the certificates of this machine"
        return MissingSetting(
            f"{named}: {printable(error.strerror or 'no certificates (PEM)')}",
            "Correct it, or unset it.",
        )
    if isinstance(error, ImportError):
        return MissingSetting(
            f"{proxy} names a SOCKS proxy, which the API cannot use either",
            f"Unset {proxy}, or name an http:// proxy.",
        )
    return MissingSetting(
        f"{proxy or 'the proxy'} is not a URL", "Type one, such as http://proxy.example.com:3128"
    )


# ------------------------------------------------------------------------------------------- HTTPS


@dataclass(frozen=True)
class Answer:
    """A JSON response, and how far the tenant's clock is ahead of ours, in seconds."""

    body: Json
    ahead: float | None = None


def client(host: str, patience: Patience) -> "httpx.Client":
    """Return an HTTP client like the API's; name a variable that breaks it.

    httpx cannot read a NO_PROXY with an IPv6 network, so the standard library does.
    """
    from urllib.request import getproxies, proxy_bypass

    import httpx

    proxies = getproxies()
    name = next((name for name in ("https", "all") if proxies.get(name)), "")
    proxy = proxies.get(name, "")
    try:
        return httpx.Client(
            timeout=patience.seconds,
            verify=httpx.create_ssl_context(),
            proxy=f"http://{proxy}" if proxy and "://" not in proxy else proxy or None,
            mounts={f"https://{host}": None} if proxy_bypass(host) else None,
            trust_env=False,
        )
    except (OSError, ImportError, ValueError, httpx.InvalidURL) as error:
        named = f"{name.upper()}_PROXY" if proxy else ""
        raise environment_fault(os.environ, named, error) from None


def get_json(url: str, patience: Patience) -> Answer:
    """Return the JSON object at the URL."""
    return _call("GET", url, patience)


def post_form(url: str, form: Mapping[str, str], patience: Patience) -> Answer:
    """Post a form and return the JSON response; the form never shows in a message."""
    return _call("POST", url, patience, form)


def discovery(domain: str, patience: Patience) -> Answer:
    """Return the OpenID Connect configuration of the tenant."""
    return get_json(f"https://{domain}/.well-known/openid-configuration", patience)


def verify_tenant(domain: str, patience: Patience) -> None:
    """Check that the domain is a tenant whose issuer is the one that the API expects."""
    issuer = discovery(domain, patience).body.get("issuer")
    if issuer != f"https://{domain}/":
        raise NotVerified(
            f"https://{domain} says that its issuer is {printable(str(issuer))}",
            f"AUTH0_DOMAIN must be the host of the issuer: expected https://{domain}/",
        )


def _call(
    method: str, url: str, patience: Patience, form: Mapping[str, str] | None = None
) -> Answer:
    import httpx

    host = urllib.parse.urlsplit(url).netloc
    if not url.startswith("https://"):
        raise TlsFault(f"{url} is not https", "Use https.")

    def exchange() -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Accept": "application/json"}
        # No redirects: a tenant sends none, and a secret must not follow one.
        with (
            client(host, patience) as http,
            http.stream(method, url, data=form, headers=headers, follow_redirects=False) as answer,
        ):
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > LIMIT:
                    break
            return answer.status_code, dict(answer.headers), content

    try:
        status, headers, content = within(patience, host, exchange)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise network_problem(host, error, patience) from None
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if status >= 300:
        raise http_problem(status, body if isinstance(body, dict) else {}, headers)
    if not isinstance(body, dict):
        raise BadAnswer(f"{host} answered with something that is not a JSON object")
    return Answer(body, _ahead(headers.get("date", "")))


def _ahead(date: str) -> float | None:
    from email.utils import parsedate_to_datetime

    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(date).timestamp() - time.time()
    return None


def _seconds_until(timestamp: str) -> float:
    with suppress(ValueError):
        return max(0.0, float(timestamp) - time.time())
    return 0.0
