"""A page whose server goes away, and what is too much for it, in a real browser: nothing that was typed is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from assistant.settings import Settings
from tests.browser import SECONDS, needs_browser, open_app
from tests.conftest import settings_in, write_documents
from tests.serving import App, running

pytestmark = needs_browser
TYPE = """(field, text) => { field.value = text; field.dispatchEvent(new Event("input", { bubbles: true })); field.focus(); }"""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Settings:
    made = settings_in(tmp_path_factory.mktemp("connection"), models, {})
    write_documents(made.corpus, {"bees.md": "# Bees\n\nHoney bees dance to show where flowers are."})
    return made


@pytest.fixture(scope="module")
def app(options: Settings) -> Iterator[App]:
    with running(options, ASSISTANT_CHAT_MODEL="extractive") as started:
        yield started


def ask(page: Page, question: str) -> None:
    before = page.locator("#chat .foot").count()
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    expect(page.locator("#chat .foot")).to_have_count(before + 1, timeout=30 * SECONDS)


def test_a_page_says_that_its_server_is_gone_and_goes_on_with_what_was_typed_when_it_is_back(
    page: Page, tmp_path: Path, models: Path
) -> None:
    made = settings_in(tmp_path, models, {})
    write_documents(made.corpus, {"bees.md": "# Bees\n\nHoney bees dance to show where flowers are."})
    bar, box = page.locator("#connection"), page.locator("#question textarea")
    with running(made, ASSISTANT_CHAT_MODEL="extractive") as first:
        open_app(page, first)
        ask(page, "How do honey bees dance?")
        box.fill("And why")
        first.process.kill()
        expect(bar).to_contain_text("The server does not answer", timeout=20 * SECONDS)
        expect(page.locator(".toast-body:visible")).to_have_count(0)
        expect(page.locator("#status")).to_be_hidden()
        box.press("End")
        page.keyboard.type(" do they dance?")
        page.keyboard.press("Enter")
        expect(box).to_have_value("And why do they dance?")
    with running(made, port=first.port, ASSISTANT_CHAT_MODEL="extractive"):
        expect(bar).to_have_count(0, timeout=30 * SECONDS)
        expect(page.locator("#chat .answer.done")).to_contain_text("bees dance", timeout=30 * SECONDS)
        expect(box).to_have_value("And why do they dance?")
        box.press("Enter")
        expect(page.locator("#chat .foot")).to_have_count(2, timeout=30 * SECONDS)
        expect(page.locator("#status")).to_be_visible()
        expect(box).to_have_value("")
        page.reload()
        expect(page.locator("#chat .foot")).to_have_count(2, timeout=30 * SECONDS)
        expect(box).to_have_value("")


def test_one_request_that_fails_shows_nothing_and_a_pause_is_over_by_itself(page: Page, app: App) -> None:
    open_app(page, app)
    page.fill("#question textarea", "kept")
    broken = [0]
    page.route("**/gradio_api/**", lambda route: route.abort() if broken[0] else route.continue_())
    broken[0] = 1
    expect(page.locator("#connection")).to_be_visible(timeout=20 * SECONDS)
    broken[0] = 0
    expect(page.locator("#connection:visible")).to_have_count(0, timeout=20 * SECONDS)
    expect(page.locator("#question textarea")).to_have_value("kept")
    ask(page, "How do honey bees dance?")


def test_a_question_of_megabytes_stays_in_the_box_and_a_line_says_why(page: Page, app: App) -> None:
    open_app(page, app)
    box = page.locator("#question textarea")
    for size, place, line in (
        (1_200_000, "#problem", "The question has 1,200,000 characters, the limit is 4,000"),
        (8_100_000, "#connection", "This is too long to be sent"),
    ):
        box.evaluate(TYPE, "y" * size)
        page.keyboard.press("Enter")
        expect(page.locator(place)).to_contain_text(line, timeout=30 * SECONDS)
        assert len(box.input_value()) == size
    expect(page.locator("[data-testid='status-tracker']:visible", has_text="Error")).to_have_count(0)
    ask(page, "How do honey bees dance?")


def test_a_very_long_word_breaks_no_layout(page: Page, app: App, options: Settings) -> None:
    word = "honey" + "b" * 3000
    write_documents(options.corpus, {"long.md": f"# {word}\n\n{word} is a long word about tall towers."})
    page.set_viewport_size({"width": 390, "height": 844})
    open_app(page, app)
    page.get_by_role("tab", name="Documents").click()
    expect(page.locator("#table")).to_contain_text("long.md", timeout=30 * SECONDS)
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    assert page.evaluate(fits)
    page.get_by_role("tab", name="Ask").click()
    ask(page, f"What is the long word about tall towers {word[:3000]}?")
    assert page.evaluate(fits)
    page.get_by_role("tab", name="Search").click()
    page.fill("#query textarea, #query input", "long word about tall towers")
    page.keyboard.press("Enter")
    expect(page.locator("#found .source").first).to_be_visible(timeout=30 * SECONDS)
    assert page.evaluate(fits)
    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.evaluate(fits)
    for place in ("#chat", "#panel", "#talks", "#found"):
        assert page.locator(place).evaluate("part => part.scrollWidth <= part.clientWidth + 1"), place


def test_too_large_files_are_told_and_left_out_while_the_others_are_added(page: Page, app: App, tmp_path: Path) -> None:
    large, small = tmp_path / "large<b>.txt", tmp_path / "small.md"
    with large.open("wb") as file:
        file.truncate(2_000_000_000)
    small.write_text("# Small\n\nA small file.", encoding="utf-8")
    open_app(page, app)
    page.get_by_role("tab", name="Documents").click()
    page.set_input_files("#pick-files", [large, small])
    expect(page.locator("#files .told")).to_contain_text(
        "1 file passed over, which can't be read (over 50 MB).", timeout=30 * SECONDS
    )
    expect(page.locator("#results li.good")).to_contain_text("small.md", timeout=30 * SECONDS)


# What says that a stream ends comes to Gradio's script this much later.
LATE = """() => {
  const ask = window.fetch.bind(window);
  window.fetch = async (...request) => {
    const reply = await ask(...request);
    if (!reply.url.includes("queue/data")) return reply;
    const [read, write] = [new TextDecoder(), new TextEncoder()];
    const late = new TransformStream({
      async transform(chunk, to) {
        const text = read.decode(chunk);
        const end = text.lastIndexOf("data:", text.indexOf('"close_stream"'));
        if (!text.includes('"close_stream"')) return to.enqueue(chunk);
        to.enqueue(write.encode(text.slice(0, end)));
        window.ending = true;
        await new Promise((done) => setTimeout(done, 1500));
        window.ending = false;
        to.enqueue(write.encode(text.slice(end)));
      },
    });
    return new Response(reply.body.pipeThrough(late), reply);
  };
}"""


def test_an_event_that_is_sent_before_the_page_has_read_that_its_stream_ends_is_not_lost(page: Page, app: App) -> None:
    page.add_init_script(f"({LATE})()")
    open_app(page, app)
    page.get_by_role("tab", name="Search").click()
    box, new = page.locator("#query textarea, #query input"), page.locator("#found article:not([data-old])").first
    for query in ("flowers", "bees dance", "flowers", "dances"):
        box.fill(query)
        box.press("Enter")
        expect(new).to_be_visible(timeout=20 * SECONDS)
        page.locator("#found article").evaluate_all("all => all.forEach((one) => (one.dataset.old = 1))")
        page.wait_for_function("window.ending === true")


def test_an_answer_whose_stream_breaks_is_shown_all_the_same(page: Page, app: App) -> None:
    open_app(page, app)
    ask(page, "How do honey bees dance?")
    page.route("**/gradio_api/queue/data*", lambda route: route.abort())
    ask(page, "Where are flowers?")


def test_what_a_page_loads_late_takes_nothing_from_a_reader_who_was_faster(page: Page, app: App) -> None:
    held, holding = list[Route](), True
    page.route("**/gradio_api/run/predict*", lambda route: held.append(route) if holding else route.continue_())
    open_app(page, app)
    while len(held) < 2:  # what is shown, and what goes on
        page.wait_for_timeout(100)
    holding = False
    page.fill("#question textarea", "   ")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text("empty", timeout=20 * SECONDS)
    for route in held:
        route.continue_()
    page.wait_for_timeout(4000)
    expect(page.locator("#problem")).to_contain_text("empty")
    ask(page, "How do honey bees dance?")
    expect(page.locator("#panel .source").first).to_be_visible(timeout=10 * SECONDS)
    expect(page.locator("#problem")).not_to_contain_text("empty")
