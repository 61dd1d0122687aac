"""The child of the sandbox with loaders that fail in every way, run as `python -m tests.breaking_child`."""

import os
import signal
import time
from collections.abc import Callable

from assistant.documents import Parsed
from assistant.loaders import LOADERS
from assistant.sandbox_child import main


def _busy(data: bytes) -> None:
    """Work for as many seconds of processor time as the file says."""
    until = time.process_time() + float(data)
    while time.process_time() < until:
        pass


def _noise(data: bytes) -> None:
    print("noise", flush=True)
    os.write(1, b"more noise")


WAYS: dict[str, Callable[[bytes], object]] = {
    ".busy": _busy,
    ".noise": _noise,
    ".sleep": lambda data: time.sleep(float(data)),
    ".abort": lambda data: os.abort(),
    ".exit": lambda data: os._exit(0),
    ".kill": lambda data: os.kill(os.getpid(), signal.SIGKILL),
    ".memory": lambda data: bytes(int(data)),
    ".raise": lambda data: 1 // 0,
    ".garble": lambda data: os.write(4, b"x" * 100),
}


def _loader(way: Callable[[bytes], object]) -> Callable[[bytes, object], Parsed]:
    def load(data: bytes, passwords: object) -> Parsed:
        way(data)
        return Parsed("done")

    return load


if __name__ == "__main__":
    LOADERS.update({suffix: _loader(way) for suffix, way in WAYS.items()})
    main()
