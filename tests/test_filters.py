"""Filters by document, folder, type and date: exact, over the real indexes, and from the command line."""

import os
import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from assistant.answer import Assistant
from assistant.catalog import FileState
from assistant.cli import main
from assistant.documents import Document
from assistant.errors import UserError
from assistant.filters import Filter, check_filter, parse_filter
from assistant.settings import Settings
from assistant.snapshots import NO_DOCUMENT
from assistant.sync import Corpus
from tests.conftest import as_environment, run_python, settings_in, write_documents

WORDS = "chip model export rule price market founder city company data cost training memory power water".split()  # noqa: SIM905


def text(number: int) -> str:
    choose = random.Random(number).choice
    return f"# Note {number}\n\n" + " ".join(f"The {choose(WORDS)} of the {choose(WORDS)} is {choose(WORDS)}." for _ in range(4))


DAYS = {"a/0.md": date(2021, 12, 31), "a/1.txt": date(2022, 1, 1), "a/b/2.html": date(2022, 12, 31), "ab/3.md": date(2023, 1, 1)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Corpus]:
    options = settings_in(tmp_path_factory.mktemp("filters"), models, {})
    names = [*DAYS, *(f"many/{number}.md" for number in range(4, 150)), "UPPER.TXT"]
    write_documents(options.corpus, {name: text(number) for number, name in enumerate(names)})
    for name, day in DAYS.items():
        noon = datetime(day.year, day.month, day.day, 12).timestamp()
        os.utime(options.corpus / name, (noon, noon))
    corpus = Corpus(options)
    corpus.sync()
    yield corpus
    corpus.close()


def found(corpus: Corpus, filter: Filter, limit: int = 1000) -> list[str]:
    return sorted(hit.chunk.document_id for hit in corpus.search("the price of the chip", limit, filter=filter))


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (Filter(documents=("a/0.md",)), ["a/0.md"]),
        (Filter(documents=("a/0.md", "ab/3.md")), ["a/0.md", "ab/3.md"]),
        (Filter(folders=("a",)), ["a/0.md", "a/1.txt", "a/b/2.html"]),
        (Filter(folders=("./a/b/",)), ["a/b/2.html"]),
        (Filter(folders=("a/b",), documents=("ab/3.md",)), ["a/b/2.html", "ab/3.md"]),
        (Filter(folders=("a", "ab"), types=("md",)), ["a/0.md", "ab/3.md"]),
        (Filter(types=(".txt",)), ["UPPER.TXT", "a/1.txt"]),
        (Filter(types=("HTML", "txt")), ["UPPER.TXT", "a/1.txt", "a/b/2.html"]),
        (Filter(before=date(2022, 1, 1)), ["a/0.md"]),
        (Filter(after=date(2022, 1, 1), before=date(2023, 1, 1)), ["a/1.txt", "a/b/2.html"]),
        (Filter(before=date(2023, 1, 2), types=("md",)), ["a/0.md", "ab/3.md"]),
        (Filter(after=date(9999, 12, 31)), []),
        (Filter(before=date(1, 1, 1)), []),
        (Filter(documents=("gone.md",)), []),
        (Filter(folders=("a%",)), []),
    ],
)
def test_only_what_matches_is_found_and_all_of_it(corpus: Corpus, filter: Filter, expected: list[str]) -> None:
    assert found(corpus, filter) == sorted(expected)


