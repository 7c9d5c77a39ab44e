"""A person at a terminal of 80 columns: both modes, typing mistakes, Ctrl-C at each question."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from support import EXAMPLE, QUESTIONS, render

CLEAR, DOWN, ENTER, CTRL_C, BACKSPACE = "\x15", "\x1b[B", "\r", "\x03", "\x7f"
PASTED = "\x1b[200~{}\x1b[201~"
LONG = "https://" + "a" * 63 + ".eu.auth0.com/"


@dataclass(frozen=True)
class Step:
    """One question: what is on the screen, a mistake and what is said to it, and the right keys."""

    question: str
    keys: str
    mistake: str = ""
    reply: str = ""


def typed(question: str, text: str, mistake: str, reply: str) -> Step:
    return Step(question, CLEAR + text, CLEAR + mistake, reply)


NAMES = [
    typed("Name of the project", "My API", "My <API>", "use 1 to 60 letters and digits"),
    typed("Name of the Python package", "my_api", "class", "try class_api; class is taken"),
]
REST = [
    typed("example resource", "messages", "Messages", "use up to 20 of a-z, 0-9, _"),
    Step("Which claim of the access token", ""),
]
STEPS = {
    "automatic": [
        *NAMES,
        Step("How would you like to create the Auth0 API resource?", ""),
        typed(
            "the new Auth0 API;",
            EXAMPLE["auth0_audience"],
            "my api",
            "remove spaces, quotes, commas",
        ),
        *REST,
    ],
    "manual": [
        *NAMES,
        Step("How would you like to create the Auth0 API resource?", DOWN),
        typed("the Identifier of the API", EXAMPLE["auth0_audience"], "", "type the Identifier"),
        typed("Domain", EXAMPLE["auth0_domain"], LONG, "type a host like x.eu.auth0.com"),
        *REST,
    ],
}


def start(template: Path, folder: Path) -> "pexpect.spawn[str]":
    environment = os.environ | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    return pexpect.spawn(
        sys.executable,
        ["-m", "copier", "copy", str(template), "project"],
        cwd=str(folder),
        env=environment,
        encoding="utf-8",
        timeout=20,
        dimensions=(24, 80),
    )


def answer(terminal: "pexpect.spawn[str]", step: Step, *, with_mistake: bool) -> None:
    terminal.expect_exact(step.question)
    if with_mistake and step.reply:
        terminal.send(step.mistake + ENTER)
        terminal.expect_exact(step.reply)
    terminal.send(step.keys + ENTER)


@pytest.mark.parametrize("mode", STEPS)
def test_mistakes_are_explained_and_put_right(
    plain_template: Path, tmp_path: Path, mode: str
) -> None:
    terminal = start(plain_template, tmp_path)
    for step in STEPS[mode]:
        answer(terminal, step, with_mistake=True)
    terminal.expect_exact("uv run uvicorn --factory my_api.main:create_app")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    expected = render(plain_template, tmp_path / "expected", {"auth0_setup": mode})
    answers = ".copier-answers.yml"
    assert (tmp_path / "project" / answers).read_text() == (expected / answers).read_text()


def test_a_newline_that_was_pasted_is_refused(plain_template: Path, tmp_path: Path) -> None:
    terminal = start(plain_template, tmp_path)
    terminal.expect_exact("Name of the project")
    terminal.send(CLEAR + PASTED.format("My API\n") + ENTER)
    terminal.expect_exact("use 1 to 60 letters and digits")
    terminal.send(BACKSPACE + ENTER)
    terminal.expect_exact("Name of the Python package")
    terminal.close(force=True)


@pytest.mark.parametrize(
    ("mode", "number"),
    [(mode, number) for mode, steps in STEPS.items() for number in range(len(steps))],
)
def test_ctrl_c_at_a_question_leaves_nothing(
    plain_template: Path, tmp_path: Path, mode: str, number: int
) -> None:
    terminal = start(plain_template, tmp_path)
    for step in STEPS[mode][:number]:
        answer(terminal, step, with_mistake=False)
    terminal.expect_exact(STEPS[mode][number].question)
    terminal.send(CTRL_C)
    terminal.expect_exact("Execution stopped by user")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert list(tmp_path.iterdir()) == []


def test_no_help_is_cut_at_80_columns() -> None:
    """A prompt line that is too long is cut, not wrapped; the first carries a sign of 3 columns."""
    for name, question in QUESTIONS.items():
        for line in question.get("help", "").splitlines():
            assert len(line) <= 76 or "{%" in line, f"{name}: {line}"
