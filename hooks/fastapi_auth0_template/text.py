"""Makes outside text fit for a terminal, and hides secrets in everything that is printed.

Messages quote libraries, the auth0 executable and Auth0 itself, and any of them may quote a secret.
So everything that is printed, as text or as JSON, goes through `redacted`, and nothing else hides.
"""

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

HIDDEN = "(hidden)"
SHORTEST = 8  # characters; hiding less would blank out ordinary words
LOOKS_SECRET = re.compile(
    r"eyJ[\w-]{4,}(\.[\w-]*){0,4}"  # a JWT, whole or cut off
    r"|(?<=bearer )[^\s'\",]{16,}|(?<=dpop )[^\s'\",]{16,}|(?<=basic )[^\s'\",]{16,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)|(?<=https://)[^/\s:@]+(?=@)"  # in a URL
    r"|(?<=client_secret=)[^\s&'\",]{4,}|(?<=access_token=)[^\s&'\",]{4,}",
    re.IGNORECASE,
)
NAMES = re.compile(r".*(SECRET|TOKEN|PASSWORD|API_KEY|PRIVATE_KEY)(_\d+)?")
_secrets: set[str] = set()


def protect(*values: str | None) -> None:
    """Never print these values."""
    for value in values:
        bare = (value or "").strip()
        if len(bare) >= SHORTEST:
            # A setting that is not UTF-8 is read with surrogates, which `quote` takes only so.
            quoted = {each(bare, errors="surrogatepass") for each in (quote, quote_plus)}
            _secrets.update({bare, json.dumps(bare)[1:-1]} | quoted)


def protect_settings(settings: Mapping[str, str]) -> None:
    """Never print the values of settings whose names say that they are secret."""
    protect(*(value for name, value in settings.items() if NAMES.fullmatch(name.upper())))


def redacted(text: str) -> str:
    """Return the text without known secrets, and without anything that looks like one."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return LOOKS_SECRET.sub(HIDDEN, text)


def redacted_json(value: object) -> object:
    """Return the value with every text in it redacted."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: redacted_json(inner) for key, inner in value.items()}
    if isinstance(value, Iterable):
        return [redacted_json(inner) for inner in value]
    return value


def printable(text: str, limit: int = 300) -> str:
    """Return text from outside on one line, without control characters, at a sane length."""
    text = redacted(re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b.", "", text))  # before it is cut
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
