"""The corpus folder is watched, over real files and file system events."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from assistant.receipts import Report
from assistant.settings import Settings
from assistant.sync import Corpus
from assistant.watching import Watching, matters
from tests.conftest import WriteCorpus, as_environment, run_python, write_documents

TEXTS = {"bees.md": "# Bees\n\nHoney bees dance to show where flowers are.", "tides.txt": "The moon pulls the sea."}
SLOW = 60.0  # seconds after which what is waited for counts as not happening


def eventually(happened: Callable[[], bool]) -> bool:
    end = time.monotonic() + SLOW
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Watched:
    """A corpus with a watching and what it told."""

    def __init__(self, corpus: Corpus, poll: float) -> None:
        self.corpus = corpus
        self.folder = corpus.settings.corpus
        self.reports: list[Report] = []
        self.said: list[str] = []
        self.watching = Watching(corpus, self._heard, self.said.append, poll=poll)

    def _heard(self, report: Report) -> None:
        if report.over:
            self.reports.append(report)

    def ids(self) -> list[str]:
        return [info.id for info in self.corpus.documents() if not info.reason]


@contextmanager
def watched(settings: Settings, poll: float = 3600) -> Iterator[Watched]:
    with closing(Corpus(settings)) as corpus:
        made = Watched(corpus, poll)
        try:
            assert made.watching.settled.wait(SLOW)
            # The second sync is the one after which changes are seen.
            assert eventually(lambda: len(made.reports) >= 2)
            yield made
        finally:
            made.watching.close(SLOW)
            assert "watching" not in [thread.name for thread in threading.enumerate()]


def test_new_changed_removed_and_moved_files_are_followed(settings: Callable[..., Settings], corpus: WriteCorpus) -> None:
    corpus(TEXTS)
    with watched(settings()) as made:
        assert made.ids() == ["bees.md", "tides.txt"] and made.watching.status == ""
        corpus({"otters.md": "# Otters\n\nOtters hold hands when they sleep."})
        assert eventually(lambda: "otters.md" in made.ids())
        assert eventually(lambda: made.watching.report.over and made.watching.report.new == 1)
        assert made.corpus.search("otters asleep", 1)[0].chunk.document_id == "otters.md"
        corpus({"bees.md": "# Bees\n\nBumblebees buzz to shake pollen loose."})
        assert eventually(lambda: any("pollen" in hit.chunk.text for hit in made.corpus.search("shake pollen loose", 5)))
        (made.folder / "tides.txt").unlink()
        assert eventually(lambda: "tides.txt" not in made.ids())
        (made.folder / "deep").mkdir()
        (made.folder / "bees.md").rename(made.folder / "deep" / "bees.md")
        assert eventually(lambda: made.ids() == ["deep/bees.md", "otters.md"])
        (made.folder / "deep").rename(made.folder / "deeper")
        assert eventually(lambda: made.ids() == ["deeper/bees.md", "otters.md"])
        outside = write_documents(made.folder.parent / "outside", {"in/side.md": "# Side\n\nCrabs walk sideways."})
        outside.rename(made.folder / "moved in")
        assert eventually(lambda: "moved in/in/side.md" in made.ids())
        shutil.rmtree(made.folder / "moved in")
        assert eventually(lambda: made.ids() == ["deeper/bees.md", "otters.md"])
        assert eventually(lambda: made.watching.report.over and made.corpus.catalog.count_behind() == 0)
        assert not any(report.problem or report.failed for report in made.reports) and made.corpus.index.check()


def test_many_changes_at_once_are_gathered(settings: Callable[..., Settings], corpus: WriteCorpus) -> None:
    with watched(settings()) as made:
        corpus({f"{n}.md": f"Island {n} has {n} lighthouses." for n in range(100)})
        assert eventually(lambda: len(made.ids()) == 100)
        assert eventually(lambda: sum(report.new for report in made.reports) == 100)
        assert len([report for report in made.reports if not report.idle]) < 10


def test_hidden_and_temporary_files_and_the_syncs_own_traces_cause_no_sync(
    settings: Callable[..., Settings], corpus: WriteCorpus, tmp_path: Path
) -> None:
    with watched(settings()) as made:
        before = len(made.reports)
        corpus({".bees.md.swp": "x", ".git/notes.md": "x", "film.part": "x", "notes.md~": "x", "~$offer.md": "x", "photo.xyz": "x"})
        corpus({"bees.md": TEXTS["bees.md"]})  # events come in order, so those before it have been seen when this one is
        assert eventually(lambda: made.ids() == ["bees.md"])
        time.sleep(1)  # time for syncs that should not be
        (sync,) = [report for report in made.reports[before:] if not report.idle]
        assert len(made.reports) - before <= 2 and sync.new == 1
        source = tmp_path / "tides.txt"
        source.write_text(TEXTS["tides.txt"], encoding="utf-8")
        before = len(made.reports)
        assert [result.ok for result in made.corpus.add([source])] == [True]
        time.sleep(1)
        assert len(made.reports) - before <= 2 and all(report.idle for report in made.reports[before:])


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("a.md", True),
        ("deep/b.PDF", True),
        ("folder that is gone", True),
        (".hidden.md", False),
        (".git/a.md", False),
        ("a.md.part", False),
        ("a.md~", False),
        ("~$a.md", False),
        ("/elsewhere/a.md", False),
        ("4913", True),  # vim's probe is gone by then: nothing tells it from a folder
    ],
)
def test_what_a_change_says(tmp_path: Path, path: str, counts: bool) -> None:
    assert matters(str(tmp_path / path), tmp_path) == counts


def test_a_folder_that_goes_away_keeps_its_documents_and_is_watched_again_when_it_is_back(
    settings: Callable[..., Settings], corpus: WriteCorpus
) -> None:
    corpus(TEXTS)
    with watched(settings()) as made:
        away = made.folder.with_name("away")
        made.folder.rename(away)
        assert eventually(lambda: made.watching.status != "")
        assert eventually(lambda: made.watching.report.problem != "" and made.watching.report.over)
        assert "stays until it is back" in made.watching.status
        assert made.ids() == ["bees.md", "tides.txt"] and made.corpus.search("bees dance", 1)
        away.rename(made.folder)
        assert eventually(lambda: made.watching.status == "")
        assert eventually(lambda: made.watching.report.over and made.watching.report.problem == "")
        corpus({"otters.md": "# Otters\n\nOtters hold hands."})
        assert eventually(lambda: made.ids() == ["bees.md", "otters.md", "tides.txt"])
        assert made.said[-1] == "" and sum(report.removed for report in made.reports) == 0


def test_a_folder_replaced_by_another_is_the_one_that_is_watched(settings: Callable[..., Settings], corpus: WriteCorpus) -> None:
    corpus(TEXTS)
    with watched(settings()) as made:
        made.folder.rename(made.folder.with_name("old"))
        corpus({"new.md": "# New\n\nHerons stand still."})
        assert eventually(lambda: made.ids() == ["new.md"])
        corpus({"newer.md": "# Newer\n\nStorks clatter."})
        assert eventually(lambda: made.ids() == ["new.md", "newer.md"])


_LIMITED = """
import sys, time
from contextlib import closing
from pathlib import Path
from assistant.settings import load_settings
from assistant.sync import Corpus
from assistant.watching import Watching
Path("/proc/sys/user/max_inotify_instances").write_text("0")
settings = load_settings()
end = time.monotonic() + 60
with closing(Corpus(settings)) as corpus:
    watching = Watching(corpus, poll=0.2)
    watching.settled.wait(60)
    while not watching.status and time.monotonic() < end:
        time.sleep(0.05)
    (settings.corpus / "late.md").write_text("Otters hold hands.")
    while not corpus.documents() and time.monotonic() < end:
        time.sleep(0.05)
    print([info.id for info in corpus.documents()], watching.status)
    watching.close()
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("unshare"), reason="sets a limit of Linux in a namespace of its own"
)
def test_where_the_system_allows_no_watching_the_folder_is_looked_at_now_and_then(settings: Callable[..., Settings]) -> None:
    options = settings()
    if os.system("unshare -Ur true 2>/dev/null") != 0:  # noqa: S605
        pytest.skip("no user namespaces here")
    start = f"import os, sys; os.execvp('unshare', ['unshare', '-Ur', sys.executable, '-c', {_LIMITED!r}])"
    ran = run_python("-c", start, env=as_environment(options))
    assert ran.code == 0, ran.err
    assert ran.out.startswith("['late.md'] Changes in the corpus folder can't be seen (") and "every 0 seconds" in ran.out, ran.out


