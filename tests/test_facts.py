"""Values, names and denials are compared exactly, however they are written."""

import pytest

from assistant.facts import compare, read_facts
from assistant.value_match import held
from assistant.values import values

SAME = [
    ("$6m", "six million dollars"),
    ("$6 million", "US$6m"),
    ("6 million dollars", "$6,000,000"),
    ("6m", "6,000,000"),
    ("six million", "6,000,000"),
    ("6,000,000", "6 000 000"),
    ("6'000'000", "6.000.000"),
    ("1.5k", "1,500"),
    ("half a million", "500,000"),
    ("a billion", "1bn"),
    ("a dozen", "12"),
    ("fifteen", "15"),
    ("twenty-five", "25"),
    ("one hundred and fifty", "150"),
    ("two hundred thousand", "200,000"),
    ("1.1 million", "1,100,000"),
    ("20,000", "20 thousand"),
    ("£482 billion", "£482bn"),
    ("482 billion pounds", "£482bn"),
    ("€5", "5 euros"),
    ("15%", "fifteen percent"),
    ("15 per cent", "15%"),
    ("1.4 percent", "1.4 per cent"),
    ("-5%", "5%"),
    ("5%", "5 to 10%"),
    ("1,4", "1.4"),
    ("3-1", "3–1"),
    ("3:1", "3-1"),
    ("from 2019 to 2020", "2019-2020"),
    ("2019-2020", "between 2019 and 2020"),
    ("27 January 2025", "January 27, 2025"),
    ("2025-01-27", "27 Jan 2025"),
    ("27/01/2025", "27 January 2025"),
    ("the 27th of January", "January 27, 2025"),
    ("January 2025", "27 January 2025"),
    ("2025", "27 January 2025"),
    ("30 January", "January 30th"),
    ("27 January 2025", "In 2025 the market fell on Monday 27 January"),
    ("third", "3rd"),
    ("5 hours", "5-hour"),
    ("5 km", "five kilometres"),
    ("three times", "3x"),
    ("the 1990s", "1990s"),
    ("10:30", "at 10:30"),
    ("about $600 billion", "$589 billion"),
    ("nearly $12", "nearly $12"),
    ("about 6 million", "5.6 million"),
]
OTHER = [
    ("$60 million", "$6 million"),
    ("$600 million", "$600 billion"),
    ("$600 billion", "$589 billion"),
    ("€5", "$5"),
    ("6 million yen", "6 million yuan"),
    ("2022", "2023"),
    ("15%", "50%"),
    ("17.4%", "17.3%"),
    ("5.6 million", "6 million"),
    ("15%", "15 people"),
    ("fifteen", "50"),
    ("1,500", "15,000"),
    ("3-1", "1-3"),
    ("10:30", "10:45"),
    ("27 January 2025", "January 2025"),
    ("27 January 2025", "28 January 2025"),
    ("27 January 2025", "27 January 2024"),
    ("January 2025", "2025"),
    ("31 January", "January 30"),
    ("27 January", "27 June"),
    ("5 hours", "5 minutes"),
    ("5 km", "5 miles"),
    ("4th", "5th"),
    ("about $600 billion", "$482 billion"),
    ("the 1980s", "the 1990s"),
    ("two", "twelve"),
]


@pytest.mark.parametrize(("wanted", "source"), SAME)
def test_the_same_value_is_found_however_it_is_written(wanted: str, source: str) -> None:
    assert values(wanted)
    assert all(held(value, values(source)) for value in values(wanted)), (values(wanted), values(source))


@pytest.mark.parametrize(("wanted", "source"), OTHER)
def test_another_value_is_never_taken_for_it(wanted: str, source: str) -> None:
    assert not all(held(value, values(source)) for value in values(wanted)), (values(wanted), values(source))


@pytest.mark.parametrize("text", ["R1 and V3", "GPT-4", "one of the best", "no one", "it may be", "a second time", "H800", ""])
def test_what_is_no_value_is_none(text: str) -> None:
    assert values(text) == ()


@pytest.mark.parametrize(
    "text", ["9" * 400, "1" + ",000" * 200, "-" * 500, "1-" * 400, "(" * 300 + "1", "1.2.3.4.5.6", "12/45/2025", "٣٫١٤", "½"]
)
def test_odd_figures_are_read_without_fault(text: str) -> None:
    compare(read_facts(text), read_facts("It is 5."))


AGREE = [
    ("R1 needs 2,000 chips.", "R1 is claimed to need two thousand chips."),
    ("The U.S. banned exports.", "The United States banned exports."),
    ("Chinese firms use 15% fewer chips.", "Firms in China use fifteen percent fewer chips."),
    ("The WHO said so.", "The World Health Organization said so."),
    ("It was the World Health Organization that said so in the end.", "The WHO said so in the end."),
    ("DeepSeek-R1 needs chips.", "R1 of DeepSeek needs chips."),
    ("Sam Altman's remark was kind.", "The remark of Sam Altman was kind."),
    ("Not only did it grow, it tripled.", "It did grow and tripled."),
    ("It did not reach the goal.", "It failed to reach the goal."),
    ("The model never failed.", "The model has never failed."),
    ("The shares did not rise.", "The shares fell."),
    ("Prices rose and then fell.", "Prices fell after they rose."),
]
DIFFER = [
    ("It cost $60 million.", "It cost about $6 million.", "the answer says $60 million, the source $6 million"),
    ("It was founded in 2022.", "It was founded in 2023.", "the answer says 2022, the source 2023"),
    ("It was founded in 2022.", "It was founded in Hangzhou.", "the answer says 2022, the source doesn't"),
    ("The share is 15%.", "The share is 50%.", "the answer says 15%, the source 50%"),
    ("They won 3-1.", "They won 1-3.", "the answer says 3-1, the source 1-3"),
    ("R1 did not reduce costs.", "R1 did reduce costs.", "the answer denies “reduce”, the source doesn't"),
    ("R1 reduced costs.", "R1 did not reduce costs.", "the source denies “reduced”, the answer doesn't"),
    ("The shares rose.", "The shares fell.", "the answer says rose, the source fell"),
    (
        "Mark Zuckerberg called it a wake-up call.",
        "The President called it a wake-up call for markets.",
        "the answer names Mark Zuckerberg, the source doesn't",
    ),
    ("The founder is Sam Altman.", "The founder is Liang Wenfeng.", "the answer names Sam Altman, the source doesn't"),
]


@pytest.mark.parametrize(("statement", "source"), AGREE)
def test_what_agrees_has_nothing_to_tell(statement: str, source: str) -> None:
    assert compare(read_facts(statement), read_facts(source)).lines == ()


@pytest.mark.parametrize(("statement", "source", "line"), DIFFER)
def test_what_differs_is_told_in_a_line(statement: str, source: str, line: str) -> None:
    assert line in compare(read_facts(statement), read_facts(source)).lines


def test_a_title_lends_names_and_years() -> None:
    statement, source = read_facts("DeepSeek lost the case in 2023."), read_facts("The company lost the case.")
    assert compare(statement, source).lines
    assert compare(statement, source, [read_facts("DeepSeek in 2023")]).lines == ()
