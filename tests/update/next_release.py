"""A next release that is hard on projects: every file of the template changes, and so do questions.

Shared files change on every line that a release is likely to touch (each dependency, each action),
and get new lines next to the places that are meant for the owner's own.
"""

import re
from pathlib import Path

CHANGED = "Changed by the next release."
REMOVED = "scripts/demo.py"
OF_AUTH0 = "{{% if identity == 'auth0' %}}{}{{% endif %}}"
ADDED = "tests/test_next.py"
SHARED = {
    "pyproject.toml.jinja": [
        (r'^(    "[a-z][^"\n]*>=[^"\n]*)"', r'\1,<99"'),  # each dependency
        (r"^(    # `uv add` puts)", r'    "annotated-doc>=0.0.3",\n\1'),
        (r"^(    # `uv add --dev` puts)", r'    "types-docutils",\n\1'),
        (r"^(# The settings of your own tools)", r"[tool.next]\nchanged = true\n\n\1"),
    ],
    ".github/workflows/ci.yml.jinja": [
        (r"@[0-9a-f]{40} # v", f"@{'0' * 40} # v9"),
        (r"^(      - run: uv run pytest)$", r"\1 --strict\n      - run: uv build"),
    ],
    ".gitignore.jinja": [(r"^dist/$", "dist/\nbuild/")],
    ".env.example.jinja": [
        (r"^(#REDIS_URL=.*)$", r"\1\n# How much is logged.\n#LOG_LEVEL={{ log_level }}")
    ],
    ".pre-commit-config.yaml": [(r"^(        entry: uv run ruff .*)$", r"\1 --quiet")],
    f"{OF_AUTH0.format('auth0')}/tenant.yaml.jinja": [(r"(token_lifetime\w*): \d+$", r"\1: 1800")],
    "src/{{ package_name }}/main.py.jinja": [
        (r"^(    routes\.include_all\(app\))$", r"\1\n    app.state.release = app.title"),
        (r"^(from \.scopes import Scope)$", r"\1  # " + CHANGED),
    ],
    "{% if renovate %}renovate.json{% endif %}.jinja": [(r'"labels": \[', '"labels": ["next", ')],
}
QUESTIONS = [
    # Renamed: the new question reads the old answer.
    (r"^description:$", "summary:"),
    (
        r"^  default: .*'An API protected by Auth0'.*$",
        "  default: \"{{ description | default('An API protected by Auth0') }}\"",
    ),
    (r"if description \|", "if summary |"),
    (r"not description\.", "not summary."),
    # Of another type now: the default translates the old answer.
    (
        r"^behind_proxy:\n  type: bool\n(.*\n.*\n)  default: false$",
        r"proxy:\n  type: str\n\1"
        '  choices: ["none", ends_tls]\n'
        "  default: \"{{ 'ends_tls' if behind_proxy | default(false) else 'none' }}\"",
    ),
    # Stricter, for new projects only.
    (r"^  default: 3$", "  default: 4"),
    (
        r"(\{%- if) not (resource \| regex_search)",
        r"\1 rules >= 4 and resource | length < 2 -%}at least two letters{% elif not \2",
    ),
    # New.
    (
        r"\Z",
        "\nlog_level:\n  type: str\n  help: How much is logged\n  default: INFO\n"
        '  ask: "{{ log_level is undefined }}"\n',
    ),
]
ANSWERS = [
    (r"\{\{ description \}\}", "{{ summary }}"),
    (r"~ description\)", "~ summary)"),
    (r"\bif behind_proxy\b", "if proxy == 'ends_tls'"),
]


def change_everything(template: Path) -> None:
    """Make the next release out of the working tree of a template."""
    change(template / "copier.yml", QUESTIONS)
    folder = template / "template"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            name = path.relative_to(folder).as_posix()
            for pattern, replacement in ANSWERS:
                path.write_text(re.sub(pattern, replacement, path.read_text()))
            if name in SHARED:
                change(path, SHARED[name])
            elif "answers_file" not in name:
                path.write_text(f"# {CHANGED}\n{path.read_text()}")
    for path in (template / "hooks").rglob("*.py"):
        path.write_text(f"# {CHANGED}\n{path.read_text()}")
    (folder / f"scripts/{OF_AUTH0.format('demo.py')}.jinja").unlink()
    (folder / ADDED).write_text(f'"""{CHANGED}"""\n\n\ndef test_next() -> None:\n    assert True\n')


def change(path: Path, changes: list[tuple[str, str]]) -> None:
    """Apply each of the changes; each has to find its place."""
    text = path.read_text(encoding="utf-8")
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count, f"{path.name} has no {pattern}: adapt {__name__}"
    path.write_text(text, encoding="utf-8")
