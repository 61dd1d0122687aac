import pytest

from assistant.lexical import terms


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
