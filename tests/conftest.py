"""Isolation from the machine's user, and the working tree as a template, for every test."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plumbum
import pytest
from jinja2 import Environment

from support import commit_all, copy_working_tree, git, uv

GIT_CONFIG = """\
[user]
    name = Tester
    email = tester@example.com
[init]
    defaultBranch = main
[protocol "file"]
    allow = always
"""
COUNTED = {  # what the set-up is put through, and the tests that do
    "states": r"setup/test_(states|management|prompts|env_file|token|env_mode|declared|access)\.py",
    "faults": r"setup/test_faults\.py",
    "kills": r"setup/test_kill\.py::test_a_kill",
    "recorded calls": r"setup/test_stand_in\.py::test_a_recorded_call",
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the set-up got through. Not in setup/: xdist's main process reads this file only."""
    passed = [report.nodeid for report in terminalreporter.stats.get("passed", [])]
    counts = {
        name: sum(bool(re.search(pattern, test)) for test in passed)
        for name, pattern in COUNTED.items()
    }
    if any(counts.values()):
        survived = ", ".join(f"{count} {name}" for name, count in counts.items())
        terminalreporter.write_line(f"The set-up got through {survived}.")


@pytest.fixture(scope="session", autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests a home: no settings of Copier, git or uv leak in, no temporary file leaks out.

    uv's cache is shared. What is killed, as programs in a terminal are, leaves its temporary files.
    """
    home = tmp_path_factory.mktemp("home")
    (home / "tmp").mkdir()
    (home / "gitconfig").write_text(GIT_CONFIG)
    (home / "copier.yml").write_text("{}")
    cache = subprocess.run([uv(), "cache", "dir"], check=True, capture_output=True, text=True)
    environment = {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "TMPDIR": str(home / "tmp"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "COPIER_SETTINGS_PATH": str(home / "copier.yml"),
        "UV": uv(),
        "UV_CACHE_DIR": cache.stdout.strip(),
        "PATH": os.pathsep.join([str(Path(uv()).parent), os.environ["PATH"]]),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        plumbum.local.env.update(environment)  # Copier's copy, taken when it was imported.
        patch.setattr(tempfile, "tempdir", str(home / "tmp"))
        patch.delenv("VIRTUAL_ENV", raising=False)
        for name in [name for name in os.environ if name.startswith("AUTH0_")]:
            patch.delenv(name)
        yield
    shutil.rmtree(home / "tmp", ignore_errors=True)


@pytest.fixture(scope="session")
def plain_template(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Path:
    """The working tree as a plain directory: the fastest to render."""
    return copy_working_tree(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Path:
    """The working tree as a git repository whose latest tag is v1.0.0."""
    folder = copy_working_tree(tmp_path_factory.mktemp("template"))
    commit_all(folder)
    git(folder, "tag", "v1.0.0")
    return folder


@pytest.fixture(scope="module")
def compiled_once() -> Iterator[None]:
    """Half of a render is compiling the same Jinja sources again: keep what they compile to."""
    compile_source = Environment.compile
    known: dict[object, Any] = {}

    def compile_once(self: Environment, source: Any, *rest: Any, **named: Any) -> Any:
        if not isinstance(source, str):
            return compile_source(self, source, *rest, **named)
        key = (source, rest, tuple(named.items()))
        if key not in known:
            known[key] = compile_source(self, source, *rest, **named)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", compile_once)
        yield


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of the packages, shared by all projects."""
    return tmp_path_factory.mktemp("mypy")
