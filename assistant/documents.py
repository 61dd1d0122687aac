"""A file becomes a `Document`: its text with the places of headings and pages in it."""

import errno
import hashlib
import os
import re
import shutil
import stat
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from assistant.decoding import decode as decode
from assistant.errors import DocumentError

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # those of 8 bits too, which terminals obey
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # halves that neither UTF-8 nor the catalogue can hold
# What a file's name may not have: control characters, what turns the direction of the line around, and bytes that are no UTF-8.
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_TABLES = (".csv", ".tsv", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")  # of which it is no news
_TITLE_LENGTH = 120
_MAX_STEPS = 10  # folders in the path of a part
MAX_DEPTH = 3  # a mail in an archive has attachments, which may be archives
MAX_PARTS = 2000  # in one file, over all levels
MAX_PART_BYTES = 200_000_000
_MOST_MILLIONS, _MOST_MILLIONS_INSIDE = 5, 20  # characters of a document, and of all that a file holds


@dataclass(frozen=True)
class Heading:
    """A heading at character `start` of the text; level 1 is the highest."""

    start: int
    level: int
    text: str


@dataclass(frozen=True)
class Part:
    """A file inside a file: an attachment, or a member of an archive. `name` is what stands there: untrusted."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Parsed:
    """What a loader makes of a file's bytes. `pages` holds the first character of each page, or nothing.

    `warnings` are lines for the reader ("no text on pages 4-7"). A file that only holds others, such as an
    archive, has no text of its own.
    """

    text: str
    title: str = ""
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Document:
    """A text with its places. `id` is the path of its file under the corpus folder, with forward slashes.

    What lies in another file has that file's path and then its own: `mails/offer.eml/prices.xlsx`; its `file` is
    `mails/offer.eml`. `sha256` is of the bytes it was read from. `language` is a code of ISO 639-1, empty when it isn't known.
    """

    id: str
    title: str
    text: str
    headings: tuple[Heading, ...]
    pages: tuple[int, ...]
    sha256: str
    warnings: tuple[str, ...] = ()
    inside: str = ""
    language: str = ""

    @property
    def file(self) -> str:
        """The path of the file it was read from, under the corpus folder."""
        return self.inside or self.id

    def page_at(self, offset: int) -> int | None:
        """Return the page, counted from 1, that holds the character at `offset`; None without pages."""
        return bisect_right(self.pages, offset) or 1 if self.pages else None

    def heading_at(self, offset: int) -> str:
        """Return the headings that `offset` stands under, outermost first, joined by ` › `."""
        names: list[str] = []
        index = bisect_right(self.headings, offset, key=lambda heading: heading.start) - 1
        while index >= 0:
            names.append(self.headings[index].text)
            index = self._outer[index]
        if names and names[-1] == self.title:
            names.pop()
        return " › ".join(reversed(names))

    @cached_property
    def _outer(self) -> list[int]:
        """For each heading the index of the one it stands under, -1 for none."""
        outer: list[int] = []
        path: list[int] = []
        for index, heading in enumerate(self.headings):
            while path and self.headings[path[-1]].level >= heading.level:
                path.pop()
            outer.append(path[-1] if path else -1)
            path.append(index)
        return outer


@dataclass(frozen=True)
class Loaded:
    """What was read of one file: its documents, its own first; `warnings` are about what else is in it."""

    sha256: str
    documents: tuple[Document, ...]
    warnings: tuple[str, ...] = ()

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """The warnings of the documents, then those about what else is in the file."""
        return tuple(dict.fromkeys([*(line for document in self.documents for line in document.warnings), *self.warnings]))


def clean_line(text: str, length: int = _TITLE_LENGTH) -> str:
    """Return `text` as one line without control, invisible or direction characters, at most `length` long."""
    line = " ".join(_INVISIBLE.sub("", _SURROGATE.sub("\ufffd", _LINE_CONTROL.sub(" ", text))).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def supported_suffixes() -> tuple[str, ...]:
    """Return the file name endings that can be indexed, in lower case with their dot."""
    from assistant.loaders import IMAGES, LOADERS

    # Without the program that reads pictures each would be a failure to be looked at.
    return tuple(sorted(LOADERS if has_tesseract() else LOADERS.keys() - {*IMAGES}))


def has_tesseract() -> bool:
    """Whether the program that reads scans and pictures is installed."""
    return shutil.which("tesseract") is not None


def corpus_files(corpus: Path, unreadable: Callable[[OSError], object] | None = None) -> Iterator[tuple[str, Path]]:
    """Yield (id, path) of every candidate file under `corpus` in the order of ids.

    Hidden files and folders, locks of office programs and files of other formats are passed over; links are followed
    only to files inside `corpus`, and the path is then the file's own. What a name may not have is `�` in the id;
    `read_file` refuses such a file. `unreadable` is called with the error for a folder that can't be listed.
    """
    suffixes = supported_suffixes()
    root = corpus.resolve()
    for path in visible_files(root, unreadable):
        if path.suffix.lower() not in suffixes:
            continue
        # Not Path.resolve and Path.is_symlink: these raise for links in a circle and for paths that are too long.
        real = Path(os.path.realpath(path)) if os.path.islink(path) else path
        if real.is_relative_to(root):
            yield _BAD_NAME.sub("\ufffd", path.relative_to(root).as_posix()), real


def visible_files(root: Path, unreadable: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    """Yield the path of every file under `root`, by name in each folder, but hidden ones and locks of office programs."""
    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith((".", "~$")))


def check_name(name: str) -> None:
    """Raise `DocumentError` for a path that can't be shown or stored: control and direction characters, bytes that are no UTF-8."""
    if _BAD_NAME.search(name):
        raise DocumentError("its name, or that of its folder, has characters that can't be shown; rename it")


def check_file(path: Path, max_bytes: int) -> None:
    """Raise `DocumentError` when `path` is no regular file, can't be opened, or is too large."""
    with _opened(path, max_bytes):
        pass


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file that is no link; `DocumentError` says why it can't be read."""
    with _opened(path, max_bytes) as file:
        try:
            # No more than it had, should it grow meanwhile.
            return file.read(os.fstat(file.fileno()).st_size)
        except OSError as error:
            raise DocumentError(f"it can't be read ({error.strerror or error})") from None


def _opened(path: Path, max_bytes: int) -> BinaryIO:
    check_name(str(path))
    try:
        # Without O_NONBLOCK opening a pipe would wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DocumentError("it is a link; give the file that it leads to") from None
        raise DocumentError(f"it can't be opened ({error.strerror or error})") from None
    status = os.fstat(descriptor)
    problem = ""
    if not stat.S_ISREG(status.st_mode):
        problem = "it is not a regular file"
    elif status.st_size > max_bytes:
        problem = f"it has {status.st_size / 1e6:.0f} MB, over the limit of {max_bytes / 1e6:.0f}; raise ASSISTANT_UPLOAD_MB"
    if problem:
        os.close(descriptor)
        raise DocumentError(problem)
    return os.fdopen(descriptor, "rb")


def load_file(path: Path, id: str, max_bytes: int, passwords: Sequence[str] = ()) -> Loaded:
    """Read the file at `path`, called `id`, and what lies inside it, three levels deep.

    `passwords` are tried on what is encrypted. Raises `DocumentError` with the reason when nothing can be read:
    the file is damaged, encrypted, of another format, or holds no text. A part that can't be read is a warning.
    """
    data = read_file(path, max_bytes)
    reader = _Reader(id, passwords)
    reader.read(data, id, 0)
    if not reader.documents:
        raise DocumentError(reader.warnings[0] if reader.warnings else "no text was found in it")
    return Loaded(hashlib.sha256(data).hexdigest(), tuple(reader.documents), tuple(reader.warnings))


class _Reader:
    """Reads a file and its parts; counts the parts of all levels together."""

    def __init__(self, file: str, passwords: Sequence[str]) -> None:
        self.file = file
        self.passwords = passwords
        self.documents: list[Document] = []
        self.warnings: list[str] = []
        self.taken = {file}
        self.parts = MAX_PARTS
        self.bytes = MAX_PART_BYTES
        self.millions = float(_MOST_MILLIONS_INSIDE)  # characters of text

    def read(self, data: bytes, id: str, depth: int) -> None:
        from assistant.loaders import parse

        if not data.strip():
            raise DocumentError("it is empty")
        parsed = parse(data, PurePosixPath(id).suffix.lower(), self.passwords)
        size = len(parsed.text) / 1e6
        if size > _MOST_MILLIONS:
            raise DocumentError(f"it has {size:.1f} million characters of text, over the limit of {_MOST_MILLIONS}; split it")
        self.millions -= size
        if self.millions < 0:
            raise DocumentError(f"with it the file has over {_MOST_MILLIONS_INSIDE} million characters of text; split it")
        label = f"{id[len(self.file) + 1 :]}: " if depth else ""
        if parsed.text.strip():
            self.documents.append(_document(data, id, parsed, self.file if depth else ""))
        elif not parsed.parts:
            raise DocumentError("no text was found in it")
        else:
            self.warnings += [label + warning for warning in parsed.warnings]
        if parsed.parts and depth == MAX_DEPTH:
            self.warnings.append(f"{label}what lies inside of it is not read")
            return
        for part in parsed.parts:
            self._read_part(part, id, depth)

    def _read_part(self, part: Part, inside: str, depth: int) -> None:
        self.parts -= 1
        self.bytes -= len(part.data)
        if min(self.parts, self.bytes) < 0:
            reason = (
                f"what is inside is over the limit of {MAX_PARTS:,} files or {MAX_PART_BYTES / 1e6:.0f} MB; the rest is not read"
            )
            if reason not in self.warnings:
                self.warnings.append(reason)
            return
        name = PurePosixPath(_part_name(part.name))
        id = f"{inside}/{name}"
        number = 2
        while id in self.taken:
            id = f"{inside}/{name.with_name(f'{name.stem} ({number}){name.suffix}')}"
            number += 1
        self.taken.add(id)
        try:
            self.read(part.data, id, depth + 1)
        except DocumentError as error:
            self.warnings.append(f"{id[len(self.file) + 1 :]}: {error}")


def _document(data: bytes, id: str, parsed: Parsed, inside: str) -> Document:
    from assistant.languages import language_of

    title = clean_line(parsed.title) or title_of(id)
    headings = tuple(Heading(h.start, h.level, clean_line(h.text)) for h in parsed.headings if clean_line(h.text))
    sha256 = hashlib.sha256(data).hexdigest()
    text = _SURROGATE.sub("\ufffd", parsed.text)
    is_table = Path(id).suffix.lower() not in _TABLES and _mostly_table(text)
    warnings = (*parsed.warnings, *(["mostly a table"] if is_table else []))
    return Document(id, title, text, headings, parsed.pages, sha256, warnings, inside, language_of(text))


def _mostly_table(text: str) -> bool:
    """Whether over half of the characters stand in rows of Markdown tables."""
    return 2 * sum(len(line) for line in text.split("\n") if line.startswith("|")) > len(text)


def title_of(id: str) -> str:
    """Return the title of a document whose text has none: its file's name in words."""
    return clean_line(Path(id).stem.replace("_", " ").replace("-", " "))


def _part_name(name: str) -> str:
    """Return a path without steps up, drive, control or invisible characters."""
    steps = [clean_line(step, 150).strip(". ") for step in name.replace("\\", "/").split("/")]
    return "/".join([step for step in steps if step and not step.endswith(":")][-_MAX_STEPS:]) or "part"


def load_document(path: Path, id: str, max_bytes: int) -> Document:
    """Read the file at `path` into a `Document` called `id`, without what lies inside it; raises as `load_file` does."""
    return load_file(path, id, max_bytes).documents[0]