@pytest.mark.parametrize("mode", ["dense", "hybrid", "full"])
@pytest.mark.parametrize("few", [0, 1000])
def test_as_many_as_asked_for_are_found_however_far_from_the_question(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, few: int, mode: str
) -> None:
    """146 documents in `many`, more than are taken from the indexes without a filter; read from the catalogue or from memory."""
    monkeypatch.setattr("assistant.exact._FEW", few)
    corpus.index._exact.forget()
    for query in ("the price of the chip", "zzz", "杭州"):
        hits = corpus.search(query, 140, mode, Filter(folders=("many",)))  # type: ignore[arg-type]
        assert len(hits) == 140 and all(hit.chunk.document_id.startswith("many/") for hit in hits)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_the_nearest_of_the_allowed_are_found_exactly(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.exact._FEW", 0)
    allowed = [f"many/{number}.md" for number in range(4, 60)]
    vector = corpus.embedder.embed(["the price of the chip"])[0]
    stored = corpus.catalog.vectors(corpus.catalog.chunk_ids_of(allowed))
    expected = sorted(stored, key=lambda id: -float(stored[id] @ vector))[:10]
    assert [id for id, _ in corpus.index.dense(vector, 10, allowed)] == expected


def test_words_score_the_same_with_a_filter(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    every = dict(corpus.index.lexical("price of a chip", 1000))
    allowed = [f"many/{number}.md" for number in range(4, 60)]
    ids = set(corpus.catalog.chunk_ids_of(allowed))
    some = dict(corpus.index.lexical("price of a chip", 1000, allowed))
    assert some.keys() == every.keys() & ids and some
    assert np.allclose([some[id] for id in some], [every[id] for id in some])
    # With very many documents allowed the others are left out afterwards.
    monkeypatch.setattr("assistant.lexical._MANY_DOCUMENTS", 1)
    assert corpus.index.lexical("price of a chip", 5, allowed) == list(some.items())[:5]
    assert dict(corpus.index.lexical("price of a chip", 1000, allowed)) == pytest.approx(some)


def test_an_unfiltered_search_is_what_it_was(corpus: Corpus) -> None:
    assert corpus.search("the price of the chip", 20, filter=Filter()) == corpus.search("the price of the chip", 20)


def test_vectors_in_memory_follow_the_catalogue(settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.exact._FEW", 0)
    corpus = Corpus(settings())
    only = Filter(folders=("x",))

    def put(id: str, content: str) -> None:
        corpus.put([(Document(id, id, content, (), (), content), FileState(1, 1))])
        corpus.flush()

    put("x/1.md", "Bananas are yellow.")
    put("y/1.md", "Bananas are sweet.")
    assert found(corpus, only) == ["x/1.md"]
    put("x/2.md", "The chip is expensive.")
    put("x/1.md", "Bananas are green now.")
    assert found(corpus, only) == ["x/1.md", "x/2.md"]
    assert "green" in corpus.search("bananas", 1, filter=only)[0].chunk.text
    corpus.drop("x/1.md")
    corpus.flush()
    assert found(corpus, only) == ["x/2.md"]
    old = Filter(before=date(2000, 1, 1))
    assert found(corpus, old) == ["x/2.md", "y/1.md"]  # `put` says 1970
    corpus.catalog.touch({"x/2.md": FileState(1, 1_700_000_000_000_000_000)})
    assert found(corpus, old) == ["y/1.md"]
    corpus.drop("x/2.md")
    corpus.flush()
    assert found(corpus, only) == []
    corpus.index.rebuild()
    assert found(corpus, Filter(folders=("y",))) == ["y/1.md"]
    corpus.close()


def test_an_index_of_other_fields_is_made_again(settings: Callable[..., Settings], corpus: Corpus) -> None:
    """As a version without the field `document` left it: its version in the catalogue, its fields on disk."""
    from tantivy import Index, SchemaBuilder

    options = settings()
    write_documents(options.corpus, {"a.md": text(1), "b.md": text(2)})
    first = Corpus(options)
    first.sync()
    for older in ("1", str(lexical_version())):  # the second: only the fields on disk tell
        first.catalog.set_settings({"lexical": older})
        folder = options.data / "index" / f"gen-{first.catalog.setting('generation')}" / "lexical"
        first.close()
        for file in folder.iterdir():
            file.unlink()
        builder = SchemaBuilder().add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
        Index(builder.add_text_field("text", tokenizer_name="terms").build(), path=str(folder)).writer().commit()
        first = Corpus(options)
        assert first.index.rebuilt
        first.sync()  # terms of another version are made again
        assert found(first, Filter(documents=("b.md",))) == ["b.md"]
    first.close()


def lexical_version() -> int:
    from assistant.lexical import VERSION

    return VERSION


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"after": "13/2/2024"}, "--after is '13/2/2024': write a day as YYYY-MM-DD"),
        ({"before": "2024-02-30"}, "--before is '2024-02-30'"),
        ({"before": ""}, "--before is ''"),
        ({"after": "2024-01-02", "before": "2024-01-02"}, "No day lies between"),
        ({"types": ["exe"]}, "the type 'exe'"),
    ],
)
def test_a_wrong_date_or_type_is_named_in_one_line(given: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_filter(**{"documents": [], "folders": [], "types": [], "after": None, "before": None, **given})  # type: ignore[arg-type]
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        (Filter(documents=("0.md",)), "There is no document '0.md': did you mean 'a/0.md'"),
        (Filter(documents=("a/0.mdd",)), "did you mean 'a/0.md'"),
        (Filter(documents=("qqqqqq",)), "'assistant list' shows their names."),
        (Filter(folders=("man",)), "There is no document in a folder 'man': did you mean 'many'?"),
        (Filter(folders=("qqqqqq",)), "there is a, a/b, ab, many."),
    ],
)
def test_an_unknown_name_is_named_with_close_ones(corpus: Corpus, filter: Filter, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_filter(filter, corpus.catalog)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    check_filter(Filter(documents=("a/0.md",), folders=("a/b", ".")), corpus.catalog)


def test_a_document_that_failed_says_why(settings: Callable[..., Settings]) -> None:
    options = settings()
    write_documents(options.corpus, {"empty.md": " ", "good.md": text(1)})
    assistant = Assistant(options)
    assistant.sync()
    with pytest.raises(UserError, match=r"empty\.md can't be searched, it was not indexed: it is empty"):
        assistant.search("anything", 3, Filter(documents=("empty.md",)))
    with pytest.raises(UserError, match=r"did you mean 'good\.md'"):
        next(assistant.ask("anything", filter=Filter(documents=("goof.md",))))
    # A filter that allows nothing is answered at once, without the model.
    [*_, last] = assistant.ask("What is the price?", filter=Filter(before=date.today() - timedelta(days=3)))
    assert last.final and last.text == NO_DOCUMENT and last.passages == ()
    assistant.close()


def test_the_command_line_takes_filters(
    settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settings()
    write_documents(options.corpus, {"x/a.md": text(1), "x/b.txt": text(2), "c.md": text(3)})
    for name, value in as_environment(options).items():
        monkeypatch.setenv(name, value)

    def search(*arguments: str) -> tuple[int, str, str]:
        code = main(["search", "the price", *arguments])
        out, err = capsys.readouterr()
        return code, "".join(name for name in ("x/a.md", "x/b.txt", "c.md") if f"({name}," in out), err

    assert search()[:2] == (0, "x/a.mdx/b.txtc.md")
    assert search("--folder", "x", "--type", "md")[:2] == (0, "x/a.md")
    assert search("--document", "c.md", "--document", "x/b.txt")[:2] == (0, "x/b.txtc.md")
    assert search("--before", "2000-01-01")[:2] == (0, "")
    assert search("--after", "2000-01-01")[:2] == (0, "x/a.mdx/b.txtc.md")
    assert search("--after", "soon") == (2, "", "assistant: --after is 'soon': write a day as YYYY-MM-DD, such as 2024-12-31.\n")
    assert search("--folder", "y")[::2] == (2, "assistant: There is no document in a folder 'y': there is x.\n")
    ran = run_python("-m", "assistant.cli", "ask", "What?", "--document", "d.md", env=as_environment(options))
    assert (ran.code, ran.out, ran.err) == (2, "", "assistant: There is no document 'd.md': did you mean 'c.md' or 'x/a.md'?\n")
