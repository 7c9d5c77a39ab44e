"""A rendered project, started as its README says: it serves, or it says why it cannot."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support import render, run

START = ["-m", "uvicorn", "--factory", "my_api.main:create_app"]
TRY = {name: ["-m", "fastapi", name] for name in ("run", "dev")}


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default project; its packages come from the environment of these tests."""
    return render(plain_template, tmp_path_factory.mktemp("start") / "project")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def environment(project: Path, **values: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(project / "src"), **values}


@contextmanager
def serving(project: Path, port: int, start: list[str] = START) -> Iterator[None]:
    """Run the project's server until the block ends."""
    process = subprocess.Popen(
        [sys.executable, *start, "--port", str(port)],
        cwd=project,
        env=environment(project),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until_alive(port, process)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def until_alive(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + 30
    while call(f"http://127.0.0.1:{port}/healthz") != 200:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.1)


def call(url: str, token: str = "", body: dict[str, str] | None = None) -> int:
    """The status of a request; 0 when nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        if body is None:
            return httpx.get(url, headers=headers).status_code
        return httpx.post(url, headers=headers, json=body).status_code
    except httpx.TransportError:
        return 0


def test_the_demo_serves_every_route_without_an_account(project: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-u", "scripts/demo.py", "--port", str(port)]
    process = subprocess.Popen(
        command,
        cwd=project,
        env=environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    lines = []
    try:
        while not (line := process.stdout.readline()).startswith("Swagger"):
            assert line, "the demo ended"
            lines.append(line.strip())
        token = next(line for line in lines if line.startswith("TOKEN="))
        curls = [line for line in lines if line.startswith("curl")]
        assert call(f"{url}/api/private") == 401
        if shutil.which("curl"):  # As a person would: paste the token, then each line.
            pasted = run(["sh", "-c", "\n".join([token, *curls])], project).stdout
            statuses = [line.split()[1] for line in pasted.splitlines() if line.startswith("HTTP/")]
            assert statuses == ["200"] * 4 + ["201"], pasted
        good = token.removeprefix("TOKEN=")
        assert call(f"{url}/api/messages", good) == 200
        assert call(f"{url}/api/messages", good, {"text": "Hello"}) == 201
    finally:
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize("command", TRY)
def test_fastapi_dev_and_run_find_the_application(project: Path, command: str) -> None:
    port = free_port()
    with serving(project, port, TRY[command]):
        assert call(f"http://127.0.0.1:{port}/api/public") == 200
        assert call(f"http://127.0.0.1:{port}/api/private") == 401


def test_fastapi_dev_reloads_a_changed_route(project: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/news"
    module = project / "src/my_api/routes/news.py"
    public = (project / "src/my_api/routes/public.py").read_text()
    try:
        with serving(project, port, TRY["dev"]):
            assert call(url) == 404
            module.write_text(public.replace("/public", "/news"))
            deadline = time.monotonic() + 30
            while call(url) != 200:
                assert time.monotonic() < deadline, "the change is not served"
                time.sleep(0.2)
    finally:
        module.unlink()


@pytest.mark.parametrize("command", TRY)
def test_fastapi_dev_and_run_without_env_say_what_to_type(project: Path, command: str) -> None:
    (project / ".env").rename(project / "away")
    process = subprocess.Popen(
        [sys.executable, *TRY[command], "--port", str(free_port())],
        cwd=project,
        env=environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = ""
    try:
        assert process.stdout
        while "tenant.py setup" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
    finally:
        if command == "dev":  # It waits for a change.
            process.send_signal(signal.SIGINT)
        said += process.communicate(timeout=30)[0]
        (project / "away").rename(project / ".env")
    assert "AUTH0_DOMAIN is missing" in said
    assert "uv run scripts/demo.py" in said
    assert "Traceback" not in said
    if command == "run":
        assert process.returncode == 2


def test_the_demo_names_a_port_that_is_taken(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "scripts/demo.py", "--port", str(port)]
        done = run(command, project, {"PYTHONPATH": str(project / "src")})
    assert done.returncode == 1
    assert f"Port {port}" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("without", ["AUTH0_DOMAIN", "AUTH0_AUDIENCE"])
def test_a_missing_setting_stops_the_start_with_a_message(project: Path, without: str) -> None:
    env = (project / ".env").read_text()
    kept = [line for line in env.splitlines() if not line.startswith(f"{without}=")]
    (project / ".env").write_text("\n".join(kept))
    try:
        done = run([sys.executable, *START], project, environment(project))
    finally:
        (project / ".env").write_text(env)
    assert done.returncode == 2
    assert f"{without} is missing: see .env.example" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_malformed_setting_stops_the_start_with_a_message(project: Path) -> None:
    values = environment(project, AUTH0_DOMAIN="https://your-tenant.eu.auth0.com/")
    done = run([sys.executable, *START], project, values)
    assert done.returncode == 2
    assert "AUTH0_DOMAIN" in done.stdout
    assert "your-tenant.eu.auth0.com" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_start_does_not_wait_for_a_tenant_that_is_down(project: Path) -> None:
    port = free_port()
    env = (project / ".env").read_text()
    (project / ".env").write_text(
        "AUTH0_DOMAIN=localhost:1\nAUTH0_AUDIENCE=https://a.example.com\n"
    )
    try:
        with serving(project, port):
            assert call(f"http://127.0.0.1:{port}/healthz") == 200
            assert call(f"http://127.0.0.1:{port}/readyz") == 503
            assert call(f"http://127.0.0.1:{port}/api/public") == 200
    finally:
        (project / ".env").write_text(env)
