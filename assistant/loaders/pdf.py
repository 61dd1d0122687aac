"""PDF through pypdfium2: text with its pages; headings by font size; lines joined to paragraphs."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from assistant.documents import Heading, Parsed, clean_line
from assistant.errors import DocumentError

MAX_PAGES = 2000
_HEADING_RATIO = 1.15  # a line in a font this much larger than most of the text is a heading
_HEADING_LENGTH = 160
_FOOTER = re.compile(r"^\W*(page\s+)?\d+(\s*(of|/)\s*\d+)?\W*$", re.IGNORECASE)
_HYPHEN = "\ufffe\u00ad\u0002"  # how pdfium gives back a hyphen at a line's end


@dataclass(frozen=True)
class _Line:
    """One printed line: its font size in points, and its top in points from the foot of the page."""

    text: str
    size: float
    top: float


def _page_lines(page: Any) -> list[_Line]:
    from pypdfium2 import raw

    textpage = page.get_textpage()
    try:
        count = textpage.count_chars()
        characters = [raw.FPDFText_GetUnicode(textpage, index) for index in range(count)]
        lines: list[_Line] = []
        box = raw.FS_RECTF()
        start = 0
        for end in range(count + 1):
            if end < count and characters[end] not in (10, 13):
                continue
            codes = characters[start:end]
            # UTF-16 halves are joined and lone ones replaced.
            text = b"".join(code.to_bytes(2, "little") for code in codes if 0 < code < 65536)
            line = text.decode("utf-16-le", errors="replace").rstrip()
            if line.strip():
                middle = start + len(line) // 2
                # The loose box is as high as the font, whatever the letter.
                raw.FPDFText_GetLooseCharBox(textpage, middle, box)
                size = raw.FPDFText_GetFontSize(textpage, middle)
                lines.append(_Line(line, round(float(size), 1), float(box.top)))
            start = end + 1
        return lines
    finally:
        textpage.close()


def _line_spacing(pages: list[list[_Line]], body: float) -> float:
    """Return the usual distance of two lines of the body font, as a multiple of its size."""
    distances = Counter(
        round(upper.top - lower.top, 1)
        for lines in pages
        for upper, lower in pairwise(lines)
        if upper.size == lower.size == body and upper.top > lower.top
    )
    return distances.most_common(1)[0][0] / body if distances else 1.5


def _paragraphs(lines: list[_Line], spacing: float) -> list[tuple[str, float]]:
    """Join printed lines to (paragraph, font size): a new one at a gap, a change of size or a list mark."""
    joined: list[tuple[str, float]] = []
    before: _Line | None = None
    for line in lines:
        text = line.text.strip()
        gap = before is not None and before.top - line.top > 1.3 * spacing * line.size
        jump = before is not None and line.top > before.top + line.size
        listed = re.match(r"[•▪◦‣*–-]\s|\(?\d{1,2}[.)]\s", text) is not None
        if before is None or gap or jump or listed or abs(line.size - before.size) > 0.5:
            joined.append((text, line.size))
        else:
            last = joined[-1][0]
            if last[-1:] in _HYPHEN or (last.endswith("-") and text[:1].islower()):
                joined[-1] = (last.rstrip(_HYPHEN + "-") + text, line.size)
            else:
                joined[-1] = (f"{last} {text}", line.size)
        before = line
    return joined


def load_pdf(data: bytes) -> Parsed:
    """Read the text layer of a PDF.

    Raises `DocumentError` when it is damaged, needs a password, has over 2,000 pages or no text
    (a scan).
    """
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        reason = "it is protected by a password" if "assword" in str(error) else "it is damaged or no PDF"
        raise DocumentError(reason) from None
    try:
        if len(pdf) > MAX_PAGES:
            raise DocumentError(f"it has {len(pdf)} pages, over the limit of {MAX_PAGES}; split it")
        title = clean_line(str(pdf.get_metadata_dict().get("Title", "")))
        pages: list[list[_Line]] = []
        for number in range(len(pdf)):
            try:
                page = pdf[number]
                pages.append(_page_lines(page))
                page.close()
            except pypdfium2.PdfiumError:
                raise DocumentError(f"page {number + 1} is damaged") from None
    finally:
        pdf.close()
    sizes: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            sizes[line.size] += len(line.text)
    if not sizes:
        raise DocumentError("it has no text layer (a scan?); run it through text recognition first")
    body = sizes.most_common(1)[0][0]
    spacing = _line_spacing(pages, body)
    larger = sorted((size for size in sizes if size >= body * _HEADING_RATIO), reverse=True)
    text, headings, starts = "", [], []
    for lines in pages:
        if lines and _FOOTER.match(lines[-1].text):
            lines = lines[:-1]
        starts.append(len(text))
        for paragraph, size in _paragraphs(lines, spacing):
            if size in larger and len(paragraph) <= _HEADING_LENGTH and re.search(r"\w", paragraph):
                headings.append(Heading(len(text), min(larger.index(size) + 1, 6), paragraph))
            text += paragraph.translate(dict.fromkeys(map(ord, _HYPHEN))) + "\n\n"
    named = title or next((heading.text for heading in headings if heading.level == 1), "")
    return Parsed(text, named, tuple(headings), tuple(starts))
