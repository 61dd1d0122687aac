import pytest

from assistant.lexical import terms
from assistant.retrieval import with_context


@pytest.mark.parametrize(
    ("question", "earlier", "expected"),
    [
        ("Who founded DeepSeek?", [], "Who founded DeepSeek?"),
        ("and who founded it?", ["What is DeepSeek?"], "What is DeepSeek? and who founded it?"),
        ("When?", ["Who founded DeepSeek?"], "Who founded DeepSeek? When?"),
        ("How many chips does Tokyo Electron make?", ["Who founded DeepSeek?"], "How many chips does Tokyo Electron make?"),
        ("and its price?", ["What is DeepSeek?", "What does R1 cost to train?"], "What does R1 cost to train? and its price?"),
        ("why?", ["What is DeepSeek?", "and who founded it?"], "What is DeepSeek? and who founded it? why?"),
    ],
)
def test_a_question_that_leans_on_the_conversation_is_searched_with_it(question: str, earlier: list[str], expected: str) -> None:
    assert with_context(question, earlier) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The founders were founding companies", ["founder", "found", "compani"]),
        ("Café, naïve!", ["cafe", "naiv"]),
        ("杭州 DeepSeek", ["杭", "州", "deepseek"]),
        ("the of and", []),
        ('"*:(]^~', []),
    ],
)
def test_terms_are_stemmed_folded_and_without_stop_words(text: str, expected: list[str]) -> None:
    assert terms(text) == expected
