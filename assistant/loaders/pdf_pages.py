"""PDF through pypdfium2: the words of its pages with their places, what is in its forms and notes, its pictures."""

import ctypes
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from assistant.documents import Part
from assistant.errors import DocumentError
from assistant.loaders.ocr import MAX_PIXELS, Picture
from assistant.loaders.pdf_layout import CELL_GAP, HYPHENS, Fragment

_MAX_ANNOTATIONS = 5000  # on a page
_MAX_ATTACHMENTS, _MAX_ATTACHED_BYTES = 200, 100_000_000
_DPI, _LONG_SIDE = 300, 2800  # dots an inch, as Tesseract likes it, and pixels: small pages have small letters
_DRAWING = 20  # more objects than this on a page without text may be drawn letters
_WORD = re.compile(r"[^\t\n\r\x0b\x0c \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\x00\ufffe]+\ufffe?")
_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0xFEFF, 0xFFFF])
# A glyph without a character: a minus left out would change a number.
_UNKNOWN = dict.fromkeys([*range(1, 32), *range(127, 160)], "\ufffd")
# Bullets of the fonts Symbol and Wingdings, in the private use area.
_BULLETS = dict.fromkeys([0xF0B7, 0xF0A7, 0xF076, 0xF0D8, 0xF0FC, 0xF06E, 0xF0A8, 0xF071, 0xF02D, 0xF0E0], "•")
_PRESENTATION = re.compile(r"[\ufb00-\ufdff\ufe70-\ufefc]+")
_BOLD = re.compile(r"bold|black|heavy|semibold|demi|-medi\b|CMBX|SFBX", re.IGNORECASE)
_MONO = re.compile(r"courier|mono|consol|typewriter|menlo|CMTT|SFTT", re.IGNORECASE)
_BOLD_WEIGHT, _FORCED_BOLD, _FIXED_PITCH = 700, 1 << 18, 1


@dataclass(frozen=True, slots=True)
class _Style:
    """How a piece of text is set: font size in points and the angle of its lines in degrees, counterclockwise."""

    size: float
    angle: int
    bold: bool
    mono: bool


@dataclass(slots=True)
class _Run:
    """Fragments of one angle, as they follow in the file."""

    angle: int
    fragments: list[Fragment] = field(default_factory=list)


def _clean(text: str) -> str:
    """Make ligatures and presentation forms letters, and mark a hyphen at a line's end and glyphs without a character."""
    end = text[-1:] if text[-1:] in HYPHENS else ""
    text = text.removesuffix("\ufffe").translate(_UNKNOWN)
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = _PRESENTATION.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text.translate(_BULLETS | _INVISIBLE))
    return text + end


class _TextPage:
    """The words of a page. Only one call or two a word go to pdfium: a call for each character is slow."""

    def __init__(self, textpage: Any) -> None:
        from pypdfium2 import raw

        self._raw, self._page = raw, textpage
        self._matrix, self._box = raw.FS_MATRIX(), raw.FS_RECTF()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._styles: dict[int, _Style] = {}
        count = textpage.count_chars()
        buffer = (ctypes.c_ushort * (2 * count + 2))()
        length = raw.FPDFText_GetText(textpage, 0, count, buffer) if count else 1
        # Halves of UTF-16 stay apart here: each of them counts as a character.
        self.text = "".join(map(chr, buffer[: length - 1]))
        # The text may leave out characters that count.
        self._same = len(self.text) == count

    def index(self, at: int) -> int:
        """Return pdfium's index of the character at `at` in the text."""
        return at if self._same else int(self._raw.FPDFText_GetCharIndexFromTextIndex(self._page, at))

    def style(self, index: int) -> _Style:
        """Return how the character is set; all of a text object are set alike."""
        raw = self._raw
        handle = raw.FPDFText_GetTextObject(self._page, index)
        key = ctypes.addressof(handle.contents) if handle else -1
        if key not in self._styles:
            matrix = self._matrix
            raw.FPDFText_GetMatrix(self._page, index, matrix)
            size = raw.FPDFText_GetFontSize(self._page, index) * math.hypot(matrix.c, matrix.d)
            angle = round(math.degrees(math.atan2(matrix.b, matrix.a)) / 5) * 5 % 360
            font = raw.FPDFTextObj_GetFont(handle) if handle else None
            name, weight, flags = "", 0, 0
            if font:
                buffer = ctypes.create_string_buffer(200)
                raw.FPDFFont_GetBaseFontName(font, buffer, len(buffer))
                name = buffer.value.decode("latin-1")
                weight, flags = raw.FPDFFont_GetWeight(font), max(raw.FPDFFont_GetFlags(font), 0)
            bold = weight >= _BOLD_WEIGHT or bool(flags & _FORCED_BOLD) or bool(_BOLD.search(name))
            self._styles[key] = _Style(round(size, 1) or 1.0, angle, bold, bool(flags & _FIXED_PITCH or _MONO.search(name)))
        return self._styles[key]

    def place(self, first: int, last: int, angle: int) -> tuple[float, float, float]:
        """Return left, right and base line of the characters from `first` to `last`, as if the page were turned by `angle`."""
        raw, box = self._raw, self._box
        raw.FPDFText_GetCharOrigin(self._page, first, self._x, self._y)
        raw.FPDFText_GetLooseCharBox(self._page, last, box)
        x, y = self._x.value, self._y.value
        if angle == 90:
            return y, box.top, -x
        if angle == 180:
            return -x, -box.left, -y
        if angle == 270:
            return -y, -box.bottom, x
        if first != last and box.right <= x + 0.5:  # from right to left
            left = box.left
            raw.FPDFText_GetLooseCharBox(self._page, first, box)
            return left, box.right, y
        return x, max(box.right, x), y

    def is_generated(self, at: int) -> bool:
        """Whether pdfium put the space at `at` between two characters."""
        return bool(self._raw.FPDFText_IsGenerated(self._page, self.index(at)))


