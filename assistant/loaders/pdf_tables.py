"""Rows of cells that line up become tables; other rows become lines."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from assistant.loaders.pdf_layout import LEADER, MARK, Fragment, Row, rows_of

_MAX_CELLS = 60
_TRIES = 5  # rows that a table may begin with later than its first row
_SPACE = 0.4  # of the font size: a wider space may part two columns
_WINDOW = 20  # rows above, that a row must line up with


@dataclass(slots=True)
class Line(Fragment):
    """A printed line of a column; `apart` when it must not be joined with its neighbours."""

    apart: bool = False


@dataclass(slots=True)
class Table:
    """Rows of cells, all of the same number."""

    rows: list[list[str]] = field(default_factory=list)


def _table_columns(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the (left, right) of the columns of `rows`; a few rows may have a cell over several."""
    several = [row for row in rows if len(row) > 1]
    allowed = max(len(several) // 8, len(several) > 3)
    edges = sorted(edge for row in several for cell in row for edge in ((cell.left, 1), (cell.right, -1)))
    columns: list[tuple[float, float]] = []
    depth, start = 0, 0.0
    for x, change in edges:
        before, depth = depth, depth + change
        if before <= allowed < depth:
            start = x
        elif depth <= allowed < before:
            columns.append((start, x))
    return columns


def _overlaps(left: float, right: float, columns: Sequence[tuple[float, float]]) -> list[int]:
    return [at for at, column in enumerate(columns) if min(right, column[1]) > max(left, column[0])]


def _nearest(left: float, right: float, columns: Sequence[tuple[float, float]]) -> int:
    middle = (left + right) / 2
    return min(range(len(columns)), key=lambda at: max(columns[at][0] - middle, middle - columns[at][1], 0))


def _split(cell: Fragment, columns: Sequence[tuple[float, float]]) -> list[int] | None:
    """Return the column of each word of a cell over several columns, None when it is one text over them."""
    at = [_nearest(left, right, columns) for _, left, right, _ in cell.words]
    one_text = any(len(_overlaps(left, right, columns)) > 1 for _, left, right, _ in cell.words) or any(
        a != b and after[1] - before[2] < _SPACE * cell.size
        for (a, before), (b, after) in pairwise(zip(at, cell.words, strict=True))
    )
    return None if one_text else at


def _cells(row: Row, columns: Sequence[tuple[float, float]]) -> list[str]:
    cells = [""] * len(columns)
    for cell in row:
        over = _overlaps(cell.left, cell.right, columns)
        split = _split(cell, columns) if len(over) > 1 and len(row) > 1 and cell.words else None
        if split is None:
            # A cell over several columns stands in the first of them.
            at = over[0] if over else _nearest(cell.left, cell.right, columns)
            cells[at] = f"{cells[at]} {cell.text}".strip()
            continue
        for at, (text, _, _, spaced) in zip(split, cell.words, strict=True):
            cells[at] += f"{' ' if spaced and cells[at] else ''}{text}"
    return cells


def _merge_complements(cells: list[list[str]]) -> list[list[str]]:
    """Join neighbouring columns that are never both filled: the head of one stands over the numbers of the other."""
    at = 0
    while cells and at + 1 < len(cells[0]):
        if any(row[at] and row[at + 1] for row in cells):
            at += 1
        else:
            cells = [[*row[:at], row[at] or row[at + 1], *row[at + 2 :]] for row in cells]
    return cells


def _merge_wrapped(cells: list[list[str]], rows: Sequence[Row]) -> list[list[str]]:
    """Join the lines of cells with several, when the rows of the table stand further apart than these lines."""
    distances = [above[0].base - below[0].base for above, below in pairwise(rows)]
    near = 1.2 * min(distances)
    if near > 1.9 * max(row[0].size for row in rows) or sum(distance > near for distance in distances) < 0.3 * len(distances):
        return cells
    merged = [cells[0]]
    for row, distance in zip(cells[1:], distances, strict=True):
        both = [(a, b) for a, b in zip(merged[-1], row, strict=True) if a and b]
        more = sum(map(bool, merged[-1])) > sum(map(bool, row))
        if distance <= near and both and more and not any(b[0].isdigit() for _, b in both):
            merged[-1] = [f"{a} {b}".strip() for a, b in zip(merged[-1], row, strict=True)]
        else:
            merged.append(row)
    return merged


def _is_aligned(rows: Sequence[Row], column: tuple[float, float]) -> bool:
    """Whether most cells of a column begin, end or have their middle at one x."""
    cells = [cell for row in rows for cell in row if cell.left >= column[0] - 1 and cell.right <= column[1] + 1]
    if len(cells) < 2:
        return True
    for places in ([c.left for c in cells], [c.right for c in cells], [(c.left + c.right) / 2 for c in cells]):
        middle = statistics.median(places)
        if sum(abs(place - middle) < 0.4 * cells[0].size for place in places) >= 0.5 * len(places):
            return True
    return False


def _table(rows: Sequence[Row]) -> Table | None:
    columns = _table_columns(rows)
    if not 2 <= len(columns) <= _MAX_CELLS or sum(len(row) > 1 for row in rows) < 2:
        return None
    if sum(_is_aligned(rows, column) for column in columns) < 0.7 * len(columns):
        return None
    cells = _merge_complements(_merge_wrapped([_cells(row, columns) for row in rows], rows))
    return Table(cells) if len(cells[0]) > 1 else None


def _table_end(rows: Sequence[Row], start: int) -> int:
    """Return the index after the last row of a table that starts with row `start`."""
    distances: list[float] = []
    most = len(rows[start])
    end = start + 1
    for at in range(start + 1, len(rows)):
        row, above = rows[at], rows[at - 1]
        distance = above[0].base - row[0].base
        usual = statistics.median(distances[-_WINDOW:]) if distances else 0
        head = at == start + 1 and len(row) == len(above) > 2
        if distance > max(2.2 * usual, (4.5 if head else 3) * row[0].size):
            break
        if len(row) > 1:
            count = len(_table_columns(rows[max(start, at - _WINDOW) : at + 1]))
            if count < max(2, 0.6 * most):
                break
            most = max(most, count)
            end = at + 1
        else:
            columns = _table_columns(rows[max(start, at - _WINDOW) : at])
            over = _overlaps(row[0].left, row[0].right, columns)
            note = any(abs(row[0].left - left) < 0.4 * row[0].size for left, _ in columns[1:])  # a line below a cell
            below = len(over) == 1 and over[0] > 0  # one of the lines of a cell
            if (len(over) > 1 and not note) or at - end >= (12 if below else 2) or row[0].size > above[0].size + 0.5:
                break
            if note and distance < 1.7 * above[0].size:
                end = at + 1
        distances.append(distance)
    return end


def _side_heads(rows: Sequence[Row]) -> list[Line] | None:
    """Return the lines of running text with heads beside it, each head before its text; None when it is no such text."""
    columns = _table_columns(rows)
    wide = max(columns, key=lambda column: column[1] - column[0], default=(0.0, 0.0))
    text = [cell.text for row in rows for cell in row if min(cell.right, wide[1]) - max(cell.left, wide[0]) > 0]
    lower = sum(line[:1].islower() for line in text)
    if len(text) < 4 or lower < 0.3 * len(text) or statistics.fmean(map(len, text)) < 40:
        return None
    at = columns.index(wide)
    marks = [c for row in rows for c in row if at and c.left > columns[at - 1][0] - 1 and c.right < columns[at - 1][1] + 1]
    if at and all(MARK.fullmatch(cell.text) for cell in marks):
        at -= 1
    x = columns[at][0] - 1
    if at == 0 or any(cell.left < x < cell.right for row in rows for cell in row):
        return None
    lines: list[Line] = []
    waiting: list[Line] = []  # the text beside the head that is being read
    last_head = math.inf  # the base of the last row with a head, when it was the row above
    for row in rows:
        heads = [cell for cell in row if cell.left < x]
        rest = [cell for cell in row if cell.left >= x]
        if heads:
            if last_head - heads[0].base > 1.8 * heads[0].size:
                lines, waiting = [*lines, *waiting], []
            lines.append(_line(heads, " "))
        last_head = heads[0].base if heads else math.inf
        if rest:
            waiting.append(_line(rest, " "))
    return [*lines, *waiting]


def _line(cells: Sequence[Fragment], joint: str) -> Line:
    longest = max(cells, key=lambda cell: len(cell.text))
    text = joint.join(cell.text for cell in cells)
    leader = LEADER.search(text)
    left, right = min(cell.left for cell in cells), max(cell.right for cell in cells)
    apart = (joint == " | " and len(cells) > 1) or (leader is not None and len(leader.group()) > 12)
    text = LEADER.sub(" … ", text).strip() if apart else text
    return Line(text, left, right, longest.base, longest.size, all(c.bold for c in cells), all(c.mono for c in cells), [], apart)


def _as_lines(row: Row, neighbours: Sequence[Row]) -> list[Line]:
    """Make lines of a row that is in no table; cells stay apart unless it is a spaced out line of a paragraph."""
    if max(cell.size for cell in row) > 1.15 * min(cell.size for cell in row):
        return [_line([cell], "") for cell in row]
    size = row[0].size
    close = all(abs(after.left - before.right) < 2.2 * size for before, after in pairwise(row))
    stretched = close and any(
        len(other) == 1 and other[0].left < row[0].left + 2 * size and other[0].right > row[-1].right - 2 * size
        for other in neighbours
    )
    return [_line(row, " " if stretched else " | ")]


def lines_and_tables(part: Sequence[Fragment]) -> list[Line | Table]:
    """Return what one column of a page holds, down the page."""
    rows = rows_of(part)
    found: list[Line | Table] = []
    at = tried_to = tries = 0
    while at < len(rows):
        if at >= tried_to:
            tries = 0
        if len(rows[at]) > 1 and tries < _TRIES:
            end = _table_end(rows, at)
            beside = end
            while (
                beside < len(rows)
                and len(rows[beside]) == 1
                and rows[beside - 1][0].base - rows[beside][0].base < 2 * rows[at][0].size
            ):
                beside += 1
            text = _side_heads(rows[at:beside])
            table = None if text else _table(rows[at:end])
            end = beside if text else end
            if text or table:
                found += text or ([table] if table else [])
                at = end
                continue
            tried_to, tries = max(end, tried_to), tries + 1
        found += _as_lines(rows[at], [*rows[max(at - 1, 0) : at], *rows[at + 1 : at + 2]])
        at += 1
    return found
