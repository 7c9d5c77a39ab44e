"""`.env` belongs to the owner: thirteen ways in which a template could lose it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import AUTOMATIC, EXAMPLE, git, render
from update.lifecycle import commit, copier_command, update
from update.releases import NEXT, WORKING

OURS = "# Ours.\nAUTH0_DOMAIN=ours.eu.auth0.com\nAUTH0_AUDIENCE=urn:ours\nUNKNOWN=1\n"
MANUAL = {"auth0_setup": "manual", "auth0_domain": "other.eu.auth0.com"}
TO_AUTOMATIC = {"auth0_setup": "automatic"}
Project = Callable[..., Path]


def recopy(project: Path, *arguments: str) -> None:
    done = copier_command(project, "recopy", "--defaults", "--overwrite", "-r", NEXT, *arguments)
    assert done.returncode == 0, done.stdout


def write_env(project: Path, *, committed: bool = False) -> None:
    (project / ".env").write_text(OURS)
    (project / ".env").chmod(0o600)
    if committed:
        git(project, "add", "--force", ".env")
        git(project, "commit", "--quiet", "--message", "Ours")


def assert_kept(project: Path) -> None:
    assert (project / ".env").read_text() == OURS
    assert (project / ".env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("start", "committed", "release", "data"),
    [
        pytest.param(EXAMPLE, False, WORKING, {}, id="1 edited, update to the same version"),
        pytest.param(EXAMPLE, False, NEXT, {}, id="2 edited, the template changes its own"),
        pytest.param(EXAMPLE, True, NEXT, {}, id="3 edited and committed, the template changes"),
        pytest.param(EXAMPLE, False, NEXT, {"auth0_domain": "new.eu.auth0.com"}, id="4 new domain"),
        pytest.param(EXAMPLE, False, NEXT, TO_AUTOMATIC, id="5 manual to automatic"),
        pytest.param(AUTOMATIC, False, NEXT, {}, id="6 written by the set-up, update"),
        pytest.param(AUTOMATIC, False, NEXT, MANUAL, id="7 automatic to manual"),
    ],
)
def test_update_keeps_it(
    project: Project, start: dict[str, Any], committed: bool, release: str, data: dict[str, Any]
) -> None:
    folder = project(WORKING, **start)
    write_env(folder, committed=committed)
    update(folder, release, **data)
    assert_kept(folder)


def test_8_update_does_not_bring_a_deleted_one_back(project: Project) -> None:
    folder = project(WORKING)
    (folder / ".env").unlink()
    update(folder, NEXT)
    assert not (folder / ".env").exists()


@pytest.mark.parametrize(
    "start",
    [pytest.param(EXAMPLE, id="9 edited"), pytest.param(AUTOMATIC, id="10 written by the set-up")],
)
def test_recopy_keeps_it(project: Project, start: dict[str, Any]) -> None:
    folder = project(WORKING, **start)
    write_env(folder)
    recopy(folder)
    assert_kept(folder)


def test_11_recopy_writes_a_deleted_one_anew(project: Project) -> None:
    folder = project(WORKING)
    (folder / ".env").unlink()
    recopy(folder, "-d", "auth0_domain=new.eu.auth0.com")
    assert "AUTH0_DOMAIN=new.eu.auth0.com\n" in (folder / ".env").read_text()


def test_12_a_second_copy_over_the_project_keeps_it(project: Project, line: Path) -> None:
    folder = project(WORKING)
    write_env(folder)
    done = copier_command(folder, "copy", "--defaults", "--overwrite", line, ".")
    assert done.returncode == 0, done.stdout
    assert_kept(folder)


def test_13_update_in_a_subfolder_of_a_repository_keeps_it(line: Path, tmp_path: Path) -> None:
    service = tmp_path / "services" / "api"
    render(line, service)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    write_env(service)
    update(service, NEXT)
    assert_kept(service)
    assert git(tmp_path, "ls-files", "**/.env") == ""
