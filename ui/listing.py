"""Which documents the table shows, in which order: attachments and members under the file that they lie in."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

from assistant.catalog import DocumentInfo

State = Literal["failed", "no text", "indexing", "waiting", "ready"]
STATES: dict[State, str] = {
    "failed": "Failed",
    "no text": "No text found",
    "indexing": "Indexing",
    "waiting": "Waiting",
    "ready": "Ready",
}
_ORDER = list(STATES)
Running = Mapping[str, Literal["waiting", "indexing"]]  # by file


@dataclass(frozen=True)
class Listed:
    """A file: its own document, or why it has none (None when it only holds others), the documents inside it, and its state."""

    file: str
    own: DocumentInfo | None
    parts: tuple[DocumentInfo, ...] = ()
    state: State = "ready"

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


@dataclass(frozen=True)
class Sieve:
    """What a file must be to be listed: `words` in its name or title, in a `folder` or below, of a `type`, in a `state`.

    `selection` is the name of a saved one that it must be in. Empty ones ask for nothing.
    """

    words: str = ""
    folder: str = ""
    type: str = ""
    state: str = ""
    selection: str = ""

    def __bool__(self) -> bool:
        """Whether it asks for anything."""
        return self != NO_SIEVE

    @property
    def place(self) -> bool:
        """Whether it is a folder or a selection and nothing else."""
        return self in (Sieve(folder=self.folder), Sieve(selection=self.selection)) and bool(self.folder or self.selection)


NO_SIEVE, NO_ORDER = Sieve(), Order()


def key_of(id: str) -> str:
    """Return what stands for a document or file in the page; names themselves may hold anything."""
    return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def type_of(id: str) -> str:
    """Return the type of a file as people write it, such as PDF."""
    return PurePosixPath(id).suffix.lstrip(".").upper()[:12]


def folder_of(file: str) -> str:
    """Return the folder that a file lies in, empty for the corpus folder itself."""
    return file.rpartition("/")[0]


SORTS: dict[str, Callable[[Listed], tuple[float, str]]] = {
    "name": lambda listed: (0, name_of(listed).casefold()),
    "folder": lambda listed: (0, folder_of(listed.file).casefold()),
    "type": lambda listed: (0, type_of(listed.file)),
    "state": lambda listed: (_ORDER.index(listed.state), ""),
    "pages": lambda listed: (sum(info.pages for info in listed.all), ""),
    "chunks": lambda listed: (sum(info.chunks for info in listed.all), ""),
    "size": lambda listed: (listed.all[0].size if listed.all else 0, ""),
    "added": lambda listed: (0, listed.all[0].indexed_at if listed.all else ""),
}


def name_of(listed: Listed) -> str:
    """Return what a file is called in the table: the title of its document, else its name."""
    return (listed.all[0].title if listed.all else "") or listed.file.rpartition("/")[2]


def by_file(documents: Sequence[DocumentInfo], running: Running) -> list[Listed]:
    """Return the files of `documents`, each with what lies in it, in the order in which they come first, then new ones that wait."""
    files: dict[str, list[DocumentInfo]] = {}
    for info in documents:
        files.setdefault(info.file or info.id, []).append(info)
    for file in running:
        files.setdefault(file, [])
    return [_listed(file, infos, running.get(file)) for file, infos in files.items()]


def _listed(file: str, infos: Sequence[DocumentInfo], now: State | None) -> Listed:
    own = next((info for info in infos if info.id == file), None)
    return Listed(file, own, tuple(info for info in infos if info.id != file), now or state_of(own))


def state_of(info: DocumentInfo | None) -> State:
    """Return the state of what is not being indexed now."""
    if info is None or not info.reason:
        return "ready"
    return "no text" if "no text" in info.reason or "looks scanned" in info.reason else "failed"


def wanted_files(files: Sequence[Listed], sieve: Sieve, order: Order, chosen: AbstractSet[str] = frozenset()) -> list[Listed]:
    """Return those of `files` that `sieve` lets pass, in `order`; `chosen` are the documents of its selection.

    Where words are asked for, other names and parts count too, and the parts that hold them come first.
    """
    needle = sieve.words.strip().casefold()
    kept = [listed for listed in files if _passes(listed, sieve, chosen)]
    if needle:
        kept = [
            _first(needle, listed)
            for listed in kept
            if any(needle in _names(info) for info in listed.all) or _is_new(needle, listed)
        ]
    if order.column in SORTS:
        return sorted(kept, key=SORTS[order.column], reverse=order.descending)
    return sorted(kept, key=lambda listed: listed.own is None or not listed.own.reason)


def _passes(listed: Listed, sieve: Sieve, chosen: AbstractSet[str]) -> bool:
    return (
        (not sieve.folder or listed.file.startswith(f"{sieve.folder}/"))
        and (not sieve.type or any(type_of(id) == sieve.type for id in (listed.file, *(info.id for info in listed.all))))
        and (not sieve.state or listed.state == sieve.state)
        and (not sieve.selection or any(info.id in chosen for info in listed.all))
    )


def _is_new(needle: str, listed: Listed) -> bool:
    return not listed.all and needle in listed.file.casefold()


def _first(needle: str, listed: Listed) -> Listed:
    return replace(listed, parts=tuple(sorted(listed.parts, key=lambda info: needle not in _names(info))))


def _names(info: DocumentInfo) -> str:
    return "\n".join([info.title, info.id, *info.copies]).casefold()


@dataclass(frozen=True)
class Counts:
    """How many files there are in each folder, and of each type and state."""

    folders: Counter[str]
    types: Counter[str]
    states: Counter[str]


def counts(files: Sequence[Listed]) -> Counts:
    """Count files by what they can be sieved by; a folder counts what lies below it too."""
    folders: Counter[str] = Counter()
    for folder, number in Counter(folder_of(listed.file) for listed in files).items():
        parts = folder.split("/") if folder else []
        for depth in range(1, len(parts) + 1):
            folders["/".join(parts[:depth])] += number
    return Counts(folders, Counter(type_of(listed.file) for listed in files), Counter(listed.state for listed in files))


class Shelf:
    """The documents as `read` gives them, read anew only when `revision` is another: thousands take half a second."""

    def __init__(
        self, read: Callable[[], list[DocumentInfo]], revision: Callable[[], int], running: Callable[[], Running] = dict
    ) -> None:
        self._read, self._revision, self._running = read, revision, running
        self._at = -1
        self._documents: list[DocumentInfo] = []
        self._keys: dict[str, str] = {}
        self._files: dict[str, str] = {}
        self._listed: tuple[list[DocumentInfo], list[Listed]] | None = None

    def documents(self) -> list[DocumentInfo]:
        """Return the documents as they are now."""
        revision = self._revision()
        if revision != self._at:
            documents = self._read()
            self._keys = {key_of(info.id): info.id for info in documents}
            self._files = {key_of(file): file for info in documents if (file := info.file or info.id)}
            self._documents, self._at = documents, revision
        return self._documents

    def files(self) -> list[Listed]:
        """Return the files as they are now, those among them that are being read."""
        documents, running = self.documents(), self._running()
        if running:
            return by_file(documents, running)
        if self._listed is None or self._listed[0] is not documents:
            self._listed = documents, by_file(documents, {})
        return self._listed[1]

    def find(self, key: str) -> DocumentInfo | None:
        """Return the document that `key` stands for."""
        documents = self.documents()
        id = self._keys.get(key)
        return next((info for info in documents if info.id == id), None) if id is not None else None

    def inside(self, file: str) -> list[DocumentInfo]:
        """Return the documents that lie in `file`."""
        return [info for info in self.documents() if info.file == file and info.id != file]

    def file(self, key: str) -> str:
        """Return the file that `key` stands for, empty when there is none."""
        self.documents()
        return self._files.get(key, "")

    def folder(self, key: str) -> str:
        """Return the folder that `key` stands for, empty when there is none."""
        return next((folder for folder in counts(self.files()).folders if key_of(folder) == key), "")
