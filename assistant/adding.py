"""What is put into the corpus folder: which files, under which names, and whether there is room."""

import errno
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath

from assistant.addresses import PART
from assistant.documents import check_file, clean_line, corpus_files, supported_suffixes, visible_files
from assistant.errors import DocumentError, UserError
from assistant.folder import file_digest
from assistant.index import make_durable_file
from assistant.receipts import FileResult, counted
from assistant.settings import Settings

_FREE_BYTES = 200_000_000  # below this nothing is written
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}  # on Windows
_NAME_BYTES = 220  # of a file's name: file systems take 255, and a number may be put behind it


def place(source: Path, id: str, settings: Settings) -> tuple[FileResult, bool]:
    """Copy a file into the corpus folder; returns its name there, or why not, and whether it is new there."""
    try:
        _check_source(source, id, settings)
        check_file(source, settings.upload_mb * 1_000_000)
        if free := lack_of_space(settings.data, source.stat().st_size):
            raise DocumentError(f"only {free / 1e6:.0f} MB of disk are free; make room and try again")
        if not settings.corpus.is_dir():
            raise DocumentError(f"the corpus folder {settings.corpus} is not there; is its disk connected?")
        target, is_new = free_name(settings.corpus, file_digest(source), id)
        if is_new:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                _copy(source, target, settings.corpus / PART)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _copy(source, target, target.with_name(PART))  # its folder is another disk
        name = target.relative_to(settings.corpus).as_posix()
        instead_of = id if is_new and name != id else ""
        return FileResult(name, True, "is there already, unchanged", instead_of=instead_of), is_new
    except DocumentError as error:
        return FileResult(id, False, str(error)), False
    except OSError as error:
        return FileResult(id, False, f"it can't be copied ({error.strerror or error})"), False


def _copy(source: Path, target: Path, part: Path) -> None:
    """Copy a file by way of `part`, so that it is there whole or not at all, also when the power fails."""
    try:
        shutil.copyfile(source, part)
        make_durable_file(part)
        os.replace(part, target)
        make_durable_file(target.parent)
    finally:
        part.unlink(missing_ok=True)  # on a full disk part of it was written


def free_name(corpus: Path, content: str, id: str) -> tuple[Path, bool]:
    """Return where to put a file called `id` with the SHA-256 `content`, and whether nothing is there yet.

    What is there has the same content.
    """
    target = corpus / id
    number = 2
    while target.exists() and file_digest(target) != content:
        stem = Path(id)
        target = corpus / stem.with_name(f"{stem.stem} ({number}){stem.suffix}")
        number += 1
    return target, not target.exists()


def sources(path: Path, settings: Settings) -> Iterator[tuple[Path, str]]:
    """Yield (file, id in the corpus) for a file, or for every supported file of a folder.

    A folder that can't be added is yielded itself, for `_check_source` to say why.
    """
    own = _id_inside(path, settings.corpus)
    if not path.is_dir():
        # not resolve: that raises for links in a circle
        yield Path(os.path.realpath(path)), own or file_name(path.name)
        return
    name = path.name if path.name not in ("", "..") else path.resolve().name
    id = own if own is not None else file_name(name)
    files = iter(()) if _holds_own(path, settings) else corpus_files(path)
    first = next(files, None)
    if first is None:
        yield path, id or path.name
        return
    for inside, file in chain([first], files):
        yield file, f"{id}/{inside}" if id else inside


def passed_over(folder: Path, settings: Settings) -> FileResult | None:
    """Return a line about the files of other formats in a folder that was added; None when there are none."""
    if not folder.is_dir() or _holds_own(folder, settings) or next(corpus_files(folder), None) is None:
        return None  # nothing of it was added
    suffixes = supported_suffixes()
    endings = Counter(end for path in visible_files(folder) if (end := path.suffix.lower()) not in suffixes)
    if not endings:
        return None
    kinds = ", ".join(end or "no ending" for end, _ in endings.most_common(5)) + (" and others" if len(endings) > 5 else "")
    files = counted(endings.total(), "file")
    return FileResult(folder.name or str(folder), True, f"{files} of other formats passed over ({clean_line(kinds)})")


