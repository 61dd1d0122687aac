"""F7, D14: read-only folders, clocks that go back, little memory, no temporary folder, signals, many threads."""

import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

import assistant.adding
import assistant.sync
from assistant.errors import UserError
from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import MakeSettings, WriteCorpus, as_environment, clean_environment, run_python, settings_in
from tests.test_disk_full import mount
from tests.tools.crash_check import Told, differences, faults, words_of
from tests.tools.crash_work import WordEmbedder, text_of

_GRAPH = re.compile(r"index/gen-\d+/dense/[^/]+-[^/]+/[a-z_0-9]+\.(bin|pickle)")


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assistant.sync, "load_embedder", lambda settings, report: WordEmbedder())
    monkeypatch.setattr(assistant.adding, "_FREE_BYTES", 0)


@pytest.fixture
def plain(settings: MakeSettings, corpus: WriteCorpus, words: None) -> Settings:
    """Settings of a corpus of six files."""
    corpus({f"{number:02}.md": text_of(number, 0, 4) for number in range(6)})
    return settings()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    yield from mount(tmp_path / "disk", "size=64m")


def read_only(disk: Path) -> None:
    """Make the file system read-only, once Chroma's threads have closed the files that were open for writing."""
    until = time.monotonic() + 30
    while (ran := subprocess.run(["mount", "-o", "remount,ro", str(disk)], capture_output=True, text=True)).returncode:
        assert time.monotonic() < until, ran.stderr
        time.sleep(0.1)


def in_order(corpus: Corpus) -> bool:
    return [*faults(corpus, Told(words_of(corpus.settings.corpus))), *differences(corpus)] == []


def test_a_read_only_data_folder_is_refused_in_one_line(disk: Path, models: Path, words: None) -> None:
    options = settings_in(disk, models, {})
    with closing(Corpus(options)) as corpus:
        assert corpus.sync().problem == ""
    read_only(disk)
    with pytest.raises(UserError, match=r"can't be written \(Read-only file system\)") as caught:
        Corpus(options)
    assert len(str(caught.value).splitlines()) == 1


def test_a_data_folder_that_becomes_read_only_is_told_and_search_goes_on(disk: Path, models: Path, words: None) -> None:
    options = settings_in(disk, models, {})
    # Opened before: a file system with open files for writing can't be made read-only, so the folder is one that is full.
    (options.corpus / "a.md").write_text(text_of(1, 0, 2), encoding="utf-8")
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        (options.corpus / "b.md").write_text(text_of(2, 0, 2), encoding="utf-8")
        corpus.catalog._db.execute("PRAGMA query_only=ON")
        assert len(corpus.sync().problem.splitlines()) == 1
        assert faults(corpus, Told({"a.md": "zorva001"})) == []
        corpus.catalog._db.execute("PRAGMA query_only=OFF")
        assert corpus.sync().problem == "" and in_order(corpus)


def test_a_read_only_corpus_folder_serves_for_everything_but_adding_and_removing(
    disk: Path, models: Path, tmp_path: Path, words: None
) -> None:
    for number in range(3):
        (disk / f"{number}.md").write_text(text_of(number, 0, 2), encoding="utf-8")
    options = settings_in(tmp_path, models, {"ASSISTANT_CORPUS": str(disk)})
    read_only(disk)
    new = tmp_path / "new.md"
    new.write_text(text_of(9, 0, 2), encoding="utf-8")
    with closing(Corpus(options)) as corpus:
        assert corpus.sync().problem == "" and in_order(corpus)
        [result] = corpus.add([new])
        assert not result.ok and "Read-only file system" in result.message
        with pytest.raises(UserError, match="Read-only file system"):
            corpus.remove("0.md")
        assert in_order(corpus)


