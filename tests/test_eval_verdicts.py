"""What became of each question: the worst first, each with its reason."""

from typing import Any

import pytest

from eval.runs import Run, RunHit, RunQuestion
from eval.verdicts import judged

HITS = (RunHit("a.md", 0, 10, 0.9, "text"), RunHit("b.md", 5, 30, 0.5))


def run(*questions: RunQuestion, mode: str = "full") -> Run:
    return Run("corpus", "abc", mode, 5, "2026-11-01T12:00:00+00:00", 1, {}, {}, {}, {"recall": 0.5}, 0, questions)


def test_what_was_not_found_comes_first_then_by_measure() -> None:
    found = judged(
        run(
            RunQuestion("1", "Found?", {"recall": 1.0}, ("b.md[20:25]",), HITS),
            RunQuestion("2", "Half?", {"recall": 0.5}, ("b.md[20:25]", "c.md[0:5]"), HITS),
            RunQuestion("3", "Missed?", {"recall": 0.0}, ("c.md[0:5]",), HITS),
            RunQuestion("4", "Whole?", {"recall": 1.0}, ("a.md[0:10]", "b.md[20:25]"), HITS),
        )
    )
    assert [(one.question.id, one.verdict, one.ranks) for one in found] == [
        ("3", "wrong", (0,)),
        ("2", "partly", (2, 0)),
        ("1", "right", (2,)),
        ("4", "right", (1, 2)),
    ]
    assert [one.why for one in found] == [
        "nothing of what was expected is among the first 2",
        "1 of 2 expected places found, the first at rank 2",
        "found at rank 2",
        "2 of 2 expected places found, the first at rank 1",
    ]


@pytest.mark.parametrize(
    ("answer", "measures", "verdict", "why"),
    [
        ({"kind": "unanswerable", "refused": True}, {}, "right", "rightly refused"),
        ({"kind": "unanswerable", "refused": False}, {}, "wrong", "answered, though"),
        ({"kind": "answerable", "refused": True}, {"right": 0.0}, "wrong", "refused, though"),
        ({"kind": "answerable"}, {"right": 1.0, "cites_gold": 1.0}, "right", "right, and cites"),
        ({"kind": "answerable"}, {"right": 1.0, "cites_gold": 0.0}, "partly", "cites something else"),
        ({"kind": "answerable"}, {"right": 0.0, "cites_gold": 1.0}, "partly", "says something else"),
        ({"kind": "answerable"}, {"right": 0.0, "cites_gold": 0.0}, "wrong", "says something else"),
        ({"kind": "answerable"}, {"cites_gold": 1.0}, "right", "cites what was expected"),
        ({"kind": "answerable"}, {"cites_gold": 0.0}, "wrong", "cites nothing"),
        ({"kind": "answerable", "gold": ["long"]}, {"F1": 0.7}, "right", "F1 0.70"),
        ({"kind": "answerable", "gold": ["long"]}, {"F1": 0.1}, "wrong", "F1 0.10"),
        ({"kind": "answerable", "failure": "It hung."}, {"right": 0.0}, "wrong", "the model failed: It hung."),
    ],
)
def test_an_answer_is_judged_by_what_was_expected_of_it(
    answer: dict[str, Any], measures: dict[str, float], verdict: str, why: str
) -> None:
    [one] = judged(run(RunQuestion("1", "So?", {"good": 0.0, **measures}, ("a.md[0:5]",), HITS, answer), mode="answers"))
    assert one.verdict == verdict and why in one.why
