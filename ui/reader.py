"""The reader in the side panel: a passage of an answer in its document, as text or as the page of a PDF."""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.answer import Assistant
from assistant.catalog import Catalog
from assistant.chunking import Chunk
from assistant.documents import Document
from assistant.errors import UserError
from assistant.loaders.markdown import markdown_headings
from assistant.pages import marks_on
from assistant.snapshots import Answer
from assistant.whereabouts import Fate, Whereabouts, fate_of, whereabouts
from ui.events import details
from ui.listing import key_of
from ui.render import line_html
from ui.render_reader import Head, Piece, Place, now_html, page_html, pager_html, pieces_html, reader_html

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_BRIDGE = "document.addEventListener('assistant-read', (event) => trigger('click', event.detail));"
_REF = re.compile(r"c(\d{1,4})\.(\d{1,9})|p(\d{1,3})")
_KEPT_SECONDS = 600  # by the browser
_UNMARKED = "The sentence was not found on the page as it is printed, so it isn't marked."
_PICTURE = "This page is a picture without text: the sentence can't be marked on it."


def reader(assistant: Assistant, view: gr.State, answers: Callable[[Any], Sequence[Answer]]) -> None:
    """Build the reader. `answers` gives those of the conversation that the state `view` of a page shows."""
    place = gr.HTML(elem_id="reader")
    bridge = gr.HTML(elem_id="reader-bridge", js_on_load=_BRIDGE, visible="hidden")

    def show(now: Any, event: gr.EventData) -> str:
        data = details(event)
        turn, at, seq = (_number(data.get(name)) for name in ("turn", "at", "seq"))
        ref, known = str(data.get("ref"))[:20], answers(now)
        cited = _cited(known[turn], ref) if 0 <= turn < len(known) else None
        if cited is None:
            return reader_html(Head(Place(turn, "", seq), "This source is not there any more.", "", listed=False), "")
        return source_html(assistant, Place(turn, ref, seq), *cited, str(data.get("view")), at)

    bridge.click(show, [view], [place], show_progress="hidden", queue=False, api_visibility="private")


def _number(value: object) -> int:
    return value if isinstance(value, int) and abs(value) < 1_000_000_000 else -1


def _cited(answer: Answer, ref: str) -> tuple[Chunk, int, int] | None:
    """Return the passage that `ref` names, and the characters of its document that matter."""
    named = _REF.fullmatch(ref)
    if named is None:
        return None
    if named[3]:
        hit = answer.passages[int(named[3])] if int(named[3]) < len(answer.passages) else None
        return (hit.chunk, *hit.best_sentence) if hit else None
    same = [one for one in answer.cited if one.number == int(named[1])]
    exact = [one for one in same if one.start == int(named[2])]
    return next(((one.chunk, one.start, one.end) for one in [*exact, *same]), None)


def fates(catalog: Catalog, answer: Answer) -> dict[Chunk, Fate]:
    """Return what became of the passages that an answer's panel shows; nothing while the catalogue can't be read."""
    places = [(one.chunk, one.start, one.end) for one in answer.cited]
    places += [(hit.chunk, *hit.best_sentence) for hit in answer.passages]
    try:
        return {chunk: fate_of(catalog, chunk, start, end) for chunk, start, end in places}
    except UserError:
        return {}


def source_html(assistant: Assistant, place: Place, chunk: Chunk, start: int, end: int, view: str, at: int) -> str:
    """Return the reader at a sentence, characters `start` to `end` of the document of `chunk` as it was.

    `view` is text or page; `at` is the number of a chunk (from 0) or page (from 1), or -1 for where the sentence is.
    """
    found = whereabouts(assistant.corpus.catalog, chunk, start, end)
    document = found.document
    if document is None or (found.fate == "changed" and at < 0):
        head = Head(place, chunk.title, chunk.document_id, _where(chunk), found.line, listed=document is not None)
        body = pieces_html([Piece(chunk.start, chunk.text)], (start, end), _as_it_was(chunk))
        number = assistant.corpus.catalog.chunk_place(chunk.document_id, chunk.start)[0]
        return reader_html(head, body + (now_html(place, number) if document else ""))
    head = Head(place, document.title, document.id, (), found.line)
    if is_pdf(document) and found.fate != "changed":
        head = replace(head, views={"text": -1, "page": -1})
        if view == "page":
            return _as_page(assistant, head, document, found, at)
    return _as_text(assistant, head, document, found, at)


