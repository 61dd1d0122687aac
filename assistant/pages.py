"""Pages of the PDFs in the corpus as pictures, drawn in a child process; the newest are kept in memory."""

import base64
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assistant.documents import Document
from assistant.errors import DocumentError
from assistant.quote_places import Mark, count_quote, find_quote, marks
from assistant.sandbox import Sandbox
from assistant.settings import Settings

_SECONDS, _NICE = 20, 5
_KEPT, _KEPT_BYTES = 8, 40_000_000
_WAITING = 6  # who waits for a page at once
_IDLE_SECONDS = 120.0  # after which the child ends


@dataclass(frozen=True)
class Page:
    """A page, one of `pages`, as a PNG of `width` by `height` pixels, with its characters and their boxes."""

    png: bytes
    width: int
    height: int
    pages: int
    text: str
    boxes: tuple[int, ...]


class Pages:
    """Draws pages of documents. Safe with threads."""

    def __init__(self, settings: Settings, path: Callable[[str], Path]) -> None:
        """Take what tells where under the corpus folder the file of an id is."""
        self._corpus, self._path = settings.corpus, path
        self._box = Sandbox(settings.upload_mb * 1_000_000, settings.passwords, seconds=_SECONDS, nice=_NICE)
        self._kept: OrderedDict[tuple[str, int], Page] = OrderedDict()
        self._lock = threading.Lock()
        self._waiting = threading.BoundedSemaphore(_WAITING)
        self._timer: threading.Timer | None = None

    def page(self, document: Document, number: int) -> Page:
        """Return page `number` (from 1) of a PDF.

        Raises `DocumentError` when it can't be drawn: the file has changed, is gone, or is no PDF; there is no such page; it
        takes too long; too many are being drawn.
        """
        key = document.sha256, number
        page = self._known(key)
        if page is not None:
            return page
        if not self._waiting.acquire(blocking=False):
            raise DocumentError("many pages are being drawn: try again in a moment")
        try:
            drawn = self._box.draw(self._file(document), document, number - 1)
            try:
                png = base64.b64decode(drawn.png, validate=True)
            except ValueError:
                raise DocumentError("its reader failed") from None
            page = Page(png, drawn.width, drawn.height, drawn.pages, drawn.text, drawn.boxes)
        finally:
            self._waiting.release()
        self._keep(key, page)
        return page

    def _known(self, key: tuple[str, int]) -> Page | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[str, int], page: Page) -> None:
        with self._lock:
            self._kept[key] = page
            while len(self._kept) > 1 and (
                len(self._kept) > _KEPT or sum(len(one.png) for one in self._kept.values()) > _KEPT_BYTES
            ):
                self._kept.popitem(last=False)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(_IDLE_SECONDS, self._box.rest)
            self._timer.daemon = True
            self._timer.start()

    def _file(self, document: Document) -> Path:
        """Return where a document's file is, which a link may lead to; never outside of the corpus folder."""
        try:
            path = self._path(document.file).resolve()
            inside = path.is_relative_to(self._corpus.resolve())
        except (OSError, RuntimeError):  # links in a circle
            inside = False
        if not inside:
            raise DocumentError("its file is not in the corpus folder")
        return path

    def close(self) -> None:
        """End the child; no page can be drawn afterwards."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
        self._box.close()


def marks_on(page: Page, document: Document, number: int, start: int, end: int) -> list[Mark]:
    """Return where on page `number` stands what of characters `start` to `end` of a document's text is on it; nothing if not found."""
    first = document.pages[number - 1] if number <= len(document.pages) else 0
    last = document.pages[number] if number < len(document.pages) else len(document.text)
    quote = document.text[max(start, first) : min(end, last)]
    before = document.text[first : max(start, first)]
    return marks(page.text, page.boxes, find_quote(page.text, quote, count_quote(before, quote)))
