"""`doctor`: check everything that makes tokens fail; the worst finding is the exit code."""

from pathlib import Path

from ..console import Console
from ..doctor import order
from ..doctor.check import Examination
from ..model import COMMAND, Options, Patience, Tenant
from ..problems import EnvFault, Problem, Usage
from ..project import EnvFile, Project, load
from ..tenant.connect import connect
from ..text import protect

EXIT_CODES = {"failure": 2, "warning": 1}


def doctor(options: Options, console: Console) -> int:
    """Run each check and print its finding. Change nothing."""
    token = _token(options, console)
    project, env_fault = _project_and_fault(options.project)

    def connected() -> Tenant:
        silent = options.never_asking()
        return connect(silent, Console(silent, console.report), project).tenant

    examination = Examination(
        project,
        Patience(options.timeout, console.tell).at_most(20),
        connected,
        options.audience,
        token,
        options.scopes,
        env_fault,
    )
    report = console.report
    for check in order.run(examination):
        report.checks.append(check.as_json())
        console.row(check.status, check.id, check.found, check.remedy)
    code = max((EXIT_CODES.get(check["status"], 0) for check in report.checks), default=0)
    report.status = ("good", "warnings", "failures")[code]
    return code


def _token(options: Options, console: Console) -> str | None:
    if options.token is None:
        return None
    if options.token != "-":  # noqa: S105  it stands for stdin
        raise Usage(
            "a token on the command line ends up in the shell's history",
            f"Pipe it: ... | {COMMAND} doctor --token -",
        )
    token = console.standard_input("the token")
    protect(token)
    return token


def _project_and_fault(root: Path) -> tuple[Project, Problem | None]:
    """Return the project and no problem; or, if .env cannot be read, without it and why."""
    try:
        return load(root), None
    except EnvFault as problem:
        return load(root, EnvFile(root / ".env", None)), problem
