"""Every validator, with values that it has to take and values that it has to refuse and explain."""

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import copier
import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support import AUTOMATIC, EXAMPLE, QUESTIONS, ROOT, render

ALWAYS = Marker("python_version > '3'")

GOOD: dict[str, list[Any]] = {
    "project_name": ["My API", "orders", "Ada's API (v2)", "Größe 9", "A" * 60],
    "package_name": ["a", "my_api", "api2", "a" * 30, "x1_y2"],
    "auth0_setup": ["manual", "automatic"],
    "auth0_audience": [
        "https://api.example.com",
        "https://api.example.com/",
        "urn:my-api",
        "my-api",
        "http://localhost:8000",
        "https://api.example.com/api/v3/",
        "a" * 33,
    ],
    "auth0_domain": [
        "your-tenant.eu.auth0.com",
        "dev-abc123.us.auth0.com",
        "x.au.auth0.com",
        "x.jp.auth0.com",
        "x.ca.auth0.com",
        "x.uk.auth0.com",
        "old-tenant.auth0.com",
        "login.example.com",
        "login.example.co.uk:8443",
        "localhost:8443",
        "127.0.0.1:3000",
    ],
    "resource": ["messages", "a", "order_items", "v2", "a" * 20],
    "authorization": ["scopes", "permissions"],
    "description": ["", "Orders of the shop, and who may see them.", "a" * 75],
    "dpop": ["off", "accepted", "required"],
    "token_dialect": ["access_token", "rfc9068_profile"],
    "python_version": ["3.11", "3.12", "3.13", "3.14"],
    "cors_origins": ["", "https://app.example.com", "http://localhost:5173,https://a.example.com"],
    "behind_proxy": [True, False],
    "license": ["none", "MIT"],
    "renovate": [True, False],
    "rules": [1, 2],
}

# What is refused, and a part of the answer: the reason, or the right form.
BAD: dict[str, list[tuple[Any, str]]] = {
    "project_name": [
        ("", "empty"),
        ("   ", "empty"),
        (" My API", "remove the spaces"),
        ("A" * 61, "at most 60"),
        ('My "API"', "none of"),
        ("My\\API", "none of"),
        ("My <b>API</b>", "none of"),
        ("{{ 7 * 7 }}", "none of"),
        ("{% raw %}", "none of"),
        ("$(id -u)", "none of"),
        ("`id`", "none of"),
        ("two\nlines", "none of"),
        ("---", "at least one letter or digit"),
    ],
    "package_name": [
        ("", "a letter first"),
        ("my-api", "my-api: lower-case letters, digits and single underscores"),
        ("My_API", "lower-case"),
        ("1api", "a letter first"),
        ("_api", "a letter first"),
        ("my api", "lower-case letters"),
        ("my.api", "lower-case letters"),
        ("my__api", "single underscores"),
        ("my_api_", "single underscores"),
        ("größe", "lower-case letters"),
        ("a" * 31, "at most 30"),
        ("class", "try class_api"),
        ("fastapi", "taken by Python or a dependency"),
        ("auth0", "taken by Python or a dependency"),
        ("test", "taken by Python or a dependency"),
        ("json", "taken by Python or a dependency"),
        ("match", "taken by Python or a dependency"),
        ("typing_extensions", "taken by Python or a dependency"),
        ("memory_tenant", "taken by Python or a dependency"),
    ],
    "auth0_setup": [("bogus", "Invalid choice"), ("Manual", "Invalid choice")],
    "auth0_audience": [
        ("", "such as https://api.example.com"),
        (" ", "empty"),
        ("my api", "remove the spaces"),
        ("https://api.example.com ", "remove the spaces"),
        ("https://your-tenant.eu.auth0.com/api/v2/", "Management API"),
        ("https://your-tenant.eu.auth0.com/api/v2", "Management API"),
        ("aBcDeFgHiJkLmNoPqRsTuVwXyZ012345", "looks like a client id"),
        ('https://"api"', "without quotes"),
        ("https://api/#x", "without quotes"),
        ("a" * 601, "at most 600"),
    ],
    "auth0_domain": [
        ("", "empty"),
        ("https://your-tenant.eu.auth0.com", "drop the https://; type your-tenant.eu.auth0.com"),
        ("http://x.eu.auth0.com/", "drop the trailing slash; type x.eu.auth0.com"),
        ("x.eu.auth0.com/", "drop the trailing slash; type x.eu.auth0.com"),
        ("x.eu.auth0.com/api/v2", "drop the path; type x.eu.auth0.com"),
        ("x.eu.auth0.com?a=b", "drop the path; type x.eu.auth0.com"),
        (" x.eu.auth0.com", "remove the spaces; type x.eu.auth0.com"),
        ("x.eu.auth0.com ", "remove the spaces; type x.eu.auth0.com"),
        ("X.EU.auth0.com", "lower case only; type x.eu.auth0.com"),
        ("x", "x has no dot: type all of it, like your-tenant"),
        ("localhost", "localhost has no dot"),
        ("ada@example.com", "e-mail address"),
        ("x..auth0.com", "is not a host name"),
        ("x_y.auth0.com", "is not a host name"),
        ("-x.auth0.com", "is not a host name"),
        ("x.auth0.com:port", "is not a host name"),
        ("10.0.0.1", "is not a host name"),
    ],
    "resource": [
        ("", "a letter first"),
        ("Messages", "lower-case"),
        ("my-orders", "underscores"),
        ("../etc", "underscores"),
        ("a" * 21, "at most 20"),
        ("public", "is a route already"),
        ("profile", "is a route already"),
        ("class", "taken by Python"),
    ],
    "authorization": [("roles", "Invalid choice")],
    "description": [
        ("a" * 76, "at most 75"),
        ('Say "hi"', "without"),
        ("two\nlines", "one line"),
        ("{{ 1 }}", "without"),
    ],
    "dpop": [("maybe", "Invalid choice")],
    "token_dialect": [("jwt", "Invalid choice")],
    "python_version": [("3.10", "Invalid choice"), ("3", "Invalid choice")],
    "cors_origins": [
        ("app.example.com", "app.example.com: type scheme and host"),
        ("https://app.example.com/", "without a path"),
        ("https://a.example.com, *", "*: type scheme and host"),
        ("*", "without a path"),
    ],
    "license": [("GPL", "Invalid choice")],
    "rules": [("newest", "invalid literal")],
}


