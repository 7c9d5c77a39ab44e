"""What the tests share as plain functions: the repository, its questions, a render, git and uv."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import copier
import yaml
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

ROOT = Path(__file__).resolve().parents[1]
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))  # uv does not look there.
QUESTIONS: dict[str, Any] = {
    name: question
    for name, question in yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8")).items()
    if not name.startswith("_")
}
EXAMPLE: dict[str, Any] = yaml.safe_load((ROOT / "example-answers.yml").read_text(encoding="utf-8"))
AUTOMATIC = {name: EXAMPLE[name] for name in EXAMPLE if name != "auth0_domain"} | {
    "auth0_setup": "automatic"
}
SELF_HOSTED = {
    "identity": "self_hosted",
    "authorization": "permissions",
    "dpop": "off",
    "token_dialect": "rfc9068_profile",
}
PYTEST = [  # of a project, without what its owner has not: the tools of this repository
    *(sys.executable, "-m", "pytest", "-q"),
    *("-p", "no:cacheprovider", "-p", "no:copie", "-p", "no:xdist"),
]
LINT_ALL = [  # options of ruff; files are named one by one, since a project excludes the template's
    *("--no-cache", "--no-force-exclude", "--quiet", "--config"),
    'lint.extend-per-file-ignores = {"**/scripts/*.py" = ["S603", "S606", "S607"],'
    ' "**/tests/issuer/*.py" = ["S603", "S608"],'
    ' "**/scripts/tenant.py" = ["E501", "S108"]}',  # the address of the template, whatever it is
]
JINJA = SandboxedEnvironment(  # as Copier makes it
    loader=FileSystemLoader(ROOT),
    undefined=StrictUndefined,
    extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
)


def refusal(name: str, value: object, rules: int = QUESTIONS["rules"]["default"]) -> str:
    """What the validator of a question answers to a value: nothing if it is good."""
    answers = {"rules": rules, "identity": "auth0", name: value}
    for computed in ("port", "reserved_names"):
        answers[computed] = JINJA.from_string(QUESTIONS[computed]["default"]).render(answers)
    return JINJA.from_string(QUESTIONS[name]["validator"]).render(answers).strip()


def uv() -> str:
    """The uv that the bootstrap found or brought."""
    found = os.environ.get("UV") or shutil.which("uv")
    assert found, "uv is needed: run the tests by hooks/bootstrap.py"
    return found


def check_types(project: Path, caches: Path) -> None:
    """Find no wrong type in a project. mypy mixes up projects of other packages in one cache."""
    [main] = project.glob("src/*/main.py")
    cache = caches / main.parent.name
    done = run([sys.executable, "-m", "mypy", "--cache-dir", cache], project, {"PYTHONPATH": "src"})
    assert done.returncode == 0, done.stdout


def lint(folder: Path) -> None:
    """Find nothing in any Python file of the projects in a folder, the template's own included."""
    files = [path for path in sorted(folder.rglob("*.py")) if ".venv" not in path.parts]
    names = [path.relative_to(folder) for path in files]
    for command in (["check", "--output-format=concise"], ["format", "--check"]):
        done = run([sys.executable, "-m", "ruff", *command, *LINT_ALL, *names], folder)
        assert done.returncode == 0, done.stdout


def python(version: str) -> str | None:
    """An interpreter of this version, if the machine has one."""
    done = subprocess.run([uv(), "python", "find", version], capture_output=True, text=True)
    pyenv = sorted(PYENV.glob(f"versions/{version}.*/bin/python"))
    return done.stdout.strip() or next(map(str, pyenv), None)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit_all(folder: Path, message: str = "A commit") -> None:
    """Make a folder a git repository, if it is none, and commit what is in it."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)


def copy_working_tree(destination: Path) -> Path:
    """A copy of the repository as it is now, committed or not, without what git ignores."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if os.path.lexists(ROOT / name):  # A deleted file is still listed.
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, destination / name, follow_symlinks=False)
    return destination


def render(template: Path, destination: Path, answers: dict[str, Any] | None = None) -> Path:
    """Render without a question: the example answers, changed by `answers`."""
    data = EXAMPLE | (answers or {})
    copier.run_copy(str(template), destination, data, defaults=True, quiet=True)
    return destination


def run(
    command: Sequence[str | Path],
    folder: Path,
    environment: dict[str, str] | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """A command without a terminal; its two streams together in `stdout`."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
