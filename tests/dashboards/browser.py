"""A browser without a screen, on TensorBoard's page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH, HEIGHT = 1280, 900
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def browsed() -> Iterator[Page]:
    """An empty page of Chromium, which must be installed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # as root there is no sandbox; WebGL, which the projector wants, is drawn by the CPU
        options = ["--no-sandbox", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.add_init_script("delete self.OffscreenCanvas")  # curves as SVG: a worker's canvas stays blank here
        yield page
        browser.close()


def go(page: Page, address: str, tab: str) -> None:
    """Opens a tab of TensorBoard anew, as its link does."""
    page.goto("about:blank")
    page.goto(f"{address}#{tab}")
