"""A blocking iterator read in a thread of its own, so that the reader can stop at once."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")
_reading: "WeakSet[Relay[Any]]" = WeakSet()  # what the end of the server has to stop


class Relay(Generic[T]):
    """Reads the iterator that `make` returns in a thread and hands its items to the event loop.

    Gradio closes a plain generator only when it yields again and holds a lock meanwhile, so one
    stopped answer would make others wait.
    """

    def __init__(self, make: Callable[[], Iterator[T]]) -> None:
        self._make = make
        self._stopped = threading.Event()
        self._items: asyncio.Queue[T | Exception | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._read, name="relay", daemon=True)

    def stop(self) -> None:
        """End `batches` at once; the iterator is closed as soon as it yields. Can be called from any thread."""
        self._stopped.set()
        self._put(None)

    def _put(self, item: T | Exception | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:
            self._stopped.set()  # the server has ended, nobody reads any more

    def _read(self) -> None:
        try:
            iterator = self._make()
            try:
                for item in iterator:
                    if self._stopped.is_set():
                        return
                    self._put(item)
            finally:
                if isinstance(iterator, Generator):
                    iterator.close()
        except Exception as error:  # raised again where the items are read
            self._put(error)
        finally:
            self._put(None)

    async def batches(self) -> AsyncGenerator[list[T]]:
        """Yield the items in order, all that have come at a time; raises what the iterator raised.

        The thread goes on when this is closed early: call `stop` to end it too.
        """
        _reading.add(self)
        self._thread.start()
        ended = False
        while not ended:
            arrived = [await self._items.get()]
            while not self._items.empty():
                arrived.append(self._items.get_nowait())
            batch: list[T] = []
            for item in arrived:
                if item is None or self._stopped.is_set():
                    ended = True
                    break
                if isinstance(item, Exception):
                    raise item
                batch.append(item)
            if batch:
                yield batch


def stop_all(seconds: float) -> None:
    """Stop every relay and wait until their iterators are closed, for at most about `seconds`."""
    relays = list(_reading)
    for relay in relays:
        relay.stop()
    end = time.monotonic() + seconds
    for relay in relays:
        relay._thread.join(max(end - time.monotonic(), 0))
