"""The language of a text, and which documents are in another than most."""

from contextlib import closing
from pathlib import Path

import pytest

from assistant.documents import load_document
from assistant.languages import language_of, usual_language
from assistant.sync import Corpus
from tests.conftest import MakeSettings, WriteCorpus

GERMAN = "Der Mond zieht das Meer an, und zweimal am Tag steigt das Wasser an der Küste. Bei Neumond und bei Vollmond steigt es am höchsten."
ENGLISH = "The moon pulls the sea, and twice a day the water rises at the coast. It rises highest with the new moon and the full moon of note {}."


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (GERMAN, "de"),
        (ENGLISH, "en"),
        (
            "La lune attire la mer, et deux fois par jour l'eau monte sur la côte; elle monte le plus à la nouvelle et à la pleine lune. Les pêcheurs le savent depuis toujours et attendent le bon moment pour sortir du port.",
            "fr",
        ),
        ("Mond", ""),
        ("1 2 3 4 5 6 7 8 9 10 " * 50, ""),
    ],
)
def test_the_language_is_told_where_there_is_enough_text(text: str, language: str) -> None:
    assert language_of(text) == language


def test_a_usual_language_needs_five_texts_and_most_of_them() -> None:
    assert usual_language(["en"] * 4 + ["de"]) == "en"
    assert usual_language(["en"] * 4 + [""]) == ""
    assert usual_language(["en", "en", "de", "fr", "es"]) == ""


def test_a_document_in_another_language_and_one_that_is_a_table_say_so(
    settings: MakeSettings, corpus: WriteCorpus, tmp_path: Path
) -> None:
    corpus({f"{n}.md": ENGLISH.format(n) for n in range(5)} | {"mond.md": GERMAN})
    with closing(Corpus(settings())) as opened:
        opened.sync()
        warned = {info.id: info.warnings for info in opened.documents() if info.warnings}
        assert warned == {"mond.md": ("another language than most (de, not en)",)}
    (tmp_path / "t.md").write_text("Boats\n\n| name | length |\n| --- | --- |\n" + "| Anna | 12 |\n" * 9, encoding="utf-8")
    assert load_document(tmp_path / "t.md", "t.md", 1000).warnings == ("mostly a table",)
