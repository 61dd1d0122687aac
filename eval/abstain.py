"""`python -m eval abstain`: how often is an answer refused that there is, and one given that there isn't?

Asks with ASSISTANT_ABSTAIN=off, so that one pass tells the errors of every level. `--fit` fits the regression of
`assistant/abstention.py` and its thresholds on the halves of the sets that `eval answers` leaves out, and writes them
with their error rates on the halves held back. The golden questions only report.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from assistant.abstention import FITTED, TOLD, WEIGHED, Fitted, answer_probability, decide, load_fitted
from assistant.errors import UserError
from assistant.settings import Level, Settings, load_settings, stay_offline
from eval.answer_rows import AnswerRow
from eval.answer_sets import AnswerQuestion, AnswerSet, Half, golden_answer_set, load_answer_set
from eval.answers import answered, rate, rate_line
from eval.readme import save_result

_STRENGTH = 0.1  # of the data against small weights: the features are correlated and the questions few
MOST_WRONG = {"balanced": 0.15, "strict": 0.3}  # wrong refusals that a level may cost, of the answerable questions of each set
_LEAST_KIND = 20  # questions of either kind that a set must have for the weights to be fitted on it


@dataclass(frozen=True)
class Case:
    """What a refusal is decided by, for a question that the documents answer or don't."""

    features: Mapping[str, float]
    answerable: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval abstain`."""
    parser.add_argument("--data", type=Path, nargs="+", default=[], metavar="DIR", help="sets as `eval answers` reads them")
    parser.add_argument("--corpus", action="store_true", help="report on the questions in eval/golden/ too")
    parser.add_argument("--limit", type=int, metavar="N", help="ask the first N questions of each half of each set")
    parser.add_argument("--fit", action="store_true", help="fit the weights and thresholds and write assistant/abstention.json")
    parser.add_argument("--fresh", action="store_true", help="ask again what an earlier run has")
    parser.add_argument("--json", action="store_true", help="print the error rates as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Ask, fit if wanted, and print the error rates of each level on each set."""
    settings = replace(load_settings(), abstain="off")
    stay_offline(settings)
    if options.limit is not None and options.limit < 1:
        raise UserError(f"--limit is {options.limit}: it must be 1 or more.")
    if not options.data and (options.fit or not options.corpus):
        raise UserError("Name at least one set: --data DIR.")
    ask = _asking(settings, options.limit, options.fresh)
    fitting = {path.resolve().name: ask(path, "fitting") for path in options.data} if options.fit else {}
    held_back = {path.resolve().name: ask(path, "held back") for path in options.data}
    if options.corpus:
        held_back["corpus"] = ask(None, "held back")
    told = all("refusing" in case.features for cases in (fitting or held_back).values() for case in cases)
    fits = {told: fit(list(fitting.values()), TOLD if told else WEIGHED) for told in {told, False}} if options.fit else {}
    fitted = fits[told] if fits else load_fitted(told)
    found = {name: rates(cases, fitted) for name, cases in held_back.items()}
    if options.fit:
        without = {name: rates(cases, fits[False]) for name, cases in held_back.items()}
        kept = json.loads(FITTED.read_text(encoding="utf-8")) if FITTED.is_file() else {}
        save_result(FITTED, kept | stored(fits, fitting, {told: found, False: without}, settings))
        load_fitted.cache_clear()
        print(f"  weights, thresholds and error rates written to {FITTED}", file=sys.stderr)
    print(json.dumps(found) if options.json else "\n".join(_lines(found, fitted)))
    return 0


def _asking(settings: Settings, limit: int | None, fresh: bool) -> Callable[[Path | None, Half], list[Case]]:
    """Return a function that gives the cases of a half of the set in a folder, or of the golden questions."""

    def ask(folder: Path | None, half: Half) -> list[Case]:
        answer_set: AnswerSet = golden_answer_set(settings) if folder is None else load_answer_set(folder, half)
        print(f"  {answer_set.name}, {half}:", file=sys.stderr)
        size = min(limit or answer_set.sample, len(answer_set.questions))
        _, rows = answered(answer_set, size, settings, fresh)
        return cases(answer_set.questions[:size], rows)

    return ask


def cases(questions: Sequence[AnswerQuestion], rows: Sequence[AnswerRow]) -> list[Case]:
    """Return the cases of `rows`; questions that the documents answer in part, and failures of the model, are none."""
    return [
        Case(row.features, question.kind == "answerable")
        for question, row in zip(questions, rows, strict=True)
        if question.kind != "partial" and row.features
    ]


def fit(sets: Sequence[Sequence[Case]], names: Sequence[str]) -> Fitted:
    """Fit the regression on the features `names` to the drafts of `sets`, and for each level the threshold that refuses most.

    The weights are fitted on the sets with enough questions of both kinds; the threshold must hold on each set. What the model refuses by itself counts for the rates, but is not weighed. Raises `UserError` when the drafts are all
    of one kind.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    found = [[case for case in cases if not decide(case.features, "off")] for cases in sets]
    drafts = [case for cases in found if _both_kinds(cases) >= min(_LEAST_KIND, max(map(_both_kinds, found))) for case in cases]
    labels = [case.answerable for case in drafts]
    if len(set(labels)) < 2:
        raise UserError(f"All {len(drafts):,} drafts are of one kind: fit on more questions, answerable and unanswerable ones.")
    values = np.array([[case.features[name] for name in names] for case in drafts])
    middle, spread = values.mean(axis=0), values.std(axis=0).clip(1e-6)
    model = LogisticRegression(class_weight="balanced", C=_STRENGTH, max_iter=1000).fit((values - middle) / spread, labels)
    scaled = model.coef_[0] / spread
    # As many digits as say something: the file is read by people too.
    weights = {name: round(float(weight), 4) for name, weight in zip(names, scaled, strict=True)}
    fitted = Fitted(weights, round(float(model.intercept_[0] - scaled @ middle), 4), {})
    return replace(
        fitted,
        thresholds={level: min(threshold(cases, fitted, most) for cases in found if cases) for level, most in MOST_WRONG.items()},
    )


def _both_kinds(cases: Sequence[Case]) -> int:
    """Return how many questions there are of the rarer kind."""
    answerable = sum(case.answerable for case in cases)
    return min(answerable, len(cases) - answerable)


def threshold(cases: Sequence[Case], fitted: Fitted, most_wrong: float) -> float:
    """Return the highest threshold at which at most `most_wrong` of the answerable questions are refused; 0 if none is."""
    answerable = [case.features for case in cases if case.answerable]
    # Rounded down, so that the draft with this very probability is kept.
    found = {math.floor(10_000 * answer_probability(case.features, fitted)) / 10_000 for case in cases}
    for value in sorted(found, reverse=True):
        at = replace(fitted, thresholds={"balanced": value})
        if sum(decide(features, "balanced", at) for features in answerable) <= most_wrong * len(answerable):
            return value
    return 0.0


def rates(cases: Sequence[Case], fitted: Fitted) -> dict[str, dict[str, Any]]:
    """Return for each level the wrong refusals and the false answers, with their 95 % intervals (Wilson)."""
    found: dict[str, dict[str, Any]] = {}
    for level in get_args(Level):
        refused = [(case.answerable, decide(case.features, level, fitted)) for case in cases]
        found[level] = {
            "wrong_refusals": rate(refused.count((True, True)), sum(answerable for answerable, _ in refused)),
            "false_answers": rate(refused.count((False, False)), sum(not answerable for answerable, _ in refused)),
        }
    return found


def stored(
    fits: Mapping[bool, Fitted], fitting: Mapping[str, Sequence[Case]], found: Mapping[bool, Any], settings: Settings
) -> dict[str, Any]:
    """Return what goes into `abstention.json`: `fits` and error rates by whether the model tells how likely its refusal was."""
    return {
        **{
            "told" if told else "untold": {
                "weights": dict(fitted.weights),
                "bias": fitted.bias,
                "thresholds": dict(fitted.thresholds),
                "error_rates": found[told],
            }
            for told, fitted in fits.items()
        },
        "fitted": {
            "by": "python -m eval abstain --fit",
            "date": datetime.now(UTC).date().isoformat(),
            "model": settings.chat_model,
            "questions": {name: len(cases) for name, cases in fitting.items()},
            "most_wrong_refusals": MOST_WRONG,
        },
    }


def _lines(found: Mapping[str, Mapping[str, Any]], fitted: Fitted) -> list[str]:
    lines = [f"weights: {', '.join(f'{name} {weight:+.2f}' for name, weight in fitted.weights.items())}, bias {fitted.bias:+.2f}"]
    for name, levels in found.items():
        lines.append(name)
        for level, errors in levels.items():
            at = f" (under {fitted.thresholds[level]:.2f})" if level in fitted.thresholds else ""
            lines += [f" {level}{at}", *(rate_line(error.replace("_", " "), values) for error, values in errors.items())]
    return lines
