"""What came from the web: of which format it is, its name as a file, and text in UTF-8."""

import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import PurePosixPath

from assistant.documents import clean_line, supported_suffixes
from assistant.errors import DocumentError

_OFFICE = "application/vnd.openxmlformats-officedocument"
_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "text/rtf": ".rtf",
    "application/rtf": ".rtf",
    "text/xml": ".xml",
    "application/xml": ".xml",
    "text/json": ".json",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/epub+zip": ".epub",
    "message/rfc822": ".eml",
    f"{_OFFICE}.wordprocessingml.document": ".docx",
    f"{_OFFICE}.presentationml.presentation": ".pptx",
    f"{_OFFICE}.spreadsheetml.sheet": ".xlsx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
}
_TEXT = (".html", ".htm", ".txt", ".text", ".md", ".markdown", ".csv", ".tsv", ".xml", ".json")
_NO_PROSE = ("text/css", "text/javascript")
# Servers say these of files that they know nothing about.
_UNTOLD = ("", "application/octet-stream", "binary/octet-stream", "application/x-download", "application/force-download")
_PROGRAMS = (".php", ".asp", ".aspx", ".jsp", ".cgi")
_PLACEHOLDERS = ("", "index", "default", "home", "main")
# With bounds, so that no page makes them slow.
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,500})", re.IGNORECASE)
_DECLARED = re.compile(
    rb"""<meta[^>]{1,300}charset\s{0,9}=\s{0,9}["']?([\w:.-]{1,40})|<\?xml[^>]{1,300}encoding\s{0,9}=\s{0,9}["']([\w:.-]{1,40})""",
    re.IGNORECASE,
)
_TITLE_WITHIN = 100_000  # bytes
_DECLARED_WITHIN = 2048  # bytes; the HTML standard has 1024
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_NAME_BYTES = 120  # file systems allow 255, and others add to the name
_HEADER = 1000  # characters read of a header


@dataclass(frozen=True)
class Told:
    """What a server says of a file: its type in lower case, the charset of a text, a name; each may be empty."""

    type: str
    charset: str
    name: str


def told(headers: Mapping[str, str]) -> Told:
    """Read Content-Type and Content-Disposition; the names of `headers` are in lower case."""
    message = Message()
    message["Content-Type"] = given = headers.get("content-type", "")[:_HEADER]
    message["Content-Disposition"] = headers.get("content-disposition", "")[:_HEADER]
    type = message.get_content_type() if given else ""
    try:
        return Told(type, message.get_content_charset() or "", message.get_filename() or "")
    except ValueError:  # a parameter in a charset that is none
        return Told(type, "", "")


def suffix_of(told: Told, name: str) -> str:
    """Return the ending for a file called `name` in its address, or nothing when only its bytes can tell.

    Raises `DocumentError` when its type can't be read.
    """
    readable = supported_suffixes()
    suffix = ""
    if told.type == "text/plain" or told.type in _UNTOLD:
        # Markdown, CSV and much else is sent as plain text too.
        named = [end for end in (_ending(told.name), _ending(name)) if end in readable]
        suffix = named[0] if named else ".txt" if told.type == "text/plain" else ""
        return suffix
    if told.type in _SUFFIXES:
        suffix = _SUFFIXES[told.type]
    elif told.type.endswith(("+json", "+xml")) and not told.type.startswith("image/"):
        suffix = f".{told.type[-4:].lstrip('+')}"
    elif told.type.startswith("text/") and told.type not in _NO_PROSE:
        suffix = ".txt"
    if suffix in _TEXT and suffix not in readable:
        suffix = ".txt"
    if suffix not in readable:
        raise DocumentError(
            f"it is of the type {clean_line(told.type)}, which can't be read; give the address of a page or a document"
        )
    return suffix


def suffix_by_bytes(data: bytes) -> str:
    """Return the ending for `data` by how it begins; raises `DocumentError` when that tells nothing."""
    start = data[:_DECLARED_WITHIN].removeprefix(_BOMS[0]).lstrip().lower()
    if start.startswith(b"%pdf-"):
        return ".pdf"
    if start.startswith((b"<!doctype html", b"<html")):
        return ".html"
    raise DocumentError("the server doesn't say of which type it is; download it with your browser and add that file")


def in_utf8(data: bytes, suffix: str, charset: str) -> tuple[bytes, str]:
    """Return a text in UTF-8 and the charset it was in, when only the server named that; else `data` and nothing.

    A text that declares its charset itself is left to those who read it, and so is one that is none of `charset`.
    """
    import webencodings

    encoding = webencodings.lookup(charset)
    if encoding is None or encoding.name in ("utf-8", "replacement", "x-user-defined") or suffix not in _TEXT:
        return data, ""
    if data.startswith((*_BOMS, b"%PDF-")) or (suffix in (".html", ".htm", ".xml") and _declared(data)):
        return data, ""
    if not data.isascii() and _is_utf8(data):
        return data, ""  # servers that add one charset to all they send: other text is hardly ever valid UTF-8
    try:
        text, _ = encoding.codec_info.decode(data, "strict")
    except UnicodeDecodeError:
        return data, ""
    changed = text.encode()
    return (data, "") if changed == data else (changed, encoding.name)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def file_name(told: Told, name: str, asks: bool, suffix: str, data: bytes) -> str:
    """Return a name for the file: what the server calls it, the last part of its address, or the page's title.

    The title comes before the address where that names no page: it ends in "index", say, or asks (`?id=7`).
    """
    stems = [_stem(told.name), _stem(name), _title(data) if suffix == ".html" else ""]
    if asks or stems[1].lower() in _PLACEHOLDERS:
        stems[1:] = reversed(stems[1:])
    return (next((stem for stem in stems if stem), "index")) + suffix


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _stem(name: str) -> str:
    """Return the last part of a path without an ending that says how it is read or made; other dots are kept."""
    name = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    known = (*supported_suffixes(), *_SUFFIXES.values(), *_PROGRAMS)
    return _safe(name[: -len(_ending(name))] if _ending(name) in known else name)


def _declared(data: bytes) -> str:
    """Return the charset that a page declares, or nothing."""
    found = _DECLARED.search(data[:_DECLARED_WITHIN])
    return (found.group(1) or found.group(2)).decode("latin-1") if found else ""


def _title(data: bytes) -> str:
    import webencodings

    encoding = webencodings.lookup(_declared(data)) or webencodings.UTF8
    text, _ = webencodings.decode(data[:_TITLE_WITHIN], encoding, "ignore")
    found = _TITLE.search(text)
    return _safe(html.unescape(found.group(1))) if found else ""


def _safe(name: str) -> str:
    """Return `name` without what file systems don't take, and without dots at its ends."""
    printable = "".join(letter if letter.isprintable() else " " for letter in clean_line(unicodedata.normalize("NFC", name)))
    line = " ".join(re.sub(r'[<>:"/\\|?*]', " ", printable).split())
    return line.encode(errors="ignore")[:_NAME_BYTES].decode(errors="ignore").strip(". ")
