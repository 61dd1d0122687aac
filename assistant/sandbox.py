"""Files are read, and pages drawn, in a child process with limits, so that a hostile file takes down its reader and nothing else."""

import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.documents import Document, Loaded, check_name, clean_line
from assistant.drawing import PageDrawing
from assistant.errors import Cancelled, DocumentError, UserError
from assistant.sandbox_process import Child

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_FILES = 200  # read by one child
_KEPT_BYTES = 500_000_000  # of memory; a child that holds more is replaced
_REST_BYTES = 100_000_000  # of memory that a child may have before it reads
_START_SECONDS = 60
_CLOCK = 5  # times the processor time: at the lowest priority it may wait long while an answer is written
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class _Reply:
    """What the child says of a file: what it read or drew, or the loader's reason, or how its reader failed."""

    loaded: Loaded | None = None
    drawn: PageDrawing | None = None
    reason: str = ""
    failure: str = ""


class Sandbox:
    """Reads files in a child process that is limited in memory, time, files and network. Safe with threads.

    The child starts with the first file and reads many. It is replaced when it failed, for which the file it
    was reading is blamed, after 200 files, and when it holds over 500 MB.
    """

    def __init__(
        self, max_bytes: int, passwords: Sequence[str] = (), seconds: float = 60, memory: int = 1_000_000_000, nice: int = 19
    ) -> None:
        """Take the limits for one file: its size, `seconds` of processor time (five times that by the clock), bytes of memory.

        `passwords` are tried on what is encrypted. The child's priority is lower by `nice`.
        """
        self._max_bytes = max_bytes
        self._passwords = list(passwords)
        self._seconds = seconds
        self._memory = memory
        self._nice = nice
        self._child: Child | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def load(self, path: Path, id: str, stop: threading.Event | None = None) -> Loaded:
        """Read the file at `path`, called `id`, and what lies inside it, as `documents.load_file` does.

        Raises `DocumentError` with the reason, `Cancelled` when `stop` is set or the sandbox is closed before
        the file was read, and `UserError` when no file can be read because the child doesn't start.
        """
        loaded = self._request(path, id, {}, stop).loaded
        if loaded is None:
            raise _failed(id)
        return loaded

    def draw(self, path: Path, document: Document, index: int) -> PageDrawing:
        """Draw page `index` (from 0) of a PDF that lies in the file at `path`, as `drawing.draw_page` does; raises as `load` does."""
        inner = document.id.removeprefix(document.inside) if document.inside else ""
        drawn = self._request(path, document.id, {"inner": inner, "sha256": document.sha256, "page": index}, None).drawn
        if drawn is None:
            raise _failed(document.id)
        return drawn

    def rest(self) -> None:
        """End the child unless it is at work; the next file starts another."""
        if self._lock.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._lock.release()

    def _request(self, path: Path, id: str, more: dict[str, object], stop: threading.Event | None) -> _Reply:
        check_name(str(path))
        limits = {"max_bytes": self._max_bytes, "seconds": max(1, round(self._seconds))}
        request = {"path": str(path.absolute()), "id": id, **limits, **more}
        with self._turn(stop):
            child = self._started(stop)
            was_waiting = child.asked > 1  # beside its limits it was asked for a file before
            try:
                try:
                    said = self._ask(child, request, id, _CLOCK * self._seconds, stop)
                except _Killed:
                    if not was_waiting:
                        raise
                    # It may have been ended while it waited, which the system tells late.
                    self._end()
                    child = self._started(stop)
                    said = self._ask(child, request, id, _CLOCK * self._seconds, stop)
                reply = _reply(said, id)
            except BaseException:
                self._end()
                raise
            if reply.failure or child.asked > _FILES or child.memory > _KEPT_BYTES:
                self._end()
        if reply.failure == "memory":
            raise self._too_much()
        if reply.reason:
            raise DocumentError(clean_line(reply.reason, 500))
        return reply

    def close(self) -> None:
        """End the child; what is being read is cancelled, and nothing more is read."""
        self._closed.set()
        with self._lock:
            self._end()

    @contextmanager
    def _turn(self, stop: threading.Event | None) -> Iterator[None]:
        while not self._lock.acquire(timeout=_POLL_SECONDS):
            self._check(stop)
        try:
            self._check(stop)
            yield
        finally:
            self._lock.release()

    def _check(self, stop: threading.Event | None) -> None:
        if self._closed.is_set() or (stop is not None and stop.is_set()):
            raise Cancelled("The file was not read: it was stopped.")

    def _started(self, stop: threading.Event | None) -> Child:
        """Return the child, a new one if there is none, or if the system ended the one that was waiting."""
        if self._child and self._child.running:
            return self._child
        self._end()
        try:
            self._child = Child()
            self._ask(
                self._child, {"memory": self._memory, "nice": self._nice, "passwords": self._passwords}, "", _START_SECONDS, stop
            )
        except (OSError, DocumentError) as error:
            self._end()
            why = f" ({error.strerror})" if isinstance(error, OSError) else ""
            raise UserError(
                f"No file can be read: the process that reads them doesn't start{why}. Free memory and try again."
            ) from None
        except BaseException:
            self._end()
            raise
        return self._child

    def _end(self) -> None:
        if self._child:
            self._child.end()
        self._child = None

    def _ask(self, child: Child, message: object, id: str, seconds: float, stop: threading.Event | None) -> bytes:
        """Return what the child says to `message`; raises `DocumentError` when a limit or a crash ends it."""
        thread = child.talk(message)
        until = time.monotonic() + seconds
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            self._check(stop)
            if time.monotonic() > until:
                raise self._too_long()
            # Where the system has no limit of its own for a process.
            if thread.is_alive() and child.memory > self._memory + _REST_BYTES:
                raise self._too_much()
        if child.said:
            said, child.said = child.said, b""
            return said
        code = child.code()
        if code == -getattr(signal, "SIGXCPU", 0):
            raise self._too_long()
        if code == -getattr(signal, "SIGKILL", 0):
            raise _Killed(str(self._too_much()))  # the system lacked memory
        raise _failed(id)

    def _too_long(self) -> DocumentError:
        return DocumentError(f"reading it takes over {self._seconds:.0f} s; split it or save it in another format")

    def _too_much(self) -> DocumentError:
        return DocumentError(f"reading it takes over {self._memory / 1e6:,.0f} MB of memory; split it or save it in another format")


