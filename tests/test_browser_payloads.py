"""S1, S2: 46 payloads in every place of the page that shows somebody's text, in a real browser without its Content-Security-Policy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect, sync_playwright

from eval.runs import Run, RunQuestion, runs_folder, save_run
from tests.browser import CHROMIUM, FLAGS, SECONDS, needs_browser, open_app
from tests.conftest import settings_in
from tests.payloads import MARKS, PAYLOADS, listening, payload
from tests.scripted_server import Finish, ScriptedServer, Thought, answer, error, pieces, serving, stream
from tests.serving import running

pytestmark = needs_browser


@pytest.fixture
def model() -> Iterator[ScriptedServer]:
    yield from serving()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Page]:
    """A page on which nothing but our own care keeps a text from being more than text."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=CHROMIUM,
            args=FLAGS,
            viewport={"width": 1280, "height": 800},
            bypass_csp=True,
        )
        context.add_init_script("window.__pwned = 0")
        yield context.pages[0]
        context.close()


def inert(page: Page, *places: str) -> None:
    """Assert that the places hold payloads, as text."""
    for place in places:
        assert page.locator(place).count() > 0, place
        text = page.locator(place).first.inner_text()
        assert "__pwned" in text or "127.0.0.1" in text, (place, text[:200])
        found = (
            page.locator(place).first.locator(", ".join(MARKS)).evaluate_all("all => all.map(one => one.outerHTML.slice(0, 200))")
        )
        assert found == [], (place, found)
        styled = page.locator(place).first.locator("[style*='url'], [onerror], [onload], [background], a[href*=':']").count()
        assert styled == 0, place


def test_no_payload_loads_or_runs_anything_wherever_it_is_shown(
    bare: Page, model: ScriptedServer, tmp_path: Path, models: Path
) -> None:
    options = settings_in(tmp_path, models, {})
    page, dialogs = bare, list[str]()

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    with listening() as (port, asked):
        for number in range(len(PAYLOADS)):
            line = " ".join(payload(number, port, "title").split())
            name = f"{number:02} {line[:120]}.md".replace("/", "\\")  # a browser takes the one for the other
            text = f"# {line}\n\nThe weather report says {payload(number, port, 'text')} and rain.\n"
            (options.corpus / name).write_text(text, encoding="utf-8")
            measure = RunQuestion("q1", "Where?", {"nDCG@10": 0.5}, (), ())
            date = f"2026-11-01T12:{number:02}:00+00:00"
            save_run(Run(line, "abc", "full", 10, date, 1, {}, {}, {}, {"nDCG@10": 0.5}, 0, (measure,)), runs_folder(options))
        with running(options, OPENAI_BASE_URL=model.url) as app:
            open_app(page, app)
            written = "The weather report says rain. " + "\n\n".join(
                payload(number, port, "answer") for number in range(len(PAYLOADS))
            )
            model.play(stream(Thought(written), *pieces(written, 400), Finish()))
            question = f"weather {payload(7, port, 'question')} " + " ".join(
                payload(number, port, "question") for number in range(30)
            )
            page.fill("#question textarea", question[:3900])
            page.keyboard.press("Enter")
            expect(page.locator("#chat .foot")).to_have_count(1, timeout=60 * SECONDS)
            page.locator("#chat details.reasoning summary").click()
            inert(page, "#chat .answer .text", "#chat .reasoning", "#chat .asked", "#panel", "#talks", "#talks li a")
            fault = " ".join(payload(number, port, "error") for number in range(0, len(PAYLOADS), 3))
            model.play(error(400, fault), answer("The weather report says rain."))
            page.fill("#question textarea", "What does the weather report say?")
            page.keyboard.press("Enter")
            expect(page.locator("#chat .foot")).to_have_count(2, timeout=60 * SECONDS)
            page.fill("#find-talk textarea, #find-talk input", "onerror")
            expect(page.locator("#talks .line")).to_contain_text("onerror", timeout=20 * SECONDS)
            inert(page, "#talks .line")
            id = page.locator("#here [data-id]").get_attribute("data-id")
            export = tmp_path / "export.html"
            export.write_bytes(page.request.get(f"{app.url}/export/{id}.html").body())

            page.get_by_role("tab", name="Search").click()
            page.fill("#query textarea, #query input", "weather report rain")
            page.keyboard.press("Enter")
            expect(page.locator("#found .source").nth(9)).to_be_visible(timeout=30 * SECONDS)
            page.get_by_role("button", name="Filters and mode").click()
            hits = page.locator("#hits input[type=number]")
            hits.click()
            page.keyboard.press("Control+a")
            page.keyboard.type("50")
            page.keyboard.press("Tab")
            expect(hits).to_have_value("50")
            for _ in range(3):  # under load the page takes a number over only a while after it was typed
                page.locator("#query textarea, #query input").press("Enter")
                page.wait_for_timeout(3000)
                if page.locator("#found .source").count() > 40:
                    break
            expect(page.locator("#found .source").nth(40)).to_be_visible(timeout=30 * SECONDS)
            inert(page, "#found")

            page.get_by_role("tab", name="Documents").click()
            expect(page.locator("#table tbody tr")).to_have_count(len(PAYLOADS), timeout=30 * SECONDS)
            inert(page, "#table")
            for number in (7, 30):
                page.locator("#table button.open").nth(number).click()
                expect(page.locator("#reading .chunk").first).to_contain_text("The weather report says", timeout=20 * SECONDS)
                inert(page, "#reading")
                page.get_by_role("button", name="All documents").click()
                expect(page.locator("#table table")).to_be_visible(timeout=20 * SECONDS)
            page.locator("#table button[data-act=ask]").nth(7).click()
            inert(page, "dialog p")
            page.get_by_role("button", name="Keep it").click()

            page.get_by_role("tab", name="Evaluation").click()
            expect(page.locator("#evaluation tbody tr").first).to_be_visible(timeout=60 * SECONDS)
            inert(page, "#evaluation table")

            marks = [page.evaluate("window.__pwned")]
            page.goto(export.as_uri())
            inert(page, "section .text, section")
            marks.append(page.evaluate("window.__pwned"))
            page.wait_for_timeout(1000)
            assert (marks, dialogs, asked) == ([0, 0], [], [])
            page.evaluate(f"fetch('http://127.0.0.1:{port}/heard', {{mode: 'no-cors'}})")  # it would have been heard
            page.wait_for_timeout(300)
            assert asked == ["/heard"]
            assert not [line for line in app.lines if "Traceback" in line]
