"""Requests straight into an application, without a server or a client that would cost time."""

from typing import Any

from fastapi import FastAPI

from apps import PATH


def request(token: str) -> dict[str, Any]:
    """What a server hands to the application: a scope, good for one call."""
    headers = {
        "host": "api.example.com",
        "user-agent": "benchmark",
        "accept": "*/*",
        "authorization": f"Bearer {token}",
    }
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "https",
        "method": "GET",
        "root_path": "",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


async def status_of(app: FastAPI, scope: dict[str, Any]) -> int:
    """Call the application; the status of its answer."""
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, no_body, send)
    return statuses[0]


async def no_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
