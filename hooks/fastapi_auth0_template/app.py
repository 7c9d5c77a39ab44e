"""The tenant of this project: `setup` it, let the `doctor` look at it, get a test `token`.

Exit codes
    setup   0 done or nothing to do, 1 failed, 2 --dry-run found changes,
            3 stopped before any change: a decision, a flag or a login is missing
    doctor  0 good, 1 warnings, 2 failures
    token   0 done, 1 failed, 3 something has to be set up first
    all     64 wrong command line, 130 interrupted
"""

import argparse
import errno
import importlib
import json
import os
import re
import shlex
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypeVar

from . import Json, Patience, Problem, Tenant, cli, management, web
from .apply import EnvPlan, Run, system_api
from .plan import Found, Wanted, describe_api, is_system
from .project import (
    EnvFile,
    Project,
    audience_fault,
    check_writable,
    declared_api,
    domain_fault,
    env_notes,
    load,
    write_env,
)

COMMAND = "uv run scripts/tenant.py"
DECLINED = "the answer was no; nothing was changed"
# Variables that AI agents set for what they run. Not CURSOR_TRACE_ID: people have it too.
AGENT = re.compile(
    r"AI_AGENT|ANTIGRAVITY_CLI_ALIAS|CLAUDECODE|CLAUDE_CODE_ENTRYPOINT|CLAUDE_CODE_SESSION_ID"
    r"|CURSOR_AGENT|GEMINI_CLI(_VERSION)?|.+_(THREAD|CONVERSATION|AGENT_SESSION)_ID"
)
# With these nothing is broken: someone has to decide, give or install something.
STOPPED = {
    "bad_project",
    "cli_too_old",
    "config_corrupt",
    "credentials_missing",
    "declined",
    "env_file",
    "login_hijack",
    "machine_reauth",
    "management_missing",
    "missing_setting",
    "needs_replace_env",
    "needs_yes",
    "no_space",
    "not_installed",
    "not_logged_in",
    "scopes",
    "session_expired",
    "system_api",
    "tenant_choice",
    "token_corrupt",
    "unknown_tenant",
}
UNHEARD = (errno.EPIPE, errno.ENOSPC, errno.EIO)  # nobody reads, or a full disk behind >
EXIT_CODES = {"interrupted": 130, "usage": 64}
LOGIN_HELPS = {
    "config_corrupt",
    "login_hijack",
    "not_logged_in",
    "scopes",
    "session_expired",
    "unauthorized",
    "unknown_tenant",
}
Result = TypeVar("Result")


def run(argv: Sequence[str], *, catch_signals: bool = False) -> int:
    """Run one command; every failure ends as a message and an exit code, never as a traceback."""
    if argv[:1] == ["new"]:
        return new(argv[1:])
    _open_streams()
    args = _parser().parse_args(argv)
    console = Console(args)
    report = Report()
    commands: Mapping[str, Callable[[argparse.Namespace, Console, Report], int]] = {
        "setup": setup,
        "doctor": doctor,
        "token": token,
    }
    if catch_signals:
        _catch_signals(args, console, report)
    try:
        code = commands[args.command](args, console, report)
    except Problem as problem:
        code = _failed(args.command, problem, console, report)
    except (KeyboardInterrupt, EOFError):  # at a question
        code = _failed(args.command, _interrupted(args.command, report), console, report)
    except Exception as error:
        code = _failed(args.command, _unexpected(error), console, report)
    if args.json:
        with suppress(OSError):
            print(json.dumps(report.as_json(args.command, code), indent=2), flush=True)
    return code


def new(argv: Sequence[str] | None = None) -> int:
    """Make a project; in a project itself this command is not there."""
    launcher = importlib.import_module(".launcher", __package__)
    return int(launcher.main(argv))


