"""Every validator, with values that it has to take and values that it has to refuse and explain."""

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support import (
    AUTOMATIC,
    EXAMPLE,
    JINJA,
    QUESTIONS,
    ROOT,
    SELF_HOSTED,
    python,
    refusal,
    render,
    run,
)

GOOD: dict[str, list[Any]] = {
    "project_name": [
        "My API",
        "orders",
        "Ada's API (v2)",
        "Größe 9",
        "Ada\u2019s \uff21PI",
        "A" * 60,
    ],
    "package_name": ["a", "my_api", "api2", "a" * 30, "x1_y2"],
    "auth0_setup": ["manual", "automatic"],
    "auth0_audience": [
        "https://api.example.com",
        "http://[::1]:8000",
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
        "login.auth0.company.com:65535",
    ],
    "resource": ["messages", "a", "order_items", "v2", "a" * 20],
    "authorization": ["scopes", "permissions"],
    "description": ["", "Orders of the shop, and who may see them.", "a" * 75],
    "identity": ["auth0"],  # self_hosted: test_a_self_hosted_issuer_leaves_no_choice
    "api_keys": [False],  # True needs a database: tests/test_api_keys.py
    "database": [True, False],
    "dpop": ["off", "accepted", "required"],
    "token_dialect": ["access_token", "rfc9068_profile"],
    "python_version": ["3.11", "3.12", "3.13", "3.14"],
    "cors_origins": [
        "",
        "https://app.example.com",
        "http://localhost:5173, http://[::1]:5173",
        "capacitor://localhost,chrome-extension://abcdefghijklmnop",
    ],
    "behind_proxy": [True, False],
    "license": ["none", "MIT"],
    "renovate": [True, False],
    "container": [True, False],
    "logs": ["text", "json"],
    "rules": [1, 2, 3],
}

# What is refused, and what a terminal of 80 columns shows of what to type instead.
BAD: dict[str, list[tuple[Any, str]]] = {
    "project_name": [
        (name, "use 1 to 60 letters and digits")
        for name in (
            *("", "   ", " My API", "My API ", "A" * 61, "---", "Hyphen ation\u00ad"),
            *(
                'My "API"',
                "My\\API",
                "My <b>API</b>",
                "$(id -u)",
                "`id`",
                "{{ 7 * 7 }}",
                "{% raw %}",
            ),
            *("two\nlines", "My API\n", "My\u00a0API", "My\u200bAPI", "My\u2028API", "\u202eIPA"),
        )
    ],
    "package_name": [
        *(
            (name, "use up to 30 of a-z, 0-9, single _")
            for name in (
                *("", "my-api", "My_API", "1api", "_api", "my api", "my.api", "my__api", "my_api_"),
                *("größe", "a" * 31, "my_api\n"),
            )
        ),
        *(
            (name, f"try {name}_api")
            for name in ("class", "fastapi", "auth0", "test", "json", "match", "typing_extensions")
        ),
    ],
    "auth0_setup": [("bogus", "Invalid choice"), ("Manual", "Invalid choice")],
    "auth0_audience": [
        *(
            (audience, "remove spaces, quotes, commas")
            for audience in (
                *(" ", "my api", "https://api.example.com ", "https://api.example.com\n"),
                *('https://"api"', "https://api/#x", "https://a.example.com,https://b.example.com"),
                *('["https://api.example.com"]', "https://api.example.com\u200b"),
            )
        ),
        *(
            (audience, "type the Identifier of your API")
            for audience in (
                *("", "a" * 601, "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345", "/api/v2/"),
                *("https://x.eu.auth0.com/api/v2/", "https://x.eu.auth0.com/api/v2"),
                "https://my-api.example.comhttps://api.example.com",
            )
        ),
    ],
    "auth0_domain": [
        (domain, "type a host like x.eu.auth0.com")
        for domain in (
            *("", "https://x.eu.auth0.com", "http://x.eu.auth0.com/", "x.eu.auth0.com/"),
            *("x.eu.auth0.com/api/v2", "x.eu.auth0.com?a=b", " x.eu.auth0.com", "x.eu.auth0.com "),
            *("X.EU.auth0.com", "x", "localhost", "ada@example.com", "x..auth0.com", "10.0.0.1"),
            *("x_y.auth0.com", "-x.auth0.com", "x.auth0.com:port", "x.auth0.com:65536"),
            *("x.eu.auth0.com\n", "a.eu.auth0.comb.eu.auth0.com"),
            *("login.example.comlogin.example.com", "https://" + "a" * 63 + ".eu.auth0.com/path"),
        )
    ],
    "resource": [
        *(
            (resource, "use up to 20 of a-z, 0-9, _")
            for resource in ("", "Messages", "my-orders", "../etc", "a" * 21, "messages\n")
        ),
        *((resource, "choose another noun") for resource in ("public", "profile", "class")),
    ],
    "authorization": [("roles", "Invalid choice")],
    "description": [
        (description, '75 at most, none of " < > { } \\')
        for description in ("a" * 76, 'Say "hi"', "two\nlines", "{{ 1 }}", "a\\b", "a\u2028b")
    ],
    "identity": [("keycloak", "Invalid choice")],
    "dpop": [("maybe", "Invalid choice")],
    "token_dialect": [("jwt", "Invalid choice")],
    "python_version": [("3.10", "Invalid choice"), ("3", "Invalid choice")],
    "cors_origins": [
        (origins, "use scheme://host, without a path")
        for origins in (
            *("app.example.com", "https://app.example.com/", "https://a.example.com, *", "*"),
            *("https://App.example.com", "http://localhost:65536", "http://localhost:0", "null"),
        )
    ],
    "license": [("GPL", "Invalid choice")],
    "logs": [("GPL", "Invalid choice")],
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
    answers = EXAMPLE | {name: value}
    copier.run_copy(  # asks, and writes nothing
        str(plain_template), tmp_path, answers, defaults=True, quiet=True, exclude=["*"]
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), cases(BAD))
def test_a_bad_value_is_refused_with_the_way_out(
    plain_template: Path, tmp_path: Path, name: str, value: tuple[object, str]
) -> None:
    bad, remedy = value
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (Copier has no class of its own)
        render(plain_template, tmp_path / "project", {name: bad})
    assert remedy in str(refused.value)[:80] or "validator" not in QUESTIONS[name]
    assert len(str(refused.value).splitlines()) == 1
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


