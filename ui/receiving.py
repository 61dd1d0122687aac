"""Uploads: each request gets a folder of its own, within limits, and leaves nothing when it is refused or breaks off.

They take the place of Gradio's, which keep a form field of any size in memory, leave half a file behind when the
page is closed, and put two uploads of one file in one place.
"""

import asyncio
import json
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from assistant.adding import file_name, lack_of_room
from assistant.errors import UserError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

PATH, PROGRESS = "/gradio_api/upload", "/gradio_api/upload_progress"
MOST_FILES = 1000  # of one request: Gradio's script sends that many at once
_MOST_FIELDS, _FIELD = 100, 10_000  # what is no file is of no use
_NAME_BYTES = 16  # of the names of the folders, random ones
_AT_ONCE = 1_000_000  # bytes that are written at a time
_LOOK_AT_DISK = 16_000_000  # bytes between two looks at how much room there is
_KEPT_SECONDS = 86_400.0  # what was uploaded and never added goes after that
_DRAIN_SECONDS = 30.0  # that the rest of a refused upload may take
_CLOSE = {"Connection": "close"}  # what is left of a body would be read as the next request
_WAIT_SECONDS = 3.0  # for an upload to begin whose progress is asked for


class Refused(UserError):
    """An upload that is not taken: what the reader is told, and the HTTP status."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


@dataclass
class _Progress:
    """What came of an upload since its page was last told: the file and its bytes."""

    news: list[tuple[str, int]] = field(default_factory=list)
    over: bool = False


class Uploads:
    """The folder of the uploads. `max_bytes` is the size of the largest file."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._progress: dict[str, _Progress] = {}
        self._running: set[asyncio.Task[Any]] = set()

    def clear(self) -> None:
        """Delete all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def routes(self) -> "list[BaseRoute]":
        """Return the addresses that Gradio's script sends files to."""
        from starlette.routing import Route

        return [Route(PATH, self._upload, methods=["POST"]), Route(PROGRESS, self._tell, methods=["GET"])]

    def end(self) -> None:
        """Break off those that are coming in; called from another thread than theirs."""
        for task in list(self._running):
            task.get_loop().call_soon_threadsafe(task.cancel)

    async def _upload(self, request: "Request") -> "Response":
        from starlette.responses import PlainTextResponse

        task = asyncio.ensure_future(self._take(request))
        self._running.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            return PlainTextResponse("The server is ending.", 503, headers=_CLOSE)
        finally:
            self._running.discard(task)

    async def _take(self, request: "Request") -> "Response":
        from starlette.requests import ClientDisconnect
        from starlette.responses import JSONResponse, PlainTextResponse, Response

        await asyncio.to_thread(self._sweep)
        id = request.query_params.get("upload_id", "")
        progress = self._progress[id] = _Progress()
        reading = _Reading(self.folder / secrets.token_hex(_NAME_BYTES), self.max_bytes, progress)
        body, done = request.stream(), False
        try:
            with suppress(ValueError):
                reading.check_room(int(request.headers.get("content-length", "")))
            await reading.read(request.headers.get("content-type", ""), body)
            done = True
            return JSONResponse([str(path) for path in reading.paths])
        except ClientDisconnect:
            return Response(status_code=499)
        except Refused as error:
            status, line = error.status, str(error)
        except OSError as error:
            status, line = 507, f"The upload can't be stored ({error.strerror or error})."
        finally:
            progress.over = True
            reading.close()
            if not done:
                shutil.rmtree(reading.folder, ignore_errors=True)
            asyncio.get_running_loop().call_later(_WAIT_SECONDS, self._progress.pop, id, None)
        await _drain(body)
        return PlainTextResponse(line, status, headers=_CLOSE)

    async def _tell(self, request: "Request") -> "Response":
        from starlette.responses import PlainTextResponse, StreamingResponse

        id, end = request.query_params.get("upload_id", ""), time.monotonic() + _WAIT_SECONDS
        while id not in self._progress and time.monotonic() < end:
            await asyncio.sleep(0.05)
        progress = self._progress.get(id)
        if progress is None:
            return PlainTextResponse("There is no such upload.", 404)
        return StreamingResponse(_told(progress), media_type="text/event-stream")

    def _sweep(self) -> None:
        """Delete what was uploaded long ago and never added."""
        with suppress(OSError):
            for place in self.folder.iterdir():
                if len(place.name) == 2 * _NAME_BYTES and time.time() - place.stat().st_mtime > _KEPT_SECONDS:
                    shutil.rmtree(place, ignore_errors=True)


