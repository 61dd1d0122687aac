"""Judged claims are read, the weights fitted on one half of them and measured on the other."""

import importlib.util
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from assistant.errors import UserError
from assistant.support import Features, PhraseFeatures, probability
from assistant.support_weights import PHRASE, STATEMENT, Fitted
from eval.__main__ import main
from eval.claims import load_claims
from eval.fitting import Sample, auroc, balanced_accuracy, calibration_error, fit, write_weights
from eval.grounding import RESULT, table
from tests.conftest import ROOT

BEES = "Honey bees dance to show where flowers are. Bees sleep in winter. A queen lays two thousand eggs a day."


def write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def qags(folder: Path, *claims: tuple[str, str, object]) -> Path:
    rows = [{"_id": id, "doc": BEES, "claim": claim, "label": label} for id, claim, label in claims]
    write_lines(folder / "qags" / "claims_cnndm.jsonl", rows)
    return folder


def test_each_set_becomes_claims_with_their_article(tmp_path: Path) -> None:
    qags(tmp_path, ("cnndm-0-0", "Bees dance.", 1), ("cnndm-3-1", "Bees sing.", 0))
    write_lines(tmp_path / "scifact" / "corpus.jsonl", [{"_id": "7", "title": "Bees", "text": BEES}])
    evidence = [{"doc": "7", "label": "SUPPORT"}]
    write_lines(
        tmp_path / "scifact" / "claims.jsonl",
        [
            {"_id": "1", "claim": "Bees dance.", "evidence": evidence, "cited_doc_ids": ["7"]},
            {"_id": "2", "claim": "Bees read.", "evidence": [], "cited_doc_ids": ["7", "8"]},
        ],
    )
    squad = tmp_path / "squad_v2_dev"
    write_lines(squad / "corpus.jsonl", [{"_id": "Bee_0", "text": BEES}])
    write_lines(
        squad / "queries.jsonl",
        [{"_id": "a", "text": "When do bees sleep?"}, {"_id": "b", "text": "How many eggs does a queen lay?"}],
    )
    write_lines(
        squad / "answers.jsonl",
        [{"_id": "a", "answers": ["in winter"], "doc": "Bee_0"}, {"_id": "b", "answers": ["two thousand"], "doc": "Bee_0"}],
    )
    found = {(claim.set, claim.group, claim.text, claim.true) for claim in load_claims(tmp_path)}
    assert found == {
        ("qags_cnndm", 0, "Bees dance.", True),
        ("qags_cnndm", 3, "Bees sing.", False),
        ("scifact", 1, "Bees dance.", True),
        ("scifact", 2, "Bees read.", False),
        ("squad_phrases", 0, "in winter", True),
        ("squad_phrases", 0, "two thousand", True),
        ("squad_phrases", 0, "two thousand", False),
        ("squad_phrases", 0, "in winter", False),
    }
    assert [claim.fitting for claim in load_claims(tmp_path)][:2] == [True, False]


@pytest.mark.parametrize(("id", "label"), [("cnndm", 1), ("cnndm-x-1", 1), ("cnndm-1-1", "yes"), ("cnndm-1-1", 2)])
def test_a_bad_line_is_named(tmp_path: Path, id: str, label: object) -> None:
    with pytest.raises(UserError, match=r"claims_cnndm\.jsonl, line 1"):
        load_claims(qags(tmp_path, (id, "Bees dance.", label)))


def test_a_folder_without_sets_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grounding", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_measures_of_a_judge() -> None:
    true = [True, True, False, False]
    assert balanced_accuracy(true, [True, False, False, False]) == 0.75
    assert auroc(true, [0.9, 0.4, 0.4, 0.1]) == 0.875
    assert calibration_error(true, [1.0, 1.0, 0.0, 0.0]) == 0.0
    assert calibration_error(true, [0.75] * 4) == 0.25
    assert math.isnan(balanced_accuracy([True], [True])) and math.isnan(auroc([False], [0.5]))


def test_fitting_finds_what_separates_and_its_thresholds() -> None:
    generator = np.random.default_rng(1)
    samples = []
    for number in range(200):
        true = number % 2 == 0
        samples.append(Sample((float(generator.normal(2.0 * true, 0.5)), float(generator.normal())), true, "one", str(number)))
    model = fit(samples, {"one": (1.0, 0.5)}, ["one"], ["one"])
    assert model.weights[0] > 10 * abs(model.weights[1])
    right = [(probability(sample.features, model.weights) >= model.supported) == sample.true for sample in samples]
    assert sum(right) > 190 and 0 < model.partly < model.supported < 1
    assert fit(samples, {"one": (1.0, 0.5)}, ["one"], []).partly < model.supported


def test_weights_are_written_as_code_that_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "weights.py"
    path.write_text((ROOT / "assistant" / "support_weights.py").read_text(encoding="utf-8"), encoding="utf-8")
    model = Fitted((0.5, -1.25), 0.75, 0.25)
    write_weights({"STATEMENT": (model, ("cosine",), ["a line"])}, path)
    spec = importlib.util.spec_from_file_location("weights", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert model == module.STATEMENT and not hasattr(module, "PHRASE")


def test_the_weights_in_the_code_fit_the_features() -> None:
    assert len(STATEMENT.weights) == len(Features._fields) + 1
    assert len(PHRASE.weights) == len(PhraseFeatures._fields) + 1


def test_the_command_measures_what_no_weight_was_fitted_on(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(models)
    monkeypatch.setenv("ASSISTANT_DATA", str(tmp_path / "data"))
    folder = qags(
        tmp_path / "sets",
        ("cnndm-0-0", "Bees fly.", 1),
        ("cnndm-1-0", "Honey bees dance to show where flowers are.", 1),
        ("cnndm-1-1", "A queen lays nine thousand eggs a day.", 0),
        ("cnndm-3-0", "Bears sleep in caves.", 0),
    )
    assert main(["grounding", "--data", str(folder), "--json", "--no-save"]) == 0
    found = json.loads(capsys.readouterr().out)["sets"]["qags_cnndm"]
    assert (found["claims"], found["true"], found["balanced_accuracy_supported"], found["false_supported"]) == (3, 1, 1.0, 0.0)


def test_the_readme_shows_the_stored_figures() -> None:
    assert table(json.loads(RESULT.read_text(encoding="utf-8"))) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_stored_figures_reach_the_goal() -> None:
    assert json.loads(RESULT.read_text(encoding="utf-8"))["sets"]["qags_cnndm"]["balanced_accuracy_supported"] >= 0.75
