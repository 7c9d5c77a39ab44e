"""What owners do to a project between two updates, as data that can be made and looked for."""

from dataclasses import dataclass, field
from pathlib import Path

ORDERS = '''\
"""/api/orders: reading needs read:orders."""

from typing import Annotated

from fastapi import APIRouter, Depends

from ..auth import Claims, auth0
from ..scopes import Scope

router = APIRouter(prefix="/api/orders", tags=["orders"])
Reader = Annotated[Claims, Depends(auth0.require_auth(scopes=Scope.READ_ORDERS))]


@router.get("")
async def list_orders(claims: Reader) -> list[str]:
    """Return the orders of the caller."""
    return [claims.sub]
'''
TEST_ORDERS = '''\
"""/api/orders as its callers see it."""

from fastapi.testclient import TestClient

from memory_tenant import Tenant


def test_orders(client: TestClient, tenant: Tenant) -> None:
    assert client.get("/api/orders").status_code == 401
    assert client.get("/api/orders", auth=tenant.auth("read:orders")).status_code == 200
'''
ORDERS_SCOPE = '    READ_ORDERS = "read:orders", "Read orders"\n'
ORDERS_ITEM = "      - value: read:orders\n        description: Read orders\n"
EXAMPLE_SCOPES = (
    '    READ_MESSAGES = "read:messages", "Read messages"\n'
    '    WRITE_MESSAGES = "write:messages", "Write messages"\n'
)
EXAMPLE_ITEMS = (
    "      - value: read:messages\n        description: Read messages\n"
    "      - value: write:messages\n        description: Write messages\n"
)
PUBLIC_TEST = '''\
"""The routes as callers see them."""

from fastapi.testclient import TestClient


def test_public(client: TestClient) -> None:
    assert client.get("/api/public").status_code == 200
'''
DEPLOY = """
  deploy:
    needs: check
    runs-on: ubuntu-latest
    steps:
      - run: echo deployed
"""


@dataclass(frozen=True)
class Edit:
    """What is put after a line ("" is the end), replaced, written whole and removed, by file.

    From the releases in `conflicts`, an update leaves a conflict, which the check finds.
    """

    name: str
    conflicts: tuple[str, ...] = ()
    inserts: list[tuple[str, str, str]] = field(default_factory=list)
    replaces: list[tuple[str, str, str]] = field(default_factory=list)
    writes: dict[str, str] = field(default_factory=dict)
    removes: list[str] = field(default_factory=list)

    def make(self, project: Path) -> None:
        for file, after, lines in self.inserts:
            text = (project / file).read_text()
            at = text.index(after + "\n") + len(after) + 1 if after else len(text)
            (project / file).write_text(text[:at] + lines + text[at:])
        for file, old, new in self.replaces:
            text = (project / file).read_text()
            assert old in text, f"{file} has no {old!r}"
            (project / file).write_text(text.replace(old, new, 1))
        for file, text in self.writes.items():
            (project / file).write_text(text)
        for file in self.removes:
            (project / file).unlink()

    def lost(self, project: Path) -> list[str]:
        """The files in which a line of the edit is missing, or a line that it removed is back."""
        lines = [(file, lines) for file, _, lines in self.inserts + self.replaces]
        lost = [file for file, new in lines if not {*new.splitlines()} <= {*read(project / file)}]
        lost += [
            file
            for file, old, new in self.replaces
            if ({*old.splitlines()} - {*new.splitlines()}) & {*read(project / file)}
        ]
        lost += [
            file for file, text in self.writes.items() if read(project / file) != text.splitlines()
        ]
        return lost + [file for file in self.removes if (project / file).exists()]


def read(path: Path) -> list[str]:
    """The lines of a file; none if it is not there."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


EDITS = [
    Edit(
        "a route added",
        writes={"src/my_api/routes/orders.py": ORDERS, "tests/test_orders.py": TEST_ORDERS},
        inserts=[
            ("src/my_api/scopes.py", "", ORDERS_SCOPE),
            ("auth0/tenant.yaml", "        description: Write messages", ORDERS_ITEM),
        ],
    ),
    Edit(
        "a setting added",
        inserts=[
            ("src/my_api/settings.py", "", "\n    page_size: int = 20\n"),
            (".env.example", "", "# Items in an answer.\n#PAGE_SIZE=20\n"),
        ],
    ),
    Edit(
        "the wiring changed",
        conflicts=("v0.1.0", "v0.2.0", "v0.3.0"),  # where an import was added, the template did too
        inserts=[
            (
                "src/my_api/main.py",
                "from fastapi import FastAPI",
                "from fastapi.middleware.gzip import GZipMiddleware\n",
            ),
            (
                "src/my_api/main.py",
                "    # Your own middleware, error handlers and state go here.",
                "    app.add_middleware(GZipMiddleware, minimum_size=500)\n",
            ),
        ],
    ),
    Edit(
        "a dependency added",
        inserts=[
            (
                "pyproject.toml",
                "    # `uv add` puts yours below this line, out of the way of updates.",
                '    "packaging>=24",\n',
            ),
            (
                "pyproject.toml",
                "    # `uv add --dev` puts yours below this line.",
                '    "trustme>=1.2",\n',
            ),
            ("pyproject.toml", "", "\n[tool.coverage.run]\nbranch = true\n"),
        ],
        replaces=[("pyproject.toml", 'version = "0.1.0"', 'version = "1.4.2"')],
    ),
    Edit(
        "CI changed",
        inserts=[
            (
                ".github/workflows/ci.yml",
                "      # Your own steps below this line, your own jobs at the end.",
                "      - run: uv build\n",
            ),
            (".github/workflows/ci.yml", "", DEPLOY),
        ],
    ),
    Edit(".gitignore extended", inserts=[(".gitignore", "", "*.sqlite\n")]),
    Edit("README rewritten", writes={"README.md": "# Orders\n\nWhat this API does for us.\n"}),
    Edit("template files deleted", removes=["scripts/demo.py", ".pre-commit-config.yaml"]),
    Edit(
        "the example deleted",
        removes=["src/my_api/routes/messages.py"],
        writes={"tests/test_routes.py": PUBLIC_TEST},
        replaces=[
            ("src/my_api/scopes.py", EXAMPLE_SCOPES, ORDERS_SCOPE),
            ("auth0/tenant.yaml", EXAMPLE_ITEMS, ORDERS_ITEM),
        ],
    ),
    Edit(
        ".env edited",
        writes={".env": "# Ours.\nAUTH0_DOMAIN=ours.eu.auth0.com\nAUTH0_AUDIENCE=urn:ours\nX=1\n"},
    ),
    Edit(
        "a fixture added to a file of the template",
        conflicts=("v0.1.0", "v0.2.0", "v0.3.0"),  # its end has moved to tests/auth/
        inserts=[
            (
                "tests/conftest.py",
                "",
                "\n\n@pytest.fixture\ndef page_size() -> int:\n"
                '    """How many items an answer has."""\n    return 20\n',
            )
        ],
    ),
]
