"""Markdown: the text is kept as it was written, so that quotes are what the author typed."""

import re
from itertools import pairwise

from assistant.decoding import decode_text
from assistant.documents import Heading, Parsed

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_MARKS = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)")
_LINES = re.compile(r"^(?:(?P<fence>`{3,}|~{3,})(?P<rest>.*)|(?P<marks>#{1,6}) (?P<name>.*))$", re.MULTILINE)
_LONG = 2_000_000  # characters; beyond, the parser takes too long and too much memory
_FRONT_TITLE = re.compile(r"^title:(.+)$", re.MULTILINE)


def markdown_headings(text: str) -> tuple[Heading, ...]:
    """Find the headings of Markdown `text` (ATX and underlined; none inside code)."""
    if len(text) > _LONG:
        return heading_lines(text)
    from markdown_it import MarkdownIt

    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    tokens = MarkdownIt("commonmark").disable("inline").parse(text)
    return tuple(
        Heading(starts[token.map[0]], int(token.tag[1]), _MARKS.sub("", inline.content))
        for token, inline in pairwise(tokens)
        if token.type == "heading_open" and token.map
    )


def heading_lines(text: str) -> tuple[Heading, ...]:
    """Find the lines of `text` that begin with `#` outside of fenced code: all headings of what a loader wrote itself."""
    headings: list[Heading] = []
    fence = ""
    for match in _LINES.finditer(text):
        if match["fence"]:
            if not fence:
                fence = match["fence"]
            elif match["fence"].startswith(fence) and not match["rest"].strip():
                fence = ""
        elif not fence:
            name = _MARKS.sub("", match["name"]).strip()
            headings.append(Heading(match.start(), len(match["marks"]), name))
    return tuple(headings)


def load_markdown(data: bytes) -> Parsed:
    """Read Markdown; the title is the front matter's, else the first heading of level 1."""
    decoded = decode_text(data)
    text = decoded.text
    title = ""
    front = _FRONT_MATTER.match(text)
    if front:
        found = _FRONT_TITLE.search(front.group(1))
        title = found.group(1).strip().strip("\"'") if found else ""
        # Blanks of the same length keep every offset and stay out of the chunks.
        text = re.sub(r"[^\n]", " ", front.group()) + text[front.end() :]
    headings = markdown_headings(text)
    title = title or next((heading.text for heading in headings if heading.level == 1), "")
    return Parsed(text, title, headings, warnings=decoded.warnings)
