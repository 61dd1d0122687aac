"""Search over the real indexes: odd queries, other languages, limits."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import settings_in

TEXTS = {
    "chips.md": "# Chips\n\nAdvanced chips train large models. Export rules limit their sale.",
    "zh.md": "# 公司\n\n这家公司在杭州成立。创始人学习电子工程。",
    "ar.md": "# شركة\n\nتأسست الشركة في مدينة هانغتشو.",
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Corpus]:
    options = settings_in(tmp_path_factory.mktemp("search"), models, {})
    for name, text in TEXTS.items():
        (options.corpus / name).write_text(text, encoding="utf-8")
    corpus = Corpus(options)
    corpus.sync()
    yield corpus
    corpus.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Which rules limit the sale of chips?", "chips.md"),
        ("杭州", "zh.md"),
        ("أين تأسست الشركة؟", "ar.md"),
        ("创始人是谁？", "zh.md"),
    ],
)
def test_the_right_document_is_found_in_its_language(corpus: Corpus, query: str, expected: str) -> None:
    assert corpus.search(query, 3)[0].chunk.document_id == expected


@pytest.mark.parametrize(
    "query", ['"unclosed', "a:b AND (c", "*", "chips^5 ~ [x TO y]", "<b>chips</b>", "chips\x00", "😀", "x" * 4000, "chips " * 600]
)
def test_no_query_fails(corpus: Corpus, query: str) -> None:
    hits = corpus.search(query, 5)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_blank_queries_and_limits_beyond_the_corpus(corpus: Corpus) -> None:
    assert corpus.search("  ", 5) == []
    assert corpus.search("chips", 0) == []
    assert len(corpus.search("chips", 1000)) == 3


def test_an_empty_corpus_finds_nothing(settings: Callable[..., Settings]) -> None:
    corpus = Corpus(settings())
    assert corpus.sync().done == 0
    assert corpus.search("anything", 5) == []
    corpus.close()
