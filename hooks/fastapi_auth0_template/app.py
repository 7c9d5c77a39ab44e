"""The command line: options, exit codes, and the one place where failures become messages."""

import errno
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from .console import Console, Report
from .model import Options
from .problems import Interrupted, OutputLost, Problem, Unexpected, Usage
from .tenant import process
from .text import protect_settings, redacted

EXIT_CODES = """\
Exit codes

\b
  setup   0 done or nothing to do, 1 failed, 2 --dry-run found changes,
          3 stopped before any change: a decision, a flag or a login is missing
  doctor  0 good, 1 warnings, 2 failures
  token   0 done, 1 failed, 3 something has to be set up first
  move-users  0 done or nothing to do, 1 failed, 2 --dry-run found changes,
          3 stopped before any change
  move-check  0 nothing to change, 2 there are lines to change
  new     0 done, 1 refused, 2 wrong command line or folder, 3 a tool or the network
          is missing, 4 the project is not green, 5 the set-up did not finish
  all     64 wrong command line (not new), 130 interrupted
"""
USAGE, INTERRUPTED = 64, 130
UNHEARD = (errno.EPIPE, errno.ENOSPC, errno.EIO)  # a reader that left, or a full disk behind >
REPOSITORY = (  # set inside a git hook: git would work on that repository, wherever it is called
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"),
    *("GIT_PREFIX", "GIT_NAMESPACE"),
)
cli = typer.Typer(
    name="fastapi-auth0-template",
    help="Make a FastAPI project with Auth0, set up its tenant, find out why tokens fail.",
    epilog=EXIT_CODES,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(argv: Sequence[str], *, catch_signals: bool = False) -> int:
    """Run one command and return its exit code; every failure ends as a message."""
    for name in REPOSITORY:
        os.environ.pop(name, None)
    if argv[:1] == ["new"]:
        return new(argv[1:])
    _open_streams()
    protect_settings(os.environ)
    try:
        options = cli(list(argv), prog_name="fastapi-auth0-template", standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own class, wherever typer gets it from
            return _told(_unexpected(error))
        return _wrong_usage(argv, error.format_message(), getattr(error, "ctx", None))
    if not isinstance(options, Options):  # only --help
        return 0 if options in (None, 0) else USAGE
    return _bounded(options, catch_signals=catch_signals)


def new(argv: Sequence[str] | None = None) -> int:
    """Make a project; let exceptions end its questions, which then restore the terminal."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _open_streams()
    try:
        return int(importlib.import_module(".commands.new", __package__).main(argv))
    except Exception as error:
        return _told(_unexpected(error))


def _told(problem: Problem) -> int:
    with suppress(OSError):
        print(f"error: {problem.message}\nnext: {problem.next_step}", file=sys.stderr)
    return 1


def _wrong_usage(argv: Sequence[str], message: str, context: typer.Context | None) -> int:
    usage = context.get_usage() if context else ""
    with suppress(OSError):
        print(f"{usage}\nerror: {redacted(message)}".lstrip(), file=sys.stderr)
    if "--json" in argv and context and "json" in {each.name for each in context.command.params}:
        options = Options(argv[0], Path(), json=True)
        report = Report(problem=Usage(message, " ".join(usage.split())))
        with suppress(OSError):
            Console(options, report).as_json(options.command, USAGE)
    return USAGE


# ---------------------------------------------------------------------------------- the boundary


def _bounded(options: Options, *, catch_signals: bool) -> int:
    console = Console(options)
    if catch_signals:
        _catch_signals(options, console)
    try:
        code = _command(options.command)(options, console)
    except Problem as problem:
        code = _failed(options, console, problem)
    except (KeyboardInterrupt, EOFError):  # at a question
        code = _failed(options, console, _interrupted(options, console))
    except Exception as error:
        code = _failed(options, console, _unexpected(error))
    if options.json:
        try:
            console.as_json(options.command, code)
        except OSError as error:
            return _failed(options, console, _unexpected(error))
    return code


def _command(name: str) -> Callable[[Options, Console], int]:
    """Return the function of a command, without loading the others."""
    name = name.replace("-", "_")
    module = importlib.import_module(f".commands.{name}", __package__)
    found: Callable[[Options, Console], int] = getattr(module, name)
    return found


def _failed(options: Options, console: Console, problem: Problem) -> int:
    console.report.problem = problem
    wrote = console.report.wrote
    message = f"error: {problem.message}"
    if wrote:
        message += " (what was done stays; a second run continues from there)"
    if options.command == "token":
        console.tell(f"{message}. {problem.next_step}", wrap=False)
    else:
        console.tell(message)
        console.tell(f"next: {problem.next_step}")
    if problem.exit_code is not None:
        return problem.exit_code
    if options.command == "doctor":
        return 2
    return 3 if problem.decision and not wrote else 1


def _interrupted(options: Options, console: Console) -> Problem:
    if not console.report.wrote:
        return Interrupted("interrupted; nothing was changed", "Run it again.")
    return Interrupted(
        "interrupted",
        "Run the same command again: it reads the tenant first and finishes the job.",
    )


def _unexpected(error: Exception) -> Problem:
    if isinstance(error, OSError) and error.errno in UNHEARD:
        return OutputLost(f"the output cannot be written: {error.strerror}")
    place = traceback.extract_tb(error.__traceback__)[-1]
    # Without the error's own text: a library may quote a secret in it.
    return Unexpected(f"{type(error).__name__} in {place.filename}, line {place.lineno}")


def _open_streams() -> None:
    """Let the standard streams take every character; a closed one (`<&-`) becomes an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _catch_signals(options: Options, console: Console) -> None:
    """Let Ctrl-C and SIGTERM end the process at once, with a fitting message.

    An exception raised in a signal handler can get lost: Python ignores it in callbacks, such as
    those of an import, and the run would go on.
    """

    def stop(*_: object) -> None:
        process.stop()
        console.restore_terminal()
        with suppress(OSError):
            console.clean_up()
        with suppress(RuntimeError, OSError):  # it interrupted another print; the reader left
            code = _failed(options, console, _interrupted(options, console))
            if options.json:
                console.as_json(options.command, code)
        os._exit(INTERRUPTED)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, stop)


def leave(code: int) -> NoReturn:
    """End the process, without waiting for a call that timed out but never ended."""
    try:
        sys.stdout.flush()
    except OSError:  # the reader is gone, and Python would try again
        os._exit(code)
    if threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)


