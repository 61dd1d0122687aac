"""The catalogue: documents, chunks and vectors in one SQLite file. The only source of truth.

The dense and lexical indexes are derived from it (`index.py`) and can be thrown away at any time.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from assistant.chunking import Chunk
from assistant.documents import Document, Heading, title_of
from assistant.embedding import Embedded, SentenceVectors, Vectors
from assistant.errors import StorageError
from assistant.languages import usual_language
from assistant.late_interaction import NO_TOKENS, TokenVectors
from assistant.lexical import ChunkTerms, chunk_terms
from assistant.schema import connect, damage, damaged_line, is_large, open_catalogue, open_to_read
from assistant.vector_rows import VectorRow

# SQLite counts characters of TEXT as Python does: Unicode code points.
_CHUNKS = (
    "SELECT c.id, c.document_id, d.title, c.start, c.end, substr(d.text, c.start + 1, c.end - c.start), c.heading, c.page,"
    " c.sentences FROM chunks c JOIN documents d ON d.id = c.document_id WHERE {}"
)
# The names of documents by other files with the same content.
_COPIES = "files f JOIN documents d ON d.file = f.same_as WHERE f.same_as != '' AND f.reason = ''"
_COPY_NAME = "f.path || substr(d.id, length(d.file) + 1)"
_IMPERFECT = "SELECT path FROM files WHERE reason != '' OR warnings != '[]' UNION SELECT file FROM documents WHERE warnings != '[]'"
_MARK = "/"  # before a path on its way to another name; none under the corpus folder begins so


@dataclass(frozen=True)
class FileState:
    """What tells whether a file changed since it was read: bytes, and nanoseconds since 1970 of two kinds.

    `modified` is when the content changed, as programs may set it; `changed` (0: not known) is when anything about
    the file did, as only the system sets it.
    """

    size: int
    modified: int
    changed: int = 0


@dataclass(frozen=True)
class FileEntry:
    """One row of the files. `path` is under the corpus folder; `sha256` is empty when the file could not be opened.

    `same_as` is the path of the file with the same content that holds the documents. `reason` says why there are none.
    `warnings` are about what lies in the file beside its documents; `seconds` is what reading and embedding took.
    """

    path: str
    state: FileState
    sha256: str = ""
    same_as: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


class Cut(NamedTuple):
    """A document in chunks, and the key of each chunk's vectors."""

    document: Document
    chunks: Sequence[Chunk]
    keys: Sequence[str]


