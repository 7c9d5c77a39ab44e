"""One command from nothing to a green project: questions, render, packages, tests, commit, set-up.

    uvx --from git+ADDRESS fastapi-auth0-template new myapi
    python3 hooks/bootstrap.py new ../myapi            # the same from a clone

It does the same as `copier copy` and the commands that it prints. The template is the repository
that this file was installed from (PEP 610) or is part of, so `copier update` finds it later.

Exit codes: 0 the project exists and is green; 1 an answer or the template was refused, and nothing
was written; 2 the command line or the destination is unusable; 3 a tool or the network is missing;
4 the project exists but is not green; 5 it is green, but the set-up of Auth0 did not finish; 130
Ctrl-C at a question.
"""

import argparse
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import warnings
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import copier
import yaml
from copier.errors import CopierError, CopierWarning
from plumbum import ProcessExecutionError

from ..problems import Problem
from ..text import redacted

DISTRIBUTION = "fastapi-auth0-template"
REFUSED, USAGE, MISSING, NOT_GREEN, NOT_SET_UP, INTERRUPTED = 1, 2, 3, 4, 5, 130
IDENTITY = (
    'git config --global user.name "Your Name"',
    "git config --global user.email you@example.com",
)
OLDEST_UV = (0, 10)  # older ones ignore `exclude-newer` and the floors of a project
COMMIT = "git add --all && git commit -m Start"
SETUP = ["run", "scripts/tenant.py", "setup"]


