"""The corpus folder and the index kept in step: new, changed, moved, doubled and removed files."""

import hashlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

from assistant.adding import check_corpus, check_folders, id_of, lack_of_space, passed_over, place, sources
from assistant.addresses import PART, forget, keep
from assistant.catalog import Catalog, Cut, FileEntry, FileState
from assistant.changes import Changes, content_key
from assistant.collection import EMBED_BATCH, Collection
from assistant.cross_encoder import load_reranker
from assistant.documents import Document, Loaded, clean_line, has_tesseract
from assistant.embedding import BUNDLED, Embedder, load_embedder
from assistant.errors import DocumentError, UserError
from assistant.folder import Listing, compare, disk_of, file_digest, file_state, list_folder
from assistant.hosts import Address, public
from assistant.ownership import Ownership
from assistant.receipts import FileResult, Report, counted, summary
from assistant.sandbox import Sandbox
from assistant.schema import backup_of
from assistant.selections import Selections
from assistant.settings import Settings
from assistant.stream import Read, Stopped, read_ahead
from assistant.web import fetch

T = TypeVar("T")

_TOGETHER = 80_000  # characters that are embedded and written together
_ADDED_TOGETHER = 32  # files copied before they are indexed
_LATELY = 60.0  # seconds since the last question
_BESIDE_QUESTIONS = 4  # chunks embedded at once when there was one
_PATIENCE = 30.0  # seconds that a group, in all its batches, waits for answers in the making


