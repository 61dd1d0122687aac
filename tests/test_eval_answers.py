"""`eval answers` from the command line to the kept run, with a scripted model and small sets; then its table."""

import json
import re
from functools import partial
from pathlib import Path

import pytest

import eval.answer_rows
from eval import answer_table as table_module
from eval.__main__ import main
from eval.answer_rows import code_digest
from eval.readme import put_block
from eval.runs import load_run
from tests.scripted_server import Finish, Reply, ScriptedServer, answer, error, stream
from tests.test_eval_answer_sets import task, write_lines

TEXTS = {
    "bees": "Karl von Frisch found out that honey bees dance. The dance tells direction and distance.",
    "tides": "The moon pulls the sea. Tides rise twice a day.",
    "trains": "Steam trains burned coal. The first ran in 1804.",
}
QUESTIONS = {
    "q1": ("Who found out that honey bees dance?", ["Karl von Frisch"]),
    "q2": ("What pulls the sea?", ["The moon"]),
    "q3": ("When did the first steam train run?", ["1804"]),
    "q4": ("Which colour do steam trains have?", []),
}
REPLIES = {
    "bees dance": answer("Karl von Frisch found out that honey bees dance [1]."),
    "pulls the sea": answer("The moon pulls the sea [1]."),
    "first steam": answer("NOT IN THE DOCUMENTS"),
    "colour": answer("NOT IN THE DOCUMENTS"),
}


@pytest.fixture
def data(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "models").symlink_to(models)
    monkeypatch.setenv("ASSISTANT_DATA", str(folder))
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.url)
    by_question(monkeypatch, scripted)
    return folder


def by_question(monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer, **changes: Reply) -> None:
    """Let the scripted model answer by what the question holds, whatever the order."""
    take = type(scripted).take

    def reply(request: object) -> Reply:
        take(scripted, request)  # type: ignore[arg-type]  # notes the request
        asked = request.body["messages"][-1]["content"].rpartition("Question: ")[2]  # type: ignore[attr-defined]
        replies = {**REPLIES, **{name.replace("_", " "): value for name, value in changes.items()}}
        return next(reply for part, reply in replies.items() if part in asked)

    scripted.play(answer("unused"))
    monkeypatch.setattr(scripted, "take", reply)


