"""EPUB books: the chapters in the order of reading, each converted from its XHTML."""

import posixpath
import re
from typing import Any
from urllib.parse import unquote

from assistant.decoding import decode_text
from assistant.documents import Parsed, clean_line
from assistant.errors import DocumentError
from assistant.loaders.html import html_to_markdown
from assistant.loaders.markdown import heading_lines
from assistant.loaders.xml import parse_xml
from assistant.loaders.zips import MAX_BYTES, open_zip, read_member

_PAGES = {"application/xhtml+xml", "text/html", "application/xml"}


def load_epub(data: bytes) -> Parsed:
    """Read a book; its title comes from its metadata, where author and date are found too.

    Raises `DocumentError` when it is damaged, protected (DRM), or has no chapters with text.
    """
    opened = open_zip(data)
    names = set(opened.namelist())
    container = parse_xml(read_member(opened, "META-INF/container.xml", 1_000_000))
    paths = container.xpath("//*[local-name()='rootfile']/@full-path")
    if not paths:
        raise DocumentError("it is damaged: it doesn't say where the book in it is")
    package = parse_xml(read_member(opened, paths[0], 10_000_000))
    folder = posixpath.dirname(paths[0])
    left = MAX_BYTES
    chapters: list[str] = []
    warnings: list[str] = []
    for path in _spine(package, folder):
        if path not in names:
            warnings.append(f"its chapter {clean_line(path, 80)} is missing")
            continue
        page = read_member(opened, path, left)
        left -= len(page)
        if b"\0" in page[:1000] and "META-INF/encryption.xml" in names:
            raise DocumentError("it is protected against copying (DRM), so its text can't be read")
        try:
            text, hidden = html_to_markdown(decode_text(page, _declared(page)).text)
        except DocumentError as error:
            if "META-INF/encryption.xml" in names:
                raise DocumentError("it is protected against copying (DRM), so its text can't be read") from None
            warnings.append(f"its chapter {clean_line(path, 80)}: {error}")
            continue
        chapters += [text] if text else []
        warnings += [hidden] if hidden and hidden not in warnings else []
    if not chapters:
        raise DocumentError("it has no chapters with text")
    title = _metadata(package, "title")
    about = [
        f"{label}: {value}"
        for label, value in (("Author", _metadata(package, "creator")), ("Date", _metadata(package, "date")[:10]))
        if value
    ]
    text = "\n\n".join([*(["\n".join(about)] if about else []), *chapters])
    return Parsed(text, title, heading_lines(text), warnings=tuple(warnings))


def _spine(package: Any, folder: str) -> list[str]:
    """Return the paths of the chapters in their order; contents lists that are no chapter are left out."""
    items: dict[str, str] = {}
    for item in package.xpath("//*[local-name()='manifest']/*[local-name()='item']"):
        if item.get("media-type") in _PAGES and "nav" not in (item.get("properties") or "").split():
            items[item.get("id", "")] = posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
    order = package.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref")
    return [items[id] for id in order if id in items] or list(items.values())


def _metadata(package: Any, name: str) -> str:
    values = package.xpath(f"//*[local-name()='metadata']/*[local-name()='{name}']")
    return ", ".join(text for text in (" ".join("".join(value.itertext()).split()) for value in values) if text)


def _declared(page: bytes) -> str:
    match = re.match(rb"[^<]{0,3}<\?xml[^>]{0,100}?encoding=[\"']([\w.:-]{2,40})", page)
    return match.group(1).decode() if match else ""
