"""A stand-in for the `auth0` executable: its streams, exit codes, texts and waits, for any version.

test_stand_in.py holds it to recordings of real releases, 1.18.0 and 1.27.2. What differs in later
ones was read in their source and documentation; `ENV_MODE` was never recorded. Standard library
only, and little of it, so that it starts as fast as the real one. `stand_in.json` beside the
executable says which version it is and in which state: see STATE. It never leaves loopback.
"""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

STATE: dict[str, Any] = {
    "version": "1.33.0",
    "keyring": "none",  # or "locked": every call waits for ever for someone to unlock it
    "device": "unreachable",  # the login in a browser; or "pending" (nobody comes), "approved"
    "login": {},  # what an approved login adds to the configuration: domain -> tenant
    "crash": False,  # a panic: its text on stdout, exit code 0
    "envelope": False,  # errors as JSON also where nobody asked for JSON
    "says": "",  # words on stderr before anything else
    "failure": {},  # ends every command but --version: message, code, reason
    "exit": None,  # ends every command at once, with this code
    "pace": 1.0,  # factor for the pauses between retries
    "linger": 0.0,  # seconds between an error and the end of the process
}
COMMITS = {
    "1.18.0": "4f678b00086d30b342c36a377d453dc6b75c8c08",
    "1.27.2": "2d8cd0e92f1b63ff64ad857b242e312e8eaaf935",
}
KEYRING = "dial unix /nonexistent: connect: no such file or directory"
DEVICE_CODE = (
    'failed to get the device code: failed to send the request: Post "https://auth0.auth0.com/'
    'oauth/device/code": proxyconnect tcp: dial tcp 127.0.0.1:9: connect: connection refused'
)
LOGIN_URL = "https://auth0.auth0.com/activate?user_code=ABCD-EFGH"
PROMPT = (
    "\x1b[0G\x1b[2K\x1b[0;1;92m \x1b[0m\x1b[0;1;99mContinue login with default tenant '{}'? "
    "\x1b[0m\x1b[0;37m(y/N) \x1b[0m\x1b[?25l\x1b7\x1b[999;999f\x1b[6n\x1b8\x1b[?25h\x1b[6n"
)
COMMANDS = {"api": (), "apis": ("list",), "login": (), "tenants": ("list", "use")}
METHODS = ("get", "post", "put", "patch", "delete")
RETRIED = (500, 502, 503, 504, 524)
AGENT_VARIABLES = ("AI_AGENT", "CLAUDECODE", "CODEX_THREAD_ID", "CURSOR_AGENT")
ERROR_CODES = {400: "validation", 401: "auth", 403: "auth", 404: "not_found", 409: "conflict"}
ENV_MODE = (1, 37)  # AUTH0_CLI_AUTH_MODE=env: read in the source of 1.37.0, not recorded
# What a login in a browser asks for; later releases ask for more.
SCOPES = """
openid offline_access create:clients delete:clients read:clients update:clients read:client_grants
create:resource_servers delete:resource_servers read:resource_servers update:resource_servers
create:roles delete:roles read:roles update:roles create:rules delete:rules read:rules update:rules
create:users delete:users read:users update:users read:branding update:branding
create:phone_providers read:phone_providers update:phone_providers delete:phone_providers
create:email_templates read:email_templates update:email_templates create:email_provider
read:email_provider update:email_provider delete:email_provider read:flows read:forms
read:flows_vault_connections read:connections update:connections read:connections_options
update:connections_options read:client_keys read:logs read:tenant_settings update:tenant_settings
read:custom_domains create:custom_domains update:custom_domains delete:custom_domains
read:anomaly_blocks delete:anomaly_blocks create:log_streams delete:log_streams read:log_streams
update:log_streams create:actions delete:actions read:actions update:actions create:organizations
delete:organizations read:organizations update:organizations read:organization_members
read:organization_member_roles read:organization_connections read:prompts update:prompts
read:attack_protection update:attack_protection read:event_streams create:event_streams
update:event_streams delete:event_streams read:network_acls create:network_acls update:network_acls
delete:network_acls read:token_exchange_profiles create:token_exchange_profiles
update:token_exchange_profiles delete:token_exchange_profiles read:organization_invitations
create:organization_invitations delete:organization_invitations
read:organization_discovery_domains read:self_service_profiles read:user_attribute_profiles
"""
LATER_SCOPES = (
    ((1, 31), ["create:client_grants"]),
    ((1, 33), ["update:client_grants", "delete:client_grants"]),
)


