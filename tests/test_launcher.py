"""fastapi-auth0-template new: where the template comes from, what it leaves, how it fails."""

import os
import shlex
import shutil
import signal
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml

import bootstrap
from fastapi_auth0_template.commands import new as launcher
from support import AUTOMATIC, ROOT, commit_all, git, run, uv

LAUNCHER = [sys.executable, "-P", "-c", bootstrap.TOOL, "new"]
EXAMPLE = ["--defaults", "--data-file", str(ROOT / "example-answers.yml")]
DATA_FILES = {
    "list.yml": "- resource: messages\n",
    "numbers.yml": "1: messages\n",
    "deep.yml": "resource: " + "[" * 3000,
    "latin.yml": "project_name: M\u00fcll\n",
}

# A project that syncs in a moment: the questions are the real ones, the rest stands in for it.
PYPROJECT = """\
[project]
name = "small"
version = "1"
requires-python = ">=3.11"
dependencies = ["pytest"]
"""
GREEN = "def test_it() -> None:\n    assert True\n"
RED = "def test_it() -> None:\n    assert False\n"
TENANT = "import pathlib, sys\npathlib.Path('set-up').touch()\nsys.exit({code})\n"


def make_template(folder: Path, test: str = GREEN, set_up_code: int = 0) -> Path:
    files = {
        "pyproject.toml": PYPROJECT,
        "tests/test_it.py": test,
        "scripts/tenant.py": TENANT.format(code=set_up_code),
        ".gitignore": ".env\n.venv\n__pycache__\n.pytest_cache\n",
    }
    for name, text in files.items():
        path = folder / "template" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in (
        "copier.yml",
        "reserved-names.txt",
        "template/{{ _copier_conf.answers_file }}.jinja",
    ):
        shutil.copy(ROOT / name, folder / name)
    env = "{% if identity == 'auth0' and auth0_setup == 'manual' %}.env{% endif %}.jinja"
    shutil.copy(ROOT / "template" / env, folder / "template" / env)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make_template(tmp_path / "small template")


def stored(project: Path) -> dict[str, Any]:
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert isinstance(answers, dict)
    return answers


# ----------------------------------------------------------------------------- where it comes from


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://github.com/org/repo", "https://github.com/org/repo"),
        ("https://gitlab.com/org/repo", "https://gitlab.com/org/repo"),
        ("https://git.example.com/repo.git", "https://git.example.com/repo.git"),
        ("ssh://git@example.com/repo.git", "ssh://git@example.com/repo.git"),
        ("https://git.example.com/repo", "git+https://git.example.com/repo"),
        ("file:///srv/repo", "git+file:///srv/repo"),
    ],
)
def test_the_origin_of_the_installation_is_the_template(url: str, source: str) -> None:
    origin = {"url": url, "vcs_info": {"vcs": "git", "commit_id": "0" * 40}}
    assert launcher.from_origin(origin, None) == launcher.Template(source, None, url)


def test_the_revision_that_was_installed_is_rendered_unless_another_is_named() -> None:
    info = {"vcs": "git", "commit_id": "0" * 40, "requested_revision": "v0.1.0"}
    origin = {"url": "https://github.com/org/repo", "vcs_info": info}
    assert launcher.from_origin(origin, None).ref == "v0.1.0"
    assert launcher.from_origin(origin, "v0.2.0").ref == "v0.2.0"


def test_an_installation_from_a_folder_takes_the_folder(tmp_path: Path) -> None:
    origin = {"url": (tmp_path / "a b").as_uri(), "dir_info": {}}
    assert launcher.from_origin(origin, None).source == str(tmp_path / "a b")


def test_a_clone_renders_its_latest_tag_or_last_commit(small: Path) -> None:
    commit_all(small)
    head = git(small, "rev-parse", "HEAD")
    assert launcher.from_folder(small, None) == launcher.Template(str(small), head, str(small))
    git(small, "tag", "v1.0.0")
    assert launcher.from_folder(small, None).ref is None  # Copier takes the latest tag.
    (small / "new").touch()
    assert "without its uncommitted work" in launcher.from_folder(small, None).note
    assert "will not find this version again" in launcher.from_folder(small, "HEAD").note
    assert "copier update will not work" in launcher.from_folder(small / "template", None).note


