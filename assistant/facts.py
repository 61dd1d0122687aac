"""What must agree exactly between a statement and its source: values, names, what is denied, and words of opposite sense."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from assistant.lexical import terms
from assistant.value_match import held, nearest
from assistant.values import Value, values

_NAME = re.compile(r"[A-Z][\w&]*(?:[.'’\-][\w&]+)*|[a-z]+[A-Z]\w*|(?:[A-Z]\.){2,}")
# Words that begin a sentence or carry a capital without naming anything.
_NO_NAME_WORDS = (
    "a about according additionally after all also although an and another any are as at based because before both but by "
    "can contrary could despite did do does during each either even every few finally first for from furthermore given had "
    "has have he hence her here his how however i if in instead is it its just last later many may meanwhile more moreover "
    "most mr mrs ms much neither no nor not now of on once one only or other our out over overall several she should "
    "similarly since so some such than that the their them then there therefore these they this those though three through "
    "thus to today two under unlike until up upon was we were what when where whereas whether which while who whose why "
    "will with within without would yes yet you your dr prof sir lady answer passage passages document documents source "
    "sources text "
)
_NO_NAMES = frozenset(_NO_NAME_WORDS.split())
_ALIASES = {
    "u.s": "us",
    "usa": "us",
    "u.s.a": "us",
    "america": "us",
    "american": "us",
    "americans": "us",
    "u.k": "uk",
    "britain": "uk",
    "british": "uk",
    "e.u": "eu",
    "european": "europe",
}
_LONG_FORMS = {"us": "united states", "uk": "united kingdom", "eu": "european union", "un": "united nations"}
_NEGATOR = re.compile(
    r"\b(?:not|never|cannot|no longer|no|none|nobody|neither|nor|without|\w+n['’]t|fail(?:s|ed)? to|unable to|refus(?:es?|ed) to)\b",
    re.IGNORECASE,
)
_NOT_DENIED = re.compile(r"(?:not only|no doubt|no more than|no less than|not least|no\. ?\d)\b", re.IGNORECASE)
_ENDINGS = frozenset(("", "a", "e", "y", "an", "ian", "ean", "ese", "ish", "n", "i", "ic", "s", "es", "ans", "ians", "land", "ns"))
_LONG_NAME = re.compile(r"[A-Z]\w+(?:\s(?:of|and|for|the)(?:\sthe)?)?(?:\s[A-Z]\w+){1,6}(?:\s(?:of|and|for)\s[A-Z]\w+)*")
_RUN = re.compile(r"[^\W\d_a-z][\w'’-]*(?: (?:(?:of|de|von|van|da) )?[^\W\d_a-z][\w'’-]*)*")
_DAYS = (
    "monday tuesday wednesday thursday friday saturday sunday "
    "january february march april may june july august september october november december "
)
_NO_NAME_BEGINS = frozenset(_DAYS.split())
_REACH = 3  # words after a negator among which the denied one is looked for
_OPPOSITES = (
    ("increase increased increases increasing rise rises rose risen rising grew grow grows growing gain gains gained climbed up",
     "decrease decreased decreases decreasing fall falls fell fallen falling drop drops dropped decline declined declines lost down "
     "reduce reduces reduced reducing shrank"),
    ("more higher larger greater bigger", "less lower smaller fewer"),
    ("before earlier", "after later"),
    ("allow allows allowed permit permits permitted", "ban bans banned forbid forbids forbidden prohibit prohibits prohibited"),
    ("accept accepts accepted", "reject rejects rejected refuse refuses refused"),
    ("win wins won", "lose loses lost"),
    ("cheaper", "dearer costlier"),
    ("faster quicker", "slower"),
    ("all every always", "none never"),
    ("maximum", "minimum"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    ("open opens opened", "closed closes shut"),
    ("better best", "worse worst"),
    ("buy buys bought", "sell sells sold"),
    ("oldest older", "youngest younger"),
    ("first", "last"),
    ("positive positively", "negative negatively"),
)  # fmt: skip
_SENSE: dict[str, tuple[tuple[int, int], ...]] = {}
for _row, _sides in enumerate(_OPPOSITES):
    for _side, _words in enumerate(_sides):
        for _word in _words.split():
            _SENSE[_word] = (*_SENSE.get(_word, ()), (_row, _side))


@dataclass(frozen=True)
class Facts:
    """What of a text must agree exactly. `names` are its words that name something; `denied` and `affirmed` are terms."""

    text: str
    values: tuple[Value, ...]
    names: tuple[str, ...]
    known: frozenset[str]
    denied: frozenset[str]
    affirmed: frozenset[str]
    senses: tuple[tuple[str, int, int], ...]


def read_facts(text: str) -> Facts:
    """Return the facts of one sentence, or of some that stand together."""
    words = re.findall(r"[^\W_]+(?:['’\-.][^\W_]+)*", text)
    lowered = [word.lower() for word in words]
    denied, all_terms = _denied(text), terms(text)
    senses = tuple((word, row, side) for word in lowered for row, side in _SENSE.get(word, ()))
    known = frozenset(form for word in words for form in (_plain(word), *map(_plain, re.split(r"[-.'’]", word))) if form)
    return Facts(text, values(text), _names(text), known, denied, frozenset(all_terms) - denied, senses)


def _plain(word: str) -> str:
    word = re.sub(r"['’]s?$", "", word.lower()).rstrip(".")
    return _ALIASES.get(word, word).replace("-", "").replace(".", "")


def _names(text: str) -> tuple[str, ...]:
    """Return the words of `text` with a capital; none where so many have one that it tells nothing (a heading, German)."""
    words = re.findall(r"[^\W\d_]\w*", text)
    capitals = [match for match in _NAME.finditer(text) if not match.group().isdigit()]
    if len(words) > 5 and len(capitals) > 0.6 * len(words):
        return ()
    found = []
    for match in capitals:
        first = not re.search(r"\w", text[: match.start()]) or re.search(r"[.!?:]['\"”]?\s*$", text[: match.start()])
        word = match.group()
        if word.lower() in _NO_NAMES or (len(word) == 1 and not word.isdigit()):
            continue
        # A word that begins the sentence is a name for sure only when it holds another capital, or a name follows it.
        follows = re.match(r"['’]?s?\s+[A-Z][a-z]", text[match.end() :])
        if first and not re.search(r"[A-Z0-9]", word[1:]) and not follows:
            continue
        found.append(word)
    return tuple(dict.fromkeys(found))


def name_runs(text: str) -> list[tuple[int, int]]:
    """Return the spans of the names of a sentence, "Liang Wenfeng" being one; none begins with a day or month."""
    names, runs = set(_names(text)), []
    for match in _RUN.finditer(text):
        words = list(re.finditer(r"\S+", match.group()))
        while words and (words[0].group() not in names or words[0].group().lower() in _NO_NAME_BEGINS):
            words.pop(0)
        if words:
            end = match.start() + words[-1].end()
            runs.append((match.start() + words[0].start(), end - 2 * text[:end].endswith(("'s", "’s"))))
    return runs


def _denied(text: str) -> frozenset[str]:
    """Return the terms that stand right after a negator of `text`."""
    found = set()
    for match in _NEGATOR.finditer(text):
        if _NOT_DENIED.match(text, match.start()):
            continue
        after = re.findall(r"[\w'’-]+|[,;:.]", text[match.end() : match.end() + 60])
        for word in after[: _REACH + 1]:
            if word in ",;:.":
                break
            if terms(word):
                found.update(terms(word)[:1])
                break
    return frozenset(found)


def name_held(name: str, source: str, known: frozenset[str]) -> bool:
    """Whether the words `known` of `source` hold `name`: it, an other form of it (China, Chinese), its initials, what they stand for."""
    word = _plain(name)
    parts = [part for part in (_plain(part) for part in re.split(r"[-._]", name)) if part]
    if word in known or (len(parts) > 1 and all(part in known for part in parts)):
        return True
    if word in _LONG_FORMS:
        return _LONG_FORMS[word] in source.lower()
    if name.isupper() and 2 <= len(word) <= 6:
        initials = "".join(found[0] for found in re.findall(r"\b[A-Z]\w*", source))
        return word.upper() in initials
    return len(word) >= 4 and any(_same_stem(word, other) for other in known)


def _same_stem(one: str, other: str) -> bool:
    """Whether two words differ in the endings of countries and peoples alone."""
    common = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return common >= 4 and one[common:] in _ENDINGS and other[common:] in _ENDINGS


def _abbreviated(text: str, source: str) -> frozenset[str]:
    """Return the names of `text` whose initials the source has in capitals: World Health Organization, WHO."""
    found: set[str] = set()
    for match in _LONG_NAME.finditer(text):
        words = re.findall(r"[A-Z]\w+", match.group())
        if re.search(rf"\b{''.join(word[0] for word in words)}\b", source):
            found.update(words)
    return frozenset(found)


@dataclass(frozen=True)
class Comparison:
    """How a statement differs from its source: lines for the reader, and of how many values, names and senses they tell.

    `changed` counts those of the values in whose place the source has another.
    """

    lines: tuple[str, ...]
    values: int = 0
    names: int = 0
    senses: int = 0
    changed: int = 0


def compare(statement: Facts, source: Facts, more: Sequence[Facts] = ()) -> Comparison:
    """Compare the facts of a statement with those of the sentences that should support it.

    `more` are texts beside the source that may lend names and years, such as its title and heading.
    """
    given = [*source.values, *(value for other in more for value in other.values)]
    lines = []
    missing = [value for value in statement.values if not held(value, given)]
    free = [value for value in source.values if not any(held(wanted, [value]) for wanted in statement.values)]
    others = [nearest(value, free) for value in missing]
    for value, other in zip(missing, others, strict=True):
        lines.append(f"the answer says {value.text}, the source " + (other.text if other else "doesn't"))
    text = "\n".join([source.text, *(other.text for other in more)])
    known = source.known.union(*(other.known for other in more))
    lacking = [name for name in statement.names if not name_held(name, text, known)]
    if lacking:
        spelt_out = _abbreviated(statement.text, text)
        lacking = [name for name in lacking if name not in spelt_out]
    if lacking:
        lines.append(f"the answer names {_listed(lacking, statement.text)}, the source doesn't")
    against = _denials(statement, source) + _senses(statement, source)
    return Comparison((*lines, *against), len(missing), len(lacking), len(against), len(others) - others.count(None))


def _listed(names: Sequence[str], text: str) -> str:
    """Return names in a line; those that stand side by side in `text` are one."""
    line = names[0]
    for before, name in pairwise(names):
        line += f" {name}" if f"{before} {name}" in text else f", {name}"
    return line


def joined(parts: Sequence[Facts]) -> Facts:
    """Return the facts of sentences that stand together."""
    if len(parts) == 1:
        return parts[0]
    return Facts(
        text=" ".join(part.text for part in parts),
        values=tuple(value for part in parts for value in part.values),
        names=tuple(name for part in parts for name in part.names),
        known=frozenset[str]().union(*(part.known for part in parts)),
        denied=frozenset[str]().union(*(part.denied for part in parts)),
        affirmed=frozenset[str]().union(*(part.affirmed for part in parts)),
        senses=tuple(sense for part in parts for sense in part.senses),
    )


def _denials(statement: Facts, source: Facts) -> list[str]:
    lines = []
    for term in sorted(statement.denied & source.affirmed - source.denied):
        lines.append(f"the answer denies “{_as_written(term, source.text)}”, the source doesn't")
    for term in sorted(statement.affirmed & source.denied - statement.denied):
        lines.append(f"the source denies “{_as_written(term, statement.text)}”, the answer doesn't")
    return lines


def _as_written(term: str, text: str) -> str:
    return next((word for word in re.findall(r"[\w'’-]+", text) if term in terms(word)), term)


def _senses(statement: Facts, source: Facts) -> list[str]:
    if statement.denied or source.denied:
        return []  # "did not rise" and "fell" agree
    lines = []
    for word, row, side in statement.senses:
        against = [other for other, its_row, its_side in source.senses if its_row == row and its_side != side]
        same = any(its_row == row and its_side == side for _, its_row, its_side in source.senses)
        other_side = any(its_row == row and its_side != side for _, its_row, its_side in statement.senses)
        if against and not same and not other_side:
            lines.append(f"the answer says {word}, the source {against[0]}")
    return lines[:1]
