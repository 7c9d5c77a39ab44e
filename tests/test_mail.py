"""Mail of a self-hosted project: served in production, with a real mail server on loopback."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from support import SELF_HOSTED, render, run

ADMIN, PASSWORD, NEW = "admin@example.com", "correct horse battery staple", "another passphrase"
ADDRESS = "https://app.example.com/link"
SECRET = "p@ss:word"
REFUSED = "550 5.7.1 go away, refused@example.com"


class Letters:
    """Keeps what it receives; refuses mail to `refused@`, and who has not said SECRET."""

    def __init__(self) -> None:
        self.received: list[tuple[list[str], Message]] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, to: str, _: Any) -> str:
        if to.startswith("refused@"):
            return REFUSED
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.received.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"

    def wait(self, to: str) -> str:
        """The text of the next mail to somebody."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for letter in self.received:
                if letter[0] == [to]:
                    self.received.remove(letter)
                    return str(letter[1].get_payload())
            time.sleep(0.05)
        raise AssertionError(f"no mail to {to}: {self.received}")


def link_in(text: str) -> str:
    """The token of the link in a mail."""
    found = re.search(rf"^{re.escape(ADDRESS)}#token=(\S+)$", text.replace("\r", ""), re.MULTILINE)
    assert found, text
    return found[1]


def authenticate(*arguments: Any) -> AuthResult:
    login = arguments[-1]
    good = isinstance(login, LoginPassword) and login.password == SECRET.encode()
    return AuthResult(success=good and login.login == b"api")


