"""A cluster on loopback: processes of a project behind HAProxy, a Redis, a tenant over TLS.

Each part is a real one, from Debian's packages: haproxy, redis-server. The processes start by the
production command of the project's README. The tenant answers from a thread of this process, so
that a scenario can rotate its keys or take it down.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import trustme
import uvicorn

from harness import PACKAGE

TOOLS = ("haproxy", "redis-server")
GRACE = 8  # seconds, as the production command says
HAPROXY = """\
global
    stats socket {folder}/haproxy.sock level admin
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch 1
listen api
    bind 127.0.0.1:{port}
    option httpchk GET /readyz
    default-server inter 200ms fall 2 rise 1
"""


def missing() -> list[str]:
    """The programs that this machine lacks."""
    return [tool for tool in TOOLS if not shutil.which(tool)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until(true: Callable[[], bool], what: str, log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(
                f"not within {seconds:g} s: {what}\n{log.read_text(encoding='utf-8')[-2000:]}"
            )
        time.sleep(0.02)


class Process:
    """A program that can be started again; what it prints is in `log`."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.command, self.log, self.environment = command, log, environment
        self.running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=log, cwd=self.log.parent
            )

    def end(self, how: signal.Signals = signal.SIGTERM, patience: float = GRACE + 5) -> None:
        if self.running:
            self.running.send_signal(how)
            self.running.wait(patience)
            self.running = None


class Tenant:
    """The tenant of the project's tests, published over TLS; `down` makes it answer 500."""

    def __init__(self, folder: Path) -> None:
        from memory_tenant import Tenant as MemoryTenant  # type: ignore[import-not-found]

        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.memory = MemoryTenant(f"127.0.0.1:{self.listener.getsockname()[1]}")
        authority = trustme.CA()
        self.authorities = folder / "authorities.pem"
        authority.cert_pem.write_to_path(str(self.authorities))
        certificate = folder / "tenant.pem"
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
        self.server = uvicorn.Server(
            uvicorn.Config(
                self.publish,
                interface="asgi3",
                lifespan="off",
                log_level="critical",
                ssl_certfile=str(certificate),
            )
        )
        self.down = False

    async def publish(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        documents = self.memory.own_documents()
        document = documents.get(f"{self.memory.issuer.rstrip('/')}{scope['path']}")
        status = 500 if self.down or document is None else 200
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(document).encode()})

    def rotate(self) -> None:
        """Revoke the key, and sign with another."""
        from memory_tenant import rsa_key

        rsa_key(self.memory.key_number + 1)  # made first: both threads want it
        self.memory.rotate(revoke=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        run = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})
        run.start()
        try:
            yield
        finally:
            self.server.should_exit = True
            run.join()


class Cluster:
    """HAProxy on `port`, and behind it the processes `apis`, which share `redis`."""

    def __init__(
        self,
        project: Path,
        folder: Path,
        *,
        size: int,
        slow_clocks: int = 0,
        factory: str = f"{PACKAGE}.main:create_app",
    ) -> None:
        self.folder = folder
        self.tenant = Tenant(folder)
        self.port, redis_port = free_port(), free_port()
        self.ports = [free_port() for _ in range(size)]
        self.redis = Process(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(redis_port), "--save", ""],
            folder / "redis.log",
            dict(os.environ),
        )
        environment = {
            **os.environ,
            "AUTH0_DOMAIN": self.tenant.memory.domain,
            "AUTH0_AUDIENCE": self.tenant.memory.audience,
            "PUBLIC_URL": self.url,
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "SSL_CERT_FILE": str(self.tenant.authorities),
            "PYTHONPATH": os.pathsep.join([str(project / "src"), str(Path(__file__).parent)]),
        }
        serve = ["--factory", factory, "--http", "h11"]
        serve += ["--timeout-graceful-shutdown", str(GRACE), "--no-access-log"]
        starts = [SLOW_CLOCK] * slow_clocks + [NORMAL] * (size - slow_clocks)
        self.apis = [
            Process(
                [sys.executable, "-c", start, *serve, "--port", str(port)],
                folder / f"api{number}.log",
                environment,
            )
            for number, (start, port) in enumerate(zip(starts, self.ports, strict=True))
        ]
        servers = [f"    server s{n} 127.0.0.1:{p} check\n" for n, p in enumerate(self.ports)]
        config = folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(folder=folder, port=self.port) + "".join(servers))
        self.haproxy = Process(
            ["haproxy", "-db", "-f", str(config)], folder / "haproxy.log", dict(os.environ)
        )

    @property
    def url(self) -> str:
        """What clients call."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator["Cluster"]:
        with ExitStack() as stack:
            stack.enter_context(self.tenant.running())
            for process in (self.redis, *self.apis, self.haproxy):
                process.start()
                stack.callback(process.end, signal.SIGKILL)
            for number in range(len(self.apis)):
                self.wait_until_ready(number)
            up = ["UP"] * len(self.apis)
            wait_until(lambda: self.states() == up, "HAProxy sees them", self.haproxy.log)
            yield self

    def wait_until_ready(self, number: int) -> None:
        url = f"http://127.0.0.1:{self.ports[number]}/readyz"
        wait_until(lambda: answers(url), url, self.apis[number].log)

    def command(self, text: str) -> str:
        """Tell HAProxy something at its socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "haproxy.sock"))
            connection.sendall(f"{text}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def states(self) -> list[str]:
        """What HAProxy holds each process for: UP, DOWN, DRAIN."""
        if not (self.folder / "haproxy.sock").exists():
            return []
        rows = [line.split(",") for line in self.command("show stat").splitlines()]
        return [
            row[17] for row in rows if row[0] == "api" and row[1] not in ("FRONTEND", "BACKEND")
        ]

    def restart(self, number: int) -> None:
        """Replace a process as a deployment does: drain it, stop it, start it, let it back in."""
        self.command(f"set server api/s{number} state drain")
        time.sleep(0.5)
        self.apis[number].end()
        self.apis[number].start()
        self.wait_until_ready(number)
        self.command(f"set server api/s{number} state ready")
        wait_until(lambda: self.states()[number] == "UP", "HAProxy has it back", self.haproxy.log)


NORMAL = "import uvicorn; uvicorn.main()"
SLOW_CLOCK = f"import time; real = time.time; time.time = lambda: real() - 20; {NORMAL}"


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  loopback
            return bool(response.status == 200)
    except OSError:
        return False
