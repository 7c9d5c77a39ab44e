"""AGENTS.md of a project: short, its commands run, and following it gives a green project."""

import re
import sys
import textwrap
from pathlib import Path

import pytest

from support import render, run, uv
from test_start import free_port, serving

SERVES = "uv run scripts/demo.py"


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that followed the page: a route, its scope, a setting and a test."""
    project = render(plain_template, tmp_path_factory.mktemp("agents") / "project")
    page = (project / "AGENTS.md").read_text(encoding="utf-8")
    found = re.search(r"^    # (src/\S+)\n((?:(?:    .*)?\n)+)", page, re.MULTILINE)
    assert found
    (project / found[1]).write_text(f"{textwrap.dedent(found[2]).strip()}\n", encoding="utf-8")
    member = re.search(r"`(READ_ORDERS = .+?)`", page)
    assert member
    append(project / "src/my_api/scopes.py", f"    {member[1]}\n")
    append(project / "src/my_api/settings.py", "    page_size: int\n")
    append(project / "tests/settings.env", "PAGE_SIZE=20\n")
    tenant = project / "auth0/tenant.yaml"
    last = "        description: Write messages\n"
    scope = "      - value: read:orders\n        description: Read orders\n"
    tenant.write_text(tenant.read_text(encoding="utf-8").replace(last, last + scope), "utf-8")
    call = re.search(r"`(client\.get\(.+?\))`", page)
    assert call
    append(project / "tests/test_orders.py", TEST.format(call=call[1]))
    return project


TEST = '''\
"""/api/orders, as AGENTS.md says."""

from fastapi.testclient import TestClient

from memory_tenant import Tenant


def test_orders(client: TestClient, tenant: Tenant) -> None:
    assert client.get("/api/orders").status_code == 401
    assert {call}.status_code == 200
'''


def append(path: Path, text: str) -> None:
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(before + text, encoding="utf-8")


def commands(project: Path) -> list[str]:
    page = (project / "AGENTS.md").read_text(encoding="utf-8")
    return [line.strip() for line in re.findall(r"^    ((?:uv|python3) [^#\n]+)", page, re.M)]


def test_it_is_short_and_names_each_kind_of_command(project: Path) -> None:
    assert len((project / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= 60
    assert len(commands(project)) == 8
    assert SERVES in commands(project)


def test_its_commands_pass_in_a_project_that_followed_it(project: Path) -> None:
    for command in commands(project):
        if command == SERVES:
            continue
        shell = command.replace("uv ", f"'{uv()}' ", 1) if command.startswith("uv ") else command
        done = run(["sh", "-c", shell], project, {"UV_PYTHON": sys.executable})
        assert done.returncode == 0, f"{command}: {done.stdout}"
        if "SKILL.md" in command:
            assert Path(done.stdout.split()[-1]).is_file(), done.stdout


def test_the_command_that_serves_prints_a_token(project: Path) -> None:
    command = [uv(), *SERVES.split()[1:], "--port", str(free_port())]
    python = sys.executable
    with serving(project, command, PAGE_SIZE="20", PYTHONPATH="", UV_PYTHON=python) as server:
        server.read_until("TOKEN=")


def test_the_files_of_the_template_are_there(project: Path) -> None:
    page = (project / "AGENTS.md").read_text(encoding="utf-8")
    section = page[page.index("An update replaces") : page.index(": do not edit them")]
    for name in re.findall(r"`([^`]+)`", section):
        places = (project / name, project / "src/my_api" / name)
        assert any(place.exists() for place in places), name
