"""scripts/check_update.py finds what an update leaves half done, wherever the checks run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from support import git, run
from update.lifecycle import check, commit, copier_command, fresh, update
from update.next_release import ADDED, REMOVED
from update.releases import NEXT, WORKING

Project = Callable[..., Path]
CONFTEST = "tests/conftest.py"
MARKED = "<<<<<<< before updating\nours\n=======\ntheirs\n>>>>>>> after updating\n"


@pytest.fixture
def clean(project: Project) -> Path:
    """A committed project on which nothing is to be found."""
    return project(WORKING)


def change_first_line(path: Path) -> None:
    """Where the next release changes each file of the template, too."""
    path.write_text(f"# Ours.\n{path.read_text(encoding='utf-8')}", encoding="utf-8")


def test_nothing_to_find(clean: Path) -> None:
    done = check(clean)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("style", ["inline", "rej"])
def test_a_conflict_is_found_by_the_check_pytest_and_pre_commit(clean: Path, style: str) -> None:
    """Copier itself ends with exit code 0 and says nothing."""
    change_first_line(clean / CONFTEST)
    commit(clean)
    words = ["update", "--defaults", "--conflict", style]
    copier = run([sys.executable, "-m", "copier", *words], clean)
    assert copier.returncode == 0
    assert "conflict" not in copier.stdout.lower().replace("finds conflicts", "")

    place = {"inline": f"  {CONFTEST}:", "rej": f"  {CONFTEST}.rej"}[style]
    done = check(clean)
    assert done.returncode == 1
    assert place in done.stdout
    assert {"inline": "delete the marker lines", "rej": "delete the .rej file"}[
        style
    ] in done.stdout

    pytest_ = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--noconftest",
        "-k",
        "half_done",
        "tests/auth",
    ]
    done = run(pytest_, clean, {"PYTHONPATH": "src"})
    assert done.returncode == 1
    assert place.strip() in done.stdout
    assert "what it printed says where, and what to do" in done.stdout

    hooks = yaml.safe_load((clean / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert run(hooks[0]["entry"].split(), clean).returncode == 1
    assert hooks[0]["always_run"]
    steps = yaml.safe_load((clean / ".github/workflows/ci.yml").read_text())["jobs"]["check"]
    assert hooks[0]["entry"] in [step.get("run") for step in steps["steps"]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Written", "---\n# Written"),
        ("# Written by Copier", "# Ours"),
        ("# Written", "\ufeff# Written"),
        ("package_name: my_api", 'package_name: "my_api"'),
        ("package_name: my_api", "package_name: 'my_api'"),
    ],
)
def test_answers_that_a_formatter_rewrote_are_answers(clean: Path, old: str, new: str) -> None:
    answers = clean / ".copier-answers.yml"
    text = answers.read_text(encoding="utf-8")
    assert old in text
    answers.write_text(text.replace(old, new), encoding="utf-8")
    commit(clean)
    assert check(clean).stdout == ""
    (clean / "src/my_api/auth").rename(clean / "src/my_api/door")
    assert "src/my_api/auth" in check(clean).stdout


def test_a_rejected_part_is_found_though_git_ignores_it(clean: Path) -> None:
    """Ignoring *.rej is usual, and it holds the only copy of the owner's lines."""
    (clean / ".git/info/exclude").write_text("*.rej\n")
    change_first_line(clean / CONFTEST)
    commit(clean)
    done = copier_command(clean, "update", "--defaults", "--conflict", "rej")
    assert done.returncode == 0, done.stdout
    assert check(clean).stdout.splitlines()[1:] == [f"  {CONFTEST}.rej"]


