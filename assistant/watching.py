"""The index follows the corpus folder by itself: whatever changes there is synced at once."""

import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from assistant.documents import clean_line, supported_suffixes
from assistant.folder import identity
from assistant.receipts import Report
from assistant.sync import Corpus

_STEP, _DEBOUNCE = 150, 1500  # milliseconds without a change after which a sync begins, and the longest wait for that
_TICK = 0.5  # seconds between looks at whether the folder is still the same
_POLL = 60.0  # seconds between two syncs where changes can't be seen
_RARELY = 600.0  # the same where they can: some file systems lose events
_TEMPORARY = ("~", ".part", ".tmp", ".swp", ".crdownload", ".download")  # ends of names of files being written
_REMOTE = {
    "9p",
    "virtiofs",
    "afs",
    "ceph",
    "cifs",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
}


class Watching:
    """Syncs a corpus at once, and then whenever something in its folder changes, in a thread of its own."""

    def __init__(
        self,
        corpus: Corpus,
        heard: Callable[[Report], None] = lambda report: None,
        said: Callable[[str], None] = lambda line: None,
        stop: threading.Event | None = None,
        poll: float = _POLL,
    ) -> None:
        """Start. `heard` is called in the thread with a sync's report while it runs and when it is over, `said` with each `status`.

        Ends when `stop` is set. `poll` is the number of seconds between two looks where changes can't be seen.
        """
        self.status = ""  # a line about why changes are not seen at once, empty when they are
        self.settled = threading.Event()  # the first sync is over
        self._corpus, self._heard, self._said, self._poll = corpus, heard, said, poll
        self._stop = stop or threading.Event()
        self._synced_at = 0.0
        self._stopped = False  # the last sync of this watching was, before its end
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)
        self._thread.start()

    @property
    def report(self) -> Report:
        """The report of the sync that runs, or of the last one."""
        return self._corpus.report

    def close(self, seconds: float = 5) -> None:
        """End the thread, and a sync that it runs; waits for at most `seconds`."""
        self._stop.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        self._sync()
        self.settled.set()
        while not self._stop.is_set():
            here = identity(self._corpus.settings.corpus)
            reason = self._watch(here)
            if reason and not self._stop.is_set():
                self._say(reason)
                self._sync()
                self._wait(here)

    def _sync(self) -> None:
        def running(report: Report) -> None:
            if not report.over:
                self._heard(report)

        try:
            report = self._corpus.sync(running, self._stop)
        except Exception as error:  # the thread must go on: the next change may bring what mends it
            report = self._corpus.report
            report.problem = f"The folder could not be synced ({type(error).__name__}: {clean_line(str(error))})."
        self._synced_at, self._stopped = time.monotonic(), report.stopped
        self._heard(report)

    def _watch(self, here: tuple[int, int] | None) -> str:
        """Sync after each change, until the folder is another than `here`; returns why it can't be watched, if so."""
        from watchfiles import watch

        corpus = self._corpus.settings.corpus
        every = f"it is looked at every {self._poll:.0f} seconds"
        if here is None:
            return f"The corpus folder {corpus} is not there: what is indexed of it stays until it is back."
        root = corpus.resolve()
        kind = _remote(root)  # where only changes made on this machine are told
        shared = (
            f"The corpus folder lies on a shared disk ({kind}), where changes by others can't be seen: {every}." if kind else ""
        )
        rarely = self._poll if kind else _RARELY
        try:
            changes = watch(
                root,
                watch_filter=lambda _, path: matters(path, root),
                debounce=_DEBOUNCE,
                step=_STEP,
                stop_event=self._stop,
                rust_timeout=int(_TICK * 1000),
                yield_on_timeout=True,
                raise_interrupt=False,
                ignore_permission_denied=True,
            )
            first = True
            for some in changes:
                if identity(corpus) != here:
                    return ""
                missed = first and not self._stopped  # what changed before the watching began
                if some or missed or time.monotonic() - self._synced_at > rarely:
                    self._say(shared)
                    self._sync()
                first = False
            return ""
        except (OSError, RuntimeError) as error:
            if "decode path" in str(error):
                return f"The name of a file is no valid text, so that changes in the corpus folder can't be seen: {every}; rename it ('assistant list' shows it with a \ufffd)."
            return f"Changes in the corpus folder can't be seen ({clean_line(str(error))}): {every}."

    def _wait(self, here: tuple[int, int] | None) -> None:
        """Wait until it is time to look again, or the folder is another than `here`."""
        end = time.monotonic() + self._poll
        while not self._stop.wait(min(_TICK, self._poll)) and time.monotonic() < end:
            if identity(self._corpus.settings.corpus) != here:
                return

    def _say(self, status: str) -> None:
        if status != self.status:
            self.status = status
            self._said(status)


def matters(path: str, root: Path) -> bool:
    """Whether a change at `path` below `root` may concern a document: not when it is hidden, temporary or of another format."""
    try:
        parts = Path(path).relative_to(root).parts
    except ValueError:
        return False
    name = parts[-1] if parts else ""
    if any(part.startswith(".") for part in parts) or name.startswith("~$") or name.lower().endswith(_TEMPORARY):
        return False
    # A folder that was moved or removed is told as one change; what it was called says nothing.
    return PurePosixPath(name).suffix.lower() in supported_suffixes() or not Path(path).is_file()


def _remote(folder: Path) -> str:
    """Return the type of the file system that `folder` lies on when it is one of a network, else nothing."""
    place, kind = "", ""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""  # not Linux: the other systems report what they can't watch
    for mount in mounts:
        _, at, type, *_ = mount.split(" ")
        at = at.replace("\\040", " ").rstrip("/")
        if folder.is_relative_to(at or "/") and len(at) >= len(place):
            place, kind = at, type
    return kind if kind in _REMOTE else ""
