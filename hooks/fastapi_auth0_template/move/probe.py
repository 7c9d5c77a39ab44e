"""Asks a project for its audience, scopes and roles. Runs in the project's own Python.

The argument is the name of the package; stdout is one JSON object.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the project's own prints are not part of the answer
    try:
        found = look(sys.argv[1])
    except BaseException as error:
        found = {"error": f"{type(error).__name__}: {error}"[:500]}
    json.dump(found, answers)
    answers.flush()
    os._exit(0)


def look(package: str) -> dict[str, Any]:
    sys.path.insert(0, str(Path("src").absolute()))
    roles = import_module(f"{package}.issuer.roles")
    scopes = import_module(f"{package}.scopes").Scope
    settings = import_module(f"{package}.settings").Settings()
    return {
        "audience": settings.audience,
        "scopes": {scope.value: scope.description for scope in scopes},
        "roles": {role.value: sorted(roles.scopes_of(role.value)) for role in roles.Role},
        "members": {name: role.value for name, role in roles.Role.__members__.items()},
        "administrator": str(roles.ADMINISTRATOR),
    }


main()
