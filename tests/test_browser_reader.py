"""The sources of an answer in a real browser: told at a mark, read in their document, shown on their page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import SECONDS, needs_browser, open_app
from tests.conftest import settings_in, write_documents
from tests.serving import App, running
from tests.test_reader import SENTENCE, pdf

pytestmark = needs_browser

NOTES = "# Tides\n\n{}The moon pulls the sea, and the tide rises twice a day.\n\nFishermen know it well.\n"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[App]:
    made = settings_in(tmp_path_factory.mktemp("sources"), models, {})
    write_documents(made.corpus, {"tides.md": NOTES.format("")})
    (made.corpus / "book.pdf").write_bytes(pdf(3))
    with running(made, ASSISTANT_CHAT_MODEL="extractive") as started:
        yield started


def ask(page: Page, question: str) -> None:
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    expect(page.locator("#chat .answer .foot").last).to_be_visible(timeout=30 * SECONDS)
    expect(page.locator("#panel .source.cited").first).to_be_visible(timeout=10 * SECONDS)


def fits(page: Page, selector: str) -> bool:
    """Whether all of an element lies in the window."""
    box = page.locator(selector).bounding_box()
    size = page.viewport_size
    return bool(box and size) and box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= size["width"] and box["y"] + box["height"] <= size["height"]  # type: ignore[index]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_mark_tells_its_sentence_and_leads_to_it_in_its_document_and_on_its_page(page: Page, app: App, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    seen = open_app(page, app)
    ask(page, "Who counts every ship that passes by?")
    mark, tip, reader = page.locator("#chat a.cite").first, page.locator("#quote-tip"), page.locator("#reader article")
    mark.hover()
    expect(tip).to_be_visible(timeout=2 * SECONDS)
    expect(tip.locator(".quote")).to_have_text(SENTENCE)
    assert fits(page, "#quote-tip") and mark.get_attribute("title") is None
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()

    mark.click()
    expect(reader.locator("mark")).to_have_text(SENTENCE, timeout=5 * SECONDS)
    expect(reader.locator("mark")).to_be_in_viewport()
    expect(reader.locator("h2")).to_be_focused()
    expect(page.locator("#panel")).to_be_hidden()
    assert page.evaluate("scrollY") == 0
    reader.get_by_role("button", name="Page", exact=True).click()
    picture = reader.locator(".paper img")
    expect(picture).to_be_visible(timeout=20 * SECONDS)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 1000
    expect(reader.locator(".spot")).to_be_in_viewport()
    spot, paper = reader.locator(".spot").bounding_box(), picture.bounding_box()
    assert spot and paper
    assert (spot["y"] - paper["y"]) / paper["height"] == pytest.approx(
        (842 - 690) / 842, abs=0.01
    )  # of 842 points, 680 and a line's height
    reader.get_by_role("button", name="Larger").click()
    assert picture.bounding_box()["width"] > 1.4 * paper["width"]  # type: ignore[index]
    reader.get_by_role("button", name="Next page").click()
    expect(reader).to_contain_text("Page 3 of 3", timeout=5 * SECONDS)
    expect(reader.locator("h2")).to_be_focused()  # there is no next page any more
    reader.get_by_role("button", name="Previous page").press("Enter")
    expect(reader).to_contain_text("Page 2 of 3", timeout=5 * SECONDS)
    expect(reader.get_by_role("button", name="Previous page")).to_be_focused()
    reader.get_by_role("button", name="Text", exact=True).click()
    expect(reader.locator("mark")).to_be_in_viewport(timeout=5 * SECONDS)
    page.keyboard.press("Escape")
    expect(page.locator("#panel .source.cited").first).to_be_visible()
    expect(mark).to_be_focused()
    page.keyboard.press("Enter")
    expect(reader.locator("h2")).to_be_focused(timeout=5 * SECONDS)
    page.keyboard.press("Tab")
    reader.get_by_role("button", name="Sources").press("Enter")
    expect(mark).to_be_focused()
    mark.click()
    reader.get_by_role("button", name="Open in Documents").click()
    expect(page.locator("#reading article h2")).to_have_text("book", timeout=5 * SECONDS)
    assert seen.foreign == [] and seen.errors == []


def test_a_phone_shows_the_card_first_and_a_changed_source_says_so(page: Page, app: App) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_app(page, app)
    expect(page.locator("#sidebar.open")).to_have_count(0, timeout=10 * SECONDS)
    ask(page, "What pulls the sea?")
    page.locator("#chat a.cite").first.click()
    card, reader = page.locator("#panel .source.cited").first, page.locator("#reader article")
    expect(card).to_be_in_viewport()
    expect(reader).to_be_hidden()
    card.get_by_role("button", name="Read in its document").click()
    expect(reader.locator("mark")).to_be_in_viewport(timeout=5 * SECONDS)
    expect(reader).not_to_contain_text("since")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    reader.get_by_role("button", name="Sources").click()
    expect(card.get_by_role("button", name="Read in its document")).to_be_focused()

    for text, line in ((NOTES.format("Here is news. "), "still stands in it"), ("# Tides\n\nAll is new.\n", "as it was then")):
        write_documents(app.corpus, {"tides.md": text})

        def told(line: str = line) -> bool:
            card.get_by_role("button", name="Read in its document").click()
            page.wait_for_timeout(700)
            found = line in reader.inner_text()
            reader.get_by_role("button", name="Sources").click()
            return found

        assert any(told() for _ in range(15))
    page.evaluate("document.dispatchEvent(new CustomEvent('assistant-act', {detail: {act: 'sources', turn: 0}}))")
    expect(page.locator("#panel .fate")).to_contain_text("as it was then", timeout=20 * SECONDS)
