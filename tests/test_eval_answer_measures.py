"""Measures of one answer, against figures worked out by hand."""

import pytest

from eval.answer_measures import (
    exact,
    is_right,
    means,
    percentile,
    question_measures,
    rouge_l,
    token_f1,
    token_recall,
    wilson,
)
from eval.answer_rows import AnswerRow, RowStatement, plain
from eval.answer_sets import AnswerQuestion, Kind, Style
from eval.datasets import GoldSpan

GOLD = GoldSpan("a.md", 100, 150)


def question(gold: str = "Hangzhou", kind: Kind = "answerable", style: Style = "written") -> AnswerQuestion:
    if kind == "unanswerable":
        return AnswerQuestion("q", "Where?", kind)
    return AnswerQuestion("q", "Where?", kind, (gold,), style, (GOLD,))


def row(
    text: str = "In Hangzhou [1].", refused: bool = False, citations: tuple[GoldSpan, ...] = (GOLD,), marks: str = "s"
) -> AnswerRow:
    names = {"s": ("supported", True), "p": ("partly", True), "n": ("not found", False)}
    statements = tuple(RowStatement("x", 0.5, *names[mark]) for mark in marks)
    return AnswerRow("q", text, text, refused, "done", "", citations, statements, (), {}, 1.0, 2.0, 100, 10)


def test_exact_match_and_f1_normalise_as_the_official_script() -> None:
    assert exact("The October, 1973!", ["october 1973"]) == 1.0
    assert exact("in October 1973", ["October 1973"]) == 0.0
    # Three words of the answer, two of the gold answer, two in common: precision 2/3, recall 1.
    assert token_f1("in October 1973", ["1980", "October 1973"]) == pytest.approx(0.8)
    assert token_f1("the", ["a"]) == 1.0  # both are nothing once articles are gone
    assert token_f1("word", ["a"]) == 0.0


def test_long_references_are_compared_by_recall_and_in_order() -> None:
    assert token_recall("dogs chase cats", ["cats chase dogs often"]) == pytest.approx(3 / 4)
    # Longest common subsequence of 1 ("chase" or either animal), 3 and 4 words.
    assert rouge_l("dogs chase cats", ["cats chase dogs often"]) == pytest.approx(2 / 7)
    assert rouge_l("cats often chase dogs", ["cats chase dogs often"]) == pytest.approx(6 / 8)


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("It cost around six million dollars.", "$6 million", True),
        ("It cost $60 million.", "$6 million", False),
        ("It needs 2000 chips.", "2,000", True),
        ("The index fell 1.4 percent.", "1.4%", True),
        ("The index fell 14 percent.", "1.4%", False),
        ("They are Tokyo Electron, Advantest and SoftBank.", "Advantest, SoftBank and Tokyo Electron", True),
        ("They are Advantest and SoftBank.", "Advantest, SoftBank and Tokyo Electron", False),
        ("Use one-eighth of them.", "one eighth", True),
        ("It is Shanghai.", "Hangzhou", False),
    ],
)
def test_an_answer_written_by_somebody_is_held_by_one_with_its_terms_and_numbers(text: str, gold: str, right: bool) -> None:
    assert is_right(text, question(gold), cites_gold=False) is right


def test_a_short_answer_from_a_document_must_stand_there_in_a_row() -> None:
    assert is_right("They are SoftBank and Advantest.", question("Advantest and SoftBank"), False)
    assert not is_right("They are SoftBank and Advantest.", question("Advantest and SoftBank", style="span"), False)


@pytest.mark.parametrize(
    ("text", "gold", "cites_gold", "right"),
    [
        ("No, it keeps its cash.", "no", False, True),
        ("Yes, it loses cash.", "no", True, False),
        ("There is no loss of cash.", "no", False, False),
        ("The company keeps its cash.", "no", True, True),
        ("The company keeps its cash.", "no", False, False),
    ],
)
def test_yes_and_no_open_the_answer_or_are_said_by_a_statement_with_gold_evidence(
    text: str, gold: str, cites_gold: bool, right: bool
) -> None:
    assert is_right(text, question(gold), cites_gold) is right


def test_marks_are_no_part_of_an_answer() -> None:
    assert plain("In Hangzhou [1]. In 2023 [2?]! Perhaps [?].") == "In Hangzhou. In 2023! Perhaps."


def test_a_right_answer_of_ones_corpus_needs_a_citation_of_gold_evidence() -> None:
    good = question_measures(question(), row())
    assert (good["good"], good["right"], good["right_cited"], good["cites_gold"], good["gold_citations"]) == (1, 1, 1, 1, 1)
    beside = question_measures(question(), row(citations=(GoldSpan("a.md", 150, 160), GoldSpan("b.md", 100, 150))))
    assert (beside["good"], beside["right"], beside["right_cited"], beside["cites_gold"], beside["gold_citations"]) == (
        0,
        1,
        0,
        0,
        0,
    )
    half = question_measures(question(), row(citations=(GoldSpan("a.md", 149, 160), GoldSpan("b.md", 100, 150))))
    assert (half["right_cited"], half["gold_citations"]) == (1, 0.5)


def test_a_refusal_counts_nothing_over_all_and_not_among_those_answered() -> None:
    found = question_measures(question(), row("The documents don't seem to answer.", refused=True))
    assert found == {"good": 0, "exact": 0, "F1": 0, "right": 0, "right_cited": 0, "answered": 0}
    answered = question_measures(question(), row("Hangzhou"))
    assert means([found, answered])["F1"] == 0.5 and means([found, answered])["F1_answered"] == 1.0


def test_what_cannot_be_answered_is_well_refused() -> None:
    assert question_measures(question(kind="unanswerable"), row()) == {"good": 0, "refused": 0}
    assert question_measures(question(kind="unanswerable"), row(refused=True)) == {"good": 1, "refused": 1}


def test_half_an_answer_is_neither_a_wrong_refusal_nor_a_false_answer() -> None:
    found = question_measures(question(kind="partial", style="long"), row("Hangzhou"))
    assert found["good"] == found["F1"] == found["recall_answered"] == 1.0 and not {"answered", "refused"} & found.keys()


def test_citation_recall_is_over_statements_and_precision_over_citations() -> None:
    found = question_measures(question(), row(marks="sspn"))
    assert found["citation_recall"] == found["supported"] == 0.5  # two of four statements
    assert found["citation_precision"] == pytest.approx(2 / 3)  # of three with a citation
    assert "citation_precision" not in question_measures(question(), row(marks="n", citations=()))


def test_wilsons_interval_is_that_of_the_books() -> None:
    assert wilson(10, 20) == pytest.approx((0.2993, 0.7007), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.95) == 3.0 and percentile([3.0, 1.0, 2.0], 0.5) == 2.0 and percentile([1.0], 0.95) == 1.0
