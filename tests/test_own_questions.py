"""The user's own questions: drafts from answers, reviewed, kept in one file that several may change at once and that loses nothing."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.documents import Document
from assistant.errors import UserError
from assistant.settings import load_settings
from eval.golden_questions import find_quote, golden_files, load_golden, own_questions
from eval.own_questions import Entry, Evidence, add_draft, append_row, as_it_is, change, drafted, entries, reviewed
from tests.test_ui_render import answer

TEXTS = {"a.md": "Honey bees dance. They dance\nfor the hive.", "b.md": "The tide rises twice a day."}


def find(quote: str, document: str = "") -> Evidence | None:
    for id, text in sorted(TEXTS.items(), key=lambda pair: pair[0] != document):
        span = find_quote(text, quote)
        if span:
            return {"document": id, "quote": text[slice(*span)], "start": span[0], "end": span[1]}
    return None


def entry(path: Path, **row: object) -> Entry:
    append_row(path, {"_id": "q1", "text": "Why do bees dance?", "draft": True, **row})
    return entries(path)[0][-1]


def test_they_are_where_the_evals_look_for_them(tmp_path: Path) -> None:
    settings = load_settings({"ASSISTANT_DATA": str(tmp_path)})
    own = own_questions(settings)
    assert own.is_relative_to(tmp_path) and own not in golden_files(own=own)
    append_row(own, {"_id": "q1", "text": "Is it so?", "unanswerable": True})
    assert golden_files(own=own)[-1] == own and golden_files(Path("questions.jsonl"), own=own) == [own]


def test_an_answer_with_a_thumb_up_gives_its_citations_and_its_text() -> None:
    row = drafted(answer("It is **so** [1]."), "up", "Well put.")
    assert row["draft"] is True and row["comment"] == "Well put." and row["answer"] == "It is **so**."
    [quote] = row["evidence"]
    assert set(quote) == {"document", "quote", "start", "end"} and quote["quote"] == "First sentenc" and row["quotes"][0] == quote


def test_a_thumb_up_for_a_refusal_says_that_the_documents_do_not_answer() -> None:
    row = drafted(replace(answer("No.", citations=()), refused=True), "up", "")
    assert row["unanswerable"] is True and "evidence" not in row and "comment" not in row


def test_a_thumb_down_offers_quotes_and_leaves_the_evidence_to_be_given() -> None:
    row = drafted(answer("It is so [1]."), "down", "Wrong year.")
    assert "evidence" not in row and "answer" not in row and row["quotes"] and row["comment"] == "Wrong year."


def test_a_draft_counts_only_once_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    documents = [Document(id, "", text, (), (), "1") for id, text in TEXTS.items()]
    append_row(path, {"_id": "q0", "text": "Who?", "unanswerable": True})
    draft = entry(path, evidence=[{"document": "a.md", "quote": "dance", "start": 23, "end": 28}], answer="dance")
    assert [question.id for question in load_golden([path], documents)[0]] == ["q0"]
    change(path, draft.stamp, as_it_is(draft, find))
    [kept] = [question for question in load_golden([path], documents)[0] if question.id == "q1"]
    assert kept.spans[0].start == 23 and kept.answer == "dance"


def test_of_a_quote_that_stands_there_twice_the_one_that_was_meant_counts(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    quote = {"document": "a.md", "quote": "dance", "start": 23}
    append_row(path, {"_id": "q1", "text": "Why?", "evidence": [quote]})
    append_row(path, {"_id": "q2", "text": "How?", "evidence": [{**quote, "start": 99}]})
    questions, _ = load_golden([path], [Document("a.md", "", TEXTS["a.md"], (), (), "1")])
    assert [question.spans[0].start for question in questions] == [23, 11]


def test_evidence_is_picked_or_typed_and_must_stand_in_a_document_word_for_word(tmp_path: Path) -> None:
    draft = entry(tmp_path / "q.jsonl", quotes=[find("Honey bees dance."), {"document": "a.md", "quote": "Gone."}])
    row = reviewed(draft, " Why do they? ", " for the\nhive ", [0], "They dance for the hive.\n\n", False, find)
    assert row["text"] == "Why do they?" and row["answer"] == "for the hive" and "draft" not in row and "quotes" not in row
    assert [item["quote"] for item in row["evidence"]] == ["Honey bees dance.", "They dance\nfor the hive."]
    assert reviewed(draft, "Why?", "x", [], "", True, find) == {"_id": "q1", "text": "Why?", "unanswerable": True}
    for text, picked, typed, unanswerable, reason in (
        (" ", [0], "", False, "empty"),
        ("Why?", [], "", False, "Choose a sentence"),
        ("Why?", [0], "", True, "not both"),
        ("Why?", [], "bees sleep", False, "“bees sleep” stands in none"),
        ("Why?", [1], "", False, "“Gone.” stands in none"),
        ("Why?", [7], "", False, "Choose a sentence"),
    ):
        with pytest.raises(UserError, match=reason):
            reviewed(draft, text, "", picked, typed, unanswerable, find)


def test_a_draft_without_evidence_can_not_be_kept_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Choose a sentence"):
        as_it_is(entry(tmp_path / "q.jsonl"), find)


def test_the_same_question_gives_one_draft_and_is_not_asked_again_once_kept(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    add_draft(path, {"_id": "1", "text": "Why dance?", "draft": True})
    add_draft(path, {"_id": "2", "text": "why  DANCE?", "draft": True})
    [draft] = entries(path)[0]
    assert draft.id == "2"
    change(path, draft.stamp, {"_id": "2", "text": "Why dance?", "unanswerable": True})
    with pytest.raises(UserError, match="among yours already"):
        add_draft(path, {"_id": "3", "text": "Why dance?", "draft": True})


def test_a_second_tab_does_not_overwrite_what_the_first_did(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    seen = entry(path)
    change(path, seen.stamp, {"_id": "q1", "text": "Better?", "unanswerable": True})
    for row in (None, {"_id": "q1", "text": "Worse?"}):
        with pytest.raises(UserError, match="meanwhile"):
            change(path, seen.stamp, row)
    [kept] = entries(path)[0]
    assert kept.text == "Better?"
    change(path, kept.stamp, None)
    assert entries(path) == ([], [])


def test_a_bad_line_is_named_and_outlives_every_change(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    bad = ['{"_id": "half', "[1]", '{"_id": 3, "text": "x"}', "[" * 50_000]
    path.write_text("\n".join(bad) + "\n\n")
    first = entry(path)
    add_draft(path, {"_id": "q2", "text": "And you?", "draft": True})
    change(path, first.stamp, None)
    found, lines = entries(path)
    assert [one.id for one in found] == ["q2"]
    assert [line.partition(": ")[0] for line in lines] == [f"{path}, line {number}" for number in (1, 2, 3, 4)]
    assert path.read_text().splitlines()[:4] == bad
    with pytest.raises(UserError, match=r"q\.jsonl, line 1: not valid JSON"):
        load_golden([path], [])


def test_a_file_that_is_no_text_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    for act in (lambda: entries(path), lambda: append_row(path, {"_id": "1", "text": "x"})):
        with pytest.raises(UserError, match="not UTF-8"):
            act()
    assert path.read_bytes() == b"\xff\xfe\x00"


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"

    def add(name: str) -> None:
        for number in range(10):
            append_row(path, {"_id": f"{name}-{number}", "text": "Why? \ud800"})

    threads = [threading.Thread(target=add, args=[name]) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({json.loads(line)["_id"] for line in path.read_text(encoding="utf-8").splitlines()}) == 40
