"""What `copier copy` of the example project costs, against `copier --version` in the same run.

    python3 hooks/bootstrap.py run benchmarks/copy_cost.py [rounds]

Target: at most 1.8 times. The commands take turns, so a busy machine slows them alike.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIER = [sys.executable, "-m", "copier"]
TARGET = 1.8


def main(rounds: int = 15) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        settings = scratch / "settings.yml"
        settings.write_text("{}")
        os.environ["COPIER_SETTINGS_PATH"] = str(settings)
        repository = clone(scratch / "repository")
        directory = shutil.copytree(repository, scratch / "directory", symlinks=True)
        shutil.rmtree(directory / ".git")
        measure(commands(repository, directory), scratch / "project", rounds)


def clone(destination: Path) -> Path:
    """The last commit of this repository with a tag, in one pack, as a server sends it."""
    subprocess.run(["git", "clone", "--quiet", "--no-local", ROOT, destination], check=True)
    subprocess.run(["git", "-C", destination, "tag", "--force", "v999"], check=True)
    return destination


def commands(repository: Path, directory: Path) -> dict[str, list[str]]:
    copy = [
        *COPIER,
        "copy",
        "--quiet",
        "--defaults",
        "--data-file",
        f"{directory}/example-answers.yml",
    ]
    return {
        "copier --version": [*COPIER, "--version"],
        "copy from a directory": [*copy, str(directory)],
        "copy from a git clone with tags": [*copy, str(repository)],
    }


def measure(commands: dict[str, list[str]], project: Path, rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in commands}
    files = 0
    for number in range(rounds + 1):
        for name, command in commands.items():
            arguments = [str(project)] if "copy" in command else []
            start = time.perf_counter()
            subprocess.run([*command, *arguments], check=True, capture_output=True)
            if number:  # The first round warms the caches.
                times[name].append(time.perf_counter() - start)
            if arguments:
                files = sum(path.is_file() for path in project.rglob("*"))
                shutil.rmtree(project)
    report(times, files)


def report(times: dict[str, list[float]], files: int) -> None:
    floor = statistics.median(times["copier --version"])
    rounds = len(times["copier --version"])
    print(f"{files} files rendered; median of {rounds} rounds; target: {TARGET} x or less\n")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:34} {median * 1000:5.0f} ms   {median / floor:4.2f} x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
