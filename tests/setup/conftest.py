"""A tenant on loopback, and a developer's machine with a rendered project, for each test."""

import compileall
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from setup.loopback_tenant import LoopbackTenant
from setup.workbench import OWN, Machine
from support import AUTOMATIC, render


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def certificates(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What SSL_CERT_FILE names."""
    path = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def rendered(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in automatic mode, as Copier renders it."""
    project = render(plain_template, tmp_path_factory.mktemp("rendered") / "project", AUTOMATIC)
    compileall.compile_dir(project / "scripts", quiet=1)  # once, not in each copy
    return project


@pytest.fixture
def tenant(authority: trustme.CA) -> Iterator[LoopbackTenant]:
    with LoopbackTenant(authority) as tenant:
        yield tenant


@pytest.fixture
def machine(tenant: LoopbackTenant, certificates: Path, rendered: Path, tmp_path: Path) -> Machine:
    """A machine with the project, and nothing on PATH yet."""
    machine = Machine(tmp_path / "machine", tenant, certificates)
    shutil.copytree(rendered, machine.project)
    machine.env_file.write_text(OWN)
    return machine
