"""The tables of the catalogue, and how one made by an earlier version becomes one of this."""

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from assistant.errors import UserError

VERSION = 4
_TABLES = """
CREATE TABLE files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, changed INTEGER NOT NULL, sha256 TEXT NOT NULL,
    same_as TEXT NOT NULL, reason TEXT NOT NULL, warnings TEXT NOT NULL, seconds REAL NOT NULL, indexed_at TEXT NOT NULL
) STRICT;
CREATE INDEX files_by_owner ON files (same_as) WHERE same_as != '';
CREATE TABLE documents (
    id TEXT PRIMARY KEY, file TEXT NOT NULL REFERENCES files(path) ON DELETE CASCADE ON UPDATE CASCADE, title TEXT NOT NULL,
    text TEXT NOT NULL, headings TEXT NOT NULL, pages TEXT NOT NULL, sha256 TEXT NOT NULL, modified INTEGER NOT NULL,
    warnings TEXT NOT NULL, language TEXT NOT NULL
) STRICT;
CREATE INDEX documents_by_file ON documents (file);
CREATE INDEX documents_by_date ON documents (modified, id);
CREATE TABLE chunks (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE ON UPDATE CASCADE,
    start INTEGER NOT NULL, end INTEGER NOT NULL, heading TEXT NOT NULL, page INTEGER, sentences TEXT NOT NULL,
    vector_key TEXT NOT NULL, terms BLOB NOT NULL
) STRICT;
CREATE INDEX chunks_by_document ON chunks (document_id);
CREATE INDEX chunks_by_vector ON chunks (vector_key);
"""
# What the indexes have not heard of (`dense` is 0 when the vector is the same), and vectors that may be needed no more.
_NOTES = """
CREATE TABLE behind (chunk_id TEXT PRIMARY KEY, dense INTEGER NOT NULL) STRICT;
CREATE TABLE unused (key TEXT PRIMARY KEY) STRICT;
CREATE TRIGGER chunk_added AFTER INSERT ON chunks BEGIN
    INSERT OR REPLACE INTO behind VALUES (new.id, 1);
END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunks BEGIN
    INSERT OR REPLACE INTO behind VALUES (old.id, 1);
    INSERT OR IGNORE INTO unused VALUES (old.vector_key);
END;
"""
# Documents that are cut and embedded anew beside what is in force (`renewal.py`); one that changes is no longer staged.
_STAGED = """
CREATE TABLE staged_documents (
    id TEXT PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;
CREATE TABLE staged_chunks (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    document_id TEXT NOT NULL REFERENCES staged_documents(id) ON DELETE CASCADE ON UPDATE CASCADE,
    start INTEGER NOT NULL, end INTEGER NOT NULL, heading TEXT NOT NULL, page INTEGER, sentences TEXT NOT NULL,
    vector_key TEXT NOT NULL, terms BLOB NOT NULL
) STRICT;
CREATE INDEX staged_by_document ON staged_chunks (document_id);
CREATE INDEX staged_by_vector ON staged_chunks (vector_key);
CREATE TRIGGER staged_outdated AFTER UPDATE OF title, text, headings, pages ON documents BEGIN
    DELETE FROM staged_documents WHERE id = new.id;
END;
CREATE TRIGGER staged_removed AFTER DELETE ON staged_chunks BEGIN
    INSERT OR IGNORE INTO unused VALUES (old.vector_key);
END;
"""
_NEW = f"""
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL, sentences BLOB NOT NULL, tokens BLOB NOT NULL) STRICT;
{_TABLES} {_NOTES} {_STAGED}
"""
# What the new columns of version 2 hold comes when the documents are read again.
_FROM_1 = """
ALTER TABLE vectors ADD COLUMN tokens BLOB NOT NULL DEFAULT x'';
ALTER TABLE chunks ADD COLUMN terms BLOB NOT NULL DEFAULT x'';
DELETE FROM chunks;
DELETE FROM documents;
DELETE FROM vectors;
"""
_FROM_2 = f"""
DROP INDEX IF EXISTS documents_by_date;
DROP INDEX IF EXISTS chunks_by_document;
DROP INDEX IF EXISTS chunks_by_vector;
ALTER TABLE documents RENAME TO documents_2;
ALTER TABLE chunks RENAME TO chunks_2;
{_TABLES}
INSERT INTO files SELECT id, size, modified, 0, sha256, '', '', '[]', 0, indexed_at FROM documents_2;
INSERT INTO files SELECT id, size, modified, 0, '', '', reason, '[]', 0, '' FROM failures;
INSERT INTO documents SELECT id, id, title, text, headings, pages, sha256, modified, '[]', '' FROM documents_2;
INSERT INTO chunks SELECT row, id, document_id, start, end, heading, page, sentences, vector_key, terms FROM chunks_2;
DROP TABLE chunks_2;
DROP TABLE documents_2;
DROP TABLE failures;
{_NOTES}
DELETE FROM settings WHERE name = 'generation' AND EXISTS (SELECT 1 FROM settings WHERE name = 'behind' AND value != '');
DELETE FROM settings WHERE name = 'behind';
"""


