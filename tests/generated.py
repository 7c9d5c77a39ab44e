"""Answers that the questions accept, by a seeded generator: typed ones and pasted ones."""

import random
import string
from collections.abc import Iterator
from typing import Any

from support import refusal

WORDS = string.ascii_letters + string.digits + " "
TYPOGRAPHY = "’‘“”–—…·•×°№™€"  # noqa: RUF001
SCRIPTS = "äöüßéñçøłıΑΒοПривет日本語한국어عربيעברית"
LOOKALIKES = "ＡＰＩａｂｃ０１２ｌ｜！，（）𝐀𝟏"  # noqa: RUF001
INVISIBLE = "\u00a0\u200b\u200d\u2028\u202e\u3000\ufeff\u0301\u00ad\x85\x7f\t\n\r"
TEXT = [WORDS * 4, string.punctuation, TYPOGRAPHY, SCRIPTS, LOOKALIKES, INVISIBLE, "🚀👩‍💻"]
HOSTS = [
    "x.eu.auth0.com",
    "login.example.com",
    "localhost:{port}",
    "127.0.0.1:{port}",
    "{label}.co.uk",
]
ORIGINS = ["https://{label}.example.com", "http://localhost:{port}", "http://[::1]:{port}"]
ORIGINS += [
    "capacitor://localhost",
    "chrome-extension://{label}",
    "https://{label}.{label}.{label}",
]


def answers(seed: int) -> Iterator[dict[str, Any]]:
    """Sets of answers to the questions whose answers are text, without an end."""
    source = random.Random(seed)  # noqa: S311
    while True:
        yield {
            "project_name": accepted("project_name", source, text),
            "package_name": accepted("package_name", source, identifier),
            "resource": accepted("resource", source, identifier),
            "description": accepted("description", source, text),
            "auth0_audience": accepted(
                "auth0_audience", source, text, "https://api.example.com/{}"
            ),
            "auth0_domain": accepted("auth0_domain", source, filled, *HOSTS),
            "cors_origins": accepted("cors_origins", source, origins),
        }


def accepted(name: str, source: random.Random, make: Any, *arguments: str) -> str:
    """The first of the values made that the question `name` accepts."""
    while refusal(name, value := make(source, *arguments)):
        pass
    return str(value)


def text(source: random.Random, shape: str = "{}") -> str:
    """Mostly letters, with one or two kinds of other characters in most texts."""
    alphabet = "".join([TEXT[0], *source.sample(TEXT, source.randint(0, 2))])
    return shape.format(
        "".join(source.choices(alphabet, k=source.choice([1, 2, 5, 15, 40, 60, 75])))
    )


def identifier(source: random.Random) -> str:
    return "".join(
        source.choices(string.ascii_lowercase * 2 + string.digits + "__", k=source.randint(1, 30))
    )


def filled(source: random.Random, *shapes: str) -> str:
    label = "".join(
        source.choices(string.ascii_lowercase + string.digits + "-", k=source.randint(1, 63))
    )
    return source.choice(shapes).format(label=label, port=source.randint(0, 70_000))


def origins(source: random.Random) -> str:
    return source.choice([",", ", ", ",\n"]).join(
        filled(source, *ORIGINS) for _ in range(source.randint(0, 4))
    )
