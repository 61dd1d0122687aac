"""The sentences of the shown passages, and which of them support a statement, or a short answer to a question, best."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assistant.chunking import Chunk
from assistant.embedding import Embedder, SentenceVectors
from assistant.facts import Comparison, Facts, compare, joined, read_facts
from assistant.retrieval import Hit
from assistant.sentences import Span
from assistant.support import Features, Floats, PhraseFeatures, nearness, says_something, spread_and_order, stems

_TOGETHER = 3  # sentences that may support a statement together, when they follow each other
_TRIED = 10  # places that are compared with the statement fact by fact
_JOINED = 0.07  # what each sentence more must bring to be worth reading
_LACKS_VALUE, _LACKS_NAME, _CONTRADICTS = (
    0.08,
    0.05,
    0.1,
)  # what a place loses that lacks what is said, half where it has another value
_SPREAD = 0.06  # what a place loses for each unit of `Features.spread`
_HINT = 0.03  # what the model's own mark adds: it decides among equals
_PRONOUN = re.compile(
    r"\b(?:he|she|it|they|his|her|its|their|him|them|this|these|the (?:company|firm|group|model|author|study))\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Sentence:
    """One sentence of a shown passage; `passage` counts from 1 as in the prompt, `span` is relative to its chunk's text."""

    passage: int
    chunk: Chunk
    span: Span
    prefix: Facts

    @cached_property
    def text(self) -> str:
        """The sentence as it stands in the document."""
        return self.chunk.text[self.span[0] : self.span[1]]

    @cached_property
    def facts(self) -> Facts:
        """What of it must agree exactly."""
        return read_facts(self.text)

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """A stem for each word in order, stop words too."""
        return stems(self.text, self.facts.values)


@dataclass(frozen=True)
class Place:
    """Sentences `first` to `last` (not included), what they have of a statement, and how they differ from it."""

    first: int
    last: int
    features: Features
    comparison: Comparison


@dataclass(frozen=True)
class PhrasePlace:
    """The sentence `first`, or those up to `last`, that hold a phrase."""

    first: int
    last: int
    features: PhraseFeatures
    comparison: Comparison


@dataclass(frozen=True)
class _Words:
    """The content words of a statement, as stems in order; which of the different ones each sentence holds, and its cosine."""

    content: tuple[str, ...]
    stems: tuple[str, ...]
    held: Floats  # (sentences, words): 1 or 0
    cosines: Floats  # (sentences,)


