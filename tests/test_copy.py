"""`copier copy` as a user types it: no flag, exit codes, and nothing written on a refusal."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from support import AUTOMATIC, EXAMPLE, ROOT, commit_all, run, uv

COPY = [sys.executable, "-m", "copier", "copy"]
DATA = [part for name, value in EXAMPLE.items() for part in ("-d", f"{name}={value}")]
DATA_FILE = ["--data-file", str(ROOT / "example-answers.yml")]


def answers_of(project: Path) -> dict[str, object]:
    stored = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    return {name: value for name, value in stored.items() if name in EXAMPLE}


def files_of(project: Path) -> dict[str, bytes]:
    """What was rendered; the answers file tells the template's address and version, so not that."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and path.name != ".copier-answers.yml"
    }


def test_the_template_never_asks_for_trust() -> None:
    settings = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    assert not {"_tasks", "_jinja_extensions", "_migrations"} & set(settings)


def test_all_ways_to_answer_and_to_get_the_template_give_the_same(
    template: Path, plain_template: Path, tmp_path: Path
) -> None:
    ways: dict[str, list[str | Path]] = {
        "data": [*DATA, template],
        "file": [*DATA_FILE, template],
        "plain": [*DATA_FILE, plain_template],
        "url": [*DATA_FILE, f"git+file://{template}"],
    }
    for name, arguments in ways.items():
        done = run([*COPY, *arguments, "--defaults", name], tmp_path)
        assert done.returncode == 0, done.stdout
        assert answers_of(tmp_path / name) == EXAMPLE
        script = tmp_path / name / "scripts" / "tenant.py"
        script.write_text(re.sub(r'(?m)^TOOL = ".+"', "TOOL", script.read_text()))
        assert files_of(tmp_path / name) == files_of(tmp_path / "data")
    commit = yaml.safe_load((tmp_path / "url" / ".copier-answers.yml").read_text())["_commit"]
    assert commit == "v1.0.0"


def test_data_wins_over_the_data_file(plain_template: Path, tmp_path: Path) -> None:
    changed = [*DATA_FILE, "-d", "resource=orders", "--defaults"]
    done = run([*COPY, *changed, plain_template, "project"], tmp_path)
    assert done.returncode == 0, done.stdout
    assert answers_of(tmp_path / "project")["resource"] == "orders"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Interactive session required"),
        (["--defaults"], '"auth0_setup" is required'),
        (["--defaults", "-d", "database=true"], '"auth0_setup" is required'),
        (["--defaults", "-d", "auth0_setup=manual"], '"auth0_domain" is required'),
        (["--defaults", "-d", "auth0_setup=both"], "Invalid choice for 'auth0_setup': 'both'"),
        (
            [*DATA_FILE, "-d", "auth0_domain=https://x.eu.auth0.com"],
            "type a host like x.eu.auth0.com",
        ),
        ([*DATA_FILE, "-d", "package_name=fastapi"], "fastapi is taken by Python or a dependency"),
    ],
)
def test_a_refusal_is_exit_code_1_and_writes_nothing(
    template: Path, tmp_path: Path, arguments: list[str], reason: str
) -> None:
    done = run([*COPY, *arguments, template, "project"], tmp_path)
    assert done.returncode == 1
    assert reason in done.stdout.splitlines()[-1]
    assert not (tmp_path / "project").exists()


def test_files_that_are_there_are_not_overwritten(plain_template: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("pyproject.toml", "README.md", ".env"):
        (project / name).write_text("mine\n")
    done = run([*COPY, *DATA_FILE, plain_template, "project"], tmp_path)
    assert done.returncode == 1
    assert "Interactive session required" in done.stdout
    for name in ("pyproject.toml", "README.md", ".env"):
        assert (project / name).read_text() == "mine\n"


@pytest.mark.parametrize("mode", ["manual", "automatic"])
def test_the_last_words_are_commands_that_fit_the_answers(
    plain_template: Path, tmp_path: Path, mode: str
) -> None:
    answers = EXAMPLE if mode == "manual" else AUTOMATIC
    data = [part for name, value in answers.items() for part in ("-d", f"{name}={value}")]
    done = run([*COPY, *data, "--defaults", plain_template, "my project"], tmp_path)
    assert done.returncode == 0, done.stdout
    message = done.stdout[done.stdout.index("Next:") :]
    assert "cd 'my project'" in message
    assert "uv run uvicorn --factory my_api.main:create_app" in message
    assert ("scripts/tenant.py setup" in message) == (mode == "automatic")
    assert (tmp_path / "my project" / ".env").exists() == (mode == "manual")
    assert "\n\n\n" not in message.rstrip()


def test_update_needs_no_flag(template: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    assert run([*COPY, *DATA_FILE, "--defaults", template, project], tmp_path).returncode == 0
    commit_all(project)
    done = run([sys.executable, "-m", "copier", "update", "--defaults"], project)
    assert done.returncode == 0, done.stdout


def test_an_older_copier_says_which_is_needed(plain_template: Path, tmp_path: Path) -> None:
    """`ask:` came with 9.19: an older Copier would ask fifteen questions."""
    older = [uv(), "tool", "run", "--from", "copier==9.18.0", "copier", "copy"]
    done = run([*older, *DATA_FILE, "--defaults", plain_template, "project"], tmp_path)
    assert done.returncode == 1, done.stdout
    assert (
        "requires Copier version >= 9.19.1, while your version of Copier is 9.18.0" in done.stdout
    )
    assert not (tmp_path / "project").exists()
