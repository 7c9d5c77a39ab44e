"""Asks a project that issues its own tokens, in its own Python, for users, roles and scopes."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ..doctor.inside import python_of, run
from ..problems import BadProject, ProjectFault
from ..text import printable

EXPORT = "export.ndjson"
SECONDS = 120.0  # for an export of a large database
SCRIPT = (  # as the script runs by itself, even if the package is not installed
    "import runpy, sys; sys.path.insert(0, 'src'); del sys.argv[0];"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


@dataclass(frozen=True)
class SelfHosted:
    """The project's folder, its package in src/, and the Python of its environment."""

    root: Path
    package: str
    python: str


@dataclass(frozen=True)
class User:
    """A user of the project, as exported."""

    sub: str
    email: str
    email_verified: bool
    password_hash: str | None
    role: str
    active: bool


@dataclass(frozen=True)
class Access:
    """The project's audience, scopes and roles; `members` are the roles' names in Python."""

    audience: str
    scopes: Mapping[str, str]  # value -> description
    roles: Mapping[str, list[str]]
    members: Mapping[str, str]
    administrator: str


def find(root: Path) -> SelfHosted:
    """Return the project; refuse one without its own users, or without an environment."""
    found = sorted(root.glob("src/*/issuer/roles.py"))
    if not found or not (root / "scripts" / "admin.py").is_file():
        raise BadProject(
            f"{root} is not a project with identity=self_hosted",
            "Run the command in the project, or name it with --project FOLDER.",
        )
    python = python_of(root)
    if python is None:
        raise ProjectFault(f"{root} has no environment yet")
    return SelfHosted(root, found[0].parents[1].name, python)


def access(project: SelfHosted) -> Access:
    """Return the audience, the scopes and the roles of the project."""
    probe = files(__package__).joinpath("probe.py").read_text(encoding="utf-8")
    done = _run(project, ["-c", probe, project.package])
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = {"error": "its Python gave no answer"}
    if error := found.get("error"):
        raise ProjectFault(f"the project cannot be asked: {printable(str(error))}")
    return Access(**found)


def export(project: SelfHosted, file: Path) -> list[User]:
    """Let the project export all of its users to a new file, and return them."""
    done = _run(project, ["-c", SCRIPT, "scripts/admin.py", "users", "export", str(file)])
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        if "Traceback" in said:
            said = said.splitlines()[-1]
        why = printable(said) or f"exit code {done.returncode}"
        raise ProjectFault(f"scripts/admin.py users export: {why}")
    names = list(User.__dataclass_fields__)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [User(**{name: line[name] for name in names}) for line in lines]


def _run(project: SelfHosted, arguments: list[str]) -> "subprocess.CompletedProcess[bytes]":
    try:
        return run([project.python, *arguments], project.root, b"", SECONDS)
    except subprocess.TimeoutExpired:
        raise ProjectFault(f"the project gave no answer within {SECONDS:g} s") from None
    except OSError as error:
        raise ProjectFault(f"{project.python} cannot be run: {error.strerror}") from None
