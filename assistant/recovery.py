"""What can still be read of a damaged catalogue becomes a new one; the rest is read from the corpus folder again."""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from assistant.index import make_durable_file
from assistant.schema import VERSION, connect, damage, make_catalogue
from assistant.vector_rows import VectorRow, dimension, is_sound

_STEP = 256  # rows read at once
_MOST_FAILURES = 200_000  # probes of rows that can't be read, for each table
_TABLES = ("settings", "files", "documents", "vectors", "chunks")
_SAME_SINCE = {"settings": 1, "vectors": 2}  # the others are taken from a catalogue of this version only


def state_of(path: Path) -> str:
    """Return what is wrong with the catalogue at `path`, in one line; nothing when every page can be read."""
    try:
        with closing(connect(path)) as db:
            db.execute("PRAGMA user_version").fetchone()
            return damage(db)
    except sqlite3.Error as error:
        return str(error)


def damaged_copy(path: Path) -> Path:
    """Return where a damaged catalogue is kept."""
    return path.with_name(f"{path.name}.damaged")


def recover(path: Path) -> str:
    """Replace the damaged catalogue at `path` by what can be read of it, and keep it beside (`damaged_copy`).

    Returns a line that says what was kept. All files count as changed afterwards, and the indexes have to be made again. Vectors
    that could be read are used when the same text is met again. Where nothing can be read, there is no catalogue afterwards.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with suppress(sqlite3.Error), closing(connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    kept: dict[str, int] = {}
    with closing(make_catalogue(part)) as new:
        with suppress(sqlite3.Error), closing(connect(path)) as old:
            kept = _copy_all(old, new)
        _make_consistent(new)
        left = {table: int(new.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in _TABLES}
    kept_copy = damaged_copy(path)
    kept_copy.unlink(missing_ok=True)
    try:
        os.link(path, kept_copy)
    except OSError:  # not every file system gives a file a second name
        shutil.copyfile(path, kept_copy)
    for suffix in ("-wal", "-shm"):  # they would be taken for those of the new file
        leftover = path.with_name(path.name + suffix)
        if leftover.exists():
            os.replace(leftover, kept_copy.with_name(kept_copy.name + suffix))
    if not any(kept.values()):
        part.unlink()
        path.unlink()
        return (
            f"the catalogue could not be read at all: it is kept as {kept_copy.name}, and a new one is made from the corpus folder"
        )
    make_durable_file(part)
    os.replace(part, path)
    make_durable_file(path.parent)
    return (
        f"of the catalogue {left['documents']} documents and {left['vectors']} vectors could be read and were kept; "
        f"the damaged one is {kept_copy.name}"
    )


def _copy_all(old: sqlite3.Connection, new: sqlite3.Connection) -> dict[str, int]:
    version = int(old.execute("PRAGMA user_version").fetchone()[0])
    kept: dict[str, int] = {}
    for table in _TABLES:
        if version == VERSION or version >= _SAME_SINCE.get(table, VERSION):
            columns = [str(row[1]) for row in new.execute(f"PRAGMA table_info({table})")]
            kept[table] = _copy(old, new, table, [column for column in columns if column != "row"])
    return kept


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str, columns: Sequence[str]) -> int:
    into = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    count = 0
    new.execute("BEGIN IMMEDIATE")
    for rows in _readable(old, table, columns):
        for row in rows:
            with suppress(sqlite3.Error):  # a value of the wrong type
                count += max(0, new.execute(into, row).rowcount)
    new.execute("COMMIT")
    return count


def _readable(db: sqlite3.Connection, table: str, columns: Sequence[str]) -> Iterator[list[tuple[object, ...]]]:
    """Yield the rows that can be read, by ranges of row ids that are halved where reading fails."""
    query = f"SELECT {', '.join(columns)} FROM {table} NOT INDEXED WHERE rowid BETWEEN ? AND ?"
    failures = 0
    ranges = [(first, first + _STEP - 1) for first in range(0, _last_row(db, table, columns[0]) + 1, _STEP)][::-1]
    while ranges and failures < _MOST_FAILURES:
        first, last = ranges.pop()
        try:
            rows = db.execute(query, [first, last]).fetchall()
        except sqlite3.Error:
            failures += 1
            if first < last:
                middle = (first + last) // 2
                ranges += [(middle + 1, last), (first, middle)]
            continue
        yield rows


def _last_row(db: sqlite3.Connection, table: str, key: str) -> int:
    """Return the highest row id, by the index of `key` where the end of the table can't be read, or else one surely higher."""
    for query in ("SELECT max(rowid) FROM {0}", "SELECT max(rowid) FROM {0} INDEXED BY sqlite_autoindex_{0}_1 WHERE {1} >= ''"):
        with suppress(sqlite3.Error):
            return int(db.execute(query.format(table, key)).fetchone()[0] or 0)
    pages = int(db.execute("PRAGMA page_count").fetchone()[0])
    return 50 * pages


def _make_consistent(db: sqlite3.Connection) -> None:
    """Drop what points to rows that are gone or can't be right, and have everything looked at again."""
    dim = dimension(len(row[0]) for row in db.execute("SELECT vector FROM vectors"))
    rows = (VectorRow(*row) for row in db.execute("SELECT key, vector, sentences, tokens FROM vectors"))
    unsound = [(row.key,) for row in rows if not is_sound(row, dim)]
    db.execute("BEGIN IMMEDIATE")
    db.executemany("DELETE FROM vectors WHERE key = ?", unsound)
    db.execute("DELETE FROM documents WHERE file NOT IN (SELECT path FROM files)")
    db.execute(
        "DELETE FROM chunks WHERE document_id NOT IN (SELECT id FROM documents) OR vector_key NOT IN (SELECT key FROM vectors)"
        " OR end > (SELECT length(text) FROM documents WHERE id = document_id) OR start < 0 OR start > end"
    )
    db.execute("UPDATE files SET size = -1, sha256 = ''")
    db.execute("DELETE FROM behind")
    db.execute("INSERT OR IGNORE INTO unused SELECT key FROM vectors")
    db.execute("DELETE FROM settings WHERE name IN ('generation', 'staged_for', 'loaders')")
    db.execute("COMMIT")