class LauncherError(Problem):
    """Ends the run with one line for the user and an exit code."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message, "")
        self.exit_code = exit_code


@dataclass(frozen=True)
class Template:
    """Where Copier gets the template from; `note` is for the user."""

    source: str
    ref: str | None
    note: str


def main(argv: list[str] | None = None) -> int:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # In order with the commands' output.
    options = parse(argv)
    destination = Path(options.destination)
    try:
        uv = find_tools()
        refuse_occupied(destination)
        answers = render(find_template(options.template, options.vcs_ref), destination, options)
        return finish(destination, answers, uv)
    except LauncherError as error:
        print(f"error: {redacted(error.message)}", file=sys.stderr)
        return error.exit_code or 1
    except KeyboardInterrupt:
        print(f"\nstopped: {left_at(destination)}", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:  # a reader that left, a full disk
        print(f"error: {error.strerror}; {left_at(destination)}", file=sys.stderr)
        return NOT_GREEN if destination.exists() else REFUSED


def left_at(destination: Path) -> str:
    return (
        f"{destination} is unfinished: remove it" if destination.exists() else "nothing was written"
    )


def parse(argv: list[str] | None) -> argparse.Namespace:
    description = "Render a FastAPI project protected by Auth0, synced and tested."
    parser = argparse.ArgumentParser(prog="fastapi-auth0-template new", description=description)
    parser.add_argument("destination", help="the folder of the new project")
    parser.add_argument("-d", "--data", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--data-file", metavar="FILE", help="answers as YAML; -d wins over it")
    parser.add_argument("--defaults", action="store_true", help="ask nothing")
    parser.add_argument("--ask", action="append", default=[], metavar="NAME", help="ask NAME too")
    parser.add_argument("--vcs-ref", metavar="REF", help="tag, branch or commit of the template")
    parser.add_argument("--template", metavar="SOURCE", help="another template: a URL or a folder")
    options = parser.parse_args(argv)
    for pair in options.data:
        if "=" not in pair:
            parser.error(f"-d {pair}: write NAME=VALUE")
    return options


def find_tools() -> str:
    """Return the uv that started this, or the one on PATH. Require git as well: Copier needs it."""
    if not shutil.which("git"):
        raise LauncherError(MISSING, "git is needed and not on PATH: install it")
    uv = shutil.which(os.environ.get("UV", "")) or shutil.which("uv")
    if not uv:
        raise LauncherError(MISSING, "uv is needed and not on PATH: pip install uv")
    said = subprocess.run([uv, "--version"], capture_output=True, encoding="utf-8").stdout
    version = re.search(r"(\d+)\.(\d+)", said)
    if not version or tuple(map(int, version.groups())) < OLDEST_UV:
        oldest = ".".join(map(str, OLDEST_UV))
        raise LauncherError(MISSING, f"uv {oldest} or later is needed: pip install --upgrade uv")
    return uv


def refuse_occupied(destination: Path) -> None:
    """Never write over existing files; a fresh `git init` is all right."""
    try:
        if destination.is_dir():
            occupied = any(entry.name != ".git" for entry in destination.iterdir())
        else:
            occupied = destination.exists()
    except OSError as error:
        raise LauncherError(USAGE, f"{destination}: {error.strerror}") from None
    if occupied:
        text = f"{destination} holds files: name a new or an empty folder (nothing is overwritten)"
        raise LauncherError(USAGE, text)


# ------------------------------------------------------------------------------------ the template


def find_template(source: str | None, ref: str | None) -> Template:
    """Return the template that was asked for, or the one that this file came with."""
    if source:
        return Template(source, ref, source)
    root = Path(__file__).resolve().parents[3]
    if (root / "copier.yml").is_file():
        return from_folder(root, ref)
    try:
        text = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        text = None
    if not text:
        raise LauncherError(
            USAGE, "where is the template? Give its URL or folder: --template SOURCE"
        )
    return from_origin(json.loads(text), ref)


def from_origin(origin: dict[str, Any], ref: str | None) -> Template:
    """Return the repository that pip or uv installed this from, as direct_url.json names it."""
    url = str(origin["url"])
    if "vcs_info" not in origin:
        return from_folder(Path(url2pathname(urlsplit(url).path)), ref)
    ref = ref or origin["vcs_info"].get("requested_revision")
    if url.endswith(".git") or url.startswith(("https://github.com/", "https://gitlab.com/")):
        return Template(url, ref, url)
    return Template(f"git+{url}", ref, url)  # The prefix tells Copier that it is a repository.


def from_folder(root: Path, ref: str | None) -> Template:
    """Return a clone's latest tag, or its last commit; HEAD includes uncommitted work."""
    if not (root / ".git").exists():
        return Template(str(root), None, f"{root} (no git clone: copier update will not work)")
    dirty = bool(git(root, "status", "--porcelain"))
    if ref == "HEAD" and dirty:
        note = "with uncommitted work: copier update will not find this version again"
        return Template(str(root), ref, f"{root} ({note})")
    if not ref and not git(root, "tag"):
        ref = git(root, "rev-parse", "HEAD")
    left_out = " (without its uncommitted work: --vcs-ref HEAD takes it)" if dirty else ""
    return Template(str(root), ref, f"{root}{left_out}")


def git(folder: Path, *arguments: str) -> str:
    """Return the output of a git command that only reads; empty if it fails."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, encoding="utf-8"
    )
    return "" if done.returncode else done.stdout.strip()


# ------------------------------------------------------------------------------- questions, render


def render(template: Template, destination: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Ask, render, and return all answers. Copier removes a new destination if it fails."""
    print(f"Template: {redacted(template.note)}")
    warnings.simplefilter("ignore", CopierWarning)  # `note` says the same.
    given = read_answers(options)
    try:
        worker = copier.run_copy(
            template.source,
            destination,
            given,
            vcs_ref=template.ref,
            defaults=options.defaults,
            ask=options.ask,
            quiet=True,
        )
    except KeyboardInterrupt:
        raise  # Copier's own is a CopierError as well.
    except ProcessExecutionError as error:
        raise LauncherError(
            MISSING, f"git cannot get the template: {gist(str(error.stderr))}"
        ) from None
    except (CopierError, ValueError, OSError) as error:
        raise LauncherError(REFUSED, gist(getattr(error, "message", str(error)))) from None
    if (destination / ".env").exists():
        (destination / ".env").chmod(0o600)  # Copier cannot.
    version = worker.template.commit or "no version"
    print(f"Rendered {destination} from version {version}")
    for name in sorted(given.keys() - worker.template.questions_data.keys()):
        print(f"ignored: the template has no question {name}", file=sys.stderr)
    return {**worker.answers.combined}


