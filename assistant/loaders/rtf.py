"""RTF through striprtf: paragraphs, headings where the file marks them, tables."""

import re

from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.building import TextBuilder
from assistant.loaders.office import parsing
from assistant.loaders.regions import header_rows
from assistant.loaders.tables import table_blocks

# Pictures and embedded objects: nothing but hexadecimal digits, up to a hundred times the text.
_HEXADECIMAL = re.compile(r"[0-9a-fA-F\r\n]{500,}")
_OUTLINE = re.compile(r"\\outlinelevel([0-8])(?![0-9])\s?")
_TITLE = re.compile(r"\{\\title\s([^{}\\]*)\}")
_HEADING = "\x01"  # marks the paragraph of a heading; `striprtf` hands it through
_HEADING_LENGTH = 250
_LEFT_OUT = {"footnote": "footnotes", "shptxt": "text boxes", "annotation": "comments", "object": "embedded objects"}


def load_rtf(data: bytes) -> Parsed:
    """Read the text of an RTF file; notes, boxes, headers and pictures are not read, and warned of.

    Raises `DocumentError` when it is no RTF or damaged.
    """
    if not data.lstrip().startswith(b"{\\rtf"):
        raise DocumentError("it is no RTF")
    from striprtf.striprtf import rtf_to_text

    page = re.search(rb"\\ansicpg(\d{3,5})", data)
    encoding = f"cp{page.group(1).decode()}" if page else "cp1252"
    try:
        source = data.decode(encoding, errors="replace")
    except LookupError:
        source = data.decode("cp1252", errors="replace")
    source = _OUTLINE.sub(lambda found: f"\\outlinelevel{found.group(1)} {_HEADING}{found.group(1)}", _HEXADECIMAL.sub("", source))
    with parsing():
        text = rtf_to_text(source, errors="replace")
    warnings = tuple(f"the {what} are not read" for word, what in _LEFT_OUT.items() if re.search(rf"\\{word}\b", source))
    title = _TITLE.search(source)
    return _written(text).parsed(title.group(1) if title else "", warnings)


def _written(text: str) -> TextBuilder:
    builder = TextBuilder()
    rows: list[list[str]] = []
    for line in [*text.replace("\x00", "").split("\n"), ""]:
        marked = re.search(rf"{_HEADING}([0-8])", line)
        line = re.sub(rf"{_HEADING}[0-8]", "", line).strip()
        if line.endswith("|"):
            rows.append(line[:-1].split("|"))
            continue
        if rows:
            width = max(map(len, rows))
            grid = [[cell.strip() for cell in row] + [""] * (width - len(row)) for row in rows]
            for block in table_blocks(grid, header_rows(grid)):
                builder.add(block)
            rows = []
        if marked and line and len(line) <= _HEADING_LENGTH:
            builder.heading(int(marked.group(1)) + 1, line)
        elif item := re.match(r"[•·▪◦‣]\s*(?=\S)", line):
            builder.add(f"- {line[item.end() :]}", item=True)
        else:
            builder.add(line)
    return builder