class _Stop(threading.Event):
    """Set when it is set itself, or `other` is."""

    def __init__(self, other: threading.Event | None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or (self._other is not None and self._other.is_set())


class _Task(Future[Any]):
    """What one thread wants done and another does."""

    def __init__(self, job: Callable[[], object]) -> None:
        super().__init__()
        self.job = job


@contextmanager
def _told(report: Report) -> Iterator[None]:
    """Note in `report` what ends a sync early."""
    try:
        yield
    except Stopped:  # before anything was written
        report.stopped = True
    except UserError as error:
        report.problem = str(error)
    except OSError as error:
        report.problem = (
            f"The index can't be written ({_one_line(error)}): what was done is kept, make room or mend it and sync again."
        )
    finally:
        report.end()


class Corpus(Collection):
    """The documents of one corpus folder with their index. One process owns it until `close`."""

    def __init__(self, settings: Settings, report: Callable[[str], None] = lambda line: None) -> None:
        """Take the data folder, open or make the index. `report` is called before anything slow.

        Raises `UserError` when a folder can't be used and `OwnedError` when another process has it.
        """
        self.settings = settings
        check_folders(settings)
        self._ownership = Ownership(settings.data)
        self._sandbox = Sandbox(settings.upload_mb * 1_000_000, settings.passwords)
        self._syncing = threading.RLock()  # before `_writing`, where both are needed
        self._urgent: deque[_Task] = deque()  # what is done between two groups of a sync
        self.selections = Selections(settings.data / "selections.json")
        self._held: dict[tuple[str, str], str] = {}  # content that came so, and where it is
        self._stop = _Stop(None)  # of the sync that runs
        self._stops = 0  # how often a sync was stopped
        self.report = Report(over=True)  # of the sync that runs, or of the last one
        self.last_report: Report | None = None  # of the last one that found something to do
        self._answers = 0
        self._asked = -math.inf
        self._patient_until = 0.0
        self._quiet = threading.Condition()
        try:
            embedder = load_embedder(settings, report)
            super().__init__(settings.data, embedder, report, load_reranker(settings), lambda name: _earlier(settings, name))
        except BaseException:
            self._ownership.release()
            raise
        self._note_readers()
        with suppress(OSError):  # a corpus folder may be read-only
            (settings.corpus / PART).unlink(missing_ok=True)

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
        """Have files read again when they are read in another way than before: all, or those that failed or have warnings."""
        readers = _readers(self.settings)
        stored = {name: self.catalog.setting(name) for name in readers}
        if stored == readers:
            return
        if any(stored.values()):
            self.catalog.forget_states(self.catalog.imperfect() if stored["loaders"] == readers["loaders"] else None)
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
        return self._changes(list_folder(self.settings.corpus), lambda: None)

    def _changes(self, listing: Listing, pause: Callable[[], None]) -> Changes:
        return compare(listing, self.catalog.files(), self.catalog.setting("disk"), pause)

    def sync(self, progress: Callable[[Report], None] = lambda report: None, stop: threading.Event | None = None) -> Report:
        """Index new and changed files, rename moved ones, drop removed ones; a file that fails never stops the others.

        `progress` is called after each group of files. When `stop` is set the sync ends soon; what it did is kept,
        and the next one goes on there. One at a time: a second waits for the first, and is stopped with it.
        """
        stops = self._stops
        with self._syncing:
            if self._stops != stops:
                return Report(stopped=True, over=True)
            self._stop = _Stop(stop)
            self._held.clear()
            self.report = report = Report()
            try:
                with _told(report):
                    self._sync(report, progress)
            finally:
                self._stop = _Stop(None)
                self.last_report = self.last_report if report.idle else report
            return report

    def _sync_some(self, ids: Container[str]) -> Report:
        """Index only the files of `ids`: alone, or between two groups of a sync that runs."""
        report = Report()
        with _told(report):
            listing = list_folder(self.settings.corpus)
            self._bring(self._changes(listing, self._pause).only(ids), listing.paths, report)
            known = self.catalog.files()
            # A sync that goes on afterwards may be about to read the same content under another name.
            self._held |= {content_key(id, known[id].sha256): id for id in ids if id in known and not known[id].reason}
        if report.stopped:
            report.problem = "the sync was stopped"
        return report

    def _soon(self, job: Callable[[], T]) -> T:
        """Do what needs `_syncing`: at once, or after the group that a running sync is at, which may go on for long."""
        task = _Task(job)
        self._urgent.append(task)
        while not task.done():
            if self._syncing.acquire(timeout=0.1):
                self._stop = _Stop(None)  # one that was set while nothing ran stops nothing
                try:
                    self._do_urgent()
                finally:
                    self._stop = _Stop(None)
                    self._syncing.release()
        return cast(T, task.result())

    def _do_urgent(self) -> None:
        while self._urgent:
            task = self._urgent.popleft()
            try:
                task.set_result(task.job())
            except BaseException as error:  # told to whoever waits for it
                task.set_exception(error)

    def _sync(self, report: Report, progress: Callable[[Report], None]) -> None:
        def renewing(done: int, total: int, id: str) -> None:
            report.done, report.total, report.current = done, total, id
            progress(report)
            self._begin_group()
            if not self.catalog.hidden:
                self._do_urgent()

        if not self.renew(renewing, self._stop):
            report.stopped = True
            return
        report.done = 0
        listing = list_folder(self.settings.corpus)
        self._bring(self._changes(listing, self._pause), listing.paths, report, progress)
        if not report.stopped and not report.problem:
            backup_of(self.catalog.path).unlink(missing_ok=True)
            self._note_disk(report)
        progress(report)

    def _bring(
        self, changes: Changes, paths: Mapping[str, Path], report: Report, progress: Callable[[Report], None] = lambda report: None
    ) -> None:
        """Bring the collection in step with `changes`; `paths` are the files' own by their ids."""
        report.start(changes)
        with self._writing:
            if changes.touched:
                self.catalog.touch(changes.touched)
            if changes.moved or changes.removed:
                self.catalog.rearrange(changes.moved, changes.removed)
                self.index.catch_up()
        with suppress(UserError):  # a sync doesn't fail for that
            self.selections.follow({old: entry.path for old, entry in changes.moved.items()})
        report.results += [FileResult(entry.path, True, f"was {old}") for old, entry in changes.moved.items()]
        added: list[str] = []
        try:
            for group in self._groups(changes, paths, report):
                added += self._write(group, report)
                progress(report)
                self._do_urgent()
        except Stopped:
            with self._writing:  # no flush: it would drop what was embedded of the file that is being written
                self.index.catch_up()
        else:
            if not report.problem:
                self._write_copies(changes, paths, report)
            self.flush()
        if not self._check_canaries(added):
            report.problem = "A new document can't be found by its own words, even in an index made anew: run 'assistant doctor'."
        report.problem = report.problem or changes.problem
        report.stopped = self._stopping() and report.done < report.total
        report.end()

    def stop_sync(self) -> None:
        """Have the sync that runs and those that wait for it end soon, whoever started them; what was done is kept."""
        self._stops += 1
        self._stop.set()

    def _note_disk(self, report: Report) -> None:
        """Remember on which disk the files are, so that a folder emptied by unmounting it is noticed."""
        disk = disk_of(self.settings.corpus)
        if report.total + report.unchanged + report.moved and self.catalog.setting("disk") != disk:
            self.catalog.set_settings({"disk": disk})

    def _stopping(self) -> bool:
        return self._stop.is_set() or self._closing.is_set()

    def _pause(self) -> None:
        if self._stopping():
            raise Stopped

    def _groups(self, changes: Changes, paths: Mapping[str, Path], report: Report) -> Iterator[list[Read]]:
        """Yield what was read of the changed files, as much at once as is embedded well together."""
        files = [(id, paths[id], state) for id, state in changes.read.items()]
        group: list[Read] = []
        size = 0

        def load(path: Path, id: str) -> Loaded:
            report.begin(id)
            return self._sandbox.load(path, id, stop=self._stop)

        for read in read_ahead(files, load, [self._stop, self._closing]):
            if read is None or size >= _TOGETHER:  # None: the next file takes a while
                if group:
                    yield group
                group, size = [], 0
            if read is None:
                continue
            if free := lack_of_space(self.settings.data, read.state.size):
                report.problem = f"Only {free / 1e6:.0f} MB of disk are free: make room and sync again; what was done is kept."
                break
            holder = self._held.get(content_key(read.id, read.loaded.sha256), read.id) if read.loaded else read.id
            if read.loaded and holder != read.id:
                changes.same[read.id] = FileEntry(read.id, read.state, read.loaded.sha256, same_as=holder)
                continue
            group.append(read)
            size += read.characters
        if group:
            yield group

    def _write(self, group: Sequence[Read], report: Report) -> list[str]:
        """Write a group of files to the catalogue, or what is wrong with them; returns the ids of the documents."""
        self._begin_group()
        added: list[str] = []
        with self._writing:
            # What was removed or changed since it was read is left to the next sync.
            there = [read for read in group if file_state(read.path) == read.state]
            for read, outcome in self._put_reads(there):
                if isinstance(outcome, str):
                    self.fail(read.id, read.state, outcome, file_digest(read.path))
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
            if holder is not None and holder.same_as:
                holder = known.get(holder.same_as)
            if holder is None or holder.sha256 != entry.sha256 or file_state(paths[path]) != entry.state:
                continue  # not read yet, or one of them changed since: the next sync sees to it
            result = FileResult(path, not holder.reason, holder.reason or f"has the same content as {holder.path}")
            entries.append((FileEntry(path, entry.state, entry.sha256, holder.path, holder.reason), []))
            report.note_same(result)
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
        """Make way for answers, then return how many chunks to embed; raises `Stopped` when the sync is to end.

        They are few while somebody asks now and then: a question waits until they are done.
        """
        self._pause()
        self._wait_for_answers()
        self._pause()
        return _BESIDE_QUESTIONS if time.monotonic() - self._asked < _LATELY else EMBED_BATCH

    def _begin_group(self) -> None:
        self._patient_until = time.monotonic() + _PATIENCE
        self._wait_for_answers()

    def _wait_for_answers(self) -> None:
        """Wait while answers are in the making, as long as the patience for this group lasts."""
        with self._quiet:
            while self._answers and not self._stopping() and time.monotonic() < self._patient_until:
                self._quiet.wait(0.2)

    def path(self, id: str) -> Path:
        """Return where the file called `id` is; a name that can't be shown is another on the disk."""
        path = self.settings.corpus / id
        return list_folder(self.settings.corpus).paths.get(id, path) if "\ufffd" in id else path

    def add(self, paths: Sequence[Path]) -> Iterator[FileResult]:
        """Copy files into the corpus folder and index them; yields one result a file, in order.

        A file of the same name and content is left as it is; one of the same name and other content is kept beside it under
        a new name; one that can't be indexed is not kept. Folders are added with all their files, and a last result a folder
        tells how many of other formats were passed over. What lies in the corpus folder already is indexed where it is.
        """
        found = (source for path in paths for source in sources(path, self.settings))
        while some := list(islice(found, _ADDED_TOGETHER)):
            yield from self._add_some(some)
        yield from filter(None, (passed_over(path, self.settings) for path in paths))

    def add_as(self, files: Sequence[tuple[Path, str]]) -> Iterator[FileResult]:
        """Copy files into the corpus folder, each under the path that is given with it, and index them, as `add` does."""
        for first in range(0, len(files), _ADDED_TOGETHER):
            yield from self._add_some([(path, id_of(name)) for path, name in files[first : first + _ADDED_TOGETHER]])

    def _add_some(self, some: Sequence[tuple[Path, str]]) -> list[FileResult]:
        def adding() -> list[FileResult]:  # another sync must not take them, or they would be missing in the report of this one
            with self._writing:
                placed = [place(source, id, self.settings) for source, id in some]
            report = self._sync_some({result.id for result, _ in placed if result.ok})
            by_id = {result.id: result for result in report.results}
            results = []
            for result, is_new in placed:
                indexed = by_id.get(result.id, result)
                if (report.problem or report.stopped) and indexed is result and result.id not in self.catalog.files():
                    waiting = f"it lies in the corpus folder, but is not indexed yet ({report.problem or 'the sync was stopped'})"
                    indexed = FileResult(result.id, False, waiting)
                elif result.ok and not indexed.ok and is_new:
                    self.remove(result.id)
                elif indexed.ok:
                    indexed = replace(indexed, instead_of=result.instead_of)
                results.append(indexed if result.ok else result)
            return results

        return self._soon(adding)

    def add_url(self, url: str, allowed: Callable[[Address], bool] = public) -> FileResult:
        """Fetch what lies at `url` once, keep it as a file in the corpus folder with a note of its address, and index it.

        What can't be fetched or read is not kept, and an earlier one of the same address stays then. `allowed` as `web.fetch` has it.
        """
        try:
            snapshot = fetch(url, self.settings.upload_mb * 1_000_000, allowed=allowed)
            if free := lack_of_space(self.settings.data, len(snapshot.data)):
                raise DocumentError(f"only {free / 1e6:.0f} MB of disk are free; make room and try again")
            with TemporaryDirectory(dir=self.settings.data) as folder:
                first = Path(folder, snapshot.name)
                first.write_bytes(snapshot.data)
                self._sandbox.load(first, snapshot.name)
            check_corpus(self.settings.corpus)

            def keeping() -> tuple[str, Report]:
                id = keep(self.settings.corpus, snapshot).relative_to(self.settings.corpus).as_posix()
                return id, self._sync_some({id})

            id, report = self._soon(keeping)
        except UserError as error:
            return FileResult(url, False, str(error))
        indexed = next((result for result in report.results if result.id == id), None)
        if indexed is None and (report.problem or report.stopped):
            return FileResult(id, False, report.problem or "it was fetched, and is indexed by the next sync")
        return indexed or FileResult(id, True, "is there already, unchanged")

    def read_again(self, id: str) -> FileResult:
        """Read a document again, with all that lies in its file, and embed it again. What is indexed of it is found until then.

        Raises `UserError` when there is none called `id`, or its file is gone.
        """
        known = self.catalog.files()
        document = self.catalog.document(id)
        file = id if id in known else document.file or id if document else ""
        if file not in known:
            raise UserError(f"There is no document called {clean_line(id)!r} any more.")
        file = known[file].same_as or file
        if not self.path(file).exists():
            raise UserError(f"{clean_line(file)} is not in the corpus folder any more: sync to take it out of the index.")

        def reading() -> Report:
            self.catalog.forget_states([file])
            report = self._sync_some({file})
            chunks = [chunk for document in self.catalog.documents_in(file) for chunk in self.catalog.chunks_of(document)]
            for first in range(0, len(chunks), EMBED_BATCH):
                self.embed_again(chunks[first : first + EMBED_BATCH])
            with self._writing:
                self.index.catch_up()
            return report

        report = self._soon(reading)
        if result := next((result for result in report.results if result.id == file), None):
            return result
        return FileResult(file, False, report.problem or "it changed while it was read: the next sync reads it")

    def remove(self, id: str) -> list[str]:
        """Delete a file from the corpus folder with its documents from the index; returns those of the same content, which stay.

        Raises `UserError` when there is none called `id`.
        """
        known = self.catalog.files()
        if id not in known:
            document = self.catalog.document(id)
            if document is not None:
                raise UserError(f"{clean_line(id)} lies inside of {clean_line(document.file)}: remove that file.")
            if inside := sum(path.startswith(f"{id.rstrip('/')}/") for path in known):
                raise UserError(
                    f"{clean_line(id)} is a folder with {counted(inside, 'file')}: name them, or delete it in {self.settings.corpus} and sync."
                )
            raise UserError(f"There is no document called {clean_line(id)!r}: 'assistant list' shows their names.")
        with self._writing:
            if id not in self.catalog.files():
                raise UserError(f"{clean_line(id)} was removed just now by somebody else.")
            try:
                self.path(id).unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"{clean_line(id)} can't be deleted ({error.strerror or error}).") from None
            copies = [
                entry for entry in known.values() if entry.same_as == id and not entry.reason and self.path(entry.path).exists()
            ]
            self.catalog.rearrange({id: copies[0]} if copies else {}, [] if copies else [id])
            self.flush()
        content = known[id].sha256
        if content and not any(entry.sha256 == content for path, entry in known.items() if path != id):
            with suppress(UserError):  # it is removed all the same
                forget(self.settings.corpus, content)
        return [entry.path for entry in copies]


