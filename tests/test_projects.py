"""Rendered projects as their owners have them: what uv installs for them, tests, lint, types.

Every pair of values of the choices meets in at least one project. The texts are generated.
"""

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

import generated
from support import QUESTIONS, check_types, python, render, run, uv
from test_matrix import CHOICES, combinations, possible

Pair = frozenset[tuple[str, Any]]


def pairs(answers: dict[str, Any]) -> set[Pair]:
    return {frozenset(pair) for pair in itertools.combinations(answers.items(), 2)}


def pairwise() -> list[dict[str, Any]]:
    """Few combinations that hold all pairs: always the one with the most pairs that are missing."""
    everything = list(filter(possible, combinations(list(CHOICES))))
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


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment for each Python: `uv sync` makes it hold what a project locks, no more.

    Another project finds most packages there, and compiled.
    """
    return tmp_path_factory.mktemp("environments")


ANSWERS = [
    choices | texts for choices, texts in zip(pairwise(), generated.answers(3), strict=False)
]


@pytest.mark.parametrize(
    "answers", ANSWERS, ids=lambda answers: "-".join(str(answers[name]) for name in CHOICES)
)
def test_a_project_is_green(
    plain_template: Path,
    tmp_path: Path,
    mypy_cache: Path,
    environments: Path,
    answers: dict[str, Any],
) -> None:
    project = render(plain_template, tmp_path / "project", answers)
    check_types(project, mypy_cache)
    version = answers["python_version"]
    passes(project, environments, version, ["sync", "--quiet"], ["run", "pytest", "-q"])


def test_at_least_ten_projects_are_tried() -> None:
    assert len(ANSWERS) >= 10


def test_lint_and_types_pass_with_the_tools_of_the_project(
    plain_template: Path, tmp_path: Path, environments: Path
) -> None:
    """One project is enough: test_matrix.py has them all, with the tools of this repository."""
    project = render(plain_template, tmp_path / "project")
    lint = ["run", "ruff", "check"], ["run", "ruff", "format", "--check"]
    version = QUESTIONS["python_version"]["default"]
    passes(project, environments, version, ["sync", "--quiet"], *lint, ["run", "mypy"])


def passes(project: Path, environments: Path, version: str, *commands: list[str]) -> None:
    """Assert that uv runs each command in a project without an error."""
    environment = {
        "UV_PROJECT_ENVIRONMENT": str(environments / version),
        "UV_PYTHON": interpreter(version),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for command in commands:
        done = run([uv(), *command], project, environment)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}"
