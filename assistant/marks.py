"""The text of an answer as the model wrote it: its own citation marks, code, quotes, and which of its sentences claim something."""

import re
from collections.abc import Callable, Sequence

from assistant.lexical import terms
from assistant.sentences import MONTH, Span

_LIST = r"\d{1,40}(?:\s*(?:[,;:&–-]|and|to)\s*(?:(?:pp?\.|pages?)\s*)?\d{1,40})*"
_NAMED = r"(?:(?:passages?|sources?|refs?|references?|documents?|docs?)\s*:?\s*)"
# [1], [1, 2], [1-3], [[1]], [1, p. 2], [passage 1], 【1】, [^1], 【1†source】, (source 1), [1?], [?]: what models write.
_BRACKETS = (
    rf"[ \t]*(?:\[{{1,2}}\s*\^?\s*{_NAMED}?#?(?P<a>{_LIST})\s*\??\s*(?:†[^\]\n]{{0,40}})?\]{{1,2}}"
    rf"|【\s*{_NAMED}?(?P<b>\d{{1,3}})[^】\n]{{0,60}}】|\(\s*{_NAMED}#?(?P<c>{_LIST})\s*\)|\[\?\])"
)
# A figure in round brackets is a mark only where a sentence ends, and nothing there is numbered ("equation (3)").
_ROUND = (
    r"(?<![\d\s])(?<!equation)(?<!figure)(?<!section)(?<!table)(?<!chapter)(?<!step)(?<!item)(?<!option)(?<!part)(?<!number)(?<!eq\.)"
    r"(?<!fig\.)(?<!article)(?<!clause)(?<!rule)(?<!law)[ \t]*\((?P<d>\d{1,2}(?:\s*,\s*\d{1,2})*)\)(?=\s*(?:[.!?。！？]|$))"
)
# Superscripts after a word or a full stop; after a unit or a figure they are powers.
_RAISED = r"(?:(?<=[a-z]{3})|(?<=[.,;!?\"”]))(?P<e>[⁰¹²³⁴-⁹]{1,2}(?:[,⁻˒][⁰¹²³⁴-⁹]{1,2})*)(?!\w)"
_MARK = re.compile(rf"{_BRACKETS}|{_ROUND}|{_RAISED}", re.IGNORECASE | re.MULTILINE)
_AFTER_STOP = re.compile(
    rf"([.!?。！？]+[\"'”’]?)((?:{re.sub(r'[?]P<[a-e]>', '', _BRACKETS)}|[ \t]*\(\d{{1,2}}\)(?=\s*$|\s+[A-Z]))+)",
    re.IGNORECASE | re.MULTILINE,
)
_OPEN_MARK = re.compile(r"[ \t]*(?:\[{1,2}[^\[\]\n]{0,60}\]?|【[^】\n]{0,60}|\(\d{0,2})$")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_RAISED_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻˒", "0123456789-,")
_ITEM = rf"\d{{1,2}}(?:\)|\.(?!\s+{MONTH}))"  # "28. April" is a day
_MARKDOWN = re.compile(rf"^\s*(?:[-*+•]|{_ITEM}|#{{1,6}}|>)\s+|[*`|]+|(?<!\w)_+|_+(?!\w)")
LEADING = re.compile(rf"(?:\s*(?:[-*+•]|{_ITEM}|>)\s+)?[\s*_`|]*")
_ATTRIBUTION = re.compile(
    r"^(?:based on|according to|as (?:stated|described|mentioned|noted) in|from)\s+(?:the\s+)?(?:provided\s+|given\s+|above\s+|shown\s+)?"
    r"(?:passages?|documents?|sources?|context|text|information)(?:\s+(?:provided|above|given|shown))?\s*[,:]?\s*|^in (?:summary|short|conclusion)\s*,?\s*"
    r"|^to summari[sz]e\s*,?\s*",
    re.IGNORECASE,
)
_NO_CLAIM = re.compile(
    r"^(?:here (?:is|are)|here['’]s|i hope|let me|sure|certainly|of course|great question|thank you|i(?:['’]m| am) (?:sorry|happy)|"
    r"please (?:provide|let|ask|share|specify|clarify|try|feel|add)|if you (?:have|need|want|would|['’]d|provide|share)|feel free)\b[^.\d]{0,90}[.!…]?$",
    re.IGNORECASE,
)
# What is said about the passages themselves stands in none of them.
_ABOUT_SOURCES = re.compile(
    r"\b(?:passages?|documents?|sources?|text|context)\b[^.]{0,40}\b(?:not|n['’]t|no|nothing)\b[^.]{0,30}\b(?:mention|say|state|contain|provide|"
    r"specify|give|information|include|answer|about)|^not in the documents|^i (?:do not|don['’]t|cannot|can['’]t)\b",
    re.IGNORECASE,
)
# A sign after a letter or figure closes or means inches; « after a word or full stop closes too.
_QUOTE = re.compile(r"“([^“”\n]{5,600})”|(?<!\w)\"([^\"\n]{5,600})\"(?!\w)|(?<![\w.!?])«([^«»\n]{5,600})»|„([^„“”\n]{5,600})[“”]")


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return `text` with `change` made in all of it but code."""
    pieces, at = [], 0
    for match in _CODE.finditer(text):
        pieces += [change(text[at : match.start()]), match.group()]
        at = match.end()
    return "".join([*pieces, change(text[at:])])


def fenced(text: str) -> list[Span]:
    """Return the spans of code blocks, also of one that isn't closed yet."""
    return [match.span() for match in _CODE.finditer(text) if match.group().startswith("```")]


