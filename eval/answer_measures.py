"""How good is an answer? Against gold answers, gold evidence, and its own citations; one question at a time, 0 to 1."""

import math
import re
import statistics
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from assistant.lexical import terms
from eval.answer_rows import AnswerRow, plain
from eval.answer_sets import AnswerQuestion, Style
from eval.datasets import GoldSpan

# All that a question may have, the main one first; a run shows them in this order.
MEASURES = (
    "good",
    "right",
    "right_cited",
    "exact",
    "F1",
    "exact_answered",
    "F1_answered",
    "recall_answered",
    "ROUGE-L_answered",
    "answered",
    "refused",
    "citation_recall",
    "citation_precision",
    "gold_citations",
    "cites_gold",
    "supported",
)
_PUNCTUATION = frozenset(string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_SMALL_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_SMALL_NUMBERS)}
_FEW_TERMS, _MOST_TERMS = 3, 2 / 3  # an answer in somebody's words with more terms than that needs this share of them
_Z = 1.959964  # of the normal distribution, for 95 %


def question_measures(question: AnswerQuestion, row: AnswerRow) -> dict[str, float]:
    """Return the measures of one answer, those of `MEASURES` that it can have.

    "good" is what the app should do: refuse what can't be answered; answer the rest right ("span"), right with a citation
    of gold evidence ("written"), or as near the reference as its F1 says ("long"). "right" is `is_right`; "right_cited"
    asks for such a citation too. "exact" and "F1" are over all answerable questions, a refusal counting 0, those
    with "_answered" only over those answered. "answered" is 1 when an answerable question wasn't refused, "refused" when
    an unanswerable one was; questions with half an answer have neither.
    """
    if question.kind == "unanswerable":
        return {"good": float(row.refused), "refused": float(row.refused)}
    answered, text = not row.refused, "" if row.refused else plain(row.text)
    cites_gold = answered and any(overlaps(citation, question.evidence) for citation in row.citations)
    found: dict[str, float] = {}
    if question.golds:
        right = answered and is_right(text, question, cites_gold)
        f1 = token_f1(text, question.golds)
        good = f1 if question.style == "long" else right and (cites_gold or question.style == "span" or not question.evidence)
        found = {"good": float(good), "exact": exact(text, question.golds), "F1": f1}
        if question.style != "long":
            found["right"] = float(right)
            if question.evidence:
                found["right_cited"] = float(right and cites_gold)
        if answered:
            found |= {"exact_answered": found["exact"], "F1_answered": f1}
        if answered and question.style == "long":
            found["recall_answered"] = token_recall(text, question.golds)
            found["ROUGE-L_answered"] = rouge_l(text, question.golds)
    else:
        found["good"] = float(cites_gold)
    if question.kind == "answerable":
        found["answered"] = float(answered)
    return found | (_citation_measures(question, row, cites_gold) if answered else {})


def _citation_measures(question: AnswerQuestion, row: AnswerRow, cites_gold: bool) -> dict[str, float]:
    """Return how an answer cites: in itself as ALCE has it, and against the gold evidence.

    Gao, Yen, Yu and Chen, "Enabling Large Language Models to Generate Text with Citations" (2023, arXiv:2305.14627),
    section 3: citation recall is the share of statements that have citations and are entailed by them; citation precision
    the share of citations that are relevant, those of a statement that is entailed and that alone entail it or without
    which the others don't. Here a statement has one citation at most, so that both ask whether it alone supports the
    statement; grounding's mark "supported" stands in place of their NLI model.
    """
    found: dict[str, float] = {}
    if row.statements:
        supported = [statement.mark == "supported" for statement in row.statements]
        cited = [statement.cited for statement in row.statements]
        both = sum(s and c for s, c in zip(supported, cited, strict=True))
        found = {"citation_recall": both / len(cited), "supported": statistics.fmean(supported)}
        if any(cited):
            found["citation_precision"] = both / sum(cited)
    if question.evidence:
        found["cites_gold"] = float(cites_gold)
        if row.citations:
            found["gold_citations"] = statistics.fmean(overlaps(citation, question.evidence) for citation in row.citations)
    return found


