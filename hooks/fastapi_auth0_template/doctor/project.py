"""Checks of the project itself: .env, settings, scopes, front ends, proxies, tools."""

import os
import subprocess
from collections.abc import Mapping
from urllib.parse import urlsplit

from .. import env_file
from ..declared import declared_api
from ..model import Patience
from ..problems import INSTALL, Problem
from ..project import Project, is_private
from ..tenant import executable, process
from ..tenant.output import FLOOR, RECOMMENDED
from ..text import printable
from ..values import audience_fault, domain_fault
from .check import SETUP, Check, failure, ok, skipped, warning
from .inside import Inside, Settings

LOCAL = ("localhost", "127.0.0.1", "::1")


def env(project: Project, fault: Problem | None) -> Check:
    """.env exists, only you can read it, and it is not in git."""
    path, name = project.env.path, "env-file"
    if fault:
        return failure(name, fault.message, fault.next_step)
    if project.env.text is None:
        if all(os.environ.get(key) for key in ("AUTH0_DOMAIN", "AUTH0_AUDIENCE")):
            return ok(name, "no .env: the settings come from the environment")
        return failure(name, "there is no .env", SETUP)
    if line := env_file.not_utf8(project.env.text):
        return failure(name, f".env, line {line}, is not UTF-8", "Save .env as UTF-8.")
    if _is_tracked(project):
        return failure(name, ".env is in git", "Run `git rm --cached .env`; renew its secrets.")
    if not is_private(path):
        return warning(name, ".env can be read by others", f"Run `chmod 600 {path}`.")
    return ok(name, f"{path}, {len(project.env.values)} settings")


def _is_tracked(project: Project) -> bool:
    command = ["git", "ls-files", "--error-unmatch", ".env"]
    try:
        done = subprocess.run(
            command,
            cwd=project.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def settings(project: Project, inside: Inside) -> Check:
    """The settings pass the project's own rules, or at least the ones that checks need are set."""
    name, found = "settings", inside.settings
    if inside.faults:
        told = printable("; ".join(inside.faults), 600)
        return failure(name, told, f"Run the set-up, or fix it in {project.env.path}.")
    if inside.valid:
        return ok(name, f"{found.auth0_domain}, {found.auth0_audience}")
    faults = [
        f"{key}: {fault if value else 'it is not set'}"
        for key, value, fault in (
            ("AUTH0_DOMAIN", found.auth0_domain, domain_fault(found.auth0_domain)),
            ("AUTH0_AUDIENCE", found.auth0_audience, audience_fault(found.auth0_audience)),
        )
        if fault
    ]
    if faults:
        return failure(name, "; ".join(faults), SETUP)
    return skipped(name, f"not checked by the project's own rules: {inside.why}", inside.remedy)


def scopes(project: Project, inside: Inside, audience: str) -> Check:
    """Code and auth0/tenant.yaml declare the same scopes."""
    name = "scopes-project"
    try:
        file = declared_api(project.root, "" if audience_fault(audience) else audience).scopes
    except Problem as problem:
        return failure(name, problem.message, problem.next_step)
    code = inside.scopes
    if code is None:
        return skipped(name, inside.why or "the project could not be loaded", inside.remedy)
    if difference := differences(code, "code", file, "auth0/tenant.yaml"):
        return failure(name, difference, "Make the two declare the same scopes.")
    if code != file:
        odd = ", ".join(value for value in code if code[value] != file[value])
        return warning(
            name, f"code and auth0/tenant.yaml describe {odd} differently", "Use one description."
        )
    return ok(name, f"code and auth0/tenant.yaml declare {', '.join(code) or 'none'}")


def differences(one: Mapping[str, str], here: str, two: Mapping[str, str], there: str) -> str:
    """Say which names are in only one of the two."""
    parts = []
    if only_one := [value for value in one if value not in two]:
        parts.append(f"only in {here}: {', '.join(only_one)}")
    if only_two := [value for value in two if value not in one]:
        parts.append(f"only in {there}: {', '.join(only_two)}")
    return "; ".join(parts)


def guard(inside: Inside) -> Check:
    """The API itself can fetch the keys, with its HTTP client, proxies and certificates."""
    name = "guard"
    if inside.guard is None:
        why = inside.guard_error or inside.why or "the settings have to be fixed first"
        if inside.guard_error:
            remedy = "Start the API to see the whole message."
            return failure(name, f"the API cannot start: {why}", remedy)
        return skipped(name, why, inside.remedy if inside.why else None)
    if inside.guard.get("ready"):
        return ok(name, "the API can fetch the tenant's keys")
    log = printable(str(inside.guard.get("log") or "no answer in time"))
    return failure(
        name,
        f"the API cannot fetch the tenant's keys: {log}",
        "Compare with tls, discovery and keys; look at HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE.",
    )


def cors(settings: Settings) -> Check:
    """Browser front ends that may call the API are named, and use https."""
    origins = settings.cors_origins
    if "*" in origins:
        return warning(
            "cors", "every site may call the API from a browser (*)", "Name the origins you own."
        )
    plain = [o for o in origins if o.startswith("http://") and not _is_local(o)]
    if plain:
        return warning("cors", f"{plain[0]} would send tokens unencrypted", "Use https there.")
    return ok("cors", ", ".join(origins) or "no browser front end on another origin may call it")


def proxy(project: Project, settings: Settings) -> Check:
    """The settings say what a reverse proxy changes, and trust nobody but the proxy."""
    url, proxies = settings.public_url, settings.trusted_proxies
    if any(network.endswith("/0") for network in proxies):
        return warning(
            "proxy", "TRUSTED_PROXIES trusts the whole world", "Name your proxy's own addresses."
        )
    if url and url.startswith("http://") and not _is_local(url):
        return warning("proxy", f"PUBLIC_URL is not https: {url}", "End TLS at the proxy.")
    if project.answers.get("behind_proxy") == "True" and not (url or proxies):
        return warning(
            "proxy",
            "made for a reverse proxy, but neither PUBLIC_URL nor TRUSTED_PROXIES is set",
            "Set PUBLIC_URL to the URL that clients use; DPoP proofs name it.",
        )
    if not (url or proxies):
        return ok("proxy", "none; clients reach the API directly")
    return ok("proxy", f"PUBLIC_URL {url or '-'}, TRUSTED_PROXIES {', '.join(proxies) or '-'}")


def _is_local(url: str) -> bool:
    try:
        return urlsplit(url).hostname in LOCAL
    except ValueError:
        return False


def cli(patience: Patience) -> Check:
    """The Auth0 CLI is new enough for the set-up."""
    if not process.installed():
        return skipped("cli", "the Auth0 CLI is not installed; only `setup` may need it")
    try:
        version = executable.version(patience)
    except Problem as problem:
        return warning("cli", problem.message, problem.next_step)
    words = ".".join(map(str, version or ())) or "a development build"
    update = f"Update it: {INSTALL}"
    if version and version < FLOOR:
        return failure("cli", f"auth0 {words} is too old for the set-up", update)
    if version and version < RECOMMENDED:
        return warning("cli", f"auth0 {words} opens a login where newer ones report it", update)
    return ok("cli", f"auth0 {words}")
