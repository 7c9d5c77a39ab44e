"""What the project's files say about the tenant; and .env, merged and written in one step."""

import errno
import importlib.util
import io
import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dotenv.main import resolve_variables
from dotenv.parser import Binding, parse_stream

from . import Json, Problem

HEADER = "# The settings of the API; .env.example lists them all. Never commit this file."
TEMPORARY = ".env.new-"
NO_SPACE = (errno.ENOSPC, errno.EFBIG)
KEYWORD = re.compile(r"##(\w+)##")
DOMAIN = re.compile(
    r"((localhost|127\.0\.0\.1)(?=:)|([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?)"
    r"(:[0-9]{1,5})?"
)


def domain_fault(domain: str) -> str | None:
    """What is wrong with the domain of a tenant and what to type, or None."""
    if DOMAIN.fullmatch(domain):
        return None
    host = re.sub(r"^[A-Za-z]+://", "", domain.strip())
    host = re.sub(r"[/?#].*$", "", host).lower()
    if "@" not in domain and DOMAIN.fullmatch(host):
        return f"type the bare host name: {host}"
    return "type the host name of the tenant, such as your-tenant.eu.auth0.com"


def audience_fault(audience: str) -> str | None:
    """What is wrong with the identifier of an API, or None."""
    if not audience or re.search(r"[\s\x00-\x1f\x7f]", audience):
        return "an identifier is not empty and has no spaces"
    if re.fullmatch(r"https://[^/]+/api/v2/?", audience):
        return "that is the Management API of a tenant; use an identifier of your own"
    if re.search(r'["\\<>{}#\'`$]', audience) or len(audience) > 600:
        return "at most 600 characters, none of \" ' \\ < > { } # ` $"
    return None


# ------------------------------------------------------------------------------------------- .env


@dataclass(frozen=True)
class EnvFile:
    """The text of .env as it was read; `text` is None when there is no such file."""

    path: Path
    text: str | None

    @property
    def values(self) -> dict[str, str]:
        """The settings as the API reads them: with ${NAME} replaced; of several lines the last."""
        lines = ((line.key, line.value) for line in _lines(self.text or "") if line.key)
        found = resolve_variables(lines, override=True)
        return {key.upper(): value or "" for key, value in found.items()}


