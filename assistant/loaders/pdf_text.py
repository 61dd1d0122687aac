"""Blocks of a PDF become one Markdown text: words cut at line ends joined, headings marked by their fonts."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from assistant.documents import Heading
from assistant.loaders.pdf_blocks import Block, Item, Pages, to_blocks, usual_spacing, without_furniture
from assistant.loaders.pdf_layout import HYPHENS, reading_order
from assistant.loaders.pdf_tables import Line, Table, lines_and_tables

_HEADING_RATIO = 1.15  # a line in a font this much larger than most of the text is a heading
_HEADING_LENGTH, _HEADING_LINES = 160, 4
_BULLET = re.compile(r"^[•▪◦‣●○■□]\s*")
_RULE = re.compile(r"[-=_*~.·\s]{5,}")
_SPACELESS = re.compile(r"[\u2e80-\u30ff\u31c0-\u9fff\uf900-\ufaff\uff00-\uffef]")  # Chinese and Japanese
_PREFIXES = frozenset(
    ["under", "over", "inter", "super", "counter", "after", "back", "fore", "with", "some", "every", "where", "there"]
)  # also words
_LABELLED = re.compile(r"\w[\w ./#&'’()-]{0,30}:\s")


def _vocabulary(pages: Pages) -> frozenset[str]:
    words = {word.strip(".,;:!?()[]\"'“”’") for page in pages for fragment in page for word in fragment.text.lower().split()}
    return frozenset(words | {part for word in words if "-" in word for part in word.split("-")})


def _cell(text: str) -> str:
    return text.replace("\ufffe ", "").replace("|", "/")


class _Writer:
    """Writes blocks into one text and keeps where pages and headings start."""

    def __init__(self, pages: int, vocabulary: frozenset[str]) -> None:
        self._text: list[str] = []
        self._length = 0
        self._starts: list[int | None] = [None] * pages
        self._vocabulary = vocabulary
        self.headings: list[Heading] = []

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def starts(self) -> tuple[int, ...]:
        """The first character of each page; a page without text starts where the next one does."""
        starts, following = [], self._length
        for start in reversed(self._starts):
            following = following if start is None else start
            starts.append(following)
        return tuple(reversed(starts))

    def _add(self, page: int, text: str) -> None:
        if self._starts[page] is None:
            self._starts[page] = self._length
        text = text.replace("\ufffe", "-")
        self._text.append(text)
        self._length += len(text)

    def table(self, page: int, table: Table) -> None:
        """Write a Markdown table."""
        lines = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in table.rows]
        lines.insert(1, "|" + " --- |" * len(table.rows[0]))
        self._add(page, "\n".join(lines) + "\n\n")

    def heading(self, block: Block, level: int) -> None:
        """Write a heading."""
        start = self._length
        self._add(block.page, "#" * level + " ")
        first = len(self._text)
        self._lines(block, hard=False)
        self.headings.append(Heading(start, level, "".join(self._text[first:])))
        self._add(block.page, "\n\n")

    def paragraph(self, block: Block) -> None:
        """Write a paragraph or an item of a list; a line that ended early ends one here, too."""
        self._lines(block, hard=True)
        self._add(block.lines[-1][0], "\n\n")

    def _lines(self, block: Block, hard: bool) -> None:
        edge = _edge([line for _, line in block.lines])
        left = min(line.left for _, line in block.lines)
        for at, (page, line) in enumerate(block.lines):
            text = _BULLET.sub("- ", line.text) if at == 0 and hard else line.text
            if line.mono:
                text = " " * min(round((line.left - left) / (0.6 * line.size)), 40) + text
            following = block.lines[at + 1][1] if at + 1 < len(block.lines) else None
            if following is None:
                joint = ""
            elif text[-1:] in HYPHENS or (text[-1:] == "-" and text[-2:-1].isalpha() and following.text[:1].isalnum()):
                text, joint = text[:-1], self._hyphen(text[:-1], following.text)
            else:
                same_page = page == block.lines[at + 1][0]
                space = "" if _SPACELESS.match(text[-1:]) and _SPACELESS.match(following.text) else " "
                joint = "\n" if line.mono or (hard and same_page and _ended_early(line, following, edge)) else space
            self._add(page, text + joint)

    def _hyphen(self, before: str, after: str) -> str:
        """Return the hyphen of a compound that was cut at a line's end, nothing for a word that was."""
        first, second = re.search(r"\w*$", before), re.match(r"\w*", after)
        one, other = (first.group().lower() if first else ""), (second.group().lower() if second else "")
        if not after[:1].islower():
            return "-"
        if one + other in self._vocabulary:
            return ""
        compound = min(len(one), len(other)) > 3 and one not in _PREFIXES and {one, other} <= self._vocabulary
        return "-" if compound or len(one) == 1 or f"{one}-{other}" in self._vocabulary else ""


