"""OpenDocument text (.odt) through lxml: headings, lists, tables, notes, text boxes."""

from collections.abc import Iterator
from typing import Any

from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.building import TextBuilder, picture
from assistant.loaders.office import open_office, parsing, read_xml, refuse_encrypted_opendocument
from assistant.loaders.regions import header_rows
from assistant.loaders.tables import table_blocks

_T = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_SKIPPED = {_T + name for name in ("tracked-changes", "sequence-decls", "table-of-content", "alphabetical-index", "bibliography")}
_MAX_REPEATED = 50  # times a cell or row is written that the file says is repeated


def load_odt(data: bytes) -> Parsed:
    """Read an OpenDocument text.

    Raises `DocumentError` when it is damaged, no such text, encrypted, or would unpack to too much.
    """
    opened = open_office(data)
    names = opened.namelist()
    refuse_encrypted_opendocument(opened)
    if "content.xml" not in names:
        raise DocumentError("it is no OpenDocument text")
    with parsing():
        content = read_xml(opened, "content.xml")
        body = content.find(f"{_OFFICE}body/{_OFFICE}text")
        if body is None:
            raise DocumentError("it is no OpenDocument text")
        styles = _titles(content)
        if "styles.xml" in names:
            styles |= _titles(read_xml(opened, "styles.xml"))
        reader = _Reader(styles)
        reader.blocks(body)
        title = read_xml(opened, "meta.xml").findtext(f".//{_DC}title") if "meta.xml" in names else ""
        return reader.builder.parsed(title or "")


def _titles(root: Any) -> set[str]:
    """Return the names of the styles that are "Title" or made from it."""
    return {
        str(style.get(_STYLE + "name"))
        for style in root.iter(_STYLE + "style")
        if "Title" in (style.get(_STYLE + "name"), style.get(_STYLE + "parent-style-name"))
    }


class _Reader:
    """One text being read; `pending` holds notes and boxes until the paragraph is written."""

    def __init__(self, titles: set[str]) -> None:
        self.titles = titles
        self.builder = TextBuilder()
        self.pending: list[str | Any] = []

    def blocks(self, parent: Any, depth: int = 0) -> None:
        """Write the paragraphs, lists and tables under `parent`; `depth` is that of its list."""
        for element in parent:
            if element.tag in _SKIPPED or not isinstance(element.tag, str):
                continue
            if element.tag == _T + "h":
                level = str(element.get(_T + "outline-level") or "1")
                self.builder.heading(int(level) if level.isdigit() else 1, self._inline(element))
            elif element.tag == _T + "p" and element.get(_T + "style-name") in self.titles:
                self.builder.heading(1, self._inline(element))
            elif element.tag == _T + "p":
                self.builder.add(self._inline(element).strip())
            elif element.tag == _T + "list":
                self._list(element, depth)
            elif element.tag == _TABLE + "table":
                self._table(element)
            else:  # sections, frames, indexes
                self.blocks(element, depth)
            self._flush()

    def _flush(self) -> None:
        self.builder.add_waiting(self.pending, self.blocks)

    def _list(self, element: Any, depth: int) -> None:
        for item in element:
            first = True
            for child in item:
                if child.tag in (_T + "p", _T + "h"):
                    text = " ".join(self._inline(child).split())
                    if child.tag == _T + "h":  # a numbered heading
                        self.builder.heading(int(child.get(_T + "outline-level") or 1), text)
                    elif text:
                        self.builder.add(f"{'  ' * min(depth, 8)}{'- ' if first else '  '}{text}", item=True)
                    first = False
                elif child.tag == _T + "list":
                    self._list(child, depth + 1)
                elif child.tag == _TABLE + "table":
                    self._table(child)
        self._flush()

    def _inline(self, element: Any) -> str:
        pieces = [element.text or ""]
        for child in element:
            pieces += [self._piece(child), child.tail or ""]
        return "".join(pieces)

    def _piece(self, element: Any) -> str:
        tag = element.tag
        if tag == _T + "s":
            return " "
        if tag in (_T + "tab", _T + "line-break"):
            return "\t" if tag == _T + "tab" else "\n"
        if tag == _T + "soft-page-break":
            return ""
        if tag == _T + "note":
            mark = "".join(element.itertext(_T + "note-citation")).strip()
            body = element.find(_T + "note-body")
            self.pending.append(f"[^{mark}]: {self._cell(body) if body is not None else ''}")
            return f"[^{mark}]"
        if tag == _OFFICE + "annotation":
            author = element.findtext(_DC + "creator") or ""
            text = " ".join(" ".join(map(self._inline, element.iter(_T + "p"))).split())
            self.pending.append(f"[Comment by {author}: {text}]" if author else f"[Comment: {text}]")
            return ""
        if tag == _T + "a":
            text, target = self._inline(element), str(element.get(_XLINK + "href") or "")
            return f"[{' '.join(text.split())}]({target})" if text.strip() and "://" in target and target != text else text
        if isinstance(tag, str) and tag.startswith(_DRAW):
            return self._drawing(element)
        return self._inline(element) if isinstance(tag, str) else ""

    def _drawing(self, element: Any) -> str:
        boxes = list(element.iter(_DRAW + "text-box"))
        self.pending += boxes[:1] if boxes else [element]
        return picture(next((text.text or "" for text in element.iter("{*}desc")), "")) if not boxes else ""

    def _cell(self, cell: Any) -> str:
        """Return all text of a cell or note in one line, a table in it as "a, b; c, d"."""
        pieces: list[str] = []
        for element in cell:
            if element.tag in (_T + "p", _T + "h"):
                pieces.append(self._inline(element))
            elif element.tag == _TABLE + "table":
                pieces.append("; ".join(", ".join(filter(None, map(self._cell, _cells(row)))) for row in _rows(element)))
            elif isinstance(element.tag, str):
                pieces.append(self._cell(element))
        return " ".join(" ".join(pieces).split())

    def _table(self, table: Any) -> None:
        grid = [list(map(self._cell, _cells(row))) for row in _rows(table)]
        width = max(map(len, grid), default=0)
        grid = [row + [""] * (width - len(row)) for row in grid]
        for block in table_blocks(grid, header_rows(grid)):
            self.builder.add(block)


def _rows(table: Any) -> Iterator[Any]:
    for element in table:
        if element.tag == _TABLE + "table-row":
            yield from _repeated(element, "number-rows-repeated")
        elif element.tag in (_TABLE + "table-header-rows", _TABLE + "table-rows", _TABLE + "table-row-group"):
            yield from _rows(element)


def _cells(row: Any) -> Iterator[Any]:
    for element in row:
        if element.tag in (_TABLE + "table-cell", _TABLE + "covered-table-cell"):
            yield from _repeated(element, "number-columns-repeated")


def _repeated(element: Any, attribute: str) -> list[Any]:
    times = str(element.get(_TABLE + attribute) or "1")
    return [element] * min(int(times) if times.isdigit() else 1, _MAX_REPEATED)
