"""HTML: the main text without menus and what no reader sees, as Markdown. What is a menu, trafilatura knows."""

import re
from typing import Any

from assistant.decoding import decode_text
from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.html_markdown import to_markdown
from assistant.loaders.markdown import heading_lines

_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,100}?encoding=[\"']([\w.:-]{2,40})", re.I
)
_INVISIBLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?<![\w-])(?:font-size|opacity)\s*:\s*0(?:\.0*)?(?:[a-z%]+)?\s*(?:;|!|$)", re.I
)
_WHITE = re.compile(r"(?<![\w-])color\s*:\s*(?:#fff(?:fff)?\b|white\b|rgba?\(\s*255\s*,\s*255\s*,\s*255)", re.I)
_MENUS = "//nav|//footer[not(ancestor::article)]|//*[@role='navigation' or @role='search' or @role='contentinfo' or @role='banner']"
_LONG_PAGE = 1_000_000  # characters; what is longer is no page with menus, and pruning takes seconds
_MAIN_SHARE = 0.6  # a page's main element is taken alone when it holds this share of the text


def load_html(data: bytes) -> Parsed:
    """Read the main text of a page; the title is that of its first highest heading, else the page's own.

    Raises `DocumentError` when no text is found.
    """
    match = _CHARSET.search(data[:4096])
    decoded = decode_text(data, (match.group(1) or match.group(2)).decode() if match else "")
    tree = parse_html(decoded.text)
    warnings = list(decoded.warnings)
    frames = tree.xpath("//frame/@src")
    hidden = remove_hidden(tree)
    if hidden:
        warnings.append(hidden)
    title = " ".join((tree.findtext(".//title") or "").split())
    text = to_markdown(_main_part(tree))
    if not text and frames:
        raise DocumentError(f"its text is in other files ({', '.join(map(str, frames[:3]))}), which its frames show")
    headings = heading_lines(text)
    named = next((heading.text for heading in headings if heading.level == 1), "")
    return Parsed(text, named or title, headings, warnings=tuple(warnings))


def html_to_markdown(source: str) -> tuple[str, str]:
    """Convert all the visible text of HTML that is no web page: a mail, a chapter. Returns it and a warning or nothing."""
    tree = parse_html(source)
    hidden = remove_hidden(tree)
    return to_markdown(tree), hidden


def parse_html(source: str) -> Any:
    """Parse HTML, however broken; raises `DocumentError` when there is none."""
    from lxml import html as lxml_html
    from lxml.etree import LxmlError

    parser = lxml_html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = lxml_html.document_fromstring(source.encode("utf-8", errors="replace"), parser=parser)
    except (LxmlError, ValueError, AssertionError) as error:
        raise DocumentError(f"no text was found in it ({error})") from None
    if any("Excessive depth" in entry.message for entry in parser.error_log):
        raise DocumentError("its elements are nested over 255 deep, which no browser's page needs")
    return tree


def remove_hidden(tree: Any) -> str:
    """Take out of `tree` what a browser doesn't show; returns a warning about it, or nothing."""
    characters = 0
    for element in tree.xpath("//*[@style or @hidden or @aria-hidden='true' or @color]"):
        if element.tag in ("html", "body") or not _is_hidden(element):
            continue
        length = len(" ".join(element.text_content().split())) if element.tag not in ("script", "style", "svg") else 0
        if element.getparent() is not None:
            element.drop_tree()
        characters += length
    return f"text that is hidden in a browser was left out ({characters} characters)" if characters else ""


def _is_hidden(element: Any) -> bool:
    style = element.get("style") or ""
    if element.get("hidden") is not None or element.get("aria-hidden") == "true" or _INVISIBLE.search(style):
        return True
    if not _WHITE.search(style) and (element.get("color") or "").lower() not in ("white", "#fff", "#ffffff"):
        return False
    # White on white, when nothing around may have coloured the ground.
    around = [element, *element.iterancestors()]
    return not any(e.get("class") or e.get("id") or e.get("bgcolor") or "background" in (e.get("style") or "") for e in around)


def _main_part(tree: Any) -> Any:
    """Return the element with the page's text, its menus taken out unless hardly anything else is there."""
    from trafilatura.htmlprocessing import prune_unwanted_nodes
    from trafilatura.xpaths import OVERALL_DISCARD_XPATH

    for element in tree.xpath("//script|//style|//noscript|//template|//svg"):
        element.drop_tree()
    body = tree.find("body")
    body = tree if body is None else body
    whole = _length(body)
    menus = body.xpath("." + _MENUS.replace("|//", "|.//"))
    if sum(_length(menu) for menu in menus) < whole * 0.8:
        for menu in menus:
            if menu.getparent() is not None:
                menu.drop_tree()
    if whole < _LONG_PAGE:
        # It keeps all when too little would be left.
        prune_unwanted_nodes(body, OVERALL_DISCARD_XPATH, with_backup=True)
    left = _length(body)
    for main in body.xpath(".//main|.//*[@role='main']|.//article"):
        if _length(main) > _MAIN_SHARE * left:
            return main
    return body


def _length(element: Any) -> int:
    return sum(len(text.strip()) for text in element.itertext())
