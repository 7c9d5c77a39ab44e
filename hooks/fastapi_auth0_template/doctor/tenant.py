"""Checks of the tenant: its public endpoints, and the API in it."""

import os
import socket
import urllib.request
from collections.abc import Generator, Iterator
from urllib.parse import urlsplit

from ..declared import declared_api
from ..model import COMMAND, Json, Patience, Tenant
from ..plan import CLIENT, USER, access_policy
from ..problems import BadAnswer, Problem, TlsFault
from ..project import Project
from ..tenant import http
from ..text import printable
from .check import SETUP, Check, Examination, failure, ok, skipped, warning
from .inside import Settings
from .project import differences

PUBLIC_CHECKS = ("dns", "tls", "discovery", "issuer", "keys", "clock")
API_CHECKS = (
    *("api-signing", "api-authorization", "api-profile", "api-dpop"),
    *("api-access", "scopes-tenant", "grants"),
)
SKEW_WARNS, SKEW_FAILS = 10, 60  # seconds


# ------------------------------------------------------------------------------ public endpoints


def public(domain: str, patience: Patience) -> Generator[Check, None, list[Json] | None]:
    """Check DNS, TLS, discovery, issuer, keys and clock; return the keys."""
    yield (resolved := dns(domain, patience))
    names = PUBLIC_CHECKS[1:]
    if resolved.status == "failure":
        for name in names:
            yield skipped(name, f"{domain} has no address")
        return None
    try:
        answer = http.discovery(domain, patience)
    except Problem as problem:
        failed = "tls" if isinstance(problem, TlsFault) else "discovery"
        for name in names:
            if name == failed:
                yield failure(name, problem.message, problem.next_step)
            else:
                yield skipped(name, "no answer to discovery")
        return None
    yield ok("tls", f"the certificate of {domain} is trusted")
    yield ok("discovery", f"https://{domain} is an OpenID Connect provider")
    yield issuer("issuer", domain, answer.body.get("issuer"))
    found, check = keys(answer.body.get("jwks_uri"), patience)
    yield check
    yield clock(answer.ahead)
    return found


def dns(domain: str, patience: Patience) -> Check:
    """The tenant's host has an address."""
    host, _, port = domain.partition(":")
    if urllib.request.getproxies().get("https") and not urllib.request.proxy_bypass(host):
        return skipped("dns", "requests go through a proxy, which resolves the name")
    try:
        found = http.within(patience, "DNS", lambda: socket.getaddrinfo(host, int(port or 443)))
    except Problem as problem:
        return failure("dns", problem.message, problem.next_step)
    except OSError:
        return failure(
            "dns", f"there is no host {host}", "Check AUTH0_DOMAIN, the region in it, and DNS."
        )
    return ok("dns", f"{host} is {found[0][4][0]}")


def issuer(name: str, domain: str, found: object) -> Check:
    """Tokens from the domain name the issuer that the API trusts."""
    if found == f"https://{domain}/":
        return ok(name, str(found))
    host = urlsplit(str(found)).netloc
    return failure(
        name,
        f"tokens from https://{domain} say {printable(str(found))}, which the API refuses",
        f"Set AUTH0_DOMAIN={printable(host)}, or use the domain that clients log in at.",
    )


def keys(url: object, patience: Patience) -> tuple[list[Json] | None, Check]:
    """The tenant publishes a signing key."""
    try:
        if not isinstance(url, str):
            raise BadAnswer("discovery names no jwks_uri", "Check AUTH0_DOMAIN.")
        listed = http.get_json(url, patience).body.get("keys")
    except Problem as problem:
        return None, failure("keys", problem.message, problem.next_step)
    usable = [
        key
        for key in (listed if isinstance(listed, list) else [])
        if isinstance(key, dict) and key.get("kty") == "RSA" and key.get("use", "sig") == "sig"
    ]
    if not usable:
        return None, failure("keys", "the tenant publishes no RSA key", "Check AUTH0_DOMAIN.")
    return usable, ok("keys", f"{len(usable)} for signatures")


