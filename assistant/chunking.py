"""Cut a `Document` into `Chunk` spans, at headings, paragraphs and sentences."""

import hashlib
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from assistant.documents import Document, clean_line
from assistant.sentences import Span, split_sentences

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENS = 256  # all-MiniLM-L6-v2 reads no more; title, heading and its two special tokens included
_TITLE_LENGTH, _HEADING_LENGTH = 60, 80  # characters of them put before a chunk's text
_SMALL = 64  # a section shorter than this many tokens is joined with the next
_LONG_SPAN = 20_000  # characters
_TOKEN_LENGTH = 16  # characters; where tokens are longer on average, these fill a chunk (a megabyte of emoji may be one token)
_BATCH = 1000  # spans
_WORD_LIMIT = 100  # characters; WordPiece gives up on longer words
_LONG_WORD = re.compile(rf"[!-~]{{{_WORD_LIMIT + 1},}}")
VERSION = 4  # raise when the same document would be cut differently: everything is then indexed again


@dataclass(frozen=True)
class Chunk:
    """A half-open span of characters of a document: `document.text[start:end] == text`.

    `sentences` are spans relative to the chunk's text, headings left out. `page` counts from 1. `heading` is the path of
    headings it stands under. `id` is the same for the same text under the same headings of the same document, wherever it stands in it.
    """

    id: str
    document_id: str
    title: str
    start: int
    end: int
    text: str
    heading: str
    page: int | None
    sentences: tuple[Span, ...]

    @property
    def prefix(self) -> str:
        """The title and heading put before the text for embedding."""
        return _prefix(self.title, self.heading)


def _prefix(title: str, heading: str) -> str:
    return "".join(f"{clean_line(line, length)}\n" for line, length in ((title, _TITLE_LENGTH), (heading, _HEADING_LENGTH)) if line)


def _count(tokenizer: "Tokenizer", text: str, spans: Sequence[Span]) -> list[int]:
    """Return the number of tokens of each span, some at a time: encodings are large."""
    counts: list[int] = []
    for first in range(0, len(spans), _BATCH):
        batch = [text[start:end] for start, end in spans[first : first + _BATCH]]
        counts += [len(encoding) for encoding in tokenizer.encode_batch(batch, add_special_tokens=False)]
    return counts


def _fit(tokenizer: "Tokenizer", text: str, span: Span, budget: int) -> list[tuple[Span, int]]:
    """Cut one sentence of any length into pieces of at most `budget` tokens, at token boundaries, with the size of each."""
    start, end = span
    encoding = tokenizer.encode(text[start:end], add_special_tokens=False)
    size, words, offsets = len(encoding), encoding.word_ids, encoding.offsets  # each a new list at every access
    if size <= budget:
        cuts = [*range(start, end, budget * _TOKEN_LENGTH), end]
        return [(piece, budget) for piece in pairwise(cuts)]
    pieces: list[tuple[Span, int]] = []
    cut = start
    first = 0
    while first < size:
        last = min(first + budget, size)
        # Step back to the start of a word, so that no word is torn when it can be helped.
        back = last
        while back < size and back > first + budget // 2 and words[back] == words[back - 1]:
            back -= 1
        last = back if back > first else last
        stop = end if last == size else start + offsets[last][0]
        pieces.append(((cut, stop), last - first))
        cut, first = stop, last
    return pieces


def chunk_document(document: Document, tokenizer: "Tokenizer", max_tokens: int = MAX_TOKENS) -> list[Chunk]:
    """Cut `document` into chunks in the order of the text.

    Each chunk with its title and heading has at most `max_tokens` tokens of `tokenizer` (padding and
    truncation must be off); everything but white space lies in exactly one chunk.
    """
    text = document.text
    title = document.title
    spans = [piece for span in split_sentences(text) for piece in _cut_if_long(text, span)]
    counts = _count(tokenizer, text, spans)
    headings = _heading_spans(document, spans)
    chunks: list[Chunk] = []
    seen: Counter[str] = Counter()
    group: list[Span] = []
    used = 0
    budget = 0

    def room(start: int) -> int:
        return max_tokens - 2 - len(tokenizer.encode(_prefix(title, document.heading_at(start)), add_special_tokens=False))

    def close() -> None:
        nonlocal group, used
        if group:
            chunks.append(_chunk(document, group, headings, seen))
        group, used = [], 0

    tables = _tables(text, spans, counts)
    for span, count in zip(spans, counts, strict=True):
        count = max(count, (span[1] - span[0]) // _TOKEN_LENGTH)
        if span in headings and used >= _SMALL:
            close()
        if used >= _SMALL and budget < used + tables.get(span, 0) <= used + room(span[0]):
            close()  # the rows of a table stay under their header when they can
        if not group:
            budget = room(span[0])
        pieces = [(span, count)] if count <= budget else _fit(tokenizer, text, span, budget)
        for piece, size in pieces:
            if group and used + size > budget:
                close()
                budget = room(piece[0])
            group.append(piece)
            used += size
    close()
    return chunks


def _tables(text: str, spans: list[Span], counts: list[int]) -> dict[Span, int]:
    """Return the first rows of the tables in `text`, with the tokens of the whole table."""
    tables: dict[Span, int] = {}
    first: Span | None = None
    for number, (span, count) in enumerate(zip(spans, counts, strict=True)):
        lines = text.count("\n", spans[number - 1][1] if number else 0, span[0])
        if lines or first is None:  # else a sentence further on in the same row
            if not text.startswith("|", span[0]):
                first = None
                continue
            if first is None or lines > 1:
                first = span
        tables[first] = tables.get(first, 0) + count
    return tables


def _heading_spans(document: Document, spans: list[Span]) -> set[Span]:
    """Return those of `spans` (in order) that start in the line of a heading."""
    found: set[Span] = set()
    ends = [end for _, end in spans]
    for heading in document.headings:
        index = bisect_right(ends, heading.start)
        line_end = document.text.find("\n", heading.start)
        while index < len(spans) and (index == 0 or line_end < 0 or spans[index][0] < line_end):
            found.add(spans[index])
            index += 1
            if line_end < 0:
                break
    return found


def _cut_if_long(text: str, span: Span) -> list[Span]:
    """Cut a span of megabytes, and every word that the tokenizer would take for a single unknown token."""
    start, end = span
    cuts = {start, end, *range(start, end, _LONG_SPAN)}
    for word in _LONG_WORD.finditer(text, start, end):
        cuts.update(range(word.start(), word.end(), _WORD_LIMIT))
    return list(pairwise(sorted(cuts)))


def _chunk(document: Document, group: list[Span], headings: set[Span], seen: Counter[str]) -> Chunk:
    start, end = group[0][0], group[-1][1]
    text, heading = document.text[start:end], document.heading_at(start)
    sentences = tuple((a - start, b - start) for a, b in group if (a, b) not in headings)
    content = "\0".join([document.id, _prefix(document.title, heading), text, repr(sentences)])
    seen[content] += 1
    key = f"{content}\0{seen[content]}"
    id = hashlib.sha256(key.encode()).hexdigest()[:24]
    return Chunk(id, document.id, document.title, start, end, text, heading, document.page_at(start), sentences)
