"""The text of .env: read as the API reads it, and merged so that all other bytes stay."""

import io
import re
from collections.abc import Iterable, Mapping

from dotenv.main import resolve_variables
from dotenv.parser import Binding, parse_stream

from .problems import EnvFault

HEADER = "# The settings of the API; .env.example lists them all. Never commit this file."


def values_of(text: str) -> dict[str, str]:
    """Return the settings as the API reads them: ${NAME} replaced, the last of several lines."""
    lines = ((line.key, line.value) for line in _lines(text) if line.key)
    found = resolve_variables(lines, override=True)
    return {key.upper(): value or "" for key, value in found.items()}


def merged(text: str | None, wanted: Mapping[str, str]) -> str:
    """Return the text of .env with the wanted values in place.

    An existing key keeps its line, `export`, quotes and comment; new keys come at the end.
    """
    if text is None:
        text = HEADER + "\n"
    newline = "\r\n" if "\r\n" in text else "\n"
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    lines, values = list(_lines(text)), values_of(text)
    # Of several spellings of a key the one that came up last counts, with its own last line.
    spelt = {line.key: index for index, line in enumerate(lines) if line.key}
    last = {key.upper(): index for key, index in spelt.items()}
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
    text = bom + body + "".join(new)
    if values_of(text).items() >= wanted.items():
        return text
    unclosed = next((line.original.line for line in lines if line.error), 1)
    raise EnvFault(f"line {unclosed} of .env opens a quote that it does not close")


def not_utf8(text: str) -> int | None:
    """Return the number of the first line that is not UTF-8, in text read with surrogates."""
    for number, line in enumerate(text.splitlines(), start=1):
        if any("\udc80" <= char <= "\udcff" for char in line):
            return number
    return None


def _lines(text: str) -> Iterable[Binding]:
    # newline="" keeps the line endings as they are.
    return parse_stream(io.StringIO(text, newline=""))


def _replaced(line: str, value: str) -> str:
    """Return the line with another value; indentation, `export`, quotes and comment stay."""
    match = re.match(
        r"""(?P<start>\s*(?:export[^\S\r\n]+)?(?:'[^']+'|[^=\#\s]+)[^\S\r\n]*)
            (?:(?P<equals>=[^\S\r\n]*)
               (?P<value>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?:(?!\s+\#|\s*[\r\n]|\s*\Z).)*))?
            (?P<rest>.*)\Z""",
        line,
        re.VERBOSE | re.DOTALL,
    )
    if match is None:
        name = line.strip().partition("=")[0]  # not the value: it may be a secret
        raise EnvFault(f"the line for {name} in .env cannot be parsed")
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
