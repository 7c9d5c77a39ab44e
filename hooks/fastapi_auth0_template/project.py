"""The files of a project: its folder, its answers, and .env, read whole, replaced in one step."""

import errno
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import env_file
from .model import Json
from .problems import BadProject, EnvFault, EnvNotAFile
from .text import protect_settings

TEMPORARY = ".env.new-"
PLACEHOLDER = "https://api.example.com"  # in .env.example, unless it is the answer
NO_SPACE = (errno.ENOSPC, errno.EFBIG)
PRIVATE = "make it readable by you only (mode 0600)"


@dataclass(frozen=True)
class EnvFile:
    """The text of .env as it was read; `text` is None if there is no such file."""

    path: Path
    text: str | None

    @property
    def values(self) -> dict[str, str]:
        return env_file.values_of(self.text or "")


@dataclass(frozen=True)
class Project:
    """A rendered project: its folder, its answers, and the settings in .env."""

    root: Path
    env: EnvFile
    answers: Mapping[str, str]
    placeholders: Mapping[str, str]

    def setting(self, name: str, environment: Mapping[str, str]) -> str:
        """Return a setting as the API finds it: environment before .env, no placeholders."""
        value = environment.get(name) or self.env.values.get(name, "")
        return "" if value == self.placeholders.get(name) else value

    @property
    def package(self) -> str | None:
        """Return the name of the package in src/ that has the settings."""
        found = sorted(self.root.glob("src/*/settings.py"))
        return found[0].parent.name if found else None


def load(root: Path, env: EnvFile | None = None) -> Project:
    """Read the project's own files; a folder without auth0/tenant.yaml is not a project.

    `env` stands in for a .env that cannot be read.
    """
    if not (root / "auth0" / "tenant.yaml").is_file():
        raise BadProject(
            f"{root} has no auth0/tenant.yaml",
            "Run the command in the project, or name it with --project FOLDER.",
        )
    text = {key: str(value) for key, value in _answers(root / ".copier-answers.yml").items()}
    example = read_env(root / ".env.example").values
    placeholders = {"AUTH0_DOMAIN": example.get("AUTH0_DOMAIN", "")}
    if text.get("auth0_audience") != PLACEHOLDER:
        placeholders["AUTH0_AUDIENCE"] = PLACEHOLDER
    env = env or read_env(root / ".env")
    protect_settings(env.values)
    return Project(root, env, text, placeholders)


def _answers(path: Path) -> Json:
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
        detail = " ".join(str(error).split())
        raise BadProject(f"{path}: it cannot be read: {detail}") from None
    if content is not None and not isinstance(content, dict):
        raise BadProject(f"{path}: it is not a mapping")
    return content or {}


# -------------------------------------------------------------------------------------------- .env


def read_env(path: Path) -> EnvFile:
    """Read .env byte for byte. Refuse a file that cannot be merged safely."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return EnvFile(path, None)
    except OSError as error:
        raise EnvFault(f"{path} cannot be read ({error.strerror})") from None
    if stat.S_ISLNK(status.st_mode):
        raise EnvFault(
            f"{path} is a symbolic link, which the set-up never follows",
            "Replace the link with a file, then run the command again.",
        )
    if not stat.S_ISREG(status.st_mode):
        raise EnvNotAFile(f"{path} is not a file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EnvFault(f"{path} cannot be read ({error.strerror})") from None
    if b"\x00" in content:
        raise EnvFault(
            f"{path} is not UTF-8 text (UTF-16, as PowerShell's > writes?)",
            "Save it as UTF-8, then run the command again.",
        )
    return EnvFile(path, content.decode("utf-8", "surrogateescape"))


def env_notes(env: EnvFile) -> list[str]:
    """Say what is odd about .env, whether writing it repairs that or not."""
    if env.text is None:
        return []
    notes = []
    if not env.path.stat().st_mode & stat.S_IWUSR:
        notes.append(".env was read-only; it is yours to read and write (0600) after a change")
    if number := env_file.not_utf8(env.text):
        notes.append(f".env, line {number}, is not UTF-8; it is kept, but the API reads only UTF-8")
    return notes


def write_env(env: EnvFile, wanted: Mapping[str, str]) -> bool:
    """Merge the values into .env, which may have changed meanwhile; return whether it wrote."""
    current = read_env(env.path)
    before = current.values
    for key in wanted:
        if before.get(key) not in (env.values.get(key), wanted[key]):
            raise EnvFault(f"{key} in .env changed while the set-up ran; it is left as it is")
    text = env_file.merged(current.text, wanted)
    if text == current.text and is_private(env.path):
        return False
    write_private(env.path, text.encode("utf-8", "surrogateescape"))
    return True


def write_private(path: Path, content: bytes) -> None:
    """Write the content to the path in one step, readable by its owner only. Follow no link."""
    if path.is_symlink():
        raise EnvFault(f"{path} is a symbolic link, which the set-up never follows")
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}")
    try:
        clear_leftovers(path.parent)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            if _is_of_another(path):  # as root, by sudo or in a container
                os.fchown(handle, path.stat().st_uid, path.stat().st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.name == "nt" and path.exists():
            path.chmod(stat.S_IWRITE)  # Windows does not replace a read-only file
        temporary.replace(path)
    except OSError as error:
        raise EnvFault(
            f"{path} cannot be written ({error.strerror})",
            "Free some space, then run the command again."
            if error.errno in NO_SPACE
            else f"Make the folder {path.parent} writable, then run the command again.",
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def clear_leftovers(folder: Path) -> None:
    """Remove the leftovers of a run killed while it wrote: they hold the same secrets."""
    for stale in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):
            stale.unlink()


def is_private(path: Path) -> bool:
    """Return whether only the owner may read the file; Windows has no such mode."""
    return os.name == "nt" or not path.exists() or stat.S_IMODE(path.stat().st_mode) == 0o600


def check_writable(path: Path) -> None:
    """Refuse before anything is changed in the tenant, rather than after."""
    if not os.access(path.parent, os.W_OK):
        raise EnvFault(
            f"{path} cannot be written",
            f"Make the folder {path.parent} writable, then run the command again.",
        )
    if _is_of_another(path) and os.geteuid():
        raise EnvFault(f"{path} belongs to another user", "Run the command as that user.")


def _is_of_another(path: Path) -> bool:
    return os.name != "nt" and path.exists() and path.stat().st_uid != os.geteuid()
