"""Many may look while nobody changes what is looked at."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """A lock that any number of threads pass together (`shared`), or one alone (`exclusive`), which goes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._changing = threading.RLock()
        self._inside = 0
        self._closed = False
        self._own = threading.local()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Keep `exclusive` waiting. A thread that is inside may enter again; it must not ask for `exclusive`."""
        depth: int = getattr(self._own, "depth", 0)
        if depth == 0:
            with self._changed:
                self._changed.wait_for(lambda: not self._closed)
                self._inside += 1
        self._own.depth = depth + 1
        try:
            yield
        finally:
            self._own.depth = depth
            if depth == 0:
                with self._changed:
                    self._inside -= 1
                    self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Wait until everybody has left, and keep others out meanwhile."""
        with self._changing:
            try:
                with self._changed:
                    self._closed = True
                    self._changed.wait_for(lambda: self._inside == 0)
                yield
            finally:
                with self._changed:
                    self._closed = False
                    self._changed.notify_all()
