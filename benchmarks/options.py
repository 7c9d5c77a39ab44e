"""A project with every option on, against one with none: its start, and a guarded request.

    python3 hooks/bootstrap.py run benchmarks/options.py [--rounds 15]

A start is what its user waits for: the README's command, until `GET /healthz` is answered. So the
server and its event loop are part of it, and what Python frees when it exits is not, which no
served application does before it stops. Each project runs in an environment of its own, as it is
deployed: `uv sync --no-dev` (needs a package index). Packages for development would be imported by
others that find them. The first round writes the bytecode and, of a self-hosted project, the
database; it does not count. No tenant answers: a start does not wait for its keys.

A guarded request is CPU time, straight into the application, compared with an open route of the
same application.

The projects take turns; a ratio of starts is the median of the ratios within each round.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bed import free_port
from harness import (
    ANSWERS,
    PACKAGE,
    Target,
    by_turns,
    print_table,
    print_targets,
    ratio,
    render,
    say_where,
    spread,
)
from self_hosted import IDENTITY, ISSUER

UV = os.environ.get("UV", "uv")

EVERYTHING = {
    "logs": "json",
    "database": True,
    "api_keys": True,
    "container": True,
    "behind_proxy": True,
    "cors_origins": "https://app.example.com",
    "renovate": True,
    "license": "MIT",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "bare": {"dpop": "off"},
    "everything": EVERYTHING | {"dpop": "accepted"},
    "everything, self-hosted": EVERYTHING | IDENTITY | {"auth0_setup": "automatic"},
}
START = ["-m", "uvicorn", "--factory", f"{PACKAGE}.main:create_app", "--port"]
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")} | {
    "AUTH0_DOMAIN": f"127.0.0.1:{free_port()}",  # each project ignores what is for the other
    "AUTH0_AUDIENCE": "https://api.example.com",
    "ENVIRONMENT": "development",
    "AUTH_ISSUER": ISSUER,
    "AUTH_AUDIENCE": "https://api.example.com",
    "DATABASE_URL": "sqlite:///./api.db",
    "ISSUER_KEY_SECRET": b64encode(bytes(32)).decode(),
}
REQUESTS = f"""
import asyncio, json, statistics, sys, time
sys.path[:0] = ["tests", {str(Path(__file__).parent)!r}]
from asgi import request, status_of
from fastapi import APIRouter
from memory_tenant import Tenant
from {PACKAGE} import main
from {PACKAGE}.auth import auth0
from {PACKAGE}.settings import Settings
from fastapi import Depends

tenant = Tenant()
settings = Settings(  # each project ignores what is for the other
    auth0_domain=tenant.domain,
    auth0_audience=tenant.audience,
    auth_issuer=tenant.issuer,
    auth_audience=tenant.audience,
)
tenant.follow(settings)
app = main.create_app(settings, fetch=tenant.fetch)

def answer() -> dict[str, str]:
    return {{"message": "Hello."}}

async def open_route() -> dict[str, str]:
    return answer()

app.get("/open")(open_route)
app.get("/guarded", dependencies=[Depends(auth0.require_auth())])(open_route)
token = tenant.token()

async def measure() -> float:
    ratios = []
    async with app.router.lifespan_context(app):
        await asyncio.sleep(0.1)
        for _ in range(60):
            spent = []
            for path in ("/open", "/guarded"):
                target = {{"path": path, "raw_path": path.encode()}}
                scopes = [{{**request(token), **target}} for _ in range(50)]
                start = time.thread_time_ns()
                assert {{await status_of(app, scope) for scope in scopes}} == {{200}}
                spent.append(time.thread_time_ns() - start)
            ratios.append(spent[1] / spent[0])
    return statistics.median(ratios[5:])

print(json.dumps(asyncio.run(measure())))
"""


def deploy(project: Path, answers: dict[str, Any]) -> Path:
    """Render a project, and install what it runs with."""
    render(project, ANSWERS | answers)
    subprocess.run([UV, "sync", "--no-dev", "--quiet"], cwd=project, env=ENVIRONMENT, check=True)
    return project


def start(project: Path) -> tuple[float, float]:
    """Seconds until the first answer of a project, and the CPU time of its process until then."""
    python, port = project / ".venv/bin/python", free_port()
    before, begin = cpu_seconds(), time.perf_counter()
    with (project / "log").open("wb") as log:
        server = subprocess.Popen(
            [python, *START, str(port)], cwd=project, env=ENVIRONMENT, stdout=log, stderr=log
        )
    try:
        while not answers(port):
            if server.poll() is not None:
                raise SystemExit((project / "log").read_text(encoding="utf-8"))
            time.sleep(0.002)
        seconds = time.perf_counter() - begin
    finally:
        server.kill()
        server.wait()
    return seconds, cpu_seconds() - before


def answers(port: int) -> bool:
    """Whether a server is there; nothing else listens before it can answer."""
    with suppress(ConnectionRefusedError):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    return False


def cpu_seconds() -> float:
    """CPU time of the processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def guarded(project: Path) -> float:
    """What a guarded request costs, in open ones."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", REQUESTS],
        cwd=project,
        env=ENVIRONMENT | {"PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description="Every option on, against none.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        say_where()
        projects = {name: deploy(Path(folder) / name, answers) for name, answers in OPTIONS.items()}
        starts = by_turns(OPTIONS, rounds, lambda name: start(projects[name]))
        costs = by_turns(OPTIONS, max(1, rounds // 5), lambda name: guarded(projects[name]))
    rows, targets = [], []
    bare, bare_cpu = zip(*starts["bare"], strict=True)
    for name in OPTIONS:
        seconds, cpu = zip(*starts[name], strict=True)
        slower, more_cpu = ratio(seconds, bare), ratio(cpu, bare_cpu)
        cost = statistics.median(costs[name])
        low, median, high = (f"{1000 * value:.0f}" for value in spread(seconds))
        row = [median, f"{low} - {high}", f"{slower:.2f}", f"{1000 * statistics.median(cpu):.0f}"]
        rows.append([name, *row, f"{more_cpu:.2f}", f"{cost:.2f}"])
        if name != "bare":
            targets.append(Target(f"start with {name}, to the bare", slower, 1.5))
            targets.append(Target(f"guarded request with {name}, to an open one", cost, 1.6))
    head = ["start ms", "10 % - 90 %", "x bare", "CPU ms", "x bare", "guarded x open"]
    print_table(["", *head], rows)
    print_targets(*targets)


if __name__ == "__main__":
    main()
