"""`logs=json`: every line of a real server is JSON, joined to its request; off leaves no trace."""

import json
from pathlib import Path

import httpx
import pytest

from support import render
from test_start import START, free_port, python, serving


@pytest.mark.parametrize("answer", ["json", "text"])
def test_every_line_of_the_server_is_in_the_format(
    plain_template: Path, tmp_path: Path, answer: str
) -> None:
    project = render(plain_template, tmp_path / "project", {"logs": answer})
    port = free_port()
    with serving(project, python(*START, port=port), port) as server:
        url = f"http://127.0.0.1:{port}/api/private?access_token=secret"
        response = httpx.get(url, headers={"Authorization": "Bearer opaque"})
        assert response.status_code == 401
    if answer == "text":
        assert "X-Request-ID" not in response.headers
        assert not list(project.rglob("*logs*"))
        assert "structlog" not in (project / "pyproject.toml").read_text()
        return
    lines = [json.loads(line) for line in server.written.splitlines()]
    request_id = response.headers["X-Request-ID"]
    of_request = [line["event"] for line in lines if line.get("request_id") == request_id]
    assert of_request == ["auth.refused", "request"]
    assert {"uvicorn.error", "uvicorn.access"} <= {line["logger"] for line in lines}
    assert "secret" not in server.written
    assert "opaque" not in server.written.replace("opaque_token", "")
