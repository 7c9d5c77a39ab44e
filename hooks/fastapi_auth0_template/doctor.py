"""The checks of the doctor: what makes tokens fail, what was found, the remedy. Changes nothing."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from . import Json, Patience, Problem, Tenant, cli, web
from .project import (
    Project,
    audience_fault,
    code_scopes,
    declared_api,
    domain_fault,
    env_notes,
    is_private,
)

SETUP = "Run `uv run scripts/tenant.py setup`."
API_CHECKS = ("api-signing", "api-authorization", "api-profile", "api-dpop", "scopes-tenant")
SKEW_WARNS, SKEW_FAILS = 10, 60  # seconds


@dataclass(frozen=True)
class Check:
    """One finding: ok, warning, failure or skipped; `id` is stable, for machines."""

    id: str
    status: str
    found: str
    remedy: str | None = None

    def as_json(self) -> Json:
        return {"id": self.id, "status": self.status, "found": self.found, "remedy": self.remedy}


def ok(name: str, found: str) -> Check:
    return Check(name, "ok", found)


def skipped(name: str, why: str) -> Check:
    return Check(name, "skipped", why)


def warning(name: str, found: str, remedy: str) -> Check:
    return Check(name, "warning", found, remedy)


def failure(name: str, found: str, remedy: str) -> Check:
    return Check(name, "failure", found, remedy)


@dataclass(frozen=True)
class Examination:
    """What is asked of the doctor; `connect` gives the way to the tenant, or raises Problem."""

    project: Project
    patience: Patience
    connect: Callable[[], Tenant]
    audience: str | None = None
    token: str | None = None
    scopes: Sequence[str] = ()
    env_fault: Problem | None = None


def run(examination: Examination) -> Iterator[Check]:
    """Every check, one after the other, in the order in which one failure explains the next."""
    project, patience = examination.project, examination.patience
    yield _env_file(project, examination.env_fault)
    settings, check = _settings(project)
    yield check
    audience = examination.audience or settings.auth0_audience
    keys: list[Json] | None = None
    if domain_fault(settings.auth0_domain):
        for name in ("dns", "tls", "discovery", "issuer", "keys", "clock"):
            yield skipped(name, "AUTH0_DOMAIN is not a domain")
    else:
        keys = yield from _tenant(settings.auth0_domain, patience)
    for domain in settings.auth0_custom_domains:
        yield _custom_domain(domain, patience)
    if audience_fault(audience):
        for name in ("api", *API_CHECKS):
            yield skipped(name, "AUTH0_AUDIENCE is not an identifier")
    else:
        yield from _api(examination, audience, settings)
    yield _project_scopes(project, audience)
    yield _cors(settings)
    yield _proxy(project, settings)
    yield _cli(patience)
    if examination.token is not None:
        yield from _token(examination, settings, audience, keys)


# ------------------------------------------------------------------------------ files and settings


def _env_file(project: Project, fault: Problem | None) -> Check:
    path, name = project.env.path, "env-file"
    if fault:
        return failure(name, fault.message, fault.next_step)
    if project.env.text is None:
        if all(os.environ.get(key) for key in ("AUTH0_DOMAIN", "AUTH0_AUDIENCE")):
            return ok(name, "no .env: the settings come from the environment")
        return failure(name, "there is no .env", SETUP)
    if not_utf8 := [note for note in env_notes(path) if "UTF-8" in note]:
        return failure(name, not_utf8[0], "Save .env as UTF-8.")
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


def _settings(project: Project) -> tuple[Any, Check]:
    """The settings as the API itself reads them, or as far as they can be read without it."""
    name = "settings"
    try:
        with chdir(project.root), warnings.catch_warnings(record=True):
            settings = _settings_class(project)()
    except Exception as error:
        # pydantic's ValidationError, told by its method: its module may be what is missing.
        faults = [
            f"{'.'.join(map(str, entry['loc'])).upper()}:"
            f" {str(entry['msg']).removeprefix('Value error, ')}"
            for entry in (error.errors() if hasattr(error, "errors") else ())
        ]
        if faults:
            found = web.printable("; ".join(faults), 600)
            return _raw_settings(project), failure(
                name, found, f"Run the set-up, or put it right in {project.env.path}."
            )
        return _raw_settings(project), _own_rules(project, error)
    return settings, ok(name, f"{settings.auth0_domain}, {settings.auth0_audience}")


def _settings_class(project: Project) -> Callable[[], Any]:
    package = next(iter(sorted(project.root.glob("src/*/settings.py")))).parent
    sys.path.insert(0, str(package.parent))
    try:
        module = __import__(f"{package.name}.settings", fromlist=["Settings"])
    finally:
        sys.path.remove(str(package.parent))
    settings: Callable[[], Any] = module.Settings
    return settings


def _own_rules(project: Project, error: Exception) -> Check:
    """The two settings that everything needs, where the project's own class cannot be loaded."""
    settings = _raw_settings(project)
    faults = [
        f"{key}: {fault}"
        for key, fault in (
            ("AUTH0_DOMAIN", domain_fault(settings.auth0_domain)),
            ("AUTH0_AUDIENCE", audience_fault(settings.auth0_audience)),
        )
        if fault
    ]
    if faults:
        return failure("settings", "; ".join(faults), SETUP)
    reason = web.printable(f"{type(error).__name__}: {error}")
    return warning(
        "settings",
        f"only domain and audience were checked: src/*/settings.py cannot be loaded ({reason})",
        "Run `uv sync`, then the doctor again.",
    )


