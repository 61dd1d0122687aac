"""The indexes are made again while others search, are on the disk before they are put in force, and are missed when damaged."""

import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from assistant import index as index_module
from assistant.audit import recall
from assistant.catalog import Catalog
from assistant.collection import Collection
from assistant.dense import DenseIndex
from assistant.embedding import Embedder, load_embedder
from assistant.errors import StorageError
from assistant.index import Index
from assistant.settings import Settings
from assistant.sync import Corpus
from eval.synthetic import Source, fill
from tests.conftest import MakeSettings, clean_environment, write_documents
from tests.tools.index_faults import forget_vectors, synthetic_source

SIZE = 1500


@pytest.fixture(scope="module")
def embedder(models: Path) -> Embedder:
    from assistant.settings import load_settings

    return load_embedder(load_settings({"ASSISTANT_DATA": str(models.parent)}))


@pytest.fixture(scope="module")
def source(embedder: Embedder) -> Source:
    return synthetic_source(embedder, 300)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, source: Source) -> Path:
    """A data folder with `SIZE` chunks and both indexes."""
    folder = tmp_path_factory.mktemp("filled")
    with closing(Collection(folder, embedder)) as collection:
        fill(collection, source, SIZE, lambda done, total: None)
        collection.reindex()
    return folder


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "data"))


def test_searches_in_other_threads_go_on_while_the_indexes_are_made_again(data: Path, embedder: Embedder, source: Source) -> None:
    with closing(Collection(data, embedder)) as collection:
        before = [hit.chunk.id for hit in collection.search(source.questions[0], 5)]
        done, errors, answers = threading.Event(), list[BaseException](), list[list[str]]()

        def search() -> None:
            while not done.is_set():
                try:
                    answers.append([hit.chunk.id for hit in collection.search(source.questions[0], 5)])
                except BaseException as error:
                    errors.append(error)
                    return

        threads = [threading.Thread(target=search) for _ in range(2)]
        for thread in threads:
            thread.start()
        seen: list[int] = []
        for _ in range(2):
            assert collection.reindex(lambda done, total: seen.append(done))
        done.set()
        for thread in threads:
            thread.join()
        assert errors == [] and len(answers) > 2 and all(answer == before for answer in answers)
        assert seen[-1] == SIZE and collection.index.check()
        assert len(list((data / "index").iterdir())) == 1


def test_a_rebuild_that_is_stopped_or_fails_leaves_the_old_generation_in_force(
    data: Path, embedder: Embedder, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Collection(data, embedder)) as collection:
        before, generation = collection.search(source.questions[0], 5), collection.catalog.setting("generation")
        stop = threading.Event()
        assert not collection.reindex(lambda done, total: stop.set(), stop=stop)

        def full(folder: Path) -> None:
            raise RuntimeError("database or disk is full\nwhatever Chroma says")

        monkeypatch.setattr(index_module, "make_durable", full)
        with pytest.raises(StorageError) as caught:
            collection.reindex()
        assert "\n" not in str(caught.value)
        assert collection.catalog.setting("generation") == generation and collection.index.check()
        assert [path.name for path in (data / "index").iterdir()] == [f"gen-{generation}"]
        assert collection.search(source.questions[0], 5) == before


def test_a_large_index_that_is_damaged_is_made_again_in_the_background_while_questions_are_answered(
    data: Path, embedder: Embedder, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Collection(data, embedder)) as collection:
        vector = embedder.embed([source.questions[0]])[0]
        expected = [id for id, _ in collection.index.dense(vector, 5)]
    shutil.rmtree(next((data / "index").glob("gen-*")) / "dense")
    monkeypatch.setattr(index_module, "_SOON", SIZE - 1)
    go = threading.Event()
    real = Index.rebuild
    monkeypatch.setattr(Index, "rebuild", lambda self, *rest, **named: go.wait(60) and real(self, *rest, **named))
    with closing(Collection(data, embedder)) as collection:
        assert "made again" in collection.notice
        assert [id for id, _ in collection.index.dense(vector, 5)] == expected
        assert len(collection.search(source.questions[0], 5)) == 5
        go.set()
        assert collection._mender is not None
        collection._mender.join()
        assert collection.notice == "" and collection.index.check()
    with closing(Collection(data, embedder)) as collection:
        assert not collection.index.rebuilt


