"""Every combination of the answers that are choices: clean for ruff, its formatter and mypy.

Two kinds of answers take turns: those that are text (the example's, the longest and the shortest
that pass their validators), and those that add files without Python. Types hang on the Python files
of a project alone: each different set is checked once.
"""

import hashlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import QUESTIONS, check_types, lint, render

TEXTS: list[dict[str, Any]] = [
    {},
    {
        "project_name": "A" * 60,
        "package_name": "a" * 30,
        "resource": "a" * 20,
        "description": "a" * 75,
        "auth0_audience": "https://" + "a" * 90 + ".example.com/path",
        "auth0_domain": "a" * 60 + ".eu.auth0.com",
        "cors_origins": "http://localhost:5173, https://app.example.com",
    },
    {
        "project_name": "X",
        "package_name": "z",
        "resource": "b",
        "description": "",
        "auth0_audience": "x",
        "auth0_domain": "localhost:1",
    },
]


def values(question: dict[str, Any]) -> list[Any]:
    """All answers to a question that has a fixed set of them."""
    if question["type"] == "bool":
        return [False, True]
    choices = question.get("choices", [])
    return list(choices.values()) if isinstance(choices, dict) else choices


CHOICES = {name: values(question) for name, question in QUESTIONS.items() if values(question)}
GROUPED = ["authorization", "dpop", "token_dialect"]  # One test for each of these.
NO_PYTHON = ["behind_proxy", "container", "license", "python_version", "renovate"]


def combinations(names: list[str]) -> Iterator[dict[str, Any]]:
    for combination in itertools.product(*(CHOICES[name] for name in names)):
        yield dict(zip(names, combination, strict=True))


def possible(answers: dict[str, Any]) -> bool:
    """Whether the answers go together: a self-hosted issuer leaves no choice about its tokens."""
    if answers["api_keys"] and not answers["database"]:
        return False
    return answers["identity"] == "auth0" or answers == answers | {
        "auth0_setup": "automatic",  # not asked then
        "authorization": "permissions",
        "database": True,
        "dpop": "off",
        "token_dialect": "rfc9068_profile",
    }


GROUPS = list(combinations(GROUPED))
MEMBERS = list(combinations([name for name in CHOICES if name not in GROUPED + NO_PYTHON]))
OTHERS = list(combinations(NO_PYTHON))


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The sets of Python files whose types were checked already."""
    return set()


def digest(project: Path) -> str:
    """A name for the Python files of a project."""
    whole = hashlib.sha256()
    for path in sorted(project.rglob("*.py")):
        whole.update(f"{path.relative_to(project)}\0".encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()


@pytest.mark.parametrize(
    ("number", "group"), list(enumerate(GROUPS)), ids=["-".join(group.values()) for group in GROUPS]
)
def test_every_render_is_clean(
    plain_template: Path,
    tmp_path: Path,
    seen: set[str],
    mypy_cache: Path,
    number: int,
    group: dict[str, Any],
) -> None:
    members = [answers for answers in MEMBERS if possible(group | answers)]
    for member, answers in enumerate(members):
        turn = TEXTS[(number + member) % len(TEXTS)] | OTHERS[(number + member) % len(OTHERS)]
        render(plain_template, tmp_path / str(member), group | answers | turn)
    lint(tmp_path)
    for project in sorted(tmp_path.iterdir()):
        if digest(project) not in seen:
            seen.add(digest(project))
            check_types(project, mypy_cache)
    shutil.rmtree(tmp_path)


def test_the_matrix_is_whole() -> None:
    choices = {"auth0_setup", "authorization", "dpop", "token_dialect", "python_version"}
    assert choices <= set(CHOICES)
    assert len(GROUPS) * len(MEMBERS) >= 192


def test_some_answers_change_no_python(plain_template: Path, tmp_path: Path) -> None:
    digests = set()
    for name in NO_PYTHON:
        for value in CHOICES[name]:
            project = render(plain_template, tmp_path / f"{name}-{value}", {name: value})
            digests.add(digest(project))
    assert len(digests) == 1
