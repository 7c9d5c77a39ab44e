"""What a render looks like to the person who opens it: names, blank lines, secrets, ownership."""

import re
import stat
from pathlib import Path
from typing import Any

import plumbum
import pytest
import yaml
from pytest_copie.plugin import Copie

from support import AUTOMATIC, EXAMPLE, ROOT, SELF_HOSTED, git, render

SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
RESERVED_ON_WINDOWS = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)
}
VARIANTS: list[dict[str, Any]] = [
    {},
    {"auth0_setup": "automatic"},
    {"authorization": "permissions", "dpop": "required", "token_dialect": "rfc9068_profile"},
    {"dpop": "off", "behind_proxy": True, "cors_origins": "https://app.example.com"},
    {"license": "MIT", "renovate": True, "resource": "orders", "python_version": "3.13"},
    {"container": True, "logs": "json"},
    SELF_HOSTED,
]


@pytest.fixture(params=VARIANTS, ids=lambda answers: "-".join(map(str, answers)) or "example")
def project(plain_template: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return render(plain_template, tmp_path / "project", request.param)


def files_of(project: Path) -> list[Path]:
    return [path for path in sorted(project.rglob("*")) if path.is_file()]


def test_a_git_clone_renders_with_its_uncommitted_work(copie: Copie) -> None:
    """pytest-copie takes the working tree at HEAD, as a developer of the template does."""
    result = copie.copy(extra_answers=EXAMPLE)
    assert result.exit_code == 0, result.exception
    assert result.project_dir is not None
    assert (result.project_dir / "src" / "my_api" / "main.py").is_file()


def test_an_undefined_name_in_the_template_is_an_error() -> None:
    assert SETTINGS["_envops"] == {"undefined": "jinja2.StrictUndefined"}


def test_file_names_are_valid_on_windows(project: Path) -> None:
    for path in project.rglob("*"):
        assert not re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', path.name), path
        assert path.stem.lower() not in RESERVED_ON_WINDOWS, path
        assert len(str(path.relative_to(project))) < 120, path


def test_a_default_render_has_few_files(plain_template: Path, tmp_path: Path) -> None:
    """Each file costs a copy about ten milliseconds: benchmarks/copy_cost.py. Git ignores .env."""
    files = files_of(render(plain_template, tmp_path / "project"))
    assert len([path for path in files if path.name != ".env"]) <= 46


def test_a_default_render_has_few_lines(plain_template: Path, tmp_path: Path) -> None:
    """Its owner reads it: a line that is added has to earn its place, or another one goes."""
    project = render(plain_template, tmp_path / "project")
    read = [path for folder in ("src", "scripts") for path in (project / folder).rglob("*.py")]
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in read)
    assert lines <= 1_997


def test_a_project_with_its_own_issuer_can_be_read_in_an_evening(
    plain_template: Path, tmp_path: Path
) -> None:
    """A line that is added has to earn its place; these bounds go down, not up."""
    answers = {"identity": "self_hosted", "authorization": "permissions", "api_keys": True}
    project = render(plain_template, tmp_path / "project", answers)
    read = [*(project / "src/my_api").rglob("*.py"), project / "scripts/admin.py"]
    lines = {
        path.relative_to(project).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in read
        if "migrations" not in path.parts
    }
    issuer = [count for name, count in lines.items() if name.startswith("src/my_api/issuer/")]
    assert sum(issuer) <= 2_265
    assert max(issuer) <= 200
    assert lines["src/my_api/database.py"] <= 112
    assert lines["src/my_api/schema.py"] <= 113
    assert lines["src/my_api/units.py"] <= 129
    assert lines["scripts/admin.py"] <= 317