# ------------------------------------------------------------------------------- the command line


def _given(text: str) -> str:
    """Refuse the value of a variable that is not set, rather than take a default for it."""
    if not text.strip():
        raise typer.BadParameter("it is empty")
    return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 3600:
        raise typer.BadParameter(f"{text!r} is not a number of seconds up to 3600")
    return value


ProjectFolder = Annotated[
    Path, typer.Option("--project", metavar="FOLDER", help="The project; default: this folder.")
]
TenantDomain = Annotated[
    str | None,
    typer.Option(
        "--tenant", metavar="DOMAIN", parser=_given, help="The tenant, if you use several."
    ),
]
Audience = Annotated[
    str | None,
    typer.Option(
        "--audience", metavar="ID", parser=_given, help="The Identifier of the API in Auth0."
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="SECONDS", parser=_seconds, help="How long one call may take."
    ),
]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask a question.")]
Via = Annotated[
    str | None,
    typer.Option(
        "--via",
        metavar="cli|env|api",
        help="cli: the Auth0 CLI with your login; env: the Auth0 CLI with AUTH0_CLIENT_ID and"
        " AUTH0_CLIENT_SECRET; api: the Management API with the same two. Default: api if they"
        " are set, otherwise cli.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object; never ask.")]
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope", metavar="SCOPE", parser=_given, help="A scope of the token; repeatable."
    ),
]
Flag = typer.Option


@cli.command("new", add_help_option=False, help="Make a project: render, sync, test, commit.")
def _new() -> None:
    """Appear in the list of commands; `run` passes the arguments on."""


