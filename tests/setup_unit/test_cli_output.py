"""The classifier of the `auth0` executable's output, on what released versions really printed."""

import json
from pathlib import Path
from typing import Any

import pytest

from fastapi_auth0_template.model import Patience
from fastapi_auth0_template.problems import Problem
from fastapi_auth0_template.tenant.executable import login_command
from fastapi_auth0_template.tenant.output import result
from fastapi_auth0_template.tenant.process import LOGIN_STARTS, Output, child_environment

RECORDED = json.loads((Path(__file__).parent / "auth0_outputs.json").read_text(encoding="utf-8"))
PATIENCE = Patience(5, lambda text: None)
DOMAIN = "localhost:8443"


def recorded(version: str, case: str) -> Output:
    entry = RECORDED[version][case]
    return Output(entry["exit"], entry["stdout"], entry["stderr"])


def problem(output: Output) -> Problem:
    with pytest.raises(Problem) as caught:
        result(output, PATIENCE, DOMAIN)
    return caught.value


@pytest.mark.parametrize(
    ("version", "case", "code"),
    [
        ("1.27.2", "tenants list, never logged in", "not_logged_in"),
        ("1.27.2", "tenants list, corrupt config", "config_corrupt"),
        ("1.27.2", "never logged in", "not_logged_in"),
        ("1.27.2", "unknown tenant", "unknown_tenant"),
        ("1.27.2", "user session, scopes changed", "login_hijack"),
        ("1.27.2", "user session expired", "session_expired"),
        ("1.18.0", "user session expired", "session_expired"),
        ("1.27.2", "machine session expired, no secret", "machine_reauth"),
        ("1.27.2", "token corrupt", "token_corrupt"),
        ("1.27.2", "http 401", "unauthorized"),
        ("1.18.0", "http 401", "unauthorized"),
        ("1.27.2", "http 403 insufficient scope", "scopes"),
        ("1.18.0", "http 403 insufficient scope", "scopes"),
        ("1.27.2", "create without scope", "scopes"),
        ("1.27.2", "create api again (409)", "conflict"),
        ("1.18.0", "create api again (409)", "conflict"),
        ("1.27.2", "patch unknown id (404)", "not_found"),
        ("1.27.2", "http 500 always", "server"),
        ("1.27.2", "html body, 200", "bad_answer"),
        ("1.27.2", "post malformed json", "bad_answer"),
        ("1.27.2", "certificate not trusted", "tls"),
        ("1.27.2", "nobody listens", "network"),
        ("1.27.2", "host unknown", "network"),
        ("1.27.2", "unknown flag", "cli_too_old"),
        ("1.27.2", "unknown subcommand", "bad_answer"),
    ],
)
def test_a_recorded_failure_gets_its_code(version: str, case: str, code: str) -> None:
    found = problem(recorded(version, case))
    assert found.code == code
    assert found.message
    assert found.next_step


@pytest.mark.parametrize(
    "reason",
    [
        "dial tcp 192.0.2.1:443: connect: connection refused",
        "dial tcp [2001:db8::1]:443: connect: no route to host",
        "read tcp 10.0.0.7:55555->192.0.2.1:443: read: connection reset by peer",
        "read tcp 10.0.0.7:55555->192.0.2.1:443: i/o timeout",
        "net/http: TLS handshake timeout",
    ],
)
def test_the_port_of_https_is_no_status(reason: str) -> None:
    words = f' \u25b8    Get "https://t.eu.auth0.com/api/v2/clients": {reason}'
    assert problem(Output(1, "", words)).code == "network"


@pytest.mark.parametrize(
    "case",
    ["find api, none", "find api, one", "list grants", "colour forced", "agent mode on, find"],
)
def test_a_recorded_result_is_its_json(case: str) -> None:
    answer = result(recorded("1.27.2", case), PATIENCE, DOMAIN)
    assert isinstance(answer, list) or "resource_servers" in answer


@pytest.mark.parametrize("case", ["user session, scopes changed", "user session expired"])
def test_a_login_that_starts_is_noticed_in_the_output(case: str) -> None:
    assert LOGIN_STARTS.search(RECORDED["1.27.2"][case]["stderr"])


