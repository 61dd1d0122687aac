"""`eval abstain`: thresholds on cases worked out by hand, and the command on a small set with a scripted model."""

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.abstention import TOLD, WEIGHED, Fitted, decide, load_fitted
from assistant.errors import UserError
from eval import abstain as command
from eval.__main__ import main
from eval.abstain import MOST_WRONG, Case, fit, rates, threshold
from tests.scripted_server import ScriptedServer, answer
from tests.test_eval_answer_sets import write_set
from tests.test_eval_answers import by_question, data

__all__ = ["data"]  # a fixture

BY_SUPPORT = Fitted({"support": 4.0}, -2.0, {"strict": 0.6, "balanced": 0.4})


def case(support: float, answerable: bool, refused: bool = False, refusing: float = 0.0) -> Case:
    return Case({"support": support, "refused": float(refused), "refusing": refusing}, answerable)


def test_a_threshold_refuses_as_many_answerable_ones_as_allowed_and_no_more() -> None:
    cases = [case(number / 20, True) for number in range(6, 16)] + [case(0.42, False)]

    def wrong(most: float) -> int:
        at = Fitted(BY_SUPPORT.weights, BY_SUPPORT.bias, {"balanced": threshold(cases, BY_SUPPORT, most)})
        return sum(decide(each.features, "balanced", at) for each in cases if each.answerable)

    assert [wrong(most) for most in (0.0, 0.1, 0.2, 0.55)] == [0, 1, 2, 5]


def test_what_the_model_refuses_by_itself_counts_as_refused() -> None:
    cases = [case(1.0, True, refused=True), case(0.9, True), case(0.5, False)]
    assert threshold(cases, BY_SUPPORT, 0.2) == 0.0  # half are refused already
    found = rates(cases, BY_SUPPORT)
    assert found["off"]["wrong_refusals"] == {"share": 0.5, "low": 0.0945, "high": 0.9055, "count": 1, "of": 2}
    assert found["off"]["false_answers"]["count"] == 1 and found["strict"]["false_answers"]["count"] == 0


def test_the_fit_finds_the_feature_that_tells_and_orders_the_levels() -> None:
    noise = [(-1) ** number / 2 for number in range(50)]  # as often with an answer as without
    cases = [case(0.5 + number / 100, True, refusing=refusing) for number, refusing in enumerate(noise)]
    cases += [case(0.6 - number / 100, False, refusing=refusing) for number, refusing in enumerate(noise)]
    fitted = fit([cases], TOLD)
    assert fitted.weights["support"] > 1 and abs(fitted.weights["refusing"]) < 0.1
    assert fitted.thresholds["balanced"] < fitted.thresholds["strict"]
    found = rates(cases, fitted)
    assert all(0 <= most - found[level]["wrong_refusals"]["share"] < 0.03 for level, most in MOST_WRONG.items())
    assert found["strict"]["false_answers"]["share"] <= found["balanced"]["false_answers"]["share"] < 0.2


def test_drafts_of_one_kind_cannot_be_fitted() -> None:
    with pytest.raises(UserError, match="All 2 drafts are of one kind"):
        fit([[case(0.5, True), case(0.6, True), case(0.6, False, refused=True)]], WEIGHED)


def test_the_command_fits_on_one_half_and_reports_on_the_other(
    data: Path,
    tmp_path: Path,
    scripted: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, written = write_set(tmp_path / "set"), tmp_path / "abstention.json"
    monkeypatch.setattr(command, "FITTED", written)
    replies: dict[str, Any] = {f", {n}?": answer("They are old [1].") for n in range(3)}
    by_question(monkeypatch, scripted, **replies, **{", 3?": answer("They cost 50 dollars.")})
    assert main(["abstain", "--data", str(folder), "--fit", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    fitted = load_fitted(False, written)
    assert fitted.weights["support"] > 0
    stored = json.loads(written.read_text())
    assert stored["untold"]["error_rates"] == found
    halves = stored["fitted"]["questions"]["set"], found["set"]["off"]["wrong_refusals"]["of"] * 4 // 3
    assert sum(halves) == 32 and all(halves)
    assert found["set"]["balanced"]["wrong_refusals"]["count"] == found["set"]["balanced"]["false_answers"]["count"] == 0
    assert found["set"]["off"]["false_answers"]["share"] == 1.0
    asked = len(scripted.requests)
    assert main(["abstain", "--data", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "weights: support" in out and "wrong refusals: " in out and len(scripted.requests) == asked


@pytest.mark.parametrize("arguments", [[], ["--fit"], ["--fit", "--corpus"], ["--data", "x", "--limit", "0"]])
def test_a_call_without_a_set_or_with_no_questions_is_refused(data: Path, arguments: list[str]) -> None:
    assert main(["abstain", *arguments]) == 2
