"""Word (.docx, .docm) through lxml: headings, lists with their numbers, tables, notes, text boxes, page starts."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from assistant.documents import Parsed, Part
from assistant.errors import DocumentError
from assistant.loaders.building import MAX_TEXT, PAGE, TOO_LONG, TextBuilder, picture
from assistant.loaders.charts import chart_blocks, drawing_text
from assistant.loaders.equations import M, equation
from assistant.loaders.office import core_title, decrypted, links, open_office, parsing, read_xml, usual_xml
from assistant.loaders.regions import header_rows
from assistant.loaders.tables import table_blocks
from assistant.loaders.word_lists import Numbering, Style, W, read_numbering, read_styles, switched_on, value, within
from assistant.loaders.zips import read_member

_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_HEADING_LENGTH = 250
_SYMBOLS = {"F0FC": "✓", "F0FB": "✗", "F0FE": "☑", "F0A8": "☐", "F06F": "☐", "F0E0": "→", "F0B7": "•"}  # of Wingdings
_INSIDE = {W + name for name in ("ins", "moveTo", "smartTag", "customXml", "sdt", "sdtContent", "fldSimple", "dir", "bdo")}


def load_docx(data: bytes, passwords: Sequence[str]) -> Parsed:
    """Read the text of a Word file as the reader sees it: with tracked insertions, without deletions and hidden text.

    Raises `DocumentError` when it is damaged, no Word file, protected by an unknown password, or would unpack to too much.
    """
    opened = open_office(decrypted(data, passwords))
    main = next((link.target for link in links(opened).values() if link.kind == "officeDocument"), "")
    if main not in opened.namelist() or not main.endswith(".xml") or main.startswith(("xl/", "ppt/")):
        raise DocumentError("it is no Word document")
    with parsing():
        return _Reader(opened, main).read()


class _Reader:
    """One Word file being read; `pending` holds what stands after the paragraph in hand: notes, boxes, charts."""

    def __init__(self, opened: zipfile.ZipFile, main: str) -> None:
        self.opened, self.main = opened, main
        self.links = links(opened, main)
        self.builder = TextBuilder()
        self.styles: dict[str, Style] = {}
        self.numbering = Numbering()
        self.notes: dict[str, dict[str, str]] = {"footnote": {}, "endnote": {}, "comment": {}}
        self.pending: list[str | Any] = []
        self.warnings: dict[str, None] = {}
        self.rendered = False

    def _part(self, kind: str) -> Any:
        """Return the root of the part of this kind, or None."""
        for link in self.links.values():
            if link.kind == kind and link.target in self.opened.namelist():
                return read_xml(self.opened, link.target)
        return None

    def read(self) -> Parsed:
        if (root := self._part("styles")) is not None:
            self.styles = read_styles(root)
        if (root := self._part("numbering")) is not None:
            self.numbering = read_numbering(root)
        for kind, notes in self.notes.items():
            if (root := self._part(f"{kind}s")) is not None:
                for note in root.iter(W + kind):
                    text = self._cell(note)
                    author = str(note.get(W + "author") or "") if kind == "comment" else ""
                    notes[str(note.get(W + "id"))] = f"{author}: {text}" if author else text
        content = usual_xml(read_member(self.opened, self.main))
        # Word writes where its pages began; other programs only know the breaks that the author set.
        self.rendered = b"lastRenderedPageBreak" in content
        self.builder.page()
        for element in _top_level(content):
            self._block(element)
            if self.builder.length > MAX_TEXT:
                self.warnings[TOO_LONG] = None
                break
        self._headers_and_footers()
        if len(self.builder.pages) == 1 or (not self.rendered and len(self.builder.pages) != self._told_pages()):
            self.builder.pages.clear()
        return self._parsed()

    def _parsed(self) -> Parsed:
        parts: list[Part] = []
        for link in self.links.values():
            if link.kind in ("package", "aFChunk") and link.target in self.opened.namelist():
                parts.append(Part(link.target.rpartition("/")[2], read_member(self.opened, link.target)))
            elif link.kind == "oleObject":
                self.warnings["embedded objects are not read"] = None
            elif link.kind == "vbaProject":
                self.warnings["the macros are not read"] = None
        parsed = self.builder.parsed(core_title(self.opened), tuple(self.warnings))
        return Parsed(parsed.text, parsed.title, parsed.headings, parsed.pages, parsed.warnings, tuple(parts))

    def _told_pages(self) -> int:
        for link in links(self.opened).values():
            if link.kind == "extended-properties" and link.target in self.opened.namelist():
                pages = read_xml(self.opened, link.target).findtext("{*}Pages") or ""
                return int(pages) if pages.isdigit() else 0
        return 0

    def _headers_and_footers(self) -> None:
        """Write what stands in them once at the end, but for page numbers and what the text says anyway."""
        said: dict[str, None] = {}
        for link in self.links.values():
            if link.kind in ("header", "footer") and link.target in self.opened.namelist():
                for paragraph in read_xml(self.opened, link.target).iter(W + "p"):
                    line = " ".join(self._inline(paragraph).replace(PAGE, " ").split())
                    if re.search(r"[^\W\d]{3}", line) and not re.fullmatch(r"(?i)\W*page\W*\d*(\W*of\W*\d*)?\W*", line):
                        said[f"{link.kind.capitalize()}: {line}"] = None
        self.pending.clear()
        if said:
            self.builder.add("\n".join(said))

    def _block(self, element: Any) -> None:
        """Write a paragraph or table, or what is in a wrapper of such."""
        if element.tag == W + "p":
            self._paragraph(element)
        elif element.tag == W + "tbl":
            self._table(element)
        elif element.tag in _INSIDE or element.tag in (W + "tc", W + "txbxContent"):
            for child in element:
                self._block(child)
        elif element.tag == _MC + "AlternateContent":
            for child in _choice(element):
                self._block(child)

    def _style_chain(self, properties: Any) -> list[Style]:
        chain: list[Style] = []
        key = value(properties, "pStyle")
        while key in self.styles and len(chain) < 20:
            chain.append(self.styles[key])
            key = chain[-1].based_on
        return chain

    def _paragraph(self, paragraph: Any) -> None:
        properties = paragraph.find(W + "pPr")
        chain = self._style_chain(properties)
        if chain and chain[0].name.startswith("toc "):
            return  # a table of contents repeats the headings
        outline = value(properties, "outlineLvl")
        levels = [style.level for style in chain if style.level is not None]
        level = (int(outline) + 1) % 10 if outline.isdigit() else next(iter(levels), 0)
        mark, depth = self._mark(paragraph, properties, chain)
        text = self._inline(paragraph)
        plain = text.replace(PAGE, "").strip()
        if not self.rendered and switched_on(properties, "pageBreakBefore"):
            text = PAGE + text
        if plain and level and len(plain) <= _HEADING_LENGTH:
            self.builder.heading(level, text if mark in ("", "-") else f"{mark} {text}")
        elif plain and mark:
            self.builder.add(f"{'  ' * min(depth, 8)}{mark} {' '.join(text.split())}", item=True)
        elif text:
            self.builder.add("\n".join(re.sub(" {2,}", " ", line).strip() for line in text.split("\n")))
        self._flush()

    def _mark(self, paragraph: Any, properties: Any, chain: list[Style]) -> tuple[str, int]:
        """Return what the list puts before a paragraph, and the depth of its item; "" when it is in no list."""
        list_id, list_level = value(properties, "numPr/numId"), value(properties, "numPr/ilvl")
        for style in chain:
            list_id = list_id or style.list_id
            list_level = list_level or style.list_level
        if list_id in ("", "0") or not any(True for _ in paragraph.iter(W + "t", M + "t")):
            return "", 0
        level = int(list_level) if list_level.isdigit() else 0
        return self.numbering.mark(list_id, level), level

    def _flush(self) -> None:
        """Write what waits behind a paragraph or table."""
        self.builder.add_waiting(self.pending, self._block)

    def _inline(self, element: Any) -> str:
        """Return the text of a paragraph, or of something in it."""
        return "".join(map(self._piece, element))

    def _piece(self, element: Any) -> str:
        tag = element.tag
        if tag == W + "r":
            return self._run(element)
        if tag == W + "hyperlink":
            text = self._inline(element)
            link = self.links.get(str(element.get(_R + "id")))
            shown = " ".join(text.split())
            return f"[{shown}]({link.target})" if link and shown and "://" in link.target and shown != link.target else text
        if tag in _INSIDE:
            return self._inline(element)
        if tag == _MC + "AlternateContent":
            return "".join(map(self._piece, _choice(element)))
        if tag in (M + "oMath", M + "oMathPara"):
            return equation(element)
        return ""

    def _run(self, run: Any) -> str:
        if switched_on(run, "rPr/vanish"):
            if run.find(W + "t") is not None:
                self.warnings["hidden text is not read"] = None
            return ""
        return "".join(map(self._in_run, run))

    def _in_run(self, element: Any) -> str:
        name = element.tag[len(W) :] if isinstance(element.tag, str) and element.tag.startswith(W) else ""
        match name:
            case "t":
                return element.text or ""
            case "tab" | "ptab":
                return "\t"
            case "cr":
                return "\n"
            case "br":
                if element.get(W + "type") != "page":
                    return "\n"
                return "" if self.rendered else PAGE
            case "lastRenderedPageBreak":
                return PAGE
            case "noBreakHyphen":
                return "-"
            case "sym":
                return _SYMBOLS.get(str(element.get(W + "char")).upper(), "")
            case "footnoteReference" | "endnoteReference" | "commentReference":
                return self._note(name.removesuffix("Reference"), str(element.get(W + "id")))
            case "ruby":
                return "".join(self._inline(base) for base in element.findall(W + "rubyBase"))
            case "drawing" | "pict" | "object":
                return self._drawing(element)
            case "":
                return "".join(map(self._in_run, _choice(element))) if element.tag == _MC + "AlternateContent" else ""
            case _:
                return ""

    def _note(self, kind: str, id: str) -> str:
        text = self.notes[kind].get(id, "")
        if not text:
            return ""
        if kind == "comment":
            self.pending.append(f"[Comment by {text}]")
            return ""
        mark = id if kind == "footnote" else f"e{id}"
        self.pending.append(f"[^{mark}]: {text}")
        return f"[^{mark}]"

    def _drawing(self, drawing: Any) -> str:
        """Keep what a drawing holds for after the paragraph: boxes, charts, diagrams; return its description."""
        described = ""
        for element in drawing.iter():
            name = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
            if element.tag == W + "txbxContent" and not any(True for _ in element.iterancestors(W + "txbxContent")):
                self.pending.append(element)
            elif name == "docPr" and not described:
                described = picture(str(element.get("descr") or ""))
            elif name in ("chart", "relIds"):
                self._linked(element)
            elif name == "textpath" and element.get("string"):  # WordArt
                self.pending.append(str(element.get("string")))
        return described

    def _linked(self, element: Any) -> None:
        link = self.links.get(str(element.get(_R + "id") or element.get(_R + "dm")))
        if link and link.target in self.opened.namelist():
            root = read_xml(self.opened, link.target)
            self.pending += list(chart_blocks(root)) if link.kind == "chart" else [drawing_text(root)]

    def _table(self, table: Any) -> None:
        rows = [[*_cells(row)] for row in _rows(table)]
        if len(rows) == 1:  # a frame, or columns of text
            for cell in rows[0]:
                self._block(cell)
            return
        grid: list[list[str]] = []
        above: dict[int, str] = {}
        breaks = 0
        for row, cells in zip(_rows(table), rows, strict=True):
            written, row_breaks = self._row(row, cells, above, not grid)
            breaks += row_breaks
            if any(written):
                grid.append([PAGE * breaks * bool(grid) + written[0], *written[1:]])
                if len(grid) == 1:
                    self.builder.add(PAGE * breaks)
                breaks = 0
        width = max(map(len, grid), default=0)
        grid = [row + [""] * (width - len(row)) for row in grid]
        for block in table_blocks(grid, header_rows(grid)):
            self.builder.add(block)
        self.builder.add(PAGE * breaks)
        self._flush()

    def _row(self, row: Any, cells: Sequence[Any], above: dict[int, str], first: bool) -> tuple[list[str], int]:
        """Return the texts of a row, and how many pages begin in it; `above` holds what merged cells show."""
        before = value(row, "trPr/gridBefore")
        written = [""] * (min(int(before), 60) if before.isdigit() else 0)
        breaks = 0
        for cell in cells:
            column = len(written)
            text = self._cell(cell)
            breaks = max(breaks, text.count(PAGE))
            text = text.replace(PAGE, "")
            if within(cell, "tcPr/vMerge") is None:
                above.pop(column, None)
            elif value(cell, "tcPr/vMerge") == "restart" or text:
                above[column] = text if len(text) <= 60 else ""
            else:
                text = above.get(column, "")
            span = value(cell, "tcPr/gridSpan")
            width = min(int(span), 60) if span.isdigit() and int(span) else 1
            repeats = first and len(cells) > 1
            written += [text, *([text if repeats else ""] * (width - 1))]
        return written or [""], breaks

    def _cell(self, cell: Any) -> str:
        """Return all text of a cell, or of a note, in one line; a table in it as "a, b; c, d"."""
        pieces: list[str] = []
        for element in cell:
            if element.tag == W + "p":
                properties = element.find(W + "pPr")
                mark, _ = self._mark(element, properties, self._style_chain(properties))
                pieces.append(f"{mark} {self._inline(element)}" if mark else self._inline(element))
            elif element.tag == W + "tbl":
                pieces.append("; ".join(", ".join(filter(None, map(self._cell, _cells(row)))) for row in _rows(element)))
            elif element.tag in _INSIDE:
                pieces.append(self._cell(element))
            elif element.tag == _MC + "AlternateContent":
                pieces += map(self._cell, [_choice(element)])
        boxes = [item for item in self.pending if not isinstance(item, str)]
        self.pending[:] = [item for item in self.pending if isinstance(item, str)]
        pieces += map(self._cell, boxes)
        return " ".join(" ".join(pieces).split())


def _choice(element: Any) -> Any:
    """Return the variant of some content that new programs show; the others say the same for old ones."""
    for name in ("Choice", "Fallback"):
        found = element.find(_MC + name)
        if found is not None:
            return found
    return element


def _rows(table: Any) -> list[Any]:
    return [row for row in _found(table, W + "tr") if within(row, "trPr/del") is None]


def _cells(row: Any) -> list[Any]:
    return list(_found(row, W + "tc"))


def _found(element: Any, tag: str) -> Iterator[Any]:
    """Yield the children with this tag, those in wrappers too."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in _INSIDE:
            yield from _found(child, tag)


def _top_level(content: bytes) -> Iterator[Any]:
    """Yield the blocks of the body, each forgotten before the next is built, so that long documents need little memory."""
    from lxml import etree

    tags = [W + "p", W + "tbl", W + "sdt", W + "customXml", _MC + "AlternateContent"]
    parser = etree.iterparse(io.BytesIO(content), tag=tags, resolve_entities=False, no_network=True, load_dtd=False)
    for _, element in parser:
        parent = element.getparent()
        if parent is None or parent.tag != W + "body":
            continue
        yield element
        element.clear()
        while element.getprevious() is not None:
            del parent[0]
