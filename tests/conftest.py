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
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

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
LOCKED_ON = "2026-11-29T00:00:00Z"  # projects install nothing younger: the same today and next year
COUNTED = {  # what the set-up is put through, and the tests that do
    "states": r"setup/test_(states|management|prompts|env_file|token|env_mode|declared|access)\.py",
    "faults": r"setup/test_faults\.py",
    "kills": r"setup/test_kill\.py::test_a_kill",
    "recorded calls": r"setup/test_stand_in\.py::test_a_recorded_call",
}
LONGEST = [  # files with tests of half a minute, but for those of TOGETHER, which begin anyway
    *("test_recipes", "test_projects", "test_database_page", "test_repository", "test_matrix"),
    *("test_answers", "test_bootstrap", "test_owner"),
]
TOGETHER = {  # what is made once for all tests of a file, and takes long
    *("test_agents", "test_cluster", "test_container", "test_dependencies", "test_mail"),
    *("test_postgresql", "test_production", "test_telemetry"),
}


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Each test goes to the next core that is free, those of a file of TOGETHER to one core."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if Path(file).stem in TOGETHER else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    """Group by file names: pytest 9.2 does not tell xdist 3.8 of its own marks."""
    return Together(config, log)


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, or one of them would still run when the other cores have ended."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


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
        "UV_EXCLUDE_NEWER": os.environ.get("UV_EXCLUDE_NEWER", LOCKED_ON),
        "PATH": os.pathsep.join([str(Path(uv()).parent), os.environ["PATH"]]),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        plumbum.local.env.update(environment)  # Copier's copy, taken when it was imported.
        patch.setattr(tempfile, "tempdir", str(home / "tmp"))
        for name in ("PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"):  # a hundred runs import the same
            patch.delenv(name, raising=False)
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


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Half of a render is compiling the same Jinja sources again: keep what they compile to.

    Whatever folder they lie in: the name of the file is for tracebacks only.
    """
    compile_source = Environment.compile
    known: dict[object, Any] = {}

    def compile_once(
        self: Environment,
        source: Any,
        name: Any = None,
        filename: Any = None,
        *rest: Any,
        **more: Any,
    ) -> Any:
        if not isinstance(source, str):
            return compile_source(self, source, name, filename, *rest, **more)
        syntax = (self.variable_start_string, self.block_start_string, *sorted(self.extensions))
        key = (syntax, source, name, rest, tuple(more.items()))
        if key not in known:
            known[key] = compile_source(self, source, name, filename, *rest, **more)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", compile_once)
        yield


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where mypy keeps what it knows of packages, for all projects."""
    return tmp_path_factory.mktemp("mypy")
