"""The corpus folder and the index in step, over the real embedding model, Chroma, Tantivy and SQLite."""

import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import numpy as np
import pytest

from assistant.catalog import FileEntry, FileState
from assistant.chunking import Chunk
from assistant.documents import Document
from assistant.embedding import Embedded
from assistant.errors import UserError
from assistant.filters import Filter
from assistant.index import Index
from assistant.receipts import Report
from assistant.selections import Selection
from assistant.settings import Settings
from assistant.sync import Corpus, planned
from assistant.terminal import receipt
from tests.conftest import write_documents
from tests.test_loaders_mail import ENCRYPTED

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
    monkeypatch.setattr(Index, "catch_up", lambda self: None)
    corpus.catalog.remove_file("bees.md")
    assert "bees.md" not in found(corpus, "How do bees show the way to flowers?")
    monkeypatch.undo()
    corpus.close()
    corpus = Corpus(options)
    assert not corpus.index.rebuilt and corpus.catalog.count_behind() == 0
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


def test_another_embedding_model_embeds_everything_again(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    corpus = Corpus(options)
    corpus.sync()
    corpus.catalog.set_settings({"fingerprint": "another model"})
    corpus.close()
    lines: list[str] = []
    corpus = Corpus(options, lines.append)
    assert any("embedding model" in line for line in lines) and corpus.notice
    assert corpus.sync().unchanged == 3
    assert corpus.catalog.setting("fingerprint") == corpus.embedder.fingerprint and not corpus.notice
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
    assert results[0].instead_of == "bees.md"
    assert "bees.md is there already with other content, so this one was added as bees (2).md" in results[0].line
    again = next(corpus.add([other / "bees.md"]))
    assert (again.id, again.line) == ("bees (2).md", "is there already, unchanged")
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


def test_what_can_not_be_added_is_refused_with_its_own_reason(settings: MakeSettings, tmp_path: Path) -> None:
    options = settings()
    (tmp_path / "void").mkdir()
    (tmp_path / "tool").write_bytes(b"MZ")
    (tmp_path / "dead.md").symlink_to(tmp_path / "nowhere")
    (tmp_path / "tool.md").symlink_to(tmp_path / "text")
    (tmp_path / "text").write_text("Texts may have no ending.", encoding="utf-8")
    corpus = Corpus(options)
    names = ["void", "tool", "dead.md", "missing.md", "tool.md"]
    void, tool, dead, missing, link = corpus.add([tmp_path / name for name in names])
    assert "this folder has no files" in void.message and "(no ending)" in tool.message
    assert "there is no file" in dead.message and "there is no file" in missing.message
    assert link.ok and link.id == "tool.md"  # it is called as the link is
    corpus.close()


def test_of_a_folder_the_files_of_other_formats_are_counted(settings: MakeSettings, tmp_path: Path) -> None:
    options = settings()
    folder = tmp_path / "work"
    (folder / "deep" / ".git").mkdir(parents=True)
    for name in ("a.exe", "deep/b.exe", "deep/Makefile", ".hidden.exe", "deep/.git/c.exe", "~$lock.exe"):
        (folder / name).write_bytes(b"MZ")
    (folder / "notes.md").write_text("Notes about nothing.", encoding="utf-8")
    with closing(Corpus(options)) as corpus:
        added, other = corpus.add([folder])
        assert added.id == "work/notes.md" and added.ok
        assert other.ok and (other.id, other.message) == ("work", "3 files of other formats passed over (.exe, no ending)")
        assert [result.id for result in corpus.add([folder / "notes.md"])] == ["notes.md"]


def test_a_folder_is_not_removed_by_its_name(settings: MakeSettings) -> None:
    options = settings()
    (options.corpus / "deep").mkdir()
    (options.corpus / "deep" / "notes.md").write_text("Notes about nothing.", encoding="utf-8")
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        for name in ("deep", "deep/"):
            with pytest.raises(UserError, match="is a folder with 1 file: name them"):
                corpus.remove(name)
        assert len(corpus.documents()) == 1


def test_the_corpus_is_never_copied_into_itself(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    (options.corpus / "deep" / "down").mkdir(parents=True)
    (options.corpus / "deep" / "down" / "x.md").write_text("Xylophones have wooden bars.", encoding="utf-8")
    corpus = Corpus(options)
    before = sorted(options.corpus.rglob("*"))
    (refused,) = corpus.add([options.corpus.parent])
    assert not refused.ok and "name the folders or files in it" in refused.message
    inside = [options.corpus / "deep" / "down", options.corpus / "deep" / "down" / "x.md", options.corpus]
    results = list(corpus.add(inside))
    assert [result.id for result in results[:2]] == ["deep/down/x.md"] * 2
    assert sorted(result.id for result in results[2:]) == ["bees.md", "bread.html", "deep/down/x.md", "tides.txt"]
    assert all(result.ok for result in results) and sorted(options.corpus.rglob("*")) == before
    assert corpus.sync().done == 0
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


def counting(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the text of every chunk that is embedded from now on."""
    seen: list[str] = []
    embed = corpus.embedder.embed_chunks

    def noting(chunks: Sequence[Chunk]) -> list[Embedded]:
        seen.extend(chunk.text for chunk in chunks)
        return embed(chunks)

    monkeypatch.setattr(corpus.embedder, "embed_chunks", noting)
    return seen


def test_moved_and_renamed_files_keep_their_vectors_and_are_found_under_the_new_name(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settings()
    write(options, {**TEXTS, "plain note.txt": "Otters hold hands when they sleep."})
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        embedded = counting(corpus, monkeypatch)
        (options.corpus / "deep").mkdir()
        (options.corpus / "bees.md").rename(options.corpus / "deep" / "honey.md")
        (options.corpus / "plain note.txt").rename(options.corpus / "otters.txt")
        report = corpus.sync()
        assert (report.moved, report.done, report.removed, report.unchanged) == (2, 0, 0, 2) and embedded == []
        assert found(corpus, "waggle dance")[0] == "deep/honey.md"
        assert [hit.chunk.title for hit in corpus.search("otters asleep", 1)] == ["otters"]  # its title was its file's name
        assert corpus.search("waggle", 5, filter=Filter(folders=("deep",)))[0].chunk.document_id == "deep/honey.md"
        assert corpus.index.check() and corpus.catalog.count_behind() == 0
        # Another file may now take the name of the one that moved, with partly the same text.
        write(options, {"bees.md": TEXTS["bees.md"] + "\n\nBees sleep at night."})
        corpus.sync()
        assert {*found(corpus, "waggle dance")[:2]} == {"deep/honey.md", "bees.md"}
        assert corpus.index.check()


def test_a_selection_follows_its_documents_to_their_new_names(settings: MakeSettings) -> None:
    options = settings()
    write_documents(options.corpus, {"a.md": "# A\n\nBees dance.", "b.md": "# B\n\nTides rise."})
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        corpus.selections.save(Selection("Both", ("a.md", "b.md", "gone.md")))
        (options.corpus / "a.md").rename(options.corpus / "c")
        (options.corpus / "b.md").rename(options.corpus / "a.md")
        (options.corpus / "c").rename(options.corpus / "b.md")
        (options.corpus / "b.md").rename(options.corpus / "d.md")
        corpus.sync()
        assert corpus.selections.find("both").documents == ("d.md", "a.md", "gone.md")
        damaged = options.data / "selections.json"
        damaged.write_text("{", encoding="utf-8")
        (options.corpus / "d.md").rename(options.corpus / "e.md")
        assert corpus.sync().moved == 1 and damaged.read_text(encoding="utf-8") == "{"


def test_files_that_change_places_are_found_under_each_others_names(settings: MakeSettings) -> None:
    options = settings()
    write(options, {"a.md": "# Storks\n\nStorks clatter.", "b.md": "# Herons\n\nHerons stand still."})
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        (options.corpus / "a.md").rename(options.corpus / "c")
        (options.corpus / "b.md").rename(options.corpus / "a.md")
        (options.corpus / "c").rename(options.corpus / "b.md")
        report = corpus.sync()
        assert (report.moved, report.problem) == (2, "")
        assert found(corpus, "storks clatter")[0] == "b.md" and found(corpus, "herons stand")[0] == "a.md"


def test_the_same_content_twice_is_indexed_once_and_known_by_both_names(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    (options.corpus / "b").mkdir()
    shutil.copyfile(options.corpus / "bees.md", options.corpus / "b" / "copy.md")
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        chunks = corpus.chunk_count()
        owner, copy = "bees.md", "b/copy.md"
        assert found(corpus, "waggle dance").count(owner) == 1 and copy not in found(corpus, "waggle dance")
        [info] = [info for info in corpus.documents() if info.copies]
        assert (info.id, info.copies) == (owner, (copy,))
        assert corpus.sync().unchanged == 4
        assert corpus.search("waggle", 1, filter=Filter(documents=(copy,)))[0].chunk.document_id == owner
        # One of the two goes: the other stays, and nothing is embedded or lost.
        corpus.remove(owner)
        assert [info.id for info in corpus.documents()] == ["b/copy.md", "bread.html", "tides.txt"]
        assert found(corpus, "waggle dance")[0] == copy and corpus.chunk_count() == chunks
        (options.corpus / copy).unlink()
        assert corpus.sync().removed == 1 and copy not in found(corpus, "waggle dance")


def test_a_changed_file_embeds_only_its_changed_chunks(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    options = settings()
    sections = [f"## Part {n}\n\n" + " ".join(f"Sentence {n}-{m} tells of the river {n * m}." for m in range(30)) for n in range(6)]
    write(options, {"long.md": "# Long\n\n" + "\n\n".join(sections)})
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        embedded = counting(corpus, monkeypatch)
        sections[3] = sections[3].replace("Sentence 3-7", "The heron 3-7")
        write(options, {"long.md": "# Long\n\n" + "\n\n".join(sections)})
        corpus.sync()
        assert 1 <= len(embedded) <= 2 and "heron" in embedded[0]
        assert "heron" in corpus.search("heron", 1)[0].chunk.text and corpus.index.check()


def test_a_file_touched_but_not_changed_is_not_read_by_a_loader(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    options = settings()
    write(options)
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        os.utime(options.corpus / "bees.md", (1, 1))
        report = corpus.sync()
        assert (report.done, report.unchanged) == (0, 3)
        assert corpus.sync().unchanged == 3
        assert corpus.catalog.document_ids(before=2_000_000_000) == ["bees.md"]


def test_what_would_be_done_is_told_without_doing_it(settings: MakeSettings) -> None:
    options = settings()
    write(options)
    with closing(Corpus(options)) as corpus:
        assert sorted(corpus.changes().read) == sorted(TEXTS) and corpus.documents() == []
        corpus.sync()
        (options.corpus / "bees.md").rename(options.corpus / "honey.md")
        (options.corpus / "tides.txt").unlink()
        changes = corpus.changes()
        assert list(changes.moved) == ["bees.md"] and changes.removed == ["tides.txt"] and changes.unchanged == 1
        assert "tides.txt" in found(corpus, "spring tides")


def test_a_stopped_sync_keeps_what_was_done_and_goes_on_there(settings: MakeSettings) -> None:
    options = settings()
    write(options, {f"{n:02}.md": f"# Note {n}\n\n" + f"Fact {n} is about island {n}. " * 1500 for n in range(6)})
    stop = threading.Event()
    with closing(Corpus(options)) as corpus:
        report = corpus.sync(lambda report: stop.set(), stop)
        assert report.stopped and 0 < report.done < 6
        assert len(corpus.documents()) == report.done and corpus.index.check()
        assert found(corpus, "island 0")[0] == "00.md"
        rest = corpus.sync()
        assert (rest.done, rest.unchanged, rest.stopped) == (6 - report.done, report.done, False)
        assert len(corpus.documents()) == 6


def test_documents_inside_a_file_are_removed_with_it(settings: MakeSettings) -> None:
    options = settings()
    with closing(Corpus(options)) as corpus:
        main = Document("m.eml", "Offer", "The offer is attached.", (), (), "1")
        inside = replace(main, id="m.eml/prices.md", text="Oak costs 40 a metre.", sha256="2", inside="m.eml")
        corpus.put_files([(FileEntry("m.eml", FileState(1, 2), "1"), [main, inside])])
        corpus.flush()
        assert found(corpus, "price of oak")[0] == "m.eml/prices.md"
        assert corpus.search("oak", 1, filter=Filter(documents=("m.eml",)))[0].chunk.document_id == "m.eml/prices.md"
        with pytest.raises(UserError, match=r"lies inside of m\.eml"):
            corpus.remove("m.eml/prices.md")
        corpus.catalog.rearrange({"m.eml": FileEntry("old/n.eml", FileState(1, 3), "1")}, [])
        corpus.flush()
        assert found(corpus, "price of oak")[0] == "old/n.eml/prices.md"
        corpus.drop("old/n.eml")
        corpus.flush()
        assert corpus.documents() == [] and corpus.chunk_count() == 0 and corpus.index.check()


def test_a_sync_that_somebody_else_started_can_be_stopped_and_the_next_one_is_not(settings: MakeSettings) -> None:
    options = settings()
    write(options, {f"{number}.txt": f"Text {number}. " * 3000 for number in range(6)})
    with closing(Corpus(options)) as corpus:
        report = corpus.sync(lambda report: corpus.stop_sync(), threading.Event())
        assert report.stopped and 0 < report.done < 6
        corpus.stop_sync()  # none runs
        assert len(corpus.changes().read) == 6 - report.done
        assert corpus.last_report is report
        rest = corpus.sync()
        assert (rest.done, rest.stopped) == (6 - report.done, False)
        assert corpus.sync().idle and corpus.last_report is rest


def test_files_whose_adding_was_stopped_are_told_so_and_indexed_by_the_next_sync(settings: MakeSettings, tmp_path: Path) -> None:
    options = settings()
    files = [tmp_path / f"{number}.txt" for number in range(6)]
    for number, file in enumerate(files):
        file.write_text(f"Text {number}. " * 3000, encoding="utf-8")

    class Stopping(Corpus):
        stopping = True

        def put_files(self, files: Sequence[tuple[FileEntry, Sequence[Document]]]) -> list[list[list[Chunk]]]:
            done = super().put_files(files)
            if self.stopping:
                self.stop_sync()
            return done

    with closing(Stopping(options)) as corpus:
        results = list(corpus.add(files))
        failed = [result for result in results if not result.ok]
        assert 0 < len(failed) < 6 and all("not indexed yet" in result.message for result in failed)
        assert {info.id for info in corpus.documents()} == {result.id for result in results if result.ok}
        corpus.stopping = False
        assert corpus.sync().new == len(failed)


def test_a_documents_chunks_come_in_the_order_of_its_text_some_at_a_time(settings: MakeSettings) -> None:
    options = settings()
    write(
        options,
        {"a.md": "\n\n".join(f"# Part {number}\n\n{f'Word {number}. ' * 60}" for number in range(9)), "b.pdf": "%PDF-1.7 x"},
    )
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        whole = corpus.catalog.chunks_of("a.md")
        assert [chunk.start for chunk in whole] == sorted(chunk.start for chunk in whole) and len(whole) >= 9
        assert corpus.catalog.chunks_of("a.md", 2, 3) == whole[2:5] and corpus.catalog.chunks_of("no.md") == []
        assert corpus.catalog.document_count() == len(corpus.documents()) == 2


def test_a_file_added_while_a_long_sync_runs_is_indexed_before_the_sync_ends(settings: MakeSettings, tmp_path: Path) -> None:
    options = settings()
    write(
        options,
        {f"{n:02}.md": f"# Note {n}\n\n" + " ".join(f"Fact {n}-{m} is about an island." for m in range(900)) for n in range(8)},
    )
    (tmp_path / "urgent.md").write_text("# Urgent\n\nThe zeppelin lands at noon.", encoding="utf-8")
    shutil.copyfile(options.corpus / "07.md", tmp_path / "same.md")  # which the sync has not read by then
    first, done = threading.Event(), threading.Event()
    with closing(Corpus(options)) as corpus:

        def syncing() -> None:
            corpus.sync(lambda report: first.set())
            done.set()

        thread = threading.Thread(target=syncing)
        thread.start()
        assert first.wait(60)
        results = list(corpus.add([tmp_path / "urgent.md", tmp_path / "same.md"]))
        early = not done.is_set()
        assert [(result.id, result.ok) for result in results] == [("urgent.md", True), ("same.md", True)]
        assert found(corpus, "zeppelin at noon")[0] == "urgent.md"
        thread.join()
        assert early and corpus.report.done == 8 and corpus.report.problem == ""
        assert len(corpus.documents()) == 9 and corpus.sync().unchanged == 10 and corpus.index.check()
        assert [(info.id, info.copies) for info in corpus.documents() if info.copies] == [("same.md", ("07.md",))]


def test_a_file_is_not_taken_for_a_copy_of_one_that_changes_again_while_it_is_read(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.sync._TOGETHER", 10)
    options = settings()
    write(options, {"m.md": "# Harbour\n\nThe harbour has two cranes."})
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        new = "# Harbour\n\nThe harbour has five cranes, and a lighthouse."
        write(options, {"a.md": "# First\n\nThis is read before the others.", "m.md": new, "n.md": new})
        corpus.sync(lambda report: write(options, {"m.md": "# Harbour\n\nThe harbour was closed for good."}))
        assert "n.md" not in corpus.catalog.files()
        corpus.sync()
        texts = {info.id: corpus.catalog.text(info.id, 11, 60) for info in corpus.documents()}
        assert texts["m.md"] == "The harbour was closed for good." and texts["n.md"] == new[11:]


def test_other_passwords_have_protected_files_read_again_also_those_inside_of_others(settings: MakeSettings) -> None:
    options = settings(ASSISTANT_PASSWORDS="wrong")
    (options.corpus / "e.zip").write_bytes(ENCRYPTED)
    mail = EmailMessage()
    mail["Subject"] = "Plans"
    mail.set_content("The plans are in the archive.")
    mail.add_attachment(ENCRYPTED, maintype="application", subtype="zip", filename="inner.zip")
    (options.corpus / "plans.eml").write_bytes(bytes(mail))
    write(options)
    with closing(Corpus(options)) as corpus:
        assert [result.id for result in corpus.sync().failed] == ["e.zip"]
        assert [info.id for info in corpus.documents() if "plans" in info.id] == ["plans.eml"]
        assert corpus.sync().unchanged == 5
    right = settings(ASSISTANT_PASSWORDS="geheim")
    assert sorted(planned(right)[0].read) == ["e.zip", "plans.eml"]
    with closing(Corpus(right)) as corpus:
        report = corpus.sync()
        assert (report.failed, report.done, report.unchanged) == ([], 2, 3)
        assert [info.id for info in corpus.documents() if "/s.txt" in info.id] == ["e.zip/s.txt", "plans.eml/inner.zip/s.txt"]


def test_a_stop_while_nothing_runs_stops_nothing_that_begins_later(settings: MakeSettings, tmp_path: Path) -> None:
    (tmp_path / "late.md").write_text("# Late\n\nThe ferry was late.", encoding="utf-8")
    with closing(Corpus(settings())) as corpus:
        corpus.stop_sync()
        assert [result.ok for result in corpus.add([tmp_path / "late.md"])] == [True] and found(corpus, "ferry") == ["late.md"]


def test_what_could_not_be_read_of_an_archive_is_told_with_what_lies_in_it(settings: MakeSettings) -> None:
    options = settings()
    with zipfile.ZipFile(options.corpus / "a.zip", "w") as archive:
        archive.writestr("b.md", "# Ferry\n\nThe ferry was late.")
        archive.writestr("c.exe", "MZ")
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        [info] = corpus.documents()
        assert (info.id, info.warnings) == ("a.zip/b.md", ()) and [".exe" in line for line in info.around] == [True]
        assert any(".exe" in line for line in receipt(info, None))


def test_an_added_file_is_on_the_disk_before_it_counts_as_indexed(
    settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settings()
    (tmp_path / "ferry.md").write_text("# Ferry\n\nThe ferry was late.", encoding="utf-8")
    written: list[int] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        written.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with closing(Corpus(options)) as corpus:
        assert [result.ok for result in corpus.add([tmp_path / "ferry.md"])] == [True]
    places = [(options.corpus / "ferry.md").stat().st_ino, options.corpus.stat().st_ino]
    assert [place for place in written if place in places] == places


def test_a_pipe_stops_no_sync_and_is_told(settings: MakeSettings) -> None:
    options = settings()
    os.mkfifo(options.corpus / "pipe.txt")
    (options.corpus / "empty.md").write_bytes(b"")  # as large as the pipe, so that contents are compared
    (options.corpus / "good.md").write_text("Bees dance.", encoding="utf-8")
    with closing(Corpus(options)) as corpus:
        assert {*corpus.changes().read} == {"pipe.txt", "empty.md", "good.md"}
        report = corpus.sync()
        assert {result.id: result.message for result in report.failed} == {
            "pipe.txt": "it is not a regular file",
            "empty.md": "it is empty",
        }
        assert report.new == 1 and corpus.sync().idle


def test_a_file_whose_name_cannot_be_shown_is_removed_and_one_that_looks_the_same_is_told(settings: MakeSettings) -> None:
    options = settings()
    odd = options.corpus / "new\nline.md"
    odd.write_text("Bees dance.", encoding="utf-8")
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        [info] = corpus.documents()
        alike = options.corpus / info.id
        alike.write_text("Tides rise.", encoding="utf-8")
        assert "look like this" in corpus.sync().problem
        alike.unlink()
        assert corpus.remove(info.id) == [] and not odd.exists()
        assert corpus.sync().idle and corpus.documents() == []


def test_what_stays_of_the_same_content_is_told(settings: MakeSettings) -> None:
    options = settings()
    for name in ("a.md", "b.md", "c.md"):
        (options.corpus / name).write_text("Bees dance.", encoding="utf-8")
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        assert corpus.remove("a.md") == ["b.md", "c.md"]
        assert corpus.remove("b.md") == ["c.md"]
        assert corpus.remove("c.md") == [] and corpus.documents() == []


def test_a_stop_ends_the_syncs_that_wait_too(settings: MakeSettings) -> None:
    options = settings()
    for number in range(40):
        (options.corpus / f"{number}.md").write_text(
            f"# Note {number}\n\n" + f"Island {number} has a harbour. " * 400, encoding="utf-8"
        )
    with closing(Corpus(options)) as corpus:
        running, go_on = threading.Event(), threading.Event()

        def progress(report: Report) -> None:
            running.set()
            assert go_on.wait(30)

        reports: list[Report] = []
        first = threading.Thread(target=lambda: reports.append(corpus.sync(progress)))
        first.start()
        assert running.wait(30)
        waiting = threading.Thread(target=lambda: reports.append(corpus.sync()))
        waiting.start()
        waiting.join(0.5)  # it waits for the first now
        corpus.stop_sync()
        go_on.set()
        first.join(30)
        waiting.join(30)
        assert [report.stopped for report in reports] == [True, True]
        assert 0 < len(corpus.documents()) < 40
        assert corpus.sync().new == 40 - len(reports[0].results)
