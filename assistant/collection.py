"""Documents with their chunks, vectors and index in one folder, whatever the documents came from."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from assistant import chunking, lexical
from assistant.catalog import Catalog, Cut, DocumentInfo, FileEntry, FileState, vector_key
from assistant.chunking import Chunk, chunk_document
from assistant.cross_encoder import RERANKED, Reranker
from assistant.documents import Document
from assistant.embedding import Embedder, SentenceVectors
from assistant.errors import DocumentError
from assistant.filters import EVERYTHING, Filter
from assistant.index import Index
from assistant.languages import usual_language
from assistant.mentions import Mentions
from assistant.passages import DEPTH, HITS, others, passages
from assistant.retrieval import Hit, Mode, leans, search

EMBED_BATCH = 32  # chunks embedded between two writes
_INDEX_BATCH = 500  # chunks written to the indexes at once


class Collection:
    """What can be searched. Documents that were put or removed are found, or not, after `flush`."""

    def __init__(
        self,
        data: Path,
        embedder: Embedder,
        report: Callable[[str], None] = lambda line: None,
        reranker: Reranker | None = None,
    ) -> None:
        """Open or make the catalogue and index in `data`. `report` is called before anything slow.

        `reranker` orders the best passages of mode "full" again. Raises `UserError` when the catalogue can't be used.
        """
        self.embedder = embedder
        self.reranker = reranker
        self._writing = threading.RLock()
        self.catalog = Catalog(data / "catalog.sqlite3")
        self._mentions = Mentions(self.catalog)
        self._latest: tuple[tuple[Filter, int], list[str] | None] | None = None  # filter, revision, what it allows
        self._note_model(report)
        report("Opening the index…")
        self.index = Index(data, self.catalog, embedder)

    def close(self) -> None:
        """Let go of the files."""
        self.index.close()
        self.catalog.close()

    def _note_model(self, report: Callable[[str], None]) -> None:
        """Make every file count as changed when the embedding model or the chunking is another than before."""
        made_with = {"fingerprint": self.embedder.fingerprint, "chunking": str(chunking.VERSION), "lexical": str(lexical.VERSION)}
        stored = {name: self.catalog.setting(name) for name in made_with}
        if stored == made_with:
            return
        if any(stored[name] not in ("", value) for name, value in made_with.items()):
            report("The embedding model or the way texts are cut changed: everything is indexed again.")
            for path in self.catalog.files():
                self.catalog.remove_file(path)
        self.catalog.set_settings({**made_with, "generation": ""})

    def search(
        self, query: str, limit: int, mode: Mode = "full", filter: Filter = EVERYTHING, earlier: Sequence[str] = ()
    ) -> list[Hit]:
        """Return the `limit` best chunks for `query`, best first, of the documents that `filter` allows.

        Documents that the query names are favoured. `earlier` holds the questions asked before it, oldest first.
        Raises `UserError` when the reranker can't be used.
        """
        documents = self._allowed(filter)
        favoured = self.named(query, filter)
        reranker = self.reranker if mode == "full" and limit > 0 else None
        depth = max(limit, RERANKED) if reranker else limit
        hits = search(query, depth, self.catalog, self.index, self.embedder, mode, documents, favoured, earlier)
        if reranker is None:
            return hits
        asked = f"{earlier[-1]} {query}" if earlier and leans(query) else query
        return reranker.rerank(asked, hits)[:limit]

    def named(self, question: str, filter: Filter = EVERYTHING) -> list[str]:
        """Return the ids of the documents that `question` names and `filter` allows, sorted."""
        documents = self._allowed(filter)
        named = self._mentions.named(question)
        return named if documents is None else sorted({*named} & {*documents})

    def _allowed(self, filter: Filter) -> list[str] | None:
        """Return the documents that `filter` allows; asked again with the same filter, without asking the catalogue."""
        state = filter, self.catalog.revision
        latest = self._latest
        if latest is None or latest[0] != state:
            latest = self._latest = state, filter.matching(self.catalog)
        return latest[1]

    def passages(
        self, query: str, limit: int, mode: Mode = "full", filter: Filter = EVERYTHING, earlier: Sequence[str] = ()
    ) -> list[Hit]:
        """Return at most `limit` passages for `query`, best first: the hits near the best, neighbours joined to one.

        Raises `UserError` when the reranker can't be used.
        """
        hits = self.search(query, HITS * limit, mode, filter, earlier)
        return passages(hits, limit, self.catalog, fused=mode == "full" and self.reranker is None)

    def passages_and_others(self, query: str, limit: int, filter: Filter = EVERYTHING, earlier: Sequence[str] = ()) -> list[Hit]:
        """Return what `passages` does, then passages of other documents that are about what is asked (`passages.others`).

        There are none of these with a reranker, whose scores say nothing by themselves.
        """
        if self.reranker is not None:
            return self.passages(query, limit, filter=filter, earlier=earlier)
        hits = self.search(query, DEPTH * limit, filter=filter, earlier=earlier)
        shown = passages(hits[: HITS * limit], limit, self.catalog)
        return [*shown, *others(hits, shown)]

    def passage_vectors(self, hits: Sequence[Hit]) -> list[SentenceVectors]:
        """Return the sentence vectors of each hit; none for one of which a chunk was removed since."""
        stored = self.catalog.candidates([part.id for hit in hits for part in hit.parts])
        gone = np.empty((0, self.embedder.dim), np.int8)
        return [np.concatenate([stored[part.id].sentences if part.id in stored else gone for part in hit.parts]) for hit in hits]

    def lacking(self, terms: Sequence[str], filter: Filter = EVERYTHING) -> list[str]:
        """Return those of the `lexical.terms` that stand nowhere in the documents that `filter` allows."""
        return self.index.lacking(terms, self._allowed(filter))

    def chunk_count(self) -> int:
        """Return how many chunks can be found."""
        return self.catalog.count()

    def documents(self) -> list[DocumentInfo]:
        """Return what is indexed, by name, then what failed; those in another language than most say so."""
        documents = self.catalog.documents()
        usual = usual_language([info.language for info in documents])
        if not usual:
            return documents
        return [
            replace(info, warnings=(*info.warnings, f"another language than most ({info.language}, not {usual})"))
            if info.language not in ("", usual)
            else info
            for info in documents
        ]

    def put(self, documents: Sequence[tuple[Document, FileState]]) -> list[list[Chunk]]:
        """Add or replace documents, each a file of its own, and return the chunks of each.

        Raises `DocumentError`, and puts none, when one of them holds no text or the model gives no numbers for it.
        """
        return [
            chunks
            for part in self.put_files([(_entry(document, state), [document]) for document, state in documents])
            for chunks in part
        ]

    def put_files(self, files: Sequence[tuple[FileEntry, Sequence[Document]]]) -> list[list[list[Chunk]]]:
        """Add or replace files with their documents; returns the chunks of each document of each file.

        What was embedded before isn't embedded again. Raises `DocumentError`, and puts none, as `put` does.
        """
        cut = [[self._cut(document) for document in documents] for _, documents in files]
        with self._writing:
            self._embed_missing([pair for parts in cut for part in parts for pair in zip(part.chunks, part.keys, strict=True)])
            self.catalog.put_files([(entry, parts) for (entry, _), parts in zip(files, cut, strict=True)])
            if self.catalog.count_behind() >= _INDEX_BATCH:
                self.index.catch_up()
        return [[list(part.chunks) for part in parts] for parts in cut]

    def _cut(self, document: Document) -> Cut:
        chunks = chunk_document(document, self.embedder.tokenizer, self.embedder.max_tokens)
        if not chunks:
            raise DocumentError("no text was found in it")
        return Cut(document, chunks, [vector_key(chunk, self.embedder.fingerprint) for chunk in chunks])

    def drop(self, path: str) -> None:
        """Remove a file with its documents, or the note that it failed."""
        with self._writing:
            self.catalog.remove_file(path)

    def fail(self, path: str, state: FileState, reason: str, sha256: str = "") -> None:
        """Note why a file can't be indexed, and remove what was indexed of it."""
        with self._writing:
            self.catalog.put_files([(FileEntry(path, state, sha256, reason=reason), [])])

    def flush(self) -> None:
        """Bring the indexes in step with the catalogue, and drop what is left of removed text: words and vectors."""
        with self._writing:
            self.index.catch_up()
            if self.catalog.has_unused_vectors():
                self.index.erase_words()
            self.catalog.drop_unused_vectors()

    def _next_batch(self) -> int:
        """Return how many chunks are embedded next; what it raises ends the work, and what was embedded is kept."""
        return EMBED_BATCH

    def _embed_missing(self, chunks: Sequence[tuple[Chunk, str]]) -> None:
        by_key = {key: chunk for chunk, key in chunks}
        for key in self.catalog.stored_keys(by_key):
            del by_key[key]
        missing = list(by_key.items())
        while missing:
            size = self._next_batch()
            batch, missing = missing[:size], missing[size:]
            vectors = self.embedder.embed_chunks([chunk for _, chunk in batch])
            if not all(np.isfinite(item.vector).all() for item in vectors):
                raise DocumentError(f"the embedding model {self.embedder.name} gives no numbers for it: choose another model")
            self.catalog.put_vectors({key: item for (key, _), item in zip(batch, vectors, strict=True)})


def _entry(document: Document, state: FileState) -> FileEntry:
    return FileEntry(document.id, state, document.sha256)
