"""The formats that can be read: one loader a family, and the one table of file name endings."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.archives import ARCHIVES, load_tar, load_zip
from assistant.loaders.delimited import load_delimited
from assistant.loaders.docx import load_docx
from assistant.loaders.epub import load_epub
from assistant.loaders.html import load_html
from assistant.loaders.kinds import ENCRYPTED_OFFICE, OLD_FORMATS, PACKED, recognise, with_article
from assistant.loaders.mail import load_mail, load_mailbox
from assistant.loaders.markdown import load_markdown
from assistant.loaders.notebook import load_notebook
from assistant.loaders.ocr import IMAGES as IMAGES
from assistant.loaders.ocr import load_image
from assistant.loaders.odt import load_odt
from assistant.loaders.outlook import load_outlook
from assistant.loaders.pdf import load_pdf
from assistant.loaders.pptx import load_pptx
from assistant.loaders.restructured import load_restructured
from assistant.loaders.rtf import load_rtf
from assistant.loaders.source import RULES, load_source
from assistant.loaders.spreadsheets import load_spreadsheet
from assistant.loaders.structured import load_json, load_json_lines
from assistant.loaders.subtitles import load_subtitles
from assistant.loaders.text import load_text
from assistant.loaders.xml import load_xml

VERSION = 2  # raise when a loader would give another text for the same file: files are then read again

# A loader takes the bytes of a file and the passwords to try, and raises `DocumentError` when the bytes are
# not what the name says. Heavy libraries are imported inside it.
Loader = Callable[[bytes, Sequence[str]], Parsed]


def _plain(loader: Callable[[bytes], Parsed]) -> Loader:
    """Make a loader of one for formats that are never encrypted."""
    return lambda data, passwords: loader(data)


def _refuse(reason: str) -> Loader:
    """Make a loader that says what to do with files of a format that is not read."""

    def refuse(data: bytes, passwords: Sequence[str]) -> Parsed:
        raise DocumentError(f"it is {reason}")

    return refuse


def _is_member(suffix: str) -> bool:
    return suffix in LOADERS


LOADERS: dict[str, Loader] = {
    ".md": _plain(load_markdown),
    ".markdown": _plain(load_markdown),
    ".txt": _plain(load_text),
    ".text": _plain(load_text),
    ".html": _plain(load_html),
    ".htm": _plain(load_html),
    ".xhtml": _plain(load_html),
    ".pdf": load_pdf,
    **dict.fromkeys(IMAGES, _plain(load_image)),
    ".docx": load_docx,
    ".docm": load_docx,
    ".pptx": load_pptx,
    ".odt": _plain(load_odt),
    ".rtf": _plain(load_rtf),
    ".xlsx": load_spreadsheet,
    ".xlsm": load_spreadsheet,
    ".xlsb": load_spreadsheet,
    ".xls": load_spreadsheet,
    ".ods": load_spreadsheet,
    ".csv": _plain(load_delimited),
    ".tsv": _plain(load_delimited),
    ".rst": _plain(load_restructured),
    ".ipynb": _plain(load_notebook),
    ".json": _plain(load_json),
    ".geojson": _plain(load_json),
    ".jsonl": _plain(load_json_lines),
    ".ndjson": _plain(load_json_lines),
    ".xml": _plain(load_xml),
    ".rss": _plain(load_xml),
    ".atom": _plain(load_xml),
    ".srt": _plain(load_subtitles),
    ".vtt": _plain(load_subtitles),
    ".epub": _plain(load_epub),
    ".eml": _plain(load_mail),
    ".mht": _plain(load_mail),
    ".mhtml": _plain(load_mail),
    ".mbox": _plain(load_mailbox),
    ".msg": _plain(load_outlook),
    ".zip": partial(load_zip, supported=_is_member),
    **dict.fromkeys((".tar", ".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz"), _plain(partial(load_tar, supported=_is_member))),
    **{suffix: _plain(partial(load_source, suffix=suffix)) for suffix in RULES},
    **{suffix: _refuse(reason) for suffix, reason in OLD_FORMATS.items()},
}

# What these hold is told by their content alone; under all other names text is what its name says.
_BINARY = {
    ".pdf",
    ".rtf",
    ".epub",
    ".msg",
    *ARCHIVES,
    ".doc",
    ".docx",
    ".docm",
    ".ppt",
    ".pptx",
    ".xls",
    ".xlsx",
    ".xlsm",
    ".xlsb",
    ".odt",
    ".ods",
}
_OFFICE = {".docx", ".docm", ".pptx", ".xlsx", ".xlsm", ".xlsb", ".doc", ".xls", ".ppt"}
_SAME = {".docm": ".docx", ".xlsm": ".xlsx"}
_TEXT = {".txt", ".html", ".eml"}


def parse(data: bytes, suffix: str, passwords: Sequence[str] = ()) -> Parsed:
    """Read `data` as what it is; `suffix`, lower case with its dot, tells the format of text.

    A warning says so when the name was wrong. Raises `DocumentError` with what it is when that can't be read.
    """
    try:
        return _parse(data, suffix, passwords)
    except (MemoryError, RecursionError):
        raise DocumentError("it is too large or nested too deeply to be read; split it or save it in another format") from None


def _parse(data: bytes, suffix: str, passwords: Sequence[str]) -> Parsed:
    kind = recognise(data)
    named = LOADERS.get(suffix)
    if named is None and kind.suffix in ("", ".txt"):
        what = f"it is {kind.name}, which" if not kind.suffix else f"this format ({suffix or 'no ending'})"
        raise DocumentError(f"{what} is not supported")
    if named and _fits(kind.suffix, kind.name, suffix):
        return named(data, passwords)
    loader = LOADERS.get(kind.suffix)
    if loader is None:
        raise DocumentError(
            f"it is {kind.name}, which is not supported"
            if named is None
            else f"it is {kind.name}, not {with_article(suffix[1:].upper())}"
        )
    parsed = loader(data, passwords)
    return replace(parsed, warnings=(f"it is {kind.name}, whatever its name says", *parsed.warnings))


def _fits(kind: str, name: str, suffix: str) -> bool:
    """Tell whether content of a kind belongs under the name ending `suffix`."""
    if suffix in IMAGES:
        return name.endswith(" image")
    if suffix not in _BINARY:
        return kind in _TEXT
    if name == ENCRYPTED_OFFICE:
        return suffix in _OFFICE
    # What is damaged is best told by the loader of its name.
    return kind == _SAME.get(suffix, suffix) or name.endswith("damaged") or (suffix in ARCHIVES and name in PACKED)
