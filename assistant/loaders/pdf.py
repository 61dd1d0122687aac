"""PDF: its text with its pages; pages that are pictures are read by Tesseract when it is installed."""

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from assistant.documents import Parsed, clean_line
from assistant.errors import DocumentError
from assistant.loaders.ocr import NEEDS_TESSERACT, Reader
from assistant.loaders.pdf_pages import Page, Pdf
from assistant.loaders.pdf_text import write

MAX_PAGES = 2000
MAX_CHARACTERS = 10_000_000
_STREAM = re.compile(rb"stream\r?\n")
_MAX_UNPACKED = 40_000_000  # bytes of one stream that is no picture: pdfium takes about 20 times as much memory
_LEAST_PACKED = 30_000  # fewer bytes can't become so many
_NO_TITLE = re.compile(
    r"\W*(untitled.*|anonymous|title|document\s*\d*|microsoft (word|powerpoint|excel) .*|power ?point presentation|slide \d+|"
    r"[^\s]*[-_.][^\s]*|.*\.(docx?|pdf|pptx?|xlsx?|indd|tex|dvi|odt|rtf|qxd|pub|html?|txt))\W*",
    re.IGNORECASE,
)


def _sensible(title: str) -> str:
    """Return the title of the metadata unless it is a file's name or what a program puts there."""
    title = clean_line(title)
    return "" if _NO_TITLE.fullmatch(title) or sum(map(str.isalpha, title)) < 3 else title


def _unpacked(packed: memoryview | bytes, most: int) -> bytearray:
    """Unpack a stream of bytes to `most` at most."""
    unpacker = zlib.decompressobj()
    unpacked = bytearray()
    for start in range(0, len(packed), 65536):
        with suppress(zlib.error):  # pdfium reads what it can, too
            unpacked += unpacker.decompress(packed[start : start + 65536], most - len(unpacked))
            if unpacker.eof or len(unpacked) >= most:
                break
            continue
        break
    return unpacked


def _refuse_bombs(data: bytes) -> None:
    """Raise `DocumentError` for streams that become so large that pdfium, asked for the memory, would end the process."""
    whole = memoryview(data)
    for found in _STREAM.finditer(data):
        start = found.end()
        words = data[max(start - 600, 0) : start].rpartition(b" obj")[2]
        if b"/Image" in words or data[start : start + 1] not in b"xhHX\x08":
            continue
        twice = words.count(b"/Fl") > 1
        if twice:
            unpacked = len(_unpacked(bytes(_unpacked(whole[start:], _MAX_UNPACKED)), _MAX_UNPACKED))
        elif data.find(b"endstream", start, start + _LEAST_PACKED) < 0:
            unpacked = len(_unpacked(whole[start:], _MAX_UNPACKED))
        else:
            continue
        if unpacked >= _MAX_UNPACKED:
            raise DocumentError(f"a part of it unpacks to over {_MAX_UNPACKED // 1_000_000} MB; print it to a new PDF")


def numbers(indexes: Sequence[int]) -> str:
    """Name pages for a reader: `page 3`, `pages 4-7, 9`."""
    runs: list[list[int]] = []
    for index in indexes:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    names = ", ".join(str(a + 1) if a == b else f"{a + 1}-{b + 1}" for a, b in runs)
    return f"page{'s' if len(indexes) > 1 else ''} {names}"


def _recognise(pdf: Pdf, pages: list[Page]) -> list[str]:
    """Let Tesseract read the pages that are pictures; returns warnings."""
    unread = [index for index, page in enumerate(pages) if page.unread]
    if not unread:
        return []
    sizes = Counter(fragment.size for page in pages for fragment in page.fragments)
    reader = Reader(sizes.most_common(1)[0][0]) if sizes else Reader()
    done: list[int] = []
    for index in unread:
        if not reader.ready:
            break
        pages[index].fragments = reader.read(pdf.picture(index))
        if reader.ready or pages[index].fragments:
            done.append(index)
    left = [index for index in unread if index not in done]
    warnings = []
    found = [index for index in done if pages[index].fragments]
    if found:
        warnings.append(f"{numbers(found)} {'was' if len(found) == 1 else 'were'} read by Tesseract: check quotes against the file")
    if left:
        why = f"not read: {reader.stopped}" if reader.stopped else "scanned?"
        warnings.append(f"no text on {numbers(left)} ({why})")
    if not any(page.fragments or page.notes for page in pages):
        if reader.stopped:
            raise DocumentError(f"it looks scanned, and {reader.stopped}")
        raise DocumentError(f"it looks scanned, and {'no text was found in it' if done else NEEDS_TESSERACT}")
    return warnings


def load_pdf(data: bytes, passwords: Sequence[str]) -> Parsed:
    """Read a PDF as Markdown: what is printed, in reading order, what is written in its forms, and notes.

    Attached files are parts. Raises `DocumentError` when it is damaged, needs a password that isn't in
    `passwords`, has over 2,000 pages or 10 million characters, or no text.
    """
    _refuse_bombs(data)
    with Pdf(data, passwords) as pdf:
        if len(pdf) > MAX_PAGES:
            raise DocumentError(f"it has {len(pdf)} pages, over the limit of {MAX_PAGES}; split it")
        title = _sensible(pdf.title)
        pages: list[Page] = []
        total = 0
        damaged: list[int] = []
        for index in range(len(pdf)):
            page = pdf.page(index, MAX_CHARACTERS - total)
            if page is None:
                damaged.append(index)
            pages.append(page or Page([], []))
            total += sum(len(fragment.text) for fragment in pages[-1].fragments)
        parts, warnings = pdf.attachments()
        if damaged:
            warnings.insert(0, f"no text on {numbers(damaged)} (damaged)")
            if len(damaged) == len(pages):
                raise DocumentError("it is damaged: no page of it can be read")
        warnings = _recognise(pdf, pages) + warnings
    if not any(page.fragments for page in pages):
        # Notes without a text, or only attached files: these can be read.
        notes = "\n\n".join(note for page in pages for note in page.notes)
        if not notes and not parts:
            raise DocumentError("no text was found in it")
        return Parsed(notes, title, warnings=tuple(warnings), parts=tuple(parts))
    text, headings, starts = write([page.fragments for page in pages], [page.notes for page in pages])
    second = starts[1] if len(starts) > 1 else len(text)
    named = title or next((h.text for h in headings if h.level == 1 and h.start < second), "")
    return Parsed(text, named, headings, starts, tuple(warnings), tuple(parts))