def small_set(folder: Path) -> Path:
    write_lines(folder / "corpus.jsonl", [{"_id": id, "text": text} for id, text in TEXTS.items()])
    write_lines(folder / "queries.jsonl", [{"_id": id, "text": text} for id, (text, _) in QUESTIONS.items()])
    write_lines(folder / "answers.jsonl", [{"_id": id, "answers": golds} for id, (_, golds) in QUESTIONS.items()])
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("q1\tbees\t1\nq2\ttides\t1\nq3\ttrains\t1\n")
    return folder


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["answers", *arguments, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_answers_are_measured_printed_and_kept(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = measured(capsys, "--data", str(small_set(tmp_path / "small")))
    measures = found["measures"]
    assert isinstance(measures, dict)
    assert (found["set"], found["questions"], found["model"]) == ("small", 4, "scripted-1")
    assert measures["good"] == 0.75 and measures["right"] == measures["answered"] == pytest.approx(2 / 3, abs=1e-4)
    assert measures["refused"] == measures["citation_recall"] == measures["citation_precision"] == measures["cites_gold"] == 1.0
    assert measures["F1_answered"] > measures["F1"] > 0 == measures["exact"]
    assert found["wrong_refusals"] == {"share": 0.3333, "low": 0.0615, "high": 0.7923, "count": 1, "of": 3}
    assert found["false_answers"] == {"share": 0.0, "low": 0.0, "high": 0.7935, "count": 0, "of": 1}
    assert isinstance(found["prompt_tokens"], int) and found["prompt_tokens"] > 50
    [path] = (data / "eval" / "runs").iterdir()
    run = load_run(path)
    assert (run.name, run.mode, run.main_measure) == (found["run"], "answers", "good")
    by_id = {question.id: question for question in run.questions}
    assert by_id["q1"].answer["answer"] == "Karl von Frisch found out that honey bees dance. [1]"
    assert by_id["q1"].answer["citations"] == ["bees[0:48]"] and by_id["q1"].answer["gold"] == ["Karl von Frisch"]
    assert by_id["q1"].relevant == (f"bees[0:{len(TEXTS['bees'])}]",) and by_id["q1"].hits[0].document == "bees"
    assert by_id["q4"].answer["refused"] and by_id["q4"].answer["kind"] == "unanswerable"


def test_a_second_run_asks_only_what_is_missing_and_fresh_asks_all(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    folder = str(small_set(tmp_path / "small"))
    measured(capsys, "--data", folder, "--limit", "2")
    assert len(scripted.requests) == 2
    first = measured(capsys, "--data", folder)
    assert len(scripted.requests) == 4
    assert measured(capsys, "--data", folder)["measures"] == first["measures"] and len(scripted.requests) == 4
    measured(capsys, "--data", folder, "--fresh")
    assert len(scripted.requests) == 8


def test_an_interrupted_run_goes_on_after_a_line_that_was_half_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    folder = str(small_set(tmp_path / "small"))
    whole = measured(capsys, "--data", folder)
    [path] = (data / "eval" / "answers").iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    assert measured(capsys, "--data", folder)["measures"] == whole["measures"]
    assert len(scripted.requests) == 5 and len(path.read_text().splitlines()) == 5  # the torn line stays, and is passed over
    assert measured(capsys, "--data", folder)["measures"] == whole["measures"] and len(scripted.requests) == 5


def test_other_settings_and_another_prompt_start_anew(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(small_set(tmp_path / "small"))
    measured(capsys, "--data", folder)
    monkeypatch.setenv("ASSISTANT_PASSAGES", "1")
    measured(capsys, "--data", folder)
    assert len(scripted.requests) == 8
    monkeypatch.setattr(eval.answer_rows, "code_digest", lambda: "another prompt")
    measured(capsys, "--data", folder)
    assert len(scripted.requests) == 12


def test_no_key_or_password_goes_into_a_file(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.url.replace("//", "//me:s3cret@"))
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret-key")
    measured(capsys, "--data", str(small_set(tmp_path / "small")))
    files = [path for folder in ("answers", "runs") for path in (data / "eval" / folder).iterdir()]
    assert len(files) == 2 and not any("s3cret" in path.read_text() for path in files)


def test_the_digest_of_the_code_changes_with_the_prompt_and_not_with_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest(prompt: str, cli: str = "") -> str:
        (tmp_path / "prompt.py").write_text(prompt)
        (tmp_path / "cli.py").write_text(cli)
        return code_digest()

    monkeypatch.setattr(eval.answer_rows, "_package", lambda: tmp_path)
    before = digest('SYSTEM = "Answer."\ndef f():\n    """Say it."""\n    return 1\n')
    assert before == digest('# why\nSYSTEM = "Answer."\ndef f():\n    """Tell it."""\n    return 1\n', "x = 1")
    assert before != digest('SYSTEM = "Answer briefly."\ndef f():\n    """Say it."""\n    return 1\n')


def test_a_failed_answer_counts_but_is_asked_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(small_set(tmp_path / "small"))
    by_question(monkeypatch, scripted, pulls_the_sea=error(400))
    found = measured(capsys, "--data", folder)
    assert found["counts"]["failed"] == 1 and found["measures"]["good"] == 0.5  # type: ignore[index]
    by_question(monkeypatch, scripted)
    assert measured(capsys, "--data", folder)["counts"]["failed"] == 0  # type: ignore[index]


def test_a_model_that_always_fails_ends_the_run_with_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_question(monkeypatch, scripted, **dict.fromkeys(("bees_dance", "pulls_the_sea", "first_steam", "colour"), error(401)))
    assert main(["answers", "--data", str(small_set(tmp_path / "small"))]) == 2
    assert "eval: The model failed at 3 questions in a row" in capsys.readouterr().err
    assert not (data / "eval" / "runs").exists()


def test_golden_questions_need_a_citation_of_their_evidence(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus"
    for id, text in TEXTS.items():
        write_lines(corpus / "x", [])
        (corpus / f"{id}.txt").write_text(text)
    (corpus / "x").unlink()
    golden = tmp_path / "golden.jsonl"
    write_lines(
        golden,
        [
            {"_id": "g1", "text": QUESTIONS["q1"][0], "answer": "Karl von Frisch", "evidence": [evidence("bees", 0)]},
            {"_id": "g2", "text": QUESTIONS["q2"][0], "answer": "the moon", "evidence": [evidence("tides", 1)]},
            {"_id": "g3", "text": QUESTIONS["q4"][0], "unanswerable": True},
        ],
    )
    monkeypatch.setenv("ASSISTANT_CORPUS", str(corpus))
    monkeypatch.setattr("eval.answer_sets.golden_files", lambda own: [golden])
    found = measured(capsys, "--corpus")
    measures = found["measures"]
    assert isinstance(measures, dict)
    assert (measures["right"], measures["right_cited"], measures["cites_gold"], measures["refused"]) == (1.0, 0.5, 0.5, 1.0)


def evidence(document: str, sentence: int) -> dict[str, str]:
    return {"document": f"{document}.txt", "quote": re.split(r"(?<=\.) ", TEXTS[document])[sentence]}


def test_dialogues_are_asked_with_the_turns_before(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_set(tmp_path / "small")
    tasks = [task("1", 1), task("1", 2, user={"text": "What pulls the sea?", "enrichments": {"Answerability": ["ANSWERABLE"]}})]
    write_lines(folder / "tasks.jsonl", tasks)
    monkeypatch.setattr("eval.answer_sets.held_back", lambda group: True)
    by_question(monkeypatch, scripted, Question_1=answer("NOT IN THE DOCUMENTS"))
    measured(capsys, "--data", str(folder))
    prompts = [request.body["messages"][-1]["content"] for request in scripted.requests]
    assert any("Q: Question 1?\nA: Answer 1." in prompt and prompt.endswith("Question: What pulls the sea?") for prompt in prompts)


@pytest.mark.parametrize("limit", ["0", "-3"])
def test_a_limit_below_one_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: str) -> None:
    assert main(["answers", "--data", str(tmp_path), "--limit", limit]) == 2
    assert "--limit" in capsys.readouterr().err


def test_two_runs_are_compared_where_both_have_the_measure(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(small_set(tmp_path / "small"))
    names = [measured(capsys, "--data", folder)["run"]]
    by_question(monkeypatch, scripted, first_steam=answer("The first ran in 1804 [1]."))
    path = next((data / "eval" / "runs").iterdir())
    path.rename(path.with_name("before.json"))
    names.append(measured(capsys, "--data", folder, "--fresh")["run"])
    assert main(["compare", "before", str(names[1]), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["questions"], found["better"], found["means"]["good"]) == (4, 1, [0.75, 1.0])
    assert found["means"]["F1_answered"][0] == found["means"]["F1_answered"][1]  # over the two that both answered
    assert main(["compare", "before", str(names[1]), "--measure", "F1_answered", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["questions"] == 2


def test_the_table_shows_full_runs_of_the_embedded_model_and_keeps_other_sets(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    readme, result = tmp_path / "README.md", tmp_path / "answers.json"
    readme.write_text("# A\n<!-- answers -->\n<!-- /answers -->\n")
    monkeypatch.setattr(table_module, "put_block", partial(put_block, readme=readme))
    measured(capsys, "--data", str(small_set(tmp_path / "small")))
    [path] = (data / "eval" / "runs").iterdir()
    assert table_module.write_answers([load_run(path)], result) == "" and not result.exists()  # another model's
    raw = json.loads(path.read_text())
    raw["settings"]["chat_model"] = "embedded"
    path.write_text(json.dumps(raw))
    shown = table_module.write_answers([load_run(path)], result)
    assert shown in readme.read_text()
    assert (
        "| small | 4, 1 unanswerable | 0.000 / " in shown and "| 1 of 3: 33 % (6 to 79) | 0 of 1: 0 % (0 to 79) | 2 of 2 |" in shown
    )
    path.write_text(json.dumps({**raw, "set": "other"}))
    assert [line.split(" | ")[0] for line in table_module.write_answers([load_run(path)], result).splitlines()[2:4]] == [
        "| other",
        "| small",
    ]
    result.write_text("{}")
    with pytest.raises(Exception, match="is damaged: delete it"):
        table_module.write_answers([load_run(path)], result)


def test_thoughts_count_as_written_tokens_and_are_no_part_of_the_draft(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(small_set(tmp_path / "small"))

    def row_of_q2() -> dict[str, object]:
        measured(capsys, "--data", folder, "--fresh")
        [path] = (data / "eval" / "answers").iterdir()
        return next(row for row in map(json.loads, path.read_text().splitlines()) if row["id"] == "q2")

    before = row_of_q2()
    by_question(monkeypatch, scripted, pulls_the_sea=stream("<think>The sun?</think>The moon pulls the sea [1].", Finish()))
    after = row_of_q2()
    assert after["draft"] == before["draft"] == "The moon pulls the sea [1]."
    assert after["answer_tokens"] > before["answer_tokens"]  # type: ignore[operator]
