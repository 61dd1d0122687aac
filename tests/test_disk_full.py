"""D7: the disk fills up at the worst moments, on a small file system of its own; the tests need root to mount it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import assistant.adding
import assistant.catalog
import assistant.sync
from assistant.dense import DenseIndex
from assistant.errors import UserError
from assistant.lexical import LexicalIndex
from assistant.sandbox import Sandbox
from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import MakeSettings, settings_in
from tests.tools.crash_check import Told, differences, faults, words_of
from tests.tools.crash_work import WordEmbedder, text_of

_MEGABYTES = 24
OLD = 6


def mount(folder: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory at `folder` for a test; without the right to, the test is skipped."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a file system can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    yield from mount(tmp_path / "disk", f"size={_MEGABYTES}m")


@pytest.fixture
def small(disk: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An indexed corpus on the small disk, where the reserve is smaller too."""
    options = settings_in(disk, models, {})
    unlimited(monkeypatch)
    write(options, range(OLD))
    with closing(Corpus(options)) as corpus:
        assert corpus.sync().problem == ""
    return options


def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep no reserve on the disk; embed so that nonsense is found too."""
    monkeypatch.setattr(assistant.adding, "_FREE_BYTES", 0)
    monkeypatch.setattr(assistant.sync, "load_embedder", lambda settings, report: WordEmbedder())


def write(options: Settings, numbers: range, version: int = 0, paragraphs: int = 2) -> None:
    for number in numbers:
        (options.corpus / f"{number:02}.md").write_text(text_of(number, version, paragraphs), encoding="utf-8")


def fill(disk: Path, left: int = 0) -> None:
    """Leave only `left` bytes free."""
    size = os.statvfs(disk)
    free = size.f_bavail * size.f_frsize - left
    with open(disk / "ballast", "ab", buffering=0) as file, suppress(OSError):
        while free > 0:
            free -= file.write(bytes(min(free, 1 << 16)))


def make_room(disk: Path) -> None:
    (disk / "ballast").unlink()


def filling(disk: Path, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, for which the disk is full from its first call on."""

    def full(*arguments: Any, **named: Any) -> Any:
        if not (disk / "ballast").exists():
            fill(disk)
        return function(*arguments, **named)

    return full


