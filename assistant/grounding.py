"""Sentences of an answer -> citations, verified against the passages.

The model's own marks are only hints: each sentence is matched in code to the passage sentences that support it best, scored, and
marked in the text: ` [1]` when they support it, ` [1?]` when they do in part, ` [?]` when it isn't found in them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from assistant.chunking import Chunk
from assistant.embedding import Embedder, SentenceVectors
from assistant.evidence import Evidence
from assistant.facts import Comparison
from assistant.lexical import terms
from assistant.marks import (
    LEADING,
    Quotes,
    checked_quotes,
    claims,
    fenced,
    marks_before_stops,
    named_passages,
    plain,
    without_marks,
    without_open_mark,
)
from assistant.retrieval import Hit
from assistant.sentences import split_sentences
from assistant.support import WORD, probability, says_something, stems
from assistant.support_weights import PHRASE, STATEMENT, Fitted
from assistant.value_match import in_full
from assistant.values import values

Mark = Literal["supported", "partly", "not found"]

_SENTENCE_WORDS = 4  # from here on a full stop ends a sentence
_VERBATIM_WORDS, _VERBATIM = 6, 0.9  # a statement of so many words that stands in a passage as it is has at least this support
_PHRASE_WORDS = 8  # an answer of no more words and without a verb of these says nothing without its question
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|does|do|did|can|could|will|would|may|might|must|should|isn['’]t|wasn['’]t|didn['’]t)\b",
    re.IGNORECASE,
)
_OWN_CLAIM = 0.5  # of the question's words: an answer that has them says itself what it claims
_YES_NO = re.compile(r"\s*(?P<word>yes|no)\b[\s,.:;!—–-]*(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_ASKING = re.compile(r"^(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may)\s+", re.IGNORECASE)
_WH = re.compile(
    r"^(?:who|what|when|where|why|which|how(?: many| much| long| far| old| often| big)?)\b\s*(?:(?:did|does|do|is|are|was|were|has|have|had|will)\b\s*)?",
    re.IGNORECASE,
)
_FOREIGN_WORDS, _FOREIGN_SHARE = 3, 0.25  # fewer different words tell nothing
_LESS = 0.01  # below the least support of a mark: what contradicts its source never gets it
_NAMES_SHARE = 1.5  # times the share of a statement's words that are names the source lacks is taken off its support


@dataclass(frozen=True)
class Citation:
    """The span of a document that supports a statement; `start` and `end` are characters of the document.

    Citations of one passage share its `number`.
    """

    number: int
    chunk: Chunk
    start: int
    end: int

    @property
    def quote(self) -> str:
        """The cited text, exactly as it stands in the document."""
        return self.chunk.text[self.start - self.chunk.start : self.end - self.chunk.start]


@dataclass(frozen=True)
class Statement:
    """One statement of an answer; `start` and `end` are characters of the returned text, its mark left out.

    `support` is how probable it is, 0 to 1, that the source says it. `differs` holds lines for the reader, such as "the answer
    says $60 million, the source $6 million"; there is no citation for what is not found.
    """

    start: int
    end: int
    support: float
    mark: Mark
    citation: Citation | None
    differs: tuple[str, ...] = ()


class Grounded(NamedTuple):
    """An answer's text with our marks, its statements in order, and the citations they name, by number and place."""

    text: str
    statements: tuple[Statement, ...]
    citations: tuple[Citation, ...]


class Judgement(NamedTuple):
    """What the passages say to a statement: `chunk` and the span of the document are those of the best place."""

    support: float
    mark: Mark
    chunk: Chunk | None = None
    start: int = 0
    end: int = 0
    differs: tuple[str, ...] = ()


def count_line(statements: Sequence[Statement]) -> str:
    """Return how many statements were found, such as "4 of 6 statements found in the sources, 1 partly"; "" without any."""
    if not statements:
        return ""
    supported = sum(statement.mark == "supported" for statement in statements)
    partly = sum(statement.mark == "partly" for statement in statements)
    plural = "s" if len(statements) > 1 else ""
    return f"{supported} of {len(statements)} statement{plural} found in the sources" + (f", {partly} partly" if partly else "")


