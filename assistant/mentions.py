"""Which documents does a question name? By file name, by title in quotes or in full, or as in "the 2023 report"."""

import re
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from assistant.catalog import Catalog
from assistant.documents import supported_suffixes
from assistant.lexical import terms

_MOST = 20  # a name that fits more documents names none
_WINDOW = 7  # words of a mention before its noun, and after it
# Terms of a whole title that name it without any cue, and documents of that title: shorter ones are the words of
# ordinary questions, and a title that many share is a topic, such as that of an article cut into passages.
_PHRASE, _PHRASE_MOST = 3, 3


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What people call a document. "Companies report losses" names none: there is no preposition and article before it.
# (The words themselves: stemmed, "transcription" is a transcript.)
_NOUNS = _set(
    "agreement article briefing book chapter contract document essay file filing guide guideline handbook letter manual memo "
    "memorandum note paper pdf policy presentation proposal report review specification statement study transcript whitepaper "
    "agreements articles briefings books chapters contracts documents essays files filings guides guidelines handbooks letters "
    "manuals memos notes papers pdfs policies presentations proposals reports reviews specifications statements studies "
    "transcripts whitepapers documentation minutes slides summary summaries"
)
_PREPOSITIONS = _set("in from per within inside of by with between under about on via")
_ARTICLES = _set("the this that these those our my your their its")
_STARTS = _set("a an what which does do did is are was were has have had can could how why who")
_READING = _set("summarise summarize compare read open check see quote cite search explain describe review translate")
_SAYING = _set(
    "say says said state states mention mentions claim claims describe describes explain explains show shows list lists "
    "give gives conclude concludes recommend recommends contain contains cover covers define defines argue argues tell tells"
)
_LINKS = _set("of for from on about by called named titled dated")
_STOPS = _PREPOSITIONS | _ARTICLES | _STARTS | _READING | {"to"}  # a name doesn't go back beyond these
_WORD = re.compile(r"[^\W_]+")
_QUOTED = re.compile(r"[\"“„«『「《]([^\"“”„«»『』「」《》]{2,200})[\"”“»』」》]")
_JOINED = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=(?:19|20)\d\d(?!\d))")  # AnnualReport2023


class _Word(NamedTuple):
    """A word of the question: its index term ("" when it has none), and whether punctuation stands before it."""

    text: str
    term: str
    apart: bool


class _Names:
    """The names of all documents, looked up by their terms."""

    def __init__(self) -> None:
        self.titles: dict[str, str] = {}  # by id
        self.own: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}  # file and title, as terms in order
        self.words: dict[str, frozenset[str]] = {}  # terms of file, folders and title together
        self.by_term: dict[str, set[str]] = {}
        self.by_name: dict[tuple[str, ...], set[str]] = {}
        self.by_start: dict[tuple[str, ...], set[tuple[str, ...]]] = {}  # names that begin with three terms
        self.by_file: dict[str, set[str]] = {}

    def update(self, titles: dict[str, str]) -> None:
        """Take out what is no longer among `titles` (by id), add what is new."""
        changed = titles.items() ^ self.titles.items()
        for id in {id for id, _ in changed}:
            if id in self.titles:
                self._remove(id)
            if id in titles:
                self._add(id, titles[id])
        self.titles = titles

    def _add(self, id: str, title: str) -> None:
        folders, _, file = id.rpartition("/")
        own = self.own[id] = _terms(file.rpartition(".")[0] or file), _terms(title)
        self.words[id] = frozenset((*own[0], *own[1], *(_terms(folders) if folders else ())))
        for term in self.words[id]:
            self.by_term.setdefault(term, set()).add(id)
        for name in own:
            self.by_name.setdefault(name, set()).add(id)
            if _length(name) >= _PHRASE:
                self.by_start.setdefault(name[:_PHRASE], set()).add(name)
        self.by_file.setdefault(file.lower(), set()).add(id)

    def _remove(self, id: str) -> None:
        for term in self.words.pop(id):
            self.by_term[term].discard(id)
        for name in self.own.pop(id):
            self.by_name[name].discard(id)
        self.by_file[id.rpartition("/")[2].lower()].discard(id)

    def distinctive(self, term: str) -> bool:
        """Whether at most half of the documents have the term in their names."""
        return 2 * len(self.by_term.get(term, ())) <= len(self.titles)


