"""D1, D2, D3, D6: what a killed process leaves; tests/tools/crash.py does the same a few hundred times."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import assistant.sync
from assistant.errors import StorageError
from assistant.index import Index
from assistant.sync import Corpus
from tests.conftest import MakeSettings, run_python
from tests.tools.crash_check import Told, canary, differences, faults, words_of
from tests.tools.crash_work import WordEmbedder, text_of


def test_a_killed_process_loses_nothing_doubles_nothing_and_brings_nothing_back(models: Path) -> None:
    """At some random moments, writes of Chroma's vectors and commit points, and when two start at once."""
    numbers = ("--random", "5", "--persist", "2", "--large", "4", "--step", "17", "--race", "1")
    ran = run_python("-m", "tests.tools.crash", "--models", str(models), *numbers, timeout=600)
    tallies = json.loads(ran.out)
    assert {tally["kind"]: tally["examples"] for tally in tallies if tally["found"]} == {}
    assert ran.code == 0 and sum(tally["kills"] for tally in tallies) > 12, ran.err


@pytest.fixture
def corpus(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Corpus]:
    monkeypatch.setattr(assistant.sync, "load_embedder", lambda settings, report: WordEmbedder())
    options = settings()
    for number in range(4):
        (options.corpus / f"{number}.md").write_text(text_of(number, 0, 3), encoding="utf-8")
    with closing(Corpus(options)) as opened:
        opened.sync()
        assert found(opened) == set() and differences(opened) == []
        yield opened


def found(corpus: Corpus, gone: str = "") -> set[str]:
    """Return the kinds of faults that the examination finds."""
    there = {path: word for path, word in words_of(corpus.settings.corpus).items() if word != gone}
    return {line.split()[0].strip(":") for line in faults(corpus, Told(there, {gone} - {""}))}


def test_the_examination_notices_a_lost_document(corpus: Corpus) -> None:
    corpus.drop("1.md")
    corpus.flush()
    assert found(corpus) == {"lost"}
    assert [line.split()[0] for line in differences(corpus)] == ["lost", "doubled:"]


def test_the_examination_notices_vectors_and_words_that_are_gone(corpus: Corpus) -> None:
    dense, chunks = corpus.index._dense, corpus.catalog.chunks(corpus.catalog.chunk_ids())
    assert dense is not None
    dense.update([], np.empty((0, 384), np.float32), [chunks[0].id])
    assert found(corpus) == {"lost", "broken"}
    corpus.index.rebuild()
    assert corpus.index._lexical is not None
    corpus.index._lexical.update([], [chunk.id for chunk in chunks if chunk.document_id == "2.md"])
    assert found(corpus) == {"lost", "broken"}


def test_the_examination_notices_a_ghost(corpus: Corpus) -> None:
    assert found(corpus, gone="zorva002") == {"ghost"}
    assert corpus.search(canary("zorva002"), 1)[0].chunk.document_id == "2.md"
    (corpus.settings.corpus / "2.md").unlink()
    assert [line for line in differences(corpus) if "ghost" in line] == ["ghost 2.md after the sync"]


def test_the_examination_notices_what_is_left_in_the_indexes(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Index, "catch_up", lambda self: None)
    corpus.drop("1.md")
    (corpus.settings.corpus / "1.md").unlink()
    assert found(corpus) == {"ghost", "broken"}


def test_the_examination_notices_a_doubled_chunk(corpus: Corpus) -> None:
    [first] = corpus.catalog._rows("SELECT min(row) FROM chunks")
    columns = "document_id, start, end, heading, page, sentences, vector_key, terms"
    corpus.catalog._db.execute(f"INSERT INTO chunks (id, {columns}) SELECT 'twice', {columns} FROM chunks WHERE row = ?", first)
    corpus.flush()
    assert "doubled" in found(corpus)


def test_the_examination_notices_a_document_by_halves(corpus: Corpus) -> None:
    [last] = corpus.catalog._rows("SELECT max(row) FROM chunks")
    corpus.catalog._db.execute("DELETE FROM chunks WHERE row = ?", last)
    corpus.flush()
    assert "broken" in found(corpus)


def test_an_index_that_cannot_be_made_anew_stays_in_use_and_what_it_has_not_heard_of_is_kept(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("error returned from database:\n(code: 13) database or disk is full")

    (corpus.settings.corpus / "new.md").write_text(text_of(8, 0, 2), encoding="utf-8")
    monkeypatch.setattr("assistant.dense.DenseIndex.update", fail)
    report = corpus.sync()
    assert "disk is full" in report.problem and "\n" not in report.problem
    assert corpus.catalog.count_behind() > 0 and canary("zorva001") in corpus.search(canary("zorva001"), 1)[0].chunk.text
    with pytest.raises(StorageError):
        corpus.remove("0.md")
    monkeypatch.undo()
    monkeypatch.setattr(assistant.sync, "load_embedder", lambda settings, report: WordEmbedder())
    assert corpus.sync().problem == "" and found(corpus) == set() and differences(corpus) == []
