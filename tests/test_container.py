"""`container=true`: buildah builds the image without an engine; it runs read-only, as its user.

Nothing is pulled. The base images are made here, under the tags that the Dockerfile names: Python's
from Debian's packages, by debootstrap, and uv's from the uv of this machine.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import trustme
import yaml

from guard.serving import served
from support import EXAMPLE, ROOT, render, run, uv
from test_start import free_port

COMPOSE = [["docker", "compose"], ["docker-compose"]]
TOOLS = ("buildah", "debootstrap", "chroot", "mount")
MISSING = [tool for tool in TOOLS if not shutil.which(tool)]
DOCKERFILE = ROOT / "template" / "{% if container %}Dockerfile{% endif %}.jinja"
SELF_HOSTED: dict[str, Any] = {
    "container": True,
    "identity": "self_hosted",
    "auth0_setup": "automatic",
    "authorization": "permissions",
    "database": True,
    "dpop": "off",
    "token_dialect": "rfc9068_profile",
}
AUTHORITY = "etc/tenant.pem"  # in the container: who signed the certificate of the tenant here
MAX_SIZE = 100  # MB beyond the base image
GRACE = 10.0  # seconds that Docker waits after SIGTERM

real = [
    pytest.mark.skipif(bool(MISSING), reason=f"missing, apt-get installs it: {' '.join(MISSING)}"),
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can chroot"),
]


class Images:
    """buildah with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str | Path) -> str:
        store = ["--root", str(self.folder / "root"), "--runroot", str(self.folder / "run")]
        command = ["buildah", *store, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"buildah {arguments}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def add_base(self, tag: str, source: Path, target: str) -> None:
        """Make an image of one archive or file."""
        container = self("from", "scratch")
        self("add", container, source, target)
        self("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", container)
        self("commit", "--quiet", "--rm", container, tag)

    def config(self, image: str) -> dict[str, Any]:
        """How the image is run."""
        config: dict[str, Any] = json.loads(self("inspect", "--type", "image", image))["Docker"]
        return dict(config["config"])

    def size(self, image: str) -> int:
        return int(json.loads(self("images", "--json", image))[0]["size"].split()[0])


def debian() -> Path:
    """The files of a minimal Debian with Python; kept, since they take 40 seconds to make."""
    kept = ROOT / ".tools" / "debian-python.tar"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            files, archive = Path(folder, "files"), Path(folder, "archive.tar")
            packages = "--include=python3,python3-venv"
            done = run(["debootstrap", "--variant=minbase", packages, "bookworm", files], ROOT)
            assert done.returncode == 0, done.stdout[-2000:]
            assert run(["tar", "-C", files, "-cf", archive, "."], ROOT).returncode == 0
            archive.rename(kept)
    return kept


def lock(project: Path) -> None:
    """Lock as of the day that the tests do, which a build has to find in the project."""
    settings = project / "pyproject.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("7 days", os.environ["UV_EXCLUDE_NEWER"]), encoding="utf-8")
    assert run([uv(), "lock", "--quiet"], project).returncode == 0


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is ready to be built, with what must not get into its image."""
    folder = tmp_path_factory.mktemp("container") / "project"
    project = render(plain_template, folder, {"container": True})
    lock(project)
    (project / ".env").write_text("SECRET=in-no-image\n")
    (project / "src" / "my_api" / "__pycache__").mkdir()
    (project / "src" / "my_api" / "__pycache__" / "stale.pyc").touch()
    return project


@pytest.fixture(scope="module")
def self_hosted(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a database and users of its own."""
    project = render(plain_template, tmp_path_factory.mktemp("own") / "project", SELF_HOSTED)
    lock(project)
    return project


@pytest.fixture(scope="module")
def images(
    project: Path, self_hosted: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Images]:
    """The store with the images of both projects, `api` and `own`, and their base."""
    folder = tmp_path_factory.mktemp("images")
    images = Images(folder)
    settings = folder / "uv.toml"  # so that uv trusts in the build whom this machine trusts
    settings.write_text("system-certs = true\n")
    volumes = [f"{settings}:/etc/uv/uv.toml:ro", "/etc/ssl/certs:/etc/ssl/certs:ro"]
    named = re.findall(r"^FROM (\S+)", (project / "Dockerfile").read_text(), re.MULTILINE)
    try:
        images.add_base(named[0], Path(uv()), "/uv")
        images.add_base(named[1], debian(), "/")
        options = ["--isolation=chroot", "--pull-never", "--format=docker", "--layers"]
        options += [f"--volume={volume}" for volume in volumes]
        images("bud", *options, "--tag=api", project)
        images("bud", *options, "--tag=own", self_hosted)
        images("tag", named[1], "base")
        yield images
    finally:
        images("rm", "--all")
        images("rmi", "--all", "--force")
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def files(images: Images, image: str = "api") -> Iterator[Path]:
    """The files of an image, as a folder."""
    container = images("from", "--pull-never", image)
    try:
        yield Path(images("mount", container))
        images("umount", container)
    finally:
        images("rm", container)


@contextmanager
def running(
    images: Images, authority: trustme.CA, folder: Path, image: str = "api", **settings: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run an image as it says, its files read-only but /data; gives its URL and its process."""
    config, port = images.config(image), free_port()
    environment = dict(line.split("=", 1) for line in config["Env"])
    environment |= {"UVICORN_PORT": str(port), "SSL_CERT_FILE": f"/{AUTHORITY}"} | settings
    with files(images, image) as writable, ExitStack() as mounts:
        authority.cert_pem.write_to_path(str(writable / AUTHORITY))
        folder.mkdir()
        subprocess.run(["mount", "--bind", "-o", "ro", writable, folder], check=True)
        mounts.callback(unmount, folder)
        if (folder / "data").exists():
            subprocess.run(["mount", "--bind", writable / "data", folder / "data"], check=True)
            mounts.callback(unmount, folder / "data")
        inside = ["/usr/bin/env", "-C", config["WorkingDir"], *config["Cmd"]]
        with folder.with_suffix(".log").open("w") as log:
            process = subprocess.Popen(
                [str(shutil.which("chroot")), f"--userspec={config['User']}", folder, *inside],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 30
            while process.poll() is None and time.monotonic() < deadline and not answers(url):
                time.sleep(0.05)
            assert answers(url), folder.with_suffix(".log").read_text()
            yield url, process
        finally:
            process.kill()
            process.wait()


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", folder], check=True)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def memory_tenant(project: Path, domain: str) -> Any:
    """The tenant of the project's tests."""
    spec = importlib.util.spec_from_file_location(
        "image_tenant", project / "tests" / "memory_tenant.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Tenant(domain)


def publisher(tenant: Any) -> Any:
    """The documents of a tenant, as an application."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            document = await tenant.fetch(f"{tenant.issuer.rstrip('/')}{scope['path']}")
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps(document).encode()})

    return app


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tenant(project: Path, authority: trustme.CA, tmp_path: Path) -> Iterator[Any]:
    """A tenant on loopback, over TLS."""
    certificate = tmp_path / "tenant.pem"
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    tenant = memory_tenant(project, "127.0.0.1")
    with served(publisher(tenant), ssl_certfile=str(certificate)) as (host, port):
        tenant.__init__(f"{host}:{port}")
        yield tenant


class TestImage:
    """What is in the image, and how it runs."""

    pytestmark = real

    def test_it_holds_the_api_and_nothing_else(self, images: Images) -> None:
        with files(images) as image, files(images, "base") as base:
            assert [path.name for path in (image / "app").iterdir()] == [".venv"]
            packages = next((image / "app").glob(".venv/lib/python*/site-packages"))
            installed = {path.name.partition("-")[0] for path in packages.iterdir()}
            assert {"my_api", "auth0_fastapi_api", "uvicorn", "redis"} <= installed
            assert not installed & {"pytest", "mypy", "ruff", "hypothesis", "pip", "auth0"}
            assert not list(image.glob("app/**/memory_tenant*"))
            assert not list(image.glob("app/**/stale.pyc"))
            assert list((packages / "my_api").glob("__pycache__/main.*.pyc")), "not compiled"
            assert not (image / "bin" / "uv").exists()
            added = run(["find", image, "-xdev", "-type", "f"], ROOT).stdout.splitlines()
            before = run(["find", base, "-xdev", "-type", "f"], ROOT).stdout.splitlines()
            known = {Path(line).relative_to(base) for line in before}
            new = {Path(line).relative_to(image) for line in added} - known
            assert [path for path in new if path.parts[:2] != ("app", ".venv")] == []
            writable = {path for path in new if (image / path).stat().st_mode & 0o022}
            assert writable <= {Path("app/.venv/.lock")}  # uv's, and empty

    def test_it_says_how_it_runs(self, images: Images) -> None:
        config = images.config("api")
        assert config["User"] == "10001:10001"
        assert "8000/tcp" in config["ExposedPorts"]
        assert not [line for line in config["Env"] if "AUTH0" in line or "SECRET" in line]
        history = images("inspect", "--type", "image", "api")
        assert "in-no-image" not in history

    def test_its_size(self, images: Images, record_property: Any) -> None:
        size = (images.size("api") - images.size("base")) / 1_000_000
        record_property("image beyond its base, MB", round(size))
        assert size < MAX_SIZE

    def test_it_answers_and_is_healthy(
        self, images: Images, authority: trustme.CA, tenant: Any, tmp_path: Path
    ) -> None:
        known = {"AUTH0_DOMAIN": tenant.domain, "AUTH0_AUDIENCE": tenant.audience}
        with running(images, authority, tmp_path / "image", **known) as (url, _):
            assert httpx.get(f"{url}/api/public").status_code == 200
            assert httpx.get(f"{url}/api/private").status_code == 401
            bearer = {"Authorization": f"Bearer {tenant.token('read:messages')}"}
            assert httpx.get(f"{url}/api/messages", headers=bearer).status_code == 200
            check = images.config("api")["Healthcheck"]["Test"][1:]
            for port, good in [(url.rpartition(":")[2], True), (str(free_port()), False)]:
                probe = [word.replace("8000", port) for word in check]
                inside = ["env", "PATH=/app/.venv/bin:/usr/bin", *probe]
                done = run(["chroot", "--userspec=10001:10001", tmp_path / "image", *inside], ROOT)
                assert (done.returncode == 0) is good, done.stdout

    def test_it_stops_within_its_grace(
        self, images: Images, authority: trustme.CA, tenant: Any, tmp_path: Path
    ) -> None:
        """Even with a request whose body never ends."""
        known = {"AUTH0_DOMAIN": tenant.domain, "AUTH0_AUDIENCE": tenant.audience}
        with running(images, authority, tmp_path / "image", **known) as (url, process):
            token = tenant.token("read:messages", "write:messages")
            head = [
                "POST /api/messages HTTP/1.1",
                "Host: api",
                f"Authorization: Bearer {token}",
                "Content-Type: application/json",
                "Content-Length: 100",
            ]
            port = int(url.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall("\r\n".join([*head, "", '{"text":']).encode())
                time.sleep(0.5)
                asked = time.monotonic()
                process.terminate()
                process.wait(GRACE)
                assert time.monotonic() - asked < GRACE
            assert token not in (tmp_path / "image.log").read_text()

    def test_one_with_users_keeps_them_in_its_data(
        self, images: Images, authority: trustme.CA, tmp_path: Path
    ) -> None:
        settings = {
            "ENVIRONMENT": "development",
            "AUTH_ISSUER": "https://localhost:8000/",
            "AUTH_AUDIENCE": "https://api.example.com",
            "ISSUER_KEY_SECRET": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        }
        with running(images, authority, tmp_path / "own", "own", **settings) as (url, _):
            assert httpx.get(f"{url}/.well-known/jwks.json").json()["keys"]
            assert httpx.get(f"{url}/api/private").status_code == 401
            assert [path.name for path in (tmp_path / "own/data").glob("*.db")] == ["my_api.db"]
            environment = images.config("own")["Env"] + [f"{k}={v}" for k, v in settings.items()]
            migrate = ["python", "scripts/admin.py", "migrate"]
            inside = ["/usr/bin/env", "-C", "/app", *environment, *migrate]
            done = run(["chroot", "--userspec=10001:10001", tmp_path / "own", *inside], ROOT)
            assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("status", "good"), [(200, True), (503, False), (None, False)])
def test_its_health_is_asked_of_itself(
    plain_template: Path, tmp_path: Path, status: int | None, good: bool
) -> None:
    """Not of the proxy that a runtime sets for all containers."""
    project = render(plain_template, tmp_path / "project", {"container": True})
    dockerfile = (project / "Dockerfile").read_text().replace("\\\n", "")
    found = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert found

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert status
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port if status else free_port()
        command = [word.replace("8000", str(port)) for word in json.loads(found[1])]
        proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY"), f"http://127.0.0.1:{free_port()}")
        done = run([sys.executable, *command[1:]], ROOT, proxies)
        server.shutdown()
    assert (done.returncode == 0) is good, done.stdout


@pytest.mark.parametrize("answers", [{"container": True}, SELF_HOSTED], ids=["auth0", "own"])
def test_the_build_sees_what_it_copies(
    plain_template: Path, tmp_path: Path, answers: dict[str, Any]
) -> None:
    """So .env cannot get into an image, whatever the Dockerfile becomes."""
    project = render(plain_template, tmp_path / "project", answers)
    ignored = (project / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = set()
    for line in (project / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert let_in == copied


@pytest.mark.parametrize("dpop", ["off", "accepted"])
def test_the_compose_file_runs_the_image_with_least_rights(
    plain_template: Path, tmp_path: Path, dpop: str
) -> None:
    project = render(plain_template, tmp_path / "project", {"container": True, "dpop": dpop})
    services = yaml.safe_load((project / "compose.yaml").read_text())["services"]
    assert set(services) == ({"api"} if dpop == "off" else {"api", "redis"})
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    dockerfile = (project / "Dockerfile").read_text()
    assert ("redis" in dockerfile) is (dpop != "off")
    found = re.search(r'"--timeout-graceful-shutdown", "(\d+)"', dockerfile)
    assert found
    assert int(found[1]) < int(services["api"]["stop_grace_period"].removesuffix("s"))


@pytest.mark.parametrize("answers", [{"container": True}, SELF_HOSTED], ids=["auth0", "own"])
def test_compose_takes_its_file(
    plain_template: Path, tmp_path: Path, answers: dict[str, Any]
) -> None:
    """Its schema, and what the services name; without an engine."""
    there = [command for command in COMPOSE if shutil.which(command[0])]
    found = [command for command in there if run([*command, "version"], ROOT).returncode == 0]
    if not found:
        pytest.skip("Docker Compose is missing: apt-get installs docker-compose")
    project = render(plain_template, tmp_path / "project", answers | {"behind_proxy": True})
    done = run([*found[0], "config", "--quiet"], project)
    assert done.returncode == 0, done.stdout
    compose = project / "compose.yaml"
    compose.write_text(compose.read_text().replace("read_only:", "readonly:"))
    assert run([*found[0], "config", "--quiet"], project).returncode != 0


def test_a_proxy_on_the_host_is_believed_in_a_container(
    plain_template: Path, tmp_path: Path
) -> None:
    """It comes through a network of Docker, not from 127.0.0.1."""
    for behind_proxy in (True, False):
        answers = {"container": True, "dpop": "off", "behind_proxy": behind_proxy}
        project = render(plain_template, tmp_path / str(behind_proxy), answers)
        api = yaml.safe_load((project / "compose.yaml").read_text())["services"]["api"]
        trusted = api.get("environment", {}).get("TRUSTED_PROXIES", "")
        networks = [ip_network(each.strip()) for each in trusted.split(",") if each]
        for gateway in ("172.17.0.1", "172.31.0.1", "192.168.0.1"):
            assert any(ip_address(gateway) in one for one in networks) is behind_proxy


def test_the_image_starts_the_command_of_the_readme(plain_template: Path, tmp_path: Path) -> None:
    project = render(plain_template, tmp_path / "project", {"container": True})
    dockerfile = (project / "Dockerfile").read_text().replace("\\\n", "")
    found = re.search(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert found
    command = json.loads(found[1])
    at = command.index("--host")
    del command[at : at + 2]  # A container listens on all its addresses.
    readme = (project / "README.md").read_text()
    assert f"uv run {shlex.join(command)}\n" in readme


def test_no_trace_without_the_answer(plain_template: Path, tmp_path: Path) -> None:
    project = render(plain_template, tmp_path / "project")
    assert not {"Dockerfile", ".dockerignore", "compose.yaml"} & {
        path.name for path in project.iterdir()
    }
    assert "container" not in EXAMPLE
