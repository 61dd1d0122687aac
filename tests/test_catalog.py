import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assistant.catalog import Catalog, FileEntry, FileState
from assistant.chunking import Chunk
from assistant.documents import Document, Heading
from assistant.embedding import Embedded, quantise
from assistant.errors import UserError
from assistant.lexical import chunk_terms


def document(id: str, text: str) -> Document:
    return Document(id, "Title", text, (Heading(0, 1, "H"),), (0,), "s" * 64)


def chunk(id: str, document_id: str, text: str, start: int = 0) -> Chunk:
    return Chunk(id, document_id, "Title", start, start + len(text), text, "H", 1, ((0, len(text)),))


def embedded(seed: int) -> Embedded:
    vector = np.random.default_rng(seed).normal(size=8).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return Embedded(vector, quantise(np.stack([vector])), np.full((2, 48), seed, np.uint8))


def test_a_document_comes_back_as_it_went_in(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "c.sqlite3")
    text = "Grüße 😀 aus 北京. Ende."
    kept = chunk("1", "a", text[3:], start=3)
    catalog.put_vectors({"k": embedded(1)})
    catalog.put_document(document("a", text), FileState(1, 2), [kept], ["k"])
    assert catalog.document("a") == document("a", text)
    assert catalog.chunks(["nothing", "1"]) == [kept]
    np.testing.assert_array_equal(catalog.vectors(["1"])["1"], embedded(1).vector)
    np.testing.assert_array_equal(catalog.tokens(["1"])["1"], embedded(1).tokens)
    candidate = catalog.candidates(["1"])["1"]
    np.testing.assert_array_equal(candidate.vector, embedded(1).vector)
    np.testing.assert_array_equal(candidate.sentences, embedded(1).sentences)
    np.testing.assert_array_equal(candidate.terms, chunk_terms(kept))
    assert catalog.file_states() == {"a": FileState(1, 2)}


def test_a_changed_document_replaces_its_chunks_and_notes_which_are_others(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "c.sqlite3")
    catalog.put_vectors({"k": embedded(1)})
    catalog.put_document(document("a", "one two"), FileState(1, 1), [chunk("1", "a", "one"), chunk("2", "a", "two", 4)], ["k", "k"])
    catalog.caught_up(["1", "2"], churn=0)
    catalog.put_document(
        document("a", "one three two"), FileState(2, 2), [chunk("3", "a", "three", 4), chunk("2", "a", "two", 10)], ["k", "k"]
    )
    assert [part.text for part in catalog.chunks(["1", "2", "3"])] == ["two", "three"]
    # What stays as it is keeps its place in the indexes.
    assert sorted(catalog.behind(9)) == [("1", True), ("3", True)]


def test_a_failure_takes_the_place_of_the_document(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "c.sqlite3")
    catalog.put_vectors({"k": embedded(1)})
    catalog.put_document(document("a", "one"), FileState(1, 1), [chunk("1", "a", "one")], ["k"])
    catalog.put_files([(FileEntry("a", FileState(2, 2), reason="it is empty"), [])])
    assert catalog.chunk_ids() == []
    assert [(info.id, info.reason) for info in catalog.documents()] == [("a", "it is empty")]
    catalog.drop_unused_vectors()
    assert catalog.stored_keys(["k"]) == set()


def test_a_document_that_is_put_again_keeps_the_date_of_its_first_time_until_it_fails(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "c.sqlite3")
    catalog.put_vectors({"k": embedded(1)})
    long_ago = "2020-01-01T00:00:00+00:00"

    def date(put: Callable[[], None]) -> str:
        with catalog.transaction() as db:
            db.execute("UPDATE files SET indexed_at = ?", [long_ago])
        put()
        return catalog.documents()[0].indexed_at

    def put(text: str) -> None:
        catalog.put_document(document("a", text), FileState(len(text), 1), [chunk("1", "a", text)], ["k"])

    def fail() -> None:
        catalog.put_files([(FileEntry("a", FileState(0, 1), reason="it is empty"), [])])

    put("one")
    assert date(lambda: put("one")) == long_ago and date(lambda: put("two")) == long_ago
    assert date(fail) > long_ago and date(fail) > long_ago
    assert date(lambda: put("two")) > long_ago


