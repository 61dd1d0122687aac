"""Documents with their chunks, vectors and index in one folder, whatever the documents came from."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from assistant import renewal
from assistant.catalog import Catalog, Cut, DocumentInfo, FileEntry, FileState, vector_key
from assistant.chunking import Chunk
from assistant.cross_encoder import RERANKED, Reranker
from assistant.documents import Document, clean_line
from assistant.embedding import Embedder, SentenceVectors
from assistant.errors import DocumentError, UserError
from assistant.filters import EVERYTHING, Filter
from assistant.index import Index
from assistant.mentions import Mentions
from assistant.passages import DEPTH, HITS, others, passages
from assistant.retrieval import Hit, Mode, leans, search

EMBED_BATCH = 64  # chunks embedded between two writes
_INDEX_BATCH = 500  # chunks written to the indexes at once


class Collection:
    """What can be searched. Documents that were put or removed are found, or not, after `flush`.

    `embedder` is the model whose vectors are searched: while another takes its place (`renew`), the one before.
    """

    def __init__(
        self,
        data: Path,
        embedder: Embedder,
        report: Callable[[str], None] = lambda line: None,
        reranker: Reranker | None = None,
        load: Callable[[str], Embedder | None] = lambda name: None,
    ) -> None:
        """Open or make the catalogue and index in `data`. `report` is called before anything slow.

        `reranker` orders the best passages of mode "full" again. `load` gives an embedding model by name, the one that was
        used before. Raises `UserError` when the catalogue can't be used.
        """
        self.embedder = embedder
        self.reranker = reranker
        self._wanted: Embedder | None = None  # the model that all documents have yet to be embedded with
        self._renewing = False
        self._closing = threading.Event()
        self._mender: threading.Thread | None = None
        self._problem = ""
        self._writing = threading.RLock()
        self.catalog = Catalog(data / "catalog.sqlite3")
        self._mentions = Mentions(self.catalog)
        self._latest: tuple[tuple[Filter, int], list[str] | None] | None = None  # filter, revision, what it allows
        self._note_makers(load, report)
        report("Opening the index…")
        self.index = Index(data, self.catalog, self.embedder)
        if self.index.incomplete:
            self._mender = threading.Thread(target=self._mend, name="mend-index", daemon=True)
            self._mender.start()

    def close(self) -> None:
        """Let go of the files."""
        self._closing.set()
        if self._mender is not None:
            self._mender.join()
        self.index.close()
        self.catalog.close()

    @property
    def notice(self) -> str:
        """What the reader should know about the state of search, in one line, or nothing."""
        if self.catalog.damage or self._problem:
            return self.catalog.damage or self._problem
        if self.catalog.hidden:
            return "The embedding model was changed: until all documents are embedded anew, they are searched by their words only."
        if self._wanted is not None:
            return "Documents are being cut and embedded anew: until all are, they are searched as before."
        if self.index.incomplete:
            return "The index is being made again: until it is, search is slower and does not look for single words."
        return ""

    @property
    def fingerprints(self) -> dict[str, int]:
        """The fingerprints of the models whose vectors are of use, and how long these are: the one in force, and the one that is to be."""
        return {embedder.fingerprint: embedder.dim for embedder in (self.embedder, self._wanted) if embedder is not None}

    def _mend(self) -> None:
        try:
            with self._writing:
                if self.index.incomplete:
                    self.index.rebuild(stop=self._closing)
        except Exception as error:  # whatever the libraries raise when they can't write
            self._problem = f"The index can't be made again ({clean_line(str(error))}): run 'assistant doctor'."

    def _note_makers(self, load: Callable[[str], Embedder | None], report: Callable[[str], None]) -> None:
        """Find out whether the stored chunks were made by this embedding model and in this way, and what to search with if not."""
        wanted, stored = renewal.made_with(self.embedder), renewal.stored_makers(self.catalog)
        if stored == wanted or self.catalog.count() == 0:
            renewal.prepare(self.catalog, {})
            if stored != wanted or not self.catalog.setting("model"):
                self.catalog.set_settings(
                    {**wanted, "model": self.embedder.name, **({} if stored == wanted else {"generation": ""})}
                )
            return
        self._wanted = self.embedder
        if stored["fingerprint"] == wanted["fingerprint"]:
            report("The way texts are cut changed: all documents are cut anew.")
            return
        before = load(self.catalog.setting("model"))
        if before is not None and before.fingerprint == stored["fingerprint"]:
            self.embedder = before
        else:
            self.catalog.hidden = self.embedder.dim
        report("The embedding model changed: all documents are embedded anew, which can be interrupted and goes on where it was.")

    def renew(
        self, progress: Callable[[int, int, str], None] = lambda done, total, id: None, stop: threading.Event | None = None
    ) -> bool:
        """Cut and embed all documents anew when the embedding model or the chunking is another than before.

        Searches go on meanwhile (`notice` says how). `progress` is called with the documents done, all, and the newest one's id;
        it may put files unless `catalog.hidden` is set.
        False when `stop` was set before the end; the next time goes on there. Raises `UserError`, and the old model stays in force,
        when the new one gives no numbers.
        """
        wanted = self._wanted
        if wanted is None:
            return True
        self._renewing = True
        try:
            return self._renew(wanted, progress, stop)
        finally:
            self._renewing = False

    def _renew(self, wanted: Embedder, progress: Callable[[int, int, str], None], stop: threading.Event | None) -> bool:
        makers = renewal.made_with(wanted)
        renewal.prepare(self.catalog, makers)
        while True:
            try:
                embed = partial(self._embed_missing, embedder=wanted)
                for done, total, id in renewal.stage(self.catalog, wanted, embed, self._writing):
                    progress(done, total, id)
                    if self._closing.is_set() or (stop is not None and stop.is_set()):
                        return False
            except DocumentError as error:
                raise UserError(f"The documents can't be embedded anew, the old index stays: {error}.") from None
            with self._writing:
                moment = self._changing_models(wanted)
                if renewal.put_in_force(self.catalog, {**makers, "model": wanted.name}, moment):
                    self.index.rebuild()
                    self.catalog.drop_unused_vectors()
                    return True

    @contextmanager
    def _changing_models(self, wanted: Embedder) -> Iterator[None]:
        with self.index.replacing(wanted.dim):
            yield
            self.embedder, self._wanted, self.catalog.hidden = wanted, None, 0

    def reindex(
        self,
        progress: Callable[[int, int], None] = lambda done, total: None,
        embed: bool = False,
        stop: threading.Event | None = None,
    ) -> bool:
        """Make both indexes again from the catalogue, with `embed` after embedding all chunks again; searches go on meanwhile.

        `progress` is called with the chunks done and all. False when `stop` was set before the end: the old indexes stay.
        """
        if embed and not self._embed_again(progress, stop):
            return False
        with self._writing:
            return self.index.rebuild(progress, stop)

    def _embed_again(self, progress: Callable[[int, int], None], stop: threading.Event | None) -> bool:
        ids = self.catalog.chunk_ids()
        for first in range(0, len(ids), EMBED_BATCH):
            if self._closing.is_set() or (stop is not None and stop.is_set()):
                return False
            self.embed_again(self.catalog.chunks(ids[first : first + EMBED_BATCH]))
            progress(min(first + EMBED_BATCH, len(ids)), len(ids))
        return True

    def embed_again(self, chunks: Sequence[Chunk]) -> None:
        """Embed chunks that are embedded already; the indexes hear of it when they catch up."""
        with self._writing:
            self._embed([(chunk, vector_key(chunk, self.embedder.fingerprint)) for chunk in chunks], self.embedder)
            self.catalog.mark_behind([chunk.id for chunk in chunks])

    def search(
        self, query: str, limit: int, mode: Mode = "full", filter: Filter = EVERYTHING, earlier: Sequence[str] = ()
    ) -> list[Hit]:
        """Return the `limit` best chunks for `query`, best first, of the documents that `filter` allows.

        Documents that the query names are favoured. `earlier` holds the questions asked before it, oldest first.
        Raises `UserError` when the reranker can't be used.
        """
        with self.index.gate.shared():  # one model from the question to the hits
            return self._search(query, limit, mode, filter, earlier)

    def _search(self, query: str, limit: int, mode: Mode, filter: Filter, earlier: Sequence[str]) -> list[Hit]:
        documents = self._allowed(filter)
        favoured = self.named(query, filter)
        if self.catalog.hidden:
            mode = "lexical"
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
        if self.catalog.hidden:
            embedded = [self.embedder.embed_chunks(hit.parts) for hit in hits]
            return [np.concatenate([part.sentences for part in parts]) for parts in embedded]
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
        """Return what is indexed, by name, then what failed."""
        return self.catalog.documents()

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
        if not self._renewing:  # else it is put as those before, and then renewed like them
            self.renew()
        cut = [[self._cut(document) for document in documents] for _, documents in files]
        with self._writing:
            pairs = [pair for parts in cut for part in parts for pair in zip(part.chunks, part.keys, strict=True)]
            self._embed_missing(pairs, self.embedder)
            self.catalog.put_files([(entry, parts) for (entry, _), parts in zip(files, cut, strict=True)])
            if self.catalog.count_behind() >= _INDEX_BATCH:
                self.index.catch_up()
        return [[list(part.chunks) for part in parts] for parts in cut]

    def _cut(self, document: Document) -> Cut:
        cut = renewal.cut(document, self.embedder)
        if not cut.chunks:
            raise DocumentError("no text was found in it")
        return cut

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

    def _embed_missing(self, chunks: Sequence[tuple[Chunk, str]], embedder: Embedder) -> None:
        by_key = {key: chunk for chunk, key in chunks}
        for key in self.catalog.stored_keys(by_key):
            del by_key[key]
        missing = [(chunk, key) for key, chunk in by_key.items()]
        done = 0
        while done < len(missing):
            size = self._next_batch()
            self._embed(missing[done : done + size], embedder)
            done += size

    def _embed(self, batch: Sequence[tuple[Chunk, str]], embedder: Embedder) -> None:
        vectors = embedder.embed_chunks([chunk for chunk, _ in batch])
        if not all(np.isfinite(item.vector).all() for item in vectors):
            raise DocumentError(f"the embedding model {embedder.name} gives no numbers for it: choose another model")
        self.catalog.put_vectors({key: item for (_, key), item in zip(batch, vectors, strict=True)})


def _entry(document: Document, state: FileState) -> FileEntry:
    return FileEntry(document.id, state, document.sha256)
