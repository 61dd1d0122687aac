import random

import pytest
from tokenizers import Tokenizer

from assistant.bundled_embedding import model_folder
from assistant.chunking import MAX_TOKENS, chunk_document
from assistant.documents import Document
from assistant.embedding import unbounded
from assistant.loaders.markdown import markdown_headings


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return unbounded((model_folder() / "tokenizer.json").read_text(encoding="utf-8"))


def document(text: str, title: str = "A title", pages: tuple[int, ...] = ()) -> Document:
    return Document("a.md", title, text, markdown_headings(text), pages, "0" * 64)


def random_text(seed: int) -> str:
    signs = random.Random(seed)
    words = [
        "market",
        "x",
        "Überlänge",
        "数据",
        "مرحبا",
        "e.g.",
        "3.14",
        "supercalifragilisticexpialidocious" * 3,
        "\n\n",
        "\n## Part\n",
        ".",
        "!",
    ]
    return " ".join(signs.choice(words) for _ in range(signs.randrange(1, 900)))


@pytest.mark.parametrize("seed", range(12))
def test_spans_are_exact_and_hold_all_text_within_the_limit(tokenizer: Tokenizer, seed: int) -> None:
    text = random_text(seed)
    chunks = chunk_document(document(text), tokenizer)
    end = 0
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert not text[end : chunk.start].strip()
        end = chunk.end
        assert len(tokenizer.encode(chunk.prefix + chunk.text).ids) <= MAX_TOKENS
        for first, last in chunk.sentences:
            assert 0 <= first < last <= len(chunk.text)
    assert not text[end:].strip()


def test_a_word_of_megabytes_is_cut_and_does_not_hang(tokenizer: Tokenizer) -> None:
    text = "a" * 300_000
    chunks = chunk_document(document(text), tokenizer)
    assert "".join(chunk.text for chunk in chunks) == text
    assert max(len(chunk.text) for chunk in chunks) < 25_000


def test_sections_start_chunks_and_headings_are_not_sentences(tokenizer: Tokenizer) -> None:
    body = "This is a sentence about the topic at hand, long enough to count. " * 8
    text = f"# A title\n\n{body}\n\n## First\n\n{body}\n\n## Second\n\n{body}"
    chunks = chunk_document(document(text), tokenizer)
    assert [chunk.heading for chunk in chunks] == ["", "First", "Second"]
    assert chunks[1].text.startswith("## First")
    assert not chunks[1].text[slice(*chunks[1].sentences[0])].startswith("#")


def test_pages_are_those_of_the_first_character(tokenizer: Tokenizer) -> None:
    sentence = "Words on this page go on for a while and then they end. "
    text = sentence * 60
    chunks = chunk_document(document(text, pages=(0, len(sentence) * 20, len(sentence) * 40)), tokenizer)
    assert [chunk.page for chunk in chunks] == sorted(chunk.page or 0 for chunk in chunks)
    assert chunks[0].page == 1
    assert chunks[-1].page == 3


def test_ids_change_with_the_content_and_not_with_the_run(tokenizer: Tokenizer) -> None:
    first = chunk_document(document("One text."), tokenizer)
    again = chunk_document(document("One text."), tokenizer)
    assert [chunk.id for chunk in first] == [chunk.id for chunk in again]


def test_a_title_longer_than_the_window_leaves_room_for_the_text(tokenizer: Tokenizer) -> None:
    chunks = chunk_document(document("字" * 400, title="题" * 120), tokenizer)
    assert all(len(tokenizer.encode(chunk.prefix + chunk.text).ids) <= MAX_TOKENS for chunk in chunks)


@pytest.mark.parametrize("piece", ["😀", "e\u0301", "数", ".", "x ", "[x]", "a" + " " * 99])
def test_text_of_few_or_odd_tokens_gives_no_giant_chunk(tokenizer: Tokenizer, piece: str) -> None:
    text = piece * (200_000 // len(piece))
    chunks = chunk_document(document(text), tokenizer)
    assert max(len(chunk.text) for chunk in chunks) <= 20_000
    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join(text.split())
