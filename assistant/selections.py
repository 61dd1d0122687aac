"""Selections of documents that people named, kept in `selections.json` of the data folder for all who use it."""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from assistant.catalog import Catalog
from assistant.documents import clean_line
from assistant.errors import UserError
from assistant.filters import Filter, close_matches
from assistant.index import make_durable_file

MOST_DOCUMENTS = 5000  # named one by one in a selection
_MOST = 500  # selections
_NAME = 80  # characters


@dataclass(frozen=True)
class Selection:
    """A named selection: the `documents` and what lies in the `folders`, of the file name endings `types` when there are any."""

    name: str
    documents: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def ids(self, catalog: Catalog) -> list[str]:
        """Return the documents of it that are there."""
        return Filter(self.documents, self.folders, self.types).matching(catalog) or []


class Selections:
    """The selections in one file. Safe for threads; one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def all(self) -> list[Selection]:
        """Return them by name. Raises `UserError` when the file can't be read."""
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
            found = [
                Selection(str(row["name"]), *(_names(row[part]) for part in ("documents", "folders", "types"))) for row in rows
            ]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"The selections {self._path} can't be read ({clean_line(str(error))}): mend or delete the file."
            ) from None
        return sorted(found, key=lambda selection: selection.name.casefold())

    def find(self, name: str) -> Selection:
        """Return the one called `name`, in upper or lower case. Raises `UserError`, with names like it, when there is none."""
        known = self.all()
        for selection in known:
            if selection.name.casefold() == name.strip().casefold():
                return selection
        others = [selection.name for selection in known]
        like = close_matches(name, others) if others else "no selection is saved."
        raise UserError(f"There is no selection {clean_line(name)!r}: {like}")

    def save(self, selection: Selection) -> Selection:
        """Add a selection; returns it as it is kept. Raises `UserError` for a name that is taken or can't be one, and for an empty one."""
        name = _checked(selection.name)
        if not selection.documents and not selection.folders:
            raise UserError("The selection is empty: tick documents or choose a folder first.")
        if len(selection.documents) > MOST_DOCUMENTS:
            raise UserError(
                f"These are {len(selection.documents):,} documents, a selection holds {MOST_DOCUMENTS:,}: choose fewer, or a folder."
            )
        with self._lock:
            known = self.all()
            _check_free(name, known)
            if len(known) >= _MOST:
                raise UserError(f"There are {_MOST} selections: delete one first.")
            kept = replace(selection, name=name)
            self._write([*known, kept])
        return kept

    def rename(self, old: str, new: str) -> None:
        """Give a selection another name. Raises `UserError` as `find` and `save` do."""
        new = _checked(new)
        with self._lock:
            there = self.find(old)
            others = [one for one in self.all() if one != there]
            _check_free(new, others)
            self._write([*others, replace(there, name=new)])

    def follow(self, moves: Mapping[str, str]) -> None:
        """Name documents that moved by their new names. Raises `UserError` when the file can't be read or written."""
        with self._lock:
            known = self.all()
            now = [replace(one, documents=tuple(moves.get(id, id) for id in one.documents)) for one in known]
            if now != known:
                self._write(now)

    def delete(self, name: str) -> None:
        """Forget a selection; its documents stay. Raises `UserError` when there is none called `name`."""
        with self._lock:
            there = self.find(name)
            self._write([one for one in self.all() if one != there])

    def _write(self, selections: Sequence[Selection]) -> None:
        part = self._path.with_name(f".{self._path.name}.part")
        try:
            part.write_text(json.dumps([asdict(one) for one in selections], ensure_ascii=False, indent=1), encoding="utf-8")
            make_durable_file(part)
            os.replace(part, self._path)
            make_durable_file(self._path.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise UserError(f"The selection can't be kept ({error.strerror or error}): make room or mend it.") from None


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("a list of names is missing")
    return tuple(str(name) for name in value)


def _checked(name: str) -> str:
    name = clean_line(name, _NAME)
    if not name:
        raise UserError("The name is empty: type one.")
    if "/" in name or '"' in name:
        raise UserError('A name of a selection has no "/" and no quotation mark: type another one.')
    return name


def _check_free(name: str, known: Sequence[Selection]) -> None:
    if any(one.name.casefold() == name.casefold() for one in known):
        raise UserError(f"There is a selection {name!r} already: type another name, or delete that one first.")