def clock(ahead: float | None) -> Check:
    """This machine's clock and the tenant's agree."""
    if ahead is None:
        return skipped("clock", "the tenant did not send its time")
    words = f"this clock is {abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the tenant's"
    remedy = "Synchronise the clock (NTP): tokens are refused as expired or as not valid yet."
    if abs(ahead) >= SKEW_FAILS:
        return failure("clock", words, remedy)
    if abs(ahead) >= SKEW_WARNS:
        return warning("clock", words, remedy)
    return ok("clock", words)


def custom_domain(domain: str, patience: Patience) -> Check:
    """Another domain of the tenant issues tokens in its own name."""
    try:
        found = http.discovery(domain, patience).body.get("issuer")
    except Problem as problem:
        return failure("issuer", problem.message, problem.next_step)
    return issuer("issuer", domain, found)


# -------------------------------------------------------------------------- the API in the tenant


def api(examination: Examination, audience: str, settings: Settings) -> Iterator[Check]:
    """Check the API in the tenant, given access to the Management API."""
    try:
        tenant = examination.connect()
        found = next(iter(tenant.apis(audience)), None)
        near = None if found else _nearly(tenant, audience)
    except Problem as problem:
        words = f"no access to the Management API: {problem.message}"
        yield skipped("api", words, problem.next_step)
        for name in API_CHECKS:
            yield skipped(name, "no access to the Management API")
        return
    if found is None:
        words, remedy = f"{tenant.domain} has no API {audience}", SETUP
        if near:
            words += f", but has {near.get('identifier')}"
            remedy = "Set AUTH0_AUDIENCE to that: the two must match exactly."
        yield failure("api", words, remedy)
        for name in API_CHECKS:
            yield skipped(name, "there is no such API")
        return
    yield ok("api", f'"{found.get("name")}" {audience}')
    yield signing(found)
    yield authorization(found, settings.auth0_authorization)
    yield profile(found, settings.auth0_token_dialect)
    yield dpop(found, settings.auth0_dpop)
    yield from access_and_grants(examination.project, tenant, found, audience)


def _nearly(tenant: Tenant, audience: str) -> Json | None:
    """Return an API whose identifier differs by something people overlook."""
    bare = audience.rstrip("/")
    for identifier in dict.fromkeys((bare, f"{bare}/", audience.lower())):
        if identifier != audience and (found := tenant.apis(identifier)):
            return found[0]
    return None


def signing(api: Json) -> Check:
    """Tokens are signed with the algorithm that the API accepts."""
    algorithm = api.get("signing_alg")
    if algorithm == "RS256":
        return ok("api-signing", "RS256")
    return failure("api-signing", f"tokens are signed with {algorithm}, not with RS256", SETUP)


def authorization(api: Json, wanted: str) -> Check:
    """RBAC puts into the token the claim that the API reads."""
    name = "api-authorization"
    rbac = bool(api.get("enforce_policies"))
    claim = str(api.get("token_dialect", "")).endswith("_authz")
    found = f"RBAC {'on' if rbac else 'off'}, permissions {'in' if claim else 'not in'} the token"
    if wanted == "permissions" and not (rbac and claim):
        return failure(name, f"{found}; the API asks for permissions: always 403", SETUP)
    if wanted == "scopes" and rbac:
        return warning(
            name,
            f"{found}; the API asks for scopes, which RBAC limits to what the user's roles allow",
            "Keep this if intended; otherwise run the set-up, or set"
            " AUTH0_AUTHORIZATION=permissions.",
        )
    return ok(name, found)


def profile(api: Json, dialect: str) -> Check:
    """The tenant issues the token profile that the API expects."""
    found = str(api.get("token_dialect") or "access_token").removesuffix("_authz")
    if found == dialect:
        return ok("api-profile", found)
    return failure(
        "api-profile",
        f"the tenant issues {found}, the API expects {dialect}",
        "Switch token_dialect (copier update) or set AUTH0_TOKEN_DIALECT; then run the set-up.",
    )


