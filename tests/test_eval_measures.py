"""Measures equal what their definitions give on rankings small enough to reckon by hand."""

from math import log2

import pytest

from eval.datasets import EvalQuestion, GoldSpan
from eval.measures import cl100k_tokens, document_measures, span_measures


def test_measures_of_documents_are_those_of_the_books() -> None:
    questions = [
        EvalQuestion("q", "?", {"a": 1, "b": 1, "gone": 1}),
        EvalQuestion("r", "?", {"z": 2}),
        EvalQuestion("s", "?", {"z": 1}),
    ]
    rankings = {"q": ["x", "a", "y", "w", "v", "b"], "r": ["z"], "s": []}
    found = document_measures(questions, rankings, 10)
    ideal = 1 + 1 / log2(3) + 1 / log2(4)
    assert found["q"] == pytest.approx(
        {
            "nDCG@10": (1 / log2(3) + 1 / log2(7)) / ideal,
            "recall@5": 1 / 3,
            "recall@10": 2 / 3,
            "recall@100": 2 / 3,
            "MRR@10": 1 / 2,
        }
    )
    assert set(found["r"].values()) == {1.0}
    assert set(found["s"].values()) == {0.0}


def test_measures_of_spans_count_characters() -> None:
    gold = [GoldSpan("d", 10, 20), GoldSpan("d", 100, 110)]
    chunks = [GoldSpan("d", 0, 40), GoldSpan("d", 40, 90), GoldSpan("d", 90, 120)]
    found = span_measures(gold, [chunks[0], chunks[1], GoldSpan("other", 100, 110)], chunks)
    assert found["recall"] == pytest.approx(10 / 20)
    assert found["precision"] == pytest.approx(10 / 100)
    assert found["IoU"] == pytest.approx(10 / (100 + 20 - 10))
    assert found["precision-omega"] == pytest.approx(20 / 70)


def test_characters_retrieved_twice_count_twice_as_retrieved_and_once_as_found() -> None:
    found = span_measures([GoldSpan("d", 0, 10)], [GoldSpan("d", 0, 20), GoldSpan("d", 5, 25)], [])
    assert (found["recall"], found["precision"], found["IoU"]) == pytest.approx((1.0, 10 / 40, 10 / 40))


def test_nothing_retrieved_is_no_error() -> None:
    assert span_measures([GoldSpan("d", 0, 10)], [], [GoldSpan("d", 0, 10)]) == {
        "recall": 0.0,
        "precision": 0.0,
        "IoU": 0.0,
        "precision-omega": 1.0,
    }


def test_tokens_are_those_of_cl100k() -> None:
    assert cl100k_tokens(["hello world, this", "", "tokenization"]) == [4, 0, 2]
