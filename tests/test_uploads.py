"""Uploads in the real app: too large, too many, dropped half way, badly named, on a full disk, while the app ends (S8, S12)."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from assistant.settings import Settings
from tests.conftest import settings_in, write_documents
from tests.hostile import BAD_NAMES
from tests.serving import App, running
from tests.test_disk_full import fill, make_room, mount
from tests.visitor import Visitor, until
from ui.receiving import MOST_FILES

EXTRACTIVE = "extractive"
MEGABYTE = b"a" * 1_000_000
UPLOAD = "/gradio_api/upload"
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Settings:
    made = settings_in(tmp_path_factory.mktemp("uploads"), models, {})
    write_documents(made.corpus, {"bees.md": "# Bees\n\nHoney bees dance to show where flowers are."})
    return made


@pytest.fixture(scope="module")
def app(options: Settings) -> Iterator[App]:
    with running(options, ASSISTANT_CHAT_MODEL=EXTRACTIVE) as started:
        yield started


@pytest.fixture
def visitor(app: App) -> Iterator[Visitor]:
    with contextlib.closing(Visitor(app.url)) as made:
        yield made


def waiting(options: Settings) -> list[str]:
    """The uploaded files that lie in the data folder."""
    return [name for _, _, names in os.walk(options.uploads) for name in names]


def part(name: bytes | None) -> bytes:
    """The head of one part of an upload: a file, or a field when it has no name."""
    named = b"" if name is None else b'; filename="' + name + b'"'
    return b'--x\r\nContent-Disposition: form-data; name="files"' + named + b"\r\n\r\n"


def head(app: App) -> bytes:
    """The head of a request with an upload of 40 MB."""
    kind = MULTIPART["Content-Type"]
    return (
        f"POST {UPLOAD} HTTP/1.1\r\nHost: 127.0.0.1:{app.port}\r\nContent-Length: 40000000\r\nContent-Type: {kind}\r\n\r\n".encode()
    )


class Most:
    """Sends megabytes, and looks meanwhile how much memory the app takes and how much lies in its uploads."""

    def __init__(self, app: App, options: Settings, head: bytes, megabytes: int) -> None:
        self.app, self.options, self.head, self.megabytes = app, options, head, megabytes
        self.before = self.memory = self.used()
        self.disk = 0

    def used(self) -> int:
        return int(psutil.Process(self.app.process.pid).memory_info().rss)

    def __iter__(self) -> Iterator[bytes]:
        yield self.head
        for number in range(self.megabytes):
            yield MEGABYTE
            if number % 10 == 0:
                self.memory = max(self.memory, self.used())
                self.disk = max(self.disk, sum(path.stat().st_size for path in self.options.uploads.glob("*/*/*")))
        yield b"\r\n--x--\r\n"


@pytest.mark.parametrize(
    ("name", "megabytes", "line"),
    [
        (b"big.txt", 2000, "big.txt is larger than 50 MB: nothing of this upload was added."),
        (None, 600, "This is no upload of files."),
    ],
)
def test_what_is_far_too_large_takes_neither_memory_nor_disk(
    app: App, options: Settings, visitor: Visitor, name: bytes | None, megabytes: int, line: str
) -> None:
    sent = Most(app, options, part(name), megabytes)
    reply = visitor.client.post(UPLOAD, content=iter(sent), headers=MULTIPART)
    assert reply.status_code in (400, 413) and reply.text == line
    assert sent.disk <= 51_000_000 and waiting(options) == []
    assert sent.memory - sent.before < 60_000_000
    print(f"{megabytes} MB: {(sent.memory - sent.before) / 1e6:.0f} MB of memory, {sent.disk / 1e6:.0f} MB of disk")


def test_five_hundred_files_are_added_and_more_than_a_thousand_refused(app: App, options: Settings, visitor: Visitor) -> None:
    with pytest.raises(ValueError, match="413: More than 1,000 files at once"):
        visitor.upload([(f"{number}.md", b"x") for number in range(MOST_FILES + 1)])
    assert waiting(options) == []
    told = visitor.add(
        visitor.upload([(f"many/{number}.md", b"# Note %d\n\nIsland %d." % (number, number)) for number in range(500)])
    )
    assert "500 of 500 added" in told and waiting(options) == []
    assert len([*app.corpus.glob("[0-9]*.md")]) == 500


def test_bad_names_stay_inside_and_are_shown_as_text(app: App, options: Settings, visitor: Visitor) -> None:
    outside = {path for path in options.corpus.parent.rglob("*") if not path.is_relative_to(options.data)}
    for number, name in enumerate(
        [*BAD_NAMES, "灯" * 150 + ".md", "..", ".", "/", "a/../../..", "CON.md", "com1.tar.md", '"quoted".md']
    ):
        raw = name.encode().replace(b'"', b"%22").replace(b"\n", b"%0A")
        body = part(raw) + b"# Number %d\n\nSome words about the weather of day %d." % (number, number) + b"\r\n--x--\r\n"
        reply = visitor.client.post(UPLOAD, content=body, headers=MULTIPART)
        assert reply.status_code in (200, 400), (name, reply.text)
        if reply.status_code == 200:
            [path] = reply.json()
            assert Path(path).resolve().parent.parent.parent == options.uploads
            told = visitor.add([path], [name])
            assert 'class="good"' in told or "Not added: " in told, (name, told)
            assert "<img" not in told and "‮" not in told
    new = {path for path in options.corpus.parent.rglob("*") if not path.is_relative_to(options.data)} - outside
    new = {path for path in new if path.is_file()}
    assert all(path.is_relative_to(options.corpus) for path in new) and len(new) > 10
    assert all(len(path.name.encode()) <= 255 and not path.name.startswith(".") for path in new)
    assert not {path.name.partition(".")[0].upper() for path in new} & {"CON", "AUX", "COM1"}
    assert waiting(options) == [] and [*options.uploads.glob("?" * 32)] == []
    assert not [line for line in app.lines if "Traceback" in line]


def test_only_what_was_uploaded_is_added_and_deleted(app: App, options: Settings, visitor: Visitor) -> None:
    [own] = visitor.upload([("own.md", b"# Own\n\nThe own file.")])
    for path in (
        str(options.uploads),
        f"{own}/..",
        str(Path(own).parent),
        f"{own}\0",
        str(app.corpus / "bees.md"),
        "/etc/hostname",
        "",
    ):
        assert "it did not arrive whole" in visitor.add([path])
        assert Path(own).is_file() and (app.corpus / "bees.md").is_file()
    assert "good" in visitor.add([own])
    assert not [line for line in app.lines if "Traceback" in line]


def test_an_upload_that_is_dropped_half_way_leaves_nothing(app: App, options: Settings, visitor: Visitor) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", app.port)) as line:
            line.sendall(head(app) + part(b"first.md") + b"# First\n\nWhole.\r\n" + part(b"half.md") + MEGABYTE * 3)
            assert until(lambda: len(waiting(options)) == 2)
    assert until(lambda: waiting(options) == [])
    assert not (app.corpus / "first.md").exists()
    assert not [line for line in app.lines if "Traceback" in line]


def test_two_people_add_and_delete_the_same_document_at_the_same_time(app: App, visitor: Visitor) -> None:
    with contextlib.closing(Visitor(app.url)) as other:
        add_and_delete(app, [visitor, other])


def add_and_delete(app: App, people: list[Visitor]) -> None:
    told: list[str] = []

    def add(who: Visitor) -> None:
        told.append(who.add(who.upload([("twice.md", b"# Twice\n\nTwo people have this.")])))

    def delete(who: Visitor) -> None:
        table = str(who.send(listed, who.inputs(listed, filter="twice"))[1])
        row = next(row for row in table.split("<tr") if "twice.md" in row)
        key = row.split('data-act="ask" data-to="')[1].split('"')[0]
        both.wait(20)
        told.append(str(who.send(act, who.inputs(act), {"act": "remove", "to": key})[4]))

    listed, act = people[0].event("filter", "change"), people[0].event("documents-bridge", "click")
    both = threading.Barrier(2)
    for what in (add, delete):
        told.clear()
        threads = [threading.Thread(target=what, args=[who]) for who in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        if what is add:
            assert len(told) == 2 and all('class="good"' in line for line in told), told
    assert len(told) == 2 and any("twice.md was removed" in line for line in told), told
    assert all("was removed" in line or "not there any more" in line or "There is no document" in line for line in told), told
    assert not (app.corpus / "twice.md").exists() and not [line for line in app.lines if "Traceback" in line]


def add_or_lose(visitor: Visitor, paths: list[str]) -> None:
    with contextlib.suppress(httpx.HTTPError, ValueError):
        visitor.add(paths)


def test_an_app_that_ends_during_an_upload_has_nothing_by_halves(tmp_path: Path, models: Path) -> None:
    made = settings_in(tmp_path, models, {})
    with running(made, ASSISTANT_CHAT_MODEL=EXTRACTIVE) as app, contextlib.closing(Visitor(app.url)) as visitor:
        text = b"Island %d has a lighthouse. "
        paths = visitor.upload([(f"{number}.md", b"# Note\n\n" + text % number * 100) for number in range(80)])
        adding = threading.Thread(target=add_or_lose, args=[visitor, paths], daemon=True)
        adding.start()
        with socket.create_connection(("127.0.0.1", app.port)) as line:
            line.sendall(head(app) + part(b"half.md") + MEGABYTE)
            assert until(lambda: "half.md" in waiting(made) and any(app.corpus.glob("*.md")))
            app.process.send_signal(signal.SIGTERM)
            assert app.process.wait(30) == 0
        adding.join(20)
        assert not [line for line in app.lines if "Traceback" in line], app.lines
    whole = {path.name for path in made.corpus.glob("*.md") if path.stat().st_size > 100 * 20}
    assert {path.name for path in made.corpus.iterdir()} == whole and "half.md" not in whole
    assert not made.uploads.exists()
    with running(made, ASSISTANT_CHAT_MODEL=EXTRACTIVE) as app:
        assert until(lambda: any(f"{len(whole)} documents" in line or "Synced: " in line for line in app.lines)), app.lines


def test_on_a_full_disk_an_upload_and_a_question_are_refused_in_a_line(tmp_path: Path, models: Path) -> None:
    for disk in mount(tmp_path / "disk", "size=400m"):
        made = settings_in(disk, models, {})
        write_documents(made.corpus, {"bees.md": "# Bees\n\nHoney bees dance to show where flowers are."})
        with running(made, ASSISTANT_CHAT_MODEL=EXTRACTIVE) as app, contextlib.closing(Visitor(app.url)) as visitor:
            fill(disk, left=1_000_000)
            with pytest.raises(ValueError, match="507: Only 1 MB of disk are free: make room and try again"):
                visitor.upload([("big.md", MEGABYTE * 3)])
            fill(disk)
            ask = visitor.event("question", "submit")
            told = str([*visitor.perform(ask, visitor.inputs(ask, question="How do bees dance? " * 200))])
            assert "make room" in told, told
            assert waiting(made) == []
            make_room(disk)
            assert "good" in visitor.add(visitor.upload([("small.md", b"# Small\n\nA small file.")]))
            assert "Honey bees dance" in str([*visitor.perform(ask, visitor.inputs(ask, question="How do bees dance?"))])
            assert not [line for line in app.lines if "Traceback" in line], app.lines


def test_a_broken_off_and_a_senseless_body_are_refused(visitor: Visitor, options: Settings) -> None:
    for body, headers in (
        (part(b"a.md") + b"half", MULTIPART),
        (b"no part at all", MULTIPART),
        (b"--x\r\n" + b"A: b\r\n" * 100_000 + b"\r\n", MULTIPART),
        (b"x", {"Content-Type": "text/plain"}),
        (b"x", {"Content-Type": "multipart/form-data"}),
        (b"", MULTIPART),
        ((part(None) + b"x\r\n") * 2000 + b"--x--\r\n", MULTIPART),
    ):
        reply = visitor.client.post(UPLOAD, content=body, headers=headers)
        assert reply.status_code == 400 or reply.json() == [], reply.text
    assert waiting(options) == []
