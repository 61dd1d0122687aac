"""Runs, comparisons and questions on the page: all that is to be told, and whatever they hold, text."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from eval.comparison import compare
from eval.history import points
from eval.own_questions import Entry
from eval.runs import Run, RunHit, RunQuestion
from eval.verdicts import judged
from tests.test_ui_render import ALLOWED, ATTRIBUTES, PAYLOADS, Page
from ui.evaluating import Outcome, Progress
from ui.render_evaluation import Compared, Stock, comparison_html, measuring_html, run_html, runs_html
from ui.render_review import review_html


class Form(Page):
    """Reads the pages of the evaluation, which have fields."""

    allowed = ALLOWED | {"label", "input", "select", "option", "textarea", "fieldset", "legend", "cite", "img"}
    attributes = ATTRIBUTES | {
        *(
            "data-eval",
            "data-run",
            "data-page",
            "data-only",
            "data-measure",
            "data-form",
            "aria-pressed",
            "name",
            "checked",
            "rows",
        ),
        *("maxlength", "selected", "scope", "src", "alt", "open"),
    }


def run(*questions: RunQuestion, text: str = "corpus", mode: str = "full", date: str = "2026-11-01", data: str = "abc") -> Run:
    measures = {name: 0.5 for one in questions for name in one.measures}
    return Run(text, data, mode, 5, f"{date}T12:00:00+00:00", 1, {text: text}, {}, {}, measures, 0, questions)


def searched(id: str, recall: float, text: str = "Why?") -> RunQuestion:
    hits = tuple(RunHit(text if place else "b.md", 0, 9, 0.5, text) for place in range(2))
    return RunQuestion(
        id,
        text,
        {"recall": recall, **({text: recall} if text in PAYLOADS else {})},
        ("b.md[3:5]", f"{text}[0:3]"),
        hits,
        expected=(text, text),
    )


def answered(id: str, good: float, text: str = "So?") -> RunQuestion:
    told: dict[str, Any] = {
        "kind": "answerable",
        "gold": [text],
        "answer": text,
        "refused": False,
        "failure": text if text in PAYLOADS else "",
        "citations": [f"{text}[0:3]", text],
        "quotes": [text],
    }
    return RunQuestion(id, text, {"good": good, "right": good, "cites_gold": good}, ("b.md[3:5]",), (), told, (text,))


def compared(a: Run, b: Run) -> str:
    chosen = compare(a, b, across=True)
    sides = ({one.question.id: one for one in judged(each)} for each in (a, b))
    return comparison_html(Compared(a, b, chosen, {chosen.measure: chosen}), *sides)


def entry(text: str, **row: object) -> Entry:
    return Entry(text, {"_id": text, "text": text, **row}, "stamp")


def quotes(text: str) -> list[dict[str, str]]:
    return [{"document": text, "quote": text}]


SINKS: dict[str, Callable[[str], str]] = {
    "runs": lambda text: runs_html([*points(run(searched("1", 1, text), text=text)).values()] * 2, b"", b""),
    "search run": lambda text: run_html(
        run(searched("1", 1, text), text=text), text, judged(run(searched("1", 1, text))), False, 0
    ),
    "answer run": lambda text: run_html(
        run(answered("1", 0, text), mode=text), text, judged(run(answered("1", 0, text))), False, 0
    ),
    "comparison": lambda text: compared(run(searched("1", 1, text), text=text), run(searched("1", 0, text), text=text, mode=text)),
    "draft": lambda text: review_html([entry(text, draft=True, answer=text, comment=text, evidence=quotes(text))], [text], ""),
    "form": lambda text: review_html([entry(text, answer=text, comment=text, quotes=quotes(text))], [], "stamp"),
    "outcome": lambda text: measuring_html(Stock(problem=text), None, Outcome("search", text, text, text, (text,))),
}


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("sink", SINKS)
def test_a_payload_stays_text_wherever_it_is_shown(sink: str, payload: str) -> None:
    html = SINKS[sink](payload)
    page = Form(html)
    assert page.links == [] and "evil.example/x" not in "".join(part for part in html.split("<") if part.startswith("img"))
    html.encode("utf-8")


def test_without_questions_the_page_says_how_to_get_some() -> None:
    text = Form(measuring_html(Stock(), None, None)).text
    assert all(way in text for way in ("Add to my questions", "assistant eval generate", "starter.jsonl"))
    assert "Review the drafts" in measuring_html(Stock(drafts=2), None, None) and "Measure search" not in text


def test_a_bad_line_is_shown_in_place_of_the_buttons() -> None:
    page = measuring_html(Stock(problem="q.jsonl, line 3: not valid JSON"), None, None)
    assert "line 3" in page and "Measure search" not in page and "No questions" not in page


def test_progress_tells_how_many_are_done_and_how_long_it_takes() -> None:
    progress = Progress("answers", 12, 92, 2, time.monotonic() - 20)
    text = Form(measuring_html(Stock(), progress, None)).text
    assert "Measuring answers: 12 of 92 questions" in text and "about 3 min left" in text and "Stop" in text
    assert "somebody is asking" in measuring_html(Stock(), replace(progress, waiting=True), None)


def test_a_run_shows_what_was_expected_and_found_the_worst_first_in_pages() -> None:
    many = run(*(searched(str(number), number / 50, f"Question {number:02}?") for number in range(50)))
    missed = replace(searched("x", 0, "Missed?"), relevant=("gone.md[0:5]",), expected=("What stands there",))
    page = run_html(run(*many.questions, missed), "name", judged(run(*many.questions, missed)), False, 0)
    text = Form(page).text
    assert text.index("Missed?") < text.index("Question 00?") < text.index("Question 18?") and "Question 19?" not in text
    assert "All (51)" in text and "Not right (1)" in text and "gone.md · not found" in text and "What stands there" in text
    assert "1 to 20 of 51 questions" in text
    failures = Form(run_html(many, "name", judged(many), True, 0)).text
    assert "Every question went well" in failures
    half = replace(searched("y", 0.5, "Half?"), relevant=("b.md[3:5]", "gone.md[0:5]"))
    text = Form(run_html(run(*many.questions, half), "name", judged(run(*many.questions, half)), True, 0)).text
    assert "Not right (1)" in text and "partlyHalf?1 of 2 expected places found" in text
    assert "Question 49?" in run_html(many, "name", judged(many), False, 2)


def test_an_answer_stands_beside_what_was_expected_with_its_citations() -> None:
    one = answered("1", 0.0, "Why?")
    told = {**one.answer, "answer": "It is so [1].", "gold": ["Not so"], "citations": ["c.md[3:9]"], "quotes": ["It is."]}
    text = Form(run_html(run(one), "n", judged(run(replace(one, answer=told))), False, 0)).text
    assert all(part in text for part in ("Not so", "It is so [1].", "cites c.md", "It is.", "says something else"))


def test_two_runs_stand_side_by_side_with_what_got_better_and_worse() -> None:
    a = run(*(searched(str(n), 0.2, f"Question {n}?") for n in range(20)))
    b = run(*(searched(str(n), 0.5 + n / 50 if n else 0.1, f"Question {n}?") for n in range(20)), date="2026-11-02")
    page = compared(a, b)
    text = Form(page).text
    assert "B is significantly better" in text and "20 questions: 19 better, 1 worse, 0 the same" in text
    assert text.index("Worse: 1") < text.index("Better: 19") and "0.20 → 0.88" in text and "95 % interval" in text
    assert "changed between the runs" not in text and "b.md · rank 1 in A, rank 1 in B" in text
    assert "no difference" in compared(a, a)


def test_runs_of_one_minute_can_be_told_apart() -> None:
    at = run(searched("1", 0.5)).date
    first, second = run(searched("1", 0.5)), replace(run(searched("1", 0.5)), date=at.replace(":00+", ":07+"))
    other = run(searched("1", 0.5), date="2026-10-01")
    newest = [next(iter(points(one).values())) for one in (other, first, first, second)]
    labels = re.findall(r"<option[^>]*>([^<]+)<", runs_html(newest, b"", b""))[:4]
    assert len(set(labels)) == 4
    seconds = [re.match(r"[-\d]+ \d\d:\d\d(:\d\d)? ", label) for label in labels]
    assert [found and found[1] for found in seconds] == [":07", ":00", ":00", None] and labels[2].endswith("0.500 (2)")
    text = Form(compared(first, second)).text
    assert ":00:00, 1 question" in text and ":00:07, 1 question" in text and ":00:00, 1" not in Form(compared(first, other)).text


def test_after_the_documents_changed_only_what_is_still_expected_is_compared() -> None:
    a = run(searched("1", 0.5), searched("2", 0.5), searched("3", 0.5))
    b = run(searched("1", 0.6), replace(searched("2", 0.9), text="Another?"), searched("4", 0.5), data="def")
    text = Form(compared(a, b)).text
    assert "Documents or questions changed" in text and "(2 left out)" in text and "1 question: 1 better" in text


def test_drafts_come_first_and_one_without_evidence_cannot_be_kept_as_it_is() -> None:
    whole, bare = entry("Whole?", draft=True, evidence=quotes("q")), entry("Bare?", draft=True, quotes=quotes("q"))
    text = Form(review_html([entry("Kept?", unanswerable=True), whole, bare], ["q.jsonl, line 2: bad"], "")).text
    assert text.index("To review (2)") < text.index("Whole?") < text.index("Your own questions (1)") < text.index("Kept?")
    assert text.count("Keep Whole?") == 1 and "Keep Bare?" not in text and "Evidence is to be given" in text and "line 2" in text
    assert review_html([], [], "") == ""


def test_a_form_offers_the_quotes_with_the_chosen_ones_ticked() -> None:
    one = entry("So?", draft=True, evidence=quotes("chosen"), quotes=[*quotes("chosen"), *quotes("other")])
    page = review_html([one], [], "stamp")
    assert page.count('name="picked"') == 2 and page.count(" checked") == 1 and 'value="0" checked' in page
