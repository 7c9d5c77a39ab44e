"""The house of the tool: small files, small functions, imports that only go down, no circle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import ROOT

TOOL = ROOT / "hooks" / "fastapi_auth0_template"
# From the top; a module may import from its own floor and from those below it.
FLOORS = [
    ["__main__"],
    ["app"],
    ["commands"],
    ["move"],
    ["doctor"],
    ["tenant"],
    ["apply"],
    ["plan"],
    ["project", "declared"],
    ["env_file"],
    ["console"],
    ["values", "text"],
    ["model", "problems"],
]
LEVEL = {name: -number for number, names in enumerate(FLOORS) for name in names}
FILES = sorted(TOOL.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(TOOL).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """The modules of the tool that a module imports, at any place in it."""
    package = ["", *path.relative_to(TOOL).parts[:-1]]
    known = {name_of(each) for each in FILES}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[1 : len(package) - node.level + 1] + (node.module or "").split(".")
        for alias in node.names:
            whole = ".".join(filter(None, [*base, alias.name]))
            yield whole if whole in known else ".".join(filter(None, base))


def level(module: str) -> int:
    return LEVEL[module.partition(".")[0]]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_down(path: Path) -> None:
    if name_of(path) != "__init__":
        for module in imports(path):
            assert level(module) <= level(name_of(path)), f"{name_of(path)} imports {module}"


def test_there_is_no_circle() -> None:
    below = {name_of(path): set(imports(path)) - {name_of(path)} for path in FILES}
    while below:
        leaves = {name for name, modules in below.items() if not modules & set(below)}
        assert leaves, f"a circle: {sorted(below)}"
        below = {name: modules for name, modules in below.items() if name not in leaves}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            assert node.end_lineno - node.lineno < 40, node.name


def test_every_text_file_has_an_encoding() -> None:
    """Else a Windows machine reads and writes cp1252."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                if name == "write_text" or (name == "read_text" and not node.args):
                    assert "encoding" in [word.arg for word in node.keywords], path
                if {word.arg for word in node.keywords} & {"text", "universal_newlines"}:
                    assert "encoding" in [word.arg for word in node.keywords], path


def test_what_costs_time_is_loaded_only_where_it_is_used() -> None:
    """A module of the tool may import these inside a function, and nowhere else."""
    for path in FILES:
        if name_of(path) == "commands.new":
            continue  # it is loaded for `new` alone
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            costly = {name.partition(".")[0] for name in names}
            assert not costly & {"rich", "questionary", "httpx", "auth0", "copier"}, path
