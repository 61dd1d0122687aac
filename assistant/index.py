"""The dense and the lexical index, derived from the catalogue and made again when a check fails."""

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.catalog import Catalog
from assistant.dense import DenseIndex
from assistant.embedding import Embedder, Vectors
from assistant.exact import ExactIndex
from assistant.lexical import LexicalIndex

_CANARIES = 256  # finds 2 % of vectors missing with a probability of 99 %
_BATCH = 1000

Progress = Callable[[int, int], None]


class Index:
    """Both indexes of one generation, in `data/index/gen-N`; the catalogue says which N is in force."""

    def __init__(self, data: Path, catalog: Catalog, embedder: Embedder, progress: Progress = lambda done, total: None) -> None:
        """Open the generation in force; make a new one when there is none or it fails its check."""
        self._root = data / "index"
        self._catalog = catalog
        self._embedder = embedder
        self._dense: DenseIndex | None = None
        self._exact = ExactIndex(catalog, embedder.dim)
        self.rebuilt = False
        if not self._open():
            self.rebuild(progress)

    def _folder(self, generation: int) -> Path:
        return self._root / f"gen-{generation}"

    def _generation(self) -> int:
        return int(self._catalog.setting("generation") or 0)

    def _open(self) -> bool:
        folder = self._folder(self._generation())
        if not folder.is_dir() or self._catalog.setting("behind") != "":
            return False
        try:
            self._dense, self._lexical = DenseIndex(folder / "dense"), LexicalIndex(folder / "lexical")
            return self.check()
        except Exception:  # whatever a damaged index raises, the answer is the same: make it again
            return False

    def check(self) -> bool:
        """Whether both indexes hold what the catalogue holds.

        Counts alone say nothing (Chroma's stays right while vectors are gone), so random chunks must
        find themselves.
        """
        ids = self._catalog.chunk_ids()
        if self._dense is None or self._dense.count() != len(ids) or self._lexical.count() != len(ids):
            return False
        sample = random.sample(ids, min(_CANARIES, len(ids)))
        stored = self._catalog.vectors(sample)
        if len(stored) != len(sample) or not sample:
            return not sample
        found = self._dense.search(np.stack([stored[id] for id in sample]), 1)
        # A chunk with the very same text in another document may come first.
        return all(hits and (hits[0][0] == id or hits[0][1] > 1 - 1e-4) for id, hits in zip(sample, found, strict=True))

    def rebuild(self, progress: Progress = lambda done, total: None) -> None:
        """Make a new generation from the catalogue beside the old one, put it in force, drop the old."""
        generation = self._generation() + 1
        folder = self._folder(generation)
        shutil.rmtree(folder, ignore_errors=True)
        dense, lexical = DenseIndex(folder / "dense"), LexicalIndex(folder / "lexical")
        ids = self._catalog.chunk_ids()
        for first in range(0, len(ids), _BATCH):
            part = ids[first : first + _BATCH]
            dense.update(part, self._vectors(part), [])
            lexical.update(self._catalog.chunks(part), [])
            progress(min(first + _BATCH, len(ids)), len(ids))
        before, self._dense, self._lexical = self._dense, dense, lexical
        if before is not None:
            before.close()
        self._exact.forget()
        self.rebuilt = True
        self._catalog.set_settings({"generation": str(generation), "behind": ""})
        for old in self._root.glob("gen-*"):
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)

    def _vectors(self, ids: Sequence[str]) -> Vectors:
        stored = self._catalog.vectors(ids)
        return np.stack([stored[id] for id in ids]) if ids else np.empty((0, self._embedder.dim), np.float32)

    def update(self, ids: Sequence[str], gone: Sequence[str]) -> None:
        """Bring both indexes in step with the catalogue: `ids` are new, `gone` are no longer in it.

        When an index fails here its state is unknown, so both are made again.
        """
        assert self._dense is not None
        try:
            chunks, vectors = self._catalog.chunks(ids), self._vectors(ids)
            self._dense.update(ids, vectors, gone)
            self._lexical.update(chunks, gone)
            self._exact.update(chunks, vectors, gone)
        except Exception:
            self.rebuild()
        else:
            self._catalog.set_settings({"behind": ""})

    def dense(self, vector: Vectors, limit: int, documents: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """Return (chunk id, cosine) of the chunks nearest to `vector` `(dim,)`, best first.

        With `documents`, only chunks of these, searched exactly: Chroma's own filter takes up to half a
        second and finds 75 % of the nearest (100,000 chunks, half of them allowed).
        """
        if documents is not None:
            return self._exact.search(vector, limit, documents)
        assert self._dense is not None
        return self._dense.search(vector[None, :], limit)[0]

    def lexical(self, query: str, limit: int, documents: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """Return (chunk id, BM25 score) of the chunks that share words with `query`, best first; only of `documents` if given."""
        return self._lexical.search(query, limit, documents)

    def idf(self, wanted: Sequence[str]) -> NDArray[np.float32]:
        """Return the inverse document frequency of each term (`LexicalIndex.idf`)."""
        return self._lexical.idf(wanted)

    def lacking(self, wanted: Sequence[str], documents: Sequence[str] | None = None) -> list[str]:
        """Return those of the terms `wanted` that no chunk has (`LexicalIndex.lacking`)."""
        return self._lexical.lacking(wanted, documents)

    def close(self) -> None:
        """Let go of the files."""
        if self._dense is not None:
            self._dense.close()
