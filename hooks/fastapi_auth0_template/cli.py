"""The way to the tenant through the `auth0` command line and its login; all by `auth0 api`.

The executable may poll for ever (rate limit, locked keyring), print an HTTP error as a result with
exit code 0 (before 1.32), or wait for a login in a browser although it was told not to ask. So
every call has an end, its output is watched meanwhile, and only JSON of the expected shape counts.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

from . import Json, Patience, Problem, all_pages, lacking_scopes
from .plan import APP_FIELDS, PAGE
from .web import PATIENT_AFTER, http_problem, printable, timed_out

FLOOR = (1, 17, 0)
RECOMMENDED = (1, 31, 0)
INSTALL = "https://github.com/auth0/auth0-cli#installation"
QUIET = ("--no-input", "--no-color")
LOGIN_STARTS = re.compile(
    r"required scopes have changed|open the following url in a browser|continue login with default"
    r"|please log in to re-authorize|code in opened browser window|press enter to open the browser",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Output:
    """What one run of the executable left behind; `code` is None if we stopped it.

    `login` says that it was stopped because it had started a login.
    """

    code: int | None
    stdout: str
    stderr: str
    login: bool = False


class CliTenant:
    """A tenant that the executable is logged in to."""

    def __init__(self, domain: str, patience: Patience) -> None:
        self.domain = domain
        self._patience = patience

    def apis(self, identifier: str) -> list[Json]:
        query = {"identifiers": identifier, "include_totals": "true", "per_page": "50"}
        found = self._list("resource-servers", query, "resource_servers")
        return [api for api in found if api.get("identifier") == identifier]

    def applications(self) -> list[Json]:
        return all_pages(self._applications, PAGE, "client_id")

    def _applications(self, number: int) -> list[Json]:
        query = {
            "app_type": "non_interactive,spa",
            "is_global": "false",
            "fields": APP_FIELDS,
            "include_fields": "true",
            "include_totals": "true",
            "per_page": str(PAGE),
            "page": str(number),
        }
        return self._list("clients", query, "clients")

    def grants(self, client_id: str, audience: str) -> list[Json]:
        query = {"client_id": client_id, "audience": audience}
        return self._list("client-grants", query, "client_grants")

    def custom_domains(self) -> list[str]:
        found = self._list("custom-domains", {}, "custom_domains")
        return [str(domain.get("domain")) for domain in found]

    def client_secret(self, client_id: str) -> str | None:
        query = urlencode({"fields": "client_id,client_secret", "include_fields": "true"}, safe=",")
        client = self._object("get", f"clients/{quote(client_id, safe='')}?{query}")
        return client.get("client_secret")

    def create(self, kind: str, body: Json) -> Json:
        return self._object("post", kind, body)

    def update(self, kind: str, key: str, body: Json) -> Json:
        return self._object("patch", f"{kind}/{quote(key, safe='')}", body)

    def delete_application(self, client_id: str) -> None:
        self._call("delete", f"clients/{quote(client_id, safe='')}", extra=("--force",))

    def _list(self, path: str, query: Mapping[str, str], name: str) -> list[Json]:
        # A space-free, fully quoted query survives the executable and every shell shim.
        parts = urlencode(query, quote_via=quote, safe=",")
        answer = self._call("get", f"{path}?{parts}" if parts else path)
        items = answer.get(name) if isinstance(answer, dict) else answer
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise _bad_answer(f"`auth0 api get {path}` gave no list of {name}")
        return items

    def _object(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = self._call(method, path, body)
        if not isinstance(answer, dict) or not (answer.get("id") or answer.get("client_id")):
            raise _bad_answer(f"`auth0 api {method} {path.partition('?')[0]}` gave no object")
        return answer

    def _call(
        self, method: str, path: str, body: Json | None = None, extra: Sequence[str] = ()
    ) -> Any:
        argv = ["api", method, path, *QUIET, "--tenant", self.domain, *extra]
        output = run(argv, self._patience, None if body is None else json.dumps(body))
        return result(output, self._patience, self.domain, silent=method == "delete")


# --------------------------------------------------------------------------------- outside a tenant


def installed() -> bool:
    """Whether there is an executable that can be run."""
    return shutil.which("auth0") is not None


def tenants(patience: Patience) -> list[str]:
    """The domains of the tenants that the executable knows; says nothing about expired logins."""
    patience = patience.at_most(20)
    output = run(["tenants", "list", "--json-compact", *QUIET], patience)
    try:
        found = result(output, patience, "")
    except Problem as problem:
        if problem.code == "not_logged_in":
            return []
        raise
    try:
        return sorted(str(tenant["name"]) for tenant in found)
    except (TypeError, KeyError):
        raise _bad_answer("`auth0 tenants list` gave no list of tenants") from None


def version(patience: Patience) -> tuple[int, ...] | None:
    """The version of the executable, or None where it does not say (a development build)."""
    output = run(["--version"], patience.at_most(20))
    match = re.match(r"auth0 version v?(\d+)\.(\d+)\.(\d+)", output.stdout.strip())
    return tuple(int(number) for number in match.groups()) if match else None


def login_command(problem: Problem | None = None) -> list[str]:
    """What to type to log in; with the scopes that were missing, if that was the problem."""
    match = re.search(r"auth0 login --scopes ([\w:,]+)", problem.next_step if problem else "")
    return ["auth0", "login", *(["--scopes", match[1]] if match else [])]


def login(command: Sequence[str]) -> None:
    """Let the user log in, at their terminal and pace; the next call shows whether it worked."""
    subprocess.run(
        [_executable(), *command[1:]], env=child_environment(), cwd=_folder(), check=False
    )


def child_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment (the keyring needs it), without what changes the output."""
    child = {**(os.environ if environ is None else environ)}
    child.pop("CLICOLOR_FORCE", None)
    child |= {"AUTH0_CLI_ANALYTICS": "false", "AUTH0_AGENT_MODE": "false"}
    for name in {"SSL_CERT_FILE", "SSL_CERT_DIR"} & child.keys():
        child[name] = str(Path(child[name]).absolute())  # it runs in another folder
    if not child.get("HOME") and child.get("USERPROFILE"):
        child["HOME"] = child["USERPROFILE"]  # else the executable looks for its login in the cwd
    return child