def _open_streams() -> None:
    """Standard streams that take every character; a closed one (`<&-`) becomes an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _catch_signals(args: argparse.Namespace, console: "Console", report: "Report") -> None:
    """Let Ctrl-C and SIGTERM end the process on the spot, with the words that fit.

    An exception out of a signal handler can get lost: Python ignores it in a callback, as those of
    an import are, and the run would go on.
    """

    def stop(*_: object) -> None:
        cli.stop()
        with suppress(RuntimeError):  # if it came in the middle of another print
            code = _failed(args.command, _interrupted(args.command, report), console, report)
            if args.json:
                print(json.dumps(report.as_json(args.command, code), indent=2), flush=True)
        os._exit(130)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def leave(code: int) -> NoReturn:
    """End the process, without waiting for a call whose time was up but that never ended."""
    try:
        sys.stdout.flush()
    except OSError:  # nobody reads it any more, and Python would try again
        os._exit(code)
    if threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)


def _failed(command: str, problem: Problem, console: "Console", report: "Report") -> int:
    report.problem = problem
    stopped = problem.code in STOPPED and not report.wrote
    message = f"error: {problem.message}"
    if report.wrote:
        message += " (what was done stays; a second run goes on from there)"
    if command == "token":
        console.tell(f"{message}. {problem.next_step}", wrap=False)
    else:
        console.tell(message)
        console.tell(f"next: {problem.next_step}")
    if problem.code in EXIT_CODES:
        return EXIT_CODES[problem.code]
    return 2 if command == "doctor" else 3 if stopped else 1


def _interrupted(command: str, report: "Report") -> Problem:
    if command != "setup" or not report.wrote:
        return Problem("interrupted", "interrupted; nothing was changed", "Run it again.")
    return Problem(
        "interrupted",
        "interrupted",
        "Run the same command again: it reads the tenant first and finishes the job.",
    )


def _unexpected(error: Exception) -> Problem:
    if isinstance(error, OSError) and error.errno in UNHEARD:
        words = f"the output cannot be written: {error.strerror}"
        return Problem("output", words, "Run it again without | and >.")
    place = traceback.extract_tb(error.__traceback__)[-1]
    return Problem(
        "unexpected",
        # Without the error's own words: those of a library may quote a secret.
        f"{type(error).__name__} in {place.filename}, line {place.lineno}",
        "This is a defect of the set-up: please report this line to the template.",
    )


# ------------------------------------------------------------------------------------ command line


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(64, f"error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    common.add_argument(
        "--project",
        type=Path,
        default=Path.cwd(),
        metavar="FOLDER",
        help="the project (default: this folder)",
    )
    common.add_argument("--tenant", metavar="DOMAIN", help="the tenant, where several are possible")
    common.add_argument("--audience", metavar="ID", help="the identifier of the API")
    common.add_argument(
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="for each single call (default: 60)",
    )
    common.add_argument("--no-input", action="store_true", help="never ask")
    way = _Parser(add_help=False)
    way.add_argument(
        "--via",
        choices=("cli", "api"),
        help="cli: the auth0 command line and your login; api: AUTH0_CLIENT_ID and"
        " AUTH0_CLIENT_SECRET (default: api if they are set)",
    )
    way.add_argument("--json", action="store_true", help="one JSON object on stdout; never asks")

    parser = _Parser(
        prog="tenant.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    add = commands.add_parser(
        "setup", parents=[common, way], help="plan, confirm, apply, verify, write .env"
    )
    add.add_argument("--dry-run", action="store_true", help="show the plan; exit code 2: changes")
    add.add_argument("-y", "--yes", action="store_true", help="apply the plan without asking")
    add.add_argument("--replace-env", action="store_true", help="replace differing values in .env")
    add.add_argument("--no-env", action="store_true", help="leave .env alone: another tenant")
    add.add_argument("--prune", action="store_true", help="drop scopes that are not declared")
    add.add_argument("--test-app", action="store_true", help="an application for test tokens")
    add.add_argument("--docs-app", action="store_true", help="an application for Swagger's login")
    add.add_argument(
        "--docs-url",
        action="append",
        metavar="URL",
        help="where the API runs, for that login (default: localhost:8000, PUBLIC_URL)",
    )
    add = commands.add_parser("doctor", parents=[common, way], help="find what makes tokens fail")
    add.add_argument("--token", metavar="-", help="-: also look at the token on stdin")
    add.add_argument("--scope", action="append", default=[], help="that the token should carry")
    add = commands.add_parser("token", parents=[common], help="print an access token for this API")
    add.add_argument("--scope", action="append", default=[], help="only these scopes")
    add.add_argument("--fresh", action="store_true", help="a new one, not the cached one")
    add.set_defaults(json=False)
    return parser


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise ValueError
    return value


@dataclass
class Report:
    """What a run did, as --json tells it."""

    facts: Json = field(default_factory=lambda: {"via": None, "tenant": None, "audience": None})
    changes: list[Json] = field(default_factory=list)
    checks: list[Json] = field(default_factory=list)
    status: str = "failed"
    run: Run | None = None
    problem: Problem | None = None

    @property
    def wrote(self) -> bool:
        return self.run is not None and self.run.wrote

    def as_json(self, command: str, code: int) -> Json:
        if code in (3, 130) and command == "setup":
            self.status = "stopped" if code == 3 else "interrupted"
        error = self.problem and {
            "code": self.problem.code,
            "message": self.problem.message,
            "next": self.problem.next_step,
        }
        head = {"status": self.status, "exit_code": code}
        if command == "doctor":
            return head | {"checks": self.checks, "error": error}
        notes = self.run.notes if self.run else []
        return head | self.facts | {"changes": self.changes, "notes": notes, "error": error}


class Console:
    """What people see and are asked. Results go to stdout, everything else to stderr."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.silent = bool(args.json)
        self.mute_reason = self._why_mute(args)

    @property
    def asks(self) -> bool:
        return not self.mute_reason

    @staticmethod
    def _why_mute(args: argparse.Namespace) -> str:
        if args.no_input or args.json:
            return "--no-input" if args.no_input else "--json"
        if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
            return "no terminal"
        if os.environ.get("CI", "").lower() not in ("", "0", "false"):
            return "CI is set"
        if os.environ.get("AUTH0_AGENT_MODE", "").lower() in ("1", "t", "true"):
            return "AUTH0_AGENT_MODE is set"
        names = (name for name, value in os.environ.items() if value)
        agent = next(filter(AGENT.fullmatch, names), "")
        return agent and f"{agent} is set"

    def say(self, text: str = "", indent: int = 0, hanging: int = 0) -> None:
        """A line of the result; what does not fit goes on below, `hanging` deeper."""
        if not self.silent:
            print(_wrapped(text, indent, hanging), flush=True)

    def command(self, text: str) -> None:
        """A command to copy: on one line, however long."""
        if not self.silent:
            print(f"  {text}", flush=True)

    def tell(self, text: str, *, wrap: bool = True) -> None:
        """Progress, a note, an error."""
        with suppress(OSError):  # nobody reads it
            print(_wrapped(text, hanging=2) if wrap else text, file=sys.stderr, flush=True)

    def yes(self, question: str) -> bool:
        """The answer to a yes-or-no question; no is the default. Only where `asks`."""
        if os.environ.get("TERM") == "dumb":
            return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        return bool(_questionary().confirm(question, default=False).unsafe_ask())

    def choice(self, question: str, options: Sequence[str]) -> str:
        """One of the options. Only where `asks`."""
        if os.environ.get("TERM") == "dumb":
            self.say("\n".join(options))
            return input(f"{question} ").strip()
        return str(_questionary().select(question, choices=list(options)).unsafe_ask())