def test_installed_from_a_repository_it_renders_that_and_update_works(
    template: Path, tmp_path: Path
) -> None:
    source = f"git+file://{template}@v1.0.0"
    command = [
        uv(),
        "tool",
        "run",
        "--from",
        source,
        "fastapi-auth0-template",
        "new",
        "myapi",
        *EXAMPLE,
    ]
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stdout
    project = tmp_path / "myapi"
    assert stored(project)["_commit"] == "v1.0.0"
    assert stored(project)["_src_path"] == f"git+file://{template}"
    assert git(project, "status", "--porcelain") == ""
    assert "uv.lock" in git(project, "ls-files").splitlines()
    done = run([sys.executable, "-m", "copier", "update", "--defaults"], project)
    assert done.returncode == 0, done.stdout


# ----------------------------------------------------------------------------- what is left behind


def test_the_project_is_synced_green_committed_and_private(small: Path, tmp_path: Path) -> None:
    done = run([*LAUNCHER, "project", "--template", small, *EXAMPLE], tmp_path)
    assert done.returncode == 0, done.stdout
    project = tmp_path / "project"
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
    assert git(project, "log", "--format=%s") == "Start from fastapi-auth0-template"
    assert ".env" not in git(project, "ls-files").splitlines()
    assert "1 passed" in done.stdout
    end = done.stdout[done.stdout.index("My API is synced and green") :].splitlines()
    assert end[2] == "  cd project"
    assert end[-1] == "  uv run uvicorn --factory my_api.main:create_app"


def test_inside_another_work_tree_nothing_is_committed(small: Path, tmp_path: Path) -> None:
    (tmp_path / "mono").mkdir()
    git(tmp_path / "mono", "init", "--quiet")
    done = run([*LAUNCHER, "mono/api", "--template", small, *EXAMPLE], tmp_path)
    assert done.returncode == 0, done.stdout
    assert "mono: commit it there" in done.stdout
    assert not (tmp_path / "mono" / "api" / ".git").exists()


def test_without_a_git_identity_the_two_commands_are_printed(small: Path, tmp_path: Path) -> None:
    (tmp_path / "gitconfig").write_text("[user]\n    useConfigOnly = true\n")
    environment = {"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")}
    done = run([*LAUNCHER, "project", "--template", small, *EXAMPLE], tmp_path, environment)
    assert done.returncode == 0, done.stdout
    said = done.stdout[done.stdout.index("not committed yet: git does not know who you are") :]
    name, email, commit = [line.strip() for line in said.splitlines()[2:5]]
    assert name.startswith("git config --global user.name ")
    assert email.startswith("git config --global user.email ")
    assert commit == "cd project && git add --all && git commit -m Start"
    done = run(["sh", "-ec", f"{name}; {email}; {commit}"], tmp_path, environment)
    assert done.returncode == 0, done.stdout


# -------------------------------------------------------------------------------------- the set-up


def test_without_a_terminal_the_set_up_is_printed(small: Path, tmp_path: Path) -> None:
    answers = [part for name, value in AUTOMATIC.items() for part in ("-d", f"{name}={value}")]
    command = [*LAUNCHER, "project", "--template", str(small), "--defaults", *answers]
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "  uv run scripts/tenant.py setup    # creates the API" in done.stdout
    assert not (tmp_path / "project" / "set-up").exists()


@pytest.mark.parametrize(("set_up_code", "code"), [(0, 0), (1, 5), (130, 5)])
def test_at_a_terminal_the_set_up_runs(tmp_path: Path, set_up_code: int, code: int) -> None:
    template = make_template(tmp_path / "template", set_up_code=set_up_code)
    answers = [part for name, value in AUTOMATIC.items() for part in ("-d", f"{name}={value}")]
    arguments = ["project", "--template", str(template), "--defaults", *answers]
    terminal = pexpect.spawn(
        LAUNCHER[0], [*LAUNCHER[1:], *arguments], cwd=str(tmp_path), encoding="utf-8", timeout=60
    )
    output = terminal.read()
    terminal.close()
    assert terminal.exitstatus == code, output
    assert (tmp_path / "project" / "set-up").exists()
    remedy = "cd project && uv run scripts/tenant.py setup"
    assert (remedy in output) == bool(code)