def open_catalogue(path: Path) -> sqlite3.Connection:
    """Open the database at `path` for writing, making it when it isn't there and bringing an older one up to date.

    Before an older one is changed, a copy is kept beside it (`backup_of`). A small one is checked for damage; a large one by
    `damage`, which the caller may run in the background. Raises `UserError` when the file is damaged, comes from a newer version,
    or can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = connect(path)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=ON")
        version = _version(db)
        check = "" if is_large(path) else damage(db)
    except (OSError, sqlite3.Error) as error:
        way_out = "its disk is full: make room and start again." if _is_full(path.parent) else WAY_OUT
        raise UserError(f"The catalogue {path} can't be opened ({error}): {way_out}") from None
    if check:
        raise UserError(damaged_line(path, check))
    _check_version(path, version)
    if version < VERSION:
        _migrate(db, path, version)
    db.execute("PRAGMA foreign_keys=ON")
    return db


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the database at `path` without ever changing it, also while another process writes; raises as `open_catalogue`.

    One of an earlier version can't be read so.
    """
    try:
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False, isolation_level=None, timeout=5
        )
        version = _version(db)
    except sqlite3.Error as error:
        raise UserError(f"The catalogue {path} can't be read ({error}): {WAY_OUT}") from None
    if version != VERSION:
        db.close()
        way_out = "update this program" if version > VERSION else "run 'assistant sync', which brings it up to date"
        raise UserError(f"The catalogue {path} was made by {'a newer' if version > VERSION else 'an earlier'} version: {way_out}.")
    return db


def _is_full(folder: Path) -> bool:
    """Whether the disk lacks the 32 kB that SQLite shares between its connections; it then only says "disk I/O error"."""
    return folder.exists() and shutil.disk_usage(folder).free < 1_000_000


WAY_OUT = "run 'assistant doctor --repair', which keeps what can be read and indexes the rest again."
_LARGE = 100_000_000  # bytes; reading so many takes some tenths of a second


def is_large(path: Path) -> bool:
    """Whether checking the database at `path` for damage takes so long that nobody should wait for it."""
    return path.exists() and path.stat().st_size > _LARGE


def damage(db: sqlite3.Connection) -> str:
    """Return what `PRAGMA quick_check` finds first, in one line; nothing when every page is sound."""
    try:
        found = " ".join(str(db.execute("PRAGMA quick_check(1)").fetchone()[0]).split())
    except sqlite3.DatabaseError as error:
        if "interrupted" in str(error):
            return ""
        return str(error)
    return "" if found == "ok" else found


def damaged_line(path: Path, damage: str) -> str:
    """Return the line that tells of `damage`, and the way out."""
    return f"The catalogue {path} is damaged ({damage}): {WAY_OUT}"


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _check_version(path: Path, version: int) -> None:
    if version > VERSION:
        raise UserError(f"The catalogue {path} was made by a newer version: update, or set ASSISTANT_DATA to another folder.")


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection for use from several threads, one at a time; statements commit by themselves."""
    return sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5)


def make_catalogue(path: Path) -> sqlite3.Connection:
    """Make a new, empty database at `path`, where nothing may be, to be filled before it takes its place."""
    db = connect(path)
    db.execute("PRAGMA synchronous=FULL")
    db.executescript(f"BEGIN IMMEDIATE; {_NEW} PRAGMA user_version={VERSION}; COMMIT;")
    return db


def backup_of(path: Path) -> Path:
    """Return where the catalogue of an earlier version is kept until all documents have been looked at once."""
    return path.with_name(f"{path.name}.earlier")


def _migrate(db: sqlite3.Connection, path: Path, version: int) -> None:
    steps = _NEW if version == 0 else "".join([_FROM_1, _FROM_2, _STAGED][version - 1 :])
    try:
        if version:
            if shutil.disk_usage(path.parent).free < 3 * path.stat().st_size:
                raise UserError(f"There is too little room beside {path} to bring it up to date: make room and start again.")
            backup_of(path).unlink(missing_ok=True)
            db.execute("VACUUM INTO ?", [str(backup_of(path))])
        # Foreign keys are off here: with them, dropping an old table would empty what points to it.
        db.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version={VERSION}; COMMIT;")
    except (OSError, sqlite3.Error) as error:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise UserError(f"The catalogue {path} can't be brought up to date ({error}): nothing was changed.") from None
