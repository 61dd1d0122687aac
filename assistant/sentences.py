"""Cut text into sentences, as spans of characters."""

import re
from collections.abc import Iterator

Span = tuple[int, int]

# An end mark, closing quotes or brackets, then white space; East Asian end marks need no space.
# Each run of marks is tried once, at its start, and as a whole: a megabyte of full stops must not take a square of that.
_BOUNDARY = re.compile(r"""(?<![.!?…])[.!?…]++["'”’»)\]]*+(?=\s)|[。！？｡]++["'”’」』）]*+|(?<![؟۔।])[؟۔।]++(?=\s|$)""")
_BEFORE, _AFTER = 40, 20  # characters around a full stop that are looked at
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'“‘])(?:[A-Z]|[A-Za-z](?:\.[A-Za-z])+|"
    r"(?:mr|mrs|ms|dr|prof|st|sr|jr|gen|col|sgt|lt|rev|hon|inc|ltd|co|corp|no|nos|vs|vol|ed|eds|fig|figs|eq|eqs|sec|ch|pp?|"
    r"approx|ca|cf|al|etc|est|dept|univ|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|bzw|ggf|vgl|nr|abs|z\.b|d\.h))$",
    re.IGNORECASE,
)
# The month after a day with a full stop, "28. April". What is also an English word or name must have its year: "1. May be used".
MONTH = (
    r"(?:(?:Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember)\b"
    r"|(?:Jan|Feb|Mär|Apr|Jun|Jul|Aug|Sept?|Okt|Nov|Dez)\."
    r"|(?:January|February|March|May|June|July|October|December)(?=\s+\d{4}\b))"
)
_DAY = re.compile(r"(?:^|\s)(?:0?[1-9]|[12]\d|3[01])$")
# Lines that stand alone: headings, list items, table rows, quotes.
_LINE_ITEM = re.compile(rf"\s*(?:#{{1,6}}\s|[-*+•▪◦‣]\s|\d{{1,3}}(?:\)|\.(?!\s+{MONTH}))\s|\||>)")
_CLOSERS = "\"'”’»)]"


def _blocks(text: str) -> Iterator[Span]:
    """Yield spans between blank lines; a heading, list item, table row or underline ends the block before it."""
    start = offset = 0
    previous = ""
    for line in text.splitlines(keepends=True):
        apart = not line.strip() or _LINE_ITEM.match(line) or not previous.strip()
        if not apart and re.match(r"#{1,6}\s|\|", previous.lstrip()):
            apart = True
        if apart and offset > start:
            yield start, offset
            start = offset
        offset += len(line)
        previous = line
    if offset > start:
        yield start, offset


def _is_abbreviation(before: str, after: str) -> bool:
    """Whether the full stop between `before` and `after` belongs to an abbreviation, an initial or a day."""
    following = after.lstrip()[:1]
    if following.islower() or re.fullmatch(r"\s*\(?\d{1,3}", before):
        return True  # "7. Results" is a numbered heading or item
    if _DAY.search(before[-4:]) and re.match(rf"\s+{MONTH}", after):
        return True
    match = _ABBREVIATION.search(before[-14:])
    if not match:
        return False
    word = match.group().strip(" \t\n([\"'“‘").lower()
    # "U.S." and "etc." may also end a sentence: then a capital follows.
    return not (("." in word or word in {"etc", "inc", "ltd", "co", "corp", "al"}) and following.isupper())


def split_sentences(text: str) -> list[Span]:
    """Return the spans of the sentences of `text`, in order, without white space around them.

    Everything but white space lies in exactly one span. Paragraphs, list items, table rows and
    headings are never joined.
    """
    spans: list[Span] = []
    for block_start, block_end in _blocks(text):
        start = block_start
        for match in _BOUNDARY.finditer(text, block_start, block_end):
            end = match.end()
            if match.group().rstrip(_CLOSERS) == "." and _is_abbreviation(
                text[max(start, match.start() - _BEFORE) : match.start()], text[end : end + _AFTER]
            ):
                continue
            spans.append((start, end))
            start = end
        spans.append((start, block_end))
    return [span for span in (_strip(text, start, end) for start, end in spans) if span[0] < span[1]]


def _strip(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))
