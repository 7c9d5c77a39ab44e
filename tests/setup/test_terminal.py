"""What a terminal of 80 columns shows, and who is not asked although there is a terminal."""

import base64
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pexpect
import pytest

from setup.workbench import AUDIENCE, OWN, Machine

CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[^\[]")
COLOURS = re.compile(r"\x1b\[[0-9;]*?(?:[349][0-7]|[34]8;)[0-9;]*m")


def show(machine: Machine, *arguments: str, keys: str = "", **environment: str) -> tuple[int, str]:
    """`setup` at a terminal: its exit code and all that came; keys answer the one question."""
    python, *argv = machine.argv("setup", *arguments)
    terminal = pexpect.spawn(
        python,
        argv,
        cwd=str(machine.project),
        env=machine.env() | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **environment},
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 80),
    )
    shown = ""
    if keys:
        terminal.expect_exact("Apply this plan to")
        shown = f"{terminal.before}{terminal.after}"
        terminal.send(keys)
    terminal.expect(pexpect.EOF)
    shown += str(terminal.before)
    terminal.close()
    assert terminal.exitstatus is not None
    return terminal.exitstatus, shown


def test_nothing_is_wider_than_80_columns(machine: Machine) -> None:
    machine.use("cli")
    code, shown = show(machine, "--test-app", "--docs-app", keys="y")
    assert code == 0, shown
    lines = [CODES.sub("", line).strip("\r") for line in re.split(r"\r?\n", shown)]
    wide = [line for line in lines if len(line) > 80]
    # A command to copy is one line, and a prompt is drawn again and again on its own.
    assert [line for line in wide if "scripts/tenant.py" not in line and "Apply" not in line] == []


@pytest.mark.parametrize("no_color", ["", "1"])
def test_colour_is_left_out_on_demand(machine: Machine, no_color: str) -> None:
    machine.use("cli")
    code, shown = show(machine, keys="n", NO_COLOR=no_color)
    assert code == 3, shown
    assert bool(COLOURS.search(shown)) == (not no_color)


@pytest.mark.parametrize(
    ("flags", "environment", "reason"),
    [
        (["--no-input"], {}, "--no-input"),
        (["--json"], {}, "--json"),
        ([], {"CI": "true"}, "CI is set"),
        ([], {"CLAUDECODE": "1"}, "CLAUDECODE is set"),
        ([], {"CODEX_THREAD_ID": "x"}, "CODEX_THREAD_ID is set"),
        ([], {"SOME_AGENT_SESSION_ID": "x"}, "SOME_AGENT_SESSION_ID is set"),
        ([], {"AUTH0_AGENT_MODE": "true"}, "AUTH0_AGENT_MODE is set"),
    ],
    ids=lambda value: "",
)
def test_a_machine_at_a_terminal_is_not_asked(
    machine: Machine, flags: list[str], environment: Mapping[str, str], reason: str
) -> None:
    machine.use("cli")
    code, shown = show(machine, *flags, **environment)
    assert code == 3
    assert f"the plan needs a yes (not asked: {reason})" in " ".join(shown.split())
    assert not machine.tenant.writes
    assert machine.env_file.read_text() == OWN


def test_names_from_the_tenant_do_not_reach_the_terminal_raw(machine: Machine) -> None:
    machine.use("api")
    assert machine.setup().code == 0
    machine.tenant.apis(AUDIENCE)[0]["name"] = "My\x1b[2J\x07 API"
    done = machine.run("setup", "--dry-run")
    assert done.code == 2
    assert not re.search(r"[\x1b\x07]", done.stdout + done.stderr)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
@pytest.mark.parametrize("command", ["setup --dry-run", "doctor", "token"])
def test_a_closed_stream_is_no_traceback(machine: Machine, command: str, closed: str) -> None:
    machine.use("api")
    line = f"{shlex.join(machine.argv(*command.split()))} {closed}"
    done = subprocess.run(["sh", "-c", line], env=machine.env(), capture_output=True, text=True)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode in (2, 3)


def test_nobody_reads_the_output(machine: Machine) -> None:
    machine.use("api")
    line = f"{{ {shlex.join(machine.argv('setup', '--dry-run'))}; echo $? >&2; }} | true"
    done = subprocess.run(["sh", "-c", line], env=machine.env(), capture_output=True, text=True)
    assert "the output cannot be written: Broken pipe" in " ".join(done.stderr.split())
    assert not re.search("Traceback|defect|ignored", done.stderr)
    assert done.stderr.splitlines()[-1] == "1"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_json_that_cannot_be_written_is_a_failure(machine: Machine) -> None:
    machine.use("api")
    assert machine.setup().code == 0
    for command, code in ("doctor", 2), ("setup", 1):
        line = f"{shlex.join(machine.argv(command, '--json'))} > /dev/full"
        done = subprocess.run(["sh", "-c", line], env=machine.env(), capture_output=True, text=True)
        assert done.returncode == code, done
        assert "the output cannot be written: No space left" in " ".join(done.stderr.split())


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_a_token_of_any_bytes(machine: Machine, locale: str) -> None:
    machine.use("api")
    assert machine.setup().code == 0
    done = subprocess.run(
        machine.argv("doctor", "--json", "--token", "-"),
        env=machine.env() | {"LC_ALL": locale},
        input=bytes(range(256)),
        capture_output=True,
    )
    failed = [e["id"] for e in json.loads(done.stdout)["checks"] if e["status"] == "failure"]
    assert (done.returncode, failed) == (2, ["token-form"])