@dataclass(frozen=True)
class DocumentInfo:
    """One row of the list of documents: its receipt. `reason` is set when it failed.

    `indexed_at` is UTC in ISO 8601: when the file came into the index, also where it was read again or its content changed
    since; of what failed, when it was tried last.

    `file` is the file that it lies in (`id`, unless it is an attachment or a member). `copies` are the names of other files
    with the same content. `seconds` counts the whole file. `around` are warnings about the file of what lies inside of one.
    """

    id: str
    title: str
    pages: int
    characters: int
    chunks: int
    indexed_at: str
    reason: str = ""
    file: str = ""
    size: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    language: str = ""
    copies: tuple[str, ...] = ()
    around: tuple[str, ...] = ()


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
    """Reads and writes the catalogue at `path`. Safe to use from several threads; one process writes.

    `damage` is a line about damage found in a large one after it was opened. `hidden` is set while the vectors are of a model
    that isn't there: candidates then have vectors of so many zeros.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        """Open the catalogue, making it when it isn't there; with `read_only` the file must be there and is never changed.

        Raises `UserError` when the file is damaged, comes from another version that can't be read, or can't be written.
        """
        self.path = path
        self.revision = 0  # counts the changes to documents, so that what is derived from them knows when it is old
        self.damage = ""
        self.hidden = 0
        self._db = open_to_read(path) if read_only else open_catalogue(path)
        self._reader = self._db if read_only else connect(path)  # readers wait for no writer
        self._lock, self._reading = threading.RLock(), threading.RLock()
        self._checking: tuple[threading.Thread, sqlite3.Connection] | None = None
        if not read_only and is_large(path):
            checker = connect(path)
            thread = threading.Thread(target=self._check, args=[checker], name="check-catalogue", daemon=True)
            self._checking = thread, checker
            thread.start()

    def _check(self, db: sqlite3.Connection) -> None:
        if found := damage(db):
            self.damage = damaged_line(self.path, found)

    def close(self) -> None:
        """Close the file; the catalogue can't be used afterwards."""
        if self._checking is not None:
            thread, checker = self._checking
            while thread.is_alive():
                checker.interrupt()
                thread.join(0.05)
            checker.close()
            self._checking = None
        with self._lock, self._reading:
            self._reader.close()
            self._db.close()

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Write several things, all or none, from the module that owns them; the others wait."""
        return self._changing_documents()

    def query(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return rows for the module that owns what it asks for."""
        return self._rows(query, parameters)

    def stream(self, query: str, parameters: Sequence[object] = ()) -> Iterator[tuple[object, ...]]:
        """Yield the rows of one moment, without holding them all or keeping other readers waiting."""
        with closing(open_to_read(self.path)) as db:
            yield from db.execute(query, tuple(parameters))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give the database in a transaction, which is rolled back on any error; raises `StorageError` when it can't be written."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if type(error) in (sqlite3.OperationalError, sqlite3.DatabaseError):  # the others are mistakes of ours
                    raise StorageError(
                        f"The catalogue {self.path} can't be written ({error}): make room or mend it, and try again."
                    ) from None
                raise

    @contextmanager
    def _changing_documents(self) -> Iterator[sqlite3.Connection]:
        with self._writing() as db:
            yield db
        self.revision += 1

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # a full disk may have ended the transaction already
            self._db.execute("ROLLBACK")

    def _rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        try:
            with self._reading:
                return self._reader.execute(query, tuple(parameters)).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"The catalogue {self.path} can't be read ({error}): run 'assistant doctor'.") from error

    def setting(self, name: str) -> str:
        """Return a stored value, or an empty string."""
        rows = self._rows("SELECT value FROM settings WHERE name = ?", [name])
        return str(rows[0][0]) if rows else ""

    def set_settings(self, values: dict[str, str]) -> None:
        """Store values, all or none."""
        with self._writing() as db:
            db.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", values.items())

    # Files

    def files(self) -> dict[str, FileEntry]:
        """Return every file that was read or failed, by its path; without warnings and seconds."""
        rows = self._rows("SELECT path, size, modified, changed, sha256, same_as, reason FROM files")
        return {
            str(path): FileEntry(
                str(path), FileState(int(str(size)), int(str(modified)), int(str(changed))), str(sha256), str(same), str(reason)
            )
            for path, size, modified, changed, sha256, same, reason in rows
        }

    def file_states(self) -> dict[str, FileState]:
        """Return the state at which each file was last read."""
        return {path: entry.state for path, entry in self.files().items()}

    def put_files(self, files: Sequence[tuple[FileEntry, Sequence[Cut]]]) -> None:
        """Replace files with their documents and chunks, all in one transaction.

        The vectors must be stored already. Chunks that stay the same keep their place in the indexes.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._changing_documents() as db:
            for entry, documents in files:
                _put_file(db, entry, now)
                ids = [cut.document.id for cut in documents]
                db.execute(
                    "DELETE FROM documents WHERE file = ? AND id NOT IN (SELECT value FROM json_each(?))",
                    [entry.path, json.dumps(ids)],
                )
                for cut in documents:
                    _put_document(db, entry, cut)

    def put_document(self, document: Document, state: FileState, chunks: Sequence[Chunk], keys: Sequence[str]) -> None:
        """Replace a document that is a file of its own, as `put_files` does."""
        self.put_files([(FileEntry(document.id, state, document.sha256), [Cut(document, chunks, keys)])])

    def touch(self, states: Mapping[str, FileState]) -> None:
        """Note that the times of files changed while their content did not."""
        with self._changing_documents() as db:
            values = [(state.size, state.modified, state.changed, path) for path, state in states.items()]
            db.executemany("UPDATE files SET size = ?, modified = ?, changed = ? WHERE path = ?", values)
            db.executemany("UPDATE documents SET modified = ? WHERE file = ?", [(row[1], row[3]) for row in values])

    def imperfect(self) -> set[str]:
        """Return the files that failed, or of which not all was read, and their copies."""
        return {
            str(row[0]) for row in self._rows(f"SELECT path FROM files WHERE path IN ({_IMPERFECT}) OR same_as IN ({_IMPERFECT})")
        }

    def forget_states(self, paths: Iterable[str] | None = None) -> None:
        """Make all files, or those at `paths`, count as changed, so that the next sync reads them again.

        What is indexed of them stays until then.
        """
        with self._changing_documents() as db:
            where = "" if paths is None else " WHERE path IN (SELECT value FROM json_each(?))"
            db.execute(f"UPDATE files SET size = -1, sha256 = ''{where}", [] if paths is None else [json.dumps(list(paths))])

    def rearrange(self, moves: Mapping[str, FileEntry], removed: Iterable[str]) -> None:
        """Give the documents of files other names, and remove files with theirs, all in one transaction.

        `moves` has the new file by the old path, and may swap names; vectors and chunks stay. Whatever had a new name
        before is dropped, unless it moves too. A title made from the file's name follows it.
        """
        with self._changing_documents() as db:
            targets = [entry.path for entry in moves.values()]
            dropped = [*removed, *(path for path in targets if path not in moves)]
            db.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in dropped])
            # First to names that no file has, so that two can change places.
            db.executemany("UPDATE documents SET id = ? || id WHERE file = ?", [(_MARK, old) for old in moves])
            db.executemany("UPDATE files SET path = ? WHERE path = ?", [(_MARK + entry.path, old) for old, entry in moves.items()])
            for old, entry in moves.items():
                _rename(db, old, entry)
            for old, entry in moves.items():
                db.execute("UPDATE files SET same_as = ? WHERE same_as = ?", [_MARK + entry.path, old])
            db.execute("UPDATE files SET same_as = substr(same_as, 2) WHERE substr(same_as, 1, 1) = ?", [_MARK])

    def remove_file(self, path: str) -> None:
        """Remove a file with its documents, or the note that it failed."""
        with self._changing_documents() as db:
            db.execute("DELETE FROM files WHERE path = ?", [path])

    # Vectors

    def stored_keys(self, keys: Iterable[str]) -> set[str]:
        """Return those of `keys` whose vectors are stored."""
        rows = self._rows("SELECT key FROM vectors WHERE key IN (SELECT value FROM json_each(?))", [json.dumps(list(keys))])
        return {str(row[0]) for row in rows}

    def put_vectors(self, vectors: Mapping[str, Embedded]) -> None:
        """Store vectors by key, ahead of the chunks that use them: embedding that was done is kept."""
        self.put_vector_rows(
            [
                VectorRow(key, item.vector.astype("<f4").tobytes(), item.sentences.tobytes(), item.tokens.tobytes())
                for key, item in vectors.items()
            ]
        )

    def put_vector_rows(self, rows: Sequence[VectorRow]) -> None:
        """Store vectors, as `put_vectors` does."""
        with self._writing() as db:
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)
            db.executemany("INSERT OR IGNORE INTO unused VALUES (?)", [(row.key,) for row in rows])

    def has_unused_vectors(self) -> bool:
        """Whether there are vectors that no chunk uses: text was removed since they were last dropped."""
        return bool(self._rows("SELECT 1 FROM unused WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE vector_key = key) LIMIT 1"))

    def drop_unused_vectors(self) -> None:
        """Delete vectors that no chunk uses; what was removed is then gone from the database's files too."""
        if not self._rows("SELECT 1 FROM unused LIMIT 1"):
            return
        with self._writing() as db:
            db.execute(
                "DELETE FROM vectors WHERE key IN (SELECT key FROM unused)"
                " AND NOT EXISTS (SELECT 1 FROM chunks WHERE vector_key = vectors.key)"
                " AND NOT EXISTS (SELECT 1 FROM staged_chunks WHERE vector_key = vectors.key)"
            )
            db.execute("DELETE FROM unused")
        with self._lock, suppress(sqlite3.OperationalError):  # somebody is reading: the next time will do
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # What the indexes have not heard of

    def behind(self, limit: int) -> list[tuple[str, bool]]:
        """Return up to `limit` ids of chunks that were put, moved or removed, and whether the vector is another too."""
        rows = self._rows("SELECT chunk_id, dense FROM behind LIMIT ?", [limit])
        return [(str(id), bool(dense)) for id, dense in rows]

    def mark_behind(self, ids: Sequence[str]) -> None:
        """Have the indexes hear of chunks again."""
        with self._writing() as db:
            there = (
                "SELECT id, 1 FROM chunks WHERE id IN (SELECT value FROM json_each(?))"  # others may have been removed meanwhile
            )
            db.execute(f"INSERT OR REPLACE INTO behind {there}", [json.dumps(list(ids))])

    def count_behind(self) -> int:
        """Return how many chunks the indexes have not heard of."""
        return int(str(self._rows("SELECT count(*) FROM behind")[0][0]))

    def caught_up(self, ids: Sequence[str], churn: int) -> None:
        """Note that the indexes have heard of the chunks of `ids`, `churn` of which replaced or removed something."""
        with self._writing() as db:
            db.execute("DELETE FROM behind WHERE chunk_id IN (SELECT value FROM json_each(?))", [json.dumps(list(ids))])
            db.execute(
                "INSERT INTO settings VALUES ('churn', ?) ON CONFLICT(name) DO UPDATE SET value = value + excluded.value",
                [str(churn)],
            )

    def set_generation(self, generation: int) -> None:
        """Put a new generation of the indexes in force, which has heard of everything."""
        with self._writing() as db:
            values = {"generation": str(generation), "churn": "0"}
            db.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", values.items())
            db.execute("DELETE FROM behind")

    # Documents

    def documents(self) -> list[DocumentInfo]:
        """Return all documents by id, then the failed files by id, capitals among small letters. Those in another language than most say so."""
        copies: dict[str, list[str]] = {}
        for path, owner in self._rows("SELECT path, same_as FROM files WHERE same_as != '' AND reason = '' ORDER BY path"):
            copies.setdefault(str(owner), []).append(str(path))
        rows = self._rows(
            "SELECT d.id, d.title, json_array_length(d.pages), length(d.text), count(c.row), f.indexed_at, '', d.file, f.size,"
            " f.seconds, f.warnings, d.warnings, d.language"
            " FROM documents d JOIN files f ON f.path = d.file LEFT JOIN chunks c ON c.document_id = d.id GROUP BY d.id"
            " UNION ALL SELECT path, '', 0, 0, 0, indexed_at, reason, path, size, seconds, warnings, '[]', ''"
            " FROM files WHERE reason != ''"
        )
        found = [_info(row, copies) for row in rows]
        return _with_foreign(sorted(found, key=lambda info: (info.reason != "", info.id.casefold(), info.id)))

    def document(self, id: str) -> Document | None:
        """Return a document with its text, or None."""
        columns = "title, text, headings, pages, sha256, warnings, file"
        rows = self._rows(f"SELECT {columns} FROM documents WHERE id = ?", [id])
        if not rows:
            return None
        title, text, headings, pages, sha256, warnings, file = (str(value) for value in rows[0])
        places = tuple(Heading(*h) for h in json.loads(headings))
        inside = "" if file == id else file
        return Document(id, title, text, places, tuple(json.loads(pages)), sha256, tuple(json.loads(warnings)), inside)

    def outlines(self) -> list[Document]:
        """Return all documents without texts, headings and pages, in no order."""
        rows = self._rows("SELECT id, title, sha256, file FROM documents")
        return [
            Document(str(id), str(title), "", (), (), str(sha256), (), "" if file == id else str(file))
            for id, title, sha256, file in rows
        ]

    def copies(self, id: str) -> list[str]:
        """Return the other names of a document: where files with the same content hold it."""
        rows = self._rows(f"SELECT {_COPY_NAME} FROM {_COPIES} AND d.id = ? ORDER BY 1", [id])
        return [str(row[0]) for row in rows]

    def documents_in(self, file: str) -> list[str]:
        """Return the ids of the documents of a file."""
        return [str(row[0]) for row in self._rows("SELECT id FROM documents WHERE file = ? ORDER BY id", [file])]

    def document_count(self) -> int:
        """Return how many documents and failed files there are."""
        query = "SELECT (SELECT count(*) FROM documents) + (SELECT count(*) FROM files WHERE reason != '')"
        return int(str(self._rows(query)[0][0]))

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
        wanted = (ids, folders, suffixes, after, before)
        where, values = _matching("id", "file", "modified", *wanted)
        found = [str(row[0]) for row in self._rows(f"SELECT id FROM documents WHERE {where}", values)]
        where, values = _matching(_COPY_NAME, "f.path", "f.modified", *wanted)
        copies = self._rows(f"SELECT d.id FROM {_COPIES} AND {where}", values)
        return list({*found, *(str(row[0]) for row in copies)}) if copies else found

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

    def first_chunks(self, documents: Iterable[str]) -> list[Chunk]:
        """Return one chunk of each of `documents` that are in the catalogue."""
        ids = self._rows(
            "SELECT id FROM chunks WHERE row IN (SELECT min(row) FROM chunks WHERE document_id IN (SELECT value FROM json_each(?))"
            " GROUP BY document_id)",
            [json.dumps(list(documents))],
        )
        return self.chunks([str(row[0]) for row in ids])

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
            for row in self._rows(_CHUNKS.format(f"c.id IN ({marks})"), part):
                found[str(row[0])] = _chunk(row)
        return [found[id] for id in ids if id in found]

    def newest(self, limit: int) -> list[tuple[str, str]]:
        """Return the ids and titles of the documents that came into the index last, at most `limit`."""
        query = "SELECT d.id, d.title FROM documents d JOIN files f ON f.path = d.file ORDER BY f.indexed_at DESC, d.id LIMIT ?"
        return [(str(id), str(title) or str(id)) for id, title in self._rows(query, [limit])]

    def chunks_of(self, document: str, first: int = 0, limit: int = -1) -> list[Chunk]:
        """Return the chunks of a document in the order of its text, from number `first` (from 0), at most `limit` unless negative."""
        rows = self._rows(_CHUNKS.format("c.document_id = ? ORDER BY c.start LIMIT ? OFFSET ?"), [document, limit, first])
        return [_chunk(row) for row in rows]

    def chunk_place(self, document: str, offset: int) -> tuple[int, int]:
        """Return the number (from 0) of the chunk of a document that begins last before the character `offset`, and how many it has."""
        query = "SELECT coalesce(sum(start <= ?), 0), count(*) FROM chunks WHERE document_id = ?"
        begun, count = self._rows(query, [offset, document])[0]
        return max(int(str(begun)) - 1, 0), int(str(count))

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
            if self.hidden:
                row, matrix = np.zeros(self.hidden, np.float32), np.zeros((len(matrix), self.hidden), np.int8)
            found[str(id)] = Candidate(row, matrix, np.frombuffer(_bytes(terms), "<u4"))
        return found

    def tokens(self, ids: Sequence[str]) -> dict[str, TokenVectors]:
        """Return the token vectors of the chunks of `ids` that are in the catalogue."""
        rows = self._by_chunk("v.tokens", ids)
        return {str(id): np.frombuffer(_bytes(tokens), np.uint8).reshape(-1, NO_TOKENS.shape[1]) for id, tokens in rows}

    def all_vectors(self, dim: int) -> tuple[list[str], list[str], Vectors]:
        """Return the ids of all chunks, of their documents, and their vectors `(chunks, dim)`."""
        with self._reading:
            rows = self._rows("SELECT c.id, c.document_id, c.vector_key FROM chunks c")
            places: dict[str, list[int]] = {}
            for place, (_, _, key) in enumerate(rows):
                places.setdefault(str(key), []).append(place)
            vectors = np.zeros((len(rows), dim), np.float32)
            # In the order of the file: following the key of each chunk would take four times as long.
            for key, vector in self._reader.execute("SELECT key, vector FROM vectors"):
                if key in places:  # others may be of another model
                    vectors[places[key]] = np.frombuffer(vector, "<f4")
        return [str(row[0]) for row in rows], [str(row[1]) for row in rows], vectors


