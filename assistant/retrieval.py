"""A question (and the conversation before it) becomes ranked chunks."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from assistant.catalog import Catalog
from assistant.chunking import Chunk
from assistant.embedding import Embedder, Vectors
from assistant.index import Index
from assistant.late_interaction import NO_TOKENS, max_sim
from assistant.lexical import query_terms, terms
from assistant.scoring import Scores, score
from assistant.sentences import Span
from assistant.table_rows import BEFORE, header_above

CANDIDATES = 100  # taken from each index before fusion
_REREAD = 60  # of them that are compared token by token, which costs most
_BEFORE = 30  # taken for the earlier questions of a conversation
_FAVOURED = 20  # taken beside them of the documents that the question names
# Added to the score of their chunks. Of 60 questions about six reports whose year stands in the name of the file alone, the
# right passage came first for 20 % without it, 65 % at 0.05, 98 % at 0.1.
_FAVOUR = 0.1
Mode = Literal["dense", "lexical", "hybrid", "full"]


class Weights(NamedTuple):
    """How much of the score is what (`scoring.Scores`); the tokens' is taken alike and by the weight of their terms."""

    dense: float = 0
    lexical: float = 0
    sentence: float = 0
    coverage: float = 0
    tokens: float = 0
    rare_tokens: float = 0


# One setting for all questions, on a plateau of five sets (eval/RESULTS.md). The app uses "full"; the others are
# there to be compared with.
_WEIGHTS: dict[Mode, Weights] = {
    "dense": Weights(dense=1),
    "lexical": Weights(lexical=1),
    "hybrid": Weights(dense=0.5, lexical=0.5),
    "full": Weights(dense=0.15, lexical=0.13, sentence=0.23, coverage=0.08, tokens=0.18, rare_tokens=0.23),
}

# How much the earlier questions of a conversation count beside one that says little by itself, and beside another. More
# (0.6, 0.1) is 0.005 nDCG@10 better on mtRAG, but where the topic changes, the right passage is lost among eight more often.
# One without a single term ("When?") is nothing without them.
_EMPTY, _LEANING, _STANDING = 1.0, 0.3, 0.05
_FEW_TERMS = 4  # a question with fewer leans on what was asked before
_TURNS, _TURN_LENGTH = 6, 200  # earlier questions that count, the newest, and characters of each


@dataclass(frozen=True)
class Hit:
    """A chunk found for a question. `score` is about 0..1, a perfect match; lists are sorted best first.

    `dense`, `lexical` and `sentence` are the scores of `scoring.Scores`. `sentence_scores` holds for each sentence its
    cosine to the question, `evidence` that plus its share of the question's terms. `parts` are the chunks that `chunk` is
    made of, in the order of the text, and `gist` the characters of the document worth reading: in a passage
    (`passages.py`) there may be several parts, and the gist may be less than all. `header` is that of the table in whose
    rows the chunk begins. What stands `beside` the passages is shown to the reader, but no answer is made from it.
    """

    chunk: Chunk
    score: float
    dense: float
    lexical: float
    sentence: float
    sentence_scores: tuple[float, ...]
    evidence: tuple[float, ...]
    parts: tuple[Chunk, ...]
    gist: Span
    header: str = ""
    beside: bool = False

    @property
    def best_sentence(self) -> Span:
        """The span, in characters of the document, of the sentence that says most about the question."""
        return self.sentences_above(max(self.evidence, default=0.0))

    def sentences_above(self, evidence: float) -> Span:
        """Return the span of the document from the first to the last sentence with at least that evidence.

        That of the whole chunk when none has it.
        """
        good = [span for span, value in zip(self.chunk.sentences, self.evidence, strict=True) if value >= evidence]
        if not good:
            return self.chunk.start, self.chunk.end
        return self.chunk.start + good[0][0], self.chunk.start + good[-1][1]


def leans(question: str) -> bool:
    """Whether a question says so little that it leans on those before it."""
    return len(query_terms(question)) < _FEW_TERMS