def _raw_settings(project: Project) -> Any:
    def get(name: str, default: str = "") -> str:
        return project.setting(name, os.environ) or default

    def get_list(name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in get(name).split(",") if part.strip())

    answers = project.answers
    return SimpleNamespace(
        auth0_domain=get("AUTH0_DOMAIN"),
        auth0_audience=get("AUTH0_AUDIENCE"),
        auth0_custom_domains=get_list("AUTH0_CUSTOM_DOMAINS"),
        auth0_authorization=get("AUTH0_AUTHORIZATION", answers.get("authorization", "scopes")),
        auth0_dpop=get("AUTH0_DPOP", answers.get("dpop", "accepted")),
        auth0_token_dialect=get(
            "AUTH0_TOKEN_DIALECT", answers.get("token_dialect", "access_token")
        ),
        cors_origins=get_list("CORS_ORIGINS"),
        public_url=get("PUBLIC_URL") or None,
        trusted_proxies=get_list("TRUSTED_PROXIES"),
    )


def _project_scopes(project: Project, audience: str) -> Check:
    name = "scopes-project"
    try:
        code = code_scopes(project.root)
        declared = declared_api(project.root, audience)["scopes"]
    except Problem as problem:
        return failure(name, problem.message, problem.next_step)
    file = {scope["value"]: scope.get("description", "") for scope in declared}
    if differences := _differences(code, "code", file, "auth0/tenant.yaml"):
        return failure(name, differences, "Make the two declare the same scopes.")
    if code != file:
        odd = ", ".join(value for value in code if code[value] != file[value])
        return warning(
            name, f"code and auth0/tenant.yaml describe {odd} differently", "Use one description."
        )
    return ok(name, f"code and auth0/tenant.yaml declare {', '.join(code) or 'none'}")


def _differences(one: Mapping[str, str], here: str, two: Mapping[str, str], there: str) -> str:
    parts = []
    if only_one := [value for value in one if value not in two]:
        parts.append(f"only in {here}: {', '.join(only_one)}")
    if only_two := [value for value in two if value not in one]:
        parts.append(f"only in {there}: {', '.join(only_two)}")
    return "; ".join(parts)


def _cors(settings: Any) -> Check:
    origins = settings.cors_origins
    if "*" in origins:
        return warning(
            "cors", "every site may call the API from a browser (*)", "Name the origins you own."
        )
    plain = [o for o in origins if o.startswith("http://") and not _is_local(urlsplit(o).hostname)]
    if plain:
        return warning("cors", f"tokens would travel in clear from {plain[0]}", "Use https there.")
    return ok("cors", ", ".join(origins) or "no browser front end of another origin may call")