def _fragments(textpage: Any) -> list[_Run]:
    """Return the fragments of lines on a page, as they follow in the file."""
    page = _TextPage(textpage)
    runs: list[_Run] = []
    before: re.Match[str] | None = None
    letters = 0  # of the font size in the current fragment, so that the size of most letters is kept
    for match in _WORD.finditer(page.text):
        text = _clean(match.group())
        if not text:
            continue
        first = page.index(match.start())
        style = page.style(first)
        left, right, base = page.place(first, page.index(match.end() - 1), style.angle)
        between = page.text[before.end() : match.start()] if before and before.group()[-1] != "\ufffe" else "\n"
        before = match
        if not runs or runs[-1].angle != style.angle:
            runs.append(_Run(style.angle))
            between = "\n"
        fragments = runs[-1].fragments
        if "\n" not in between and "\r" not in between:
            last = fragments[-1]
            gap = left - last.right
            size = max(last.size, style.size)
            if -0.5 * size < gap < CELL_GAP * size:
                glue = gap < 0.05 * size and len(between) == 1 and page.is_generated(match.start() - 1)
                last.text += text if glue else f" {text}"
                last.words.append((text, left, right, not glue))
                last.right = max(last.right, right)
                last.bold, last.mono = last.bold and style.bold, last.mono and style.mono
                if last.size != style.size and len(text) > letters:
                    last.size, last.base, letters = style.size, base, len(text)
                elif last.size == style.size:
                    letters += len(text)
                continue
        letters = len(text)
        fragments.append(Fragment(text, left, right, base, style.size, style.bold, style.mono, [(text, left, right, True)]))
    return runs


def _upright(runs: Sequence[_Run]) -> tuple[list[Fragment], list[str]]:
    """Part the lines in the page's main direction from those across it, such as marks in the margin."""
    angles: Counter[int] = Counter()
    for run in runs:
        angles[run.angle] += sum(len(fragment.text) for fragment in run.fragments)
    main = angles.most_common(1)[0][0] if angles else 0
    across = [" ".join(fragment.text for fragment in run.fragments) for run in runs if run.angle != main]
    across = [text for text in across if sum(map(str.isalpha, text)) > 2]  # no numbers of an axis
    return [fragment for run in runs if run.angle == main for fragment in run.fragments], across


def _without_shadows(fragments: list[Fragment]) -> list[Fragment]:
    """Drop what is printed twice, a little to the side, to look bold or to cast a shadow."""
    kept: list[Fragment] = []
    places: dict[str, list[Fragment]] = {}
    for fragment in fragments:
        same = places.setdefault(fragment.text, [])
        near = 0.25 * fragment.size
        if any(abs(f.left - fragment.left) < near and abs(f.base - fragment.base) < near for f in same):
            continue
        same.append(fragment)
        kept.append(fragment)
    return kept


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
        text = " ".join(_clean(word) for word in text.split())
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
        fragments, notes = _upright(_fragments(textpage))
        fragments = _without_shadows(fragments)
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
