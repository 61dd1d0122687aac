"""Text recognition by the program `tesseract`, when it is installed: for scanned pages and for pictures."""

import io
import os
import shutil
import statistics
import subprocess
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.pdf_layout import CELL_GAP, Fragment
from assistant.loaders.pdf_text import write

NEEDS_TESSERACT = "it can be read when Tesseract is installed (tesseract-ocr)"
MAX_PIXELS = 25_000_000  # a page of A4 at 300 dots an inch has 8.7 million
_MOST_PIXELS = 100_000_000  # of a picture before it is made smaller
_TOO_LARGE = "it has over 100 million pixels; make it smaller"
_MAX_PAGES = 50
_SECONDS = 40.0  # for all pages of a file
_LANGUAGES = 3
_LEAST_CONFIDENCE = 50  # of 100, for a word without letters and digits: specks and drawn lines
_BODY = 10.0  # the font size that most lines of a scan are given
_LARGE = 1.6  # a line so much higher than most is in a larger font; below that, heights differ by chance
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")  # file name endings
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")


@dataclass(frozen=True, slots=True)
class Picture:
    """A page in grey, a byte for each pixel; `dpi` is pixels an inch."""

    width: int
    height: int
    pixels: bytes
    dpi: float


class Reader:
    """Reads the pages of one file with a limit of time and pages. `stopped` says why it reads no more."""

    def __init__(self, body: float = _BODY) -> None:
        self._body = body
        self._program = shutil.which("tesseract")
        self._until = time.monotonic() + _SECONDS
        self._pages = 0
        self._languages = self._installed() if self._program else ""
        self.stopped = ""

    @property
    def ready(self) -> bool:
        """Whether another page can be read."""
        return bool(self._languages) and not self.stopped

    def _run(self, arguments: Sequence[str], data: bytes = b"") -> str:
        assert self._program
        limit = max(self._until - time.monotonic(), 0.1)
        # One thread: several slow each other down on small machines.
        environment = os.environ | {"OMP_THREAD_LIMIT": "1"}
        done = subprocess.run(
            [self._program, *arguments], input=data, capture_output=True, timeout=limit, check=True, env=environment
        )
        return done.stdout.decode("utf-8", errors="replace")

    def _installed(self) -> str:
        try:
            lines = self._run(["--list-langs"]).split("\n")[1:]
        except (OSError, subprocess.SubprocessError):
            return ""
        names = sorted((line.strip() for line in lines if line.strip() not in ("", "osd")), key=lambda name: (name != "eng", name))
        return "+".join(names[:_LANGUAGES])

    def read(self, picture: Picture) -> list[Fragment]:
        """Return the lines on a picture."""
        if self._pages == _MAX_PAGES:
            self.stopped = f"Tesseract reads {_MAX_PAGES} pages of a file at most"
            return []
        self._pages += 1
        image = b"P5 %d %d 255\n" % (picture.width, picture.height) + picture.pixels
        try:
            table = self._run(
                ["stdin", "stdout", "-l", self._languages, "--psm", "4", "--dpi", str(round(picture.dpi)), "tsv"], image
            )
        except subprocess.TimeoutExpired:
            self.stopped = f"Tesseract stops after {_SECONDS:.0f} seconds"
            return []
        except (OSError, subprocess.SubprocessError):
            self.stopped = "Tesseract failed"
            return []
        return _fragments(table, picture.height, self._body)


def _fragments(table: str, height: int, body: float) -> list[Fragment]:
    """Make fragments of Tesseract's table of words, with the height of its picture in pixels.

    The page is scaled so that most lines have the font size `body`: sizes in a scan are known only roughly.
    The columns are level, page, block, paragraph, line, word, left, top, width, height, confidence, text.
    """
    lines: dict[tuple[str, ...], list[tuple[str, float, float, float, float]]] = {}
    for row in table.split("\n")[1:]:
        cells = row.split("\t")
        text = cells[11].strip().strip("|") if len(cells) > 11 and cells[0] == "5" else ""
        if text and (float(cells[10]) >= _LEAST_CONFIDENCE or any(map(str.isalnum, text))):
            left, top, wide, high = map(float, cells[6:10])
            lines.setdefault(tuple(cells[2:5]), []).append((text.replace("|", " "), left, left + wide, top, high))
    if not lines:
        return []
    heights = {key: max(word[4] for word in words) for key, words in lines.items()}
    usual = statistics.median(heights.values())
    scale = body / usual
    fragments: list[Fragment] = []
    for key, words in lines.items():
        size = round(heights[key] * scale if heights[key] > _LARGE * usual else body, 1)
        base = scale * (height - statistics.median(top + high for _, _, _, top, high in words))
        last: Fragment | None = None
        for text, left, right, _, _ in words:
            left, right = left * scale, right * scale
            if last and 0 <= left - last.right < CELL_GAP * size:
                last.text += f" {text}"
                last.right = right
                last.words.append((text, left, right, True))
            else:
                last = Fragment(text, left, right, base, size, words=[(text, left, right, True)])
                fragments.append(last)
    return fragments


def _pictures(data: bytes) -> Iterator[Picture]:
    """Yield the frames of an image file, in grey and not too small for Tesseract."""
    from PIL import Image, ImageOps, ImageSequence

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is the one that counts
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    with image:
        if image.width * image.height > _MOST_PIXELS:
            raise DocumentError(_TOO_LARGE)
        for frame in ImageSequence.Iterator(image):
            grey = ImageOps.exif_transpose(frame).convert("L")
            scale = min(2.0 if max(grey.size) < 1500 else 1.0, (MAX_PIXELS / (grey.width * grey.height)) ** 0.5)
            if scale != 1:
                grey = grey.resize((max(round(grey.width * scale), 1), max(round(grey.height * scale), 1)))
            yield Picture(grey.width, grey.height, grey.tobytes(), 300)


def load_image(data: bytes) -> Parsed:
    """Read the text of a picture; the frames of a TIFF are pages.

    Raises `DocumentError` when it is damaged or too large, when Tesseract isn't installed or finds nothing.
    """
    from PIL import Image

    reader = Reader()
    if not reader.ready:
        raise DocumentError(f"it is a picture: {NEEDS_TESSERACT}")
    pages: list[list[Fragment]] = []
    try:
        for picture in _pictures(data):
            pages.append(reader.read(picture))
            if reader.stopped:
                break
    except Image.DecompressionBombError:
        raise DocumentError(_TOO_LARGE) from None
    except (OSError, SyntaxError, ValueError):
        if not any(pages):
            raise DocumentError("it is damaged or no PNG, JPEG, TIFF or WebP picture") from None
    if not any(pages):
        raise DocumentError(reader.stopped or "no text was found in it")
    notes = ["read by Tesseract: check quotes against the file"]
    if reader.stopped:
        notes.append(f"not read from page {len(pages)} on: {reader.stopped}")
    text, headings, starts = write(pages, [[] for _ in pages])
    return Parsed(text, "", headings, starts if len(starts) > 1 else (), tuple(notes))
