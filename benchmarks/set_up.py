"""What `setup --dry-run` takes of its own, beyond the calls of `auth0` that it makes.

    python3 hooks/bootstrap.py run benchmarks/set_up.py [--rounds 15]

Target: at most 0.5 s. A stand-in for the executable talks to a tenant on loopback over HTTPS; each
round runs the command, then the same calls one after the other, which is what they cost alone.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import trustme

from harness import Target, print_targets, rendered_project, say_where

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from setup.loopback_tenant import LoopbackTenant  # noqa: E402
from setup.workbench import Machine  # noqa: E402

TARGET = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description="The own time of setup --dry-run.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    say_where()
    authority = trustme.CA()
    with (
        rendered_project() as project,
        tempfile.TemporaryDirectory() as folder,
        LoopbackTenant(authority) as tenant,
    ):
        certificates = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(certificates))
        machine = Machine(Path(folder) / "machine", tenant, certificates)
        shutil.copytree(project, machine.project)
        machine.env_file.unlink()
        machine.use("cli")
        every = ["--test-app", "--docs-app"]
        fresh = measure(machine, rounds, "a fresh tenant", ["--dry-run"])
        machine.run("setup", "--yes", *every)
        same = measure(machine, rounds, "nothing to change", ["--dry-run", *every])
    print()
    print_targets(
        Target("a fresh tenant", fresh, TARGET, " s"),
        Target("nothing to change", same, TARGET, " s"),
    )


def measure(machine: Machine, rounds: int, name: str, flags: Sequence[str]) -> float:
    """The median of the command's own time in seconds."""
    own, calls_alone = [], []
    for number in range(rounds + 1):
        earlier = len(machine.calls)
        command = seconds(machine, machine.argv("setup", *flags))
        calls = machine.calls[earlier:]
        executable = str(machine.programs / "auth0")
        alone = sum(seconds(machine, [executable, *call]) for call in calls)
        if number:  # The first round warms the caches.
            own.append(command - alone)
            calls_alone.append(alone)
    median = statistics.median(own)
    print(
        f"{name:18} {median * 1000:5.0f} ms of its own"
        f"   {len(calls)} calls: {statistics.median(calls_alone) * 1000:5.0f} ms"
    )
    return median


def seconds(machine: Machine, command: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run(
        command,
        cwd=machine.project,
        env=machine.env(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
