import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from assistant import sandbox as sandbox_module
from assistant import sandbox_process
from assistant.documents import Loaded, corpus_files, load_file, supported_suffixes
from assistant.errors import Cancelled, DocumentError
from assistant.sandbox import Sandbox
from assistant.sandbox_child import receive
from assistant.sync import Corpus
from tests.conftest import ROOT, MakeSettings, clean_environment, run_python
from tests.hostile import BAD_NAMES, HOSTILE

LIMIT = 50_000_000


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with closing(Sandbox(LIMIT)) as box:
        yield box


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox whose child has loaders that fail; it gives them two seconds."""
    monkeypatch.setattr(sandbox_process, "_CHILD", "tests.breaking_child")
    with closing(Sandbox(LIMIT, seconds=2)) as box:
        yield box


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """One sandbox for all hostile files, so that each may harm the next; it gives them two seconds."""
    with closing(Sandbox(LIMIT, seconds=2)) as box:
        yield box


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def reads_right(box: Sandbox, folder: Path) -> bool:
    loaded = box.load(write(folder, "good.md", b"# Good\n\nThe next file is read right.\n"), "good.md")
    return [document.text for document in loaded.documents] == ["# Good\n\nThe next file is read right.\n"]


def child_of(box: Sandbox) -> psutil.Process:
    assert box._child
    return psutil.Process(box._child._process.pid)


def gone(pid: int, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_the_child_reads_what_load_file_reads(box: Sandbox) -> None:
    files = dict(corpus_files(ROOT / "corpus"))
    assert len(files) > 3
    for id, path in files.items():
        assert box.load(path, id) == load_file(path, id, LIMIT)


def test_the_loaders_reasons_are_passed_on(box: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="it is empty"):
        box.load(write(tmp_path, "a.txt", b""), "a.txt")
    with pytest.raises(DocumentError, match="can't be opened"):
        box.load(tmp_path / "none.txt", "none.txt")
    HOSTILE["sparse-1-gb.txt"](tmp_path / "sparse.txt")
    with pytest.raises(DocumentError, match="over the limit of 50"):
        box.load(tmp_path / "sparse.txt", "sparse.txt")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_or_refused_in_one_line_and_the_next_is_read_right(
    shared: Sandbox, tmp_path: Path, name: str
) -> None:
    HOSTILE[name](tmp_path / name)
    try:
        loaded = shared.load(tmp_path / name, name)
    except DocumentError as error:
        assert 10 < len(str(error)) <= 500 and str(error).isprintable()  # noqa: PT017
    else:
        assert all(document.text.strip() and document.id.split("/")[0] == name for document in loaded.documents)
        assert not any("root:" in document.text for document in loaded.documents)
    assert reads_right(shared, tmp_path)


@pytest.mark.parametrize("suffix", ["abort", "exit", "raise", "garble"])
def test_a_crash_is_blamed_on_its_file_alone(breaking: Sandbox, tmp_path: Path, suffix: str) -> None:
    assert reads_right(breaking, tmp_path)
    before = child_of(breaking).pid
    with pytest.raises(DocumentError, match=f"it makes the {suffix.upper()} reader fail"):
        breaking.load(write(tmp_path, f"a.{suffix}", b"1"), f"a.{suffix}")
    assert gone(before)
    assert reads_right(breaking, tmp_path)


def test_a_child_that_the_system_ends_while_it_waits_is_nobodys_fault(box: Sandbox, tmp_path: Path) -> None:
    assert reads_right(box, tmp_path)
    before = child_of(box).pid
    os.kill(before, signal.SIGKILL)
    assert gone(before)
    assert reads_right(box, tmp_path)


def test_reading_that_takes_too_long_is_ended(breaking: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in ("busy", "sleep"):
        if suffix == "sleep":
            monkeypatch.setattr(sandbox_module, "_CLOCK", 1)
        with pytest.raises(DocumentError, match=r"takes over 2 s; split it"):
            breaking.load(write(tmp_path, f"a.{suffix}", b"1000"), f"a.{suffix}")
        assert reads_right(breaking, tmp_path)


def test_each_file_has_the_whole_time(breaking: Sandbox, tmp_path: Path) -> None:
    path = write(tmp_path, "a.busy", b"0.9")
    children = set()
    for _ in range(4):
        assert breaking.load(path, "a.busy").documents[0].text == "done"
        children.add(child_of(breaking).pid)
    assert len(children) == 1


@pytest.mark.parametrize(("suffix", "data"), [("memory", b"1200000000"), ("kill", b"1")])
def test_reading_that_takes_too_much_memory_is_ended(breaking: Sandbox, tmp_path: Path, suffix: str, data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"takes over 1,000 MB of memory; split it|too large .* to be read; split it"):
        breaking.load(write(tmp_path, f"a.{suffix}", data), f"a.{suffix}")
    assert reads_right(breaking, tmp_path)
    assert breaking.load(write(tmp_path, "a.memory", b"500000000"), "a.memory").documents[0].text == "done"


def test_memory_is_watched_where_the_system_has_no_limit(
    breaking: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reads_right(breaking, tmp_path)
    monkeypatch.setattr(sandbox_module, "_REST_BYTES", -999_000_000)
    with pytest.raises(DocumentError, match="of memory"):
        breaking.load(write(tmp_path, "a.sleep", b"1000"), "a.sleep")


def test_a_stop_ends_the_reading(breaking: Sandbox, tmp_path: Path) -> None:
    slow = write(tmp_path, "a.sleep", b"1000")
    stop = threading.Event()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    with pytest.raises(Cancelled):
        breaking.load(slow, "a.sleep", stop)
    timer.join()
    with pytest.raises(Cancelled):
        breaking.load(slow, "a.sleep", stop)
    assert reads_right(breaking, tmp_path)


def test_closing_cancels_what_is_read_and_what_waits_and_leaves_no_child(breaking: Sandbox, tmp_path: Path) -> None:
    box = breaking
    slow = write(tmp_path, "a.sleep", b"1000")
    raised: list[type[BaseException]] = []

    def load() -> None:
        try:
            box.load(slow, "a.sleep")
        except Cancelled as error:
            raised.append(type(error))

    assert reads_right(box, tmp_path)
    child = child_of(box).pid
    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    box.close()
    for thread in threads:
        thread.join(30)
    assert raised == [Cancelled, Cancelled]
    assert gone(child)
    with pytest.raises(Cancelled):
        box.load(slow, "a.sleep")


def test_several_threads_each_get_their_own_file(box: Sandbox, tmp_path: Path) -> None:
    wrong: list[str] = []

    def load(number: int) -> None:
        for turn in range(10):
            name = f"{number}-{turn}.txt"
            loaded = box.load(write(tmp_path, name, f"this is {name}".encode()), name)
            if [document.text for document in loaded.documents] != [f"this is {name}"]:
                wrong.append(name)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_child_is_replaced_after_many_files(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "_FILES", 3)
    assert reads_right(box, tmp_path)
    first = child_of(box).pid
    for _ in range(3):
        assert reads_right(box, tmp_path)
    assert child_of(box).pid != first and gone(first)


_PARENT = """
import sys
from pathlib import Path
from assistant import sandbox_process
from assistant.sandbox import Sandbox
sandbox_process._CHILD = "tests.breaking_child"
box = Sandbox(50_000_000)
path = Path(sys.argv[1])
box.load(path, "a.txt")
print(box._child._process.pid, flush=True)
box.load(path, sys.argv[2])
"""


@pytest.mark.parametrize("name", ["a.busy", "a.sleep"])
def test_the_child_ends_when_its_parent_is_killed_in_the_middle_of_a_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, "a.txt", b"50")
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(path), name], env=clean_environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        time.sleep(1)
        assert psutil.Process(child).is_running()
        parent.kill()
    assert gone(child)


def test_the_child_has_no_keys_and_passwords_are_on_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret-key")
    monkeypatch.setenv("ASSISTANT_PASSWORDS", "s3cret-word")
    with closing(Sandbox(LIMIT, ["s3cret-word"])) as box:
        assert reads_right(box, tmp_path)
        child = child_of(box)
        told = [*child.cmdline(), *child.environ(), *child.environ().values()]
    assert not any("s3cret" in word for word in told)


def test_the_child_has_its_limits(box: Sandbox, tmp_path: Path) -> None:
    assert reads_right(box, tmp_path)
    child = child_of(box)
    assert child.nice() == 19
    assert child.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert child.rlimit(psutil.RLIMIT_NOFILE)[1] <= 64
    assert child.rlimit(psutil.RLIMIT_FSIZE)[1] <= 64_000_000
    assert 1_000_000_000 < child.rlimit(psutil.RLIMIT_AS)[1] < 1_500_000_000
    assert 60 <= child.rlimit(psutil.RLIMIT_CPU)[0] <= 65


_REFUSED = """
import sys, os, shutil, socket, subprocess
from assistant.sandbox_child import _refuse
sys.addaudithook(_refuse)
def refused(do):
    try:
        do()
    except PermissionError:
        return True
    return False