def planned(settings: Settings) -> tuple[Changes, Mapping[str, FileEntry]]:
    """Return what a sync would do, and the files known until now, without taking the data folder or writing anything.

    It doesn't notice that another embedding model was set, with which everything would be indexed again.
    """
    check_corpus(settings.corpus)
    path = settings.data / "catalog.sqlite3"
    if not path.exists():
        return compare(list_folder(settings.corpus), {}, ""), {}
    with closing(Catalog(path, read_only=True)) as catalog:
        known, disk = catalog.files(), catalog.setting("disk")
        for name, value in _readers(settings).items():
            if catalog.setting(name) not in ("", value):
                again = known if name == "loaders" else catalog.imperfect()
                known = {
                    path: replace(entry, state=FileState(-1, 0), sha256="") if path in again else entry
                    for path, entry in known.items()
                }
    return compare(list_folder(settings.corpus), known, disk), known


def _readers(settings: Settings) -> dict[str, str]:
    """Return what decides how files are read, and which of them."""
    from assistant.loaders import VERSION

    # Enough to notice other passwords in most cases, too little to find them out.
    passwords = hashlib.sha256("\0".join(settings.passwords).encode("utf-8", "surrogateescape")).hexdigest()[:2]
    limits = f"{settings.upload_mb} MB, passwords {passwords}, {'a' if has_tesseract() else 'no'} Tesseract"
    return {"loaders": str(VERSION), "limits": limits}


def _earlier(settings: Settings, name: str) -> Embedder | None:
    """Return the embedding model that was used before; None when it can't be loaded any more."""
    if Path(name).is_absolute() and not Path(name).exists():
        return None  # the hub need not be asked for it
    try:
        return load_embedder(replace(settings, embedding_model=name or BUNDLED))
    except UserError:
        return None


def _row(read: Read) -> tuple[FileEntry, Sequence[Document]]:
    assert read.loaded is not None
    entry = FileEntry(read.id, read.state, read.loaded.sha256, warnings=read.loaded.warnings, seconds=read.seconds)
    return entry, read.loaded.documents


def _one_line(error: OSError) -> str:
    return clean_line(error.strerror or str(error))
