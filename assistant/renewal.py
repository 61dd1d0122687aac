"""All documents cut and embedded anew beside what is in force, which goes on answering: for another embedding model, or when
texts are cut or words are read in another way.

The new chunks wait in tables of their own until none is lacking, then take the place of the old ones in one step. What was done
is kept when it is interrupted.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack

from assistant import chunking, lexical
from assistant.catalog import Catalog, Cut, vector_key, write_chunks
from assistant.chunking import Chunk, chunk_document
from assistant.documents import Document
from assistant.embedding import Embedder

_TOGETHER = 80_000  # characters that are embedded and written together
_MAKERS = ("fingerprint", "chunking", "lexical")

Embed = Callable[[Sequence[tuple[Chunk, str]]], None]


def made_with(embedder: Embedder) -> dict[str, str]:
    """Return what decides how a text becomes chunks, vectors and terms, as settings of the catalogue."""
    return {"fingerprint": embedder.fingerprint, "chunking": str(chunking.VERSION), "lexical": str(lexical.VERSION)}


def stored_makers(catalog: Catalog) -> dict[str, str]:
    """Return with what the chunks in force were made (`made_with`)."""
    return {name: catalog.setting(name) for name in _MAKERS}


def prepare(catalog: Catalog, wanted: Mapping[str, str]) -> None:
    """Keep what was staged when it was made with `wanted`, else drop it; with nothing `wanted`, drop it."""
    purpose = json.dumps(dict(wanted), sort_keys=True) if wanted else ""
    if catalog.setting("staged_for") == purpose:
        return
    with catalog.transaction() as db:
        db.execute("DELETE FROM staged_documents")
        db.execute("INSERT OR REPLACE INTO settings VALUES ('staged_for', ?)", [purpose])


def cut(document: Document, embedder: Embedder) -> Cut:
    """Return a document in chunks, none when it holds no text."""
    chunks = chunk_document(document, embedder.tokenizer, embedder.max_tokens)
    return Cut(document, chunks, [vector_key(chunk, embedder.fingerprint) for chunk in chunks])


def stage(
    catalog: Catalog, embedder: Embedder, embed: Embed, writing: AbstractContextManager[object]
) -> Iterator[tuple[int, int, str]]:
    """Cut and embed what isn't staged yet; yields (documents done, all documents, the newest) after each group.

    `embed` stores the vectors of chunks whose keys have none; `writing` is held until the chunks are stored that use them,
    or somebody who removes a document would take them for unused.
    """
    while ids := [str(row[0]) for row in catalog.query(f"SELECT id FROM documents WHERE {_LACKING} ORDER BY id LIMIT 500")]:
        group: list[Cut] = []
        for id in ids:
            document = catalog.document(id)
            if document is not None:
                group.append(cut(document, embedder))
            if group and (id == ids[-1] or sum(len(part.document.text) for part in group) >= _TOGETHER):
                with writing:
                    embed([pair for part in group for pair in zip(part.chunks, part.keys, strict=True)])
                    _store(catalog, group)
                group = []
                yield *_progress(catalog), id


_LACKING = "id NOT IN (SELECT id FROM staged_documents)"


def _progress(catalog: Catalog) -> tuple[int, int]:
    done, total = catalog.query("SELECT (SELECT count(*) FROM staged_documents), (SELECT count(*) FROM documents)")[0]
    return int(str(done)), int(str(total))


def _store(catalog: Catalog, group: Sequence[Cut]) -> None:
    with catalog.transaction() as db:
        for part in group:
            # One that was removed meanwhile is passed over.
            there = "INSERT OR IGNORE INTO staged_documents SELECT id FROM documents WHERE id = ?"
            if db.execute(there, [part.document.id]).rowcount:
                write_chunks(db, part, "staged_chunks")


def put_in_force(catalog: Catalog, settings: Mapping[str, str], moment: AbstractContextManager[None]) -> bool:
    """Replace all chunks by the staged ones and store `settings`, in one transaction; False when a document is lacking.

    `moment` is entered just before the transaction ends, and left after. Files of which the new way leaves nothing are read again
    by the next sync, which says why. The indexes have to be made again.
    """
    columns = "id, document_id, start, end, heading, page, sentences, vector_key, terms"
    with ExitStack() as after, catalog.transaction() as db:
        if db.execute(f"SELECT 1 FROM documents WHERE {_LACKING} LIMIT 1").fetchone():
            return False
        db.execute("DELETE FROM chunks")
        db.execute(f"INSERT INTO chunks ({columns}) SELECT {columns} FROM staged_chunks ORDER BY row")
        db.execute("DELETE FROM staged_documents")
        db.execute(
            "UPDATE files SET size = -1, sha256 = '' WHERE path IN"
            " (SELECT file FROM documents WHERE id NOT IN (SELECT document_id FROM chunks))"
        )
        values = {**settings, "staged_for": "", "generation": ""}
        db.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", values.items())
        after.enter_context(moment)
    return True
