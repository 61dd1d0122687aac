"""What a question is limited to: chosen beside it, or named in it as `@notes.md`, `@"two words.pdf"` or `@folder/`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assistant.catalog import Catalog
from assistant.documents import clean_line
from assistant.errors import UserError
from assistant.filters import Filter
from assistant.places import Place, Places
from assistant.selections import Selections

_NAME = r"@(?:\"((?:[^\"\\\n]|\\.)+)\"|[“„]([^”“\n]+)[”“]|([^\s@\"“„]\S*))"
_MENTION = re.compile(rf"(?:^|(?<=[\s(\[])){_NAME}")
_AFTER = ".,;:?!)]}'’"  # not of a name when they end it
# Words that lack something when what follows them is taken out.
_NEEDING = re.compile(
    r"\b(?:in|from|per|within|inside|of|by|with|between|under|about|on|via|to|for|and|or|than|vs|versus|do|does|did|is|are|was|were|has|have"
    r"|summari[sz]e|sum up|recap|translate|compare|contrast|read|open|check|review|explain|describe|outline)\W*$",
    re.IGNORECASE,
)
_JOINED = re.compile(r"\ue000(?:\s*(?:,|&|and|or|with|to|versus|vs\.?)\s*\ue000)+", re.IGNORECASE)
_LINE = 3  # places told by name in a line


@dataclass(frozen=True)
class Scope:
    """What a question is limited to, any of these: documents by id, folders without "/" at the end, selections by name.

    Nothing given is everything.
    """

    documents: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    selections: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is given."""
        return self != EVERYWHERE

    @property
    def names(self) -> list[str]:
        """What it is limited to, for the reader: a folder ends with "/", a selection stands in quotation marks."""
        return [*(f"“{name}”" for name in self.selections), *(f"{folder}/" for folder in self.folders), *self.documents]

    @property
    def line(self) -> str:
        """The same in one line; of many only the first."""
        names = [clean_line(name, 120) for name in self.names]
        rest = f" and {len(names) - _LINE:,} more" if len(names) > _LINE else ""
        return ", ".join(names[:_LINE]) + rest

    def filter(self, catalog: Catalog, selections: Selections) -> Filter:
        """Return which documents may be searched. Raises `UserError` for a selection that isn't there, or has no document any more."""
        documents = list(self.documents)
        for name in self.selections:
            ids = selections.find(name).ids(catalog)
            if not ids:
                raise UserError(
                    f"None of the documents of the selection {clean_line(name)!r} is there any more: ask in another place."
                )
            documents += sorted(ids)
        return Filter(tuple(dict.fromkeys(documents)), self.folders)


EVERYWHERE = Scope()


def scope_of(places: Sequence[Place]) -> Scope:
    """Return the scope of some places."""

    def of(kind: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(place.name.rstrip("/") for place in places if place.kind == kind))

    return Scope(of("document"), of("folder"), of("selection"))


def taken_out(question: str, places: Places) -> tuple[str, Scope]:
    """Return a question without the places that it names with `@`, and these.

    Where the sentence needs it, "it" or "them" stands in their place. Raises `UserError` for a name that means none, or several.
    """
    named: list[Place] = []

    def take(match: re.Match[str]) -> str:
        quoted = match[1] or match[2]
        if quoted:
            named.append(places.find(re.sub(r"\\(.)", r"\1", quoted)))
            return "\ue000"
        place, rest = _unquoted(match[3], places)
        named.append(place)
        return "\ue000" + rest

    if "@" not in question:
        return question, EVERYWHERE
    text = _MENTION.sub(take, question.replace("\ue000", "\ufffd"))
    if not named:
        return question, EVERYWHERE
    text = _JOINED.sub("\ue001", text)
    return _filled(text), scope_of(named)


def _unquoted(name: str, places: Places) -> tuple[Place, str]:
    """Return what `name` means, and what at its end is not of it: punctuation of the sentence."""
    bare = name.rstrip(_AFTER)
    try:
        return places.find(name), ""
    except UserError:
        if bare == name or not bare:
            raise
        return places.find(bare), name[len(bare) :]


def _filled(text: str) -> str:
    """Return `text` with a pronoun where a name was taken out that the sentence needs."""
    pieces = re.split("([\ue000\ue001])", text)
    out = ""
    for piece in pieces:
        if piece not in ("\ue000", "\ue001"):
            out += piece
        elif _NEEDING.search(out[-80:]):
            out += "it" if piece == "\ue000" else "them"
    out = re.sub(r"[\s,;:]+([.?!])", r"\1", re.sub(r"[ \t]{2,}", " ", out))
    return re.sub(r"\s+([,;:])", r"\1", out).strip(" ,;:\t\n")


def narrowed(scope: Filter, filter: Filter, catalog: Catalog) -> Filter:
    """Return a filter that allows what both allow. Raises `UserError` when that is nothing."""
    if not scope or not filter:
        return scope or filter
    if not filter.documents and not filter.folders:
        return replace(filter, documents=scope.documents, folders=scope.folders)
    both = {*(scope.matching(catalog) or [])} & {*(filter.matching(catalog) or [])}
    if not both:
        raise UserError("No document is both in what the question names and in what the filter allows: widen one of them.")
    return Filter(tuple(sorted(both)))
