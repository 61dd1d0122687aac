"""One document is read and embedded again; dropped folders keep their structure; two who remove the same file."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from assistant.catalog import FileState, vector_key
from assistant.changes import Changes
from assistant.cli import main
from assistant.embedding import Embedded
from assistant.errors import UserError
from assistant.receipts import FileResult, Report
from assistant.settings import Settings
from assistant.stream import Read
from assistant.sync import Corpus

MakeSettings = Callable[..., Settings]
BEES = "# Bees\n\nHoney bees dance to tell each other where flowers are."


@pytest.fixture
def options(settings: MakeSettings) -> Settings:
    made = settings()
    for name in ("bees.md", "zcopy.md"):
        (made.corpus / name).write_text(BEES, encoding="utf-8")
    (made.corpus / "tides.md").write_text("# Tides\n\nThe moon pulls the sea twice a day.", encoding="utf-8")
    return made


@pytest.fixture
def corpus(options: Settings) -> Iterator[Corpus]:
    with closing(Corpus(options)) as opened:
        opened.sync()
        yield opened


def test_a_document_whose_vectors_are_wrong_is_found_again_after_it_was_read_again(corpus: Corpus) -> None:
    [chunk] = corpus.catalog.chunks_of("bees.md")
    key = vector_key(chunk, corpus.embedder.fingerprint)
    before = corpus.catalog.vectors([chunk.id])[chunk.id].copy()
    with corpus.catalog.transaction() as db:
        db.execute("UPDATE files SET indexed_at = '2020-01-01T00:00:00+00:00'")
    [good] = corpus.embedder.embed_chunks([chunk])
    corpus.catalog.put_vectors({key: Embedded(-before, good.sentences, good.tokens)})
    result = corpus.read_again("zcopy.md")  # a copy: what it copies is read
    assert (result.id, result.ok) == ("bees.md", True)
    assert np.allclose(corpus.catalog.vectors([chunk.id])[chunk.id], before, atol=1e-3)
    assert corpus.catalog.count_behind() == 0
    assert corpus.search("Where do bees dance?", 1)[0].chunk.document_id == "bees.md"
    assert corpus.catalog.copies("bees.md") == ["zcopy.md"]
    assert {info.indexed_at[:4] for info in corpus.documents()} == {"2020"}  # it was not added again


def test_a_file_that_can_not_be_read_any_more_says_why(corpus: Corpus, options: Settings) -> None:
    (options.corpus / "tides.md").write_bytes(b"")
    result = corpus.read_again("tides.md")
    assert not result.ok and "empty" in result.message
    (options.corpus / "tides.md").unlink()
    with pytest.raises(UserError, match="not in the corpus folder any more"):
        corpus.read_again("tides.md")
    with pytest.raises(UserError, match=r"no document called 'never\.md' any more"):
        corpus.read_again("never.md")


def test_the_command_reads_the_documents_it_names(options: Settings, corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    corpus.close()
    folders = ["--corpus", str(options.corpus), "--data", str(options.data)]
    assert main([*folders, "reindex", "tides.md"]) == 0
    assert capsys.readouterr().out.startswith("tides.md: ")
    assert main([*folders, "reindex", "never.md"]) == 2
    assert "no document called 'never.md'" in capsys.readouterr().err


def test_files_are_added_under_the_folders_they_came_in(corpus: Corpus, options: Settings, tmp_path: Path) -> None:
    def made(text: str) -> Path:
        path = tmp_path / f"{abs(hash(text))}.md"
        path.write_text(text, encoding="utf-8")
        return path

    names = [
        "Reports/2023/a.md",
        "../../outside.md",
        "/etc/passwd.md",
        "<img src=x onerror=alert(1)>/b.md",
        f"{'long ' * 60}/c.md",
        "Reports/.git/d.md",
    ]
    results = list(corpus.add_as([(made(f"# T{at}\n\nText number {at} about owls."), name) for at, name in enumerate(names)]))
    assert [result.ok for result in results] == [True] * len(names)
    assert results[0].id == "Reports/2023/a.md"
    assert [result.id for result in results[1:3]] == ["outside.md", "etc/passwd.md"]
    assert all(part[:1] != "." for result in results for part in result.id.split("/"))
    assert all((options.corpus / result.id).is_file() for result in results)
    assert {path.resolve().is_relative_to(options.corpus.resolve()) for path in options.corpus.rglob("*")} == {True}
    [again] = corpus.add_as([(made("# T0\n\nText number 0 about owls."), names[0])])
    assert again.message == "is there already, unchanged"


def test_of_two_who_remove_a_file_at_once_one_is_told_that_it_is_gone(corpus: Corpus) -> None:
    told: list[str] = []

    def remove() -> None:
        try:
            corpus.remove("tides.md")
            told.append("removed")
        except UserError as error:
            told.append(str(error))

    threads = [threading.Thread(target=remove) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told, key=len)[0] == "removed"
    assert "tides.md" in sorted(told, key=len)[1] and len(told) == 2


def test_a_report_tells_which_files_wait_and_which_are_read() -> None:
    state = FileState(1, 1)
    report = Report()
    report.start(Changes(read={"a.md": state, "b.md": state, "c.md": state}))
    report.begin("a.md")
    report.begin("other.md")
    assert report.left == {"a.md": "indexing", "b.md": "waiting", "c.md": "waiting"}
    report.note(FileResult("a.md", False, "it is empty"), Read("a.md", Path("a.md"), state, None, "it is empty", 0.1))
    assert list(report.left) == ["b.md", "c.md"]
    report.end()
    assert report.left == {}
