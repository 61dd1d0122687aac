"""The parent's end of the child process that reads files: start, talk, memory, end."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from assistant.sandbox_child import pack, receive, send

_CHILD = "assistant.sandbox_child"
_MAX_REPLY = 200_000_000  # bytes
# No keys and no settings: what Python, the libraries and the system need.
_ENVIRONMENT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TMPDIR", "TESSDATA_PREFIX"),
    *("SYSTEMROOT", "TEMP", "TMP", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PATHEXT"),
)
# More arenas and threads would take address space, which is limited.
_FEW_THREADS = {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}


class Child:
    """A running `sandbox_child`. `asked` counts the messages, and `said` is the reply to the newest, empty for none."""

    def __init__(self) -> None:
        """Start it; raises `OSError` when the system can't."""
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            # -P: a module that lies in the current folder isn't ours.
            [sys.executable, "-P", "-m", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, **_FEW_THREADS, "PYTHONPATH": path},
            process_group=0,  # Ctrl-C is for the parent; and what the child starts ends with it
        )
        self._thread = threading.Thread()
        self._watched: Any = None
        self.asked = 0
        self.said = b""

    def talk(self, message: object) -> threading.Thread:
        """Send `message`; when the thread that is returned has ended, the reply is in `said`."""
        self.asked += 1
        self.said = b""
        self._thread = threading.Thread(target=self._talk, args=(message,), daemon=True)
        self._thread.start()
        return self._thread

    def _talk(self, message: object) -> None:
        assert self._process.stdin and self._process.stdout
        # It ended, or says what is no reply.
        with suppress(OSError, EOFError, ValueError):
            send(self._process.stdin, pack(message))
            self.said = receive(self._process.stdout, _MAX_REPLY)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def memory(self) -> int:
        """Its resident memory in bytes; 0 when it has ended."""
        import psutil

        try:
            self._watched = self._watched or psutil.Process(self._process.pid)
            return int(self._watched.memory_info().rss)
        except psutil.Error:
            return 0

    def code(self) -> int | None:
        """Return the exit code of a child that no longer talks: negative for a signal, None when it lives on."""
        try:
            return self._process.wait(2)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """End it at once, and what it started."""
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        if self._thread.is_alive():
            self._thread.join()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if stream:
                    stream.close()
