"""The password check of a self-hosted project, beside that of FastAPI's full-stack template.

    python3 hooks/bootstrap.py run benchmarks/peer_login.py [--rounds 15]

The other one gets an environment of its own, with the packages that its lock names (commit
68adb40d, 2026-08-21) and what its `security.py` asks of them: pwdlib's defaults. Each round is a
process for either; they take turns. The rest of a login, a query and a token, is left out.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import PACKAGE, Target, print_table, print_targets, rounds_of, say_where
from self_hosted import self_hosted_project

LOCKED = [
    "pwdlib[argon2,bcrypt]==0.3.0",
    "argon2-cffi==25.1.0",
    "argon2-cffi-bindings==25.1.0",
    "bcrypt==5.0.0",
]
OURS = f"from {PACKAGE}.issuer.passwords import Hasher; hasher = Hasher(); verify = hasher.verify"
THEIRS = """
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
hasher = PasswordHash((Argon2Hasher(), BcryptHasher()))
verify = hasher.verify_and_update
"""
MEASURE = """
import json, time
hashed = hasher.hash("correct horse battery staple")
cpu, wall = time.process_time(), time.perf_counter()
for _ in range(5):
    good, better = verify("correct horse battery staple", hashed)
    assert good and better is None
seconds = [(now - then) / 5 for now, then in
           ((time.process_time(), cpu), (time.perf_counter(), wall))]
print(json.dumps(seconds))
"""


def main() -> None:
    rounds = rounds_of("The password check, beside that of FastAPI's full-stack template.")
    with self_hosted_project() as project, tempfile.TemporaryDirectory() as folder:
        say_where()
        other = environment(Path(folder))
        path = {**os.environ, "PYTHONPATH": str(project / "src")}
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(measure(sys.executable, OURS, path))
            theirs.append(measure(other, THEIRS, dict(os.environ)))
    rows, medians = [], []
    for name, runs in (("this template", ours), ("full-stack template", theirs)):
        cpu, wall = (statistics.median(run[field] for run in runs) for field in range(2))
        medians.append(cpu)
        rows.append([name, f"{cpu * 1000:.1f}", f"{wall * 1000:.1f}"])
    print_table(["password check", "CPU ms", "ms"], rows)
    print_targets(Target("CPU of the check, to the other's", medians[0] / medians[1], 1, " x"))


def environment(folder: Path) -> str:
    """Make an environment of its own by uv; return its Python."""
    uv = os.environ.get("UV", "uv")
    python = folder / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(python), *LOCKED]
    subprocess.run(install, check=True)
    return str(python)


def measure(python: str, hasher: str, environ: dict[str, str]) -> list[float]:
    """CPU seconds and seconds of one check."""
    done = subprocess.run(
        [python, "-c", f"{hasher}\n{MEASURE}"], env=environ, check=True, capture_output=True
    )
    found: list[float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
