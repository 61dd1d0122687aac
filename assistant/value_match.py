"""Does a value of a source say the value of a statement? Exactly, whatever the two are written like."""

from collections.abc import Sequence
from math import log

from assistant.values import Value, hedge, values


def says(source: Value, wanted: Value) -> bool:
    """Whether the value `source` of a source says the value `wanted` of a statement.

    A date may say more than what is wanted, never less; a year alone is part of a date. Currencies and units must be the
    same where both are named. What the statement calls approximate may be rounded to its last digit that isn't 0.
    """
    if wanted.kind == "date" or source.kind == "date":
        return _same_date(source, wanted)
    if "pair" in (source.kind, wanted.kind):
        return (
            source.kind == wanted.kind
            and source.amounts == wanted.amounts
            and (source.unit == wanted.unit or {source.unit, wanted.unit} <= {"-", ":"})
        )
    if "percent" in (source.kind, wanted.kind) and source.kind != wanted.kind:
        return False
    if "ordinal" in (source.kind, wanted.kind) and source.kind != wanted.kind and not (source.unit == wanted.unit == ""):
        return False
    if source.unit and wanted.unit and source.unit != wanted.unit:
        return False
    one, other = source.amounts[0], wanted.amounts[0]
    if wanted.kind in ("percent", "money"):
        one, other = abs(one), abs(other)  # "fell 5%" is "-5%"
    if one == other:
        return True
    return wanted.about and wanted.kind != "ordinal" and abs(one - other) <= _last_digit(other) / 2


def _last_digit(amount: float) -> float:
    """Return what one unit of the last digit of `amount` that isn't 0 is worth; 2025 is worth 1, as a year isn't rounded."""
    digits, exponent = f"{abs(amount):.10e}".split("e")
    significant = len(digits.replace(".", "").rstrip("0")) or 1
    return float(10.0 ** (int(exponent) - significant + 1))


def _readings(value: Value) -> list[tuple[float, ...]]:
    return [value.amounts[at : at + 3] for at in range(0, len(value.amounts), 3)]


def _same_date(source: Value, wanted: Value) -> bool:
    year_alone = [value for value in (source, wanted) if value.kind == "number" and not value.unit and value.amounts[0] % 1 == 0]
    if source.kind == wanted.kind == "date":
        return any(
            all(part in (0.0, given) for part, given in zip(need, have, strict=True))
            for need in _readings(wanted)
            for have in _readings(source)
        )
    # A year, or (from a date of which the source gives the year apart) nothing less.
    return bool(year_alone) and wanted is year_alone[0] and any(have[0] == wanted.amounts[0] for have in _readings(source))


def held(wanted: Value, sources: Sequence[Value]) -> bool:
    """Whether the values `sources` of one passage say `wanted`, alone or two of them together."""
    if any(says(source, wanted) for source in sources):
        return True
    if wanted.kind == "date" and len(wanted.amounts) == 3 and wanted.amounts[0] and (wanted.amounts[1] or wanted.amounts[2]):
        # "Monday 27 January" in a text of 2025
        year = any(_year(source) == wanted.amounts[0] for source in sources)
        part = Value("date", (0.0, *wanted.amounts[1:]), "", "", 0, 0)
        return year and any(source.kind == "date" and source.amounts[0] == 0 and _same_date(source, part) for source in sources)
    if wanted.kind == "pair" and wanted.unit == "-" and wanted.amounts[0] < wanted.amounts[1]:
        ends = [Value("number", (amount,), "", "", 0, 0) for amount in wanted.amounts]
        return all(any(source.kind != "pair" and says(source, end) for source in sources) for end in ends)
    if wanted.kind == "number" and not wanted.unit:
        # An end of a range or score: "two goals" of "2-1", "from 2019" of "2019-2020"
        return any(source.kind == "pair" and source.unit == "-" and wanted.amounts[0] in source.amounts for source in sources)
    return False


def _year(value: Value) -> float:
    if value.kind == "date":
        return value.amounts[0]
    return value.amounts[0] if value.kind == "number" and not value.unit else 0.0


def nearest(wanted: Value, sources: Sequence[Value]) -> Value | None:
    """Return the value of `sources` that stands where `wanted` should: of its kind, a year for a year, of like size."""
    alike = [source for source in sources if comparable(source, wanted)]
    return min(alike, key=lambda source: abs(_size(source) - _size(wanted)), default=None)


def comparable(source: Value, wanted: Value) -> bool:
    """Whether `source` is of the kind of `wanted`, so that one may stand in the other's place: a year for a year."""
    if _looks_year(wanted):
        return _looks_year(source) or (source.kind == "date" and source.amounts[0] > 0)
    if wanted.kind in ("number", "ordinal") and source.kind == wanted.kind:
        return not _looks_year(source) and not (source.unit and wanted.unit and source.unit != wanted.unit)
    if wanted.kind == "number" and source.kind in ("money", "percent"):
        return True
    return source.kind == wanted.kind or (wanted.kind == "date" and _looks_year(source))


def _looks_year(value: Value) -> bool:
    return value.kind == "number" and not value.unit and 1000 <= value.amounts[0] <= 2199 and value.text.isdigit()


def _size(value: Value) -> float:
    if value.kind in ("date", "pair"):
        return sum(part * scale for part, scale in zip(value.amounts[:3], (365.0, 30.0, 1.0), strict=False))
    return log(1 + abs(value.amounts[0]))


def in_full(phrase: str, source: str) -> str:
    """Return `phrase` with the value it begins with as `source` writes it: models leave out the sign or the doubt of "nearly $600 billion".

    Nothing changes unless the source has that value once and writes it with the phrase's own words. A year gets no doubt.
    """
    mine, source = values(phrase), " ".join(source.split())
    if len(mine) != 1 or mine[0].about or mine[0].kind == "date" or phrase[: mine[0].start].strip():
        return phrase
    [value] = mine
    same = [other for other in values(source) if other.kind != "date" and says(other, value)]
    if len(same) != 1 or value.text not in same[0].text:
        return phrase
    year = value.text.isdigit() and 1000 <= value.amounts[0] <= 2199
    doubt = "" if year else hedge(source, same[0].start)
    return f"{phrase[: value.start]}{doubt}{same[0].text}{phrase[value.end :]}"
