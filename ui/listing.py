"""Which documents the table shows, in which order: attachments and members under the file that they lie in."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from assistant.catalog import DocumentInfo


@dataclass(frozen=True)
class Listed:
    """A file: its own document, or why it has none (None when it only holds others), and the documents inside it."""

    file: str
    own: DocumentInfo | None
    parts: tuple[DocumentInfo, ...] = ()

    @property
    def all(self) -> tuple[DocumentInfo, ...]:
        """The document of the file and those inside it."""
        return (self.own, *self.parts) if self.own else self.parts


@dataclass(frozen=True)
class Order:
    """The column to sort by; none puts what failed first, then goes by name."""

    column: str = ""
    descending: bool = False

    def by(self, column: str) -> "Order":
        """Return the order after a click on the head of `column`."""
        return Order(column, column == self.column and not self.descending)


def key_of(id: str) -> str:
    """Return what stands for a document or file in the page; names themselves may hold anything."""
    return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def type_of(id: str) -> str:
    """Return the type of a file as people write it, such as PDF."""
    return PurePosixPath(id).suffix.lstrip(".").upper()[:12]


SORTS: dict[str, Callable[[Listed], tuple[float, str]]] = {
    "name": lambda listed: (0, (listed.all[0].title or listed.file).casefold()),
    "type": lambda listed: (0, type_of(listed.file)),
    "pages": lambda listed: (sum(info.pages for info in listed.all), ""),
    "chunks": lambda listed: (sum(info.chunks for info in listed.all), ""),
    "size": lambda listed: (listed.all[0].size, ""),
    "added": lambda listed: (0, listed.all[0].indexed_at),
}


def by_file(documents: Sequence[DocumentInfo]) -> list[Listed]:
    """Return the files of `documents`, each with what lies in it, in the order in which they come first."""
    files: dict[str, list[DocumentInfo]] = {}
    for info in documents:
        files.setdefault(info.file or info.id, []).append(info)
    return [
        Listed(file, next((info for info in infos if info.id == file), None), tuple(info for info in infos if info.id != file))
        for file, infos in files.items()
    ]


def wanted_files(documents: Sequence[DocumentInfo], wanted: str, order: Order) -> list[Listed]:
    """Return the files whose name, other name or title contains `wanted`, or of whose parts one does, in `order`.

    The parts that do come first.
    """
    needle = wanted.strip().casefold()
    files = by_file(documents)
    if needle:
        files = [_first(needle, listed) for listed in files if any(needle in _names(info) for info in listed.all)]
    if order.column in SORTS:
        return sorted(files, key=SORTS[order.column], reverse=order.descending)
    return sorted(files, key=lambda listed: listed.own is None or not listed.own.reason)


def _first(needle: str, listed: Listed) -> Listed:
    return replace(listed, parts=tuple(sorted(listed.parts, key=lambda info: needle not in _names(info))))


def _names(info: DocumentInfo) -> str:
    return "\n".join([info.title, info.id, *info.copies]).casefold()


class Shelf:
    """The documents as `read` gives them, read anew only when `revision` is another: thousands take half a second."""

    def __init__(self, read: Callable[[], list[DocumentInfo]], revision: Callable[[], int]) -> None:
        self._read, self._revision = read, revision
        self._at = -1
        self._documents: list[DocumentInfo] = []

    def documents(self) -> list[DocumentInfo]:
        """Return the documents as they are now."""
        revision = self._revision()
        if revision != self._at:
            self._documents = self._read()
            self._at = revision
        return self._documents

    def find(self, key: str) -> DocumentInfo | None:
        """Return the document that `key` stands for."""
        return next((info for info in self.documents() if key_of(info.id) == key), None)

    def inside(self, file: str) -> list[DocumentInfo]:
        """Return the documents that lie in `file`."""
        return [info for info in self.documents() if info.file == file and info.id != file]

    def file(self, key: str) -> str:
        """Return the file that `key` stands for, empty when there is none."""
        return next((file for info in self.documents() if key_of(file := info.file or info.id) == key), "")
