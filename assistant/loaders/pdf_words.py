"""The words of a page of a PDF with their places and fonts, from pdfium's characters."""

import ctypes
import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from assistant.loaders.pdf_layout import CELL_GAP, HYPHENS, Fragment

_WORD = re.compile(r"[^\t\n\r\x0b\x0c \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\x00\ufffe]+\ufffe?")
_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0xFEFF, 0xFFFF])
# A glyph without a character: a minus left out would change a number.
_UNKNOWN = dict.fromkeys([*range(1, 32), *range(127, 160)], "\ufffd")
# Bullets of the fonts Symbol and Wingdings, in the private use area.
_BULLETS = dict.fromkeys([0xF0B7, 0xF0A7, 0xF076, 0xF0D8, 0xF0FC, 0xF06E, 0xF0A8, 0xF071, 0xF02D, 0xF0E0], "•")
_PRESENTATION = re.compile(r"[\ufb00-\ufdff\ufe70-\ufefc]+")
_BOLD = re.compile(r"bold|black|heavy|semibold|demi|-medi\b|CMBX|SFBX", re.IGNORECASE)
_MONO = re.compile(r"courier|mono|consol|typewriter|menlo|CMTT|SFTT", re.IGNORECASE)
_CELL_WORDS = 8
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


def clean(text: str) -> str:
    """Make ligatures and presentation forms letters, and mark a hyphen at a line's end and glyphs without a character."""
    end = text[-1:] if text[-1:] in HYPHENS else ""
    text = text.removesuffix("\ufffe").translate(_UNKNOWN)
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = _PRESENTATION.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text.translate(_BULLETS | _INVISIBLE))
    return text + end


class TextPage:
    """The words of a page. Only one call or two a word go to pdfium: a call for each character is slow."""

    def __init__(self, raw: Any, textpage: Any) -> None:
        self._raw, self._page = raw, textpage
        self._matrix, self._box = raw.FS_MATRIX(), raw.FS_RECTF()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._styles: dict[int, _Style] = {}
        count = textpage.count_chars()
        buffer = (ctypes.c_ushort * (2 * count + 2))()
        length = raw.FPDFText_GetText(textpage, 0, count, buffer) if count else 1
        # Halves of UTF-16 stay apart here: each of them counts as a character.
        self.text = "".join(map(chr, buffer[: length - 1]))
        if len(self.text) != count:
            # It left out control characters. They may stand for glyphs, so that page is asked for each of its characters.
            codes = (raw.FPDFText_GetUnicode(textpage, index) for index in range(count))
            self.text = "".join("\ufffe" if code == 2 else chr(code) if code < 0x110000 else "\ufffd" for code in codes)

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
        return bool(self._raw.FPDFText_IsGenerated(self._page, at))


def _runs(page: TextPage) -> list[_Run]:
    """Return the fragments of lines on a page, as they follow in the file."""
    runs: list[_Run] = []
    before: re.Match[str] | None = None
    letters = 0  # of the font size in the current fragment, so that the size of most letters is kept
    for match in _WORD.finditer(page.text):
        text = clean(match.group())
        if not text:
            continue
        first = match.start()
        style = page.style(first)
        left, right, base = page.place(first, match.end() - 1, style.angle)
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


def read_words(raw: Any, textpage: Any) -> tuple[list[Fragment], list[str]]:
    """Return the fragments of lines in a page's main direction, and the texts across it, such as marks in the margin.

    `raw` is the library's module of functions.
    """
    runs = _runs(TextPage(raw, textpage))
    angles: Counter[int] = Counter()
    for run in runs:
        angles[run.angle] += sum(len(fragment.text) for fragment in run.fragments)
    main = angles.most_common(1)[0][0] if angles else 0
    across = [" ".join(fragment.text for fragment in run.fragments) for run in runs if run.angle != main]
    across = [text for text in across if sum(map(str.isalpha, text)) > 2]  # no numbers of an axis
    return _without_shadows([fragment for run in runs if run.angle == main for fragment in run.fragments]), across


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
        # The places of words are for cells of tables; in long texts those of sentences would take most of the memory.
        if len(fragment.words) > _CELL_WORDS and sum(any(map(str.isdigit, word[0])) for word in fragment.words) < _CELL_WORDS / 2:
            fragment.words.clear()
    return kept