def _proxy(project: Project, settings: Any) -> Check:
    url, proxies = settings.public_url, settings.trusted_proxies
    if any(network.endswith("/0") for network in proxies):
        return warning(
            "proxy", "TRUSTED_PROXIES trusts the whole world", "Name your proxy's own addresses."
        )
    if url and url.startswith("http://") and not _is_local(urlsplit(url).hostname):
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


def _is_local(host: str | None) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def _cli(patience: Patience) -> Check:
    if not cli.installed():
        return skipped("cli", "the auth0 command line is not installed; only `setup` may need it")
    try:
        version = cli.version(patience)
    except Problem as problem:
        return warning("cli", problem.message, problem.next_step)
    words = ".".join(map(str, version or ())) or "a development build"
    update = f"Update it: {cli.INSTALL}"
    if version and version < cli.FLOOR:
        return failure("cli", f"auth0 {words} is too old for the set-up", update)
    if version and version < cli.RECOMMENDED:
        return warning("cli", f"auth0 {words} opens a login where newer ones say so", update)
    return ok("cli", f"auth0 {words}")


# --------------------------------------------------------------------------------------- the tenant


def _tenant(domain: str, patience: Patience) -> Generator[Check, None, list[Json] | None]:
    """DNS, TLS, discovery, issuer, keys, clock; returns the keys."""
    yield (dns := _dns(domain, patience))
    names = ("tls", "discovery", "issuer", "keys", "clock")
    if dns.status == "failure":
        for name in names:
            yield skipped(name, f"{domain} has no address")
        return None
    try:
        answer = web.discovery(domain, patience)
    except Problem as problem:
        failed = "tls" if problem.code == "tls" else "discovery"
        for name in names:
            if name == failed:
                yield failure(name, problem.message, problem.next_step)
            else:
                yield skipped(name, "no answer to discovery")
        return None
    yield ok("tls", f"the certificate of {domain} is trusted")
    yield ok("discovery", f"https://{domain} is an OpenID Connect provider")
    yield _issuer("issuer", domain, answer.body.get("issuer"))
    keys, check = _keys(answer.body.get("jwks_uri"), patience)
    yield check
    yield _clock(answer.ahead)
    return keys


def _dns(domain: str, patience: Patience) -> Check:
    host, _, port = domain.partition(":")
    if urllib.request.getproxies().get("https") and not urllib.request.proxy_bypass(host):
        return skipped("dns", "requests go through a proxy, which resolves the name")
    try:
        found = web.within(patience, "DNS", lambda: socket.getaddrinfo(host, int(port or 443)))
    except Problem as problem:
        return failure("dns", problem.message, problem.next_step)
    except OSError:
        return failure(
            "dns", f"there is no host {host}", "Check AUTH0_DOMAIN, the region in it, and DNS."
        )
    return ok("dns", f"{host} is {found[0][4][0]}")


def _issuer(name: str, domain: str, issuer: object) -> Check:
    if issuer == f"https://{domain}/":
        return ok(name, str(issuer))
    host = urlsplit(str(issuer)).netloc
    return failure(
        name,
        f"tokens of https://{domain} say {web.printable(str(issuer))}, which the API refuses",
        f"Set AUTH0_DOMAIN={web.printable(host)}, or use the domain that clients log in at.",
    )


def _keys(url: object, patience: Patience) -> tuple[list[Json] | None, Check]:
    try:
        if not isinstance(url, str):
            raise Problem("bad_answer", "discovery names no jwks_uri", "Check AUTH0_DOMAIN.")
        keys = web.get_json(url, patience).body.get("keys")
    except Problem as problem:
        return None, failure("keys", problem.message, problem.next_step)
    usable = [
        key
        for key in (keys if isinstance(keys, list) else [])
        if isinstance(key, dict) and key.get("kty") == "RSA" and key.get("use", "sig") == "sig"
    ]
    if not usable:
        return None, failure("keys", "the tenant publishes no RSA key", "Check AUTH0_DOMAIN.")
    return usable, ok("keys", f"{len(usable)} for signatures")


