"""Where on a drawn page a quote stands: found by its letters and digits, whatever stands between them."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from assistant.loaders.pdf_drawing import SCALE
from assistant.sentences import Span

_SEED = 12  # letters in a row that are looked for when the quote is not there in one piece
_ENOUGH = 0.6  # of the quote's letters, in such pieces
_MOST = 3000  # letters of a quote
_APART = 2.0  # heights of a letter: what is farther away on its line is a mark of its own
_MOST_MARKS = 300


class Mark(NamedTuple):
    """A rectangle on a picture, in per cent of its width and height."""

    left: float
    top: float
    width: float
    height: float


def find_quote(text: str, quote: str, nth: int = 0) -> list[Span]:
    """Return the spans of a page's `text` in which `quote` stands, nothing when it isn't found.

    White space, hyphens, ligatures, line ends and Markdown's signs don't matter. Of several places the one number `nth`
    (from 0) is taken. What is torn, as by a footnote, is found in pieces.
    """
    page, places = _letters(text)
    wanted = _letters(quote)[0][:_MOST]
    if not wanted:
        return []
    starts = list(_occurrences(page, wanted))
    if starts:
        pieces = [(starts[min(nth, len(starts) - 1)], len(wanted))]
    else:
        pieces = list(_pieces(page, wanted))
        if sum(length for _, length in pieces) < _ENOUGH * len(wanted):
            return []
    return [_whole(text, places[start], places[start + length - 1] + 1) for start, length in pieces]


def count_quote(text: str, quote: str) -> int:
    """Return how often `quote` stands in `text`, as `find_quote` looks."""
    wanted = _letters(quote)[0][:_MOST]
    return sum(1 for _ in _occurrences(_letters(text)[0], wanted)) if wanted else 0


def _letters(text: str) -> tuple[str, list[int]]:
    """Return the letters and digits of `text` in lower case, and which character each comes from."""
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        plain = character if character.isascii() else unicodedata.normalize("NFKC", character)
        for letter in plain.casefold():
            if letter.isalnum():
                letters.append(letter)
                places.append(place)
    return "".join(letters), places


def _occurrences(text: str, wanted: str) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + len(wanted))


def _pieces(page: str, wanted: str) -> Iterator[tuple[int, int]]:
    """Yield (start, length) of what of `wanted` stands on the page in one piece, each after the one before if it can be."""
    at = after = 0
    while at + _SEED <= len(wanted):
        seed = wanted[at : at + _SEED]
        start = page.find(seed, after)
        if start < 0:
            start = page.find(seed)
        if start < 0:
            at += 1
            continue
        length = _SEED
        while page[start + length : start + length + 1] == wanted[at + length : at + length + 1] != "":
            length += 1
        yield start, length
        at += length
        after = start + length


def _whole(text: str, start: int, end: int) -> Span:
    """Return the span with the stop or quotation mark that follows it."""
    while end < len(text) and not text[end].isalnum() and not text[end].isspace() and text[end] != "\ufffe":
        end += 1
    return start, end


def marks(text: str, boxes: Sequence[int], spans: Sequence[Span]) -> list[Mark]:
    """Return rectangles around `spans` of `text`, one for each line; `boxes` are those of `pdf_drawing.Drawn`."""
    lines: list[list[int]] = []
    for start, end in spans:
        fresh = True
        for at in range(start, end):
            box = list(boxes[4 * at : 4 * at + 4])
            if text[at].isspace() or box[0] >= box[2] or box[1] >= box[3]:
                continue
            if not fresh and _same_line(lines[-1], box):
                lines[-1] = [*map(min, lines[-1][:2], box[:2]), *map(max, lines[-1][2:], box[2:])]
            else:
                lines.append(box)
            fresh = False
    percent = SCALE / 100
    return [
        Mark(left / percent, top / percent, (right - left) / percent, (bottom - top) / percent)
        for left, top, right, bottom in lines[:_MOST_MARKS]
    ]


def _same_line(line: list[int], box: list[int]) -> bool:
    height = min(line[3] - line[1], box[3] - box[1])
    overlap = min(line[3], box[3]) - max(line[1], box[1])
    gap = max(box[0] - line[2], line[0] - box[2])
    return overlap > 0.5 * height and gap < _APART * height