class Served:
    """The API, its log and its mail."""

    def __init__(self, url: str, log: Path, letters: Letters) -> None:
        self.http = httpx.Client(base_url=url, timeout=30)
        self.log, self.letters = log, letters

    def post(self, path: str, **body: str) -> httpx.Response:
        return self.http.post(path, json=body)

    def log_in(self, email: str, password: str) -> dict[str, str]:
        answer = self.post("/auth/login", email=email, password=password)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def new_user(self, email: str) -> dict[str, str]:
        """A user with a confirmed address, logged in."""
        admin = self.log_in(ADMIN, PASSWORD)
        made = self.http.post("/api/users", headers=admin, json={"email": email})
        assert made.status_code == 201, made.text
        token = link_in(self.letters.wait(email))
        answer = self.post("/auth/reset/confirm", token=token, password=PASSWORD)
        assert answer.status_code == 204, answer.text
        return self.log_in(email, PASSWORD)

    def failures(self, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 20
        while True:
            lines = self.log.read_text("utf-8").splitlines()
            found = [json.loads(li[li.index("{") :]) for li in lines if "mail_failed" in li]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def served(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The project in production, whose mail server wants STARTTLS and a password."""
    folder = tmp_path_factory.mktemp("mail")
    project = render(plain_template, folder / "project", SELF_HOSTED)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    letters = Letters()
    mail_port, port = free_port(), free_port()
    controller = Controller(
        letters,
        hostname="localhost",
        port=mail_port,
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    )
    values = {
        "PYTHONPATH": str(project / "src"),
        "SSL_CERT_FILE": str(folder / "ca.pem"),
        "ENVIRONMENT": "production",
        "AUTH_ISSUER": "https://api.example.com/",
        "SMTP_URL": f"smtp+starttls://api:p%40ss%3Aword@localhost:{mail_port}",
        "MAIL_FROM": "Example <no-reply@example.com>",
        "LINK_URL": ADDRESS,
        "REGISTRATION": "open",
    }
    init = [sys.executable, "scripts/admin.py", "init", ADMIN]
    made = subprocess.run(
        init,
        input=f"{PASSWORD}\n",
        cwd=project,
        env={**os.environ, **values},
        text=True,
        capture_output=True,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    controller.start()
    start = ["-m", "uvicorn", "--factory", "my_api.main:create_app", "--port", str(port)]
    try:
        with (folder / "log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, *start],
                cwd=project,
                env={**os.environ, **values},
                stdout=log,
                stderr=log,
            )
        served = Served(f"http://127.0.0.1:{port}", folder / "log", letters)
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, served.log.read_text("utf-8")
            assert time.monotonic() < deadline, "the server does not answer"
            try:
                served.http.get("/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield served
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        served.http.close()
        controller.stop()


def test_who_registers_confirms_the_address_and_sets_a_password(served: Served) -> None:
    ada = "ada@example.com"
    answer = served.post("/auth/register", email=ada, password=PASSWORD)
    assert answer.status_code == 202
    token = link_in(served.letters.wait(ada))
    stranger = served.log_in(ada, PASSWORD)
    assert served.post("/auth/verify", token=token).status_code == 204
    assert served.post("/auth/verify", token=token).status_code == 400
    assert served.http.get("/api/users/me", headers=stranger).status_code == 401
    assert served.post("/auth/login", email=ada, password=PASSWORD).status_code == 401


def test_who_registers_sets_the_password_with_the_link(served: Served) -> None:
    gus = "gus@example.com"
    assert served.post("/auth/register", email=gus, password=PASSWORD).status_code == 202
    token = link_in(served.letters.wait(gus))
    assert served.post("/auth/verify", token=token, password=NEW * 2).status_code == 422
    assert served.post("/auth/verify", token=token, password=PASSWORD).status_code == 204
    served.log_in(gus, PASSWORD)


def test_register_and_reset_answer_the_same_for_any_address(served: Served) -> None:
    served.new_user("bob@example.com")
    served.post("/auth/register", email="cleo@example.com", password=PASSWORD)
    link_in(served.letters.wait("cleo@example.com"))
    answers = []
    for email in ("dan@example.com", ADMIN, "cleo@example.com", "refused@example.com"):
        answer = served.post("/auth/register", email=email, password=PASSWORD)
        answers.append((answer.status_code, answer.text))
    for email in ("bob@example.com", "nobody@example.com"):
        answer = served.post("/auth/reset", email=email)
        answers.append((answer.status_code, answer.text))
    assert set(answers) == {(202, '{"message":"If the address is known, a message is on its way"}')}
    note = served.letters.wait(ADMIN)
    assert "tried to register" in note
    assert "#token=" not in note
    token = link_in(served.letters.wait("bob@example.com"))
    assert served.post("/auth/reset/confirm", token=token, password=NEW).status_code == 204
    served.log_in("bob@example.com", NEW)
    link_in(served.letters.wait("dan@example.com"))
    assert served.letters.received == [], "one mail a minute, and none to strangers"


def test_who_registers_another_s_address_stops_no_reset_of_theirs(served: Served) -> None:
    """Else a stranger who also fails to log in a hundred times would lock the owner out."""
    served.new_user("hal@example.com")
    assert served.post("/auth/register", email="hal@example.com", password=NEW).status_code == 202
    assert "tried to register" in served.letters.wait("hal@example.com")
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(lambda _: served.post("/auth/reset", email="hal@example.com"), range(8))
    assert {answer.status_code for answer in asked} == {202}
    link_in(served.letters.wait("hal@example.com"))
    time.sleep(0.5)
    assert served.letters.received == [], "one mail a minute, however many ask at once"


def test_a_mail_server_that_refuses_is_one_line_without_a_secret(served: Served) -> None:
    before = len(served.failures(0))
    answer = served.post("/auth/register", email="refused@example.net", password=PASSWORD)
    assert answer.status_code == 202
    line = served.failures(before + 1)[-1]
    assert line["event"] == "issuer.mail_failed"
    assert re.fullmatch("[0-9a-f]{16}", line["email"])
    log = served.log.read_text("utf-8")
    for secret in (SECRET, "p%40ss", "refused@", "#token=", "Traceback", "go away"):
        assert secret not in log


SILENT = """
import asyncio, time
from my_api.issuer import mail

mail.LONGEST, mail.ANSWER = 2, 1

async def talk(reader, writer):
    writer.write(b"220 hello\\r\\n")
    while line := await reader.readline():
        if line.startswith(b"EHLO"):
            writer.write(b"250 localhost\\r\\n")

async def work():
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    began = time.monotonic()
    await mail.Mail(f"smtp://127.0.0.1:{port}", "a@example.com").note("b@example.com", "changing")
    print("given up after", int(time.monotonic() - began), "seconds")

asyncio.run(work())
"""


def test_a_mail_server_that_falls_silent_is_given_up(plain_template: Path, tmp_path: Path) -> None:
    """Also while it is told that nothing more comes, which aiosmtplib waits a minute for."""
    project = render(plain_template, tmp_path / "project", SELF_HOSTED)
    done = run([sys.executable, "-c", SILENT], project, {"PYTHONPATH": str(project / "src")})
    assert done.returncode == 0, done.stdout
    assert "mail_failed" in done.stdout
    given_up = re.search(r"given up after (\d+) seconds", done.stdout)
    assert given_up, done.stdout
    assert int(given_up[1]) < 20


def test_a_new_address_counts_when_its_owner_confirms_it(served: Served) -> None:
    old, new = "eve@example.com", "eve@example.org"
    eve = served.new_user(old)
    body = {"email": new, "current_password": PASSWORD}
    answer = served.http.patch("/api/users/me", headers=eve, json=body)
    assert (answer.status_code, answer.json()["email"]) == (200, old)
    assert "another e-mail address" in served.letters.wait(old)
    token = link_in(served.letters.wait(new))
    assert served.http.get("/api/users/me", headers=eve).json()["email"] == old
    assert served.http.patch("/api/users/me", headers=eve, json=body).status_code == 429
    assert served.post("/auth/verify", token=token).status_code == 204
    eve = served.log_in(new, PASSWORD)
    me = served.http.get("/api/users/me", headers=eve).json()
    assert (me["email"], me["email_verified"]) == (new, True)


def test_a_new_address_that_is_taken_gets_no_link(served: Served) -> None:
    fay = served.new_user("fay@example.com")
    body = {"email": ADMIN, "current_password": PASSWORD}
    answer = served.http.patch("/api/users/me", headers=fay, json=body)
    assert (answer.status_code, answer.json()["email"]) == (200, "fay@example.com")
    served.letters.wait("fay@example.com")
    time.sleep(0.5)
    assert served.letters.received == []


GOOD = {
    "SMTP_URL": "smtps://api:secret@mail.example.com:465",
    "MAIL_FROM": "api@example.com",
    "LINK_URL": ADDRESS,
}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"SMTP_URL": "smtp://127.0.0.1:25"}, ""),
        ({"SMTP_URL": "smtp://[::1]"}, ""),
        ({"SMTP_URL": "smtp+starttls://api:secret@mail.example.com"}, ""),
        ({"SMTP_URL": "smtp://api:secret@mail.example.com"}, "SMTP_URL: type smtps://"),
        ({"SMTP_URL": "smtp://localhost.example.com"}, "SMTP_URL: type smtps://"),
        ({"SMTP_URL": "smtps://api@mail.example.com"}, "SMTP_URL: type smtps://"),
        ({"SMTP_URL": "smtps://mail.example.com:secret"}, "SMTP_URL: type smtps://"),
        ({"SMTP_URL": "mail.example.com"}, "SMTP_URL: type smtps://"),
        ({"MAIL_FROM": ""}, "MAIL_FROM: SMTP_URL needs it"),
        ({"MAIL_FROM": "nobody"}, "MAIL_FROM: 'nobody': type an address"),
        ({"MAIL_FROM": "o'brien@example.com"}, ""),
        ({"MAIL_FROM": "'api@example.com'"}, "contains a quote: type an address"),
        ({"MAIL_FROM": '"api@example.com"'}, "contains a quote: type an address"),
        ({"SMTP_URL": '"smtps://mail.example.com"'}, "SMTP_URL: it contains a quote: type smtps"),
        ({"LINK_URL": ""}, "LINK_URL: SMTP_URL needs it"),
        ({"LINK_URL": "http://app.example.com"}, "type a URL with https"),
        ({"SMTP_URL": ""}, "MAIL_FROM: 'api@example.com': it needs SMTP_URL"),
        ({"SMTP_URL": "", "MAIL_FROM": "", "REGISTRATION": "open"}, "production needs SMTP_URL"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    project: Path, change: dict[str, str], fault: str
) -> None:
    production = {"ENVIRONMENT": "production", "AUTH_ISSUER": "https://api.example.com/"}
    read = "from my_api import settings as s, auth; print(auth.settings.load_settings(s.Settings))"
    environment = {**production, **GOOD, **change, "PYTHONPATH": str(project / "src")}
    done = run([sys.executable, "-c", read], project, environment)
    assert done.returncode == (2 if fault else 0), done.stdout
    assert fault in done.stdout
    assert "secret" not in done.stdout.replace("issuer_key_secret", "")


@pytest.fixture(scope="module")
def project(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(plain_template, tmp_path_factory.mktemp("settings") / "project", SELF_HOSTED)
