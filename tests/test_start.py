"""A rendered project, started as its README says: it serves, or it says why it cannot."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support import SELF_HOSTED, render, run

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


@dataclass
class Server:
    """A process that serves, and its two streams together as far as they were read."""

    process: subprocess.Popen[str]
    written: str = ""

    def read_until(self, text: str) -> None:
        """Read until a line holds this text."""
        assert self.process.stdout
        while text not in self.written:
            line = self.process.stdout.readline()
            assert line, self.written
            self.written += line


@contextmanager
def serving(
    project: Path,
    command: Sequence[str | Path],
    alive: int = 0,
    stop: signal.Signals = signal.SIGINT,
    **values: str,
) -> Iterator[Server]:
    """Run a command in a project until the block ends, and stop it by a signal; read all it wrote.

    The block begins when the server answers at the port `alive`, if that is given.
    """
    process = subprocess.Popen(
        command,
        cwd=project,
        env=environment(project, **values),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process)
    try:
        if alive:
            until_alive(alive, process)
        yield server
    finally:
        process.send_signal(stop)  # which does nothing to one that has ended
        server.written += process.communicate(timeout=30)[0]


def python(*words: str, port: int) -> list[str]:
    """The command for a server of the packages of these tests."""
    return [sys.executable, *words, "--port", str(port)]


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


@contextmanager
def demo(project: Path, port: int, **values: str) -> Iterator[list[str]]:
    """Run the demo until the block ends; what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-u", "scripts/demo.py", "--port", str(port)],
        cwd=project,
        env=environment(project, **values),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    lines: list[str] = []
    try:
        while not (line := process.stdout.readline()).startswith("Swagger"):
            assert line, process.communicate()[1]
            lines.append(line.strip())
        wait_for(f"http://127.0.0.1:{port}/healthz", 200)
        yield lines
    finally:
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_fastapi_run_finds_the_application(project: Path) -> None:
    port = free_port()
    with serving(project, python(*TRY["run"], port=port), port):
        assert call(f"http://127.0.0.1:{port}/api/public") == 200
        assert call(f"http://127.0.0.1:{port}/api/private") == 401


def test_fastapi_dev_reloads_a_changed_route(project: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/news"
    module = project / "src/my_api/routes/news.py"
    public = (project / "src/my_api/routes/public.py").read_text()
    try:
        with serving(project, python(*TRY["dev"], port=port), port):
            assert call(url) == 404
            assert call(f"http://127.0.0.1:{port}/api/private") == 401
            module.write_text(public.replace("/public", "/news"))
            deadline = time.monotonic() + 60
            while call(url) != 200:
                assert time.monotonic() < deadline, "the change is not served"
                time.sleep(0.2)
    finally:
        module.unlink()


@pytest.mark.parametrize("command", TRY)
def test_fastapi_dev_and_run_without_env_say_what_to_type(project: Path, command: str) -> None:
    (project / ".env").rename(project / "away")
    try:
        with serving(project, python(*TRY[command], port=free_port())) as server:
            server.read_until("tenant.py setup")
            if command == "run":
                assert server.process.wait(30) == 2
            else:
                assert server.process.poll() is None  # It waits for a change.
    finally:
        (project / "away").rename(project / ".env")
    assert "AUTH0_DOMAIN is missing" in server.written
    assert "uv run scripts/demo.py" in server.written
    assert "Traceback" not in server.written


def wait_for(url: str, status: int) -> None:
    deadline = time.monotonic() + 60
    while (found := call(url)) != status:
        assert time.monotonic() < deadline, f"{url} answers {found}"
        time.sleep(0.1)


def token_of(lines: list[str]) -> str:
    return next(line.removeprefix("TOKEN=") for line in lines if line.startswith("TOKEN="))


def test_the_demo_serves_every_route_without_an_account(project: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with demo(project, port) as lines:
        assert call(f"{url}/api/private") == 401
        assert call(f"{url}/api/messages", token_of(lines)) == 200
        assert call(f"{url}/api/messages", token_of(lines), {"text": "Hello"}) == 201
        if shutil.which("curl"):  # As a person would: paste the token, then each line.
            assert set(pasted(lines, project)) == {"200", "201"}


def pasted(lines: list[str], project: Path) -> list[str]:
    """The statuses of the printed curl lines."""
    wanted = [line for line in lines if line.startswith(("TOKEN=", "curl"))]
    script = "\n".join(
        line.replace("curl -i", "curl -s -o /dev/null -w '%{http_code} '") for line in wanted
    )
    return run(["sh", "-c", script], project).stdout.split()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is needed")
@pytest.mark.parametrize("answers", [{"database": True}, SELF_HOSTED], ids=["auth0", "self-hosted"])
def test_the_demo_has_a_database_that_is_empty_at_each_start(
    plain_template: Path, tmp_path: Path, answers: dict[str, str]
) -> None:
    project = render(plain_template, tmp_path / "project", answers)
    for _ in range(2):
        port = free_port()
        with demo(project, port) as lines:
            token = token_of(lines)
            url = f"http://127.0.0.1:{port}/api/messages"
            assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}).json() == []
            assert {"200", "201"} <= set(pasted(lines, project)) <= {"200", "201", "204"}
    assert not list(project.glob("*.db"))


