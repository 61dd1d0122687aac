"""XML: feeds as a list of their items, anything else as its elements' names and texts. Nothing outside is fetched."""

import re
from typing import Any

from assistant.decoding import decode_text
from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.html import html_to_markdown
from assistant.loaders.markdown import heading_lines

_DECLARED = re.compile(r"\A\s*<\?xml[^>]*\?>")
_ENCODING = re.compile(rb"<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([\w.:-]{2,40})")
_INLINE = re.compile(r"\S")
_PAGE = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!DOCTYPE\s+html[^>]*>\s*)?<html[\s>]", re.IGNORECASE)
_DEPTH = 200


def load_xml(data: bytes) -> Parsed:
    """Read XML. A feed (RSS, Atom) has a heading for each item, then date, link and text.

    Elsewhere elements with text alone are lines (`name: text`), and those that hold others are headings of them.
    Raises `DocumentError` when it isn't well-formed or expands entities beyond measure.
    """
    match = _ENCODING.search(data[:300])
    decoded = decode_text(data, match.group(1).decode() if match else "")
    if _PAGE.match(decoded.text[:2000]):
        text, hidden = html_to_markdown(decoded.text)
        return Parsed(text, "", heading_lines(text), warnings=(*decoded.warnings, *([hidden] if hidden else [])))
    root = parse_xml(_DECLARED.sub("", decoded.text, count=1).encode())
    kind = _name(root)
    items = root.xpath("//*[local-name()='item' or local-name()='entry']") if kind in ("rss", "feed", "RDF") else []
    if items:
        title, text, warnings = _feed(root, items)
        return Parsed(text, title, heading_lines(text), warnings=(*decoded.warnings, *warnings))
    blocks: list[str] = [_label(root)] if _facts(root) else []
    _write(root, blocks, 0)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(blocks)).strip()
    return Parsed(text, "", heading_lines(text), warnings=decoded.warnings)


def parse_xml(data: bytes) -> Any:
    """Parse XML without entities, files or addresses from outside; raises `DocumentError` when it is broken."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser=parser)
    except (etree.LxmlError, ValueError) as error:
        line = str(error).split("\n")[0]
        raise DocumentError(f"it is no well-formed XML ({line[:150]})") from None
    if root.getroottree().docinfo.internalDTD is not None and any(True for _ in root.iter(etree.Entity)):
        raise DocumentError("its text stands in entities that it defines itself, which are not expanded")
    return root


def _feed(root: Any, items: list[Any]) -> tuple[str, str, list[str]]:
    channel = root.find("channel") if root.find("channel") is not None else root
    title = _child(channel, "title")
    blocks = [f"# {title}"] if title else []
    about = _child(channel, "description") or _child(channel, "subtitle")
    blocks += [about] if about else []
    warnings: list[str] = []
    for item in items:
        blocks.append(f"## {_child(item, 'title') or 'Without a title'}")
        facts = [("Date", _child(item, "pubDate", "published", "updated", "date")), ("Author", _child(item, "creator", "author"))]
        facts.append(("Link", _child(item, "link") or next(iter(item.xpath("./*[local-name()='link']/@href")), "")))
        blocks.append("\n".join(f"{label}: {value}" for label, value in facts if value))
        for body in (_whole(item, "encoded", "content"), _whole(item, "description", "summary")):
            if body.strip():
                text, hidden = html_to_markdown(f"<div>{body}</div>")
                warnings += [hidden] if hidden and hidden not in warnings else []
                # Headings of the text stand under that of the item.
                blocks.append(re.sub(r"^#{1,6} ", "### ", text, flags=re.MULTILINE))
                break
    return title, "\n\n".join(block for block in blocks if block), warnings


def _child(element: Any, *names: str) -> str:
    return " ".join(_whole(element, *names).split())


def _whole(element: Any, *names: str) -> str:
    """Return all text of the first child called one of `names`."""
    for child in element:
        if _name(child) in names:
            return "".join(child.itertext())
    return ""


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _label(element: Any) -> str:
    """Return an element's name and attributes: `paymentDate (currency EUR)`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\-.]+", " ", _name(element)).strip()
    facts = _facts(element)
    return f"{words} ({', '.join(facts)})" if facts else words


def _facts(element: Any) -> list[str]:
    named = [(key.rpartition("}")[2], value.strip()) for key, value in element.attrib.items()]
    return [
        f"{key} {value}"
        for key, value in named
        if 0 < len(value) <= 200 and key not in ("schemaLocation", "noNamespaceSchemaLocation")
    ]


def _write(element: Any, blocks: list[str], depth: int) -> None:
    children = [child for child in element if isinstance(child.tag, str)]
    mixed = bool(_INLINE.search(element.text or "")) or any(_INLINE.search(child.tail or "") for child in children)
    if not children or mixed or depth > _DEPTH:
        text = " ".join("".join(element.itertext()).split())
        if text or element.attrib:
            blocks.append(f"{_label(element)}: {text}".rstrip(": "))
        return
    if depth:
        simple = all(len(child) == 0 for child in children)
        # Records stand apart by empty lines, and what holds records has a heading.
        blocks += ["", f"{'#' * min(depth + 1, 6)} {_label(element)}" if not simple else _label(element)]
    for child in children:
        _write(child, blocks, depth + 1)
    blocks.append("")
