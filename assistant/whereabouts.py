"""What became of a cited passage: documents change and go, while answers are kept."""

from dataclasses import dataclass
from typing import Literal

from assistant.catalog import Catalog
from assistant.chunking import Chunk
from assistant.documents import Document

Fate = Literal["same", "moved", "renamed", "sentence", "changed", "gone"]
LINES: dict[Fate, str] = {
    "same": "",
    "moved": "This passage stands at another place of the document since.",
    "renamed": "This document has another name since.",
    "sentence": "This document has changed since; this sentence still stands in it.",
    "changed": "This document has changed since: this is the passage as it was then.",
    "gone": "This document is no longer in the corpus: this is the passage as it was then.",
}


@dataclass(frozen=True)
class Whereabouts:
    """What became of a span: where it stands now is `start` to `end` of `document`; None when it is nowhere."""

    fate: Fate
    document: Document | None = None
    start: int = 0
    end: int = 0

    @property
    def line(self) -> str:
        """What the reader should know, in one line, or nothing."""
        return LINES[self.fate]


def fate_of(catalog: Catalog, chunk: Chunk, start: int, end: int) -> Fate:
    """Return what became of characters `start` to `end` of a document, which lie in `chunk`."""
    if catalog.text(chunk.document_id, chunk.start, chunk.end) == chunk.text:
        return "same"
    return whereabouts(catalog, chunk, start, end).fate


def whereabouts(catalog: Catalog, chunk: Chunk, start: int, end: int) -> Whereabouts:
    """Return where characters `start` to `end` of a document, which lie in `chunk`, stand now."""
    document = catalog.document(chunk.document_id)
    if document is None:
        renamed = next((one.document_id for one in catalog.chunks([chunk.id])), "")
        document = catalog.document(renamed) if renamed else None
        if document is None or document.text[chunk.start : chunk.end] != chunk.text:
            return Whereabouts("gone")
        return Whereabouts("renamed", document, start, end)
    if document.text[chunk.start : chunk.end] == chunk.text:
        return Whereabouts("same", document, start, end)
    at = _nearest(document.text, chunk.text, chunk.start)
    if at >= 0:
        return Whereabouts("moved", document, at + start - chunk.start, at + end - chunk.start)
    quote = chunk.text[start - chunk.start : end - chunk.start]
    at = _nearest(document.text, quote, start)
    if quote.strip() and at >= 0:
        return Whereabouts("sentence", document, at, at + len(quote))
    return Whereabouts("changed", document)


def _nearest(text: str, wanted: str, place: int) -> int:
    """Return where `wanted` stands in `text` nearest to `place`, -1 for nowhere."""
    after, before = text.find(wanted, place), text.rfind(wanted, 0, place + len(wanted))
    if min(after, before) < 0:
        return max(after, before)
    return after if after - place < place - before else before
