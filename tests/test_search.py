"""Search over the real indexes: odd queries, other languages, limits."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import settings_in, write_documents

TEXTS = {
    "chips.md": "# Chips\n\nAdvanced chips train large models. Export rules limit their sale.",
    "zh.md": "# 公司\n\n这家公司在杭州成立。创始人学习电子工程。",
    "ar.md": "# شركة\n\nتأسست الشركة في مدينة هانغتشو.",
}

# Documents with a sentence each that answers the same short question.
TOPICS = {
    "berlin.md": "# Berlin Wall\n\nThe Berlin Wall was built in 1961. It was made of concrete. Its length was 155 kilometres.",
    "china.md": "# Great Wall of China\n\nThe Great Wall was built over centuries. It was made of stone and brick. Its length is 21,196 km.",
    "hadrian.md": "# Hadrian's Wall\n\nHadrian's Wall was begun in 122. It was made of turf and stone. Its length was 117 kilometres.",
    "tea.md": "# Tea\n\nTea is grown on hills in Assam. The leaves are picked by hand. Exports reached 200 million kilograms.",
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


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Corpus]:
    options = settings_in(tmp_path_factory.mktemp("topics"), models, {})
    write_documents(options.corpus, TOPICS)
    corpus = Corpus(options)
    corpus.sync()
    yield corpus
    corpus.close()


@pytest.mark.parametrize("topic", ["berlin.md", "china.md", "hadrian.md"])
@pytest.mark.parametrize("question", ["How long was it?", "and the material?", "When?"])
def test_a_question_that_says_little_is_searched_on_the_topic_of_those_before(topics: Corpus, topic: str, question: str) -> None:
    opening = {
        "berlin.md": "Tell me about the Berlin Wall",
        "china.md": "What is the Great Wall of China?",
        "hadrian.md": "Who was Hadrian?",
    }
    assert topics.search(question, 1, earlier=[opening[topic]])[0].chunk.document_id == topic


@pytest.mark.parametrize("question", ["Where is tea grown?", "tea exports", "How are the leaves of tea picked?"])
def test_an_earlier_topic_never_overrides_a_new_one(topics: Corpus, question: str) -> None:
    earlier = ["What is the Great Wall of China?", "How long is the Great Wall?", "What is the Great Wall made of?"]
    assert topics.search(question, 1, earlier=earlier)[0].chunk.document_id == "tea.md"


def test_a_conversation_changes_nothing_but_the_order(topics: Corpus) -> None:
    hits = topics.search("Where is tea grown?", 10, earlier=["What is the Great Wall of China?"])
    assert {hit.chunk.document_id for hit in hits} == set(TOPICS)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert 0 <= hits[-1].score <= hits[0].score <= 1
    assert topics.search("Where is tea grown?", 10, earlier=["", "  "]) == topics.search("Where is tea grown?", 10)
