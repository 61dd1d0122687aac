"""The catalogue: documents, chunks and vectors in one SQLite file. The only source of truth.

The dense and lexical indexes are derived from it (`index.py`) and can be thrown away at any time.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assistant.chunking import Chunk
from assistant.documents import Document, Heading
from assistant.embedding import Embedded, SentenceVectors, Vectors
from assistant.errors import UserError
from assistant.late_interaction import NO_TOKENS, TokenVectors
from assistant.lexical import ChunkTerms, chunk_terms

_SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE documents (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL, headings TEXT NOT NULL, pages TEXT NOT NULL,
    sha256 TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL, indexed_at TEXT NOT NULL
) STRICT;
CREATE TABLE failures (
    id TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE TABLE vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL, sentences BLOB NOT NULL, tokens BLOB NOT NULL) STRICT;
CREATE TABLE chunks (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    start INTEGER NOT NULL, end INTEGER NOT NULL, heading TEXT NOT NULL, page INTEGER, sentences TEXT NOT NULL,
    vector_key TEXT NOT NULL, terms BLOB NOT NULL
) STRICT;
CREATE INDEX chunks_by_document ON chunks (document_id);
CREATE INDEX chunks_by_vector ON chunks (vector_key);
"""
_FROM_1 = """
ALTER TABLE vectors ADD COLUMN tokens BLOB NOT NULL DEFAULT x'';
ALTER TABLE chunks ADD COLUMN terms BLOB NOT NULL DEFAULT x'';
DELETE FROM chunks;
DELETE FROM documents;
DELETE FROM vectors;
INSERT OR REPLACE INTO settings VALUES ('behind', '1');
"""
# Reading dates from the table itself would read through the texts. Catalogues made before it was there get it too.
_BY_DATE = "CREATE INDEX IF NOT EXISTS documents_by_date ON documents (modified, id)"


@dataclass(frozen=True)
class FileState:
    """What tells whether a file changed since it was indexed: bytes, and nanoseconds since 1970."""

    size: int
    modified: int


@dataclass(frozen=True)
class DocumentInfo:
    """One row of the list of documents. `indexed_at` is UTC in ISO 8601; `reason` is set when it failed."""

    id: str
    title: str
    pages: int
    characters: int
    chunks: int
    indexed_at: str
    reason: str = ""


class Candidate(NamedTuple):
    """What scores a chunk: its vector `(dim,)`, those of its sentences `(sentences, dim)`, and its terms (`lexical.chunk_terms`)."""

    vector: Vectors
    sentences: SentenceVectors
    terms: ChunkTerms


def vector_key(chunk: Chunk, fingerprint: str) -> str:
    """Return the key of a chunk's vectors: what was embedded, and by which model."""
    spans = json.dumps(chunk.sentences)
    return hashlib.sha256("\0".join([fingerprint, chunk.prefix, chunk.text, spans]).encode()).hexdigest()


