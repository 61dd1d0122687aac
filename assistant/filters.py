"""Which documents may be searched: by name, folder, type and date."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import PurePosixPath

from assistant.catalog import Catalog
from assistant.documents import clean_line, supported_suffixes
from assistant.errors import UserError

# Days that fit into 64 bits of nanoseconds since 1970; files older or newer than that have a wrong date anyway.
_FIRST_DAY, _LAST_DAY = date(1700, 1, 1), date(2262, 1, 1)


@dataclass(frozen=True)
class Filter:
    """What a document must be to be searched; nothing given allows everything.

    It must be one of `documents` or lie below one of `folders` (when either is given), have one of the file
    name endings `types` (`pdf` or `.pdf`), and its file must have been modified on the day `after` or later
    and on a day earlier than `before`, in local time.
    """

    documents: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    after: date | None = None
    before: date | None = None

    def __bool__(self) -> bool:
        """Whether anything is given."""
        return self != EVERYTHING

    def matching(self, catalog: Catalog) -> list[str] | None:
        """Return the ids of the documents that match, or None when the filter allows everything."""
        if not self:
            return None
        return catalog.document_ids(
            self.documents,
            [_folder(folder) for folder in self.folders],
            [_suffix(type) for type in self.types],
            _nanoseconds(self.after),
            _nanoseconds(self.before),
        )


EVERYTHING = Filter()


def parse_filter(
    documents: Sequence[str], folders: Sequence[str], types: Sequence[str], after: str | None, before: str | None
) -> Filter:
    """Return the filter that a person typed, with dates as YYYY-MM-DD; `UserError` for a date or type that is none."""
    first, last = _date("--after", after), _date("--before", before)
    if first and last and first >= last:
        raise UserError(f"No day lies between --after {first} (included) and --before {last} (left out).")
    for type in types:
        if _suffix(type) not in supported_suffixes():
            raise UserError(f"No document has the type {clean_line(type)!r}; `assistant list` shows those that are there.")
    return Filter(tuple(documents), tuple(folders), tuple(types), first, last)


def check_filter(wanted: Filter, catalog: Catalog) -> None:
    """Raise `UserError`, with close matches, for a document or folder of `wanted` that isn't in the catalogue."""
    known = {*catalog.document_ids(wanted.documents)} if wanted.documents else set()
    for id in wanted.documents:
        if id not in known and not Filter(documents=(id,)).matching(catalog):
            failed = {info.id: info.reason for info in catalog.documents() if info.reason}
            if id in failed:
                raise UserError(f"{clean_line(id)} can't be searched, it was not indexed: {failed[id]}.")
            raise UserError(
                f"There is no document {clean_line(id)!r}: {close_matches(id, catalog.document_ids(), 'assistant list')}"
            )
    for folder in wanted.folders:
        if not Filter(folders=(folder,)).matching(catalog):
            known = {str(parent) for id in catalog.document_ids() for parent in PurePosixPath(id).parents} - {"."}
            raise UserError(
                f"There is no document in a folder {clean_line(folder)!r}: {close_matches(_folder(folder), sorted(known))}"
            )


def close_matches(name: str, known: Sequence[str], listing: str = "") -> str:
    """Say which of `known` names are like `name`: the same last part first, then the most alike."""
    wanted = PurePosixPath(name.lower())
    same = [id for id in known if {wanted.name, wanted.stem} & {PurePosixPath(id.lower()).name, PurePosixPath(id.lower()).stem}]
    lower = {id.lower(): id for id in known}
    alike = [lower[id] for id in difflib.get_close_matches(name.lower(), lower, 3)]
    close = list(dict.fromkeys(same + alike))[:3]
    if close:
        return f"did you mean {' or '.join(repr(clean_line(id)) for id in close)}?"
    if listing:
        return f"'{listing}' shows their names."
    return f"there is {', '.join(clean_line(id) for id in known[:5])}." if known else "the corpus has no folders."


def _folder(name: str) -> str:
    """Return the name of a folder as it stands at the start of ids: `a/b`; empty for the corpus folder itself."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _suffix(type: str) -> str:
    return "." + type.strip().lower().lstrip(".")


def _date(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise UserError(f"{option} is {clean_line(text)!r}: write a day as YYYY-MM-DD, such as 2024-12-31.") from None


def _nanoseconds(day: date | None) -> int | None:
    if day is None:
        return None
    return int(datetime.combine(min(max(day, _FIRST_DAY), _LAST_DAY), time.min).astimezone().timestamp()) * 1_000_000_000