def test_closing_in_the_middle_of_an_indexing_keeps_what_was_done(settings: Callable[..., Settings], corpus: WriteCorpus) -> None:
    facts = {n: " ".join(f"Fact {n}-{m} is about island {n * m}." for m in range(1000)) for n in range(12)}
    corpus({f"{n:02}.md": f"# Note {n}\n\n{text}" for n, text in facts.items()})
    with closing(Corpus(settings())) as opened:
        watching = Watching(opened)
        assert eventually(lambda: len(opened.documents()) > 0)
        assert not watching.report.over and watching.report.total == 12
        watching.close(SLOW)
        report = watching.report
        index = opened.index
        assert report.over and report.stopped and 0 < report.done < 12
        assert index._dense is not None and index._lexical is not None
        assert (index._dense.count(), index._lexical.count()) == (opened.chunk_count(),) * 2
        assert index.check()
        assert opened.sync().unchanged == report.done


def test_a_first_sync_that_was_stopped_is_gone_on_with_only_at_the_next_change(
    settings: Callable[..., Settings], corpus: WriteCorpus
) -> None:
    corpus({f"{number}.txt": f"Text {number}. " * 3000 for number in range(6)})
    reports: list[Report] = []
    with closing(Corpus(settings())) as made:

        def heard(report: Report) -> None:
            reports.append(report)
            if len(reports) == 1:
                made.stop_sync()

        watching = Watching(made, heard, poll=3600)
        try:
            assert watching.settled.wait(SLOW) and made.report.stopped
            time.sleep(2)  # the watching has begun, and looked at the folder
            stopped = made.report
            assert stopped.stopped and stopped.done < 6
            corpus({"more.txt": "One more."})
            assert eventually(lambda: made.report is not stopped and made.report.over)
            assert made.report.new == 7 - stopped.new
        finally:
            watching.close(SLOW)
