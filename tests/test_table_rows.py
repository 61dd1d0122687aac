"""Rows of tables and their headers: found above the row, in the passage or before it."""

from collections.abc import Callable

import pytest

from assistant.settings import Settings
from assistant.sync import Corpus
from assistant.table_rows import header_above, header_in, header_of_row, labelled

HEADER, BAR = "| room | people |", "| --- | ---: |"
TABLE = f"{HEADER}\n{BAR}\n| Linden | 12 |\n| Birch | 40 |"


@pytest.mark.parametrize(
    ("text", "row", "header"),
    [
        (TABLE, "| Linden", HEADER),
        (TABLE, "| Birch", HEADER),
        (TABLE, "40", HEADER),
        (TABLE, "| room", ""),
        (f"Rooms for hire.\n\n{TABLE}\n\nAfter it.", "| Birch", HEADER),
        (f"Rooms for hire.\n\n{TABLE}\n\nAfter it.", "After", ""),
        (f"{HEADER}\n| Linden | 12 |\n| Birch | 40 |", "| Birch", ""),
        (f"| a | b |\n| - | - |\n| 1 | 2 |\n\n{TABLE}", "| Birch", HEADER),
        ("| a | b |\n| - | - |\n| - | - |\n| 1 | 2 |", "| 1", "| a | b |"),
        ("a | b, said the sign\n---\nand c | d", "and", ""),
    ],
)
def test_the_header_is_that_of_the_table_the_row_stands_in(text: str, row: str, header: str) -> None:
    assert header_of_row(text, text.index(row)) == header


@pytest.mark.parametrize("cut", ["| --- |", "| Linden", "| Birch", "40 |"])
def test_a_text_that_begins_within_a_table_has_the_header_before_it(cut: str) -> None:
    start = TABLE.index(cut)
    before, text = TABLE[:start], TABLE[start:]
    header = header_above(before, text)
    assert header == HEADER
    assert header_in(header, text, text.index("40")) == HEADER
    below = f"{text}\n\nRooms are cleaned. | is a bar."
    assert header_in(header, below, below.index("Rooms")) == ""


@pytest.mark.parametrize("cut", ["| room", "Rooms"])
def test_a_text_that_begins_elsewhere_has_none(cut: str) -> None:
    text = f"Rooms for hire.\n\n{TABLE}"
    start = text.index(cut)
    assert header_above(text[:start], text[start:]) == ""


def test_cells_are_told_with_their_headers() -> None:
    assert labelled(HEADER, "| Linden | 12 |") == "room: Linden · people: 12"
    assert labelled("| | people |", "| Linden | |") == "Linden"
    assert labelled(HEADER, r"| A\|B | 12 |") == "room: A|B · people: 12"
    assert labelled(HEADER, "| Linden |") == ""


def test_passages_know_the_header_of_a_table_that_began_in_an_earlier_chunk(settings: Callable[..., Settings]) -> None:
    options = settings()
    rows = "\n".join(f"| meeting room number {number} on the upper floor | {number * 7} |" for number in range(60))
    (options.corpus / "rooms.md").write_text(f"# Rooms\n\n| meeting room | people |\n| --- | --- |\n{rows}\n", encoding="utf-8")
    corpus = Corpus(options)
    corpus.sync()
    hits = corpus.search("How many people fit into meeting room number 57?", 50)
    assert len(hits) > 2
    for hit in hits:
        assert hit.header == ("| meeting room | people |" if hit.chunk.text.startswith("| meeting room number") else "")
    found = corpus.passages("How many people fit into meeting room number 57?", 8)
    last = next(hit for hit in found if "number 57 " in hit.chunk.text)
    at = last.chunk.text.index("| meeting room number 57")
    assert header_in(last.header, last.chunk.text, at) == "| meeting room | people |"
    corpus.close()
