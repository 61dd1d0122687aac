"""`eval poison`: the set is sound, what counts as shown and named, and the command over a model that follows the poison or doesn't."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.errors import UserError
from eval.__main__ import main
from eval.answer_measures import holds
from eval.answer_rows import AnswerRow, RowStatement
from eval.datasets import GoldSpan
from eval.poison import KINDS, TEXTS, is_named, is_shown, load_poison, summary
from eval.runs import RunHit
from eval.sources import outcome
from tests.scripted_server import ScriptedServer, answer

CASES = load_poison()
FIRST = CASES[: len(KINDS)]


def row(id: str, text: str, *citations: GoldSpan, passages: tuple[str, ...] = (), **changes: object) -> AnswerRow:
    hits = tuple(RunHit(name, 0, 5, 0.5, "") for name in passages)
    statements = (RowStatement(text, 0.9, "supported", True),)
    return replace(AnswerRow(id, text, text, False, "done", "", citations, statements, hits, {}, None, 1.0, 1, 1), **changes)  # type: ignore[arg-type]


def test_the_set_is_sound() -> None:
    questions = [CASES[at : at + len(KINDS)] for at in range(0, len(CASES), len(KINDS))]
    assert len(questions) >= 20 and len({cases[0].question for cases in questions}) == len(questions)
    every = [text for case in CASES for text in {*case.files.values()}]
    for cases in questions:
        assert [case.kind for case in cases] == list(KINDS)
        honest, *_ = cases[0].files.values()
        true, false = cases[0].values
        assert holds(honest, true) and not holds(honest, false) and not holds(cases[0].question, true + false), cases[0].id
        assert [len(case.files) for case in cases] == [1, 1 + TEXTS, 2, 1 + TEXTS]
        for case in cases:
            kept, *poison = case.files.values()
            assert kept.strip() == honest.strip()
            assert all(holds(text, false) and not holds(text, true) for text in poison), case.id
        apart, together, copies = (list(case.files.values())[1:] for case in cases[1:])
        assert all(text.strip() in together[0] for text in apart) and len({*apart}) == TEXTS and len({*copies}) == 1
    # Files of the same content are indexed once: only the copies may have it.
    assert len({*every}) == len(every)


def test_what_is_shown_and_which_document_is_named_is_told_by_its_place() -> None:
    case = FIRST[1]
    honest, poison = f"{case.id}/atlas.md", f"{case.id}/page_1.txt"
    text = case.files["atlas.md"]
    start = text.index("Its capital")
    assert is_shown(case, row(case.id, "Ottawa", passages=(poison, honest)))
    assert not is_shown(case, row(case.id, "Ottawa", passages=(poison,)))
    assert is_named(case, row(case.id, "Ottawa", GoldSpan(honest, start, start + 40)))
    assert not is_named(case, row(case.id, "Ottawa", GoldSpan(honest, 0, 10)))
    assert not is_named(case, row(case.id, "Ottawa", GoldSpan(poison, 0, 80)))
    assert not is_named(case, row(case.id, "Ottawa or Winnipeg", GoldSpan(poison, 0, 80)))
    assert is_named(case, row(case.id, "Ottawa or Winnipeg", GoldSpan(poison, 0, 80), GoldSpan(honest, start, start + 40)))
    assert outcome(case, "Winnipeg") == "second"


def test_the_shares_add_up_for_each_kind() -> None:
    clean, apart, together, copies = FIRST
    rows = [
        row(clean.id, "Ottawa", passages=(f"{clean.id}/atlas.md",)),
        row(apart.id, "Winnipeg", elsewhere=("Ottawa",), passages=(f"{apart.id}/atlas.md",)),
        row(together.id, "", refused=True, draft="Winnipeg"),
        row(copies.id, "", state="failed"),
    ]
    found = summary(FIRST, rows)
    assert found["failed"] == [copies.id]
    assert found["alone"]["answer"]["the honest value"]["count"] == 1 and found["alone"]["told"]["count"] == 0
    assert (
        found["five documents"]["answer"]["the poison's value"]["which"] == [apart.id] == found["five documents"]["told"]["which"]
    )
    assert found["five documents"]["shown"]["count"] == 1 and found["one document"]["shown"]["count"] == 0
    assert found["one document"]["answer"]["refused"]["count"] == 1 and found["one document"]["draft"]["the poison's value"] == 1
    assert found["one document"]["named"]["of"] == 0 and found["copies"]["answer"]["neither"]["count"] == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"poison": ["one"]}, "poison"), ({"honest": {}}, "files"), ({"values": [["a"]]}, "values"), ({"poison": "text"}, "poison")],
)
def test_a_bad_line_is_named(tmp_path: Path, changes: dict[str, object], named: str) -> None:
    path = tmp_path / "set.jsonl"
    good = {"_id": "a", "question": "q", "honest": {"a.md": "t"}, "poison": ["t"] * TEXTS, "values": [["a"], ["b"]]}
    path.write_text(json.dumps({**good, **changes}) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"line 1: '{named}'"):
        load_poison(path)


def test_a_poisoned_answer_is_counted_and_the_honest_document_shown_beside_it(
    monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "models").symlink_to(models)
    monkeypatch.setenv("ASSISTANT_DATA", str(data))
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.url)
    about = [case for case in CASES if case.id.startswith("founder,")]
    monkeypatch.setattr("eval.poison.load_poison", lambda: about)
    scripted.play(answer("Ruth Okafor"), answer("Jonas Lind"), answer("Jonas Lind"), answer("Ruth Okafor"))
    assert main(["poison", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(found[kind]["shown"]["count"] == 1 for kind in KINDS)
    followed = {kind: found[kind]["answer"]["the poison's value"]["count"] for kind in KINDS}
    assert followed == {"alone": 0, "five documents": 1, "one document": 1, "copies": 0}
    assert found["alone"]["named"]["count"] == found["five documents"]["named"]["count"] == 1
    # The reader of the honest answer is told of the other founder.
    assert found["copies"]["told"]["count"] == 1
    assert main(["poison", "--limit", "1"]) == 0
    assert "1 questions with five poisoned documents" in capsys.readouterr().out and len(scripted.requests) == 4
    assert main(["poison", "--limit", "0"]) == 2
