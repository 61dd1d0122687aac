"""Plain text: headings are underlined lines and short lines in capitals that stand alone; form feeds end pages."""

import re

from assistant.decoding import decode_text
from assistant.documents import Heading, Parsed

_UNDERLINE = re.compile(r"^(=+|-+|~+|\*+)\s*$")
_HEADING_LENGTH = 80


def load_text(data: bytes) -> Parsed:
    """Read plain text; the title is a first line that is underlined or in capitals."""
    decoded = decode_text(data)
    text, pages = split_pages(decoded.text)
    lines = text.split("\n")
    headings: list[Heading] = []
    offset = 0
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        stripped = line.strip()
        alone = (number == 0 or not lines[number - 1].strip()) and not following.strip()
        if 2 < len(stripped) <= _HEADING_LENGTH:
            if _UNDERLINE.match(following) and len(following.strip()) >= 3 and not _UNDERLINE.match(line):
                headings.append(Heading(offset, 1 if following.startswith("=") else 2, stripped))
            elif alone and stripped.isupper() and stripped[-1] not in ".!?,;":
                headings.append(Heading(offset, 2, stripped))
        offset += len(line) + 1
    starts_with_title = bool(headings) and not text[: headings[0].start].strip()
    return Parsed(text, headings[0].text if starts_with_title else "", tuple(headings), pages, decoded.warnings)


def split_pages(text: str) -> tuple[str, tuple[int, ...]]:
    """Return `text` with line ends in place of its form feeds, and where its pages start; none where it has one page."""
    starts = [0, *(match.end() for match in re.finditer("\f", text.rstrip()))]
    return text.replace("\f", "\n"), tuple(starts) if len(starts) > 1 else ()
