"""hooks/bootstrap.py in a clean clone: with only Python, pip and git, and when one is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

import bootstrap
from support import EXAMPLE, PYENV, ROOT, git, run

CLEAR, DOWN, ENTER = "\x15", "\x1b[B", "\r"
BASE = Path(getattr(sys, "_base_executable", sys.executable))  # Has pip; .venv has none.
DEBIAN = Path("/usr/bin/python3")
NEW = ["-P", "-c", bootstrap.TOOL, "new"]


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", str(template), "clone")
    return tmp_path / "clone"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """A machine that has git and the system's tools, but neither uv nor a command called pip."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in Path("/usr/bin").iterdir():
        if not tool.name.startswith(("uv", "pip")):
            (folder / tool.name).symlink_to(tool)
    return {"PATH": str(folder), "UV": ""}


def command(*arguments: str | Path, python: Path = BASE) -> list[str | Path]:
    return [python, "hooks/bootstrap.py", *arguments]


def refuses_pip() -> bool:
    """Whether this machine's own Python is new enough, has pip, and forbids it to install."""
    if not DEBIAN.exists():
        return False
    code = """import pathlib, pip, sys, sysconfig
marker = pathlib.Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
sys.exit(sys.version_info < (3, 11) or not marker.exists())
"""
    return not subprocess.run([DEBIAN, "-c", code], capture_output=True).returncode


# ------------------------------------------------------------------------------- the first command


def test_new_leaves_a_green_project_and_says_how_to_start_it(
    clone: Path, bare: dict[str, str], tmp_path: Path
) -> None:
    done = run(command("new", "../my api"), clone, bare)
    assert done.returncode == 0, done.stdout
    assert "uv is missing: installing uv" in done.stdout
    own = clone / ".tools" / f"uv-{bootstrap.UV_VERSION}" / "bin" / "uv"
    assert own.exists()
    end = done.stdout[done.stdout.index("My API is synced and green. Start it:") :].splitlines()
    assert end[2] == "  cd '../my api'"
    assert end[-1] == f"  {own} run uvicorn --factory my_api.main:create_app"
    assert git(clone, "status", "--porcelain") == ""
    project = tmp_path / "my api"
    assert f"_src_path: {clone}" in (project / ".copier-answers.yml").read_text()
    again = run(command("new", "../my api"), clone, bare)
    assert again.returncode == 2
    assert again.stdout.startswith("error: ../my api holds files")


@pytest.mark.skipif(not refuses_pip(), reason="no system Python 3.11 that forbids pip (PEP 668)")
def test_a_python_that_refuses_pip_install_is_enough(clone: Path, bare: dict[str, str]) -> None:
    refused = run([DEBIAN, "-m", "pip", "install", "fastapi-auth0-template"], clone, bare)
    assert "externally-managed-environment" in refused.stdout
    done = run(command("run", "-c", "import copier", python=DEBIAN), clone, bare)
    assert done.returncode == 0, done.stdout


def test_the_oldest_python_at_hand_reserves_the_same_names(
    clone: Path, bare: dict[str, str]
) -> None:
    """Of the oldest supported version, the lowest patch release: Debian 12 has 3.11.2."""
    candidates = {DEBIAN, Path("/usr/bin/python3.11"), *PYENV.glob("versions/3.11.*/bin/python")}
    versions = {patch_release(path): path for path in candidates if path.exists()}
    supported = sorted(version for version in versions if version[:2] == (3, 11))
    if not supported:
        pytest.skip("no Python 3.11")
    words = ["test", "-n", "0", "-q", "tests/test_questions.py", "-k", "shadowed"]
    done = run(command(*words, python=versions[supported[0]]), clone, bare)
    assert done.returncode == 0, done.stdout


def patch_release(interpreter: Path) -> tuple[int, ...]:
    done = run([interpreter, "-c", "import sys; print(*sys.version_info[:3])"], ROOT)
    return tuple(map(int, done.stdout.split()))


def test_at_a_terminal_the_questions_are_asked(
    clone: Path, bare: dict[str, str], tmp_path: Path
) -> None:
    terminal = pexpect.spawn(
        str(BASE),
        ["hooks/bootstrap.py", "new", "../myapi"],
        cwd=str(clone),
        env=os.environ | bare | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        encoding="utf-8",
        timeout=120,
        dimensions=(24, 80),
    )
    answers = [
        ("Name of the project", ""),
        ("Name of the Python package", ""),
        ("How would you like to create the Auth0 API resource?", DOWN),
        ("the Identifier of the API", ""),
        ("Domain", CLEAR + EXAMPLE["auth0_domain"]),
        ("example resource", CLEAR + "orders"),
        ("Which claim of the access token", DOWN),
    ]
    for question, keys in answers:
        terminal.expect_exact(question)
        terminal.send(keys + ENTER)
    terminal.expect_exact("myapi is synced and green. Start it:")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert (tmp_path / "myapi" / "src" / "myapi" / "routes" / "orders.py").exists()


