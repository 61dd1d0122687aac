"""Do the indexes hold what the catalogue holds? They are asked, since counts alone say nothing."""

import random
from collections.abc import Iterator, Sequence

import numpy as np

from assistant.catalog import Catalog
from assistant.chunking import Chunk
from assistant.dense import DenseIndex
from assistant.lexical import LexicalIndex, query_terms

CANARIES = 256  # finds 2 % of vectors missing with a probability of 99 %
_CROWD, _ALIKE = 100, 0.98  # so many vectors so near to one: it can't be told whether it is missing among them
_MANY = 1000
_SENTENCES = 64  # chunks looked for by their words
_QUESTIONS, _NEAREST, _RECALL = 50, 10, 0.95  # stored vectors asked for, how many of their neighbours, share of these to be found


def counts_agree(dense: DenseIndex, lexical: LexicalIndex, catalog: Catalog) -> bool:
    """Whether both indexes say that they hold as many chunks as the catalogue."""
    return dense.count() == lexical.count() == catalog.count()


def near_themselves(dense: DenseIndex, catalog: Catalog, ids: Sequence[str]) -> bool:
    """Whether the vectors of chunks are found by themselves."""
    stored = catalog.vectors(ids)
    if len(stored) != len(ids) or not ids:
        return not ids
    found = dense.search(np.stack([stored[id] for id in ids]), 1)
    # A chunk with the very same text in another document may come first.
    doubtful = [id for id, hits in zip(ids, found, strict=True) if not hits or (hits[0][0] != id and hits[0][1] < 1 - 1e-4)]
    if not doubtful:
        return True
    # Among vectors that are nearly alike, as of a text that says the same over and over, the search misses the nearest at times.
    found = dense.search(np.stack([stored[id] for id in doubtful]), _CROWD)
    return all(
        any(other == id and cosine > 1 - 1e-4 for other, cosine in hits) or (len(hits) == _CROWD and hits[-1][1] > _ALIKE)
        for id, hits in zip(doubtful, found, strict=True)
    )


def found_by_words(lexical: LexicalIndex, catalog: Catalog, chunk: Chunk) -> bool:
    """Whether the words of one of its sentences find a chunk."""
    sentence = max((chunk.text[start:end] for start, end in chunk.sentences), key=len, default="")
    if not query_terms(sentence):
        return True  # numbers of a table, or a language of stop words: nothing to look for
    for limit in (10, _MANY):
        ids = [id for id, _ in lexical.search(sentence, limit, [chunk.document_id])]
        # A chunk with the same sentence may come first, and of a text that says the same over and over many do.
        if chunk.id in ids or any(sentence in other.text for other in catalog.chunks(ids[:10])):
            return True
    return len(ids) == _MANY


def canaries(catalog: Catalog, most: int = CANARIES) -> list[str]:
    """Return the ids of up to `most` random chunks."""
    ids = catalog.chunk_ids()
    return random.sample(ids, min(most, len(ids)))


def faults(dense: DenseIndex, lexical: LexicalIndex, catalog: Catalog, dim: int) -> Iterator[str]:
    """Yield what is wrong with the indexes, a line each; every chunk is asked for, which takes seconds for 100,000."""
    ids = catalog.chunk_ids()
    for name, index in (("dense", dense), ("lexical", lexical)):
        if index.count() != len(ids):
            yield f"the {name} index counts {index.count()} chunks, the catalogue {len(ids)}"
        elif missing := index.missing(ids):
            yield f"{missing} of {len(ids)} chunks are not in the {name} index"
    if not near_themselves(dense, catalog, canaries(catalog)):
        yield "vectors do not find themselves in the dense index"
    chunks = catalog.chunks(canaries(catalog, _SENTENCES))
    if not all(found_by_words(lexical, catalog, chunk) for chunk in chunks):
        yield "sentences do not find themselves in the lexical index"
    found = recall(dense, catalog, dim)
    if found < _RECALL:
        yield f"the dense index finds {found:.0%} of the nearest chunks, {_RECALL:.0%} are expected"


def recall(dense: DenseIndex, catalog: Catalog, dim: int, nearest: int = _NEAREST, questions: int = _QUESTIONS) -> float:
    """Return the share of the `nearest` chunks to some stored vectors that the dense index finds; 1 for an empty catalogue."""
    ids, _, vectors = catalog.all_vectors(dim)
    if not ids:
        return 1.0
    nearest = min(nearest, len(ids))
    places = random.sample(range(len(ids)), min(questions, len(ids)))
    cosines = vectors[places] @ vectors.T
    least = np.partition(cosines, -nearest, axis=1)[:, -nearest]
    hits = dense.search(vectors[places], nearest)
    # Of chunks that are equally near any may be found.
    good = [sum(cosine >= float(bound) - 1e-4 for _, cosine in found) for found, bound in zip(hits, least, strict=True)]
    return sum(good) / (nearest * len(places))
