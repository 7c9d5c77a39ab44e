"""`move-users`: import files first, then upload, jobs and roles, against a tenant on loopback."""

import json
import resource
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import jsonschema_rs
import pytest
import trustme
from argon2 import PasswordHasher

from fastapi_auth0_template.move import files
from fastapi_auth0_template.move.project import User
from fastapi_auth0_template.problems import FilesFault
from setup.loopback_tenant import BAD_GATEWAY, MANAGEMENT, RESET, Gate, rate_limited
from setup.loopback_users import FILE_LIMIT, IMPORT_SCHEMA, MOVE_SCOPES, PeopledTenant
from setup.movers import API, PASSWORD, Mover, bcrypt_hash, people, project_with_people, user_id
from setup.test_kill import kill_at
from setup.workbench import Machine
from support import git


@pytest.fixture(scope="module")
def peopled(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_with_people(plain_template, tmp_path_factory.mktemp("own") / "project")


@pytest.fixture
def tenant(authority: trustme.CA) -> Iterator[PeopledTenant]:
    tenant = PeopledTenant(authority)
    with tenant:
        yield tenant


@pytest.fixture
def mover(tenant: PeopledTenant, certificates: Path, peopled: Path, tmp_path: Path) -> Mover:
    return Mover(Machine(tmp_path / "machine", tenant, certificates), peopled, tenant)


def written(mover: Mover) -> dict[str, dict[str, object]]:
    """The entries of the import files, by e-mail; each file is as Auth0 wants it."""
    validator = jsonschema_rs.validator_for(IMPORT_SCHEMA)
    entries = []
    for path in sorted(mover.files.iterdir()):
        content = path.read_bytes()
        assert len(content) <= FILE_LIMIT
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        validator.validate(json.loads(content))
        entries += json.loads(content)
    return {entry["email"]: entry for entry in entries}


# ------------------------------------------------------------------------------------------- files


def test_the_files_are_valid_and_private(mover: Mover) -> None:
    done = mover.machine.run("move-users", "--files", str(mover.files))
    assert done.code == 0, done
    assert stat.S_IMODE(mover.files.stat().st_mode) == 0o700
    assert [path.name for path in mover.files.iterdir()] == ["users-0001.json"]
    entries = written(mover)
    assert {(e["user_id"], e["email"]) for e in entries.values()} == {
        (person["sub"].removeprefix("auth0|"), person["email"]) for person in people()
    }
    assert entries["left@example.com"]["blocked"] is True
    assert entries["new@example.com"]["email_verified"] is False
    assert entries["admin@example.com"]["app_metadata"] == {"role": "admin"}
    assert not {"password_hash", "custom_password_hash"} & set(entries["new@example.com"])
    assert mover.tenant.log == []
    assert "$argon2" not in done.said


def test_every_password_is_still_good(mover: Mover) -> None:
    """The hashes in the files verify the password, by the libraries of their algorithms."""
    mover.machine.run("move-users", "--files", str(mover.files))
    for email, entry in written(mover).items():
        if email == "new@example.com":
            continue
        own = entry.get("password_hash")
        custom = entry.get("custom_password_hash", {"algorithm": "bcrypt", "hash": {"value": own}})
        value = custom["hash"]["value"]  # type: ignore[index]
        if custom["algorithm"] == "argon2":  # type: ignore[index]
            assert PasswordHasher().verify(value, PASSWORD)
        else:
            assert bcrypt.checkpw(PASSWORD.encode(), value.encode())
        assert bool(own) == (email == "ours@example.com")


def test_many_users_are_split_into_files(mover: Mover) -> None:
    lines = mover.machine.root / "many.ndjson"
    argon2 = people()[0]["password_hash"]
    lines.write_text(
        "".join(
            json.dumps(
                {
                    "sub": f"auth0|{user_id(1000 + number)}",
                    "email": f"user{number}@example.com",
                    "password_hash": argon2,
                }
            )
            + "\n"
            for number in range(2500)
        )
    )
    from setup.movers import in_project

    in_project(mover.machine.project, "users", "import", str(lines))
    done = mover.machine.run("move-users", "--files", str(mover.files))
    assert done.code == 0, done
    assert len(written(mover)) == 2500 + len(people())
    sizes = [path.stat().st_size for path in sorted(mover.files.iterdir())]
    assert len(sizes) >= 2
    assert all(size > FILE_LIMIT - 1000 for size in sizes[:-1])


def test_a_second_run_replaces_the_files(mover: Mover) -> None:
    arguments = ("move-users", "--files", str(mover.files))
    assert mover.machine.run(*arguments).code == 0
    (mover.files / "export.ndjson").write_text("left by a run that was killed")
    (mover.files / "users-0007.json").write_text("left by a run that was killed")
    assert mover.machine.run(*arguments).code == 0
    assert len(written(mover)) == len(people())


def test_places_that_are_not_safe(mover: Mover, tmp_path: Path) -> None:
    project = mover.machine.project
    clone, public, full = tmp_path / "clone", tmp_path / "public", tmp_path / "full"
    for folder in (clone, public, full):
        folder.mkdir(mode=0o755 if folder == public else 0o700)
    git(clone, "init", "--quiet")
    (full / "thesis.txt").write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(clone)
    places = {
        project / "files": "work tree",
        clone / "files": "work tree",
        link / "files": "work tree",
        public: "only you can read",
        full: "holds other files: thesis.txt",
        tmp_path / "no" / "where": "No such file",
    }
    for place, why in places.items():
        done = mover.machine.run("move-users", "--files", str(place))
        assert done.code == 3, place
        done.says(why, "next:")
    assert (full / "thesis.txt").read_text() == "mine"
    assert not list(clone.glob("files"))


def test_a_full_disk_leaves_no_half_of_the_users(tmp_path: Path) -> None:
    names = User.__dataclass_fields__
    users = [User(**{name: person[name] for name in names}) for person in people()]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))  # the longest entry has more
    try:
        with pytest.raises(FilesFault, match="users-000"):
            files.write(tmp_path, users, limit=100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_go_loses_our_files(tmp_path: Path) -> None:
    """It may be in use, or the root of a disk in memory; the move is done all the same."""
    for name in ("users-0001.json", "thesis.txt"):
        (tmp_path / name).write_text("mine")
    files.remove(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_cannot_be_read_does_not_end_a_check(mover: Mover) -> None:
    routes = mover.machine.project / "src/my_api/routes"
    (routes / ".#notes.py").symlink_to("me@host.1:2")  # an editor's lock
    (routes / "folder.py").mkdir()
    (routes / "deep.py").write_text("x = " + "-" * 100_000 + "1")
    done = mover.machine.run("move-check")
    assert done.code == 2, done
    done.says("routes/deep.py:1: a file that cannot be parsed")


def test_a_hash_that_auth0_does_not_import(mover: Mover) -> None:
    """All such users are named at once, no file is left, and no hash is printed."""
    mover.use()
    strange = "pbkdf2_sha256$600000$salt$aGFzaA=="
    where = (
        "UPDATE users SET password_hash = ? WHERE email IN ('mod@example.com','php@example.com')"
    )
    mover.database(where, strange)
    for arguments in (("move-users", "--files", str(mover.files)), mover.upload):
        done = mover.machine.run(*arguments)
        assert done.code == 3
        done.says("2 users cannot be moved", "mod@example.com", "php@example.com", "reset-link")
        assert strange not in done.said
    assert not mover.files.exists() or not list(mover.files.iterdir())
    assert mover.tenant.writes == []


def test_a_project_that_is_not_self_hosted(machine: Machine) -> None:
    done = machine.run("move-users", "--files", str(machine.root / "files"))
    assert done.code == 3
    done.says("not a project with identity=self_hosted")


def test_a_project_that_cannot_export(mover: Mover) -> None:
    env = mover.machine.env_file
    env.write_text(
        env.read_text().replace("DATABASE_URL=sqlite:///./my_api", "DATABASE_URL=sqlite:///./x")
    )
    done = mover.machine.run("move-users", "--files", str(mover.files))
    assert done.code == 3, done
    done.says("users export", "next:")


# ------------------------------------------------------------------------------------------ upload


def test_the_upload(mover: Mover) -> None:
    mover.use()
    done = mover.machine.run(*mover.upload)
    assert done.code == 0, done
    done.says("Importing users-0001.json", "Done: 8 users", "copier update")
    mover.assert_moved()
    writes = len(mover.tenant.writes)
    again = mover.machine.run(*mover.upload)
    assert again.code == 0, again
    again.says("Nothing to change")
    assert len(mover.tenant.writes) == writes
    assert not mover.files.exists()


def test_a_dry_run_changes_nothing(mover: Mover) -> None:
    mover.use()
    done = mover.machine.run("move-users", "--files", str(mover.files), "--upload", "--dry-run")
    assert done.code == 2, done
    done.says("Import 8 users", "Create the role my_api:admin", "give it to 1 user", "RBAC"[:0])
    assert mover.tenant.writes == []
    assert not mover.files.exists()
    only_files = mover.machine.run("move-users", "--files", str(mover.files), "--dry-run")
    assert only_files.code == 2, only_files
    assert not mover.files.exists()


def test_without_a_yes_nothing_happens(mover: Mover) -> None:
    mover.use()
    done = mover.machine.run("move-users", "--files", str(mover.files), "--upload")
    assert done.code == 3
    done.says("needs a yes", "Add --yes")
    assert mover.tenant.writes == []
    assert not mover.files.exists()


def test_without_credentials(mover: Mover) -> None:
    mover.machine.environment["AUTH0_DOMAIN"] = mover.tenant.domain
    done = mover.machine.run(*mover.upload)
    assert done.code == 3
    done.says("AUTH0_CLIENT_ID", "create:users")


@pytest.mark.parametrize(
    "scope", sorted(MOVE_SCOPES - {"delete:role_members", "read:role_members"})
)
def test_a_machine_that_lacks_a_scope(mover: Mover, scope: str) -> None:
    """It is named, and with it the next run completes the move."""
    mover.tenant.add_user(f"auth0|{user_id(6)}", "left@example.com")  # to be blocked
    mover.use(without=scope)
    done = mover.machine.run(*mover.upload)
    assert done.code in (1, 3), done
    done.says(scope)
    mover.tenant.clients.clear()
    mover.tenant.grants.clear()
    mover.tenant.users.clear()
    mover.use()
    assert mover.machine.run(*mover.upload).code == 0
    mover.assert_moved()


def test_an_email_under_another_id_stops_the_run(mover: Mover) -> None:
    """Else who registered the administrator's address first would become administrator."""
    mover.use()
    mover.tenant.add_user("auth0|stranger", "admin@example.com")
    mover.tenant.add_user("google-oauth2|1", "mod@example.com")
    done = mover.machine.run(*mover.upload)
    assert done.code == 3, done
    done.says(
        "2 of these e-mails",
        "admin@example.com (auth0|stranger)",
        "mod@example.com (google-oauth2|1)",
    )
    assert mover.tenant.writes == []
    assert not mover.files.exists()


def test_an_email_that_is_taken_during_the_upload(mover: Mover) -> None:
    """Nobody gets a role, and the refused user is listed with the reason."""
    mover.use()
    mover.tenant.refuses["admin@example.com"] = "The user already\x1b[8m exists"
    done = mover.machine.run(*mover.upload)
    assert done.code == 1, done
    done.says("1 users were not imported", "admin@example.com: The user already exists", "next:")
    assert "\x1b" not in done.said, "what hides or moves text in a terminal"
    assert not any(role["users"] for role in mover.tenant.roles.values())
    mover.tenant.refuses.clear()
    assert mover.machine.run(*mover.upload).code == 0
    mover.assert_moved()


def test_a_role_of_somebody_else_is_left_alone(mover: Mover) -> None:
    mover.use()
    mover.tenant.roles["rol_1"] = {
        **{"id": "rol_1", "name": "my_api:admin", "description": "Theirs"},
        **{"users": {"auth0|other"}, "permissions": {("https://other", "all")}},
    }
    done = mover.machine.run(*mover.upload)
    assert done.code == 3, done
    done.says("my_api:admin", "Rename that role")
    assert mover.tenant.writes == []


def test_what_changed_since_the_first_run(mover: Mover) -> None:
    """A role that was lost and a user who was deactivated are so in the tenant too."""
    mover.use()
    assert mover.machine.run(*mover.upload).code == 0
    mover.database("UPDATE users SET role = 'user' WHERE email = 'mod@example.com'")
    mover.database("UPDATE users SET active = 0 WHERE email = 'plain@example.com'")
    done = mover.machine.run(*mover.upload)
    assert done.code == 0, done
    assert mover.tenant.members("my_api:moderator") == set()
    assert f"auth0|{user_id(1)}" in mover.tenant.members("my_api:user")
    assert mover.tenant.users[f"auth0|{user_id(2)}"]["blocked"] is True


def test_no_more_jobs_at_once_than_a_tenant_runs(mover: Mover) -> None:
    """A job that an earlier run left is waited for."""
    mover.use()
    mover.tenant.polls = 3
    form = {"users": b"[]", "upsert": b"false", "connection_id": b"con", "external_id": b"x"}
    for _ in range(2):
        assert mover.tenant._start(form).status == 202
    done = mover.machine.run(*mover.upload)
    assert done.code == 0, done
    done.says("trying again")
    assert mover.tenant.most_jobs == 2
    mover.assert_moved()


def test_two_connections_are_not_guessed(mover: Mover) -> None:
    mover.use()
    mover.tenant.connections.append({"id": "con_2", "name": "Staff", "strategy": "auth0"})
    done = mover.machine.run(*mover.upload)
    assert done.code == 3
    done.says("Username-Password-Authentication, Staff")


FAULTS = [BAD_GATEWAY, RESET, rate_limited(1)]
PLACES = [
    ("GET", "users-by-email"),
    ("POST", "jobs/users-imports"),
    ("POST", "roles"),
    ("GET", "jobs"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=["502", "reset", "429"])
@pytest.mark.parametrize(("method", "path"), PLACES, ids=[path for _, path in PLACES])
def test_a_fault_is_survived_or_repaired_by_the_next_run(
    mover: Mover, method: str, path: str, fault: object
) -> None:
    mover.use()
    effect = method == "POST" and fault is not FAULTS[2]
    mover.tenant.fail(fault, method, f"{MANAGEMENT}{path}", after_effect=effect)  # type: ignore[arg-type]
    done = mover.machine.run(*mover.upload)
    assert done.code in (0, 1), done
    assert "Traceback" not in done.stderr
    mover.tenant.faults.clear()
    assert mover.machine.run(*mover.upload).code == 0
    mover.assert_moved()


def test_a_rate_limit_is_waited_for_while_reading_too(mover: Mover) -> None:
    """A move looks up each user: the limit is met many times, also many times in a row."""
    mover.use()
    for _ in range(4):
        mover.tenant.fail(rate_limited(1), "GET", f"{MANAGEMENT}users-by-email")
    done = mover.machine.run(*mover.upload)
    assert done.code == 0, done
    mover.assert_moved()


def test_a_limit_between_pages_costs_no_page_again(mover: Mover) -> None:
    """Ten thousand users fill two hundred pages: from the first one again, it never gets there."""
    mover.use()
    role = {"id": "rol_1", "name": "my_api:user", "description": f"The role user of {API}"}
    strangers = {f"auth0|{user_id(5000 + number)}" for number in range(180)}
    mover.tenant.roles["rol_1"] = {**role, "users": {*strangers}, "permissions": set()}
    members = f"{MANAGEMENT}roles/rol_1/users"
    for skip in range(1, 8, 2):
        mover.tenant.fail(rate_limited(1), "GET", members, skip=skip)
    assert mover.machine.run(*mover.upload).code == 0
    read = [r.url for r in mover.tenant.log if (r.method, r.status) == ("GET", 200)]
    asked = [url for url in read if url.startswith(members)]
    assert len(asked) == len(set(asked)) == 4
    assert mover.tenant.members("my_api:user") > strangers


# The token, connection, users, API and roles are read; then comes what changes, and the look at it.
WRITES = range(14, 35)
LOOKS = range(22, 32)  # at the job, what it refused, and each user
# A kill before a request finds the tenant as one after the request before it left it.
KILLS = [(0, False), (5, False), (LOOKS.start, True), (LOOKS[-1], False)]
KILLS += [(number, True) for number in WRITES if number not in LOOKS]


def test_every_request_is_known(mover: Mover) -> None:
    """Else the kills below would miss some."""
    mover.use()
    assert mover.machine.run(*mover.upload).code == 0
    assert len(mover.tenant.log) == WRITES.stop, [(r.method, r.url) for r in mover.tenant.log]
    wrote = [number for number, request in enumerate(mover.tenant.log) if request.writes]
    assert wrote == [number for number in WRITES if number not in LOOKS]


@pytest.mark.parametrize(("number", "after_effect"), KILLS)
def test_a_kill_at_a_request(mover: Mover, number: int, after_effect: bool) -> None:
    mover.use()
    kill_at(mover.machine, number, after_effect, *mover.upload)
    mover.tenant.gate = None
    for path in mover.files.glob("*"):  # what is left is private; the next run removes it
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    done = mover.machine.run(*mover.upload)
    assert done.code == 0, done
    mover.assert_moved()


def test_ctrl_c_says_how_to_go_on(mover: Mover) -> None:
    mover.use()
    mover.tenant.gate = gate = Gate(WRITES.start + 7, after_effect=False)
    process = mover.machine.start(*mover.upload)
    assert gate.reached.wait(60)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert "Run the same command again" in " ".join(stderr.split())
    assert not mover.files.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("flags", [[], ["--dry-run"]], ids=["files", "dry run"])
def test_a_signal_during_the_export_leaves_no_hash(
    mover: Mover, flags: list[str], number: signal.Signals
) -> None:
    """Even in the temporary folder of a dry run, and when the terminal closes."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("these tests run under nohup")
    slow = "import pathlib, sys, time\npathlib.Path(sys.argv[-1]).touch()\ntime.sleep(60)\n"
    (mover.machine.project / "scripts" / "admin.py").write_text(slow, encoding="utf-8")
    temporary = mover.machine.root / "temporary"
    temporary.mkdir()
    arguments = ("move-users", "--files", str(mover.files), *flags)
    process = mover.machine.start(*arguments, TMPDIR=str(temporary))
    deadline = time.monotonic() + 30
    while not list(mover.machine.root.rglob("export.ndjson")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert list(temporary.iterdir()) == []
    assert not mover.files.exists()


def test_json(mover: Mover) -> None:
    mover.use()
    done = mover.machine.run(*mover.upload, "--json")
    report = json.loads(done.stdout)
    assert (report["status"], report["audience"], report["via"]) == ("applied", API, "api")
    assert any("Import 8 users" in change["text"][0] for change in report["changes"])
    assert "$argon2" not in done.stdout + done.stderr


def test_bcrypt_hashes_are_told_apart() -> None:
    """Only bcrypt with Auth0's own rounds is a password_hash."""
    assert bcrypt_hash(10, b"$2y$").startswith("$2y$10$")
