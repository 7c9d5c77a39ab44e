"""Swagger UI of a rendered project in a real browser, and an Auth0 that logs in with PKCE.

The page is the one that FastAPI serves. Only what the browser would load from the Internet is
answered here: Swagger UI's own files (from the package fastapi-offline), and the tenant's
`/authorize` and `/oauth/token`, which insist on PKCE (RFC 7636) and, like Auth0, issue an opaque
token to a client that does not send `audience`.
"""

import base64
import hashlib
import html
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from playwright.sync_api import BrowserContext, Page, Route, sync_playwright

LOGIN = """<!doctype html><title>Log in</title><body style="font: 20px sans-serif; margin: 4em">
<h1>Log in</h1><p>The tenant in memory stands in for Auth0.</p><a href="{url}">Log in as Ada</a>"""
FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


def chromium() -> str | None:
    """The browser of the machine, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser() -> Iterator[BrowserContext]:
    """A headless Chromium that reaches nothing but loopback and what is answered here."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        context = started.new_context(viewport={"width": 1100, "height": 900})
        context.route("https://**", lambda route: route.abort())
        context.route("https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/*", swagger_file)
        yield context
        started.close()


def swagger_file(route: Route) -> None:
    name = urlsplit(route.request.url).path.rpartition("/")[2]
    body = files("fastapi_offline").joinpath("static", name).read_bytes()
    route.fulfill(body=body, content_type=FILES[name])


class LoginPages:
    """The tenant's /authorize and /oauth/token; `tokens` lists what was issued."""

    def __init__(self, tenant: Any, context: BrowserContext) -> None:
        self.tenant = tenant
        self.asked: dict[str, str] = {}
        self.tokens: list[str] = []
        context.route(f"{tenant.issuer}authorize*", self.authorize)
        context.route(f"{tenant.issuer}oauth/token*", self.token)

    def authorize(self, route: Route) -> None:
        """A page with one link, back to the application with a code."""
        self.asked = dict(parse_qsl(urlsplit(route.request.url).query))
        assert self.asked["response_type"] == "code"
        assert self.asked["code_challenge_method"] == "S256"
        query = urlencode({"code": "one-time", "state": self.asked["state"]})
        url = html.escape(f"{self.asked['redirect_uri']}?{query}")
        route.fulfill(body=LOGIN.format(url=url), content_type="text/html")

    def token(self, route: Route) -> None:
        """Exchange the code; the verifier must fit the challenge."""
        cors = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"}
        if route.request.method == "OPTIONS":
            route.fulfill(status=204, headers=cors)
            return
        form = {name: value for name, [value] in parse_qs(route.request.post_data or "").items()}
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        assert (form["code"], challenge) == ("one-time", self.asked["code_challenge"])
        assert "client_secret" not in form
        token = "opaque"
        if self.asked.get("audience") == self.tenant.audience:
            token = self.tenant.token(*self.asked["scope"].split())
        self.tokens.append(token)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        route.fulfill(body=json.dumps(answer), content_type="application/json", headers=cors)


def open_dialog(page: Page) -> None:
    """Push the Authorize button."""
    page.locator("button.authorize").first.click()
    page.locator(".modal-ux button.authorize").first.wait_for()


def log_in(page: Page) -> None:
    """Authorize by the button, the dialog, and the login page in its own window."""
    open_dialog(page)
    with page.expect_popup() as opened:
        page.locator(".modal-ux button.authorize").first.click()
    opened.value.get_by_text("Log in as Ada").click()
    page.locator(".modal-ux").get_by_text("Logout").wait_for()


def paste_token(page: Page, token: str) -> None:
    """Authorize by the button and a pasted token."""
    open_dialog(page)
    page.locator(".modal-ux input").first.fill(token)
    page.locator(".modal-ux button.authorize").first.click()
    page.locator(".modal-ux .btn-done").first.click()


def try_out(page: Page, path: str) -> tuple[str, str]:
    """Open a GET route, execute it, and give the status and body that Swagger shows."""
    route = page.locator(f".opblock-get:has([data-path='{path}'])")
    route.locator(".opblock-summary-control").click()
    route.get_by_text("Try it out").click()
    route.get_by_text("Execute", exact=True).click()
    answer = route.locator(".live-responses-table .response").first
    status = answer.locator(".response-col_status").inner_text()
    return status.split()[0], answer.locator(".highlight-code").first.inner_text()
