"""An owner's formatter and line ends do not make updates of the template's files conflict."""

import re
import runpy
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from support import ROOT, git, run
from update.lifecycle import OWNED, check, commit, update
from update.next_release import CHANGED
from update.releases import NEXT, WORKING, releases

Project = Callable[..., Path]
GUARD = "src/my_api/auth/guard.py"
PAGE = ROOT / "docs/update.md"
MINE = ["src/my_api/main.py", "src/my_api/settings.py", "tests/conftest.py", "scripts/own.py"]


def tools_of(project: Path) -> dict[str, dict[str, str | list[str]]]:
    """The tables [tool.*] of a project."""
    tools: dict[str, dict[str, str | list[str]]] = tomllib.loads(
        (project / "pyproject.toml").read_text(encoding="utf-8")
    )["tool"]
    return tools


@pytest.mark.parametrize("keys", [False, True])
def test_all_of_the_templates_code_is_listed(project: Project, keys: bool) -> None:
    """For the formatters in pyproject.toml, and in the check that names what was moved."""
    folder = project(WORKING, logs="json", container=True, api_keys=keys, database=keys)
    shared = ("src/my_api/__init__.py", "src/my_api/main.py", "tests/conftest.py")
    python = set(git(folder, "ls-files", "*.py").splitlines())
    owned = {name for name in python - {*shared} if not OWNED.match_file(name)}
    excluded = tools_of(folder)["ruff"]["extend-exclude"]
    assert {name for name in python if name.startswith(tuple(excluded))} == owned
    checked = runpy.run_path(str(folder / "scripts" / "check_update.py"))["OWNED"]
    listed = {place.format("my_api") for place in checked}
    assert listed == set(excluded)


def test_ruff_with_a_style_of_ones_own(project: Project) -> None:
    folder = project(WORKING)
    settings = folder / "pyproject.toml"
    settings.write_text(settings.read_text().replace("line-length = 100", "line-length = 60"))
    ruff = [sys.executable, "-m", "ruff"]
    run([*ruff, "format", "--no-cache"], folder)
    run([*ruff, "check", "--fix", "--select", "ALL", "--no-cache", GUARD, "."], folder)
    changed = git(folder, "diff", "--name-only").splitlines()
    assert "src/my_api/main.py" in changed
    owned = tools_of(folder)["ruff"]["extend-exclude"]
    assert not [name for name in changed if name.startswith(tuple(owned))]
    commit(folder)
    update(folder, NEXT)
    assert CHANGED in (folder / GUARD).read_text()
    assert GUARD not in check(folder).stdout


def test_black_leaves_the_same_files_alone(project: Project) -> None:
    folder = project(WORKING)
    tools = tools_of(folder)
    pattern, owned = str(tools["black"]["force-exclude"]), tuple(tools["ruff"]["extend-exclude"])
    for name in git(folder, "ls-files", "*.py").splitlines():
        assert bool(re.search(pattern, f"/{name}")) == name.startswith(owned), name
    assert not [name for name in MINE if re.search(pattern, f"/{name}")]


def test_line_ends_of_windows_do_not_reach_git(project: Project) -> None:
    folder = project(WORKING)
    guard = folder / GUARD
    guard.write_bytes(guard.read_bytes().replace(b"\n", b"\r\n"))
    commit(folder)
    update(folder, NEXT)
    assert GUARD not in check(folder).stdout
    assert b"\r" not in guard.read_bytes()


def test_an_update_that_conflicts_can_be_started_over(project: Project) -> None:
    """By the commands of docs/update.md; git refuses `checkout .` of a file in conflict."""
    [commands] = re.findall("`(git checkout [^`]* && git clean [^`]*)`", PAGE.read_text("utf-8"))
    folder = project(WORKING)
    guard = folder / GUARD
    guard.write_text(f"# Ours\n{guard.read_text()}")
    commit(folder)
    update(folder, NEXT)
    assert "conflict" in check(folder).stdout
    for command in commands.split(" && "):
        assert run(command.split(), folder).returncode == 0, command
    assert git(folder, "status", "--porcelain") == ""


def test_the_way_out_of_a_conflict_in_a_whole_file(project: Project) -> None:
    """A project of before committed it so; the check says what to type."""
    folder = project(next(iter(releases()), WORKING))
    guard = folder / GUARD
    guard.write_bytes(guard.read_bytes().replace(b"\n", b"\r\n"))
    (folder / ".gitattributes").write_text("* -text\n")
    commit(folder)
    update(folder, NEXT)
    assert f"  {GUARD}:" in check(folder).stdout
    assert "git checkout --theirs -- FILE" in check(folder).stdout
    git(folder, "checkout", "--theirs", "--", GUARD)
    assert f"  {GUARD}:" not in check(folder).stdout
    assert guard.read_text().startswith(f"# {CHANGED}")
