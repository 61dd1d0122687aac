"""Files read ahead in a thread, while others are embedded."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.catalog import FileState
from assistant.documents import Loaded
from assistant.errors import DocumentError, UserError

_AHEAD = 64  # files read before they are written
_CHARACTERS_AHEAD = 4_000_000
_SOON = 0.1  # seconds; a file that takes longer is not waited for


class Stopped(Exception):
    """The sync was asked to stop."""


@dataclass(frozen=True)
class Read:
    """What was read of the file at `path`, which was in `state` before; `loaded` is None when it failed, for the `reason`."""

    id: str
    path: Path
    state: FileState
    loaded: Loaded | None
    reason: str
    seconds: float

    @property
    def characters(self) -> int:
        """The length of all its texts."""
        return sum(len(document.text) for document in self.loaded.documents) if self.loaded else 0


def read_ahead(
    files: Sequence[tuple[str, Path, FileState]], load: Callable[[Path, str], Loaded], stops: Sequence[threading.Event]
) -> Iterator[Read | None]:
    """Yield what `load` makes of each file, in order; None when the next one isn't ready soon. Ends when one of `stops` is set.

    `load` raises `DocumentError` for a file that can't be read; what else it raises ends the reading, and is raised here.
    """
    buffer = _Buffer()

    def run() -> None:
        try:
            for id, path, state in files:
                if not buffer.put(_read(id, path, state, load)):
                    return
        except Exception as error:  # no file can be read, or it was stopped: told to whoever waits
            buffer.error = error
        buffer.put(None)

    thread = threading.Thread(target=run, name="read-ahead", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise UserError(f"No file can be read ({error}): free some memory, or allow more processes.") from None
    try:
        waited = False
        while not any(stop.is_set() for stop in stops):
            try:
                read = buffer.get(_SOON)
            except queue.Empty:
                if not waited:
                    yield None
                waited = True
                continue
            if read is None:
                break
            waited = False
            yield read
        if buffer.error is not None and not any(stop.is_set() for stop in stops):
            raise buffer.error
    finally:
        buffer.close()
        thread.join()


def _read(id: str, path: Path, state: FileState, load: Callable[[Path, str], Loaded]) -> Read:
    started = time.monotonic()
    try:
        loaded, reason = load(path, id), ""
    except DocumentError as error:
        loaded, reason = None, str(error)
    return Read(id, path, state, loaded, reason, time.monotonic() - started)


class _Buffer:
    """A queue bounded by the number of files and by their characters."""

    def __init__(self) -> None:
        self._items: deque[Read | None] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.error: Exception | None = None

    def _full(self) -> bool:
        return len(self._items) >= _AHEAD or sum(item.characters for item in self._items if item) >= _CHARACTERS_AHEAD

    def put(self, item: Read | None) -> bool:
        """Add an item when there is room; False when nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._full())
            self._items.append(item)
            self._changed.notify_all()
            return not self._closed

    def get(self, seconds: float) -> Read | None:
        """Return the next item; raises `queue.Empty` when there is none in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._items) > 0, timeout=seconds):
                raise queue.Empty
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Let go of whoever waits for room."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
