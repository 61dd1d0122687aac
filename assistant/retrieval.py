"""A question (and the conversation before it) becomes ranked passages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assistant.catalog import Catalog
from assistant.chunking import Chunk
from assistant.embedding import Embedder, SentenceVectors
from assistant.index import Index
from assistant.lexical import terms
from assistant.sentences import Span

CANDIDATES = 100  # taken from each index before fusion
_FAVOURED = 20  # taken beside them of the documents that the question names
# Added to the score of their chunks. Of 60 questions about six reports whose year stands in the name of the file alone, the
# right passage came first for 17 % without it, 53 % at 0.15, 93 % at 0.3.
_FAVOUR = 0.3
Mode = Literal["dense", "lexical", "hybrid", "full"]
# Weights of the three scores (dense, lexical, best sentence), each scaled to 0..1 over the candidates.
# The app uses "full"; the others are there to be compared with.
_WEIGHTS: dict[Mode, tuple[float, float, float]] = {
    "dense": (1, 0, 0),
    "lexical": (0, 1, 0),
    "hybrid": (0.4, 0.6, 0),
    "full": (0.3, 0.4, 0.3),
}

# A question with one of these words, or that opens with one of those, leans on what was said before.
_LEANING = re.compile(
    r"\b(it|its|itself|he|him|his|she|her|hers|they|them|their|theirs|this|that|these|those|there|then|one|ones|same|"
    r"former|latter|such|else|more|other|others)\b",
    re.IGNORECASE,
)
_OPENING = re.compile(r"^\s*(and|but|or|so|also|what about|how about|why|how so|really|who else|what else)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Hit:
    """A chunk found for a question. `score` is 0..1 within one result list; lists are sorted best first.

    `dense` and `sentence` are cosines (of the chunk, of its best sentence), `lexical` a BM25 score;
    `sentence_scores` holds one cosine for each of the chunk's sentences.
    """

    chunk: Chunk
    score: float
    dense: float
    lexical: float
    sentence: float
    sentence_scores: tuple[float, ...]

    @property
    def best_sentence(self) -> Span:
        """The span, in characters of the document, of the sentence nearest to the question."""
        if not self.sentence_scores:
            return self.chunk.start, self.chunk.end
        start, end = self.chunk.sentences[int(np.argmax(self.sentence_scores))]
        return self.chunk.start + start, self.chunk.start + end


def with_context(question: str, earlier: Sequence[str]) -> str:
    """Return the query to search for: `question`, with terms of earlier questions when it leans on them.

    `earlier` holds the questions before, oldest first. Only the nearest question that stands on its
    own is carried over, so an earlier topic never overrides a newer one.
    """
    if not earlier or not _leans(question):
        return question
    carried: list[str] = []
    for before in reversed(earlier):
        carried.insert(0, before)
        if not _leans(before):
            break
    return " ".join([*carried[:2], question])


def _leans(question: str) -> bool:
    return bool(_OPENING.match(question) or _LEANING.search(question)) or len(terms(question)) < 2


def _scaled(scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)


def search(
    query: str,
    limit: int,
    catalog: Catalog,
    index: Index,
    embedder: Embedder,
    mode: Mode = "full",
    documents: Sequence[str] | None = None,
    favoured: Sequence[str] = (),
) -> list[Hit]:
    """Return the `limit` best chunks (200 at most) for `query`, by dense, lexical and sentence scores fused.

    Only chunks that the catalogue holds are returned, whatever the indexes say. With `documents`, only chunks of
    these, `limit` of them if there are so many. Chunks of `favoured` documents are sure to be looked at, and score more.
    """
    if not query.strip() or limit < 1 or (documents is not None and not documents):
        return []
    vector = embedder.embed([query])[0]
    depth = CANDIDATES if documents is None else max(CANDIDATES, limit)
    lexical = dict(index.lexical(query, depth, documents)) if mode != "dense" else {}
    nearest = [id for id, _ in index.dense(vector, depth, documents)] if mode != "lexical" else []
    if favoured:
        lexical |= dict(index.lexical(query, _FAVOURED, favoured)) if mode != "dense" else {}
        nearest += [id for id, _ in index.dense(vector, _FAVOURED, favoured)] if mode != "lexical" else []
    ids = list(dict.fromkeys(nearest + list(lexical)))
    stored = catalog.vectors(ids)
    ids = [id for id in ids if id in stored]
    if not ids:
        return []
    dense = np.array([float(stored[id].vector @ vector) for id in ids])
    words = np.array([lexical.get(id, 0.0) for id in ids])
    sentences = [_cosines(stored[id].sentences, vector) for id in ids]
    best = np.array([max(scores, default=float(cosine)) for scores, cosine in zip(sentences, dense, strict=True)])
    # Without a single shared word the lexical list says nothing and must not lift every chunk alike.
    scaled_words = _scaled(words) if words.any() else np.zeros_like(words)
    of_dense, of_lexical, of_sentence = _WEIGHTS[mode]
    score = of_dense * _scaled(dense) + of_lexical * scaled_words + of_sentence * _scaled(best)
    if favoured:
        own = set(catalog.chunk_ids_of(favoured))
        score = (score + _FAVOUR * np.array([id in own for id in ids])) / (1 + _FAVOUR)
    order = [int(position) for position in np.argsort(-score, kind="stable")[:limit]]
    chunks = {chunk.id: chunk for chunk in catalog.chunks([ids[position] for position in order])}
    return [
        Hit(chunks[ids[at]], float(score[at]), float(dense[at]), float(words[at]), float(best[at]), sentences[at])
        for at in order
        if ids[at] in chunks
    ]


def _cosines(sentences: SentenceVectors, vector: np.ndarray[tuple[int], np.dtype[np.float32]]) -> tuple[float, ...]:
    return tuple(float(value) / 127 for value in sentences.astype(np.float32) @ vector)
