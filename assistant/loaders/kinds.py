"""Which format bytes really have: told by how they begin and what they hold, never by a file's name."""

import re
from dataclasses import dataclass

from assistant.decoding import is_binary
from assistant.errors import DocumentError
from assistant.loaders.zips import open_zip, read_member

ENCRYPTED_OFFICE = "an Office file protected by a password"
_MAX_MEMBERS = 10_000  # of office files; archives are held to fewer by their loader
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")  # white ones have few bytes that are no letters
_PDF_LATER = re.compile(rb"(?:[\r\n]|\x00[^\r\n]*)%PDF-")  # behind rubbish; in the middle of a line of text it is only spoken of
_TEXT_PDF = (b"endobj", b"%%EOF", b"startxref")
_NAMES = {
    ".pdf": "a PDF",
    ".docx": "a DOCX (Word)",
    ".pptx": "a PPTX (PowerPoint)",
    ".xlsx": "an XLSX (Excel)",
    ".xlsb": "an XLSB (binary Excel)",
    ".xls": "an XLS (old Excel)",
    ".ods": "an ODS (OpenDocument spreadsheet)",
    ".odt": "an ODT (OpenDocument text)",
    ".odp": "an ODP (OpenDocument presentation)",
    ".epub": "an EPUB",
    ".msg": "an Outlook mail",
    ".rtf": "an RTF",
    ".zip": "a ZIP archive",
    ".tar": "a TAR archive",
    ".html": "an HTML page",
    ".eml": "a mail",
    ".txt": "plain text",
}
OLD_FORMATS = {
    ".doc": "an old Word file: save it as .docx",
    ".ppt": "an old PowerPoint file: save it as .pptx",
}
PACKED = ("a gzip file", "a bzip2 file", "an xz file")
# Streams of an OLE2 file, and what it is then.
_STREAMS = {
    "worddocument": (".doc", OLD_FORMATS[".doc"]),
    "powerpoint document": (".ppt", OLD_FORMATS[".ppt"]),
    "workbook": (".xls", _NAMES[".xls"]),
    "book": (".xls", _NAMES[".xls"]),
    "__properties_version1.0": (".msg", _NAMES[".msg"]),
}
_MIMETYPES = {
    b"application/vnd.oasis.opendocument.text": ".odt",
    b"application/vnd.oasis.opendocument.spreadsheet": ".ods",
    b"application/vnd.oasis.opendocument.presentation": ".odp",
    b"application/epub+zip": ".epub",
}
# What filetype doesn't know, or names by letters that tell little.
_MAGIC = (
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"\x1f\x8b", PACKED[0]),
    (b"BZh", PACKED[1]),
    (b"\xfd7zXZ\x00", PACKED[2]),
    (b"%!PS", "a PostScript file"),
    (b"SQLite format 3\x00", "a database (SQLite)"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"!BDN", "an Outlook mailbox (PST)"),
    (b"PAR1", "a Parquet table"),
    (b"ITSF", "a help file (CHM)"),
    (b"\x78\x9f\x3e\x22", "an Outlook winmail.dat"),
)


@dataclass(frozen=True)
class Kind:
    """What bytes are: the file name ending that names their format, or nothing, and words for the reader."""

    suffix: str
    name: str


def recognise(data: bytes) -> Kind:
    """Return what `data` really is; text of every kind has the suffix `.txt`, but HTML and mail their own."""
    if data.startswith(b"%PDF-"):
        return Kind(".pdf", _NAMES[".pdf"])
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zip_kind(data)
    if data.startswith(_OLE2):
        return _ole2_kind(data)
    if data.startswith(b"{\\rtf"):
        return Kind(".rtf", _NAMES[".rtf"])
    if data[257:262] == b"ustar":
        return Kind(".tar", _NAMES[".tar"])
    # Archives that don't pack what they hold are above: the first of it may be a PDF.
    if _PDF_LATER.search(data[:1024]) and any(mark in data for mark in _TEXT_PDF):
        return Kind(".pdf", _NAMES[".pdf"])
    if data.startswith(_PICTURES):
        return Kind("", _other(data))
    return _text_kind(data) or Kind("", _other(data))


def _zip_kind(data: bytes) -> Kind:
    try:
        opened = open_zip(data, _MAX_MEMBERS)
    except DocumentError:
        return Kind(".zip", "a ZIP archive, damaged")
    names = set(opened.namelist())
    suffix = ".zip"
    if "mimetype" in names:
        try:
            suffix = _MIMETYPES.get(read_member(opened, "mimetype", 1000).strip(), ".zip")
        except DocumentError:
            suffix = ".zip"
    elif "META-INF/container.xml" in names:
        suffix = ".epub"
    if suffix == ".zip" and not names.isdisjoint(("[Content_Types].xml", "_rels/.rels")):
        for name in sorted(names):
            if name.startswith(("word/", "ppt/", "xl/")):
                suffix = {"w": ".docx", "p": ".pptx", "x": ".xlsx"}[name[0]]
                break
        if "xl/workbook.bin" in names:
            suffix = ".xlsb"
    return Kind(suffix, _NAMES[suffix])


def _ole2_kind(data: bytes) -> Kind:
    import olefile

    try:
        with olefile.OleFileIO(data) as opened:
            streams = {entry[0].lower() for entry in opened.listdir(streams=True, storages=False)}
    # olefile raises its own error, and others where the directory is broken.
    except Exception:
        return Kind("", "an old Office file, damaged")
    if "encryptedpackage" in streams:
        return Kind("", ENCRYPTED_OFFICE)
    for stream, (suffix, name) in _STREAMS.items():
        if stream in streams:
            return Kind(suffix, name)
    return Kind("", "an OLE2 file of no known kind")


def _text_kind(data: bytes) -> Kind | None:
    if is_binary(data):
        return None
    start = data[:2000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    suffix = ".txt"
    if start.startswith((b"<!doctype html", b"<html")) or (start.startswith(b"<?xml") and b"<html" in start):
        suffix = ".html"
    elif start.startswith((b"mime-version:", b"received:", b"return-path:", b"delivered-to:")):
        suffix = ".eml"
    return Kind(suffix, _NAMES[suffix])


def _other(data: bytes) -> str:
    import filetype

    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    found = filetype.guess(data)
    if found is None:
        return "binary data of no known format"
    group = found.mime.partition("/")[0]
    noun = {"image": "image", "audio": "sound", "video": "film", "font": "font"}.get(group, "file")
    label = found.extension.upper()
    return f"{with_article(label)} {noun}"


def with_article(letters: str) -> str:
    """Put "a" or "an" before an abbreviation, as it is spoken."""
    return f"{'an' if letters[0] in 'AEFHILMNORSX' else 'a'} {letters}"