def _id_inside(path: Path, corpus: Path) -> str | None:
    """Return the id of what lies in the corpus folder, "" for the folder itself; None for all else and what a sync passes over."""
    place = Path(os.path.realpath(path.parent), path.name) if path.name not in ("", "..") else Path(os.path.realpath(path))
    root = Path(os.path.realpath(corpus))
    if not place.is_relative_to(root):
        return None
    inside = place.relative_to(root)
    id = inside.as_posix().removeprefix(".")
    return None if any(part.startswith(".") for part in inside.parts) or clean_line(id, 10_000) != id else id


def _holds_own(folder: Path, settings: Settings) -> bool:
    """Whether the corpus folder or the data folder lies in `folder`, which then would be copied into itself."""
    real = os.path.realpath(folder)
    own = [Path(os.path.realpath(place)) for place in (settings.corpus, settings.data)]
    return any(place.is_relative_to(real) for place in own) and own[0] != Path(real)


def _check_source(source: Path, id: str, settings: Settings) -> None:
    """Raise `DocumentError` for what can't be copied into the corpus as `id`."""
    if source.is_dir():
        if _holds_own(source, settings):
            raise DocumentError("the corpus folder or the data folder lies in it: name the folders or files in it that you want")
        raise DocumentError("this folder has no files of a format that is read; the README lists these")
    if not os.path.exists(source):
        raise DocumentError(f"there is no file {clean_line(str(source))}")
    suffix = PurePosixPath(id).suffix
    if suffix.lower() not in supported_suffixes():
        raise DocumentError(f"this format ({suffix or 'no ending'}) is not supported; the README lists those that are")


def id_of(name: str) -> str:
    """Return the id of a file that comes with the path `name` in a folder that was dropped: none outside the corpus folder, none hidden."""
    parts = [file_name(part) for part in name.replace("\\", "/").split("/") if part.strip(". ")]
    return "/".join(parts) or "document"


def file_name(name: str) -> str:
    """Return `name` without path parts, control or invisible characters, short enough for any file system."""
    name = clean_line(name.replace("/", " ").replace("\\", " "), 10_000).lstrip(". ")
    stem, suffix = os.path.splitext(name)
    stem, suffix = stem.strip()[:150], suffix[:50]
    if stem.partition(".")[0].strip().upper() in _DEVICES:
        stem = f"_{stem}"
    while len((stem + suffix).encode()) > _NAME_BYTES:
        stem, suffix = (stem[:-1], suffix) if stem else ("", suffix[:-1])
    return (stem.rstrip() or "document") + suffix


def lack_of_space(folder: Path, size: int) -> int:
    """Return the bytes that are free when they are too few to index a file of `size` bytes, else 0."""
    free = shutil.disk_usage(folder).free
    return free if free < _FREE_BYTES + 4 * size else 0


def lack_of_room(folder: Path, size: int) -> int:
    """Return the bytes that are free when they are too few to keep `size` bytes of files, and a copy of them, else 0."""
    free = shutil.disk_usage(folder).free
    return free if free < _FREE_BYTES + 2 * size else 0


def check_corpus(corpus: Path) -> None:
    """Raise `UserError` when the corpus folder is not there or can't be read."""
    if not corpus.exists():
        raise UserError(f"The corpus folder {corpus} does not exist: make it, or set ASSISTANT_CORPUS to your documents.")
    if not corpus.is_dir():
        raise UserError(f"ASSISTANT_CORPUS is {corpus}: that is not a folder.")
    if not os.access(corpus, os.R_OK | os.X_OK):
        raise UserError(f"The corpus folder {corpus} can't be read: check its permissions.")


def check_folders(settings: Settings) -> None:
    """Make the data folder; raises `UserError` when it or the corpus folder can't be used."""
    corpus, data = settings.corpus, settings.data
    check_corpus(corpus)
    if data == corpus or data.is_relative_to(corpus):
        raise UserError(f"The data folder {data} lies inside the corpus folder: set ASSISTANT_DATA to another place.")
    try:
        data.mkdir(parents=True, exist_ok=True)
        probe = data / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(f"The data folder {data} can't be written ({error.strerror}): set ASSISTANT_DATA to another.") from None
