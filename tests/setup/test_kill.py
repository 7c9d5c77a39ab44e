"""A run that is killed, at every request and at every step of a file: the next one completes it.

Ctrl-C reaches the whole process group, as from a terminal, and SIGTERM the set-up alone: both get
an answer at once, though the tenant is silent. SIGKILL leaves an executable behind that goes on.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

import pytest

from setup.loopback_tenant import BAD_GATEWAY, MANAGEMENT, Gate, Request
from setup.workbench import AUDIENCE, OWN, Machine, Process

ALL = ("setup", "--yes", "--test-app", "--docs-app")
READ_API, READ_APPS = "GET resource-servers", "GET clients"
READ_GRANT, DISCOVERY = "GET client-grants", "GET /.well-known/openid-configuration"
CREATE_API, CREATE_APP = "POST resource-servers", "POST clients"
CREATE_GRANT = "POST client-grants"
# All that one run sends to a tenant where nothing is there yet.
REQUESTS = [
    *(READ_API, READ_APPS),
    *(CREATE_API, CREATE_APP, CREATE_GRANT, CREATE_APP),
    *(READ_API, READ_APPS, READ_GRANT),
    DISCOVERY,
]
BY_WAY = {"cli": REQUESTS, "api": ["POST /oauth/token", *REQUESTS]}
KILLS: dict[str, tuple[Callable[[Process], None], int]] = {
    "Ctrl-C": (lambda process: os.killpg(process.pid, signal.SIGINT), 130),
    "SIGTERM": (lambda process: process.terminate(), 130),
    "SIGKILL": (lambda process: process.kill(), -signal.SIGKILL),
}


def moments() -> Iterator[object]:
    """Each request of each way: before it takes effect; a write also between effect and answer."""
    for way, requests in BY_WAY.items():
        for number, request in enumerate(requests):
            for how in KILLS:
                name = f"{way}, request {number + 1}: {request}, {how}"
                if how != "SIGTERM":
                    yield pytest.param(way, number, False, how, id=f"{name} before")
                if _writes(request):
                    yield pytest.param(way, number, True, how, id=f"{name} after")


def _writes(request: str) -> bool:
    return request.startswith("POST") and "/" not in request


@pytest.mark.parametrize("via", BY_WAY)
def test_every_request_is_known(machine: Machine, via: str) -> None:
    """Else the kills below would miss some."""
    machine.use(via)
    assert machine.run(*ALL, "--via", via).code == 0
    assert _named(machine.tenant.log) == BY_WAY[via]


def _named(log: Iterable[Request]) -> list[str]:
    """The requests, by method and by the kind of what they are about."""
    paths = [(request.method, request.url.removeprefix(MANAGEMENT)) for request in log]
    return [f"{method} {re.split(r'[?/]', path)[0] or path}" for method, path in paths]


@pytest.mark.parametrize(("via", "number", "after_effect", "how"), list(moments()))
def test_a_kill_at_a_request(
    machine: Machine, via: str, number: int, after_effect: bool, how: str
) -> None:
    machine.use(via)
    files = machine.snapshot()
    tenant, gate = machine.tenant, Gate(number, after_effect=after_effect)
    tenant.gate = gate
    process = machine.start(*ALL, "--via", via)
    assert gate.reached.wait(60)

    kill, code = KILLS[how]
    kill(process)
    stdout, stderr = process.communicate(timeout=20)  # and not only when the tenant answers

    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    if code == 130:
        wrote = any(map(_writes, BY_WAY[via][: number + 1]))
        assert "error: interrupted" in stderr
        assert ("nothing was changed" in stderr) == (not wrote)
        assert stderr.splitlines()[-1].strip()
        assert "next: Run" in stderr
        wait_until_ended(process.pid)
    assert "Done" not in stdout
    gate.opened.set()
    tenant.wait_until_idle()
    assert machine.env_file.read_text() == OWN
    assert machine.snapshot() == files
    machine.assert_nothing_twice()
    machine.finish("--via", via)


def wait_until_ended(group: int) -> None:
    """Until nothing of the process group lives: no executable that waits for the tenant."""
    deadline = time.monotonic() + 5
    while _lives(group):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _lives(group: int) -> bool:
    # Not os.killpg(group, 0): in a container, nobody may bury the dead. Without /proc: unknown.
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if its_group == str(group) and state != "Z":
                return True
    return False


def kill_at(machine: Machine, number: int, after_effect: bool, *arguments: str) -> None:
    """Run until the tenant holds this request, end the run, then let the request go on."""
    tenant, gate = machine.tenant, Gate(number, after_effect=after_effect)
    tenant.gate = gate
    process = machine.start(*arguments)
    assert gate.reached.wait(60)
    process.kill()
    stderr = process.communicate(timeout=20)[1]
    assert (process.returncode, "Traceback" in stderr) == (-signal.SIGKILL, False), stderr
    gate.opened.set()
    tenant.wait_until_idle()


CHANGES = ["PATCH resource-servers", "PATCH client-grants", "PATCH clients"]


@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(CHANGES)), ids=CHANGES)
@pytest.mark.parametrize("via", BY_WAY)
def test_a_kill_at_a_change(machine: Machine, via: str, number: int, after_effect: bool) -> None:
    """What was complete once, and has lost a part of everything since."""
    machine.use(via)
    machine.finish("--via", via)
    tenant = machine.tenant
    env = machine.env_file.read_bytes()
    (api,), (docs,) = tenant.apis(AUDIENCE), tenant.applications("docs")
    del api["scopes"][1:], docs["callbacks"][1:]
    grant = next(grant for grant in tenant.grants if grant["audience"] == AUDIENCE)
    del grant["scope"][1:]

    reads = len(BY_WAY[via]) - len(REQUESTS) + 3
    before = len(tenant.log)
    kill_at(machine, before + reads + number, after_effect, *ALL, "--via", via)
    assert _named(tenant.log[before:])[reads:] == CHANGES[: number + 1]
    assert machine.env_file.read_bytes() == env
    machine.finish("--via", via)
    assert len(docs["callbacks"]) == 2
    assert machine.env_file.read_bytes() == env


@pytest.mark.parametrize("number", [5, 6, 8, 10, 11])
def test_a_kill_while_there_is_a_twin(machine: Machine, number: int) -> None:
    """The executable sends a lost POST again, which makes a second application of the same run."""
    machine.use("cli")
    machine.tenant.fail(BAD_GATEWAY, "POST", f"{MANAGEMENT}clients", after_effect=True)
    kill_at(machine, number, False, *ALL)
    assert len(machine.tenant.applications("test")) == (2 if number < 10 else 1)
    assert machine.env_file.read_text() == OWN
    machine.finish()


# -------------------------------------------------------------------------------- steps of a file

# Kills the process before or after its first call of a function, once it makes the temporary file.
KILLER = """
import os, sys
call, event, number = os.environ["KILL_AT"].split()