def search(
    query: str,
    limit: int,
    catalog: Catalog,
    index: Index,
    embedder: Embedder,
    mode: Mode = "full",
    documents: Sequence[str] | None = None,
    favoured: Sequence[str] = (),
    earlier: Sequence[str] = (),
) -> list[Hit]:
    """Return the `limit` best chunks for `query`, fewer when there are no more candidates, by all scores added.

    Only chunks that the catalogue holds are returned, whatever the indexes say. With `documents`, only chunks of
    these, `limit` of them if there are so many. Chunks of `favoured` documents are sure to be looked at, and score more.
    `earlier` holds the questions asked before in the conversation, oldest first. They are searched for too, as a
    question of their own that counts less: joined to the newest they would drown it (eval/RESULTS.md).
    """
    if not query.strip() or limit < 1 or (documents is not None and not documents):
        return []
    weights = _WEIGHTS[mode]
    question = embedder.embed_question(query)
    places = [(documents, CANDIDATES if documents is None else max(CANDIDATES, limit))]
    places += [(favoured, _FAVOURED)] if favoured else []
    found = list(_found(query, question.vector, places, index, mode))
    # The newest first: what is too long for the model is cut at the end.
    before = " ".join(turn[:_TURN_LENGTH] for turn in reversed(earlier[-_TURNS:])).strip()
    before_vector = embedder.embed([before])[0] if before else question.vector
    if before:
        found += _found(before, before_vector, [(within, _BEFORE) for within, _ in places], index, mode)
    stored = catalog.candidates(list(dict.fromkeys(found)))
    if not stored:
        return []
    ids, candidates = list(stored), list(stored.values())
    wanted = query_terms(query)
    idf = index.idf(wanted)
    scores = score(question.vector, wanted, idf, candidates)
    total = _weighted(scores, weights)
    if favoured:
        own = set(catalog.chunk_ids_of(favoured))
        total += _FAVOUR * np.array([id in own for id in ids])
    lean = 0.0
    if before:
        lean = _EMPTY if not wanted else _LEANING if leans(query) else _STANDING
        its_terms = query_terms(before)
        others = score(before_vector, its_terms, index.idf(its_terms), candidates)
        total += lean * _weighted(others, weights) / sum(weights[:4])
    if weights.tokens and len(question.tokens):
        best = np.argsort(-total, kind="stable")[:_REREAD]
        tokens = catalog.tokens([ids[at] for at in best])
        shares = _token_weights(query, question.spans, dict(zip(wanted, idf, strict=True)), weights)
        total[best] += max_sim(question.tokens, shares, [tokens.get(ids[at], NO_TOKENS) for at in best])
    total /= sum(weights if len(question.tokens) else weights[:4]) + lean
    return _hits([int(at) for at in np.argsort(-total, kind="stable")[:limit]], ids, total, scores, catalog)


def _hits(order: Sequence[int], ids: Sequence[str], total: Vectors, scores: Scores, catalog: Catalog) -> list[Hit]:
    """Return the hits of the candidates at `order`; one that was removed meanwhile is left out."""
    chunks = {chunk.id: chunk for chunk in catalog.chunks([ids[at] for at in order])}
    return [
        Hit(
            chunk=chunk,
            score=float(total[at]),
            dense=float(scores.dense[at]),
            lexical=float(scores.lexical[at]),
            sentence=float(scores.sentence[at]),
            sentence_scores=tuple(scores.cosines[at].tolist()),
            evidence=tuple((scores.cosines[at] + scores.shares[at]).tolist()),
            parts=(chunk,),
            gist=(chunk.start, chunk.end),
            header=table_header(chunk, catalog),
        )
        for at in order
        if (chunk := chunks.get(ids[at]))
    ]


def table_header(chunk: Chunk, catalog: Catalog) -> str:
    """Return the header of the table in whose rows `chunk` begins, "" when it begins with something else or has its header."""
    if "|" not in chunk.text.partition("\n")[0]:
        return ""
    return header_above(catalog.text(chunk.document_id, max(0, chunk.start - BEFORE), chunk.start), chunk.text)


def _found(
    text: str, vector: Vectors, places: Sequence[tuple[Sequence[str] | None, int]], index: Index, mode: Mode
) -> Iterator[str]:
    """Yield the ids of the candidates for one question, so many of each of `places` (documents, or all)."""
    for within, most in places:
        if mode != "lexical":
            yield from (id for id, _ in index.dense(vector, most, within))
        if mode != "dense":
            yield from (id for id, _ in index.lexical(text, most, within))


def _weighted(scores: Scores, weights: Weights) -> Vectors:
    return np.asarray(
        weights.dense * scores.dense
        + weights.lexical * scores.lexical
        + weights.sentence * scores.sentence
        + weights.coverage * scores.coverage,
        np.float32,
    )


def _token_weights(query: str, spans: Sequence[Span], idf: Mapping[str, float], weights: Weights) -> Vectors:
    """Return the weight of each token of `query` at `spans`: all alike, and more for those of words that few chunks have."""
    rare = np.zeros(len(spans), np.float32)
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    for word in re.finditer(r"\w+", query):
        within = slice(bisect_right(ends, word.start()), bisect_left(starts, word.end()))
        if len(rare[within]):
            rare[within] = sum(idf.get(term, 0.0) for term in terms(word.group())) / len(rare[within])
        elif within.start >= len(spans):
            break  # the model read no further
    if not rare.any():
        rare[:] = 1
    return np.asarray(weights.tokens / len(spans) + weights.rare_tokens * rare / rare.sum(), np.float32)