def test_a_settled_conflict_is_not_found_any_more(clean: Path) -> None:
    change_first_line(clean / CONFTEST)
    commit(clean)
    update(clean, NEXT)
    lines = (clean / CONFTEST).read_text().splitlines(keepends=True)
    settled = [line for line in lines if line[:7] not in ("<<<<<<<", "=======", ">>>>>>>")]
    (clean / CONFTEST).write_text("".join(settled))
    assert check(clean).returncode == 0
    commit(clean)
    assert check(clean).returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("new.txt", MARKED, ["conflict", "new.txt:1", "new.txt:5"]),
        ("pyproject.toml", MARKED, ["conflict", "pyproject.toml:1", "pyproject.toml:5"]),
        ("ümläut nàme.txt", ">>>>>>>\r\n", ["conflict", "ümläut nàme.txt:1"]),
        ("old.py.rej", "@@ -1 +1 @@\n", ["rejected", "old.py.rej"]),
        (".venv/new.txt", MARKED, []),
        (".env", MARKED, []),
        ("notes.md", "Title\n=======\n\n <<<<<<< indented\n<<<<<<<<\n", []),
        ("notes.md", f"Settle a conflict:\n\n```diff\n{MARKED}```\n\n~~~\n{MARKED}~~~\n", []),
        ("notes.md", f"```\nfenced\n```\n{MARKED}", ["conflict", "notes.md:4", "notes.md:8"]),
        ("picture.png", "\0<<<<<<", []),
        ("na\udcefve.txt", MARKED, ["conflict", r"na\udcefve.txt:1", r"na\udcefve.txt:5"]),
        ("na\udcefve.txt", "in Latin-1\n", []),
    ],
)
def test_where_it_looks(clean: Path, name: str, content: str, found: list[str]) -> None:
    (clean / name).parent.mkdir(exist_ok=True)
    (clean / name).write_bytes(content.encode())
    done = check(clean)
    words = [line.split(": ")[0].strip() for line in done.stdout.splitlines()]
    assert words == found
    assert done.returncode == bool(found)


@pytest.mark.parametrize("updated_since", [False, True])
def test_a_removed_file_with_changes_of_the_owner_is_found(
    clean: Path, updated_since: bool
) -> None:
    """The template gives a file up: Copier deletes it even where its owner has changed it."""
    change_first_line(clean / REMOVED)
    commit(clean)
    if updated_since:
        update(clean, WORKING, license="MIT")
        commit(clean)
    update(clean, NEXT)
    assert not (clean / REMOVED).exists()
    done = check(clean)
    assert done.returncode == 1
    assert "deleted: the template gave the file up, but you had changed it" in done.stdout
    assert f"  {REMOVED}\n" in done.stdout

    # Both remedies that it names.
    git(clean, "checkout", "--", REMOVED)
    assert "# Ours." in (clean / REMOVED).read_text()
    assert check(clean).returncode == 0
    git(clean, "rm", "--quiet", REMOVED)
    assert check(clean).returncode == 0


def test_a_file_that_the_owner_had_first_is_merged_and_found(clean: Path) -> None:
    """The template brings a file of a name that the owner uses already."""
    (clean / ADDED).write_text("OURS = 1\n")
    commit(clean)
    update(clean, NEXT)
    assert "OURS = 1\n" in (clean / ADDED).read_text()
    assert f"  {ADDED}:" in check(clean).stdout


def test_a_removed_file_without_changes_of_the_owner_is_no_finding(clean: Path) -> None:
    update(clean, NEXT)
    assert not (clean / REMOVED).exists()
    assert check(clean).returncode == 0


def test_a_conflict_in_a_fence_that_git_knows_of_is_found(clean: Path) -> None:
    page = clean / "page.md"
    page.write_text("```\nbefore\n```\n")
    commit(clean)
    git(clean, "switch", "--quiet", "--create", "theirs")
    page.write_text("```\ntheirs\n```\n")
    commit(clean)
    git(clean, "switch", "--quiet", "main")
    page.write_text("```\nours\n```\n")
    commit(clean)
    assert run(["git", "merge", "theirs"], clean).returncode == 1
    assert "  page.md:2" in check(clean).stdout


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        (
            "src/my_api",
            "src/orders_api",
            [
                "src/my_api/auth",
                "src/my_api/app.py",
                "src/my_api/health.py",
                "src/my_api/routes/__init__.py",
            ],
        ),
        ("src/my_api/auth", "src/my_api/security", ["src/my_api/auth"]),
        ("tests", "checks", ["tests/auth", "tests/memory_tenant.py"]),
        ("scripts/demo.py", "tools/demo.py", ["scripts/demo.py"]),
        ("src/my_api/routes/messages.py", "src/my_api/routes/orders.py", []),
    ],
)
def test_what_the_template_owns_and_was_moved_is_named(
    clean: Path, old: str, new: str, places: list[str]
) -> None:
    """An update would not bring it: Copier takes it for deleted."""
    (clean / new).parent.mkdir(exist_ok=True)
    git(clean, "mv", old, new)
    commit(clean)
    done = check(clean)
    assert [line.strip() for line in done.stdout.splitlines()[1:]] == places
    assert ("move them back" in done.stdout) == bool(places)
    assert done.returncode == bool(places)