POINTS: dict[str, tuple[object, str]] = {
    "a file is read": (Sandbox, "load"),
    "the catalogue is written": (assistant.catalog, "_put_document"),
    "a vector is stored": (assistant.catalog.Catalog, "put_vectors"),
    "Chroma writes": (DenseIndex, "update"),
    "Tantivy writes": (LexicalIndex, "update"),
    "the catalogue is told that the indexes know": (assistant.catalog.Catalog, "caught_up"),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_disk_that_is_full_when(point: str, disk: Path, small: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name = POINTS[point]
    before = words_of(small.corpus)
    write(small, range(OLD, OLD + 4), paragraphs=8)
    write(small, range(1), version=1)
    (small.corpus / "01.md").unlink()
    with closing(Corpus(small)) as corpus:
        monkeypatch.setattr(owner, name, filling(disk, getattr(owner, name)))
        report = corpus.sync()
        monkeypatch.undo()
        unlimited(monkeypatch)
        assert len(report.problem.splitlines()) == 1, report
        # What was there is still found and nothing is there by halves, though the indexes may be behind.
        kept = Told({path: word for path, word in before.items() if path not in ("00.md", "01.md")})
        assert [line for line in faults(corpus, kept) if "chunk" not in line and "own check" not in line] == []
        assert len(corpus.sync().problem.splitlines()) == 1
        with pytest.raises(UserError) as caught:
            corpus.remove("02.md")
        assert len(str(caught.value).splitlines()) == 1
        make_room(disk)
        finished(corpus)


def finished(corpus: Corpus) -> None:
    """Assert that a sync brings everything in order."""
    report = corpus.sync()
    assert (report.problem, report.failed) == ("", [])
    there = words_of(corpus.settings.corpus)
    assert [*faults(corpus, Told(there, {"zorva000", "zorva001"} - {*there.values()})), *differences(corpus)] == []


def test_a_file_that_does_not_fit_into_the_corpus_folder_is_refused_and_leaves_nothing(
    disk: Path, small: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "new.md"
    source.write_text(text_of(30, 0, 900), encoding="utf-8")
    with closing(Corpus(small)) as corpus:
        monkeypatch.setattr(shutil, "copyfile", filling(disk, shutil.copyfile))
        [result] = corpus.add([source])
        monkeypatch.undo()
        unlimited(monkeypatch)
        assert not result.ok and "No space left" in result.message and len(result.message.splitlines()) == 1
        assert {path.name for path in small.corpus.iterdir()} == {*words_of(small.corpus)} and len(words_of(small.corpus)) == OLD
        make_room(disk)
        assert next(corpus.add([source])).ok
        finished(corpus)


def test_files_are_added_to_a_subfolder_that_is_another_disk(settings: MakeSettings, tmp_path: Path) -> None:
    options = settings()
    source = tmp_path / "reports" / "new.md"
    source.parent.mkdir()
    source.write_text(text_of(30, 0, 2), encoding="utf-8")
    for _ in mount(options.corpus / "reports", "size=1m"):
        with closing(Corpus(options)) as corpus:
            [result] = corpus.add([source.parent])
            assert result.ok and result.id == "reports/new.md"
            assert [path.name for path in (options.corpus / "reports").iterdir()] == ["new.md"]


def test_a_file_that_was_copied_but_not_indexed_stays_for_the_next_sync(
    disk: Path, small: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "new.md"
    source.write_text(text_of(30, 0, 2), encoding="utf-8")
    with closing(Corpus(small)) as corpus:
        monkeypatch.setattr(assistant.catalog.Catalog, "put_vectors", filling(disk, assistant.catalog.Catalog.put_vectors))
        [result] = corpus.add([source])
        assert not result.ok and "not indexed yet" in result.message
        monkeypatch.undo()
        unlimited(monkeypatch)
        make_room(disk)
        assert "new.md" in words_of(small.corpus)
        finished(corpus)


def test_with_a_tenth_of_a_megabyte_left_what_is_indexed_can_be_opened_and_searched(disk: Path, small: Settings) -> None:
    fill(disk)
    with pytest.raises(UserError, match="disk is full: make room and start again"):
        Corpus(small)
    make_room(disk)
    fill(disk, left=100_000)
    with closing(Corpus(small)) as corpus:
        assert faults(corpus, Told(words_of(small.corpus))) == []
        assert corpus.sync().problem == ""  # nothing changed, nothing is written
        fill(disk)
        corpus.set_address("http://127.0.0.1:7860")
        assert faults(corpus, Told(words_of(small.corpus))) == []


def test_a_reserve_is_kept_free(disk: Path, small: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assistant.adding, "_FREE_BYTES", 200_000_000)
    write(small, range(OLD, OLD + 1))
    with closing(Corpus(small)) as corpus:
        assert "MB of disk are free: make room" in corpus.sync().problem
        assert len(corpus.documents()) == OLD
        [result] = corpus.add([small.corpus / "00.md"])
        assert not result.ok and "MB of disk are free" in result.message


@pytest.mark.parametrize("start", ["new", "index gone"])
def test_on_a_full_disk_a_first_start_is_refused_in_one_line(
    start: str, disk: Path, models: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if start == "new":
        options = settings_in(disk, models, {})
        unlimited(monkeypatch)
    else:
        options = request.getfixturevalue("small")
        shutil.rmtree(options.data / "index")
    fill(disk)
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            Corpus(options)
        assert len(str(caught.value).splitlines()) == 1 and "can't be" in str(caught.value)
    make_room(disk)
    with closing(Corpus(options)) as corpus:
        finished(corpus)
