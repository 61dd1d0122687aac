"""Two runs of one set, question by question: which got better, which worse, and is it more than chance?"""

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.errors import UserError
from eval.bootstrap import Bootstrap, paired_bootstrap
from eval.runs import Run, RunQuestion, one_line

_SAME = 1e-9  # measures closer than this are the same: what is left is rounding
_SIGNIFICANT = 0.05
_SPAN = re.compile(r"(.*)\[(\d+):(\d+)\]", re.DOTALL)


@dataclass(frozen=True)
class Change:
    """One question in both runs; `difference` is its measure after minus before."""

    before: RunQuestion
    after: RunQuestion
    difference: float


@dataclass(frozen=True)
class Comparison:
    """Run B against run A on the questions that both have.

    `measure` is the one compared, `bootstrap` judges the mean of B minus A. `better` and `worse` hold the
    most changed questions first, `same` counts the others. `means` has every measure's mean in A and in B,
    NaN where a run lacks it. `only_a` and `only_b` are ids of questions that the other run lacks.
    """

    measure: str
    bootstrap: Bootstrap
    better: tuple[Change, ...]
    worse: tuple[Change, ...]
    same: int
    means: Mapping[str, tuple[float, float]]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    @property
    def questions(self) -> int:
        """How many questions were compared."""
        return len(self.better) + len(self.worse) + self.same

    @property
    def significant(self) -> bool:
        """Whether chance is an unlikely cause of the difference: p < 0.05."""
        return self.bootstrap.p < _SIGNIFICANT

    @property
    def significantly_worse(self) -> bool:
        """Whether B is worse than A beyond chance."""
        return self.significant and self.bootstrap.mean < 0


def compare(a: Run, b: Run, measure: str | None = None, across: bool = False) -> Comparison:
    """Compare run `b` with run `a` by `measure`, by default the main one.

    With `across` the documents and questions of a set may have changed in between: what is compared are the questions of
    which the same is expected in both, and the others are those that the other run lacks. Questions that lack the measure in one of the runs take no part, such as those refused for how their answers cite.
    Raises `UserError` when they can't be compared: other data, another depth, an unknown measure, no
    question in common, or a run that says two things about one question.
    """
    if a.data != b.data and not (across and a.set == b.set):
        raise UserError(
            f"The runs are about different data: {one_line(a.set)} ({one_line(a.data)}) and {one_line(b.set)} ({one_line(b.data)}). "
            "Measure both on the same documents and judgements."
        )
    name = _measure(a, b, measure)
    before, after = _by_id(a), _by_id(b)
    if a.data != b.data:
        changed_since = {id for id in before.keys() & after.keys() if _wanted(before[id]) != _wanted(after[id])}
        before, after = (
            {id: question for id, question in questions.items() if id not in changed_since} for questions in (before, after)
        )
    common = sorted(before.keys() & after.keys())
    if not common:
        raise UserError(f"The runs have no question in common ({len(before):,} and {len(after):,} questions).")
    # When none has it, the first says so.
    common = [id for id in common if name in before[id].measures and name in after[id].measures] or common
    changes = [Change(before[id], after[id], _value(after[id], name, b) - _value(before[id], name, a)) for id in common]
    changed = sorted((change for change in changes if abs(change.difference) > _SAME), key=lambda change: -abs(change.difference))
    return Comparison(
        measure=name,
        bootstrap=paired_bootstrap([change.difference if abs(change.difference) > _SAME else 0.0 for change in changes]),
        better=tuple(change for change in changed if change.difference > 0),
        worse=tuple(change for change in changed if change.difference < 0),
        same=len(changes) - len(changed),
        means={
            other: _means(other, [(before[id], after[id]) for id in common]) for other in dict.fromkeys([*a.measures, *b.measures])
        },
        only_a=tuple(sorted(before.keys() - after.keys())),
        only_b=tuple(sorted(after.keys() - before.keys())),
    )


def _measure(a: Run, b: Run, wanted: str | None) -> str:
    """Return the measure to compare by; `UserError` when it doesn't mean the same in both runs."""
    name = wanted or a.main_measure
    if a.k != b.k and not (wanted and re.search(r"@\d+$", wanted)):  # a name such as recall@10 carries its own depth
        raise UserError(
            f"The runs have different depths: k is {a.k} in the first and {b.k} in the second, "
            f"so {one_line(name)} means two things. Measure again with the same -k, or name a measure with its own depth (--measure recall@10)."
        )
    for run in (a, b):
        if name not in run.measures:
            known = ", ".join(one_line(other) for other in run.measures)
            raise UserError(f"The run {one_line(run.name)} has no measure {one_line(name)!r}. It has: {known}.")
    return name


def _by_id(run: Run) -> dict[str, RunQuestion]:
    questions = {question.id: question for question in run.questions}
    if len(questions) < len(run.questions):
        raise UserError(f"The run {one_line(run.name)} has several questions of one id: measure again.")
    return questions


def _wanted(question: RunQuestion) -> tuple[object, ...]:
    """Return what makes a question the same in two runs: its words and what is expected."""
    return question.text, sorted(question.expected or question.relevant), question.answer.get("gold"), question.answer.get("kind")


def _value(question: RunQuestion, measure: str, run: Run) -> float:
    value = question.measures.get(measure, math.nan)
    if not math.isfinite(value):
        raise UserError(f"In the run {one_line(run.name)}, question {one_line(question.id)!r} has no {one_line(measure)}.")
    return value


def _means(measure: str, pairs: Sequence[tuple[RunQuestion, RunQuestion]]) -> tuple[float, float]:
    """Return the means of a measure in both runs: over the questions that have it in both, or where one run lacks it, in the other."""
    both = [(a, b) for a, b in pairs if measure in a.measures and measure in b.measures]
    return _mean(measure, [a for a, _ in both or pairs]), _mean(measure, [b for _, b in both or pairs])


def _mean(measure: str, questions: Sequence[RunQuestion]) -> float:
    return statistics.fmean(question.measures.get(measure, math.nan) for question in questions)


def rank(question: RunQuestion, relevant: str) -> int:
    """Return where `relevant` was found, counted from 1, or 0 when it isn't among the hits of the run.

    Spans count passages, documents count documents, as their measures do.
    """
    documents = list(dict.fromkeys(hit.document for hit in question.hits))
    if relevant in documents:
        return documents.index(relevant) + 1
    span = _SPAN.fullmatch(relevant)
    if span:
        document, start, end = span[1], int(span[2]), int(span[3])
        for position, hit in enumerate(question.hits, 1):
            if hit.document == document and hit.start < end and start < hit.end:
                return position
    return 0


def place_of(relevant: str) -> str:
    """Return the document that something relevant lies in."""
    span = _SPAN.fullmatch(relevant)
    return span[1] if span else relevant


def differences(a: Run, b: Run) -> dict[str, tuple[str, str]]:
    """Return what was set otherwise in the two runs: name -> (value in A, value in B), "–" where there is none."""
    one, other = _flat(a), _flat(b)
    return {
        name: (one.get(name, "–"), other.get(name, "–"))
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    }


def _flat(run: Run) -> dict[str, str]:
    found: dict[str, str] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                add(f"{name}.{key}", inner)
        else:
            found[one_line(name)] = one_line(str(value))

    parts = {"mode": run.mode, "k": run.k, "settings": run.settings, "models": run.models, "versions": run.versions}
    for name, value in parts.items():
        add(name, value)
    return found