def _matching(
    name: str,
    file: str,
    modified: str,
    ids: Sequence[str],
    folders: Sequence[str],
    suffixes: Sequence[str],
    after: int | None,
    before: int | None,
) -> tuple[str, list[object]]:
    """Return the condition of `Catalog.document_ids` over the columns `name`, `file` and `modified`, and its values."""
    clauses, values = ["1"], list[object]()
    if ids or folders:
        places = [f"{column} IN (SELECT value FROM json_each(?))" for column in (name, file)]
        values += [json.dumps(list(ids))] * 2
        for folder in folders:
            start = f"{folder}/" if folder else ""
            places.append(f"substr({name}, 1, ?) = ?")
            values += [len(start), start]
        clauses.append(f"({' OR '.join(places)})")
    if suffixes:
        clauses.append(f"({' OR '.join([f'lower(substr({name}, ?)) = ?'] * len(suffixes))})")
        values += [value for suffix in suffixes for value in (-len(suffix), suffix)]
    for bound, sign in ((after, ">="), (before, "<")):
        if bound is not None:
            clauses.append(f"{modified} {sign} ?")
            values.append(bound)
    return " AND ".join(clauses), values


def _put_file(db: sqlite3.Connection, entry: FileEntry, now: str) -> None:
    """Write the row of a file; one that is in the index keeps the date at which it came there, until it fails."""
    state = entry.state
    # Not REPLACE: that would delete the row, and with it the documents.
    db.execute(
        "INSERT INTO files VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT(path) DO UPDATE SET size = excluded.size, modified = excluded.modified,"
        " changed = excluded.changed, sha256 = excluded.sha256, same_as = excluded.same_as, reason = excluded.reason,"
        " warnings = excluded.warnings, seconds = excluded.seconds,"
        " indexed_at = iif(files.reason = '' AND excluded.reason = '', files.indexed_at, excluded.indexed_at)",
        [
            *(entry.path, state.size, state.modified, state.changed, entry.sha256, entry.same_as, entry.reason),
            *(json.dumps(entry.warnings), entry.seconds, now),
        ],
    )


