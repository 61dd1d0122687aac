"""The documents, folders and saved selections that a question can be limited to, found by their names."""

import heapq
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from assistant.catalog import Catalog
from assistant.documents import clean_line
from assistant.errors import UserError
from assistant.filters import close_matches
from assistant.receipts import counted
from assistant.selections import Selections

_TOLD = 3  # documents named when a name fits several
_COMPARED = 100  # names that a wrong one is compared with
Kind = Literal["selection", "folder", "document"]
_KINDS: tuple[Kind, ...] = ("selection", "folder", "document")


@dataclass(frozen=True)
class Place:
    """Where a question may look: a document by its id, a folder with "/" at its end, or a selection; `about` tells more of it."""

    kind: Kind
    name: str
    about: str = ""


@dataclass(frozen=True)
class _Entry:
    """A place, with its name and what else it is called in lower case."""

    place: Place
    name: str
    file: str
    title: str


class Places:
    """Finds places by name. After documents changed, their names are read again: 10,000 take a tenth of a second."""

    def __init__(self, catalog: Catalog, selections: Selections) -> None:
        self._catalog, self._selections = catalog, selections
        self._revision = -1
        self._entries: list[_Entry] = []
        self._lock = threading.Lock()

    def suggest(self, typed: str, limit: int) -> list[Place]:
        """Return the places whose name or title holds all words of `typed`, best first: what begins with it, selections, folders."""
        typed = typed.strip().strip('"').casefold()
        words = typed.split()
        found = [entry for entry in self._all() if all(word in entry.name or word in entry.title for word in words)]

        def rank(entry: _Entry) -> tuple[bool, int, bool, int, str]:
            begins = entry.file.startswith(typed) or entry.name.startswith(typed)
            inside = "/" in entry.name.rstrip("/")
            return not begins, _KINDS.index(entry.place.kind), inside, len(entry.name) if typed else 0, entry.name

        return [entry.place for entry in sorted(found, key=rank)[:limit]]

    def find(self, name: str) -> Place:
        """Return the place that `name` means: a whole name, or the end of a path, a name without its ending or a title that only one has.

        Raises `UserError`, with the nearest names, when there is none or there are several.
        """
        entries = self._all()
        wanted = name.strip().removeprefix("./").casefold()
        if "\\" in wanted and all(entry.name != wanted for entry in entries):
            wanted = wanted.replace("\\", "/")
        for alike in _ways(wanted):
            fitting = list({entry.place: entry for entry in entries if alike(entry)}.values())
            if len(fitting) == 1:
                return fitting[0].place
            if fitting:
                names = [clean_line(entry.place.name) for entry in fitting[:_TOLD]]
                rest = f" and {len(fitting) - _TOLD:,} more" if len(fitting) > _TOLD else ""
                raise UserError(f"@{clean_line(name)} fits {', '.join(names)}{rest}: write more of its path.")
        spaced = [one.place.name for one in entries if any(full.startswith(f"{wanted} ") for full in (one.name, one.file))]
        if spaced:
            spelled = " or ".join(f'@"{clean_line(one)}"' for one in spaced[:_TOLD])
            raise UserError(
                f"There is no document, folder or selection {clean_line(name)!r}. A name with spaces goes in quotation marks: {spelled}."
            )
        like = close_matches(name, _near(wanted, entries)) if entries else "no document is there yet."
        raise UserError(
            f"There is no document, folder or selection {clean_line(name)!r}: {like} To ask about the word itself, "
            f'put it in quotation marks: "@{clean_line(name)}".'
        )

    def check_free(self, name: str) -> None:
        """Raise `UserError` when a document or folder is called like a selection that is to be named."""
        self._read()
        wanted = name.strip().rstrip("/").casefold()
        if any(entry.name.rstrip("/") == wanted for entry in self._entries):
            raise UserError(f"A document or folder is called {clean_line(name)!r}: type another name.")

    def all(self) -> list[Place]:
        """Return all of them, selections and folders first."""
        return [entry.place for entry in self._all()]

    def _all(self) -> list[_Entry]:
        self._read()
        saved = [Place("selection", one.name, "saved selection") for one in self._selections.all()]
        return [*(_entry(place) for place in saved), *self._entries]

    def _read(self) -> None:
        with self._lock:
            revision = self._catalog.revision
            if revision == self._revision:
                return
            titles = dict(self._catalog.titles())
            files = self._catalog.files()
            # What failed is found too, so that whoever names it is told why it can't be searched, and what only holds others.
            names = dict.fromkeys(files, "") | titles
            counts = Counter(folder for path in files for folder in _folders(path))
            folders = [Place("folder", f"{folder}/", counted(count, "file")) for folder, count in sorted(counts.items())]
            documents = [Place("document", id, names[id]) for id in sorted(names)]
            self._entries = [_entry(place) for place in (*folders, *documents)]
            self._revision = revision


def _entry(place: Place) -> _Entry:
    name = place.name.casefold()
    title = place.about.casefold() if place.kind == "document" else ""
    return _Entry(place, name, name.rstrip("/").rpartition("/")[2], title)


def _near(wanted: str, entries: Sequence[_Entry]) -> list[str]:
    """Return the names that share most with `wanted`: to compare it closely with all of thousands takes seconds."""
    triples = _triples(wanted.rstrip("/").rpartition("/")[2])
    near = heapq.nlargest(_COMPARED, entries, key=lambda entry: len(triples & _triples(entry.file)))
    return [entry.place.name for entry in near]


def _triples(text: str) -> set[str]:
    return {text[at : at + 3] for at in range(max(len(text) - 2, 1))}


def _folders(path: str) -> Iterator[str]:
    parts = path.split("/")[:-1]
    yield from ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))


def _ways(wanted: str) -> Sequence[Callable[[_Entry], bool]]:
    """Return what a place may be called, the surest first."""
    bare = wanted.rstrip("/")
    return (
        lambda entry: entry.name == wanted and entry.place.kind != "selection",
        lambda entry: entry.place.kind == "folder" and entry.name == f"{bare}/",
        lambda entry: entry.place.kind == "selection" and entry.name == wanted,
        lambda entry: entry.file == wanted and entry.place.kind == "document",
        lambda entry: entry.name.endswith(f"/{wanted}"),
        lambda entry: entry.place.kind == "folder" and entry.name.endswith(f"/{bare}/"),
        lambda entry: entry.place.kind == "document" and PurePosixPath(entry.file).stem == wanted,
        lambda entry: bool(wanted) and entry.title == wanted,
    )