class Catalog:
    """Reads and writes the catalogue at `path`. Safe to use from several threads; one process writes."""

    def __init__(self, path: Path) -> None:
        """Open the catalogue, making it when it isn't there.

        Raises `UserError` when the file is damaged, comes from a newer version, or can't be written.
        """
        self.path = path
        self.revision = 0  # counts the changes to documents, so that what is derived from them knows when it is old
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._db.execute("PRAGMA busy_timeout=5000")
            self._db.execute("PRAGMA secure_delete=ON")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            check = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"The catalogue {path} can't be opened ({error}): check the folder, or delete it to index again."
            ) from None
        if check != "ok":
            raise UserError(f"The catalogue {path} is damaged ({check}): delete the folder {path.parent} to index again.")
        if version > _SCHEMA_VERSION:
            raise UserError(f"The catalogue {path} was made by a newer version: update, or set ASSISTANT_DATA to another folder.")
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_SCHEMA_VERSION}; COMMIT;")
        if version == 1:  # what the new columns hold comes when the documents are read again
            self._db.executescript(f"BEGIN; {_FROM_1} PRAGMA user_version={_SCHEMA_VERSION}; COMMIT;")
        self._add_index()

    def _add_index(self) -> None:
        with suppress(sqlite3.OperationalError):  # another process is writing, or the disk is full: it only costs speed
            self._db.execute(_BY_DATE)

    def close(self) -> None:
        """Close the file; the catalogue can't be used afterwards."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._lock:
            return self._db.execute(query, tuple(parameters)).fetchall()

    def setting(self, name: str) -> str:
        """Return a stored value, or an empty string."""
        rows = self._rows("SELECT value FROM settings WHERE name = ?", [name])
        return str(rows[0][0]) if rows else ""

    def set_settings(self, values: dict[str, str]) -> None:
        """Store values, all or none."""
        with self._writing() as db:
            db.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", values.items())

    # Documents

    def file_states(self) -> dict[str, FileState]:
        """Return the state at which each document, readable or failed, was last read."""
        rows = self._rows("SELECT id, size, modified FROM documents UNION ALL SELECT id, size, modified FROM failures")
        return {str(id): FileState(int(str(size)), int(str(modified))) for id, size, modified in rows}

    def stored_keys(self, keys: Iterable[str]) -> set[str]:
        """Return those of `keys` whose vectors are stored."""
        wanted = list(keys)
        found: set[str] = set()
        for first in range(0, len(wanted), 500):
            part = wanted[first : first + 500]
            marks = ",".join("?" * len(part))
            found.update(str(row[0]) for row in self._rows(f"SELECT key FROM vectors WHERE key IN ({marks})", part))
        return found

    def put_vectors(self, vectors: dict[str, Embedded]) -> None:
        """Store vectors by key, ahead of the chunks that use them: embedding that was done is kept."""
        with self._writing() as db:
            rows = [
                (key, item.vector.astype("<f4").tobytes(), item.sentences.tobytes(), item.tokens.tobytes())
                for key, item in vectors.items()
            ]
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)

    def put_document(self, document: Document, state: FileState, chunks: Sequence[Chunk], keys: Sequence[str]) -> list[str]:
        """Replace a document and its chunks in one transaction, and mark the indexes as behind.

        The vectors must be stored already. Returns the ids of chunks that are gone.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        headings = json.dumps([[h.start, h.level, h.text] for h in document.headings])
        values = (document.id, document.title, document.text, headings, json.dumps(document.pages), document.sha256)
        with self._writing() as db:
            before = {str(row[0]) for row in db.execute("SELECT id FROM chunks WHERE document_id = ?", [document.id])}
            db.execute("DELETE FROM documents WHERE id = ?", [document.id])
            db.execute("DELETE FROM failures WHERE id = ?", [document.id])
            db.execute("INSERT INTO documents VALUES (?,?,?,?,?,?,?,?,?)", (*values, state.size, state.modified, now))
            db.executemany(
                "INSERT INTO chunks (id, document_id, start, end, heading, page, sentences, vector_key, terms) VALUES (?,?,?,?,?,?,?,?,?)",
                [
                    (c.id, c.document_id, c.start, c.end, c.heading, c.page, json.dumps(c.sentences), key, chunk_terms(c).tobytes())
                    for c, key in zip(chunks, keys, strict=True)
                ],
            )
            db.execute("INSERT OR REPLACE INTO settings VALUES ('behind', '1')")
            self.revision += 1
        return sorted(before - {chunk.id for chunk in chunks})

    def touch(self, id: str, state: FileState) -> None:
        """Note that a file's time changed while its content did not."""
        with self._writing() as db:
            db.execute("UPDATE documents SET size = ?, modified = ? WHERE id = ?", (state.size, state.modified, id))
            self.revision += 1

    def put_failure(self, id: str, state: FileState, reason: str) -> list[str]:
        """Note why a file can't be indexed and drop what was indexed of it; returns the ids of its chunks."""
        gone = self.remove_document(id)
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?)", (id, state.size, state.modified, reason))
        return gone

    def remove_document(self, id: str) -> list[str]:
        """Remove a document or a failure; returns the ids of its chunks."""
        with self._writing() as db:
            gone = [str(row[0]) for row in db.execute("SELECT id FROM chunks WHERE document_id = ?", [id])]
            db.execute("DELETE FROM documents WHERE id = ?", [id])
            db.execute("DELETE FROM failures WHERE id = ?", [id])
            if gone:
                db.execute("INSERT OR REPLACE INTO settings VALUES ('behind', '1')")
            self.revision += 1
        return gone

    def drop_unused_vectors(self) -> None:
        """Delete vectors that no chunk uses."""
        with self._writing() as db:
            db.execute("DELETE FROM vectors WHERE key NOT IN (SELECT vector_key FROM chunks)")

    def documents(self) -> list[DocumentInfo]:
        """Return all documents by id, then the failed files by id."""
        rows = self._rows(
            "SELECT d.id, d.title, json_array_length(d.pages), length(d.text), count(c.row), d.indexed_at, ''"
            " FROM documents d LEFT JOIN chunks c ON c.document_id = d.id GROUP BY d.id"
            " UNION ALL SELECT id, '', 0, 0, 0, '', reason FROM failures ORDER BY 7, 1"
        )
        return [
            DocumentInfo(str(id), str(title), int(str(pages)), int(str(size)), int(str(chunks)), str(at), str(reason))
            for id, title, pages, size, chunks, at, reason in rows
        ]

    def document(self, id: str) -> Document | None:
        """Return a document with its text, or None."""
        rows = self._rows("SELECT title, text, headings, pages, sha256 FROM documents WHERE id = ?", [id])
        if not rows:
            return None
        title, text, headings, pages, sha256 = (str(value) for value in rows[0])
        return Document(id, title, text, tuple(Heading(*h) for h in json.loads(headings)), tuple(json.loads(pages)), sha256)

    def titles(self) -> list[tuple[str, str]]:
        """Return (id, title) of all documents."""
        return [(str(id), str(title)) for id, title in self._rows("SELECT id, title FROM documents")]

    def document_ids(
        self,
        ids: Sequence[str] = (),
        folders: Sequence[str] = (),
        suffixes: Sequence[str] = (),
        after: int | None = None,
        before: int | None = None,
    ) -> list[str]:
        """Return the ids of the documents that match everything that is given, in no order.

        A document lies in the right place when it is one of `ids` or lies below one of `folders` (`a/b`;
        an empty name is the corpus folder). `suffixes` are in lower case with their dot; `after` (included) and
        `before` (excluded) are nanoseconds since 1970.
        """
        clauses, values = ["1"], list[object]()
        if ids or folders:
            places = ["id IN (SELECT value FROM json_each(?))"]
            values.append(json.dumps(list(ids)))
            for folder in folders:
                start = f"{folder}/" if folder else ""
                places.append("substr(id, 1, ?) = ?")
                values += [len(start), start]
            clauses.append(f"({' OR '.join(places)})")
        if suffixes:
            clauses.append(f"({' OR '.join(['lower(substr(id, ?)) = ?'] * len(suffixes))})")
            values += [value for suffix in suffixes for value in (-len(suffix), suffix)]
        for bound, sign in ((after, ">="), (before, "<")):
            if bound is not None:
                clauses.append(f"modified {sign} ?")
                values.append(bound)
        return [str(row[0]) for row in self._rows(f"SELECT id FROM documents WHERE {' AND '.join(clauses)}", values)]

    def text(self, id: str, start: int, end: int) -> str:
        """Return characters `start` to `end` of a document's text; nothing when there is no such document."""
        rows = self._rows("SELECT substr(text, ? + 1, ?) FROM documents WHERE id = ?", [start, end - start, id])
        return str(rows[0][0]) if rows else ""

    # Chunks

    def count(self) -> int:
        """Return the number of chunks."""
        return int(str(self._rows("SELECT count(*) FROM chunks")[0][0]))

    def chunk_ids(self) -> list[str]:
        """Return the ids of all chunks, in the order they were written."""
        return [str(row[0]) for row in self._rows("SELECT id FROM chunks ORDER BY row")]

    def chunk_ids_of(self, documents: Iterable[str], limit: int = -1) -> list[str]:
        """Return the ids of the chunks of `documents`, of the first `limit` of them when it isn't negative."""
        query = "SELECT id FROM chunks WHERE document_id IN (SELECT value FROM json_each(?)) LIMIT ?"
        return [str(row[0]) for row in self._rows(query, [json.dumps(list(documents)), limit])]

    def chunks(self, ids: Sequence[str]) -> list[Chunk]:
        """Return the chunks of `ids` in that order; ids that are not in the catalogue are left out."""
        found: dict[str, Chunk] = {}
        for first in range(0, len(ids), 500):
            part = list(ids[first : first + 500])
            marks = ",".join("?" * len(part))
            for row in self._rows(
                # SQLite counts characters of TEXT as Python does: Unicode code points.
                "SELECT c.id, c.document_id, d.title, c.start, c.end, substr(d.text, c.start + 1, c.end - c.start), c.heading, c.page,"
                f" c.sentences FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.id IN ({marks})",
                part,
            ):
                id, document_id, title, start, end, text, heading, page, sentences = row
                found[str(id)] = Chunk(
                    str(id),
                    str(document_id),
                    str(title),
                    int(str(start)),
                    int(str(end)),
                    str(text),
                    str(heading),
                    None if page is None else int(str(page)),
                    tuple((a, b) for a, b in json.loads(str(sentences))),
                )
        return [found[id] for id in ids if id in found]

    def _by_chunk(self, columns: str, ids: Sequence[str]) -> Iterator[tuple[object, ...]]:
        """Yield rows of a chunk's id and `columns` of its chunk `c` and vectors `v`, in no order."""
        for first in range(0, len(ids), 500):
            part = list(ids[first : first + 500])
            marks = ",".join("?" * len(part))
            query = f"SELECT c.id, {columns} FROM chunks c JOIN vectors v ON v.key = c.vector_key WHERE c.id IN ({marks})"
            yield from self._rows(query, part)

    def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """Return the vectors `(dim,)` of the chunks of `ids` that are in the catalogue."""
        return {str(id): np.frombuffer(_bytes(vector), "<f4") for id, vector in self._by_chunk("v.vector", ids)}

    def candidates(self, ids: Sequence[str]) -> dict[str, Candidate]:
        """Return what scores the chunks of `ids` that are in the catalogue."""
        found: dict[str, Candidate] = {}
        for id, vector, sentences, terms in self._by_chunk("v.vector, v.sentences, c.terms", ids):
            row = np.frombuffer(_bytes(vector), "<f4")
            matrix = np.frombuffer(_bytes(sentences), np.int8).reshape(-1, len(row))
            found[str(id)] = Candidate(row, matrix, np.frombuffer(_bytes(terms), "<u4"))
        return found

    def tokens(self, ids: Sequence[str]) -> dict[str, TokenVectors]:
        """Return the token vectors of the chunks of `ids` that are in the catalogue."""
        rows = self._by_chunk("v.tokens", ids)
        return {str(id): np.frombuffer(_bytes(tokens), np.uint8).reshape(-1, NO_TOKENS.shape[1]) for id, tokens in rows}

    def all_vectors(self, dim: int) -> tuple[list[str], list[str], Vectors]:
        """Return the ids of all chunks, of their documents, and their vectors `(chunks, dim)`."""
        with self._lock:
            rows = self._rows("SELECT c.id, c.document_id, c.vector_key FROM chunks c")
            places: dict[str, list[int]] = {}
            for place, (_, _, key) in enumerate(rows):
                places.setdefault(str(key), []).append(place)
            vectors = np.zeros((len(rows), dim), np.float32)
            # In the order of the file: following the key of each chunk would take four times as long.
            for key, vector in self._db.execute("SELECT key, vector FROM vectors"):
                if key in places:  # others may be of another model
                    vectors[places[key]] = np.frombuffer(vector, "<f4")
        return [str(row[0]) for row in rows], [str(row[1]) for row in rows], vectors


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