def required_scopes(version: tuple[int, ...] = (99,)) -> list[str]:
    """What a user's login must have been granted, for this version."""
    later = [scopes for since, scopes in LATER_SCOPES if version >= since]
    return SCOPES.split() + [scope for scopes in later for scope in scopes]


class Failure(Exception):
    """Ends the command with this message; the rest is for the announced JSON form."""

    def __init__(self, message: str, code: str = "unknown", **details: Any) -> None:
        super().__init__(message)
        self.details = {"code": code, **details}


def main(folder: str) -> int:
    """One call of the executable that lies in the folder."""
    here = Path(folder)
    state = STATE | json.loads((here / "stand_in.json").read_text())
    with (here / "calls.jsonl").open("a") as log:
        log.write(json.dumps(sys.argv[1:]) + "\n")
    return Executable(state).run(sys.argv[1:])


class Executable:
    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        numbers = re.findall(r"\d+", state["version"]) or ["99"]  # a development build
        self.version = tuple(map(int, numbers))
        self.flags: dict[str, str | bool] = {}
        self.heading = ""
        self.agent = self.version >= (1, 33) and _agent_mode()

    def run(self, argv: list[str]) -> int:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130 if self.version >= (1, 34) else 0))
        signal.alarm(300)  # whatever a test does, nothing is left behind for long
        if self.state["keyring"] == "locked":
            _for_ever()
        if self.state["crash"]:
            sys.stdout.write("\n\u274c Uh oh. Something went wrong. Please report it.\n")
            return 0
        if self.state["exit"] is not None:
            return int(self.state["exit"])
        sys.stderr.write(self.state["says"])
        try:
            if self.state["failure"] and argv != ["--version"]:  # asks nobody
                raise Failure(**self.state["failure"])
            self._dispatch(argv)
        except Failure as failure:
            self._report(str(failure), failure.details)
            sys.stderr.flush()
            time.sleep(self.state["linger"])
            return 1
        return 0

    def _dispatch(self, argv: list[str]) -> None:
        if argv == ["--version"]:
            commit = COMMITS.get(self.state["version"], "0" * 40)
            sys.stdout.write(f"auth0 version {self.state['version']} {commit}\n")
            return
        if argv and argv[0] not in COMMANDS:
            raise Failure(f'unknown command "{argv[0]}" for "auth0"', "usage")
        words = self._parse(argv)
        if self.agent and self.version < (1, 34):
            self.warn(
                "Agent mode on: JSON output, prompts and colors off."
                " Disable with --agent-mode=false.",
                end="\n",
            )
        if words[:2] == ["tenants", "list"]:
            self._tenants()
        elif words[:1] == ["login"]:
            self._log_in_by_command()
        elif words[:1] == ["api"] and words[1:]:
            self._api(words[1:])
        elif words[1:2] and words[1] in COMMANDS[words[0]]:
            raise NotImplementedError(f"the stand-in does not know {argv}")
        else:
            sys.stdout.write(f"Usage:\n  auth0 {words[0]} [command]\n")

    def _parse(self, argv: list[str]) -> list[str]:
        """The words of the command; flags are kept, unknown ones refused."""
        known = {"--no-input": False, "--no-color": False, "--tenant": True}
        if argv[0] == "api":
            known |= {"--data": True, "--force": False}
        elif argv[0] == "login":
            known |= dict.fromkeys(("--scopes", "--domain", "--client-id", "--client-secret"), True)
        else:
            known |= {"--json": False}
            known |= {"--json-compact": False} if self.version >= (1, 17) else {}
        words = []
        rest = iter(argv)
        for word in rest:
            if not word.startswith("-"):
                words.append(word)
            elif word not in known:
                raise Failure(f"unknown flag: {word}", "usage")
            else:
                self.flags[word] = next(rest) if known[word] else True
        return words

    # --------------------------------------------------------------------------------- streams

    def warn(self, text: str, end: str = "\n\n") -> None:
        sys.stderr.write(f" \u25b8    {text}{end}")
        sys.stderr.flush()

    def _report(self, message: str, details: dict[str, Any]) -> None:
        machine = self.agent or "--json" in self.flags or "--json-compact" in self.flags
        if self.state["envelope"] or (self.version >= (1, 34) and machine):
            envelope = {"error": {"message": message, **details}}
            sys.stderr.write(json.dumps(envelope) + "\n")
            return
        if "--json-compact" not in self.flags:
            sys.stderr.write(f"\n=== {self.heading} error\n\n")
        # The real one takes the message for a format: see what becomes of %2F.
        text = re.sub(r"%\d*([A-Za-z])", r"%!\1(MISSING)", message)
        self.warn(f"{text[:1].upper()}{text[1:]}.")

    def _print(self, value: Any, indent: int | None = None) -> None:
        compact = None if indent else (",", ":")
        text = json.dumps(value, indent=indent, separators=compact, ensure_ascii=False)
        for char in "<>&":
            text = text.replace(char, f"\\u{ord(char):04x}")
        if os.environ.get("CLICOLOR_FORCE", "0") != "0" and "--no-color" not in self.flags:
            text = _coloured(value)
        sys.stdout.write(text + ("\n" if self.version >= (1, 34) else ""))

    # ---------------------------------------------------------------------------------- logins

    def _config(self) -> dict[str, Any]:
        path = _config_path()
        if not path.exists():
            raise Failure("config.json file is missing", "auth", reason="not_logged_in")
        text = path.read_text()
        try:
            config: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise Failure(_json_error(text, error)) from None
        return config

    def _tenants(self) -> None:
        try:
            config = self._config()
        except Failure as failure:
            raise Failure(f"failed to load tenants: {failure}", **failure.details) from None
        names = sorted(config["tenants"], reverse=True)  # the real order is random
        if self.version < (1, 17):
            self._print(names, 4)
            return
        active = self.flags.get("--tenant", config.get("default_tenant"))
        listed = [{"active": name == active, "name": name} for name in names]
        self._print(listed, None if "--json-compact" in self.flags else 4)

    def _session(self) -> tuple[str, str]:
        """Domain and token for a command that needs a login; may start one, as the real one."""
        self.heading = str(self.flags.get("--tenant", ""))
        if self.version >= ENV_MODE and (mode := os.environ.get("AUTH0_CLI_AUTH_MODE", "")):
            return self._environment_session(mode)
        config = self._config()
        if not config["tenants"]:
            raise Failure("not logged in. Try `auth0 login`", "auth", reason="not_logged_in")
        domain = self.heading = str(self.flags.get("--tenant") or config["default_tenant"])
        tenant = config["tenants"].get(domain)
        if tenant is None:
            raise Failure(
                f"failed to find tenant: {domain}. Run 'auth0 tenants list' to see your configured"
                " tenants or run 'auth0 login' to configure a new tenant"
            )
        expired = not tenant.get("access_token") or tenant["expires_at"] < _in_five_minutes()
        if tenant["client_id"]:
            if expired:
                self._cannot_renew()
        elif self._lacks_scopes(tenant) or (expired and self._expired(domain)):
            domain = self._log_in()
            tenant = self._config()["tenants"][domain]
        self._check_token(tenant["access_token"])
        return domain, tenant["access_token"]

    def _environment_session(self, mode: str) -> tuple[str, str]:
        """Domain and token for AUTH0_CLI_AUTH_MODE=env; nothing stored is read.

        Unlike the real one it takes a port in the domain, which the tenant on loopback has.
        """
        if mode.strip().lower() != "env":
            text = f'unrecognized AUTH0_CLI_AUTH_MODE="{mode}"; the only supported value is "env"'
            raise Failure(text, "usage", reason="invalid_auth_mode")
        domain = os.environ.get("AUTH0_DOMAIN", "").strip()
        if not domain:
            text = "AUTH0_CLI_AUTH_MODE=env requires AUTH0_DOMAIN to be set to your tenant domain"
            raise Failure(text, "auth", reason="env_auth_incomplete")
        if not re.fullmatch(r"[A-Za-z0-9.:-]+", domain):
            text = "AUTH0_DOMAIN must be a bare tenant domain such as tenant.us.auth0.com"
            raise Failure(text, "auth", reason="env_auth_invalid_domain")
        if "--tenant" in self.flags and self.heading.lower() != domain.lower():
            text = f'--tenant "{self.heading}" conflicts with AUTH0_DOMAIN="{domain}"'
            raise Failure(text, "auth", reason="env_auth_tenant_conflict")
        token = os.environ.get("AUTH0_API_TOKEN", "").strip()
        if not token:
            text = "AUTH0_CLI_AUTH_MODE=env requires either AUTH0_API_TOKEN, or both"
            raise Failure(text, "auth", reason="env_auth_incomplete")
        self.heading = domain
        return domain, token

    def _lacks_scopes(self, tenant: dict[str, Any]) -> bool:
        granted = tenant.get("scopes") or []
        missing = [scope for scope in required_scopes(self.version) if scope not in granted]
        if not missing or self.version < (1, 20):
            return False
        if self.version >= (1, 34):
            text = f"required scopes have changed (missing: {', '.join(missing)})"
            raise Failure(text, "auth", reason="missing_scopes")
        self.warn(
            f"Required scopes have changed (missing: {', '.join(missing)})."
            " Please log in to re-authorize the CLI."
        )
        return True

    def _expired(self, domain: str) -> bool:
        if self.version >= (1, 31) and "--no-input" in self.flags:
            self.warn("Your user login session has expired.", end="\n")
            self.warn("Please log in to re-authorize the CLI.")
            raise Failure(
                "auth token expired and --no-input is set; run 'auth0 login' to re-authenticate",
                "auth",
                reason="session_expired",
            )
        reason = f"failed to retrieve refresh token from keyring: {KEYRING}"
        self.warn(f"Failed to renew access token: {reason}", end="\n")
        self.warn("Please log in to re-authorize the CLI.")
        if self.version >= (1, 20):
            sys.stderr.write(PROMPT.format(domain))
            sys.stderr.flush()
        return True

    def _cannot_renew(self) -> NoReturn:
        closing = ">" if self.version >= (1, 20) else ""
        raise Failure(
            "failed to fetch access token using client credentials: failed to retrieve client"
            f" secret from keyring: {KEYRING}\n\nThis may occur if the designated Auth0 application"
            " has been deleted, the client secret has been rotated or previous failure to store"
            " client secret in the keyring.\n\nPlease re-authenticate by running: auth0 login"
            f" --domain <tenant-domain{closing} --client-id <client-id> --client-secret"
            " <client-secret>",
            "auth",
            reason="credentials_refresh_failed",
        )

    def _check_token(self, token: str) -> None:
        if self.version >= (1, 22) and token.count(".") != 2:
            raise Failure(
                "authentication token is corrupted, please run: auth0 logout && auth0 login\n\n"
                "Note: Token handling was enhanced in v1.18.0+ to prevent malformed tokens.",
                "auth",
                reason="token_malformed",
            )

    def _log_in_by_command(self) -> None:
        if "--client-secret" in self.flags:
            domain = self._log_in_as_machine()
        else:
            try:
                domain = self._log_in()
            except Failure as failure:
                raise Failure(f"failed to start user login: {failure}") from None
        self.warn("Successfully logged in.", end="\n")
        self.warn(f"Tenant: {domain}", end="\n")

    def _log_in(self) -> str:
        """A login in a browser; the domain that was chosen there, which may be any."""
        if self.state["device"] == "unreachable":
            raise Failure(DEVICE_CODE)
        sys.stdout.write(
            "\nVerify ABCD-EFGH code in opened browser window to complete authentication.\n\n"
        )
        sys.stdout.flush()
        if "--no-input" in self.flags:
            self.warn(f"Open the following URL in a browser: {LOGIN_URL}")
        else:
            sys.stderr.write("Press Enter to open the browser to log in or ^C to quit...")
            sys.stderr.flush()
            sys.stdin.readline()
        if self.state["device"] == "pending":
            _for_ever()
        return self._store(*self.state["login"].values())

    def _log_in_as_machine(self) -> str:
        from base64 import b64encode
        from urllib.parse import quote, urlencode

        domain, name, secret = (
            str(self.flags[flag]) for flag in ("--domain", "--client-id", "--client-secret")
        )
        form = {"audience": f"https://{domain}/api/v2/", "client_id": name}
        basic = b64encode(f"{quote(name)}:{quote(secret)}".encode()).decode()
        status, content = 0, ""
        for extra, headers in (
            ({}, {"Authorization": f"Basic {basic}"}),
            ({"client_secret": secret}, {}),
        ):
            body = urlencode(form | extra | {"grant_type": "client_credentials"})
            headers = headers | {"Content-Type": "application/x-www-form-urlencoded"}
            url = f"https://{domain}/oauth/token"
            status, _, content = _exchange("POST", url, headers, body)
            if status == 200:
                break
        answer = json.loads(content)
        if status != 200:
            raise Failure(
                "failed to start secret machine login: failed to fetch access token using client"
                " credentials. \n\nEnsure that the provided client-id, client-secret and domain"
                f' are correct. \n\nerror: oauth2: "{answer["error"]}"'
                f' "{answer["error_description"]}"'
            )
        seconds = time.time() + answer["expires_in"]
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
        token = answer["access_token"]
        self._store(
            {
                "name": domain,
                "domain": domain,
                "access_token": token,
                "expires_at": expires,
                "client_id": name,
            }
        )
        self.warn(
            f"Could not store the client secret and the access token to the keyring: {KEYRING}",
            end="\n",
        )
        self.warn("Expect to login again when your access token expires.")
        return domain

    def _store(self, *sessions: dict[str, Any]) -> str:
        path = _config_path()
        try:
            config = self._config()
        except Failure:
            config = {"tenants": {}}
        config["tenants"] |= {session["domain"]: session for session in sessions}
        domain = str(sessions[0]["domain"])
        config["default_tenant"] = config.get("default_tenant") or domain
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config))
        return domain

    # ------------------------------------------------------------------------- the raw requests

    def _api(self, words: list[str]) -> None:
        domain, token = self._session()
        method = (
            words.pop(0) if words[0] in METHODS else "post" if "--data" in self.flags else "get"
        )
        body = None if method == "get" else self._body()
        if method == "delete" and self.agent and "--force" not in self.flags:
            raise Failure(
                "this is a destructive command; re-run with --force to proceed without a"
                " confirmation prompt",
                "usage",
            )
        url = f"https://{domain}/api/v2/{_with_sorted_query(words[0])}"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        headers["User-Agent"] = f"Auth0 CLI/{self.state['version']}"
        status, content = self._send(method.upper(), url, headers, body)
        self._show(status, content)

    def _body(self) -> str | None:
        # To the end, also where nobody ever ends it.
        given = "" if sys.stdin.isatty() else sys.stdin.read()
        text = str(self.flags.get("--data", "")) or given
        if not text.strip():
            return None
        try:
            return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) + "\n"
        except ValueError as error:
            reason = _json_error(text, error)
            raise Failure(
                f"failed to parse command inputs: invalid JSON data provided: {reason}", "usage"
            ) from None

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: str | None
    ) -> tuple[int, str]:
        """Send and send again: after a 429 for ever, after other failures three times."""
        pauses = [0.25, 0.5, 1.0]
        while True:
            try:
                status, reset, content = _exchange(method, url, headers, body)
            except OSError as error:
                if not pauses:
                    verb = method.capitalize()
                    reason = _transport_error(error, url)
                    text = f'failed to send request: {verb} "{url}": {reason}'
                    raise Failure(text, "network") from None
            else:
                if status == 429:
                    time.sleep(max(0.0, float(reset) - time.time()) if reset else 5.0)
                    continue
                if status not in RETRIED or not pauses:
                    return status, content
            time.sleep(pauses.pop(0) * self.state["pace"])

    def _show(self, status: int, content: str) -> None:
        fault = None
        try:
            answer = json.loads(content) if content else None
        except ValueError as error:
            answer, fault = None, error
        if status == 403 and isinstance(answer, dict):
            self._refuse_scope(answer)
            # What it looked for the scope in is used up.
            content, answer = "Forbidden", None
        if status >= 400 and self.version >= (1, 32):
            code = ERROR_CODES.get(status, "api")
            raise Failure(f"{status}: API request failed: {content}", code, status=status)
        if fault:
            raise Failure(f"failed to prepare json output: {_json_error(content, fault)}")
        if answer is not None:
            self._print(answer, 2)

    def _refuse_scope(self, answer: dict[str, Any]) -> None:
        if answer.get("errorCode") != "insufficient_scope":
            return
        scope = str(answer.get("message")).rpartition(": ")[2]
        raise Failure(
            f"request failed because access token lacks scope: {scope}.\n If authenticated via"
            " client credentials, add this scope to the designated client. If authenticated as a"
            f" user, request this scope during login by running `auth0 login --scopes {scope}`",
            "auth",
            status=403,
            reason="insufficient_scope",
        )


