"""A corpus folder that went away or can't be listed: nothing of it is dropped from the index."""

import ctypes
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from assistant.catalog import FileEntry
from assistant.collection import EMBED_BATCH
from assistant.errors import UserError
from assistant.folder import compare, disk_of, file_state, list_folder
from assistant.settings import Settings
from assistant.sync import Corpus, planned
from tests.conftest import WriteCorpus

TEXTS = {
    "bees.md": "# Bees\n\nHoney bees dance to show where flowers are.",
    "deep/tides.txt": "TIDES\n\nThe moon pulls the sea.",
    "deep/er/bread.md": "# Bread\n\nSourdough rises with wild yeast.",
}
_READ_ALL = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, with which root reads everything


@contextmanager
def without_rights() -> Iterator[None]:
    """Take from this thread the right to read what the permissions forbid, which root has."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    before = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    less = (ctypes.c_uint32 * 6)(*before)
    less[0] &= ~_READ_ALL
    assert libc.capset(header, less) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


@pytest.fixture
def indexed(settings: Callable[..., Settings], corpus: WriteCorpus) -> Iterator[Corpus]:
    corpus(TEXTS)
    with closing(Corpus(settings())) as opened:
        assert opened.sync().new == 3
        yield opened


def everything_is_there(corpus: Corpus) -> bool:
    found = [corpus.search(words, 1)[0].chunk.document_id for words in ("bees dance", "moon and sea", "wild yeast")]
    return found == list(TEXTS) and len(corpus.documents()) == 3 and corpus.index.check()


def test_a_folder_that_vanished_keeps_its_documents_and_says_so(indexed: Corpus) -> None:
    folder = indexed.settings.corpus
    folder.rename(folder.with_name("away"))
    report = indexed.sync()
    assert report.problem.startswith(f"The corpus folder {folder} can't be read (No such file or directory): nothing was removed")
    assert (report.removed, report.unchanged) == (0, 3) and everything_is_there(indexed)
    folder.with_name("away").rename(folder)
    again = indexed.sync()
    assert (again.problem, again.unchanged, again.removed) == ("", 3, 0)


def test_a_file_in_place_of_the_folder_is_no_empty_folder(indexed: Corpus) -> None:
    folder = indexed.settings.corpus
    folder.rename(folder.with_name("away"))
    folder.write_text("not a folder", encoding="utf-8")
    report = indexed.sync()
    assert "Not a directory" in report.problem and report.removed == 0 and everything_is_there(indexed)


def test_an_emptied_folder_is_emptied_but_not_where_another_disk_was(indexed: Corpus) -> None:
    folder = indexed.settings.corpus
    shutil.rmtree(folder)
    folder.mkdir()
    known = indexed.catalog.files()
    assert indexed.catalog.setting("disk") == disk_of(folder)
    unmounted = compare(list_folder(folder), known, f"12345 {folder}")
    assert "on another disk" in unmounted.problem and unmounted.removed == [] and unmounted.unchanged == 3
    (folder / "new.md").write_text("new", encoding="utf-8")  # put there meanwhile: still the wrong disk
    unmounted = compare(list_folder(folder), known, f"12345 {folder}")
    assert unmounted.problem and unmounted.removed == [] and list(unmounted.read) == ["new.md"]
    (folder / "new.md").unlink()
    assert indexed.sync().removed == 3 and indexed.documents() == []


def test_a_picture_that_was_read_stays_when_tesseract_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {}
    for name in ("gone.png", "scan.png"):
        (tmp_path / name).write_bytes(b"x")
        state = file_state(tmp_path / name)
        assert state is not None
        known[name] = FileEntry(name, state, "0" * 64)
    (tmp_path / "gone.png").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    changes = compare(list_folder(tmp_path), known, "")
    assert changes.removed == ["gone.png"] and changes.unchanged == 1 and not changes.read


@pytest.mark.skipif(sys.platform != "linux", reason="takes rights from a thread as Linux does")
def test_a_subfolder_that_cannot_be_listed_keeps_its_documents_while_the_rest_is_synced(indexed: Corpus) -> None:
    folder = indexed.settings.corpus
    (folder / "bees.md").unlink()
    (folder / "new.md").write_text("# Storks\n\nStorks clatter.", encoding="utf-8")
    (folder / "deep").chmod(0)
    try:
        with without_rights():
            report = indexed.sync()
            report_again = indexed.sync()
    finally:
        (folder / "deep").chmod(0o755)
    assert report.problem.startswith("deep can't be read (Permission denied)")
    assert (report.new, report.removed, report.unchanged) == (1, 1, 2)
    assert (report_again.new, report_again.removed, report_again.unchanged) == (0, 0, 3) and report_again.problem
    assert [info.id for info in indexed.documents()] == ["deep/er/bread.md", "deep/tides.txt", "new.md"]
    assert indexed.sync().problem == ""


@pytest.mark.skipif(sys.platform != "linux", reason="takes rights from a thread as Linux does")
def test_files_that_cannot_be_looked_at_are_not_gone(indexed: Corpus) -> None:
    deep = indexed.settings.corpus / "deep"
    deep.chmod(0o600)  # its names can be read, its files can't be looked at
    try:
        with without_rights():
            listing = list_folder(indexed.settings.corpus)
            report = indexed.sync()
    finally:
        deep.chmod(0o755)
    assert listing.unreadable and "Permission denied" in listing.unreadable["deep/tides.txt"]
    assert "deep/tides.txt" in report.problem and report.removed == 0 and everything_is_there(indexed)


def test_a_folder_removed_on_purpose_is_dropped(indexed: Corpus) -> None:
    shutil.rmtree(indexed.settings.corpus / "deep")
    report = indexed.sync()
    assert (report.problem, report.removed, report.unchanged) == ("", 2, 1)


def test_a_file_added_while_the_folder_is_away_is_refused_and_nothing_is_lost(indexed: Corpus, tmp_path: Path) -> None:
    folder = indexed.settings.corpus
    folder.rename(folder.with_name("away"))
    source = tmp_path / "more.md"
    source.write_text("# More\n\nHerons stand still.", encoding="utf-8")
    [result] = indexed.add([source])
    assert not result.ok and not folder.exists()
    folder.with_name("away").rename(folder)
    assert indexed.sync().unchanged == 3 and everything_is_there(indexed)


def test_what_a_sync_would_do_is_told_beside_the_process_that_owns_the_data(indexed: Corpus) -> None:
    folder = indexed.settings.corpus
    (folder / "bees.md").rename(folder / "honey.md")
    (folder / "new.md").write_text("new", encoding="utf-8")
    (folder / "copy.md").write_text(TEXTS["deep/er/bread.md"], encoding="utf-8")
    (folder / "deep" / "tides.txt").write_text("other", encoding="utf-8")
    changes, known = planned(indexed.settings)
    assert [(old, entry.path) for old, entry in changes.moved.items()] == [("bees.md", "honey.md")]
    assert {path: entry.same_as for path, entry in changes.same.items()} == {"copy.md": "deep/er/bread.md"}
    assert sorted((id, id in known) for id in changes.read) == [("deep/tides.txt", True), ("new.md", False)]
    report = indexed.sync()
    assert (report.new, report.changed, report.same, report.moved, report.unchanged) == (1, 1, 1, 1, 1)


def test_a_folder_that_is_not_there_at_the_start_is_a_mistake(settings: Callable[..., Settings]) -> None:
    options = settings()
    options.corpus.rmdir()
    with pytest.raises(UserError, match="does not exist"):
        planned(options)


def test_a_stop_ends_the_reading_of_a_single_long_file_and_what_was_embedded_is_not_embedded_again(
    settings: Callable[..., Settings], corpus: WriteCorpus
) -> None:
    text = "\n\n".join(" ".join(f"Fact {n}-{m} is about island {n * m}." for m in range(25)) for n in range(400))
    corpus({"long.md": text})
    stop = threading.Event()
    with closing(Corpus(settings())) as opened:
        embed, batches = opened.embedder.embed_chunks, [0]

        def stopping(chunks):  # type: ignore[no-untyped-def]
            batches[0] += 1
            if batches[0] == 2:
                stop.set()
            return embed(chunks)

        opened.embedder.embed_chunks = stopping  # type: ignore[method-assign]
        report = opened.sync(stop=stop)
        assert report.stopped and (report.done, batches[0]) == (0, 2) and opened.documents() == []
        stop.clear()
        rest = opened.sync()
        assert rest.done == 1 and not rest.stopped
        assert batches[0] == -(-rest.chunks // EMBED_BATCH)
