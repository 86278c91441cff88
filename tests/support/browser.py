"""Chromium, to look at pages of the HTML report as a person's browser does."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.needs import Need, lacking

#: Width of a small phone, in CSS pixels.
PHONE = 360


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    path = shutil.which("chromium")
    if path is None:
        lacking(Need.CHROMIUM, "there is no chromium on PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        # Root may not use Chromium's sandbox. The pages are our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser,
    path: Path,
    *,
    width: int = 1100,
    scheme: Literal["light", "dark"] = "light",
    media: Literal["screen", "print"] = "screen",
    bypass_csp: bool = False,
) -> Iterator[Page]:
    """Open a page; fail if it says anything on the console or asks for anything."""
    heard: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=bypass_csp
    )
    try:
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("request", lambda request: heard.append(f"request: {request.url}"))
        page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
        page.emulate_media(media=media)
        page.goto(path.as_uri())
        yield page
        assert [each for each in heard if each != "request: data:,"] == [
            f"request: {path.as_uri()}"
        ]
    finally:
        context.close()


def open_all(page: Page) -> None:
    """Open every part of the page that can be opened."""
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")


def overflow(page: Page) -> int:
    """Return how many pixels of the page's width do not fit the window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return width


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong with the page's accessibility."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]}"
        for each in found
        for node in each["nodes"]
    ]
