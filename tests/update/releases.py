"""The releases that projects are updated between: real ones, the working tree, and one made here.

The template of these tests is a clone with a tag for each: those of the repository, or, where it
has no tags, the commits named "Release X" and the last commit of each other version in the history
of pyproject.toml; then WORKING, the working tree as it is; then NEXT, which changes every file of
the template (next_release.py).
"""

import re
import shutil
import subprocess
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path

from support import ROOT, commit_all, copy_working_tree, git
from update.next_release import change_everything

WORKING, NEXT = "v900.0.0", "v901.0.0"


@cache
def releases() -> dict[str, str]:
    """The commit of each release, oldest first; before the first one, the last commit counts."""
    if not has_history():
        return {}
    tagged = {tag: tag for tag in git(ROOT, "tag", "--merged", "HEAD").split() if is_release(tag)}
    known = ended_versions() | named_releases() | tagged or {"v0.0.0": "HEAD"}
    return {tag: known[tag] for tag in sorted(known, key=number)}


def has_history() -> bool:
    """Whether this is a clone with its whole history: not an archive, not a shallow clone."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--is-shallow-repository"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() == "false"


def is_release(tag: str) -> bool:
    return bool(re.fullmatch(r"v\d+\.\d+\.\d+", tag))


def number(tag: str) -> list[int]:
    return [int(part) for part in tag.removeprefix("v").split(".")]


def named_releases() -> dict[str, str]:
    """The commits whose subject is "Release X"."""
    log = git(
        ROOT, "log", "--first-parent", "--format=%H %s", "--extended-regexp", "--grep=^Release "
    )
    found = re.findall(r"(?m)^(\w+) Release (\d+\.\d+\.\d+)$", log)
    return {f"v{version}": commit for commit, version in found}


def ended_versions() -> dict[str, str]:
    """For each version that pyproject.toml told before this one, the last commit that told it."""
    log = ["log", "--first-parent", "--reverse", "--format=%H", "--", "pyproject.toml"]
    touched = git(ROOT, *log).split()
    last = {}
    for commit, following in pairwise(touched):
        project = tomllib.loads(git(ROOT, "show", f"{commit}:pyproject.toml"))["project"]
        last[f"v{project['version']}"] = f"{following}^"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    last.pop(f"v{project['version']}", None)
    return last


def build_template(folder: Path) -> Path:
    """A clone of the repository with a tag for each release, for WORKING and for NEXT."""
    if releases():
        git(ROOT, "clone", "--quiet", "--no-local", str(ROOT), str(folder))
        for tag, commit in releases().items():
            git(folder, "tag", "--force", tag, git(ROOT, "rev-parse", f"{commit}^{{commit}}"))
        clear(folder)
    copy_working_tree(folder)
    commit_all(folder, "The working tree")
    git(folder, "tag", WORKING)
    change_everything(folder)
    commit_all(folder, "The next release")
    git(folder, "tag", NEXT)
    git(folder, "repack", "-a", "-d", "--quiet")  # Copier clones it up to five times an update.
    return folder


def clear(folder: Path) -> None:
    """Remove everything but .git."""
    for path in folder.iterdir():
        if path.name == ".git":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
