"""Questions limited to folders, documents and saved selections, and folders that are dropped, in a real browser."""

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
HOSTILE = "<img src=x onerror=alert(1)> & 'name'.md"
TEXTS = {
    "2023/report.md": "# Annual report 2023\n\nThe profit was 7 million euros in the year.",
    "2024/report.md": "# Annual report 2024\n\nThe profit was 9 million euros in the year.",
    "2024/two words.md": "# Lighthouse\n\nThe lighthouse was painted red in May.",
    f"<b>bold</b>/{HOSTILE}": "# Odd <script>document.title='hacked'</script>\n\nA parrot said hello to the baker.",
    "broken.pdf": "%PDF-1.7 and then nothing",
}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Settings:
    made = settings_in(tmp_path_factory.mktemp("collections"), models, {})
    write_documents(made.corpus, TEXTS)
    return made


@pytest.fixture(scope="module")
def app(options: Settings) -> Iterator[App]:
    with running(options, ASSISTANT_CHAT_MODEL="extractive") as started:
        yield started


def test_a_question_is_limited_by_a_name_in_it_and_the_limit_stays_until_it_is_changed(page: Page, app: App) -> None:
    seen = open_app(page, app)
    box, answers, where = page.locator("#question textarea"), page.locator("#chat .answer"), page.locator("#ask-in")
    names = page.get_by_role("listbox", name="Documents, folders and selections")
    box.press_sequentially("What was the profit? @rep")
    expect(names.get_by_role("option")).to_have_text([re.compile("2023/report.md"), re.compile("2024/report.md")])
    page.keyboard.press("ArrowDown")
    assert box.get_attribute("aria-activedescendant") == names.get_by_role("option", selected=True).get_attribute("id")
    page.keyboard.press("Escape")
    expect(names).to_have_count(0)
    page.keyboard.press("Backspace")
    box.press_sequentially("p")
    expect(names.get_by_role("option")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("What was the profit? @2024/report.md ")
    page.keyboard.press("Enter")
    expect(answers.last).to_contain_text("In 2024/report.md", timeout=20 * SECONDS)
    expect(answers.last).to_contain_text("9 million")
    expect(where).to_have_text(re.compile(r"Ask in: 2024/report\.md"))

    box.fill("Who painted the lighthouse red?")
    page.keyboard.press("Enter")
    expect(answers.last).to_contain_text("Only 2024/report.md was searched.", timeout=20 * SECONDS)
    answers.last.get_by_role("button", name="Ask in all documents").click()
    expect(answers).to_have_count(3, timeout=20 * SECONDS)
    expect(answers.last).to_contain_text("painted red in May", timeout=20 * SECONDS)
    expect(where).to_have_text(re.compile("all documents"))

    where.press("Enter")  # the control, by keyboard
    expect(page.get_by_role("combobox", name="Folder, selection or document")).to_be_focused()
    page.keyboard.type("2023")
    expect(names.get_by_role("option").first).to_have_text(re.compile("^2023/"))
    page.keyboard.press("Enter")
    expect(where).to_have_text(re.compile("Ask in: 2023/"), timeout=10 * SECONDS)
    box.fill("What was the profit?")
    page.keyboard.press("Enter")
    expect(answers.last).to_contain_text("7 million", timeout=20 * SECONDS)
    expect(page).to_have_url(re.compile(r"\?c="))
    page.reload()
    expect(page.locator("#chat .answer .scope")).to_have_text(
        ["In 2024/report.md", "In 2024/report.md", "In 2023/"], timeout=30 * SECONDS
    )
    expect(where).to_have_text(re.compile("Ask in: 2023/"))

    box.fill("@reprot.md What was it?")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text(
        "There is no document, folder or selection 'reprot.md': did you mean", timeout=10 * SECONDS
    )
    expect(box).to_have_value("@reprot.md What was it?")
    assert seen.errors == []
    assert seen.foreign == []


def test_names_that_hold_html_are_offered_and_asked_in_as_text(page: Page, app: App) -> None:
    seen = open_app(page, app)
    box = page.locator("#question textarea")
    box.press_sequentially("@onerror")
    option = page.get_by_role("option").first
    expect(option).to_contain_text(HOSTILE)
    option.click()
    expect(box).to_have_value(f'@"<b>bold</b>/{HOSTILE}" ')
    box.press_sequentially("Who said hello?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat .answer")).to_contain_text("A parrot said hello", timeout=20 * SECONDS)
    expect(page.locator("#where")).to_contain_text(HOSTILE)
    assert page.locator("#chat .message img, #where img, #where b b").count() == 0
    assert page.title() != "hacked"
    assert seen.foreign == []
    assert seen.errors == []


