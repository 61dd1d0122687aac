"""How well does a place in the sources support a statement? A few named features, and a logistic regression.

The weights are fitted by `python -m eval grounding --data DIR --fit`, which writes `support_weights.py`.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from math import exp, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assistant.lexical import terms
from assistant.values import Value

Floats = NDArray[np.float32]

_SIGN = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f"
WORD = re.compile(rf"[{_SIGN}]|(?:(?![{_SIGN}])[^\W_])+(?:['’](?:(?![{_SIGN}])[^\W_])+)?")
_NOWHERE = 30  # words between two of which one is missing
_STEMS: dict[str, str] = {}
_MOST_STEMS = 200_000
# The stemmer knows endings only.
_PAST = (
    "lost:lose fell:fall fallen:fall rose:rise risen:rise grew:grow grown:grow said:say told:tell made:make took:take taken:take "
    "gave:give given:give went:go gone:go came:come got:get became:become began:begin begun:begin brought:bring bought:buy built:build "
    "chose:choose chosen:choose drew:draw drawn:draw drove:drive driven:drive ate:eat felt:feel fought:fight found:find flew:fly "
    "forgot:forget held:hold kept:keep knew:know known:know led:lead left:leave lent:lend met:meet paid:pay ran:run saw:see seen:see "
    "sold:sell sent:send shot:shoot showed:show shown:show sank:sink sat:sit slept:sleep spoke:speak spoken:speak spent:spend stood:stand "
    "stole:steal stolen:steal struck:strike swam:swim taught:teach thought:think threw:throw thrown:throw understood:understand won:win "
    "wore:wear worn:wear wrote:write written:write broke:break broken:break caught:catch cut:cut died:die dealt:deal"
)
_PRESENT = dict(pair.split(":") for pair in _PAST.split())
# British and American spellings become one; that other words change too ("wise") does no harm, since both sides are read so.
_SPELLINGS = (
    (re.compile(r"(?<=\w{3})is(?=(?:e|es|ed|er|ers|ing|ation|ations)$)"), "iz"),
    (re.compile(r"(?<=\w{3})ys(?=(?:e|es|ed|er|ers|ing)$)"), "yz"),
    (re.compile(r"(?<=\w{3})our(?=(?:s|ed|ing|able|ite|ites|hood)?$)"), "or"),
    (re.compile(r"(?<=\w{3}[bt])re(?=s?$)"), "er"),
    (re.compile(r"(?<=\w{3})ll(?=(?:ed|ing|er|ers)$)"), "l"),
)


class Features(NamedTuple):
    """What tells whether a place, a sentence or some that follow each other, supports a statement.

    `cosine` is the best of the sentences' vectors with the statement's. `spread` is the logarithm of the greatest distance, in
    words, between two content words that follow each other in the statement, 30 where one is missing: what was put together from
    several facts stands far apart. `order` is the share of such pairs that stand side by side, `unknown` the share of content words
    that the whole passage lacks, `joined` how many sentences follow the first.
    """

    cosine: float
    spread: float
    order: float
    unknown: float
    joined: float


class PhraseFeatures(NamedTuple):
    """What tells whether a sentence that holds a phrase says it as the answer to a question.

    `words` is the share of the question's content words in the sentence, its title and heading; `around` that with the sentences
    before and after; `cosine` compares the sentence with question and phrase; `near` tells how close to the phrase the
    question's words stand (0..1).
    """

    words: float
    around: float
    cosine: float
    near: float


def probability(features: Sequence[float], weights: Sequence[float]) -> float:
    """Return the logistic function of the weighted features; the last of the `weights` is added."""
    value = weights[-1] + sum(feature * weight for feature, weight in zip(features, weights[:-1], strict=True))
    return 1 / (1 + exp(-max(-40.0, min(40.0, value))))


def _spelt(word: str) -> str:
    for pattern, other in _SPELLINGS:
        word = pattern.sub(other, word)
    return word


def stem(word: str) -> str:
    """Return the stem of `word`, irregular verbs as their present; a stop word, which says nothing, begins with a NUL."""
    word = word.lower()
    if word not in _STEMS:
        if len(_STEMS) > _MOST_STEMS:
            _STEMS.clear()
        found = terms(_spelt(_PRESENT.get(word, word)))
        _STEMS[word] = found[0] if found else f"\0{word}"
    return _STEMS[word]


def stems(text: str, among: Sequence[Value]) -> tuple[str, ...]:
    """Return a stem for each word of `text` in order; each of the values `among` it has one form, however it is written."""
    found: list[str] = []
    rest = list(among)
    for match in WORD.finditer(text):
        while rest and rest[0].end <= match.start():
            rest.pop(0)
        if not rest or match.end() <= rest[0].start:
            found.append(stem(match.group()))
        elif match.start() <= rest[0].start or text[rest[0].start : match.start()].strip(" $€£¥(-−") == "":
            found += [f"={part:g}" for part in rest[0].amounts if part]
    return tuple(found)


def says_something(word: str) -> bool:
    """Whether a stem is no stop word's."""
    return not word.startswith("\0")


def spread_and_order(content: Sequence[str], there: Sequence[str]) -> tuple[float, float]:
    """Return `spread` and `order` of `Features`: of terms that follow each other in a statement, among the stems `there`."""
    places: dict[str, list[int]] = {}
    for at, word in enumerate(there):
        places.setdefault(word, []).append(at)
    bare = [word for word in there if says_something(word)]
    beside = set(pairwise(bare))
    pairs = [(one, other) for one, other in pairwise(content) if one != other]
    if not pairs:
        present = not content or content[0] in places
        return (0.0 if present else log(_NOWHERE)), float(present)
    gaps = [
        # What stands the other way round counts as a little farther.
        min((b - a if b > a else a - b + 3 for a in places.get(one, ()) for b in places.get(other, ())), default=_NOWHERE)
        for one, other in pairs
    ]
    return log(max(min(gap, _NOWHERE) for gap in gaps)), sum(pair in beside for pair in pairs) / len(pairs)


def nearness(asked: Sequence[str], wanted: set[str], there: Sequence[str]) -> float:
    """Return the mean over the question's terms of 1 / (1 + distance / 8) to the phrase, 0 for one that isn't there."""
    of_phrase = [at for at, word in enumerate(there) if word in wanted]
    if not of_phrase or not asked:
        return 0.0
    total = 0.0
    for term in asked:
        distance = min((abs(at - other) for at, word in enumerate(there) if word == term for other in of_phrase), default=None)
        total += 0.0 if distance is None else 1 / (1 + distance / 8)
    return total / len(asked)
