"""PowerPoint (.pptx) through python-pptx: each slide a page, its title a heading, with tables, charts and notes."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.building import TextBuilder, picture
from assistant.loaders.charts import chart_blocks, drawing_text
from assistant.loaders.equations import M, equation
from assistant.loaders.office import core_title, decrypted, links, open_office, parsing
from assistant.loaders.regions import header_rows
from assistant.loaders.tables import table_blocks

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_TITLE_LENGTH = 250  # characters; some use the box of the title for all their text
_DEPTH = 30  # of groups in groups


def load_pptx(data: bytes, passwords: Sequence[str]) -> Parsed:
    """Read every slide, hidden ones too, with the speaker's notes.

    Raises `DocumentError` when it is damaged, no PowerPoint file, protected by an unknown password, or would unpack to
    too much.
    """
    data = decrypted(data, passwords)
    opened = open_office(data)
    main = next((link.target for link in links(opened).values() if link.kind == "officeDocument"), "")
    if not main.startswith("ppt/"):
        raise DocumentError("it is no PowerPoint presentation")
    with parsing():
        from pptx import Presentation

        presentation = Presentation(io.BytesIO(data))
        builder = TextBuilder()
        warnings: dict[str, None] = {}
        pictures_only: list[int] = []
        said: set[str] = set()
        for number, slide in enumerate(presentation.slides, start=1):
            builder.page()
            before = builder.length
            _slide(slide, number, builder, warnings, said)
            if builder.length == before:
                pictures_only.append(number)
        if pictures_only and builder.length:
            warnings[f"no text on slides {', '.join(map(str, pictures_only[:20]))}"] = None
        return builder.parsed(core_title(opened), tuple(warnings))


def _slide(slide: Any, number: int, builder: TextBuilder, warnings: dict[str, None], said: set[str]) -> None:
    title = slide.shapes.title
    if title is not None and len(title.text_frame.text) > _TITLE_LENGTH:
        title = None
    if title is not None:
        builder.heading(1 if number == 1 else 2, title.text_frame.text.replace("\v", " "))
    for shape in slide.shapes:
        if title is None or shape.shape_id != title.shape_id:
            _shape(shape, builder, warnings, said)
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        if frame is not None and frame.text.strip():
            builder.add("Notes: " + frame.text.replace("\v", "\n").strip())


def _shape(shape: Any, builder: TextBuilder, warnings: dict[str, None], said: set[str], depth: int = 0) -> None:
    if hasattr(shape, "shapes"):
        if depth < _DEPTH:
            for inner in shape.shapes:
                _shape(inner, builder, warnings, said, depth + 1)
        else:
            warnings["groups nested too deeply are not read"] = None
    elif getattr(shape, "has_table", False) and shape.has_table:
        grid = _grid(shape.table)
        for block in table_blocks(grid, header_rows(grid)):
            builder.add(block)
    elif getattr(shape, "has_chart", False) and shape.has_chart:
        for block in chart_blocks(shape.chart.part._element):
            builder.add(block)
    elif shape.has_text_frame:
        _paragraphs(shape, builder, said)
    else:
        for block in _other(shape, warnings):
            builder.add(block)


def _paragraphs(shape: Any, builder: TextBuilder, said: set[str]) -> None:
    """Write the paragraphs of a shape; several in the body of a slide are its list."""
    written = [(paragraph, _text(paragraph._p)) for paragraph in shape.text_frame.paragraphs]
    written = [(paragraph, text) for paragraph, text in written if text]
    body = shape.is_placeholder and _kind(shape) in ("OBJECT", "BODY", "VERTICAL_BODY", "VERTICAL_OBJECT")
    if shape.is_placeholder and _kind(shape) in ("SLIDE_NUMBER", "DATE", "FOOTER"):
        # The same on every slide: once is enough, and the number never.
        written = [(paragraph, text) for paragraph, text in written if _kind(shape) != "SLIDE_NUMBER" and text not in said]
        said.update(text for _, text in written)
    for paragraph, text in written:
        properties = paragraph._p.find(_A + "pPr")
        bullet = properties is not None and (
            properties.find(_A + "buChar") is not None or properties.find(_A + "buAutoNum") is not None
        )
        plain = properties is not None and properties.find(_A + "buNone") is not None
        item = bullet or (body and len(written) > 1 and not plain)
        builder.add(f"{'  ' * paragraph.level}- {' '.join(text.split())}" if item else text, item=item)


def _kind(shape: Any) -> str:
    kind = shape.placeholder_format.type
    return str(kind.name) if kind is not None else ""


def _text(paragraph: Any) -> str:
    """Return a paragraph's text with the addresses of its links."""
    pieces: list[str] = []
    for child in paragraph:
        if child.tag in (_A + "r", _A + "fld"):
            pieces.append(child.findtext(_A + "t") or "")
        elif child.tag == _A + "br":
            pieces.append("\n")
        elif any(True for _ in child.iter(M + "oMath")):
            pieces += map(equation, child.iter(M + "oMath"))
    return "".join(pieces).strip()


def _grid(table: Any) -> list[list[str]]:
    grid: list[list[str]] = []
    for number, row in enumerate(table.rows):
        grid.append([])
        for column, cell in enumerate(row.cells):
            text = " ".join(" ".join(map(_text, cell._tc.iter(_A + "p"))).split())
            # What covers several cells is shown in the first, and over each column of the header.
            if cell.is_spanned and column and number == 0:
                text = text or grid[-1][-1]
            grid[-1].append(text)
    return grid


def _other(shape: Any, warnings: dict[str, None]) -> Iterator[str]:
    """Yield the words of a diagram, or the description of a picture."""
    for element in shape._element.iter(_DIAGRAM + "relIds"):
        related = shape.part.rels.get(str(element.get(_R + "dm")))
        if related is not None and not related.is_external:
            from lxml import etree

            parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            yield drawing_text(etree.fromstring(related.target_part.blob, parser))
    if "oleObj" in {str(element.tag).rpartition("}")[2] for element in shape._element.iter()}:
        warnings["embedded objects are not read"] = None
    yield picture(next((str(element.get("descr") or "") for element in shape._element.iter("{*}cNvPr")), ""))
