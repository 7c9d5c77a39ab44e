"""The commands of a clone. They need only Python 3.11, pip and git, and install uv themselves.

    python3 hooks/bootstrap.py new DESTINATION [options of fastapi-auth0-template new]
    python3 hooks/bootstrap.py test [options of pytest]
    python3 hooks/bootstrap.py check
    python3 hooks/bootstrap.py run FILE [arguments]
    python3 hooks/bootstrap.py lock [options of uv pip compile]

`new` asks the questions and leaves a project that is synced and green. Without a terminal, or with
--defaults, it takes example-answers.yml. `test` runs all tests of this repository. `check`
formats the code, then looks for lint, type errors, misspellings and unsafe workflows. `run` runs a
Python file, such as a benchmark. These four use the packages of requirements-dev.txt, installed in
.venv. `lock` writes that file from the dependency groups in pyproject.toml, and then the tool's
exact dependencies there; `lock --upgrade` takes the newest releases.

Standard library only, and no syntax newer than Python 3.7: an old Python has to get far enough to
say that it is too old. Exit codes: those of `new`, of pytest, of the file; 3 if a tool or the
network is missing; 130 after Ctrl-C.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV_VERSION = "0.13.9"
OLDEST_UV = (0, 10)  # older ones ignore `exclude-newer` and the floors of a project
COMPILE = ["pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
TOOL = (  # the tool of this clone, without a path that the commands it runs would inherit
    f"import sys; sys.path.insert(0, {str(ROOT / 'hooks')!r});"
    " from fastapi_auth0_template.__main__ import main; main()"
)
MISSING = 3
INTERRUPTED = 130
FIXES = [["ruff", "check", "--fix-only", "--quiet"], ["ruff", "format", "--quiet"]]
CHECKS = [  # tests/test_repository.py runs them as well
    ["ruff", "check"],
    ["ruff", "format", "--check"],
    ["mypy"],
    ["typos"],
    ["zizmor", "--offline", "--quiet", "--persona", "auditor", ".github"],
]


class MissingError(Exception):
    """A tool or the network is missing; the message says which, and what to do."""


def main(args: list[str]) -> int:
    command, rest = (args[0], args[1:]) if args else ("", [])
    if command not in ("new", "test", "check", "run", "lock"):
        print(__doc__)
        return 0 if command in ("-h", "--help") else 2
    # As pip does: behind a firewall that re-signs TLS, only the system knows whom to trust.
    os.environ.setdefault("UV_SYSTEM_CERTS", "1")
    try:
        if sys.version_info < (3, 11):
            version = ".".join(map(str, sys.version_info[:2]))
            raise MissingError(f"Python 3.11 or newer is needed; {sys.executable} is {version}")
        if not shutil.which("git"):
            raise MissingError("git is needed and not on PATH: install it, then run this again")
        uv = find_uv() or install_uv()
        if command == "lock":
            lock(uv, rest)
            return 0
        python = sync(uv)
    except MissingError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISSING
    except KeyboardInterrupt:
        print("\nstopped: the same command continues from here", file=sys.stderr)
        return INTERRUPTED
    if command == "check":
        return check(python.parent)
    return call([str(python), *python_arguments(command, rest)], uv)


def python_arguments(command: str, rest: list[str]) -> list[str]:
    """Return what Python has to run for a command of this script."""
    if command == "run":
        return rest
    if command == "test":
        return ["-m", "pytest", "-n", "auto", *rest]  # tests/conftest.py schedules
    answers: list[str] = []
    if "--defaults" in rest or not (sys.stdin and sys.stdin.isatty()):
        # The user's own options come later, and win.
        answers = ["--defaults", "--data-file", str(ROOT / "example-answers.yml")]
    return ["-P", "-c", TOOL, "new", *answers, *rest]


def check(tools: Path) -> int:
    """Fix what can be fixed, then run each check; return 1 if any found something."""
    for name, *options in FIXES:
        subprocess.run([str(tools / name), *options], cwd=str(ROOT))
    failed = []
    for name, *options in CHECKS:
        print(" ".join([name, *options]), flush=True)
        if subprocess.run([str(tools / name), *options], cwd=str(ROOT)).returncode:
            failed.append(name)
    print(f"found something: {', '.join(failed)}" if failed else "all good")
    return 1 if failed else 0


def find_uv() -> str | None:
    """Return uv from PATH or from an earlier run, unless it is too old."""
    for uv in (shutil.which("uv"), shutil.which("uv", path=str(own_tools() / "bin"))):
        if uv and uv_version(uv) >= OLDEST_UV:
            return uv
    return None


def uv_version(uv: str) -> tuple[int, ...]:
    """Return the version of an executable, or (0,) if it does not tell."""
    try:
        done = subprocess.run([uv, "--version"], stdout=subprocess.PIPE, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found else (0,)


def own_tools() -> Path:
    return ROOT / ".tools" / f"uv-{UV_VERSION}"


def install_uv() -> str:
    """Install uv into the clone, and return its path.

    pip installs into a folder of its own (--target), which works even if the system's Python
    refuses `pip install` (PEP 668) or lacks the venv module.
    """
    print(
        f"uv is missing: installing uv {UV_VERSION} into {own_tools().relative_to(ROOT)}/",
        flush=True,
    )
    target = ["--quiet", "--upgrade", "--target", str(own_tools()), f"uv=={UV_VERSION}"]
    settings = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_ROOT_USER_ACTION": "ignore"}
    done = subprocess.run(
        [*pip(), "install", *target],
        env={**os.environ, **settings},
        stderr=subprocess.PIPE,
        text=True,
    )
    uv = shutil.which("uv", path=str(own_tools() / "bin"))
    if done.returncode or not uv:
        raise MissingError(f"pip could not install uv (is the network up?): {gist(done.stderr)}")
    return uv


def pip() -> list[str]:
    """Return the command that runs pip: this Python's, or else the one on PATH."""
    own = [sys.executable, "-m", "pip"]
    if not subprocess.run([*own, "--version"], capture_output=True).returncode:
        return own
    for name in ("pip3", "pip"):
        path = shutil.which(name)
        if path:
            return [path]
    raise MissingError("uv is missing, and so is pip to install it: install either of them")


