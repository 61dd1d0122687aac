"""The text of a document as HTML with spans of it marked: paragraphs, headings, tables, beginnings of pages, code."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from assistant.loaders.source import RULES
from assistant.sentences import Span
from ui.render import shown_lines

# Before a word, so not before a list item, table row or heading.
_WRAPPED = re.compile(r"(?<=[^\s|])\n(?=[^\W\d_])")
_HEADING = re.compile(r"#{1,6} (?=\S)")
_SIGNS = re.compile(r"#{0,6} *")


def is_code(id: str) -> bool:
    """Whether the document called `id` is source code, whose lines stay as they are."""
    return PurePosixPath(id).suffix.lower() in RULES


def laid_out(
    text: str,
    marks: Sequence[Span],
    first: int = 0,
    last: int | None = None,
    headings: Collection[int] | None = None,
    pages: Mapping[int, int] = {},
) -> str:
    """Return characters `first` to `last` of `text` as blocks, or as plain text when it is one paragraph, with `marks` marked.

    `headings` are the characters at which headings begin; without them, those of Markdown count. `pages` has the numbers of the
    pages that begin in the text by their first character.
    """
    last = len(text) if last is None else last
    if headings is None:
        headings = {found.start() for found in re.finditer(rf"(?m)^{_HEADING.pattern}", text)}
    blocks = list(_blocks(text, marks, _lines(text, first, last, pages), headings, pages))
    if len(blocks) == 1 and blocks[0].startswith(_PARAGRAPH):
        return blocks[0].removeprefix(_PARAGRAPH).removesuffix("</div>")
    return "".join(blocks)


_PARAGRAPH = '<div class="para">'


def _blocks(
    text: str, marks: Sequence[Span], lines: Iterator[Span], headings: Collection[int], pages: Mapping[int, int]
) -> Iterator[str]:
    flowing = unwrapped(text)
    begun: list[Span] = []  # lines of a paragraph or table
    for start, end in lines:
        in_table = text.startswith("|", start)
        if begun and (start in pages or start in headings or in_table != text.startswith("|", begun[0][0])):
            yield _block(flowing, begun, marks)
            begun = []
        if start in pages:
            yield f'<div class="leaf">Page {pages[start]:,}</div>'
        if start in headings:
            signs = _SIGNS.match(text, start, end)
            yield f'<div class="heading">{marked(flowing, marks, signs.end() if signs else start, end)}</div>'
        else:
            begun.append((start, end))
    if begun:
        yield _block(flowing, begun, marks)


def _lines(text: str, first: int, last: int, pages: Mapping[int, int]) -> Iterator[Span]:
    """Yield the lines of a part of `text`; a page that begins within one ends it."""
    cuts = sorted(at for at in pages if first < at < last)
    while first < last:
        end = text.find("\n", first, last)
        end = last if end < 0 else end
        cut = next((at for at in cuts if first < at <= end), None)
        yield first, end if cut is None else cut
        first = end + 1 if cut is None else cut


def _block(text: str, lines: Sequence[Span], marks: Sequence[Span]) -> str:
    first, last = lines[0][0], lines[-1][1]
    if text.startswith("|", first):
        rows = "".join(_row(text, start, end, marks) for start, end in lines)
        return f'<div class="wide"><table><tbody>{rows}</tbody></table></div>'
    body = marked(text, marks, first, last).strip("\n")
    return f"{_PARAGRAPH}{body}</div>" if body.strip() else ""


def _row(text: str, start: int, end: int, marks: Sequence[Span]) -> str:
    """Return a row of a Markdown table; nothing for the line between its head and its body."""
    if not text[start:end].strip("|-: "):
        return ""
    cells = []
    at = start + 1
    while at < end:
        border = text.find("|", at, end)
        border = end if border < 0 else border
        cells.append(f"<td>{marked(text, marks, at, border).strip()}</td>")
        at = border + 1
    return f"<tr>{''.join(cells)}</tr>"


def unwrapped(text: str) -> str:
    """Return `text` of the same length in which lines that a file wraps by hand flow again."""
    return _WRAPPED.sub(" ", text)


def merged(spans: Sequence[Span]) -> list[Span]:
    """Return spans in order, those that touch joined."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def marked(text: str, marks: Sequence[Span], start: int, end: int) -> str:
    """Return `text[start:end]` escaped, with `marks` in mark elements."""
    pieces: list[str] = []
    at = start
    for first, last in marks:
        first, last = max(first, start), min(last, end)
        if first < last:
            pieces.append(f"{shown_lines(text[at:first])}<mark>{shown_lines(text[first:last])}</mark>")
            at = last
    return "".join(pieces) + shown_lines(text[at:end])