def test_no_ghost_of_a_jinja_expression(project: Path) -> None:
    for path in files_of(project):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<!\$)\{\{|\{%|%\}|\{#|#\}", text), path
        assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), path
        assert not text.startswith("\n"), path
        assert "\r" not in text, path
        assert not re.search(r"[ \t]$", text, re.MULTILINE), path
        blank = "\n\n\n\n" if path.suffix in (".py", ".mako", ".md") else "\n\n\n"
        assert blank not in text, path


def test_the_repository_has_no_symbolic_link() -> None:
    """Where git cannot make them (Windows), it writes a file that holds the name of the target."""
    entries = git(ROOT, "ls-files", "--stage").splitlines()
    assert [entry for entry in entries if entry.startswith("120000")] == []


def test_a_git_without_symbolic_links_renders_the_same(template: Path, tmp_path: Path) -> None:
    usual = render(template, tmp_path / "usual")
    names = ("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0")
    with plumbum.local.env(**dict(zip(names, ("1", "core.symlinks", "false"), strict=True))):
        other = render(template, tmp_path / "other")
    assert contents(other) == contents(usual)


def contents(project: Path) -> dict[Path, bytes]:
    return {path.relative_to(project): path.read_bytes() for path in files_of(project)}


def test_machine_readable_files_are_well_formed(project: Path) -> None:
    for path in files_of(project):
        if path.suffix in (".yml", ".yaml"):
            assert yaml.safe_load(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("mode", ["manual", "automatic"])
def test_domain_and_audience_are_in_no_source(
    plain_template: Path, tmp_path: Path, mode: str
) -> None:
    domain, audience = "somebody.eu.auth0.com", "https://nowhere.example.org"
    answers = {"auth0_setup": mode, "auth0_domain": domain, "auth0_audience": audience}
    project = render(plain_template, tmp_path / "project", answers)
    named = {
        path.relative_to(project).as_posix()
        for path in files_of(project)
        if any(value in path.read_text(encoding="utf-8") for value in (domain, audience))
    }
    expected = {".copier-answers.yml", ".env.example"}
    assert named == expected | ({".env"} if mode == "manual" else set())


def test_env_is_ignored_and_its_example_is_not(project: Path) -> None:
    (project / ".env").touch()
    commit_all_but_ignored(project)
    assert ".env" not in git(project, "ls-files").splitlines()
    assert ".env.example" in git(project, "ls-files").splitlines()
    assert git(project, "status", "--porcelain") == ""


def commit_all_but_ignored(project: Path) -> None:
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Start")


def test_the_example_of_env_lists_every_setting(project: Path) -> None:
    listed = re.findall(r"^#?([A-Z0-9_]+)=", (project / ".env.example").read_text(), re.MULTILINE)
    settings = (project / "src" / "my_api" / "auth" / "settings.py").read_text()
    fields = re.findall(r"^    (\w+): ", settings.partition("class AuthSettings")[2], re.MULTILINE)
    assert {"auth0_domain", "auth_issuer"} & set(fields)
    assert {field.upper() for field in fields if field != "model_config"} <= set(listed)


def test_env_survives_a_second_copy(plain_template: Path, tmp_path: Path) -> None:
    project = render(plain_template, tmp_path / "project")
    (project / ".env").write_text("AUTH0_DOMAIN=mine.eu.auth0.com\n")
    (project / ".env").chmod(0o600)
    render(plain_template, project)
    assert (project / ".env").read_text() == "AUTH0_DOMAIN=mine.eu.auth0.com\n"
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600


def test_what_an_update_leaves_alone_a_copy_leaves_alone_too() -> None:
    """The two lists of copier.yml say the same: which files belong to the owner of the project.

    Save for those that a later switch of an answer has to be able to add.
    """
    conditional = next(rule for rule in SETTINGS["_exclude"] if "{%" in rule)
    kept_by_update = [line for line in conditional.split() if line.startswith(("/", "!/"))]
    later = ["/migrations/**", "/src/*/issuer/roles.py"]
    assert kept_by_update == [rule for rule in SETTINGS["_skip_if_exists"] if rule not in later]


def test_every_rule_of_ownership_names_a_file(plain_template: Path, tmp_path: Path) -> None:
    projects = [
        render(plain_template, tmp_path / name, {"license": "MIT", "identity": name} | tokens)
        for name, tokens in (("auth0", {}), ("self_hosted", SELF_HOSTED))
    ]
    for rule in SETTINGS["_skip_if_exists"]:
        assert any(list(project.glob(rule.lstrip("!/"))) for project in projects), rule


def test_the_example_answers_are_a_full_set(plain_template: Path, tmp_path: Path) -> None:
    project = render(plain_template, tmp_path / "project")
    stored = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert stored == stored | EXAMPLE
    assert set(AUTOMATIC) < set(EXAMPLE)
