"""Sentences of an answer -> citations, verified against the passages.

The model's own marks are only hints: each sentence is matched in code to the passage sentence that
supports it best, and gets a mark only when that support is good enough.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.chunking import Chunk
from assistant.embedding import Embedder, SentenceVectors
from assistant.lexical import terms
from assistant.retrieval import Hit
from assistant.sentences import Span, split_sentences

# [1], [1, 2], [1-3], [[1]], [1, p. 2], [passage 1], 【1】, [^1], 【1†source】: whatever models write for a citation.
_MARK = re.compile(
    r"[ \t]*(?:\[{1,2}\s*\^?\s*(?:(?:passages?|sources?|refs?|documents?)\s*)?#?"
    r"(\d+(?:\s*(?:[,;:&–-]|and|to)\s*(?:pp?\.\s*)?\d+)*)\s*(?:†[^\]\n]{0,40})?\]{1,2}|【\s*(\d+)[^】\n]{0,60}】)",
    re.IGNORECASE,
)
_OPEN_MARK = re.compile(r"[ \t]*(?:\[{1,2}[^\[\]\n]{0,60}\]?|【[^】\n]{0,60})$")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MARKDOWN = re.compile(r"^\s*(?:[-*+•]|\d{1,2}[.)]|#{1,6}|>)\s+|[*_`|]+")
_SUPPORT = 0.55  # least score of a citation, found on answers about the starter corpus
_NAME, _NAMES_MOST = 0.1, 0.3  # what a name takes away that the passage does not know, thrice when no passage does; most for all
_NAME_WORD = re.compile(r"(?<=\w\s)[A-Z]\w+")
_HINT = 0.05  # what the model's own mark adds


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
class _Source:
    """One sentence of a shown passage; `passage` counts from 1 as in the prompt."""

    passage: int
    chunk: Chunk
    span: Span
    terms: frozenset[str]
    numbers: frozenset[str]
    chunk_terms: frozenset[str]


def _names(text: str) -> frozenset[str]:
    """Return the terms of words with a capital that do not begin the text."""
    return frozenset(terms(" ".join(_NAME_WORD.findall(text))))


def _numbers(text: str) -> frozenset[str]:
    return frozenset(number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text))


class Grounding:
    """The sentences of the shown passages, ready to be compared with the sentences of an answer."""

    def __init__(self, shown: Sequence[Hit], vectors: Sequence[SentenceVectors], embedder: Embedder) -> None:
        """`vectors` holds the sentence vectors of each of the `shown` hits."""
        self._embedder = embedder
        self._sources: list[_Source] = []
        rows: list[NDArray[np.float32]] = []
        for number, (hit, matrix) in enumerate(zip(shown, vectors, strict=True), start=1):
            if len(matrix) != len(hit.chunk.sentences):
                continue  # its document was removed or changed meanwhile
            for chunk in hit.parts:  # each with its own page and heading
                titles = frozenset(terms(chunk.prefix))
                whole = titles | frozenset(terms(chunk.text))
                for start, end in chunk.sentences:
                    text = chunk.text[start:end]
                    # A sentence under a title says "the company": the title's words count as said.
                    words = frozenset(terms(text)) | titles
                    self._sources.append(_Source(number, chunk, (start, end), words, _numbers(text), whole))
            rows.append(matrix.astype(np.float32) / np.float32(127))
        self._vectors = np.concatenate(rows) if rows else np.empty((0, 0), np.float32)
        self._all_terms = frozenset[str]().union(*(source.chunk_terms for source in self._sources))
        self._known: dict[tuple[str, frozenset[int]], _Source | None] = {}

    def best(self, statement: str, hints: frozenset[int]) -> _Source | None:
        """Return the sentence that supports `statement` best, or None when none supports it.

        `hints` are the passages that the model named. Every number of the statement must stand in
        the sentence or in its chunk.
        """
        key = (statement, hints)
        if key not in self._known:
            self._known[key] = self._find(statement, hints)
        return self._known[key]

    def _find(self, statement: str, hints: frozenset[int]) -> _Source | None:
        words = frozenset(terms(statement))
        if not words or not self._sources:
            return None
        numbers = _numbers(statement)
        names = _names(statement)
        invented = 2 * _NAME * len(names - self._all_terms)
        cosines = self._vectors @ self._embedder.embed([statement])[0]
        best: tuple[float, _Source | None] = (_SUPPORT, None)
        for source, cosine in zip(self._sources, cosines, strict=True):
            if not numbers <= source.numbers and not numbers <= _numbers(source.chunk.prefix + source.chunk.text):
                continue
            covered = len(words & source.terms) / len(words)
            score = 0.5 * float(cosine) + 0.5 * covered + (_HINT if source.passage in hints else 0.0)
            score += 0.05 * len(numbers & source.numbers) / max(len(numbers), 1)
            score -= min(_NAME * len(names - source.chunk_terms) + invented, _NAMES_MOST)
            if score > best[0]:
                best = (score, source)
        return best[1]


def _hints(text: str) -> frozenset[int]:
    """Return the passages that the model's marks in `text` name; a range counts with its two ends."""
    marks = (match.group(1) or match.group(2) for match in _MARK.finditer(text))
    return frozenset(int(number[:4]) for mark in marks for number in re.findall(r"\d+", mark))


def ground(text: str, grounding: Grounding, final: bool) -> tuple[str, tuple[Citation, ...]]:
    """Return `text` with our own citation marks instead of the model's, and the citations they name.

    Marks are numbered by first use. While the answer is still being written (`final` is False) its
    last, unfinished sentence has no mark yet.
    """
    if not final or not text.rstrip().endswith("]"):  # the length limit may also cut a mark in two
        text = _OPEN_MARK.sub("", text)
    # A mark after the full stop belongs to the sentence before it.
    text = re.sub(rf"([.!?。！？])((?:{_MARK.pattern})+)", r"\2\1", text)
    numbers: dict[str, int] = {}
    citations: dict[tuple[int, int, int], Citation] = {}
    pieces: list[str] = []
    written = 0
    spans = split_sentences(text)
    for position, (start, end) in enumerate(spans):
        raw = text[start:end]
        clean = _MARK.sub("", raw)
        pieces += [text[written:start], clean]
        written = end
        statement = _MARKDOWN.sub("", clean).strip()
        if not statement or (position == len(spans) - 1 and not final):
            continue
        source = grounding.best(statement, _hints(raw))
        if source is None:
            continue
        number = numbers.setdefault(source.chunk.id, len(numbers) + 1)
        first = source.chunk.start + source.span[0]
        citation = Citation(number, source.chunk, first, source.chunk.start + source.span[1])
        citations.setdefault((number, citation.start, citation.end), citation)
        pieces.append(f" [{number}]")
    pieces.append(text[written:])
    return "".join(pieces).strip(), tuple(sorted(citations.values(), key=lambda c: (c.number, c.start)))