def test_documents_are_sieved_sorted_ticked_and_kept_as_a_selection_to_ask_in(page: Page, app: App) -> None:
    seen = open_documents(page, app)
    rows = page.locator("#table tbody tr")
    expect(page.locator("#table td.state")).to_have_text(["Failed", *["Ready"] * 4], timeout=20 * SECONDS)
    assert page.locator("#table tbody b, #table tbody img, #choices b").count() == 0
    page.get_by_role("button", name="Folder", exact=True).click()
    expect(page.locator("#table th[aria-sort=ascending]")).to_have_text(re.compile("Folder"))
    page.get_by_label("Folder or selection").select_option(label="2024/ (2)")
    expect(rows).to_have_count(2)
    expect(page.locator("#table .count")).to_contain_text("2 files of 5 documents")
    rows.filter(has_text="two words.md").get_by_role("checkbox").check()
    page.get_by_role("button", name="Show all").click()
    expect(rows).to_have_count(5)
    expect(page.get_by_label("Folder or selection")).to_have_value("place:")
    rows.filter(has_text="Annual report 2023").get_by_role("checkbox").check()
    ticks = page.get_by_role("region", name="Ticked documents")
    expect(ticks).to_contain_text("2 ticked")
    ticks.get_by_role("button", name="Save as a selection").click()
    page.get_by_label("Name", exact=True).fill("My <i>two</i>".replace("/", ""))
    page.keyboard.press("Enter")
    expect(page.locator("#results")).to_contain_text("“My <i>two<i>” is saved", timeout=10 * SECONDS)
    expect(rows).to_have_count(2)
    expect(ticks).to_have_count(0)
    page.get_by_role("button", name="Rename selection").click()
    page.get_by_label("Name", exact=True).fill("Two of mine")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Ask in Two of mine").click(timeout=10 * SECONDS)
    box = page.locator("#question textarea")
    expect(box).to_be_focused(timeout=10 * SECONDS)
    expect(page.locator("#ask-in")).to_contain_text("“Two of mine”")
    box.fill("What was the profit?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat .answer")).to_contain_text("7 million", timeout=20 * SECONDS)
    expect(page.locator("#panel")).not_to_contain_text("2024/report.md")
    page.get_by_role("tab", name="Documents").click()
    page.get_by_role("button", name="Delete selection").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.locator("#results")).to_contain_text("its documents stay", timeout=10 * SECONDS)
    page.get_by_role("tab", name="Ask").click()
    box.fill("And the profit?")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text("There is no selection 'Two of mine'", timeout=10 * SECONDS)
    assert seen.errors == []


