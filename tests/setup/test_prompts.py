"""A person at a terminal of 80 columns: every question, its answers, and Ctrl-C at each.

And without a terminal: nothing is asked, and nothing waits.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import pexpect
import pytest

from setup.workbench import AUDIENCE, OWN, PAST, Machine

Terminal: TypeAlias = "pexpect.spawn[str]"
DOWN, ENTER, CTRL_C = "\x1b[B", "\r", "\x03"
APPLY, REPLACE, WHICH = "Apply this plan to", "Replace AUTH0_DOMAIN in .env?", "Which tenant?"
LOG_IN = "Run `auth0 login` now?"
OTHER_DOMAIN = "other.eu.auth0.com"


@contextmanager
def terminal(machine: Machine, *arguments: str, term: str = "xterm") -> Iterator[Terminal]:
    """`setup` at a terminal; the end of it is the end of the process."""
    python, *argv = machine.argv("setup", "--test-app", "--docs-app", *arguments)
    child = pexpect.spawn(
        python,
        argv,
        cwd=str(machine.project),
        env=machine.env() | {"TERM": term, "PROMPT_TOOLKIT_NO_CPR": "1"},
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 80),
    )
    try:
        yield child
    finally:
        child.close(force=True)


def ended(child: Terminal) -> int | None:
    """The exit code, once there is one."""
    child.expect(pexpect.EOF)
    child.close()
    status: int | None = child.exitstatus
    return status


def unchanged(machine: Machine) -> bool:
    return machine.tenant.writes == [] and machine.env_file.read_text() == OWN


def expired(machine: Machine, device: str) -> None:
    """A login of yesterday, and a browser in which the next one is done, or not."""
    machine.install(device=device, login={machine.tenant.domain: machine.login()})
    machine.log_in(machine.login(expires_at=PAST))


def test_yes(machine: Machine) -> None:
    machine.use("cli")
    with terminal(machine) as child:
        child.expect_exact("Create the API")
        child.expect_exact(APPLY)
        child.send("y")
        child.expect_exact("Done")
        assert ended(child) == 0
    machine.assert_complete()


@pytest.mark.parametrize("answer", ["n", ENTER])
def test_no_and_no_answer(machine: Machine, answer: str) -> None:
    machine.use("cli")
    with terminal(machine) as child:
        child.expect_exact(APPLY)
        child.send(answer)
        child.expect_exact("the answer was no; nothing was changed")
        assert ended(child) == 3
    assert unchanged(machine)
    machine.finish()


@pytest.mark.parametrize(("term", "yes"), [("xterm", "y"), ("dumb", "y\n")])
def test_a_terminal_that_can_do_nothing(machine: Machine, term: str, yes: str) -> None:
    machine.use("cli")
    with terminal(machine, term=term) as child:
        child.expect_exact(APPLY)
        child.send(yes)
        assert ended(child) == 0
    machine.assert_complete()


@pytest.mark.parametrize("place", [0, 1])
def test_one_of_several_tenants_is_chosen(machine: Machine, place: int) -> None:
    machine.install()
    logins = [machine.login(), machine.login(OTHER_DOMAIN)]
    machine.log_in(*logins)
    names = sorted(login["domain"] for login in logins)
    config = machine.config.read_bytes()
    with terminal(machine, "--dry-run") as child:
        child.expect_exact(WHICH)
        child.send(DOWN * place + ENTER)
        if names[place] == machine.tenant.domain:
            child.expect_exact("Create the API")
            assert ended(child) == 2
        else:
            child.expect_exact("cannot reach " + OTHER_DOMAIN)
            assert ended(child) == 1
    assert machine.config.read_bytes() == config
    assert unchanged(machine)


def test_a_login_is_offered_and_done(machine: Machine) -> None:
    expired(machine, "approved")
    with terminal(machine) as child:
        child.expect_exact("has expired")
        child.expect_exact(LOG_IN)
        child.send("y")
        child.expect_exact("Press Enter to open the browser")
        child.send(ENTER)
        child.expect_exact("Successfully logged in")
        child.expect_exact(APPLY)
        child.send("y")
        assert ended(child) == 0
    machine.assert_complete()


def test_never_logged_in_is_offered_a_login(machine: Machine) -> None:
    machine.install(device="approved", login={machine.tenant.domain: machine.login()})
    with terminal(machine) as child:
        child.expect_exact("not logged in")
        child.expect_exact(LOG_IN)
        child.send("y")
        child.expect_exact("Press Enter to open the browser")
        child.send(ENTER)
        child.expect_exact(APPLY)
        child.send("y")
        assert ended(child) == 0
    machine.assert_complete()


def test_a_login_that_is_declined(machine: Machine) -> None:
    expired(machine, "pending")
    with terminal(machine) as child:
        child.expect_exact(LOG_IN)
        child.send("n")
        child.expect_exact("next: Run `auth0 login`")
        assert ended(child) == 3
    assert unchanged(machine)
    machine.use("cli")
    machine.finish()


def test_a_login_that_fails_ends_the_run(machine: Machine) -> None:
    """It is offered again at most once, and never for ever."""
    expired(machine, "unreachable")
    with terminal(machine) as child:
        child.expect_exact(LOG_IN)
        child.send("y")
        while child.expect_exact([LOG_IN, pexpect.EOF]) == 0:
            child.send("y")
        child.close()
        assert child.exitstatus == 3
    assert [call[0] for call in machine.calls].count("login") <= 2
    assert unchanged(machine)


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 3)])
def test_another_value_in_env_is_asked_about(machine: Machine, answer: str, code: int) -> None:
    machine.use("cli")
    old = f"{OWN}AUTH0_DOMAIN=old.eu.auth0.com # was\n"
    machine.env_file.write_text(old)
    with terminal(machine, "--tenant", machine.tenant.domain) as child:
        child.expect_exact(REPLACE)
        child.send(answer)
        if answer == "y":
            child.expect_exact(APPLY)
            child.send("y")
        assert ended(child) == code
    if answer == "y":
        assert f"AUTH0_DOMAIN={machine.tenant.domain} # was\n" in machine.env_file.read_text()
    else:
        assert machine.tenant.writes == []
        assert machine.env_file.read_text() == old


@pytest.mark.parametrize("question", [APPLY, REPLACE, WHICH, LOG_IN, "Press Enter"])
def test_ctrl_c_at_a_question(machine: Machine, question: str) -> None:
    arguments: tuple[str, ...] = ()
    machine.use("cli")
    if question == REPLACE:
        machine.env_file.write_text(f"{OWN}AUTH0_DOMAIN=old.eu.auth0.com\n")
        arguments = ("--tenant", machine.tenant.domain)
    elif question == WHICH:
        machine.log_in(machine.login(), machine.login(OTHER_DOMAIN))
    elif question in (LOG_IN, "Press Enter"):
        expired(machine, "pending")
    env = machine.env_file.read_bytes()
    with terminal(machine, *arguments) as child:
        if question == "Press Enter":
            child.expect_exact(LOG_IN)
            child.send("y")
        child.expect_exact(question)
        child.send(CTRL_C)
        child.expect_exact("nothing was changed")
        assert ended(child) == 130
        assert "Traceback" not in str(child.before)
    assert machine.tenant.writes == []
    assert machine.env_file.read_bytes() == env
    machine.env_file.write_text(OWN)
    machine.use("cli")
    machine.finish()


WITHOUT_TERMINAL = {
    "no yes": ((), "Add --yes."),
    "no tenant": (("--yes",), "Name it with --tenant DOMAIN."),
    "no login": (("--yes",), "Run `auth0 login`"),
    "another value": (("--yes", "--audience", AUDIENCE), "Add --replace-env"),
    "no audience": (("--yes",), "Name it with --audience"),
}


@pytest.mark.parametrize("missing", WITHOUT_TERMINAL)
def test_without_a_terminal_nothing_is_asked(machine: Machine, missing: str) -> None:
    """The input is a pipe that nobody ever closes: whoever read from it would wait for ever."""
    arguments, remedy = WITHOUT_TERMINAL[missing]
    machine.use("cli")
    if missing == "no tenant":
        machine.log_in(machine.login(), machine.login(OTHER_DOMAIN))
    elif missing == "no login":
        expired(machine, "pending")
    elif missing == "another value":
        machine.env_file.write_text("AUTH0_AUDIENCE=https://old.example.com\n")
    elif missing == "no audience":
        answers = machine.project / ".copier-answers.yml"
        answers.write_text(answers.read_text().replace("auth0_audience", "other"))
    env = machine.env_file.read_bytes()
    code, said = with_an_open_input(machine, *arguments)
    assert code == 3
    assert remedy in said
    assert machine.tenant.writes == []
    assert machine.env_file.read_bytes() == env


def test_nothing_reads_an_input_that_never_ends(machine: Machine) -> None:
    """Neither the set-up nor the executable, whose `api delete` and `api post` would."""
    machine.use("cli")
    assert machine.setup().code == 0
    (app,) = machine.tenant.applications("test")
    machine.tenant.clients.append({**app, "client_id": "~twin"})
    code, said = with_an_open_input(machine, "--yes", "--test-app", "--docs-app", "--prune")
    assert code == 0, said
    machine.assert_complete()


def with_an_open_input(machine: Machine, *arguments: str) -> tuple[int, str]:
    """Run `setup` with a pipe for an input that nobody closes; exit code and messages."""
    stderr = machine.root / "stderr"
    with (
        stderr.open("wb") as file,
        subprocess.Popen(
            machine.argv("setup", *arguments),
            env=machine.env(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=file,
        ) as process,
    ):
        code = process.wait(30)
    return code, " ".join(stderr.read_text().split())
