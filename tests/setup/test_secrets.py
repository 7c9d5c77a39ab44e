"""No secret is printed, whoever says it: a library, the executable, the tenant."""

import json
import os

import pytest

from fastapi_auth0_template import text
from setup.loopback_tenant import refusal
from setup.workbench import Machine

API = "/api/v2/resource-servers"
SECRET = "s3cret-Value_of-a-machine"


@pytest.mark.parametrize("blank", ["\n", " ", "\r\n", "\t"])
def test_blanks_around_a_pasted_credential_do_not_count(machine: Machine, blank: str) -> None:
    machine.use("api")
    for name in ("AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"):
        machine.environment[name] = f"{blank}{machine.environment[name]}{blank}"
    assert machine.setup("--via", "api").code == 0
    machine.assert_complete()


@pytest.mark.parametrize("name", ["AUTH0_ACCESS_TOKEN", "AUTH0_CLIENT_SECRET"])
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["words", "json"])
def test_a_credential_with_a_break_is_named_and_not_shown(
    machine: Machine, name: str, form: list[str]
) -> None:
    machine.use("api")
    machine.environment[name] = f"{SECRET}\nand-more"
    done = machine.run("setup", "--yes", "--via", "api", *form)
    assert done.code == 3
    done.says(name, "a line break", "next:")
    assert SECRET not in done.said
    assert machine.tenant.log == []


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["words", "json"])
def test_the_tenant_quotes_the_token(machine: Machine, form: list[str]) -> None:
    token = machine.tenant.management_token()
    machine.environment |= {"AUTH0_DOMAIN": machine.tenant.domain, "AUTH0_ACCESS_TOKEN": token}
    answer = refusal(400, "Bad Request", f"Bad header: Bearer {token}", "invalid_body")
    machine.tenant.fail(answer, "GET", API, times=9)
    done = machine.run("setup", "--yes", "--via", "api", *form)
    assert done.code == 1
    assert token not in done.said
    assert token.partition(".")[0] not in done.said
    done.says("Bad header", "(hidden)")


def test_the_executable_quotes_a_secret(machine: Machine) -> None:
    failure = {"message": f"oauth2: client_secret={SECRET} is wrong for Bearer {SECRET}"}
    machine.install(failure=failure)
    machine.log_in()
    machine.environment["AUTH0_CLIENT_SECRET"] = SECRET
    done = machine.run("setup", "--yes", "--via", "cli")
    assert done.code == 1
    assert SECRET not in done.said
    done.says("(hidden)")


@pytest.mark.parametrize(
    "said",
    [
        "Bearer abcdefghijklmnop",
        "Illegal header value b'Bearer abcdefghijklmnop\\n'",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
        "cut off: eyJhbGciOiJSUzI1NiJ9.eyJz",
        "client_secret=abcdefghijklmnop&audience=x",
    ],
)
def test_what_looks_like_a_secret_is_hidden(said: str) -> None:
    shown = text.redacted(said)
    assert "(hidden)" in shown
    assert not any(part in shown for part in ("abcdefghijklmnop", "eyJ"))


def test_a_known_secret_is_hidden_in_every_spelling() -> None:
    text.protect('a b&c/d%e"f-long-enough')
    spelt = ['a b&c/d%e"f-long-enough', "a%20b%26c/d%25e%22f-long-enough"]
    spelt += ["a+b%26c%2Fd%25e%22f-long-enough", json.dumps('a b&c/d%e"f-long-enough')]
    assert all("long-enough" not in text.redacted(each) for each in spelt)
    for sentence in ("a sentence without secrets", "DPoP accepted", "Bearer tokens are issued"):
        assert text.redacted(sentence) == sentence


def test_settings_are_secret_by_their_names() -> None:
    text.protect_settings({"MAIL_PASSWORD": "hunter2hunter2", "AUTH0_TOKEN_DIALECT": "at_profile"})
    assert text.redacted("hunter2hunter2 at_profile") == "(hidden) at_profile"


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_secret_that_is_not_utf_8(machine: Machine, place: str) -> None:
    machine.use("cli")
    environment = {}
    if place == ".env":
        machine.env_file.write_bytes(b"MAIL_PASSWORD=p\xe4ss-of-mine\n")
    else:
        environment = {"MAIL_PASSWORD": os.fsdecode(b"p\xe4ss-of-mine")}
    done = machine.run("setup", "--yes", **environment)
    done.says()
    assert done.code == 0, done
    assert "-of-mine" not in done.said


def test_a_wrong_command_line_quotes_no_token(machine: Machine) -> None:
    done = machine.run("setup", "--timeout", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln")
    assert done.code == 64
    assert "eyJ" not in done.said


def test_blanks_around_the_secret_of_the_test_application(machine: Machine) -> None:
    machine.use("api")
    assert machine.setup().code == 0
    machine.environment.clear()
    secret = machine.settings()["AUTH0_TEST_CLIENT_SECRET"]
    text = machine.env_file.read_text(encoding="utf-8").replace(secret, f"' {secret} '")
    machine.env_file.write_text(text, encoding="utf-8")
    assert machine.run("token").code == 0


def test_an_error_of_the_project_quotes_no_secret_of_its_settings(machine: Machine) -> None:
    machine.use("api")
    assert machine.setup().code == 0
    path = machine.project / "src" / "my_api" / "settings.py"
    text = path.read_text(encoding="utf-8")
    lines = "raise ValueError(open('.env').read()[-150:])\n"
    path.write_text(f"{text}\n\n{lines}", encoding="utf-8")
    with machine.env_file.open("a", encoding="utf-8") as file:
        file.write(f"MAIL_API_KEY={SECRET}\nDATABASE=postgresql://me:pass-of-mine@db/app\n")
    done = machine.run("doctor", "--json")
    done.says("ValueError", "MAIL_API_KEY=(hidden)")
    assert SECRET not in done.said
    assert "pass-of-mine" not in done.said
    assert machine.settings()["AUTH0_TEST_CLIENT_SECRET"] not in done.said


def test_what_is_cut_off_is_hidden_first() -> None:
    text.protect("a-secret-that-is-cut-in-half")
    shown = text.printable("x" * 285 + " a-secret-that-is-cut-in-half", 300)
    assert "a-secret" not in shown
