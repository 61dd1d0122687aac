"""The formats that can be read: one loader a family, and the one table of file name endings."""

from collections.abc import Callable, Sequence

from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.html import load_html
from assistant.loaders.markdown import load_markdown
from assistant.loaders.ocr import load_image
from assistant.loaders.pdf import load_pdf
from assistant.loaders.text import load_text

VERSION = 2  # raise when a loader would give another text for the same file: files are then read again

# A loader takes the bytes of a file and the passwords to try, and raises `DocumentError` when the bytes are
# not what the name says. Heavy libraries are imported inside it.
Loader = Callable[[bytes, Sequence[str]], Parsed]


def _plain(loader: Callable[[bytes], Parsed]) -> Loader:
    """Make a loader of one for formats that are never encrypted."""
    return lambda data, passwords: loader(data)


LOADERS: dict[str, Loader] = {
    ".md": _plain(load_markdown),
    ".markdown": _plain(load_markdown),
    ".txt": _plain(load_text),
    ".text": _plain(load_text),
    ".html": _plain(load_html),
    ".htm": _plain(load_html),
    ".pdf": load_pdf,
    ".png": _plain(load_image),
    ".jpg": _plain(load_image),
    ".jpeg": _plain(load_image),
    ".tif": _plain(load_image),
    ".tiff": _plain(load_image),
    ".webp": _plain(load_image),
}


def parse(data: bytes, suffix: str, passwords: Sequence[str] = ()) -> Parsed:
    """Read `data` by the loader for `suffix`, lower case with its dot; raises `DocumentError` when there is none."""
    loader = LOADERS.get(suffix)
    if loader is None:
        raise DocumentError(f"this format is not supported; supported are {', '.join(sorted(LOADERS))}")
    return loader(data, passwords)