def _exchange(
    method: str, url: str, headers: dict[str, str], body: str | None
) -> tuple[int, str, str]:
    """One request without a time limit, as the real one; status, rate limit's end, content.

    By hand, since to load http.client takes as long as all the rest of a call.
    """
    import socket
    import ssl

    host, _, path = url.removeprefix("https://").partition("/")
    name, _, port = host.partition(":")
    if name not in ("localhost", "127.0.0.1"):
        raise ConnectionAbortedError(name)
    content = (body or "").encode()
    headers = {"Host": host, "Connection": "close", "Content-Length": str(len(content)), **headers}
    lines = [f"{method} /{path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items())]
    tls = ssl.create_default_context()
    with (
        socket.create_connection((name, int(port))) as plain,
        tls.wrap_socket(plain, server_hostname=name) as connection,
    ):
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, found, text = answer.partition(b"\r\n\r\n")
    if not found:
        raise ConnectionResetError("no answer")
    reset = re.search(rb"(?i)^x-ratelimit-reset: *(\S+)", head, re.MULTILINE)
    return int(head.split()[1]), reset[1].decode() if reset else "", text.decode()


def _transport_error(error: OSError, url: str) -> str:
    host = url.split("/")[2]
    if isinstance(error, ConnectionAbortedError):
        return f"dial tcp: lookup {host} on 127.0.0.53:53: no such host"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp 127.0.0.1:{host.partition(':')[2]}: connect: connection refused"
    if type(error).__name__ == "SSLCertVerificationError":
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    if error.strerror:
        return f"read tcp 127.0.0.1:9->127.0.0.1:9: read: {error.strerror.lower()}"
    return "EOF"


def _with_sorted_query(path: str) -> str:
    from urllib.parse import parse_qsl, urlencode

    path, question, query = path.partition("?")
    return path + question + urlencode(sorted(parse_qsl(query, keep_blank_values=True)))


def _json_error(text: str, error: ValueError) -> str:
    """What Go says about a text that is not JSON."""
    position = error.pos if isinstance(error, json.JSONDecodeError) else 0
    if position >= len(text.rstrip()):
        return "unexpected end of JSON input"
    in_object = "property name" in str(error)
    what = "object key string" if in_object else "value"
    return f"invalid character {text[position]!r} looking for beginning of {what}"


def _coloured(value: Any, margin: str = "\n") -> str:
    """JSON as the real one prints it to a terminal."""
    bold, off, inner = "\x1b[1m", "\x1b[0m", margin + "  "
    if isinstance(value, dict) and value:
        members = (
            f"{bold}\x1b[94m{json.dumps(name)}{off}{bold}:{off} {_coloured(item, inner)}"
            for name, item in value.items()
        )
        return f"{bold}{{{off}{inner}{f'{bold},{off}{inner}'.join(members)}{margin}{bold}}}{off}"
    if isinstance(value, list) and value:
        items = f",{inner}".join(_coloured(item, inner) for item in value)
        return f"{bold}[{off}{inner}{items}{margin}{bold}]{off}"
    colour = 32 if isinstance(value, str) else 36 if isinstance(value, bool) else 33
    return f"\x1b[{colour}m{json.dumps(value, ensure_ascii=False)}{off}"


def _config_path() -> Path:
    return Path(os.environ.get("HOME", "")) / ".config" / "auth0" / "config.json"


def _in_five_minutes() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 300))


def _agent_mode() -> bool:
    told = os.environ.get("AUTH0_AGENT_MODE", "").lower()
    if told in ("true", "1", "t", "false", "0", "f"):
        return told in ("true", "1", "t")
    return any(os.environ.get(name) for name in AGENT_VARIABLES)


def _for_ever() -> NoReturn:
    while True:
        time.sleep(3600)