# --------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize("flag", ["--defaults", ""])
def test_without_a_terminal_or_when_told_the_example_answers_are_taken(
    monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: bool(flag), raising=False)
    given = [flag] if flag else []
    arguments = bootstrap.python_arguments("new", ["../myapi", *given])
    example = ["--defaults", "--data-file", str(ROOT / "example-answers.yml")]
    assert arguments == [*NEW, *example, "../myapi", *given]


def test_at_a_terminal_nothing_is_answered_for_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    arguments = bootstrap.python_arguments("new", ["../myapi"])
    assert arguments == [*NEW, "../myapi"]


def test_the_second_command_is_pytest_on_all_cores() -> None:
    arguments = bootstrap.python_arguments("test", ["-x"])
    assert arguments[:4] == ["-m", "pytest", "-n", "auto"]
    assert arguments[-1] == "-x"


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["nonsense"], 2), (["--help"], 0)])
def test_the_usage_names_the_commands(arguments: list[str], code: int) -> None:
    done = run(command(*arguments), ROOT)
    assert done.returncode == code
    assert "python3 hooks/bootstrap.py new DESTINATION" in done.stdout


def test_the_exit_code_is_that_of_the_program(clone: Path) -> None:
    assert run(command("run", "-c", "raise SystemExit(7)"), clone).returncode == 7
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run(command("run", "-c", killed), clone).returncode == 137


# ----------------------------------------------------------------------------- what can be missing


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    """The error, after having checked that it is one line and the right exit code."""
    lines = [line for line in done.stdout.splitlines() if not line.startswith("uv is missing")]
    assert done.returncode == 3, done.stdout
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def test_no_git(clone: Path, bare: dict[str, str]) -> None:
    (Path(bare["PATH"]) / "git").unlink()
    assert "git is needed and not on PATH" in one_line(run(command("test"), clone, bare))


def test_no_pip(clone: Path, bare: dict[str, str]) -> None:
    if not subprocess.run([sys.executable, "-m", "pip"], capture_output=True).returncode:
        pytest.skip("this Python has pip")
    done = run(command("test", python=Path(sys.executable)), clone, bare)
    assert "so is pip to install it" in one_line(done)


def test_no_network_for_pip(clone: Path, bare: dict[str, str]) -> None:
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(clone), "PIP_NO_CACHE_DIR": "1"}
    line = one_line(run(command("test"), clone, bare | offline))
    assert "pip could not install uv (is the network up?)" in line
    assert "No matching distribution" in line


def test_no_network_for_uv(clone: Path, tmp_path: Path) -> None:
    offline = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache")}
    line = one_line(run(command("test"), clone, offline))
    assert "uv pip failed (is the network up?)" in line


def test_python_is_too_old(clone: Path) -> None:
    code = (
        "import runpy, sys; sys.version_info = (3, 9, 1); sys.argv = ['bootstrap.py', 'test'];"
        "runpy.run_path('hooks/bootstrap.py', run_name='__main__')"
    )
    line = one_line(run([BASE, "-c", code], clone))
    assert line.startswith("error: Python 3.11 or newer is needed; ")
    assert line.endswith(" is 3.9")


@pytest.mark.parametrize("version", ["uv 0.4.30", "nonsense"])
def test_a_uv_that_is_too_old_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    (tmp_path / "uv").write_text(f"#!/bin/sh\necho '{version}'\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bootstrap, "own_tools", lambda: tmp_path / "none")
    assert bootstrap.find_uv() is None


def test_the_environment_follows_the_python_that_runs_it(tmp_path: Path) -> None:
    settings = tmp_path / "pyvenv.cfg"
    assert not bootstrap.is_current(settings)
    settings.write_text("version_info = 3.10.0\n")
    assert not bootstrap.is_current(settings)
    assert bootstrap.is_current(Path(sys.prefix) / "pyvenv.cfg")


def test_ctrl_c_while_packages_come_is_told(clone: Path, tmp_path: Path) -> None:
    slow = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'uv 99.0' || exec sleep 60\n"
    (tmp_path / "uv").write_text(slow)
    (tmp_path / "uv").chmod(0o755)
    terminal = pexpect.spawn(
        str(BASE),
        ["hooks/bootstrap.py", "test"],
        cwd=str(clone),
        env=os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        encoding="utf-8",
        timeout=30,
    )
    with pytest.raises(pexpect.TIMEOUT):
        terminal.expect(pexpect.EOF, timeout=2)
    terminal.sendintr()
    terminal.expect_exact("stopped: the same command continues from here")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
