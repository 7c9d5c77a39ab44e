"""Rendered projects as their owners have them: an environment of their own, tests, lint, types.

The answers are chosen so that every pair of values meets in at least one project.
"""

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

from support import QUESTIONS, python, render, run, uv
from test_matrix import CHOICES, combinations

Pair = frozenset[tuple[str, Any]]


def pairs(answers: dict[str, Any]) -> set[Pair]:
    return {frozenset(pair) for pair in itertools.combinations(answers.items(), 2)}


def pairwise() -> list[dict[str, Any]]:
    """Few combinations that hold all pairs: always the one with the most pairs that are missing."""
    everything = list(combinations(list(CHOICES)))
    missing = set().union(*(pairs(answers) for answers in everything))
    chosen = []
    while missing:
        best = max(everything, key=lambda answers: len(pairs(answers) & missing))
        chosen.append(best)
        missing -= pairs(best)
    return chosen


def interpreter(oldest: str) -> str:
    """A Python for a project that supports this one and newer ones."""
    found = python(oldest)
    if not found and sys.version_info < tuple(map(int, oldest.split("."))):
        pytest.skip(f"there is no Python {oldest} or newer on this machine")
    return found or sys.executable


@pytest.mark.parametrize(
    "answers", pairwise(), ids=lambda answers: "-".join(map(str, answers.values()))
)
def test_a_project_is_green(plain_template: Path, tmp_path: Path, answers: dict[str, Any]) -> None:
    project = render(plain_template, tmp_path / "project", answers)
    passes(project, answers["python_version"], ["sync", "--quiet"], ["run", "pytest", "-q"])


def test_lint_and_types_pass_with_the_tools_of_the_project(
    plain_template: Path, tmp_path: Path
) -> None:
    """One project is enough: test_matrix.py has them all, with the tools of this repository."""
    project = render(plain_template, tmp_path / "project")
    lint = ["run", "ruff", "check"], ["run", "ruff", "format", "--check"]
    passes(
        project, QUESTIONS["python_version"]["default"], ["sync", "--quiet"], *lint, ["run", "mypy"]
    )


def passes(project: Path, version: str, *commands: list[str]) -> None:
    """Assert that uv runs each command in a project without an error."""
    environment = {"UV_PYTHON": interpreter(version), "UV_PYTHON_DOWNLOADS": "never"}
    for command in commands:
        done = run([uv(), *command], project, environment)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}"
