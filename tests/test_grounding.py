"""Citations are made in code from the real embedding model's vectors, whatever marks the model wrote."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.grounding import Citation, Grounding, ground
from assistant.settings import load_settings
from assistant.sync import Corpus
from tests.conftest import ROOT, settings_in


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Corpus]:
    folder = tmp_path_factory.mktemp("grounding")
    options = settings_in(folder, models, {})
    options = load_settings({"ASSISTANT_CORPUS": str(ROOT / "corpus"), "ASSISTANT_DATA": str(options.data)})
    corpus = Corpus(options)
    corpus.sync()
    yield corpus
    corpus.close()


def cite(starter: Corpus, question: str, text: str, final: bool = True) -> tuple[str, tuple[Citation, ...]]:
    hits = starter.search(question, 6)
    return ground(text, Grounding(hits, starter.passage_vectors(hits), starter.embedder), final)


FOUNDER = "Who founded DeepSeek?"


def test_a_supported_sentence_is_cited_though_the_model_wrote_no_mark(starter: Corpus) -> None:
    text, citations = cite(starter, FOUNDER, "DeepSeek was founded in 2023 in Hangzhou by Liang Wenfeng.")
    assert text == "DeepSeek was founded in 2023 in Hangzhou by Liang Wenfeng. [1]"
    assert "Liang Wenfeng" in citations[0].quote
    document = starter.catalog.document(citations[0].chunk.document_id)
    assert document is not None
    assert document.text[citations[0].start : citations[0].end] == citations[0].quote


@pytest.mark.parametrize("mark", ["[99]", "[1-3]", "【1】", "[^1]", " [2, 3]", "[1][2]", "[7†source]", " [1] [2]"])
def test_marks_of_the_model_are_replaced_by_verified_ones(starter: Corpus, mark: str) -> None:
    for written in (f"DeepSeek was founded by Liang Wenfeng{mark}.", f"DeepSeek was founded by Liang Wenfeng.{mark}"):
        text, citations = cite(starter, FOUNDER, written)
        assert text == "DeepSeek was founded by Liang Wenfeng. [1]"
        assert [citation.number for citation in citations] == [1]


@pytest.mark.parametrize(
    "claim",
    [
        "The weather in Oslo is mild in spring. [1]",
        "DeepSeek was founded in 1987 by Liang Wenfeng. [1]",
        "Nvidia lost $900 billion of market value. [2]",
        "Mark Zuckerberg called DeepSeek's rise a wake-up call for US tech. [1]",
        "Mark Zuckerberg made this remark about DeepSeek aboard Air Force One. [1]",
        "Bananas are rich in potassium [3].",
    ],
)
def test_what_no_passage_supports_is_not_cited(starter: Corpus, claim: str) -> None:
    text, citations = cite(starter, "Who called DeepSeek's rise a wake-up call, and what did Nvidia lose?", claim)
    assert "[" not in text
    assert citations == ()


def test_marks_are_numbered_by_first_use_and_repeat_for_the_same_passage(starter: Corpus) -> None:
    written = "Nvidia lost nearly $600 billion of market value. DeepSeek was founded by Liang Wenfeng. Nvidia lost £482 billion of market value."
    hits = starter.search(FOUNDER, 2) + starter.search("How much market value did Nvidia lose?", 2)
    text, citations = ground(written, Grounding(hits, starter.passage_vectors(hits), starter.embedder), True)
    assert text.count("[1]") == 2
    assert text.index("[1]") < text.index("[2]")
    assert {citation.number for citation in citations} == {1, 2}


def test_every_mark_has_a_citation_and_every_citation_a_mark(starter: Corpus) -> None:
    written = "- **DeepSeek** was founded in Hangzhou [4]\n- Sunshine is nice [5]\n\nThe Nikkei 225 lost 1.4%."
    text, citations = cite(starter, "Nikkei and DeepSeek's founder", written)
    assert text.startswith("- **DeepSeek** was founded in Hangzhou")
    marked = {int(part.split("]")[0]) for part in text.split("[")[1:]}
    assert marked == {citation.number for citation in citations}


def test_an_unfinished_sentence_has_no_mark_and_no_half_mark(starter: Corpus) -> None:
    for tail in ("", " [", " [1", "【", " [1, "):
        text, citations = cite(starter, FOUNDER, f"DeepSeek was founded by Liang Wenfeng{tail}", final=False)
        assert text == "DeepSeek was founded by Liang Wenfeng"
        assert citations == ()


def test_text_without_words_and_no_passages_at_all(starter: Corpus) -> None:
    assert cite(starter, FOUNDER, "...") == ("...", ())
    assert ground("Anything at all.", Grounding([], [], starter.embedder), True) == ("Anything at all.", ())
