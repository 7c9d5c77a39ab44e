"""The set-up of projects of every release: the engine goes, and the tool works on them."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from setup.loopback_tenant import LoopbackTenant
from setup.workbench import Machine
from support import AUTOMATIC
from update.lifecycle import check, commit, tree, update
from update.releases import WORKING, number, releases

Project = Callable[..., Path]
ENGINE = "scripts/tenant_setup/plan.py"
WITH_ENGINE = [old for old in releases() if number(old) < [0, 4, 0]]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine with access to a tenant on loopback, and no project yet."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with LoopbackTenant(authority) as tenant:
        machine = Machine(tmp_path / "machine", tenant, tmp_path / "ca.pem")
        machine.use("api")
        yield machine


@pytest.mark.parametrize("old", WITH_ENGINE)
def test_the_engine_goes_and_nothing_else_is_touched(project: Project, old: str) -> None:
    folder = project(old)
    (folder / "scripts" / "ours.py").write_text('"""Ours."""\n')
    commit(folder)
    assert (folder / ENGINE).exists()
    update(folder, WORKING)
    scripts = {name for name in tree(folder) if name.startswith("scripts/")}
    assert scripts == {f"scripts/{name}.py" for name in ("check_update", "demo", "ours", "tenant")}
    assert not (folder / "scripts" / "tenant_setup").exists()
    assert len((folder / "scripts" / "tenant.py").read_text().splitlines()) <= 25
    assert check(folder).returncode == 0


@pytest.mark.parametrize("old", WITH_ENGINE)
def test_a_change_of_ones_own_in_the_engine_is_reported(project: Project, old: str) -> None:
    folder = project(old)
    for name in (ENGINE, "scripts/tenant.py"):
        with (folder / name).open("a") as file:
            file.write("OURS = True\n")
    commit(folder)
    update(folder, WORKING)
    done = check(folder)
    assert done.returncode == 1
    assert f"  {ENGINE}\n" in done.stdout
    assert "  scripts/tenant.py:" in done.stdout


@pytest.mark.parametrize("old", releases())
def test_the_tool_works_on_a_project_of_an_older_release(
    project: Project, machine: Machine, old: str
) -> None:
    """As `uvx --from ADDRESS fastapi-auth0-template ... --project .` does, without an update."""
    shutil.copytree(project(old, **AUTOMATIC), machine.project)
    before = machine.snapshot()
    for expected in ("applied", "unchanged"):
        done = machine.run("setup", "--yes", "--json")
        assert done.code == 0, done.stderr
        assert json.loads(done.stdout)["status"] == expected
    assert f"AUTH0_DOMAIN={machine.tenant.domain}\n" in machine.env_file.read_text()
    done = machine.run("doctor", "--json")
    failures = [
        found for found in json.loads(done.stdout)["checks"] if found["status"] == "failure"
    ]
    assert failures == []
    assert machine.snapshot() == before
