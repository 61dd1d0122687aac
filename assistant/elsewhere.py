"""Another document may give another value than the answer does: the reader is told of both, whichever is right."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assistant.evidence import Sentence
from assistant.facts import Facts, joined, name_held, name_runs, read_facts
from assistant.grounding import Citation, Grounded, Grounding, content, needs_question
from assistant.marks import plain
from assistant.support import says_something, stem
from assistant.value_match import comparable, held, says
from assistant.values import Value, hedge

_SHARE, _OF_OWN = 0.4, 0.6  # a sentence must hold so much of the question's words, and so much of what the cited one holds
_FEWEST = 2  # of these words must stand at the cited place: fewer ("What does it cost?") don't tell what it is about
_LIKE = 2  # values of one kind in a sentence; where there are more, they are of different things
_TRIED = 8  # places judged for a statement, since each costs an embedding
_WHO = re.compile(r"\W*(?:who|whose|whom)\b", re.IGNORECASE)
_NOUN = re.compile(r"[\s-]*([^\W\d_]{3,})")
_PER = re.compile(r"/\w+")  # "30 km/h"


@dataclass(frozen=True)
class Elsewhere:
    """A `value` as a passage of another document writes it, and where; `said` is the answer's, when it has several statements."""

    value: str
    citation: Citation
    said: str = ""

    @property
    def line(self) -> str:
        """What the reader is told, to be followed by the citation's number."""
        return f"Instead of {self.said}, another passage says {self.value}" if self.said else f"Another passage says {self.value}"


def other_values(question: str, answer: Grounded, grounding: Grounding, before: str = "") -> tuple[Elsewhere, ...]:
    """Return what other documents among the passages of `grounding` say in place of the values of `answer`.

    At most one for each supported statement: a value of the same kind or, asked who, a name. A passage that lacks the
    statement's must support it as well. `before` holds the questions asked earlier, which may tell what `question` is about.
    Citations are numbered on after those of the answer.
    """
    found: dict[tuple[str, str], Elsewhere] = {}
    numbers = {citation.chunk.id: citation.number for citation in answer.citations}
    lines = [plain(answer.text[statement.start : statement.end]) for statement in answer.statements]
    for said, statement in zip(lines, answer.statements, strict=True):
        if statement.mark == "supported" and statement.citation:
            other = _Statement(question, said, statement.citation, lines, before).elsewhere(grounding)
            if other and (key := (other.value, other.citation.chunk.id)) not in found:
                citation = replace(other.citation, number=numbers.setdefault(key[1], len(numbers) + 1))
                found[key] = replace(other, citation=citation, said=other.said if len(lines) > 1 else "")
    return tuple(found.values())


class _Statement:
    """One statement and its source, to be compared with the sentences of other documents."""

    def __init__(self, question: str, said: str, source: Citation, lines: Sequence[str], before: str) -> None:
        self._question, self._said, self._source = read_facts(question), said, source
        self._own = joined([read_facts(source.quote), read_facts(source.chunk.prefix)])
        self._known = joined([self._question, self._own, *map(read_facts, lines)])  # what the reader sees without us
        own = content(self._own.text)
        asked = content(question) - (content(said) if needs_question(said, question) else frozenset())
        self._asked, self._needed = asked, (asked | content(before)) & own
        self._least = max(_SHARE * len(asked), _OF_OWN * len(asked & own))
        self._targets = [value for value in read_facts(said).values if not held(value, self._question.values)]
        if not self._targets and _WHO.match(question):
            self._targets = [name for name in _names(said) if not _any_held(name.text.split(), self._question)]

    def elsewhere(self, grounding: Grounding) -> Elsewhere | None:
        """Return the best supported other value; None when there is none."""
        tried: list[tuple[int, int, Value, Value]] = []
        sentences = grounding.evidence.sentences
        for at, sentence in enumerate(sentences if len(self._needed) >= _FEWEST else ()):
            shared = len(self._asked & {*sentence.stems, *content(sentence.prefix.text)})
            if shared < self._least or sentence.chunk.document_id == self._source.chunk.document_id:
                continue
            if self._about_it([one for one in sentences[max(0, at - 1) : at + 2] if one.chunk is sentence.chunk]):
                passage = read_facts(grounding.shown[sentence.passage - 1].chunk.text)
                tried += [(shared, at, mine, other) for mine in self._targets for other in self._others(mine, sentence, passage)]
        best, most = None, 0.0
        for _, at, mine, other in sorted(tried, key=lambda place: -place[0])[:_TRIED]:
            sentence = sentences[at]
            variant = self._said[: mine.start] + sentence.text[other.start : other.end] + self._said[mine.end :]
            judged = grounding.alone(sentence.passage).judge(variant, question=self._question.text)
            here = sentence.chunk.start + sentence.span[0]
            if judged.mark == "supported" and judged.chunk and judged.start <= here < judged.end and judged.support > most:
                citation, most = Citation(0, judged.chunk, judged.start, judged.end), judged.support
                best = Elsewhere(_written(other, sentence.text, _noun(mine, self._said)), citation, mine.text)
        return best

    def _about_it(self, place: Sequence[Sentence]) -> bool:
        """Whether a sentence with those beside it holds all of the question that the statement's source holds."""
        there = joined([*(sentence.facts for sentence in place), place[0].prefix])
        names = [name for name in self._question.names if _any_held([name], self._own)]
        return self._needed <= content(there.text) and all(_any_held([name], there) for name in names)

    def _others(self, mine: Value, sentence: Sentence, passage: Facts) -> list[Value]:
        """Return what may stand in the place of `mine` in a sentence; nothing when its whole passage holds that."""
        if mine.kind == "name":
            words = mine.text.split()
            names = [] if _any_held(words[-1:], passage) else _names(sentence.text)
            names = [name for name in names if " " in name.text or len(words) == 1]  # one capital word may be anything
            names = [name for name in names if not _any_held(name.text.split()[-1:], self._known)]
            return [name for name in names if not _any_held(name.text.split(), self._question)]
        if held(mine, passage.values):
            return []
        alike = [value for value in sentence.facts.values if comparable(value, mine) and not says(value, mine)]
        alike = [value for value in alike if not held(value, self._known.values)]
        nouns = ("", _noun(mine, self._said))
        alike = [value for value in alike if not nouns[1] or _noun(value, sentence.text) in nouns]
        return alike if len(alike) <= _LIKE else []


def _names(text: str) -> list[Value]:
    return [Value("name", (), "", text[start:end], start, end) for start, end in name_runs(text)]


def _any_held(words: Sequence[str], facts: Facts) -> bool:
    return any(name_held(word, facts.text, facts.known) for word in words)


def _noun(value: Value, text: str) -> str:
    """Return what a value of `text` counts or measures; "" when that isn't told."""
    if value.unit or value.kind != "number":
        return value.unit or value.kind
    after = _NOUN.match(text, value.end)
    return stem(after[1]) if after and says_something(stem(after[1])) else ""


def _written(value: Value, text: str, noun: str) -> str:
    """Return a value of `text` with the doubt before it ("nearly"), and behind it what it is per, or counts when that is `noun`."""
    if value.kind == "name":
        return value.text
    after = _NOUN.match(text, value.end)
    per = _PER.match(text, value.end) or (after if after and stem(after[1]) == noun else None)
    return " ".join(text[value.start - len(hedge(text, value.start)) : per.end() if per else value.end].split())
