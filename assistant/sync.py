"""The corpus folder and the index kept in step: new, changed and removed files."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from assistant.catalog import FileState
from assistant.chunking import Chunk
from assistant.collection import Collection
from assistant.cross_encoder import load_reranker
from assistant.documents import Document, clean_line, corpus_files, load_document, supported_suffixes
from assistant.embedding import load_embedder
from assistant.errors import DocumentError, OwnedError, UserError
from assistant.settings import Settings

_FREE_BYTES = 200_000_000  # below this nothing is written


@dataclass(frozen=True)
class FileResult:
    """What became of one file: `message` is one line, the reason when it is not `ok`."""

    id: str
    ok: bool
    message: str


@dataclass
class Report:
    """Progress and result of a sync: counts of files, and one result for each file that was touched."""

    total: int = 0
    done: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks: int = 0
    seconds: float = 0.0
    results: list[FileResult] = field(default_factory=list)

    @property
    def failed(self) -> list[FileResult]:
        """The files that could not be indexed."""
        return [result for result in self.results if not result.ok]


class Corpus(Collection):
    """The documents of one corpus folder with their index. One process owns it until `close`."""

    def __init__(self, settings: Settings, report: Callable[[str], None] = lambda line: None) -> None:
        """Take the data folder, open or make the index. `report` is called before anything slow.

        Raises `UserError` when a folder can't be used and `OwnedError` when another process has it.
        """
        self.settings = settings
        _check_folders(settings)
        self._owner = settings.data / "owner.json"
        self._lock = FileLock(settings.data / "lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise OwnedError(_owned_message(self._owner)) from None
        self.set_address("")
        try:
            super().__init__(settings.data, load_embedder(settings, report), report, load_reranker(settings))
        except BaseException:
            self._lock.release()
            raise

    def set_address(self, url: str) -> None:
        """Tell other processes who owns the data folder, and at which address it serves."""
        self._owner.write_text(json.dumps({"pid": os.getpid(), "url": url}), encoding="utf-8")

    def close(self) -> None:
        """Give the data folder back."""
        super().close()
        self._owner.unlink(missing_ok=True)
        self._lock.release()

    def sync(self, progress: Callable[[Report], None] = lambda report: None) -> Report:
        """Index new and changed files, drop removed ones; a file that fails never stops the others."""
        started = time.monotonic()
        with self._writing:
            files = dict(corpus_files(self.settings.corpus))
            known = self.catalog.file_states()
            report = Report()
            changed: dict[str, FileState] = {}
            for id, path in files.items():
                state = _file_state(path)
                if state is not None and known.get(id) != state:
                    changed[id] = state
            report.total = len(changed)
            report.unchanged = len(files) - len(changed)
            for id in sorted(known.keys() - files.keys()):
                self.drop(id)
                report.removed += 1
            for id, state in changed.items():
                result, chunks = self._read_file(id, files[id], state)
                report.results.append(result)
                report.chunks += chunks
                report.done += 1
                report.seconds = time.monotonic() - started
                progress(report)
            self.flush()
            report.seconds = time.monotonic() - started
            return report

    def add(self, paths: Sequence[Path]) -> Iterator[FileResult]:
        """Copy files into the corpus folder and index them; yields one result a file, in order.

        A file of the same name and content is indexed again; one of the same name and other content
        is kept beside it under a new name. Folders are added with all their files.
        """
        for path in paths:
            for source, id in _sources(path):
                try:
                    yield self._add_file(source, id)
                except (DocumentError, UserError) as error:
                    yield FileResult(id, False, str(error))
                except OSError as error:
                    yield FileResult(id, False, f"it can't be copied ({error.strerror or error})")

    def _add_file(self, source: Path, id: str) -> FileResult:
        if source.suffix.lower() not in supported_suffixes():
            raise DocumentError(f"this format ({source.suffix or 'no ending'}) is not supported; the README lists those that are")
        # Read first: what can't be read isn't copied.
        load_document(source, id, self.settings.upload_mb * 1_000_000)
        with self._writing:
            target = self._free_name(source, id)
            target.parent.mkdir(parents=True, exist_ok=True)
            _check_space(self.settings.data, source.stat().st_size)
            if not target.exists() or not target.samefile(source):
                part = target.with_name(f".{target.name[-100:]}.part")
                shutil.copyfile(source, part)
                os.replace(part, target)
            id = target.relative_to(self.settings.corpus).as_posix()
            state = _file_state(target)
            if state is None:
                raise DocumentError("it was removed while it was read")
            result, _ = self._read_file(id, target, state)
            self.flush()
            return result

    def _free_name(self, source: Path, id: str) -> Path:
        target = self.settings.corpus / id
        content = source.read_bytes()
        number = 2
        while target.exists() and target.read_bytes() != content:
            stem = Path(id)
            target = self.settings.corpus / stem.with_name(f"{stem.stem} ({number}){stem.suffix}")
            number += 1
        return target

    def remove(self, id: str) -> None:
        """Delete a document from the corpus folder and the index; `UserError` when there is none called `id`."""
        with self._writing:
            if id not in self.catalog.file_states():
                raise UserError(f"There is no document called {clean_line(id)!r}: 'assistant list' shows their names.")
            path = self.settings.corpus / id
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"{clean_line(id)} can't be deleted ({error.strerror or error}).") from None
            self.drop(id)
            self.flush()

    def _read_file(self, id: str, path: Path, state: FileState) -> tuple[FileResult, int]:
        """Write a file's document or failure to the catalogue; returns the result and the number of chunks."""
        try:
            _check_space(self.settings.data, state.size)
            document = load_document(path, id, self.settings.upload_mb * 1_000_000)
            [chunks] = self.put([(document, state)])
        except (DocumentError, RecursionError) as error:
            reason = str(error) if isinstance(error, DocumentError) else "it is nested too deeply"
            self.fail(id, state, reason)
            return FileResult(id, False, reason), 0
        return FileResult(id, True, _summary(document, chunks)), len(chunks)


