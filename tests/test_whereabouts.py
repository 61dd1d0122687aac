"""Sources that change or go after an answer are told from those that stay."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from assistant.answer import Assistant
from assistant.chunking import Chunk
from assistant.whereabouts import Fate, fate_of, whereabouts
from tests.conftest import settings_in, write_documents

SENTENCE = "The lighthouse keeper counts every ship."
TEXT = f"# Keepers\n\nLong before dawn the lamp is lit. {SENTENCE} Then the lamp is put out."


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Assistant]:
    with closing(Assistant(settings_in(tmp_path_factory.mktemp("whereabouts"), models, {}))) as made:
        yield made


def cited(assistant: Assistant) -> tuple[Chunk, int, int]:
    """Index the text as `a.md`, alone, and return its chunk and where the sentence is."""
    shutil.rmtree(assistant.settings.corpus)
    write_documents(assistant.settings.corpus, {"a.md": TEXT})
    assistant.sync()
    [chunk] = assistant.chunks("a.md", 0, 10)
    start = TEXT.index(SENTENCE)
    return chunk, start, start + len(SENTENCE)


@pytest.mark.parametrize(
    ("text", "fate"),
    [
        (TEXT, "same"),
        (f"{TEXT}\n\nMore follows.", "same"),
        ("A new beginning, which is long.\n\n" + TEXT, "moved"),
        (f"# Others\n\nAll else is new. {SENTENCE}", "sentence"),
        ("# Others\n\nAll of it is new.", "changed"),
    ],
)
def test_what_became_of_a_passage(assistant: Assistant, text: str, fate: Fate) -> None:
    chunk, start, end = cited(assistant)
    write_documents(assistant.settings.corpus, {"a.md": text})
    assistant.sync()
    found = whereabouts(assistant.corpus.catalog, chunk, start, end)
    assert found.fate == fate_of(assistant.corpus.catalog, chunk, start, end) == fate
    assert bool(found.line) == (fate != "same")
    if fate != "changed":
        assert found.document and found.document.text[found.start : found.end] == SENTENCE


def test_a_document_with_another_name_is_found_and_one_that_is_gone_is_not(assistant: Assistant) -> None:
    chunk, start, end = cited(assistant)
    folder = assistant.settings.corpus
    (folder / "a.md").rename(folder / "b.md")
    assistant.sync()
    found = whereabouts(assistant.corpus.catalog, chunk, start, end)
    assert found.fate == "renamed" and found.document and found.document.id == "b.md"
    (folder / "b.md").unlink()
    write_documents(folder, {"c.md": "Another one."})
    assistant.sync()
    found = whereabouts(assistant.corpus.catalog, chunk, start, end)
    assert found.fate == "gone" and found.document is None