def test_a_dropped_folder_keeps_its_structure_and_what_cannot_be_read_is_told(
    page: Page, app: App, options: Settings, tmp_path: Path
) -> None:
    seen = open_documents(page, app)
    folder = tmp_path / "Trip <u>2025"
    write_documents(
        folder,
        {
            "day one/walk.md": "# Walk\n\nWe walked to the harbour and saw seals.",
            "empty.md": "",
            "video.mp4": "no text",
            ".hidden/secret.md": "# Hidden\n\nNothing to see.",
        },
    )
    page.set_input_files("#pick-folder", folder)
    results = page.locator("#results")
    expect(results.locator("li.good")).to_contain_text(f"{folder.name}/day one/walk.md", timeout=30 * SECONDS)
    expect(results.locator("li.bad")).to_contain_text("empty.mdNot added:")
    expect(results).to_contain_text("1 file passed over, which can't be read (.mp4).")
    assert (options.corpus / folder.name / "day one" / "walk.md").is_file()
    assert not [path for path in options.corpus.rglob("*") if path.name in ("empty.md", "video.mp4", "secret.md")]
    expect(page.locator("#table tr", has_text="Walk").locator(".folder")).to_have_text(f"{folder.name}/day one")

    drop = """(text) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([text], "dropped.md"));
        document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop, "# Dropped\n\nA kite flew over the dunes.")
    expect(results.locator("li.good")).to_contain_text("dropped.md", timeout=30 * SECONDS)
    expect(page.locator("#table")).to_contain_text("Dropped")
    page.evaluate(drop, "# Dropped again\n\nA kite fell into the sea.")
    taken = "dropped.md is there already with other content, so this one was added as dropped (2).md"
    expect(results.locator("li.good")).to_contain_text(taken, timeout=30 * SECONDS)
    assert not [path for path in (options.data / "uploads").rglob("*") if path.is_file()]
    assert seen.errors == []


def test_of_two_people_the_second_is_told_that_a_document_is_gone(page: Page, app: App, options: Settings) -> None:
    (options.corpus / "shared.md").write_text("# Shared\n\nThe swing was oiled.", encoding="utf-8")
    seen = open_documents(page, app)
    expect(page.locator("#table")).to_contain_text("Shared", timeout=30 * SECONDS)
    other = page.context.new_page()
    open_documents(other, app)
    page.get_by_role("button", name="Shared", exact=True).click()
    page.get_by_role("button", name="Index again").click()
    expect(page.locator("#reading")).to_contain_text("Read and embedded again: ", timeout=30 * SECONDS)
    expect(page.get_by_role("button", name="Index again")).to_be_focused()
    other.get_by_role("button", name="Remove… shared.md").click()
    other.get_by_role("button", name="Remove it").click()
    expect(other.locator("#results")).to_contain_text("shared.md was removed", timeout=20 * SECONDS)
    page.get_by_role("button", name="Index again").click()
    expect(page.locator("#results")).to_contain_text("This document is not there any more.", timeout=20 * SECONDS)
    expect(page.locator("#table")).not_to_contain_text("Shared")
    assert seen.errors == []


def test_the_fields_that_narrow_a_search_stand_in_two_lines(page: Page, app: App) -> None:
    seen = open_app(page, app)
    page.get_by_role("tab", name="Search").click()
    page.get_by_role("button", name="Filters and mode").click()
    expect(page.locator("#before")).to_be_visible()
    boxes = [page.locator(f"#{id}").bounding_box() for id in ("mode", "hits", "types", "within", "after", "before")]
    tops = [box and box["y"] for box in boxes]
    assert tops == [tops[0]] * 3 + [tops[3]] * 3 and seen.errors == []


def test_a_passage_that_was_found_opens_its_document_at_its_chunk(page: Page, app: App) -> None:
    seen = open_app(page, app)
    page.get_by_role("tab", name="Search").click()
    page.fill("#query textarea, #query input", "@2024/ profit")
    page.keyboard.press("Enter")
    found = page.locator("#found .source").first
    expect(found).to_contain_text(
        re.compile(r"score \(fused\) \d.*meaning \(dense\) \d.*words \(lexical\) \d"), timeout=20 * SECONDS
    )
    found.get_by_role("button", name="Open in its document").click()
    expect(page.locator("#reading h2")).to_have_text("Annual report 2024", timeout=20 * SECONDS)
    expect(page.locator("#reading .chunk.found")).to_be_focused()
    assert seen.errors == []


def test_the_document_that_was_named_is_removed_whatever_becomes_of_the_table_meanwhile(
    page: Page, app: App, options: Settings
) -> None:
    write_documents(options.corpus, {"m1-victim.md": "# V\n\nKept.", "m2-wanted.md": "# W\n\nUnwanted."})
    open_documents(page, app)
    page.get_by_role("button", name="Remove… m2-wanted.md").click(timeout=30 * SECONDS)
    write_documents(options.corpus, {"m0-new.md": "# N\n\nNew."})
    expect(page.locator("#table")).to_contain_text("m0-new.md", timeout=30 * SECONDS)
    page.get_by_role("button", name="Remove it").click()
    expect(page.locator("#results")).to_contain_text("m2-wanted.md was removed", timeout=20 * SECONDS)
    assert (options.corpus / "m1-victim.md").exists() and not (options.corpus / "m2-wanted.md").exists()
