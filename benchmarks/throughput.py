"""Requests per second under wrk: the open route, the guard and its rivals, on one uvicorn worker.

    python3 hooks/bootstrap.py run benchmarks/throughput.py [--rounds 7] [--seconds 4]

Needs wrk: `apt-get install wrk`, or `brew install wrk`. The servers share the first core of the
machine, where one at a time has work; wrk has the second. They take turns; each figure is a median.
Every request of a row has the same token.
"""

import argparse
import re
import shutil
import subprocess
from contextlib import ExitStack

from apps import PATH
from harness import (
    Target,
    print_table,
    print_targets,
    ratio,
    rendered_project,
    say_where,
    spread,
)
from servers import Options, Server, pin, served

SERVED = [
    "open route",
    "no-op dependency",
    "guard",
    "SDK alone",
    "PyJWT by hand",
    "joserfc by hand",
]


def main() -> None:
    parser = argparse.ArgumentParser(description="Requests per second under wrk.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=4, help="of each run of wrk")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk, or brew install wrk")
    with rendered_project(), ExitStack() as stack:
        say_where()
        servers = {name: stack.enter_context(served(name, Options(core=0))) for name in SERVED}
        pin(1)
        rates: dict[str, list[float]] = {name: [] for name in SERVED}
        for number in range(options.rounds + 1):
            for name, server in servers.items():
                rate = wrk(server, options.seconds)
                if number:  # The first round warms everything.
                    rates[name].append(rate)
    report(rates)


def wrk(server: Server, seconds: int) -> float:
    """Requests per second; all must be answered 2xx."""
    header = f"Authorization: Bearer {server.token}"
    url = f"http://127.0.0.1:{server.port}{PATH}"
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "-H", header, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec:\s*([\d.]+)", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    return float(found[1])


def report(rates: dict[str, list[float]]) -> None:
    shares = {name: 100 * ratio(rate, rates["open route"]) for name, rate in rates.items()}
    rows = []
    for name, column in rates.items():
        low, median, high = spread(column)
        rows.append([name, f"{median:.0f}", f"{low:.0f} - {high:.0f}", f"{shares[name]:.0f} %"])
    print_table(["requests per second", "median", "10 % - 90 %", "of open"], rows)
    print_targets(Target("guard, of the open route", shares["guard"], 88, " %", at_least=True))


if __name__ == "__main__":
    main()
