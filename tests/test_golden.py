"""Golden questions: those shipped hold for the starter corpus, and what doesn't hold for a corpus is named."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant.documents import Document
from assistant.errors import UserError
from assistant.settings import load_settings
from eval.__main__ import main
from eval.datasets import GoldSpan, load_documents
from eval.golden_questions import GOLDEN, find_quote, golden_files, load_golden
from eval.retrieval import golden_dataset
from eval.runs import load_run
from tests.conftest import ROOT, MakeSettings, WriteCorpus, as_environment

HARBOUR = Document("harbour.txt", "Harbour", "The harbour opens\nat  seven.\n\nFishing needs a permit.", (), (), "1")
QUOTE = "The harbour opens at seven."


def question(
    id: str = "q1", text: str = "When can boats come in?", document: str = "harbour.txt", quote: str = QUOTE
) -> dict[str, Any]:
    return {"_id": id, "text": text, "evidence": [{"document": document, "quote": quote}], "answer": "at seven"}


def written(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_the_shipped_questions_hold_for_the_starter_corpus() -> None:
    documents, unreadable = load_documents(ROOT / "corpus")
    questions, notes = load_golden([GOLDEN / "starter.jsonl"], documents)
    assert (unreadable, notes) == ([], [])
    answerable = [question for question in questions if not question.unanswerable]
    assert len(answerable) >= 40 and len(questions) - len(answerable) >= 10
    assert all(question.answer for question in answerable)
    assert len({question.text.casefold() for question in questions}) == len(questions)
    asked = Counter(document for question in answerable for document in {span.document for span in question.spans})
    assert asked.keys() == {document.id for document in documents} and min(asked.values()) >= 5


def test_each_shipped_quote_is_the_text_of_its_span() -> None:
    texts = {document.id: document.text for document in load_documents(ROOT / "corpus")[0]}
    for line in (GOLDEN / "starter.jsonl").read_text(encoding="utf-8").splitlines():
        for item in json.loads(line).get("evidence", []):
            span = find_quote(texts[item["document"]], item["quote"])
            assert span is not None
            assert texts[item["document"]][slice(*span)].split() == item["quote"].split()


@pytest.mark.parametrize(
    ("text", "quote", "span"),
    [
        ("a  b\nc d", " b c ", (3, 6)),
        ("a.b axb", "axb", (4, 7)),  # signs are no patterns
        ("one two", "onetwo", None),
        ("one two", "", None),
        ("one two", "One two", None),
    ],
)
def test_a_quote_is_found_whatever_its_white_space(text: str, quote: str, span: tuple[int, int] | None) -> None:
    assert find_quote(text, quote) == span


def test_questions_are_read_with_their_spans(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", question(), {"_id": "q2", "text": "Is there a café?", "unanswerable": True})
    [first, second], notes = load_golden([path], [HARBOUR])
    assert (first.spans, first.answer) == ((GoldSpan("harbour.txt", 0, 28),), "at seven")
    assert second.unanswerable and notes == []


def test_a_quote_that_vanished_is_named_and_its_question_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", question(), question("q2", "And at night?", quote="It closes at nine."))
    questions, [note] = load_golden([path], [HARBOUR])
    assert [question.id for question in questions] == ["q1"]
    assert all(part in note for part in (str(path), "line 2", "harbour.txt", "It closes at nine."))


def test_questions_about_other_documents_are_counted(tmp_path: Path) -> None:
    both = {**question("q3"), "evidence": [*question()["evidence"], {"document": "gone.md", "quote": "x y"}]}
    path = written(tmp_path / "a.jsonl", question(), question("q2", document="gone.md"), both)
    questions, [note] = load_golden([path], [HARBOUR])
    assert [question.id for question in questions] == ["q1"]
    assert note.startswith("2 questions about documents that are not in the corpus")


def test_unanswerable_questions_go_when_the_documents_of_their_file_went(tmp_path: Path) -> None:
    gone = written(tmp_path / "a.jsonl", question("q1", document="gone.md"), {"_id": "q2", "text": "Why?", "unanswerable": True})
    mine = written(tmp_path / "b.jsonl", {"_id": "q3", "text": "Who?", "unanswerable": True})
    questions, notes = load_golden([gone, mine], [HARBOUR])
    assert [question.id for question in questions] == ["q3"]
    assert any(note.startswith("1 unanswerable") for note in notes)


def test_drafts_do_not_count(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", question(), {**question("q2"), "draft": True})
    questions, [note] = load_golden([path], [HARBOUR])
    assert [question.id for question in questions] == ["q1"] and note.startswith("1 drafts left out")


def test_when_no_question_is_left_the_way_to_make_some_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", question(document="gone.md"))
    with pytest.raises(UserError, match=r"a\.jsonl.*1 questions about documents.*eval generate"):
        load_golden([path], [HARBOUR])
    with pytest.raises(UserError, match="eval generate"):
        load_golden([], [HARBOUR])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "a JSON object"),
        ({"text": "x"}, "'_id' must be a text"),
        ({"_id": "q1", "text": "x", "unanswerable": True}, "used on line 1"),
        ({"_id": "x", "unanswerable": True}, "'text' must be a text"),
        ({"_id": "x", "text": " ", "unanswerable": True}, "'text' is empty"),
        ({"_id": "x", "text": "x"}, "either 'evidence'"),
        ({"_id": "x", "text": "x", "evidence": []}, "either 'evidence'"),
        ({"_id": "x", "text": "x", "evidence": "y"}, "either 'evidence'"),
        ({"_id": "x", "text": "x", "unanswerable": "no"}, "either 'evidence'"),
        ({**question("x"), "unanswerable": True}, "either 'evidence'"),
        ({"_id": "x", "text": "x", "evidence": ["y"]}, "'document' and 'quote'"),
        ({"_id": "x", "text": "x", "evidence": [{"document": "a"}]}, "'document' and 'quote'"),
        (question("x", quote=" "), "'document' and 'quote'"),
        ({**question("x"), "answer": 3}, "'answer' must be a text"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, row: object, reason: str) -> None:
    path = written(tmp_path / "a.jsonl", question(), row)
    with pytest.raises(UserError, match=r"a\.jsonl, line 2: ") as caught:
        load_golden([path], [HARBOUR])
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_an_id_used_in_two_files_is_named_with_both(tmp_path: Path) -> None:
    files = [written(tmp_path / name, question()) for name in ("a.jsonl", "b.jsonl")]
    with pytest.raises(UserError, match=r"b\.jsonl, line 1: .*'q1'.*a\.jsonl, line 1"):
        load_golden(files, [HARBOUR])


def test_a_file_is_named_by_path_or_by_its_name_among_the_golden_ones(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one.jsonl"), written(tmp_path / "two.jsonl")
    (tmp_path / "notes.txt").touch()
    assert golden_files(folder=tmp_path) == [one, two]
    assert golden_files(Path("two.jsonl"), tmp_path) == golden_files(two) == [two]
    assert GOLDEN / "starter.jsonl" in golden_files()


def test_the_set_of_the_corpus_holds_what_can_be_found(tmp_path: Path) -> None:
    settings = load_settings({"ASSISTANT_CORPUS": str(ROOT / "corpus")})
    dataset = golden_dataset(settings, Path("starter.jsonl"))
    assert dataset.by_span and len(dataset.documents) == 5 and len(dataset.questions) >= 40
    assert any("unanswerable questions take no part" in note for note in dataset.notes)
    with pytest.raises(UserError, match="no documents"):
        golden_dataset(replace(settings, corpus=tmp_path))
    with pytest.raises(UserError, match="does not exist"):
        golden_dataset(replace(settings, corpus=tmp_path / "nowhere"))


def test_the_corpus_is_measured_and_the_run_kept(
    tmp_path: Path,
    settings: MakeSettings,
    corpus: WriteCorpus,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    corpus({"harbour.txt": HARBOUR.text, "bakery.txt": "The bakery sells rye bread and poppy seed rolls until noon."})
    path = written(
        tmp_path / "mine.jsonl",
        question(),
        question("q2", "until when can I buy rolls", "bakery.txt", "The bakery sells rye bread and poppy seed rolls until noon."),
        question("q3", quote="It closes at nine."),
        {"_id": "q4", "text": "Is there a café?", "unanswerable": True},
    )
    for name, value in as_environment(settings()).items():
        monkeypatch.setenv(name, value)
    assert main(["retrieval", "--corpus", "--queries", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert summary["set"] == "corpus-mine" and summary["questions"] == 2 and summary["measures"]["recall"] == 1
    assert "It closes at nine." in err and "1 unanswerable" in err
    run = load_run(tmp_path / "data" / "eval" / "runs" / f"{summary['run']}.json")
    assert [question.relevant for question in run.questions] == [("harbour.txt[0:28]",), ("bakery.txt[0:59]",)]
