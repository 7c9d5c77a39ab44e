"""What a project depends on: safe floors, the oldest packages, one lock, an audit that can run."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from support import ROOT, SELF_HOSTED, render, run, uv

FLOORS: list[dict[str, Any]] = tomllib.loads(
    (ROOT / "tests" / "floors.toml").read_text(encoding="utf-8")
)["floor"]
NAMES = [floor["package"] for floor in FLOORS]


def wanted(pyproject: Path) -> list[Requirement]:
    """Every requirement of a pyproject.toml: dependencies, extras, groups and constraints."""
    content = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    project = content["project"]
    listed: list[Any] = [
        *project["dependencies"],
        *(entry for extra in project.get("optional-dependencies", {}).values() for entry in extra),
        *(entry for group in content["dependency-groups"].values() for entry in group),
        *content["tool"]["uv"]["constraint-dependencies"],
    ]
    return [Requirement(entry) for entry in listed if isinstance(entry, str)]


def lowest(requirements: list[Requirement], package: str) -> Version:
    """The lower bound of a package, 0 without one."""
    bounds = [
        Version(bound.version)
        for requirement in requirements
        if requirement.name == package
        for bound in requirement.specifier
        if bound.operator in (">=", "==", "~=")
    ]
    return max(bounds, default=Version("0"))


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(plain_template, tmp_path_factory.mktemp("dependencies") / "project")


@pytest.mark.parametrize("floor", FLOORS, ids=NAMES)
def test_no_release_with_a_known_hole_is_allowed(project: Path, floor: dict[str, Any]) -> None:
    for pyproject in (ROOT / "pyproject.toml", project / "pyproject.toml"):
        bound = lowest(wanted(pyproject), floor["package"])
        assert bound >= Version(floor["version"]), f"{pyproject}: {floor}"


@pytest.mark.parametrize("floor", FLOORS, ids=NAMES)
def test_the_lock_is_above_each_floor(floor: dict[str, Any]) -> None:
    lock = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    versions = re.findall(rf"^{floor['package']}==([^ ]+)", lock, re.MULTILINE)
    assert versions
    assert all(Version(version) >= Version(floor["version"]) for version in versions)


def test_each_floor_names_its_advisory() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for floor in FLOORS:
        assert floor["why"]
        assert floor["advisories"]
        for advisory in floor["advisories"]:
            assert re.fullmatch(r"CVE-\d{4}-\d{4,}|GHSA(-[2-9cfghjmpqrvwx]{4}){3}", advisory)


def test_a_project_is_green_on_the_oldest_packages_that_it_allows(project: Path) -> None:
    lowest_direct = ["--resolution", "lowest-direct"]
    for command in (["sync", "--quiet", *lowest_direct], ["run", *lowest_direct, "pytest", "-q"]):
        done = run([uv(), *command], project, {"UV_PYTHON": sys.executable})
        assert done.returncode == 0, done.stdout
    oldest = lowest(wanted(project / "pyproject.toml"), "fastapi")
    assert f'name = "fastapi"\nversion = "{oldest}' in (project / "uv.lock").read_text("utf-8")


def test_a_lock_holds_nothing_younger_than_a_week_and_is_made_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_EXCLUDE_NEWER")
    (project / "uv.lock").unlink(missing_ok=True)
    assert run([uv(), "lock", "--quiet"], project).returncode == 0
    first = (project / "uv.lock").read_bytes()
    assert b'exclude-newer-span = "P7D"' in first
    for command in (["lock", "--quiet"], ["lock", "--quiet", "--upgrade"], ["lock", "--check"]):
        done = run([uv(), *command], project)
        assert done.returncode == 0, done.stdout
        assert (project / "uv.lock").read_bytes() == first


def test_a_served_project_has_no_rich(plain_template: Path, tmp_path: Path) -> None:
    """httpx imports rich and pygments where they are, for a command of its own: 100 ms a start."""
    answers = SELF_HOSTED | {"api_keys": True, "logs": "json"}
    project = render(plain_template, tmp_path / "project", answers)
    export = ["export", "--quiet", "--no-dev", "--all-extras", "--no-hashes", "--no-annotate"]
    done = run([uv(), *export], project)
    assert done.returncode == 0, done.stdout
    names = set(re.findall(r"^([a-z0-9-]+)==", done.stdout, re.MULTILINE))
    assert {"httpx", "click"} <= names
    assert not names & {"rich", "pygments"}


def test_the_audit_of_a_project_collects_everything_that_is_locked(project: Path) -> None:
    """Advisories come from a service that tests must not need: --dry-run stops before asking it."""
    workflow = (project / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    commands = re.findall(r"- run: uv (export .+|run .+pip-audit .+)", workflow)
    assert len(commands) == 2
    assert "--strict" in commands[1]
    assert run([uv(), "lock", "--quiet"], project).returncode == 0
    for command in (commands[0], f"{commands[1]} --dry-run"):
        done = run([uv(), *command.split()], project, {"UV_PYTHON": sys.executable})
        assert done.returncode == 0, done.stdout
    locked = tomllib.loads((project / "uv.lock").read_text(encoding="utf-8"))["package"]
    found = re.search(r"would have audited (\d+) packages", done.stdout)
    assert found, done.stdout
    assert int(found[1]) > len(locked) / 2  # The others are for other platforms.


def test_the_audit_of_this_repository_can_run() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    [command] = re.findall(r"bootstrap\.py run (-m pip_audit .+)", workflow)
    assert "--strict" in command
    done = run([sys.executable, *command.split(), "--dry-run"], ROOT)
    assert done.returncode == 0, done.stdout
