"""Swagger's Authorize button in a real headless Chromium, against the tenant in memory."""

from types import SimpleNamespace
from typing import Any

import pytest

from guard.serving import served, settings

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("fastapi_offline", reason="fastapi-offline, with Swagger UI, is not installed")
from guard import swagger

pytestmark = pytest.mark.skipif(
    swagger.chromium() is None, reason="there is no Chromium: apt-get install chromium"
)


def test_the_button_logs_in_with_pkce_and_audience(project: SimpleNamespace, tenant: Any) -> None:
    chosen = settings(project, tenant, auth0_docs_client_id="docs-client")
    app = project.main.create_app(chosen, fetch=tenant.fetch)
    with served(app) as (host, port), swagger.browser() as context:
        login = swagger.LoginPages(tenant, context)
        page = context.new_page()
        page.goto(f"http://{host}:{port}/docs")
        swagger.log_in(page)
        assert login.asked["client_id"] == "docs-client"
        assert login.asked["audience"] == tenant.audience
        assert "read:messages" in login.asked["scope"].split()
        page.locator(".modal-ux .btn-done").first.click()
        status, body = swagger.try_out(page, "/api/messages")
        assert (status, len(login.tokens)) == ("200", 1)
        assert "auth0|ada" in body


def test_without_a_client_id_the_button_takes_a_token(
    project: SimpleNamespace, tenant: Any
) -> None:
    app = project.main.create_app(settings(project, tenant), fetch=tenant.fetch)
    with served(app) as (host, port), swagger.browser() as context:
        page = context.new_page()
        page.goto(f"http://{host}:{port}/docs")
        assert swagger.try_out(page, "/api/private")[0] == "401"
        swagger.paste_token(page, tenant.token("read:messages"))
        assert swagger.try_out(page, "/api/messages")[0] == "200"
