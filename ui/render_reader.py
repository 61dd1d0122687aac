"""A passage in its document as HTML, as text or as the page of a PDF; as in `render.py`, nothing in it can load or run.

The only thing it loads is the picture of a page, from an address made here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from assistant.documents import Document
from assistant.quote_places import Mark
from assistant.sentences import Span
from ui.layout import is_code, laid_out, marked, merged
from ui.listing import key_of
from ui.render import shown


@dataclass(frozen=True)
class Place:
    """What the reader is at: a sentence of an answer's turn, named `ref` by its card or mark. `seq` counts what was asked for."""

    turn: int
    ref: str
    seq: int = 0


@dataclass(frozen=True)
class Head:
    """What stands above: the document's title and id, where in it we are, what became of it, and the view in force.

    `views` holds the views there are, with the number that each is opened at.
    """

    place: Place
    title: str
    id: str
    where: Sequence[str] = ()
    note: str = ""
    view: str = "text"
    views: dict[str, int] = field(default_factory=dict)
    listed: bool = True


def reader_html(head: Head, body: str) -> str:
    """Return the reader with its head around `body`."""
    place = head.place
    back = '<button type="button" class="plain back" data-read="back">← Sources</button>'
    documents = (
        f'<button type="button" class="plain" data-act="open" data-to="{key_of(head.id)}">Open in Documents</button>'
        if head.listed
        else ""
    )
    where = " · ".join([shown(head.id), *(shown(part) for part in head.where if part)])
    note = f'<p class="note" role="status">{shown(head.note)}</p>' if head.note else ""
    return (
        f'<article class="reader" aria-label="The source in its document" data-turn="{place.turn}" data-ref="{place.ref}" data-seq="{place.seq}">'
        f'<div class="bar">{back}{documents}</div>'
        f'<h2 dir="auto" tabindex="-1">{shown(head.title) or shown(head.id)}</h2><p class="where" dir="auto">{where}</p>'
        f"{note}{_views(head)}{body}</article>"
    )


def _views(head: Head) -> str:
    if len(head.views) < 2:
        return ""
    labels = {"text": "Text", "page": "Page"}
    buttons = "".join(
        _go(head.place, view, at, labels[view], f' aria-pressed="{"true" if view == head.view else "false"}"', "view")
        for view, at in head.views.items()
    )
    return f'<div class="views" role="group" aria-label="Show as">{buttons}</div>'


def _go(place: Place, view: str, at: int, label: str, more: str = "", kind: str = "plain") -> str:
    """Return a button that shows the passage as `view`, at chunk or page number `at`; -1 for where the sentence is."""
    return (
        f'<button type="button" class="{kind}" data-read="{view}" data-turn="{place.turn}" data-ref="{place.ref}" data-at="{at}"'
        f"{more}>{label}</button>"
    )


def pager_html(place: Place, view: str, number: int, count: int, name: str, first: int = 0) -> str:
    """Return the buttons to the chunk or page before and after `number`, which counts from `first`."""
    before, after = number > first, number + 1 < count + first
    kind = name.lower()
    return (
        '<div class="steps">'
        + (_go(place, view, number - 1, "‹ Previous", f' aria-label="Previous {kind}"') if before else "<span></span>")
        + f"<span>{name} {number + 1 - first:,} of {count:,}</span>"
        + (_go(place, view, number + 1, "Next ›", f' aria-label="Next {kind}"') if after else "<span></span>")
        + "</div>"
    )


def now_html(place: Place, at: int) -> str:
    """Return the button that shows a document that has changed as it is now."""
    return f'<p class="now">{_go(place, "text", at, "Read the document as it is now")}</p>'


# As text


@dataclass(frozen=True)
class Piece:
    """Some text that begins at character `start` of its document; `chosen` when it is what the reader is at."""

    start: int
    text: str
    chosen: bool = True


def pieces_html(pieces: Sequence[Piece], span: Span | None, document: Document) -> str:
    """Return texts of a document one after the other, with `span` of it marked, headings and tables laid out, pages told."""
    return f'<div class="pages" tabindex="0" role="region" aria-label="Pages">{"".join(_piece(piece, span, document) for piece in pieces)}</div>'


def _piece(piece: Piece, span: Span | None, document: Document) -> str:
    text = piece.text
    marks = merged([(max(span[0] - piece.start, 0), min(span[1] - piece.start, len(text)))]) if span else []
    kind = "passage chosen" if piece.chosen else "passage around"
    if is_code(document.id):
        return f'<div class="{kind} code">{marked(text, marks, 0, len(text))}</div>'
    pages = {start - piece.start: number for number, start in enumerate(document.pages, 1)}
    headings = {heading.start - piece.start for heading in document.headings}
    return f'<div class="{kind}" dir="auto">{laid_out(text, marks, headings=headings, pages=pages)}</div>'


# As a page


def page_html(document: Document, number: int, width: int, height: int, marks: Sequence[Mark], note: str = "") -> str:
    """Return the picture of a page of `width` by `height` pixels with `marks` on it, and buttons to make it larger."""
    spots = "".join(
        f'<span class="spot" style="left:{mark.left:.2f}%;top:{mark.top:.2f}%;width:{mark.width:.2f}%;height:{mark.height:.2f}%"></span>'
        for mark in marks
    )
    told = "; the sentence is marked on it" if marks else ""
    name = shown(f"Page {number} of {document.title or document.id}{told}")
    source = f"/page/{key_of(document.id)}/{number}.png?v={document.sha256[:12]}"
    line = f'<p class="hint" role="status">{shown(note)}</p>' if note else ""
    zoom = (
        '<div class="zoom" role="group" aria-label="Size"><button type="button" class="plain" data-zoom="-1" aria-label="Smaller">−</button>'
        '<button type="button" class="plain" data-zoom="1" aria-label="Larger">+</button></div>'
    )
    picture = f'<img src="{source}" width="{width}" height="{height}" alt="{name}">'
    return f'{line}<div class="sheet" tabindex="0" role="region" aria-label="The page">{zoom}<div class="paper">{picture}{spots}</div></div>'
