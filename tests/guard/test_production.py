"""The production command of a project's README: bounded headers, a stop in time, a log."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import render, run

IN_MEMORY = """
from pathlib import Path

from memory_tenant import Tenant

from my_api import main
from my_api.settings import Settings

tenant = Tenant()
settings = Settings(auth0_domain=tenant.domain, auth0_audience=tenant.audience)
Path("token").write_text(tenant.token("read:messages", "write:messages"))


def create_app():
    return main.create_app(settings, fetch=tenant.fetch)
"""
Server = tuple["subprocess.Popen[bytes]", tuple[str, int], str, int]


@pytest.fixture
def server(plain_template: Path, tmp_path: Path) -> Iterator[Server]:
    """The process, its address, a token for it, and the seconds that it takes at most to stop."""
    project = render(plain_template, tmp_path / "project")
    (project / "in_memory.py").write_text(IN_MEMORY, encoding="utf-8")
    readme = (project / "README.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^    uv run (uvicorn .*--timeout-graceful-shutdown .*)$", readme, re.M)
    words = shlex.split(command.replace("my_api.main:", "in_memory:"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    process = subprocess.Popen(
        [sys.executable, "-m", *words, "--port", str(address[1])],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "src:tests:."},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while b"200 OK" not in ask(address, b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        token = (project / "token").read_text(encoding="utf-8")
        yield process, address, token, int(words[words.index("--timeout-graceful-shutdown") + 1])
    finally:
        process.kill()
        process.wait()


def ask(address: tuple[str, int], request: bytes) -> bytes:
    """Send bytes; return the first part of the answer, or nothing."""
    try:
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(request)
            return connection.recv(65536)
    except OSError:
        return b""


def test_a_log_line_of_the_owner_is_written(plain_template: Path, tmp_path: Path) -> None:
    project = render(plain_template, tmp_path / "project")
    program = (
        "import logging; from my_api.main import create_app; create_app();"
        " logging.getLogger('my_api.routes.orders').info('an order')"
    )
    done = run([sys.executable, "-c", program], project, {"PYTHONPATH": "src"})
    assert (done.returncode, done.stdout) == (0, "an order\n")


def test_headers_are_bounded(server: Server) -> None:
    _, address, _, _ = server
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 8_000) for number in range(120))
    answer = ask(address, b"GET /api/private HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))
    assert ask(address, b"GET /api/private HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 401")


def test_a_half_sent_body_does_not_hold_up_a_stop(server: Server) -> None:
    process, address, token, patience = server
    head = f"POST /api/messages HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
    with socket.create_connection(address, timeout=10) as connection:
        body = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        connection.sendall((head + body).encode())
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.wait(patience + 15)
