"""What `copier update` of the example project costs, against a copy of it in the same run.

    python3 hooks/bootstrap.py run benchmarks/update_cost.py [--rounds 15]

Target: at most 2.3 times. The two take turns, so a busy machine slows them alike; the ratio is the
median of the ratios within a round. The release that is updated to changes one file in five. Python
may keep its bytecode, as on the machine of a user.
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

OLD, NEW = "v900.0.0", "v901.0.0"
BOUND = 2.3


def main() -> None:
    rounds = rounds_of("The cost of an update against that of a copy.")
    say_where()
    with folder_for_copier() as scratch:
        report(measure(scratch, rounds))


def make_template(folder: Path) -> Path:
    """The last commit of this repository as the old release, and a new one made from it."""
    run("git", "clone", "--quiet", "--no-local", "--no-tags", str(ROOT), str(folder))
    git(folder, "tag", OLD)
    python = [path for path in sorted((folder / "template").rglob("*.py")) if path.is_file()]
    for path in python[::5]:
        path.write_text(path.read_text(encoding="utf-8") + "\n\n# Changed.\n", encoding="utf-8")
    git(folder, "commit", "--quiet", "--all", "--message", "A new release")
    git(folder, "tag", NEW)
    git(folder, "repack", "-a", "-d", "--quiet")  # One pack, as a server sends it.
    return folder


def measure(scratch: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each copy and of the update after it; the first round warms the caches."""
    template, project = make_template(scratch / "template"), scratch / "project"
    data = ["--defaults", "--data-file", str(template / "example-answers.yml")]
    copy = [*COPIER, "copy", "--quiet", *data, "--vcs-ref", OLD, str(template), str(project)]

    def one(name: str) -> float:
        if name == "copy":
            shutil.rmtree(project, ignore_errors=True)
            return seconds(copy, scratch)
        run("git", "init", "--quiet", str(project))
        git(project, "add", "--all")
        git(project, "commit", "--quiet", "--message", "Start")
        return seconds([*COPIER, "update", "--quiet", "--defaults"], project)

    return by_turns(("copy", "update"), rounds, one)


def report(times: dict[str, list[float]]) -> None:
    rows = []
    for name, values in times.items():
        rows.append([name, *(f"{1000 * value:.0f}" for value in spread(values))])
    print_table(["milliseconds", "10 %", "median", "90 %"], rows)
    slower = ratio(times["update"], times["copy"])
    print_targets(Target("update against copy", slower, BOUND, " x"))


def seconds(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def git(folder: Path, *arguments: str) -> None:
    run("git", "-C", str(folder), *arguments)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
