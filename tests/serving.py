"""The real app in a process of its own, as `assistant serve` starts it."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assistant.settings import Settings
from tests.conftest import ROOT, as_environment, clean_environment


@dataclass
class App:
    """A running app: its address, its process, the lines it printed, and its corpus folder."""

    url: str
    process: subprocess.Popen[str]
    lines: list[str]
    corpus: Path

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rsplit(":", 1)[1])


@contextmanager
def running(settings: Settings, port: int = 0, program: Sequence[str] = ("-m", "assistant.cli"), **env: str) -> Iterator[App]:
    """Start the app, on a free port for 0, and wait for its address; ends it as Ctrl+C does."""
    environment = clean_environment({**as_environment(settings, **env), "PYTHONUNBUFFERED": "1"})
    process = subprocess.Popen(
        [sys.executable, *program, "serve", "--port", str(port)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or []), daemon=True)
    try:
        for line in process.stdout:
            lines.append(line)
            found = re.search(r"http://\S+", line)
            if found:
                reader.start()
                yield App(found.group(), process, lines, settings.corpus)
                break
        else:
            raise AssertionError(f"The app did not start: {''.join(lines)}")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            if reader.is_alive():
                reader.join(5)
            process.stdout.close()
