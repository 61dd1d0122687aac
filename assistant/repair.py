"""Mends what `doctor.examine` finds; each thing that was done is told in one line."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress

from assistant.adding import check_folders
from assistant.bundled_embedding import is_damaged
from assistant.catalog import Catalog
from assistant.catalog_checks import drop_faults
from assistant.embedding import BUNDLED
from assistant.errors import UserError
from assistant.leftovers import delete, leftovers
from assistant.ownership import Ownership
from assistant.receipts import counted
from assistant.recovery import recover, state_of
from assistant.settings import Settings
from assistant.sync import Corpus


def repair(settings: Settings, report: Callable[[str], None] = lambda line: None) -> Iterator[str]:
    """Mend catalogue, indexes and models, and sync; yields a line for each thing that was done.

    Raises `UserError` when it can't be done: another process owns the data folder, a folder can't be used.
    """
    check_folders(settings)
    owner = Ownership(settings.data)
    try:
        path = settings.data / "catalog.sqlite3"
        report("Checking the catalogue…")
        if path.exists() and state_of(path):
            yield recover(path)
        generation = ""
        if path.exists():
            with closing(Catalog(path)) as catalog:
                dropped = drop_faults(catalog)
                generation = catalog.setting("generation")
            if dropped:
                yield f"{counted(dropped, 'chunk')} without a sound vector dropped, the files are read again"
        if left := leftovers(settings, generation):
            yield f"{counted(len(left), 'leftover')} of interrupted work deleted, {delete(left) / 1e6:,.1f} MB"
        yield from _language_model(settings, report)
    finally:
        owner.release()
    damaged_copy = settings.embedding_model == BUNDLED and is_damaged(settings.data)
    with closing(Corpus(settings, report)) as corpus:
        if damaged_copy:
            yield "the copy of the embedding model in 8 bits was made again"
        yield from _contents(corpus, report)


def _contents(corpus: Corpus, report: Callable[[str], None]) -> Iterator[str]:
    report("Indexing…")
    before = corpus.index.rebuilt
    synced = corpus.sync()
    if synced.problem:
        raise UserError(synced.problem)
    if synced.done:
        yield f"{counted(synced.done, 'file')} read again, {counted(synced.chunks, 'chunk')}"
    index = corpus.index
    report("Checking the index…")
    if not before and not index.rebuilt and index.faults():
        corpus.reindex()
    if index.rebuilt and corpus.chunk_count():
        yield f"both indexes were made again, {counted(corpus.chunk_count(), 'chunk')}"


def _language_model(settings: Settings, report: Callable[[str], None]) -> Iterator[str]:
    from assistant.model_files import BUNDLED as FILE
    from assistant.model_files import digest_matches

    path = settings.data / "models" / FILE
    if settings.chat_model != "embedded" or settings.base_url or not path.exists():
        return
    report("Checking the language model…")
    if not digest_matches(path):
        with suppress(OSError):
            path.unlink()
        yield "the damaged language model was deleted; it is made again by the first question"
