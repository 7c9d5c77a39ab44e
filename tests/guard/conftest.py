"""A rendered project whose guard the tests of this folder import, as its own tests do."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support import render

PACKAGE = "guarded_api"


@pytest.fixture(scope="session")
def project(
    plain_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """Its folder, and its modules that the tests use; the tenant in memory is `tenant`."""
    folder = render(
        plain_template,
        tmp_path_factory.mktemp("guard") / "project",
        {"package_name": PACKAGE, "dpop": "accepted", "authorization": "scopes"},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "src")
        patch.syspath_prepend(folder / "tests")
        yield SimpleNamespace(
            folder=folder,
            main=importlib.import_module(f"{PACKAGE}.main"),
            settings=importlib.import_module(f"{PACKAGE}.settings"),
            keys=importlib.import_module(f"{PACKAGE}.auth.keys"),
            tenant=importlib.import_module("memory_tenant"),
        )
        for name in list(sys.modules):
            if name.partition(".")[0] in (PACKAGE, "memory_tenant"):
                del sys.modules[name]


@pytest.fixture
def tenant(project: SimpleNamespace) -> Any:
    return project.tenant.Tenant()