def without_open_mark(text: str) -> str:
    """Return `text` without a mark at its end that isn't whole yet."""
    return text if text.count("`") % 2 else _OPEN_MARK.sub("", text)


def marks_before_stops(text: str) -> str:
    """Return `text` with each mark that follows a full stop before it: it belongs to the sentence that ends there."""
    return _outside_code(text, lambda piece: _AFTER_STOP.sub(lambda match: match[2].rstrip() + match[1], piece))


def without_marks(text: str) -> str:
    """Return one sentence without the model's marks."""
    return _outside_code(text, lambda piece: _MARK.sub("", piece))


def named_passages(text: str) -> frozenset[int]:
    """Return the passages that the model's marks in `text` name; a range counts with its two ends."""
    found: set[int] = set()
    for match in _MARK.finditer(_CODE.sub("", text)):
        digits = next((group for group in match.groups() if group), "").translate(_RAISED_DIGITS)
        found.update(int(number[:4]) for number in re.findall(r"\d+", digits))
    return frozenset(found)


def plain(text: str) -> str:
    """Return a sentence of Markdown as plain text, without what only says that it comes from the passages."""
    return _ATTRIBUTION.sub("", " ".join(_MARKDOWN.sub("", text).split()))


def claims(text: str, alone: bool) -> bool:
    """Whether a sentence of an answer (Markdown) states something; `alone` says that the answer has no other."""
    line = plain(text)
    bare = line.rstrip("\"'”’»)*_ ")
    if not terms(line) or bare.endswith((":", "?", "：", "？")):
        return False
    heading = text.lstrip().startswith("#") or re.fullmatch(r"\s*(?:\*\*|__)[^*_.!?]+(?:\*\*|__)\s*", text)
    if (heading and not alone) or re.fullmatch(r"[\s|:-]+", text):
        return False
    return not (_NO_CLAIM.match(line) or _ABOUT_SOURCES.search(line))


def _verbatim(text: str) -> str:
    text = re.sub(r"[“”„«»]", '"', re.sub(r"[‘’`´]", "'", text))
    return " ".join(re.sub(r"[‐-―−]", "-", text).split())


class Quotes:
    """The texts that quotes are looked for in."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [_verbatim(text) for text in texts]

    def __contains__(self, quote: str) -> bool:
        """Whether `quote` stands in one of the texts; white space, kinds of quotes and the first letter's case aside."""
        parts = [part.strip(" ,.;:") for part in re.split(r"…|\.\.\.|\[…\]", _verbatim(quote))]
        return any(self._holds(text, [part for part in parts if part]) for text in self._texts)

    @staticmethod
    def _holds(text: str, parts: Sequence[str]) -> bool:
        at = 0
        for part in parts:
            places = [text.find(form, at) for form in (part, part[0].swapcase() + part[1:])]
            found = min((place for place in places if place >= 0), default=-1)
            if found < 0:
                return False
            at = found + len(part)
        return True


def checked_quotes(text: str, sources: Quotes) -> str:
    """Return a sentence in which a quote of three or more words that isn't verbatim in `sources` has lost its quotation marks."""

    def check(match: re.Match[str]) -> str:
        quote = next(group for group in match.groups() if group is not None)
        return match.group() if len(quote.split()) < 3 or quote in sources else quote

    return _outside_code(text, lambda piece: _QUOTE.sub(check, piece))