def _clock(ahead: float | None) -> Check:
    if ahead is None:
        return skipped("clock", "the tenant did not say its time")
    words = f"this clock is {abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the tenant's"
    remedy = "Synchronise the clock (NTP): tokens are refused as expired or as not valid yet."
    if abs(ahead) >= SKEW_FAILS:
        return failure("clock", words, remedy)
    if abs(ahead) >= SKEW_WARNS:
        return warning("clock", words, remedy)
    return ok("clock", words)


def _custom_domain(domain: str, patience: Patience) -> Check:
    try:
        issuer = web.discovery(domain, patience).body.get("issuer")
    except Problem as problem:
        return failure("issuer", problem.message, problem.next_step)
    return _issuer("issuer", domain, issuer)


def _api(examination: Examination, audience: str, settings: Any) -> Iterator[Check]:
    """The API in the tenant, where there is access to the Management API."""
    try:
        tenant = examination.connect()
        api = next(iter(tenant.apis(audience)), None)
        near = None if api else _nearly(tenant, audience)
    except Problem as problem:
        found = f"no access to the Management API: {problem.message}"
        yield Check("api", "skipped", found, problem.next_step)
        for name in API_CHECKS:
            yield skipped(name, "no access to the Management API")
        return
    if api is None:
        found = f"{tenant.domain} has no API {audience}"
        remedy = SETUP
        if near:
            found += f", but has {near.get('identifier')}"
            remedy = "Set AUTH0_AUDIENCE to that: it has to be the same to the letter."
        yield failure("api", found, remedy)
        for name in API_CHECKS:
            yield skipped(name, "there is no such API")
        return
    yield ok("api", f'"{api.get("name")}" {audience}')
    yield _signing(api)
    yield _authorization(api, settings.auth0_authorization)
    yield _profile(api, settings.auth0_token_dialect)
    yield _dpop(api, settings.auth0_dpop)
    yield _tenant_scopes(examination.project, api, audience)


def _nearly(tenant: Tenant, audience: str) -> Json | None:
    """An API whose identifier differs by what people overlook."""
    bare = audience.rstrip("/")
    for identifier in dict.fromkeys((bare, f"{bare}/", audience.lower())):
        if identifier != audience and (found := tenant.apis(identifier)):
            return found[0]
    return None


def _signing(api: Json) -> Check:
    algorithm = api.get("signing_alg")
    if algorithm == "RS256":
        return ok("api-signing", "RS256")
    return failure("api-signing", f"tokens are signed with {algorithm}, not with RS256", SETUP)


def _authorization(api: Json, authorization: str) -> Check:
    name = "api-authorization"
    rbac = bool(api.get("enforce_policies"))
    claim = str(api.get("token_dialect", "")).endswith("_authz")
    found = f"RBAC {'on' if rbac else 'off'}, permissions {'in' if claim else 'not in'} the token"
    if authorization == "permissions" and not (rbac and claim):
        return failure(name, f"{found}; the API asks for permissions: always 403", SETUP)
    if authorization == "scopes" and rbac:
        return warning(
            name,
            f"{found}; the API asks for scopes, which RBAC limits to what the user's roles allow",
            "Mean it, or run the set-up; or set AUTH0_AUTHORIZATION=permissions.",
        )
    return ok(name, found)


def _profile(api: Json, dialect: str) -> Check:
    found = str(api.get("token_dialect") or "access_token").removesuffix("_authz")
    if found == dialect:
        return ok("api-profile", found)
    return failure(
        "api-profile",
        f"the tenant issues {found}, the API expects {dialect}",
        "Answer token_dialect anew (copier update) or set AUTH0_TOKEN_DIALECT; then the set-up.",
    )


def _dpop(api: Json, dpop: str) -> Check:
    required = bool((api.get("proof_of_possession") or {}).get("required"))
    found = f"the tenant {'binds' if required else 'need not bind'} tokens; the API: DPoP {dpop}"
    if required and dpop == "off":
        return failure("api-dpop", found, "Set AUTH0_DPOP=accepted, or free the API in Auth0.")
    if dpop == "required" and not required:
        return warning("api-dpop", f"{found}; Bearer tokens are issued in vain", SETUP)
    return ok("api-dpop", found)


