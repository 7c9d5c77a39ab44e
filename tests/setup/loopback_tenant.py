"""An Auth0 tenant on loopback, over real HTTPS: its state in memory, a log of requests, faults.

What the set-up needs of the Management API is here with Auth0's status codes and error bodies;
besides, the token endpoint, discovery and the keys. A `Fault` answers in place of the tenant, also
after the request took effect; a `Gate` holds a request, so that a test can end a process there.
"""

import base64
import json
import re
import secrets
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import trustme
from joserfc import jwt
from joserfc.jwk import RSAKey

Json = dict[str, Any]
MANAGEMENT = "/api/v2/"
KINDS = {"resource-servers": "resource_servers", "clients": "clients", "client-grants": "grants"}
CREATED_BY_AUTH0 = {"id", "is_system", "client_id"}
API_PROPERTIES = {
    "allow_offline_access",
    "allow_online_access",
    "authorization_details",
    "consent_policy",
    "enforce_policies",
    "identifier",
    "name",
    "proof_of_possession",
    "scopes",
    "signing_alg",
    "signing_secret",
    "skip_consent_for_verifiable_first_party_clients",
    "subject_type_authorization",
    "token_dialect",
    "token_encryption",
    "token_lifetime",
    "token_lifetime_for_web",
}
API_DEFAULTS: Json = {
    "is_system": False,
    "signing_alg": "RS256",
    "allow_offline_access": False,
    "token_lifetime": 86400,
    "token_lifetime_for_web": 7200,
    "skip_consent_for_verifiable_first_party_clients": True,
    "subject_type_authorization": {
        "user": {"policy": "allow_all"},
        "client": {"policy": "require_client_grant"},
    },
}
CLIENT_DEFAULTS: Json = {
    "is_first_party": True,
    "oidc_conformant": True,
    "client_metadata": {},
    "callbacks": [],
}
ALL_SCOPES = frozenset(
    f"{action}:{what}"
    for what in ("resource_servers", "clients", "client_grants", "client_keys", "custom_domains")
    for action in ("create", "read", "update", "delete")
)


