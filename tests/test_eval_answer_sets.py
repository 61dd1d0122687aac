"""Sets of questions with answers: the halves, the order, and bad files."""

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.errors import UserError
from assistant.turns import Turn
from eval.answer_sets import held_back, load_answer_set
from eval.datasets import GoldSpan
from tests.conftest import ROOT

SHARED = ROOT.parent / "shared" / "data"
ARTICLES = ("Bees", "Tides", "Bread", "Trains", "Rivers", "Ships", "Clocks", "Glass")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_set(folder: Path, answers: list[dict[str, Any]] | None = None) -> Path:
    """Write a set with three answerable questions and one unanswerable about each article."""
    ids = [(article, number) for article in ARTICLES for number in range(4)]
    write_lines(folder / "corpus.jsonl", [{"_id": f"{article}_0", "text": f"{article} are old."} for article in ARTICLES])
    write_lines(folder / "queries.jsonl", [{"_id": f"{article}-{n}", "text": f"How old are {article}, {n}?"} for article, n in ids])
    made = [
        {"_id": f"{article}-{n}", "answers": [] if n == 3 else ["old"], "unanswerable": n == 3, "doc": f"{article}_0"}
        for article, n in ids
    ]
    write_lines(folder / "answers.jsonl", made if answers is None else answers)
    judged = "".join(f"{article}-{n}\t{article}_0\t1\n" for article, n in ids if n < 3)
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(judged)
    return folder


def task(conversation: str, turn: int, answerability: str = "ANSWERABLE", **more: object) -> dict[str, Any]:
    return {
        "task_id": f"{conversation}<::>{turn}",
        "conversation_id": conversation,
        "turn_id": turn,
        "user": {"text": f"Question {turn}?", "enrichments": {"Answerability": [answerability]}},
        "agent": {"text": f"Answer {turn}."},
        **more,
    }


def test_the_halves_share_no_article_and_hold_all_questions(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    measuring, fitting = load_answer_set(folder), load_answer_set(folder, "fitting")
    articles = [{question.id.split("-")[0] for question in half.questions} for half in (measuring, fitting)]
    assert articles == [{a for a in ARTICLES if held_back(a)}, {a for a in ARTICLES if not held_back(a)}]
    assert all(articles) and len(measuring.questions) + len(fitting.questions) == 4 * len(ARTICLES)
    assert measuring.data != fitting.data and measuring.dataset.digest == fitting.dataset.digest
    assert measuring.notes == (
        f"{len(fitting.questions)} questions are left for fitting the refusal threshold (python -m eval abstain)",
    )


def test_the_order_is_fixed_and_takes_both_kinds_in_turn(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    kinds = [question.kind for question in load_answer_set(folder).questions]
    unanswerable = kinds.count("unanswerable")
    assert kinds[: 2 * unanswerable] == ["answerable", "unanswerable"] * unanswerable
    ids = [question.id for question in load_answer_set(folder).questions]
    lines = (folder / "answers.jsonl").read_text().splitlines()
    (folder / "answers.jsonl").write_text("\n".join(reversed(lines)))
    assert [question.id for question in load_answer_set(folder).questions] == ids


def test_evidence_is_the_judged_document_and_none_where_there_is_no_answer(tmp_path: Path) -> None:
    for question in load_answer_set(write_set(tmp_path / "set")).questions:
        article = question.id.split("-")[0]
        expected = () if question.kind == "unanswerable" else (GoldSpan(f"{article}_0", 0, len(f"{article} are old.")),)
        assert question.evidence == expected and question.golds == (() if question.kind == "unanswerable" else ("old",))


def test_a_set_without_articles_is_measured_whole(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", [{"_id": f"{article}-0", "answers": ["old", "old", "aged"]} for article in ARTICLES])
    found = load_answer_set(folder)
    assert len(found.questions) == len(ARTICLES) and found.questions[0].golds == ("old", "aged") and not found.notes
    with pytest.raises(UserError, match="no questions with answers in this half"):
        load_answer_set(folder, "fitting")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"_id": "Bees-0", "answers": []}, ""),
        ({"_id": "Bees-0", "answers": "old"}, "line 1: 'answers' must be a list of texts"),
        ({"_id": "Bees-0", "answers": [1]}, "line 1: 'answers' must be a list of texts"),
        ({"_id": "Bees-0", "answers": ["old"], "unanswerable": True}, "line 1: either 'answers' with at least one text"),
        ({"_id": "Bees-0", "answers": [], "unanswerable": False}, "line 1: either 'answers' with at least one text"),
        ({"_id": "Bees-0", "answers": ["old"], "unanswerable": "no"}, "line 1: either 'answers' with at least one text"),
        ({"answers": ["old"]}, "line 1: '_id' must be a text"),
    ],
)
def test_a_bad_line_of_answers_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    folder = write_set(tmp_path / "set", [row])
    if not message:
        assert load_answer_set(folder).questions[0].kind == "unanswerable"
        return
    with pytest.raises(UserError, match=message):
        load_answer_set(folder)