OWN_ROUTE = '''
"""/api/things: a route of the owner's."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from ..auth import auth0

router = APIRouter(prefix="/api/things", dependencies=[Depends(auth0.require_auth())])


class Part(BaseModel):
    number: int


class Thing(BaseModel):
    name: str
    parts: list[Part]
    main: Part


@router.put("/{number}")
async def change(number: int, q: str, thing: Thing) -> Thing:
    return thing
'''


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is needed")
@pytest.mark.parametrize("dpop", ["accepted", "required"])
def test_the_demo_takes_the_settings_and_the_routes_of_the_project(
    plain_template: Path, tmp_path: Path, dpop: str
) -> None:
    project = render(plain_template, tmp_path / "project")
    own = project / "src/my_api/routes/things.py"
    own.write_text(OWN_ROUTE, encoding="utf-8")
    env = "CORS_ORIGINS=https://app.example.com\nAUTH0_DOMAIN=other.eu.auth0.com\n"
    (project / ".env").write_text(f"{env}AUTH0_DPOP={dpop}\n", encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with demo(project, port) as lines:
        origin = {"Origin": "https://app.example.com"}
        answer = httpx.get(f"{url}/api/public", headers=origin)
        assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]
        assert any("/api/things/1?q=Hello" in line for line in lines)
        assert set(pasted(lines, project)) == {"200", "201"}
        own.write_text(OWN_ROUTE.replace("/api/things", "/api/others"), encoding="utf-8")
        wait_for(f"{url}/api/others/1", 405)
        token = token_of(lines)
    with demo(project, port) as lines:
        assert token_of(lines) == token


@pytest.fixture(scope="module", params=[None, SELF_HOSTED], ids=["auth0", "own"])
def either(
    request: pytest.FixtureRequest, plain_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project with each identity."""
    return render(plain_template, tmp_path_factory.mktemp("either") / "project", request.param)


@pytest.mark.parametrize("port", ["0", "65536", "99999", "-1", "http"])
def test_the_demo_refuses_what_is_no_port(either: Path, port: str) -> None:
    project = either
    command = [sys.executable, "scripts/demo.py", "--port", port]
    done = run(command, project, {"PYTHONPATH": str(project / "src")})
    assert done.returncode == 2
    assert "from 1 to 65535" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_demo_names_a_port_that_is_taken(either: Path) -> None:
    project = either
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "scripts/demo.py", "--port", str(port)]
        done = run(command, project, {"PYTHONPATH": str(project / "src")})
    assert done.returncode == 1
    assert f"Port {port}" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_demo_of_an_issuer_takes_the_settings_of_the_project_but_reaches_nothing(
    plain_template: Path, tmp_path: Path
) -> None:
    project = render(plain_template, tmp_path / "project", SELF_HOSTED)
    settings = project / "src/my_api/settings.py"
    settings.write_text(settings.read_text() + "    page_size: int\n")
    (project / ".env").write_text("PAGE_SIZE=20\nCORS_ORIGINS=https://app.example.com\n")
    port = free_port()
    elsewhere = dict.fromkeys(("SMTP_URL", "REDIS_URL", "DATABASE_URL", "ISSUER_KEY_SECRET"), "no")
    with demo(project, port, ENVIRONMENT="production", **elsewhere) as lines:
        url, origin = f"http://127.0.0.1:{port}", {"Origin": "https://app.example.com"}
        answer = httpx.get(f"{url}/api/public", headers=origin)
        assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]
        assert call(f"{url}/api/users/me", token_of(lines)) == 200
    command = [sys.executable, "scripts/demo.py", "--port", str(free_port())]
    values = {"PYTHONPATH": str(project / "src"), "PAGE_SIZE": "many"}
    done = run(command, project, values)
    assert (done.returncode, "PAGE_SIZE" in done.stdout) == (2, True)
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
        with serving(project, python(*START, port=port), port):
            assert call(f"http://127.0.0.1:{port}/healthz") == 200
            assert call(f"http://127.0.0.1:{port}/readyz") == 503
            assert call(f"http://127.0.0.1:{port}/api/public") == 200
    finally:
        (project / ".env").write_text(env)