def _put_document(db: sqlite3.Connection, entry: FileEntry, cut: Cut) -> None:
    document = cut.document
    headings = json.dumps([[h.start, h.level, h.text] for h in document.headings])
    db.execute(
        "INSERT INTO documents VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET file = excluded.file, title = excluded.title,"
        " text = excluded.text, headings = excluded.headings, pages = excluded.pages, sha256 = excluded.sha256,"
        " modified = excluded.modified, warnings = excluded.warnings, language = excluded.language",
        [
            *(document.id, entry.path, document.title, document.text, headings, json.dumps(document.pages), document.sha256),
            *(entry.state.modified, json.dumps(document.warnings), document.language),
        ],
    )
    write_chunks(db, cut, "chunks")


def write_chunks(db: sqlite3.Connection, cut: Cut, table: Literal["chunks", "staged_chunks"]) -> None:
    """Replace the chunks of a document in `table`; those that stay the same keep their row."""
    document = cut.document
    ids = _free_ids(db, document.id, cut.chunks, table)
    db.execute(
        f"DELETE FROM {table} WHERE document_id = ? AND id NOT IN (SELECT value FROM json_each(?))", [document.id, json.dumps(ids)]
    )
    db.executemany(
        f"INSERT INTO {table} (id, document_id, start, end, heading, page, sentences, vector_key, terms) VALUES (?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT(id) DO UPDATE SET start = excluded.start, end = excluded.end, heading = excluded.heading,"
        " page = excluded.page, sentences = excluded.sentences, vector_key = excluded.vector_key, terms = excluded.terms",
        [
            (id, c.document_id, c.start, c.end, c.heading, c.page, json.dumps(c.sentences), key, chunk_terms(c).tobytes())
            for id, c, key in zip(ids, cut.chunks, cut.keys, strict=True)
        ],
    )


