import pytest

from assistant.repetition import repeats_from

FACT = "Ada Quill founded the Lumen Observatory in 1911. "
COLORS = ("red", "green", "blue", "white", "black", "grey")
REPEATED = {
    "a sentence": (FACT, "It stands on a mountain. ", "It stands on a mountain."),
    "a phrase": (FACT + "She saw", " and then she saw", "She saw and then"),
    "two words": (FACT + "And bears", " and bears", "And bears"),
    "a line": (FACT + "\n", "- rye bread from the oven\n", "- rye bread from the oven"),
    "lines that are counted": (FACT + "\n", "{n}. The oven burns beech wood.\n", "1. The oven burns beech wood."),
    "two lines in turn": (FACT + "\n", "- The oven is hot.\n- The bread is warm today.\n", "- The bread is warm today."),
    "marks that change": (FACT, "It stands on a mountain [{n}]. ", "It stands on a mountain [1]."),
    "a paragraph": ("", f"{FACT}It has a mirror of three metres and a dome. Visitors come on Sundays.\n\n", "Sundays."),
    "two paragraphs in turn": (
        FACT,
        "".join(f"The {color} tower has {n + 2} floors and a stair that leads up to the dome. " for n, color in enumerate(COLORS))
        + "\n\n",
        "up to the dome.",
    ),
    "signs": (FACT, "!", "!"),
    "a rule without an end": (FACT, "-=", "-="),
    "line ends": (FACT.strip(), "\n", ""),
    "a letter": (FACT, "a", "a"),
    "a script without spaces": ("艾达于1911年创立了天文台。", "它位于山上。", "它位于山上。"),
    "table rows": ("| a | b | c |\n| --- | --- | --- |\n", "| one | two | three four |\n", "| one | two | three four"),
}


@pytest.mark.parametrize("kind", REPEATED)
def test_a_repetition_is_noticed_soon_and_said_once(kind: str) -> None:
    start, again, kept = REPEATED[kind]
    text = start
    for n in range(1, 200):
        text += again.replace("{n}", str(n))
        cut = repeats_from(text)
        if cut is not None:
            break
    assert cut is not None and n <= (170 if len(again) <= 2 else 14)
    assert text[:cut].rstrip().endswith(kept)
    assert (text.startswith(text[:cut]) and text[:cut].count(again.strip() or "\n\n\n") <= 1) or len(again) <= 2


LEGITIMATE = {
    "a list": "".join(f"- In 20{n:02} the works made {n * 7} ships.\n" for n in range(40)),
    "a table of yes and no": "".join(f"| country {n} | yes | yes | no | yes | yes |\n" for n in range(30)),
    "a wide table": "| a | b | c | d | e | f | g | h |\n|---|---|---|---|---|---|---|---|\n| 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |\n",
    "emphasis": "It was very, very, very, very good. No, no, no!",
    "a chorus": "We will rock you. We will rock you. We will rock you.",
    "sentences with one start": "".join(
        f"The company said that it would sell {word}. " for word in ["ships", "cars", "trains", "bread"]
    ),
    "a rule": FACT + "\n" + "-" * 70 + "\n" + FACT,
    "dots": f"Chapter one {'.' * 60} 12",
    "code": "```\n" + "    }\n" * 5 + "```",
    "a name thrice": "New York, New York, New York",
    "numbers": "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
    "nothing": "",
}


@pytest.mark.parametrize("kind", LEGITIMATE)
def test_lists_tables_and_emphasis_are_no_repetition(kind: str) -> None:
    text = LEGITIMATE[kind]
    assert all(repeats_from(text[:end]) is None for end in range(len(text) + 1))
