"""The part of the tenant on loopback that a move of users needs: connections, users, jobs, roles.

All of it is read in Auth0's documentation and in auth0-python, none recorded: the import schema
("Bulk User Import Database Schema"), 500 KB a file, two jobs at once, upsert, scopes, status codes.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema_rs

from setup.loopback_tenant import (
    ALL_SCOPES,
    MANAGEMENT,
    NOT_FOUND,
    UNAUTHORIZED,
    Answer,
    Json,
    LoopbackTenant,
    lacking,
    refusal,
)

FILE_LIMIT = 500 * 1000
JOBS_AT_ONCE = 2
FORBIDDEN_METADATA = (
    *("__tenant", "_id", "blocked", "clientID", "created_at", "email_verified", "email"),
    *("globalClientID", "global_client_id", "identities", "lastIP", "lastLogin", "loginsCount"),
    *("metadata", "multifactor_last_modified", "multifactor", "updated_at", "user_id"),
)
TEXTS = ("username", "given_name", "family_name", "name", "nickname", "picture", "phone_number")
FLAGS = ("email_verified", "phone_verified", "blocked")
ALGORITHMS = ("argon2", "bcrypt", "hmac", "ldap", "md4", "md5", "sha1", "sha256", "sha512")
IMPORT_SCHEMA: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["email"],
        "additionalProperties": False,
        "not": {"required": ["password_hash", "custom_password_hash"]},
        "properties": {
            "email": {"type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$"},
            "user_id": {"type": "string", "not": {"pattern": "^auth0\\|"}},
            **{name: {"type": "string"} for name in TEXTS},
            **{name: {"type": "boolean"} for name in FLAGS},
            "password_hash": {"type": "string", "pattern": r"^\$2[ab]\$10\$[./A-Za-z0-9]{53}$"},
            "custom_password_hash": {
                "type": "object",
                "required": ["algorithm", "hash"],
                "additionalProperties": False,
                "properties": {
                    "algorithm": {"enum": [*ALGORITHMS, "pbkdf2", "scrypt"]},
                    "hash": {
                        "type": "object",
                        "required": ["value"],
                        "properties": {
                            "value": {"type": "string"},
                            "encoding": {"enum": ["base64", "hex", "utf8"]},
                        },
                    },
                },
                "allOf": [  # both carry their salt, so none may be given
                    {
                        "if": {"properties": {"algorithm": {"const": algorithm}}},
                        "then": {
                            "properties": {
                                "hash": {
                                    "properties": {
                                        "value": {"pattern": shape},
                                        "encoding": {"const": "utf8"},
                                    },
                                    "required": ["encoding"],
                                }
                            },
                            "not": {"required": ["salt"]},
                        },
                    }
                    for algorithm, shape in (
                        ("argon2", r"^\$argon2(i|d|id)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[^$]+\$[^$]+$"),
                        ("bcrypt", r"^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$"),
                    )
                ],
            },
            "app_metadata": {
                "type": "object",
                "propertyNames": {"not": {"enum": list(FORBIDDEN_METADATA)}},
            },
            "user_metadata": {"type": "object"},
            "mfa_factors": {"type": "array"},
        },
    },
}
MOVE_SCOPES = frozenset(
    [
        *("read:connections", "read:users", "create:users", "update:users", "read:roles"),
        *("create:roles", "update:roles", "read:role_members", "delete:role_members"),
    ]
)


class PeopledTenant(LoopbackTenant):
    """A tenant with users and roles."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: list[Json] = [
            {"id": "con_0000000000000001", "name": "Username-Password-Authentication"}
            | {"strategy": "auth0"}
        ]
        self.users: dict[str, Json] = {}
        self.roles: dict[str, Json] = {}
        self.jobs: dict[str, Json] = {}
        self.uploads: list[bytes] = []
        self.polls = 1  # how often a job is asked for before it has ended
        self.most_jobs = 0  # that ever ran at once
        self.refuses: dict[str, str] = {}  # e-mail -> why an import of this user fails

    def add_user(self, user_id: str, email: str, **properties: Any) -> Json:
        user = {"user_id": user_id, "email": email, "blocked": False, **properties}
        self.users[user_id] = user
        return user

    def add_mover(self, without: str = "") -> tuple[str, str]:
        """A machine that may do what a move does."""
        return self.add_machine((ALL_SCOPES | MOVE_SCOPES) - {without})

    def members(self, name: str) -> set[str]:
        """Who has the role of this name."""
        found = (role for role in self.roles.values() if role["name"] == name)
        return {user for role in found for user in role["users"]}

    def permissions(self, name: str) -> set[str]:
        found = (role for role in self.roles.values() if role["name"] == name)
        return {permission for role in found for _, permission in role["permissions"]}

    # ---------------------------------------------------------------------------- requests

    def _route(self, method: str, url: str, headers: Mapping[str, str], body: str) -> Answer:
        parts = urlsplit(url)
        path = [unquote(part) for part in parts.path.removeprefix(MANAGEMENT).split("/")]
        kinds: dict[str, Callable[..., Answer]] = {
            "connections": self._connections,
            "users-by-email": self._by_email,
            "users": self._users,
            "jobs": self._jobs,
            "roles": self._roles,
        }
        if path[0] not in kinds or not parts.path.startswith(MANAGEMENT):
            return super()._route(method, url, headers, body)
        granted = self._scopes(headers)
        if granted is None:
            return UNAUTHORIZED
        if missing := _needed(method, path) - granted:
            return lacking(*sorted(missing))
        content: Any = body
        if path[:2] == ["jobs", "users-imports"]:
            content = _multipart(headers["Content-Type"], body)
        elif body:
            content = json.loads(body)
        return kinds[path[0]](method, path[1:], dict(parse_qsl(parts.query)), content)

    def _connections(self, _: str, path: list[str], query: Json, __: Any) -> Answer:
        return Answer(200, {"connections": self.connections})

    def _by_email(self, _: str, path: list[str], query: Json, __: Any) -> Answer:
        wanted = query["fields"].split(",")
        found = [user for user in self.users.values() if user["email"] == query["email"].lower()]
        return Answer(200, [{name: user[name] for name in wanted} for user in found])

    def _users(self, method: str, path: list[str], _: Json, body: Json) -> Answer:
        user = self.users.get(path[0])
        if user is None:
            return refusal(404, "Not Found", "The user does not exist.", "inexistent_user")
        if method == "DELETE" and path[1:] == ["roles"]:
            for role in body["roles"]:
                self.roles[role]["users"].discard(path[0])
            return Answer(204)
        user.update(body)
        return Answer(200, user)

    # -------------------------------------------------------------------------------- jobs

    def _jobs(self, method: str, path: list[str], _: Json, body: Json) -> Answer:
        if method == "POST":
            return self._start(body)
        job = self.jobs.get(path[0])
        if job is None:
            return NOT_FOUND
        if path[1:] == ["errors"]:
            return Answer(200, job["errors"]) if job["errors"] else Answer(204)
        job["polls"] -= 1
        if job["polls"] <= 0:
            self._run(job)
        hidden = ("errors", "content", "polls")
        return Answer(200, {name: value for name, value in job.items() if name not in hidden})

    def _start(self, form: Mapping[str, bytes]) -> Answer:
        running = [job for job in self.jobs.values() if job["status"] == "pending"]
        if len(running) >= JOBS_AT_ONCE:
            for job in running:  # time goes by
                job["polls"] -= 1
                if job["polls"] <= 0:
                    self._run(job)
            text = f"There are {len(running)} active import users jobs, please wait"
            return refusal(429, "Too Many Requests", text, "too_many_jobs")
        content = form["users"]
        if len(content) > FILE_LIMIT:
            return refusal(413, "Payload Too Large", "The file is too large.", "file_too_large")
        assert form["upsert"] == b"false"
        key = f"job_{secrets.token_hex(8)}"
        self.uploads.append(content)
        job = {
            "id": key,
            "type": "users_import",
            "status": "pending",
            "created_at": "2026-01-01T00:00:00.000Z",
            "connection_id": form["connection_id"].decode(),
            "external_id": form["external_id"].decode(),
        }
        self.jobs[key] = job | {"polls": self.polls, "content": content, "errors": []}
        self.most_jobs = max(self.most_jobs, len(running) + 1)
        return Answer(202, job)

    def _run(self, job: Json) -> None:
        if job["status"] != "pending":
            return
        entries = json.loads(job["content"])
        validator = jsonschema_rs.validator_for(IMPORT_SCHEMA)
        if fault := next(validator.iter_errors(entries), None):
            job |= {"status": "failed", "status_details": f"Schema: {fault.message}"}
            return
        for entry in entries:
            user_id = f"auth0|{entry['user_id']}"
            emails = {user["email"] for user in self.users.values()}
            why = self.refuses.get(entry["email"], "")
            if user_id in self.users or entry["email"] in emails:
                why = "The user already exists"
            if why:
                errors = [{"code": "REFUSED", "message": why, "path": "email"}]
                job["errors"].append({"user": entry, "errors": errors})
            else:
                self.users[user_id] = {"blocked": False, **entry, "user_id": user_id}
        job["status"] = "completed"

    # ------------------------------------------------------------------------------- roles

    def _roles(self, method: str, path: list[str], query: Json, body: Json) -> Answer:
        if path and path[0] and path[0] not in self.roles:
            return refusal(404, "Not Found", "The role does not exist.", "inexistent_role")
        if path[1:] == ["permissions"]:
            return self._permissions(method, self.roles[path[0]], query, body)
        if path[1:] == ["users"]:
            return self._members(method, self.roles[path[0]], query, body)
        shown = ("id", "name", "description")
        if method == "GET":
            found = [
                {name: role[name] for name in shown}
                for role in self.roles.values()
                if query["name_filter"] in role["name"]
            ][int(query["page"]) * 50 :][:50]
            return Answer(200, {"start": 0, "limit": 50, "total": len(found), "roles": found})
        if body["name"] in {role["name"] for role in self.roles.values()}:
            return refusal(409, "Conflict", "A role with this name exists.", "role_conflict")
        role = {"id": f"rol_{secrets.token_hex(8)}", **body, "users": set(), "permissions": set()}
        self.roles[role["id"]] = role
        return Answer(200, {name: role[name] for name in shown})

    def _permissions(self, method: str, role: Json, query: Json, body: Json) -> Answer:
        if method == "GET":
            found = [
                {"resource_server_identifier": api, "permission_name": name}
                for api, name in sorted(role["permissions"])
            ][int(query["page"]) * 50 :][:50]
            total = {"start": 0, "limit": 50, "total": len(found)}
            return Answer(200, total | {"permissions": found})
        pairs = {
            (each["resource_server_identifier"], each["permission_name"])
            for each in body["permissions"]
        }
        for api, name in pairs:
            known = self.apis(api) and {s["value"] for s in self.apis(api)[0]["scopes"]}
            if not known or name not in known:
                return refusal(400, "Bad Request", f"No permission {name}", "invalid_body")
        role["permissions"] = (
            role["permissions"] | pairs if method == "POST" else role["permissions"] - pairs
        )
        return Answer(201 if method == "POST" else 204)

    def _members(self, method: str, role: Json, query: Json, body: Json) -> Answer:
        if method == "GET":
            start, count = int(query.get("from", 0)), int(query["take"])
            users = [{"user_id": user} for user in sorted(role["users"])]
            more = {"next": str(start + count)} if users[start + count :] else {}
            return Answer(200, {"users": users[start : start + count], **more})
        if not set(body["users"]) <= set(self.users):
            return refusal(404, "Not Found", "A user does not exist.", "inexistent_user")
        role["users"] |= set(body["users"])
        return Answer(200)


def _needed(method: str, path: list[str]) -> set[str]:
    """The scopes of a request, by Auth0's reference of the Management API."""
    kind, rest = path[0], path[1:]
    if kind == "connections":
        return {"read:connections"}
    if kind == "jobs":
        return {"create:users"} if method == "POST" else {"read:users"}
    if kind == "roles" and rest[1:] == ["users"]:
        return {"read:role_members"} if method == "GET" else {"update:roles"}
    if kind == "users" and rest[1:] == ["roles"]:
        return {"update:users", "delete:role_members"}
    if kind == "roles":
        return {f"{'read' if method == 'GET' else 'update' if rest else 'create'}:roles"}
    return {"read:users"} if method == "GET" else {"update:users"}


def _multipart(content_type: str, body: str) -> dict[str, bytes]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    fields = {}
    for part in message_from_bytes(head + body.encode()).get_payload():
        name = re.search(r'name="([^"]+)"', str(part["Content-Disposition"]))  # type: ignore[index]
        assert name
        fields[name[1]] = part.get_payload(decode=True)  # type: ignore[union-attr]
    return fields  # type: ignore[return-value]