def _folder() -> str:
    # Never the project: without HOME the executable would write its login there.
    with suppress(RuntimeError):
        if Path.home().is_dir():
            return str(Path.home())
    return tempfile.gettempdir()


def _executable() -> str:
    path = shutil.which("auth0")
    if path is None:
        raise Problem(
            "not_installed",
            "the auth0 command line is not installed (no `auth0` on PATH)",
            f"Install it ({INSTALL}), or set AUTH0_DOMAIN with AUTH0_CLIENT_ID and"
            " AUTH0_CLIENT_SECRET in the environment and use --via api.",
        )
    if path.lower().endswith((".cmd", ".bat")):
        # Windows runs these through a shell, which would take & in a query for a command.
        raise Problem("not_installed", f"{path} is a script", f"Install auth0.exe ({INSTALL}).")
    return str(Path(path).absolute())


# ------------------------------------------------------------------------------------- one process

_running: "list[subprocess.Popen[bytes]]" = []


def stop() -> None:
    """Stop what runs, if anything does: for the handler of a signal."""
    for process in _running:
        process.kill()


def run(argv: Sequence[str], patience: Patience, stdin: str | None = None) -> Output:
    """Run the executable until it ends, its time is up, or it starts a login.

    Its input is a file, which is whole before it starts: through a pipe, it would send an empty
    body if this process were killed in between.
    """
    executable = _executable()
    try:
        body = None if stdin is None else _file(stdin)
    except OSError as error:
        raise Problem(
            "no_space",
            f"no temporary file can be written: {error.strerror}",
            "Free some space, or set TMPDIR; then run the command again.",
        ) from None
    try:
        process = subprocess.Popen(
            [executable, *argv],
            stdin=body or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(),
            cwd=_folder(),
        )
    except OSError as error:
        raise Problem(
            "not_installed", f"`auth0` cannot be run: {error.strerror}", f"Reinstall it: {INSTALL}"
        ) from None
    finally:
        if body:
            body.close()
    stdout, stderr = _Reader(process.stdout), _Reader(process.stderr)
    ended = False
    _running.append(process)
    try:
        login = _watch(process, stdout, stderr, patience, argv)
        ended = process.poll() is not None
    finally:
        _running.remove(process)
        if not ended:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
    code = process.returncode if ended else None
    out, err = stdout.text(wait=1.0 if ended else 0.1), stderr.text(wait=0.1)
    return Output(code, out, err, login)


def _file(content: str) -> IO[bytes]:
    """A temporary file without a name, to be read from its beginning."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
    file.write(content.encode())
    file.seek(0)
    return file


def _watch(
    process: "subprocess.Popen[bytes]",
    stdout: "_Reader",
    stderr: "_Reader",
    patience: Patience,
    argv: Sequence[str],
) -> bool:
    """Wait; True as soon as a login starts, False when the process ended or its time is up."""
    started, told = time.monotonic(), False
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            return False
        if _login_starts(stderr.text() + stdout.text()):
            return True
        waited = time.monotonic() - started
        if waited > patience.seconds:
            return False
        if waited > PATIENT_AFTER and not told:
            told = True
            command = " ".join(["auth0", *argv[:2]])
            patience.tell(f"Still waiting for `{command}` (at most {patience.seconds:g} s) ...")


def _login_starts(text: str) -> bool:
    """Whether someone is told to log in; an error that is one line of JSON only tells why."""
    lines = (line for line in text.splitlines() if not line.startswith('{"error"'))
    return any(map(LOGIN_STARTS.search, lines))


class _Reader:
    """Collects a pipe in the background, so that it can be looked at while it is written."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._chunks: list[bytes] = []
        self._pipe = pipe
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        with suppress(OSError, ValueError):
            while self._pipe and (chunk := os.read(self._pipe.fileno(), 65536)):
                self._chunks.append(chunk)

    def text(self, wait: float = 0) -> str:
        # A child of the child (a browser) may hold the pipe open: do not wait for its end.
        if wait:
            self._thread.join(wait)
        return b"".join(self._chunks).decode("utf-8", "replace")