def _as_it_was(chunk: Chunk) -> Document:
    """Return the document of a passage as far as the passage tells."""
    headings = [replace(heading, start=chunk.start + heading.start) for heading in markdown_headings(chunk.text)]
    return Document(chunk.document_id, chunk.title, chunk.text, tuple(headings), (), "")


def is_pdf(document: Document) -> bool:
    """Whether a document was read from a PDF, whatever its name says."""
    named = PurePosixPath(document.id).suffix.lower() == ".pdf"
    return bool(document.pages) and (named or any(line.startswith("it is a PDF,") for line in document.warnings))


def _where(chunk: Chunk) -> list[str]:
    return [f"p. {chunk.page}" if chunk.page else "", chunk.heading]


def _as_text(assistant: Assistant, head: Head, document: Document, found: Whereabouts, at: int) -> str:
    catalog = assistant.corpus.catalog
    number, count = catalog.chunk_place(document.id, found.start)
    number = min(at, count - 1) if at >= 0 else number
    first = max(number - 1, 0)
    chunks = catalog.chunks_of(document.id, first, number - first + 2)
    pieces = [
        Piece(one.start, document.text[one.start : one.end], chosen=first + step == number) for step, one in enumerate(chunks)
    ]
    here = chunks[number - first : number - first + 1]
    head = replace(head, view="text", where=_where(here[0]) if here else ())
    if head.views and here and here[0].page and at >= 0:
        head = replace(head, views={**head.views, "page": here[0].page})
    span = (found.start, found.end) if found.fate != "changed" else None
    return reader_html(head, pager_html(head.place, "text", number, count, "Passage") + pieces_html(pieces, span, document))


def _as_page(assistant: Assistant, head: Head, document: Document, found: Whereabouts, at: int) -> str:
    first = document.page_at(found.start) or 1
    last = document.page_at(max(found.end - 1, found.start)) or 1
    number = max(1, min(at, len(document.pages))) if at >= 1 else first
    head = replace(head, view="page", where=[f"p. {number}", document.heading_at(found.start) if number == first else ""])
    pager = pager_html(head.place, "page", number, len(document.pages), "Page", first=1)
    try:
        page = assistant.pages.page(document, number)
    except UserError as error:
        return reader_html(head, pager + line_html(f"The page can't be shown: {error}", "note"))
    marks = marks_on(page, document, number, found.start, found.end) if first <= number <= last else []
    note = "" if marks or not first <= number <= last else _UNMARKED if page.text.strip() else _PICTURE
    return reader_html(head, pager + page_html(document, number, page.width, page.height, marks, note))


class Keys:
    """The documents by what stands for them in addresses (`key_of`)."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._at, self._ids = -1, dict[str, str]()

    def document(self, key: str) -> Document | None:
        """Return the document that `key` stands for."""
        with self._lock:
            revision = self._catalog.revision
            if revision != self._at:
                self._ids = {key_of(id): id for id in self._catalog.document_ids()}
                self._at = revision
            id = self._ids.get(key, "")
        return self._catalog.document(id) if id else None


def routes(assistant: Assistant) -> "list[BaseRoute]":
    """Return the address `/page/KEY/NUMBER.png` of the pages of the PDFs in the catalogue."""
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    keys = Keys(assistant.corpus.catalog)

    def page(request: "Request") -> "Response":
        document = keys.document(request.path_params["key"])
        digits = request.path_params["number"]
        number = int(digits) if digits.isdecimal() and len(digits) < 10 else 0
        if document is None or not is_pdf(document) or not 1 <= number <= len(document.pages):
            return PlainTextResponse("There is no such page.", 404)
        try:
            png = assistant.pages.page(document, number).png
        except UserError as error:
            return PlainTextResponse(f"The page can't be shown: {error}", 404)
        return Response(png, media_type="image/png", headers={"Cache-Control": f"private, max-age={_KEPT_SECONDS}"})

    return [Route("/page/{key:str}/{number:str}.png", page, methods=["GET"], name="page")]