def read_answers(options: argparse.Namespace) -> dict[str, Any]:
    answers: Any = {}
    if options.data_file:
        try:
            answers = yaml.safe_load(Path(options.data_file).read_text(encoding="utf-8")) or {}
            if not (isinstance(answers, dict) and all(isinstance(name, str) for name in answers)):
                raise ValueError("write a line NAME: VALUE for each answer")
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise LauncherError(USAGE, f"--data-file {options.data_file}: {error}") from None
    return {**answers} | dict(pair.split("=", 1) for pair in options.data)


def gist(text: str) -> str:
    """Return the last line with text: the reason, in the output of git and Copier."""
    return next(
        (line for line in reversed(text.splitlines()) if line.strip()), "no reason was given"
    )


# -------------------------------------------------------------------- packages, tests, git, set-up


def finish(destination: Path, answers: dict[str, Any], uv: str) -> int:
    """Sync, test, commit and, if wanted, set up the project; print the next steps."""
    here = f"cd {shlex.quote(str(destination))}"
    on_path = shutil.which("uv")
    shown_uv = "uv" if on_path and Path(on_path).samefile(uv) else shlex.quote(uv)
    for arguments in (["sync"], ["run", "pytest", "-q"]):
        if run([uv, *arguments], destination):
            remedy = f"{here} && {shown_uv} sync && {shown_uv} run pytest"
            text = f"uv {' '.join(arguments)} failed; the project stays. Go on with: {remedy}"
            raise LauncherError(NOT_GREEN, text)
    commit(destination, here)
    steps = [
        here,
        f"{shown_uv} run scripts/demo.py    # try it without an account: prints curl lines",
    ]
    if answers["auth0_setup"] == "automatic":
        set_up = f"{shown_uv} {' '.join(SETUP)}"
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            steps.append(f"{set_up}    # creates the API in your Auth0 tenant, writes .env")
        elif run([uv, *SETUP], destination):
            text = "the set-up did not finish; the project is green and stays. Go on with"
            raise LauncherError(NOT_SET_UP, f"{text}: {here} && {set_up}")
    steps.append(f"{shown_uv} run uvicorn --factory {answers['package_name']}.main:create_app")
    print(f"\n{answers['project_name']} is synced and green. Start it:\n")
    print(*(f"  {step}" for step in steps), sep="\n")
    return 0


def run(command: list[str], folder: Path) -> int:
    """Run a command in the foreground. It handles Ctrl-C itself; its exit code says so."""
    print(f"\n$ {shlex.join([Path(command[0]).stem, *command[1:]])}")
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(command, cwd=folder, env=environment).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def commit(destination: Path, here: str) -> None:
    """Make the first commit, which `copier update` needs, except inside another work tree."""
    top = git(destination, "rev-parse", "--show-toplevel")
    if top and Path(top) != destination.resolve():
        print(f"\n{destination} lies in the git work tree {top}: commit it there")
        return
    message = f"Start from {DISTRIBUTION}"
    for arguments in (["init"], ["add", "--all"], ["commit", "--message", message]):
        command = ["git", "-C", str(destination), *arguments]
        done = subprocess.run(command, capture_output=True, encoding="utf-8")
        if done.returncode:
            unknown = not git(destination, "var", "GIT_COMMITTER_IDENT")
            reason = "git does not know who you are" if unknown else gist(done.stderr)
            print(f"\nnot committed yet: {reason}. copier update needs a commit:\n")
            for step in [*(IDENTITY if unknown else ()), f"{here} && {COMMIT}"]:
                print(f"  {step}")
            return


if __name__ == "__main__":
    sys.exit(main())
