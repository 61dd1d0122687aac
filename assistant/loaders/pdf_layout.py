"""The layout of a page: columns in reading order, and their rows. Lengths are in points; y grows upwards."""

import re
import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

HYPHENS = "\ufffe\u00ad"  # U+FFFE is how pdfium gives back a hyphen at a line's end
CELL_GAP = 0.9  # of the font size: what stands further apart in a row is another cell
_MARK_GAP = 8  # times the font size: the most between the mark of a list's item and the item
_GUTTER = 0.7  # of the font size: the least width of the white space between two columns
_LEAST_LINES = 3  # on each side of it
_ATTEMPTS, _TESTS = 40, 200  # places and runs that are tried on a page
MARK = re.compile(
    r"[•▪◦‣●○■□–—*·-]|\(?(?:\d{1,3}(?:\.\d{1,3}){0,3}|[a-zA-Z]|[ivx]{2,4})[.)]|\d{1,2}(?:\.\d{1,3}){0,4}|\.\d{1,2}|\[\d{1,3}\]"
)
LEADER = re.compile(r"\s*(?:[.…·_]\s?){5,}")
_RTL = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_WIDE = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")


@dataclass(slots=True)
class Fragment:
    """Words that stand together on one line; `base` is the y of the line they stand on, `size` that of the font.

    `words` are (text, left, right, whether a space stands before it), or nothing in a long text.
    """

    text: str
    left: float
    right: float
    base: float
    size: float
    bold: bool = False
    mono: bool = False
    words: list[tuple[str, float, float, bool]] = field(default_factory=list)


Row = list[Fragment]


def _width(text: str) -> int:
    """Count characters, the wide ones of East Asia twice."""
    return len(text) + len(_WIDE.findall(text))


def _longest(side: Sequence[Fragment]) -> dict[float, Fragment]:
    """Return the longest fragment of each line, by its base."""
    lines: dict[float, Fragment] = {}
    for fragment in side:
        base = round(fragment.base, 1)
        if base not in lines or len(lines[base].text) < len(fragment.text):
            lines[base] = fragment
    return lines


def _mean_width(side: Iterable[Fragment]) -> float:
    return statistics.fmean(_width(fragment.text) for fragment in side)


def _is_prose(side: Sequence[Fragment]) -> bool:
    lower = sum(fragment.text[:1].islower() for fragment in side)
    width = _mean_width(side)
    return width >= 25 or (lower >= 0.35 * len(side) and width >= 10)


def _are_columns(left: Sequence[Fragment], right: Sequence[Fragment]) -> bool:
    """Whether both sides of a gutter are text that is read down, rather than the columns of a table."""
    fewer, more = sorted((_longest(left), _longest(right)), key=len)
    if len(fewer) < _LEAST_LINES:
        return False
    beside = level = 0
    bases = sorted(more)
    for base, fragment in fewer.items():
        at = bisect_left(bases, base)
        distance = min(abs(base - other) for other in bases[max(at - 1, 0) : at + 1])
        beside += distance < 0.8 * fragment.size
        level += distance < 0.1 * fragment.size
    if beside < 0.5 * len(fewer):
        return False
    if level < 0.5 * len(fewer):  # the rows of a table are level
        narrow = min(_mean_width(fewer.values()), _mean_width(more.values()))
        return (narrow >= 11 and len(fewer) > 0.6 * len(more)) or (narrow >= 6 and (_is_prose(left) or _is_prose(right)))
    return _is_prose(left) and _is_prose(right)


def _runs(fragments: Sequence[Fragment], x: float, gap: float) -> Iterator[tuple[int, int]]:
    """Yield (first, after the last) of runs of fragments that leave the place to the left of `x` white."""
    first = 0
    for at, fragment in enumerate(fragments):
        if fragment.left < x - 0.5 and fragment.right > x - gap:
            if at - first >= 2 * _LEAST_LINES:
                yield first, at
            first = at + 1
    if len(fragments) - first >= 2 * _LEAST_LINES:
        yield first, len(fragments)