class Grounding:
    """The sentences of the shown passages, ready to be compared with the sentences of an answer."""

    def __init__(
        self,
        shown: Sequence[Hit],
        vectors: Sequence[SentenceVectors],
        embedder: Embedder,
    ) -> None:
        """`vectors` holds the sentence vectors of each of the `shown` hits."""
        self.shown = shown
        self._vectors, self._embedder = vectors, embedder
        self._alone: dict[int, Grounding] = {}
        self.evidence = Evidence(shown, vectors, embedder)
        self.quotes = Quotes([hit.chunk.text for hit in shown])
        self._known: dict[tuple[str, frozenset[int], str], Judgement] = {}

    def alone(self, passage: int) -> "Grounding":
        """Return what one of the passages, counted from 1, says by itself."""
        if passage not in self._alone:
            at = passage - 1
            self._alone[passage] = Grounding([self.shown[at]], [self._vectors[at]], self._embedder)
        return self._alone[passage]

    def foreign(self, text: str) -> bool:
        """Whether `text` seems to be in another language than the passages: it has hardly a word of theirs, "the" and "of" included.

        When question and answer both are, the answer can't be checked: the embedding model compares within one language.
        """
        said = {word.lower() for word in WORD.findall(text)}
        return len(said) >= _FOREIGN_WORDS and len(said & self._words) < _FOREIGN_SHARE * len(said)

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(word.lower() for sentence in self.evidence.sentences for word in WORD.findall(sentence.text))

    def judge(self, statement: str, hints: frozenset[int] = frozenset(), question: str = "") -> Judgement:
        """Return what the passages say to `statement` (plain text), as an answer to `question` when it is only a phrase.

        `hints` are the passages that the model named.
        """
        question = question if question and needs_question(statement, question) else ""
        key = (statement, hints, question)
        if key not in self._known:
            self._known[key] = self._judge_answer(statement, hints, question) if question else self._judge(statement, hints)
        return self._known[key]

    def _judge(self, statement: str, hints: frozenset[int], denied: bool = False) -> Judgement:
        place = self.evidence.place(statement, hints)
        if place is None:
            return Judgement(0.0, "not found")
        support = probability(place.features, STATEMENT.weights)
        differs = place.comparison
        if denied:  # "No": the source should contradict what was asked
            contradicts = differs.senses or differs.values
            return self._marked(
                support, STATEMENT, place.first, place.last, Comparison(() if contradicts else ("the source doesn't deny it",))
            )
        names = differs.names / max(len(set(terms(statement))), 1)
        support *= max(0.0, 1 - _NAMES_SHARE * names)
        if not differs.lines and len(statement.split()) >= _VERBATIM_WORDS and statement.rstrip(" .!") in self.quotes:
            support = max(support, _VERBATIM)
        return self._marked(support, STATEMENT, place.first, place.last, differs)

    def _judge_answer(self, phrase: str, hints: frozenset[int], question: str) -> Judgement:
        """Judge a short answer together with its question."""
        said = _YES_NO.fullmatch(phrase)
        if said and terms(said["rest"]):
            return self.judge(said["rest"].strip(), hints, question)
        if said:
            return self._judge(_ASKING.sub("", question.rstrip(" ?")), hints, denied=said["word"].lower() == "no")
        place = self.evidence.phrase_place(question, phrase, hints)
        if place is not None:
            against = place.comparison.lines[-place.comparison.senses :] if place.comparison.senses else ()
            support = probability(place.features, PHRASE.weights)
            # Its words stand there: "not found" it can't be, even where the question is asked in quite other words.
            return self._marked(support, PHRASE, place.first, place.last, Comparison(against), stands=True)
        # No sentence has all of it: a value or name may differ, or it is said in other words.
        whole = self._judge(f"{_WH.sub('', question.rstrip(' ?'))} {phrase}", hints)
        if whole.mark != "supported":
            return whole
        return whole._replace(support=STATEMENT.supported - _LESS, mark="partly")

    def _marked(
        self, support: float, fitted: Fitted, first: int, last: int, differs: Comparison, stands: bool = False
    ) -> Judgement:
        if differs.lines:
            support = min(support, fitted.supported - _LESS)
        support = round(support, 4)
        if support < fitted.partly and not stands:
            return Judgement(support, "not found")
        mark: Mark = "supported" if support >= fitted.supported else "partly"
        begin, end = self.evidence.sentences[first], self.evidence.sentences[last - 1]
        start = begin.chunk.start
        return Judgement(support, mark, begin.chunk, start + begin.span[0], start + end.span[1], differs.lines)


