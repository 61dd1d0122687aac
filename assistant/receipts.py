"""What became of each file of a sync, in words and numbers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from assistant.changes import Changes
from assistant.documents import Document
from assistant.stream import Read


@dataclass(frozen=True)
class FileResult:
    """What became of one file: `message` is one line, the reason when it is not `ok`; `warnings` are lines too."""

    id: str
    ok: bool
    message: str
    warnings: tuple[str, ...] = ()


@dataclass
class Report:
    """Progress and result of a sync: counts of files, and one result for each file that was touched.

    `total` files are to be read, `done` are; `bytes` and `bytes_done` are theirs. `problem` is a line that says why the sync
    ended early; `stopped` tells that it was asked to.
    """

    total: int = 0
    done: int = 0
    unchanged: int = 0
    moved: int = 0
    removed: int = 0
    chunks: int = 0
    seconds: float = 0.0
    bytes: int = 0
    bytes_done: int = 0
    current: str = ""
    stopped: bool = False
    problem: str = ""
    results: list[FileResult] = field(default_factory=list)
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

    def start(self, changes: Changes) -> None:
        """Note what is to be done."""
        self.total, self.unchanged, self.moved, self.removed = (
            len(changes.read) + len(changes.same),
            changes.unchanged + len(changes.touched),
            len(changes.moved),
            len(changes.removed),
        )
        self.bytes = sum(state.size for state in changes.read.values())

    def note(self, result: FileResult, read: Read, chunks: int = 0) -> None:
        """Add what became of a file that was read."""
        self.results.append(result)
        self.done += 1
        self.chunks += chunks
        self.bytes_done += read.state.size
        self.current = read.id
        self.seconds = time.monotonic() - self._started

    def skip(self, files: int) -> None:
        """Take files off that are left to the next sync."""
        self.total -= files

    def end(self, stopped: bool) -> None:
        """Note the time that it took, and whether it was asked to stop."""
        self.stopped = stopped and self.done < self.total
        self.seconds = time.monotonic() - self._started


def summary(documents: Sequence[Document], chunks: int) -> str:
    """Return one line about what was read of a file."""
    pages = sum(len(document.pages) for document in documents)
    parts = [
        *([f"{len(documents)} documents"] if len(documents) != 1 else []),
        *([f"{pages} pages"] if pages else []),
        f"{sum(len(document.text) for document in documents):,} characters",
        f"{chunks} chunks",
    ]
    return ", ".join(parts)