def test_warnings_of_python_do_not_reach_the_terminal(machine: Machine) -> None:
    machine.use("cli")
    done = machine.run("setup", "--yes", PYTHONWARNINGS="error")
    done.says()
    assert done.code == 0, done


def spawn(
    machine: Machine, *arguments: str, columns: int = 80, term: str = "xterm"
) -> "pexpect.spawn[str]":
    python, *argv = machine.argv(*arguments)
    return pexpect.spawn(
        python,
        argv,
        cwd=str(machine.project),
        env=machine.env() | {"TERM": term, "PROMPT_TOOLKIT_NO_CPR": "1"},
        encoding="utf-8",
        timeout=30,
        dimensions=(24, columns),
    )


def test_a_question_that_is_terminated_leaves_the_terminal_as_it_was(machine: Machine) -> None:
    machine.use("cli")
    # A shell holds the terminal, as a person's does, or it would be gone with the set-up.
    words = shlex.join(machine.argv("setup"))
    terminal = pexpect.spawn(
        "sh",
        ["-c", f"stty -g > before; {words}; stty -g > after; echo ended"],
        cwd=str(machine.root),
        env=machine.env() | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        encoding="utf-8",
        timeout=30,
    )
    terminal.expect_exact("Apply this plan to")
    time.sleep(0.3)  # until the question has changed the modes
    running = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline")]
    argv = machine.argv("setup")
    (process,) = [pid for pid in running if command_line(pid)[: len(argv)] == argv]
    os.kill(process, signal.SIGTERM)
    terminal.expect_exact("interrupted; nothing was changed")
    terminal.expect_exact("ended")
    terminal.expect(pexpect.EOF)
    before, after = ((machine.root / name).read_text() for name in ("before", "after"))
    assert before == after
    assert not machine.tenant.writes


def command_line(process: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8").split("\0")
    return []


@pytest.mark.parametrize("length", [1_000, 12_000])
@pytest.mark.parametrize("breaks", ["", "\n"], ids=["one line", "broken lines"])
def test_a_token_of_any_length_is_pasted(machine: Machine, length: int, breaks: str) -> None:
    """A terminal keeps 4095 characters of a line; and the token is not shown."""
    machine.use("api")
    terminal = spawn(machine, "doctor", "--token", "-")
    terminal.expect_exact("Paste the token, then press Enter. It is not shown.")
    time.sleep(0.3)
    claims = base64.urlsafe_b64encode(b'{"x": "' + b"x" * length + b'"}').decode().rstrip("=")
    header = base64.urlsafe_b64encode(b'{"alg": "RS256"}').decode().rstrip("=")
    terminal.send(f"{header}.{breaks}{claims}.{breaks}c2lnbmF0dXJl\n")
    terminal.expect_exact("token-form")
    terminal.expect(pexpect.EOF)
    terminal.close()
    shown = str(terminal.before)
    assert terminal.exitstatus == 2
    assert "cannot be read" not in shown
    assert "not a token" not in shown
    assert claims[:40] not in shown


def test_ctrl_c_while_a_token_is_waited_for(machine: Machine) -> None:
    machine.use("api")
    terminal = spawn(machine, "doctor", "--token", "-")
    terminal.expect_exact("Paste the token")
    time.sleep(0.3)
    terminal.send("\x03")
    terminal.expect_exact("interrupted")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130


def test_a_pipe_that_sends_nothing_is_told(machine: Machine) -> None:
    machine.use("api")
    with subprocess.Popen(
        machine.argv("doctor", "--token", "-"),
        env=machine.env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        assert process.stderr.readline() == "Waiting for the token on stdin ...\n"
        process.communicate("", timeout=60)


@pytest.mark.parametrize("command", ["setup --dry-run --test-app --docs-app", "doctor"])
@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_it_is_readable_at_the_width_of_the_terminal(
    machine: Machine, command: str, columns: int, kind: str
) -> None:
    machine.use("api")
    terminal = spawn(machine, *command.split(), columns=columns, term=kind)
    terminal.expect(pexpect.EOF)
    terminal.close()
    lines = [CODES.sub("", line).strip("\r") for line in str(terminal.before).split("\n")]
    assert max(map(len, lines)) <= columns, max(lines, key=len)
    assert not any("\u2026" in line for line in lines)  # nothing is cut off