def needs_question(statement: str, question: str) -> bool:
    """Whether `statement` is so short that only its question tells what it claims: "Liang Wenfeng", "about $6 million", "Yes"."""
    said = _YES_NO.fullmatch(statement)
    if said and not terms(said["rest"]):
        return True
    words = len(statement.split())
    if words > _PHRASE_WORDS or _VERB.search(statement) or (words >= _SENTENCE_WORDS and statement.endswith(".")):
        return False
    asked = content(question)
    return len(asked & content(statement)) < _OWN_CLAIM * len(asked)


@lru_cache(maxsize=1024)
def content(text: str) -> frozenset[str]:
    """Return the stems of the words of `text` that say something."""
    return frozenset(word for word in stems(text, values(text)) if says_something(word))


def ground(text: str, grounding: Grounding, final: bool, question: str = "") -> Grounded:
    """Return `text` with our own marks instead of the model's, its statements, and the citations they name.

    Marks are numbered by first use. While the answer is still being written (`final` is False) its last, unfinished sentence
    is no statement yet. A quote within one sentence that stands in no passage loses its quotation marks. `question` is what short answers answer.
    """
    text = text.strip()
    if not final:
        text = without_open_mark(text)
    text = marks_before_stops(text)
    code = fenced(text)
    spans = split_sentences(text)
    alone = len(spans) == 1
    written, at = _Written(), 0
    for position, (start, end) in enumerate(spans):
        written.add(text[at:start])
        at, raw = end, text[start:end]
        if any(start < stop and begin < end for begin, stop in code):
            written.add(raw)
            continue
        clean = checked_quotes(without_marks(raw), grounding.quotes)
        statement = plain(clean)
        unfinished = position == len(spans) - 1 and not final
        answered = alone and bool(_YES_NO.fullmatch(statement))
        if unfinished or not (claims(clean, alone) or answered) or _table_head(text, end):
            written.add(clean)
            continue
        judged = grounding.judge(statement, named_passages(raw), question)
        if judged.chunk is not None and question and needs_question(statement, question):
            clean = in_full(clean, judged.chunk.text[judged.start - judged.chunk.start : judged.end - judged.chunk.start])
        written.state(clean, judged)
    written.add(text[at:])
    return written.grounded()


def _table_head(text: str, end: int) -> bool:
    """Whether the table row that ends at `end` is the head: a row of dashes follows."""
    return bool(re.match(r"\s*\n(?=[^\n]*--)[ \t:|-]*(?:\r?\n|$)", text[end:]))


class _Written:
    """The text as it grows, with its statements and citations."""

    def __init__(self) -> None:
        self._text = ""
        self._numbers: dict[str, int] = {}
        self._citations: dict[tuple[int, int, int], Citation] = {}
        self._statements: list[Statement] = []

    def add(self, text: str) -> None:
        self._text += text

    def state(self, text: str, judged: Judgement) -> None:
        """Add one statement with its mark; in a table row the mark stands before the last bar."""
        body = text.rstrip()
        tail = text[len(body) :]
        if body.startswith("|") and body.endswith("|"):
            shorter = body[:-1].rstrip()
            body, tail = shorter, text[len(shorter) :]
        lead = LEADING.match(body)
        start = len(self._text) + (lead.end() if lead else 0)
        citation = self._cite(judged)
        sign = "?" if citation is None else f"{citation.number}?" if judged.mark == "partly" else f"{citation.number}"
        end = len(self._text) + len(body)
        self._statements.append(Statement(min(start, end), end, judged.support, judged.mark, citation, judged.differs))
        self._text += f"{body} [{sign}]{tail}"

    def _cite(self, judged: Judgement) -> Citation | None:
        if judged.chunk is None or judged.mark == "not found":
            return None
        number = self._numbers.setdefault(judged.chunk.id, len(self._numbers) + 1)
        citation = Citation(number, judged.chunk, judged.start, judged.end)
        return self._citations.setdefault((number, judged.start, judged.end), citation)

    def grounded(self) -> Grounded:
        text = self._text.strip()
        shift = len(self._text) - len(self._text.lstrip())
        statements = tuple(replace(one, start=one.start - shift, end=one.end - shift) for one in self._statements)
        return Grounded(text, statements, tuple(sorted(self._citations.values(), key=lambda c: (c.number, c.start))))
