"""Asks a project about its settings, scopes and guard. Runs in the project's own Python.

stdin is a JSON object: `token` or null, and `seconds` to wait for the tenant's keys; so is stdout.
It works with every release of the template, because it uses only what `main.py` uses.
"""

import asyncio
import json
import logging
import os
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

PATH = "/fastapi-auth0-template/doctor"
NAMES = (
    *("auth0_domain", "auth0_audience", "auth0_custom_domains", "auth0_authorization"),
    *("auth0_dpop", "auth0_token_dialect", "cors_origins", "public_url", "trusted_proxies"),
)


def main() -> None:
    """Answer as much as can be loaded of the project."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the project's own prints are not part of the answer
    asked = json.loads(sys.stdin.buffer.read())
    found: dict[str, Any] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            look(asked, found)
    except BaseException as error:
        found["error"] = f"{type(error).__name__}: {error}"
        found["missing"] = getattr(error, "name", None) if isinstance(error, ImportError) else None
    json.dump(found, answers)
    answers.flush()
    os._exit(0)


def look(asked: dict[str, Any], found: dict[str, Any]) -> None:
    package = min(Path("src").glob("*/settings.py")).parent.name
    sys.path.insert(0, str(Path("src").absolute()))
    scopes = import_module(f"{package}.scopes").Scope
    found["scopes"] = {scope.value: scope.description for scope in scopes}
    read = import_module(f"{package}.settings").Settings
    try:
        settings = read()
    except Exception as error:
        found["faults"] = faults(error)
        return
    found["settings"] = {name: plain(getattr(settings, name, None)) for name in NAMES}
    try:
        asyncio.run(ask_guard(package, settings, scopes, asked, found))
    except (Exception, SystemExit) as error:
        found["guard_error"] = f"{type(error).__name__}: {error}"


def faults(error: Exception) -> list[str]:
    if hasattr(error, "errors"):  # of pydantic
        return [f"{str(each['loc'][0]).upper()}: {words(each)}" for each in error.errors()]
    return [f"{type(error).__name__}: {error}"]


def words(error: Any) -> str:
    if error["type"] == "missing":
        return "it is not set"
    return str(error["msg"]).removeprefix("Value error, ")


def plain(value: object) -> object:
    return [str(each) for each in value] if isinstance(value, list | tuple | set) else value


class Records(logging.Handler):
    """Collects the guard's log: why a token was refused, or why keys could not be fetched."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self.of_keys: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        lines = self.of_keys if record.name.endswith(".keys") else self.lines
        lines.append(record.getMessage())


async def ask_guard(
    package: str, settings: Any, scopes: Any, asked: dict[str, Any], found: dict[str, Any]
) -> None:
    """Let the guard fetch the keys with its own HTTP client, then judge the token, if any."""
    from fastapi import Depends, FastAPI

    auth = import_module(f"{package}.auth")
    log = Records()
    logging.getLogger(package).addHandler(log)
    guard = auth.Guard(settings)
    app = FastAPI()
    if hasattr(guard, "protect"):  # up to 0.3
        guard.protect(app, scopes)
    else:
        auth.protect(app, guard, scopes)
    app.get(PATH, dependencies=[Depends(auth.auth0.require_auth())])(lambda: None)
    async with guard.lifespan(app):
        deadline = time.monotonic() + asked["seconds"]
        while not (guard.ready() or log.of_keys) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        found["guard"] = {"ready": guard.ready(), "log": " ".join(log.of_keys[-1:])}
        if asked["token"] is not None:
            found["verdict"] = await verdict(app, settings, asked["token"], log)


def request(scheme: str, token: str) -> dict[str, Any]:
    """Return the ASGI scope of a request with the token."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"authorization", f"{scheme} {token}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 443),
    }


async def verdict(app: Any, settings: Any, token: str, log: Records) -> dict[str, Any]:
    """Send the token as a client would; return the status, and the log line about it."""
    scheme = "DPoP" if getattr(settings, "auth0_dpop", "") == "required" else "Bearer"
    status = 0
    del log.lines[:]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(request(scheme, token), receive, send)
    lines = [json.loads(line) for line in log.lines if line.startswith("{")]
    return {"status": status, **next((line for line in lines if "reason" in line), {})}


main()