def test_closing_does_not_wait_for_an_index_in_the_making(data: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(data / "index")
    monkeypatch.setattr(index_module, "_SOON", 10)
    monkeypatch.setattr(index_module, "_BATCH", 50)
    collection = Collection(data, embedder)
    collection.close()
    with closing(Catalog(data / "catalog.sqlite3")) as catalog:
        assert catalog.setting("generation") == "1" or not list((data / "index").glob("gen-*"))


def test_embedding_again_gives_the_same_vectors(settings: MakeSettings, chunks_embedded: list[int]) -> None:
    options = settings()
    write_documents(options.corpus, {f"{number}.md": f"Page {number} is about bees." for number in range(5)})
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        before = corpus.catalog.vectors(corpus.catalog.chunk_ids())
        with corpus.catalog.transaction() as db:
            db.execute(
                "UPDATE vectors SET vector = ? WHERE key = (SELECT min(key) FROM vectors)", [next(iter(before.values())).tobytes()]
            )
        chunks_embedded.clear()
        assert corpus.reindex(embed=True) and sum(chunks_embedded) == 5
        after = corpus.catalog.vectors(corpus.catalog.chunk_ids())
        assert all(np.allclose(after[id], before[id], atol=1e-3) for id in before)
        assert corpus.index.check()


def test_vectors_missing_from_the_graph_while_all_counts_are_right_are_noticed(data: Path, embedder: Embedder) -> None:
    folder = next((data / "index").glob("gen-*")) / "dense"
    assert forget_vectors(folder, 0.1, seed=1) >= 100
    with closing(DenseIndex(folder)) as dense:
        assert dense.count() == SIZE
    with closing(Collection(data, embedder)) as collection:
        assert collection.index.rebuilt and collection.index.check()
        assert recall(_dense(collection), collection.catalog, embedder.dim) > 0.95


@pytest.mark.parametrize("size", [30, 1100])
def test_an_index_that_is_opened_and_searched_again_and_again_is_never_made_anew(
    tmp_path: Path, embedder: Embedder, source: Source, size: int
) -> None:
    with closing(Collection(tmp_path, embedder)) as collection:
        fill(collection, source, size, lambda done, total: None)
        collection.flush()
    for _ in range(3):
        with closing(Collection(tmp_path, embedder)) as collection:
            assert not collection.index.rebuilt and collection.index.faults() == []
            assert len(collection.search(source.questions[0], 5)) == 5
            collection.flush()


def test_a_graph_that_would_end_the_process_is_never_opened(data: Path, embedder: Embedder, source: Source) -> None:
    folder = next((data / "index").glob("gen-*")) / "dense"
    [links] = folder.glob("*/link_lists.bin")
    links.write_bytes(bytes(links.stat().st_size))  # Chroma ends with a segmentation fault when it searches there
    with pytest.raises(OSError, match="not as it was written"):
        DenseIndex(folder)
    with closing(Collection(data, embedder)) as collection:
        assert collection.index.rebuilt and len(collection.search(source.questions[0], 5)) == 5


def _dense(collection: Collection) -> DenseIndex:
    assert collection.index._dense is not None
    return collection.index._dense


def test_putting_the_same_documents_in_again_and_again_takes_no_more_room_and_finds_as_much(
    tmp_path: Path, embedder: Embedder, source: Source
) -> None:
    sizes, recalls = [], []
    with closing(Collection(tmp_path, embedder)) as collection:
        for _ in range(6):
            for id in collection.catalog.document_ids():
                collection.drop(id)
            fill(collection, source, 1200, lambda done, total: None)
            collection.flush()
            sizes.append(sum(path.stat().st_size for path in (tmp_path / "index").rglob("*") if path.is_file()))
            recalls.append(recall(_dense(collection), collection.catalog, embedder.dim))
        assert collection.index.check()
    assert sizes[-1] <= 1.2 * sizes[0] and recalls[-1] >= recalls[0] - 0.01


_REBUILD = """
import sys
from pathlib import Path
from assistant.embedding import load_embedder
from assistant.collection import Collection
from assistant.settings import load_settings
collection = Collection(Path(sys.argv[1]), load_embedder(load_settings()))
collection.reindex()
collection.close()
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_new_generation_is_on_the_disk_before_it_is_put_in_force(data: Path, models: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    [old] = (data / "index").glob("gen-*")
    calls = "trace=fsync,fdatasync,write,pwrite64,openat,unlinkat,rmdir"
    command = ["strace", "-f", "-y", "-qq", "-o", str(log), "-e", calls, sys.executable, "-c", _REBUILD, str(data)]
    ran = subprocess.run(command, env=clean_environment({"ASSISTANT_DATA": str(models.parent)}), capture_output=True, timeout=300)
    if b"ptrace" in ran.stderr or b"Operation not permitted" in ran.stderr:
        pytest.skip("strace may not trace here")
    assert ran.returncode == 0, ran.stderr
    lines = log.read_text(errors="replace").splitlines()
    [new] = (data / "index").glob("gen-*")
    assert new != old

    def places(pattern: str) -> list[int]:
        return [number for number, line in enumerate(lines) if re.search(pattern, line)]

    synced = {path: places(rf"\bfsync\(\d+<{re.escape(str(path))}>") for path in [new.parent, new, *new.rglob("*")]}
    names = [path for path in synced if path.suffix != ".lock" and path.exists()]
    assert all(synced[path] for path in names), [path for path in names if not synced[path]]
    # The pointer is written to the catalogue's log when all of that is done; only then is the old generation deleted.
    pointer = [at for at in places(r"pwrite64\(\d+<[^>]*catalog\.sqlite3-wal>") if at > max(synced[new.parent])]
    assert pointer
    assert not [
        at for at in places(r"pwrite64\(\d+<[^>]*catalog\.sqlite3-wal>") if min(synced[new.parent] + synced[new]) < at < pointer[0]
    ]
    durable = [at for at in places(r"f(data)?sync\(\d+<[^>]*catalog\.sqlite3-wal>") if at > pointer[0]]
    removed = [at for at in places(rf"(unlinkat|rmdir)\(.*{old.name}\b") if at > max(synced[new.parent])]
    assert durable and removed and pointer[0] < durable[0] < removed[0]


_VERSION_2 = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE documents (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL, headings TEXT NOT NULL, pages TEXT NOT NULL,
    sha256 TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL, indexed_at TEXT NOT NULL
) STRICT;
CREATE TABLE failures (id TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, reason TEXT NOT NULL) STRICT;
CREATE TABLE vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL, sentences BLOB NOT NULL, tokens BLOB NOT NULL) STRICT;
CREATE TABLE chunks (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    start INTEGER NOT NULL, end INTEGER NOT NULL, heading TEXT NOT NULL, page INTEGER, sentences TEXT NOT NULL,
    vector_key TEXT NOT NULL, terms BLOB NOT NULL
) STRICT;
CREATE INDEX chunks_by_document ON chunks (document_id);
CREATE INDEX chunks_by_vector ON chunks (vector_key);
ATTACH DATABASE '{now}' AS now;
INSERT INTO settings SELECT name, value FROM now.settings WHERE name IN ('fingerprint', 'chunking', 'lexical', 'generation');
INSERT INTO documents SELECT d.id, d.title, d.text, d.headings, d.pages, d.sha256, f.size, f.modified, f.indexed_at
    FROM now.documents d JOIN now.files f ON f.path = d.file;
INSERT INTO failures SELECT path, size, modified, reason FROM now.files WHERE reason != '';
INSERT INTO vectors SELECT * FROM now.vectors;
INSERT INTO chunks SELECT * FROM now.chunks;
DETACH DATABASE now;
PRAGMA user_version=2;
"""


def test_a_data_folder_of_an_earlier_version_is_taken_over_and_its_catalogue_kept_until_all_is_in_step(
    settings: MakeSettings, chunks_embedded: list[int]
) -> None:
    options: Settings = settings()
    write_documents(options.corpus, {"bees.md": "# Bees\n\nHoney bees dance.", "tea.md": "Tea grows on hills.", "empty.md": ""})
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        before = [hit.chunk for hit in corpus.search("bees dance", 5)]
    path = options.data / "catalog.sqlite3"
    now = path.rename(options.data / "now")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(_VERSION_2.format(now=now))
    now.unlink()
    chunks_embedded.clear()
    kept = path.with_name("catalog.sqlite3.earlier")
    with closing(Corpus(options)) as corpus:
        assert kept.exists()
        assert [hit.chunk for hit in corpus.search("bees dance", 5)] == before
        report = corpus.sync()
        assert report.problem == "" and chunks_embedded == []
        assert not kept.exists() and corpus.index.check()
        assert [info.id for info in corpus.documents()] == ["bees.md", "tea.md", "empty.md"]


def test_a_text_that_says_the_same_over_and_over_is_found_and_no_reason_to_make_the_index_anew(settings: MakeSettings) -> None:
    options = settings()
    dice = random.Random(1)
    words = ["river", "boat", "harbour", "storm", "sail", "tide", "net", "rope", "gull", "pier"]
    for number in range(4):
        sections = [" ".join(dice.choice(words) for _ in range(150)) + "." for _ in range(90)]
        text = "# Log\n\n" + "\n\n".join(f"## Day {day}\n\n{section}" for day, section in enumerate(sections))
        (options.corpus / f"log{number}.md").write_text(text, encoding="utf-8")
    with closing(Corpus(options)) as corpus:
        generation = corpus.catalog.setting("generation")
        assert corpus.sync().problem == ""
        assert corpus.index.check() and corpus.catalog.setting("generation") == generation
        lost = corpus.catalog.chunk_ids()[7]
        assert corpus.index._dense is not None
        corpus.index._dense.update([], np.empty((0, corpus.embedder.dim), np.float32), [lost])
        [chunk] = corpus.catalog.chunks([lost])
        assert not corpus.index.finds([chunk])
