"""Find what an update of the template, or a merge, has left half done.

    python3 scripts/check_update.py

Copier ends with exit code 0 when an update conflicts, deletes a file that the template gave up even
if you have changed it, and updates nothing that is not where the answers say. This looks for all of
that in the files that git does not ignore. The tests, CI and pre-commit run it.

Exit codes: 0 nothing is left; 1 something is, and the output says where and what to do; 2 git is
missing or fails. Standard library only.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OWNED = (  # by the template; {} is the package
    *("src/{}/auth", "src/{}/app.py", "src/{}/health.py", "src/{}/logs.py"),
    *("src/{}/routes/__init__.py", "scripts/demo.py", "scripts/tenant.py"),
    *("tests/auth", "tests/memory_tenant.py", "tests/test_logs.py"),
)
PACKAGE = re.compile(rb"\A# Written by Copier(?s:.*)^package_name: '?(\w+)", re.MULTILINE)
MARKER = re.compile(rb"^(?:<{7}|>{7})(?: |\r?$)", re.MULTILINE)
FENCE = re.compile(rb"^ {0,3}(?:```|~~~)", re.MULTILINE)
REMEDIES = {
    "conflict": "keep what is right of both sides, delete the marker lines, git add the file; "
    "git checkout --theirs -- FILE takes the template's version of a whole file",
    "rejected": "bring what is right into the file of that name, delete the .rej file",
    "deleted": "the template gave the file up, but you had changed it; "
    "git checkout -- FILE keeps yours, git rm FILE lets it go",
    "moved": "updates miss what the template owns and is not in its place: move it back; or, if "
    "the package has a new name, copier update --vcs-ref=:current: -d package_name=NAME",
    "no answers": "Copier cannot update without this file: bring it back from git's history; or, "
    "to leave the template, delete scripts/check_update.py and what runs it",
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
    listed = names(root, "ls-files", "--cached", "--others", "--exclude-standard")
    unmerged = names(root, "diff", "--name-only", "--relative", "--diff-filter=U")
    files = [name for name in listed if (root / name).is_file() and not (root / name).is_symlink()]
    found, answers = [], []
    for name in files:
        content = (root / name).read_bytes()
        is_prose = name.endswith(".md") and name not in unmerged
        found += [("conflict", f"{name}:{line}") for line in markers(content, is_prose)]
        if name.endswith(".rej"):
            found.append(("rejected", name))
        if match := PACKAGE.match(content):
            answers.append(name)
            found += [("moved", place) for place in moved(files, match[1].decode())]
    for name in answers:
        found += [("deleted", place) for place in deleted(root, name)]
    return found if answers else [*found, ("no answers", ".copier-answers.yml")]


def markers(content: bytes, is_prose: bool) -> list[int]:
    """The numbers of the lines that are conflict markers; in prose, fenced ones are examples."""
    starts = [match.start() for match in MARKER.finditer(content)]
    if is_prose:
        starts = [start for start in starts if len(FENCE.findall(content, 0, start)) % 2 == 0]
    return [content.count(b"\n", 0, start) + 1 for start in starts]


def moved(files: list[str], package: str) -> list[str]:
    """What the template owns that is not in its place, though its name is somewhere else.

    What you delete stays deleted, so it is not missed; the guard is, in any case.
    """
    found = []
    places = [place.format(package) for place in OWNED]
    others = [f"/{name}/" for name in files if not name.startswith(tuple(places))]
    for place in places:
        is_there = any(f"{name}/".startswith(f"{place}/") for name in files)
        is_elsewhere = any(f"/{Path(place).name}/" in other for other in others)
        if not is_there and (is_elsewhere or place == places[0]):
            found.append(place)
    return found


def deleted(root: Path, answers: str) -> list[str]:
    """Files that an update not yet committed has deleted, though they differ from the template's.

    The commit that last wrote the answers holds the files as the template rendered them; what is
    deleted in the working tree and not in the index was deleted by Copier, not by `git rm`.
    """
    if answers not in names(root, "ls-files", "--modified", "--", answers):
        return []
    before = names(root, "log", "-1", "--format=%H", "--", answers)
    changed = names(root, "diff", "--name-only", "--relative", *before, "HEAD") if before else []
    return sorted({*changed} & {*names(root, "ls-files", "--deleted")})


def names(root: Path, command: str, *arguments: str) -> list[str]:
    """The names that a command of git lists, each once."""
    words = ["git", command, "-z", *arguments]
    done = subprocess.run(words, cwd=root, capture_output=True, encoding="utf-8", check=True)
    return sorted({*done.stdout.split("\0")} - {""})


if __name__ == "__main__":
    sys.exit(main())
