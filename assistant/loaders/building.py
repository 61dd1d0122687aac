"""A text is put together block by block, with the places of its headings and pages."""

import re
from collections.abc import Callable
from typing import Any

from assistant.documents import Heading, Parsed

MAX_TEXT = 4_900_000  # characters of one document; over five million it would be refused
TOO_LONG = f"only about the first {MAX_TEXT / 1e6:.0f} million characters are read; split the file"
PAGE = "\x00"  # where a page starts inside a block; no XML can hold this character

_OPENING = 300  # characters; a heading that comes later names a chapter
# Titles that programs write by themselves.
_NO_TITLE = re.compile(
    r"(?:microsoft \w+ - .*|untitled.*|unbenannt.*|(?:power ?point|word|excel)?[ -]*(?:presentation|document|workbook)\d*|slide ?\d*|title|book\d*)",
    re.IGNORECASE,
)

_FILE_NAME = re.compile(r"\S+\.\w{3,4}")


def picture(description: str) -> str:
    """Return what stands for a picture: its description, or nothing where a program only wrote the file's name."""
    description = " ".join(description.split())
    return f"[Picture: {description}]" if description and not _FILE_NAME.fullmatch(description) else ""


class TextBuilder:
    """Collects blocks; a blank line stands between two of them, a newline between items of one list."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._in_list = False
        self.length = 0
        self.headings: list[Heading] = []
        self.pages: list[int] = []

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self.length += len(text)

    def add(self, block: str, item: bool = False) -> None:
        """Append a paragraph, table or (`item`) one line of a list; `PAGE` in it starts a page."""
        block = block.strip("\n")
        if self.length and block.strip(" \n" + PAGE):
            self._write("\n" if item and self._in_list else "\n\n")
        if block.strip(" \n" + PAGE):
            self._in_list = item
        for number, piece in enumerate(block.split(PAGE)):
            if number:
                self.page()
            self._write(piece)

    def add_waiting(self, waiting: list[Any], block: Callable[[Any], None]) -> None:
        """Empty `waiting`: append its texts, and give what else is in it to `block`, which may add to it."""
        while waiting:
            items = list(waiting)
            waiting.clear()
            for item in items:
                if isinstance(item, str):
                    self.add(item)
                else:
                    block(item)

    def heading(self, level: int, text: str) -> None:
        """Append a heading; `level` 1 is the highest."""
        text, breaks = " ".join(text.replace(PAGE, " ").split()), text.count(PAGE)
        if not text:
            self.add(PAGE * breaks)
            return
        level = min(max(level, 1), 6)
        if self.length:
            self._write("\n\n")
        for _ in range(breaks):
            self.page()
        self.headings.append(Heading(self.length, level, text))
        self._write(f"{'#' * level} {text}")
        self._in_list = False

    def page(self) -> None:
        """Start the next page here."""
        self.pages.append(self.length)

    def parsed(self, title: str = "", warnings: tuple[str, ...] = ()) -> Parsed:
        """Return all that was added; without a good `title` a heading of level 1 near the start is it."""
        title = "" if _NO_TITLE.fullmatch(title.strip()) else title.strip()
        opening = (heading.text for heading in self.headings if heading.level == 1 and heading.start < _OPENING)
        title = title or next(opening, "")
        return Parsed("".join(self._parts) + "\n", title, tuple(self.headings), tuple(self.pages), warnings)