def sync(uv: str) -> Path:
    """Make .venv hold exactly the packages of requirements-dev.txt; return its Python."""
    home = ROOT / ".venv"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    lock = str(ROOT / "requirements-dev.txt")
    steps = [["pip", "sync", "--quiet", "--require-hashes", "--python", str(python), lock]]
    if not is_current(home / "pyvenv.cfg") or not python.exists():
        steps.insert(0, ["venv", "--quiet", "--clear", "--python", sys.executable, str(home)])
    for step in steps:
        run_uv(uv, step)
    return python


def lock(uv: str, options: list[str]) -> None:
    """Write requirements-dev.txt, and from it the `dependencies` in pyproject.toml."""
    target = ["--group", "dev", "--generate-hashes", "--output-file", "requirements-dev.txt"]
    run_uv(uv, [*COMPILE, *target, *options])
    project = ROOT / "pyproject.toml"
    entries = "".join(f"    {json.dumps(pin)},\n" for pin in tool_pins(uv))
    text = project.read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^(dependencies = \[\n).*?(^\])", rf"\g<1>{entries}\2", text, count=1)
    project.write_text(text, encoding="utf-8")


def tool_pins(uv: str) -> list[str]:
    """Return all packages that the group `tool` needs, in the versions of requirements-dev.txt."""
    options = ["--constraint", "requirements-dev.txt", "--no-header", "--no-annotate"]
    return run_uv(uv, [*COMPILE, "--group", "tool", *options]).splitlines()


def run_uv(uv: str, arguments: list[str]) -> str:
    """Return what uv prints; turn a failure into its most telling line."""
    done = subprocess.run([uv, *arguments], cwd=str(ROOT), capture_output=True, text=True)
    if done.returncode:
        raise MissingError(f"uv {arguments[0]} failed (is the network up?): {gist(done.stderr)}")
    return done.stdout


def is_current(settings: Path) -> bool:
    """Return whether an environment was made for the Python version that runs this."""
    version = f"version_info = {platform.python_version()}"
    return settings.is_file() and version in settings.read_text(encoding="utf-8").splitlines()


def gist(stderr: str) -> str:
    """Return the most telling line of a tool's output: its last error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["it said nothing"])[-1]


def call(command: list[str], uv: str) -> int:
    """Run a command in the foreground, with UV naming `uv`; return its exit code."""
    signal.signal(signal.SIGINT, lambda *_: None)  # The command gets Ctrl-C too; its answer counts.
    code = subprocess.run(command, env={**os.environ, "UV": uv}).returncode
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
