"""`setup`: bring the tenant in line with auth0/tenant.yaml, and point .env at it."""

import os
import re
import shlex
from collections.abc import Callable
from typing import TypeVar

from ..apply import EnvPlan, Run
from ..console import Console
from ..declared import Declared, declared_api
from ..model import COMMAND, Connection, Options, Patience
from ..plan import Found, Wanted, describe_api, is_system
from ..problems import (
    Declined,
    MissingSetting,
    NeedsReplaceEnv,
    NeedsYes,
    Problem,
    SystemApi,
    Usage,
)
from ..project import Project, check_writable, clear_leftovers, load, write_env
from ..tenant import executable, http, process
from ..tenant.connect import connect
from ..values import audience_fault

Result = TypeVar("Result")


def setup(options: Options, console: Console) -> int:
    """Plan, show, confirm, apply, verify, write .env."""
    project = load(options.project)
    if not options.dry_run:
        clear_leftovers(project.root)
        if not options.no_env:
            check_writable(project.env.path)
    declared, wanted = _wanted(options, project)
    console.report.facts["audience"] = wanted.audience
    patience = Patience(options.timeout, console.tell)
    run = Run(project, declared, wanted, patience, writes_env=not options.no_env)
    console.report.work = run

    def look() -> tuple[Connection, Found]:
        connection = connect(options, console, project)
        return connection, run.look(connection.tenant)

    connection, found = _with_login(console, look)
    env = run.env_for(connection.tenant, found)
    run.note(_differing_answer(options, project))
    _show(console, run, connection, found, env)
    if options.dry_run:
        console.report.status = "changes" if console.report.changes else "unchanged"
        return 2 if console.report.changes else 0
    if console.report.changes:
        _decide(options, console, connection, env)
        found = run.reconcile(connection.tenant, found)
        env = run.env_for(connection.tenant, found)
    console.tell(f"Checking https://{env.domain} ...")
    http.verify_tenant(env.domain, patience.at_most(20))
    _finish(options, console, run, connection, env)
    return 0


def _wanted(options: Options, project: Project) -> tuple[Declared, Wanted]:
    audience = (
        options.audience
        or project.setting("AUTH0_AUDIENCE", os.environ)
        or project.answers.get("auth0_audience", "")
    )
    if not audience:
        raise MissingSetting(
            "no identifier for the API: AUTH0_AUDIENCE is not set",
            "Name it with --audience, such as --audience https://api.example.com",
        )
    if is_system(None, audience):
        raise SystemApi(audience)
    if fault := audience_fault(audience):
        raise MissingSetting(f"the audience {audience!r}: {fault}", "Give another.")
    callbacks = _callbacks(options, project)
    declared = declared_api(project.root, audience)
    return declared, Wanted(declared.api, options.test_app, callbacks, options.prune)


def _callbacks(options: Options, project: Project) -> tuple[str, ...]:
    for url in options.docs_urls:
        if not (options.docs_app and re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", url)):
            raise Usage(f"--docs-url {url}", "It takes a URL, and needs --docs-app.")
    if not options.docs_app:
        return ()
    public = project.setting("PUBLIC_URL", os.environ)
    bases = options.docs_urls or ("http://localhost:8000", "http://127.0.0.1:8000", public)
    callbacks = [f"{base.rstrip('/')}/docs/oauth2-redirect" for base in bases if base]
    return tuple(dict.fromkeys(callbacks))


def _differing_answer(options: Options, project: Project) -> list[str]:
    """Say if .env and the answer name different APIs: an update changes only the answer."""
    answer = project.answers.get("auth0_audience", "")
    current = project.setting("AUTH0_AUDIENCE", os.environ)
    if options.audience or not (answer and current) or answer == current:
        return []
    return [
        f"AUTH0_AUDIENCE is {current}, but the answer in .copier-answers.yml is {answer}; the"
        f" set-up uses the first; --audience {answer} uses the other"
    ]


def _with_login(console: Console, action: Callable[[], Result]) -> Result:
    """Run the action; if only a login is missing, offer one at a terminal and try again."""
    for _ in range(2):
        try:
            return action()
        except Problem as problem:
            helps = problem.login_helps and console.report.facts["via"] == "cli"
            if not (helps and console.asks):
                raise
            command = executable.login_command(problem)
            console.tell(f"{problem.message}.")
            if not console.yes(f"Run `{' '.join(command)}` now?"):
                raise
            process.login(command)
    return action()


def _show(console: Console, run: Run, connection: Connection, found: Found, env: EnvPlan) -> None:
    console.say(f"Tenant  {connection.tenant.domain} (through {connection.words})")
    console.say(f"API     {run.wanted.audience}")
    if found.api is not None:
        console.say(describe_api(found.api), indent=8)
    report = console.report
    report.changes = [
        {"target": change.target, "action": change.action, "text": list(change.text)}
        for change in run.plan(found)
    ]
    if env.text:
        action = "create" if run.project.env.text is None else "update"
        text = ["Write .env", *env.text]
        report.changes.append({"target": "env", "action": action, "text": text})
    run.note(run.env_notes(env))
    console.say()
    if not report.changes:
        console.say("Nothing to change: the tenant and .env are as auth0/tenant.yaml declares.")
        return
    console.tree("Plan", [change["text"] for change in report.changes])
    console.say()


def _decide(options: Options, console: Console, connection: Connection, env: EnvPlan) -> None:
    """Ask for a yes to the plan, and for a separate one to values it replaces in .env."""
    if env.replaced and not options.replace_env:
        keys = ", ".join(env.replaced)
        if not console.asks:
            raise NeedsReplaceEnv(
                f".env has other values for {keys}; without a yes they stay"
                f" (not asked: {console.mute_reason})"
            )
        if not console.yes(f"Replace {keys} in .env?"):
            raise Declined("Edit .env, then run it again.")
    if options.yes:
        return
    if not console.asks:
        raise NeedsYes(f"the plan needs a yes (not asked: {console.mute_reason})")
    if not console.yes(f"Apply this plan to {connection.tenant.domain}?"):
        raise Declined


def _finish(
    options: Options, console: Console, run: Run, connection: Connection, env: EnvPlan
) -> None:
    wrote_env, wrote_before = False, run.wrote
    run.wrote = True  # in case of Ctrl-C from here on
    try:
        wrote_env = bool(env.values) and write_env(run.project.env, env.values)
    finally:
        run.wrote = wrote_before or wrote_env
    report = console.report
    report.status = "applied" if report.changes else "unchanged"
    if not report.changes:
        return
    console.say(
        "Done: the tenant was read back and holds what auth0/tenant.yaml declares"
        + ("; .env is written, readable by you only." if wrote_env else "; .env is as it was.")
    )
    console.say("Again, without questions:")
    console.command(f"{COMMAND} setup {' '.join(_flags(options, connection))} --yes")
    console.say("Next:")
    console.command(f"{COMMAND} doctor")
    if not options.no_env:
        console.command(f"{COMMAND} {'token' if options.test_app else 'setup --test-app'}")


def _flags(options: Options, connection: Connection) -> list[str]:
    """Return the flags that repeat this run."""
    flags = ["--tenant", connection.tenant.domain]
    for name, value in (("--audience", options.audience), ("--via", options.via)):
        flags += [name, value] if value else []
    for name in ("test_app", "docs_app", "prune", "no_env"):
        flags += [f"--{name.replace('_', '-')}"] if getattr(options, name) else []
    for url in options.docs_urls:
        flags += ["--docs-url", url]
    return [shlex.quote(flag) for flag in flags]
