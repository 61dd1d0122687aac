"""All documents with their vectors in one file, to keep or to take to another machine.

The file is a ZIP archive in which nothing is compressed: `manifest.json`, the files of the corpus folder below `corpus/`, the notes of
where pages came from in `addresses.jsonl`, and in `vectors.bin` the vectors, each as its key (32 bytes), three lengths
(32 bits, little endian), then vector, sentences and tokens as the catalogue has them.
"""

import hashlib
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from assistant.adding import free_name
from assistant.addresses import NOTES, part_of
from assistant.catalog import Catalog
from assistant.documents import check_name, clean_line, corpus_files, supported_suffixes
from assistant.errors import DocumentError, UserError
from assistant.folder import file_state
from assistant.index import make_durable_file
from assistant.receipts import FileResult
from assistant.schema import VERSION as SCHEMA
from assistant.settings import Settings
from assistant.sync import Corpus
from assistant.vector_rows import VectorRow, is_sound

_FORMAT = "document-assistant export"
_VERSION = 1
_MANIFEST, _VECTORS, _ADDRESSES, _CORPUS = "manifest.json", "vectors.bin", "addresses.jsonl", "corpus/"
_HEAD = struct.Struct("<32sIII")
_BLOCK = 1 << 20
_ROOM = 200_000_000  # bytes that stay free
_MOST_MANIFEST = 200_000_000  # bytes, of a million files
_MOST_NOTES = 8_000_000
_LONGEST_NAME = 255  # bytes, in each part of a path: what file systems take
_TOGETHER = 500  # vectors written at once
_UNUSABLE = "" if os.sep == "/" else "\\:"  # what else means something in a path


@dataclass(frozen=True)
class _Member:
    """One member of the archive; `modified` is in nanoseconds since 1970."""

    name: str
    size: int
    sha256: str
    modified: int = 0


@dataclass(frozen=True)
class Manifest:
    """What an export holds and what made it. `fingerprint` is of the embedding model called `model` with `dim` numbers a vector."""

    model: str
    fingerprint: str
    dim: int
    files: int
    vectors: int
    members: tuple[_Member, ...] = field(repr=False)
    format: str = _FORMAT
    version: int = _VERSION
    schema: int = SCHEMA


def export_corpus(settings: Settings, target: Path, force: bool = False) -> Manifest:
    """Write the corpus folder and its vectors to the file `target`; only with `force` is another replaced.

    Beside a running app this changes nothing. Raises `UserError` when it can't be written; `target` is then as it was.
    """
    if target.exists() and not force:
        raise UserError(f"{target} is there already: choose another name, or repeat it with --force.")
    if target.is_dir() or not target.parent.is_dir():
        raise UserError(f"{target} can't be written: name a file in a folder that is there.")
    files = dict(corpus_files(settings.corpus))
    if not (settings.data / "catalog.sqlite3").exists():
        raise UserError("Nothing is indexed yet: run 'assistant sync' first.")
    part = part_of(target)
    try:
        with closing(Catalog(settings.data / "catalog.sqlite3", read_only=True)) as catalog:
            needed = sum(state.size for path in files.values() if (state := file_state(path))) + _vector_bytes(catalog)
            free = shutil.disk_usage(target.parent).free
            if free < needed + _ROOM:
                raise UserError(
                    f"The export needs {needed / 1e6:.0f} MB in {target.parent}, {free / 1e6:.0f} MB are free: make room."
                )
            with open(part, "xb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    manifest = _write(archive, settings.corpus, files, catalog)
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, target)
        make_durable_file(target.parent)
    except FileExistsError:
        raise UserError(
            f"{part} is there already: another export is being written, or one was interrupted; delete it then."
        ) from None
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UserError(f"The export can't be written ({error}): nothing was changed.") from None
        raise
    return manifest


def _vector_bytes(catalog: Catalog) -> int:
    rows = catalog.query("SELECT sum(length(vector) + length(sentences) + length(tokens) + 44) FROM vectors")
    return int(str(rows[0][0] or 0))


def _write(archive: zipfile.ZipFile, corpus: Path, files: dict[str, Path], catalog: Catalog) -> Manifest:
    members = []
    for id, path in files.items():
        with suppress(FileNotFoundError):  # it was removed since it was listed
            members.append(_add(archive, _CORPUS + id, path))
    held = len(members)
    if (corpus / NOTES).is_file():
        members.append(_add(archive, _ADDRESSES, corpus / NOTES))
    digest, size, count, dim = hashlib.sha256(), 0, 0, 0
    with archive.open(zipfile.ZipInfo(_VECTORS), "w", force_zip64=True) as out:
        for row in _stored_vectors(catalog):
            data = _HEAD.pack(bytes.fromhex(row.key), len(row.vector), len(row.sentences), len(row.tokens))
            data += row.vector + row.sentences + row.tokens
            out.write(data)
            digest.update(data)
            size, count, dim = size + len(data), count + 1, len(row.vector) // 4
    members.append(_Member(_VECTORS, size, digest.hexdigest()))
    fingerprint, model = catalog.setting("fingerprint"), catalog.setting("model")
    manifest = Manifest(model, fingerprint, dim, held, count, tuple(members))
    archive.writestr(zipfile.ZipInfo(_MANIFEST), json.dumps(asdict(manifest), ensure_ascii=False))
    return manifest


