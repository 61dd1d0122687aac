"""Where pages from the web are kept, and which address each came from."""

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from assistant.errors import UserError
from assistant.web import Snapshot

NOTES = ".addresses.jsonl"  # in the corpus folder
PART = ".assistant.part"  # ends the hidden names of what is being written there
_FOLDER = "web"
_MAX_BYTES = 8_000_000  # of the notes; the oldest are dropped
_SOUND = re.compile(r"https?://[a-z0-9._:\[\]-]+([/?][!-~]*)?")
_writing = threading.RLock()


@dataclass(frozen=True)
class Address:
    """Where the bytes of a file came from, and when (UTC, ISO 8601)."""

    url: str
    final_url: str
    fetched_at: str


@dataclass(frozen=True)
class _Note(Address):
    sha256: str


def addresses(corpus: Path) -> dict[str, Address]:
    """Return the newest address of each file that came from the web, by the SHA-256 of its bytes.

    They lie in a hidden file of the corpus folder: they outlast a deleted data folder, and belong to a file
    wherever it is moved.
    """
    return {note.sha256: Address(note.url, note.final_url, note.fetched_at) for note in _notes(corpus)}


def note(corpus: Path, snapshot: Snapshot) -> None:
    """Note the address of `snapshot`; raises `UserError` when that can't be written."""
    new = _Note(snapshot.url, snapshot.final_url, snapshot.fetched_at, snapshot.sha256)
    _change(corpus, lambda notes: [*(old for old in notes if (old.sha256, old.url) != (new.sha256, new.url)), new])


def forget(corpus: Path, sha256: str) -> None:
    """Drop what is noted of the file with these bytes; raises `UserError` when that can't be written."""
    _change(corpus, lambda notes: [old for old in notes if old.sha256 != sha256])


def target(corpus: Path, snapshot: Snapshot) -> Path:
    """Return where to keep `snapshot`: the file that holds an earlier one of the same `url`, or else a free name.

    A file that was changed by hand, or moved out of `web/`, is no longer that of its address, and an earlier one
    of another format has the wrong name.
    """
    earlier, _ = _earlier(corpus, snapshot)
    if earlier and earlier.suffix == Path(snapshot.name).suffix:
        return earlier
    return _free(_folder(corpus, snapshot) / snapshot.name)


def keep(corpus: Path, snapshot: Snapshot) -> Path:
    """Write `snapshot` to its `target`, note its address, and return the path.

    A file with the same bytes is left untouched; an earlier one of another format is deleted. Raises `UserError`
    when it can't be written.
    """
    with _writing:
        folder = _folder(corpus, snapshot)
        try:
            if not folder.resolve().is_relative_to(corpus.resolve()):
                raise UserError(f"{folder} leads out of the corpus folder: remove that link.")
            earlier, replaced = _earlier(corpus, snapshot)
            path = target(corpus, snapshot)
            note(corpus, snapshot)
            if path != earlier or replaced != snapshot.sha256:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, snapshot.data)
            if earlier and path != earlier:
                earlier.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"The page can't be written to {folder} ({error.strerror or error}): check the folder and the disk."
            ) from None
        if replaced != snapshot.sha256:
            _change(corpus, lambda notes: [old for old in notes if (old.sha256, old.url) != (replaced, snapshot.url)])
        return path


def _earlier(corpus: Path, snapshot: Snapshot) -> tuple[Path | None, str]:
    """Return the file that an earlier fetch of the same address left, and the hash of what is in it."""
    hashes = {note.sha256 for note in _notes(corpus) if note.url == snapshot.url}
    if hashes:
        # Two addresses may have had the same bytes: that of this one has its name.
        for path in _kept(corpus, _folder(corpus, snapshot) / snapshot.name):
            sha256 = _sha256(path)
            if sha256 in hashes:
                return path, sha256
    return None, ""


def _kept(corpus: Path, first: Path) -> Iterator[Path]:
    """Yield the files under `web/`, `first` before all others and those beside it before the rest."""
    yield first
    for root in (first.parent, corpus / _FOLDER):
        for folder, folders, names in os.walk(root):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _sha256(path: Path) -> str:
    try:
        if path.is_symlink() or not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _folder(corpus: Path, snapshot: Snapshot) -> Path:
    """Return the folder for a host: small letters (other scripts as `xn--`), digits, dots and hyphens, and a port."""
    parts = urlsplit(snapshot.final_url)
    name = re.sub(r"[^a-z0-9._-]", "-", parts.hostname or "").strip(".-") or "host"
    return corpus / _FOLDER / (f"{name}_{parts.port}" if parts.port else name)


def _free(path: Path) -> Path:
    free = path
    number = 2
    while free.exists() or free.is_symlink():
        free = path.with_name(f"{path.stem} ({number}){path.suffix}")
        number += 1
    return free


def _notes(corpus: Path) -> list[_Note]:
    """Return what is noted, oldest first; lines that are no note are passed over."""
    path = corpus / NOTES
    try:
        if not path.is_file():
            return []
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _MAX_BYTES))
            lines = file.read(_MAX_BYTES).split(b"\n")
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error}): check its permissions.") from None
    return [note for line in lines if (note := _parsed(line))]


def _parsed(line: bytes) -> _Note | None:
    try:
        item = json.loads(line)
        parsed = _Note(item["url"], item["final_url"], item["fetched_at"], item["sha256"])
        datetime.fromisoformat(parsed.fetched_at)
        sound = _SOUND.fullmatch(parsed.url) and _SOUND.fullmatch(parsed.final_url) and re.fullmatch(r"[0-9a-f]{64}", parsed.sha256)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return parsed if sound else None


def _change(corpus: Path, change: Callable[[list[_Note]], list[_Note]]) -> None:
    with _writing:
        before = _notes(corpus)
        after = change(before)
        if after == before:
            return
        lines = [json.dumps(asdict(note)).encode() + b"\n" for note in after]
        size = sum(map(len, lines))
        while size > _MAX_BYTES:
            size -= len(lines.pop(0))
        try:
            _write(corpus / NOTES, b"".join(lines))
        except OSError as error:
            raise UserError(
                f"{corpus / NOTES} can't be written ({error.strerror or error}): check the folder and the disk."
            ) from None


def part_of(path: Path) -> Path:
    """Return the name under which a file is written before it takes its place: no longer than its own may be, and nobody else's."""
    return path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}{PART}")


def _write(path: Path, data: bytes) -> None:
    """Put a file in place whole or not at all, also when the power fails."""
    part = part_of(path)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
