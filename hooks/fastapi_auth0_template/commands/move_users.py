"""`move-users`: write Auth0's import files; with --upload, import the users and assign roles."""

import os
import shlex
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from ..console import Console
from ..model import Json, Options, Patience
from ..move import files, project
from ..move.run import Move
from ..problems import CredentialsMissing, Declined, MissingSetting, NeedsYes
from ..tenant import management
from ..tenant.users import UserTenant
from ..values import domain_fault

SCOPES = (
    "read:connections read:users create:users update:users read:roles create:roles update:roles"
    " read:role_members delete:role_members"
    " read:resource_servers create:resource_servers update:resource_servers"
)


def move_users(options: Options, console: Console) -> int:
    """Export, check and write the files; or compare, show, confirm, upload, check, remove them."""
    found = project.find(options.project)
    tenant = _tenant(options, console) if options.upload else None
    access = project.access(found)
    console.report.facts["audience"] = access.audience
    users = _export(options, console, found)
    files.check(users)
    if tenant is None:
        return _only_files(options, console, users)
    move = Move(found, access, users, options.files, tenant)
    console.report.work = move
    try:
        return _upload(options, console, move)
    finally:
        console.clean_up()


def _export(options: Options, console: Console, found: project.SelfHosted) -> list[project.User]:
    """Return the users, and delete the file they came in. A dry run makes no folder."""
    if options.dry_run:
        with TemporaryDirectory() as folder:
            console.clean_up = lambda: shutil.rmtree(folder, ignore_errors=True)
            return project.export(found, Path(folder) / project.EXPORT)
    files.prepare(options.files, found.root)
    console.clean_up = lambda: files.remove(options.files)
    try:
        return project.export(found, options.files / project.EXPORT)
    finally:
        (options.files / project.EXPORT).unlink(missing_ok=True)


def _tenant(options: Options, console: Console) -> UserTenant:
    """Return the tenant; uploads need the Management API, and so a machine's credentials."""
    named = options.tenant or os.environ.get("AUTH0_DOMAIN", "")
    if not named:
        raise MissingSetting("which tenant? AUTH0_DOMAIN is not set", "Set it, or use --tenant.")
    if fault := domain_fault(named):
        raise MissingSetting(f"the tenant {named!r}: {fault}", "Give another --tenant.")
    if not management.credentials_given(os.environ):
        raise CredentialsMissing(
            "--upload needs AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET of an application that may use"
            f" the Management API with: {SCOPES}"
        )
    console.report.facts |= {"via": "api", "tenant": named}
    patience = Patience(options.timeout, console.tell)
    return UserTenant(*management.login(named, os.environ, patience))


def _only_files(options: Options, console: Console, users: list[project.User]) -> int:
    if options.dry_run:
        console.report.status = "changes" if users else "unchanged"
        console.say(f"{len(users)} users can be moved. Nothing was written.")
        return 2 if users else 0
    paths = files.write(options.files, users)
    console.clean_up = lambda: None
    console.report.status = "applied"
    console.report.changes = [
        {"target": "file", "action": "create", "text": [str(path)]} for path in paths
    ]
    console.say(f"{len(users)} users are in {len(paths)} files, with their password hashes:")
    for path in paths:
        console.command(str(path))
    console.say("Next, with a machine's credentials; this rewrites the files, then removes them:")
    place = shlex.quote(str(options.files))
    console.command(f"fastapi-auth0-template move-users --project . --files {place} --upload")
    return 0


def _upload(options: Options, console: Console, move: Move) -> int:
    console.tell(f"Looking for {len(move.users)} users in {move.tenant.domain} ...")
    state = move.look()
    texts = move.plan(state)
    report = console.report
    report.changes = [_change(text) for text in texts]
    if not texts:
        report.status = "unchanged"
        console.say(f"Nothing to change: {move.tenant.domain} holds all users and their roles.")
        return 0
    console.say(f"Tenant  {move.tenant.domain}")
    console.say(f"API     {move.access.audience}")
    console.tree("Plan", texts)
    if options.dry_run:
        report.status = "changes"
        return 2
    if not options.yes and not console.asks:
        raise NeedsYes(f"the plan needs a yes (not asked: {console.mute_reason})")
    if not options.yes and not console.yes(f"Apply this plan to {move.tenant.domain}?"):
        raise Declined
    move.apply(state)
    report.status = "applied"
    console.say(
        f"Done: {len(move.users)} users are in {move.tenant.domain} with the same ids and e-mails,"
        " and have their roles. The files are removed."
    )
    console.say("Next, in the project:")
    console.command("copier update --defaults -d identity=auth0 -d auth0_setup=automatic")
    return 0


def _change(text: tuple[str, ...]) -> Json:
    return {"target": "tenant", "action": "update", "text": list(text)}
