"""The tables on one sheet: cells that lie together, told apart by empty rows and columns."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from assistant.loaders.tables import Rows

_NUMBER = re.compile(r"[-+−(]?\s*(?:[$€£¥]\s*)?[-+−]?\d[\d.,'’\s]*\s*(?:%|[$€£¥])?\)?|\d{4}-\d\d-\d\d.*|\d{1,2}:\d\d.*")
_YEAR = re.compile(r"(?:19|20)\d\d")
_REPEATED_LENGTH = 60  # characters; a longer text is not written again for each row it covers
_MAX_MERGES = 5000
_DEPTH = 4


@dataclass(frozen=True)
class Merge:
    """Cells shown as one: first row and column, last row and column, all counted from 0."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Region:
    """One table; its first `header_rows` rows say what the columns are."""

    rows: Rows
    header_rows: int


def regions(rows: list[list[str]], merges: Sequence[Merge] = ()) -> Iterator[Region]:
    """Yield the tables of a sheet, from top to bottom and left to right; `rows` is filled where cells are merged."""
    _fill(rows, merges)
    width = max(map(len, rows), default=0)
    for row in rows:
        row.extend([""] * (width - len(row)))
    for part in _parts(rows, _DEPTH):
        yield Region(part, header_rows(part))


def header_rows(rows: Rows) -> int:
    """Guess how many rows are the header: those above the first numbers, as long as one row completes the other."""
    start = next((index for index, row in enumerate(rows) if _filled(row) > 1), 0)
    count = 1
    while count < 3 and start + count + 1 < len(rows):
        above, row = rows[start + count - 1], rows[start + count]
        completes = not row[0] or _filled(above) < _filled(row)
        if _has_number(above) or _has_number(row) or not completes or not any(map(_has_number, rows[start + count + 1 :])):
            break
        count += 1
    return count


def _fill(rows: list[list[str]], merges: Sequence[Merge]) -> None:
    """Write the text of merged cells into each row they cover, and over each column of a header."""
    for merge in merges[:_MAX_MERGES]:
        if not (0 <= merge.top < len(rows) and 0 <= merge.left < len(rows[merge.top])):
            continue
        text = rows[merge.top][merge.left]
        if not text or len(text) > _REPEATED_LENGTH:
            continue
        for row in rows[merge.top + 1 : merge.bottom + 1]:
            if merge.left < len(row) and any(row):
                row[merge.left] = row[merge.left] or text
        row = rows[merge.top]
        if _filled(row) > 1:
            for column in range(merge.left + 1, min(merge.right + 1, len(row))):
                row[column] = row[column] or text


def _filled(row: Sequence[str]) -> int:
    return sum(map(bool, row))


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell)) and not _YEAR.fullmatch(cell)


def _has_number(row: Sequence[str]) -> bool:
    return any(map(_is_number, row))


def _parts(rows: Rows, depth: int) -> Iterator[Rows]:
    columns = _split_columns(rows)
    if len(columns) > 1 and depth:
        for part in columns:
            yield from _parts(part, depth - 1)
        return
    pieces = _split_rows(rows)
    for piece in pieces:
        if len(pieces) > 1 and depth:
            yield from _parts(piece, depth - 1)
        else:
            yield piece


def _split_rows(rows: Rows) -> list[Rows]:
    """Cut at empty rows, but not between a table's header and its numbers, or where it only takes breath."""
    pieces: list[list[Sequence[str]]] = []
    open_piece = False
    for row in rows:
        if not any(row):
            open_piece = False
            continue
        if not open_piece and not (pieces and _goes_on(pieces[-1], row)):
            pieces.append([])
        open_piece = True
        pieces[-1].append(row)
    return list(pieces)


def _goes_on(table: Rows, row: Sequence[str]) -> bool:
    """Whether `row`, after a gap, belongs to the table above: it has numbers and stands in the table's columns."""
    if not _has_number(row) or max(map(_filled, table)) < 2:
        return False
    return all(any(above[column] for above in table) for column, cell in enumerate(row) if cell)


def _split_columns(rows: Rows) -> list[Rows]:
    """Cut at the empty columns that have a table of its own on their right: with a header, and words in its first column."""
    if not rows:
        return []
    width = len(rows[0])
    used = [any(row[column] for row in rows) for column in range(width)]
    cuts = [0]
    for column in range(2, width):
        if used[column] and not used[column - 1] and column - cuts[-1] > 2 and _starts_table(rows, used, column):
            cuts.append(column)
    cuts.append(width)
    return [[row[left:right] for row in rows] for left, right in pairwise(cuts)]


def _starts_table(rows: Rows, used: Sequence[bool], column: int) -> bool:
    if column + 1 >= len(used) or not used[column + 1]:
        return False
    filled = [row for row in rows if any(row[column:])]
    labels = [row[column] for row in filled if row[column]]
    full_header = bool(filled[0][column]) and not _has_number(filled[0][column:])
    return full_header and len(labels) > 2 and sum(map(_is_number, labels)) * 2 < len(labels)