def _stored_vectors(catalog: Catalog) -> Iterator[VectorRow]:
    query = "SELECT key, vector, sentences, tokens FROM vectors WHERE EXISTS (SELECT 1 FROM chunks WHERE vector_key = key)"
    for key, vector, sentences, tokens in catalog.stream(query):
        assert isinstance(vector, bytes) and isinstance(sentences, bytes) and isinstance(tokens, bytes)
        yield VectorRow(str(key), vector, sentences, tokens)


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> _Member:
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file, archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as out:
        modified = os.fstat(file.fileno()).st_mtime_ns
        while block := file.read(_BLOCK):
            out.write(block)
            digest.update(block)
            size += len(block)
    return _Member(name, size, digest.hexdigest(), modified)


# Import


def read_manifest(path: Path) -> Manifest:
    """Return what the export `path` says it holds. Raises `UserError` when it is none, damaged, or made by a newer version."""
    with _opened(path) as archive:
        return _manifest(path, archive)


def import_corpus(corpus: Corpus, path: Path) -> Iterator[FileResult]:
    """Put the files of the export `path` into the corpus folder, and its vectors, when they are of the same model, into the catalogue.

    Yields one result a file. All of the export is read and checked before anything is changed: raises `UserError` when it is
    damaged, or no export. A file of the same name and content stays as it is, one of the same name and other content is
    put beside it. A sync must follow; it finds the vectors, and drops those that it doesn't need.
    """
    with _opened(path) as archive:
        manifest = _manifest(path, archive)
        members = {member.name: member for member in manifest.members}
        if corpus.fingerprints.get(manifest.fingerprint, manifest.dim) != manifest.dim and manifest.vectors:
            raise _damaged(path, "its vectors have another length than its model gives")
        _check_all(path, archive, manifest)
        free = min(shutil.disk_usage(folder).free for folder in (corpus.settings.corpus, corpus.settings.data))
        if free < (needed := sum(member.size for member in manifest.members)) + _ROOM:
            raise UserError(
                f"The import needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free: make room; nothing was changed."
            )
        for name, member in members.items():
            if name.startswith(_CORPUS):
                yield _place(corpus, archive, member)
        if _ADDRESSES in members:
            _add_notes(corpus.settings.corpus, archive.read(_ADDRESSES))
        if manifest.fingerprint in corpus.fingerprints:
            rows: list[VectorRow] = []
            for row in _vector_rows(path, archive, manifest):
                rows.append(row)
                if len(rows) == _TOGETHER:
                    _put_lacking(corpus.catalog, rows)
                    rows = []
            _put_lacking(corpus.catalog, rows)


def _put_lacking(catalog: Catalog, rows: list[VectorRow]) -> None:
    """Store the vectors that aren't there yet: those that are were made here, and may be in use."""
    stored = catalog.stored_keys(row.key for row in rows)
    catalog.put_vector_rows([row for row in rows if row.key not in stored])


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(f"{path} can't be read as an export ({reason}): it is incomplete or none. Nothing was changed.") from None


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path} is damaged or no export ({why}): nothing was changed.")


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if _MANIFEST not in names or len(set(names)) != len(names):
        raise _damaged(path, "it has no manifest" if _MANIFEST not in names else "a name stands in it twice")
    # Without compression nothing can be larger than the file, unless members share bytes.
    if (
        any(info.compress_type or info.flag_bits & 1 for info in infos)
        or sum(info.file_size for info in infos) > path.stat().st_size
    ):
        raise _damaged(path, "its members are not as an export has them")
    if archive.getinfo(_MANIFEST).file_size > _MOST_MANIFEST:
        raise _damaged(path, "its manifest is too long")
    try:
        values: dict[str, Any] = json.loads(archive.read(_MANIFEST))
        if values["format"] != _FORMAT:
            raise ValueError
        newer = int(values["version"]) > _VERSION
        members = tuple(
            _Member(str(m["name"]), int(m["size"]), str(m["sha256"]), int(m["modified"])) for m in values.pop("members")
        )
        texts = {name: clean_line(str(values[name]), 500) for name in ("model", "fingerprint", "format")}
        numbers = {name: int(values[name]) for name in ("dim", "files", "vectors", "version", "schema")}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zipfile.BadZipFile, OSError, EOFError):
        raise _damaged(path, "its manifest can't be read") from None
    if newer:
        raise UserError(f"{path} was exported by a newer version: update, then import it.")
    if sorted(names) != sorted([_MANIFEST, *(member.name for member in members)]):
        raise _damaged(path, "its members are not those of its manifest")
    return Manifest(members=members, **texts, **numbers)  # type: ignore[arg-type]


