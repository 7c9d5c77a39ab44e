"""The time from the end of `uv sync` to the first green test of a fresh project, and to the last.

    python3 hooks/bootstrap.py run benchmarks/first_test.py [--rounds 5]

Target: at most 5 s to the first. Each round has a new environment, so nothing is compiled yet.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from harness import Target, print_table, print_targets, rendered_project, say_where

UV = os.environ.get("UV", "uv")
BOUND = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description="The first green test after uv sync.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    say_where()
    times = [one_round() for _ in range(rounds)]
    first, last = (statistics.median(column) for column in zip(*times, strict=True))
    print_table(
        ["seconds after uv sync", "median"],
        [["first green test", f"{first:.2f}"], ["last test", f"{last:.2f}"]],
    )
    print_targets(Target("first green test", first, BOUND, " s"))


def one_round() -> tuple[float, float]:
    """Render, install, test."""
    with rendered_project() as project:
        subprocess.run([UV, "sync", "--quiet"], cwd=project, check=True)
        return first_and_last(project)


def first_and_last(project: Path) -> tuple[float, float]:
    """Seconds until `uv run pytest` tells of its first passed test, and until it ends."""
    start = time.perf_counter()
    first = None
    command = [UV, "run", "pytest", "-v", "--color=no"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as tests:
        for line in tests.stdout or ():
            if first is None and " PASSED " in line:
                first = time.perf_counter() - start
    if first is None or tests.returncode:
        sys.exit("the tests of the project are not green")
    return first, time.perf_counter() - start


if __name__ == "__main__":
    main()