@dataclass(frozen=True)
class Answer:
    """What goes back: JSON, or text as it is; or nothing, when it hangs or cuts the connection."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    resets: bool = False


def refusal(status: int, error: str, message: str, code: str) -> Answer:
    """An error of the Management API."""
    body = {"statusCode": status, "error": error, "message": message, "errorCode": code}
    return Answer(status, body)


def lacking(*scopes: str) -> Answer:
    text = f"Insufficient scope, expected any of: {','.join(scopes)}"
    return refusal(403, "Forbidden", text, "insufficient_scope")


def rate_limited(seconds: float) -> Answer:
    """Too many requests, until so many seconds from now."""
    answer = refusal(429, "Too Many Requests", "Global limit has been reached", "too_many_requests")
    reset = {"X-RateLimit-Limit": "2", "X-RateLimit-Remaining": "0"}
    reset["X-RateLimit-Reset"] = str(int(time.time() + seconds))
    return Answer(429, answer.body, reset)


HTML = {"Content-Type": "text/html"}
UNAUTHORIZED = refusal(401, "Unauthorized", "Invalid token", "invalid_token")
NOT_FOUND = refusal(404, "Not Found", "Not found", "inexistent")
SERVER_ERROR = refusal(500, "Internal Server Error", "Something", "internal_error")
BAD_GATEWAY = refusal(502, "Bad Gateway", "Bad gateway", "bad_gateway")
HTML_PAGE = Answer(200, "<html>Sign in to the hotel's network</html>", HTML)
HTML_BAD_GATEWAY = Answer(502, "<html>502 Bad Gateway</html>", HTML)
HANG = Answer(0, hangs=True)
RESET = Answer(0, resets=True)


@dataclass
class Fault:
    """Answers requests of this method and path in place of the tenant, so many times."""

    answer: Answer
    method: str = ""
    path: str = ""
    times: float = 1
    after_effect: bool = False  # the request took effect; only its answer is lost
    skip: int = 0  # so many such requests go well first
    seen: int = 0

    def matches(self, method: str, path: str) -> bool:
        if self.method not in ("", method) or not path.startswith(self.path):
            return False
        self.seen += 1
        return self.skip < self.seen <= self.skip + self.times


@dataclass(frozen=True)
class Request:
    """One request as it came, and the status of the answer (None: there was none)."""

    method: str
    url: str
    body: str
    status: int | None

    @property
    def writes(self) -> bool:
        return self.method != "GET" and self.url.startswith(MANAGEMENT)


class Gate:
    """Holds the request with this number, before or after its effect, until it is opened."""

    def __init__(self, number: int, *, after_effect: bool) -> None:
        self.number, self.after_effect = number, after_effect
        self.reached, self.opened = threading.Event(), threading.Event()

    def hold(self, number: int, *, after_effect: bool) -> None:
        if (number, after_effect) == (self.number, self.after_effect):
            self.reached.set()
            self.opened.wait(30)


class LoopbackTenant:
    """The tenant `localhost:PORT`; `with` serves it. Its attributes may be changed at any time."""

    def __init__(self, authority: trustme.CA) -> None:
        self.resource_servers: list[Json] = []
        self.clients: list[Json] = []
        self.grants: list[Json] = []
        self.custom_domains: list[Json] = []
        self.faults: list[Fault] = []
        self.log: list[Request] = []
        self.gate: Gate | None = None
        self.issuer: str | None = None  # what discovery claims, if not the truth
        self.accepts_any_token = False
        self.ignores_fields = False
        self.new_id: Callable[[str, Json], Json] = _random_id
        self.key = signing_key()
        self._tokens: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        self._arrived = self._busy = 0
        self._closing = threading.Event()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(tls)
        self._server = _Server(self, tls)
        self.domain = f"localhost:{self._server.server_port}"
        self.management_audience = f"https://{self.domain}{MANAGEMENT}"
        self.resource_servers.append(
            {
                "id": "m" * 24,
                "name": "Auth0 Management API",
                "identifier": self.management_audience,
                "is_system": True,
                "signing_alg": "RS256",
                "scopes": [{"value": "read:resource_servers", "description": "Read"}],
                "token_lifetime": 86400,
            }
        )

    def __enter__(self) -> "LoopbackTenant":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        if self.gate:
            self.gate.opened.set()
        self._server.shutdown()
        self._server.server_close()

    # -------------------------------------------------------------------------- for the tests

    @property
    def writes(self) -> list[Request]:
        """The requests that may have changed something."""
        return [request for request in self.log if request.writes]

    def fail(self, answer: Answer, method: str = "", path: str = "", **options: Any) -> None:
        """Answer so the next request with this method and this beginning of its path."""
        self.faults.append(Fault(answer, method, path, **options))

    def add_machine(self, scopes: frozenset[str] = ALL_SCOPES) -> tuple[str, str]:
        """A client for continuous integration, allowed to use the Management API: id, secret."""
        machine = {
            "client_id": "mgmtclient",
            "client_secret": "CLIENT_SECRET",
            "name": "CI",
            "app_type": "non_interactive",
            "grant_types": ["client_credentials"],
            "client_metadata": {},
        }
        self.clients.append(machine)
        audience = self.management_audience
        grant = {"id": "cgr_ci", "client_id": "mgmtclient", "audience": audience}
        self.grants.append(grant | {"scope": sorted(scopes), "subject_type": "client"})
        return "mgmtclient", "CLIENT_SECRET"

    def add_api(self, identifier: str, **properties: Any) -> Json:
        """An API that is there already."""
        api = {**API_DEFAULTS, "name": "Old", "scopes": [], "identifier": identifier, **properties}
        api |= self.new_id("resource-servers", api)
        self.resource_servers.append(api)
        return api

    def management_token(self, scopes: frozenset[str] = ALL_SCOPES) -> str:
        """A token for the Management API, as a login of the command line gets."""
        token = self._sign({"sub": "auth0|admin", "aud": self.management_audience}, scopes, 86400)
        self._tokens[token] = scopes
        return token

    def apis(self, identifier: str) -> list[Json]:
        return [api for api in self.resource_servers if api["identifier"] == identifier]

    def applications(self, purpose: str) -> list[Json]:
        """The applications that the set-up made for this purpose."""
        return [
            client
            for client in self.clients
            if (client.get("client_metadata") or {}).get("purpose") == purpose
        ]

    def wait_until_idle(self) -> None:
        """Until no request has been worked on for a moment: an orphan may still send some."""
        quiet = 0
        deadline = time.monotonic() + 10
        while quiet < 5 and time.monotonic() < deadline:
            quiet = 0 if self._busy else quiet + 1
            time.sleep(0.02)

    # ---------------------------------------------------------------------------- one request

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: str) -> Answer:
        """The answer to a request: of a fault, or of the tenant."""
        with self._lock:
            number = self._arrived
            self._arrived += 1
            self._busy += 1
        try:
            fault = next((f for f in self.faults if f.matches(method, url)), None)
            if self.gate:
                self.gate.hold(number, after_effect=False)
            with self._lock:
                if fault is None or fault.after_effect:
                    answer = self._route(method, url, headers, body)
                if fault is not None:
                    answer = fault.answer
                status = None if answer.hangs or answer.resets else answer.status
                self.log.append(Request(method, url, body, status))
            if self.gate:
                self.gate.hold(number, after_effect=True)
            if answer.hangs:
                self._closing.wait(60)
            return answer
        finally:
            with self._lock:
                self._busy -= 1

    def _route(self, method: str, url: str, headers: Mapping[str, str], body: str) -> Answer:
        parts = urlsplit(url)
        if parts.path == "/.well-known/openid-configuration":
            return Answer(200, self._discovery())
        if parts.path == "/.well-known/jwks.json":
            return Answer(200, {"keys": [self.key.as_dict(private=False)]})
        if (method, parts.path) == ("POST", "/oauth/token"):
            return self._token(headers, body)
        if not parts.path.startswith(MANAGEMENT):
            return NOT_FOUND
        scopes = self._scopes(headers)
        if scopes is None:
            return UNAUTHORIZED
        try:
            content = json.loads(body or "{}")
        except ValueError:
            return _invalid("Malformed JSON")
        kind, _, key = parts.path.removeprefix(MANAGEMENT).partition("/")
        return self._manage(
            method, kind, unquote(key), dict(parse_qsl(parts.query)), content, scopes
        )

    def _discovery(self) -> Json:
        issuer = f"https://{self.domain}/"
        return {
            "issuer": self.issuer or issuer,
            "authorization_endpoint": f"{issuer}authorize",
            "token_endpoint": f"{issuer}oauth/token",
            "jwks_uri": f"{issuer}.well-known/jwks.json",
        }

    # ------------------------------------------------------------------------- Management API

    def _scopes(self, headers: Mapping[str, str]) -> frozenset[str] | None:
        if self.accepts_any_token:
            return ALL_SCOPES
        return self._tokens.get(headers.get("Authorization", "").removeprefix("Bearer "))

    def _manage(
        self,
        method: str,
        kind: str,
        key: str,
        query: Mapping[str, str],
        body: Json,
        scopes: frozenset[str],
    ) -> Answer:
        action = {"GET": "read", "POST": "create", "PATCH": "update", "DELETE": "delete"}[method]
        needed = f"{action}:{kind.replace('-', '_')}"
        if needed not in scopes:
            return lacking(needed)
        if kind == "custom-domains":
            return Answer(200, self.custom_domains)
        if kind not in KINDS:
            return NOT_FOUND
        if not key:
            if method == "GET":
                return self._list(kind, query, scopes)
            return self._create(kind, body) if method == "POST" else NOT_FOUND
        items: list[Json] = getattr(self, KINDS[kind])
        found = next((item for item in items if key in _keys(kind, item)), None)
        if found is None:
            return _missing(kind)
        if method == "DELETE":
            items.remove(found)
            if kind == "clients":
                self.grants[:] = [g for g in self.grants if g["client_id"] != key]
            return Answer(204)
        if method == "GET":
            return Answer(200, self._shown(kind, found, query, scopes))
        return self._update(kind, found, body)

    def _list(self, kind: str, query: Mapping[str, str], scopes: frozenset[str]) -> Answer:
        found = [item for item in getattr(self, KINDS[kind]) if _wanted(item, query)]
        size, page = int(query.get("per_page", 50)), int(query.get("page", 0))
        shown = [
            self._shown(kind, item, query, scopes)
            for item in found[page * size : (page + 1) * size]
        ]
        name = kind.replace("-", "_")
        if query.get("include_totals") == "true":
            total = {"total": len(found), "start": page * size, "limit": size}
            return Answer(200, {**total, name: shown})
        return Answer(200, {name: shown} if "take" in query else shown)

    def _shown(
        self, kind: str, item: Json, query: Mapping[str, str], scopes: frozenset[str]
    ) -> Json:
        hidden = set() if kind != "clients" or "read:client_keys" in scopes else {"client_secret"}
        wanted = query.get("fields", "").split(",")
        every = wanted == [""] or self.ignores_fields
        return {
            key: value
            for key, value in item.items()
            if key not in hidden and (every or key in wanted)
        }

    def _create(self, kind: str, body: Json) -> Answer:
        fault = self._fault_of(kind, body)
        if fault:
            return fault
        item: Json = {**_defaults(kind), **body, **self.new_id(kind, body)}
        getattr(self, KINDS[kind]).append(item)
        return Answer(201, item)

    def _fault_of(self, kind: str, body: Json) -> Answer | None:
        required = {"resource-servers": ["identifier"], "clients": ["name"]}
        for name in required.get(kind, ["client_id", "audience", "scope"]):
            if name not in body:
                return _invalid(f"Missing required property: {name}")
        if kind == "resource-servers":
            if self.apis(body["identifier"]):
                text = "A resource server with the same identifier already exists."
                return refusal(409, "Conflict", text, "resource_server_exists")
            return _invalid_api(body)
        if kind == "clients":
            return None
        same = [
            grant
            for grant in self.grants
            if (grant["client_id"], grant["audience"], grant.get("subject_type", "client"))
            == (body["client_id"], body["audience"], body.get("subject_type", "client"))
        ]
        if same:
            text = "A client grant with the same client_id and audience already exists."
            return refusal(409, "Conflict", text, "client_grant_conflict")
        if not self.apis(body["audience"]):
            return _missing("resource-servers")
        if fault := self._unknown_scopes(body["audience"], body["scope"]):
            return fault
        if not any(client["client_id"] == body["client_id"] for client in self.clients):
            return _missing("clients")
        return None

    def _unknown_scopes(self, audience: str, scopes: list[str]) -> Answer | None:
        """Auth0 refuses a grant that names what the API does not have."""
        (api,) = self.apis(audience)
        known = {scope["value"] for scope in api.get("scopes") or []}
        unknown = [scope for scope in scopes if scope not in known]
        if not unknown or api.get("is_system"):
            return None
        text = f"The following scopes are not defined on the resource server: {', '.join(unknown)}"
        return refusal(400, "Bad Request", text, "invalid_body")

    def _update(self, kind: str, found: Json, body: Json) -> Answer:
        fixed = sorted(CREATED_BY_AUTH0 & set(body))
        if kind == "resource-servers":
            fixed += ["identifier"] if "identifier" in body else []
            if found.get("is_system") and "name" in body:
                fixed.append("name")
        if fixed:
            return _invalid(f"Additional properties not allowed: {', '.join(fixed)}")
        fault = _invalid_api(body) if kind == "resource-servers" else None
        if kind == "client-grants" and "scope" in body:
            fault = self._unknown_scopes(found["audience"], body["scope"])
        if fault is None:
            found.update(body)
        return fault or Answer(200, found)

    # --------------------------------------------------------------------------------- tokens

    def _token(self, headers: Mapping[str, str], body: str) -> Answer:
        form = {name: values[0] for name, values in parse_qs(body).items()}
        form |= _basic(headers.get("Authorization", ""))
        client = next((c for c in self.clients if c["client_id"] == form.get("client_id")), None)
        if client is None or client.get("client_secret") != form.get("client_secret"):
            return _denied(401, "Unauthorized")
        if form.get("grant_type") not in client.get("grant_types", []):
            text = f"Grant type '{form.get('grant_type')}' not allowed for the client."
            return Answer(403, {"error": "unauthorized_client", "error_description": text})
        audience = form.get("audience", "")
        api = next(iter(self.apis(audience)), None)
        if api is None:
            return _denied(403, f"Service not found: {audience}")
        grant = next(
            (
                grant
                for grant in self.grants
                if (grant["client_id"], grant["audience"]) == (client["client_id"], audience)
                and grant.get("subject_type", "client") == "client"
            ),
            None,
        )
        policy = (api.get("subject_type_authorization") or {}).get("client") or {}
        if grant is None or policy.get("policy") == "deny_all":
            text = f"Client is not authorized to access {json.dumps(audience)}."
            return _denied(403, f"{text} You need to create a client-grant for that API.")
        granted = frozenset(grant["scope"])
        if form.get("scope"):
            granted &= frozenset(form["scope"].split())
        claims = {"sub": f"{client['client_id']}@clients", "aud": audience}
        claims |= {"gty": "client-credentials", "azp": client["client_id"]}
        token = self._sign(claims, granted, api["token_lifetime"], api.get("token_dialect", ""))
        if audience == self.management_audience:
            self._tokens[token] = granted
        answer = {"access_token": token, "token_type": "Bearer", "scope": " ".join(sorted(granted))}
        return Answer(200, answer | {"expires_in": api["token_lifetime"]})

    def _sign(self, claims: Json, scopes: frozenset[str], lifetime: int, dialect: str = "") -> str:
        now = int(time.time())
        claims = {"iss": f"https://{self.domain}/", "iat": now, "exp": now + lifetime, **claims}
        claims["scope"] = " ".join(sorted(scopes))
        header = {"alg": "RS256", "typ": "JWT", "kid": self.key.kid}
        if dialect.startswith("rfc9068_profile"):
            header["typ"] = "at+jwt"
            claims |= {"client_id": claims.pop("azp"), "jti": secrets.token_hex(12)}
        if dialect.endswith("_authz"):
            claims["permissions"] = sorted(scopes)
        return jwt.encode(header, claims, self.key)


@cache
def signing_key() -> RSAKey:
    """One key for all tenants of a process: to make one takes a moment."""
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


def _random_id(kind: str, body: Json) -> Json:
    if kind == "clients":
        return {"client_id": secrets.token_urlsafe(24), "client_secret": secrets.token_urlsafe(48)}
    if kind == "client-grants":
        return {"id": f"cgr_{secrets.token_urlsafe(12)}"}
    return {"id": secrets.token_hex(12)}


def _defaults(kind: str) -> Json:
    defaults = {"resource-servers": API_DEFAULTS, "clients": CLIENT_DEFAULTS}
    return defaults.get(kind, {"subject_type": "client"})


def _keys(kind: str, item: Json) -> tuple[Any, ...]:
    return (item["client_id"],) if kind == "clients" else (item["id"], item.get("identifier"))


def _wanted(item: Json, query: Mapping[str, str]) -> bool:
    """Whether the item passes the filters of the query."""
    filters = {"identifiers": "identifier", "client_id": "client_id", "audience": "audience"}
    for parameter, name in filters.items():
        if parameter in query and item.get(name) != query[parameter]:
            return False
    return "app_type" not in query or item.get("app_type") in query["app_type"].split(",")


def _invalid(text: str) -> Answer:
    return refusal(400, "Bad Request", f"Payload validation error: '{text}'.", "invalid_body")


def _invalid_api(body: Json) -> Answer | None:
    unknown = sorted(set(body) - API_PROPERTIES)
    if unknown:
        return _invalid(f"Additional properties not allowed: {', '.join(unknown)}")
    if re.search("[<>]", str(body.get("name", ""))):
        return _invalid("String does not match pattern ^[^<>]+$ on property name")
    return None


def _missing(kind: str) -> Answer:
    name = kind.replace("-", " ").removesuffix("s")
    code = f"inexistent_{name.replace(' ', '_')}"
    return refusal(404, "Not Found", f"The {name} does not exist.", code)


def _denied(status: int, text: str) -> Answer:
    return Answer(status, {"error": "access_denied", "error_description": text})


def _basic(header: str) -> Json:
    if not header.startswith("Basic "):
        return {}
    name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return {"client_id": unquote(name), "client_secret": unquote(secret)}


# ------------------------------------------------------------------------------------ HTTPS


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, tenant: LoopbackTenant, tls: ssl.SSLContext) -> None:
        self.tenant, self._tls = tenant, tls
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # Here and not on accept: who does not shake hands holds up a thread, not the tenant.
        with self._tls.wrap_socket(request, server_side=True) as secured:
            _Handler(secured, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up, or do not trust us, are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.title(): value for name, value in self.headers.items()}
        answer = self.server.tenant.answer(self.command, self.path, headers, body)
        if answer.hangs or answer.resets:
            self.close_connection = True
            if answer.resets:
                self._reset()
            return
        content = b"" if answer.body is None else _encoded(answer.body)
        self.send_response(answer.status)
        fields = {"Content-Type": "application/json", **answer.headers}
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        with suppress(OSError):
            self.end_headers()
            self.wfile.write(content)

    do_POST = do_PATCH = do_DELETE = do_GET

    def _reset(self) -> None:
        """Cut the connection without a goodbye."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """The log of the tenant is for tests, not for the terminal."""


def _encoded(body: Any) -> bytes:
    return (body if isinstance(body, str) else json.dumps(body)).encode()
