"""The lexical index: BM25 over stemmed words, in Tantivy."""

import re
import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.chunking import Chunk

ChunkTerms = NDArray[np.uint32]

VERSION = 3  # raise when the same text would give other terms or the fields change: the index is then made again
# Beside Tantivy's 33 English stop words: question words, auxiliaries and pronouns, which fill a question
# asked of an assistant and say nothing about its topic.
_STOP_WORDS = [
    "about",
    "am",
    "been",
    "being",
    "can",
    "could",
    "did",
    "do",
    "does",
    "doing",
    "done",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "hers",
    "him",
    "his",
    "how",
    "i",
    "its",
    "may",
    "me",
    "might",
    "must",
    "my",
    "our",
    "ours",
    "shall",
    "she",
    "should",
    "so",
    "than",
    "them",
    "us",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "whom",
    "whose",
    "why",
    "would",
    "you",
    "your",
    "yours",
]
_MANY_DOCUMENTS = 10_000  # from here on a filter is slower than leaving out what it doesn't allow afterwards
_MAX_QUERY_TERMS = 64  # a pasted page would otherwise make a query of thousands of terms
# Scripts written without spaces: every character becomes a word of its own.
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f\U00020000-\U0002fa1f])")


@cache
def _analyzer() -> Any:
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    builder = TextAnalyzerBuilder(Tokenizer.simple())
    for step in (
        Filter.remove_long(60),
        Filter.lowercase(),
        Filter.ascii_fold(),
        Filter.stopword("english"),
        Filter.custom_stopword(_STOP_WORDS),
    ):
        builder = builder.filter(step)
    return builder.filter(Filter.stemmer("english")).build()


def terms(text: str) -> list[str]:
    """Return the index terms of `text` in order: lower case, without accents and English stop words, stemmed."""
    return [str(term) for term in _analyzer().analyze(_UNSPACED.sub(r" \1 ", text))]


def query_terms(query: str) -> list[str]:
    """Return the different terms of `query` in order, 64 at most."""
    return list(dict.fromkeys(terms(query)))[:_MAX_QUERY_TERMS]


def hashed(words: Sequence[str]) -> NDArray[np.uint32]:
    """Return 32 bits (CRC-32) for each term: that one of 100 candidates seems to hold a term it lacks happens once in 20,000 questions."""
    return np.array([zlib.crc32(word.encode()) for word in words], "<u4")


def chunk_terms(chunk: Chunk) -> ChunkTerms:
    """Return the terms of a chunk as they are stored: counts, then hashes, in groups.

    The first group holds title, heading and what else stands outside of its sentences, each other one a sentence.
    """
    sentences = [terms(chunk.text[start:end]) for start, end in chunk.sentences]
    outside, last = [chunk.prefix], 0
    for start, end in chunk.sentences:
        outside.append(chunk.text[last:start])
        last = end
    groups = [terms("\n".join([*outside, chunk.text[last:]])), *sentences]
    counts = np.array([len(group) for group in groups], "<u4")
    return np.concatenate([counts, hashed([term for group in groups for term in group])])


def _document(chunk: Chunk) -> Any:
    from tantivy import Document

    # Title and heading in one field with the text: nDCG@10 is 0.013 higher on scifact than with fields of their own.
    text = _UNSPACED.sub(r" \1 ", chunk.prefix + chunk.text)
    return Document(id=chunk.id, document=chunk.document_id, text=text)


class LexicalIndex:
    """A Tantivy index of chunks in the folder `path`, made when it isn't there; with `make=False` that is an error."""

    def __init__(self, path: Path, make: bool = True) -> None:
        from tantivy import Index, SchemaBuilder

        schema = (
            SchemaBuilder()
            .add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
            .add_text_field("document", stored=True, tokenizer_name="raw", index_option="basic")
            .add_text_field("text", tokenizer_name="terms", index_option="freq")
            .build()
        )
        if not make and not Index.exists(str(path)):
            raise FileNotFoundError(path / "meta.json")
        path.mkdir(parents=True, exist_ok=True)
        self._schema = schema
        self._index = Index(schema, path=str(path))
        self._index.register_tokenizer("terms", _analyzer())

    def update(self, chunks: Iterable[Chunk], gone: Iterable[str]) -> None:
        """Add or replace chunks, remove those whose ids are `gone`, and make it durable."""
        writer = self._index.writer(num_threads=1)
        for id in gone:
            writer.delete_documents_by_term("id", id)
        for chunk in chunks:
            writer.delete_documents_by_term("id", chunk.id)
            writer.add_document(_document(chunk))
        self._commit(writer)

    def rewrite(self, chunks: Iterable[Chunk]) -> None:
        """Hold `chunks` and nothing else; the words of what was removed before leave the files, too."""
        writer = self._index.writer(num_threads=1)
        writer.delete_all_documents()
        for chunk in chunks:
            writer.add_document(_document(chunk))
        self._commit(writer)

    def _commit(self, writer: Any) -> None:
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def count(self) -> int:
        """Return the number of chunks."""
        return int(self._index.searcher().num_docs)

    def missing(self, ids: Sequence[str]) -> int:
        """Return how many of `ids` are not in the index."""
        from tantivy import Query

        searcher = self._index.searcher()
        found = searcher.search(Query.all_query(), max(1, int(searcher.num_docs))).hits
        return len({*ids} - {str(searcher.doc(address)["id"][0]) for _, address in found})

    def idf(self, wanted: Sequence[str]) -> NDArray[np.float32]:
        """Return the inverse document frequency of each term, as BM25 weighs it: over 0, most for terms that no chunk has."""
        searcher = self._index.searcher()
        frequencies = np.array([searcher.doc_freq("text", term) for term in wanted], np.float32)
        return np.asarray(np.log1p((searcher.num_docs - frequencies + 0.5).clip(0.5) / (frequencies + 0.5)), np.float32)

    def lacking(self, wanted: Sequence[str], documents: Sequence[str] | None = None) -> list[str]:
        """Return those of the terms `wanted` that no chunk has; only chunks of `documents` count, when they are given."""
        from tantivy import Query

        # The document frequencies of `idf` also count what was removed lately.
        return [term for term in wanted if not self._found(Query.term_query(self._schema, "text", term), 1, documents)]

    def search(self, query: str, limit: int, documents: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """Return (chunk id, BM25 score) of chunks that share a term with `query`, best first.

        Only chunks of `documents`, when they are given; their scores are those of a search among all.
        """
        from tantivy import Occur, Query

        wanted = query_terms(query)
        if not wanted:
            return []
        clauses = [(Occur.Should, Query.term_query(self._schema, "text", term)) for term in wanted]
        return self._found(Query.boolean_query(clauses), limit, documents)

    def _found(self, query: Any, limit: int, documents: Sequence[str] | None) -> list[tuple[str, float]]:
        from tantivy import Occur, Query

        searcher = self._index.searcher()
        if documents is not None and len(documents) > _MANY_DOCUMENTS:
            allowed = set(documents)
            for depth in (4 * limit, 40 * limit):
                found = searcher.search(query, depth).hits
                stored = [(searcher.doc(address), float(score)) for score, address in found]
                kept = [(str(fields["id"][0]), score) for fields, score in stored if fields["document"][0] in allowed]
                if len(kept) >= limit or len(found) < depth:
                    return kept[:limit]
        if documents is not None:
            only = Query.const_score_query(Query.term_set_query(self._schema, "document", list(documents)), 0.0)
            query = Query.boolean_query([(Occur.Must, query), (Occur.Must, only)])
        return [(str(searcher.doc(address)["id"][0]), float(score)) for score, address in searcher.search(query, limit).hits]
