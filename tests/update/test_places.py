"""Where a project and its template may lie, and what is said where an update cannot work."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from support import ROOT, git
from update.edits import EDITS
from update.lifecycle import check, commit, copier_command, tree
from update.releases import NEXT, WORKING

DATA: list[str | Path] = ["--defaults", "--data-file", ROOT / "example-answers.yml"]
Project = Callable[..., Path]


def stored(project: Path, name: str) -> object:
    return yaml.safe_load((project / ".copier-answers.yml").read_text()).get(name)


def assert_refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    """Copier refuses with this message, and docs/update.md says what to do about it."""
    assert done.returncode == 1
    assert message in done.stdout
    assert f"| `{message}` |" in (ROOT / "docs" / "update.md").read_text()


def change_answer(project: Path, name: str, value: str) -> None:
    path = project / ".copier-answers.yml"
    path.write_text(re.sub(rf"(?m)^{name}: .*$", f"{name}: {value}", path.read_text()))
    commit(project)


def put_into_git(project: Path) -> None:
    git(project, "init", "--quiet")
    commit(project)


def test_a_project_in_a_subfolder_of_a_repository(line: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("Ours.\n")
    done = copier_command(tmp_path, "copy", *DATA, "-r", WORKING, line, "services/api")
    assert done.returncode == 0, done.stdout
    service = tmp_path / "services" / "api"
    edits = [edit for edit in EDITS[:8] if "CI" not in edit.name]
    for edit in edits:
        edit.make(service)
    put_into_git(tmp_path)
    (tmp_path / "other.txt").write_text("Elsewhere, a dirty file does no harm.\n")
    done = copier_command(service, "update", "--defaults")
    assert done.returncode == 0, done.stdout
    assert stored(service, "_commit") == NEXT
    assert [edit.name for edit in edits if edit.lost(service)] == []
    assert (tmp_path / "README.md").read_text() == "Ours.\n"
    assert check(service).returncode == 0
    (service / "src" / "my_api" / "x.txt").write_text("<<<<<<< ours\n")
    assert "src/my_api/x.txt:1" in check(service).stdout


@pytest.mark.parametrize("untracked", [False, True])
def test_a_dirty_project_is_refused_and_left_as_it_is(project: Project, untracked: bool) -> None:
    folder = project(WORKING)
    name = "notes.txt" if untracked else "pyproject.toml"
    (folder / name).write_text("Not committed.\n")
    before = tree(folder)
    done = copier_command(folder, "update", "--defaults")
    assert_refused(done, "Destination repository is dirty")
    assert "commit or stash your local changes and retry" in done.stdout
    assert tree(folder) == before


def test_a_project_without_git_is_refused_and_left_as_it_is(line: Path, tmp_path: Path) -> None:
    done = copier_command(tmp_path, "copy", *DATA, "-r", WORKING, line, "project")
    assert "# copier update needs git" in done.stdout
    before = tree(tmp_path / "project")
    done = copier_command(tmp_path / "project", "update", "--defaults")
    assert_refused(done, "only supported in git-tracked subprojects")
    assert tree(tmp_path / "project") == before


# ------------------------------------------------------------------------- a template without git


def test_a_plain_folder_says_what_to_do_and_that_works(
    plain_template: Path, line: Path, tmp_path: Path
) -> None:
    done = copier_command(tmp_path, "copy", *DATA, plain_template, "project")
    assert f"{plain_template} is not a git repository" in done.stdout
    command = next(line for line in done.stdout.splitlines() if "copier copy --overwrite" in line)
    folder = tmp_path / "project"
    put_into_git(folder)
    done = copier_command(folder, "update", "--defaults")
    assert_refused(done, "cannot obtain old template references")

    # The command that was printed, with the template of this test.
    EDITS[6].make(folder)
    words = [str(line) if word == "ADDRESS" else word for word in command.split()[1:]]
    done = copier_command(folder, *words, "--defaults", "-r", WORKING)
    assert done.returncode == 0, done.stdout
    assert "is not a git repository" not in done.stdout
    assert stored(folder, "_commit") == WORKING
    commit(folder)
    done = copier_command(folder, "update", "--defaults")
    assert done.returncode == 0, done.stdout
    assert stored(folder, "_commit") == NEXT
    assert EDITS[6].lost(folder) == []


# ----------------------------------------------------------------- the address in the answers file


@pytest.mark.parametrize(
    ("folder", "address"),
    [(".", "template"), (".", "./template"), ("elsewhere", "../template"), ("template", ".")],
)
def test_a_relative_path_becomes_absolute(
    line: Path, tmp_path: Path, folder: str, address: str
) -> None:
    """Copier stores it as typed, and an update then works from one folder only."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "template").symlink_to(line)
    project = tmp_path / "project"
    done = copier_command(tmp_path / folder, "copy", *DATA, "-r", WORKING, address, project)
    assert done.returncode == 0, done.stdout
    assert stored(project, "_src_path") == str(line.resolve())
    put_into_git(project)
    done = copier_command(project, "update", "--defaults")
    assert done.returncode == 0, done.stdout
    assert stored(project, "_commit") == NEXT
    assert stored(project, "_src_path") == str(line.resolve())


