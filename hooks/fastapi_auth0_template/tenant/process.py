"""Runs the auth0 executable: its environment, its end, and a login that it starts on its own.

The executable may poll forever (rate limit, locked keyring), or wait for a login in a browser
although it was told not to ask. So every call has an end, and its output is watched meanwhile.
"""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..model import Patience
from ..problems import INSTALL, NoSpace, NotInstalled
from .http import PATIENT_AFTER

LOGIN_STARTS = re.compile(
    r"required scopes have changed|open the following url in a browser|continue login with default"
    r"|please log in to re-authorize|code in opened browser window|press enter to open the browser",
    re.IGNORECASE,
)
MODE = "AUTH0_CLI_AUTH_MODE"  # since 1.37: `env` takes tenant and login from the environment
_running: "list[subprocess.Popen[bytes]]" = []


@dataclass(frozen=True)
class Output:
    """The outcome of one run of the executable; `code` is None if we stopped it.

    `login` says that we stopped it because it had started a login.
    """

    code: int | None
    stdout: str
    stderr: str
    login: bool = False


def installed() -> bool:
    """Return whether there is an executable that can be run."""
    return shutil.which("auth0") is not None


@contextmanager
def stoppable(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Let `stop` end the process while this lasts."""
    _running.append(process)
    try:
        yield
    finally:
        _running.remove(process)


def stop() -> None:
    """Stop the running process, if any: for signal handlers."""
    for process in _running:
        process.kill()


def login(command: Sequence[str]) -> None:
    """Let the user log in, at their terminal and pace; the next call shows whether it worked."""
    process = subprocess.Popen(
        [_executable(), *command[1:]], env=child_environment(), cwd=_folder()
    )
    with stoppable(process):
        process.wait()


def child_environment(
    environ: Mapping[str, str] | None = None, login: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment (the keyring needs all of it), without what changes the output.

    `login` holds the credentials of a --via env run; without it the executable uses its stored
    login, whatever the environment says.
    """
    child = {**(os.environ if environ is None else environ)}
    for name in ("CLICOLOR_FORCE", MODE):
        child.pop(name, None)
    if login:
        for name in ("AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_ACCESS_TOKEN"):
            child.pop(name, None)
        child |= {MODE: "env", **login}
    child |= {"AUTH0_CLI_ANALYTICS": "false", "AUTH0_AGENT_MODE": "false"}
    for name in {"SSL_CERT_FILE", "SSL_CERT_DIR"} & child.keys():
        child[name] = str(Path(child[name]).absolute())  # it runs in another folder
    if not child.get("HOME") and child.get("USERPROFILE"):
        child["HOME"] = child["USERPROFILE"]  # else the executable looks for its login in the cwd
    return child


def _folder() -> str:
    # Never the project: without HOME the executable would write its login there.
    with suppress(RuntimeError):
        if Path.home().is_dir():
            return str(Path.home())
    return tempfile.gettempdir()


def _executable() -> str:
    path = shutil.which("auth0")
    if path is None:
        raise NotInstalled(
            "the Auth0 CLI is not installed (no `auth0` on PATH)",
            f"Install it ({INSTALL}), or set AUTH0_DOMAIN with AUTH0_CLIENT_ID and"
            " AUTH0_CLIENT_SECRET in the environment and use --via api.",
        )
    if path.lower().endswith((".cmd", ".bat")):
        # Windows runs these through a shell, which would take & in a query as a command separator.
        raise NotInstalled(f"{path} is a script", f"Install auth0.exe ({INSTALL}).")
    return str(Path(path).absolute())


def run(
    argv: Sequence[str],
    patience: Patience,
    stdin: str | None = None,
    login: Mapping[str, str] | None = None,
) -> Output:
    """Run the executable until it ends, its time is up, or it starts a login.

    Its input is a file, complete before it starts: with a pipe, it would send an empty body if this
    process were killed in between.
    """
    process = _start(argv, stdin, login)
    stdout, stderr = _Reader(process.stdout), _Reader(process.stderr)
    ended = False
    try:
        with stoppable(process):
            logs_in = _watch(process, stdout, stderr, patience, argv)
        ended = process.poll() is not None
    finally:
        if not ended:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
    code = process.returncode if ended else None
    out, err = stdout.text(wait=1.0 if ended else 0.1), stderr.text(wait=0.1)
    return Output(code, out, err, logs_in)


def _start(
    argv: Sequence[str], stdin: str | None, login: Mapping[str, str] | None
) -> "subprocess.Popen[bytes]":
    executable = _executable()
    try:
        body = None if stdin is None else _file(stdin)
    except OSError as error:
        raise NoSpace(f"no temporary file can be written: {error.strerror}") from None
    try:
        return subprocess.Popen(
            [executable, *argv],
            stdin=body or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(login=login),
            cwd=_folder(),
        )
    except OSError as error:
        raise NotInstalled(
            f"`auth0` cannot be run: {error.strerror}", f"Reinstall it: {INSTALL}"
        ) from None
    finally:
        if body:
            body.close()


def _file(content: str) -> IO[bytes]:
    """Return an unnamed temporary file, positioned at its beginning."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
    file.write(content.encode())
    file.seek(0)
    return file


def _watch(
    process: "subprocess.Popen[bytes]",
    stdout: "_Reader",
    stderr: "_Reader",
    patience: Patience,
    argv: Sequence[str],
) -> bool:
    """Wait; return True once a login starts, False once the process ends or its time is up."""
    started, told = time.monotonic(), False
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            return False
        if _login_starts(stderr.text() + stdout.text()):
            return True
        waited = time.monotonic() - started
        if waited > patience.seconds:
            return False
        if waited > PATIENT_AFTER and not told:
            told = True
            command = " ".join(["auth0", *argv[:2]])
            patience.tell(f"Still waiting for `{command}` (at most {patience.seconds:g} s) ...")


def _login_starts(text: str) -> bool:
    """Return whether the output asks for a login; a one-line JSON error only says why."""
    lines = (line for line in text.splitlines() if not line.startswith('{"error"'))
    return any(map(LOGIN_STARTS.search, lines))


class _Reader:
    """Collects a pipe's output in the background, so that it can be read while it is written."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._chunks: list[bytes] = []
        self._pipe = pipe
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        with suppress(OSError, ValueError), self._pipe or nullcontext() as pipe:
            while pipe and (chunk := os.read(pipe.fileno(), 65536)):
                self._chunks.append(chunk)

    def text(self, wait: float = 0) -> str:
        # A child of the child (a browser) may hold the pipe open: do not wait for its end.
        if wait:
            self._thread.join(wait)
        return b"".join(self._chunks).decode("utf-8", "replace")
