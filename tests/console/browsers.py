"""Pages of the console in Chromium, watched while they are used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_playwright_python
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
#: What a browser says of each answer that is no success; the tests say which they want.
_ANSWERS = re.compile(r"Failed to load resource|net::ERR_")
PASSWORD = "a good password"
#: A machine with much to do is slow, and that is no failure.
expect.set_options(timeout=60_000)


@dataclass
class Visit:
    """One browser window of somebody."""

    context: BrowserContext
    page: Page
    base: str
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(f"the page failed: {error}"))
        self.context.on("request", self._asked)

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.base}/console{path}")
        expect(self.page.locator("h1").first).to_be_visible()
        return self.page

    def login(self, user: str, path: str = "/images") -> Page:
        self.go(path)
        self.fill_login(user)
        self.inside()
        return self.page

    def fill_login(self, user: str, password: str = PASSWORD) -> None:
        self.page.get_by_label("User", exact=True).fill(user)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()

    def inside(self) -> None:
        """Logged in; a narrow window hides the navigation."""
        expect(self.page.locator("#navigation")).to_be_attached()

    def settled(self) -> None:
        """Nothing is being loaded."""
        expect(self.page.locator(".loading")).to_have_count(0)

    def serious(self) -> list[str]:
        """What axe finds that keeps people out, with where it is."""
        self.settled()
        self.page.evaluate(AXE)
        found: Mapping[str, Any] = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{x['impact']} {x['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
            for x in found["violations"]
            if x["impact"] in ("serious", "critical")
            for node in x["nodes"]
        ]

    def button(self, name: str, inside: Locator | None = None) -> Locator:
        return (inside or self.page).get_by_role("button", name=name, exact=True)

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def section(self, name: str) -> Locator:
        return self.page.get_by_role("region", name=name, exact=True)

    def confirm(self, button: str) -> None:
        """What the dialog offers, which then is gone."""
        self.button(button, self.dialog).click()
        expect(self.dialog).to_have_count(0)

    def said(self, text: str) -> None:
        """In the corner, for a moment."""
        expect(self.page.locator(".toasts")).to_contain_text(text)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _ANSWERS.search(message.text):
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        where = urlsplit(request.url)
        if where.scheme in ("http", "https", "ws", "wss") and f"{where.scheme}://{where.netloc}" != self.base:
            self.elsewhere.append(request.url)


@dataclass
class Visits:
    browser: Browser
    base: str
    all: list[Visit] = field(default_factory=list)

    def new(self, *, scheme: str = "light", width: int = 1280, height: int = 800, **more: Any) -> Visit:
        context = self.browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": height}, locale="en-GB", **more
        )
        context.set_default_timeout(60_000)
        context.set_default_navigation_timeout(60_000)
        made = Visit(context, context.new_page(), self.base)
        self.all.append(made)
        return made

    def close(self) -> None:
        try:
            assert [x for each in self.all for x in each.errors] == [], "pages keep to their policy, and do not fail"
            assert [x for each in self.all for x in each.elsewhere] == [], "pages ask no other host"
        finally:
            for each in self.all:
                each.context.close()
