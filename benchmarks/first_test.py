"""The time from the end of `uv sync` to the first green test of a fresh project, and to the last.

    python3 hooks/bootstrap.py run benchmarks/first_test.py [rounds]

Target: at most 5 s to the first. Each round has a new environment, so nothing is compiled yet.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import copier
import yaml

ROOT = Path(__file__).resolve().parents[1]
UV = os.environ.get("UV", "uv")
TARGET = 5.0


def main(rounds: int = 5) -> None:
    answers = yaml.safe_load((ROOT / "example-answers.yml").read_text(encoding="utf-8"))
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            project = Path(folder) / f"project-{number}"
            copier.run_copy(str(ROOT), project, answers, vcs_ref=head, defaults=True, quiet=True)
            subprocess.run([UV, "sync", "--quiet"], cwd=project, check=True)
            times.append(first_and_last(project))
            shutil.rmtree(project)
    first, last = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"median of {rounds} rounds; target: {TARGET} s or less to the first green test\n")
    print(f"first green test   {first:5.2f} s")
    print(f"last test          {last:5.2f} s")


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
    main(*map(int, sys.argv[1:]))
