"""The formats that can be read: one loader a family, and the one table of file name endings."""

from collections.abc import Callable, Sequence

from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.delimited import load_delimited
from assistant.loaders.docx import load_docx
from assistant.loaders.html import load_html
from assistant.loaders.markdown import load_markdown
from assistant.loaders.odt import load_odt
from assistant.loaders.old_office import load_doc, load_ppt
from assistant.loaders.pdf import load_pdf
from assistant.loaders.pptx import load_pptx
from assistant.loaders.rtf import load_rtf
from assistant.loaders.spreadsheets import load_spreadsheet
from assistant.loaders.text import load_text

VERSION = 1  # raise when a loader would give another text for the same file: files are then read again

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
    ".pdf": _plain(load_pdf),
    ".docx": load_docx,
    ".docm": load_docx,
    ".pptx": load_pptx,
    ".doc": load_doc,
    ".ppt": load_ppt,
    ".odt": _plain(load_odt),
    ".rtf": _plain(load_rtf),
    ".xlsx": load_spreadsheet,
    ".xlsm": load_spreadsheet,
    ".xlsb": load_spreadsheet,
    ".xls": load_spreadsheet,
    ".ods": load_spreadsheet,
    ".csv": _plain(load_delimited),
    ".tsv": _plain(load_delimited),
}


def parse(data: bytes, suffix: str, passwords: Sequence[str] = ()) -> Parsed:
    """Read `data` by the loader for `suffix`, lower case with its dot; raises `DocumentError` when there is none."""
    loader = LOADERS.get(suffix)
    if loader is None:
        raise DocumentError(f"this format is not supported; supported are {', '.join(sorted(LOADERS))}")
    return loader(data, passwords)
