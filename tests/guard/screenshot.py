"""Take the pictures of Swagger in the docs: python tests/guard/screenshot.py PROJECT docs/images.

PROJECT is a rendered project; playwright, fastapi-offline and Chromium must be there.
"""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guard import swagger
from guard.serving import served, settings


def main(project: Path, pictures: Path) -> None:
    """Push Authorize, log in, call a route: a picture before, and one after."""
    [package] = [folder.name for folder in (project / "src").iterdir() if folder.is_dir()]
    sys.path[:0] = [str(project / "src"), str(project / "tests")]
    modules = SimpleNamespace(settings=importlib.import_module(f"{package}.settings"))
    tenant = importlib.import_module("memory_tenant").Tenant()
    chosen = settings(modules, tenant, auth0_docs_client_id="docs-client")
    app = importlib.import_module(f"{package}.main").create_app(chosen, fetch=tenant.fetch)
    with served(app) as (host, port), swagger.browser() as context:
        swagger.LoginPages(tenant, context)
        page = context.new_page()
        page.goto(f"http://{host}:{port}/docs")
        swagger.open_dialog(page)
        page.screenshot(path=pictures / "swagger-authorize.png")
        page.locator(".modal-ux .btn-done").first.click()
        swagger.log_in(page)
        page.locator(".modal-ux .btn-done").first.click()
        swagger.try_out(page, "/api/profile")
        page.locator("[data-path='/api/profile']").evaluate("route => route.scrollIntoView()")
        page.evaluate("scrollBy(0, -25)")  # the method and path of the route, whole
        page.screenshot(path=pictures / "swagger-login.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
