"""Reasons why a command cannot go on: a class each, with its code, its message and the next step.

`code` is stable, for machines. `decision` means that nothing is broken: someone has to decide,
provide or install something, and the exit code is 3 unless the run has already changed something.
"""

import re

INSTALL = "https://github.com/auth0/auth0-cli#installation"


class Problem(Exception):
    """Ends the command with one message and one next step."""

    code = "unexpected"
    next_step = "Run it again."
    decision = False
    exit_code: int | None = None  # if the reason has its own
    login_helps = False  # a new `auth0 login` may be enough
    passing = False  # the same call may succeed in a moment
    uncertain = False  # the tenant may have made the change: only reading again tells

    def __init__(self, message: str, next_step: str | None = None, *, wait: float = 0) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = self.next_step if next_step is None else next_step
        self.wait = wait  # seconds until the same call may succeed, if the tenant said so


class Unexpected(Problem):
    next_step = "This is a defect of the set-up: please report this line to its maintainers."


class Usage(Problem):
    code, exit_code = "usage", 64


class Interrupted(Problem):
    code, exit_code = "interrupted", 130


class OutputLost(Problem):
    code = "output"
    next_step = "Run it again without | and >."


# ------------------------------------------------------------------- someone has to decide or give


class Decision(Problem):
    decision = True


class Declined(Decision):
    code = "declined"
    next_step = "Run it again when you want to."

    def __init__(self, next_step: str | None = None) -> None:
        super().__init__("the answer was no; nothing was changed", next_step)


class NeedsYes(Decision):
    code = "needs_yes"
    next_step = "Add --yes."


class NeedsReplaceEnv(Decision):
    code = "needs_replace_env"
    next_step = "Add --replace-env, or edit .env yourself."


class BadProject(Decision):
    code = "bad_project"
    next_step = "Fix the file, then run it again."


class EnvFault(Decision):
    code = "env_file"
    next_step = "Fix it, then run the command again."


class EnvNotAFile(EnvFault):
    """Something that would be read forever, such as a named pipe."""


class NoSpace(Decision):
    code = "no_space"
    next_step = "Free some space, or set TMPDIR; then run the command again."


class MissingSetting(Decision):
    code = "missing_setting"


class SystemApi(Decision):
    code = "system_api"
    next_step = "Choose an identifier of your own: --audience https://api.example.com"

    def __init__(self, audience: str) -> None:
        super().__init__(f"{audience} is an API of Auth0's own; the set-up leaves it alone")


class TenantChoice(Decision):
    code = "tenant_choice"
    next_step = "Name it with --tenant DOMAIN."


class UnknownTenant(Decision):
    code, login_helps = "unknown_tenant", True
    next_step = "Run `auth0 login` for that tenant, or choose another with --tenant."


class CredentialsMissing(Decision):
    code = "credentials_missing"
    next_step = "Set them in the environment, not in .env."


class ProjectFault(Decision):
    code = "project"
    next_step = "Run `uv sync` in the project and fix what it reports, then run it again."


class FilesFault(Decision):
    code = "files"


class NotMovable(Decision):
    code = "not_movable"


class EmailTaken(Decision):
    code = "email_taken"
    next_step = (
        "Find out who created these accounts; delete or rename them in the tenant, then run again."
    )


class NoConnection(Decision):
    code = "connection"
    next_step = "Keep exactly one database connection in the tenant, then run it again."


class RoleTaken(Decision):
    code = "role_taken"
    next_step = "Rename that role in the tenant, then run it again."


class LibraryMissing(Decision):
    code = "management_missing"
    next_step = "Install the tool again: its package brings auth0-python."


# ----------------------------------------------------------------------------- the auth0 executable


class NotInstalled(Decision):
    code = "not_installed"
    next_step = f"Install it: {INSTALL}"


class CliTooOld(Decision):
    code = "cli_too_old"
    next_step = f"Update it: {INSTALL}"


class NotLoggedIn(Decision):
    code, login_helps = "not_logged_in", True
    next_step = "Run `auth0 login`, then run this command again."


class SessionExpired(NotLoggedIn):
    code = "session_expired"


class LoginOutdated(NotLoggedIn):
    code = "login_hijack"


class ConfigCorrupt(Decision):
    code, login_helps = "config_corrupt", True
    next_step = "Run `auth0 login`: it rewrites the file."


class TokenCorrupt(Decision):
    code = "token_corrupt"


class MachineLoginExpired(Decision):
    code = "machine_reauth"
    next_step = "Run `auth0 login` again with the client's id and secret, or use --via api."


class KeyringUnreadable(Decision):
    code = "keyring"
    next_step = "Unlock the keyring, or use --via env or --via api with credentials."


class LackingScopes(Decision):
    """The login or the token lacks Management API scopes; `text` names them."""

    code, login_helps = "scopes", True

    def __init__(self, text: str, message: str) -> None:
        wanted = ",".join(re.findall(r"[a-z]+:[a-z_]+", text))
        if wanted and wanted not in message:
            message += f" (needed: {wanted})"
        login = f"auth0 login --scopes {wanted}" if wanted else "auth0 login"
        super().__init__(message, f"Run `{login}`, or grant the scopes to the client that you use.")


# ------------------------------------------------------------------------------ the tenant's answer


class InvalidRequest(Problem):
    code = "invalid_request"
    next_step = "Fix what it names (auth0/tenant.yaml), then run it again."


class Unauthorized(Problem):
    code, login_helps = "unauthorized", True
    next_step = "Log in again (auth0 login), or renew the credentials."


class Forbidden(Problem):
    code = "forbidden"
    next_step = "Ask an administrator of the tenant for access."


class NotFound(Problem):
    code, uncertain = "not_found", True
    next_step = "Run it again: something it needed was removed meanwhile."


class Conflict(Problem):
    code, uncertain = "conflict", True
    next_step = "Run it again: it reads the tenant first and continues from there."


class RateLimited(Problem):
    code, passing, uncertain = "rate_limited", True, True
    next_step = "Wait a minute, then run it again."


class ServerFault(Problem):
    code, passing, uncertain = "server", True, True
    next_step = "Run it again in a minute; see https://status.auth0.com"


class NetworkFault(Problem):
    code, passing, uncertain = "network", True, True
    next_step = "Check the network, then run the command again."


class TimedOut(Problem):
    code, uncertain = "timeout", True
    next_step = "Check the network, then run the command again; --timeout SECONDS waits longer."

    def __init__(self, what: str, seconds: float, likely: str = "") -> None:
        super().__init__(f"no answer from {what} within {seconds:g} s{likely}")


class BadAnswer(Problem):
    code, uncertain = "bad_answer", True
    next_step = "Check that it is the domain of an Auth0 tenant, and that no proxy answers for it."


class TlsFault(Problem):
    code = "tls"
    next_step = "Behind a company proxy, set SSL_CERT_FILE to its certificates (PEM)."


class NotMoved(Problem):
    code = "not_moved"
    next_step = "Fix what is listed, then run it again: it continues with the remaining users."


class NotVerified(Problem):
    code = "verify"
