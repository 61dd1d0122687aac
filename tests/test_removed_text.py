"""D9: what is removed leaves no trace: not found, not doubled, and its words in no file of the data folder."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import assistant.index
import assistant.sync
from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import MakeSettings, WriteCorpus
from tests.tools.crash_check import Told, canary, differences, faults, words_of
from tests.tools.crash_work import WordEmbedder, text_of

RARE = "quetzalxylograph"  # as Tantivy stems it, so that it would stand in its files as it is


@pytest.fixture
def plain(settings: MakeSettings, corpus: WriteCorpus, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a corpus of six files."""
    monkeypatch.setattr(assistant.sync, "load_embedder", lambda settings, report: WordEmbedder())
    corpus({f"{number:02}.md": text_of(number, 0, 4) for number in range(6)})
    return settings()


def holders(data: Path, word: str) -> Iterator[str]:
    """Yield the files below `data` in which `word` stands."""
    for path in sorted(data.rglob("*")):
        if path.is_file() and not path.is_relative_to(data / "models") and word.encode() in path.read_bytes().lower():
            yield path.relative_to(data).as_posix()


def in_dictionary(corpus: Corpus, word: str) -> bool:
    """Whether Tantivy's dictionary has a word; there it stands in pieces that a search of the file's bytes may miss."""
    assert corpus.index._lexical is not None
    return bool(corpus.index._lexical._index.searcher().doc_freq("text", word))


def test_whatever_happens_to_a_file_nothing_is_doubled_and_no_old_text_is_found(plain: Settings) -> None:
    folder, first = plain.corpus, plain.corpus / "00.md"
    gone: set[str] = set()

    def check(corpus: Corpus) -> None:
        report = corpus.sync()
        assert (report.problem, report.failed) == ("", [])
        there = words_of(folder)
        assert [*faults(corpus, Told(there, gone - {*there.values()})), *differences(corpus)] == []

    with closing(Corpus(plain)) as corpus:
        check(corpus)
        shutil.copyfile(first, folder / "twice.md")
        check(corpus)
        first.rename(folder / "renamed.md")
        check(corpus)
        text = (folder / "01.md").read_text(encoding="utf-8")
        (folder / "01.md").write_text(text.replace("zorva001", "zorva002"), encoding="utf-8")  # one byte of each word
        (folder / "02.md").unlink()  # so that no word stands twice
        gone |= {"zorva001"}
        check(corpus)
        kept = (folder / "03.md").read_bytes()
        (folder / "03.md").unlink()
        gone |= {"zorva003"}
        check(corpus)
        (folder / "03.md").write_bytes(kept)
        check(corpus)
        (folder / "deep").mkdir()
        for path in sorted(folder.glob("*.md")):
            path.rename(folder / "deep" / path.name)
        check(corpus)
        (folder / "deep").rename(folder / "deeper")
        check(corpus)
        shutil.rmtree(folder / "deeper")
        gone |= {f"zorva00{number}" for number in range(6)}
        check(corpus)
        assert corpus.chunk_count() == 0


@pytest.mark.parametrize("how", ["deleted", "changed", "removed", "deleted while nobody watched"])
def test_the_words_of_removed_text_stand_in_no_file_of_the_data_folder(how: str, plain: Settings) -> None:
    secret = plain.corpus / "secret.md"
    secret.write_text(f"# Secret\n\nThe {RARE} is hidden in the cellar.\n\n" + text_of(7, 0, 3), encoding="utf-8")
    with closing(Corpus(plain)) as corpus:
        corpus.sync()
        assert in_dictionary(corpus, RARE) and "catalog.sqlite3" in {path.split("-")[0] for path in holders(plain.data, RARE)}
        if how == "removed":
            corpus.remove("secret.md")
        elif how == "changed":
            secret.write_text(text_of(7, 0, 3), encoding="utf-8")
            corpus.sync()
        elif how == "deleted":
            secret.unlink()
            corpus.sync()
    if how == "deleted while nobody watched":
        secret.unlink()
    with closing(Corpus(plain)) as corpus:
        corpus.sync()
        assert not in_dictionary(corpus, RARE)
        assert list(holders(plain.data, RARE)) == []
        assert faults(corpus, Told(words_of(plain.corpus))) == []


def test_a_process_that_ends_before_it_erased_the_words_erases_them_the_next_time(
    plain: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain.corpus / "secret.md").write_text(f"The {RARE} is hidden in the cellar.\n", encoding="utf-8")
    with closing(Corpus(plain)) as corpus:
        corpus.sync()
        (plain.corpus / "secret.md").unlink()
        monkeypatch.setattr(assistant.index.Index, "erase_words", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            corpus.sync()
        assert in_dictionary(corpus, RARE)
    monkeypatch.undo()
    monkeypatch.setattr(assistant.sync, "load_embedder", lambda settings, report: WordEmbedder())
    with closing(Corpus(plain)) as corpus:
        corpus.sync()
        assert not in_dictionary(corpus, RARE) and list(holders(plain.data, RARE)) == []


def _interrupted(index: assistant.index.Index) -> None:
    raise KeyboardInterrupt


def test_the_canary_of_these_tests_is_one_that_can_be_found() -> None:
    assert canary("zorva001") in text_of(1, 0, 2) and RARE not in text_of(1, 0, 2)
