"""PDF through pypdfium2: what is printed on its pages, written in its forms and notes, and attached."""

import ctypes
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from assistant.documents import Part
from assistant.errors import DocumentError
from assistant.loaders.ocr import MAX_PIXELS, Picture
from assistant.loaders.pdf_drawing import Drawn, draw
from assistant.loaders.pdf_layout import Fragment
from assistant.loaders.pdf_words import clean, read_words

_MAX_ANNOTATIONS = 5000  # on a page
_MAX_ATTACHMENTS, _MAX_ATTACHED_BYTES = 200, 100_000_000
_DPI, _LONG_SIDE = 300, 2800  # dots an inch, as Tesseract likes it, and pixels: small pages have small letters
_DRAWING = 20  # more objects than this on a page without text may be drawn letters


def _wide_text(call: Any, *arguments: Any) -> str:
    """Return the UTF-16 text that a function of pdfium writes into a buffer of the length it first tells."""
    length = call(*arguments, None, 0)
    buffer = (ctypes.c_ushort * (length // 2 + 1))()
    call(*arguments, buffer, length)
    return bytes(buffer)[: max(length - 2, 0)].decode("utf-16-le", errors="replace")


def _annotations(page: Any) -> Iterator[tuple[int, str, Any]]:
    """Yield (kind, text, place) of what is written into the fields of a form and into notes."""
    from pypdfium2 import raw

    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
        note = raw.FPDFPage_GetAnnot(page, index)
        kind = raw.FPDFAnnot_GetSubtype(note)
        box = raw.FS_RECTF()
        if raw.FPDFAnnot_GetFlags(note) & (raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW):
            text = ""
        elif kind == raw.FPDF_ANNOT_WIDGET and page.formenv:
            field_type = raw.FPDFAnnot_GetFormFieldType(page.formenv, note)
            if field_type in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
                text = "[x]" if raw.FPDFAnnot_IsChecked(page.formenv, note) else "[ ]"
            else:
                text = _wide_text(raw.FPDFAnnot_GetFormFieldValue, page.formenv, note)
        elif kind not in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP, raw.FPDF_ANNOT_WIDGET):
            text = _wide_text(raw.FPDFAnnot_GetStringValue, note, b"Contents")
        else:
            text = ""
        raw.FPDFAnnot_GetRect(note, box)
        raw.FPDFPage_CloseAnnot(note)
        text = " ".join(clean(word) for word in text.split())
        if text:
            yield kind, text, box


def _written_in(page: Any, fragments: Sequence[Fragment]) -> tuple[list[Fragment], list[str]]:
    """Return the values of a form's fields, each in the line of what is printed beside it, and the texts of notes."""
    from pypdfium2 import raw

    values: list[Fragment] = []
    notes: list[str] = []
    for kind, text, box in _annotations(page):
        if kind not in (raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_FREETEXT):
            notes.append(f"Comment: {text}")
            continue
        middle = (box.top + box.bottom) / 2
        beside = [f for f in fragments if box.bottom - 1 <= f.base + 0.3 * f.size <= box.top + 1]
        line = min(beside, key=lambda f: abs(f.base + 0.3 * f.size - middle), default=None)
        size, base = (line.size, line.base) if line else (8.0, middle - 3)
        right = max(box.left + 1, min(box.right, box.left + 0.5 * size * len(text)))
        values.append(Fragment(text, box.left, right, base, size, words=[(text, box.left, right, True)]))
    return values, notes


@dataclass(slots=True)
class Page:
    """What stands on a page: fragments of lines, and paragraphs that belong to no line of it.

    `unread` when there is something to see but nothing to read: a scan, or a font without characters.
    """

    fragments: list[Fragment]
    notes: list[str]
    unread: bool = False


class Pdf:
    """An open PDF; to be closed."""

    def __init__(self, data: bytes, passwords: Sequence[str]) -> None:
        import pypdfium2

        for password in (None, *passwords):
            try:
                self._pdf = pypdfium2.PdfDocument(data, password=password)
                break
            except pypdfium2.PdfiumError as error:
                if "assword" not in str(error):
                    raise DocumentError("it is damaged or no PDF") from None
        else:
            raise DocumentError("it is protected by a password: set ASSISTANT_PASSWORDS")
        if self._pdf.get_formtype() != pypdfium2.raw.FORMTYPE_NONE:
            with suppress(pypdfium2.PdfiumError):  # then only what is printed is read
                self._pdf.init_forms()

    def __enter__(self) -> "Pdf":
        return self

    def __exit__(self, *_: object) -> None:
        self._pdf.close()

    def __len__(self) -> int:
        return len(self._pdf)

    @property
    def title(self) -> str:
        """The title of the metadata."""
        return str(self._pdf.get_metadata_dict().get("Title", ""))

    def page(self, index: int, most: int) -> Page | None:
        """Read a page, None when it is damaged; raises `DocumentError` when it has more than `most` characters."""
        import pypdfium2

        try:
            page = self._pdf[index]
            textpage = page.get_textpage()
        except pypdfium2.PdfiumError:
            return None
        if textpage.count_chars() > most:
            raise DocumentError("it has over 10 million characters; split it")
        fragments, notes = read_words(pypdfium2.raw, textpage)
        known = sum(len(f.text) for f in fragments)
        unknown = sum(f.text.count("\ufffd") for f in fragments)
        unread = unknown * 3 > known or (not known and self._shows(page))
        values, comments = _written_in(page, fragments)
        page.close()
        return Page([] if unread else [*fragments, *values], [*notes, *comments], unread)

    def _shows(self, page: Any) -> bool:
        """Whether there is a picture, or so many drawn lines that they may be letters."""
        from pypdfium2 import raw

        objects = list(islice(page.get_objects(max_depth=3), _DRAWING + 1))
        return len(objects) > _DRAWING or any(item.type in (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING) for item in objects)

    def picture(self, index: int) -> Picture:
        """Draw a page in grey."""
        page = self._pdf[index]
        width, height = page.get_size()
        scale = min(max(_DPI / 72, _LONG_SIDE / max(width, height, 1)), math.sqrt(MAX_PIXELS / max(width * height, 1)))
        bitmap = page.render(scale=scale, grayscale=True)
        buffer, wide = memoryview(bitmap.buffer), bitmap.width
        pixels = b"".join(buffer[at : at + wide] for at in range(0, bitmap.height * bitmap.stride, bitmap.stride))
        picture = Picture(wide, bitmap.height, pixels, scale * 72)
        bitmap.close()
        page.close()
        return picture

    def drawn(self, index: int) -> Drawn:
        """Draw a page as it is seen; raises `DocumentError` when it is damaged."""
        import pypdfium2

        try:
            return draw(pypdfium2.raw, self._pdf[index])
        except (pypdfium2.PdfiumError, ValueError):
            raise DocumentError(f"page {index + 1} is damaged") from None

    def attachments(self) -> tuple[list[Part], list[str]]:
        """Return the files in the file, and warnings about those left out."""
        import pypdfium2

        parts: list[Part] = []
        left_out = 0
        total = 0
        count = self._pdf.count_attachments()
        for index in range(min(count, _MAX_ATTACHMENTS)):
            try:
                attachment = self._pdf.get_attachment(index)
                name, data = attachment.get_name(), bytes(attachment.get_data())
            except pypdfium2.PdfiumError:
                left_out += 1
                continue
            total += len(data)
            if total > _MAX_ATTACHED_BYTES:
                left_out += 1
            else:
                parts.append(Part(name, data))
        left_out += max(count - _MAX_ATTACHMENTS, 0)
        return parts, [f"{left_out} of {count} attached files were left out (damaged or too large)"] if left_out else []
