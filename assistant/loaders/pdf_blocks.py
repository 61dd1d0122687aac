"""Pages become blocks: headers and footers are dropped, lines joined to paragraphs over columns and pages."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from assistant.loaders.pdf_layout import HYPHENS, Fragment, rows_of
from assistant.loaders.pdf_tables import Line, Table

_NUMBERED = re.compile(r"^\W*(page\s+)?(\d{1,4}|[ivxl]{1,7})(\s*(of|/|von|sur|de)\s*\d+)?\W*$", re.IGNORECASE)
_LISTED = re.compile(
    r"(?:[•▪◦‣●○■□]|\(?\d{1,2}[.)]|\(?[a-z]\)|\([ivx]{1,4}\)|\[\d{1,3}\]|\d{1,2}(?:\.\d{1,3}){1,5}:|\d{1,3}(?:\.\d{1,3}){2,5})\s"
)
_PERHAPS_LISTED = re.compile(r"([–—·*-]|\d{1,2}(?:\.\d{1,2}){1,3}|\.\d{1,2})\s")  # also found within sentences
_EDGE_ROWS = 3  # headers and footers are looked for in so many rows at the top and the foot of a page
_END = tuple('.!?:;。！？…"”»)')

Item = Line | Table
Pages = Sequence[Sequence[Fragment]]


def _edges(fragments: Sequence[Fragment]) -> list[list[Fragment]]:
    rows = rows_of(sorted(fragments, key=lambda fragment: -fragment.base))
    return rows if len(rows) <= 2 * _EDGE_ROWS else rows[:_EDGE_ROWS] + rows[-_EDGE_ROWS:]


def _height(row: Sequence[Fragment]) -> int:
    return round(row[0].base / 4)


def _text(row: Sequence[Fragment]) -> str:
    return " ".join(fragment.text for fragment in row)


def _pattern(row: Sequence[Fragment]) -> str:
    """Return the text of a header without its numbers, or nothing when it is short or has amounts: these may be a sum."""
    text = _text(row)
    named = sum(map(str.isalpha, text)) > 12 and not re.search(r"[$€£¥%]|(?<![\d.,-])\d[\d.,]*[.,]\d\d(?![\d.,-])", text)
    return re.sub(r"\d+", "#", text) if named else ""


def _offsets(row: Sequence[Fragment], index: int) -> set[int]:
    """Return what must be added to a page's index to give the numbers in `row`."""
    return {int(number) - index for number in re.findall(r"(?<![\d.,])\d{1,4}(?![\d.,]*\d)", _text(row))}


def without_furniture(pages: Pages) -> list[list[Fragment]]:
    """Drop headers and footers: lone page numbers, what stands at the same place on most pages, and what has the page's number.

    On the first page such lines stay: a letter's head is there, too.
    """
    edges = [_edges(page) for page in pages]
    filled = sum(map(bool, pages))
    # Left and right pages differ, and in long texts the chapters: half of the pages is too much to ask.
    most = max(3.0, (0.4 if filled < 20 else 0.15) * filled)
    texts = Counter(place for rows in edges for place in {(_text(row), _height(row)) for row in rows})
    numbers = Counter(
        place for index, rows in enumerate(edges) for place in {(o, _height(row)) for row in rows for o in _offsets(row, index)}
    )
    patterns = Counter(place for rows in edges for place in {(_pattern(row), _height(row)) for row in rows})

    def is_furniture(row: list[Fragment], index: int, outermost: bool) -> bool:
        height = _height(row)
        if texts[_text(row), height] >= most or any(numbers[offset, height] >= most for offset in _offsets(row, index)):
            return True
        return outermost and bool(_pattern(row)) and patterns[_pattern(row), height] >= most

    kept: list[list[Fragment]] = []
    for index, (page, rows) in enumerate(zip(pages, edges, strict=True)):
        lone = [row for row in (rows[:1] + rows[-1:] if len(rows) > 1 else []) if _NUMBERED.match(_text(row))]
        dropped = {row[0].base for row in lone}
        half = (len(rows) + 1) // 2
        for side in (rows[:half], rows[: half - 1 : -1]) if index else ():
            outermost = True
            for row in side:
                if is_furniture(row, index, outermost):
                    dropped.add(row[0].base)
                outermost = outermost and row[0].base in dropped
        kept.append([f for f in page if not any(abs(f.base - base) <= 0.3 * f.size for base in dropped)])
    return kept


