"""A self-hosted project against a real PostgreSQL, started from Debian's package."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import SELF_HOSTED, render, run

PROGRAMS = [Path("/usr/lib/postgresql"), Path("/usr/local/pgsql")]


def program(name: str) -> str | None:
    """A program of PostgreSQL, which Debian keeps out of PATH."""
    found = [path for folder in PROGRAMS for path in sorted(folder.glob(f"*/bin/{name}"))]
    return str(found[-1]) if found else shutil.which(name)


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database on a socket in a folder of its own."""
    initdb, server = program("initdb"), program("postgres")
    if not (initdb and server):
        pytest.skip("there is no PostgreSQL on this machine: apt-get install postgresql")
    folder = tmp_path_factory.mktemp("pg")
    user: dict[str, int] = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL needs an account other than root")
        user = {"user": account.pw_uid, "group": account.pw_gid}
        for path in (folder, *folder.parents[:3]):
            path.chmod(path.stat().st_mode | 0o055)
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = str(folder / "data")
    make = [initdb, "-D", data, "--auth=trust", "--username=tester", "--no-sync"]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd="/", **user)  # type: ignore[call-overload]
    serve = [server, "-D", data, "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(serve, stdout=log, stderr=log, cwd="/", **user)  # type: ignore[call-overload]
    try:
        ready = [program("pg_isready") or "pg_isready", "-h", str(folder), "-t", "30"]
        for _ in range(100):
            if subprocess.run(ready, stdout=subprocess.DEVNULL).returncode == 0:
                break
        yield f"postgresql://tester@/postgres?host={folder}"
    finally:
        process.terminate()
        process.wait(30)


def test_the_tests_of_the_issuer_pass_on_postgresql(
    plain_template: Path, tmp_path: Path, postgresql: str
) -> None:
    project = render(plain_template, tmp_path / "project", SELF_HOSTED)
    done = run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/issuer"],
        project,
        {"TEST_DATABASE_URL": postgresql, "PYTHONPATH": str(project / "src")},
    )
    assert done.returncode == 0, done.stdout
