"""Markdown: the text is kept as it was written, so that quotes are what the author typed."""

import re
from itertools import pairwise

from assistant.documents import Heading, Parsed, decode

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:(.+)$", re.MULTILINE)


def markdown_headings(text: str) -> tuple[Heading, ...]:
    """Find the headings of Markdown `text` (ATX and underlined; none inside code)."""
    from markdown_it import MarkdownIt

    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    tokens = MarkdownIt("commonmark").disable("inline").parse(text)
    return tuple(
        Heading(starts[token.map[0]], int(token.tag[1]), re.sub(r"[*_`]+", "", inline.content))
        for token, inline in pairwise(tokens)
        if token.type == "heading_open" and token.map
    )


def load_markdown(data: bytes) -> Parsed:
    """Read Markdown; the title is the front matter's, else the first heading of level 1."""
    text = decode(data)
    title = ""
    front = _FRONT_MATTER.match(text)
    if front:
        found = _FRONT_TITLE.search(front.group(1))
        title = found.group(1).strip().strip("\"'") if found else ""
        # Blanks of the same length keep every offset and stay out of the chunks.
        text = re.sub(r"[^\n]", " ", front.group()) + text[front.end() :]
    headings = markdown_headings(text)
    title = title or next((heading.text for heading in headings if heading.level == 1), "")
    return Parsed(text, title, headings)