def means(scores: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each measure over the questions that have it."""
    scores = list(scores)
    values = {name: [score[name] for score in scores if name in score] for name in MEASURES}
    return {name: statistics.fmean(found) for name, found in values.items() if found}


def overlaps(citation: GoldSpan, evidence: Sequence[GoldSpan]) -> bool:
    """Whether a citation has a character in common with one of the spans of evidence."""
    return any(citation.document == span.document and citation.start < span.end and span.start < citation.end for span in evidence)


def normalised(text: str) -> list[str]:
    """Return the words of `text` in lower case without punctuation and articles, as SQuAD's evaluate-v2.0.py has them."""
    return _ARTICLES.sub(" ", "".join(sign for sign in text.lower() if sign not in _PUNCTUATION)).split()


def exact(text: str, golds: Sequence[str]) -> float:
    """Return 1.0 when `text` is one of the gold answers once both are normalised (SQuAD 2.0), else 0.0."""
    return float(any(normalised(text) == normalised(gold) for gold in golds))


def token_f1(text: str, golds: Sequence[str]) -> float:
    """Return SQuAD 2.0's F1 of the words of `text` and of a gold answer, the best of all gold answers."""
    return max(_f1(normalised(text), normalised(gold)) for gold in golds)


def _f1(words: Sequence[str], gold: Sequence[str]) -> float:
    if not words or not gold:
        return float(words == gold)
    return 2 * (Counter(words) & Counter(gold)).total() / (len(words) + len(gold))


def token_recall(text: str, golds: Sequence[str]) -> float:
    """Return the share of a gold answer's words that `text` has, the best of all gold answers."""
    words = Counter(normalised(text))
    wanted = [Counter(normalised(gold)) for gold in golds]
    return max((words & gold).total() / max(gold.total(), 1) for gold in wanted)


def rouge_l(text: str, golds: Sequence[str]) -> float:
    """Return the F1 of the longest common subsequence of words, the best of all gold answers.

    ROUGE-L of Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), with beta 1, over SQuAD's words.
    """
    words = normalised(text)
    return max(_rouge_l(words, normalised(gold)) for gold in golds)


def _rouge_l(words: Sequence[str], gold: Sequence[str]) -> float:
    if not words or not gold:
        return float(words == gold)
    row = [0] * (len(gold) + 1)
    for word in words:
        before = 0  # the cell above and to the left
        for at, other in enumerate(gold, 1):
            before, row[at] = row[at], before + 1 if word == other else max(row[at], row[at - 1])
    return 2 * row[-1] / (len(words) + len(gold))


def is_right(text: str, question: AnswerQuestion, cites_gold: bool) -> bool:
    """Whether `text`, without citation marks, holds a gold answer.

    The gold answer's words must stand in it in a row, with small numbers as digits, "2,000" as 2000, and without
    articles. Yes and no must be the first word of the answer; one that begins with neither is right when it cites gold
    evidence, since a statement gets no citation when its negation isn't the source's. Of an answer "written" in
    somebody's own words its numbers must all be there, and its terms (stemmed, without stop words): all up to three,
    two thirds of more.
    """
    words = _words(text)
    return any(_is_answer(words, _words(gold), question.style, cites_gold) for gold in question.golds)


def _is_answer(words: list[str], gold: list[str], style: Style, cites_gold: bool) -> bool:
    opening = words[:1]
    if gold in (["yes"], ["no"]):
        return opening == gold or (opening not in (["yes"], ["no"]) and cites_gold)
    if _in_a_row(words, gold):
        return True
    return style == "written" and _has_terms(words, gold)


def holds(text: str, golds: Sequence[str]) -> bool:
    """Whether the words of one of `golds` stand in `text` in a row, with numbers and articles as `is_right` reads them."""
    words = _words(text)
    return any(_in_a_row(words, _words(gold)) for gold in golds)


def _in_a_row(words: list[str], gold: list[str]) -> bool:
    return bool(gold) and any(words[at : at + len(gold)] == gold for at in range(len(words)))


def _words(text: str) -> list[str]:
    """Return the words and numbers of `text` in lower case, without articles, small numbers as digits."""
    found = (match.group().replace(",", "") for match in _WORD.finditer(text.lower()))
    return [_NUMBER_WORDS.get(word, word) for word in found if word not in ("a", "an", "the")]


def _has_terms(words: Sequence[str], gold: Sequence[str]) -> bool:
    if not {word for word in gold if word[0].isdigit()} <= set(words):
        return False
    wanted = set(terms(" ".join(gold)))
    there = len(wanted.intersection(terms(" ".join(words))))
    return bool(wanted) and there >= (len(wanted) if len(wanted) <= _FEW_TERMS else _MOST_TERMS * len(wanted))


def wilson(successes: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `successes` among `of`; 0 to 1 when there are none.

    The score interval of Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927).
    """
    if not of:
        return 0.0, 1.0
    share, square = successes / of, _Z * _Z
    middle = share + square / (2 * of)
    half = _Z * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max((middle - half) / (1 + square / of), 0.0), min((middle + half) / (1 + square / of), 1.0)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of `values` don't exceed (nearest rank)."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]
