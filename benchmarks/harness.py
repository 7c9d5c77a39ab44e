"""What the benchmarks of a rendered project share: the render, the machine, tables and targets."""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import copier
import yaml
from copier.errors import DirtyLocalWarning

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = yaml.safe_load((ROOT / "example-answers.yml").read_text(encoding="utf-8"))
PACKAGE: str = ANSWERS["package_name"]
T = TypeVar("T")
COPIER = [sys.executable, "-m", "copier"]


def render(project: Path, answers: dict[str, Any]) -> Path:
    """Render the working tree, committed or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)
        copier.run_copy(str(ROOT), project, answers, vcs_ref="HEAD", defaults=True, quiet=True)
    return project


@contextmanager
def rendered_project() -> Iterator[Path]:
    """Render the working tree, committed or not; its package and test helpers can be imported."""
    with tempfile.TemporaryDirectory() as folder:
        project = render(Path(folder) / "project", ANSWERS)
        sys.path[:0] = [str(project / "src"), str(project / "tests")]
        yield project


def rounds_of(description: str) -> int:
    """Read how many rounds the command line of a benchmark of Copier asks for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=15)
    rounds: int = parser.parse_args().rounds
    return rounds


@contextmanager
def folder_for_copier() -> Iterator[Path]:
    """Give a folder in which nobody's settings of git and Copier count; Python keeps bytecode."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "copier.yml").write_text("{}")
        (home / "gitconfig").write_text("[user]\n    name = Bench\n    email = bench@example.com\n")
        os.environ["COPIER_SETTINGS_PATH"] = str(home / "copier.yml")
        os.environ["GIT_CONFIG_GLOBAL"] = str(home / "gitconfig")
        yield home


def say_where() -> None:
    """Print what the figures depend on beside the code."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    print(f"{date}, Python {platform.python_version()}, {os.cpu_count()} x {model}")
    print(f"load of the last minute at the start: {os.getloadavg()[0]:.1f}\n")


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def by_turns(names: Iterable[str], rounds: int, measure: Callable[[str], T]) -> dict[str, list[T]]:
    """Measure each of them in each round; the first round warms everything and does not count."""
    names = list(names)
    figures = [{name: measure(name) for name in names} for _ in range(rounds + 1)][1:]
    return {name: [one[name] for one in figures] for name in names}


def ratio(mine: Sequence[float], base: Sequence[float]) -> float:
    """The median of the ratios within each round."""
    return statistics.median(one / other for one, other in zip(mine, base, strict=True))


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """10th percentile, median and 90th percentile."""
    return percentile(values, 10), statistics.median(values), percentile(values, 90)


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns: the first to the left, numbers to the right."""
    table = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *others in table:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))
    print()


@dataclass(frozen=True)
class Target:
    """A figure and the bound that it must keep."""

    name: str
    figure: float
    bound: float
    unit: str = ""
    at_least: bool = False

    def reached(self) -> bool:
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound


def print_targets(*targets: Target) -> None:
    """One line per target: reached or missed, with the figure."""
    for target in targets:
        verdict = "reached" if target.reached() else "MISSED "
        limit = f"{'at least' if target.at_least else 'at most'} {target.bound:g}{target.unit}"
        print(f"{verdict}  {target.name}: {target.figure:.3g}{target.unit} ({limit})")