@pytest.mark.parametrize(
    ("typed", "recorded"),
    [
        ("gh:org/name", "https://github.com/org/name.git"),
        ("gh:/org/name.git", "https://github.com/org/name.git"),
        ("gl:org/name", "https://gitlab.com/org/name.git"),
        ("https://github.com/org/name", "https://github.com/org/name"),
        ("git+https://git.example.com/org/name", "git+https://git.example.com/org/name"),
        ("git@github.com:org/name.git", "git@github.com:org/name.git"),
    ],
)
def test_a_url_is_recorded_so_that_update_bots_read_it(
    line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, recorded: str
) -> None:
    """Renovate reads URLs; it does not know Copier's gh: and gl: (renovate#39938)."""
    addresses = [
        start + end
        for start in ("https://github.com/", "https://gitlab.com/", "git@github.com:")
        for end in ("org/name", "org/name.git")
    ]
    settings = (
        Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text(encoding="utf-8") + f'[url "{line}"]\n'
    )
    for address in [*addresses, "https://git.example.com/org/name"]:
        settings += f"    insteadOf = {address}\n"
    (tmp_path / "gitconfig").write_text(settings)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    done = copier_command(tmp_path, "copy", *DATA, "-r", WORKING, typed, "project")
    assert done.returncode == 0, done.stdout
    assert stored(tmp_path / "project", "_src_path") == recorded
    readme = (tmp_path / "project/README.md").read_text(encoding="utf-8")
    web = recorded.removeprefix("git+").removesuffix(".git")
    assert (f"]({web}/blob/HEAD/docs/doctor.md)" in readme) is web.startswith("https://")
    put_into_git(tmp_path / "project")
    done = copier_command(tmp_path / "project", "update", "--defaults")
    assert done.returncode == 0, done.stdout
    assert stored(tmp_path / "project", "_src_path") == recorded


# ------------------------------------------------------------------ what the answers file remembers


def test_a_template_that_moved(project: Project, line: Path, tmp_path: Path) -> None:
    """The old address is in the set-up's script too, where an update would take it for a change."""
    folder = project(WORKING)
    change_answer(folder, "_src_path", "/gone")
    assert_refused(
        copier_command(folder, "update", "--defaults"), "Local template must be a directory"
    )
    moved = tmp_path / "moved"
    git(tmp_path, "clone", "--quiet", str(line), str(moved))
    script = folder / "scripts/tenant.py"
    script.write_text(script.read_text().replace(str(line), str(moved)))
    change_answer(folder, "_src_path", str(moved))
    assert copier_command(folder, "update", "--defaults").returncode == 0
    assert check(folder).stdout == ""
    assert str(moved) in script.read_text()


def test_a_copy_of_uncommitted_work(line: Path, tmp_path: Path) -> None:
    clone = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", str(line), str(clone))
    (clone / "new.txt").write_text("Not committed.\n")
    folder = tmp_path / "project"
    done = copier_command(tmp_path, "copy", *DATA, "-r", "HEAD", clone, folder)
    assert done.returncode == 0, done.stdout
    put_into_git(folder)
    assert_refused(copier_command(folder, "update", "--defaults"), "Unknown revision")
    change_answer(folder, "_commit", NEXT)
    assert copier_command(folder, "update", "--defaults").returncode == 0


def test_an_older_release_is_refused(project: Project) -> None:
    folder = project(NEXT)
    done = copier_command(folder, "update", "--defaults", "-r", WORKING)
    assert_refused(done, "You are downgrading")


def test_an_answer_without_its_quotes_is_the_same_answer(project: Project) -> None:
    folder = project(WORKING, python_version="3.12")
    change_answer(folder, "python_version", "3.12")
    assert stored(folder, "python_version") == 3.12
    done = copier_command(folder, "update", "--defaults")
    assert done.returncode == 0, done.stdout
    assert 'python: ["3.12", "3.13"' in (folder / ".github/workflows/ci.yml").read_text()
