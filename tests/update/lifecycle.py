"""A project's life: rendered, committed, updated, and what is in it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import copier
import yaml
from pathspec import PathSpec

from support import EXAMPLE, PYTEST, ROOT, check_types, git, lint, run

SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
OWNED = PathSpec.from_lines("gitignore", SETTINGS["_skip_if_exists"])
Tree = dict[str, bytes]


def start(
    template: Path | str, release: str, folder: Path, answers: dict[str, Any] | None = None
) -> Path:
    """A committed project of a release."""
    fresh(template, release, folder, answers)
    git(folder, "init", "--quiet")
    commit(folder, "Start")
    return folder


def fresh(
    template: Path | str, release: str, folder: Path, answers: dict[str, Any] | None = None
) -> Path:
    """A render of a release."""
    data = EXAMPLE | (answers or {})
    copier.run_copy(str(template), folder, data, vcs_ref=release, defaults=True, quiet=True)
    return folder


def commit(project: Path, message: str = "Ours") -> None:
    """Commit everything that git does not ignore."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "--message", message)


def update(project: Path, release: str, **answers: Any) -> None:
    """`copier update --defaults -r RELEASE -d ...`, without a flag that trusts."""
    copier.run_update(project, answers, vcs_ref=release, defaults=True, overwrite=True, quiet=True)


def copier_command(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Copier as a user types it, in `folder`."""
    return run([sys.executable, "-m", "copier", *arguments], folder)


def check(project: Path) -> subprocess.CompletedProcess[str]:
    """The project's own look for what an update has left half done."""
    return run([sys.executable, "scripts/check_update.py"], project)


def tree(project: Path) -> Tree:
    """Every file that is not git's or a cache's."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and not {".git", "__pycache__"} & {*path.parts}
    }


def split(files: Tree) -> tuple[Tree, Tree]:
    """The owner's files, and those that updates are for."""
    owned = {name: text for name, text in files.items() if OWNED.match_file(name)}
    return owned, {name: text for name, text in files.items() if name not in owned}


def green(project: Path, cache: Path) -> None:
    """The project's own checks pass; in the environment of these tests, which has its packages."""
    lint(project)
    check_types(project, cache)
    for command in ([sys.executable, "scripts/check_update.py"], PYTEST):
        done = run(command, project, {"PYTHONPATH": str(project / "src")})
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
