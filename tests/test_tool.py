"""How a project gets the tool: scripts/tenant.py, from every kind of address, and what can fail."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pexpect
import pytest

from support import ROOT, commit_all, copy_working_tree, git, render, run, uv

UV_BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
# A tool that installs in a moment and tells what reached it.
PYPROJECT = f"""\
[project]
name = "fastapi-auth0-template"
version = "1"
requires-python = ">=3.11"
scripts = {{ fastapi-auth0-template = "fastapi_auth0_template:main" }}
[build-system]
requires = {UV_BUILD["requires"]}
build-backend = "{UV_BUILD["build-backend"]}"
[tool.uv]
cache-keys = [{{ file = "pyproject.toml" }}, {{ file = "src/**/*.py" }}]
"""
ECHO = """\
import os, signal, sys

def stop(number, frame):
    os.write(1, f"got {signal.Signals(number).name}\\n".encode())
    os._exit(41)

def main():
    if sys.argv[1:2] == ["wait"]:
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        print("ready", flush=True)
        while True:
            signal.pause()
    print(sys.argv[1:], sys.stdin.read(), flush=True)
    print("to stderr", file=sys.stderr)
    return 7
"""
UNREACHABLE = "cannot be reached, or its commit is nowhere: --from names another place"


def make_tool(folder: Path) -> Path:
    (folder / "src" / "fastapi_auth0_template").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "src" / "fastapi_auth0_template" / "__init__.py").write_text(ECHO)
    return folder


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Path:
    return make_tool(tmp_path_factory.mktemp("a tool"))


@pytest.fixture
def script(plain_template: Path, tmp_path: Path) -> Path:
    return render(plain_template, tmp_path / "a project") / "scripts" / "tenant.py"


def source(project: Path) -> str:
    """What the script gives to uv."""
    text = (project / "scripts" / "tenant.py").read_text(encoding="utf-8")
    found = re.search(r'(?m)^TOOL = "(.+)"  # fmt: skip$', text)
    assert found
    return found[1]


def assert_refused(done: "subprocess.CompletedProcess[str]", sentence: str) -> None:
    assert done.returncode == 69
    assert done.stdout.startswith("error: ")
    assert sentence in done.stdout
    assert len(done.stdout.splitlines()) == 1


# ------------------------------------------------------------------------------------- the script


def test_the_script_is_short_and_needs_no_package(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 25
    assert lines[:3] == ["# /// script", "# dependencies = []", "# ///"]


def test_arguments_streams_and_exit_code_pass(script: Path, echo: Path, tmp_path: Path) -> None:
    """From any folder; the project is named, so that the tool finds it."""
    words = ["setup", "--from", str(echo), "--yes", "--audience", "a b", "-"]
    done = subprocess.run(
        [uv(), "run", str(script), *words],
        cwd=tmp_path,
        input="a token",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 7
    given = ["setup", "--project", f"{script.parents[1]}/", "--yes", "--audience", "a b", "-"]
    assert done.stdout == f"{given} a token\n"
    assert done.stderr.endswith("to stderr\n")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h", "doctor"]])
def test_a_project_is_named_to_a_command_only(script: Path, echo: Path, words: list[str]) -> None:
    """The tool itself has no such option, and would refuse to help."""
    done = run([sys.executable, script, "--from", echo, *words], echo)
    assert done.returncode == 7
    assert done.stdout.startswith(f"{words} ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_tool(script: Path, echo: Path, number: signal.Signals) -> None:
    command = [sys.executable, str(script), "wait", f"--from={echo}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == f"got {number.name}\n"
    assert process.returncode == 41


def test_an_edited_folder_is_built_anew(script: Path, tmp_path: Path) -> None:
    tool = make_tool(tmp_path / "tool")
    command: list[str | Path] = [sys.executable, script, "--from", tool, "setup"]
    assert run(command, tmp_path).returncode == 7
    module = tool / "src" / "fastapi_auth0_template" / "__init__.py"
    module.write_text(ECHO.replace("return 7", "return 8"))
    assert run(command, tmp_path).returncode == 8


def test_the_keys_of_uvs_cache_cover_the_sources_of_the_tool() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    covered = {
        path for key in settings["tool"]["uv"]["cache-keys"] for path in ROOT.glob(key["file"])
    }
    sources = {*(ROOT / "hooks" / "fastapi_auth0_template").rglob("*.py"), ROOT / "pyproject.toml"}
    assert covered == sources


@pytest.mark.parametrize("broken", ["no uv", "a wrong UV", "no address"])
def test_without_uv_or_the_address_it_says_one_sentence(
    script: Path, tmp_path: Path, broken: str
) -> None:
    if broken != "no address":
        wrong = str(tmp_path / "gone" / "uv") if broken == "a wrong UV" else ""
        environment = {"PATH": str(tmp_path), "UV": wrong}
        done = run([sys.executable, script, "doctor"], tmp_path, environment)
        assert_refused(done, "uv is missing")
        return
    address = f"git+file://{tmp_path}/nowhere@{'0' * 40}"
    for command in ([uv(), "run"], [sys.executable]):
        done = run([*command, script, "doctor", "--from", address], tmp_path)
        assert_refused(done, f"{address} {UNREACHABLE}")


def test_a_terminal_shows_what_uv_does_and_why_it_fails(script: Path, tmp_path: Path) -> None:
    address = f"git+file://{tmp_path}/nowhere@{'0' * 40}"
    terminal = pexpect.spawn(
        sys.executable, [str(script), "doctor", "--from", address], cwd=tmp_path, encoding="utf-8"
    )
    terminal.expect("does not appear to be a git repository")
    terminal.expect("error: git")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 69


# ---------------------------------------------------------------------------------- the addresses


@pytest.fixture
def hosts(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses on hosts that are not there, mapped to the template as git maps them."""
    addresses = [
        "https://github.com/org/name.git",
        "https://gitlab.com/org/name.git",
        "https://git.example.com/org/name",
        "https://git.example.com/org/name.git",
        "https://bot:t0@k-en@git.example.com/org/name.git",
        "git@git.example.com:org/name.git",
        "ssh://git@git.example.com/org/name.git",
    ]
    settings = (
        Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text(encoding="utf-8") + f'[url "{template}"]\n'
    )
    settings += "".join(f"    insteadOf = {address}\n" for address in addresses)
    (tmp_path / "gitconfig").write_text(settings)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))