def test_a_set_without_answers_is_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    (folder / "answers.jsonl").unlink()
    with pytest.raises(UserError, match=r"no answers\.jsonl, tasks\.jsonl or questions\.jsonl"):
        load_answer_set(folder)


def test_dialogues_give_each_turn_those_before_it(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    kept = next(name for name in map(str, range(99)) if held_back(name))
    left = next(name for name in map(str, range(99)) if not held_back(name))
    tasks = [task(kept, 3, "UNANSWERABLE"), task(kept, 1), task(left, 1), task(kept, 2, "PARTIAL")]
    write_lines(folder / "tasks.jsonl", tasks)
    by_id = {question.id: question for question in load_answer_set(folder).questions}
    assert {id: question.kind for id, question in by_id.items()} == {
        f"{kept}<::>1": "answerable",
        f"{kept}<::>2": "partial",
        f"{kept}<::>3": "unanswerable",
    }
    assert by_id[f"{kept}<::>3"].turns == (Turn("Question 1?", "Answer 1."), Turn("Question 2?", "Answer 2."))
    assert by_id[f"{kept}<::>1"].turns == () and by_id[f"{kept}<::>1"].golds == ("Answer 1.",)
    assert [question.id for question in load_answer_set(folder, "fitting").questions] == [f"{left}<::>1"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"task_id": "1"}, "line 2: task_id, conversation_id"),
        (task("7", 1, "MAYBE"), "line 2: the answerability 'maybe'"),
        (task("7", 2, user={"text": "x", "enrichments": {"Answerability": []}}), "line 2: task_id, conversation_id"),
        (task("7", 2, user=None), "line 2: task_id, conversation_id"),
        (task("1", 1), "line 2: the task_id '1<::>1' was used already"),
    ],
)
def test_a_bad_dialogue_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    folder = write_set(tmp_path / "set")
    write_lines(folder / "tasks.jsonl", [task("1", 1), row])
    with pytest.raises(UserError, match=message):
        load_answer_set(folder)


@pytest.mark.skipif(not (SHARED / "squad_v2_dev").is_dir(), reason="the shared data sets are not here")
def test_the_sample_of_squad_has_as_many_of_each_kind() -> None:
    found = load_answer_set(SHARED / "squad_v2_dev")
    kinds = [question.kind for question in found.questions[: found.sample]]
    assert (kinds.count("answerable"), kinds.count("unanswerable")) == (100, 100)


@pytest.mark.skipif(not (SHARED / "mtrag_clapnq").is_dir(), reason="the shared data sets are not here")
def test_the_sample_of_mtrag_holds_every_unanswerable_turn_of_its_half() -> None:
    found = load_answer_set(SHARED / "mtrag_clapnq")
    kinds = [question.kind for question in found.questions]
    assert kinds[: found.sample].count("unanswerable") == kinds.count("unanswerable") > 0
    assert any(question.turns for question in found.questions[:10])


def test_half_of_the_questions_with_gold_spans_lose_them_and_have_no_answer(tmp_path: Path) -> None:
    sentences = [f"The {animal} of house {number} is {number + 20} years old." for number, animal in enumerate(ARTICLES)]
    rows = []
    for name in ("first", "second", "third", "fourth"):
        text = "\n\n".join(sentences)
        (tmp_path / "corpora").mkdir(exist_ok=True)
        (tmp_path / "corpora" / f"{name}.md").write_text(text, encoding="utf-8")
        for number, sentence in enumerate(sentences):
            start = text.index(sentence)
            span = {"content": sentence, "start_index": start, "end_index": start + len(sentence)}
            rows.append({"_id": f"{name}-{number}", "text": f"How old? {number}", "corpus_id": name, "references": [span]})
    write_lines(tmp_path / "questions.jsonl", rows)
    halves = [load_answer_set(tmp_path), load_answer_set(tmp_path, "fitting")]
    texts = {document.id: document.text for document in halves[0].dataset.documents}
    asked = [question for half in halves for question in half.questions]
    assert len(asked) == len(rows) and {question.kind for question in asked} == {"answerable", "unanswerable"}
    for question in asked:
        name, _, place = question.id.partition("-")
        sentence = sentences[int(place)]
        there = sentence in texts[f"{name}.md"]
        assert there == (question.kind == "answerable") == bool(question.evidence)
        assert all(texts[span.document][span.start : span.end] == sentence for span in question.evidence)
    assert {len(text) for text in texts.values()} == {len("\n\n".join(sentences))}
