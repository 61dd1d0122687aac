"""What must hold after a crash: nothing acknowledged is lost, nothing removed is found, nothing is there twice."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from tantivy import Query

from assistant.chunking import chunk_document
from assistant.retrieval import Mode
from assistant.sync import Corpus

_WORD = re.compile(r"\bzorva\d{3}")


def canary(word: str) -> str:
    """Return the sentence by which the text that holds `word` must be found; its words stand in no other text."""
    return f"The {word} keeps its {word}key below the {word}stone."


def word_in(text: str) -> str:
    """Return the word of a text's canary."""
    found = _WORD.search(text)
    return found.group() if found else ""


@dataclass
class Told:
    """What was acknowledged: the word of each file that is there by its path, and the words that are gone."""

    there: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def hear(self, line: str) -> None:
        """Take in one acknowledgement: `there PATH WORD`, `away PATH WORD` (another file may hold the word) or `gone PATH WORD`."""
        kind, path, word = line.split("\t")
        if kind == "there":
            self.there[path] = word
            self.gone.discard(word)
        else:
            if self.there.get(path) == word:
                del self.there[path]
            if kind == "gone":
                self.gone.add(word)


def words_of(folder: Path) -> dict[str, str]:
    """Return the word of each file in the corpus folder by its path."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): word_in(path.read_text(encoding="utf-8")) for path in sorted(files)}


def faults(corpus: Corpus, told: Told) -> list[str]:
    """Return what is wrong, one line each; the first word is its kind: lost, ghost, doubled or broken."""
    return [*_lost(corpus, told.there), *_ghosts(corpus, told.gone), *_doubled(corpus), *_broken(corpus)]


def differences(corpus: Corpus) -> list[str]:
    """Return in what the collection after a sync differs from the corpus folder, in lines as `faults` has them."""
    folder = words_of(corpus.settings.corpus)
    names = Counter(name for info in corpus.documents() if not info.reason for name in (info.id, *info.copies))
    found = [f"lost {name} after the sync" for name in folder.keys() - names.keys()]
    found += [f"ghost {name} after the sync" for name in names.keys() - folder.keys()]
    found += [f"doubled {name} after the sync" for name, count in names.items() if count > 1]
    found += [f"broken {info.id}: {info.reason}" for info in corpus.documents() if info.reason]
    if len(set(folder.values())) != len({info.id for info in corpus.documents()}):
        found.append("doubled: a content has not exactly one document")
    if corpus.catalog.count_behind():
        found.append("broken: the indexes are behind after the sync")
    generations = [path.name for path in (corpus.settings.data / "index").iterdir()]
    if len(generations) != 1:
        found.append(f"broken: generations {generations} after the sync")
    hidden = [path.name for path in corpus.settings.corpus.rglob(".*")]
    return found + [f"broken: {name} was left in the corpus folder" for name in hidden]


def _lost(corpus: Corpus, there: Mapping[str, str]) -> Iterator[str]:
    for path, word in there.items():
        for mode in get_args(Mode):
            hits = corpus.search(canary(word), 5, mode)
            names = {
                name
                for hit in hits
                if canary(word) in hit.chunk.text
                for name in (hit.chunk.document_id, *corpus.catalog.copies(hit.chunk.document_id))
            }
            if path not in names:
                yield f"lost {path} ({word}) in {mode} search"


def _ghosts(corpus: Corpus, gone: set[str]) -> Iterator[str]:
    with closing(sqlite3.connect(corpus.catalog.path)) as db:
        texts = "\n".join(str(row[0]) for row in db.execute("SELECT text || title || headings FROM documents"))
    for word in gone:
        if word in texts:
            yield f"ghost {word} in the catalogue"
        for mode in get_args(Mode):
            if any(word in hit.chunk.text for hit in corpus.search(canary(word), 5, mode)):
                yield f"ghost {word} in {mode} search"


def _doubled(corpus: Corpus) -> Iterator[str]:
    index, ids = corpus.index, corpus.catalog.chunk_ids()
    assert index._dense is not None and index._lexical is not None
    dense = index._dense._collection.get(include=[])["ids"]
    many = 2 * len(ids) + 10
    lexical = [id for id, _ in index._lexical._found(Query.all_query(), many, None)]
    for name, found in (("dense", dense), ("lexical", lexical)):
        if len(found) != len(set(found)):
            yield f"doubled chunk in the {name} index"
        if set(found) - set(ids):
            yield f"ghost chunk in the {name} index"
        if set(ids) - set(found):
            yield f"lost chunk of the {name} index"
    chunks = corpus.catalog.chunks(ids)
    places = Counter((chunk.document_id, chunk.start, chunk.end) for chunk in chunks)
    if any(count > 1 for count in places.values()):
        yield "doubled chunk in the catalogue"
    for info in corpus.documents():
        document = corpus.catalog.document(info.id)
        if document is None:
            continue
        whole = chunk_document(document, corpus.embedder.tokenizer, corpus.embedder.max_tokens)
        if sorted((chunk.start, chunk.end) for chunk in whole) != sorted(place[1:] for place in places if place[0] == info.id):
            yield f"broken {info.id}: not all of its chunks are there"


def _broken(corpus: Corpus) -> Iterator[str]:
    with closing(sqlite3.connect(corpus.catalog.path)) as db:
        if (found := db.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            yield f"broken catalogue: {found}"
        if found := db.execute("PRAGMA foreign_key_check").fetchall():
            yield f"broken catalogue: {found}"
    ids = corpus.catalog.chunk_ids()
    if len(corpus.catalog.vectors(ids)) != len(ids):
        yield "broken: a chunk has no vector"
    if not corpus.index.check():
        yield "broken: the index fails its own check"
