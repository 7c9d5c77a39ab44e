"""A project with every option on, against one with none: its start, and a guarded request.

    python3 hooks/bootstrap.py run benchmarks/options.py [--rounds 15]

Both are CPU time, of processes that import and build the application, and of requests straight into
the application. The projects take turns. What a guarded request costs is compared with an open
route of the same application.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness import ANSWERS, PACKAGE, Target, print_table, print_targets, render, say_where, spread
from self_hosted import IDENTITY

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
OPTIONS = {
    "bare": {"dpop": "off"},
    "everything": EVERYTHING | {"dpop": "accepted"},
    "everything, self-hosted": EVERYTHING | IDENTITY | {"auth0_setup": "automatic"},
}
START = f"from {PACKAGE}.main import create_app; create_app()"
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


def cpu_seconds(project: Path, code: str) -> tuple[float, str]:
    """CPU time of a Python process that runs `code` in a project, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def guarded(project: Path) -> float:
    """What a guarded request costs, in open ones."""
    return float(json.loads(cpu_seconds(project, REQUESTS)[1]))


def each(rounds: int, measure: Callable[[str], float]) -> dict[str, list[float]]:
    """Measure the projects by turns; the first round warms everything."""
    figures = [{name: measure(name) for name in OPTIONS} for _ in range(rounds + 1)][1:]
    return {name: [one[name] for one in figures] for name in OPTIONS}


def main() -> None:
    parser = argparse.ArgumentParser(description="Every option on, against none.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        say_where()
        projects = {
            name: render(Path(folder) / name, ANSWERS | answers)
            for name, answers in OPTIONS.items()
        }
        starts = each(rounds, lambda name: cpu_seconds(projects[name], START)[0])
        costs = each(max(1, rounds // 5), lambda name: guarded(projects[name]))
    rows = []
    for name in OPTIONS:
        low, median, high = (f"{1000 * value:.0f}" for value in spread(starts[name]))
        rows.append([name, median, f"{low} - {high}", f"{statistics.median(costs[name]):.2f}"])
    print_table(["", "start, CPU ms", "10 % - 90 %", "guarded x open"], rows)
    targets = []
    for name in list(OPTIONS)[1:]:
        slower = [mine / bare for mine, bare in zip(starts[name], starts["bare"], strict=True)]
        cost = statistics.median(costs[name])
        targets.append(Target(f"start with {name}, to the bare", statistics.median(slower), 1.5))
        targets.append(Target(f"guarded request with {name}, to an open one", cost, 1.6))
    print_targets(*targets)


if __name__ == "__main__":
    main()
