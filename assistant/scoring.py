"""The scores of candidate chunks for a question, all between 0 and 1 whatever the question, so that they can be added.

Each is a share of the most that is possible, not of the best candidate: a list in which nothing fits has low scores.
Scaling to the candidates' own range instead costs 0.01 to 0.02 nDCG@10 (eval/RESULTS.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.catalog import Candidate
from assistant.embedding import Vectors
from assistant.lexical import hashed

Floats = NDArray[np.float32]
_K1, _B = 0.9, 0.4  # BM25 as in Anserini; 1.2 and 0.75 are as good on scifact and worse on four other sets


@dataclass(frozen=True)
class Scores:
    """Scores by candidate `(n,)`; `cosines` and `shares` hold one value for each sentence of a candidate.

    `dense` is the cosine to the chunk, `sentence` to its nearest sentence; `lexical` is BM25, and `coverage` the most
    that one sentence holds of the question's terms, both as a share of the terms' inverse document frequencies.
    """

    dense: Floats
    sentence: Floats
    lexical: Floats
    coverage: Floats
    cosines: list[Floats]
    shares: list[Floats]


def score(question: Vectors, wanted: Sequence[str], idf: Floats, candidates: Sequence[Candidate]) -> Scores:
    """Return the scores of `candidates` for a question with the vector `question` `(dim,)` and the terms `wanted`.

    `idf` holds the inverse document frequency of each term.
    """
    dense = np.stack([candidate.vector for candidate in candidates]) @ question
    sizes = np.array([len(candidate.sentences) for candidate in candidates])
    cosines = np.concatenate([candidate.sentences for candidate in candidates]).astype(np.float32) @ question / np.float32(127)
    lexical, shares = _lexical(wanted, idf, candidates, sizes)
    return Scores(
        dense,
        _highest(cosines, sizes, dense),
        lexical,
        _highest(shares, sizes, np.zeros_like(dense)),
        _split(cosines, sizes),
        _split(shares, sizes),
    )


def _lexical(wanted: Sequence[str], idf: Floats, candidates: Sequence[Candidate], sizes: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return BM25 of each candidate, and of each sentence the share of `idf` whose terms it holds."""
    counts = [candidate.terms[: size + 1].astype(np.intp) for candidate, size in zip(candidates, sizes, strict=True)]
    words = np.concatenate([candidate.terms[size + 1 :] for candidate, size in zip(candidates, sizes, strict=True)])
    lengths = np.array([count.sum() for count in counts])
    chunk_of = np.repeat(np.arange(len(candidates)), lengths)
    group_of = np.repeat(np.arange(len(candidates) + sizes.sum()), np.concatenate(counts))
    if not len(wanted) or not len(words):
        return np.zeros(len(candidates), np.float32), np.zeros(int(sizes.sum()), np.float32)
    order = np.argsort(hashed(wanted))
    sought, weight = hashed(wanted)[order], idf[order]
    place = np.searchsorted(sought, words).clip(max=len(sought) - 1)
    found = np.flatnonzero(sought[place] == words)
    place, chunk_of, group_of = place[found], chunk_of[found], group_of[found]
    most = float(idf.sum())

    pairs, often = np.unique(chunk_of * len(sought) + place, return_counts=True)
    chunk_of, place_in_chunk = np.divmod(pairs, len(sought))
    # The mean length of the candidates stands for that of all chunks, which nobody has to keep count of.
    length = _K1 * (1 - _B + _B * lengths / max(float(lengths.mean()), 1.0))
    saturated = weight[place_in_chunk] * often / (often + length[chunk_of])
    lexical = np.bincount(chunk_of, saturated, len(candidates)) / most

    group_of, place_in_group = np.divmod(np.unique(group_of * len(sought) + place), len(sought))
    shares = np.bincount(group_of, weight[place_in_group], len(candidates) + int(sizes.sum())) / most
    outside = np.cumsum(sizes + 1) - sizes - 1  # the first group of each candidate is no sentence
    return lexical.astype(np.float32), np.delete(shares, outside).astype(np.float32)


def _highest(values: Floats, sizes: NDArray[np.intp], otherwise: Floats) -> Floats:
    """Return the highest value of each candidate's sentences, `otherwise` where it has none."""
    highest = otherwise.copy()
    filled = np.flatnonzero(sizes)
    if len(filled):
        starts = (np.cumsum(sizes) - sizes)[filled]
        highest[filled] = np.maximum.reduceat(values, starts)
    return highest


def _split(values: Floats, sizes: NDArray[np.intp]) -> list[Floats]:
    return np.split(values, np.cumsum(sizes)[:-1])
