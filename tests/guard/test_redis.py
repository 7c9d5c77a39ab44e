"""Used DPoP proofs in a real Redis: two workers share them, and no proof is accepted without it."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from guard.serving import settings

SERVER = shutil.which("redis-server")
URL = "http://testserver/api/private"

pytestmark = pytest.mark.skipif(
    SERVER is None, reason="there is no redis-server: apt-get install redis-server"
)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis of this test on a Unix socket: its URL and its process."""
    socket = tmp_path / "redis.sock"
    command = [str(SERVER), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            if socket.exists():
                break
            time.sleep(0.01)
        yield f"unix://{socket}", process
    finally:
        process.kill()
        process.wait()


def test_a_proof_is_good_once_for_all_workers(
    project: SimpleNamespace, tenant: Any, redis: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, process = redis
    chosen = settings(project, tenant, redis_url=url)
    workers = [TestClient(project.main.create_app(chosen, fetch=tenant.fetch)) for _ in range(2)]
    token = tenant.bound_token()

    def ask(worker: TestClient, proof: str) -> int:
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        return worker.get("/api/private", headers=headers).status_code

    with workers[0], workers[1]:
        first, second = (tenant.proof(token, "GET", URL) for _ in range(2))
        assert [ask(worker, first) for worker in workers] == [200, 401]
        assert [ask(worker, second) for worker in reversed(workers)] == [200, 401]
        process.kill()
        process.wait()
        assert ask(workers[0], tenant.proof(token, "GET", URL)) == 503
        bearer = {"Authorization": f"Bearer {tenant.token()}"}
        assert workers[0].get("/api/private", headers=bearer).status_code == 200


def test_a_crowd_of_proofs_waits_for_a_connection(
    project: SimpleNamespace, tenant: Any, redis: tuple[str, subprocess.Popen[bytes]]
) -> None:
    """More at once than there may be connections: none is refused, and Redis sees few."""
    url, _ = redis
    app = project.main.create_app(settings(project, tenant, redis_url=url), fetch=tenant.fetch)
    token = tenant.bound_token()
    proofs = [tenant.proof(token, "GET", URL) for _ in range(300)]

    async def ask_all() -> tuple[set[int], int]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
        ):
            asked = [
                client.get("/api/private", headers={"Authorization": f"DPoP {token}", "DPoP": one})
                for one in proofs
            ]
            statuses = {response.status_code for response in await asyncio.gather(*asked)}
            clients = await app.state.guard.proofs.redis.client_list()
            return statuses, len(clients)

    statuses, connections = asyncio.run(ask_all())
    assert statuses == {200}
    assert connections <= 10
