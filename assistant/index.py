"""The dense and the lexical index, derived from the catalogue and made again when a check fails."""

import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.audit import canaries, counts_agree, faults, found_by_words, near_themselves
from assistant.catalog import Catalog
from assistant.chunking import Chunk
from assistant.dense import DenseIndex
from assistant.documents import clean_line
from assistant.embedding import Embedder, Vectors
from assistant.errors import StorageError, UserError
from assistant.exact import ExactIndex
from assistant.gate import Gate
from assistant.lexical import LexicalIndex

_NEW_CANARIES = 500  # of the documents of one sync
_BATCH = 1000
_SMALL = 5000  # chunks whose words are written anew in one or two seconds
_CHURN = 1000  # chunks removed or replaced before the indexes are made again
_SOON = 5000  # chunks of which both indexes are made in a few seconds, so that opening waits for it

Progress = Callable[[int, int], None]


class Index:
    """Both indexes of one generation, in `data/index/gen-N`; the catalogue says which N is in force.

    Searches in other threads go on while a new generation is made. While there is none, `dense` looks at every vector and
    `lexical` finds nothing.
    """

    def __init__(self, data: Path, catalog: Catalog, embedder: Embedder) -> None:
        """Open the generation in force. When there is none or it fails its check, a small one is made at once.

        A large one is left to the caller: `incomplete` says so, and `rebuild` makes it.
        """
        self._root = data / "index"
        self._catalog = catalog
        self._dim = embedder.dim
        self._dense: DenseIndex | None = None
        self._lexical: LexicalIndex | None = None
        self._exact = ExactIndex(catalog, embedder.dim)
        self.gate = Gate()
        self.rebuilt = False
        if self._open():
            _drop_generations(self._root, but=self._generation())  # what was left when a rebuild was interrupted
        else:
            self._let_go()
            if catalog.count() <= _SOON:
                self.rebuild()

    @property
    def incomplete(self) -> bool:
        """Whether an index is missing, so that searches take longer and find less."""
        return self._dense is None or self._lexical is None

    def _generation(self) -> int:
        return int(self._catalog.setting("generation") or 0)

    def _open(self) -> bool:
        folder = generation_folder(self._root, self._generation())
        if not folder.is_dir() or self._catalog.count_behind() > _SOON:  # to make it anew is faster then
            return False
        try:
            self._dense = DenseIndex(folder / "dense", make=False)
            self._lexical = LexicalIndex(folder / "lexical", make=False)
            while rows := self._catalog.behind(_BATCH):
                self._apply(rows)
            return self.check()
        except Exception:  # whatever a damaged index raises, the answer is the same: make it again
            return False

    def check(self) -> bool:
        """Whether both indexes hold what the catalogue holds: counts, and random chunks that must find themselves."""
        if self._dense is None or self._lexical is None or not counts_agree(self._dense, self._lexical, self._catalog):
            return False
        return near_themselves(self._dense, self._catalog, canaries(self._catalog))

    def faults(self) -> list[str]:
        """Return what is wrong with the indexes, a line each; unlike `check` it asks for every chunk."""
        if self._dense is None or self._lexical is None:
            return ["an index is missing"]
        return list(faults(self._dense, self._lexical, self._catalog, self._dim))

    def finds(self, chunks: Sequence[Chunk]) -> bool:
        """Whether each of `chunks` is found by its vector, and by the words of one of its sentences."""
        if self._dense is None or self._lexical is None:
            return False
        chunks = random.sample(chunks, min(_NEW_CANARIES, len(chunks)))
        lexical = self._lexical
        return near_themselves(self._dense, self._catalog, [chunk.id for chunk in chunks]) and all(
            found_by_words(lexical, self._catalog, chunk) for chunk in chunks
        )

    def rebuild(self, progress: Progress = lambda done, total: None, stop: threading.Event | None = None) -> bool:
        """Make a new generation from the catalogue beside the old one, put it in force, drop the old.

        Nobody may write to the catalogue meanwhile. When `stop` is set it is given up, and False returned. When it can't be made
        the old one stays; raises `StorageError` or `OSError`.
        """
        generation = 1 + max([self._generation(), *_generations(self._root)])
        folder = generation_folder(self._root, generation)
        dense: DenseIndex | None = None
        try:
            dense, lexical = DenseIndex(folder / "dense"), LexicalIndex(folder / "lexical")
            whole = self._fill(dense, lexical, progress, stop)
            if whole:
                dense.seal()
                make_durable(folder)
                self._catalog.set_generation(generation)
        except BaseException as error:
            _discard(folder, dense)
            if isinstance(error, UserError | OSError) or not isinstance(error, Exception):
                raise
            raise StorageError(
                f"The index can't be made ({clean_line(repr(error))}): make room, or run 'assistant doctor --repair'."
            ) from None
        if not whole:
            _discard(folder, dense)
            return False
        with self.gate.exclusive():
            before, self._dense, self._lexical = self._dense, dense, lexical
            self._exact.forget()
        if before is not None:
            before.close()
        self.rebuilt = True
        _drop_generations(self._root, but=generation)
        return True

    def _fill(self, dense: DenseIndex, lexical: LexicalIndex, progress: Progress, stop: threading.Event | None) -> bool:
        ids = self._catalog.chunk_ids()
        for first in range(0, len(ids), _BATCH):
            if stop is not None and stop.is_set():
                return False
            part = ids[first : first + _BATCH]
            dense.update(part, self._vectors(part), [])
            lexical.update(self._catalog.chunks(part), [])
            progress(min(first + _BATCH, len(ids)), len(ids))
        return True

    @contextmanager
    def replacing(self, dim: int) -> Iterator[None]:
        """Keep searches waiting while other vectors, of `dim` numbers, take the place of all; the dense index is gone afterwards."""
        with self.gate.exclusive():
            yield
            dense, self._dense = self._dense, None
            if dense is not None:
                dense.close()
            self._dim = dim
            self._exact = ExactIndex(self._catalog, dim)

    def _vectors(self, ids: Sequence[str]) -> Vectors:
        stored = self._catalog.vectors(ids)
        return np.stack([stored[id] for id in ids]) if ids else np.empty((0, self._dim), np.float32)

    def catch_up(self) -> None:
        """Bring both indexes in step with the catalogue: chunks that were put, moved or removed since.

        When an index fails here its state is unknown, so both are made again; so they are when a fifth of what they hold was
        replaced, since Chroma finds less and grows with every vector that was.
        """
        if self.incomplete:
            self.rebuild()
            return
        try:
            while rows := self._catalog.behind(_BATCH):
                self._apply(rows)
        except StorageError:
            raise  # the catalogue's, not the index's
        except Exception:
            self.rebuild()
        if int(self._catalog.setting("churn") or 0) > max(_CHURN, self._catalog.count() // 5):
            self.rebuild()

    def erase_words(self) -> None:
        """Write a small lexical index anew: Tantivy keeps the words of removed chunks, though not their text, until then."""
        if self._lexical is None or self._catalog.count() > _SMALL:
            return  # it is made anew when a fifth was replaced
        try:
            self._lexical.rewrite(self._catalog.chunks(self._catalog.chunk_ids()))
        except Exception:
            self.rebuild()

    def _apply(self, rows: Sequence[tuple[str, bool]]) -> None:
        assert self._dense is not None and self._lexical is not None
        ids = [id for id, _ in rows]
        chunks = self._catalog.chunks(ids)
        there = [chunk.id for chunk in chunks]
        gone = sorted({*ids} - {*there})
        vectors = self._vectors(there)
        is_new = dict(rows)
        fresh = [place for place, id in enumerate(there) if is_new[id]]
        self._dense.update([there[place] for place in fresh], vectors[fresh], gone)
        self._lexical.update(chunks, gone)
        self._dense.seal()
        self._exact.update(chunks, vectors, gone)
        self._catalog.caught_up(ids, churn=len(gone))

    def dense(self, vector: Vectors, limit: int, documents: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """Return (chunk id, cosine) of the chunks nearest to `vector` `(dim,)`, best first.

        With `documents`, only chunks of these, searched exactly: Chroma's own filter takes up to half a
        second and finds 75 % of the nearest (100,000 chunks, half of them allowed).
        """
        with self.gate.shared():
            if documents is not None or self._dense is None:
                return self._exact.search(vector, limit, documents)
            return self._dense.search(vector[None, :], limit)[0]

    def lexical(self, query: str, limit: int, documents: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """Return (chunk id, BM25 score) of the chunks that share words with `query`, best first; only of `documents` if given."""
        with self.gate.shared():
            return self._lexical.search(query, limit, documents) if self._lexical else []

    def idf(self, wanted: Sequence[str]) -> NDArray[np.float32]:
        """Return the inverse document frequency of each term (`LexicalIndex.idf`)."""
        with self.gate.shared():
            return self._lexical.idf(wanted) if self._lexical else np.ones(len(wanted), np.float32)

    def lacking(self, wanted: Sequence[str], documents: Sequence[str] | None = None) -> list[str]:
        """Return those of the terms `wanted` that no chunk has (`LexicalIndex.lacking`); none while that isn't known."""
        with self.gate.shared():
            return self._lexical.lacking(wanted, documents) if self._lexical else []

    def close(self) -> None:
        """Let go of the files."""
        with self.gate.exclusive():
            self._let_go()

    def _let_go(self) -> None:
        dense, self._dense, self._lexical = self._dense, None, None
        if dense is not None:
            dense.close()


def generation_folder(root: Path, generation: int) -> Path:
    """Return the folder of a generation of the indexes below `root`, `data/index`."""
    return root / f"gen-{generation}"


def _discard(folder: Path, dense: DenseIndex | None) -> None:
    if dense is not None:
        dense.close()
    shutil.rmtree(folder, ignore_errors=True)


def _generations(root: Path) -> list[int]:
    names = [path.name.removeprefix("gen-") for path in root.glob("gen-*")]
    return [int(name) for name in names if name.isdecimal()]


def _drop_generations(root: Path, but: int) -> None:
    """Delete the folders of all generations but one."""
    for other in root.glob("gen-*"):
        if other != generation_folder(root, but):
            shutil.rmtree(other, ignore_errors=True)


def make_durable(folder: Path) -> None:
    """Have the system write all files below `folder`, the folders, and its own name, to the disk now."""
    for place, _, names in os.walk(folder):
        for path in [*(Path(place, name) for name in names), Path(place)]:
            make_durable_file(path)
    make_durable_file(folder.parent)


def make_durable_file(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
