"""Finds a PDF in its file and draws a page of it. Runs in the child process of `sandbox.py`: PDFs are untrusted."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from assistant.documents import MAX_DEPTH, read_file
from assistant.errors import DocumentError
from assistant.loaders.pdf_drawing import MAX_PIXELS, SCALE

_PNG = "iVBORw0KGg"  # how a PNG begins, in base 64
CHANGED = "its file has changed since it was indexed: sync the folder"


@dataclass(frozen=True)
class PageDrawing:
    """A page, one of `pages`, as it comes from the child: `png` in base 64, else as `pdf_drawing.Drawn` has it."""

    png: str
    width: int
    height: int
    pages: int
    text: str
    boxes: tuple[int, ...]

    @property
    def sound(self) -> bool:
        """Whether it holds together: a child that a hostile file took over may say anything."""
        return (
            self.png.startswith(_PNG)
            and 0 < self.width * self.height <= 2 * MAX_PIXELS
            and self.pages > 0
            and len(self.boxes) == 4 * len(self.text)
            and all(0 <= value <= SCALE for value in self.boxes)
        )


def draw_page(path: Path, inner: str, sha256: str, index: int, max_bytes: int, passwords: Sequence[str]) -> PageDrawing:
    """Draw page `index` (from 0) of the PDF of content `sha256` in the file at `path`.

    `inner` is its path inside the file, empty for the file itself.
    Raises `DocumentError` when the file has changed, and when the page isn't there or can't be drawn.
    """
    from assistant.loaders.pdf_pages import Pdf

    data = _content(read_file(path, max_bytes), path.suffix.lower(), inner, sha256, passwords, MAX_DEPTH)
    if data is None:
        raise DocumentError(CHANGED)
    with Pdf(data, passwords) as pdf:
        if not 0 <= index < len(pdf):
            raise DocumentError(f"it has no page {index + 1}")
        drawn = pdf.drawn(index)
        png = base64.b64encode(drawn.png).decode("ascii")
        return PageDrawing(png, drawn.width, drawn.height, len(pdf), drawn.text, tuple(drawn.boxes))


def _content(data: bytes, suffix: str, inner: str, sha256: str, passwords: Sequence[str], depth: int) -> bytes | None:
    """Return `data`, or what lies in it, if its content is `sha256`."""
    if hashlib.sha256(data).hexdigest() == sha256:
        return data
    if depth == 0 or not inner:
        return None
    from assistant.loaders import parse

    try:
        parts = parse(data, suffix, passwords).parts
    except DocumentError:
        return None
    for part in parts:
        if hashlib.sha256(part.data).hexdigest() == sha256:
            return part.data
    for part in parts:
        name = PurePosixPath(part.name.replace("\\", "/"))
        if name.stem in inner:  # what a document lies in is part of its name
            found = _content(part.data, name.suffix.lower(), inner, sha256, passwords, depth - 1)
            if found is not None:
                return found
    return None