@cli.command("setup", help="Create or update the API in Auth0, and write .env.")
def _setup(
    project: ProjectFolder = Path(),
    tenant: TenantDomain = None,
    audience: Audience = None,
    timeout: Timeout = 60.0,
    no_input: NoInput = False,
    via: Via = None,
    json: AsJson = False,
    dry_run: Annotated[bool, Flag("--dry-run", help="Show the plan and stop.")] = False,
    yes: Annotated[bool, Flag("--yes", "-y", help="Apply the plan without asking.")] = False,
    replace_env: Annotated[
        bool, Flag("--replace-env", help="Replace differing values in .env.")
    ] = False,
    no_env: Annotated[bool, Flag("--no-env", help="Leave .env alone.")] = False,
    prune: Annotated[bool, Flag("--prune", help="Remove undeclared scopes from Auth0.")] = False,
    test_app: Annotated[
        bool, Flag("--test-app", help="Create an application for test tokens.")
    ] = False,
    docs_app: Annotated[
        bool, Flag("--docs-app", help="Create an application for Swagger's login.")
    ] = False,
    docs_url: Annotated[
        list[str] | None,
        Flag(
            "--docs-url",
            metavar="URL",
            help="Where the API runs, if not on localhost:8000; repeatable.",
        ),
    ] = None,
) -> Options:
    return Options(
        "setup", project.absolute(), tenant, audience, timeout, no_input, _way(via), json,
        dry_run, yes, replace_env, no_env, prune, test_app, docs_app, tuple(docs_url or ()),
    )  # fmt: skip


@cli.command("doctor", help="Find out why tokens fail. Changes nothing.")
def _doctor(
    project: ProjectFolder = Path(),
    tenant: TenantDomain = None,
    audience: Audience = None,
    timeout: Timeout = 60.0,
    no_input: NoInput = False,
    via: Via = None,
    json: AsJson = False,
    token: Annotated[
        str | None, Flag("--token", metavar="-", help="Also check the token on stdin: --token -")
    ] = None,
    scope: Scopes = None,
) -> Options:
    return Options(
        "doctor", project.absolute(), tenant, audience, timeout, no_input, _way(via), json,
        token=token, scopes=tuple(scope or ()),
    )  # fmt: skip


@cli.command("token", help="Print an access token for this API.")
def _token(
    project: ProjectFolder = Path(),
    tenant: TenantDomain = None,
    audience: Audience = None,
    timeout: Timeout = 60.0,
    no_input: NoInput = False,
    scope: Scopes = None,
    fresh: Annotated[bool, Flag("--fresh", help="Get a new token, not the cached one.")] = False,
) -> Options:
    return Options(
        "token", project.absolute(), tenant, audience, timeout, no_input,
        scopes=tuple(scope or ()), fresh=fresh,
    )  # fmt: skip


@cli.command("move-check", help="List the lines to change before a move to Auth0. Changes nothing.")
def _move_check(project: ProjectFolder = Path(), json: AsJson = False) -> Options:
    return Options("move-check", project.absolute(), json=json)


@cli.command("move-users", help="Move the users of a self-hosted project to Auth0.")
def _move_users(
    files: Annotated[
        Path,
        Flag(
            "--files",
            metavar="DIR",
            help="A folder for the import files, outside any git work tree.",
        ),
    ],
    project: ProjectFolder = Path(),
    tenant: TenantDomain = None,
    timeout: Timeout = 60.0,
    no_input: NoInput = False,
    json: AsJson = False,
    upload: Annotated[
        bool, Flag("--upload", help="Import the users, assign roles, check, remove the files.")
    ] = False,
    dry_run: Annotated[bool, Flag("--dry-run", help="Show the plan and stop.")] = False,
    yes: Annotated[bool, Flag("--yes", "-y", help="Apply the plan without asking.")] = False,
) -> Options:
    return Options(
        "move-users", project.absolute(), tenant, None, timeout, no_input, "api", json,
        dry_run, yes, files=files.absolute(), upload=upload,
    )  # fmt: skip


def _way(via: str | None) -> str | None:
    if via not in (None, "cli", "env", "api"):
        raise typer.BadParameter(f"{via!r} is not cli, env or api", param_hint="--via")
    return via
