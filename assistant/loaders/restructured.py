"""reStructuredText: the text as written, its section titles found by docutils."""

import re
from typing import Any

from assistant.decoding import decode_text
from assistant.documents import Heading, Parsed
from assistant.loaders.text import load_text

_LONG = 2_000_000  # characters; docutils needs about a second for 100,000


def load_restructured(data: bytes) -> Parsed:
    """Read reStructuredText. Nothing that it includes is read. The title is its only highest section's, or none."""
    decoded = decode_text(data)
    titles = _titles(decoded.text[: _LONG // 4])
    if not titles:
        return load_text(data)
    lines = decoded.text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    headings: list[Heading] = []
    place = 0
    for level, title in titles:
        # docutils tells the line only roughly; titles come in order, each on a line of its own over a line of signs.
        for number in range(place, len(lines) - 1):
            line, under = lines[number], lines[number + 1].rstrip()
            if re.fullmatch(r"([^\w\s])\1*", under) and _plain(line) == _plain(title) and len(under) >= min(3, len(title)):
                headings.append(Heading(starts[number], level, title))
                place = number + 2
                break
    tops = [heading for heading in headings if heading.level == 1]
    title = tops[0].text if tops and not decoded.text[: tops[0].start].strip("=-~*#^\"'` \n") else ""
    return Parsed(decoded.text, title, tuple(headings), warnings=decoded.warnings)


def _plain(text: str) -> str:
    """Return the letters and digits alone: markup is written in other signs."""
    return re.sub(r"[\W_]+", "", re.sub(r":\w+:(?=`)|<[^>]*>`", "", text))


def _titles(text: str) -> list[tuple[int, str]]:
    """Return the section titles in order, with their levels."""
    from docutils import nodes
    from docutils.core import publish_doctree
    from docutils.utils import SystemMessage

    settings = {
        "file_insertion_enabled": False,
        "raw_enabled": False,
        "_disable_config": True,
        "report_level": 5,
        "halt_level": 5,
        "warning_stream": False,
        "doctitle_xform": False,
        "docinfo_xform": False,
        "smart_quotes": False,
        "line_length_limit": 10_000_000,
    }
    try:
        tree: Any = publish_doctree(text, settings_overrides=settings)
    except (SystemMessage, ValueError, RecursionError, AttributeError, LookupError):
        return []
    return [(_level(title), title.astext()) for title in tree.findall(nodes.title) if isinstance(title.parent, nodes.section)]


def _level(title: Any) -> int:
    from docutils import nodes

    level, parent = 0, title.parent
    while parent is not None:
        level += isinstance(parent, nodes.section)
        parent = parent.parent
    return level