def _edge(lines: Sequence[Line]) -> float:
    """Return where the lines of a paragraph end; one that sticks out doesn't count among many."""
    return sorted(line.right for line in lines)[-1 - len(lines) // 4]


def _ended_early(last: Line, line: Line, edge: float) -> bool:
    """Whether the first word of `line` would have had room at the end of `last`."""
    if _LABELLED.match(last.text) and _LABELLED.match(line.text):
        return True
    word = len(line.text.split(maxsplit=1)[0]) + 1.5
    return edge - last.right > word * (line.right - line.left) / len(line.text) and not line.text[:1].islower()


@dataclass(frozen=True)
class _Fonts:
    """The font size of most of the text, the larger ones from the largest, and whether bold lines are headings."""

    body: float
    larger: tuple[float, ...]
    bold: bool

    def level(self, block: Block) -> int:
        """Return the level of `block` as a heading, 0 for none."""
        text = " ".join(line.text for _, line in block.lines)
        if len(text) > _HEADING_LENGTH or len(block.lines) > _HEADING_LINES or block.lines[0][1].apart or block.lines[0][1].mono:
            return 0
        if len(re.findall(r"[^\W\d_]", text)) < 2 or _BULLET.match(text):
            return 0
        lines = [line for _, line in block.lines]
        edge = _edge(lines)
        if len(lines) > 2 and not block.bold and any(_ended_early(*pair, edge) for pair in pairwise(lines)):
            return 0
        if block.size in self.larger:
            return min(self.larger.index(block.size) + 1, 6)
        strong = self.bold and block.bold and block.size >= self.body and len(block.lines) <= 2
        return min(len(self.larger) + 1, 6) if strong and not text.endswith((".", ",", ";")) else 0


def _fonts(pages: Pages) -> _Fonts:
    sizes: Counter[float] = Counter()
    bold = 0
    for page in pages:
        for fragment in page:
            sizes[fragment.size] += len(fragment.text)
            bold += fragment.bold * len(fragment.text)
    body = sizes.most_common(1)[0][0]
    rare = 0.3 * sizes.total()
    larger = sorted((size for size, count in sizes.items() if size >= body * _HEADING_RATIO and count < rare), reverse=True)
    return _Fonts(body, tuple(larger), bold < rare)


def write(pages: Pages, notes: Sequence[Sequence[str]]) -> tuple[str, tuple[Heading, ...], tuple[int, ...]]:
    """Make one Markdown text of `pages`; `notes` are paragraphs that come last on a page.

    Returns it with its headings and the first character of each page. One page at least must hold a fragment.
    """
    fonts = _fonts(pages)
    pages = without_furniture(pages)
    parts = [[_without_rules(lines_and_tables(part)) for part in reading_order(page)] for page in pages]
    blocks = to_blocks(parts, usual_spacing((part for page in parts for part in page), fonts.body))
    writer = _Writer(len(pages), _vocabulary(pages))
    at = 0
    for page, texts in enumerate(notes):
        while at < len(blocks) and blocks[at].page <= page:
            block = blocks[at]
            at += 1
            if block.table:
                writer.table(block.page, block.table)
            elif level := fonts.level(block):
                writer.heading(block, level)
            else:
                writer.paragraph(block)
        for text in texts:
            writer._add(page, text + "\n\n")
    return writer.text, tuple(writer.headings), writer.starts


def _without_rules(items: list[Item]) -> list[Item]:
    """Drop lines drawn with characters."""
    return [item for item in items if isinstance(item, Table) or not _RULE.fullmatch(item.text)]
