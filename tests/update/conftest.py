"""The template with its releases, and projects made from them once and copied for each test."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from update.lifecycle import start
from update.releases import build_template

Start = Callable[..., Path]


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Path:
    """The template as a repository with a tag for each release."""
    return build_template(tmp_path_factory.mktemp("line") / "template")


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where untouched projects are kept, one for each release and set of answers."""
    return tmp_path_factory.mktemp("stock")


@pytest.fixture
def project(line: Path, stock: Path, tmp_path: Path) -> Start:
    """`project("v0.1.0", dpop="off")` gives a committed project of that release."""

    def copied(release: str, to: str = "project", **answers: Any) -> Path:
        kept = stock / hashlib.sha256(repr((release, sorted(answers.items()))).encode()).hexdigest()
        if not kept.exists():
            start(line, release, kept, answers)
        return Path(shutil.copytree(kept, tmp_path / to, symlinks=True))

    return copied
