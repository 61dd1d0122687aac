"""The sync that runs, whoever started it, and what the last one brought: one for all open pages."""

import threading
from collections.abc import Callable, Iterator

from assistant.answer import Assistant
from assistant.documents import clean_line
from assistant.errors import UserError
from assistant.receipts import FileResult, Report


class Syncing:
    """Starts, stops and watches the syncs of `assistant`."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._adding = 0
        self._seen: Report | None = None  # the newest report of a sync that found something to do
        self._last: Report | None = None  # the newest one to show

    @property
    def running(self) -> Report | None:
        """The report of the sync that runs now."""
        report = self._assistant.report
        if not report.over:
            return report
        return Report() if self._thread and self._thread.is_alive() else None  # it has not begun yet, or is ending

    @property
    def last(self) -> Report | None:
        """The report of the last sync that found something to do or was asked for; what was added by hand tells of itself."""
        report = self._assistant.last_report
        with self._lock:
            if report is not self._seen and not self._adding:
                self._seen = self._last = report
            return self._last

    def start(self) -> None:
        """Sync in a thread, unless a sync runs: it goes on when the page is closed."""
        with self._lock:
            if self.running or (self._thread and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            report = self._assistant.sync()
        except Exception as error:  # told on the page; the thread has nobody else to tell
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {clean_line(str(error))}"
            report = Report(over=True, problem=f"The folder could not be synced ({reason}).")
        with self._lock:
            self._seen, self._last = self._assistant.last_report, report

    def stop(self) -> None:
        """Have the sync that runs end soon."""
        self._assistant.stop_sync()

    def adding(self, add: Callable[[], Iterator[FileResult]]) -> Iterator[FileResult]:
        """Yield what `add` yields; the syncs that it makes are not shown as if they were others."""
        with self._lock:
            self._adding += 1
        try:
            yield from add()
        finally:
            with self._lock:
                self._adding -= 1
                self._seen = self._assistant.last_report
