"""Sets of questions are read with their faults named: which file, which line, what is expected."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from assistant.errors import UserError
from eval.datasets import GoldSpan, load_dataset

DOCUMENTS = [
    {"_id": "d1", "title": "One", "text": "First text."},
    {"_id": "d2", "text": "Second text."},
    {"_id": "d3", "text": " "},
]
QUERIES = [{"_id": "q1", "text": "first?"}, {"_id": "q2", "text": " "}, {"_id": "q3", "text": "nobody judged this"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\tgone\t1\nq2\td2\t1\n"
Beir = Callable[..., Path]


def lines(rows: Sequence[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def beir(tmp_path: Path) -> Beir:
    def make(**files: str) -> Path:
        folder = tmp_path / "set"
        (folder / "qrels").mkdir(parents=True, exist_ok=True)
        contents = {"corpus.jsonl": lines(DOCUMENTS), "queries.jsonl": lines(QUERIES), "qrels/test.tsv": QRELS}
        contents |= {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
        for name, text in contents.items():
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    return make


def test_a_beir_folder_is_read_and_what_is_left_out_is_counted(beir: Beir) -> None:
    dataset = load_dataset(beir())
    assert [(document.id, document.title) for document in dataset.documents] == [("d1", "One"), ("d2", "")]
    [question] = dataset.questions
    assert (question.id, question.text, dict(question.documents)) == ("q1", "first?", {"d1": 2, "gone": 1})
    assert dataset.unknown_qrels == 1
    notes = " ".join(dataset.notes)
    for part in ("1 documents without text", "1 empty queries", "1 queries without", "1 judgements name documents"):
        assert part in notes


def test_turns_of_a_conversation_are_told_apart(beir: Beir) -> None:
    text = "|user|: Who built it?\n|user|: And when?\n|user|: why"
    [question] = load_dataset(beir(queries_jsonl=lines([{"_id": "q1", "text": text}]))).questions
    assert (question.text, question.earlier) == ("why", ("Who built it?", "And when?"))


def test_a_byte_order_mark_and_a_title_of_null_are_no_fault(beir: Beir) -> None:
    corpus = lines([{"_id": "d1", "title": None, "text": "First text."}])
    dataset = load_dataset(beir(corpus_jsonl="\ufeff" + corpus, qrels__test_tsv="\ufeffq1\td1\t1\n"))
    assert [document.title for document in dataset.documents] == [""]
    assert [question.id for question in dataset.questions] == ["q1"]


def test_lines_may_end_as_on_windows_and_other_questions_be_named(beir: Beir) -> None:
    folder = beir(qrels__test_tsv=QRELS.replace("\n", "\r\n"), corpus_jsonl=lines(DOCUMENTS).replace("\n", "\r\n"))
    (folder / "other.jsonl").write_text(lines([{"_id": "q2", "text": "second?"}]), encoding="utf-8")
    for named in (Path("other.jsonl"), folder / "other.jsonl"):
        dataset = load_dataset(folder, named)
        assert ([question.text for question in dataset.questions], dataset.queries) == (["second?"], "other")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"corpus_jsonl": lines(DOCUMENTS[:1]) + "{broken\n"}, ["corpus.jsonl, line 2", "not valid JSON"]),
        ({"corpus_jsonl": lines(DOCUMENTS[:1]) + "[1]\n"}, ["corpus.jsonl, line 2", "object is expected"]),
        ({"corpus_jsonl": lines([DOCUMENTS[0], DOCUMENTS[0]])}, ["corpus.jsonl, line 2", "'d1'", "line 1"]),
        ({"corpus_jsonl": lines([{"_id": "d1"}])}, ["corpus.jsonl, line 1", "'text'"]),
        ({"corpus_jsonl": lines([{"_id": "", "text": "x"}])}, ["corpus.jsonl, line 1", "empty"]),
        ({"queries_jsonl": lines([QUERIES[0], QUERIES[0]])}, ["queries.jsonl, line 2", "'q1'"]),
        ({"qrels__test_tsv": QRELS + "q1 d1 1\n"}, ["test.tsv, line 5", "tabs"]),
        ({"qrels__test_tsv": QRELS + "q1\td1\tmuch\n"}, ["test.tsv, line 5", "'much'", "whole number"]),
        ({"qrels__test_tsv": QRELS + "q1\td1\t" + "9" * 400 + "\n"}, ["test.tsv, line 5", "whole number"]),
        ({"corpus_jsonl": lines(DOCUMENTS[:1]) + "[" * 100_000}, ["corpus.jsonl, line 2", "nested"]),
        ({"corpus_jsonl": '{"_id": ' + "9" * 5000 + ', "text": "x"}'}, ["corpus.jsonl, line 1", "digits"]),
        ({"qrels__test_tsv": "query-id\tcorpus-id\tscore\n"}, ["nothing to measure"]),
        ({"corpus_jsonl": ""}, ["0 documents"]),
    ],
)
def test_a_bad_line_is_named(beir: Beir, files: dict[str, str], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        load_dataset(beir(**files))
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named(beir: Beir, name: str) -> None:
    folder = beir()
    (folder / name).unlink()
    with pytest.raises(UserError, match=name.rpartition("/")[2]):
        load_dataset(folder)


def spans(folder: Path, content: str, start: int, corpus_id: str = "story") -> Path:
    (folder / "corpora").mkdir(exist_ok=True)
    (folder / "corpora" / "story.md").write_text("The moon rose. The sea was calm.", encoding="utf-8")
    reference = {"content": content, "start_index": start, "end_index": start + len(content)}
    row = {"_id": "1", "text": "What rose?", "corpus_id": corpus_id, "references": [reference]}
    (folder / "questions.jsonl").write_text(lines([row]), encoding="utf-8")
    return folder


def test_gold_spans_are_found_where_their_words_stand(tmp_path: Path) -> None:
    for start in (0, 7):  # the second is wrong: the words tell
        [question] = load_dataset(spans(tmp_path, "The moon rose.", start)).questions
        assert question.spans == (GoldSpan("story.md", 0, 14),)


@pytest.mark.parametrize(
    ("content", "corpus_id", "words"),
    [("Nobody wrote this.", "story", ["line 1", "does not occur in story.md"]), ("The moon rose.", "poem", ["line 1", "'poem'"])],
)
def test_a_gold_span_that_is_not_there_is_named(tmp_path: Path, content: str, corpus_id: str, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        load_dataset(spans(tmp_path, content, 0, corpus_id))
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_folder_of_neither_kind_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"corpus\.jsonl .* questions\.jsonl"):
        load_dataset(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        load_dataset(tmp_path / "nowhere")
