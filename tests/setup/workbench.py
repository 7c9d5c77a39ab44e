"""What the tests of this folder share: a developer's machine with a project, and a tenant."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from setup.auth0_stand_in import required_scopes
from setup.forked import ENVIRONMENT, Forked
from setup.loopback_tenant import LoopbackTenant

HERE = Path(__file__).resolve().parent
AUDIENCE = "https://my-api.example.com"
CLOSED = "http://127.0.0.1:9"  # a proxy that is not there: nothing but loopback can be reached
KNOWN = {  # variables of every process
    *("HOME", "PATH", "UV_PROJECT_ENVIRONMENT", "SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY"),
    *("DBUS_SESSION_BUS_ADDRESS", *ENVIRONMENT),
}
Process: TypeAlias = "Forked | subprocess.Popen[str]"
OWN = "# the person's own line\nOTHER='kept'\n"  # of .env, before the set-up comes
PAST, FUTURE = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
EXECUTABLE = """\
#!{python} -ISE
import sys
sys.path.append({here!r})
from auth0_stand_in import main
sys.exit(main({folder!r}))
"""


@dataclass
class Machine:
    """A home, a folder on PATH and a project of their own, all below `root`."""

    root: Path
    tenant: LoopbackTenant
    certificates: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.home, self.programs):
            folder.mkdir(parents=True)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def programs(self) -> Path:
        return self.root / "bin"

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def env_file(self) -> Path:
        return self.project / ".env"

    @property
    def config(self) -> Path:
        """Where the executable keeps its logins."""
        return self.home / ".config" / "auth0" / "config.json"

    @property
    def calls(self) -> list[list[str]]:
        """How the executable was called, without the flags that are the same everywhere."""
        path = self.programs / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def install(self, **state: Any) -> None:
        """Put the stand-in on PATH, in this version and state."""
        state = {"pace": 0.05, **state}
        (self.programs / "stand_in.json").write_text(json.dumps(state))
        executable = self.programs / "auth0"
        python = Path(sys.executable).resolve()
        executable.write_text(
            EXECUTABLE.format(python=python, here=str(HERE), folder=str(self.programs))
        )
        executable.chmod(0o755)

    def login(self, domain: str = "", **changes: Any) -> dict[str, Any]:
        """A login of a user, who granted what every version asks for."""
        return {
            "name": domain or self.tenant.domain,
            "domain": domain or self.tenant.domain,
            "access_token": self.tenant.management_token(),
            "scopes": required_scopes((99,)),
            "expires_at": FUTURE,
            "client_id": "",
            **changes,
        }

    def log_in(self, *logins: dict[str, Any]) -> None:
        """Write the executable's configuration; without an argument, a login to the tenant."""
        tenants = {login["domain"]: login for login in logins or (self.login(),)}
        config = {"default_tenant": next(iter(tenants)), "tenants": tenants}
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(json.dumps(config))

    def env(self) -> dict[str, str]:
        """The whole environment of a process on this machine."""
        return {
            "HOME": str(self.home),
            "PATH": os.pathsep.join([str(self.programs), "/usr/bin", "/bin"]),
            **ENVIRONMENT,
            "UV_PROJECT_ENVIRONMENT": sys.prefix,  # what the project imports is there
            "SSL_CERT_FILE": str(self.certificates),
            "HTTPS_PROXY": CLOSED,
            "NO_PROXY": "localhost,127.0.0.1",
            "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent",
            **self.environment,
        }

    def use(self, via: str) -> None:
        """Make this way to the tenant work: the executable and a login, or a machine's secret."""
        if via == "cli":
            self.install()
            self.log_in()
            return
        client_id, secret = self.tenant.add_machine()
        self.environment |= {
            "AUTH0_DOMAIN": self.tenant.domain,
            "AUTH0_CLIENT_ID": client_id,
            "AUTH0_CLIENT_SECRET": secret,
        }

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "fastapi_auth0_template", *self.words(*arguments)]

    def words(self, command: str, *rest: str) -> list[str]:
        """The command line after the name of the tool."""
        return [command, "--project", str(self.project), *rest]

    def start(self, *arguments: str, stdin: str = "", **environment: str) -> "Process":
        """The tool in a process group of its own, without a terminal, with this text on stdin."""
        environment = self.env() | environment
        if self._like_others(environment):
            return Forked(self.words(*arguments), self.project, environment, stdin)
        assert not stdin
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _like_others(self, environment: dict[str, str]) -> bool:
        """Whether an interpreter and its libraries start with this as they do on every machine."""
        own = {name for name in environment if not name.startswith(("AUTH0_", "ALL_PROXY"))}
        return own == KNOWN and environment == environment | ENVIRONMENT

    def run(self, *arguments: str, **environment: str) -> "Done":
        """The tool from start to end."""
        return self._end(self.start(*arguments, **environment))

    def feed(self, text: str, *arguments: str) -> "Done":
        """The tool with this text on stdin."""
        return self._end(self.start(*arguments, stdin=text))

    def _end(self, process: "Process") -> "Done":
        try:
            stdout, stderr = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=60)
            raise
        assert process.returncode is not None
        return Done(process.returncode, stdout, stderr)

    def setup(self, *arguments: str) -> "Done":
        """`setup` with all that it can create, and without questions."""
        return self.run("setup", "--yes", "--test-app", "--docs-app", *arguments)

    # --------------------------------------------------------------------------------- checks

    def snapshot(self) -> dict[str, bytes]:
        """Every file of the project, .env apart."""
        return {
            str(path.relative_to(self.project)): path.read_bytes()
            for path in self.project.rglob("*")
            if path.is_file() and path != self.env_file and path.parent.name != "__pycache__"
        }

    def settings(self) -> dict[str, str]:
        """What .env says."""
        lines = self.env_file.read_text().splitlines() if self.env_file.exists() else []
        pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
        return {name: value for name, _, value in pairs}

    def assert_env_whole(self) -> None:
        """.env is as it was, or says all that it should."""
        text = self.env_file.read_text()
        assert text == OWN or self.settings().get("AUTH0_DOCS_CLIENT_ID")
        assert text.startswith(OWN)

    def assert_nothing_twice(self) -> None:
        """However often the set-up ran: no API, application or grant is in the tenant twice."""
        assert len(self.tenant.apis(AUDIENCE)) <= 1
        for purpose in ("test", "docs"):
            assert len(self.tenant.applications(purpose)) <= 1
        pairs = [(grant["client_id"], grant["audience"]) for grant in self.tenant.grants]
        assert len(pairs) == len(set(pairs))

    def assert_complete(self) -> None:
        """The tenant holds all that was asked for, once, and .env names it."""
        self.assert_nothing_twice()
        (api,) = self.tenant.apis(AUDIENCE)
        assert {scope["value"] for scope in api["scopes"]} >= {"read:messages", "write:messages"}
        (test,), (docs,) = self.tenant.applications("test"), self.tenant.applications("docs")
        (grant,) = [g for g in self.tenant.grants if g["client_id"] == test["client_id"]]
        assert sorted(grant["scope"]) == ["read:messages", "write:messages"]
        assert self.env_file.read_text().startswith(OWN)
        assert self.settings() == {
            "OTHER": "'kept'",
            "AUTH0_DOMAIN": self.tenant.domain,
            "AUTH0_AUDIENCE": AUDIENCE,
            "AUTH0_TEST_CLIENT_ID": test["client_id"],
            "AUTH0_TEST_CLIENT_SECRET": test["client_secret"],
            "AUTH0_DOCS_CLIENT_ID": docs["client_id"],
        }
        assert self.env_file.stat().st_mode & 0o777 == 0o600
        assert not list(self.project.glob(".env.new-*"))

    def finish(self, *arguments: str) -> None:
        """Nothing is wrong any more, and the person runs it again: that completes the job."""
        self.tenant.faults.clear()
        self.tenant.gate = None
        done = self.setup(*arguments)
        assert done.code == 0, done
        self.assert_complete()


@dataclass(frozen=True)
class Done:
    """How a process ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        """Both streams on one line: messages are wrapped."""
        return " ".join(f"{self.stdout} {self.stderr}".split())

    def says(self, *texts: str) -> None:
        """The messages are there, and no traceback is."""
        for text in texts:
            assert text in self.said, self
        assert "Traceback" not in self.said, self


def commands(calls: Sequence[Sequence[str]]) -> list[str]:
    """The first words of each call."""
    return [" ".join(call[:2]) for call in calls]
