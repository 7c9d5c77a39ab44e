"""The tool on a project of each release: the doctor asks its guard, the set-up sets it up."""

import json
import shutil
from pathlib import Path

import pytest

from setup.loopback_tenant import LoopbackTenant
from setup.test_inside import judged, signed
from setup.workbench import OWN, Machine
from support import AUTOMATIC, ROOT, git, render
from update.releases import has_history, releases

RELEASES = list(releases())


@pytest.fixture(params=RELEASES or ["none"])
def older(
    request: pytest.FixtureRequest, tenant: LoopbackTenant, certificates: Path, tmp_path: Path
) -> Machine:
    """A machine with a project of a release."""
    if not has_history():
        pytest.skip("the releases are in the history of a clone; this is none")
    template = tmp_path / "release"
    git(tmp_path, "clone", "--quiet", "--no-checkout", str(ROOT), template.name)
    git(template, "checkout", "--quiet", releases()[request.param])
    shutil.rmtree(template / ".git")
    machine = Machine(tmp_path / "machine", tenant, certificates)
    render(template, machine.project, AUTOMATIC)
    machine.env_file.write_text(OWN, encoding="utf-8")
    return machine


def test_a_project_of_each_release(older: Machine) -> None:
    older.use("api")
    assert older.setup().code == 0
    older.assert_complete()
    older.environment.clear()
    code, checks = judged(older, signed(older, {}, {}))
    bad = {name: check for name, check in checks.items() if check["status"] == "failure"}
    assert (code, bad) == (0, {}), json.dumps(bad)
    for name in ("settings", "guard", "scopes-project", "token-key"):
        assert checks[name]["status"] == "ok", checks[name]
    code, checks = judged(older, signed(older, {}, {"sub": None}))
    assert checks["token-claims"]["status"] == "failure"
    assert code == 2