def cases(values: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}-{number}")
        for name, listed in values.items()
        for number, value in enumerate(listed)
    ]


def test_every_question_has_good_and_bad_values() -> None:
    questions = {name for name, question in QUESTIONS.items() if question.get("when") is not False}
    takes_anything = {name for name in questions if QUESTIONS[name]["type"] == "bool"}
    assert set(GOOD) == questions
    assert set(BAD) == questions - takes_anything


@pytest.mark.parametrize(("name", "value"), cases(GOOD))
def test_a_good_value_is_taken(
    plain_template: Path, tmp_path: Path, name: str, value: object
) -> None:
    project = render(plain_template, tmp_path / "project", {name: value})
    assert (project / "pyproject.toml").is_file()


@pytest.mark.parametrize(("name", "value"), cases(BAD))
def test_a_bad_value_is_refused_with_the_way_out(
    plain_template: Path, tmp_path: Path, name: str, value: tuple[object, str]
) -> None:
    bad, explanation = value
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 (Copier has no class of its own)
        render(plain_template, tmp_path / "project", {name: bad})
    assert explanation in str(refusal.value)
    assert name in str(refusal.value) or not isinstance(bad, str) or bad in str(refusal.value)
    message = str(refusal.value).partition(": ")[2]
    assert len(message.splitlines()) == 1
    assert len(message) <= 80 or len(str(bad)) > 12 or "Invalid choice" in message, "cut at 80"
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("name", ["auth0_setup", "auth0_domain"])
def test_what_has_no_default_must_be_answered(
    plain_template: Path, tmp_path: Path, name: str
) -> None:
    answers = {key: value for key, value in EXAMPLE.items() if key != name}
    with pytest.raises(ValueError, match=f'"{name}" is required'):
        copier.run_copy(
            str(plain_template), tmp_path / "project", answers, defaults=True, quiet=True
        )
    assert not (tmp_path / "project").exists()


def test_automatic_needs_no_domain(plain_template: Path, tmp_path: Path) -> None:
    copier.run_copy(str(plain_template), tmp_path / "project", AUTOMATIC, defaults=True, quiet=True)
    assert not (tmp_path / "project" / ".env").exists()


@pytest.mark.parametrize(
    ("folder", "package"),
    [
        ("my-api", "my_api"),
        ("My Orders API", "my_orders_api"),
        ("fastapi", "fastapi_api"),
        ("test", "test_api"),
        ("class", "class_api"),
        ("2nd.try", "api_2nd_try"),
        ("a" * 50, "a" * 30),
        ("--x--", "x"),
        ("x" * 29 + "-y", "x" * 29),
    ],
)
def test_names_follow_from_the_folder(
    plain_template: Path, tmp_path: Path, folder: str, package: str
) -> None:
    answers = {name: EXAMPLE[name] for name in ("auth0_setup", "auth0_domain")}
    project = tmp_path / folder
    copier.run_copy(str(plain_template), project, answers, defaults=True, quiet=True)
    assert (project / "src" / package / "main.py").is_file()


def test_at_most_seven_questions_in_each_mode() -> None:
    asked = {
        name
        for name, question in QUESTIONS.items()
        if question.get("ask") is not False and question.get("when") is not False
    }
    assert len(asked) <= 7
    assert asked == set(EXAMPLE)


def test_every_question_explains_itself() -> None:
    for name, question in QUESTIONS.items():
        if question.get("when") is not False:
            assert question.get("help"), name
            assert "default" in question or name == "auth0_setup", name


def distributions(requirements: list[str], found: set[str]) -> set[str]:
    """The installed distributions among requirements and what these require."""
    installed = {canonicalize_name(one.name) for one in metadata.distributions()}
    for requirement in map(Requirement, requirements):
        name, wanted = canonicalize_name(requirement.name), requirement.marker or ALWAYS
        if name in installed - found and wanted.evaluate({"extra": "standard"}):
            found.add(name)
            distributions(metadata.requires(name) or [], found)
    return found


def test_no_dependency_can_be_shadowed() -> None:
    """Neither as a module nor, since the project is named after its package, as a distribution."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    found = distributions(groups["rendered"], set())
    modules = metadata.packages_distributions().items()
    names = {name for name, of in modules if found & {canonicalize_name(one) for one in of}}
    names |= {name.replace("-", "_") for name in found}
    possible = {name for name in names if re.fullmatch("[a-z](_?[a-z0-9])*", name)}
    by_mistake = {"build", "docs", "py", "requirements", "wheelhouse"}  # top folders of a wheel
    assert possible - by_mistake <= set(QUESTIONS["reserved_names"]["default"].split())
