"""The tool in an interpreter that is forked instead of started: it loads longer than it runs.

A run is a process of its own all the same: its arguments, environment, folder, streams, process
group and end. Only what an interpreter reads as it starts is shared, hence `ENVIRONMENT`: a run
that wants other variables of that kind starts an interpreter (`Machine.start`).
"""

import array
import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import IO, Any

HOOKS = str(Path(__file__).resolve().parents[2] / "hooks")
ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONPATH": HOOKS}
TOOL = "fastapi_auth0_template"
LOADED_LATE = [  # by a run, when it needs them
    *("auth0.authentication", "auth0.management.client", "auth0.management.clients.client"),
    *("auth0.management.client_grants.client", "auth0.management.resource_servers.client"),
    *("httpcore", "typer._adapters"),
]


class Forked:
    """A run of the tool, with what the tests use of `subprocess.Popen`."""

    def __init__(self, argv: list[str], folder: Path, environment: dict[str, str], stdin: str = ""):
        self.returncode: int | None = None
        self._stdout, self._stderr = _file(), _file()
        self._status, status = os.pipe()
        with _file(stdin) as given:
            streams = [given.fileno(), self._stdout.fileno(), self._stderr.fileno(), status]
            request = {"argv": argv, "folder": str(folder), "environment": environment}
            socket.send_fds(_server()[0], [json.dumps(request).encode()], streams)
        os.close(status)
        self.pid = self._number()

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for the end; return what was written to stdout and to stderr."""
        if not select.select([self._status], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(TOOL, timeout)
        self.returncode = os.waitstatus_to_exitcode(self._number())
        os.close(self._status)
        return _read(self._stdout), _read(self._stderr)

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _number(self) -> int:
        number = array.array("i", os.read(self._status, array.array("i").itemsize))
        return number[0]


def _file(text: str = "") -> IO[str]:
    file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
    file.write(text)
    file.seek(0)
    return file


def _read(file: IO[str]) -> str:
    with file:
        file.seek(0)
        return file.read()


@cache
def _server() -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """The end of a socket at which the interpreter waits; it ends when this end is closed."""
    ours, its = socket.socketpair()
    with its:
        process = subprocess.Popen(
            [sys.executable, __file__, str(its.fileno())],
            env=ENVIRONMENT,
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)  # first: the last one registered
    return ours, process


# ----------------------------------------------------------------------------- in the interpreter


def _load() -> None:
    package = importlib.import_module(TOOL)
    for module in pkgutil.walk_packages(package.__path__, f"{TOOL}."):
        if module.name.rpartition(".")[2] not in ("__main__", "probe"):
            importlib.import_module(module.name)
    for name in LOADED_LATE:
        importlib.import_module(name)
    gc.freeze()  # else the end of each process would look through everything that is loaded


def _serve(requests: socket.socket) -> dict[str, Any]:
    """Fork for each request; return it in the process that is to be the tool."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, fds, _, _ = socket.recv_fds(requests, 1 << 16, 4)
        if not message:
            os._exit(0)
        if not os.fork():
            requests.close()
            _become_tool(*fds)
            request: dict[str, Any] = json.loads(message)
            return request
        for fd in fds:
            os.close(fd)


def _become_tool(stdin: int, stdout: int, stderr: int, status: int) -> None:
    """Fork once more, so that somebody waits for the tool and tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if pid := os.fork():
        os.write(status, array.array("i", [os.waitpid(pid, 0)[1]]))
        os._exit(0)
    os.setsid()
    os.write(status, array.array("i", [os.getpid()]))
    os.close(status)
    for number, stream in enumerate((stdin, stdout, stderr)):
        os.dup2(stream, number)
        os.close(stream)


def _main() -> None:
    sys.path.pop(0)  # this folder
    _load()
    request = _serve(socket.socket(fileno=int(sys.argv[1])))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path.insert(0, request["folder"])  # as `-m` does
    sys.argv = [TOOL, *request["argv"]]
    runpy.run_module(TOOL, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