class _Killed(DocumentError):
    """The system ended the child."""


def _failed(id: str) -> DocumentError:
    kind = clean_line(Path(id).suffix[1:], 10).upper()
    return DocumentError(f"it makes the {f'{kind} ' if kind else ''}reader fail; open it in its own program and save it anew")


@cache
def _replies() -> "TypeAdapter[_Reply]":
    from pydantic import TypeAdapter

    return TypeAdapter(_Reply)


def _reply(said: bytes, id: str) -> _Reply:
    """Check and return what the child said of file `id`: a hostile file may have taken it over."""
    try:
        reply = _replies().validate_json(said, strict=True)
    except ValueError:
        raise _failed(id) from None
    if reply.drawn is not None and not reply.drawn.sound:
        raise _failed(id)
    if reply.loaded is None:
        return reply
    if not reply.loaded.documents or not all(_is_sound(document, id) for document in reply.loaded.documents):
        raise _failed(id)
    documents = tuple(
        replace(document, title=clean_line(document.title), warnings=_lines(document.warnings))
        for document in reply.loaded.documents
    )
    return replace(reply, loaded=replace(reply.loaded, documents=documents, warnings=_lines(reply.loaded.warnings)))


def _lines(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(clean_line(line, 500) for line in lines)


def _is_sound(document: Document, id: str) -> bool:
    """Whether the document is of file `id`, and its places lie in its text, in order."""
    try:
        check_name(document.id)
    except DocumentError:
        return False
    own = document.id == id and not document.inside
    starts = [heading.start for heading in document.headings]
    return (
        (own or (document.inside == id and document.id.startswith(f"{id}/")))
        and re.fullmatch(r"[0-9a-f]{64}", document.sha256) is not None
        and all(
            0 <= earlier <= later <= len(document.text)
            for places in (starts, document.pages)
            for earlier, later in pairwise([0, *places])
        )
        and all(1 <= heading.level <= 9 for heading in document.headings)
    )
