"""The child process of `sandbox.py`: it limits itself, then reads one file after another, or draws pages, for its parent.

A message is its length in eight bytes, then JSON.
"""

import json
import math
import os
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path, PurePath
from queue import SimpleQueue
from typing import IO, Any

from assistant.documents import load_file
from assistant.drawing import draw_page
from assistant.errors import DocumentError

_LENGTH = struct.Struct(">Q")
_FILE_BYTES = 64_000_000  # written by a program it starts
_FILES = 64  # open at once
_PROGRAMS = ("tesseract",)  # what may be started
_STARTS = ("os.system", "os.exec", "os.fork", "os.forkpty", "os.spawn", "os.startfile", "pty.spawn")


def pack(message: object) -> bytes:
    """Return `message` as it is sent; dataclasses become objects of their fields."""
    data = json.dumps(message, ensure_ascii=False, default=vars).encode("utf-8", "replace")
    return _LENGTH.pack(len(data)) + data


def send(stream: IO[bytes], packed: bytes) -> None:
    """Write one message."""
    stream.write(packed)
    stream.flush()


def receive(stream: IO[bytes], limit: int) -> bytes:
    """Return one message as JSON; `EOFError` when the other side is gone, `ValueError` over `limit` bytes."""
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if length > limit:
        raise ValueError(f"a message of {length} bytes")
    return _exactly(stream, length)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _listen(requests: IO[bytes], waiting: "SimpleQueue[dict[str, Any]]") -> None:
    """Queue what the parent asks. When it is gone, however it ended, so is this process, in the middle of a file too."""
    with suppress(Exception):
        while True:
            waiting.put(json.loads(receive(requests, 1_000_000)))
    os._exit(0)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: no network, and no programs but the known ones. It stops Python code, not a broken C library."""
    allowed = True
    if event.startswith("socket.") or event in _STARTS:
        allowed = False
    elif event in ("subprocess.Popen", "os.posix_spawn"):
        # Windows gives the whole command line in place of the program.
        program = os.fsdecode(arguments[0]) if arguments[0] else str(arguments[1]).lstrip('"').split('"')[0].split(" -")[0]
        allowed = PurePath(program).stem.lower() in _PROGRAMS
    if not allowed:
        raise PermissionError(f"{event} is not allowed while files are read")


def _limit(memory: int, nice: int) -> None:
    """Set the limits of this process; those that the system doesn't know are left out."""
    if hasattr(os, "nice"):
        os.nice(nice)
    with suppress(ImportError):
        import resource

        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_FSIZE, _FILE_BYTES)
        _lower(resource.RLIMIT_NOFILE, _FILES)
        with suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
            _lower(resource.RLIMIT_AS, int(file.read().split()[0]) * resource.getpagesize() + memory)
    sys.addaudithook(_refuse)


def _lower(what: int, value: int) -> None:
    import resource

    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(what, (value, value))


def _limit_time(seconds: int) -> None:
    """Let this process use `seconds` of processor time from now on; the system then ends it (SIGXCPU)."""
    with suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))


def _answer(request: dict[str, Any], passwords: list[str]) -> bytes:
    try:
        _limit_time(request["seconds"])
        path, id, most = Path(request["path"]), request["id"], request["max_bytes"]
        if "page" in request:
            return pack({"drawn": draw_page(path, request["inner"], request["sha256"], request["page"], most, passwords)})
        return pack({"loaded": load_file(path, id, most, passwords)})
    except DocumentError as error:
        return pack({"reason": str(error)})
    except RecursionError:
        return pack({"reason": "it is nested too deeply; it may be damaged"})
    except ImportError as error:
        return pack({"reason": f"a package that reads it is missing ({error.name}); install the assistant's packages again"})
    except MemoryError:
        return pack({"failure": "memory"})
    except Exception as error:
        return pack({"failure": type(error).__name__})


def main() -> None:
    """Serve the parent until it is gone. The first message holds the limit of memory, the priority and the passwords."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a library prints or reads goes nowhere.
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    import assistant.loaders  # noqa: F401  (before the memory is limited)

    waiting: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, waiting), daemon=True).start()
    start = waiting.get()
    _limit(start["memory"], start["nice"])
    send(replies, pack({}))
    while True:
        send(replies, _answer(waiting.get(), start["passwords"]))


if __name__ == "__main__":
    main()
