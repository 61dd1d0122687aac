"""Archives (.zip, .tar and packed tars): their members become documents of their own; nothing is written to disk."""

import io
import lzma
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from assistant.documents import Parsed, Part, clean_line
from assistant.errors import DocumentError
from assistant.loaders.zips import MAX_BYTES, MAX_MEMBERS, open_zip, read_member

ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz"}
_RATIO = 100
_SMALL = 1_000_000  # bytes: so much may come out of any archive


def load_zip(data: bytes, passwords: Sequence[str], supported: Callable[[str], bool]) -> Parsed:
    """Read a ZIP archive; `supported` tells by a name whether a member can be read.

    Raises `DocumentError` when it is damaged or over the limits of `open_zip`.
    """
    opened = open_zip(data)
    members = [member for member in opened.infolist() if not member.is_dir()]
    chosen, warnings = _choose([member.filename for member in members], supported)
    parts: list[Part] = []
    left = MAX_BYTES
    locked = 0
    for member in members:
        if member.filename not in chosen:
            continue
        try:
            unpacked = _unlocked(opened, member, passwords, left) if member.flag_bits & 1 else read_member(opened, member, left)
        except DocumentError as error:
            warnings.append(f"{clean_line(member.filename, 100)}: {error}")
            continue
        if unpacked is None:
            locked += 1
            continue
        left -= len(unpacked)
        parts.append(Part(member.filename, unpacked))
    if locked:
        given = "and none in ASSISTANT_PASSWORDS opens it" if passwords else "set ASSISTANT_PASSWORDS"
        reason = f"it is protected by a password{', ' if passwords else ': '}{given}"
        if not parts:
            raise DocumentError(reason)
        warnings.append(f"members that can't be opened: {locked}; {reason}")
    return _archive(parts, warnings)


def load_tar(data: bytes, supported: Callable[[str], bool]) -> Parsed:
    """Read a tar archive, packed by gzip, bzip2 or xz or not; links and devices in it are passed over.

    Raises `DocumentError` when it is damaged, or holds over 2,000 files or over 200 MB, or 100 times its size.
    """
    parts: list[Part] = []
    names: list[str] = []
    limit = min(MAX_BYTES, max(_SMALL, _RATIO * len(data)))
    try:
        # Read as a stream: what a member holds is unpacked even when it is passed over, so all of it counts.
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|*") as opened:
            for number, member in enumerate(opened):
                if number >= MAX_MEMBERS:
                    raise DocumentError(f"it holds over {MAX_MEMBERS:,} files")
                limit -= max(member.size, 512)
                if limit < 0:
                    raise DocumentError("it unpacks to over 200 MB, or over 100 times its size")
                if not member.isfile():
                    continue
                names.append(member.name)
                file = opened.extractfile(member) if _choose([member.name], supported)[0] else None
                if file is not None:
                    parts.append(Part(member.name, file.read()))
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise DocumentError(f"it is no tar archive, or damaged ({error})") from None
    return _archive(parts, _choose(names, supported)[1])


def _archive(parts: list[Part], warnings: list[str]) -> Parsed:
    if not parts:
        raise DocumentError(warnings[0] if warnings else "it is an empty archive")
    return Parsed("", warnings=tuple(warnings), parts=tuple(parts))


def _choose(names: Iterable[str], supported: Callable[[str], bool]) -> tuple[set[str], list[str]]:
    """Return the names of what can be read, and warnings about what can't; hidden files say nothing."""
    chosen: set[str] = set()
    others: Counter[str] = Counter()
    archives = 0
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if any(step.startswith(".") and step.strip(".") for step in path.parts) or "__MACOSX" in path.parts:
            continue
        suffix = path.suffix.lower()
        if suffix in ARCHIVES:
            archives += 1
        elif supported(suffix):
            chosen.add(name)
        else:
            others[suffix or "no ending"] += 1
    warnings = []
    if others:
        kinds = ", ".join(f"{clean_line(suffix, 20)} {count}" for suffix, count in others.most_common(5))
        warnings.append(f"files of unsupported formats are not read: {others.total()} ({kinds})")
    if archives:
        warnings.append(f"archives inside of it are not read: {archives}")
    return chosen, warnings


def _unlocked(opened: zipfile.ZipFile, member: zipfile.ZipInfo, passwords: Sequence[str], limit: int) -> bytes | None:
    """Return an encrypted member, or None when no password opens it."""
    for encoded in _encodings(passwords):
        opened.setpassword(encoded)
        try:
            return read_member(opened, member, limit)
        except DocumentError as error:
            # A wrong password shows at once, or, once in 256 times, by a wrong checksum.
            if "over" in str(error):
                raise
    return None


def _encodings(passwords: Sequence[str]) -> Iterator[bytes]:
    for password in passwords:
        yield password.encode()
        if not password.isascii():
            yield password.encode("cp437", errors="replace")