def _questionary() -> ModuleType:
    import questionary  # a quarter of a second that only asking is worth

    if os.environ.get("NO_COLOR"):
        os.environ.setdefault("PROMPT_TOOLKIT_COLOR_DEPTH", "DEPTH_1_BIT")
    return questionary


def _wrapped(text: str, indent: int = 0, hanging: int = 0) -> str:
    return textwrap.fill(
        # What things in the tenant are named may hold control characters.
        "".join(char if char.isprintable() else " " for char in text),
        width=80,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )


# ------------------------------------------------------------------------------------------- setup


def setup(args: argparse.Namespace, console: Console, report: Report) -> int:
    """Make the tenant hold what auth0/tenant.yaml declares, and .env name it."""
    project = load(args.project)
    if not (args.no_env or args.dry_run):
        check_writable(project.env.path)
    wanted = _wanted(args, project)
    report.facts["audience"] = wanted.audience
    patience = _patience(args, console)
    run = report.run = Run(project, wanted, patience, writes_env=not args.no_env)

    def look() -> tuple[Tenant, Found]:
        tenant = _connect(args, console, project, report)
        return tenant, run.look(tenant)

    tenant, found = _with_login(console, report, look)
    env = run.env_for(tenant, found)
    _show(console, report, run, tenant, found, env)
    if args.dry_run:
        report.status = "changes" if report.changes else "unchanged"
        return 2 if report.changes else 0
    if report.changes:
        _decide(args, console, tenant, env)
        found = run.reconcile(tenant, found)
        env = run.env_for(tenant, found)
    console.tell(f"Checking https://{env.domain} ...")
    web.verify_tenant(env.domain, patience.at_most(20))
    _finish(args, console, report, run, tenant, env)
    return 0


