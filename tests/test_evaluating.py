"""The evals that the page runs: on what is indexed, one at a time, making way for people, going on where they were stopped."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.answer import Assistant
from assistant.errors import UserError
from eval.golden_questions import own_questions
from eval.own_questions import append_row
from eval.retrieval import golden_dataset
from eval.runs import load_run, runs_folder
from tests.scripted_server import Finish, Pause, ScriptedServer, answer, stream
from ui.evaluating import Evaluating, Outcome

DOCUMENTS = {
    "bees.md": "# Bees\n\nHoney bees dance to show where flowers are. The waggle dance shows the direction.",
    "sub/tides.md": "# Tides\n\nThe moon pulls the sea, and the tide rises twice a day.",
    "z.txt": "Steam trains burned coal for more than a hundred years.",
}


@pytest.fixture
def own(assistant: Assistant) -> Path:
    path = own_questions(assistant.settings)
    path.unlink(missing_ok=True)
    for id, text, document, quote in (
        ("q1", "Why do bees dance?", "bees.md", "Honey bees dance to show where flowers are."),
        ("q2", "What pulls the sea?", "sub/tides.md", "The moon pulls the sea"),
        ("q3", "What did trains burn?", "z.txt", "Steam trains burned coal"),
    ):
        append_row(path, {"_id": id, "text": text, "evidence": [{"document": document, "quote": quote}], "answer": quote})
    return path


def until(done: Callable[[], object]) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def finished(evaluating: Evaluating) -> Outcome:
    until(lambda: evaluating.running is None and evaluating.last)
    assert evaluating.last is not None
    return evaluating.last


def test_search_is_measured_on_what_is_indexed_as_the_command_line_does(assistant: Assistant, own: Path) -> None:
    evaluating = Evaluating(assistant)
    evaluating.start("search")
    outcome = finished(evaluating)
    run = load_run(runs_folder(assistant.settings) / f"{outcome.run}.json")
    assert (outcome.problem, run.set, run.mode, len(run.questions)) == ("", "corpus", "full", 3)
    assert run.questions[0].expected == ("Honey bees dance to show where flowers are.",) and run.measures["recall"] == 1
    assert run.data == golden_dataset(assistant.settings).data  # so that runs of both can be compared


def test_nothing_to_ask_and_a_bad_line_are_told_in_one_line(assistant: Assistant, own: Path) -> None:
    evaluating = Evaluating(assistant)
    own.write_text('{"_id": "q1"\n')
    evaluating.start("search")
    assert finished(evaluating).problem.startswith(f"{own}, line 1: not valid JSON")
    own.unlink()
    evaluating.start("answers")
    assert "No question in" in finished(evaluating).problem


def test_answers_are_stopped_at_once_and_gone_on_with(assistant: Assistant, scripted: ScriptedServer, own: Path) -> None:
    evaluating = Evaluating(assistant)
    scripted.play(answer("Steam trains burned coal [1]."), stream("Slowly", Pause(60), Finish()))
    evaluating.start("answers")
    with pytest.raises(UserError, match="runs already"):
        evaluating.start("search")
    until(lambda: len(scripted.requests) == 2)
    evaluating.stop()
    outcome = finished(evaluating)
    assert outcome.run == "" and outcome.stopped.startswith("Stopped after 1 of 3 answers: they are kept")
    scripted.play(answer("The moon pulls the sea [1]."))
    evaluating.start("answers")
    run = load_run(runs_folder(assistant.settings) / f"{finished(evaluating).run}.json")
    assert len(run.questions) == 3 and len(scripted.requests) == 4  # the first was not asked again
    told = {question.answer["answer"] for question in run.questions}
    assert any("burned coal" in text for text in told) and any("moon pulls" in text for text in told)
    assert all(isinstance(question.answer["quotes"], list) and question.expected for question in run.questions)
    evaluating.start("answers", fresh=True)
    finished(evaluating)
    assert len(scripted.requests) == 7


def test_who_asks_is_answered_first_and_the_question_left_off_is_asked_again(
    assistant: Assistant, scripted: ScriptedServer, own: Path
) -> None:
    evaluating = Evaluating(assistant)
    scripted.play(
        stream("Slowly", Pause(60), Finish()),  # of the eval, left off
        stream("Honey bees dance ", Pause(1), "to show where flowers are [1].", Finish()),  # of who asks
        answer("The moon pulls the sea [1]."),
    )
    evaluating.start("answers", fresh=True)
    until(lambda: len(scripted.requests) == 1)
    shown = [""]

    def ask() -> None:
        for snapshot in assistant.ask("Why do honey bees dance?"):
            shown[0] = snapshot.text

    person = threading.Thread(target=ask)
    person.start()
    until(lambda: evaluating.running and evaluating.running.waiting)
    assert person.is_alive()
    person.join(30)
    assert "bees dance" in shown[0]
    run = load_run(runs_folder(assistant.settings) / f"{finished(evaluating).run}.json")
    assert len(run.questions) == 3 and len(scripted.requests) == 5
    assert all(question.answer["seconds"] < 5 for question in run.questions)  # what was left off doesn't count


def test_the_end_of_the_server_ends_an_eval(assistant: Assistant, scripted: ScriptedServer, own: Path) -> None:
    evaluating = Evaluating(assistant)
    scripted.play(stream("Slowly", Pause(60), Finish()))
    evaluating.start("answers", fresh=True)
    until(lambda: len(scripted.requests) == 1)
    evaluating.close(10)
    assert evaluating.running is None and evaluating.last is not None
    assert evaluating.last.stopped == "Stopped before the first answer."


def test_a_failing_model_is_told(assistant: Assistant, scripted: ScriptedServer, own: Path) -> None:
    from tests.scripted_server import error

    evaluating = Evaluating(assistant)
    scripted.play(error(500))
    evaluating.start("answers", fresh=True)
    assert "failed at 3 questions in a row" in finished(evaluating).problem
    assert json.dumps(finished(evaluating).notes) == "[]"
