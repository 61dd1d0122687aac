"""The Documents tab in a real browser: syncing, adding, the table, and the view of one document."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from assistant.settings import Settings
from tests.browser import SECONDS, needs_browser, open_app, open_documents
from tests.conftest import settings_in, write_documents
from tests.serving import App, running

pytestmark = needs_browser
WORDS = [
    "lighthouse",
    "river",
    "mountain",
    "engine",
    "coral",
    "ledger",
    "signal",
    "market",
    "garden",
    "winter",
    "harbour",
    "saddle",
]
HOSTILE = (
    "<img src=http://127.0.0.1:9/a.png onerror=alert(1)> <script>document.title='hacked'</script> ![x](http://127.0.0.1:9/b.png)"
)


def long_text(seed: int, parts: int) -> str:
    """Sections of about a chunk each, other ones for each seed."""
    chance = random.Random(seed)
    sections = [" ".join(" ".join(chance.choices(WORDS, k=12)).capitalize() + "." for _ in range(14)) for _ in range(parts)]
    return "".join(f"# Part {number} of {seed}\n\n{section}\n\n" for number, section in enumerate(sections, 1))


MANY = 250  # files: so many are not indexed before they are stopped


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Settings:
    options = settings_in(tmp_path_factory.mktemp("documents"), models, {})
    documents = {
        "long.md": long_text(1, 60),
        "hostile.md": f"# Hostile {HOSTILE}\n\nA text. {HOSTILE}",
        "tides.md": "# Tides\n\nThe tide rises twice a day.",
        "again/tides.md": "# Tides\n\nThe tide rises twice a day.",
        "broken.pdf": "%PDF-1.7 and then nothing",
        "named.pdf": "A text with the name of a PDF.",
    }
    write_documents(options.corpus, documents)
    return options


@pytest.fixture(scope="module")
def app(small: Settings) -> Iterator[App]:
    with running(small, ASSISTANT_CHAT_MODEL="extractive") as started:
        yield started


def test_a_long_sync_shows_its_progress_on_every_tab_and_can_be_stopped_and_gone_on_with(
    page: Page, tmp_path_factory: pytest.TempPathFactory, models: Path
) -> None:
    options = settings_in(tmp_path_factory.mktemp("long"), models, {})
    write_documents(options.corpus, {f"{number:03}.md": long_text(number, 15) for number in range(MANY)})
    with running(options, ASSISTANT_CHAT_MODEL="extractive") as app:
        seen = open_app(page, app)
        expect(page.locator("#status")).to_contain_text(re.compile(rf"Indexing \d+ of {MANY} files"), timeout=20 * SECONDS)
        page.get_by_role("tab", name="Documents").click()
        progress = page.locator("#progress")
        expect(progress).to_contain_text(
            re.compile(rf"\d+ of {MANY} files · \d+ chunks a second · about .+ left"), timeout=20 * SECONDS
        )
        assert page.locator("#progress progress").get_attribute("max") == str(MANY)
        expect(page.get_by_role("button", name="Sync now")).to_be_disabled()
        page.get_by_role("button", name="Stop").click()
        expect(progress).to_contain_text("Stopped: what is done is kept", timeout=20 * SECONDS)
        expect(page.get_by_role("button", name="Stop")).to_have_count(0)
        indexed = int(page.locator("#table .count").inner_text().split(" ")[0])
        assert 0 < indexed < MANY
        page.get_by_role("button", name="What would change?").click()
        expect(page.locator("#results")).to_contain_text(f"Would be added: {MANY - indexed}", timeout=20 * SECONDS)
        page.get_by_role("button", name="Sync now").click()
        expect(progress).to_contain_text(f" of {MANY - indexed} files", timeout=20 * SECONDS)
        expect(progress).to_contain_text(re.compile("[1-9][0-9]* of "), timeout=20 * SECONDS)
        page.get_by_role("button", name="Stop").click()
        expect(progress).to_contain_text("Stopped: what is done is kept", timeout=20 * SECONDS)
        assert indexed < int(page.locator("#table .count").inner_text().split(" ")[0]) < MANY
        expect(page.locator("#status")).not_to_contain_text("Indexing")
        assert seen.errors == []


def test_what_the_first_sync_brought_is_shown_with_the_reasons(page: Page, app: App) -> None:
    open_documents(page, app)
    progress = page.locator("#progress")
    expect(progress.locator("li.bad")).to_contain_text("broken.pdfNot indexed: it is damaged", timeout=20 * SECONDS)
    row = page.locator("#table tr.failed")
    expect(row).to_contain_text("Not indexed: it is damaged")
    expect(progress.locator("li.good")).to_contain_text("it is plain text, whatever its name says")
    expect(page.locator("#table tr", has_text="named.pdf")).to_contain_text("Warning: it is plain text")
    expect(page.locator("#table tr", has_text="also as")).to_contain_text("tides.md")


def test_the_words_of_narrow_columns_are_never_broken(page: Page, app: App, small: Settings) -> None:
    name = "a" * 120 + ".md"
    (small.corpus / name).write_text("# Long\n\nA long name leaves little room for the other columns.", encoding="utf-8")
    page.set_viewport_size({"width": 1280, "height": 900})
    open_documents(page, app)
    expect(page.locator("#table")).to_contain_text(name, timeout=30 * SECONDS)
    lines = """cells => cells.map(cell => {
        const text = document.createRange();
        text.selectNodeContents(cell);
        return new Set([...text.getClientRects()].map(line => Math.round(line.top))).size;
    })"""
    assert set(page.locator("#table th .sort, #table td.type").evaluate_all(lines)) == {1}
    (small.corpus / name).unlink()
    expect(page.locator("#table")).not_to_contain_text(name, timeout=30 * SECONDS)


def test_a_new_file_appears_by_itself_and_goes_when_it_is_deleted(page: Page, app: App, small: Settings) -> None:
    open_documents(page, app)
    file = small.corpus / "arrived.md"
    file.write_text("# Arrived\n\nA parcel came by itself.", encoding="utf-8")
    expect(page.locator("#table")).to_contain_text("Arrived", timeout=30 * SECONDS)
    expect(page.locator("#progress")).to_contain_text("Last sync: 1 new")
    file.unlink()
    expect(page.locator("#table")).not_to_contain_text("Arrived", timeout=30 * SECONDS)


def test_a_document_is_read_chunk_by_chunk_with_the_keyboard(page: Page, app: App) -> None:
    seen = open_documents(page, app)
    page.get_by_role("button", name="Part 1 of 1").focus()
    page.keyboard.press("Enter")
    document = page.locator("#reading article")
    expect(document.locator("h2")).to_be_focused(timeout=20 * SECONDS)
    expect(document.locator("dl")).to_contain_text("Chunks60")
    expect(document.locator(".chunk")).to_have_count(50)
    expect(page.get_by_role("region", name="Chunk 2", exact=True)).to_contain_text("Part 2 of 1")
    expect(page.locator("#table")).not_to_be_visible()
    page.get_by_role("button", name="Next 10").first.press("Enter")
    expect(document).to_contain_text("Chunks 51 to 60 of 60", timeout=20 * SECONDS)
    expect(document.locator(".chunk")).to_have_count(10)
    expect(document.locator("h3")).to_be_focused()
    page.get_by_role("button", name="All documents").press("Enter")
    expect(page.get_by_role("button", name="Part 1 of 1")).to_be_focused(timeout=20 * SECONDS)
    assert seen.errors == []


def test_a_hostile_document_is_text_and_loads_nothing(page: Page, app: App) -> None:
    seen = open_documents(page, app)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#table tr", has_text="hostile.md").locator("td.when").click()
    document = page.locator("#reading article")
    expect(document.locator(".chunk")).to_contain_text("<script>document.title=", timeout=20 * SECONDS)
    assert page.locator("#reading img, #reading script, #table img").count() == 0
    assert page.title() != "hacked"
    assert not [url for url in asked if ":9/" in url]
    assert seen.foreign == []


def test_the_index_is_rebuilt_on_a_button(page: Page, app: App) -> None:
    open_documents(page, app)
    page.get_by_role("button", name="Rebuild index").click()
    expect(page.locator("#results")).to_contain_text("The index is new", timeout=60 * SECONDS)
    expect(page.locator("#results")).to_contain_text("chunks in")


def test_the_table_is_filtered_and_sorted(page: Page, app: App) -> None:
    open_documents(page, app)
    page.fill("#filter textarea, #filter input", "TIDES")
    expect(page.locator("#table tbody tr")).to_have_count(1, timeout=20 * SECONDS)
    page.fill("#filter textarea, #filter input", "")
    expect(page.locator("#table tbody tr")).to_have_count(5, timeout=20 * SECONDS)
    page.get_by_role("button", name="Chunks").click()
    expect(page.locator("#table tbody tr").last).to_contain_text("long.md", timeout=20 * SECONDS)
    page.get_by_role("button", name="Chunks").click()
    expect(page.locator("#table tbody tr").first).to_contain_text("long.md", timeout=20 * SECONDS)
    assert page.locator("#table th[aria-sort]").get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "Paste the address"),
        ("ftp://example.org/a", "http"),
        ("http://127.0.0.1:9/page", "not"),
        ("<img src=x onerror=alert(1)>", "address"),
    ],
)
def test_a_page_that_may_not_be_fetched_is_refused_with_a_reason(page: Page, app: App, address: str, reason: str) -> None:
    seen = open_documents(page, app)
    box = page.locator("#url textarea, #url input")
    box.fill(address)
    box.press("Enter")
    expect(page.locator("#results .problem, #results li.bad")).to_contain_text(reason, timeout=30 * SECONDS)
    expect(box).to_have_value(address)
    assert seen.errors == []


def test_a_document_is_removed_from_its_own_view_after_asking(page: Page, app: App, small: Settings) -> None:
    open_documents(page, app)
    file = small.corpus / "unwanted.md"
    file.write_text("# Unwanted\n\nNobody needs this.", encoding="utf-8")
    page.get_by_role("button", name="Unwanted", exact=True).click(timeout=30 * SECONDS)
    remove = page.locator("#reading").get_by_role("button", name="Remove…")
    remove.click(timeout=20 * SECONDS)
    expect(page.get_by_role("dialog")).to_contain_text("Remove unwanted.md for good?")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    remove.click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.locator("#results")).to_contain_text("unwanted.md was removed", timeout=20 * SECONDS)
    expect(page.locator("#table")).not_to_contain_text("Unwanted")
    assert not file.exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_tab_and_a_document_fit_a_phone(page: Page, app: App, scheme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    open_documents(page, app)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.locator("#table tr", has_text="hostile.md").get_by_role("button").first.click()
    expect(page.locator("#reading .chunk")).to_be_visible(timeout=20 * SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