def test_documents_are_listed_by_name_without_regard_to_capitals_those_that_failed_last(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "c.sqlite3")
    catalog.put_vectors({"k": embedded(1)})
    for number, name in enumerate(["b.md", "B.md", "a.md", "C.md"]):
        catalog.put_document(document(name, "one"), FileState(1, 1), [chunk(str(number), name, "one")], ["k"])
    failed = [("Y.md", "it is empty"), ("x.md", "it is encrypted")]
    catalog.put_files([(FileEntry(name, FileState(2, 2), reason=reason), []) for name, reason in failed])
    assert [info.id for info in catalog.documents()] == ["a.md", "B.md", "b.md", "C.md", "x.md", "Y.md"]


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "c.sqlite3")
    catalog.put_vectors({"k": embedded(1)})
    catalog.put_document(document("a", "one"), FileState(1, 1), [chunk("1", "a", "one")], ["k"])
    wrong = [chunk("2", "a", "x"), replace(chunk("3", "a", "y"), page="no number")]  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        catalog.put_document(document("a", "xy"), FileState(2, 2), wrong, ["k", "k"])
    assert catalog.chunk_ids() == ["1"]
    assert catalog.file_states() == {"a": FileState(1, 1)}


def test_a_damaged_file_and_a_newer_one_are_refused_in_one_line(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.sqlite3"
    damaged.write_bytes(b"no database at all, but long enough to look at" * 100)
    newer = tmp_path / "newer.sqlite3"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    for path, words in ((damaged, "can't be opened"), (newer, "newer version")):
        with pytest.raises(UserError, match=words) as caught:
            Catalog(path)
        assert "\n" not in str(caught.value)


def test_the_text_of_a_removed_document_is_gone_from_the_file(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "c.sqlite3")
    secret = "a very secret sentence that must go"
    catalog.put_vectors({"k": embedded(1)})
    catalog.put_document(document("a", secret), FileState(1, 1), [chunk("1", "a", secret)], ["k"])
    catalog.remove_file("a")
    catalog.close()
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_catalogue_of_the_first_version_is_emptied_to_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            """
            CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
            CREATE TABLE documents (
                id TEXT PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL, headings TEXT NOT NULL, pages TEXT NOT NULL,
                sha256 TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL, indexed_at TEXT NOT NULL
            ) STRICT;
            CREATE TABLE failures (
                id TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, reason TEXT NOT NULL
            ) STRICT;
            CREATE TABLE vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL, sentences BLOB NOT NULL) STRICT;
            CREATE TABLE chunks (
                row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
                document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
                start INTEGER NOT NULL, end INTEGER NOT NULL, heading TEXT NOT NULL, page INTEGER, sentences TEXT NOT NULL,
                vector_key TEXT NOT NULL
            ) STRICT;
            INSERT INTO documents VALUES ('a', 'T', 'text', '[]', '[]', 's', 1, 2, '2026');
            INSERT INTO chunks VALUES (1, 'c', 'a', 0, 4, '', NULL, '[]', 'k');
            INSERT INTO vectors VALUES ('k', x'00', x'00');
            INSERT INTO failures VALUES ('b', 1, 2, 'it is empty');
            PRAGMA user_version=1;
            """
        )
    catalog = Catalog(path)
    assert catalog.file_states() == {"b": FileState(1, 2)} and catalog.chunk_ids() == []
    catalog.put_vectors({"k": embedded(1)})
    catalog.put_document(document("a", "text"), FileState(1, 2), [chunk("1", "a", "text")], ["k"])
    catalog.close()
    assert Catalog(path).candidates(["1"])["1"].terms.any()


def test_only_changes_of_documents_count_as_such(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "c.sqlite3")
    catalog.put_vectors({"k": embedded(1)})
    catalog.set_settings({"a": "b"})
    before = catalog.revision
    catalog.put_vectors({"l": embedded(2)})
    catalog.caught_up([], churn=0)
    assert catalog.revision == before
    catalog.put_document(document("a", "one"), FileState(1, 1), [chunk("1", "a", "one")], ["k"])
    assert catalog.revision == before + 1
    catalog.remove_file("a")
    assert catalog.revision == before + 2
