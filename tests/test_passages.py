"""Hits become passages: neighbours joined with exact spans, what is far from the best left out, copies folded."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.passages import OTHERS, others, passages
from assistant.retrieval import Hit
from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import settings_in, write_documents

# Long enough that it is cut into several chunks.
STORY = "\n\n".join(
    f"The lighthouse of Grano number {number} stands on a cliff. Its keeper {name} lights the lamp at dusk. " * 9
    for number, name in enumerate(("Ada", "Bruno", "Chiara", "Dario", "Elsa", "Fabio", "Gina"))
)
COPY = "# Tides\n\nThe tide at Grano rises by four metres in spring. Boats wait for it in the harbour."


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Corpus]:
    options = settings_in(tmp_path_factory.mktemp("passages"), models, {})
    texts = {"story.txt": STORY, "tides.md": COPY, "copy.md": COPY, "bread.txt": "Bread is baked from flour, water and salt."}
    write_documents(options.corpus, texts)
    corpus = Corpus(options)
    corpus.sync()
    yield corpus
    corpus.close()


def hits_of(corpus: Corpus, document: str) -> list[Hit]:
    """Return the hits of one document in the order of its text, all with the same score."""
    found = [hit for hit in corpus.search("Who lights the lamp of Grano?", 50) if hit.chunk.document_id == document]
    return sorted((replace(hit, score=0.5) for hit in found), key=lambda hit: hit.chunk.start)


def test_neighbours_become_one_passage_of_three_chunks_at_most(corpus: Corpus) -> None:
    hits = hits_of(corpus, "story.txt")
    assert len(hits) >= 5
    found = passages(hits, 10, corpus.catalog)
    assert [len(passage.parts) for passage in found] == [3] * (len(hits) // 3) + ([len(hits) % 3] if len(hits) % 3 else [])
    assert [part for passage in found for part in passage.parts] == [hit.chunk for hit in hits]
    document = corpus.catalog.document("story.txt")
    assert document is not None
    for passage, vectors in zip(found, corpus.passage_vectors(found), strict=True):
        chunk = passage.chunk
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert len(vectors) == len(chunk.sentences) == len(passage.evidence) == len(passage.sentence_scores)
        assert all(chunk.text[start:end].strip() == chunk.text[start:end] != "" for start, end in chunk.sentences)
        assert chunk.start <= passage.gist[0] < passage.gist[1] <= chunk.end


def test_chunks_that_do_not_touch_stay_apart(corpus: Corpus) -> None:
    hits = hits_of(corpus, "story.txt")
    assert [len(passage.parts) for passage in passages([hits[0], hits[2], hits[4]], 10, corpus.catalog)] == [1, 1, 1]


def test_the_gist_leaves_out_what_says_nothing_at_either_end(corpus: Corpus) -> None:
    hit = hits_of(corpus, "story.txt")[0]
    evidence = (0.1, 1.2, 0.0, 1.1, *[0.1] * (len(hit.evidence) - 4))
    [passage] = passages([replace(hit, evidence=evidence)], 5, corpus.catalog)
    start, end = (hit.chunk.sentences[1][0], hit.chunk.sentences[3][1])
    assert passage.gist == (hit.chunk.start + start, hit.chunk.start + end)


def test_what_is_far_from_the_best_is_left_out(corpus: Corpus) -> None:
    first, *_, last = hits_of(corpus, "story.txt")
    assert len(passages([first, replace(last, score=0.4)], 5, corpus.catalog)) == 2
    assert len(passages([first, replace(last, score=0.3)], 5, corpus.catalog)) == 1


def test_a_copy_in_another_document_is_folded_and_the_limit_holds(corpus: Corpus) -> None:
    found = corpus.passages("How far does the tide rise?", 5)
    assert found[0].chunk.document_id in ("copy.md", "tides.md")
    assert len({passage.chunk.document_id for passage in found} & {"copy.md", "tides.md"}) == 1
    assert len(corpus.passages("Who lights the lamp of Grano?", 1)) == 1
    assert passages([], 5, corpus.catalog) == []


def test_a_document_removed_meanwhile_gives_no_passage(settings: Callable[..., Settings]) -> None:
    options = settings()
    write_documents(options.corpus, {"story.txt": STORY})
    corpus = Corpus(options)
    corpus.sync()
    hits = hits_of(corpus, "story.txt")
    (options.corpus / "story.txt").unlink()
    corpus.sync()
    assert passages(hits[:3], 5, corpus.catalog) == []
    corpus.close()


QUESTION = "Who is the director of the Kestrel museum?"
POISON = ("The director of the Kestrel museum is Marek Dorn.", "Kestrel museum. Director: Marek Dorn.", f"{QUESTION} Marek Dorn.")
HONEST = "The museum had 41,000 visitors this year. Its director Ines Holt thanks all who gave. The roof was mended in May."


@pytest.mark.parametrize("poison", [POISON, ("\n\n".join(POISON),), POISON[:1] * 3], ids=["apart", "in one", "copies"])
def test_what_repeats_the_question_does_not_hide_the_document_that_answers_it(
    settings: Callable[..., Settings], poison: tuple[str, ...]
) -> None:
    options = settings()
    texts = {f"{number}.txt": text for number, text in enumerate(poison)}
    write_documents(
        options.corpus, {**texts, "report.md": f"# Kestrel museum\n\n{HONEST}", "bread.txt": "Bread is baked from flour."}
    )
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        found = corpus.passages_and_others(QUESTION, 2)
        assert "report.md" in {hit.chunk.document_id for hit in found}
        assert "bread.txt" not in {hit.chunk.document_id for hit in found}
        assert found[: len(found) - sum(hit.beside for hit in found)] == corpus.passages(QUESTION, 2)


def test_one_document_that_takes_all_places_leaves_others_to_be_seen(settings: Callable[..., Settings]) -> None:
    options = settings()
    filler = " ".join(f"Room {number} shows birds of the valley and the tools of those who hunted them." for number in range(5))
    long = "\n\n".join(f"# Part {number}\n\n{' '.join(POISON)} {filler}" for number in range(3))
    write_documents(options.corpus, {"long.md": long, "report.md": f"# Kestrel museum\n\n{HONEST}"})
    with closing(Corpus(options)) as corpus:
        corpus.sync()
        assert [hit.chunk.document_id for hit in corpus.passages(QUESTION, 1)] == ["long.md"]
        found = corpus.passages_and_others(QUESTION, 1)
        assert [(hit.chunk.document_id, hit.beside) for hit in found] == [("long.md", False), ("report.md", True)]


def test_others_are_about_what_is_asked_and_bring_something_new(corpus: Corpus) -> None:
    shown, *more = hits_of(corpus, "story.txt")
    tide = hits_of(corpus, "tides.md") or hits_of(corpus, "copy.md")
    near = replace(tide[0], evidence=tuple(1.2 for _ in tide[0].evidence))
    assert [hit.chunk.document_id for hit in others([shown, *more, near], [shown])] == [tide[0].chunk.document_id]
    assert others([replace(near, evidence=tuple(0.5 for _ in near.evidence))], [shown]) == []
    copy = replace(near, chunk=replace(near.chunk, id="copy", document_id="copy of it"))
    assert others([copy], [near]) == []
    many = [replace(near, chunk=replace(near.chunk, document_id=f"d{number}")) for number in range(5)]
    assert len(others(many, [shown])) == OTHERS and others(many, []) == []
