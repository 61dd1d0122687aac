"""Exact search: the nearest vectors among the chunks of some documents, which an approximate index can miss."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.catalog import Catalog
from assistant.chunking import Chunk
from assistant.embedding import Vectors

_FEW = 1000  # so many chunks are read from the catalogue in about 15 ms; beyond that all vectors are kept in memory


@dataclass(frozen=True)
class _Table:
    """All vectors `(chunks, dim)`, and by row the id of the chunk and a number for its document."""

    ids: list[str]
    documents: NDArray[np.int32]
    vectors: Vectors
    numbers: dict[str, int]

    def rows(self, documents: Sequence[str]) -> NDArray[np.intp]:
        allowed = np.zeros(len(self.numbers) + 1, bool)
        allowed[[self.numbers[id] for id in documents if id in self.numbers]] = True
        return np.flatnonzero(allowed[self.documents])


class ExactIndex:
    """The vectors of the catalogue, searched one by one.

    They are read when first needed, in about a second and 150 MB for 100,000 chunks, and kept in step by `update`.
    """

    def __init__(self, catalog: Catalog, dim: int) -> None:
        self._catalog = catalog
        self._dim = dim
        self._table: _Table | None = None
        self._changing = threading.Lock()

    def search(self, vector: Vectors, limit: int, documents: Sequence[str] | None) -> list[tuple[str, float]]:
        """Return up to `limit` (chunk id, cosine) of the chunks nearest to `vector` `(dim,)`, best first; of `documents` if given."""
        if documents is None:
            every = self._loaded()
            return _best(every.ids, np.arange(len(every.ids)), every.vectors @ vector, limit)
        table = self._table
        if table is None:
            few = self._catalog.chunk_ids_of(documents, _FEW + 1)
            if len(few) <= _FEW:
                stored = self._catalog.vectors(few)
                ids = list(stored)
                vectors = np.stack([stored[id] for id in ids]) if ids else np.empty((0, self._dim), np.float32)
                return _best(ids, np.arange(len(ids)), vectors @ vector, limit)
            table = self._loaded()
        rows = table.rows(documents)
        # Copying most rows would take longer than multiplying them all.
        cosines = (table.vectors @ vector)[rows] if len(rows) * 5 > len(table.ids) else table.vectors[rows] @ vector
        return _best(table.ids, rows, cosines, limit)

    def update(self, chunks: Sequence[Chunk], vectors: Vectors, gone: Sequence[str]) -> None:
        """Add or replace chunks, remove those whose ids are `gone`."""
        with self._changing:
            table = self._table
            if table is None:
                return
            changed = {*gone, *(chunk.id for chunk in chunks)}
            kept = np.array([row for row, id in enumerate(table.ids) if id not in changed], np.intp)
            numbers = dict(table.numbers)
            added = [numbers.setdefault(chunk.document_id, len(numbers)) for chunk in chunks]
            self._table = _Table(
                [table.ids[row] for row in kept] + [chunk.id for chunk in chunks],
                np.concatenate([table.documents[kept], np.array(added, np.int32)]),
                np.concatenate([table.vectors[kept], vectors]),
                numbers,
            )

    def forget(self) -> None:
        """Let go of the vectors; the next search that needs them reads them again."""
        with self._changing:
            self._table = None

    def _loaded(self) -> _Table:
        with self._changing:
            if self._table is None:
                ids, documents, vectors = self._catalog.all_vectors(self._dim)
                numbers = {id: number for number, id in enumerate(dict.fromkeys(documents))}
                self._table = _Table(ids, np.array([numbers[id] for id in documents], np.int32), vectors, numbers)
            return self._table


def _best(ids: Sequence[str], rows: NDArray[np.intp], cosines: Vectors, limit: int) -> list[tuple[str, float]]:
    if len(rows) > limit:
        top = np.argpartition(-cosines, limit - 1)[:limit]
        rows, cosines = rows[top], cosines[top]
    order = np.argsort(-cosines, kind="stable")
    return [(ids[rows[place]], float(cosines[place])) for place in order]