def copy(address: str | Path, folder: Path, *words: str) -> Path:
    """`copier copy` as a user types it, next to `folder`."""
    data = ["--defaults", "--data-file", str(ROOT / "example-answers.yml")]
    command = [sys.executable, "-m", "copier", "copy", *words, *data, str(address), folder.name]
    done = run(command, folder.parent)
    assert done.returncode == 0, done.stdout
    return folder


def assert_runs(project: Path, environment: dict[str, str] | None = None) -> None:
    """The tool of this repository starts: it refuses an unknown option with its own exit code."""
    done = run([uv(), "run", "scripts/tenant.py", "setup", "--nonsense"], project, environment)
    assert done.returncode == 64, done.stdout


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("gh:org/name", "git+https://github.com/org/name.git"),
        ("gl:org/name", "git+https://gitlab.com/org/name.git"),
        ("https://github.com/org/name.git", "git+https://github.com/org/name.git"),
        ("git+https://git.example.com/org/name", "git+https://git.example.com/org/name"),
        ("git@git.example.com:org/name.git", "git+ssh://git@git.example.com/org/name.git"),
        ("ssh://git@git.example.com/org/name.git", "git+ssh://git@git.example.com/org/name.git"),
    ],
)
def test_a_url_is_given_with_the_full_commit(
    template: Path, tmp_path: Path, typed: str, expected: str
) -> None:
    project = copy(typed, tmp_path / "project")
    assert source(project) == f"{expected}@{git(template, 'rev-parse', 'HEAD')}"
    assert_runs(project)
    assert_runs(project, {"UV_OFFLINE": "1"})


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("prefix", ["", "git+"])
def test_a_login_in_the_address_stays_out_of_the_project(tmp_path: Path, prefix: str) -> None:
    """As a CI job types it; what it renders is committed."""
    typed = f"{prefix}https://bot:t0@k-en@git.example.com/org/name.git"
    project = copy(typed, tmp_path / "project")
    files = [path for path in project.rglob("*") if path.is_file()]
    assert [path for path in files if b"k-en@" in path.read_bytes()] == []
    assert source(project).startswith("git+https://git.example.com/org/name.git@")
    assert_runs(project)


