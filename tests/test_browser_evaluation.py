"""The evaluation in a real browser: from a thumb on an answer to a measured, compared run."""

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from eval.golden_questions import own_questions
from tests.browser import SECONDS, needs_browser, open_app
from tests.conftest import settings_in, write_documents
from tests.serving import running

pytestmark = needs_browser

TEXTS = {
    "bees.md": "# Bees\n\nHoney bees dance to show where flowers are. The waggle dance shows the direction.",
    "tides.md": "# Tides\n\nThe moon pulls the sea, and the tide rises twice a day.",
}


def ask(page: Page, question: str, number: int) -> None:
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    expect(page.locator("#chat .answer .foot")).to_have_count(number, timeout=30 * SECONDS)


def test_a_thumb_becomes_a_question_and_the_question_a_run_that_is_compared(page: Page, tmp_path: Path, models: Path) -> None:
    options = settings_in(tmp_path, models, {})
    write_documents(options.corpus, TEXTS)
    own, review, run = own_questions(options), page.locator("#review"), page.locator("#run article")
    with running(options, ASSISTANT_CHAT_MODEL="extractive") as app:
        seen = open_app(page, app)
        evaluation = page.get_by_role("tab", name="Evaluation")
        evaluation.click()
        expect(page.locator("#measuring")).to_contain_text("No questions about your documents yet", timeout=20 * SECONDS)
        page.get_by_role("tab", name="Ask").click()

        ask(page, "What do honey bees dance for?", 1)
        page.locator(".judge-up").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".judge-up")).to_have_attribute("aria-pressed", "true", timeout=10 * SECONDS)
        expect(page.locator(".judge-up")).to_be_focused()
        page.get_by_role("button", name="Comment").click()
        page.keyboard.type("Short <b>and</b> right")
        page.get_by_role("button", name="Keep", exact=True).click()
        expect(page.locator("#chat .comment")).to_have_text("Short <b>and</b> right", timeout=10 * SECONDS)
        page.get_by_role("button", name="Add to my questions").click()
        expect(page.locator("#chat .taken")).to_have_count(1, timeout=10 * SECONDS)
        ask(page, "When does the tide rise?", 2)
        page.get_by_role("button", name="Bad answer").nth(1).click()
        page.get_by_role("button", name="Add to my questions").click()
        expect(page.locator("#chat .taken")).to_have_count(2, timeout=10 * SECONDS)
        page.reload()
        expect(page.locator(".judge.chosen")).to_have_count(2, timeout=20 * SECONDS)
        assert all(json.loads(line)["draft"] for line in own.read_text(encoding="utf-8").splitlines())

        evaluation.click()
        expect(review).to_contain_text("To review (2)", timeout=20 * SECONDS)
        review.get_by_role("button", name="Keep What do honey").click()
        expect(review).to_contain_text("To review (1)", timeout=10 * SECONDS)
        review.get_by_role("button", name="Edit When does").click()
        expect(review.locator("[name=text]")).to_be_focused(timeout=10 * SECONDS)
        review.locator("[name=text]").fill("How often does the tide rise?")
        review.locator("[name=typed]").fill("the tide sleeps at night")
        review.get_by_role("button", name="Keep", exact=True).click()
        expect(page.locator("#eval-told")).to_contain_text("word for word", timeout=10 * SECONDS)
        review.locator("[name=typed]").fill("the tide   rises twice a day")
        review.locator("[name=answer]").fill("twice a day")
        review.get_by_role("button", name="Keep", exact=True).click()
        expect(review.locator("summary")).to_have_text("Your own questions (2)", timeout=10 * SECONDS)
        kept = [json.loads(line) for line in own.read_text(encoding="utf-8").splitlines()]
        assert [row["text"] for row in kept] == ["What do honey bees dance for?", "How often does the tide rise?"]
        assert "draft" not in kept[1] and kept[1]["evidence"][0]["document"] == "tides.md"

        rows = page.locator("#evaluation tbody tr")
        for number, kind in enumerate(("Measure search", "Measure answers", "Measure search"), 1):
            page.get_by_role("button", name=kind).click()
            expect(rows).to_have_count(number, timeout=60 * SECONDS)
        expect(page.locator("#evaluation img.day")).to_be_visible(timeout=30 * SECONDS)
        expect(page.locator("#evaluation img.night")).to_be_hidden()
        rows.nth(1).get_by_role("button").click()
        expect(run.locator("h2")).to_be_focused(timeout=10 * SECONDS)
        expect(run.locator(".asked-of")).to_have_count(2)
        expect(run).to_contain_text("twice a day")
        expect(run.locator(".expected .where").first).to_have_css("display", "block")  # or what follows the dot stands apart
        run.get_by_role("button", name="Not right").click()
        expect(run.get_by_role("button", name="Not right")).to_have_attribute("aria-pressed", "true", timeout=10 * SECONDS)
        run.get_by_role("button", name="All runs").click()
        expect(rows.nth(1).get_by_role("button")).to_be_focused(timeout=10 * SECONDS)
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(run).to_contain_text("2 questions: 0 better, 0 worse, 2 the same", timeout=10 * SECONDS)
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.emulate_media(color_scheme="dark")
        page.reload()
        evaluation.click()
        expect(page.locator("#evaluation img.night")).to_be_visible(timeout=20 * SECONDS)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

        with own.open("a", encoding="utf-8") as file:
            file.write('{"_id": "broken\n')
        page.get_by_role("tab", name="Ask").click()
        evaluation.click()
        expect(page.locator("#measuring")).to_contain_text("questions.jsonl, line 3: not valid JSON", timeout=20 * SECONDS)
        expect(review).to_contain_text("line 3")
        assert seen.foreign == [] and seen.errors == []