async def _drain(body: AsyncIterator[bytes]) -> None:
    """Let the rest of a refused upload pass by: a browser reads no answer before it has sent all, and none of a closed connection."""
    from starlette.requests import ClientDisconnect

    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in body:
                pass


async def _told(progress: _Progress) -> AsyncIterator[str]:
    while True:
        over, news = progress.over, progress.news
        progress.news = []
        for name, size in news:
            yield _event(msg="update", orig_name=name, chunk_size=size)
        if over:
            yield _event(msg="done")
            return
        await asyncio.sleep(0.05)


def _event(**message: object) -> str:
    return f"data: {json.dumps(message)}\n\n"


class _Reading:
    """Reads the body of one upload into `folder`."""

    def __init__(self, folder: Path, max_bytes: int, progress: _Progress) -> None:
        self.folder, self.max_bytes, self.progress = folder, max_bytes, progress
        self.paths: list[Path] = []
        self._file: BinaryIO | None = None
        self._name = ""
        self._size = self._fields = self._unlooked = 0
        self._header, self._headers = [b"", b""], dict[bytes, bytes]()

    async def read(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        """Read all of it; raises `Refused` for what is too large or no upload."""
        from python_multipart.exceptions import MultipartParseError

        parser = _parser(content_type, self._callbacks())
        held = b""
        try:
            async for data in body:
                held += data
                if len(held) >= _AT_ONCE:
                    await asyncio.to_thread(parser.write, held)
                    held = b""
            await asyncio.to_thread(parser.write, held)
            parser.finalize()
        except MultipartParseError:
            raise Refused(400, "This is no upload of files.") from None
        if self._file is not None:
            raise Refused(400, "The upload broke off.")

    def check_room(self, size: int) -> None:
        """Raise `Refused` when `size` more bytes leave too little of the disk."""
        if free := lack_of_room(self.folder.parent, size):
            raise Refused(507, f"Only {free / 1e6:,.0f} MB of disk are free: make room and try again.")

    def close(self) -> None:
        """Let go of the file that is being written."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self.close,
        }

    def _begin(self) -> None:
        self._headers, self._size = {}, 0

    def _add_header(self, part: int, data: bytes) -> None:
        self._header[part] += data  # the parser limits their length

    def _end_header(self) -> None:
        self._headers[self._header[0].lower()] = self._header[1]
        self._header = [b"", b""]

    def _open(self) -> None:
        from python_multipart.multipart import parse_options_header

        options = parse_options_header(self._headers.get(b"content-disposition", b""))[1]
        if b"filename" not in options:
            self._fields += 1
            if self._fields > _MOST_FIELDS:
                raise Refused(400, "This is no upload of files.")
            return
        if len(self.paths) == MOST_FILES:
            raise Refused(413, f"More than {MOST_FILES:,} files at once: add them in parts, or copy them into the corpus folder.")
        self._name = file_name(re.split(r"[/\\]", options[b"filename"].decode("utf-8", errors="replace"))[-1])
        place = self.folder / str(len(self.paths))  # two files may have one name
        place.mkdir(parents=True)
        self.paths.append(place / self._name)
        self._file = self.paths[-1].open("xb")  # closed by `close`

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        if self._file is None:
            if self._size > _FIELD:
                raise Refused(400, "This is no upload of files.")
            return
        if self._size > self.max_bytes:
            raise Refused(413, f"{self._name} is larger than {self.max_bytes / 1e6:,.0f} MB: nothing of this upload was added.")
        self._unlooked += len(data)
        if self._unlooked > _LOOK_AT_DISK:
            self.check_room(_LOOK_AT_DISK)
            self._unlooked = 0
        self._file.write(data)
        self.progress.news.append((self._name, len(data)))


def _parser(content_type: str, callbacks: dict[str, Callable[..., None]]) -> Any:
    from python_multipart.multipart import MultipartParser, parse_options_header

    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:
        raise Refused(400, "This is no upload of files.")
    return MultipartParser(boundary, callbacks)  # type: ignore[arg-type]


def uploaded(path: str, folder: Path) -> bool:
    """Whether `path` is that of a file which was uploaded into `folder`: a page may name any."""
    file = Path(path)
    if "\0" in path or ".." in file.parts or file.parent.parent.parent != folder:
        return False
    return file.is_file() and not file.is_symlink()


def discard(files: Iterable[Path]) -> None:
    """Delete uploaded files and their folders."""
    for file in files:
        file.unlink(missing_ok=True)
        with suppress(OSError):  # others of the same upload are still there
            file.parent.rmdir()
            file.parent.parent.rmdir()
