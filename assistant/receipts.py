"""What became of each file of a sync, in words and numbers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from assistant.changes import Changes
from assistant.documents import Document
from assistant.stream import Read


@dataclass(frozen=True)
class FileResult:
    """What became of one file: `message` is one line, the reason when it is not `ok`; `warnings` are lines too.

    `instead_of` is the name it was to be added under, when a file with other content has that and stays.
    """

    id: str
    ok: bool
    message: str
    warnings: tuple[str, ...] = ()
    instead_of: str = ""

    @property
    def line(self) -> str:
        """The message, and what to do when there are now two files where one was meant perhaps."""
        if not self.instead_of:
            return self.message
        taken = f"{self.instead_of} is there already with other content, so this one was added as {self.id}"
        return f"{self.message}. {taken}; if one of the two is no longer needed, remove it."


@dataclass
class Report:
    """Progress and result of a sync: counts of files, and one result for each file that was touched.

    `total` files are to be read, `done` are, of which `new`, `changed`, `same` (as another) and `failed` ones make the sum;
    `bytes` and `bytes_done` are of those that are read. `problem` is a line that says what went wrong, or why the sync ended
    early; `stopped` tells that it was asked to, `over` that it ended.
    """

    total: int = 0
    done: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    unchanged: int = 0
    moved: int = 0
    removed: int = 0
    chunks: int = 0
    seconds: float = 0.0
    bytes: int = 0
    bytes_done: int = 0
    current: str = ""
    stopped: bool = False
    over: bool = False
    problem: str = ""
    results: list[FileResult] = field(default_factory=list)
    _left: dict[str, Literal["waiting", "indexing"]] = field(default_factory=dict, repr=False)
    _known: frozenset[str] = field(default=frozenset(), repr=False)
    _started: float = field(default_factory=time.monotonic, repr=False)

    @property
    def failed(self) -> list[FileResult]:
        """The files that could not be indexed."""
        return [result for result in self.results if not result.ok]

    @property
    def seconds_left(self) -> float | None:
        """How long reading the rest will take at the speed until now; None before anything was read."""
        return self.seconds * (self.bytes - self.bytes_done) / self.bytes_done if self.bytes_done else None

    @property
    def chunks_per_second(self) -> float:
        """The speed until now."""
        return self.chunks / self.seconds if self.seconds else 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing was to be done."""
        return not (self.total or self.moved or self.removed or self.problem)

    @property
    def line(self) -> str:
        """The counts in one line."""
        counts = {
            "new": self.new,
            "changed": self.changed,
            "moved": self.moved,
            "same as another": self.same,
            "removed": self.removed,
            "failed": len(self.failed),
            "unchanged": self.unchanged,
        }
        speed = f", {self.chunks_per_second:.0f} chunks/s" if self.chunks else ""
        return f"{', '.join(f'{count:,} {name}' for name, count in counts.items())}; {counted(self.chunks, 'chunk')} in {self.seconds:.1f} s{speed}."

    def start(self, changes: Changes) -> None:
        """Note what is to be done."""
        self.total, self.unchanged, self.moved, self.removed = (
            len(changes.read) + len(changes.same),
            changes.unchanged + len(changes.touched),
            len(changes.moved),
            len(changes.removed),
        )
        self._known = changes.known
        self._left = dict.fromkeys(changes.read, "waiting")
        self.bytes = sum(state.size for state in changes.read.values())

    def begin(self, id: str) -> None:
        """Note that a file is being read."""
        if id in self._left:
            self._left[id] = "indexing"

    @property
    def left(self) -> dict[str, Literal["waiting", "indexing"]]:
        """The files that are not done yet: waiting, or being read and embedded now."""
        return self._left.copy()

    def note(self, result: FileResult, read: Read, chunks: int = 0) -> None:
        """Add what became of a file that was read."""
        self.results.append(result)
        self.done += 1
        self._left.pop(read.id, None)
        if result.ok and read.id in self._known:
            self.changed += 1
        elif result.ok:
            self.new += 1
        self.chunks += chunks
        self.bytes_done += read.state.size
        self.current = read.id
        self.seconds = time.monotonic() - self._started

    def note_same(self, result: FileResult) -> None:
        """Add what became of a file with the same content as another."""
        self.results.append(result)
        self.done += 1
        self.same += result.ok

    def skip(self, files: int) -> None:
        """Take files off that are left to the next sync."""
        self.total -= files

    def end(self) -> None:
        """Note the time that it took."""
        self.over = True
        self._left.clear()
        self.seconds = time.monotonic() - self._started


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, such as "1,494 chunks"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def summary(documents: Sequence[Document], chunks: int) -> str:
    """Return one line about what was read of a file."""
    pages = sum(len(document.pages) for document in documents)
    parts = [
        *([counted(len(documents), "document")] if len(documents) != 1 else []),
        *([counted(pages, "page")] if pages else []),
        counted(sum(len(document.text) for document in documents), "character"),
        counted(chunks, "chunk"),
    ]
    return ", ".join(parts)
