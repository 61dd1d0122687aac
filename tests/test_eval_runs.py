"""Runs of an eval are kept whole and found again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.errors import UserError
from eval.datasets import load_dataset
from eval.runs import Run, RunHit, RunQuestion, find_run, load_run, save_run, stored_runs

RUN = Run(
    set="my set/été",
    data="abc",
    mode="full",
    k=10,
    date="2026-11-24T10:20:30+00:00",
    seconds=1.5,
    settings={"embedding_model": "all-MiniLM-L6-v2"},
    models={"embedding": {"name": "all-MiniLM-L6-v2", "fingerprint": "0123"}},
    versions={"chunking": "1"},
    measures={"nDCG@10": 0.5},
    unknown_qrels=2,
    questions=(RunQuestion("q1", "Wer? \u2028", {"nDCG@10": 0.5}, ("d1",), (RunHit("d1", 0, 5, 0.9, "text"),)),),
)


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    path = save_run(RUN, tmp_path)
    assert load_run(path) == RUN
    assert path.stem == RUN.name == "my-set-t--full-20261124-102030"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_runs_with_other_questions_have_names_of_their_own(tmp_path: Path) -> None:
    other = replace(RUN, queries="queries_rewrite")
    assert save_run(other, tmp_path) != save_run(RUN, tmp_path)
    assert other.name == "my-set-t--queries_rewrite-full-20261124-102030"
    assert {run.queries for run in stored_runs(tmp_path)} == {"", "queries_rewrite"}


def test_a_run_from_before_there_was_the_field_is_read(tmp_path: Path) -> None:
    path = save_run(RUN, tmp_path)
    raw = json.loads(path.read_text(encoding="utf-8"))
    del raw["queries"]
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert load_run(path) == RUN


def test_runs_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    path = save_run(RUN, tmp_path)
    assert find_run(RUN.name, tmp_path) == find_run(f"{RUN.name}.json", tmp_path) == find_run(str(path), tmp_path) == RUN


def test_runs_are_listed_by_date_and_foreign_files_passed_over(tmp_path: Path) -> None:
    older = replace(RUN, set="zzz", date="2025-01-01T00:00:00+00:00")
    save_run(RUN, tmp_path)
    save_run(older, tmp_path)
    (tmp_path / "other.json").write_text("[1]")
    assert [run.set for run in stored_runs(tmp_path)] == ["zzz", RUN.set]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"set": 1}', "\x00"])
def test_a_file_that_is_no_run_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"x\.json is not a run"):
        find_run(str(path), tmp_path)


def test_an_unknown_name_tells_which_there_are(tmp_path: Path) -> None:
    save_run(RUN, tmp_path)
    with pytest.raises(UserError, match=RUN.name):
        find_run("nothing", tmp_path)


def test_a_set_knows_when_other_questions_than_its_own_were_asked(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "a", "text": "Bread rises."}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t1\n")
    for name in ("queries.jsonl", "queries_other.jsonl"):
        (folder / name).write_text('{"_id": "1", "text": "What rises?"}\n')
    assert [load_dataset(folder).queries, load_dataset(folder, Path("queries.jsonl")).queries] == ["", ""]
    assert load_dataset(folder, Path("queries_other.jsonl")).queries == "queries_other"
    assert load_dataset(folder, folder / "queries_other.jsonl").queries == "queries_other"
