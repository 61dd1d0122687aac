"""Conversations in a real browser: kept over reloads, tabs and restarts, found, renamed, deleted, exported."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from assistant.conversations import Conversations
from assistant.settings import Settings
from assistant.snapshots import Answer
from tests.browser import SECONDS, needs_browser, open_app
from tests.conftest import settings_in, write_documents
from tests.scripted_server import Finish, Pause, ScriptedServer, answer, serving, stream
from tests.serving import App, running

pytestmark = needs_browser

TEXTS = {
    "bees.md": "# Bees\n\nHoney bees dance to show where flowers are. The waggle dance shows the direction.",
    "tides.md": "# Tides\n\nThe moon pulls the sea, and the tide rises twice a day.",
}


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedServer]:
    yield from serving()


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Settings:
    made = settings_in(tmp_path_factory.mktemp("talks"), models, {})
    write_documents(made.corpus, TEXTS)
    return made


@pytest.fixture(scope="module")
def app(options: Settings, model: ScriptedServer) -> Iterator[App]:
    with running(options, OPENAI_BASE_URL=model.url) as started:
        yield started


def ask(page: Page, model: ScriptedServer, question: str, text: str) -> None:
    before = page.locator("#chat .answer .foot").count()
    model.play(answer(text))
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    expect(page.locator("#chat .answer .foot")).to_have_count(before + 1, timeout=30 * SECONDS)


def menu(page: Page, title: str, act: str) -> None:
    row = page.locator("#talks li").filter(has_text=title).first
    row.locator("summary").click()
    row.get_by_text(act, exact=True).click()


def test_a_reload_a_second_tab_and_the_list_bring_a_conversation_back(page: Page, app: App, model: ScriptedServer) -> None:
    seen = open_app(page, app)
    ask(page, model, "How do bees show where flowers are?", "Honey bees dance to show where flowers are.")
    expect(page.locator("#talks a[aria-current]")).to_contain_text("How do bees", timeout=10 * SECONDS)
    address = page.url
    assert "?c=" in address
    expect(page.locator("#panel .source.cited").first).to_be_visible(timeout=10 * SECONDS)
    sources = page.locator("#panel .source").first.inner_text()
    page.reload()
    expect(page.locator("#chat .answer.done")).to_contain_text("bees dance", timeout=30 * SECONDS)
    expect(page.locator("#panel .source").first).to_have_text(sources, use_inner_text=True)
    second = page.context.new_page()
    second.goto(address)
    expect(second.locator("#chat .answer.done")).to_contain_text("bees dance", timeout=30 * SECONDS)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#chat .answer")).to_have_count(0, timeout=10 * SECONDS)
    page.wait_for_url(lambda url: "?c=" not in url, timeout=10 * SECONDS)
    page.locator("#talks a", has_text="How do bees").click()
    expect(page.locator("#chat .answer.done")).to_contain_text("bees dance", timeout=10 * SECONDS)
    page.wait_for_url(address, timeout=10 * SECONDS)
    page.go_back()
    expect(page.locator("#chat .answer")).to_have_count(0, timeout=10 * SECONDS)
    assert seen.foreign == []
    assert seen.errors == []


def test_an_answer_goes_on_over_a_reload_and_shows_on_both_tabs(page: Page, app: App, model: ScriptedServer) -> None:
    open_app(page, app)
    model.play(stream("The tide rises twice a day. ", *(part for n in range(40) for part in (f"Word {n} ", Pause(0.1))), Finish()))
    page.fill("#question textarea", "How often does the tide rise?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat .answer .text")).to_contain_text("Word 2", timeout=20 * SECONDS)
    second = page.context.new_page()
    second.goto(page.url)
    page.reload()
    for one in (page, second):
        expect(one.locator("#chat .answer.done")).to_contain_text("Word 39", timeout=30 * SECONDS)


def test_while_an_answer_is_written_another_conversation_can_be_read(page: Page, app: App, model: ScriptedServer) -> None:
    open_app(page, app)
    ask(page, model, "What pulls the sea?", "The moon pulls the sea.")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#chat .answer")).to_have_count(0, timeout=10 * SECONDS)
    model.play(stream("Honey bees dance. ", *(part for n in range(40) for part in (f"Step {n} ", Pause(0.1))), Finish()))
    page.fill("#question textarea", "How do honey bees dance?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat .answer .text")).to_contain_text("Step 2", timeout=20 * SECONDS)
    page.locator("#talks a", has_text="What pulls the sea").click()
    expect(page.locator("#chat .answer.done")).to_contain_text("The moon pulls", timeout=10 * SECONDS)
    page.wait_for_timeout(1000)
    assert "Step" not in page.locator("#chat").inner_text()
    page.locator("#talks a", has_text="How do honey bees dance").click()
    expect(page.locator("#chat .answer.done")).to_contain_text("Step 39", timeout=30 * SECONDS)


def test_a_conversation_is_found_renamed_deleted_and_had_back(page: Page, app: App, model: ScriptedServer) -> None:
    open_app(page, app)
    ask(page, model, "What does the waggle dance show?", "The waggle dance shows the direction.")
    page.keyboard.press("Control+k")
    page.keyboard.type("WAGGLE show")
    expect(page.locator("#talks li")).to_have_count(1, timeout=10 * SECONDS)
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    menu(page, "waggle", "Rename")
    page.locator("dialog input").fill("Birds <img src=x onerror=alert(1)>")
    page.keyboard.press("Enter")
    expect(page.locator("#talks")).to_contain_text("Birds <img src=x onerror=alert(1)>", timeout=10 * SECONDS)
    menu(page, "Birds", "Delete")
    expect(page.locator("#told")).to_contain_text("was deleted", timeout=10 * SECONDS)
    expect(page.locator("#talks")).not_to_contain_text("Birds", timeout=10 * SECONDS)
    expect(page.locator("#chat .answer")).to_have_count(0, timeout=10 * SECONDS)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#talks")).to_contain_text("Birds", timeout=10 * SECONDS)
    expect(page.locator("#chat .answer.done")).to_have_count(1, timeout=10 * SECONDS)


def test_the_focus_is_in_the_list_again_after_a_conversation_was_renamed(page: Page, app: App, model: ScriptedServer) -> None:
    open_app(page, app)
    ask(page, model, "How do bees dance?", "Honey bees dance to show where flowers are.")
    menu(page, "How do bees dance?", "Rename")
    page.keyboard.type("The dance of bees")
    page.keyboard.press("Enter")
    row = page.locator("#talks li").filter(has_text="The dance of bees").first
    expect(row).to_be_visible(timeout=10 * SECONDS)
    expect(row.locator("summary")).to_be_focused()


def test_a_conversation_is_saved_as_a_file(page: Page, app: App, model: ScriptedServer) -> None:
    open_app(page, app)
    ask(page, model, "What pulls the sea and the tide?", "The moon pulls the sea.")
    expect(page.locator("#talks")).to_contain_text("the sea and the tide", timeout=10 * SECONDS)
    for kind, held in (("Markdown", "[^1-1]: "), ("HTML", "<blockquote>"), ("JSON", '"citations"')):
        with page.expect_download() as download:
            menu(page, "the sea and the tide", f"Export as {kind}")
        text = download.value.path().read_text(encoding="utf-8")
        assert held in text and "The moon pulls the sea" in text
        assert download.value.suggested_filename.startswith("What pulls the sea and the tide")
        if kind == "JSON":
            assert json.loads(text)["turns"][0]["question"] == "What pulls the sea and the tide?"
    assert page.request.get(f"{app.url}/export/nothing.md").status == 404
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#chat .answer .act-copy").click()
    expect(page.locator("#chat .answer .act-copy")).to_have_text("Copied", timeout=5 * SECONDS)
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("The moon pulls the sea") and "Sources\n[1] Tides (tides.md): “The moon pulls the sea" in copied


def test_a_restart_loses_nothing_not_even_an_answer_in_the_making(
    page: Page, model: ScriptedServer, tmp_path: Path, models: Path
) -> None:
    made = settings_in(tmp_path, models, {})
    write_documents(made.corpus, TEXTS)
    model.play(stream("The moon pulls the sea. ", *(part for n in range(400) for part in (f"Wave {n} ", Pause(0.1)))))
    with running(made, OPENAI_BASE_URL=model.url) as app:
        open_app(page, app)
        page.fill("#question textarea", "What pulls the sea?")
        page.keyboard.press("Enter")
        expect(page.locator("#chat .answer .text")).to_contain_text("Wave 15", timeout=30 * SECONDS)
        address = page.url.partition("?")[2]
        app.process.kill()
    with running(made, OPENAI_BASE_URL=model.url) as app:
        page.goto(f"{app.url}/?{address}")
        kept = page.locator("#chat .answer.stopped")
        expect(kept).to_contain_text("Wave 2", timeout=30 * SECONDS)
        expect(kept).to_contain_text("The server ended while this answer was being written")


def test_keys_stop_an_answer_and_reach_the_box(page: Page, app: App, model: ScriptedServer) -> None:
    open_app(page, app)
    model.play(stream("The moon pulls the sea. ", *(part for n in range(400) for part in (f"Wave {n} ", Pause(0.1)))))
    page.fill("#question textarea", "What pulls the sea?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat .answer .text")).to_contain_text("Wave 2", timeout=30 * SECONDS)
    page.keyboard.press("Escape")
    expect(page.locator("#chat .answer.stopped")).to_be_visible(timeout=5 * SECONDS)
    page.locator("#chat .answer").click()
    page.keyboard.press("/")
    page.keyboard.type("typed")
    expect(page.locator("#question textarea")).to_have_value("typed")


def test_a_long_conversation_shows_its_newest_questions_and_the_earlier_ones_when_asked(
    page: Page, app: App, options: Settings, model: ScriptedServer
) -> None:
    with closing(Conversations(options.data / "conversations.sqlite3")) as kept:
        id = kept.begin("", "A long conversation")
        for turn in range(70):
            kept.keep(id, turn, Answer(f"Question {turn}?", text=f"Words {turn}. " * 40, state="done"))
    seen = open_app(page, app)
    page.locator("#talks a", has_text="A long conversation").click()
    answers = page.locator("#chat .answer")
    expect(answers).to_have_count(30, timeout=20 * SECONDS)
    expect(page.locator("#chat .earlier")).to_contain_text("40 earlier questions not shown.")
    page.wait_for_timeout(1000)  # Gradio goes to the end of a conversation 0.3 seconds after it was opened
    for before, count in ((40, 60), (10, 70)):
        page.locator("#chat .earlier button").click()
        expect(answers).to_have_count(count, timeout=20 * SECONDS)
        expect(page.locator(f"#asked-{before}")).to_be_focused()
        expect(page.locator(f"#asked-{before}")).to_be_in_viewport()
        if count == 60:
            expect(page.locator("#chat .earlier")).to_contain_text("10 earlier questions not shown. Show 10")
    expect(page.locator("#chat .earlier")).to_have_count(0)
    page.reload()
    expect(answers).to_have_count(30, timeout=30 * SECONDS)
    page.locator("#chat .earlier button").click()
    expect(answers).to_have_count(60, timeout=20 * SECONDS)
    page.locator("#asked-15").get_by_role("button", name="Edit").click()
    expect(page.locator("#question textarea")).to_have_value("Question 15?")
    model.play(answer("The moon pulls the sea."))
    page.fill("#question textarea", "Why is there a tide?")
    page.keyboard.press("Enter")
    expect(page.locator("#answer-15 .foot")).to_be_visible(timeout=30 * SECONDS)
    expect(page.locator("#asked-15")).to_contain_text("Why is there a tide?")
    expect(answers).to_have_count(16)
    assert seen.errors == []


def test_what_was_typed_and_not_sent_stays_wherever_the_reader_turns(page: Page, app: App, model: ScriptedServer) -> None:
    open_app(page, app)
    ask(page, model, "How do bees dance?", "Honey bees dance to show where flowers are.")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#chat .answer")).to_have_count(0, timeout=10 * SECONDS)
    ask(page, model, "What pulls the sea?", "The moon pulls the sea.")
    box = page.locator("#question textarea")
    box.fill("half a question")
    page.locator("#talks a", has_text="How do bees dance?").first.click()
    expect(page.locator("#chat .asked")).to_contain_text("How do bees dance?", timeout=10 * SECONDS)
    expect(box).to_have_value("half a question")
    menu(page, "What pulls the sea?", "Delete")
    expect(page.locator("#told")).to_contain_text("was deleted", timeout=10 * SECONDS)
    page.locator("#told").get_by_text("Undo").click()
    expect(page.locator("#talks li").filter(has_text="What pulls the sea?").first).to_be_visible(timeout=10 * SECONDS)
    expect(page.locator("#chat .asked")).to_contain_text("How do bees dance?")
    expect(box).to_have_value("half a question")
    for key in ("", "Escape"):
        page.locator("#asked-0").get_by_role("button", name="Edit").click()
        expect(box).to_have_value("How do bees dance?", timeout=10 * SECONDS)
        page.keyboard.press(key) if key else page.get_by_role("button", name="Cancel").click()
        expect(box).to_have_value("half a question", timeout=10 * SECONDS)
        expect(page.locator("#problem")).not_to_contain_text("changing")
    page.locator("#asked-0").get_by_role("button", name="Edit").click()
    expect(box).to_have_value("How do bees dance?", timeout=10 * SECONDS)
    model.play(answer("The waggle dance shows the direction."))
    box.fill("What shows the direction?")
    box.press("Enter")
    expect(page.locator("#answer-0")).to_contain_text("waggle dance", timeout=30 * SECONDS)
    expect(box).to_have_value("half a question")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#chat .answer")).to_have_count(0, timeout=10 * SECONDS)
    expect(box).to_have_value("half a question")


def test_answering_an_earlier_question_again_asks_before_later_ones_go(page: Page, app: App, model: ScriptedServer) -> None:
    open_app(page, app)
    ask(page, model, "How do bees dance?", "Honey bees dance to show where flowers are.")
    ask(page, model, "What pulls the sea?", "The moon pulls the sea.")
    again = page.locator("#answer-0").get_by_role("button", name="Try again")
    again.click()
    page.get_by_role("button", name="Keep all").click()
    page.wait_for_timeout(500)
    expect(page.locator("#chat .answer")).to_have_count(2)
    model.play(answer("The waggle dance shows the direction."))
    again.click()
    page.get_by_role("button", name="Answer again").click()
    expect(page.locator("#chat .answer")).to_have_count(1, timeout=20 * SECONDS)
    expect(page.locator("#answer-0")).to_contain_text("waggle dance", timeout=30 * SECONDS)
    model.play(answer("Honey bees dance to show where flowers are."))
    again.click()
    expect(page.locator("#answer-0")).to_contain_text("where flowers are", timeout=30 * SECONDS)


def test_the_list_of_conversations_works_from_every_tab_and_its_menus_are_whole(
    page: Page, app: App, model: ScriptedServer
) -> None:
    open_app(page, app)
    ask(page, model, "How do bees dance?", "Honey bees dance to show where flowers are.")
    address = page.url
    asking = page.get_by_role("tab", name="Ask")
    for tab in ("Search", "Documents"):
        page.get_by_role("tab", name=tab).click()
        page.locator("#talks a").first.click()
        expect(asking).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Search").click()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    expect(page.locator("#question textarea")).to_be_focused()
    page.set_viewport_size({"width": 900, "height": 420})
    last = page.locator("#talks li").last
    last.locator("summary").click()
    expect(last.get_by_role("button", name="Delete")).to_be_in_viewport(ratio=1)
    last.get_by_role("button", name="Copy link").click()
    expect(last.get_by_role("button", name="opied")).to_be_visible()
    page.keyboard.press("Escape")
    expect(last.locator("summary")).to_be_focused()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    expect(page.locator("#chat .answer").first).to_be_visible(timeout=30 * SECONDS)
    expect(page.locator("#sidebar.open")).to_have_count(0, timeout=10 * SECONDS)
    page.locator("#sidebar .toggle-button").click()
    expect(page.locator("#sidebar.open")).to_have_count(1, timeout=10 * SECONDS)
    page.wait_for_timeout(500)  # it slides in
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#sidebar.open")).to_have_count(0, timeout=10 * SECONDS)
    box = page.locator("#question textarea")
    for width, height in ((390, 844), (1280, 800), (640, 400)):
        page.set_viewport_size({"width": width, "height": height})
        box.fill("\n".join(f"line {number}" for number in range(12)))
        if height > 400:
            expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport(ratio=1)
        box.fill("")


def test_keys_after_a_question_was_sent_stay_and_a_second_press_changes_nothing(
    page: Page, app: App, model: ScriptedServer
) -> None:
    seen = open_app(page, app)
    box, feet = page.locator("#question textarea"), page.locator("#chat .foot")
    for number, question in enumerate(["How do bees dance?", "How do bees dance?", "What pulls the sea?"], 1):
        model.play(answer("Honey bees dance to show where flowers are."))
        box.fill(question)
        with page.expect_request(lambda request: "queue" not in request.url and question in (request.post_data or "")):  # noqa: B023
            page.keyboard.press("Enter")
        page.keyboard.type("next")
        expect(box).to_have_value("next", timeout=20 * SECONDS)
        expect(feet).to_have_count(number, timeout=30 * SECONDS)
        expect(box).to_have_value("next")
    send = page.get_by_role("button", name="Send", exact=True)
    for number, key in enumerate(("Enter", ""), 4):
        model.play(answer("Honey bees dance to show where flowers are."))
        box.fill("How do bees dance?")
        page.wait_for_timeout(800)
        page.keyboard.press(key) if key else send.click()
        page.keyboard.press("Enter")
        expect(feet).to_have_count(number, timeout=30 * SECONDS)
        page.keyboard.press("Enter")
        page.wait_for_timeout(1000)
        expect(feet).to_have_count(number)
        expect(page.locator("#problem p")).to_have_count(0)
        expect(box).to_have_value("")
    assert seen.errors == []