def _summary(document: Document, chunks: Sequence[Chunk]) -> str:
    pages = f"{len(document.pages)} pages, " if document.pages else ""
    return f"{pages}{len(document.text):,} characters, {len(chunks)} chunks"


def _file_state(path: Path) -> FileState | None:
    try:
        status = path.stat()
    except OSError:
        return None  # gone since it was listed: the next sync sees that
    return FileState(status.st_size, status.st_mtime_ns)


def _sources(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield (file, id in the corpus) for a file, or for every supported file of a folder."""
    if path.is_dir():
        for id, file in corpus_files(path):
            yield file, f"{_file_name(path.resolve().name)}/{id}"
    else:
        yield path, _file_name(path.name)


def _file_name(name: str) -> str:
    """Return `name` without path parts, control or invisible characters, at most 150 characters long."""
    name = clean_line(name.replace("/", " ").replace("\\", " "), 10_000).lstrip(". ")
    stem, suffix = os.path.splitext(name)
    return (stem.strip()[:150] or "document") + suffix


def _check_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES + 4 * size:
        raise DocumentError(f"only {free / 1e6:.0f} MB of disk are free; make room and try again")


def _check_folders(settings: Settings) -> None:
    corpus, data = settings.corpus, settings.data
    if not corpus.exists():
        raise UserError(f"The corpus folder {corpus} does not exist: make it, or set ASSISTANT_CORPUS to your documents.")
    if not corpus.is_dir():
        raise UserError(f"ASSISTANT_CORPUS is {corpus}: that is not a folder.")
    if not os.access(corpus, os.R_OK | os.X_OK):
        raise UserError(f"The corpus folder {corpus} can't be read: check its permissions.")
    if data == corpus or data.is_relative_to(corpus):
        raise UserError(f"The data folder {data} lies inside the corpus folder: set ASSISTANT_DATA to another place.")
    try:
        data.mkdir(parents=True, exist_ok=True)
        probe = data / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(f"The data folder {data} can't be written ({error.strerror}): set ASSISTANT_DATA to another.") from None


def _owned_message(owner: Path) -> str:
    try:
        who = json.loads(owner.read_text(encoding="utf-8"))
        pid, url = int(who["pid"]), clean_line(str(who["url"]))
    except (OSError, ValueError, KeyError, TypeError):
        return f"Another process is using {owner.parent}: wait for it, or set ASSISTANT_DATA to another folder."
    if url:
        return f"The assistant is already running (process {pid}): use it at {url}, or stop it first."
    return f"Process {pid} is using {owner.parent}: wait for it, or set ASSISTANT_DATA to another folder."
