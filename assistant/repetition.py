"""Notices a language model that says the same thing over and over, as small ones do until their length limit."""

import re

_TAIL = 8000  # characters at the end that are looked at
# How often words must follow each other in a row: (words at least, times). A list or a table has lines that are alike,
# never so many that are the same.
_TIMES = ((12, 3), (3, 4), (1, 12))
_LONG = 40  # words that are the same as so many before are enough: whole paragraphs, in turn
_MOST_WORDS = 500  # of what is repeated
# A word, or one sign of a script without spaces. Marks and the numbers that count lines are passed over: a model
# that is stuck goes on counting.
_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")
_PASSED_OVER = re.compile(r"^[ \t]*(?:[-*+•]|\(?\d{1,4}[.):])(?=\s)|\[[\d,;\s–-]{1,20}\]|【[^】\n]{0,40}】", re.MULTILINE)
_SIGNS = re.compile(r"(\W{1,12}?|\w{1,10}?)\1{11,}$")
_LEAST_SIGNS = 160  # characters of one sign or a few over and over: rules and dotted lines are shorter
_END = re.compile(r"(?:[ \t]*\[[\d,;\s–-]{1,20}\])*[^\s\w\[]*")  # the mark and the full stop after the last word


def repeats_from(text: str) -> int | None:
    """Return how many characters of `text` to keep when its end is a repetition, one time included; None when it is none."""
    first = max(len(text) - _TAIL, 0)
    tail = text[first:]
    signs = _SIGNS.search(tail)
    if signs and len(signs[0]) >= _LEAST_SIGNS:
        return first + signs.start() + len(signs[1])
    plain = _PASSED_OVER.sub(lambda match: " " * len(match[0]), tail)
    spans = [match.span() for match in _WORD.finditer(plain)]
    words = [plain[start:end].lower() for start, end in spans]
    period = _period(words)
    if not period:
        return None
    begun = len(words) - period
    while begun > 0 and words[begun - 1] == words[begun - 1 + period]:
        begun -= 1
    end = spans[begun + period - 1][1]  # of the first time
    mark = _END.match(tail, end)
    return first + (mark.end() if mark else end)


def _period(words: list[str]) -> int:
    """Return how many words the end of `words` repeats, 0 when it repeats nothing."""
    for period in range(1, min(_MOST_WORDS, len(words) - 1) + 1):
        if words[-1] != words[-1 - period]:
            continue
        times = next(times for least, times in _TIMES if period >= least)
        length = period + _LONG if period >= _LONG else period * times
        if length <= len(words) and _cycles(words[-length:], period):
            return next(part for part in range(1, period + 1) if _cycles(words[-length:], part))
    return 0


def _cycles(words: list[str], period: int) -> bool:
    return words[period:] == words[:-period]
