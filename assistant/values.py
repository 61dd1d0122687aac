"""Numbers, money, percentages and dates in a text, however they are written, as values that can be compared exactly."""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

_SCALES = {
    **dict.fromkeys(("k", "thousand", "thousands"), 1e3),
    **dict.fromkeys(("m", "mn", "mio", "million", "millions"), 1e6),
    **dict.fromkeys(("b", "bn", "billion", "billions"), 1e9),
    **dict.fromkeys(("t", "tn", "trillion", "trillions"), 1e12),
    "hundred": 1e2,
    "hundreds": 1e2,
    "dozen": 12.0,
}
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_DECADES = "twenty thirty forty fifty sixty seventy eighty ninety"
_PLACES = "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth"
_SMALL = {word: float(value) for value, word in enumerate(_ONES.split())}
_TENS = {word: 10.0 * value for value, word in enumerate(_DECADES.split(), 2)}
_ORDINALS = {word: float(value) for value, word in enumerate(_PLACES.split(), 3)}
_YEAR = "january february march april may june july august september october november december"
_MONTHS = {
    form: number for number, name in enumerate(_YEAR.split(), 1) for form in (name, name[:3], *(("sept",) if number == 9 else ()))
}
_CURRENCIES = {
    **dict.fromkeys(("$", "us$", "usd", "dollar", "dollars"), "$"),
    **dict.fromkeys(("€", "eur", "euro", "euros"), "€"),
    **dict.fromkeys(("£", "gbp", "pound", "pounds"), "£"),
    **dict.fromkeys(("¥", "jpy", "yen"), "yen"),
    **dict.fromkeys(("cny", "rmb", "yuan"), "yuan"),
    **dict.fromkeys(("₹", "inr", "rupee", "rupees"), "rupee"),
    **dict.fromkeys(("chf", "franc", "francs"), "franc"),
    **dict.fromkeys(("a$", "aud"), "A$"),
    **dict.fromkeys(("c$", "cad"), "C$"),
}
_UNITS = {
    form: name
    for name, forms in {
        "second": "s sec second",
        "minute": "min minute",
        "hour": "h hr hour",
        "day": "day",
        "week": "week",
        "month": "month",
        "year": "year",
        "kilometre": "km kilometre kilometer",
        "metre": "metre meter",
        "centimetre": "cm centimetre centimeter",
        "millimetre": "mm millimetre millimeter",
        "mile": "mile",
        "foot": "foot feet ft",
        "kilogram": "kg kilogram kilo",
        "gram": "gram",
        "milligram": "mg milligram",
        "tonne": "tonne ton",
        "megabyte": "mb megabyte",
        "gigabyte": "gb gigabyte",
        "terabyte": "tb terabyte",
        "times": "time x",
        "am": "am a.m",
        "pm": "pm p.m",
    }.items()
    for form in forms.split()
}
_WORD = "|".join((*_SMALL, *_TENS))
_SCALE = "thousands?|millions?|billions?|trillions?|hundreds?|dozen"
_CURRENCY_SIGN = r"(?:US|A|C)?\$|[€£¥₹]|(?:USD|EUR|GBP|JPY|CNY|RMB|INR|CHF|AUD|CAD)(?=\s?\d)"
_DIGITS = r"\d{1,3}(?:[,\u00a0\u202f\u2009'’]\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?: \d{3}){2,}|\d+(?:[.,]\d+)?|\.\d+"
_AFTER = (
    r"(?:\s*(?P<percent>%|per\s?cent\b|pct\b)|[\s-]?(?P<money>dollars?|euros?|pounds?|yen|yuan|rupees?|francs?|USD|EUR|GBP|JPY|CNY|RMB|INR|CHF|[$€£¥₹])(?!\w)"
    rf"|[\s-]?(?P<unit>{'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})s?(?!\w))?"
)
_NUMERAL = re.compile(
    rf"(?<![\w.,])(?<![A-Z]-)(?P<sign>[-−](?=[\d.$€£]))?(?P<currency>{_CURRENCY_SIGN})?\s?(?P<digits>{_DIGITS})"
    rf"(?:(?P<ordinal>st|nd|rd|th)(?!\w)|(?P<short>k|mn?|mio|bn?|tn?)(?!\w)|[\s-]?(?P<scale>{_SCALE})\b)?{_AFTER}(?!\w)",
    re.IGNORECASE,
)
_SPELT = re.compile(
    rf"(?<![\w-])(?P<words>(?:half\s+an?|an?(?=\s+(?:{_SCALE})\b)|(?:{_WORD}|hundred)\b)"
    rf"(?:[\s-]+(?:and\s+(?=(?:{_WORD})\b))?(?:{_WORD}|{_SCALE})\b)*|(?:{_SCALE})(?=\s+(?:dollars|euros|pounds)))"
    rf"{_AFTER}",
    re.IGNORECASE,
)
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATES = (
    re.compile(r"(?<!\d)(?P<y>[12]\d{3})-(?P<m>0[1-9]|1[0-2])-(?P<d>[0-3]\d)(?!\d)"),
    re.compile(r"(?<![\d/.])(?P<a>[0-3]?\d)[/.](?P<b>[0-3]?\d)[/.](?P<y>[12]\d{3})(?!\d)"),
    re.compile(
        rf"\b(?P<d>[0-3]?\d)(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?P<month>{_MONTH})\b\.?(?:,?\s+(?P<y>[12]\d{{3}})\b)?", re.IGNORECASE
    ),
    re.compile(
        rf"\b(?P<month>{_MONTH})\b\.?\s+(?P<d>[0-3]?\d)(?:st|nd|rd|th)?(?![\d.,]*\d|\s*%)(?:,?\s+(?P<y>[12]\d{{3}})\b)?",
        re.IGNORECASE,
    ),
    re.compile(rf"\b(?P<month>{_MONTH})\b\.?,?\s+(?:of\s+)?(?P<y>[12]\d{{3}})\b", re.IGNORECASE),
)
_PAIR = re.compile(r"(?<![\w.,/:–-])(\d{1,4})\s?([-–:/])\s?(\d{1,4})(?![\w/:–-]|[.,]\d)")
_DECADE = re.compile(r"(?<![\w.,])([12]\d{2}0)['’]?s\b")
_ABOUT = re.compile(
    r"(?:\b(?:about|around|roughly|approximately|approx|nearly|almost|some|circa|ca|close to|just (?:over|under)|more than|over|"
    r"less than|under|at least|up to)\b\.?|~|≈)\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Value:
    """One value as the text has it, at `start` to `end`.

    `kind` is number, money, percent, ordinal, date or pair (a score, a ratio, a time of day, a range). `amounts` is one
    number; for a date its year, month and day, NaN-free: 0 for what it doesn't say; for a pair both. `unit` is a currency or
    a unit of measure, empty when there is none. `about` says that the text calls it approximate.
    """

    kind: str
    amounts: tuple[float, ...]
    unit: str
    text: str
    start: int
    end: int
    about: bool = False


def hedge(text: str, start: int) -> str:
    """Return the words before the value at `start` that call it approximate, such as "nearly "; "" when there are none."""
    found = _ABOUT.search(text[max(0, start - 20) : start])
    return found.group() if found else ""


def values(text: str) -> tuple[Value, ...]:
    """Return the values of `text` in order; digits within a name (R1, GPT-4) are no value."""
    found: list[Value] = []
    taken: list[tuple[int, int]] = []

    def free(match: re.Match[str]) -> bool:
        return all(match.end() <= start or match.start() >= end for start, end in taken)

    def keep(match: re.Match[str], kind: str, amounts: tuple[float, ...], unit: str = "") -> None:
        start = match.start() + len(match.group()) - len(match.group().lstrip())
        about = bool(hedge(text, start))
        found.append(Value(kind, amounts, unit, " ".join(text[start : match.end()].split()), start, match.end(), about))
        taken.append((start, match.end()))

    for pattern in _DATES:
        for match in pattern.finditer(text):
            date = _date(match)
            if date and free(match):
                keep(match, "date", date)
    for match in _DECADE.finditer(text):
        if free(match):
            keep(match, "number", (float(match[1]),), "decade")
    for match in _PAIR.finditer(text):
        if free(match) and not re.match(r"\s?(?:[-–]|%)", text[match.end() :]):
            keep(match, "pair", (float(match[1]), float(match[3])), match[2].replace("–", "-"))
    for match in _NUMERAL.finditer(text):
        if free(match):
            keep(match, *_numeral(match))
    for match in _SPELT.finditer(text):
        amount = _spelt(match["words"])
        # "one" alone is seldom a count ("one of them", "no one").
        if amount is not None and free(match) and (match["words"].lower() != "one" or match["percent"] or match["money"]):
            keep(match, *_kind(match, amount))
    for match in re.finditer(rf"(?<!\bone )(?<!\ba )(?<!\btwo )\b({'|'.join(_ORDINALS)})\b", text, re.IGNORECASE):
        if free(match):
            keep(match, "ordinal", (_ORDINALS[match[1].lower()],))
    return _shared_units(text, sorted(found, key=lambda value: value.start))


def _shared_units(text: str, found: list[Value]) -> tuple[Value, ...]:
    """Give the first number of "5 to 10 %" the kind and unit of the second."""
    for at, (one, other) in enumerate(pairwise(found)):
        if one.kind == "number" and not one.unit and (other.kind in ("percent", "money") or other.unit):
            between = text[one.end : other.start].strip().lower()
            if between in ("-", "–", "to", "and", "or") and other.kind != "date":
                found[at] = replace(one, kind=other.kind, unit=other.unit)
    return tuple(found)


def _date(match: re.Match[str]) -> tuple[float, ...] | None:
    """Return year, month and day, 0 for what is missing; a date in figures alone keeps its two readings."""
    parts = match.groupdict()
    year, day = float(parts.get("y") or 0), float(parts.get("d") or 0)
    if "a" in parts:
        first, second = float(parts["a"]), float(parts["b"])
        readings = [(year, month, day) for day, month in ((first, second), (second, first)) if 1 <= month <= 12 and 1 <= day <= 31]
        return tuple(number for reading in dict.fromkeys(readings) for number in reading) or None
    month = float(parts["m"]) if parts.get("m") else float(_MONTHS[parts["month"].lower()])
    if not year and parts.get("month") in ("may", "march", "mar"):
        return None  # "it may 3 times", "march 5 miles"
    return (year, month, day) if day <= 31 else None


def _numeral(match: re.Match[str]) -> tuple[str, tuple[float, ...], str]:
    digits = re.sub(r"[\u00a0\u202f\u2009'’ ]", "", match["digits"])
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        digits = digits.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", digits):
        digits = digits.replace(".", "")
    amount = float(digits.replace(",", "."))
    scale = (match["short"] or match["scale"] or "").lower()
    # Powers of ten times a decimal: rounded, or 1.1 million would not be 1,100,000.
    amount = float(f"{amount * _SCALES.get(scale, 1.0):.12g}")
    if match["ordinal"]:
        return "ordinal", (amount,), ""
    return _kind(match, -amount if match["sign"] else amount)


def _kind(match: re.Match[str], amount: float) -> tuple[str, tuple[float, ...], str]:
    groups = match.groupdict()
    if groups["percent"]:
        return "percent", (amount,), ""
    currency = (groups.get("currency") or groups["money"] or "").lower()
    if currency:
        return "money", (amount,), _CURRENCIES[currency]
    unit = (groups["unit"] or "").lower()
    return "number", (amount,), _UNITS.get(unit, "")


def _spelt(words: str) -> float | None:
    """Return the number that `words` spell, such as "one hundred and fifty thousand" or "half a million"."""
    total, part, factor = 0.0, 0.0, 1.0
    for word in re.findall(r"[a-z]+", words.lower()):
        if word == "half":
            factor = 0.5
        elif word in ("a", "an"):
            part = part or 1.0
        elif word in _SMALL:
            part += _SMALL[word]
        elif word in _TENS:
            part += _TENS[word]
        elif word in ("hundred", "hundreds", "dozen"):
            part = (part or 1.0) * _SCALES[word]
        elif word in _SCALES:
            total, part = total + (part or 1.0) * _SCALES[word], 0.0
    amount = (total + part) * factor
    return amount if amount or words.lower() == "zero" else None