# ------------------------------------------------------------------------- what the output means


def result(output: Output, patience: Patience, domain: str, *, silent: bool = False) -> Any:
    """The JSON that the executable printed, or the Problem that its output tells of."""
    if output.login:
        expired = re.search(r"session has expired|failed to renew", output.stderr, re.IGNORECASE)
        raise _needs_login("session_expired" if expired else "login_hijack", domain)
    if output.code is None:
        raise _timeout(patience)
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
    except ValueError:
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
            return _by_code(code, text, match, domain)
    if "something went wrong" in output.stdout.lower():
        return _bad_answer("the auth0 command line crashed")
    return _bad_answer(f"the auth0 command line failed: {printable(text) or 'without a word'}")


# The first that matches counts.
PATTERNS = (
    ("not_logged_in", r"config\.json file is missing|not logged in\. try `auth0 login`"),
    ("config_corrupt", r"failed to load tenants: (unexpected end of json|invalid character)"),
    ("config_corrupt", r"^(unexpected end of json input|invalid character .* looking for)"),
    ("unknown_tenant", r"failed to find tenant:"),
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


def _by_code(code: str, text: str, match: "re.Match[str]", domain: str) -> Problem:
    if code == "http":
        status = int(match[1])
        body = re.search(r"\{.*\}", text)
        parsed = _json(body[0]) if body else None
        fallback = {"message": text[match.end() :].strip(" .")}
        return http_problem(status, parsed if isinstance(parsed, dict) else fallback)
    if code == "scopes":
        return lacking_scopes(match[0], "the login lacks a Management API scope")
    return _auth_problem(code, domain) or _bad_answer(printable(text))


def _auth_problem(code: str, domain: str) -> Problem | None:
    """The states of a login, and of the executable itself, each with its way out."""
    if code in ("not_logged_in", "session_expired", "login_hijack"):
        return _needs_login(code, domain)
    problems = {
        "unknown_tenant": (
            f"the auth0 command line is not logged in to {domain}",
            "Run `auth0 login` for that tenant, or choose another with --tenant.",
        ),
        "config_corrupt": (
            "the auth0 command line cannot read its own configuration"
            " (~/.config/auth0/config.json)",
            "Run `auth0 login`: it writes the file anew.",
        ),
        "token_corrupt": (
            f"the stored login to {domain} is corrupt",
            f"Run `auth0 logout {domain}`, then `auth0 login`.",
        ),
        "machine_reauth": (
            f"the machine login to {domain} has expired and cannot be renewed",
            "Run `auth0 login` again with the client's id and secret, or use --via api.",
        ),
        "cli_too_old": (
            "this version of the auth0 command line is too old"
            f" (at least {'.'.join(map(str, FLOOR))} is needed)",
            f"Update it: {INSTALL}",
        ),
        "tls": (
            f"the auth0 command line does not trust the certificate of {domain}",
            "Behind a company proxy, set SSL_CERT_FILE to its certificates (PEM).",
        ),
        "network": (
            f"the auth0 command line cannot reach {domain or 'Auth0'}",
            "Check the network, then run the command again.",
        ),
    }
    return Problem(code, *problems[code]) if code in problems else None


def _envelope(error: Json, domain: str) -> Problem:
    """An error as announced for releases after 1.33: one JSON object with code, status, reason."""
    reason, code = str(error.get("reason") or ""), str(error.get("code") or "")
    text = printable(str(error.get("message") or ""))
    if reason in ("missing_scopes", "insufficient_scope"):
        return lacking_scopes(text, "the login lacks a Management API scope")
    known = {
        "not_logged_in": "not_logged_in",
        "session_expired": "session_expired",
        "token_malformed": "token_corrupt",
        "credentials_refresh_failed": "machine_reauth",
    }.get(reason)
    problem = _auth_problem(known, domain) if known else None
    status = error.get("status")
    if problem is None and isinstance(status, int) and status >= 400:
        problem = http_problem(status, {"message": text})
    if problem is None and code == "usage":
        problem = _auth_problem("cli_too_old", domain)
    by_code = {"auth": 401, "validation": 400, "not_found": 404, "conflict": 409, "rate_limit": 429}
    if problem is None and code in by_code:
        problem = http_problem(by_code[code], {"message": text})
    return problem or _classified(Output(1, "", text), domain)


def _needs_login(code: str, domain: str) -> Problem:
    message = {
        "not_logged_in": "not logged in to Auth0",
        "session_expired": f"the login to {domain} has expired",
        "login_hijack": f"the login to {domain} is out of date: this auth0 version wants a new one",
    }[code]
    return Problem(code, message, "Run `auth0 login`, then run this command again.")


def _timeout(patience: Patience) -> Problem:
    problem = timed_out("the auth0 command line", patience)
    return Problem(
        "timeout",
        f"{problem.message}: the tenant is limiting requests, or the keyring is locked",
        problem.next_step,
    )


def _bad_answer(message: str) -> Problem:
    return Problem(
        "bad_answer", message, "Run it again; if it stays, try --via api, or update the auth0 CLI."
    )
