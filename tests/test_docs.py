"""The pages: links lead somewhere, names exist, claims have a test."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from support import JINJA, QUESTIONS, ROOT, SELF_HOSTED, git, render, run

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md")), ROOT / "benchmarks/README.md"]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page get on the hosts of git repositories."""
    prose = re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


def names_of_tests(folder: str) -> set[str]:
    listed = ["--cached", "--others", "--exclude-standard"]
    files = git(ROOT, "ls-files", *listed, folder).splitlines()
    return {
        name
        for file in files
        if "test_" in file and (ROOT / file).is_file()
        for name in re.findall(r"^(?:async )?def (test_\w+)", text(ROOT / file), re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, _, anchor in re.findall(r"\]\(([^)#\s]*)(#([^)\s]+))?\)", text(page)):
        if "://" not in target:
            other = (page.parent / target) if target else page
            assert other.exists(), target
            assert not anchor or anchor in anchors(other), f"{target}#{anchor}"


def test_the_readmes_lead_to_every_page() -> None:
    for page in DOCS.glob("*.md"):
        assert f"](docs/{page.name})" in text(ROOT / "README.md"), page.name
        assert f'"docs/{page.name}"' in text(ROOT / "template/README.md.jinja"), page.name


def test_the_readme_begins_with_what_it_is_for_and_shows_it() -> None:
    lines = text(ROOT / "README.md").splitlines()
    assert "start a FastAPI API protected by Auth0" in lines[2]
    assert next(number for number, line in enumerate(lines) if line.startswith("![")) < 20


def test_the_readme_names_every_question_once() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", text(ROOT / "README.md"), re.MULTILINE)
    asked = {name for name, question in QUESTIONS.items() if question.get("when") is not False}
    assert sorted(rows) == sorted(asked - {"rules"})


def test_the_placeholder_of_the_address_stands_once() -> None:
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix != ".png":
            count = text(path).count("org/fastapi-auth0-template")
            assert count == (name == "README.md") or name.startswith("tests/"), name


def test_each_standard_names_tests_that_exist() -> None:
    rows = [line for line in text(DOCS / "standards.md").splitlines() if "| `test_" in line]
    assert len(rows) >= 30
    there = names_of_tests("template") | names_of_tests("tests")
    for name in re.findall(r"`(test_\w+)`", "\n".join(rows)):
        assert name in there, name


def test_the_twenty_questions_name_checks_that_exist() -> None:
    page = text(DOCS / "questions.md")
    assert len(re.findall(r"^## .+\?$", page, re.MULTILINE)) == 20
    rows = re.findall(r"^\| (`[a-z-]+`[^|]*) \|", text(DOCS / "doctor.md"), re.MULTILINE)
    checks = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    for told in re.findall(r"Doctor: ([^.]+)\.", page):
        assert set(re.findall(r"`([a-z-]+)`", told)) <= checks, told


def test_each_question_is_answered_by_a_check_or_a_page() -> None:
    for answer in text(DOCS / "questions.md").split("\n## ")[1:]:
        assert "Doctor: `" in answer or "Page: [" in answer or "uv run " in answer, answer


TOOL = r"fastapi-auth0-template(?= (?:setup|doctor|token|move-))"
NAMES = rf"(scripts/(?:admin|keys|tenant)\.py|{{COMMAND}}|{TOOL}) "
TICKED = re.compile("`(?:uv run )?" + NAMES + r"((?! )[^`\n]*)`")
LAST = re.compile(NAMES + r"((?! )[^`\"\n]*)\"")  # in a message
LINE = re.compile(  # of code, up to a comment or a pipe
    "^ {4}[^`\n]*?" + NAMES + r"([^`\n|#)]*)(?<! )\)?(?: *[|#][^`\n]*)?$", re.MULTILINE
)
PARSED = """
import importlib, json, sys
import typer
sys.path[:0] = ["scripts", "src"]
app = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
app = typer.main.get_command(app) if isinstance(app, typer.Typer) else app
for words in json.loads(sys.argv[3]):
    command, rest = app, words[:]
    try:
        while hasattr(command, "commands") and rest and rest != ["--help"]:
            command = command.commands[rest.pop(0)]
        if not hasattr(command, "commands") and rest != ["--help"]:
            command.make_context("", rest)
    except Exception as fault:
        print(*words, "-", repr(fault))
"""


def test_each_command_that_is_shown_can_be_typed(plain_template: Path, tmp_path: Path) -> None:
    """With the arguments that it needs, and with options that exist."""
    auth0 = render(plain_template, tmp_path / "auth0", {"api_keys": True, "database": True})
    hosted = render(plain_template, tmp_path / "hosted", SELF_HOSTED | {"api_keys": True})
    texts = [*PAGES, ROOT / "copier.yml", *(ROOT / "hooks").rglob("*.py")]
    texts += [path for top in (auth0, hosted) for path in top.rglob("*") if path.is_file()]
    shown = {
        (match[1], match[2].strip())
        for path in texts
        for pattern in (TICKED, LAST if path.suffix == ".py" else LINE)
        for match in pattern.finditer(text(path))
    }
    tool = ("{COMMAND}", "fastapi-auth0-template", "scripts/tenant.py")
    for names, folder, module, name, floor in (
        (tool, ROOT / "hooks", "fastapi_auth0_template.app", "cli", 15),
        (("scripts/keys.py",), auth0, "keys", "app", 4),
        (("scripts/admin.py",), hosted, "admin", "app", 10),
    ):
        words = [
            shlex.split(line)
            for script, line in sorted(shown)
            if script in names and not re.search(r"[{…]|[.]{3}| \|", line)
        ]
        assert len(words) >= floor, words
        command = [sys.executable, "-W", "ignore", "-c", PARSED, module, name, json.dumps(words)]
        done = run(command, folder)
        assert (done.returncode, done.stdout) == (0, "")


def test_the_page_of_errors_names_each_that_the_guard_answers() -> None:
    source = text(ROOT / "template/src/{{ package_name }}/auth/refusals.py.jinja")
    answered = set(re.findall(r'": \((\d{3}), "(\w+)", ', source))
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text(DOCS / "errors.md"), re.MULTILINE)
    assert answered == set(rows)


def test_the_page_for_contributors_names_each_test_file() -> None:
    page = text(ROOT / "CONTRIBUTING.md")
    for path in (ROOT / "tests").glob("test_*.py"):
        assert f"`{path.name}`" in page, path.name


def test_the_readme_shows_each_choice_and_the_default_first() -> None:
    cells = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text(ROOT / "README.md"), re.MULTILINE))
    for name, question in QUESTIONS.items():
        choices = ["false", "true"] if question["type"] == "bool" else question.get("choices")
        if choices and name != "auth0_setup":
            values = [*(choices.values() if isinstance(choices, dict) else choices)]
            shown = [each for each in re.findall("`([^`]+)`", cells[name]) if each in values]
            assert sorted({*shown}) == sorted(values), name
            default = JINJA.from_string(str(question["default"])).render(
                identity="auth0", api_keys=False
            )
            assert shown[0] == default.replace("False", "false"), name
