"""Reads and checks the API that auth0/tenant.yaml declares; a fault is named with its line.

The format is that of Auth0's Deploy CLI. Only the list `resourceServers` of the file counts here;
the bounds are those of Auth0's Management API.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from .model import Json
from .problems import BadProject

AUDIENCE = "AUTH0_AUDIENCE"
KEYWORD = re.compile(r"##(\w+)##|@@(\w+)@@")
DEPTH, SIZE = 60, 100_000  # of nested lists and mappings; of nodes, following aliases
BYTES = 4_000_000
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,280}")  # RFC 6749 3.3
LIFETIME = 2_592_000  # seconds: 30 days
DIALECTS = (
    *("access_token", "access_token_authz"),
    *("rfc9068_profile", "rfc9068_profile_authz"),
)
POLICIES = ("allow_all", "deny_all", "require_client_grant")


@dataclass(frozen=True)
class Declared:
    """The API, and the line of the file that each of its properties is on."""

    api: Json
    path: Path
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def scopes(self) -> dict[str, str]:
        return {scope["value"]: scope.get("description", "") for scope in self.api["scopes"]}

    def where(self, text: str) -> str:
        """Return file and line of the property that a refusal names, or an empty string."""
        named = re.findall(r"\w+", text)
        line = next((self.lines[name] for name in named if name in self.lines), None)
        return f"{self.path}, line {line}" if line else ""


def declared_api(root: Path, audience: str) -> Declared:
    """Return the API that auth0/tenant.yaml declares, with its keywords replaced.

    Without an audience, return the one whose identifier is the keyword.
    """
    path = root / "auth0" / "tenant.yaml"
    node = _parsed(path)
    audience = audience or f"##{AUDIENCE}##"
    found = [
        api
        for api in _items(node, path)
        if _filled(_text(_member(api, "identifier")), audience) == audience
    ]
    if len(found) != 1:
        raise BadProject(f"{path}: it declares {len(found)} APIs with the identifier {audience}")
    _check_size(found[0], path)
    value = _constructed(found[0], path)
    lines = {key.value: key.start_mark.line + 1 for key, _ in found[0].value}
    lines = {name: line for name, line in lines.items() if isinstance(name, str)}
    for name, place, fault in _faults(value):
        raise BadProject(f"{path}, line {_line(found[0], name, place)}: {fault}")
    api = _filled(value, audience)
    if audience[:2] != "##" and (scalar := _keyword(found[0], audience)):
        line, word = scalar.start_mark.line + 1, KEYWORD.search(_filled(scalar.value, audience))
        raise BadProject(
            f"{path}, line {line}: only ##{AUDIENCE}## is replaced here, not {word and word[0]}"
        )
    return Declared({**api, "scopes": api.get("scopes") or []}, path, lines)


# --------------------------------------------------------------------------------------- reading


def _parsed(path: Path) -> yaml.MappingNode:
    try:
        content = path.read_bytes()
        if len(content) > BYTES:
            raise BadProject(f"{path}: it has more than {BYTES:_} bytes")
        text = content.decode("utf-8-sig")
        _check_depth(text, path)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError:
        raise BadProject(f"{path}: there is no such file") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadProject(f"{path}, line {line}: {error.problem or 'it is not YAML'}") from None
    except (yaml.YAMLError, ValueError, OSError) as error:
        detail = " ".join(str(error).split())
        raise BadProject(f"{path}: it cannot be read: {detail}") from None
    if not isinstance(node, yaml.MappingNode):
        raise BadProject(f"{path}: it is not a mapping")
    return node


def _check_depth(text: str, path: Path) -> None:
    """Refuse nesting that would exhaust a recursive reader; the events are read flat."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise BadProject(f"{path}, line {line}: nested more than {DEPTH} levels deep")


def _items(node: yaml.MappingNode, path: Path) -> list[yaml.MappingNode]:
    listed = _member(node, "resourceServers")
    twice = [key for key, _ in node.value if getattr(key, "value", "") == "resourceServers"][1:]
    if twice:
        line = twice[0].start_mark.line + 1
        raise BadProject(f"{path}, line {line}: resourceServers is there twice")
    if not isinstance(listed, yaml.SequenceNode):
        raise BadProject(f"{path}: it has no list resourceServers")
    for item in listed.value:
        if not isinstance(item, yaml.MappingNode):
            line = item.start_mark.line + 1
            raise BadProject(f"{path}, line {line}: an API must be a mapping, like `name: My API`")
    return list(listed.value)


