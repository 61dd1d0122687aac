"""`eval sources`: what counts as following a source, and the command over a model that does or doesn't."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.errors import UserError
from eval.__main__ import main
from eval.answer_measures import holds
from eval.answer_rows import AnswerRow, RowStatement
from eval.sources import SourceCase, is_cited, is_told, load_sources, outcome, summary
from tests.scripted_server import ScriptedServer, answer, error

SWAP = SourceCase("s", "swap", {}, "q", (("Lyon",), ("Paris",)), 0)
CONFLICT = SourceCase("c", "conflict", {}, "q", (("9:30", "half past nine"), ("11:00", "eleven")), 2)


def row(id: str, *statements: RowStatement, **changes: object) -> AnswerRow:
    text = " ".join(one.text for one in statements)
    made = AnswerRow(id, text, text, False, "done", "", (), statements, (), {}, None, 1.0, 1, 1)
    return replace(made, **changes)  # type: ignore[arg-type]


def said(text: str, mark: str = "supported") -> RowStatement:
    return RowStatement(text, 0.9, mark, mark != "not found")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It opens at 9:30 [1].", "first"),
        ("Half past nine", "first"),
        ("It opens at 11.", "second"),
        ("It opens at 12.", "neither"),
        ("At 11:00 [2]", "second"),
        ("One notice says 9:30 [1], the other 11:00 [2].", "both"),
        ("It opens at 9:300.", "neither"),
        ("", "neither"),
    ],
)
def test_which_values_an_answer_gives(text: str, expected: str) -> None:
    assert outcome(CONFLICT, text) == expected


def test_a_refusal_gives_nothing_whatever_words_it_holds() -> None:
    assert outcome(SWAP, 'The documents don\'t seem to answer this question. Nowhere in them: "Lyon".', refused=True) == "refused"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([said("At 9:30.")], True),
        ([said("At 9:30.", "partly")], False),
        ([said("At 9:30.", "not found")], False),
        ([said("At 9:30."), said("Or at 11:00.")], True),
        ([said("At 9:30."), said("Or at 11:00.", "partly")], False),
        ([said("The library has a café."), said("It opens at eleven.", "not found")], False),
        ([said("The library has a café.")], False),
    ],
)
def test_each_value_given_needs_a_statement_with_a_citation(statements: list[RowStatement], expected: bool) -> None:
    assert is_cited(CONFLICT, row("c", *statements)) is expected


def test_both_values_are_told_in_the_answer_or_by_the_notice_under_it() -> None:
    assert is_told(CONFLICT, row("c", said("One says 9:30, one 11:00.")))
    assert is_told(CONFLICT, row("c", said("At 9:30."), elsewhere=("eleven",)))
    assert not is_told(CONFLICT, row("c", said("At 9:30.")))
    assert not is_told(CONFLICT, row("c", said("At 9:30."), elsewhere=("€12",)))
    assert not is_told(CONFLICT, row("c", refused=True, elsewhere=("9:30", "11:00")))


def test_the_set_is_sound() -> None:
    cases = load_sources()
    assert [sum(case.kind == kind for case in cases) for kind in ("swap", "conflict")] == [30, 25]
    for case in cases:
        texts = [f"{name} {text}" for name, text in case.files.items()]
        one, other = case.values
        assert not holds(case.question, one + other), case.id
        if case.kind == "swap":
            assert len(texts) in (1, 2) and case.newer == 0, case.id
            assert any(holds(text, one) for text in texts) and not any(holds(text, other) for text in texts), case.id
        else:
            assert len(texts) == 2, case.id
            assert [[holds(text, forms) for forms in case.values] for text in texts] == [[True, False], [False, True]], case.id
        assert outcome(case, one[0]) == "first" and outcome(case, other[0]) == "second", case.id
    assert {1, 2} <= {case.newer for case in cases}
    assert len({case.question for case in cases}) == len(cases)


def test_the_shares_add_up() -> None:
    older = replace(CONFLICT, id="older")
    cases = [SWAP, replace(SWAP, id="world"), CONFLICT, older, replace(CONFLICT, id="both"), replace(CONFLICT, id="failed")]
    rows = [
        row("s", said("Lyon.")),
        row("world", said("Paris.", "not found")),
        row("c", said("Eleven."), elsewhere=("9:30",)),
        row("older", said("At 9:30.", "partly")),
        row("both", refused=True, draft="9:30 or 11:00"),
        row("failed", state="failed"),
    ]
    found = summary(cases, rows)
    assert found["failed"] == ["failed"]
    swap, conflict = found["swap"]["answer"], found["conflict"]["answer"]
    source = swap["what the source says"]
    assert source == {**source, "count": 1, "of": 2, "share": 0.5, "which": ["s"]}
    assert source["interval"][0] < 0.5 < source["interval"][1] and source["cited"]["count"] == 1
    assert swap["what the world says"]["cited"] == {**swap["what the world says"]["cited"], "count": 0, "of": 1}
    assert {name: one["count"] for name, one in conflict.items()} == {"both values": 0, "one value": 2, "neither": 1, "refused": 1}
    assert conflict["one value"]["cited"]["which"] == ["c"] and found["conflict"]["draft"]["both values"] == 1
    assert found["conflict"]["newer"]["which"] == ["c"] and found["conflict"]["newer"]["of"] == 2
    assert found["conflict"]["told"]["which"] == ["c"] and found["conflict"]["told"]["of"] == 4


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"kind": "other"}, "kind"),
        ({"values": [["a"]]}, "values"),
        ({"values": [["a"], []]}, "values"),
        ({"newer": 3}, "newer"),
        ({"files": {}}, "files"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, changes: dict[str, object], named: str) -> None:
    path = tmp_path / "set.jsonl"
    good = {"_id": "a", "kind": "swap", "question": "q", "files": {"a.md": "t"}, "values": [["a"], ["b"]]}
    path.write_text(json.dumps({**good, **changes}) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"line 1: '{named}'"):
        load_sources(path)


# The command


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer, models: Path, tmp_path: Path) -> Path:
    """Three cases, two swaps and a conflict, and a data folder."""
    data, cases = tmp_path / "data", load_sources()
    data.mkdir()
    (data / "models").symlink_to(models)
    monkeypatch.setenv("ASSISTANT_DATA", str(data))
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.url)
    few = [*cases[:2], next(case for case in cases if case.kind == "conflict")]
    monkeypatch.setattr("eval.sources.load_sources", lambda: few)
    return data


def test_each_case_is_asked_of_its_own_documents(
    environment: Path, scripted: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted.play(
        answer("The Eiffel Tower stands in Lyon."),
        answer("Apollo 11 landed on the Moon in 1969."),
        answer("The library opens at 9:30 on weekdays. On weekdays the library opens at 11:00."),
    )
    assert main(["sources", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    swap, conflict = found["swap"]["answer"], found["conflict"]["answer"]
    assert swap["what the source says"]["which"] == ["tower"] == swap["what the source says"]["cited"]["which"]
    # The world's answer is shown, but not as the source's.
    assert swap["what the world says"]["which"] == ["moon-year"] and swap["what the world says"]["cited"]["count"] == 0
    assert conflict["both values"]["which"] == ["library-opens"] == conflict["both values"]["cited"]["which"]
    prompts = [request.messages[-1]["content"] for request in scripted.requests]
    assert "Lyon" in prompts[0] and "1974" not in prompts[0] and "Lyon" not in prompts[1]
    assert "9:30" in prompts[2] and "11:00" in prompts[2]
    assert found["conflict"]["told"]["which"] == ["library-opens"]
    # What was asked is kept, also for fewer cases.
    assert main(["sources", "--limit", "2"]) == 0
    assert len(scripted.requests) == 3 and "what the source says" in capsys.readouterr().out
    assert main(["sources", "--limit", "2", "--fresh"]) == 0
    assert len(scripted.requests) == 5


def test_a_failed_answer_is_told_and_asked_again(
    environment: Path, scripted: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted.play(answer("Lyon"), error(500))
    assert main(["sources"]) == 0
    assert "failed at moon-year, library-opens" in capsys.readouterr().out
    asked = len(scripted.requests)
    scripted.play(answer("1974"), answer("9:30"))
    assert main(["sources", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["failed"] == [] and len(scripted.requests) == asked + 2


@pytest.mark.parametrize("limit", ["0", "-1"])
def test_a_senseless_limit_is_told(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sources", "--limit", limit]) == 2
    assert "--limit" in capsys.readouterr().err
