"""What `copier copy` of the example project costs, against `copier --version` in the same run.

    python3 hooks/bootstrap.py run benchmarks/copy_cost.py [--rounds 15]

Target: at most 1.7 times from a directory, 2.0 times from a clone. An empty template shows what
Copier takes for itself. The commands take turns, so a busy machine slows them alike; a ratio is the
median of the ratios within a round. Python may keep its bytecode, as on the machine of a user.
"""

import shutil
import subprocess
import time
from pathlib import Path

from harness import (
    COPIER,
    ROOT,
    Target,
    by_turns,
    folder_for_copier,
    print_table,
    print_targets,
    ratio,
    rounds_of,
    say_where,
    spread,
)

FLOOR, EMPTY = "copier --version", "empty template, a directory"
DIRECTORY, CLONE = "copy from a directory", "copy from a git clone"
BOUNDS = {DIRECTORY: 1.7, CLONE: 2.0}


def main() -> None:
    rounds = rounds_of("The cost of a copy.")
    say_where()
    with folder_for_copier() as scratch:
        asked, project = commands(scratch), scratch / "project"
        report(by_turns(asked, rounds, lambda name: seconds(asked[name], project)))


def commands(scratch: Path) -> dict[str, list[str]]:
    """The last commit: as a clone in one pack with a tag, as a server sends it, and as files."""
    clone, directory = scratch / "clone", scratch / "directory"
    subprocess.run(["git", "clone", "--quiet", "--no-local", str(ROOT), str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "tag", "--force", "v999"], check=True)
    shutil.copytree(clone, directory, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    (scratch / "empty").mkdir()
    (scratch / "empty" / "copier.yml").touch()
    data = ["--defaults", "--data-file", str(directory / "example-answers.yml")]
    copy = [*COPIER, "copy", "--quiet", *data]
    return {
        FLOOR: [*COPIER, "--version"],
        EMPTY: [*copy, str(scratch / "empty"), str(scratch / "project")],
        DIRECTORY: [*copy, str(directory), str(scratch / "project")],
        CLONE: [*copy, str(clone), str(scratch / "project")],
    }


def seconds(command: list[str], project: Path) -> float:
    """What a command takes, which may make the project."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    taken = time.perf_counter() - start
    shutil.rmtree(project, ignore_errors=True)
    return taken


def report(times: dict[str, list[float]]) -> None:
    ratios = {name: ratio(column, times[FLOOR]) for name, column in times.items()}
    rows = []
    for name, column in times.items():
        low, median, high = (f"{1000 * value:.0f}" for value in spread(column))
        rows.append([name, low, median, high, f"{ratios[name]:.2f}"])
    print_table(["milliseconds", "10 %", "median", "90 %", "x floor"], rows)
    print_targets(*(Target(name, ratios[name], bound, " x") for name, bound in BOUNDS.items()))


if __name__ == "__main__":
    main()
