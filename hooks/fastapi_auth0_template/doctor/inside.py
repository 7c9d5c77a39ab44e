"""Asks the project about itself in its own Python: settings, scopes, keys, and one token.

The tool has its own environment and cannot import the project. The checks skip what cannot be
asked, with the reason.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..model import Json
from ..project import Project
from ..tenant.process import stoppable
from ..text import printable

STARTING = 40.0  # seconds to load the project, on top of waiting for the keys
NO_ENVIRONMENT = "the project has no environment yet"
SYNC = "Run `uv sync`, then the doctor again."


@dataclass(frozen=True)
class Settings:
    """The settings that the checks look at, with the API's values."""

    auth0_domain: str = ""
    auth0_audience: str = ""
    auth0_custom_domains: tuple[str, ...] = ()
    auth0_authorization: str = "scopes"
    auth0_dpop: str = "accepted"
    auth0_token_dialect: str = "access_token"  # noqa: S105  the name of a profile
    cors_origins: tuple[str, ...] = ()
    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inside:
    """The project's answer; `why` is the reason if it could not be asked at all."""

    settings: Settings
    why: str = ""
    faults: tuple[str, ...] = ()  # of the settings
    valid: bool = False  # the settings are the API's own
    scopes: Mapping[str, str] | None = None
    guard: Json | None = None
    guard_error: str = ""
    verdict: Json | None = None
    remedy: str = SYNC


def ask(project: Project, token: str | None, seconds: float) -> Inside:
    """Run the probe, which waits `seconds` for the tenant's keys."""
    python = python_of(project.root)
    fallback = raw_settings(project)
    if python is None or project.package is None:
        return Inside(fallback, NO_ENVIRONMENT if project.package else "there is no src/*/settings")
    source = files(__package__).joinpath("probe.py").read_text(encoding="utf-8")
    try:
        asked = json.dumps({"token": token, "seconds": seconds}).encode()
        done = run([python, "-c", source], project.root, asked, STARTING + seconds)
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return Inside(fallback, f"the project gave no answer within {STARTING + seconds:g} s")
    except (OSError, ValueError):
        return Inside(fallback, "the project could not be asked: its Python gave no answer")
    return _inside(project, found | {"said": done.stderr.decode("utf-8", "replace")}, fallback)


def run(
    argv: list[str], folder: Path, asked: bytes, seconds: float
) -> "subprocess.CompletedProcess[bytes]":
    """Run the project's Python in the project; stop it when its time is up, or when we stop."""
    with subprocess.Popen(
        argv,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            with stoppable(process):
                answer, said = process.communicate(asked, timeout=seconds)
        finally:
            process.kill()
    return subprocess.CompletedProcess(argv, process.returncode, answer, said)


def _inside(project: Project, found: Json, fallback: Settings) -> Inside:
    if error := found.get("error"):
        missing = str(found.get("missing") or "").partition(".")[0]
        reason = printable(str(error))
        if missing and missing != project.package:
            return Inside(fallback, f"{NO_ENVIRONMENT}: {reason}")
        return Inside(fallback, faults=(f"src/{project.package} cannot be loaded: {reason}",))
    common: dict[str, Any] = {"scopes": found.get("scopes")}
    if found.get("faults"):
        return Inside(fallback, faults=tuple(map(str, found["faults"])), **common)
    return Inside(
        _settings(found["settings"]),
        valid=True,
        guard=found.get("guard"),
        guard_error=_guard_error(found),
        verdict=found.get("verdict"),
        **common,
    )


def _guard_error(found: Json) -> str:
    """Return why the guard cannot start; if it ended the process, return its message."""
    error = str(found.get("guard_error") or "")
    if error.startswith("SystemExit"):
        error = str(found["said"]).removeprefix("The API cannot start:")
    return printable(error)


def _settings(found: dict[str, Any]) -> Settings:
    """Return the project's settings; an older release may lack some."""
    known: dict[str, Any] = {}
    for name, value in found.items():
        if value is not None:
            known[name] = tuple(value) if isinstance(value, list) else value
    return Settings(**known)


def raw_settings(project: Project) -> Settings:
    """Return the settings that can be read without the project's own rules."""

    def get(name: str, default: str = "") -> str:
        return project.setting(name, os.environ) or default

    def get_list(name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in get(name).split(",") if part.strip())

    answers = project.answers
    return Settings(
        auth0_domain=get("AUTH0_DOMAIN"),
        auth0_audience=get("AUTH0_AUDIENCE"),
        auth0_custom_domains=get_list("AUTH0_CUSTOM_DOMAINS"),
        auth0_authorization=get("AUTH0_AUTHORIZATION", answers.get("authorization", "scopes")),
        auth0_dpop=get("AUTH0_DPOP", answers.get("dpop", "accepted")),
        auth0_token_dialect=get(
            "AUTH0_TOKEN_DIALECT", answers.get("token_dialect", "access_token")
        ),
        cors_origins=get_list("CORS_ORIGINS"),
        public_url=get("PUBLIC_URL") or None,
        trusted_proxies=get_list("TRUSTED_PROXIES"),
    )


def python_of(root: Path) -> str | None:
    """Return the Python of the project's environment; create and install nothing."""
    named = os.environ.get("UV_PROJECT_ENVIRONMENT") or ".venv"
    for folder in (root / named, *(parent / named for parent in root.parents)):
        for place in ("bin/python", "Scripts/python.exe"):
            if (folder / place).is_file():
                return str(folder / place)
        if (folder.parent / ".git").exists():
            break  # a workspace has one environment, at its top
    active = os.environ.get("VIRTUAL_ENV")
    ours = Path(sys.prefix)
    if active and Path(active) != ours:
        return shutil.which("python", path=os.pathsep.join([f"{active}/bin", f"{active}/Scripts"]))
    return None


def _environment() -> dict[str, str]:
    """Return the environment for the API, without the tool's own variables."""
    dropped = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONWARNINGS")
    child = {name: value for name, value in os.environ.items() if name not in dropped}
    return child | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}