def dpop(api: Json, setting: str) -> Check:
    """The tenant binds tokens to keys if the API requires it."""
    required = bool((api.get("proof_of_possession") or {}).get("required"))
    found = f"the tenant {'binds' if required else 'need not bind'} tokens; the API: DPoP {setting}"
    if required and setting == "off":
        return failure(
            "api-dpop",
            found,
            "Set AUTH0_DPOP=accepted, or let the API in Auth0 issue Bearer tokens.",
        )
    if setting == "required" and not required:
        return warning("api-dpop", f"{found}; Bearer tokens are issued but refused", SETUP)
    return ok("api-dpop", found)


def access_and_grants(
    project: Project, tenant: Tenant, api: Json, audience: str
) -> Iterator[Check]:
    """Check who may ask for tokens, which scopes exist, and which clients lack some of them."""
    try:
        declared = list(declared_api(project.root, audience).scopes)
    except Problem as problem:
        yield access(api, project, None)
        for name in API_CHECKS[-2:]:
            yield skipped(name, problem.message, problem.next_step)
        return
    try:
        listed: list[Json] | None = tenant.grants(audience)
        why = ""
    except Problem as problem:
        listed, why = None, problem.message
    yield access(api, project, listed)
    yield tenant_scopes(declared, api)
    if listed is None:
        yield skipped("grants", why, "Log in with read:client_grants to see them.")
    else:
        yield grants(listed, declared)


def access(api: Json, project: Project, listed: list[Json] | None) -> Check:
    """The API's access policy lets users log in and clients get tokens."""
    name = "api-access"
    user, client = access_policy(api, USER), access_policy(api, CLIENT)
    found = f"for users: {user}; for clients: {client}"
    remedy = "Change subject_type_authorization in auth0/tenant.yaml, then run the set-up."
    if user == client == "deny_all":
        return failure(name, f"{found}; nobody can get a token", remedy)
    if client == "deny_all":
        return warning(name, f"{found}; no test token, no token for a service", remedy)
    if user == "deny_all":
        return warning(name, f"{found}; no login gets a token", remedy)
    docs = project.setting("AUTH0_DOCS_CLIENT_ID", os.environ)
    granted = [grant for grant in listed or () if grant.get("subject_type") == USER]
    if user == "require_client_grant":
        if docs and any(grant.get("client_id") == docs for grant in granted):
            return ok(name, f"{found}; the docs application has its grant")
        return warning(
            name,
            f"{found}; an application that logs users in needs a grant for this API",
            f"Run `{COMMAND} setup --docs-app` for /docs; grant others in the Dashboard.",
        )
    return ok(name, found)


def tenant_scopes(declared: list[str], api: Json) -> Check:
    """The tenant has the scopes that the file declares, and no others."""
    name = "scopes-tenant"
    wanted = dict.fromkeys(declared, "")
    present = {scope["value"]: "" for scope in api.get("scopes") or []}
    difference = differences(wanted, "auth0/tenant.yaml", present, "the tenant")
    if not difference:
        return ok(name, "the tenant has the declared scopes")
    if set(wanted) - set(present):
        return failure(name, difference, SETUP)
    return warning(name, difference, f"Declare them, or: {SETUP[5:-2]} --prune`")


def grants(listed: list[Json], declared: list[str]) -> Check:
    """Every client's grant has all declared scopes; a client that lacks one gets 403 there."""
    lacking = {
        str(grant.get("client_id") or grant.get("default_for")): missing
        for grant in listed
        if not grant.get("allow_all_scopes")
        and (missing := [scope for scope in declared if scope not in (grant.get("scope") or [])])
    }
    if not lacking:
        return ok("grants", f"client grants: {len(listed)}, each with every declared scope")
    words = "; ".join(f"{client} lacks {', '.join(scopes)}" for client, scopes in lacking.items())
    return warning(
        "grants",
        printable(words),
        "Keep this if intended; otherwise add the scope to the grant (Applications, APIs).",
    )
