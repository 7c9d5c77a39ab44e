"""The .env file: merged key by key, written in one step, refused when in doubt."""

import os
import stat
import sys
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from fastapi_auth0_template.env_file import merged
from fastapi_auth0_template.problems import Problem
from fastapi_auth0_template.project import (
    TEMPORARY,
    EnvFile,
    check_writable,
    env_notes,
    read_env,
    write_env,
    write_private,
)

DOMAIN = {"AUTH0_DOMAIN": "new.eu.auth0.com"}
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "AUTH0_DOMAIN=new.eu.auth0.com\n"),
        ("A=1", "A=1\nAUTH0_DOMAIN=new.eu.auth0.com\n"),
        ("A=1\r\n", "A=1\r\nAUTH0_DOMAIN=new.eu.auth0.com\r\n"),
        ("AUTH0_DOMAIN=old\nB=2\n", "AUTH0_DOMAIN=new.eu.auth0.com\nB=2\n"),
        ("AUTH0_DOMAIN=\nB=2\n", "AUTH0_DOMAIN=new.eu.auth0.com\nB=2\n"),
        ("AUTH0_DOMAIN\nB=2\n", "AUTH0_DOMAIN=new.eu.auth0.com\nB=2\n"),
        ("AUTH0_DOMAIN=old", "AUTH0_DOMAIN=new.eu.auth0.com"),
        ("AUTH0_DOMAIN=old # mine\n", "AUTH0_DOMAIN=new.eu.auth0.com # mine\n"),
        ("AUTH0_DOMAIN= # mine\n", "AUTH0_DOMAIN= new.eu.auth0.com # mine\n"),
        ("AUTH0_DOMAIN # mine\n", "AUTH0_DOMAIN =new.eu.auth0.com # mine\n"),
        ("T=new\nAUTH0_DOMAIN=${T}.eu.auth0.com\n", "T=new\nAUTH0_DOMAIN=${T}.eu.auth0.com\n"),
        ("T=old\nAUTH0_DOMAIN=${T}.eu.auth0.com\n", "T=old\nAUTH0_DOMAIN=new.eu.auth0.com\n"),
        ("AUTH0_DOMAIN=o#d # mine\n", "AUTH0_DOMAIN=new.eu.auth0.com # mine\n"),
        ("AUTH0_DOMAIN='old' # '\n", "AUTH0_DOMAIN='new.eu.auth0.com' # '\n"),
        ('export AUTH0_DOMAIN = "old"\n', 'export AUTH0_DOMAIN = "new.eu.auth0.com"\n'),
        ("\n\n  AUTH0_DOMAIN=old  \r\nB=1\r\n", "\n\n  AUTH0_DOMAIN=new.eu.auth0.com  \r\nB=1\r\n"),
        ("AUTH0_DOMAIN=1\nAUTH0_DOMAIN=2\n", "AUTH0_DOMAIN=1\nAUTH0_DOMAIN=new.eu.auth0.com\n"),
        ("#AUTH0_DOMAIN=old\n", "#AUTH0_DOMAIN=old\nAUTH0_DOMAIN=new.eu.auth0.com\n"),
        ("auth0_domain=old\n", "auth0_domain=new.eu.auth0.com\n"),
        (
            "auth0_domain=1\nAUTH0_DOMAIN=2\nauth0_domain=3\n",
            "auth0_domain=1\nAUTH0_DOMAIN=new.eu.auth0.com\nauth0_domain=3\n",
        ),
        ("A='open\n", "A='open\nAUTH0_DOMAIN=new.eu.auth0.com\n"),
        ("'AUTH0_DOMAIN'=old\n", "'AUTH0_DOMAIN'=new.eu.auth0.com\n"),
        (
            "X='a\nAUTH0_DOMAIN=inside\n'\n",
            "X='a\nAUTH0_DOMAIN=inside\n'\nAUTH0_DOMAIN=new.eu.auth0.com\n",
        ),
        ("\ufeffAUTH0_DOMAIN=old\n", "\ufeffAUTH0_DOMAIN=new.eu.auth0.com\n"),
        ("not a line\n=\nB=2\n", "not a line\n=\nB=2\nAUTH0_DOMAIN=new.eu.auth0.com\n"),
        ("AUTH0_DOMAIN=old\\\n", "AUTH0_DOMAIN=new.eu.auth0.com\n"),
    ],
)
def test_a_value_is_set_in_place_and_nothing_else_moves(before: str, after: str) -> None:
    assert merged(before, DOMAIN) == after
    assert merged(after, DOMAIN) == after
    values = {key.upper(): value for key, value in dotenv_values(stream=StringIO(after)).items()}
    assert values["AUTH0_DOMAIN"] == "new.eu.auth0.com"


