"""Is everything in order? One finding for each part, with the way to mend it; nothing is changed.

`repair.py` mends what is found here.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assistant.adding import check_folders
from assistant.audit import faults
from assistant.catalog import Catalog
from assistant.catalog_checks import catalogue_faults
from assistant.dense import DenseIndex
from assistant.embedding import BUNDLED, Embedder, load_embedder
from assistant.errors import OwnedError, UserError
from assistant.index import generation_folder
from assistant.leftovers import leftovers, size
from assistant.lexical import LexicalIndex
from assistant.ownership import Ownership
from assistant.receipts import counted
from assistant.recovery import damaged_copy, state_of
from assistant.renewal import made_with, stored_makers
from assistant.schema import backup_of, damaged_line
from assistant.settings import Settings
from assistant.sync import planned

_ROOM = 300_000_000  # bytes beside what an index made anew takes
_MODEL_ROOM = 3_000_000_000  # while the language model has yet to be made
_MEND = "run 'assistant doctor --repair'"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """What was found about one part: `ok`, a `note` to know about, or a `fault`, whose message says what to do."""

    part: str
    level: Literal["ok", "note", "fault"]
    message: str


def examine(settings: Settings, report: Report = lambda line: None) -> list[Finding]:
    """Check folders, catalogue, indexes, models, disk and what was left behind; every part is tried, nothing is raised or changed.

    While another process owns the data folder, only what can be read beside it is checked.
    """
    try:
        check_folders(settings)
    except UserError as error:
        return [Finding("folders", "fault", str(error))]
    findings = [Finding("folders", "ok", f"{settings.corpus} and {settings.data}")]
    try:
        owner: Ownership | None = Ownership(settings.data)
    except OwnedError as error:
        owner = None
        findings.append(Finding("owner", "note", f"{error} Only what can be read beside it is checked."))
    try:
        findings += _examine(settings, owner is not None, report)
    finally:
        if owner is not None:
            owner.release()
    return findings


def _examine(settings: Settings, alone: bool, report: Report) -> Iterator[Finding]:
    embedder, finding = _embedding_model(settings, report)
    yield finding
    path = settings.data / "catalog.sqlite3"
    generation = ""
    if not path.exists():
        yield Finding("catalogue", "ok", "nothing is indexed yet")
    else:
        report("Checking the catalogue…")
        if damage := state_of(path) if alone else "":
            yield Finding("catalogue", "fault", damaged_line(path, damage))
        else:
            try:
                with closing(Catalog(path, read_only=True)) as catalog:
                    generation = catalog.setting("generation")
                    yield from _contents(settings, catalog, embedder, alone, report)
            except UserError as error:
                yield Finding("catalogue", "fault", str(error))
    yield _language_model(settings, report)
    yield _disk(settings)
    if alone:
        yield _left_behind(settings, generation)
    for kept in (damaged_copy(path), backup_of(path)):
        if kept.exists():
            yield Finding(
                "old catalogue", "note", f"{kept} ({kept.stat().st_size / 1e6:.0f} MB) is kept; delete it when all is well"
            )


def _contents(settings: Settings, catalog: Catalog, embedder: Embedder | None, alone: bool, report: Report) -> Iterator[Finding]:
    documents = catalog.documents()
    failed = [document for document in documents if document.reason]
    problems = list(catalogue_faults(catalog))
    about = f"{counted(len(documents) - len(failed), 'document')}, {counted(catalog.count(), 'chunk')}"
    yield Finding("catalogue", "fault" if problems else "ok", f"{'; '.join(problems)}: {_MEND}" if problems else about)
    yield from (Finding(document.id, "note", f"not indexed: {document.reason}") for document in failed)
    changes = planned(settings)[0]
    waiting = len(changes.read) + len(changes.same) + len(changes.moved) + len(changes.removed)
    yield Finding(
        "corpus",
        "note" if waiting else "ok",
        f"a sync would change {counted(waiting, 'file')}" if waiting else "in step with the index",
    )
    if embedder is not None and catalog.count() and stored_makers(catalog) != made_with(embedder):
        yield Finding(
            "chunks",
            "note",
            f"are of {catalog.setting('model') or 'another model'}; the next sync makes them anew for {embedder.name}",
        )
    if alone and not problems:  # an index can only be as sound as what it is compared with
        report("Checking the index…")
        yield _index(settings, catalog)


def _index(settings: Settings, catalog: Catalog) -> Finding:
    """Check the indexes in a copy: to open one in place may change it."""
    if not catalog.count():
        return Finding("index", "ok", "there is nothing to find")
    root = settings.data / "index"
    folder = generation_folder(root, int(catalog.setting("generation") or 0))
    if not folder.is_dir():
        return Finding("index", "fault", f"{folder} is missing: the next start makes it, or {_MEND}")
    if behind := catalog.count_behind():
        return Finding("index", "note", f"{counted(behind, 'chunk')} have yet to be put into it: the next start does")
    if shutil.disk_usage(root).free < size(folder) + _ROOM:
        return Finding("index", "fault", "there is too little room to check a copy of it: make room")
    with tempfile.TemporaryDirectory(prefix=".look-", dir=root) as copy:
        problems = index_faults(folder, Path(copy, "copy"), catalog)
    if problems:
        return Finding("index", "fault", f"{'; '.join(problems)}: the next start makes it again, or {_MEND}")
    return Finding("index", "ok", f"{counted(catalog.count(), 'chunk')}, by vector and by words; random ones find themselves")


def index_faults(folder: Path, copy: Path, catalog: Catalog) -> list[str]:
    """Return what is wrong with a generation of the indexes, a line each; it is copied to `copy` and looked at there."""
    try:
        shutil.copytree(folder, copy)
        dense = DenseIndex(copy / "dense", make=False)
        with closing(dense):
            vector = next(iter(catalog.vectors(catalog.chunk_ids()[:1]).values()))
            return list(faults(dense, LexicalIndex(copy / "lexical", make=False), catalog, len(vector)))
    except Exception as error:  # whatever a damaged index raises
        reason = " ".join(str(error).replace(str(copy), str(folder)).split())
        return [f"it can't be read ({reason[:300]})"]


def _embedding_model(settings: Settings, report: Report) -> tuple[Embedder | None, Finding]:
    if settings.embedding_model == BUNDLED:
        from assistant.bundled_embedding import is_made, model_state

        report("Checking the embedding model…")
        try:
            problem = model_state(settings.data)
        except UserError as error:
            problem = str(error)
        if problem:
            return None, Finding("embedding model", "fault", problem)
        if not is_made(settings.data):
            return None, Finding("embedding model", "ok", f"{BUNDLED}, prepared by the first start")
    try:
        embedder = load_embedder(settings, report)
    except UserError as error:
        return None, Finding("embedding model", "fault", str(error))
    return embedder, Finding("embedding model", "ok", f"{embedder.name}, {embedder.dim} dimensions")


def _language_model(settings: Settings, report: Report) -> Finding:
    from assistant.model_files import BUNDLED as FILE
    from assistant.model_files import digest_matches

    part = "language model"
    if settings.extractive:
        return Finding(part, "ok", "none is used: answers are sentences of the documents")
    if settings.base_url or not settings.embedded:
        where = settings.base_url or settings.chat_model
        return Finding(part, "ok", f"{settings.chat_model or 'the first one'} at {where}: ask a question to try it")
    if settings.chat_model != "embedded":
        return _own_model(settings)
    path = settings.data / "models" / FILE
    if not path.exists():
        return Finding(part, "ok", "is made by the first question")
    report("Checking the language model…")
    good = digest_matches(path)
    return Finding(
        part,
        "ok" if good else "fault",
        str(path) if good else f"{path} is damaged: {_MEND}, it is then made again by the first question",
    )


def _own_model(settings: Settings) -> Finding:
    from assistant.model_files import model_file

    if settings.chat_model.startswith("hf:"):
        return Finding("language model", "ok", f"{settings.chat_model} is fetched by the first question")
    try:
        return Finding("language model", "ok", str(model_file(settings)))
    except UserError as error:
        return Finding("language model", "fault", str(error))


def _disk(settings: Settings) -> Finding:
    from assistant.model_files import BUNDLED as FILE

    free = shutil.disk_usage(settings.data).free
    need = _ROOM + size(settings.data / "index")  # a new generation is made beside the old one
    with suppress(OSError):
        need += (settings.data / "catalog.sqlite3").stat().st_size // 2
    if settings.chat_model == "embedded" and not (settings.data / "models" / FILE).exists():
        need += _MODEL_ROOM
    enough = free >= need
    return Finding(
        "disk",
        "ok" if enough else "fault",
        f"{free / 1e9:.1f} GB free{'' if enough else f': make room, {need / 1e9:.1f} GB are needed'}",
    )


def _left_behind(settings: Settings, generation: str) -> Finding:
    found = leftovers(settings, generation)
    if not found:
        return Finding("left behind", "ok", "nothing")
    names = ", ".join(path.name for path in found[:5])
    return Finding("left behind", "fault", f"{len(found)} files or folders of interrupted work ({names}): {_MEND}")
