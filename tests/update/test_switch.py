"""An answer is switched later, by an update or a recopy: the project is as if started that way.

Each result is compared with a fresh render of the new answers, which the other tests show green.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import AUTOMATIC, EXAMPLE, ROOT, SELF_HOSTED, run
from update.edits import EDITS
from update.lifecycle import (
    Tree,
    check,
    commit,
    copier_command,
    fresh,
    green,
    split,
    tree,
    update,
)
from update.next_release import CHANGED
from update.releases import NEXT, WORKING

OURS = next(edit for edit in EDITS if edit.name == ".env edited")
MANUAL = {"auth0_setup": "manual", "auth0_domain": EXAMPLE["auth0_domain"]}
SWITCHES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (EXAMPLE, {"auth0_setup": "automatic"}),
    (AUTOMATIC, MANUAL),
    (EXAMPLE, {"authorization": "permissions"}),
    ({"authorization": "permissions"}, {"authorization": "scopes"}),
    (EXAMPLE, {"dpop": "required"}),
    ({"dpop": "required"}, {"dpop": "off"}),
    ({"dpop": "off"}, {"dpop": "accepted"}),
    (EXAMPLE, {"license": "MIT", "renovate": True}),
    ({"license": "MIT", "renovate": True}, {"license": "none", "renovate": False}),
    (EXAMPLE, {"token_dialect": "rfc9068_profile", "python_version": "3.13"}),
    (EXAMPLE, {"cors_origins": "https://app.example.com", "behind_proxy": True}),
    (EXAMPLE, {"project_name": "Our API", "description": "Ours"}),
    (EXAMPLE, {"logs": "json", "container": True}),
    ({"logs": "json", "container": True}, {"logs": "text", "container": False}),
]


def without_env(files: Tree) -> Tree:
    return {name: text for name, text in files.items() if name != ".env"}


@pytest.mark.parametrize("command", ["update", "recopy"])
@pytest.mark.parametrize(
    ("before", "switch"), SWITCHES, ids=["-".join(map(str, s.values())) for _, s in SWITCHES]
)
def test_a_switched_answer_gives_a_fresh_render(
    project: Callable[..., Path],
    line: Path,
    tmp_path: Path,
    before: dict[str, Any],
    switch: dict[str, Any],
    command: str,
) -> None:
    folder = project(WORKING, **before)
    OURS.make(folder)
    if command == "update":
        update(folder, WORKING, **switch)
    else:
        data = [part for name, value in switch.items() for part in ("-d", f"{name}={value}")]
        words = ["recopy", "--defaults", "--overwrite", "-r", WORKING, *data]
        done = copier_command(folder, *words)
        assert done.returncode == 0, done.stdout
    assert OURS.lost(folder) == []
    answers = {**EXAMPLE, **before, **switch}
    wanted = without_env(tree(fresh(line, WORKING, tmp_path / "fresh", answers)))
    found = without_env(tree(folder))
    if command == "recopy":  # It removes nothing.
        found = {name: text for name, text in found.items() if name in wanted}
    assert split(found)[1] == split(wanted)[1]


def test_the_owners_code_is_the_same_under_every_answer(line: Path, tmp_path: Path) -> None:
    """So that it stays valid when an answer is switched. README.md says how the API was set up."""
    owned = []
    for number, (before, switch) in enumerate(SWITCHES):
        if "project_name" in switch:
            continue
        answers = {**EXAMPLE, **before, **switch}
        folder = fresh(line, WORKING, tmp_path / str(number), answers)
        owned.append(split(without_env(tree(folder)))[0])
        del owned[-1]["README.md"]
    assert all(other == owned[0] for other in owned)


def test_a_project_with_every_edit_and_many_switches_is_green(
    project: Callable[..., Path], mypy_cache: Path
) -> None:
    folder = project(WORKING)
    edits = [edit for edit in EDITS if edit.name != "the example deleted"]
    for edit in edits:
        edit.make(folder)
    commit(folder)
    update(
        folder,
        WORKING,
        auth0_setup="automatic",
        authorization="permissions",
        dpop="required",
        token_dialect="rfc9068_profile",
        license="MIT",
        renovate=True,
        behind_proxy=True,
    )
    assert [edit.name for edit in edits if edit.lost(folder)] == []
    green(folder, mypy_cache)


def test_a_project_becomes_its_own_issuer_as_the_page_says(
    project: Callable[..., Path], mypy_cache: Path
) -> None:
    folder = project(WORKING)
    update(folder, WORKING, database=True, **SELF_HOSTED)
    page = (ROOT / "docs" / "self-hosted.md").read_text(encoding="utf-8")
    part = page.partition("\nFor an existing project:")[2].partition("\n## ")[0]
    *settings, excluded = [line[4:] for line in part.splitlines() if line.startswith("    ")]
    with (folder / ".env").open("a", encoding="utf-8") as env:
        env.writelines(f"{line}\n" for line in settings)
    tests, loop = folder / "tests" / "test_routes.py", "    for found in schema"
    text = tests.read_text(encoding="utf-8")
    tests.write_text(text.replace(loop, f"    {excluded}\n{loop}"), encoding="utf-8")
    done = run([sys.executable, "scripts/admin.py", "migrate"], folder, {"PYTHONPATH": "src"})
    assert done.returncode == 0, done.stdout
    assert (folder / "my_api.db").is_file()
    green(folder, mypy_cache)


PACKAGE, RESOURCE = "    git mv src/my_api src/", "    git mv src/my_api/routes/"
MIGRATION = "migrations/versions/0001_items.py"
RENAMES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (PACKAGE, {}, {"package_name": "orders_api"}),
    (PACKAGE, {"package_name": "myapi"}, {"package_name": "orders_api"}),
    (RESOURCE, {}, {"resource": "orders"}),
    (RESOURCE, {"database": True}, {"resource": "orders"}),
]


@pytest.mark.parametrize(
    ("block", "before", "switch"), RENAMES, ids=["package", "word", "resource", "stored"]
)
def test_a_name_is_changed_as_the_docs_say(
    project: Callable[..., Path],
    line: Path,
    tmp_path: Path,
    mypy_cache: Path,
    block: str,
    before: dict[str, Any],
    switch: dict[str, Any],
) -> None:
    folder = project(WORKING, **before)
    page = (ROOT / "docs" / "update.md").read_text()
    start = page.index(block)
    commands = page[start : page.index("\n\n", start)]
    if old := before.get("package_name"):
        commands = commands.replace("my_api", old).replace("my-api", old)
    commands = commands.replace("uv run ruff", f"{sys.executable} -m ruff")
    commands = commands.replace("copier update", f"{sys.executable} -m copier update --defaults")
    done = run(["sh", "-ec", commands], folder)
    assert done.returncode == 0, done.stdout
    wanted = fresh(line, WORKING, tmp_path / "fresh", {**before, **switch})
    assert check(folder).returncode == 0
    found, as_fresh = tree(folder), tree(wanted)
    # Names that an audience or a README was given are another matter.
    assert {name for name in found if ".ruff_cache" not in name} == set(as_fresh)
    package = {**EXAMPLE, **before, **switch}["package_name"]
    for name in ["pyproject.toml", "auth0/tenant.yaml", f"src/{package}/main.py"]:
        assert found[name] == as_fresh[name], name
    green(folder, mypy_cache)
    commit(folder)
    update(folder, NEXT)
    assert check(folder).returncode == 0
    assert CHANGED in (folder / f"src/{package}/auth/guard.py").read_text()


def test_on_and_off_keeps_the_owners_migrations(project: Callable[..., Path]) -> None:
    folder = project(WORKING, database=True)
    own = folder / "migrations" / "versions" / "0001_notes.py"
    own.write_text('"""Notes."""\n', encoding="utf-8")
    commit(folder)
    update(folder, WORKING, api_keys=True)
    assert (folder / "src/my_api/api_keys/check.py").is_file()
    commit(folder)
    update(folder, WORKING, api_keys=False)
    assert not (folder / "scripts/keys.py").exists()
    assert own.read_text(encoding="utf-8") == '"""Notes."""\n'


def test_migrations_that_the_owner_moved_do_not_come_back(project: Callable[..., Path]) -> None:
    folder = project(WORKING, database=True)
    (folder / "migrations").rename(folder / "db")
    commit(folder)
    update(folder, NEXT, logs="json")
    assert not (folder / "migrations").exists()


def test_a_project_with_a_database_module_of_its_own_gets_migrations(
    project: Callable[..., Path],
) -> None:
    folder = project(WORKING)
    (folder / "src/my_api/database.py").write_text('"""Ours."""\n')
    commit(folder)
    update(folder, WORKING, database=True)
    assert (folder / "migrations/env.py").is_file()
    assert "  src/my_api/database.py:" in check(folder).stdout


STORED = "src/my_api/routes/messages.py"


@pytest.mark.parametrize("command", ["update", "recopy"])
def test_a_project_that_gets_a_database_keeps_its_routes(
    project: Callable[..., Path], command: str
) -> None:
    """So it gets no migration for a table that they do not have."""
    folder = project(WORKING)
    before = (folder / STORED).read_text()
    change_answers(folder, command, database="true")
    assert (folder / "src/my_api/database.py").is_file()
    assert (folder / "migrations/env.py").is_file()
    assert (folder / STORED).read_text() == before
    assert not (folder / MIGRATION).exists()
    routes_pass(folder)


@pytest.mark.parametrize("command", ["update", "recopy"])
def test_a_stored_resource_and_its_migrations_are_left_alone(
    project: Callable[..., Path], command: str
) -> None:
    folder = project(WORKING, database=True)
    for name in (STORED, MIGRATION):
        (folder / name).write_text(f"{(folder / name).read_text()}\n# Ours.\n")
    kept = {name: (folder / name).read_text() for name in (STORED, MIGRATION)}
    commit(folder)
    change_answers(folder, command, logs="json")
    assert kept == {name: (folder / name).read_text() for name in kept}
    commit(folder)
    (folder / MIGRATION).rename(folder / "migrations/versions/0009_all.py")
    commit(folder)
    change_answers(folder, command, logs="text")
    assert not (folder / MIGRATION).exists()


def test_the_stored_resource_is_taken_from_a_fresh_copy_and_given_back(
    project: Callable[..., Path], line: Path
) -> None:
    """By the commands of docs/database.md; between them, the check names what is left."""
    folder = project(WORKING)
    page = (ROOT / "docs" / "database.md").read_text()
    start = page.index("    copier copy --defaults --data-file")
    take = page[start : page.index("\n\n", start)].replace("ADDRESS", f"-r {WORKING} {line}")
    take = take.replace("copier copy", f"{sys.executable} -m copier copy --overwrite")
    update(folder, WORKING, database=True)
    done = run(["sh", "-ec", take], folder)
    assert done.returncode == 0, done.stdout
    commit(folder)
    assert "class StoredItem" in (folder / STORED).read_text()
    assert (folder / MIGRATION).is_file()
    routes_pass(folder)

    update(folder, WORKING, database=False)
    found = check(folder)
    assert (found.returncode, found.stdout.splitlines()[1:]) == (1, [f"  {STORED}"])
    assert found.stdout.startswith("no database: ")
    assert (folder / MIGRATION).is_file()
    commit(folder)
    run(["rm", "-r", "../fresh"], folder)
    back = "\n".join(take.splitlines()[:3])
    done = run(["sh", "-ec", back], folder)
    assert done.returncode == 0, done.stdout
    commit(folder)
    assert check(folder).returncode == 0
    routes_pass(folder)


def test_a_project_becomes_its_own_issuer_by_what_the_page_says(
    project: Callable[..., Path],
) -> None:
    folder = project(WORKING)
    page = (ROOT / "docs" / "self-hosted.md").read_text()
    start = page.index("`copier update") + 1
    command = page[start : page.index("`", start)].split()[1:]
    done = copier_command(folder, *command, "--defaults", "-r", WORKING)
    assert done.returncode == 0, done.stdout
    tests, loop = folder / "tests/test_routes.py", "    for found in schema"
    line = next(line for line in page.splitlines() if "schema.exclude(" in line)
    text = tests.read_text()
    assert text.count(loop) == 1
    tests.write_text(text.replace(loop, f"{line}\n{loop}"))
    commit(folder)
    assert check(folder).returncode == 0
    routes_pass(folder)


def routes_pass(folder: Path) -> None:
    """The tests of a project's routes pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = run([*command, "tests/test_routes.py"], folder, {"PYTHONPATH": "src"})
    assert done.returncode == 0, done.stdout


def change_answers(folder: Path, command: str, **answers: str) -> None:
    """Switch answers by an update or a recopy, as a person types it."""
    data = [part for name, value in answers.items() for part in ("-d", f"{name}={value}")]
    words = [command, "--defaults", *(["--overwrite"] if command == "recopy" else []), *data]
    done = copier_command(folder, *words, "-r", WORKING)
    assert done.returncode == 0, done.stdout
