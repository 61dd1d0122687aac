"""The dense index: nearest vectors by cosine, in Chroma."""

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from assistant.embedding import Vectors

_BATCH = 250  # Chroma takes at most 5461 at once
# Of the 100 nearest among 100,000 chunks, 98 % are found, in 3.3 ms; with Chroma's 100 it is 91 %, in 1.5 ms.
_EF_SEARCH = 300
_SEAL = "seal.json"
_ASKED = 1000  # ids asked for at once

Seal = dict[str, list[int]]  # size, time of change in nanoseconds and CRC-32 of each file of the graph, by its name


def _seal(path: Path, known: Seal) -> Seal:
    """Return size, time of change and CRC-32 of each file of the graph; those that seem to be as `known` aren't read again."""
    found: Seal = {}
    # Without its list of ids a graph is one that Chroma has yet to write: it is not read, and changes at every start.
    written = [graph.parent for graph in path.glob("*/index_metadata.*")]
    for file in sorted(file for folder in written for file in folder.iterdir()):
        status = file.stat()
        state, name = [status.st_size, status.st_mtime_ns], file.relative_to(path).as_posix()
        found[name] = known[name] if known.get(name, [])[:2] == state else [*state, _checksum(file)]
    return found


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def _check_seal(path: Path) -> Seal:
    """Return the seal of the files of the graph; raises `OSError` when they are not what was sealed."""
    now = _seal(path, {})
    if not now and not (path / _SEAL).exists():
        return {}  # new, or too small for Chroma to write files of the graph
    try:
        sealed: Seal = json.loads((path / _SEAL).read_text(encoding="ascii"))
        same = _without_times(sealed) == _without_times(now)
    except (OSError, ValueError, TypeError, AttributeError):
        same = False
    if not same:
        raise OSError(f"{path} is not as it was written")
    return now


def _without_times(seal: Seal) -> dict[str, tuple[int, int]]:
    return {name: (size, checksum) for name, (size, _, checksum) in seal.items()}


def stray_folders(path: Path) -> list[Path]:
    """Return the folders in the Chroma folder `path` that no part of its collection uses, as an interrupted deletion leaves them."""
    import sqlite3

    folders = [entry for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []
    if not folders:
        return []
    try:
        db = sqlite3.connect(f"{(path / 'chroma.sqlite3').as_uri()}?mode=ro", uri=True)
        try:
            used = {str(row[0]) for row in db.execute("SELECT id FROM segments")}
        finally:
            db.close()
    except sqlite3.Error:
        return []  # damaged: the check of the index says so
    return [folder for folder in folders if folder.name not in used]


class DenseIndex:
    """A Chroma collection in the folder `path`, made when it isn't there; with `make=False` that is an error.

    Chroma never embeds: it is given vectors, and no embedding function that it could load.
    """

    def __init__(self, path: Path, make: bool = True) -> None:
        import chromadb
        from chromadb.config import Settings

        if not make and not (path / "chroma.sqlite3").is_file():
            raise FileNotFoundError(path / "chroma.sqlite3")
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._sealed = _check_seal(path)
        # Chroma's settings would otherwise take values from a `.env` file in the current folder.
        settings = Settings(_env_file=None, anonymized_telemetry=False, allow_reset=False)
        self._client = chromadb.PersistentClient(path=str(path), settings=settings)
        try:
            self._collection = self._client.get_or_create_collection(
                "chunks", embedding_function=None, configuration={"hnsw": {"space": "cosine", "ef_search": _EF_SEARCH}}
            )
            self._count = int(self._collection.count())
        except BaseException:
            self._client.close()
            raise

    def close(self) -> None:
        """Let go of the folder's files."""
        self._client.close()

    def seal(self) -> None:
        """Note what the files of the graph hold now; they are compared with it before Chroma opens them again.

        Chroma reads these files unchecked: one that is damaged can end the process. Call it after updates that are to last.
        """
        now = _seal(self._path, self._sealed)
        if now != self._sealed or not (self._path / _SEAL).exists():
            part = self._path / f"{_SEAL}.part"
            with part.open("w", encoding="ascii") as file:
                json.dump(now, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self._path / _SEAL)
            self._sealed = now

    def update(self, ids: Sequence[str], vectors: "Vectors", gone: Sequence[str]) -> None:
        """Add or replace vectors `(len(ids), dim)`, then remove those whose ids are `gone`."""
        for first in range(0, len(ids), _BATCH):
            batch = slice(first, first + _BATCH)
            self._collection.upsert(ids=list(ids[batch]), embeddings=vectors[batch])
        for first in range(0, len(gone), _BATCH):
            self._collection.delete(ids=list(gone[first : first + _BATCH]))
        self._count = self.count()

    def count(self) -> int:
        """Return the number of vectors that Chroma believes it has; `Index` checks for itself."""
        return int(self._collection.count())

    def missing(self, ids: Sequence[str]) -> int:
        """Return how many of `ids` Chroma does not know; that it knows one doesn't tell that its vector is there."""
        lacking = 0
        for first in range(0, len(ids), _ASKED):
            part = list(ids[first : first + _ASKED])
            lacking += len(part) - len(self._collection.get(ids=part, include=[])["ids"])
        return lacking

    def search(self, vectors: "Vectors", limit: int) -> list[list[tuple[str, float]]]:
        """Return for each row of `vectors` up to `limit` (chunk id, cosine), best first."""
        limit = min(limit, self._count)  # counting takes Chroma longer than searching
        if limit == 0:
            return [[] for _ in vectors]
        found = self._collection.query(query_embeddings=np.asarray(vectors), n_results=limit, include=["distances"])
        distances = found["distances"] or []
        return [
            [(id, 1.0 - float(distance)) for id, distance in zip(row_ids, row, strict=True)]
            for row_ids, row in zip(found["ids"], distances, strict=True)
        ]
