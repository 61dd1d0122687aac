"""The page for everybody: no findings of axe, text twice as large, by keyboard alone, and from the first start on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from assistant.settings import Settings
from tests.browser import SECONDS, needs_browser, open_app
from tests.conftest import ROOT, settings_in
from tests.serving import App, running

pytestmark = needs_browser
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
QUESTION = "How much market value did Nvidia lose?"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Settings:
    made = settings_in(tmp_path_factory.mktemp("access"), models, {})
    for path in (ROOT / "corpus").iterdir():
        shutil.copy(path, made.corpus)
    return made


@pytest.fixture(scope="module")
def app(options: Settings) -> Iterator[App]:
    with running(options, ASSISTANT_CHAT_MODEL="extractive") as started:
        yield started


def findings(page: Page) -> list[str]:
    page.wait_for_timeout(400)  # for what fades in: half of its contrast is no finding
    found = Axe().run(page, options={"resultTypes": ["violations"], "runOnly": RULES}).response["violations"]
    return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


def ask(page: Page) -> None:
    page.fill("#question textarea", QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator("#chat .answer .foot")).to_be_visible(timeout=30 * SECONDS)


def test_the_first_start_says_how_to_begin_and_then_offers_questions_about_what_was_added(
    page: Page, tmp_path: Path, models: Path
) -> None:
    with running(settings_in(tmp_path, models, {}), ASSISTANT_CHAT_MODEL="extractive") as app:
        open_app(page, app)
        welcome = page.locator("#chat .welcome")
        expect(welcome).to_contain_text("There are no documents yet", timeout=20 * SECONDS)
        welcome.get_by_role("button", name="Add documents").click()
        expect(page.get_by_role("tab", name="Documents")).to_have_attribute("aria-selected", "true")
        (app.corpus / "bees.md").write_text("# The dance of the bees\n\nHoney bees dance to show where flowers are.\n")
        page.get_by_role("tab", name="Ask").click()
        welcome.get_by_role("button", name="What is “The dance of the bees” about?").click(timeout=60 * SECONDS)
        expect(page.locator("#chat .answer .text")).to_contain_text("Honey bees dance", timeout=30 * SECONDS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_tab(page: Page, app: App, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.set_viewport_size({"width": 1280, "height": 800})
    open_app(page, app)
    found = {"empty": findings(page)}
    ask(page)
    found["answer"] = findings(page)
    page.locator("#chat a.cite").first.click()
    expect(page.locator("#side article.reader")).to_be_visible(timeout=10 * SECONDS)
    found["reader"] = findings(page)
    page.locator("#talks summary").first.click()
    found["menu"] = findings(page)
    for tab, ready in (
        ("Search", "#found"),
        ("Documents", "#table table"),
        ("Evaluation", "#evaluation"),
    ):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(ready).first).to_be_visible(timeout=20 * SECONDS)
        found[tab] = findings(page)
    page.get_by_role("tab", name="Documents").click()
    page.locator("#table button.open").first.click()
    expect(page.locator("#reading article")).to_be_visible(timeout=20 * SECONDS)
    found["document"] = findings(page)
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_text_twice_as_large_fits_and_the_keyboard_alone_does(page: Page, app: App) -> None:
    page.set_viewport_size({"width": 640, "height": 400})  # what a zoom of 200 % leaves of 1280 by 800
    open_app(page, app)
    box = page.locator("#question textarea")
    box.focus()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator("#chat .answer .foot")).to_be_visible(timeout=30 * SECONDS)
    for tab in ("Ask", "Search", "Documents", "Evaluation"):
        page.get_by_role("tab", name=tab).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), tab
    page.get_by_role("tab", name="Ask").focus()
    page.keyboard.press("Enter")
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.className + ' ' + (document.activeElement.closest('#question') ? 'box' : '')")
        )
        if "cite" in reached[-1]:
            break
    assert any("cite" in one for one in reached), reached
    page.keyboard.press("Enter")
    expect(page.locator("#side article.reader, #panel .source:focus")).not_to_have_count(0, timeout=10 * SECONDS)
    page.keyboard.press("/")
    expect(box).to_be_focused()
