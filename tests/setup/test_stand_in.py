"""The stand-in does what recorded releases of the executable did, call by call."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from setup import loopback_tenant as loopback
from setup.auth0_stand_in import SCOPES, required_scopes
from setup.loopback_tenant import Fault, LoopbackTenant
from setup.workbench import PAST, Machine

Json = dict[str, Any]
VERSIONS = ("1.18.0", "1.27.2")
RECORDS: dict[str, list[Json]] = {
    version: json.loads((Path(__file__).parent / "recordings" / f"{version}.json").read_text())
    for version in VERSIONS
}
# The set-up makes none of these calls, so the stand-in does not know them; what they changed in the
# tenant is repeated for the calls after them.
NOT_STOOD_IN = {
    "typed apis show by identifier": "lists and `api get` are used: this command quotes twice",
    "typed apis show by id": "`api get` is used",
    "typed apis list": "`api get` is used",
    "typed apis create": "`api post` is used: this command cannot describe scopes",
    "typed apis update (what it sends)": "`api patch` is used: this command erases descriptions",
    "typed apps create m2m": "`api post` is used: this command changes the user's configuration",
    "typed test token": "the set-up asks for tokens itself: this command takes the clipboard",
    "logout": "only the user logs out",
}
HELP = "unknown subcommand"  # the text is not repeated, only that it is no JSON
SUGGESTION = "\n\nDid you mean this?\n\tlogs\n"  # the stand-in knows no command to suggest
FOR_EVER = float("inf")
FAULTS: dict[str, Callable[[], Fault]] = {
    "http 401": lambda: Fault(loopback.UNAUTHORIZED),
    "http 403 insufficient scope": lambda: Fault(loopback.lacking("read:resource_servers")),
    "http 404": lambda: Fault(loopback.NOT_FOUND),
    "http 500 twice, then good": lambda: Fault(loopback.SERVER_ERROR, times=2),
    "http 500 always": lambda: Fault(loopback.SERVER_ERROR, times=FOR_EVER),
    "http 429 twice, then good": lambda: Fault(loopback.rate_limited(0), times=2),
    "http 429 for an hour": lambda: Fault(loopback.rate_limited(3600), times=FOR_EVER),
    "html body, 200": lambda: Fault(loopback.HTML_PAGE),
    "html body, 502": lambda: Fault(loopback.HTML_BAD_GATEWAY, times=FOR_EVER),
    "server hangs": lambda: Fault(loopback.HANG),
    "create succeeds, answered 502": lambda: Fault(loopback.BAD_GATEWAY, after_effect=True),
    "client create succeeds, answered 502": lambda: Fault(loopback.BAD_GATEWAY, after_effect=True),
    "create without scope": lambda: Fault(loopback.lacking("create:resource_servers")),
}
LOGINS: dict[str, Json] = {
    "user session, scopes changed": {"client_id": "", "scopes": []},
    "user session expired": {"client_id": "", "scopes": SCOPES.split(), "expires_at": PAST},
    "machine session expired, no secret": {"expires_at": PAST},
    "token corrupt": {"access_token": "abc"},
    "no token in config": {"access_token": ""},
}
CASES = [
    pytest.param(version, number, id=f"{version} {record['case']}")
    for version in VERSIONS
    for number, record in enumerate(RECORDS[version])
    if record["case"] not in NOT_STOOD_IN
]


@pytest.mark.parametrize(("version", "number"), CASES)
def test_a_recorded_call(
    tenant: LoopbackTenant, certificates: Path, tmp_path: Path, version: str, number: int
) -> None:
    record = RECORDS[version][number]
    machine = Machine(tmp_path, tenant, certificates)
    machine.install(version=version)
    tell_config(machine, record["case"])
    bring_up_to(tenant, RECORDS[version], number)
    if record["case"] in FAULTS:
        tenant.faults.append(FAULTS[record["case"]]())
    tenant.accepts_any_token = record["case"] == "token corrupt"

    exit_code, stdout, stderr = call(machine, record)

    assert exit_code == (record["exit"] if isinstance(record["exit"], int) else "killed")
    if record["case"] == HELP:
        assert (type(parsed(stdout)), type(parsed(record["stdout"]))) == (str, str)
    else:
        assert parsed(normal(stdout, tenant)) == parsed(record["stdout"])
    assert painted(normal(stdout, tenant)) == painted(record["stdout"])
    assert normal(stderr, tenant) == record["stderr"].replace(SUGGESTION, "")
    sent = [(r.method, r.url, r.body, r.status) for r in tenant.log if r.status]
    assert [(method, url, normal(body, tenant), status) for method, url, body, status in sent] == [
        (request["method"], request["url"], normal(request.get("body", "")), request["status"])
        for request in record["requests"]
    ]
    if "config_after" in record:
        stored = json.loads(machine.config.read_text())["tenants"][tenant.domain]
        assert stored.keys() == record["config_after"]["tenants"]["localhost:PORT"].keys()


def tell_config(machine: Machine, case: str) -> None:
    """The configuration that the recording was made with."""
    base = {"client_id": "recorder", "scopes": []}
    logins = [machine.login(**{**base, **LOGINS.get(case, {})})]
    others = {"nobody listens": "localhost:1", "host unknown": "nope.invalid"}
    others["tenants list, two"] = "other.eu.auth0.com"
    if case in others:
        logins.append(machine.login(others[case], **base))
    machine.log_in(*logins)
    if case.endswith("never logged in"):
        machine.config.unlink()
    elif case == "tenants list, corrupt config":
        machine.config.write_text('{"tenants": ')


def bring_up_to(tenant: LoopbackTenant, records: list[Json], number: int) -> None:
    """Repeat in the tenant what all calls before this one changed; give out the recorded ids."""
    known = recorded_objects(records)
    tenant.ignores_fields = True  # so did the tenant of the recordings
    tenant.accepts_any_token = True
    tenant.add_machine()

    def recorded_id(kind: str, body: Json) -> Json:
        name = {"clients": "name", "client-grants": "audience"}.get(kind, "identifier")
        return known.get((kind, body[name]), {"id": "unknown", "client_id": "unknown"})

    tenant.new_id = recorded_id
    for record in records[:number]:
        for request in record["requests"]:
            if request["method"] != "GET" and request["status"] in (200, 201, 204, 502):
                tenant.answer(request["method"], request["url"], {}, request.get("body", ""))
    tenant.log.clear()


def recorded_objects(records: list[Json]) -> dict[tuple[str, str], Json]:
    """The ids that were given out: by kind, and by the name of what they were given to."""
    found: dict[tuple[str, str], Json] = {}
    for record in records:
        answer = parsed(record["stdout"])
        for item in answer if isinstance(answer, list) else [answer]:
            if not isinstance(item, dict):
                continue
            if "client_secret" in item:
                secret = {"client_id": item["client_id"], "client_secret": item["client_secret"]}
                found["clients", item["name"]] = secret
            elif "audience" in item and "id" in item:
                found["client-grants", item["audience"]] = {"id": item["id"]}
            elif "identifier" in item:
                found["resource-servers", item["identifier"]] = {"id": item["id"]}
    return found


def call(machine: Machine, record: Json, **environ: str) -> tuple[int | str, str, str]:
    """Make the recorded call; one that was killed then is killed now, only sooner."""
    argv = [word.replace("localhost:PORT", machine.tenant.domain) for word in record["argv"][1:]]
    environment = machine.env() | {"AUTH0_AGENT_MODE": "false"} | environ
    for name, value in record.get("env", {}).items():
        environment.pop(name, None)
        environment |= {} if value is None else {name: value}
    process = subprocess.Popen(
        [str(machine.programs / "auth0"), *argv],
        env=environment,
        cwd=machine.root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    patience = 30 if isinstance(record["exit"], int) else 1.0
    try:
        stdout, stderr = process.communicate(record.get("stdin", ""), timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        return "killed", stdout, stderr
    return process.returncode, stdout, stderr


def normal(text: str, tenant: LoopbackTenant | None = None) -> str:
    """Ports, and the addresses of name servers, as the recordings have them."""
    text = text.replace(tenant.domain if tenant else "localhost:PORT", "localhost:PORT")
    text = text.replace("127.0.0.53:53", "DNS:53")
    text = re.sub(r"localhost%3A\d+", "localhost%3APORT", text)
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)


def painted(text: str) -> list[str]:
    """Every word with its colour; the properties of an object come in any order."""
    return sorted(re.findall(r"\x1b\[[0-9;]*m[^\x1b\s]+", text))


def parsed(text: str) -> Any:
    """Output as data, where it is JSON: without colours, and lists of tenants in any order."""
    try:
        data = json.loads(re.sub(r"\x1b\[[0-9;]*m", "", text))
    except ValueError:
        return text
    tenants = isinstance(data, list) and all("active" in item for item in data)
    return sorted(data, key=lambda item: item["name"]) if tenants else data


# ------------------------------------------------------- releases of which there is no recording

FIND = ("api", "get", "resource-servers", "--no-input", "--no-color")
LIST = ("tenants", "list", "--json-compact", "--no-input", "--no-color")
CONFLICT = loopback.refusal(409, "Conflict", "It is there.", "exists")
FORBIDDEN = loopback.refusal(403, "Forbidden", "No.", "access_denied")
HEAD = "\n=== localhost:PORT error\n\n \u25b8    "
EXPIRED = (
    " \u25b8    Your user login session has expired.\n"
    " \u25b8    Please log in to re-authorize the CLI.\n\n"
)
NO_INPUT = "uth token expired and --no-input is set; run 'auth0 login' to re-authenticate"
LACKS = "equest failed because access token lacks scope: read:resource_servers"
AGENT = (
    " \u25b8    Agent mode on: JSON output, prompts and colors off."
    " Disable with --agent-mode=false.\n"
)


def text_of(answer: loopback.Answer) -> str:
    return json.dumps(answer.body)


@dataclass(frozen=True)
class Told:
    """What is known of a release from its source: how one call ends."""

    version: str
    stderr: str | Json  # data: the announced error, as one line of JSON; a part of it
    argv: tuple[str, ...] = FIND
    stdout: str = ""
    exit: int | str = 1
    fault: loopback.Answer | None = None
    login: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


NEXT: Json = {"version": "1.34.0", "state": {"envelope": True}}
TOLD = {
    "too old for compact": Told(
        "1.16.0", "\n===  error\n\n \u25b8    Unknown flag: --json-compact.\n\n", LIST
    ),
    "strings as tenants": Told(
        "1.16.0", "", ("tenants", "list", "--json"), '[\n    "localhost:PORT"\n]', 0
    ),
    "first with compact": Told(
        "1.17.0", "", LIST, '[{"active":true,"name":"localhost:PORT"}]', exit=0
    ),
    "error as a result": Told("1.31.0", "", stdout=text_of(CONFLICT), exit=0, fault=CONFLICT),
    "error as an error": Told(
        "1.32.0", f"{HEAD}409: API request failed: {text_of(CONFLICT)}.\n\n", fault=CONFLICT
    ),
    "scope": Told("1.32.0", f"{HEAD}R{LACKS}", fault=loopback.lacking("read:resource_servers")),
    "forbidden": Told("1.32.0", f"{HEAD}403: API request failed: Forbidden.\n\n", fault=FORBIDDEN),
    "expired": Told("1.31.0", f"{EXPIRED}{HEAD}A{NO_INPUT}.\n\n", login={"expires_at": PAST}),
    "expired before": Told(
        "1.30.0",
        " \u25b8    Failed to renew access token: failed to retrieve refresh token from keyring",
        stdout="\nVerify ABCD-EFGH code in opened browser window to complete authentication.\n\n",
        exit="killed",
        login={"expires_at": PAST},
        state={"device": "pending"},
    ),
    "upgraded": Told(
        "1.33.0",
        " \u25b8    Required scopes have changed (missing: update:client_grants,"
        " delete:client_grants). Please log in to re-authorize the CLI.\n\n"
        " \u25b8    Open the following URL in a browser: https://",
        stdout="\nVerify ABCD-EFGH code in opened browser window to complete authentication.\n\n",
        exit="killed",
        login={"scopes": required_scopes((1, 32))},
        state={"device": "pending"},
    ),
    "keyring": Told("1.33.0", "", ("--version",), exit="killed", state={"keyring": "locked"}),
    "no agent yet": Told("1.32.0", "", LIST, '[{"active"', 0, environment={"CLAUDECODE": "1"}),
    "agent": Told("1.33.0", AGENT, LIST, '[{"active"', 0, environment={"CLAUDECODE": "1"}),
    "agent, told not to be": Told(
        "1.33.0",
        "",
        LIST,
        '[{"active"',
        exit=0,
        environment={"CLAUDECODE": "1", "AUTH0_AGENT_MODE": "false"},
    ),
    "next, conflict": Told(**NEXT, stderr={"code": "conflict", "status": 409}, fault=CONFLICT),
    "next, scope": Told(
        **NEXT,
        stderr={"code": "auth", "status": 403, "reason": "insufficient_scope"},
        fault=loopback.lacking("read:resource_servers"),
    ),
    "next, expired": Told(
        **NEXT,
        stderr={"code": "auth", "reason": "session_expired"},
        login={"expires_at": PAST},
    ),
    "next, upgraded": Told(
        **NEXT, stderr={"code": "auth", "reason": "missing_scopes"}, login={"scopes": []}
    ),
    "next, corrupt": Told(
        **NEXT,
        stderr={"code": "auth", "reason": "token_malformed"},
        login={"access_token": "abc"},
    ),
    "next, usage": Told(**NEXT, stderr={"code": "usage"}, argv=(*LIST, "--bogus")),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_the_source_of_a_release_says(
    tenant: LoopbackTenant, certificates: Path, tmp_path: Path, name: str
) -> None:
    told = TOLD[name]
    machine = Machine(tmp_path, tenant, certificates)
    machine.install(version=told.version, **told.state)
    machine.log_in(machine.login(**told.login))
    if told.fault:
        tenant.faults.append(Fault(told.fault))
    record = {"argv": ["auth0", *told.argv], "exit": told.exit, "env": told.environment}
    exit_code, stdout, stderr = call(machine, record, AUTH0_AGENT_MODE="")
    assert exit_code == told.exit
    assert parsed(stdout) == parsed(told.stdout) or normal(stdout, tenant).startswith(told.stdout)
    if isinstance(told.stderr, str):
        assert normal(stderr, tenant).startswith(told.stderr)
        assert bool(stderr) == bool(told.stderr)
    else:
        error = json.loads(stderr.splitlines()[-1])["error"]
        assert error.pop("message")
        assert error == told.stderr
