"""Rows of Markdown tables: a row says little without the header of its table."""

import re
from itertools import takewhile

_BAR = re.compile(r"[|\s:-]*-[|\s:-]*")  # the line of dashes under a header
_EDGE = re.compile(r"(?<!\\)\|")
BEFORE = 20_000  # characters before a passage in which the header of its first row is looked for


def header_of_row(text: str, at: int) -> str:
    """Return the header of the table in whose body character `at` of `text` is; "" when it is in none, or that has none."""
    end = text.find("\n", at)
    line, *above = reversed((text if end < 0 else text[:end]).split("\n"))
    table = list(takewhile(_is_row, above)) if _is_row(line) else []
    return table[-1].strip() if len(table) > 1 and _BAR.fullmatch(table[-2]) else ""


def header_above(before: str, text: str) -> str:
    """Return the header of the table that begins in `before` and goes on in `text`, which follows it; "" for none."""
    first = text.partition("\n")[0]
    # As a row under the first line has it, which may be the line of dashes itself.
    return header_of_row(f"{before}{first}\n|", len(before) + len(first) + 1) if "|" in first else ""


def header_in(header: str, text: str, at: int) -> str:
    """Return the header of the row at character `at` of `text`, "" for none; `header` is that of a table begun before the text."""
    if "|" not in text:
        return ""
    # Cut within a row, the text still begins with one.
    lead = f"{header}\n| - |\n{'' if text.startswith('|') else '| '}" if header else ""
    return header_of_row(lead + text, len(lead) + at)


def labelled(header: str, row: str) -> str:
    """Return a row as "header: cell" parts; "" where it has another number of cells than its header."""
    names, cells = (_EDGE.split(line.strip().removeprefix("|").removesuffix("|")) for line in (header, row))
    if len(names) != len(cells):
        return ""
    pairs = ((name.strip(), cell.strip().replace("\\|", "|")) for name, cell in zip(names, cells, strict=True))
    return " · ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)


def _is_row(line: str) -> bool:
    return line.lstrip().startswith("|")
