"""The README's table of retrieval quality is written from stored runs, the newest of each set."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from assistant.errors import UserError
from eval import table as command
from eval.__main__ import main
from eval.readme import README, put_block
from eval.runs import Run, RunHit, RunQuestion, save_run
from eval.table import RESULT, load_result, merged, summaries, table

SECRET = "a question under a licence"
RUN = Run(
    set="scifact",
    data="abc",
    mode="full",
    k=10,
    date="2026-11-24T10:00:00+00:00",
    seconds=1.5,
    settings={"embedding_model": "all-MiniLM-L6-v2", "median_seconds": 0.02, "machine": "a laptop"},
    models={"embedding": {"name": "all-MiniLM-L6-v2", "fingerprint": "0123"}},
    versions={"chunking": "1"},
    measures={"nDCG@10": 0.74449, "recall@5": 0.8},
    unknown_qrels=0,
    questions=(RunQuestion("q1", SECRET, {"nDCG@10": 0.5}, ("d1",), (RunHit("d1", 0, 5, 0.9, SECRET),)),),
)


def at(hour: int, figure: float, **changes: object) -> Run:
    """A run at that hour with nDCG@10 of `figure`."""
    changed: Mapping[str, object] = {"date": f"2026-11-24T{hour:02d}:00:00+00:00", "measures": {"nDCG@10": figure}, **changes}
    return replace(RUN, **changed)  # type: ignore[arg-type]


def cells(runs: list[Run]) -> list[list[str]]:
    """The cells of the table's rows that `runs`, oldest first, give."""
    lines = table({"sets": merged([], summaries(runs))}).split("\n")
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2 : lines.index("")]]


def test_the_newest_run_of_each_mode_is_shown_beside_the_default() -> None:
    runs = [at(10, 0.1), at(11, 0.744), at(12, 0.61, mode="dense"), at(13, 0.6549, mode="dense"), at(9, 0.72, mode="hybrid")]
    assert cells(runs) == [["scifact", "1 claims", "nDCG@10", "0.655", "", "0.720", "0.744", "0.755"]]


@pytest.mark.parametrize(
    "other",
    [
        {"data": "other documents"},
        {"queries": "other_questions"},
        {"models": {"embedding": {"name": "large", "fingerprint": "9"}}},
        {"k": 20},
        {"set": "elsewhere"},
    ],
)
def test_a_mode_that_was_run_on_something_else_is_not_put_beside(other: dict[str, object]) -> None:
    (row,) = cells([at(10, 0.7), at(11, 0.9, mode="dense", **other)])
    assert row[3:7] == ["", "", "", "0.700"]


def test_spans_are_shown_as_recall_and_iou_in_per_cent() -> None:
    run = at(10, 0, set="chroma_chunking", k=5, measures={"recall": 0.8249, "precision": 0.05, "IoU": 0.0351})
    assert cells([run]) == [["chroma_chunking", "1", "recall / IoU, %", "", "", "", "82.5 / 3.5", "90 / 8"]]


def test_other_questions_for_the_same_documents_are_a_row_of_their_own_in_the_order_of_the_goals() -> None:
    names = [("mine", ""), ("mtrag_clapnq", "queries_questions"), ("mtrag_clapnq", "queries_rewrite"), ("scifact", "")]
    rows = cells([at(10, 0.5, set=set, queries=queries) for set, queries in names])
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("scifact", "1 claims", "0.755"),
        ("mtrag_clapnq", "1 rewrites, pooled passages", "0.51"),
        ("mtrag_clapnq", "1 last turns with history, pooled passages", "0.49"),
        ("mine", "1", ""),
    ]


def test_runs_with_other_settings_don_t_take_the_place_of_the_default_ones() -> None:
    assert cells([at(10, 0.7), at(11, 0.9, k=20), at(12, 0.9, settings={"reranker": "large"})])[0][6] == "0.700"
    assert summaries([at(10, 0.7, k=5)]) == []


def test_a_set_without_a_newer_run_stays() -> None:
    stored = summaries([at(10, 0.7), at(10, 0.6, mode="dense"), at(10, 0.9, set="xquad_en")])
    (newer,) = (each for each in merged(stored, summaries([at(11, 0.8)])) if each["set"] == "scifact")
    assert {mode: each["measures"]["nDCG@10"] for mode, each in newer["modes"].items()} == {"dense": 0.6, "full": 0.8}
    assert [each["set"] for each in merged(stored, [])] == ["scifact", "xquad_en"]
    older = merged(stored, summaries([at(9, 0.1)]))
    assert older == merged(stored, [])


def test_modes_of_other_documents_than_the_newest_run_s_are_dropped() -> None:
    stored = summaries([at(10, 0.7), at(10, 0.6, mode="dense")])
    (newer,) = merged(stored, summaries([at(11, 0.8, data="changed")]))
    assert list(newer["modes"]) == ["full"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a README that the command writes to, and its stored result."""
    readme = tmp_path / "README.md"
    readme.write_text("# Mine\n<!-- retrieval -->\n<!-- /retrieval -->\n")
    monkeypatch.setattr(command, "RESULT", tmp_path / "retrieval.json")
    monkeypatch.setattr(command, "put_block", partial(put_block, readme=readme))
    return tmp_path


def test_the_command_writes_the_figures_and_never_the_questions(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_run(RUN, here / "runs")
    assert main(["table", "--runs", str(here / "runs")]) == 0
    readme, stored = (here / "README.md").read_text(), (here / "retrieval.json").read_text()
    assert "| 0.744 | 0.755 |" in readme and "a laptop" in readme and "2026-11-24" in readme
    assert readme.startswith("# Mine\n<!-- retrieval -->\n|")
    assert capsys.readouterr().out in readme
    assert SECRET not in readme + stored
    assert load_result(here / "retrieval.json")[0]["modes"]["full"]["measures"] == {"nDCG@10": 0.74449, "recall@5": 0.8}


def test_without_runs_it_says_how_to_make_them(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "--runs", str(here / "none")]) == 2
    assert "eval retrieval --data DIR" in capsys.readouterr().err
    assert not (here / "retrieval.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sets": [1]}', '{"sets": [{"set": "a"}]}', '{"sets": 3}'])
def test_a_damaged_result_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "retrieval.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"retrieval\.json is damaged"):
        load_result(path)


def test_the_readme_shows_the_stored_figures() -> None:
    assert table(json.loads(RESULT.read_text(encoding="utf-8"))) in README.read_text(encoding="utf-8")
