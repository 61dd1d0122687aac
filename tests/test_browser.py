"""The app in a real browser: Debian's chromium, driven by Playwright, with the real embedded model."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from eval.runs import Run, RunQuestion, runs_folder, save_run
from tests.browser import SECONDS, needs_browser, open_app
from tests.conftest import ROOT, settings_in
from tests.scripted_server import Finish, Pause, ScriptedServer, Thought, answer, serving, stream
from tests.serving import App, running

pytestmark = needs_browser


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedServer]:
    yield from serving()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, models: Path, model: ScriptedServer) -> Iterator[App]:
    options = settings_in(tmp_path_factory.mktemp("browser"), models, {})
    for path in (ROOT / "corpus").iterdir():
        shutil.copy(path, options.corpus)
    with running(options, OPENAI_BASE_URL=model.url) as started:
        yield started


def ask(page: Page, question: str) -> None:
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")


def test_the_embedded_model_answers_with_a_citation_that_leads_to_its_sentence(
    page: Page, tmp_path_factory: pytest.TempPathFactory, models: Path
) -> None:
    options = settings_in(tmp_path_factory.mktemp("embedded"), models, {})
    for path in (ROOT / "corpus").iterdir():
        shutil.copy(path, options.corpus)
    with running(options) as app:
        seen = open_app(page, app)
        ask(page, "Who founded DeepSeek, and when?")
        expect(page.locator("#panel .source").first).to_be_visible(timeout=30 * SECONDS)
        done = page.locator("#chat .answer.done")
        expect(done).to_be_visible(timeout=240 * SECONDS)
        expect(done).to_contain_text("Liang Wenfeng")
        done.locator("a.cite").first.click()
        sentence = page.locator("#reader mark").first
        expect(sentence).to_contain_text("Liang Wenfeng")
        expect(sentence).to_be_in_viewport()
        assert seen.foreign == []
        assert seen.errors == []


def test_passages_come_before_the_model_has_written_a_word(page: Page, app: App, model: ScriptedServer) -> None:
    model.play(stream(Pause(4), "DeepSeek was founded by Liang Wenfeng.", Finish()))
    open_app(page, app)
    ask(page, "Who founded DeepSeek?")
    expect(page.locator("#panel .source").first).to_be_visible(timeout=4 * SECONDS)
    assert page.locator("#chat .answer .text").count() == 0
    expect(page.locator("#chat .answer.done")).to_contain_text("Liang Wenfeng", timeout=30 * SECONDS)


def test_stop_keeps_what_was_written_and_hangs_up(page: Page, app: App, model: ScriptedServer) -> None:
    model.play(stream("DeepSeek was founded in 2023. ", *(part for n in range(200) for part in (f"Word {n} ", Pause(0.1)))))
    open_app(page, app)
    ask(page, "When was DeepSeek founded?")
    expect(page.locator("#chat .answer .text")).to_contain_text("Word 3", timeout=20 * SECONDS)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#chat .answer.stopped")).to_contain_text("founded in 2023", timeout=5 * SECONDS)
    deadline = time.monotonic() + 5
    while model.requests[-1].gone is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert model.requests[-1].gone is not None
    model.play(answer("DeepSeek was founded in Hangzhou."))
    ask(page, "Where was DeepSeek founded?")
    expect(page.locator("#chat .answer.done")).to_contain_text("Hangzhou", timeout=20 * SECONDS)


def test_reasoning_is_folded_away(page: Page, app: App, model: ScriptedServer) -> None:
    model.play(stream(Thought("Let me think of founders."), "DeepSeek was founded by Liang Wenfeng.", Finish()))
    open_app(page, app)
    ask(page, "Who founded DeepSeek?")
    expect(page.locator("#chat .answer.done .text")).to_contain_text("Liang Wenfeng", timeout=20 * SECONDS)
    expect(page.locator("#chat .answer .text")).not_to_contain_text("Let me think")
    details = page.locator("#chat details.reasoning")
    expect(details.locator("div").first).not_to_be_visible()
    details.locator("summary").click()
    expect(details).to_contain_text("Let me think of founders.")


def test_html_and_markdown_of_an_answer_are_text_and_load_nothing(page: Page, app: App, model: ScriptedServer) -> None:
    payload = (
        "DeepSeek <img src=http://127.0.0.1:9/a.png onerror=alert(1)> ![x](http://127.0.0.1:9/b.png) [l](http://127.0.0.1:9/c) "
        "<script>document.title='hacked'</script> $x^2$ was founded by Liang Wenfeng. ![r][1]\n\n[1]: http://127.0.0.1:9/d.png"
    )
    model.play(answer(payload, size=20))
    seen = open_app(page, app)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    ask(page, "Who founded <b>DeepSeek</b><img src=x onerror=alert(1)>?")
    expect(page.locator("#chat .answer.done, #chat .answer.refused")).to_be_visible(timeout=20 * SECONDS)
    assert not [url for url in asked if ":9/" in url]
    assert page.title() != "hacked"
    assert page.locator("#chat .answer img, #chat .answer script, #chat .asked img, #chat .asked b").count() == 0
    assert [
        href
        for href in page.locator("#chat a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
        if not href.startswith("#source-")
    ] == []
    assert seen.foreign == []


def test_a_model_that_dies_leaves_the_passages_and_a_note(page: Page, app: App, model: ScriptedServer) -> None:
    from tests.scripted_server import Drop

    model.play(stream("DeepSeek was founded by Liang Wenfeng. And then", Pause(0.3), Drop()))
    open_app(page, app)
    ask(page, "Who founded DeepSeek?")
    failed = page.locator("#chat .answer.failed")
    expect(failed).to_contain_text("Liang Wenfeng", timeout=20 * SECONDS)
    expect(failed.locator(".note")).to_contain_text("kept")
    expect(page.locator("#panel .source").first).to_be_visible()


def test_an_empty_and_an_endless_question_get_a_line_and_keep_the_text(page: Page, app: App) -> None:
    open_app(page, app)
    ask(page, "   ")
    expect(page.locator("#problem")).to_contain_text("empty", timeout=10 * SECONDS)
    ask(page, "why " * 2000)
    expect(page.locator("#problem")).to_contain_text("limit", timeout=10 * SECONDS)
    assert len(page.input_value("#question textarea")) == 8000


def test_documents_are_uploaded_listed_and_removed(page: Page, app: App, tmp_path: Path) -> None:
    good, bad = tmp_path / "lighthouses.md", tmp_path / "broken.pdf"
    good.write_text("# Lighthouses\n\nA lighthouse warns ships of rocks.", encoding="utf-8")
    bad.write_bytes(b"%PDF-1.7 and then nothing")
    open_app(page, app)
    page.get_by_role("tab", name="Documents").click()
    expect(page.locator("#table table")).to_be_visible(timeout=20 * SECONDS)
    page.set_input_files("#pick-files", [good, bad])
    results = page.locator("#results")
    expect(results.locator("li.good")).to_contain_text("lighthouses.md", timeout=30 * SECONDS)
    expect(results.locator("li.bad")).to_contain_text("damaged", timeout=30 * SECONDS)
    expect(page.locator("#table")).to_contain_text("Lighthouses")
    page.get_by_role("button", name="Remove… lighthouses.md").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.locator("#table")).not_to_contain_text("Lighthouses", timeout=20 * SECONDS)
    expect(results).to_contain_text("was removed")


def test_the_evaluation_tab_shows_the_runs_as_a_plot_and_a_table(
    page: Page, tmp_path: Path, models: Path, model: ScriptedServer
) -> None:
    options = settings_in(tmp_path, models, {})
    with running(options, OPENAI_BASE_URL=model.url) as app:
        seen = open_app(page, app)
        tab, content = page.get_by_role("tab", name="Evaluation"), page.locator("#evaluation")
        tab.click()
        expect(content).to_contain_text("python -m eval retrieval", timeout=20 * SECONDS)
        names = ["my set", "$x^{$ <img src=x onerror=alert(1)>", "灯塔"]
        for day, name in enumerate(names, 1):
            date = f"2026-11-0{day}T12:00:00+00:00"
            question = RunQuestion("q1", "Where?", {"nDCG@10": 0.5}, (), ())
            save_run(Run(name, "abc", "full", 10, date, 1, {}, {}, {}, {"nDCG@10": day / 10}, 0, (question,)), runs_folder(options))
        page.get_by_role("tab", name="Documents").click()
        tab.click()
        plot = content.locator("img.day")
        expect(plot).to_be_visible(timeout=60 * SECONDS)
        assert plot.count() == 1
        assert plot.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1040
        rows = content.locator("tbody tr")
        assert [row.locator("td.name").inner_text() for row in rows.all()] == names[::-1]
        expect(rows.first).to_contain_text("nDCG@10")
        expect(rows.first).to_contain_text("0.3000")
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert seen.foreign == []
        assert seen.errors == []


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_a_laptop_in_light_and_dark(page: Page, app: App, width: int, height: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    open_app(page, app)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(page.locator("#question textarea")).to_be_in_viewport()
