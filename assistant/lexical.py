"""The lexical index: BM25 over stemmed words, in Tantivy."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from assistant.chunking import Chunk

_HEADING_WEIGHT = 0.5  # of a match in title or heading, against one in the text
VERSION = 2  # raise when the same text would give other terms or the fields change: the index is then made again
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


class LexicalIndex:
    """A Tantivy index of chunks in the folder `path`, made when it isn't there."""

    def __init__(self, path: Path) -> None:
        from tantivy import Index, SchemaBuilder

        schema = (
            SchemaBuilder()
            .add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
            .add_text_field("document", stored=True, tokenizer_name="raw", index_option="basic")
            .add_text_field("heading", tokenizer_name="terms", index_option="freq")
            .add_text_field("text", tokenizer_name="terms", index_option="position")
            .build()
        )
        path.mkdir(parents=True, exist_ok=True)
        self._schema = schema
        self._index = Index(schema, path=str(path))
        self._index.register_tokenizer("terms", _analyzer())

    def update(self, chunks: Iterable[Chunk], gone: Iterable[str]) -> None:
        """Add or replace chunks, remove those whose ids are `gone`, and make it durable."""
        from tantivy import Document

        writer = self._index.writer(num_threads=1)
        for id in gone:
            writer.delete_documents_by_term("id", id)
        for chunk in chunks:
            writer.delete_documents_by_term("id", chunk.id)
            text, heading = (_UNSPACED.sub(r" \1 ", part) for part in (chunk.text, chunk.prefix))
            writer.add_document(Document(id=chunk.id, document=chunk.document_id, heading=heading, text=text))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def count(self) -> int:
        """Return the number of chunks."""
        return int(self._index.searcher().num_docs)

    def search(self, query: str, limit: int, documents: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """Return (chunk id, BM25 score) of chunks that share a term with `query`, best first.

        Only chunks of `documents`, when they are given; their scores are those of a search among all.
        """
        from tantivy import Occur, Query

        wanted: Sequence[str] = list(dict.fromkeys(terms(query)))[:_MAX_QUERY_TERMS]
        if not wanted:
            return []
        clauses = []
        for term in wanted:
            clauses.append((Occur.Should, Query.term_query(self._schema, "text", term)))
            heading = Query.term_query(self._schema, "heading", term)
            clauses.append((Occur.Should, Query.boost_query(heading, _HEADING_WEIGHT)))
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
