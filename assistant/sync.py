"""The corpus folder and the index kept in step: new, changed, moved, doubled and removed files."""

import hashlib
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path

from assistant.catalog import Cut, FileEntry, FileState
from assistant.changes import Changes, find_changes
from assistant.collection import EMBED_BATCH, Collection
from assistant.cross_encoder import load_reranker
from assistant.documents import Document, check_file, clean_line, corpus_files, supported_suffixes
from assistant.embedding import load_embedder
from assistant.errors import DocumentError, UserError
from assistant.ownership import Ownership
from assistant.receipts import FileResult, Report, summary
from assistant.sandbox import Sandbox
from assistant.schema import backup_of
from assistant.settings import Settings
from assistant.stream import Read, read_ahead

_FREE_BYTES = 200_000_000  # below this nothing is written
_TOGETHER = 40_000  # characters that are embedded and written together
_ADDED_TOGETHER = 32  # files copied before they are indexed
_LATELY = 60.0  # seconds since the last question
_BESIDE_QUESTIONS = 4  # chunks embedded at once when there was one
_PATIENCE = 30.0  # seconds that a group, in all its batches, waits for answers in the making


class Corpus(Collection):
    """The documents of one corpus folder with their index. One process owns it until `close`."""

    def __init__(self, settings: Settings, report: Callable[[str], None] = lambda line: None) -> None:
        """Take the data folder, open or make the index. `report` is called before anything slow.

        Raises `UserError` when a folder can't be used and `OwnedError` when another process has it.
        """
        self.settings = settings
        _check_folders(settings)
        self._ownership = Ownership(settings.data)
        self._sandbox = Sandbox(settings.upload_mb * 1_000_000, settings.passwords)
        self._syncing = threading.Lock()
        self._closing = threading.Event()
        self._answers = 0
        self._asked = -math.inf
        self._patient_until = 0.0
        self._quiet = threading.Condition()
        try:
            super().__init__(settings.data, load_embedder(settings, report), report, load_reranker(settings))
        except BaseException:
            self._ownership.release()
            raise
        self._note_readers()

    def set_address(self, url: str) -> None:
        """Tell other processes at which address this one serves."""
        self._ownership.tell(url)

    def close(self) -> None:
        """Stop a sync that runs, and give the data folder back."""
        self._closing.set()
        self._sandbox.close()
        with self._syncing:
            super().close()
        self._ownership.release()

    def _note_readers(self) -> None:
        """Have files read again when they are read in another way than before: all, or those that failed."""
        from assistant.loaders import VERSION

        readers = {"loaders": str(VERSION), "limits": f"{self.settings.upload_mb} MB, {len(self.settings.passwords)} passwords"}
        stored = {name: self.catalog.setting(name) for name in readers}
        if stored == readers:
            return
        if any(stored.values()):
            self.catalog.forget_states(failed_only=stored["loaders"] == readers["loaders"])
        self.catalog.set_settings(readers)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Let a sync pause meanwhile: an answer is being written, which needs the processor."""
        with self._quiet:
            self._answers += 1
            self._asked = time.monotonic()
        try:
            yield
        finally:
            with self._quiet:
                self._answers -= 1
                self._quiet.notify_all()

    def changes(self) -> Changes:
        """Return what a sync would do now. Reads only files that changed, and writes nothing."""
        return self._changes(dict(corpus_files(self.settings.corpus)))

    def _changes(self, paths: Mapping[str, Path]) -> Changes:
        states = {id: state for id, path in paths.items() if (state := _file_state(path)) is not None}
        return find_changes(states, self.catalog.files(), lambda id: _digest(paths[id]))

    def sync(self, progress: Callable[[Report], None] = lambda report: None, stop: threading.Event | None = None) -> Report:
        """Index new and changed files, rename moved ones, drop removed ones; a file that fails never stops the others.

        `progress` is called after each group of files. When `stop` is set the sync ends soon; what it did is kept,
        and the next one goes on there. One at a time: a second waits for the first.
        """
        with self._syncing:
            report = Report()
            try:
                self._sync(report, progress, stop or threading.Event())
            except UserError as error:
                report.problem = str(error)
            except OSError as error:
                report.problem = (
                    f"The index can't be written ({_one_line(error)}): what was done is kept, make room or mend it and sync again."
                )
            return report

    def _sync(self, report: Report, progress: Callable[[Report], None], stop: threading.Event) -> None:
        paths = dict(corpus_files(self.settings.corpus))
        changes = self._changes(paths)
        report.start(changes)
        with self._writing:
            if changes.touched:
                self.catalog.touch(changes.touched)
            if changes.moved or changes.removed:
                self.catalog.rearrange(changes.moved, changes.removed)
                self.index.catch_up()
        report.results += [FileResult(entry.path, True, f"was {old}") for old, entry in changes.moved.items()]
        added: list[str] = []
        for group in self._groups(changes, paths, report, stop):
            added += self._write(group, report)
            progress(report)
        if not report.problem:
            self._write_copies(changes, paths, report)
        self.flush()
        if not self._check_canaries(added):
            report.problem = "A new document can't be found by its own words, even in an index made anew: run 'assistant doctor'."
        report.end(stopped=stop.is_set() or self._closing.is_set())
        if not report.stopped and not report.problem:
            backup_of(self.catalog.path).unlink(missing_ok=True)
        progress(report)

    def _groups(self, changes: Changes, paths: Mapping[str, Path], report: Report, stop: threading.Event) -> Iterator[list[Read]]:
        """Yield what was read of the changed files, as much at once as is embedded well together."""
        files = [(id, paths[id], state) for id, state in changes.read.items()]
        group: list[Read] = []
        size = 0
        for read in read_ahead(files, partial(self._sandbox.load, stop=stop), [stop, self._closing]):
            if read is None or size >= _TOGETHER:  # None: the next file takes a while
                if group:
                    yield group
                group, size = [], 0
            if read is None:
                continue
            if free := _lack_of_space(self.settings.data, read.state.size):
                report.problem = f"Only {free / 1e6:.0f} MB of disk are free: make room and sync again; what was done is kept."
                break
            group.append(read)
            size += read.characters
        if group:
            yield group

    def _write(self, group: Sequence[Read], report: Report) -> list[str]:
        """Write a group of files to the catalogue, or what is wrong with them; returns the ids of the documents."""
        self._patient_until = time.monotonic() + _PATIENCE
        self._next_batch()
        added: list[str] = []
        with self._writing:
            # What was removed or changed since it was read is left to the next sync.
            there = [read for read in group if _file_state(read.path) == read.state]
            for read, outcome in self._put_reads(there):
                if isinstance(outcome, str):
                    self.fail(read.id, read.state, outcome, _digest(read.path))
                    report.note(FileResult(read.id, False, outcome), read)
                elif read.loaded:
                    report.note(
                        FileResult(read.id, True, summary(read.loaded.documents, outcome), read.loaded.all_warnings), read, outcome
                    )
                    added += [document.id for document in read.loaded.documents]
        report.skip(len(group) - len(there))
        return added

    def _put_reads(self, group: Sequence[Read]) -> Iterator[tuple[Read, str | int]]:
        """Put files; yields for each the number of its chunks, or the reason why there are none."""
        good = [read for read in group if read.loaded]
        try:
            counts: list[str | int] = [sum(map(len, part)) for part in self.put_files([_row(read) for read in good])]
        except DocumentError:  # one of them can't be cut or embedded: find out which
            counts = [self._put_one(read) for read in good]
        yield from zip(good, counts, strict=True)
        yield from ((read, read.reason) for read in group if not read.loaded)

    def _put_one(self, read: Read) -> str | int:
        try:
            return sum(map(len, self.put_files([_row(read)])[0]))
        except DocumentError as error:
            return str(error)

    def _write_copies(self, changes: Changes, paths: Mapping[str, Path], report: Report) -> None:
        """Note the files with the same content as another; where that failed, so do they."""
        if not changes.same:
            return
        known = self.catalog.files()
        entries: list[tuple[FileEntry, list[Cut]]] = []
        for path, entry in changes.same.items():
            holder = known.get(entry.same_as)
            if holder is None or _file_state(paths[path]) != entry.state:
                continue  # not read yet, or changed since: the next sync sees to it
            result = FileResult(path, not holder.reason, holder.reason or f"has the same content as {holder.path}")
            entries.append((FileEntry(path, entry.state, entry.sha256, holder.path, holder.reason), []))
            report.results.append(result)
            report.done += 1
        with self._writing:
            self.catalog.put_files(entries)

    def _check_canaries(self, added: Sequence[str]) -> bool:
        """Whether a sentence and a vector of each new document find it; the index is made again when they don't."""
        with self._writing:
            chunks = self.catalog.first_chunks(added)
            if self.index.finds(chunks):
                return True
            self.index.rebuild()
            return self.index.finds(chunks)

    def _next_batch(self) -> int:
        """Wait while answers are in the making, as long as the patience for this group lasts; then return how many chunks to embed.

        They are few while somebody asks now and then: a question waits until they are done.
        """
        with self._quiet:
            left = max(0.0, self._patient_until - time.monotonic())
            self._quiet.wait_for(lambda: self._answers == 0 or self._closing.is_set(), timeout=left)
            return _BESIDE_QUESTIONS if time.monotonic() - self._asked < _LATELY else EMBED_BATCH

    def _path(self, id: str) -> Path:
        return self.settings.corpus / id

    def add(self, paths: Sequence[Path]) -> Iterator[FileResult]:
        """Copy files into the corpus folder and index them; yields one result a file, in order.

        A file of the same name and content is left as it is; one of the same name and other content is kept beside it under
        a new name; one that can't be indexed is not kept. Folders are added with all their files.
        """
        sources = (source for path in paths for source in _sources(path))
        while some := list(islice(sources, _ADDED_TOGETHER)):
            placed = [self._place(source, id) for source, id in some]
            report = self.sync()
            by_id = {result.id: result for result in report.results}
            for result, is_new in placed:
                indexed = by_id.get(result.id, result)
                if report.problem and indexed is result:
                    indexed = FileResult(result.id, False, report.problem)
                if result.ok and not indexed.ok and is_new:
                    self.remove(result.id)
                yield indexed if result.ok else result

    def _place(self, source: Path, id: str) -> tuple[FileResult, bool]:
        """Copy a file into the corpus folder; returns its name there, or why not, and whether it is new there."""
        try:
            if source.suffix.lower() not in supported_suffixes():
                raise DocumentError(f"this format is not supported; supported are {', '.join(supported_suffixes())}")
            check_file(source, self.settings.upload_mb * 1_000_000)
            if free := _lack_of_space(self.settings.data, source.stat().st_size):
                raise DocumentError(f"only {free / 1e6:.0f} MB of disk are free; make room and try again")
            with self._writing:
                target, is_new = self._free_name(source, id)
                if is_new:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    part = target.with_name(f".{target.name[-100:]}.part")
                    shutil.copyfile(source, part)
                    os.replace(part, target)
            id = target.relative_to(self.settings.corpus).as_posix()
            return FileResult(id, True, "is there already, unchanged"), is_new
        except DocumentError as error:
            return FileResult(id, False, str(error)), False
        except OSError as error:
            return FileResult(id, False, f"it can't be copied ({error.strerror or error})"), False

    def _free_name(self, source: Path, id: str) -> tuple[Path, bool]:
        """Return where to put a file, and whether nothing is there yet; what is there has the same content."""
        target = self.settings.corpus / id
        content = _digest(source)
        number = 2
        while target.exists() and _digest(target) != content:
            stem = Path(id)
            target = self.settings.corpus / stem.with_name(f"{stem.stem} ({number}){stem.suffix}")
            number += 1
        return target, not target.exists()

    def remove(self, id: str) -> None:
        """Delete a file from the corpus folder with its documents from the index; one with the same content stays.

        Raises `UserError` when there is none called `id`.
        """
        known = self.catalog.files()
        if id not in known:
            document = self.catalog.document(id)
            if document is not None:
                raise UserError(f"{clean_line(id)} lies inside of {clean_line(document.file)}: remove that file.")
            raise UserError(f"There is no document called {clean_line(id)!r}: 'assistant list' shows their names.")
        with self._writing:
            try:
                self._path(id).unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"{clean_line(id)} can't be deleted ({error.strerror or error}).") from None
            copies = [
                entry for entry in known.values() if entry.same_as == id and not entry.reason and self._path(entry.path).exists()
            ]
            self.catalog.rearrange({id: copies[0]} if copies else {}, [] if copies else [id])
            self.flush()


def _row(read: Read) -> tuple[FileEntry, Sequence[Document]]:
    assert read.loaded is not None
    entry = FileEntry(read.id, read.state, read.loaded.sha256, warnings=read.loaded.warnings, seconds=read.seconds)
    return entry, read.loaded.documents


def _file_state(path: Path) -> FileState | None:
    try:
        status = path.stat()
    except OSError:
        return None  # gone since it was listed: the next sync sees that
    return FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, empty when it can't be read."""
    with suppress(OSError), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


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


def _lack_of_space(folder: Path, size: int) -> int:
    """Return the bytes that are free when they are too few to index a file of `size` bytes, else 0."""
    free = shutil.disk_usage(folder).free
    return free if free < _FREE_BYTES + 4 * size else 0


def _one_line(error: OSError) -> str:
    return clean_line(error.strerror or str(error))


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
