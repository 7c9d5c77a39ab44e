"""auth0/tenant.yaml with a fault: named with its line before anything is sent to the tenant."""

import time
from collections.abc import Callable

import pytest

from setup.loopback_tenant import refusal
from setup.workbench import AUDIENCE, Machine

API = "/api/v2/resource-servers"
BOMB = "\n".join(
    [
        "    x0: &x0 [a, a, a, a, a, a, a, a, a]",
        *(f"    x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 12)),
    ]
)
SCOPE = "      - value: read:messages\n"


def replace(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def add(lines: str) -> Callable[[str], str]:
    return lambda text: f"{text}{lines}\n"


# What is edited, what the message says, and text on the line that it names.
FAULTS: dict[str, tuple[Callable[[str], str], str, str]] = {
    "a date": (replace("Read messages", "2026-11-28"), "2026-11-28 is not text", SCOPE),
    "not a number": (replace("Read messages", ".nan"), "nan is not text", SCOPE),
    "a scope twice": (
        replace("write:messages", "read:messages"),
        "read:messages is there twice",
        "- value: read:messages",
    ),
    "a scope is yes": (replace("read:messages", "yes"), "true is not text", "- value: yes"),
    "a scope has a space": (
        replace("read:messages", "read messages"),
        "not a scope",
        "- value: read",
    ),
    "a switch is a word": (
        replace("enforce_policies: false", "enforce_policies: 'no'"),
        "'no' is neither true nor false",
        "enforce_policies",
    ),
    "a lifetime is a word": (
        replace("token_lifetime: 3600", "token_lifetime: soon"),
        "'soon' is not a number of seconds",
        "token_lifetime: soon",
    ),
    "a lifetime is too long": (
        replace("token_lifetime: 3600", "token_lifetime: 99999999"),
        "from 1 to 2592000",
        "token_lifetime: 9",
    ),
    "symmetric": (replace("RS256", "HS256"), "'HS256' is none of RS256", "signing_alg"),
    "no name": (lambda text: text.replace('- name: "My API"\n    id', "- id"), "no name", "- id"),
    "another keyword": (replace('"My API"', '"@@NAME@@"'), "not @@NAME@@", "@@NAME@@"),
    "a part of itself": (add("    options: &me {more: *me}"), "contains it", "&me"),
    "aliases that multiply": (add(BOMB), "aliases make more than", "x"),
    "deep nesting": (add(f"    deep: {'[' * 900}{']' * 900}"), "nested more than", "deep"),
    "a property twice": (add("    token_lifetime: 60"), "token_lifetime is there twice", "60"),
    "a property of no name": (add("    1: x"), "the name of a property must be text", "1: x"),
    "an unknown policy": (
        add("    subject_type_authorization: {user: {policy: nobody}}"),
        "policy: 'nobody' is none of allow_all",
        "nobody",
    ),
    "no YAML": (add("  - [}"), "line", "[}"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_its_line(machine: Machine, name: str) -> None:
    edit, words, place = FAULTS[name]
    machine.use("api")
    path = machine.project / "auth0" / "tenant.yaml"
    path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
    started = time.monotonic()
    done = machine.run("setup", "--yes")
    assert time.monotonic() - started < 20
    assert done.code == 3, done
    done.says(words, f"{path}, line ", "next: Fix the file")
    assert "defect" not in done.said
    assert machine.tenant.writes == []
    number = int(done.said.partition(", line ")[2].partition(":")[0])
    line = path.read_text(encoding="utf-8").splitlines()[number - 1]
    assert place.strip() in line, line


def test_a_property_that_the_tenant_refuses_is_named_with_its_line(machine: Machine) -> None:
    machine.use("api")
    text = "Payload validation error: 'Additional properties not allowed: token_lifetime_for_web'."
    machine.tenant.fail(refusal(400, "Bad Request", text, "invalid_body"), "POST", API)
    done = machine.run("setup", "--yes")
    assert done.code == 1
    path = machine.project / "auth0" / "tenant.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    (number,) = [n for n, line in enumerate(lines, 1) if "token_lifetime_for_web:" in line]
    done.says("token_lifetime_for_web", f"Fix {path}, line {number}")
    machine.finish("--via", "api")


def test_the_rest_of_a_deploy_cli_file_does_not_count(machine: Machine) -> None:
    """An export of a whole tenant has other sections, with anchors and keywords of their own."""
    machine.use("api")
    path = machine.project / "auth0" / "tenant.yaml"
    others = 'clients:\n  - &app {name: "@@NAME@@", since: 2026-11-28}\n  - *app\n'
    path.write_text(f"{others}{path.read_text(encoding='utf-8')}", encoding="utf-8")
    assert machine.setup().code == 0
    machine.assert_complete()
    assert machine.tenant.apis(AUDIENCE)


def test_scopes_of_any_language_are_described(machine: Machine) -> None:
    machine.use("cli")
    path = machine.project / "auth0" / "tenant.yaml"
    text = path.read_text(encoding="utf-8").replace("Read messages", "Nachrichten ändern 読む")
    path.write_text(text, encoding="utf-8")
    assert machine.run("setup", "--yes", PYTHONUTF8="0", LANG="C", LC_ALL="C").code == 0
    assert machine.tenant.apis(AUDIENCE)[0]["scopes"][0]["description"].endswith("読む")


def test_resource_servers_twice(machine: Machine) -> None:
    machine.use("api")
    path = machine.project / "auth0" / "tenant.yaml"
    path.write_text(f"{path.read_text(encoding='utf-8')}resourceServers: []\n", encoding="utf-8")
    done = machine.run("setup", "--yes")
    assert done.code == 3
    done.says("resourceServers is there twice")


def test_null_takes_a_property_away(machine: Machine) -> None:
    machine.use("api")
    machine.tenant.add_api(AUDIENCE, proof_of_possession={"mechanism": "dpop", "required": True})
    path = machine.project / "auth0" / "tenant.yaml"
    text = f"{path.read_text(encoding='utf-8')}    proof_of_possession: null\n"
    path.write_text(text, encoding="utf-8")
    assert machine.run("setup", "--yes").code == 0
    assert machine.tenant.apis(AUDIENCE)[0]["proof_of_possession"] is None