def test_a_value_that_is_right_keeps_its_line_as_it_is() -> None:
    text = "AUTH0_DOMAIN = 'new.eu.auth0.com'   # as I like it\n"
    assert merged(text, DOMAIN) == text


@pytest.mark.parametrize("value", ["a b", "it's", 'say "x"', "back\\slash", "a#b", "", "ü", "x'\\"])
@pytest.mark.parametrize("before", ["", "K=old\n", "K='old'\n", 'K="old"\n'])
def test_what_is_written_is_what_is_read(before: str, value: str) -> None:
    text = merged(before, {"K": value, "Z": "1"})
    assert dotenv_values(stream=StringIO(text)) == {"K": value, "Z": "1"}


def test_a_quote_that_would_swallow_what_is_written_is_named() -> None:
    with pytest.raises(Problem, match=r"line 2 of \.env opens a quote that it does not close"):
        merged("A=1\nB='open\n", {"K": "it's"})


@POSIX
def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    check_writable(path)
    user = os.getuid()
    monkeypatch.setattr("os.geteuid", lambda: user + 1)
    with pytest.raises(Problem, match="belongs to another user"):
        check_writable(path)


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="root may give files away"
)
def test_a_file_that_root_writes_stays_its_owners(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    os.chown(path, 65534, 65534)
    check_writable(path)
    write_env(read_env(path), DOMAIN)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
    assert path.read_text() == "A=1\nAUTH0_DOMAIN=new.eu.auth0.com\n"


def test_a_missing_file_is_made_with_a_header_and_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert write_env(read_env(path), DOMAIN)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("#")
    assert lines[1:] == ["AUTH0_DOMAIN=new.eu.auth0.com"]
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@POSIX
@pytest.mark.parametrize("mode", [0o644, 0o400, 0o666])
def test_any_mode_becomes_private_and_is_told(tmp_path: Path, mode: int) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(mode)
    assert bool(env_notes(read_env(path))) is (mode == 0o400)
    assert write_env(read_env(path), DOMAIN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "A=1\nAUTH0_DOMAIN=new.eu.auth0.com\n"


def test_nothing_to_change_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    write_env(read_env(path), DOMAIN)
    before = path.stat().st_mtime_ns
    assert not write_env(read_env(path), DOMAIN)
    assert path.stat().st_mtime_ns == before


def test_bytes_that_are_not_utf_8_stay_and_are_told(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"NAME=J\xfcrgen\nAUTH0_DOMAIN=old\n")
    assert "line 1" in env_notes(read_env(path))[0]
    write_env(read_env(path), DOMAIN)
    assert path.read_bytes() == b"NAME=J\xfcrgen\nAUTH0_DOMAIN=new.eu.auth0.com\n"


def test_utf_16_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n", encoding="utf-16")
    with pytest.raises(Problem, match="UTF-8"):
        read_env(path)


@POSIX
def test_a_symbolic_link_is_refused_and_its_target_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("A=1\n")
    path = tmp_path / ".env"
    path.symlink_to(target)
    with pytest.raises(Problem, match="symbolic link"):
        read_env(path)
    with pytest.raises(Problem, match="symbolic link"):
        write_private(path, b"x")
    assert target.read_text() == "A=1\n"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(Problem, match="not a file"):
        read_env(tmp_path / ".env")


def test_a_key_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("AUTH0_DOMAIN=old\n")
    env = read_env(path)
    path.write_text("AUTH0_DOMAIN=theirs\n")
    with pytest.raises(Problem, match="changed while"):
        write_env(env, DOMAIN)
    assert path.read_text() == "AUTH0_DOMAIN=theirs\n"


def test_another_key_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("AUTH0_DOMAIN=old\n")
    env = read_env(path)
    path.write_text("AUTH0_DOMAIN=old\nB=2\n")
    write_env(env, DOMAIN)
    assert path.read_text() == "AUTH0_DOMAIN=new.eu.auth0.com\nB=2\n"


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY}abcd").write_text("half")
    write_env(EnvFile(tmp_path / ".env", None), DOMAIN)
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
