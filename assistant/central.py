"""The sentences that say most about a whole text, in an order in which each adds to those before."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from assistant.embedding import SentenceVectors
from assistant.lexical import terms
from assistant.retrieval import Hit

# Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): worth less what is as near to a chosen sentence.
_NEW = 0.5
_OPENS_TEXT, _OPENS_SECTION = 0.15, 0.08  # for the first sentences: writers say there what they are about to say
_FIRST = 2  # sentences that open a text
_TOWARD = 0.5  # of the similarity to the question, where it has a topic
_FEW_TERMS, _FRAGMENT = 4, 0.3  # a sentence with fewer terms loses so much


def central(hits: Sequence[Hit], vectors: Sequence[SentenceVectors], toward: bool) -> Iterator[tuple[int, int]]:
    """Yield (row of the hit, place of the sentence in it), the most telling first.

    `hits` are parts of one text in its order, `vectors` the vectors of their sentences. A sentence is worth its
    cosine to the mean of all, where it stands, and, `toward` a question, its cosine to that.
    """
    places = [(row, at) for row, (hit, own) in enumerate(zip(hits, vectors, strict=True)) for at in range(_count(hit, own))]
    if not places:
        return
    matrix = np.concatenate([own for hit, own in zip(hits, vectors, strict=True) if _count(hit, own)]).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True).clip(1e-6)
    middle = matrix.mean(axis=0)
    worth = matrix @ (middle / max(float(np.linalg.norm(middle)), 1e-6)) + _by_place(hits, places)
    if toward:
        worth += _TOWARD * np.array([hits[row].sentence_scores[at] for row, at in places], np.float32)
    nearest = np.zeros(len(places), np.float32)
    for _ in places:
        best = int(np.argmax(worth - _NEW * nearest))
        yield places[best]
        worth[best] = -np.inf
        nearest = np.maximum(nearest, matrix @ matrix[best])


def _count(hit: Hit, vectors: SentenceVectors) -> int:
    """Return how many sentences have a vector: none when the document changed meanwhile."""
    return len(vectors) if len(vectors) == len(hit.chunk.sentences) else 0


def _by_place(hits: Sequence[Hit], places: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    bonus = np.zeros(len(places), np.float32)
    for place, (row, at) in enumerate(places):
        chunk = hits[row].chunk
        start, end = chunk.sentences[at]
        if row == 0 and at < _FIRST:
            bonus[place] = _OPENS_TEXT
        elif at == 0 and row and chunk.heading != hits[row - 1].chunk.heading:
            bonus[place] = _OPENS_SECTION
        if len(terms(chunk.text[start:end])) < _FEW_TERMS:
            bonus[place] -= _FRAGMENT
    return bonus