print([
    refused(lambda: socket.socket()),
    refused(lambda: socket.getaddrinfo("localhost", 80)),
    refused(lambda: subprocess.run(["true"])),
    refused(lambda: subprocess.run("tesseract; true", shell=True)),
    refused(lambda: os.system("true")),
    refused(lambda: os.posix_spawn("/bin/true", ["true"], {})),
    refused(lambda: os.fork()),
    refused(lambda: os.execv("/bin/true", ["true"])),
    shutil.which("tesseract") is None or not refused(lambda: subprocess.run(["tesseract", "--version"], capture_output=True)),
])
"""


def test_a_reader_can_use_no_network_and_start_no_program_but_tesseract() -> None:
    ran = run_python("-c", _REFUSED)
    assert ran.out.strip() == str([True] * 9), ran.err


def test_what_a_library_prints_does_not_disturb_the_replies(breaking: Sandbox, tmp_path: Path) -> None:
    path = write(tmp_path, "a.noise", b"x")
    assert [breaking.load(path, "a.noise").documents[0].text for _ in range(3)] == ["done"] * 3


def _document(**changes: object) -> dict[str, object]:
    sound = {"id": "a.txt", "title": "T", "text": "words", "headings": [], "pages": [], "sha256": "0" * 64}
    return {**sound, "warnings": [], "inside": "", **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "b.txt"},
        {"id": "../a.txt"},
        {"id": "a.txt/x.txt"},
        {"id": "a.txt/\n", "inside": "a.txt"},
        {"inside": "b.txt"},
        {"text": 5},
        {"text": None},
        {"pages": [6]},
        {"pages": [3, 2]},
        {"pages": [-1]},
        {"pages": ["0"]},
        {"headings": [{"start": 99, "level": 1, "text": "h"}]},
        {"headings": [{"start": 0, "level": 0, "text": "h"}]},
        {"headings": [{"start": 3, "level": 1, "text": "h"}, {"start": 1, "level": 1, "text": "h"}]},
        {"sha256": "x"},
        {"warnings": [["w"]]},
    ],
)
def test_a_reply_that_is_not_sound_is_the_files_fault(changes: dict[str, object]) -> None:
    def said(document: dict[str, object]) -> bytes:
        return json.dumps({"loaded": {"sha256": "0" * 64, "documents": [document], "warnings": []}}).encode()

    loaded = sandbox_module._reply(said(_document()), "a.txt").loaded
    assert isinstance(loaded, Loaded) and loaded.documents[0].text == "words"
    with pytest.raises(DocumentError, match="TXT reader fail"):
        sandbox_module._reply(said(_document(**changes)), "a.txt")


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b"5", b'{"reason": 5}', b"[" * 100_000, b"\xff", b'{"loaded": {}}'])
def test_a_reply_that_is_none_is_the_files_fault(said: bytes) -> None:
    with pytest.raises(DocumentError, match="reader fail"):
        sandbox_module._reply(said, "a.txt")


def test_a_reply_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, "reply", (1 << 40).to_bytes(8, "big") + b"{}")
    with path.open("rb") as file, pytest.raises(ValueError, match="a message of"):
        receive(file, 200_000_000)


def test_names_inside_an_archive_lead_nowhere(box: Sandbox, tmp_path: Path) -> None:
    if ".zip" not in supported_suffixes():
        pytest.skip("ZIP files can't be read yet")
    folder = tmp_path / "corpus"
    folder.mkdir()
    HOSTILE["names.zip"](folder / "names.zip")
    before = sorted(tmp_path.rglob("*"))
    loaded = box.load(folder / "names.zip", "names.zip")
    assert len(loaded.documents) > 10
    assert len({document.id for document in loaded.documents}) == len(loaded.documents)
    for document in loaded.documents:
        steps = document.id.split("/")
        assert steps[0] == "names.zip" and document.file == "names.zip"
        assert not {"", ".", ".."} & set(steps) and all(len(step) <= 150 for step in steps)
        assert document.id.isprintable()
    assert sorted(tmp_path.rglob("*")) == before


def test_files_of_hostile_names_are_added_inside_the_corpus_folder_or_refused(tmp_path: Path, settings: MakeSettings) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    # What a file system can hold of them.
    names = {name.replace("/", "\u2215").replace("\0", "")[:250] for name in BAD_NAMES}
    sources = [write(outside, name, f"The words of file {number}.".encode()) for number, name in enumerate(sorted(names))]
    os.mkfifo(outside / "pipe.txt")
    (outside / "zero.txt").symlink_to("/dev/zero")
    sources += [outside / "pipe.txt", outside / "zero.txt"]
    with closing(Corpus(settings())) as corpus:
        before = sorted(path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "data"))
        results = list(corpus.add(sources))
        after = sorted(path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "data"))
    assert len(results) == len(sources)
    assert all(result.ok or (result.message and "\n" not in result.message) for result in results)
    assert {result.id for result in results if result.id in ("pipe.txt", "zero.txt") and result.ok} == set()
    added = set(after) - set(before)
    assert len(added) == sum(result.ok for result in results) > 5
    assert all(path.parent == tmp_path / "corpus" and not path.name.startswith(".") and path.name.isprintable() for path in added)
