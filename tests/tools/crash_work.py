"""What is interrupted: a corpus folder that changed, and a process that indexes it, adds, removes and makes the index anew."""

import os
import random
import shutil
import signal
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import chromadb.api.client
import chromadb.api.models.Collection
import numpy as np

import assistant.catalog
import assistant.collection
import assistant.schema
import assistant.sync
from assistant.bundled_embedding import model_folder
from assistant.chunking import MAX_TOKENS, Chunk
from assistant.embedding import Embedded, Embedder, Vectors, quantise, unbounded, unit
from assistant.late_interaction import NO_TOKENS
from assistant.lexical import LexicalIndex, terms
from assistant.receipts import Report
from assistant.settings import Settings, load_settings
from assistant.sync import Corpus
from tests.tools.crash_check import canary, word_in, words_of

Tell = Callable[[str], None]


class WordEmbedder(Embedder):
    """Texts as the sums of random vectors of their words: fast, and near is what shares words."""

    name = "words"
    max_tokens = MAX_TOKENS

    def __init__(self) -> None:
        self.tokenizer = unbounded((model_folder() / "tokenizer.json").read_text(encoding="utf-8"))
        super().__init__("words")

    def embed(self, texts: Sequence[str]) -> Vectors:
        return unit(np.stack([sum((_direction(term) for term in set(terms(text))), _direction("")) for text in texts]))

    def embed_chunks(self, chunks: Sequence[Chunk]) -> list[Embedded]:
        return [
            Embedded(
                self.embed([chunk.prefix + chunk.text])[0],
                quantise(self.embed([chunk.text[start:end] for start, end in chunk.sentences])),
                NO_TOKENS,
            )
            for chunk in chunks
        ]


@cache
def _direction(term: str) -> Vectors:
    return np.random.default_rng(zlib.crc32(term.encode())).normal(size=384).astype(np.float32)


def settings_of(place: Path) -> Settings:
    """Return the settings for the folders under `place`."""
    return load_settings({"ASSISTANT_CORPUS": str(place / "corpus"), "ASSISTANT_DATA": str(place / "data")})


# The folder

_LARGE = 50  # paragraphs, about as many chunks


def text_of(number: int, version: int, paragraphs: int) -> str:
    """Return a text of its own, with its canary in the middle."""
    words = random.Random(number)
    filler = [" ".join(f"word{words.randrange(3000)}" for _ in range(60)).capitalize() + "." for _ in range(paragraphs)]
    filler.insert(paragraphs // 2, canary(f"zorva{version}{number:02}"))
    return f"# Note {number}\n\n" + "\n\n".join(filler) + "\n"


def _put(folder: Path, name: str, number: int, version: int = 0, paragraphs: int = 2) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text_of(number, version, paragraphs), encoding="utf-8")


def make_corpus(place: Path, large: int = 0) -> None:
    """Write the files that are indexed before anything is interrupted, `large` of about 50 chunks, and those to be added later."""
    for number in range(large):
        _put(place / "corpus", f"large/{number}.md", 50 + number, paragraphs=_LARGE)
    for number in range(14):
        _put(place / "corpus", f"{number:02}.md", number, paragraphs=1 + number % 4)
    _put(place / "corpus", "twin.md", 10, paragraphs=3)
    for number in (40, 41):
        _put(place / "new", f"{number}.txt", number)
    _put(place / "new", "same.md", 9, paragraphs=2)