def _tenant_scopes(project: Project, api: Json, audience: str) -> Check:
    name = "scopes-tenant"
    try:
        wanted = {scope["value"]: "" for scope in declared_api(project.root, audience)["scopes"]}
    except Problem as problem:
        return skipped(name, problem.message)
    present = {scope["value"]: "" for scope in api.get("scopes") or []}
    differences = _differences(wanted, "auth0/tenant.yaml", present, "the tenant")
    if not differences:
        return ok(name, "the tenant has the declared scopes")
    if set(wanted) - set(present):
        return failure(name, differences, SETUP)
    return warning(name, differences, f"Declare them, or: {SETUP[5:-2]} --prune`")


# ---------------------------------------------------------------------------------------- one token


def _token(
    examination: Examination, settings: Any, audience: str, keys: list[Json] | None
) -> Iterator[Check]:
    """What is wrong with the token, in plain words. Its signature is the API's own business."""
    form, header, claims = _form(_bare(examination.token or ""), audience, keys)
    yield form
    if claims is None or header is None:
        return
    yield _token_use(header, claims, settings)
    yield _token_issuer(claims, settings)
    yield _token_audience(claims, audience)
    yield _token_time(claims)
    yield _token_key(header, keys)
    yield _token_scopes(examination, claims, settings, audience)
    yield _token_binding(claims, settings.auth0_dpop)


def _bare(text: str) -> str:
    """The token in what people paste: a header, quotes, broken lines, the whole answer of Auth0."""
    with suppress(ValueError, TypeError, KeyError):
        text = str(json.loads(text)["access_token"])
    text = re.sub(r"(?i)^\s*(authorization:\s*)?(bearer|dpop)\s+", "", text)
    return re.sub(r"[\s\"']+", "", text)


def _form(
    token: str, audience: str, keys: list[Json] | None
) -> tuple[Check, Json | None, Json | None]:
    name = "token-form"
    ask = f"Ask for it with audience={audience}"
    parts = token.split(".")
    if not token:
        return failure(name, "stdin was empty", "Pipe the token in."), None, None
    header = _part(parts[0])
    if len(parts) == 5 and header is not None and header.get("alg") not in ("dir", "RS256"):
        return failure(name, "encrypted (JWE)", "Turn token encryption off."), None, None
    if len(parts) != 3 or header is None:
        opaque = len(parts) == 1 or (header or {}).get("alg") == "dir"
        found = "opaque: no audience was asked for" if opaque else "not a token (JWT)"
        return failure(name, found, ask), None, None
    claims = _part(parts[1])
    if claims is None:
        return failure(name, "its claims cannot be read", "Copy it whole."), None, None
    found = f"a JWT, {header.get('alg')}, typ {header.get('typ')} (signature not checked here)"
    if header.get("alg") != "RS256":
        return failure(name, found, "The API must sign with RS256: run the set-up."), header, claims
    sizes = {len(_bytes(str(key.get("n", "")))) for key in keys or ()}
    if sizes and len(_bytes(parts[2])) not in sizes:
        return failure(name, "cut off, or longer than it was", "Copy it whole."), header, claims
    return ok(name, web.printable(found)), header, claims


def _bytes(text: str) -> bytes:
    """Base64url without padding (RFC 7515 2); nothing if it is not that."""
    with suppress(ValueError):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return b""


def _part(text: str) -> Json | None:
    try:
        value = json.loads(_bytes(text))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _token_use(header: Json, claims: Json, settings: Any) -> Check:
    name, audiences = "token-use", _audiences(claims)
    id_token = any(key in claims for key in ("nonce", "at_hash", "c_hash")) or (
        audiences and all(re.fullmatch(r"[A-Za-z0-9]{32}", value) for value in audiences)
    )
    if id_token:
        return failure(
            name,
            "an ID token: it tells the application who logged in, and opens no API",
            "Send the access_token of the same answer.",
        )
    typ = str(header.get("typ", "")).lower().removeprefix("application/")
    profile = settings.auth0_token_dialect
    if profile == "rfc9068_profile" and typ != "at+jwt":
        return failure(name, f"typ is {web.printable(typ)}, not at+jwt (RFC 9068)", SETUP)
    return ok(name, "an access token")


def _audiences(claims: Json) -> list[str]:
    value = claims.get("aud", [])
    return [str(entry) for entry in (value if isinstance(value, list) else [value])]


