"""A page of a PDF as a picture, and where on it each of its characters stands."""

import ctypes
import io
import math
from dataclasses import dataclass
from typing import Any

from assistant.loaders.pdf_words import TextPage

SCALE = 10_000  # places are told in so many parts of the picture's width and height
MAX_PIXELS = 4_000_000
_DPI = 150  # a page of A4 has 2.2 million pixels then
_MOST_CHARACTERS = 60_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture as PNG, the page's text, and left, top, right and bottom of each of its characters in parts of `SCALE`.

    Text over 60,000 characters is left out.
    """

    png: bytes
    width: int
    height: int
    text: str
    boxes: list[int]


def draw(raw: Any, page: Any) -> Drawn:
    """Draw a page; `raw` is the library's module of functions."""
    width, height = page.get_size()
    scale = min(_DPI / 72, math.sqrt(MAX_PIXELS / max(width * height, 1)), MAX_PIXELS / 100 / max(width, height, 1))
    # The library rounds each side up.
    bitmap = page.render(scale=scale, rev_byteorder=True)
    stream = io.BytesIO()
    bitmap.to_pil().save(stream, "PNG", compress_level=3)
    size = bitmap.width, bitmap.height
    bitmap.close()
    return Drawn(stream.getvalue(), *size, *_characters(raw, page))


def _characters(raw: Any, page: Any) -> tuple[str, list[int]]:
    textpage = page.get_textpage()
    text = TextPage(raw, textpage).text[:_MOST_CHARACTERS]
    x0, y0 = _on_picture(raw, page, 0, 0)
    x1, y1 = _on_picture(raw, page, 1000, 0)
    x2, y2 = _on_picture(raw, page, 0, 1000)
    across, up, box = ((x1 - x0) / 1000, (y1 - y0) / 1000), ((x2 - x0) / 1000, (y2 - y0) / 1000), raw.FS_RECTF()
    boxes: list[int] = []
    for index in range(len(text)):
        if not raw.FPDFText_GetLooseCharBox(textpage, index, box):
            boxes += (0, 0, 0, 0)
            continue
        corners = [
            (x0 + across[0] * x + up[0] * y, y0 + across[1] * x + up[1] * y)
            for x, y in ((box.left, box.bottom), (box.right, box.top))
        ]
        (left, right), (top, bottom) = (sorted(_inside(value) for value in values) for values in zip(*corners, strict=True))
        boxes += (left, top, right, bottom)
    return text, boxes


def _on_picture(raw: Any, page: Any, x: float, y: float) -> tuple[int, int]:
    """Return a place of the page on the picture, however the page is turned and cut."""
    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, SCALE, SCALE, 0, x, y, across, down)
    return across.value, down.value


def _inside(value: float) -> int:
    return round(min(max(value, 0.0), SCALE)) if math.isfinite(value) else 0