# -------------------------------------------------------------------------------------- what fails


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["full", *EXAMPLE], 2, "full holds files: name a new or an empty folder"),
        (["full/file", *EXAMPLE], 2, "full/file holds files"),
        (["n" * 300, *EXAMPLE], 2, "File name too long"),
        (["new", "--data-file", "nowhere.yml"], 2, "--data-file nowhere.yml: "),
        (["new", "--data-file", "list.yml"], 2, "--data-file list.yml: write a line NAME: VALUE"),
        (["new", "--data-file", "numbers.yml"], 2, "--data-file numbers.yml: write a line"),
        (["new", "--data-file", "deep.yml"], 2, "--data-file deep.yml: maximum recursion"),
        (["new", "--data-file", "latin.yml"], 2, "--data-file latin.yml: 'utf-8' codec"),
        (["new", "-d", "resource"], 2, "-d resource: write NAME=VALUE"),
        (["new"], 1, "Interactive session required"),
        (["new", "--defaults"], 1, '"auth0_setup" is required'),
        (
            ["new", *EXAMPLE, "-d", "auth0_domain=X.eu.auth0.com"],
            1,
            "type a host like x.eu.auth0.com",
        ),
        (["new", *EXAMPLE, "--vcs-ref", "v9.9.9"], 1, "Unknown revision: 'v9.9.9'"),
        (["new", *EXAMPLE, "--template", "git+file:///nowhere"], 3, "git cannot get the template"),
        (["new", *EXAMPLE, "--template", "/nowhere"], 1, "Local template must be a directory"),
    ],
)
def test_a_failure_is_one_line_and_leaves_nothing(
    small: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    commit_all(small)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for name, text in DATA_FILES.items():
        (tmp_path / name).write_text(text, encoding="latin-1")
    done = run([*LAUNCHER, "--template", small, *arguments], tmp_path)
    assert done.returncode == code, done.stdout
    assert said in done.stdout.splitlines()[-1]
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("redirected", "code"), [("| head -n 1", 4), ("> /dev/full", 1), (">&-", 0), ("<&-", 0)]
)
def test_streams_that_end_early_or_are_closed_are_no_defect(
    small: Path, tmp_path: Path, redirected: str, code: int
) -> None:
    commit_all(small)
    command = shlex.join([*LAUNCHER, "project", "--template", str(small), *EXAMPLE])
    done = run(["bash", "-o", "pipefail", "-c", f"{command} {redirected}"], tmp_path)
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout
    assert (tmp_path / "project").exists() == (code != 1)
    if code == 4:
        assert (
            done.stdout.splitlines()[-1] == "error: Broken pipe; project is unfinished: remove it"
        )
    if code != 1:
        assert stat.S_IMODE((tmp_path / "project" / ".env").stat().st_mode) == 0o600


@pytest.mark.parametrize("login", ["name:an-access-token", "an-access-token"])
def test_a_login_in_the_address_of_the_template_is_not_shown(tmp_path: Path, login: str) -> None:
    address = f"https://{login}@127.0.0.1:9/template.git"
    done = run([*LAUNCHER, "project", "--template", address, *EXAMPLE], tmp_path)
    assert done.returncode == 3
    assert done.stdout.startswith("Template: https://(hidden)@127.0.0.1:9/template.git")
    assert "an-access-token" not in done.stdout


def test_inside_a_hook_of_another_repository(small: Path, tmp_path: Path) -> None:
    """git sets GIT_DIR for its hooks; people export it, too."""
    commit_all(small)
    (other := tmp_path / "other").mkdir()
    commit_all(other)
    head = git(other, "rev-parse", "HEAD")
    environment = {"GIT_DIR": str(other / ".git"), "GIT_INDEX_FILE": str(other / ".git" / "index")}
    done = run([*LAUNCHER, "project", "--template", str(small), *EXAMPLE], tmp_path, environment)
    assert done.returncode == 0, done.stdout
    assert git(other, "rev-parse", "HEAD") == head
    assert git(other, "ls-files") == ""
    assert "uv.lock" in git(tmp_path / "project", "ls-files").splitlines()


