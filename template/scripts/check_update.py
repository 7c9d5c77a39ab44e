"""Find what an update of the template, or a merge, has left half done.

    python3 scripts/check_update.py

Copier ends with exit code 0 when an update conflicts, and deletes a file that the template gave up
even if you have changed it. This looks for conflict markers and .rej files in all files that git
does not ignore, and for deleted files with changes of yours. The tests, CI and pre-commit run it.

Exit codes: 0 nothing is left; 1 something is, and the output says where and what to do; 2 git is
missing or fails. Standard library only.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = ".copier-answers.yml"
MARKER = re.compile(rb"^(?:<{7}|>{7})(?: |\r?$)", re.MULTILINE)
REMEDIES = {
    "conflict": "keep what is right of both sides, delete the marker lines, git add the file",
    "rejected": "bring what is right into the file of that name, delete the .rej file",
    "deleted": "the template gave the file up, but you had changed it; "
    "git checkout -- FILE keeps yours, git rm FILE lets it go",
}


def main() -> int:
    """Print what is left half done and what to do about it."""
    try:
        found = findings(ROOT)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or "git is missing: install it, then run this again"
        print(reason.strip(), file=sys.stderr)
        return 2
    for kind, remedy in REMEDIES.items():
        places = [place for place_kind, place in found if place_kind == kind]
        if places:
            print(f"{kind}: {remedy}", *(f"  {place}" for place in places), sep="\n")
    return 1 if found else 0


def findings(root: Path) -> list[tuple[str, str]]:
    """Pairs of a kind (a key of REMEDIES) and a place below `root`; none outside git."""
    if not any((folder / ".git").exists() for folder in [root, *root.parents]):
        return []
    found = [("deleted", name) for name in deleted(root)]
    for name in names(root, "ls-files", "--cached", "--others", "--exclude-standard"):
        path = root / name
        if name.endswith(".rej"):
            found.append(("rejected", name))
        elif path.is_file() and not path.is_symlink():
            found += [("conflict", f"{name}:{line}") for line in markers(path.read_bytes())]
    return found


def markers(content: bytes) -> list[int]:
    """The numbers of the lines that are conflict markers."""
    return [content.count(b"\n", 0, match.start()) + 1 for match in MARKER.finditer(content)]


def deleted(root: Path) -> list[str]:
    """Files that an update not yet committed has deleted, though they differ from the template's.

    The commit that last wrote the answers holds the files as the template rendered them; what is
    deleted in the working tree and not in the index was deleted by Copier, not by `git rm`.
    """
    if ANSWERS not in names(root, "ls-files", "--modified", "--", ANSWERS):
        return []
    before = git(root, "log", "-1", "--format=%H", "--", ANSWERS).strip()
    changed = names(root, "diff", "--name-only", "--relative", before, "HEAD") if before else []
    return sorted({*changed} & {*names(root, "ls-files", "--deleted")})


def names(root: Path, command: str, *arguments: str) -> list[str]:
    """The names that a command of git lists, each once."""
    return sorted({*git(root, command, "-z", *arguments).split("\0")} - {""})


def git(root: Path, *arguments: str) -> str:
    """What a command of git prints."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
