"""The corpus folder and the index in step, over the real embedding model, Chroma, Tantivy and SQLite."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assistant.catalog import FileState
from assistant.documents import Document
from assistant.errors import UserError
from assistant.index import Index
from assistant.settings import Settings
from assistant.sync import Corpus

MakeSettings = Callable[..., Settings]
TEXTS = {
    "bees.md": "# Bees\n\nHoney bees dance to tell each other where flowers are. The waggle dance shows direction and distance.",
    "tides.txt": "TIDES\n\nThe moon pulls the sea. Spring tides come with the new and the full moon.",
    "bread.html": "<html><body><main><h1>Bread</h1><p>Sourdough rises with wild yeast. It needs flour, water, salt and a long time.</p></main></body></html>",
}


def write(settings: Settings, texts: dict[str, str] = TEXTS) -> None:
    for name, text in texts.items():
        (settings.corpus / name).write_text(text, encoding="utf-8")


def found(corpus: Corpus, query: str) -> list[str]:
    return [hit.chunk.document_id for hit in corpus.search(query, 5)]


def test_files_are_indexed_once_changed_when_they_change_and_dropped_when_removed(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    corpus = Corpus(options)
    first = corpus.sync()
    assert (first.done, first.unchanged, first.removed, first.failed) == (3, 0, 0, [])
    assert found(corpus, "How do bees show the way to flowers?")[0] == "bees.md"
    again = corpus.sync()
    assert (again.done, again.unchanged) == (0, 3)

    (options.corpus / "bees.md").write_text("# Bees\n\nBumblebees buzz to shake pollen loose.", encoding="utf-8")
    changed = corpus.sync()
    assert (changed.done, changed.unchanged) == (1, 2)
    assert all("waggle" not in hit.chunk.text for hit in corpus.search("waggle dance direction", 5))
    assert found(corpus, "shake pollen loose")[0] == "bees.md"

    (options.corpus / "tides.txt").unlink()
    assert corpus.sync().removed == 1
    assert "tides.txt" not in found(corpus, "spring tides and the moon")
    assert [info.id for info in corpus.documents()] == ["bees.md", "bread.html"]
    corpus.close()


def test_a_second_start_reads_nothing_and_finds_the_same(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    corpus = Corpus(options)
    corpus.sync()
    before = [(hit.chunk, round(hit.score, 5)) for hit in corpus.search("yeast", 5)]
    corpus.close()
    corpus = Corpus(options)
    assert not corpus.index.rebuilt
    assert corpus.sync().done == 0
    assert [(hit.chunk, round(hit.score, 5)) for hit in corpus.search("yeast", 5)] == before
    corpus.close()


def test_a_file_that_fails_is_listed_with_its_reason_and_stops_no_other(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    (options.corpus / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (options.corpus / "empty.md").write_bytes(b"")
    corpus = Corpus(options)
    report = corpus.sync()
    assert sorted(result.id for result in report.failed) == ["broken.pdf", "empty.md"]
    assert {info.id: info.reason for info in corpus.documents() if info.reason}["empty.md"] == "it is empty"
    assert corpus.sync().done == 0
    assert found(corpus, "sourdough")[0] == "bread.html"
    corpus.close()


def test_deleted_and_changed_text_is_never_found_even_by_a_stale_index(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settings()
    write(options)
    corpus = Corpus(options)
    corpus.sync()
    # The indexes are left behind on purpose, as by a crash between the two writes.
    monkeypatch.setattr(Index, "update", lambda self, ids, gone: None)
    corpus.catalog.remove_document("bees.md")
    assert "bees.md" not in found(corpus, "How do bees show the way to flowers?")
    monkeypatch.undo()
    corpus.close()
    corpus = Corpus(options)
    assert corpus.index.rebuilt
    assert corpus.index.check()
    corpus.close()


@pytest.mark.parametrize(
    "damage", ["folder gone", "dense gone", "vectors cut", "database garbage", "lexical gone", "generation unknown"]
)
def test_a_damaged_index_is_made_again_from_the_catalogue(settings: MakeSettings, damage: str) -> None:
    options = settings()
    write(options)
    corpus = Corpus(options)
    corpus.sync()
    folder = options.data / "index" / f"gen-{corpus.catalog.setting('generation')}"
    if damage == "generation unknown":
        corpus.catalog.set_settings({"generation": "77"})
    corpus.close()
    if damage == "folder gone":
        shutil.rmtree(folder)
    elif damage == "dense gone":
        shutil.rmtree(folder / "dense")
    elif damage == "lexical gone":
        shutil.rmtree(folder / "lexical")
    elif damage == "vectors cut":
        for path in (folder / "dense").glob("*/*.bin"):
            os.truncate(path, path.stat().st_size // 2)
    elif damage == "database garbage":
        (folder / "dense" / "chroma.sqlite3").write_bytes(b"garbage" * 1000)
    corpus = Corpus(options)
    assert corpus.sync().done == 0
    assert corpus.index.check()
    assert found(corpus, "wild yeast")[0] == "bread.html"
    assert len(list((options.data / "index").iterdir())) == 1
    corpus.close()


def test_vectors_lost_while_the_count_stays_right_are_noticed(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    corpus = Corpus(options)
    corpus.sync()
    dense = corpus.index._dense
    assert dense is not None
    lost = corpus.catalog.chunk_ids()[0]
    wrong = np.random.default_rng(1).normal(size=(1, corpus.embedder.dim)).astype(np.float32)
    dense.update([lost], wrong, [])
    assert dense.count() == corpus.chunk_count()
    assert not corpus.index.check()
    corpus.close()


def test_another_embedding_model_indexes_everything_again(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    corpus = Corpus(options)
    corpus.sync()
    corpus.catalog.set_settings({"fingerprint": "another model"})
    corpus.close()
    lines: list[str] = []
    corpus = Corpus(options, lines.append)
    assert any("embedding model" in line for line in lines)
    assert corpus.sync().done == 3
    assert found(corpus, "wild yeast")[0] == "bread.html"
    corpus.close()


def test_added_files_are_copied_renamed_when_the_name_is_taken_and_not_doubled(settings: MakeSettings, tmp_path: Path) -> None:
    options = settings()
    write(options)
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "bees.md").write_text("# Other bees\n\nMason bees live alone in hollow stems.", encoding="utf-8")
    (other / "tool.exe").write_bytes(b"MZ")
    (other / "void.txt").write_bytes(b"")
    corpus = Corpus(options)
    corpus.sync()
    results = list(corpus.add([other / "bees.md", other / "tool.exe", other / "void.txt", other / "missing.md"]))
    assert [result.ok for result in results] == [True, False, False, False]
    assert results[0].id == "bees (2).md"
    assert found(corpus, "mason bees hollow stems")[0] == "bees (2).md"
    assert next(corpus.add([other / "bees.md"])).id == "bees (2).md"
    assert sorted(path.name for path in options.corpus.iterdir()) == ["bees (2).md", "bees.md", "bread.html", "tides.txt"]
    assert corpus.sync().done == 0
    corpus.close()


def test_a_folder_is_added_with_its_files(settings: MakeSettings, tmp_path: Path) -> None:
    options = settings()
    folder = tmp_path / "more" / "deep"
    folder.mkdir(parents=True)
    (folder / "x.md").write_text("# X\n\nXylophones have wooden bars.", encoding="utf-8")
    corpus = Corpus(options)
    assert [result.id for result in corpus.add([tmp_path / "more"])] == ["more/deep/x.md"]
    assert found(corpus, "wooden bars of a xylophone") == ["more/deep/x.md"]
    corpus.close()


def test_removing_deletes_the_file_and_its_chunks_and_refuses_unknown_names(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    corpus = Corpus(options)
    corpus.sync()
    corpus.remove("bees.md")
    assert not (options.corpus / "bees.md").exists()
    assert "bees.md" not in found(corpus, "bees")
    (options.corpus.parent / "outside.txt").write_text("keep", encoding="utf-8")
    for name in ("bees.md", "../outside.txt", "/etc/passwd", ""):
        with pytest.raises(UserError):
            corpus.remove(name)
    assert (options.corpus.parent / "outside.txt").exists()
    corpus.close()


def test_folders_that_cannot_be_used_are_named_in_one_line(settings: MakeSettings, tmp_path: Path) -> None:
    options = settings()
    file = tmp_path / "a file"
    file.write_text("x", encoding="utf-8")
    for wrong in (
        replace(options, corpus=tmp_path / "none"),
        replace(options, corpus=file),
        replace(options, data=file / "data"),
        replace(options, data=options.corpus / "data"),
    ):
        with pytest.raises(UserError) as caught:
            Corpus(wrong)
        assert "\n" not in str(caught.value)


def test_every_hit_is_the_exact_text_of_its_document(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    corpus = Corpus(options)
    corpus.sync()
    hits = [hit for query in ("bees", "moon and sea", "flour") for hit in corpus.search(query, 10)]
    assert len(hits) == 9
    for hit in hits:
        document = corpus.catalog.document(hit.chunk.document_id)
        assert document is not None
        assert document.text[hit.chunk.start : hit.chunk.end] == hit.chunk.text
        start, end = hit.best_sentence
        assert hit.chunk.start <= start < end <= hit.chunk.end
    corpus.close()


def test_of_a_document_put_and_dropped_before_the_indexes_hear_of_it_the_last_counts(settings: MakeSettings) -> None:
    corpus = Corpus(settings())
    document = Document("a.md", "A", "The harbour froze in March.", (), (), "a" * 64)
    other = replace(document, id="b.md")
    state = FileState(1, 2)
    generation = corpus.catalog.setting("generation")
    corpus.put([(document, state), (other, state)])
    corpus.put([(document, state)])
    corpus.drop("b.md")
    corpus.flush()
    assert [hit.chunk.document_id for hit in corpus.search("harbour", 5)] == ["a.md"]
    corpus.drop("a.md")
    corpus.put([(document, state)])
    corpus.flush()
    assert [hit.chunk.document_id for hit in corpus.search("harbour", 5)] == ["a.md"]
    assert corpus.index.check() and corpus.catalog.setting("generation") == generation
    corpus.close()