def _free_ids(db: sqlite3.Connection, document: str, chunks: Sequence[Chunk], table: str) -> list[str]:
    """Return the ids of `chunks`, others for those that a document has which once had this one's name and moved."""
    ids = [chunk.id for chunk in chunks]
    taken = {
        str(row[0])
        for row in db.execute(
            f"SELECT id FROM {table} WHERE document_id != ? AND id IN (SELECT value FROM json_each(?))", [document, json.dumps(ids)]
        )
    }
    return [hashlib.sha256(f"{id}{_MARK}{document}".encode()).hexdigest()[:24] if id in taken else id for id in ids]


def _rename(db: sqlite3.Connection, old: str, entry: FileEntry) -> None:
    """Give the file that is called `_MARK + entry.path` its name, and its documents theirs, which begin with `_MARK + old`."""
    path, state = entry.path, entry.state
    db.execute(
        "UPDATE files SET path = ?, size = ?, modified = ?, changed = ?, same_as = '' WHERE path = ?",
        [path, state.size, state.modified, state.changed, _MARK + path],
    )
    db.execute(
        "INSERT OR IGNORE INTO behind SELECT c.id, 0 FROM chunks c JOIN documents d ON d.id = c.document_id WHERE d.file = ?",
        [path],
    )
    db.execute(
        "UPDATE documents SET id = ? || substr(id, ?), modified = ? WHERE file = ?",
        [path, len(_MARK + old) + 1, state.modified, path],
    )
    for (title,) in db.execute("SELECT title FROM documents WHERE id = ?", [path]).fetchall():
        if title == title_of(old) != title_of(path):
            db.execute("UPDATE documents SET title = ? WHERE id = ?", [title_of(path), path])
            rows = db.execute(_CHUNKS.format("c.document_id = ?"), [path]).fetchall()
            db.executemany(
                "UPDATE chunks SET terms = ? WHERE id = ?", [(chunk_terms(_chunk(row)).tobytes(), row[0]) for row in rows]
            )