def test_an_answer_to_no_question_is_named(small: Path, tmp_path: Path) -> None:
    command = [*LAUNCHER, "project", "--template", str(small), *EXAMPLE, "-d", "dpopp=required"]
    assert "ignored: the template has no question dpopp\n" in run(command, tmp_path).stdout


@pytest.mark.parametrize("tool", ["git", "uv"])
def test_a_missing_tool_is_named(tmp_path: Path, tool: str) -> None:
    other = {"git": "uv", "uv": "git"}[tool]
    found = shutil.which(other)
    assert found
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / other).symlink_to(found)
    environment = {"PATH": str(tmp_path / "bin"), "UV": ""}
    done = run([*LAUNCHER, "new", *EXAMPLE], tmp_path, environment)
    assert done.returncode == 3
    assert done.stdout.startswith(f"error: {tool} is needed and not on PATH")
    assert len(done.stdout.splitlines()) == 1


def test_the_uv_that_started_it_goes_before_the_one_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_version(tmp_path / "uv", "uv 99.0")
    monkeypatch.setenv("UV", str(tmp_path / "uv"))
    assert launcher.find_tools() == str(tmp_path / "uv")


@pytest.mark.parametrize("version", ["uv 0.5.0", "nonsense"])
def test_a_uv_that_is_too_old_is_refused_before_anything_is_written(
    tmp_path: Path, version: str
) -> None:
    """It would ignore `exclude-newer` and the floors, and write a lock without them."""
    say_version(tmp_path / "uv", version)
    done = run([*LAUNCHER, "project", *EXAMPLE], tmp_path, {"UV": str(tmp_path / "uv")})
    assert done.returncode == 3
    assert done.stdout == "error: uv 0.10 or later is needed: pip install --upgrade uv\n"
    assert not (tmp_path / "project").exists()
    assert launcher.OLDEST_UV == bootstrap.OLDEST_UV


def say_version(uv: Path, version: str) -> None:
    uv.write_text(f"#!/bin/sh\necho '{version}'\n", encoding="utf-8")
    uv.chmod(0o755)


def test_a_project_that_is_not_green_stays(tmp_path: Path) -> None:
    template = make_template(tmp_path / "template", test=RED)
    done = run([*LAUNCHER, "project", "--template", template, *EXAMPLE], tmp_path)
    assert done.returncode == 4
    last = done.stdout.splitlines()[-1]
    assert last.startswith("error: uv run pytest -q failed; the project stays.")
    assert last.endswith("cd project && uv sync && uv run pytest")
    assert (tmp_path / "project" / "pyproject.toml").exists()


def test_ctrl_c_at_a_question_leaves_nothing(small: Path, tmp_path: Path) -> None:
    terminal = pexpect.spawn(
        LAUNCHER[0],
        [*LAUNCHER[1:], "project", "--template", str(small)],
        cwd=str(tmp_path),
        env=os.environ | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        encoding="utf-8",
        timeout=30,
    )
    terminal.expect_exact("Name of the project")
    terminal.send("\x03")
    terminal.expect_exact("stopped: nothing was written")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert not (tmp_path / "project").exists()


def test_a_question_that_is_terminated_leaves_the_terminal_as_it_was(
    small: Path, tmp_path: Path
) -> None:
    argv = [*LAUNCHER, "project", "--template", str(small)]
    terminal = pexpect.spawn(
        "sh",
        ["-c", f"stty -g > before; {shlex.join(argv)}; stty -g > after; echo ended"],
        cwd=str(tmp_path),
        env=os.environ | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        encoding="utf-8",
        timeout=30,
    )
    terminal.expect_exact("Name of the project")
    time.sleep(0.3)
    (process,) = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if runs(path, argv)]
    os.kill(int(process.name), signal.SIGTERM)
    terminal.expect_exact("stopped: nothing was written")
    terminal.expect_exact("ended")
    terminal.close()
    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()


def runs(path: Path, argv: list[str]) -> bool:
    with suppress(OSError):
        return path.read_text(encoding="utf-8").split("\0")[: len(argv)] == argv
    return False