def test_a_self_hosted_issuer_leaves_no_choice(plain_template: Path, tmp_path: Path) -> None:
    """With the `scope` claim a plain user could ask Auth0 for `write:*` after the move."""
    names = {"project_name", "package_name", "auth0_audience", "resource"}
    answers = {name: EXAMPLE[name] for name in names} | {"identity": "self_hosted"}
    copier.run_copy(str(plain_template), tmp_path / "project", answers, defaults=True, quiet=True)
    stored = yaml.safe_load((tmp_path / "project" / ".copier-answers.yml").read_text())
    assert stored == stored | SELF_HOSTED | {"database": True}
    assert not {"auth0_setup", "auth0_domain"} & set(stored)
    for name, value in {
        "authorization": "scopes",
        "dpop": "accepted",
        "token_dialect": "access_token",
        "database": False,
    }.items():
        with pytest.raises(ValueError, match=f"{name}=(permissions|off|rfc9068_profile|true)"):
            copier.run_copy(
                str(plain_template),
                tmp_path / "refused",
                answers | {name: value},
                defaults=True,
                quiet=True,
            )


def test_the_paths_of_users_belong_to_the_issuer(plain_template: Path, tmp_path: Path) -> None:
    """An answer that is refused at an update is dropped, hence the rule of `identity`."""
    users = {"resource": "users"}
    with pytest.raises(ValueError, match="use another resource than users"):
        render(plain_template, tmp_path / "refused", SELF_HOSTED | users)
    project = render(plain_template, tmp_path / "project", users)
    with pytest.raises(ValueError, match="use another resource than users"):
        copier.run_recopy(project, SELF_HOSTED, defaults=True, quiet=True, overwrite=True)
    validator = JINJA.from_string(QUESTIONS["resource"]["validator"])
    asked = {"rules": 3, "reserved_names": "", "resource": "users"}
    assert "choose another noun" in validator.render(asked | {"identity": "self_hosted"})
    assert not validator.render(asked | {"identity": "auth0"}).strip()


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


def test_a_project_keeps_answers_that_are_refused_by_now() -> None:
    """Copier drops a stored answer that its validator refuses, and asks for it or fails."""
    odd = {
        "project_name": "My\u00a0API",
        "package_name": "typing_extensions",
        "auth0_audience": "https://a.example.com,https://b.example.com",
        "auth0_domain": "x.eu.auth0.comx.eu.auth0.com:99999\n",
        "description": "One\u2028line",
        "cors_origins": "http://localhost:99999",
    }
    for name, value in odd.items():
        assert refusal(name, value, rules=1) == "", name
        assert refusal(name, value) != "", name


# --------------------------------------------------------------------------------- reserved names


def locked() -> dict[str, set[str]]:
    """The packages of requirements-dev.txt, for every platform and Python, and what needs each."""
    needed_by: dict[str, set[str]] = {}
    package = ""
    for line in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([a-z0-9._-]+)==", line):
            package = found[1]
        elif found := re.match(r"    #(?: via)?\s+([a-z0-9._-]+)", line):
            needed_by.setdefault(package, set()).add(found[1])
    return needed_by


def rendered_packages() -> set[str]:
    """The locked packages that a project or its set-up installs."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    found: set[str] = {canonicalize_name(Requirement(one).name) for one in groups["rendered"]}
    needed_by = locked()
    while more := {name for name, parents in needed_by.items() if parents & found} - found:
        found |= more
    return found


def test_no_dependency_can_be_shadowed() -> None:
    """Neither as a module nor, since the project is named after its package, as a distribution."""
    found = rendered_packages()
    names = {name.replace("-", "_") for name in found}.union(*map(modules_of, found))
    by_mistake = {"build", "docs", "py", "requirements", "wheelhouse"}  # top folders of a wheel
    assert missing(names - by_mistake) == set()


def modules_of(package: str) -> set[str]:
    """The top-level modules of an installed package, by its list of files.

    `packages_distributions()` finds others in each patch release of Python. What only another
    platform or Python installs is in the lock, and known by the name of the package.
    """
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return set()
    code = [file for file in files if file.suffix in (".py", ".pyd", ".so")]
    return {file.parts[0].split(".")[0] for file in code} - {"", "__pycache__"}


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_no_module_of_python_can_be_shadowed(version: str) -> None:
    interpreter = python(version)
    if not interpreter:
        pytest.skip(f"no Python {version}")
    code = "import keyword as k, sys; print(*sys.stdlib_module_names, *k.kwlist, *k.softkwlist)"
    done = run([interpreter, "-c", code], ROOT)
    assert missing(set(done.stdout.split())) == set()


@pytest.mark.parametrize("name", ["package_name", "resource"])
def test_no_module_has_a_name_that_windows_keeps_for_a_device(name: str) -> None:
    numbered = [f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)]
    for device in ["aux", "con", "nul", "prn", *numbered]:
        assert refusal(name, device) != "", device


def missing(names: set[str]) -> set[str]:
    """Names that the question accepts: add them to the last group of reserved-names.txt."""
    return {name for name in names if name.islower() and refusal("package_name", name) == ""}