@pytest.mark.parametrize("relative", [False, True])
def test_a_clone_on_disk_is_given_with_the_full_commit(
    template: Path, tmp_path: Path, relative: bool
) -> None:
    """A later commit of the clone does not change what a project runs."""
    git(tmp_path, "clone", "--quiet", str(template), "a clöne")
    project = copy("a clöne" if relative else tmp_path / "a clöne", tmp_path / "project")
    commit = git(template, "rev-parse", "HEAD")
    assert source(project) == f"git+file://{tmp_path}/a%20cl%C3%B6ne@{commit}"
    commit_all(tmp_path / "a clöne", "Later")
    assert_runs(project)


@pytest.mark.parametrize(
    "inside", [False, True], ids=["a folder", "a folder of another repository"]
)
def test_a_folder_without_a_commit_is_named(
    plain_template: Path, tmp_path: Path, inside: bool
) -> None:
    folder = Path(shutil.copytree(plain_template, tmp_path / "mono" / "template"))
    if inside:
        commit_all(tmp_path / "mono")
    project = copy("mono/template", tmp_path / "project")
    assert source(project) == str(folder)
    assert_runs(project)


def test_a_local_address_stands_in_the_script_and_the_answers_only(
    template: Path, tmp_path: Path
) -> None:
    project = copy(template, tmp_path / "project")
    files = [path for path in project.rglob("*") if path.is_file()]
    found = {path.name for path in files if str(template).encode() in path.read_bytes()}
    assert found == {"tenant.py", ".copier-answers.yml"}


def test_a_copy_of_uncommitted_work_says_that_its_commit_is_nowhere(tmp_path: Path) -> None:
    clone = copy_working_tree(tmp_path / "clone")
    commit_all(clone)
    (clone / "new.txt").touch()
    project = copy(clone, tmp_path / "project", "-r", "HEAD")
    done = run([uv(), "run", "scripts/tenant.py", "doctor"], project)
    assert_refused(done, f"{source(project)} {UNREACHABLE}")
    done = run([uv(), "run", "scripts/tenant.py", "setup", "--nonsense", "--from", clone], project)
    assert done.returncode == 64


# ------------------------------------------------------------------------------------ the versions


def test_a_cut_off_of_the_project_does_not_filter_the_tool(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a cache, which would hide that it does."""
    monkeypatch.delenv("UV_EXCLUDE_NEWER")
    project = copy(template, tmp_path / "project")
    settings = (project / "pyproject.toml").read_text(encoding="utf-8")
    assert settings.count('"7 days"') == 1
    settings = settings.replace('"7 days"', '"2020-01-01T00:00:00Z"')
    (project / "pyproject.toml").write_text(settings, encoding="utf-8")
    (project / "uv.toml").write_text('exclude-newer = "2020-01-01T00:00:00Z"\n')
    assert_runs(project, {"UV_NO_CACHE": "1"})


def test_the_command_works_without_the_script(template: Path, tmp_path: Path) -> None:
    project = copy(template, tmp_path / "project")
    address = f"git+file://{template}@{git(template, 'rev-parse', 'HEAD')}"
    command = [uv(), "tool", "run", "--from", address, "fastapi-auth0-template"]
    done = run([*command, "doctor", "--project", ".", "--nonsense"], project)
    assert done.returncode == 64, done.stdout


def test_no_page_and_no_message_names_the_package_of_somebody_else() -> None:
    """`fastapi-auth0` on the public index is not this one."""
    for name in git(ROOT, "ls-files").splitlines():
        path = ROOT / name
        if path.suffix in (".py", ".md", ".jinja", ".yml", ".toml", ".json", ".svg"):
            found = re.search(r"(uvx|tool run) fastapi-auth0(?![-\w])", path.read_text("utf-8"))
            assert not found, name
