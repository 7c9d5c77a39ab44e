"""Interprets the output of the auth0 executable.

Before 1.32 it prints an HTTP error as a result with exit code 0; after 1.33 an error may be one
line of JSON, whose `code` is a stable class. Only JSON of the expected shape counts as an answer.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from ..model import Json, Patience
from ..problems import (
    BadAnswer,
    CliTooOld,
    ConfigCorrupt,
    CredentialsMissing,
    Interrupted,
    KeyringUnreadable,
    LackingScopes,
    LoginOutdated,
    MachineLoginExpired,
    NetworkFault,
    NotLoggedIn,
    Problem,
    ServerFault,
    SessionExpired,
    TimedOut,
    TlsFault,
    TokenCorrupt,
    Unauthorized,
    UnknownTenant,
)
from ..text import printable
from .http import http_problem
from .process import LOGIN_STARTS, Output

FLOOR = (1, 17, 0)
RECOMMENDED = (1, 31, 0)
ENV_MODE = (1, 37, 0)  # the first release with --via env
AGAIN = "Run it again; if it stays, try --via api, or update the Auth0 CLI."
LACKS = "the login lacks a Management API scope"


def result(output: Output, patience: Patience, domain: str, *, silent: bool = False) -> Any:
    """Return the JSON that the executable printed, or raise the Problem that its output reports.

    `silent`: no output at all is a valid answer too.
    """
    if output.login:
        expired = re.search(r"session has expired|failed to renew", output.stderr, re.IGNORECASE)
        raise _expired(domain) if expired else _outdated(domain)
    if output.code is None:
        likely = ": the tenant is limiting requests, or the keyring is locked"
        raise TimedOut("the Auth0 CLI", patience.seconds, likely)
    if output.code == 130:
        raise Interrupted("the Auth0 CLI was interrupted", "Run it again.")
    answer = _json(output.stdout)
    if isinstance(answer, dict) and isinstance(answer.get("statusCode"), int):
        raise http_problem(answer["statusCode"], answer)
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        raise _envelope(answer["error"], domain)
    if output.code == 0 and (answer is not None or (silent and not output.stdout.strip())):
        return answer
    raise _classified(output, domain)


def _json(text: str) -> Any:
    try:
        return json.loads(re.sub(r"\x1b\[[0-9;]*m", "", text))
    except (ValueError, RecursionError):
        return None


def _classified(output: Output, domain: str) -> Problem:
    for line in output.stderr.splitlines():
        envelope = _json(line) if line.lstrip().startswith('{"error"') else None
        if isinstance(envelope, dict) and isinstance(envelope.get("error"), dict):
            return _envelope(envelope["error"], domain)
    text = printable(output.stderr, 1000)
    text = re.sub(r"^=== .*? error ", "", text).replace("\u25b8", " ").strip()
    for code, pattern in PATTERNS:
        match = re.search(pattern, text, re.IGNORECASE)
        if match:
            return _by_pattern(code, text, match, domain)
    if "something went wrong" in output.stdout.lower():
        return BadAnswer("the Auth0 CLI crashed", AGAIN)
    silence = "it printed no JSON" if output.code == 0 else f"exit code {output.code}"
    words = printable(text) or silence
    return BadAnswer(f"the Auth0 CLI failed: {words}", AGAIN)


# ------------------------------------------------------------------- the states of a login, by name


def _expired(domain: str) -> Problem:
    return SessionExpired(f"the login to {domain} has expired")


def _outdated(domain: str) -> Problem:
    return LoginOutdated(
        f"the login to {domain} is out of date: this auth0 version wants a new one"
    )


def _unknown_tenant(domain: str) -> Problem:
    return UnknownTenant(f"the Auth0 CLI is not logged in to {domain}")


def _too_old(domain: str) -> Problem:
    floor = ".".join(map(str, FLOOR))
    return CliTooOld(f"this version of the Auth0 CLI is too old (at least {floor} is needed)")


def _network(domain: str) -> Problem:
    return NetworkFault(f"the Auth0 CLI cannot reach {domain or 'Auth0'}")


STATES: dict[str, Callable[[str], Problem]] = {
    "not_logged_in": lambda domain: NotLoggedIn("not logged in to Auth0"),
    "session_expired": _expired,
    "login_hijack": _outdated,
    "unknown_tenant": _unknown_tenant,
    "config_corrupt": lambda domain: ConfigCorrupt(
        "the Auth0 CLI cannot read its own configuration (~/.config/auth0/config.json)"
    ),
    "token_corrupt": lambda domain: TokenCorrupt(
        f"the stored login to {domain} is corrupt",
        f"Run `auth0 logout {domain}`, then `auth0 login`.",
    ),
    "machine_reauth": lambda domain: MachineLoginExpired(
        f"the machine login to {domain} has expired and cannot be renewed"
    ),
    "keyring": lambda domain: KeyringUnreadable(
        f"the Auth0 CLI cannot read its login to {domain}: the keyring is out of reach"
    ),
    "env_incomplete": lambda domain: CredentialsMissing(
        "--via env needs AUTH0_DOMAIN with AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET"
    ),
    "env_tenant": lambda domain: UnknownTenant(
        f"the Auth0 CLI refuses {domain}: AUTH0_DOMAIN names another tenant",
        "Set AUTH0_DOMAIN to the tenant's own domain, without --tenant.",
    ),
    "env_refused": lambda domain: Unauthorized(
        f"{domain} gave the Auth0 CLI no token for these credentials",
        "Check AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET.",
    ),
    "cli_too_old": _too_old,
    "tls": lambda domain: TlsFault(f"the Auth0 CLI does not trust the certificate of {domain}"),
    "network": _network,
}
# The first match counts.
PATTERNS = (
    ("not_logged_in", r"config\.json file is missing|not logged in\. try `auth0 login`"),
    ("config_corrupt", r"failed to load tenants: (unexpected end of json|invalid character)"),
    ("config_corrupt", r"^(unexpected end of json input|invalid character .* looking for)"),
    ("unknown_tenant", r"failed to find tenant:"),
    ("env_tenant", r"--tenant .* conflicts with AUTH0_DOMAIN|must be a bare tenant domain"),
    ("env_incomplete", r"AUTH0_CLI_AUTH_MODE=env requires"),
    ("env_refused", r"failed to obtain an access token from AUTH0_CLIENT_ID"),
    ("session_expired", r"auth token expired and --no-input|user login session has expired"),
    ("session_expired", r"failed to renew access token"),
    ("login_hijack", LOGIN_STARTS.pattern),
    ("machine_reauth", r"failed to fetch access token using client credentials"),
    ("token_corrupt", r"authentication token is corrupted"),
    ("scopes", r"access token lacks scope: [\w:]+"),
    ("scopes", r"insufficient scope, expected any of: [\w:, ]+|insufficient_scope"),
    ("cli_too_old", r"unknown (command|flag|shorthand flag)"),
    ("http", r"(?<![:.\d])\b(4\d\d|5\d\d)(?::| [A-Z][\w ]*:)"),  # not the port in 192.0.2.1:443:
    ("tls", r"x509: |tls: "),
    ("network", r"dial tcp|no such host|connection (refused|reset)|(i/o|handshake) timeout|EOF\b"),
)


def _by_pattern(code: str, text: str, match: "re.Match[str]", domain: str) -> Problem:
    if code == "http":
        status = int(match[1])
        body = re.search(r"\{.*\}", text)
        parsed = _json(body[0]) if body else None
        fallback = {"message": text[match.end() :].strip(" .")}
        return http_problem(status, parsed if isinstance(parsed, dict) else fallback)
    if code == "scopes":
        return LackingScopes(match[0], LACKS)
    return STATES[code](domain)


# ------------------------------------------------------------------------------- an error as JSON

REASONS = {  # `reason` is open-ended: only those that say more than the class
    "not_logged_in": "not_logged_in",
    "session_expired": "session_expired",
    "token_malformed": "token_corrupt",
    "credentials_refresh_failed": "machine_reauth",
    "stored_token_unavailable": "keyring",
    "env_auth_incomplete": "env_incomplete",
    "env_auth_invalid_domain": "env_tenant",
    "env_auth_tenant_conflict": "env_tenant",
    "env_auth_exchange_failed": "env_refused",
}
CLASSES = {"auth": 401, "validation": 400, "not_found": 404, "conflict": 409, "rate_limit": 429}


def _envelope(error: Json, domain: str) -> Problem:
    """Return what an error in JSON means: its reason, then its HTTP status, then its class."""
    reason, code = str(error.get("reason") or ""), str(error.get("code") or "")
    text = printable(str(error.get("message") or ""))
    status = error.get("status")
    if reason in ("missing_scopes", "insufficient_scope"):
        return LackingScopes(text, LACKS)
    if reason in REASONS:
        return STATES[REASONS[reason]](domain)
    if isinstance(status, int) and status >= 400:
        return http_problem(status, {"message": text})
    if code == "usage":
        return _too_old(domain)
    if code == "network":
        return STATES["tls" if re.search(r"x509: |tls: ", text) else "network"](domain)
    if code == "api":
        return ServerFault(f"Auth0 answered with an error: {text}")
    if code in CLASSES:
        return http_problem(CLASSES[code], {"message": text})
    return _classified(Output(1, "", text), domain)