def test_the_remedy_for_a_renamed_package_works(clean: Path) -> None:
    git(clean, "mv", "src/my_api", "src/orders_api")
    commit(clean)
    remedy = check(clean).stdout.partition("copier ")[2].splitlines()[0]
    words = remedy.replace("NAME", "orders_api").split()
    assert copier_command(clean, *words, "--defaults").returncode == 0
    assert "src/my_api" not in check(clean).stdout


@pytest.mark.parametrize("file", ["tests/auth", "scripts/demo.py", "tests/memory_tenant.py"])
def test_what_the_owner_deleted_is_not_missed(clean: Path, file: str) -> None:
    git(clean, "rm", "-r", "--quiet", file)
    page = clean / "frontend/src/auth/login.ts"
    page.parent.mkdir(parents=True)
    page.write_text("// Only files of Python are the template's under another name.\n")
    assert check(clean).returncode == 0


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("notes.py", "from .database import DbSession", True),
        ("notes.py", "    from my_api.database import DbSession", True),
        ("notes.py", "from pymongo.asynchronous.database import AsyncDatabase", False),
        ("database/__init__.py", "from ..database import DbSession", False),
    ],
)
def test_only_the_templates_database_is_missed(
    clean: Path, file: str, line: str, found: bool
) -> None:
    (clean / "src/my_api" / file).parent.mkdir(exist_ok=True)
    (clean / "src/my_api" / file).write_text(f"{line}\n")
    assert check(clean).stdout.startswith("no database: ") is found


def test_a_name_that_the_terminal_cannot_show_is_escaped(clean: Path) -> None:
    (clean / "ümläut.txt").write_text(MARKED)
    command = [sys.executable, "scripts/check_update.py"]
    done = run(command, clean, {"PYTHONIOENCODING": "ascii"})
    assert r"\xfcml\xe4ut.txt:1" in done.stdout


def test_answers_of_another_name_are_known(clean: Path) -> None:
    """As `copier copy -a NAME` writes them, which several templates in one project need."""
    other = ".copier-answers.auth0.yml"
    git(clean, "mv", ".copier-answers.yml", other)
    commit(clean)
    change_first_line(clean / REMOVED)
    commit(clean)
    assert check(clean).returncode == 0
    done = copier_command(clean, "update", "--defaults", "-r", NEXT, "-a", other)
    assert done.returncode == 0, done.stdout
    assert f"  {REMOVED}\n" in check(clean).stdout


def test_a_project_inside_has_a_check_of_its_own(clean: Path) -> None:
    template = yaml.safe_load((clean / ".copier-answers.yml").read_text())["_src_path"]
    fresh(template, WORKING, clean / "services/inner", {"package_name": "inner"})
    commit(clean)
    (clean / "services/inner/src/inner/auth").rename(clean / "services/inner/src/inner/door")
    assert check(clean).stdout == ""
    assert "  src/inner/auth" in check(clean / "services/inner").stdout


def test_answers_that_are_gone_are_named(clean: Path) -> None:
    git(clean, "rm", "--quiet", ".copier-answers.yml")
    done = check(clean)
    assert done.returncode == 1
    assert done.stdout.startswith("no answers: Copier cannot update without this file")


def test_a_project_that_is_not_in_git_yet(clean: Path) -> None:
    shutil.rmtree(clean / ".git")
    (clean / "new.txt").write_text(MARKED)
    assert check(clean).returncode == 0
    git(clean, "init", "--quiet")
    assert check(clean).returncode == 1


@pytest.mark.parametrize(
    ("git_script", "reason"),
    [(None, "git is missing"), ("echo dubious ownership >&2; exit 128", "dubious ownership")],
)
def test_without_a_git_that_works_it_says_so(
    clean: Path, tmp_path: Path, git_script: str | None, reason: str
) -> None:
    """A check that cannot look must not look green."""
    if git_script:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{git_script}\n")
        (tmp_path / "git").chmod(0o755)
    command = [sys.executable, "scripts/check_update.py"]
    environment = {"PATH": f"{tmp_path}{os.pathsep}/bin" if git_script else str(tmp_path)}
    done = subprocess.run(command, cwd=clean, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_pytest_shows_why_git_refuses(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\necho dubious ownership >&2; exit 128\n")
    (tmp_path / "git").chmod(0o755)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--noconftest",
        "-k",
        "half_done",
        "tests/auth",
    ]
    done = run(command, clean, {"PATH": f"{tmp_path}{os.pathsep}/bin", "PYTHONPATH": "src"})
    assert done.returncode == 1
    assert "dubious ownership" in done.stdout