class Evidence:
    """The sentences of the shown passages, ready to be compared with statements."""

    def __init__(self, shown: Sequence[Hit], vectors: Sequence[SentenceVectors], embedder: Embedder) -> None:
        """`vectors` holds the sentence vectors of each of the `shown` hits."""
        self._embedder = embedder
        self.sentences: list[Sentence] = []
        rows: list[Floats] = []
        for number, (hit, matrix) in enumerate(zip(shown, vectors, strict=True), start=1):
            if len(matrix) != len(hit.chunk.sentences):
                continue  # its document was removed or changed meanwhile
            for chunk in hit.parts:  # each with its own page and heading
                prefix = read_facts(chunk.prefix)
                self.sentences += [Sentence(number, chunk, span, prefix) for span in chunk.sentences]
            rows.append(matrix.astype(np.float32) / np.float32(127))
        self._vectors = np.concatenate(rows) if rows else np.empty((0, 0), np.float32)
        chunks = np.array([id(sentence.chunk) for sentence in self.sentences])
        self._together = {count: np.flatnonzero(chunks[: 1 - count] == chunks[count - 1 :]) for count in range(2, _TOGETHER + 1)}
        self._together[1] = np.arange(len(self.sentences))

    @cached_property
    def _passage_words(self) -> dict[int, frozenset[str]]:
        """The stems of each passage, its titles and headings among them."""
        words: dict[int, set[str]] = {}
        for sentence in self.sentences:
            words.setdefault(sentence.passage, set()).update(sentence.stems, stems(sentence.prefix.text, sentence.prefix.values))
        return {passage: frozenset(found) for passage, found in words.items()}

    def _read(self, text: str, facts: Facts) -> _Words:
        content = tuple(word for word in stems(text, facts.values) if says_something(word))
        different = tuple(dict.fromkeys(content))
        column = {word: at for at, word in enumerate(different)}
        held = np.zeros((len(self.sentences), len(different)), np.float32)
        for row, sentence in enumerate(self.sentences):
            held[row, [column[word] for word in sentence.stems if word in column]] = 1
        return _Words(content, different, held, self._vectors @ self._embedder.embed([text])[0])

    def place(self, statement: str, hints: frozenset[int] = frozenset()) -> Place | None:
        """Return the place that supports `statement` best; None for one without content words, or no sentences at all.

        `hints` are the passages that the model named.
        """
        if not self.sentences:
            return None
        facts = read_facts(statement)
        words = self._read(statement, facts)
        if not words.stems:
            return None
        best: tuple[float, Place] | None = None
        for worth, first, last in self._likely(words, hints):
            comparison = self._compare(facts, first, last)
            worth -= _LACKS_VALUE * (comparison.values - comparison.changed / 2) + _LACKS_NAME * comparison.names
            worth -= _CONTRADICTS * comparison.senses
            features = self._features(words, first, last)
            worth -= _SPREAD * features.spread
            if best is None or worth > best[0]:
                best = worth, Place(first, last, features, comparison)
        return best[1] if best else None

    def _likely(self, words: _Words, hints: frozenset[int]) -> list[tuple[float, int, int]]:
        """Return (worth, first, last) of the places that look best by words and vectors, best first."""
        found: list[tuple[float, int, int]] = []
        hinted = np.array([_HINT if sentence.passage in hints else 0.0 for sentence in self.sentences], np.float32)
        held, cosines = words.held, words.cosines
        for count in range(1, _TOGETHER + 1):
            firsts = self._together[count]
            if not len(firsts):
                break
            if count > 1:
                held = np.maximum(held[:-1], words.held[count - 1 :])
                cosines = np.maximum(cosines[:-1], words.cosines[count - 1 :])
            worth = 0.5 * held.mean(axis=1)[firsts] + 0.5 * cosines[firsts] - _JOINED * (count - 1) + hinted[firsts]
            order = np.argsort(-worth, kind="stable")[:_TRIED]
            found += [(float(worth[at]), int(firsts[at]), int(firsts[at]) + count) for at in order]
        return sorted(found, key=lambda item: (-item[0], item[1], item[2]))[:_TRIED]

    def _compare(self, facts: Facts, first: int, last: int) -> Comparison:
        source = joined([sentence.facts for sentence in self.sentences[first:last]])
        more = [self.sentences[first].prefix]
        if _PRONOUN.search(source.text):  # "he" is whoever was named before
            chunk = self.sentences[first].chunk
            before = [self.sentences[at] for at in range(max(0, first - 3), first) if self.sentences[at].chunk is chunk]
            more += [_names_only(sentence.facts) for sentence in before]
        return compare(facts, source, more)

    def _features(self, words: _Words, first: int, last: int) -> Features:
        there = [word for sentence in self.sentences[first:last] for word in sentence.stems]
        spread, order = spread_and_order(words.content, there)
        known = self._passage_words[self.sentences[first].passage]
        return Features(
            cosine=float(words.cosines[first:last].max()),
            spread=spread,
            order=order,
            unknown=sum(word not in known for word in words.stems) / len(words.stems),
            joined=float(last - first - 1),
        )

    def phrase_place(self, question: str, phrase: str, hints: frozenset[int] = frozenset()) -> PhrasePlace | None:
        """Return the sentence that says `phrase` as the answer to `question` best; None when none holds all of the phrase."""
        if not self.sentences:
            return None
        asked = question.rstrip(" ?.!")
        facts, whole = read_facts(phrase), read_facts(f"{asked} {phrase}")
        words = self._read(whole.text, whole)
        wanted = {word for word in stems(phrase, facts.values) if says_something(word)}
        of_question = [at for at, word in enumerate(words.stems) if word not in wanted]
        best: tuple[float, PhrasePlace] | None = None
        for first, last in self._holding(wanted, facts):
            features = self._phrase_features(words, of_question, wanted, first, last)
            worth = (
                0.4 * features.words
                + 0.2 * features.around
                + 0.3 * features.cosine
                + 0.1 * features.near
                - 0.1 * (last - first - 1)
            )
            worth += _HINT * (self.sentences[first].passage in hints)
            if best is None or worth > best[0]:
                best = worth, PhrasePlace(first, last, features, self._compare(whole, first, last))
        return best[1] if best else None

    def _holding(self, wanted: set[str], facts: Facts) -> list[tuple[int, int]]:
        """Return the sentences, or two that follow each other, that hold all terms and values of a phrase."""
        literal = {word for word in wanted if not word.startswith("=")}  # values are compared as such
        found: list[tuple[int, int]] = []
        for count in (1, 2):
            for first in self._together[count]:
                group = self.sentences[first : first + count]
                if literal <= {word for sentence in group for word in sentence.stems}:
                    comparison = compare(facts, joined([sentence.facts for sentence in group]), [group[0].prefix])
                    if not comparison.values:
                        found.append((int(first), int(first) + count))
            if found:
                break
        return found

    def _phrase_features(self, words: _Words, of_question: list[int], wanted: set[str], first: int, last: int) -> PhraseFeatures:
        sentence = self.sentences[first]
        titled = set(stems(sentence.prefix.text, sentence.prefix.values))
        in_title = np.array([1.0 if words.stems[at] in titled else 0.0 for at in of_question], np.float32)
        beside = [
            at for at in range(max(0, first - 1), min(len(self.sentences), last + 1)) if self.sentences[at].chunk is sentence.chunk
        ]
        here = np.maximum(words.held[first:last, of_question].max(axis=0), in_title)
        around = np.maximum(words.held[np.ix_(beside, of_question)].max(axis=0), in_title)
        asked = [words.stems[at] for at in of_question]
        return PhraseFeatures(
            words=float(here.mean()) if asked else 0.0,
            around=float(around.mean()) if asked else 0.0,
            cosine=float(words.cosines[first:last].max()),
            near=nearness(asked, wanted, [word for at in range(first, last) for word in self.sentences[at].stems]),
        )


def _names_only(facts: Facts) -> Facts:
    return Facts(facts.text, (), facts.names, facts.known, frozenset(), frozenset(), ())
