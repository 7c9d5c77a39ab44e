"""This repository itself: lint, types, one version, locked packages, and what its pages promise."""

import os
import re
import shutil
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import bootstrap
from support import ROOT, git, render, run, uv

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMMANDS = ["python3 hooks/bootstrap.py new ../myapi", "python3 hooks/bootstrap.py test"]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirements(listed: list[Any]) -> list[Requirement]:
    return [Requirement(entry) for entry in listed if isinstance(entry, str)]


def locked() -> dict[str, set[str]]:
    """The versions of each package in the lock; markers may choose between several."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==([^ ]+)", text("requirements-dev.txt"), re.M):
        versions.setdefault(name, set()).add(version)
    return versions


@pytest.mark.parametrize("command", bootstrap.CHECKS, ids=" ".join)
def test_each_check_of_the_bootstrap_passes(command: list[str]) -> None:
    name, *options = command
    done = run([Path(sys.executable).with_name(name), *options], ROOT)
    assert done.returncode == 0, done.stdout


def test_check_names_what_found_something(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tools = Path(sys.executable).parent
    monkeypatch.setattr(bootstrap, "FIXES", [])
    monkeypatch.setattr(bootstrap, "CHECKS", [["python", "-c", ""]])
    assert bootstrap.check(tools) == 0
    monkeypatch.setattr(bootstrap, "CHECKS", [["python", "-c", "raise SystemExit(3)"]] * 2)
    assert bootstrap.check(tools) == 1
    assert capfd.readouterr().out.endswith("found something: python, python\n")


def test_the_newest_release_of_the_changelog_is_the_version() -> None:
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", text("CHANGELOG.md"), re.M)
    assert releases[0] == PROJECT["project"]["version"]
    assert text("CHANGELOG.md").count("### What an update does to a project") == len(releases)


def test_tags_are_versions_of_the_changelog() -> None:
    for tag in git(ROOT, "tag").splitlines():
        assert f"## [{tag.removeprefix('v')}]" in text("CHANGELOG.md"), tag


def test_the_lock_holds_what_the_repository_wants() -> None:
    groups = PROJECT["dependency-groups"]
    for requirement in requirements([*groups["tool"], *groups["dev"], *groups["rendered"]]):
        versions = locked()[requirement.name]
        assert any(requirement.specifier.contains(version, True) for version in versions)


def test_the_lock_satisfies_a_rendered_project(plain_template: Path, tmp_path: Path) -> None:
    project = render(plain_template, tmp_path / "project")
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    listed = [
        *settings["project"]["dependencies"],
        *settings["project"]["optional-dependencies"]["redis"],
        *settings["dependency-groups"]["dev"],
    ]
    for requirement in requirements(listed):
        versions = locked().get(requirement.name, set())
        good = [version for version in versions if requirement.specifier.contains(version, True)]
        assert good, f"{requirement} is not in requirements-dev.txt: {versions}"


def test_the_tool_is_pinned_as_the_lock_says() -> None:
    """It holds a login to a tenant, so no release that nobody looked at may slip in."""
    pins = PROJECT["project"]["dependencies"]
    assert pins == bootstrap.tool_pins(uv())
    for requirement in [*requirements(pins), *requirements(PROJECT["build-system"]["requires"])]:
        assert re.fullmatch(r"==[^*]+", str(requirement.specifier)), requirement


@pytest.mark.parametrize("platform", ["linux", "macos", "windows"])
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_no_python_or_platform_needs_more_than_the_pins(version: str, platform: str) -> None:
    options = ["--python-version", version, "--python-platform", platform, "--no-header"]
    done = run([uv(), "pip", "compile", "-q", "--no-annotate", *options, "pyproject.toml"], ROOT)
    assert done.returncode == 0, done.stdout
    pinned = {pin.partition(" ;")[0] for pin in PROJECT["project"]["dependencies"]}
    assert set(done.stdout.split()) <= pinned


def test_the_wheel_tells_the_pins(plain_template: Path, tmp_path: Path) -> None:
    done = run([uv(), "build", "--wheel", "-o", tmp_path, plain_template], tmp_path)
    assert done.returncode == 0, done.stdout
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        told = re.findall(r"(?m)^Requires-Dist: (.+)$", archive.read(name).decode())
    assert [Requirement(line) for line in told] == requirements(PROJECT["project"]["dependencies"])


def test_every_dependency_is_explained() -> None:
    groups = PROJECT["dependency-groups"]
    cells = re.findall(r"^\| ([^|]*) \|", text("CONTRIBUTING.md"), re.M)
    explained = {name for cell in cells for name in cell.split(", ")}
    for listed in (groups["tool"], groups["dev"], groups["rendered"]):
        assert {requirement.name for requirement in requirements(listed)} <= explained


def test_no_file_names_this_machine_or_an_index() -> None:
    assert "://" not in text("requirements-dev.txt")
    assert "uv.lock" not in git(ROOT, "ls-files").splitlines()
    for name in git(ROOT, "ls-files", "-z").split("\0"):
        path = ROOT / name
        if path.is_file() and path.suffix != ".png":
            assert str(ROOT) not in path.read_text(encoding="utf-8"), name


def test_the_readme_prints_the_two_commands() -> None:
    lines = text("README.md").splitlines()
    for command in COMMANDS:
        assert f"    {command}" in lines
    assert f"run: {COMMANDS[0]}" in text(".github/workflows/ci.yml")


def test_ci_runs_the_second_command_to_the_letter(tmp_path: Path) -> None:
    for name in (".ci/run", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "bootstrap.py").write_text("import sys; print('ran', sys.argv)\n")
    wanted = re.search(r"for tool in (.+); do", text(".ci/run"))
    assert wanted
    for tool in wanted[1].split():  # So that nothing is installed.
        (tmp_path / tool).touch(mode=0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = run(["bash", ".ci/run"], tmp_path, environment)
    assert done.stdout.splitlines() == [COMMANDS[1], "ran ['hooks/bootstrap.py', 'test']"]
    (tmp_path / "README.md").write_text("python3 hooks/bootstrap.py test\n")
    done = run(["bash", ".ci/run"], tmp_path, environment)
    assert done.returncode == 1
    assert done.stdout == "README.md does not print the command that passes the tests\n"


def test_every_file_says_why_it_is_there() -> None:
    for name in git(ROOT, "ls-files", "*.py", "hooks", "tests", "benchmarks").splitlines():
        source = text(name)
        if name.endswith(".py") and source:
            assert source.startswith(('"""', "#!")), name
