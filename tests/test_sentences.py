import random
from itertools import pairwise

import pytest

from assistant.sentences import split_sentences


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith met Mr. Jones at 5 p.m. in Bonn. They left.", ["Dr. Smith met Mr. Jones at 5 p.m. in Bonn.", "They left."]),
        ("It cost $6.5 million. See e.g. page 4.", ["It cost $6.5 million.", "See e.g. page 4."]),
        ('He said "go." She went.', ['He said "go."', "She went."]),
        ("# Title\nText goes on\nhere. End.", ["# Title", "Text goes on\nhere.", "End."]),
        ("- one item\n- another. With two", ["- one item", "- another.", "With two"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["| a | b |", "|---|---|", "| 1 | 2 |"]),
        ("今天很冷。我们回家吧！好。", ["今天很冷。", "我们回家吧！", "好。"]),
        ("هل أنت هنا؟ نعم.", ["هل أنت هنا؟", "نعم."]),
        ("Die Schau endet am 28. April 2025. Danach ist zu.", ["Die Schau endet am 28. April 2025.", "Danach ist zu."]),
        ("Sie läuft ab dem\n3. Jan. 2020 dort.", ["Sie läuft ab dem\n3. Jan. 2020 dort."]),
        ("It cost 12. May left.\n1. May be used.", ["It cost 12.", "May left.", "1. May be used."]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_every_character_but_white_space_lies_in_exactly_one_span() -> None:
    signs = random.Random(7)
    for _ in range(300):
        text = "".join(signs.choice("aB1. \n!?|#-*。\"')(é\t") for _ in range(signs.randrange(200)))
        spans = split_sentences(text)
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
        covered = "".join(text[start:end] for start, end in spans)
        assert "".join(covered.split()) == "".join(text.split())


@pytest.mark.parametrize("piece", [".", "?!", '."', "a. ", "no. 1 ", "؟", "。", " ", "\n", "- a\n", "(7. ", "e.g.", "\u2028"])
def test_a_megabyte_of_marks_is_cut_without_taking_the_square_of_that(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    spans = split_sentences(text)  # once hours for some of these
    assert sum(len(text[start:end].split()) for start, end in spans) == len(text.split())
