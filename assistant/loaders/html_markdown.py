"""HTML elements become Markdown: headings, lists, tables, code and paragraphs; links and emphasis leave their words."""

import re
from itertools import zip_longest
from typing import Any

from assistant.loaders.tables import table_blocks

_SKIPPED = {
    *("script", "style", "noscript", "template", "head", "title", "meta", "link", "svg", "canvas", "video", "audio"),
    *("object", "embed", "iframe", "map", "input", "select", "option", "textarea", "button", "datalist", "rp", "rt"),
}
_INLINE = {
    *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins"),
    *("kbd", "label", "mark", "nobr", "output", "q", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub"),
    *("sup", "time", "tt", "u", "var", "wbr", "img", "math"),
}
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_BULLET = re.compile(r"^([•●▪■◦○·‣–—*-]|o|\(?\w{1,4}[.)])$")
_LONG_CELL = 1500  # characters: a cell of this length is part of a page's layout
_MAX_SPAN = 100
_MAX_ROWS = 20_000


def to_markdown(root: Any) -> str:
    """Return the text of an lxml element and what it holds as Markdown, its blocks parted by empty lines."""
    return "\n\n".join(_blocks(root))


class _Writer:
    """Collects blocks; `line` is the paragraph being written."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.line: list[str] = []

    def flush(self) -> None:
        """End the paragraph."""
        # Two line breaks part paragraphs.
        for text in re.split(r"\n{2,}", _squeeze("".join(self.line))):
            if text:
                # What looks like a heading but is none would be taken for one.
                self.blocks.append(re.sub(r"^(?=#{1,6}\s)", r"\\", text, flags=re.MULTILINE))
        self.line = []


def _blocks(element: Any) -> list[str]:
    writer = _Writer()
    _write(element, writer)
    writer.flush()
    return writer.blocks


def _write(element: Any, writer: _Writer) -> None:
    """Write what `element` holds, without what follows it."""
    tag = element.tag
    if not isinstance(tag, str) or tag in _SKIPPED:
        return
    if tag == "br":
        writer.line.append("\n")
    elif tag == "img":
        alt = element.get("alt") or ""
        if "math" in (element.get("class") or ""):
            writer.line.append(alt.replace("\n", " "))
    elif tag == "math":
        writer.line.append(_formula(element))
    elif tag == "sup":
        inner = _inline(element)
        raised = re.fullmatch(r"[-−+]?\d+", inner) and "".join(writer.line)[-1:].isdigit()
        writer.line.append(("^" if raised else "") + inner)
    elif tag in _HEADINGS:
        writer.flush()
        text = _inline(element).replace("\n", " ")
        if text:
            writer.blocks.append("#" * int(tag[1]) + " " + text)
    elif tag == "pre":
        writer.flush()
        text = "".join(_raw(element)).strip("\n").expandtabs(4)
        if text.strip():
            fence = "~~~" if "```" in text else "```"
            writer.blocks.append(f"{fence}\n{text}\n{fence}")
    elif tag in ("ul", "ol", "menu", "dir"):
        writer.flush()
        _write_list(element, writer, tag == "ol")
    elif tag == "table":
        writer.flush()
        _write_table(element, writer)
    elif tag in _INLINE or ":" in tag:
        _write_children(element, writer)
    else:
        writer.flush()
        _write_children(element, writer)
        writer.flush()


def _write_children(element: Any, writer: _Writer) -> None:
    if element.text:
        writer.line.append(_flat(element.text))
    for child in element:
        _write(child, writer)
        if child.tail:
            writer.line.append(_flat(child.tail))


def _write_list(element: Any, writer: _Writer, numbered: bool) -> None:
    """Write a list as one block; what an item holds beside its first line is indented."""
    start = element.get("start") or "1"
    number = int(start) if start.isdecimal() and len(start) < 7 else 1
    lines: list[str] = []
    for item in element:
        blocks = _blocks(item)
        if blocks and item.tag in ("ul", "ol"):  # a list right in a list
            lines += ["  " + line for line in blocks[0].split("\n")]
            continue
        if not blocks:
            continue
        mark = f"{number}. " if numbered else "- "
        number += 1
        # A heading in an item is a line of it.
        text = "\n".join(re.sub(r"^#{1,6} ", "", block) for block in blocks)
        lines.append(mark + text.replace("\n", "\n" + " " * len(mark)))
    if lines:
        writer.blocks.append("\n".join(lines))


def _write_table(element: Any, writer: _Writer) -> None:
    rows = element.xpath("./tr|./thead/tr|./tbody/tr|./tfoot/tr")[:_MAX_ROWS]
    caption = element.find("caption")
    if caption is not None:
        writer.blocks += _blocks(caption)
    cells = [cell for row in rows for cell in row if cell.tag in ("td", "th")]
    nested = any(cell.find(".//table") is not None or any(True for _ in cell.iter(*_HEADINGS)) for cell in cells)
    narrow = all(sum(bool(cell.text_content().strip()) for cell in row) < 2 for row in rows)
    if nested or narrow or any(len(cell.text_content()) > _LONG_CELL for cell in cells):
        for cell in cells:
            writer.blocks += _blocks(cell)
        return
    shapes = [[cell.tag for cell in row if cell.tag in ("td", "th")] for row in rows]
    labelled = sum(shape == ["th", "td"] for shape in shapes) * 2 > len(shapes) and shapes[0] != ["th", "th"]
    writer.blocks += _rows_as_blocks(_grid(rows), labelled)


def _grid(rows: list[Any]) -> list[list[str]]:
    """Lay the cells out: what spans rows is repeated, what spans columns is followed by empty cells."""
    grid: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}  # column -> rows left, text
    for row in rows:
        line: list[str] = []

        def hang(line: list[str] = line) -> None:
            while len(line) in hanging:
                left, text = hanging.pop(len(line))
                if left > 1:
                    hanging[len(line)] = (left - 1, text)
                line.append(text)

        for cell in row:
            if cell.tag not in ("td", "th"):
                continue
            hang()
            # A list in a cell is one line.
            text = " ".join(re.sub(r"\n *(- |\d+\. )", "; ", block).removeprefix("- ") for block in _blocks(cell))
            text = " ".join(text.split())
            height = _span(cell.get("rowspan"))
            for column in range(_span(cell.get("colspan"))):
                if height > 1:
                    hanging[len(line)] = (height - 1, "" if column else text)
                line.append("" if column else text)
        hang()
        grid.append(line)
    return grid


def _span(value: str | None) -> int:
    digits = re.match(r"\s*(\d{1,4})", value or "")
    return min(max(int(digits.group(1)), 1), _MAX_SPAN) if digits else 1


def _rows_as_blocks(grid: list[list[str]], labelled: bool) -> list[str]:
    """Return rows of cells as a Markdown table, or as lines where they are no table.

    Empty rows and columns go; signs that stand in a cell of their own join the number they belong to. One column
    becomes paragraphs, bullets beside texts a list; so do texts whose rows are `labelled` by their first cell.
    """
    rows = [_join_signs(row) for row in grid]
    columns = [column for column in zip_longest(*rows, fillvalue="") if any(column)]
    rows = [list(row) for row in zip(*_join_columns(columns), strict=True) if any(row)]
    if not rows:
        return []
    if len(rows[0]) == 1:
        return [row[0] for row in rows]
    if len(rows) == 1:
        first, *rest = (cell for cell in rows[0] if cell)
        return [f"- {' '.join(rest)}" if _BULLET.match(first) and not first[0].isalnum() and rest else " ".join([first, *rest])]
    if len(rows[0]) == 2 and all(_BULLET.match(row[0]) for row in rows):
        return [
            "\n".join(f"- {row[1]}" if not row[0].strip("()")[:1].isalnum() or row[0] == "o" else " ".join(row) for row in rows)
        ]
    if labelled and len(rows[0]) == 2:
        return ["\n".join(f"- {label}: {text}" if label and text else f"- {label or text}" for label, text in rows)]
    # Without a name for the first column a second row may go on with the header.
    header_rows = 2 if len(rows) > 2 and not rows[0][0] and not rows[1][0] else 1
    return list(table_blocks(rows, header_rows))


def _join_columns(columns: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Join a column without a header to the one before it where no row has a text in both: a header spans them."""
    joined: list[tuple[str, ...]] = []
    for column in columns:
        headless = joined and any(any(joined[-1][:rows]) and not any(column[:rows]) for rows in (1, 2))
        if headless and not any(a and b for a, b in zip(joined[-1], column, strict=True)):
            joined[-1] = tuple(a or b for a, b in zip(joined[-1], column, strict=True))
        else:
            joined.append(column)
    return joined


def _join_signs(row: list[str]) -> list[str]:
    """Join `$`, `)` and `%` in cells of their own, as in financial tables, to the number beside them."""
    cells = list(row)
    for place, cell in enumerate(cells):
        if cell in ("$", "€", "£", "¥", "($", "("):
            after = next((n for n in range(place + 1, len(cells)) if cells[n]), 0)
            if after and re.match(r"[(\d—–-]", cells[after]):
                cells[place], cells[after] = "", cell + cells[after]
        elif cell in (")", "%", ")%", "%)"):
            before = next((n for n in range(place - 1, -1, -1) if cells[n]), -1)
            if before >= 0 and cells[before][-1:] in "0123456789)—–-":
                cells[place], cells[before] = "", cells[before] + cell
    return cells


def _inline(element: Any) -> str:
    writer = _Writer()
    _write_children(element, writer)
    writer.flush()
    return " ".join(writer.blocks)


def _raw(element: Any) -> list[str]:
    """Return the text as written; a `br` is a line end."""
    texts: list[str] = []
    for child in element.iter():
        if child.tag == "br":
            texts.append("\n")
        elif isinstance(child.tag, str) and child.tag not in _SKIPPED and child.text:
            texts.append(child.text)
        if child is not element and child.tail:
            texts.append(child.tail)
    return texts


def _formula(element: Any) -> str:
    written = element.find(".//annotation")
    text = written.text if written is not None and written.text else element.text_content()
    return f" {' '.join((text or '').split())} "


def _flat(text: str) -> str:
    return re.sub(r"[ \t\r\n\f\v]+", " ", text)


def _squeeze(text: str) -> str:
    """Trim the lines, and make blanks of all kinds single ones."""
    lines = (re.sub(r"[ \xa0\u2002-\u200a\u202f\u3000]+", " ", line.replace("\xad", "")).strip() for line in text.split("\n"))
    return "\n".join(lines).strip()
