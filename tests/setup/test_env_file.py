"""Every kind of .env that a run of `setup` can meet: merged or refused, never lost."""

import os
from pathlib import Path

import pytest

from setup.loopback_tenant import Gate
from setup.workbench import AUDIENCE, OWN, Machine

HEADER = "# The settings of the API; .env.example lists them all. Never commit this file.\n"


def lines(machine: Machine, newline: str = "\n") -> str:
    """What the set-up adds."""
    pairs = (f"AUTH0_DOMAIN={machine.tenant.domain}", f"AUTH0_AUDIENCE={AUDIENCE}")
    return "".join(pair + newline for pair in pairs)


@pytest.mark.parametrize(
    ("content", "newline", "says"),
    [
        pytest.param(None, "\n", "Write .env", id="missing"),
        pytest.param("", "\n", "Write .env", id="empty"),
        pytest.param("A=1 # mine\r\n\r\nB='2'\r\n", "\r\n", "", id="CRLF"),
        pytest.param("A=1", "\n", "", id="no newline at the end"),
        pytest.param("NAME=Jos\udce9\n", "\n", "line 1, is not UTF-8; it is kept", id="Latin-1"),
    ],
)
def test_merged(machine: Machine, content: str | None, newline: str, says: str) -> None:
    machine.use("cli")
    machine.env_file.unlink()
    if content is not None:
        machine.env_file.write_bytes(content.encode(errors="surrogateescape"))
    done = machine.run("setup", "--yes")
    assert done.code == 0, done
    done.says(says)
    before = HEADER if content is None else content
    before += newline if before and not before.endswith("\n") else ""
    expected = (before + lines(machine, newline)).encode(errors="surrogateescape")
    assert machine.env_file.read_bytes() == expected
    assert machine.env_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o400, 0o644])
def test_a_mode_that_is_not_private(machine: Machine, mode: int) -> None:
    machine.use("cli")
    machine.env_file.chmod(mode)
    done = machine.run("setup", "--yes")
    assert done.code == 0, done
    assert machine.env_file.read_text() == OWN + lines(machine)
    assert machine.env_file.stat().st_mode & 0o777 == 0o600


def symlink(machine: Machine) -> None:
    elsewhere = machine.root / "elsewhere"
    elsewhere.write_text(OWN)
    machine.env_file.unlink()
    machine.env_file.symlink_to(elsewhere)


def utf_16(machine: Machine) -> None:
    machine.env_file.write_bytes(OWN.encode("utf-16"))


def folder(machine: Machine) -> None:
    machine.env_file.unlink()
    machine.env_file.mkdir()


@pytest.mark.parametrize("prepare", [symlink, utf_16, folder])
@pytest.mark.parametrize("arguments", [("--yes",), ("--yes", "--replace-env")])
def test_refused_before_anything_is_done(
    machine: Machine, prepare: object, arguments: tuple[str, ...]
) -> None:
    machine.use("cli")
    assert callable(prepare)
    prepare(machine)
    before = content(machine.env_file)
    done = machine.run("setup", *arguments)
    assert done.code == 3
    done.says("error:", "next:")
    assert content(machine.env_file) == before
    assert machine.tenant.log == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(machine: Machine) -> None:
    machine.use("cli")
    machine.project.chmod(0o500)
    done = machine.run("setup", "--yes")
    machine.project.chmod(0o700)
    assert done.code == 3
    done.says("cannot be written", "Make the folder", "writable")
    assert machine.tenant.log == []


@pytest.mark.parametrize(
    ("theirs", "code"), [("NEW=1\n", 0), ("AUTH0_AUDIENCE=https://other.example.com\n", 1)]
)
def test_somebody_edits_it_meanwhile(machine: Machine, theirs: str, code: int) -> None:
    machine.use("cli")
    machine.tenant.gate = Gate(1, after_effect=False)  # the first request that writes
    process = machine.start("setup", "--yes")
    assert machine.tenant.gate.reached.wait(30)
    machine.env_file.write_text(OWN + theirs)
    machine.tenant.gate.opened.set()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    added = lines(machine) if code == 0 else ""
    assert machine.env_file.read_text() == OWN + theirs + added
    if code:
        assert "AUTH0_AUDIENCE in .env changed while the set-up ran" in " ".join(stderr.split())
        machine.env_file.write_text(OWN)
        machine.tenant.gate = None
        machine.finish()


def content(path: Path) -> object:
    """What is at the path, and what kind of thing it is."""
    if path.is_dir():
        return sorted(path.iterdir())
    return path.is_symlink(), path.read_bytes()
