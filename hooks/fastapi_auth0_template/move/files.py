"""Auth0's import files: the form of a user in them, and a private folder for them.

They hold password hashes, so only the owner can read the folder, and it is in no work tree.
"""

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..model import Json
from ..problems import FilesFault, NotMovable
from .project import EXPORT, User

LIMIT = 500_000  # bytes of a file; Auth0 takes 500 KB
PREFIX = "auth0|"  # Auth0 puts it in front of the user_id of an import
OWN = re.compile(rf"users-\d{{4,}}\.json|{re.escape(EXPORT)}")
ARGON2 = re.compile(r"\$argon2(id|i|d)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
AS_OURS = re.compile(r"\$2[ab]\$10\$.*")  # bcrypt with the rounds that Auth0 itself uses


def fault(user: User) -> str | None:
    """Say why a user cannot be moved, or return None."""
    if not re.fullmatch(r"auth0\|[A-Za-z0-9]+", user.sub):
        return f"{user.email}: the subject {user.sub!r} is not auth0|<id>"
    if user.password_hash is not None and not _hash(user.password_hash):
        return f"{user.email}: Auth0 imports no password hash of this kind (Argon2 and bcrypt only)"
    return None


def check(users: Iterable[User]) -> None:
    """Refuse users who cannot be moved, all of them in one message."""
    if faults := [text for user in users if (text := fault(user))]:
        raise NotMovable(
            f"{len(faults)} users cannot be moved: {'; '.join(faults)}",
            "Give each a new password: uv run scripts/admin.py users reset-link EMAIL",
        )


def import_user(user: User) -> Json:
    """Return a user in the form of Auth0's import schema, which allows no other property."""
    entry: Json = {
        "user_id": user.sub.removeprefix(PREFIX),
        "email": user.email,
        "email_verified": user.email_verified,
        "app_metadata": {"role": user.role},
    }
    if not user.active:
        entry["blocked"] = True
    return entry | (_hash(user.password_hash) if user.password_hash else {})


def _hash(text: str) -> Json:
    """Return the property for a hash, or none for a kind that Auth0 does not import."""
    if AS_OURS.fullmatch(text) and BCRYPT.fullmatch(text):
        return {"password_hash": text}
    for algorithm, shape in (("argon2", ARGON2), ("bcrypt", BCRYPT)):
        if shape.fullmatch(text):
            content = {"value": text, "encoding": "utf8"}
            return {"custom_password_hash": {"algorithm": algorithm, "hash": content}}
    return {}


def contents(users: Iterable[User], limit: int = LIMIT) -> Iterator[bytes]:
    """Yield the files: JSON arrays, none longer than `limit` bytes."""
    batch: list[bytes] = []
    size = 1
    for user in users:
        entry = json.dumps(import_user(user), separators=(",", ":")).encode()
        if batch and size + len(entry) + 1 > limit:
            yield _array(batch)
            batch, size = [], 1
        batch.append(entry)
        size += len(entry) + 1
    if batch:
        yield _array(batch)


def _array(entries: list[bytes]) -> bytes:
    return b"[" + b",".join(entries) + b"]"


# -------------------------------------------------------------------------------------- the folder


def prepare(folder: Path, project: Path) -> None:
    """Make the folder, or clear an earlier run's leftovers from it; refuse an unsafe place."""
    real = folder.resolve()
    if real.is_relative_to(project.resolve()) or any(
        (each / ".git").exists() for each in (real, *real.parents)
    ):
        raise FilesFault(
            f"{folder} is in a work tree, where password hashes could be committed",
            "Name a folder elsewhere, such as --files ~/move.",
        )
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _check_private(folder)
        clear(folder)
    except OSError as error:
        raise FilesFault(
            f"{folder}: {error.strerror}", "Name a new folder below one that exists."
        ) from None


def _check_private(folder: Path) -> None:
    status = folder.lstat()
    private = os.name == "nt" or not stat.S_IMODE(status.st_mode) & 0o077
    if not stat.S_ISDIR(status.st_mode) or not private:
        raise FilesFault(
            f"{folder} is not a folder that only you can read",
            f"Name a new one, or run: chmod 700 {folder}",
        )
    if others := sorted(path.name for path in folder.iterdir() if not OWN.fullmatch(path.name)):
        raise FilesFault(f"{folder} holds other files: {', '.join(others)}", "Name a new folder.")


def write(folder: Path, users: Iterable[User], limit: int = LIMIT) -> list[Path]:
    """Write the import files, each new and readable by its owner only."""
    paths = []
    try:
        for number, content in enumerate(contents(users, limit), 1):
            paths.append(folder / f"users-{number:04}.json")
            handle = os.open(paths[-1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
    except OSError as error:
        clear(folder)  # some of the users are no import
        raise FilesFault(f"{paths[-1]}: {error.strerror}", "Free some space.") from None
    return paths


def clear(folder: Path) -> None:
    """Remove our files and no others."""
    for path in folder.iterdir():
        if OWN.fullmatch(path.name):
            path.unlink()


def remove(folder: Path) -> None:
    """Remove our files, and the folder unless it is a mount or in use."""
    clear(folder)
    with suppress(OSError):
        folder.rmdir()