def read_env(path: Path) -> EnvFile:
    """Read .env byte for byte. Refuses what cannot be merged without doubt."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return EnvFile(path, None)
    except OSError as error:
        raise _env_problem(f"{path} cannot be read ({error.strerror})") from None
    if stat.S_ISLNK(status.st_mode):
        raise _env_problem(
            f"{path} is a symbolic link, which the set-up never follows",
            "Replace the link by a file, then run the command again.",
        )
    if not stat.S_ISREG(status.st_mode):
        raise _env_problem(f"{path} is not a file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _env_problem(f"{path} cannot be read ({error.strerror})") from None
    if b"\x00" in content:
        raise _env_problem(
            f"{path} is not UTF-8 text (UTF-16, as PowerShell's > writes?)",
            "Save it as UTF-8, then run the command again.",
        )
    return EnvFile(path, content.decode("utf-8", "surrogateescape"))


def env_notes(path: Path) -> list[str]:
    """What is odd about .env and will be repaired, or only said, when it is written."""
    env = read_env(path)
    if env.text is None:
        return []
    notes = []
    if not path.stat().st_mode & stat.S_IWUSR:
        notes.append(".env was read-only; it is yours to read and write (0600) after a change")
    for number, line in enumerate(env.text.splitlines(), start=1):
        if any("\udc80" <= char <= "\udcff" for char in line):
            notes.append(
                f".env, line {number}, is not UTF-8; it is kept, but the API reads only UTF-8"
            )
            break
    return notes


def merged_env(text: str | None, wanted: Mapping[str, str]) -> str:
    """The text of .env with the wanted values in place; every other byte stays.

    A key that is there keeps its line, `export`, quotes and comment; the others come at the end.
    """
    if text is None:
        text = HEADER + "\n"
    newline = "\r\n" if "\r\n" in text else "\n"
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    lines, values = list(_lines(text)), EnvFile(Path(), text).values
    last = {_key(line): index for index, line in enumerate(lines) if line.key}
    parts = [line.original.string for line in lines]
    new = []
    for key, value in wanted.items():
        if key in last:
            if values[key] != value:
                parts[last[key]] = _replaced(parts[last[key]], value)
        else:
            new.append(f"{key}={_quoted(value, '')}{newline}")
    body = "".join(parts).removeprefix("\ufeff")
    if new and body and not body.endswith(("\n", "\r")):
        body += newline
    return bom + body + "".join(new)


def write_env(env: EnvFile, wanted: Mapping[str, str]) -> bool:
    """Merge the values into .env, which may have changed since it was read; whether it wrote."""
    current = read_env(env.path)
    before = current.values
    for key in wanted:
        if before.get(key) not in (env.values.get(key), wanted[key]):
            raise _env_problem(f"{key} in .env changed while the set-up ran; it is left as it is")
    text = merged_env(current.text, wanted)
    if text == current.text and is_private(env.path):
        return False
    write_private(env.path, text.encode("utf-8", "surrogateescape"))
    return True


def write_private(path: Path, content: bytes) -> None:
    """Put the content at the path in one step, readable by its owner only. Follows no link."""
    if path.is_symlink():
        raise _env_problem(f"{path} is a symbolic link, which the set-up never follows")
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}")
    try:
        for stale in path.parent.glob(f"{TEMPORARY}*"):
            stale.unlink()  # of a run that was killed while it wrote
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.name == "nt" and path.exists():
            path.chmod(stat.S_IWRITE)  # Windows replaces no read-only file
        temporary.replace(path)
    except OSError as error:
        raise _env_problem(
            f"{path} cannot be written ({error.strerror})",
            "Free some space, then run the command again."
            if error.errno in NO_SPACE
            else f"Make the folder {path.parent} writable, then run the command again.",
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def is_private(path: Path) -> bool:
    """Whether nobody but the owner may read the file; Windows has no such mode."""
    return os.name == "nt" or not path.exists() or stat.S_IMODE(path.stat().st_mode) == 0o600


def check_writable(path: Path) -> None:
    """Refuse before anything is changed in the tenant, rather than after."""
    if not os.access(path.parent, os.W_OK):
        raise _env_problem(
            f"{path} cannot be written",
            f"Make the folder {path.parent} writable, then run the command again.",
        )


def _lines(text: str) -> Iterable[Binding]:
    # newline="" keeps the line endings as they are.
    return parse_stream(io.StringIO(text, newline=""))


def _key(line: Binding) -> str:
    # The API's settings are case-insensitive too.
    return (line.key or "").upper()


def _replaced(line: str, value: str) -> str:
    """The line with another value: same indentation, `export`, quotes, comment and line ending."""
    match = re.match(
        r"""(?P<start>\s*(?:export[^\S\r\n]+)?(?:'[^']+'|[^=\#\s]+)[^\S\r\n]*)
            (?:(?P<equals>=[^\S\r\n]*)
               (?P<value>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?:(?!\s+\#|\s*[\r\n]|\s*\Z).)*))?
            (?P<rest>.*)\Z""",
        line,
        re.VERBOSE | re.DOTALL,
    )
    if match is None:
        raise _env_problem(f"this line of .env is not understood: {line.strip()}")
    old = match["value"] or ""
    if old.startswith("#"):
        old, rest = "", " " + old + match["rest"]  # `KEY= # comment` has no value
    else:
        rest = match["rest"]
    if match["equals"] is None and rest.startswith("#"):
        rest = " " + rest  # `KEY # comment` has no value either
    quote = old[:1] if old[:1] in ("'", '"') else ""
    return f"{match['start']}{match['equals'] or '='}{_quoted(value, quote)}{rest}"


def _quoted(value: str, quote: str) -> str:
    if not quote and re.fullmatch(r"[\w./:@%+=,~&?!*|()\[\];^-]*", value, re.ASCII):
        return value
    quote = quote or "'"
    return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def _env_problem(message: str, next_step: str = "Set it right, then run again.") -> Problem:
    return Problem("env_file", message, next_step)


# ---------------------------------------------------------------------------------------- the rest


@dataclass(frozen=True)
class Project:
    """A rendered project: where it is, and the settings in .env."""

    root: Path
    env: EnvFile
    answers: Mapping[str, str]
    placeholders: Mapping[str, str]

    def setting(self, name: str, environment: Mapping[str, str]) -> str:
        """A setting as the API finds it: environment before .env; an example's value is none."""
        value = environment.get(name) or self.env.values.get(name, "")
        return "" if value == self.placeholders.get(name) else value


def load(root: Path, env: EnvFile | None = None) -> Project:
    """Read the project's own files; a folder without auth0/tenant.yaml is not a project.

    `env` is taken for a .env that cannot be read.
    """
    if not (root / "auth0" / "tenant.yaml").is_file():
        raise Problem(
            "bad_project",
            f"{root} has no auth0/tenant.yaml",
            "Run the command in the project, or name it with --project FOLDER.",
        )
    answers = _yaml(root / ".copier-answers.yml")
    text = {key: str(value) for key, value in answers.items()}
    example = read_env(root / ".env.example").values
    placeholders = {"AUTH0_DOMAIN": example.get("AUTH0_DOMAIN", "")}
    if text.get("auth0_audience") != example.get("AUTH0_AUDIENCE"):
        placeholders["AUTH0_AUDIENCE"] = example.get("AUTH0_AUDIENCE", "")
    return Project(root, env or read_env(root / ".env"), text, placeholders)


def declared_api(root: Path, audience: str) -> Json:
    """The API that auth0/tenant.yaml declares, with its keywords replaced."""
    path = root / "auth0" / "tenant.yaml"
    apis = _yaml(path).get("resourceServers")
    if not isinstance(apis, list) or not all(isinstance(api, dict) for api in apis):
        raise _yaml_problem(path, "it has no list resourceServers")
    filled: list[Json] = [_fill(api, {"AUTH0_AUDIENCE": audience}) for api in apis]
    ours = [api for api in filled if api.get("identifier") == audience]
    if len(ours) != 1:
        raise _yaml_problem(path, f"it declares {len(ours)} APIs with the identifier {audience}")
    if keyword := KEYWORD.search(str(ours[0])):
        raise _yaml_problem(path, f"only ##AUTH0_AUDIENCE## is replaced here, not {keyword[0]}")
    scopes = ours[0].get("scopes") or []
    if not all(isinstance(scope, dict) and isinstance(scope.get("value"), str) for scope in scopes):
        raise _yaml_problem(path, "a scope has no value")
    return {**ours[0], "scopes": scopes}


def code_scopes(root: Path) -> dict[str, str]:
    """The scopes that src/<package>/scopes.py declares, with their descriptions."""
    path = next(iter(sorted(root.glob("src/*/scopes.py"))), None)
    spec = path and importlib.util.spec_from_file_location("declared_scopes", path)
    if not spec or not spec.loader:
        raise Problem("bad_project", "there is no src/<package>/scopes.py", "Restore the file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return {member.value: member.description for member in module.Scope}
    except Exception as error:
        raise Problem(
            "bad_project", f"{path} cannot be read: {error}", "Put the class Scope right."
        ) from None


def _yaml(path: Path) -> Json:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        detail = " ".join(str(error).split())
        raise _yaml_problem(path, f"it cannot be read: {detail}") from None
    if content is not None and not isinstance(content, dict):
        raise _yaml_problem(path, "it is not a mapping")
    return content or {}


def _yaml_problem(path: Path, detail: str) -> Problem:
    return Problem("bad_project", f"{path}: {detail}", "Put the file right, then run again.")


def _fill(value: Any, keywords: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(inner, keywords) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, keywords) for inner in value]
    if isinstance(value, str):
        return KEYWORD.sub(lambda match: keywords.get(match[1], match[0]), value)
    return value