def _chunk(row: tuple[object, ...]) -> Chunk:
    id, document_id, title, start, end, text, heading, page, sentences = row
    return Chunk(
        *(str(id), str(document_id), str(title), int(str(start)), int(str(end)), str(text), str(heading)),
        None if page is None else int(str(page)),
        tuple((a, b) for a, b in json.loads(str(sentences))),
    )


def _with_foreign(documents: list[DocumentInfo]) -> list[DocumentInfo]:
    """Return `documents` with a warning for those in another language than most."""
    usual = usual_language([info.language for info in documents])
    return [
        replace(info, warnings=(*info.warnings, f"another language than most ({info.language}, not {usual})"))
        if usual and info.language not in ("", usual)
        else info
        for info in documents
    ]


def _info(row: tuple[object, ...], copies: Mapping[str, Sequence[str]]) -> DocumentInfo:
    id, title, pages, size, chunks, at, reason, file, bytes_, seconds, around, warnings, language = row
    id, file = str(id), str(file)
    of_file = tuple(json.loads(str(around)))
    return DocumentInfo(
        *(id, str(title), int(str(pages)), int(str(size)), int(str(chunks)), str(at), str(reason), file, int(str(bytes_))),
        float(str(seconds)),
        (*json.loads(str(warnings)), *(of_file if id == file else ())),
        str(language),
        tuple(path + id[len(file) :] for path in copies.get(file, ())),
        () if id == file else of_file,
    )


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
