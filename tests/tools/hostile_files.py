"""Print a table of what reading each hostile file takes: `python -m tests.tools.hostile_files [NAME ...]`."""

import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from assistant.errors import DocumentError
from assistant.sandbox import Sandbox
from tests.hostile import HOSTILE


def _peak(done: threading.Event, seen: list[int]) -> None:
    """Note the most memory that a child of this process ever had, in kB."""
    while not done.wait(0.02):
        for child in psutil.Process().children():
            try:
                status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
            except OSError:
                continue
            seen += [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]


def main(names: list[str]) -> None:
    """Read every file in a child of its own."""
    print("| file | MB | seconds | MB of the child | result |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name in names or HOSTILE:
            path = Path(folder) / name
            HOSTILE[name](path)
            sandbox = Sandbox(50_000_000)
            done, seen = threading.Event(), [0]
            watcher = threading.Thread(target=_peak, args=(done, seen))
            watcher.start()
            started = time.monotonic()
            try:
                loaded = sandbox.load(path, name)
                result = f"{sum(len(document.text) for document in loaded.documents):,} characters"
            except DocumentError as error:
                result = str(error)
            seconds = time.monotonic() - started
            done.set()
            watcher.join()
            sandbox.close()
            size = path.stat().st_size / 1e6
            path.unlink()
            print(f"| {name} | {size:.3g} | {seconds:.1f} | {max(seen) / 1e3:.0f} | {result} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