def _member(node: yaml.Node, name: str) -> yaml.Node | None:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value == name:
            found: yaml.Node = value
            return found
    return None


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _check_size(node: yaml.Node, path: Path) -> None:
    """Refuse an alias inside its own anchor, aliases that multiply, and duplicate members."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        line = node.start_mark.line + 1
        if id(node) in open_nodes:
            raise BadProject(f"{path}, line {line}: an alias refers to the node that contains it")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(size(child) for child in _children(node, path))
            open_nodes.remove(id(node))
        if sizes[id(node)] > SIZE:
            raise BadProject(f"{path}, line {line}: its aliases make more than {SIZE:_} values")
        return sizes[id(node)]

    size(node)


def _children(node: yaml.Node, path: Path) -> Iterator[yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        yield from node.value
        return
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            if key.tag != "tag:yaml.org,2002:merge":
                raise BadProject(f"{path}, line {line}: the name of a property must be text")
        elif key.value in seen:
            raise BadProject(f"{path}, line {line}: {key.value} is there twice")
        seen.add(str(key.value))
        yield value


def _constructed(node: yaml.Node, path: Path) -> Json:
    loader = yaml.SafeLoader("")
    try:
        value: Json = loader.construct_document(node)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None) or node.start_mark
        detail = getattr(error, "problem", None) or str(error)
        raise BadProject(f"{path}, line {mark.line + 1}: {detail}") from None
    finally:
        loader.dispose()
    return value


def _filled(value: Any, audience: str) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, audience) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, audience) for inner in value]
    return value.replace(f"##{AUDIENCE}##", audience) if isinstance(value, str) else value


def _line(api: yaml.Node, name: str, place: int | None) -> int:
    """Return the line of a property of the API, or of an item of the list that it is."""
    node = _member(api, name) or api
    if place is not None and isinstance(node, yaml.SequenceNode):
        node = node.value[place]
    return int(node.start_mark.line) + 1


def _keyword(node: yaml.Node, audience: str) -> yaml.ScalarNode | None:
    """Return the first text that has a Deploy CLI keyword other than the audience's."""
    if isinstance(node, yaml.ScalarNode):
        return node if KEYWORD.search(_filled(node.value, audience)) else None
    mapping = isinstance(node, yaml.MappingNode)
    children = [value for _, value in node.value] if mapping else node.value
    return next(filter(None, (_keyword(child, audience) for child in children)), None)


# ------------------------------------------------------------------------------- types and bounds


def _faults(api: Json) -> Iterator[tuple[str, int | None, str]]:
    """Yield each fault: the property, the place in its list, and the message."""
    if "name" not in api:
        yield "", None, "the API has no name"
    for name, value in api.items():
        if name == "scopes":
            yield from ((name, place, f"scopes: {fault}") for place, fault in _scopes(value))
        elif fault := CHECKS.get(name, _plain)(value):
            yield name, None, f"{name}: {fault}"


def _plain(value: Any) -> str | None:
    """Accept what JSON can express; Auth0 decides whether it knows the property."""
    if isinstance(value, dict):
        return next(filter(None, (_plain(inner) for inner in value.values())), None)
    if isinstance(value, list):
        return next(filter(None, map(_plain, value)), None)
    if value is None or isinstance(value, str | bool | int):
        return None
    if isinstance(value, float) and isfinite(value):
        return None
    return f"{value} is not text; put it in quotes"


def _word(least: int, most: int, forbidden: str = "") -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return f"{_written(value)} is not text; put it in quotes"
        if not least <= len(value) <= most:
            return f"{least} to {most} characters, not {len(value)}"
        if char := next((char for char in value if char in forbidden), None):
            return f"{char!r} is not allowed in it"
        return None

    return check


def _switch(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    return f"{_written(value)} is neither true nor false (without quotes)"


def _seconds(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LIFETIME:
        return None
    return f"{_written(value)} is not a number of seconds from 1 to {LIFETIME}"


def _one_of(*values: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        return None if value in values else f"{_written(value)} is none of {', '.join(values)}"

    return check


def _written(value: Any) -> str:
    """Return the value as it may be written in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) else str(value)[:60]


def _members(**checks: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if value is None:  # removes the property
            return None
        if not isinstance(value, dict):
            return "it must be a mapping"
        for name, inner in value.items():
            if fault := checks.get(name, _plain)(inner):
                return f"{name}: {fault}"
        return None

    return check


def _scopes(value: Any) -> Iterator[tuple[int | None, str]]:
    if value is not None and not isinstance(value, list):
        yield None, "it must be a list of `- value: read:things`"
        return
    seen: set[str] = set()
    for place, scope in enumerate(value or ()):
        if not isinstance(scope, dict) or "value" not in scope:
            yield place, "a scope has no value"
            return
        name, text = scope["value"], scope.get("description", "")
        if not isinstance(name, str):
            yield place, f"value: {_written(name)} is not text; put it in quotes"
        elif not SCOPE.fullmatch(name):
            yield (
                place,
                f'{name!r} is not a scope: 1 to 280 printable characters, no space, " or \\',
            )
        elif name in seen:
            yield place, f"{name} is there twice"
        elif fault := _word(0, 500)(text):
            yield place, f"description of {name}: {fault}"
        seen.add(str(name))


CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "name": _word(1, 200, "<>"),
    "identifier": _word(1, 600),
    "signing_alg": _one_of("RS256"),  # the only one that the guard of a project accepts
    "token_dialect": _one_of(*DIALECTS),
    "token_lifetime": _seconds,
    "token_lifetime_for_web": _seconds,
    "enforce_policies": _switch,
    "allow_offline_access": _switch,
    "allow_online_access": _switch,
    "skip_consent_for_verifiable_first_party_clients": _switch,
    "proof_of_possession": _members(required=_switch, mechanism=_word(1, 50)),
    "subject_type_authorization": _members(
        user=_members(policy=_one_of(*POLICIES)), client=_members(policy=_one_of(*POLICIES))
    ),
}
