"""What the tests in a real browser share: Debian's chromium, driven by Playwright."""

import shutil

import pytest
from playwright.sync_api import Page, expect

from tests.serving import App

CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS = 1000
_LEFT = ("AbortError", "errored out")  # what Gradio says of requests that end because the page is left


class Seen:
    """What a page asked for and what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.foreign: list[str] = []
        self.errors: list[str] = []
        page.on(
            "request",
            lambda request: (
                self.foreign.append(request.url) if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")) else None
            ),
        )
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("console", lambda message: self._note(message.text) if message.type == "error" else None)

    def _note(self, error: str) -> None:
        if not any(words in error for words in _LEFT):
            self.errors.append(error)


def open_app(page: Page, app: App) -> Seen:
    """Open the app and wait until a question can be asked."""
    seen = Seen(page)
    page.goto(app.url)
    expect(page.locator("#question textarea")).to_be_visible(timeout=60 * SECONDS)
    return seen


def open_documents(page: Page, app: App) -> Seen:
    """Open the app at the documents, and wait until they are listed."""
    seen = open_app(page, app)
    page.get_by_role("tab", name="Documents").click()
    expect(page.locator("#table table")).to_be_visible(timeout=20 * SECONDS)
    return seen
