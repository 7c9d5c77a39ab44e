"""A rotation of signing keys under attack: two processes, one database, good tokens at both.

    python3 hooks/bootstrap.py run benchmarks/key_rotation.py

An attacker sends tokens with unknown key ids to both all the time, which keeps a guard from reading
the keys again. The times of the guard and the issuer are scaled down by SCALE, so that all of it
takes seconds. Beside it, a rotation at once, as after a theft: a guard may refuse good tokens until
it reads the keys again, so its refusals are counted and have no bound.
"""

import asyncio
import json
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path

from client import ask as ask_guarded
from client import connect, raw_request
from harness import PACKAGE, Target, print_table, print_targets, say_where
from refresh import ask
from self_hosted import environment, login_request, prepare, self_hosted_project, served

SCALE = 60
SCALED = f"""
import sys, runpy
from datetime import timedelta
from {PACKAGE}.auth import keys as guard
guard.FRESH /= {SCALE}
guard.COOL_DOWN /= {SCALE}
from {PACKAGE}.issuer import app, keys
keys.PUBLISHED /= {SCALE}
keys.GRACE /= {SCALE}
app.RELOAD /= {SCALE}
"""
SERVE = SCALED + "import uvicorn; uvicorn.main()"
ROTATE = (
    SCALED + "sys.argv[0] = 'admin.py'; runpy.run_path('scripts/admin.py', run_name='__main__')"
)
SECONDS = 20.0  # published after 6, the old key goes after 22


def main() -> None:
    results: dict[str, list[int]] = {}
    with self_hosted_project() as project:
        say_where()
        for name, how in (("published first", []), ("at once", ["--now"])):
            url = f"sqlite:///{project}/{len(results)}.db"
            emails = prepare(url, 1)
            life = {"ACCESS_TOKEN_SECONDS": "60"}
            with served(project, url, processes=2, start=SERVE, **life) as apis:
                ports = [port for port, _ in apis]
                results[name] = asyncio.run(watch(project, url, ports, emails[0], how))
    rows = [[name, *found] for name, found in results.items()]
    print_table(["rotation", "good tokens sent", "refused", "key ids seen", "attacks"], rows)
    first = results["published first"]
    print_targets(
        Target("good tokens refused", first[1], 0),
        Target("key ids that signed", first[2], 2, at_least=True),
    )


async def watch(project: Path, url: str, ports: list[int], email: str, how: list[str]) -> list[int]:
    """How many good tokens were sent, how many refused, the key ids in them, and attacks."""
    sent = refused = attacks = 0
    kids: set[str] = set()
    over = time.perf_counter() + SECONDS
    unknown = 0

    async def attack(port: int) -> None:
        nonlocal attacks, unknown
        pool = await connect(port, 1)
        while time.perf_counter() < over:
            unknown += 1
            head = json.dumps({"alg": "RS256", "typ": "at+jwt", "kid": f"unknown{unknown}"})
            segment = urlsafe_b64encode(head.encode()).decode().rstrip("=")
            token = f"{segment}.e30.{'A' * 342}"
            await ask_guarded(port, pool, raw_request(token, "/api/private"), time.perf_counter())
            attacks += 1
            await asyncio.sleep(0.02)

    async def good() -> None:
        nonlocal sent, refused
        logins = [await asyncio.open_connection("127.0.0.1", port) for port in ports]
        pools = [await connect(port, 1) for port in ports]
        while time.perf_counter() < over:
            for reader, writer in logins:
                status, body = await ask(reader, writer, login_request(email))
                if status != 200:
                    raise SystemExit(f"a login was answered {status}")
                token = body["access_token"]
                kids.add(token.partition(".")[0])
                for port, pool in zip(ports, pools, strict=True):
                    request = raw_request(token, "/api/private")
                    answer = await ask_guarded(port, pool, request, time.perf_counter())
                    sent += 1
                    refused += answer.status != 200

    async def rotate() -> None:
        await asyncio.sleep(2)
        command = [sys.executable, "-c", ROTATE, "keys", "rotate", *how]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=project, env=environment(project, url), stdout=subprocess.DEVNULL
        )
        if await process.wait():
            raise SystemExit("keys rotate failed")

    await asyncio.gather(*(attack(port) for port in ports), good(), rotate())
    return [sent, refused, len(kids), attacks]


if __name__ == "__main__":
    main()
