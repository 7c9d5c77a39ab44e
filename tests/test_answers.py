"""Every accepted answer gives a project that is formatted, linted and compiled.

The answers come from tests/generated.py, half of them by the prompts of Copier and half by a file.
Only what the answers change is rendered. test_projects.py has whole projects with such answers.
"""

import compileall
import itertools
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from dotenv import dotenv_values

import generated
from support import copy_working_tree, lint

NUMBER = 150  # of each way
Render = Callable[[Path, Path, dict[str, Any], pytest.MonkeyPatch], None]


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template without the files that are the same in every project."""
    folder = copy_working_tree(tmp_path_factory.mktemp("templates"))
    for path in (folder / "template").rglob("*"):
        if path.is_file() and path.suffix != ".jinja":
            path.unlink()
    return folder


def by_prompts(
    template: Path, project: Path, answers: dict[str, Any], patch: pytest.MonkeyPatch
) -> None:
    """Type the answers: the prompt's own checks and conversion, without a terminal."""

    def typed(questions: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        (question,) = questions
        answer = answers.get(question["name"], question.get("default"))
        assert question.get("validate", lambda _: True)(answer) is True
        return {question["name"]: question["filter"](getattr(answer, "value", answer))}

    patch.setattr("copier._main.unsafe_prompt", typed)
    copier.run_copy(str(template), project, quiet=True, ask=list(answers))


def by_file(
    template: Path, project: Path, answers: dict[str, Any], patch: pytest.MonkeyPatch
) -> None:
    """As `copier copy --data-file` reads them."""
    read = yaml.safe_load(yaml.safe_dump(answers, allow_unicode=True))
    copier.run_copy(str(template), project, read, defaults=True, quiet=True)


@pytest.mark.parametrize(("render", "seed"), [(by_prompts, 1), (by_file, 2)])
def test_every_accepted_answer_gives_a_clean_project(
    templates: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    render: Render,
    seed: int,
) -> None:
    for number, answers in enumerate(itertools.islice(generated.answers(seed), NUMBER)):
        project = tmp_path / str(number)
        render(templates, project, answers | {"auth0_setup": "manual"}, monkeypatch)
        stored = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
        assert stored == stored | answers
        assert dotenv_values(project / ".env") == {
            "AUTH0_DOMAIN": answers["auth0_domain"],
            "AUTH0_AUDIENCE": answers["auth0_audience"],
        }
        for line in (project / ".env.example").read_text(encoding="utf-8").splitlines():
            assert re.match("#|[A-Z0-9_]+=|$", line), line
        metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
        assert metadata["project"]["description"] == answers["description"]
        api = yaml.safe_load((project / "auth0" / "tenant.yaml").read_text(encoding="utf-8"))
        assert api["resourceServers"][0]["name"] == answers["project_name"]
    lint(tmp_path)
    assert compileall.compile_dir(tmp_path, quiet=2, force=True)
