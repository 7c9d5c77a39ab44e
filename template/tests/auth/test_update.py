"""No update of the template is left half done: see scripts/check_update.py."""

import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not shutil.which("git"), reason="git is needed to list the files")
def test_no_update_is_left_half_done() -> None:
    check = runpy.run_path(str(ROOT / "scripts" / "check_update.py"))
    assert check["findings"](ROOT) == [], "python3 scripts/check_update.py says what to do"
