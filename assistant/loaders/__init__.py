"""The formats that can be read: one loader a family, and the one table of file name endings."""

from collections.abc import Callable

from assistant.documents import Parsed
from assistant.loaders.html import load_html
from assistant.loaders.markdown import load_markdown
from assistant.loaders.pdf import load_pdf
from assistant.loaders.text import load_text

# A loader takes the bytes of a file and raises `DocumentError` when they are not what the name says.
LOADERS: dict[str, Callable[[bytes], Parsed]] = {
    ".md": load_markdown,
    ".markdown": load_markdown,
    ".txt": load_text,
    ".text": load_text,
    ".html": load_html,
    ".htm": load_html,
    ".pdf": load_pdf,
}