def _find_columns(fragments: Sequence[Fragment]) -> tuple[int, int, float] | None:
    """Find the longest run of `fragments`, in order down the page, with white space between two columns.

    Returns its first index, the one after its last, and the x where the right column begins.
    """
    low, high = min(fragment.left for fragment in fragments), max(fragment.right for fragment in fragments)
    width = high - low
    gap = _GUTTER * statistics.median(fragment.size for fragment in fragments)
    # White space can be moved to the right until it meets a line.
    lefts = Counter(round(f.left) for f in fragments if low + 0.15 * width < f.left < high - 0.1 * width)
    # Most pages have one column: then few lines begin away from its left edge.
    if lefts.total() < _LEAST_LINES:
        return None
    found = [(first, end, float(x)) for x, _ in lefts.most_common(_ATTEMPTS) for first, end in _runs(fragments, x, gap)]
    for first, end, x in sorted(found, key=lambda run: run[0] - run[1])[:_TESTS]:
        inside = fragments[first:end]
        if _are_columns([f for f in inside if f.left < x - 0.5], [f for f in inside if f.left >= x - 0.5]):
            start, stop = _trimmed(inside, x)
            return first + start, first + stop, x
    return None


def _trimmed(inside: Sequence[Fragment], x: float) -> tuple[int, int]:
    """Leave out what stands on one side only, well above or below two columns: titles, page footers."""
    start, end = 0, len(inside)
    for at in range(1, len(inside)):
        if inside[at - 1].base - inside[at].base > 3 * inside[at].size:
            if len({fragment.left < x - 0.5 for fragment in inside[start:at]}) == 1:
                start = at
            elif len({fragment.left < x - 0.5 for fragment in inside[at:]}) == 1:
                return start, at
    return start, end


def reading_order(fragments: Sequence[Fragment], depth: int = 0) -> list[list[Fragment]]:
    """Cut a page into parts of one column each, in the order they are read; each part is sorted down the page."""
    ordered = sorted(fragments, key=lambda fragment: (-fragment.base, fragment.left))
    found = _find_columns(ordered) if len(ordered) >= 2 * _LEAST_LINES and depth < 12 else None
    if found is None:
        return [ordered] if ordered else []
    first, end, x = found
    inside = ordered[first:end]
    parts: list[list[Fragment]] = []
    for part in (ordered[:first], [f for f in inside if f.left < x - 0.5], [f for f in inside if f.left >= x - 0.5], ordered[end:]):
        parts += reading_order(part, depth + 1)
    return parts


def _same_line(one: Fragment, other: Fragment) -> bool:
    small, large = sorted((one, other), key=lambda fragment: fragment.size)
    distance = abs(one.base - other.base)
    if distance <= 0.3 * small.size:
        return True
    # Raised and lowered figures.
    near = large.left - 0.4 * large.size < small.left and small.right < large.right + 4 * large.size
    return 0.45 * large.size < small.size < 0.8 * large.size and distance < 0.55 * large.size and near


def _joined(one: Fragment, other: Fragment, space: float) -> Fragment:
    larger = one if len(one.text) >= len(other.text) else other
    apart = space >= 0.05 * larger.size or space < -0.5 * larger.size
    more = [(text, left, right, apart if at == 0 else spaced) for at, (text, left, right, spaced) in enumerate(other.words)]
    words = [*one.words, *more] if one.words and more else []
    return Fragment(
        f"{one.text}{' ' if apart else ''}{other.text}",
        min(one.left, other.left),
        max(one.right, other.right),
        larger.base,
        larger.size,
        one.bold and other.bold,
        one.mono and other.mono,
        words,
    )


def rows_of(part: Sequence[Fragment]) -> list[Row]:
    """Group the fragments of one column, sorted down the page, to rows of cells from left to right (or right to left)."""
    groups: list[Row] = []
    for fragment in part:
        for group in groups[-3:]:
            if any(_same_line(fragment, other) for other in group[-4:]):
                group.append(fragment)
                break
        else:
            groups.append([fragment])
    rows: list[Row] = []
    for group in groups:
        rtl = sum(bool(_RTL.search(fragment.text)) for fragment in group) * 2 > len(group)
        row: Row = []
        for fragment in sorted(group, key=lambda fragment: -fragment.right if rtl else fragment.left):
            if not row:
                row.append(fragment)
                continue
            last = row[-1]
            space = last.left - fragment.right if rtl else fragment.left - last.right
            leader = LEADER.fullmatch(last.text) or LEADER.fullmatch(fragment.text)
            if space < CELL_GAP * max(last.size, fragment.size) or leader:
                row[-1] = _joined(last, fragment, space)
            else:
                row.append(fragment)
        near = len(row) == 2 and row[1].left - row[0].right < _MARK_GAP * row[0].size
        if near and MARK.fullmatch(row[0].text) and re.search(r"[^\W\d]", row[1].text):
            row = [_joined(row[0], row[1], row[0].size)]  # the mark of a list's item
        rows.append(row)
    return rows
