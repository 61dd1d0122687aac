"""The styles and list numbers of a Word document: what is a heading, and what stands before an item."""

import functools
from dataclasses import dataclass, field
from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_BULLET = "-"
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"))
_ROMAN_ONES = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")


@functools.cache
def _full(path: str) -> str:
    return "/".join(W + step for step in path.split("/"))


def within(element: Any, path: str) -> Any:
    """Return the first element at `path` (names without prefix) under `element`, or None; None has nothing under it."""
    return None if element is None else element.find(_full(path))


def value(element: Any, path: str) -> str:
    """Return the `w:val` of the first element at `path` under `element`, or nothing."""
    found = within(element, path)
    return "" if found is None else str(found.get(W + "val") or "")


def switched_on(element: Any, path: str) -> bool:
    """Whether the property at `path` is there and not switched off."""
    found = within(element, path)
    return found is not None and found.get(W + "val") not in ("0", "false", "off")


@dataclass(frozen=True)
class Style:
    """A paragraph style; `level` is of a heading, 0 for body text, and None when it says nothing."""

    name: str
    based_on: str
    level: int | None
    list_id: str
    list_level: str


def read_styles(root: Any) -> dict[str, Style]:
    """Return the paragraph styles by their id."""
    styles: dict[str, Style] = {}
    for element in root.iter(W + "style"):
        name = value(element, "name").lower()
        outline = value(element, "pPr/outlineLvl")
        level: int | None = None
        if name.startswith("heading ") and name[8:].isdigit():
            level = int(name[8:])
        elif name == "title":
            level = 1
        elif outline.isdigit():
            level = (int(outline) + 1) % 10  # 9 stands for body text
        lists = value(element, "pPr/numPr/numId"), value(element, "pPr/numPr/ilvl")
        styles[str(element.get(W + "styleId"))] = Style(name, value(element, "basedOn"), level, *lists)
    return styles


@dataclass(frozen=True)
class _Level:
    style: str
    text: str
    start: int


@dataclass
class Numbering:
    """The running numbers of a document's lists."""

    levels: dict[str, dict[int, _Level]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)  # a list -> the definition whose numbers it shares
    counts: dict[str, dict[int, int]] = field(default_factory=dict)

    def mark(self, list_id: str, level: int) -> str:
        """Return what stands before the next item: "-" for a bullet, else its number, such as "2.1" or "(a)"."""
        definition = self.levels.get(list_id, {})
        here = definition.get(level)
        if here is None or here.style in ("bullet", "none"):
            return _BULLET if here is None or here.style == "bullet" else here.text
        counts = self.counts.setdefault(self.groups[list_id], {})
        counts[level] = counts.get(level, here.start - 1) + 1
        for deeper in [key for key in counts if key > level]:
            del counts[deeper]
        text = here.text
        for step in range(level + 1):
            upper = definition.get(step, here)
            # "legal" numbers and a missing upper item show as decimal and as the first.
            number = _number(counts.setdefault(step, upper.start), upper.style)
            text = text.replace(f"%{step + 1}", number)
        return text


def read_numbering(root: Any) -> Numbering:
    """Read the definitions of lists."""
    numbering = Numbering()
    abstract: dict[str, dict[int, _Level]] = {}
    for element in root.findall(W + "abstractNum"):
        abstract[str(element.get(W + "abstractNumId"))] = _read_levels(element.findall(W + "lvl"))
    for element in root.findall(W + "num"):
        list_id = str(element.get(W + "numId"))
        definition = value(element, "abstractNumId")
        overrides = element.findall(W + "lvlOverride")
        changed = _read_levels([lvl for override in overrides for lvl in override.findall(W + "lvl")])
        numbering.levels[list_id] = {**abstract.get(definition, {}), **changed}
        restarts = any(override.find(W + "startOverride") is not None for override in overrides)
        numbering.groups[list_id] = f"{definition}/{list_id}" if restarts else definition
    return numbering


def _read_levels(elements: list[Any]) -> dict[int, _Level]:
    levels: dict[int, _Level] = {}
    for element in elements:
        start = value(element, "start")
        number = str(element.get(W + "ilvl") or "0")
        if number.isdigit():
            levels[int(number)] = _Level(
                value(element, "numFmt") or "decimal", value(element, "lvlText")[:40], int(start) if start.isdigit() else 1
            )
    return levels


def _number(number: int, style: str) -> str:
    if style in ("lowerLetter", "upperLetter") and number > 0:
        letter = "abcdefghijklmnopqrstuvwxyz"[(number - 1) % 26] * min((number - 1) // 26 + 1, 4)
        return letter.upper() if style == "upperLetter" else letter
    if style in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        text = ""
        rest = number
        for size, sign in _ROMAN:
            text += sign * (rest // size)
            rest %= size
        text += _ROMAN_ONES[rest]
        return text.upper() if style == "upperRoman" else text
    return f"{number:02}" if style == "decimalZero" else str(number)