def test_changes_are_noticed_whatever_the_clocks_say(plain: Settings) -> None:
    future, past = 4_000_000_000, 1
    with closing(Corpus(plain)) as corpus:
        corpus.sync()
        before = (plain.corpus / "00.md").stat()
        # The same size and the same time as before, as after `cp --preserve` or with a clock that was set back.
        (plain.corpus / "00.md").write_text(text_of(0, 1, 4), encoding="utf-8")
        os.utime(plain.corpus / "00.md", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (plain.corpus / "00.md").stat().st_size == before.st_size
        for name, number, when in (("01.md", 1, past), ("02.md", 2, future), ("new.md", 8, future)):
            (plain.corpus / name).write_text(text_of(number, 1, 4), encoding="utf-8")
            os.utime(plain.corpus / name, (when, when))
        report = corpus.sync()
        assert (report.done, report.unchanged) == (4, 3) and in_order(corpus)
        (plain.corpus / "02.md").write_text(text_of(2, 2, 4), encoding="utf-8")
        os.utime(plain.corpus / "02.md", (past, past))  # earlier than what was seen before
        assert corpus.sync().done == 1 and in_order(corpus)
        assert corpus.sync().done == 0


def test_without_a_temporary_folder_everything_works(plain: Settings) -> None:
    env = as_environment(plain, TMPDIR="/nowhere/at/all")
    ran = run_python("-m", "assistant.cli", "search", "stone", "--json", env=env)
    assert ran.code == 0 and "zorva" in ran.out, ran.err


@pytest.mark.parametrize("megabytes", [200, 300])
def test_with_too_little_memory_a_start_ends_without_harm(plain: Settings, megabytes: int) -> None:
    env = clean_environment(as_environment(plain))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    command = [sys.executable, "-m", "assistant.cli", "sync"]
    ran = subprocess.run(command, env=env, preexec_fn=limit, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2 and len(ran.stderr.splitlines()) == 1 and "memory" in ran.stderr, ran.stderr
    with closing(Corpus(plain)) as corpus:
        assert corpus.sync().problem == "" and in_order(corpus)


def test_a_sync_that_is_told_to_end_does_so_at_once_and_the_next_one_goes_on(settings: MakeSettings, words: None) -> None:
    options = settings()
    for number in range(40):
        (options.corpus / f"{number:02}.md").write_text(text_of(number, 0, 40), encoding="utf-8")
    env = clean_environment(as_environment(options))
    with subprocess.Popen([sys.executable, "-m", "assistant.cli", "sync"], env=env, stderr=subprocess.DEVNULL) as process:
        inside = psutil.Process(process.pid)
        catalogue = options.data / "catalog.sqlite3-wal"
        until = time.monotonic() + 60
        while not (catalogue.exists() and catalogue.stat().st_size > 500_000) and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.02)
        children = inside.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    with closing(Corpus(options)) as corpus:
        assert corpus.sync().problem == ""
        assert len(corpus.documents()) == 40 and in_order(corpus)


def test_twenty_threads_read_and_write_at_once_without_an_error(plain: Settings) -> None:
    failed: list[BaseException] = []
    seconds: list[float] = []
    stop = threading.Event()

    def reading(corpus: Corpus, number: int) -> None:
        try:
            while not stop.is_set():
                started = time.monotonic()
                corpus.search(f"zorva00{number % 6}key", 5)
                corpus.documents()
                seconds.append(time.monotonic() - started)
        except BaseException as error:
            failed.append(error)

    def writing(corpus: Corpus, number: int) -> None:
        try:
            for round in range(3):
                path = plain.corpus / f"w{number}.md"
                path.write_text(text_of(10 + number, round, 2), encoding="utf-8")
                started = time.monotonic()
                assert corpus.sync().problem == ""
                seconds.append(time.monotonic() - started)
                if round == 1:
                    corpus.remove(path.name)
        except BaseException as error:
            failed.append(error)

    with closing(Corpus(plain)) as corpus:
        corpus.sync()
        readers = [threading.Thread(target=reading, args=(corpus, number)) for number in range(14)]
        writers = [threading.Thread(target=writing, args=(corpus, number)) for number in range(6)]
        for thread in [*readers, *writers]:
            thread.start()
        for thread in writers:
            thread.join()
        stop.set()
        for thread in readers:
            thread.join()
        assert failed == []
        assert corpus.sync().problem == "" and in_order(corpus)
    print(f"{len(seconds)} reads and writes, p99 {statistics.quantiles(seconds, n=100)[98] * 1000:.0f} ms")


_REBUILD = """
from contextlib import closing
from assistant.settings import load_settings
from assistant.sync import Corpus
with closing(Corpus(load_settings())) as corpus:
    corpus.index.rebuild()
"""


@pytest.mark.parametrize("work", ["a sync", "an index made anew"])
def test_the_catalogue_is_on_the_disk_before_the_indexes_hear_of_it_and_these_before_it_forgets(
    work: str, settings: MakeSettings, corpus: WriteCorpus, tmp_path: Path
) -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    corpus({f"{number:02}.md": text_of(number, 0, 4) for number in range(6)})
    options = settings()
    env = as_environment(options)
    action = ["-m", "assistant.cli", "sync"]
    if work != "a sync":
        assert run_python(*action, env=env).code == 0
        action = ["-c", _REBUILD]
    log = tmp_path / "trace"
    traced = "trace=fsync,fdatasync,write,pwrite64"
    command = ["strace", "-f", "-y", "-qq", "-s", "0", "-e", traced, "-o", str(log), sys.executable, *action]
    ran = subprocess.run(command, env=clean_environment(env), capture_output=True, text=True, timeout=300)
    if "not permitted" in ran.stderr:
        pytest.skip("strace may not trace here")
    assert ran.returncode == 0, ran.stderr
    catalogue, unsynced, written = "catalog.sqlite3-wal", set[str](), set[str]()
    calls = re.findall(rf"(\w+)\(\d+<{options.data}/([^>]+)>", log.read_text(encoding="utf-8"))
    for call, path in calls:
        if call in ("fsync", "fdatasync"):
            unsynced.discard(path)
            continue
        if path.startswith("index/"):
            assert catalogue not in unsynced, f"{path} is written before the catalogue is on the disk"
        elif path == catalogue:
            # Chroma's log of its vectors is synced, the files of their graph only in a new generation; a seal tells whether they are whole.
            late = {name for name in unsynced if name.startswith("index/") and "lock" not in name}
            late -= {name for name in late if _GRAPH.fullmatch(name) and "gen-2" not in name}
            assert late == set(), f"the catalogue is written before {late}"
        unsynced.add(path)
        written.add(path)
    assert catalogue in written and len([path for path in written if path.startswith("index/")]) > 10
    assert ("fsync", "index") in calls, "the name of the new generation"
    assert any(_GRAPH.fullmatch(path) and ("gen-2" in path or work == "a sync") for path in written)
