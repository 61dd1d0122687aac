"""The dense and the lexical index, derived from the catalogue and made again when a check fails."""

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.catalog import Catalog
from assistant.chunking import Chunk
from assistant.dense import DenseIndex
from assistant.documents import clean_line
from assistant.embedding import Embedder, Vectors
from assistant.errors import StorageError
from assistant.exact import ExactIndex
from assistant.lexical import LexicalIndex, query_terms

_CANARIES = 256  # finds 2 % of vectors missing with a probability of 99 %
_NEW_CANARIES = 500  # of the documents of one sync
_BATCH = 1000
_SMALL = 5000  # chunks whose words are written anew in one or two seconds
_CHURN = 1000  # chunks removed or replaced before the indexes are made again

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
        if self._open():
            self._drop_others()  # what was left when a rebuild was interrupted
        else:
            self.rebuild(progress)

    def _folder(self, generation: int) -> Path:
        return self._root / f"gen-{generation}"

    def _generation(self) -> int:
        return int(self._catalog.setting("generation") or 0)

    def _open(self) -> bool:
        folder = self._folder(self._generation())
        if not folder.is_dir():
            return False
        try:
            self._dense, self._lexical = DenseIndex(folder / "dense"), LexicalIndex(folder / "lexical")
            while rows := self._catalog.behind(_BATCH):
                self._apply(rows)
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
        return self._near_themselves(random.sample(ids, min(_CANARIES, len(ids))))

    def finds(self, chunks: Sequence[Chunk]) -> bool:
        """Whether each of `chunks` is found by its vector, and by the words of one of its sentences."""
        chunks = random.sample(chunks, min(_NEW_CANARIES, len(chunks)))
        return self._near_themselves([chunk.id for chunk in chunks]) and all(self._found_by_words(chunk) for chunk in chunks)

    def _found_by_words(self, chunk: Chunk) -> bool:
        sentence = max((chunk.text[start:end] for start, end in chunk.sentences), key=len, default="")
        if not query_terms(sentence):
            return True  # numbers of a table, or a language of stop words: nothing to look for
        found = self._catalog.chunks([id for id, _ in self._lexical.search(sentence, 10, [chunk.document_id])])
        # A chunk with the same sentence may come first.
        return any(other.id == chunk.id or sentence in other.text for other in found)

    def _near_themselves(self, ids: Sequence[str]) -> bool:
        """Whether the vectors of chunks are found by themselves."""
        assert self._dense is not None
        stored = self._catalog.vectors(ids)
        if len(stored) != len(ids) or not ids:
            return not ids
        found = self._dense.search(np.stack([stored[id] for id in ids]), 1)
        # A chunk with the very same text in another document may come first.
        return all(hits and (hits[0][0] == id or hits[0][1] > 1 - 1e-4) for id, hits in zip(ids, found, strict=True))

    def rebuild(self, progress: Progress = lambda done, total: None) -> None:
        """Make a new generation from the catalogue beside the old one, put it in force, drop the old.

        Raises `StorageError` when it can't be written; the old one then stays in force.
        """
        generation = self._generation() + 1
        folder = self._folder(generation)
        try:
            dense, lexical = self._made(folder, progress)
        except StorageError:
            raise
        except Exception as error:  # each library raises something of its own, on a full disk for one
            message = clean_line(str(error), 200)
            raise StorageError(
                f"The index {folder} can't be written ({message}): make room on its disk, and sync again."
            ) from error
        before, self._dense, self._lexical = self._dense, dense, lexical
        if before is not None:
            before.close()
        self._exact.forget()
        self.rebuilt = True
        self._catalog.set_generation(generation)
        self._drop_others()

    def _made(self, folder: Path, progress: Progress) -> tuple[DenseIndex, LexicalIndex]:
        """Make both indexes in `folder`; nothing of it is left when that fails."""
        shutil.rmtree(folder, ignore_errors=True)
        dense: DenseIndex | None = None
        try:
            dense, lexical = DenseIndex(folder / "dense"), LexicalIndex(folder / "lexical")
            ids = self._catalog.chunk_ids()
            for first in range(0, len(ids), _BATCH):
                part = ids[first : first + _BATCH]
                dense.update(part, self._vectors(part), [])
                lexical.update(self._catalog.chunks(part), [])
                progress(min(first + _BATCH, len(ids)), len(ids))
            return dense, lexical
        except BaseException:
            if dense is not None:
                dense.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _drop_others(self) -> None:
        """Delete all generations but the one in force."""
        for other in self._root.glob("gen-*"):
            if other != self._folder(self._generation()):
                shutil.rmtree(other, ignore_errors=True)

    def _vectors(self, ids: Sequence[str]) -> Vectors:
        stored = self._catalog.vectors(ids)
        return np.stack([stored[id] for id in ids]) if ids else np.empty((0, self._embedder.dim), np.float32)

    def catch_up(self) -> None:
        """Bring both indexes in step with the catalogue: chunks that were put, moved or removed since.

        When an index fails here its state is unknown, so both are made again; so they are when a fifth of what they hold was
        replaced, since Chroma finds less and grows with every vector that was.
        """
        assert self._dense is not None
        try:
            while rows := self._catalog.behind(_BATCH):
                self._apply(rows)
        except Exception:
            self.rebuild()
        if int(self._catalog.setting("churn") or 0) > max(_CHURN, self._catalog.count() // 5):
            self.rebuild()

    def erase_words(self) -> None:
        """Write a small lexical index anew: Tantivy keeps the words of removed chunks, though not their text, until then."""
        if self._catalog.count() > _SMALL:
            return  # it is made anew when a fifth was replaced
        try:
            self._lexical.rewrite(self._catalog.chunks(self._catalog.chunk_ids()))
        except Exception:
            self.rebuild()

    def _apply(self, rows: Sequence[tuple[str, bool]]) -> None:
        assert self._dense is not None
        ids = [id for id, _ in rows]
        chunks = self._catalog.chunks(ids)
        there = [chunk.id for chunk in chunks]
        gone = sorted({*ids} - {*there})
        vectors = self._vectors(there)
        fresh = [place for place, id in enumerate(there) if dict(rows)[id]]
        self._dense.update([there[place] for place in fresh], vectors[fresh], gone)
        self._lexical.update(chunks, gone)
        self._exact.update(chunks, vectors, gone)
        self._catalog.caught_up(ids, churn=len(gone))

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