def profile(frame, happened, function):
    if happened == event and getattr(function, "__name__", "") == call:
        sys.setprofile(None)
        os.kill(os.getpid(), int(number))

def audit(name, arguments):
    if name == "open" and "/.env.new-" in str(arguments[0]):
        if (call, event) == ("open", "c_call"):
            os.kill(os.getpid(), int(number))
        else:
            sys.setprofile(profile)

sys.addaudithook(audit)
"""
STEPS = [
    pytest.param(f"{call} {event}", id=f"{when} {call}")
    for call in ("open", "write", "flush", "fsync", "replace")
    for when, event in (("before", "c_call"), ("after", "c_return"))
]


@pytest.fixture
def killed_at(machine: Machine, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run a command until this step of the file that it writes; its exit code and messages."""
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer" / "sitecustomize.py").write_text(KILLER)
    paths = os.pathsep.join([str(tmp_path / "killer"), machine.env()["PYTHONPATH"]])

    def run(step: str, number: int, *arguments: str) -> tuple[int, str]:
        process = machine.start(*arguments, PYTHONPATH=paths, KILL_AT=f"{step} {number:d}")
        stderr = process.communicate(timeout=60)[1]
        assert process.returncode is not None
        assert "Traceback" not in stderr
        return process.returncode, stderr

    return run


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGKILL"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_while_the_settings_are_written(
    machine: Machine, killed_at: Callable[..., tuple[int, str]], step: str, how: str
) -> None:
    machine.use("api")
    files = machine.snapshot()
    number = signal.SIGINT if how == "Ctrl-C" else signal.SIGKILL
    code, stderr = killed_at(step, number, *ALL)

    assert code == KILLS[how][1], stderr
    if how == "Ctrl-C":
        assert "error: interrupted" in stderr
        assert "next: Run" in stderr
    machine.assert_env_whole()
    left = {name for name in machine.snapshot() if name not in files}
    assert len(left) <= 1
    ignored = (machine.project / ".gitignore").read_text().splitlines()
    assert all(any(fnmatch(name, pattern) for pattern in ignored) for name in left)
    assert all((machine.project / name).stat().st_mode & 0o777 == 0o600 for name in left)
    machine.finish()
    assert machine.snapshot() == files


def test_ctrl_c_after_nothing_but_the_settings_was_written_says_so(
    machine: Machine, killed_at: Callable[..., tuple[int, str]]
) -> None:
    machine.use("api")
    machine.finish()
    machine.env_file.write_text(OWN)
    code, stderr = killed_at("replace c_return", signal.SIGINT, *ALL)
    assert machine.env_file.read_text() != OWN
    assert code == 130
    assert "what was done stays" in stderr
    assert "nothing was changed" not in stderr
    machine.finish()


@pytest.mark.parametrize("step", STEPS[1::4])
def test_a_kill_while_a_token_is_kept(
    machine: Machine, killed_at: Callable[..., tuple[int, str]], step: str
) -> None:
    machine.use("api")
    assert machine.run(*ALL).code == 0
    assert killed_at(step, signal.SIGKILL, "token")[0] == -signal.SIGKILL
    done = machine.run("token", "--fresh")
    assert (done.code, done.stdout.count(".")) == (0, 2), done
    assert machine.run("token").stdout == done.stdout
    assert not list(machine.home.rglob(".env.new-*"))