class Mentions:
    """Finds the documents of `catalog` that a question names. After documents changed, their names are read again."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._names = _Names()
        self._revision = -1
        self._lock = threading.Lock()

    def named(self, question: str) -> list[str]:
        """Return the ids of the documents that `question` names, sorted; for nearly all questions there are none.

        A name is a file's name with its ending, a title or file name in quotes, a whole title of three
        terms or more, or words of a name beside a noun for documents, as in "in the 2023 report". What
        fits more than half of the documents, or more than 20, names none.
        """
        words = _words(question)
        found: set[str] = set()
        with self._lock:
            names, revision = self._names, self._catalog.revision
            if revision != self._revision:
                names.update(dict(self._catalog.titles()))
                self._revision = revision
            for group in (*_files(question, names), *_quoted(question, names), *_phrases(words, names), *_cued(words, names)):
                if len(group) <= _MOST and 2 * len(group) <= len(names.titles):
                    found |= group
        return sorted(found)


def _terms(name: str) -> tuple[str, ...]:
    return tuple(terms(_JOINED.sub(" ", name)))


def _length(name: Sequence[str]) -> float:
    """Return the number of words in `name`; a character of a script without spaces is half of one."""
    return sum(0.5 if len(term) == 1 and ord(term) > 0xE00 else 1 for term in name)


def _words(question: str) -> list[_Word]:
    found = []
    end = 0
    for match in _WORD.finditer(_JOINED.sub(" ", question)):
        between = match.string[end : match.start()]
        end = match.end()
        for place, term in enumerate(terms(match[0]) or [""]):
            found.append(_Word(match[0].lower(), term, place == 0 and bool(re.search(r"[.,;:?!()\n]", between))))
    return found


def _files(question: str, names: _Names) -> Iterator[set[str]]:
    """Yield the documents whose file name, with its ending, stands in the question; with its folders when those do too."""
    lower = question.lower()
    endings = "|".join(re.escape(suffix) for suffix in supported_suffixes())
    for match in re.finditer(rf"(?:{endings})(?!\w)", lower):
        before = lower[max(0, match.end() - 300) : match.end()]
        for start in [0, *(boundary.end() for boundary in re.finditer(r"[^\w.-]", before))]:
            same = names.by_file.get(before[start:])
            if same:
                full = [id for id in same if before.endswith(id.lower())]
                yield {max(full, key=len)} if full else same
                break


def _quoted(question: str, names: _Names) -> Iterator[set[str]]:
    for match in _QUOTED.finditer(question):
        yield names.by_name.get(_terms(match[1]), set()) if _terms(match[1]) else set()


def _phrases(words: Sequence[_Word], names: _Names) -> Iterator[set[str]]:
    """Yield the documents whose whole title or file name stands in the question."""
    said = [word.term for word in words if word.term]
    for first in range(len(said) - _PHRASE + 1):
        for name in names.by_start.get(tuple(said[first : first + _PHRASE]), ()):
            if tuple(said[first : first + len(name)]) == name and len(names.by_name[name]) <= _PHRASE_MOST:
                yield names.by_name[name]


def _cued(words: Sequence[_Word], names: _Names) -> Iterator[set[str]]:
    """Yield the documents that fit words such as "in the 2023 report" or "what does the report on exports say"."""
    for place, word in enumerate(words):
        if word.text not in _NOUNS:
            continue
        first = place
        while first > max(0, place - _WINDOW) and not words[first].apart and words[first - 1].text not in _STOPS:
            first -= 1
        before = [word.term for word in words[first:place] if word.term]
        if not _is_cue(words, first, place, before):
            continue
        after = _after(words, place)
        for length in range(len(after), -1, -1):
            fitting = _fitting(list(dict.fromkeys(before + after[:length])), word.term, names)
            if fitting:
                yield fitting
                break


def _is_cue(words: Sequence[_Word], first: int, place: int, before: Sequence[str]) -> bool:
    """Whether the words before `first`, where a noun phrase begins that ends at `place`, or those after it point to a document."""
    follows = words[place + 1].text if place + 1 < len(words) and not words[place + 1].apart else ""
    if first == 0 or words[first].apart:
        return follows in _SAYING or any(term.isdigit() for term in before)
    last = first - 1
    definite = words[last].text in _ARTICLES
    if definite and last > 0 and not words[last].apart:
        last -= 1
    led = words[last].text
    if led == "to":
        return last > 0 and words[last - 1].text == "according"
    return led in _PREPOSITIONS or led in _READING or (definite and follows in _SAYING)


def _after(words: Sequence[_Word], place: int) -> list[str]:
    """Return the terms after the noun that say which document it is: "report for 2023", "paper on chips"."""
    rest: list[_Word] = []
    for word in words[place + 1 : place + 1 + _WINDOW]:
        if word.apart:
            break
        rest.append(word)
    if not rest or not (rest[0].text in _LINKS or rest[0].text[0].isdigit()):
        return []
    return [word.term for word in rest if word.term]


def _fitting(content: Sequence[str], noun: str, names: _Names) -> set[str]:
    """Return the documents whose names fit the terms beside `noun` best.

    Where the noun is part of the name, half of the terms must be too; elsewhere all distinctive terms of
    the file's name or title must be among them, and make up half. Of numbers at least one must agree.
    """
    numbers = {term for term in content if any(character.isdigit() for character in term)}
    best, fitting = 0, set[str]()
    candidates = set[str]().union(*(names.by_term.get(term, ()) for term in content if names.distinctive(term)))
    for id in candidates:
        shared = names.words[id].intersection(content)
        if 2 * len(shared) < len(content) or (numbers and not numbers & shared) or len(shared) < best:
            continue
        if noun not in names.words[id] and not any(_covered(name, content, names) for name in names.own[id]):
            continue
        fitting = fitting | {id} if len(shared) == best else {id}
        best = len(shared)
    return fitting


def _covered(name: Sequence[str], content: Sequence[str], names: _Names) -> bool:
    distinctive = {term for term in name if names.distinctive(term)}
    return bool(distinctive) and distinctive <= set(content)