@dataclass(slots=True)
class Block:
    """A paragraph or a table: lines with the index of their page, or rows."""

    page: int
    lines: list[tuple[int, Line]] = field(default_factory=list)
    table: Table | None = None

    @property
    def size(self) -> float:
        return self.lines[0][1].size if self.lines else 0.0

    @property
    def bold(self) -> bool:
        return bool(self.lines) and all(line.bold for _, line in self.lines)


def usual_spacing(items: Iterable[Sequence[Item]], body: float) -> float:
    """Return the usual distance of two lines of the body font, as a multiple of its size."""
    distances = Counter(
        round(upper.base - lower.base, 1)
        for part in items
        for upper, lower in pairwise(part)
        if isinstance(upper, Line) and isinstance(lower, Line) and upper.size == lower.size == body and upper.base > lower.base
    )
    return min(distances.most_common(1)[0][0] / body, 2.5) if distances else 1.3


def _starts_paragraph(block: Block, line: Line, spacing: float) -> bool:
    """Whether `line`, below the last line of `block` in the same column, begins another paragraph."""
    first, last = block.lines[0][1], block.lines[-1][1]
    distance = last.base - line.base
    if line.apart or last.apart or abs(line.size - last.size) > 0.5 or line.mono != last.mono:
        return True
    if distance > 1.3 * spacing * line.size or distance < -0.5 * line.size:
        return True
    if line.mono:
        return False
    if line.left > last.right or line.right < last.left:
        return True
    if len(block.lines) > 1 and distance > 1.25 * (block.lines[-2][1].base - last.base) > 0:
        return True
    indent = 0.7 * line.size
    hanging = len(block.lines) > 1 and last.left > first.left + indent
    ended = last.text.endswith(_END)
    return bool(
        _LISTED.match(line.text)
        or (_PERHAPS_LISTED.match(line.text) and (ended or _PERHAPS_LISTED.match(first.text)))
        or (block.bold != line.bold and (block.bold or ended))
        or (line.left > last.left + indent and len(block.lines) > 1 and last.left <= first.left + indent and ended)
        or (hanging and line.left < last.left - indent)
    )


def _continues(block: Block, line: Line) -> bool:
    """Whether `line`, at the top of another column or page, goes on with the paragraph `block`."""
    last = block.lines[-1][1] if block.lines else None
    if last is None or last.apart or line.apart or abs(line.size - last.size) > 0.5 or last.bold != line.bold or last.mono:
        return False
    hyphen = last.text[-1:] in HYPHENS
    return hyphen or (line.text[:1].islower() and not last.text.endswith(_END) and not _LISTED.match(line.text))


def to_blocks(pages: Sequence[Sequence[Sequence[Item]]], spacing: float) -> list[Block]:
    """Join the lines of the columns of all pages to paragraphs."""
    blocks: list[Block] = []
    for page, parts in enumerate(pages):
        for part in parts:
            for at, item in enumerate(part):
                last = blocks[-1] if blocks else None
                if isinstance(item, Table):
                    blocks.append(Block(page, table=item))
                elif last is None or not last.lines:
                    blocks.append(Block(page, [(page, item)]))
                elif not _starts_paragraph(last, item, spacing) if at else _continues(last, item):
                    last.lines.append((page, item))
                else:
                    blocks.append(Block(page, [(page, item)]))
    return blocks