def change_corpus(place: Path, large: int = 0) -> None:
    """Change the folder in every way: delete, change, move, swap, copy, delete the first of two copies, put new files."""
    folder = place / "corpus"
    for number in range(large // 3):
        _put(folder, f"large/{number}.md", 50 + number, version=1, paragraphs=_LARGE)
        _put(folder, f"large/new {number}.md", 50 + number, version=2, paragraphs=_LARGE)
    for number in (0, 1, 10):
        (folder / f"{number:02}.md").unlink()
    for number in (2, 3):
        _put(folder, f"{number:02}.md", number, version=1, paragraphs=2 + number % 4)
    (folder / "moved").mkdir()
    (folder / "04.md").rename(folder / "moved" / "04.md")
    (folder / "05.md").rename(folder / "swap")
    (folder / "06.md").rename(folder / "05.md")
    (folder / "swap").rename(folder / "06.md")
    shutil.copyfile(folder / "07.md", folder / "moved" / "copy.md")
    for number in range(20, 24):
        _put(folder, f"more/{number}.md", number, paragraphs=2 if number > 20 else 12)
    shutil.copyfile(folder / "more" / "21.md", folder / "again.md")


# The work


def work(place: Path, embedder: Embedder, tell: Tell) -> None:
    """Do everything once; `tell` is called with each acknowledgement when the user would see it."""
    before = words_of(place / "before")
    use(embedder)
    with closing(Corpus(settings_of(place))) as corpus:
        sync(corpus, before, tell)
        for path in (place / "new" / "40.txt", place / "new"):
            for result in corpus.add([path]):
                if result.ok:
                    _there(corpus, result.id, tell)
        for id in ("11.md", "40.txt", "07.md"):
            _remove(corpus, id, tell)
        corpus.index.rebuild()
        for id in ("new/41.txt", "more/20.md"):
            _remove(corpus, id, tell)
        sync(corpus, before, tell)


def sync(corpus: Corpus, before: dict[str, str], tell: Tell) -> None:
    """Sync, and tell of each file once its group is done."""
    folder = words_of(corpus.settings.corpus)
    told = 0

    def progress(report: Report) -> None:
        nonlocal told
        for path, word in before.items():
            if path not in folder and word not in folder.values():
                tell(f"gone\t{path}\t{word}")
        for result in report.results[told:]:
            if result.ok:
                _there(corpus, result.id, tell)
                if (old := before.get(result.id)) and old not in folder.values():
                    tell(f"gone\t{result.id}\t{old}")
        told = len(report.results)

    report = corpus.sync(progress)
    if report.problem or report.failed:
        tell(f"problem\t{report.problem}\t{report.failed}")


def _there(corpus: Corpus, id: str, tell: Tell) -> None:
    tell(f"there\t{id}\t{word_in((corpus.settings.corpus / id).read_text(encoding='utf-8'))}")


def _remove(corpus: Corpus, id: str, tell: Tell) -> None:
    if id in corpus.catalog.files():
        word = words_of(corpus.settings.corpus).get(id, "")
        tell(f"away\t{id}\t{word}")  # from now on it may be there or not
        corpus.remove(id)
        if word and word not in words_of(corpus.settings.corpus).values():
            tell(f"gone\t{id}\t{word}")


def use(embedder: Embedder) -> None:
    """Have this process embed with `embedder`, in small groups."""
    changed: Any = assistant.sync
    changed.load_embedder = lambda settings, report: embedder
    changed._TOGETHER = 1500
    collection: Any = assistant.collection
    collection._INDEX_BATCH = 12


# Commit points


class Points:
    """Counts the moments at which something becomes lasting, before and after each; ends this process at number `at`."""

    def __init__(self, at: int = 0) -> None:
        self.count = 0
        self.names: list[str] = []
        self._at = at

    def passes(self, name: str) -> None:
        """Count one moment."""
        self.count += 1
        self.names.append(name)
        if self.count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` with a moment before and one after it."""

        def counted(*arguments: Any, **named: Any) -> Any:
            self.passes(f"before {name}")
            result = function(*arguments, **named)
            self.passes(f"after {name}")
            return result

        return counted

    def install(self) -> None:
        """Count in this process from now on."""
        points = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                if sql == "COMMIT" or "wal_checkpoint" in sql:
                    return points.around(f"SQLite {sql.split()[-1]}", super().execute)(sql, *arguments)  # type: ignore[no-any-return]
                return super().execute(sql, *arguments)

        def connect(path: Path) -> sqlite3.Connection:
            return sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5, factory=Connection)

        modules: list[Any] = [assistant.schema, assistant.catalog]
        for module in modules:
            module.connect = connect
        chroma: Any = chromadb.api.models.Collection.Collection
        chroma.upsert = self.around("Chroma upsert", chroma.upsert)
        chroma.delete = self.around("Chroma delete", chroma.delete)
        for owner, name in ((os, "replace"), (shutil, "rmtree"), (shutil, "copyfile"), (Path, "unlink")):
            setattr(owner, name, self.around(name, getattr(owner, name)))
        lexical: Any = LexicalIndex
        opened = lexical.__init__

        def open_lexical(index: Any, path: Path) -> None:
            opened(index, path)
            index._index = _Passing(index._index, self)

        lexical.__init__ = open_lexical


class _Passing:
    """A Tantivy index whose writers' commits are counted."""

    def __init__(self, inner: Any, points: Points) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "writer":
            return lambda **options: _Passing(found(**options), self._points)
        return self._points.around("Tantivy commit", found) if name == "commit" else found


def persist_often(every: int) -> None:
    """Have Chroma write its vectors to their files after each `every` changes."""
    client: Any = chromadb.api.client.Client
    make = client.get_or_create_collection

    def often(self: Any, name: str, *, configuration: dict[str, Any], **others: Any) -> Any:
        hnsw = {**configuration["hnsw"], "sync_threshold": every, "batch_size": min(every, 100)}
        return make(self, name, configuration={"hnsw": hnsw}, **others)

    client.get_or_create_collection = often