def _token_issuer(claims: Json, settings: Any) -> Check:
    issuer = claims.get("iss")
    trusted = [settings.auth0_domain, *settings.auth0_custom_domains]
    if issuer in [f"https://{domain}/" for domain in trusted]:
        return ok("token-issuer", str(issuer))
    return failure(
        "token-issuer",
        f"issued by {web.printable(str(issuer))}; the API trusts {', '.join(trusted)}",
        "Log in at that domain, or add it to AUTH0_CUSTOM_DOMAINS if it is the same tenant.",
    )


def _token_audience(claims: Json, audience: str) -> Check:
    audiences = _audiences(claims)
    if audience in audiences:
        return ok("token-audience", audience)
    found = web.printable(f"for {', '.join(audiences) or 'nobody'}, not for {audience}")
    if any(value.rstrip("/") == audience.rstrip("/") for value in audiences):
        found += " (they differ by a slash)"
    return failure("token-audience", found, f"Ask for it with audience={audience}")


def _token_time(claims: Json) -> Check:
    name, now = "token-time", time.time()
    expires = claims.get("exp")
    if not isinstance(expires, int | float):
        return failure(name, "it has no expiry", "It is not from Auth0: get another.")
    if expires <= now:
        return failure(name, f"expired {_ago(now - expires)} ago", "Get a new one.")
    starts = max((claims[key] for key in ("nbf", "iat") if _is_number(claims.get(key))), default=0)
    if starts > now + SKEW_FAILS:
        return failure(name, f"valid only in {_ago(starts - now)}", "Set the clock right (NTP).")
    return ok(name, f"expires in {_ago(expires - now)}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _token_key(header: Json, keys: list[Json] | None) -> Check:
    if keys is None:
        return skipped("token-key", "the tenant's keys are not at hand")
    if header.get("kid") in [key.get("kid") for key in keys]:
        return ok("token-key", "signed with a key of the tenant, says its header")
    return failure(
        "token-key",
        "signed with a key that the tenant does not have",
        "Get a token of this tenant.",
    )


def _token_scopes(examination: Examination, claims: Json, settings: Any, audience: str) -> Check:
    name = "token-scopes"
    claim = "permissions" if settings.auth0_authorization == "permissions" else "scope"
    value = claims.get(claim)
    if value is None and claim == "permissions":
        return failure(name, "no permissions claim: RBAC is off for the API", SETUP)
    listed = value if isinstance(value, list) else []
    granted = value.split() if isinstance(value, str) else list(map(str, listed))
    wanted = [scope for given in examination.scopes for scope in given.split()]
    carries = f"{claim}: {web.printable(' '.join(granted)) or 'none'}"
    if missing := [scope for scope in wanted if scope not in granted]:
        remedy = (
            "Give the user's role the permission (Auth0, User Management, Roles)."
            if claim == "permissions"
            else "Ask for it with scope=...; an application needs it in its client grant."
        )
        return failure(name, f"lacks {', '.join(missing)}; {carries}", remedy)
    if wanted:
        return ok(name, carries)
    try:
        declared = [
            scope["value"] for scope in declared_api(examination.project.root, audience)["scopes"]
        ]
    except Problem:
        declared = []
    if declared and not set(declared) & set(granted):
        return warning(
            name, f"none of the API's scopes: scoped routes answer 403; {carries}", "Ask for them."
        )
    return ok(name, carries)


def _token_binding(claims: Json, dpop: str) -> Check:
    name = "token-binding"
    bound = isinstance(claims.get("cnf"), dict) and "jkt" in claims["cnf"]
    if bound and dpop == "off":
        return failure(
            name, "bound to a key (DPoP), and the API has DPoP off", "AUTH0_DPOP=accepted"
        )
    if bound:
        return warning(
            name,
            "bound to a key (DPoP): as a Bearer token it is refused",
            "Send `Authorization: DPoP ...` with a proof for each request (DPoP header).",
        )
    if dpop == "required":
        return failure(
            name, "not bound to a key, and the API takes DPoP only", "Ask for it with a DPoP proof."
        )
    return ok(name, "a Bearer token")
