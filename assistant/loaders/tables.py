"""Rows become Markdown tables, small enough that the rows of a chunk stand under their header."""

import re
from collections.abc import Iterator, Sequence

from assistant.loaders.building import PAGE

GROUP_TOKENS = 180  # a chunk holds 256, with title and heading
_HEADER_LENGTH = 60  # characters of a header's cell where it is repeated
_TOKEN = re.compile(r"[A-Za-z]{1,5}|\d{1,2}|[^\sA-Za-z\d]")  # about what WordPiece makes of a text, rather too many

Rows = Sequence[Sequence[str]]


def tokens(text: str) -> int:
    """Estimate the tokens of `text`."""
    return len(_TOKEN.findall(text))


def table_blocks(rows: Rows, header_rows: int = 1) -> Iterator[str]:
    """Yield the blocks of text that show `rows`, of any lengths, whose first `header_rows` are their header.

    Lines of a single cell above and below are paragraphs. What is longer than `GROUP_TOKENS` is cut into several
    tables with the same header; rows too wide for that become lists of "header: value".
    """
    grid = _rectangle(rows)
    if not grid:
        return
    width = len(grid[0])
    if width == 1:
        yield from _lines(grid)
        return
    first, last = 0, len(grid)
    while first < last and _single(grid[first]):
        yield grid[first][0]
        first += 1
    while last > first + 1 and _single(grid[last - 1]):
        last -= 1
    if first < last:
        body_start = min(first + max(header_rows, 1), last)
        yield from _groups(_joined_header(grid[first:body_start]), grid[body_start:last])
    for row in grid[last:]:
        yield row[0]


def _rectangle(rows: Rows) -> list[list[str]]:
    """Return `rows` of equal length, without empty rows and columns, each cell in one line."""
    cleaned = [[" ".join(cell.split()) for cell in row] for row in rows]
    cleaned = [row for row in cleaned if any(row)]
    width = max(map(len, cleaned), default=0)
    used = [column for column in range(width) if any(column < len(row) and row[column].strip(PAGE) for row in cleaned)]
    return [[row[column] if column < len(row) else "" for column in used] for row in cleaned] if used else []


def _single(row: Sequence[str]) -> bool:
    return bool(row[0]) and not any(row[1:])


def _joined_header(rows: Rows) -> list[str]:
    """Return one header for several rows of it, one above the other: "2023 Sales"."""
    return [" ".join(dict.fromkeys(filter(None, column))).replace(PAGE, "") for column in zip(*rows, strict=True)]


def _lines(grid: Rows) -> Iterator[str]:
    """Yield the cells of a single column, in paragraphs of lines."""
    group: list[str] = []
    used = 0
    for row in grid:
        size = tokens(row[0])
        if group and used + size > GROUP_TOKENS:
            yield "\n".join(group)
            group, used = [], 0
        group.append(f"- {row[0]}" if len(grid) > 1 else row[0])
        used += size
    yield "\n".join(group)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _clip(text: str) -> str:
    return text if len(text) <= _HEADER_LENGTH else text[: _HEADER_LENGTH - 1].rstrip() + "…"


def _groups(header: Sequence[str], body: Rows) -> Iterator[str]:
    """Yield tables of some rows each; the header is whole once and clipped where it comes again."""
    bar = f"\n|{' - |' * len(header)}"
    head, again = _row(header) + bar, _row([_clip(cell) for cell in header]) + bar
    lines = [_row(row) for row in body]
    sizes = [tokens(line) for line in lines]
    head_size = tokens(again)
    if body and head_size + sorted(sizes)[len(sizes) // 2] > GROUP_TOKENS:
        if any(len(cell) > _HEADER_LENGTH for cell in header):
            yield "\n".join(f"- {cell}" for cell in header if cell)
        for row in body:
            yield from _records([_clip(cell) for cell in header], row)
        return
    group: list[str] = []
    used = tokens(head)
    for line, size in zip(lines, sizes, strict=True):
        if group and used + size > GROUP_TOKENS:
            yield "\n".join([head, *group])
            head, group, used = again, [], head_size
        group.append(line)
        used += size
    yield "\n".join([head, *group])


def _records(header: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    """Yield one row as "- header: value" lines; each block begins with its first cell."""
    lines = [f"- {name}: {cell}" if name else f"- {cell}" for name, cell in zip(header, row, strict=True) if cell]
    lead = _clip(lines[0].replace(PAGE, ""))
    group, used = [lines[0]], tokens(lines[0])
    for line in lines[1:]:
        size = tokens(line)
        if len(group) > 1 and used + size > GROUP_TOKENS:
            yield "\n".join(group)
            group, used = [lead], tokens(lead)
        group.append(line)
        used += size
    yield "\n".join(group)
