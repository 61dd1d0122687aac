"""What became of each question of a run, in a word and in a line, the worst first."""

from dataclasses import dataclass
from typing import Literal, get_args

from eval.comparison import rank
from eval.runs import Run, RunQuestion

Verdict = Literal["wrong", "partly", "right"]
_NEAR = 0.5  # F1 from which a long answer counts as right


@dataclass(frozen=True)
class Judged:
    """A question, whether it went well, why, and its main measure. `ranks` are the places of what was expected, 0 when not found."""

    question: RunQuestion
    verdict: Verdict
    why: str
    score: float
    ranks: tuple[int, ...]


def judged(run: Run) -> list[Judged]:
    """Return the questions of a run, the worst first."""
    order = get_args(Verdict)
    found = [_judged(question, run.main_measure) for question in run.questions]
    return sorted(found, key=lambda one: (order.index(one.verdict), one.score, one.question.text))


def _judged(question: RunQuestion, measure: str) -> Judged:
    ranks = tuple(rank(question, wanted) for wanted in question.relevant)
    verdict, why = _answered(question) if question.answer else _found(question, ranks)
    return Judged(question, verdict, why, question.measures.get(measure, 0.0), ranks)


def _found(question: RunQuestion, ranks: tuple[int, ...]) -> tuple[Verdict, str]:
    places = [place for place in ranks if place]
    if not places:
        return "wrong", f"nothing of what was expected is among the first {len(question.hits)}"
    if len(ranks) == 1:
        return "right", f"found at rank {places[0]}"
    verdict: Verdict = "right" if len(places) == len(ranks) else "partly"
    return verdict, f"{len(places)} of {len(ranks)} expected places found, the first at rank {min(places)}"


def _answered(question: RunQuestion) -> tuple[Verdict, str]:
    told, measures = question.answer, question.measures
    refused, cites = bool(told.get("refused")), bool(measures.get("cites_gold"))
    if told.get("failure"):
        return "wrong", f"the model failed: {told['failure']}"
    if told.get("kind") == "unanswerable":
        return ("right", "rightly refused") if refused else ("wrong", "answered, though the documents don't say")
    if refused:
        return "wrong", "refused, though the documents answer it"
    if "right" not in measures:
        if told.get("gold"):  # a long one
            score = measures.get("F1", 0.0)
            return ("right" if score >= _NEAR else "partly" if cites else "wrong"), f"F1 {score:.2f} to the expected answer"
        return ("right", "cites what was expected") if cites else ("wrong", "cites nothing of what was expected")
    if not measures["right"]:
        return ("partly", "cites what was expected, but says something else") if cites else ("wrong", "says something else")
    if not question.relevant or cites:
        return "right", "right, and cites what was expected" if cites else "right"
    return "partly", "right, but cites something else than expected"
