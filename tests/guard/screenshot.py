"""Take the picture of docs/swagger-login.md: python tests/guard/screenshot.py PROJECT PICTURE.

PROJECT is a rendered project whose environment has playwright and fastapi-offline; its package is
found by its name in src.
"""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guard import swagger
from guard.serving import served, settings


def main(project: Path, picture: Path) -> None:
    """Push Authorize, as a reader of the documentation would, and take the picture."""
    [package] = [folder.name for folder in (project / "src").iterdir() if folder.is_dir()]
    sys.path[:0] = [str(project / "src"), str(project / "tests")]
    modules = SimpleNamespace(settings=importlib.import_module(f"{package}.settings"))
    tenant = importlib.import_module("memory_tenant").Tenant()
    chosen = settings(modules, tenant, auth0_docs_client_id="docs-client")
    app = importlib.import_module(f"{package}.main").create_app(chosen, fetch=tenant.fetch)
    with served(app) as (host, port), swagger.browser() as context:
        page = context.new_page()
        page.goto(f"http://{host}:{port}/docs")
        swagger.open_dialog(page)
        page.screenshot(path=picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
