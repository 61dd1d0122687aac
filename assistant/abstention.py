"""Do the documents answer the question? Decided from how they support the draft and how near the model was to refusing.

A logistic regression on a few named features gives the probability that they do. The embedded model must write a draft and
tells how likely it was to refuse instead; other models refuse by themselves. The weights for each,
the thresholds and their error rates are in `abstention.json`, which `python -m eval abstain --fit` writes.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from assistant.broad import CUES, kind
from assistant.errors import UserError
from assistant.lexical import query_terms, terms
from assistant.settings import Level
from assistant.support import probability

FITTED = Path(__file__).with_name("abstention.json")
# What the regression weighs; the other features decide by themselves.
WEIGHED = ("support",)
TOLD = (*WEIGHED, "refusing")  # the same for a model that tells how likely it was to refuse
_MOST_ODDS = 6.0  # log odds of the refusal beyond which more says nothing
_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")  # accents may stand by themselves
_MOST_UNKNOWN = 5  # runs of words named in a refusal
_MANY, _NEARLY_ALL = 3, 0.8  # words of a question of which that share is missing: none is named
# Words of the request, not of the matter: that they stand nowhere says nothing.
_REQUEST = frozenset(terms("please tell explain describe show give list find know want need thanks hello hi say mean"))


@dataclass(frozen=True)
class Fitted:
    """What `eval abstain --fit` found: below `thresholds[level]` an answer is refused."""

    weights: Mapping[str, float]
    bias: float
    thresholds: Mapping[str, float]


def features(supports: Sequence[float], refused: bool, refusing: float | None = None) -> dict[str, float]:
    """Return what speaks for and against the answer, nothing of which depends on the collection.

    "support" is the most of `supports`, those of the draft's statements, 0 to 1; `refused` says that the model wrote that the
    passages don't answer. Where it tells how likely that was, `refusing`: the log odds of it, -1 to 1. How
    well the passages fit the question is left out: a small collection, asked in other words, has lower scores, and a threshold
    fitted on squad_v2_dev refused 78 % of the answerable questions about the starter corpus (eval/RESULTS.md).
    """
    found = {"support": max(supports, default=0.0), "refused": float(refused)}
    if refusing is not None:
        likely = min(max(refusing, 1e-9), 1 - 1e-9)
        odds = math.log(likely / (1 - likely))
        found["refusing"] = max(min(odds, _MOST_ODDS), -_MOST_ODDS) / _MOST_ODDS
    return found


def decide(features: Mapping[str, float], level: Level, fitted: Fitted | None = None) -> bool:
    """Whether to refuse: say that the documents don't answer, in place of the draft.

    The model's own refusal counts at every level. Otherwise "off" never refuses; the other levels refuse a draft that the
    documents support with a probability under the level's threshold. `fitted` holds these, by default what
    `abstention.json` says. Raises `UserError` when that file is damaged.
    """
    if features["refused"]:
        return True
    if level == "off":
        return False
    fitted = fitted or load_fitted("refusing" in features)
    return answer_probability(features, fitted) < fitted.thresholds[level]


def answer_probability(features: Mapping[str, float], fitted: Fitted) -> float:
    """Return the probability, 0 to 1, that the documents answer the question."""
    return probability([features[name] for name in fitted.weights], [*fitted.weights.values(), fitted.bias])


@cache
def load_fitted(told: bool, path: Path = FITTED) -> Fitted:
    """Read the weights and thresholds for a model that tells how likely its refusal was, or for one that doesn't.

    Raises `UserError` when the file isn't one that `eval abstain --fit` wrote.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))["told" if told else "untold"]
        return Fitted(
            {name: float(raw["weights"][name]) for name in (TOLD if told else WEIGHED)},
            float(raw["bias"]),
            {level: float(raw["thresholds"][level]) for level in ("strict", "balanced")},
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{path} is missing or damaged: install the assistant again, set ASSISTANT_ABSTAIN=off, "
            "or make it with 'python -m eval abstain --fit'."
        ) from None


def unknown_words(question: str, lacking: Callable[[Sequence[str]], Sequence[str]]) -> tuple[str, ...]:
    """Return the words of `question`, as they were typed, of which `lacking` says that they stand nowhere.

    `lacking` returns those of the terms it is given that no document has. Neighbours are one entry; five at most. None are
    named when (nearly) all of three or more are missing: the question is in another language, or of another matter altogether.
    """
    missing = set(lacking(query_terms(question))) - _REQUEST - (CUES if kind(question) != "point" else frozenset())
    runs: list[tuple[int, int]] = []
    known = unknown = 0
    for word in _WORD.finditer(question):
        own = terms(word.group())
        if not own or _REQUEST.issuperset(own) or re.fullmatch("[A-Za-z]", word.group()):
            continue
        if not missing.issuperset(own):
            known += 1
            continue
        unknown += 1
        if runs and question[runs[-1][1] : word.start()] in (" ", "-"):
            runs[-1] = runs[-1][0], word.end()
        else:
            runs.append(word.span())
    if known + unknown >= _MANY and unknown > _NEARLY_ALL * (known + unknown):
        return ()
    found = {question[start:end].lower(): question[start:end] for start, end in reversed(runs)}
    return tuple(reversed(found.values()))[:_MOST_UNKNOWN]