def _wanted(args: argparse.Namespace, project: Project) -> Wanted:
    audience = (
        args.audience
        or project.setting("AUTH0_AUDIENCE", os.environ)
        or project.answers.get("auth0_audience", "")
    )
    if not audience:
        raise Problem(
            "missing_setting",
            "no identifier for the API: AUTH0_AUDIENCE is not set",
            "Name it with --audience, such as --audience https://api.example.com",
        )
    if is_system(None, audience):
        raise system_api(audience)
    if fault := audience_fault(audience):
        raise Problem("missing_setting", f"the audience {audience!r}: {fault}", "Give another.")
    callbacks: list[str] = []
    for url in args.docs_url or ():
        if not (args.docs_app and re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", url)):
            raise Problem("usage", f"--docs-url {url}", "It takes a URL, and needs --docs-app.")
    if args.docs_app:
        public = project.setting("PUBLIC_URL", os.environ)
        bases = args.docs_url or ["http://localhost:8000", "http://127.0.0.1:8000", public]
        callbacks = [f"{base.rstrip('/')}/docs/oauth2-redirect" for base in bases if base]
    api = declared_api(project.root, audience)
    return Wanted(api, args.test_app, tuple(dict.fromkeys(callbacks)), args.prune)


def _with_login(console: Console, report: Report, action: Callable[[], Result]) -> Result:
    """Run the action; where only a login is missing, offer one at a terminal and try again."""
    for _ in range(2):
        try:
            return action()
        except Problem as problem:
            helps = problem.code in LOGIN_HELPS and report.facts["via"] == "cli"
            if not (helps and console.asks):
                raise
            command = cli.login_command(problem)
            console.tell(f"{problem.message}.")
            if not console.yes(f"Run `{' '.join(command)}` now?"):
                raise
            cli.login(command)
    return action()


def _connect(
    args: argparse.Namespace, console: Console, project: Project, report: Report
) -> Tenant:
    """The way to the tenant that was asked for, or else that is there; never a guessed tenant."""
    way = args.via or ("api" if management.credentials_given(os.environ) else "cli")
    report.facts["via"] = way
    patience = _patience(args, console)
    configured = project.setting("AUTH0_DOMAIN", os.environ)
    named = args.tenant or (configured if way == "api" else "")
    if named and (fault := domain_fault(named)):
        raise Problem("missing_setting", f"the tenant {named!r}: {fault}", "Give another --tenant.")
    if way == "cli":
        named = _choose(args, console, configured, cli.tenants(patience))
    elif not named:
        raise Problem(
            "missing_setting", "which tenant? AUTH0_DOMAIN is not set", "Set it, or use --tenant."
        )
    report.facts["tenant"] = named
    if way == "cli":
        return cli.CliTenant(named, patience)
    return management.connect(named, os.environ, patience)


def _choose(
    args: argparse.Namespace, console: Console, configured: str, names: Sequence[str]
) -> str:
    """One of the tenants that the command line is logged in to; asks only where it may."""
    if not names:
        raise Problem(
            "not_logged_in", "not logged in to Auth0", "Run `auth0 login`, then run this again."
        )
    if args.tenant:
        if args.tenant not in names:
            raise Problem(
                "unknown_tenant",
                f"the auth0 command line is not logged in to {args.tenant}",
                f"Run `auth0 login` for it, or choose of: {', '.join(names)}",
            )
        return str(args.tenant)
    if configured in names:
        return configured
    if configured:
        console.tell(f"note: AUTH0_DOMAIN is {configured}, which has no login here.")
    if len(names) == 1 and (console.asks or not configured):
        return names[0]
    if console.asks and (chosen := console.choice("Which tenant?", names)) in names:
        return chosen
    raise Problem(
        "tenant_choice",
        f"which tenant? Logged in to: {', '.join(names)}",
        "Name it with --tenant DOMAIN.",
    )


def _patience(args: argparse.Namespace, console: Console) -> Patience:
    return Patience(args.timeout, console.tell)


def _show(
    console: Console, report: Report, run: Run, tenant: Tenant, found: Found, env: EnvPlan
) -> None:
    way = "the auth0 command line" if report.facts["via"] == "cli" else "the Management API"
    console.say(f"Tenant  {tenant.domain} (through {way})")
    console.say(f"API     {run.wanted.audience}")
    if found.api is not None:
        console.say(describe_api(found.api), indent=8)
    report.changes = [
        {"target": change.target, "action": change.action, "text": list(change.text)}
        for change in run.plan(found)
    ]
    if env.text:
        action = "create" if run.project.env.text is None else "update"
        text = ["Write .env", *env.text]
        report.changes.append({"target": "env", "action": action, "text": text})
    run.note(_env_notes(run, env))
    console.say()
    if not report.changes:
        console.say("Nothing to change: the tenant and .env are as auth0/tenant.yaml declares.")
        return
    console.say("Plan")
    for change in report.changes:
        console.say(change["text"][0], indent=2)
        for detail in change["text"][1:]:
            console.say(detail, indent=6)
    console.say()


def _env_notes(run: Run, env: EnvPlan) -> list[str]:
    shadowed = [key for key, value in env.values.items() if os.environ.get(key, value) != value]
    wins = "is also set in the environment, where it wins over .env"
    return [*env_notes(run.project.env.path), *(f"{key} {wins}" for key in shadowed)]


def _decide(args: argparse.Namespace, console: Console, tenant: Tenant, env: EnvPlan) -> None:
    """A yes to the plan, and one of its own to what it replaces in .env; else a Problem."""
    if env.replaced and not args.replace_env:
        keys = ", ".join(env.replaced)
        if not console.asks:
            raise Problem(
                "needs_replace_env",
                f".env has other values for {keys}; without a yes they stay"
                f" (not asked: {console.mute_reason})",
                "Add --replace-env, or put .env right by hand.",
            )
        if not console.yes(f"Replace {keys} in .env?"):
            raise Problem("declined", DECLINED, "Put .env right, then run it again.")
    if args.yes:
        return
    if not console.asks:
        raise Problem(
            "needs_yes", f"the plan needs a yes (not asked: {console.mute_reason})", "Add --yes."
        )
    if not console.yes(f"Apply this plan to {tenant.domain}?"):
        raise Problem("declined", DECLINED, "Run it again when you want to.")


def _finish(
    args: argparse.Namespace,
    console: Console,
    report: Report,
    run: Run,
    tenant: Tenant,
    env: EnvPlan,
) -> None:
    wrote_env, wrote_before = False, run.wrote
    run.wrote = True  # for who presses Ctrl-C now
    try:
        wrote_env = bool(env.values) and write_env(run.project.env, env.values)
    finally:
        run.wrote = wrote_before or wrote_env
    report.status = "applied" if report.changes else "unchanged"
    if not report.changes:
        return
    console.say(
        "Done: the tenant was read back and holds what auth0/tenant.yaml declares"
        + ("; .env is written." if wrote_env else "; .env is as it was.")
    )
    console.say("Again, without questions:")
    console.command(f"{COMMAND} setup {' '.join(_flags(args, tenant))} --yes")
    console.say("Next:")
    console.command(f"{COMMAND} doctor")
    if not args.no_env:
        console.command(f"{COMMAND} {'token' if args.test_app else 'setup --test-app'}")


def _flags(args: argparse.Namespace, tenant: Tenant) -> list[str]:
    """The flags that make the same run again."""
    flags = ["--tenant", tenant.domain]
    for name, value in (("--audience", args.audience), ("--via", args.via)):
        flags += [name, value] if value else []
    for name in ("test_app", "docs_app", "prune", "no_env"):
        flags += [f"--{name.replace('_', '-')}"] if getattr(args, name) else []
    for url in args.docs_url or []:
        flags += ["--docs-url", url]
    return [shlex.quote(flag) for flag in flags]


# ------------------------------------------------------------------------------- doctor and token


def doctor(args: argparse.Namespace, console: Console, report: Report) -> int:
    """Look at everything that makes tokens fail; the worst finding is the exit code."""
    from . import doctor as checks  # only here: it loads the project's own settings

    if args.token not in (None, "-"):
        raise Problem(
            "usage",
            "a token on the command line ends up in the shell's history",
            f"Pipe it: ... | {COMMAND} doctor --token -",
        )
    if args.token and sys.stdin.isatty():
        console.tell("Paste the token, then press Enter and Ctrl-D (Windows: Ctrl-Z, Enter).")
    given = sys.stdin.read() if args.token else None
    project, env_fault = _project_and_fault(args.project)
    patience = _patience(args, console).at_most(20)

    def connect() -> Tenant:
        silent = argparse.Namespace(**{**vars(args), "no_input": True})
        return _connect(silent, Console(silent), project, report)

    examination = checks.Examination(
        project, patience, connect, args.audience, given, args.scope, env_fault
    )
    for check in checks.run(examination):
        report.checks.append(check.as_json())
        console.say(f"{check.status:<8} {check.id}: {check.found}", hanging=9)
        if check.remedy:
            console.say(check.remedy, indent=9)
    states = {check["status"] for check in report.checks}
    code = 2 if "failure" in states else 1 if "warning" in states else 0
    report.status = ("good", "warnings", "failures")[code]
    return code


def _project_and_fault(root: Path) -> tuple[Project, Problem | None]:
    """The project, as if it had no .env if that cannot be read; and why."""
    try:
        return load(root), None
    except Problem as problem:
        if problem.code != "env_file":
            raise
        return load(root, EnvFile(root / ".env", None)), problem


def token(args: argparse.Namespace, console: Console, report: Report) -> int:
    """Print a token of the test application; nothing else goes to stdout."""
    project = load(args.project)
    domain = args.tenant or project.setting("AUTH0_DOMAIN", os.environ)
    audience = args.audience or project.setting("AUTH0_AUDIENCE", os.environ)
    client_id = project.setting("AUTH0_TEST_CLIENT_ID", os.environ)
    secret = project.setting("AUTH0_TEST_CLIENT_SECRET", os.environ)
    needed = {
        "AUTH0_DOMAIN": domain,
        "AUTH0_AUDIENCE": audience,
        "AUTH0_TEST_CLIENT_ID": client_id,
        "AUTH0_TEST_CLIENT_SECRET": secret,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise Problem(
            "missing_setting",
            f"not set: {', '.join(missing)}",
            f"Run `{COMMAND} setup --test-app` first.",
        )
    if fault := domain_fault(domain):
        raise Problem("missing_setting", f"the tenant {domain!r}: {fault}", "Give another one.")
    dpop = project.setting("AUTH0_DPOP", os.environ) or project.answers.get("dpop", "")
    if dpop == "required":
        raise Problem(
            "missing_setting",
            "this API takes DPoP-bound tokens only, and those are of no use without their key",
            "Use `uv run scripts/demo.py`, or set AUTH0_DPOP=accepted while you try.",
        )
    scopes = [scope for given in args.scope for scope in given.split()]
    patience = _patience(args, console).at_most(20)
    declared = [scope["value"] for scope in declared_api(project.root, audience)["scopes"]]
    print(
        web.cached_token(
            domain,
            (client_id, secret),
            audience,
            scopes,
            patience,
            declared=declared,
            fresh=args.fresh,
        )
    )
    return 0
