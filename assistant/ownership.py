"""One process owns the data folder; a second one is told who."""

import json
import os
from pathlib import Path

from filelock import FileLock, Timeout

from assistant.documents import clean_line
from assistant.errors import OwnedError


class Ownership:
    """The right to write in the data folder, from the moment this is made until `release`."""

    def __init__(self, data: Path) -> None:
        """Raise `OwnedError`, which names the other process, when the folder is taken."""
        self._note = data / "owner.json"
        self._lock = FileLock(data / "lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise OwnedError(_owned_message(self._note)) from None
        self.tell("")

    def tell(self, url: str) -> None:
        """Tell other processes who owns the data folder, and at which address it serves."""
        part = self._note.with_suffix(".part")
        try:
            part.write_text(json.dumps({"pid": os.getpid(), "url": url}), encoding="utf-8")
            os.replace(part, self._note)
        except OSError:  # on a full disk the lock still holds, others just aren't told by whom
            self._note.unlink(missing_ok=True)
            part.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the data folder back."""
        self._note.unlink(missing_ok=True)
        self._lock.release()


def _owned_message(owner: Path) -> str:
    try:
        who = json.loads(owner.read_text(encoding="utf-8"))
        pid, url = int(who["pid"]), clean_line(str(who["url"]))
    except (OSError, ValueError, KeyError, TypeError):
        return f"Another process is using {owner.parent}: wait for it, or set ASSISTANT_DATA to another folder."
    if url:
        return f"The assistant is already running (process {pid}): use it at {url}, or stop it first."
    return f"Process {pid} is using {owner.parent}: wait for it, or set ASSISTANT_DATA to another folder."