def test_a_device_login_is_noticed_on_stdout_too() -> None:
    text = "\nVerify ABCD-EFGH code in opened browser window to complete authentication.\n"
    assert LOGIN_STARTS.search(text)


@pytest.mark.parametrize("case", sorted(RECORDED["1.27.2"]))
def test_no_other_output_looks_like_a_login(case: str) -> None:
    if not case.startswith("user session"):
        entry = RECORDED["1.27.2"][case]
        assert not LOGIN_STARTS.search(entry["stdout"] + entry["stderr"])


# Texts of 1.31 to 1.33 and of the announced form; no recording of them exists yet.
ERROR = "\n=== localhost:8443 error\n\n \u25b8    {}.\n\n"


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        (
            ERROR.format("Auth token expired and --no-input is set; run 'auth0 login'"),
            "session_expired",
        ),
        (ERROR.format("Not logged in. Try `auth0 login`"), "not_logged_in"),
        (ERROR.format('409: API request failed: {"statusCode":409,"message":"x"}'), "conflict"),
        (ERROR.format('404: API request failed: {"statusCode":404}'), "not_found"),
        (ERROR.format("403: API request failed: Forbidden"), "forbidden"),
        (ERROR.format("500: API request failed: Internal Server Error"), "server"),
        (ERROR.format("429: API request failed: Too Many Requests"), "rate_limited"),
        (ERROR.format("400: API request failed: " + '{"message":"Payload"}'), "invalid_request"),
        ('{"error":{"code":"auth","message":"m","reason":"session_expired"}}\n', "session_expired"),
        ('{"error":{"code":"auth","message":"m","reason":"not_logged_in"}}\n', "not_logged_in"),
        (
            '{"error":{"code":"auth","message":"create:clients","reason":"insufficient_scope"}}',
            "scopes",
        ),
        ('{"error":{"code":"auth","message":"m","reason":"token_malformed"}}', "token_corrupt"),
        ('{"error":{"code":"conflict","message":"m","status":409}}\n', "conflict"),
        ('{"error":{"code":"rate_limit","message":"m"}}\n', "rate_limited"),
        ('{"error":{"code":"usage","message":"unknown flag"}}\n', "cli_too_old"),
        ('{"error":{"code":"unknown","message":"dial tcp: no such host"}}\n', "network"),
        ("", "bad_answer"),
    ],
)
def test_later_texts_get_their_codes(stderr: str, code: str) -> None:
    assert problem(Output(1, "", stderr)).code == code


def test_an_exit_code_of_0_without_json_is_a_failure() -> None:
    assert problem(Output(0, "", "")).code == "bad_answer"
    assert problem(Output(0, "Uh oh. Something went wrong.", "")).code == "bad_answer"


def test_stopped_by_us() -> None:
    assert problem(Output(None, "", "")).code == "timeout"
    assert problem(Output(None, "", "", login=True)).code == "login_hijack"


def test_missing_scopes_become_the_login_command() -> None:
    found = problem(recorded("1.27.2", "create without scope"))
    assert login_command(found) == ["auth0", "login", "--scopes", "create:resource_servers"]
    assert login_command() == ["auth0", "login"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"HOME": "/h", "USERPROFILE": "C:/u"}, "/h"),
        ({"USERPROFILE": "C:/u"}, "C:/u"),
        ({}, None),
    ],
)
def test_the_child_finds_its_login_also_without_home(
    given: dict[str, str], expected: str | None
) -> None:
    assert child_environment(given).get("HOME") == expected


def test_the_childs_output_is_plain() -> None:
    child = child_environment({"CLICOLOR_FORCE": "1", "DBUS_SESSION_BUS_ADDRESS": "x"})
    expected: dict[str, Any] = {
        "AUTH0_AGENT_MODE": "false",
        "AUTH0_CLI_ANALYTICS": "false",
        "DBUS_SESSION_BUS_ADDRESS": "x",
    }
    assert child == expected
