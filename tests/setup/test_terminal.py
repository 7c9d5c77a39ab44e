"""What a terminal of 80 columns shows, and who is not asked although there is a terminal."""

import re
import shlex
import subprocess
from collections.abc import Mapping

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