def _check_all(path: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Read every member; raises `UserError` when one isn't what the manifest says, or may not be in an export."""
    for member in manifest.members:
        if member.name.startswith(_CORPUS):
            if problem := _bad_name(member.name.removeprefix(_CORPUS)):
                raise _damaged(path, problem)
        elif member.name not in (_VECTORS, _ADDRESSES):
            raise _damaged(path, "it holds something that no export has")
        if not 0 <= member.modified < 1 << 63:
            raise _damaged(path, "a time is out of range")
        try:
            with archive.open(member.name) as file:
                size, digest = _digest(file)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError):
            size, digest = -1, ""
        if (size, digest) != (member.size, member.sha256):
            raise _damaged(path, f"{member.name[-100:]!r} is not as it was written")
        if member.name == _ADDRESSES and size > _MOST_NOTES:
            raise _damaged(path, "its notes of addresses are too long")
    if any(member.name == _VECTORS for member in manifest.members):
        for _ in _vector_rows(path, archive, manifest):
            pass


def _bad_name(id: str) -> str:
    """Return why `id` may not be the path of a file in the corpus folder; nothing when it may."""
    parts = id.split("/")
    try:
        check_name(id)
    except DocumentError as error:
        return f"a file can't be called so: {error}"
    if {*id} & {*_UNUSABLE} or any(not 0 < len(os.fsencode(part)) <= _LONGEST_NAME or part.startswith(".") for part in parts):
        return "the name of a file leads out of the corpus folder or can't be used"
    return ""


def _digest(file: IO[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()


def _vector_rows(path: Path, archive: zipfile.ZipFile, manifest: Manifest) -> Iterator[VectorRow]:
    count = 0
    if _VECTORS not in archive.namelist():
        return
    with archive.open(_VECTORS) as file:
        while head := file.read(_HEAD.size):
            if len(head) != _HEAD.size:
                raise _damaged(path, "its vectors end too soon")
            key, *lengths = _HEAD.unpack(head)
            if max(lengths) > _MOST_NOTES:
                raise _damaged(path, "a vector is too long")
            row = VectorRow(key.hex(), *(file.read(length) for length in lengths))
            if (
                manifest.dim < 1
                or [len(row.vector), len(row.sentences), len(row.tokens)] != lengths
                or not is_sound(row, manifest.dim)
            ):
                raise _damaged(path, "a vector can't be used")
            count += 1
            yield row
    if count != manifest.vectors:
        raise _damaged(path, "vectors are missing")


def _place(corpus: Corpus, archive: zipfile.ZipFile, member: _Member) -> FileResult:
    """Put a file of the export into the corpus folder, under another name when its own is taken by other content."""
    id = member.name.removeprefix(_CORPUS)
    if PurePosixPath(id).suffix.lower() not in supported_suffixes():
        return FileResult(id, False, "its format is not supported, it was left out")
    try:
        target, is_new = free_name(corpus.settings.corpus, member.sha256, id)
        if not target.parent.resolve().is_relative_to(corpus.settings.corpus.resolve()):
            return FileResult(id, False, "a link leads its folder out of the corpus folder, it was left out")
        if is_new:
            target.parent.mkdir(parents=True, exist_ok=True)
            part = part_of(target)
            part.unlink(missing_ok=True)  # it might be a link
            with archive.open(member.name) as source, open(part, "xb") as file:
                shutil.copyfileobj(source, file, _BLOCK)
            os.utime(part, ns=(member.modified, member.modified))
            make_durable_file(part)
            os.replace(part, target)
            make_durable_file(target.parent)
    except OSError as error:
        return FileResult(id, False, f"it can't be written ({error.strerror or error})")
    place = target.relative_to(corpus.settings.corpus).as_posix()
    return FileResult(place, True, "imported" if is_new else "is there already, unchanged")


def _add_notes(corpus: Path, data: bytes) -> None:
    """Add the lines about where pages came from that aren't there yet."""
    path = corpus / NOTES
    with suppress(OSError):
        known = path.read_bytes() if path.is_file() else b""
        lines = [line for line in data.splitlines() if line.strip() and line not in {*known.splitlines()}]
        if lines:
            part = part_of(path)
            part.unlink(missing_ok=True)
            part.write_bytes(b"\n".join([*known.splitlines(), *lines]) + b"\n")
            os.replace(part, path)
