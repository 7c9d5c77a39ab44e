"""What the tests of a move share: users of every kind, and a project that holds them."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import bcrypt
from argon2 import PasswordHasher

from setup.loopback_users import PeopledTenant
from setup.workbench import Machine
from support import SELF_HOSTED, render

API = "https://my-api.example.com"
PASSWORD = "correct horse battery staple"
FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def user_id(number: int) -> str:
    return f"{number:024x}"


def bcrypt_hash(rounds: int, prefix: bytes) -> str:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds, b"2b"))
    return (prefix + hashed[4:]).decode()


def people() -> list[dict[str, Any]]:
    """A user of each role, with each kind of hash, inactive, unverified, without a password."""
    argon2 = FAST.hash(PASSWORD)
    kinds: list[dict[str, Any]] = [
        {"email": "admin@example.com", "role": "admin", "password_hash": argon2},
        {"email": "mod@example.com", "role": "moderator", "password_hash": argon2},
        {"email": "plain@example.com", "password_hash": argon2},
        {"email": "ours@example.com", "password_hash": bcrypt_hash(10, b"$2b$")},
        {"email": "slow@example.com", "password_hash": bcrypt_hash(4, b"$2b$")},
        {"email": "php@example.com", "password_hash": bcrypt_hash(10, b"$2y$")},
        {"email": "left@example.com", "password_hash": argon2, "active": False},
        {"email": "new@example.com", "password_hash": None, "email_verified": False},
    ]
    defaults = {"role": "user", "active": True, "email_verified": True}
    return [
        {"sub": f"auth0|{user_id(number)}", **defaults, **kind} for number, kind in enumerate(kinds)
    ]


def in_project(project: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The project's own commands, in the environment of the tests."""
    done = subprocess.run(
        [sys.executable, "scripts/admin.py", *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": "src"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done
    return done


def project_with_people(template: Path, folder: Path) -> Path:
    """A project that issues its own tokens, with its users."""
    project = render(template, folder, SELF_HOSTED)
    in_project(project, "migrate")
    lines = folder.parent / "people.ndjson"
    lines.write_text("".join(json.dumps(person) + "\n" for person in people()))
    in_project(project, "users", "import", str(lines))
    return project


class Mover:
    """A machine with such a project, a tenant, and where the files go."""

    def __init__(self, machine: Machine, project: Path, tenant: PeopledTenant) -> None:
        shutil.copytree(project, machine.project)
        self.machine, self.tenant = machine, tenant
        self.files = machine.root / "files"

    def use(self, without: str = "") -> None:
        """Give the environment a machine's credentials."""
        client_id, secret = self.tenant.add_mover(without)
        self.machine.environment |= {
            "AUTH0_DOMAIN": self.tenant.domain,
            "AUTH0_CLIENT_ID": client_id,
            "AUTH0_CLIENT_SECRET": secret,
        }

    @property
    def upload(self) -> tuple[str, ...]:
        return ("move-users", "--files", str(self.files), "--upload", "--yes")

    def database(self, statement: str, *values: object) -> None:
        """Change the project's database behind its back."""
        with sqlite3.connect(self.machine.project / "my_api.db") as connection:
            assert connection.execute(statement, values).rowcount

    def assert_moved(self) -> None:
        """The tenant holds every user once: id, e-mail, blocked or not, role."""
        wanted = {person["sub"]: person for person in people()}
        tenant = self.tenant
        assert {key: user["email"] for key, user in tenant.users.items()} == {
            key: person["email"] for key, person in wanted.items()
        }
        for key, user in tenant.users.items():
            assert user.get("blocked", False) is not wanted[key]["active"]
            assert user["email_verified"] is wanted[key]["email_verified"]
        for role in ("user", "moderator", "admin"):
            having = {key for key, person in wanted.items() if person["role"] == role}
            assert tenant.members(f"my_api:{role}") == having
        assert tenant.permissions("my_api:user") == {"read:messages"}
        assert tenant.permissions("my_api:admin") == {"read:messages", "write:messages"}
        (api,) = tenant.apis(API)
        assert (api["enforce_policies"], api["token_dialect"]) == (True, "rfc9068_profile_authz")
        assert not self.files.exists()
