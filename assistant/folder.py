"""The corpus folder as it is now. What can't be listed is told apart from what is gone: a disk may only be away for a while."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from assistant.catalog import FileEntry, FileState
from assistant.changes import Changes, find_changes
from assistant.documents import clean_line, corpus_files, supported_suffixes


@dataclass
class Listing:
    """The `files` of a `folder` and the paths where they are, by their ids.

    `unreadable` says why for each folder or file below that can't be looked at ("" is the folder itself).
    """

    folder: Path
    files: dict[str, FileState] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def hides(self, path: str) -> bool:
        """Whether the file at `path` may well be there, only not to be seen."""
        return any(path == place or not place or path.startswith(f"{place}/") for place in self.unreadable)


def compare(listing: Listing, known: Mapping[str, FileEntry], disk: str, pause: Callable[[], None] = lambda: None) -> Changes:
    """Compare what is there with the `known` files. Reads only those that changed; `pause` is called before each and may raise.

    `disk` is the one (`disk_of`) that the files were on when they were seen last, empty when that isn't known. A file that
    can't be seen because its folder can't be listed counts as unchanged, and so does a picture that was read when Tesseract goes.
    """

    def digest(id: str) -> str:
        pause()
        return file_digest(listing.paths[id]) if id in listing.paths else ""

    if known and not listing.files.keys() & known.keys() and disk not in ("", disk_of(listing.folder)):
        listing.unreadable.setdefault("", "it is on another disk than before, with none of its files")
    suffixes = supported_suffixes()

    def is_kept(path: str) -> bool:
        passed_over = PurePosixPath(path).suffix.lower() not in suffixes and file_state(listing.folder / path) is not None
        return passed_over or listing.hides(path)

    kept = {path: entry.state for path, entry in known.items() if path not in listing.files and is_kept(path)}
    changes = find_changes({**listing.files, **kept}, known, digest)
    changes.problem = _problem(listing)
    return changes


def list_folder(corpus: Path) -> Listing:
    """Return what lies in `corpus`."""
    listing, errors = Listing(corpus), list[OSError]()
    before = identity(corpus)
    for id, path in corpus_files(corpus, errors.append):
        try:
            state = file_state(path, strict=True)
        except OSError as error:
            listing.unreadable[id] = _reason(error)
            continue
        if state is not None and id in listing.files:  # names that can't be shown may look the same
            listing.unreadable[id] = "two files have names that look like this: rename one"
        elif state is not None:
            listing.files[id], listing.paths[id] = state, path
    root = corpus.resolve()
    for failure in errors:
        folder = Path(failure.filename)
        if folder == root or not isinstance(failure, FileNotFoundError):  # else it was just removed
            listing.unreadable["" if folder == root else folder.relative_to(root).as_posix()] = _reason(failure)
    if identity(corpus) != before:
        listing.unreadable[""] = "it went away meanwhile"
    return listing


def identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another one at the same place; None when there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def disk_of(folder: Path) -> str:
    """Return a name of the folder and the disk that it is on; empty when there is none."""
    found = identity(folder)
    return f"{found[0]} {folder}" if found else ""


def file_state(path: Path, strict: bool = False) -> FileState | None:
    """Return the state of a file; None when it is gone, or it can't be looked at, for which a `strict` call raises `OSError`."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        if strict:
            raise
        return None
    return FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, empty when it is no regular one or can't be read."""
    with suppress(OSError):
        if not path.is_file():  # to open a pipe would wait for a writer
            return ""
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def _reason(error: OSError) -> str:
    return clean_line(error.strerror or str(error))


def _problem(listing: Listing) -> str:
    if not listing.unreadable:
        return ""
    if "" in listing.unreadable:
        return (
            f"The corpus folder {listing.folder} can't be read ({listing.unreadable['']}): nothing was removed from the index. "
            "Is its disk connected?"
        )
    place, reason = next(iter(listing.unreadable.items()))
    more = f" and {len(listing.unreadable) - 1} more" if len(listing.unreadable) > 1 else ""
    return f"{clean_line(place)}{more} can't be read ({reason}): what is indexed of it stays; check its permissions and sync again."
