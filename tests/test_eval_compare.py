"""Two runs are compared question by question, and chance is told from change."""

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.chunking import Chunk
from assistant.errors import UserError
from assistant.retrieval import Hit
from eval.__main__ import main
from eval.bootstrap import RESAMPLES, paired_bootstrap
from eval.comparison import compare, differences, rank
from eval.retrieval import _kept
from eval.runs import Run, RunHit, RunQuestion, save_run


def question(id: str, value: float, hits: Sequence[RunHit] = (), relevant: tuple[str, ...] = ("d1",), **more: float) -> RunQuestion:
    return RunQuestion(id, f"What is {id}?", {"nDCG@10": value, "recall@5": 0.5, **more}, relevant, tuple(hits))


def run_of(values: Mapping[str, float] | Sequence[RunQuestion], **changes: object) -> Run:
    questions = tuple(values) if not isinstance(values, Mapping) else tuple(question(id, value) for id, value in values.items())
    names = questions[0].measures if questions else {"nDCG@10": 0.0}
    run = Run(
        set="lighthouses",
        data="abc",
        mode="full",
        k=10,
        date="2026-11-24T10:20:30+00:00",
        seconds=1.0,
        settings={"embedding_model": "small", "fusion": {"dense": 0.3}},
        models={"embedding": {"fingerprint": "0123"}},
        versions={"chunking": "1"},
        measures={name: sum(q.measures[name] for q in questions) / max(len(questions), 1) for name in names},
        unknown_qrels=0,
        questions=questions,
    )
    return replace(run, **changes)  # type: ignore[arg-type]


BEFORE = {"q1": 0.2, "q2": 0.9, "q3": 0.5, "q4": 0.5, "q5": 0.4}
AFTER = {"q1": 0.9, "q2": 0.1, "q3": 0.5, "q4": 0.6, "q5": 0.3}


def test_each_question_is_counted_on_its_side_most_changed_first() -> None:
    found = compare(run_of(BEFORE), run_of(AFTER))
    assert [(c.after.id, round(c.difference, 6)) for c in found.better] == [("q1", 0.7), ("q4", 0.1)]
    assert [(c.after.id, round(c.difference, 6)) for c in found.worse] == [("q2", -0.8), ("q5", -0.1)]
    assert (found.same, found.questions) == (1, 5)
    assert found.bootstrap.mean == pytest.approx(-0.02)
    assert found.means["nDCG@10"] == pytest.approx((0.5, 0.48))
    assert found.means["recall@5"] == (0.5, 0.5)


def test_another_order_of_the_questions_changes_nothing_and_swapped_runs_mirror_it() -> None:
    one = compare(run_of(BEFORE), run_of(AFTER))
    shuffled = compare(run_of(dict(reversed(BEFORE.items()))), run_of(AFTER))
    swapped = compare(run_of(AFTER), run_of(BEFORE))
    assert shuffled.bootstrap == one.bootstrap
    assert swapped.bootstrap.p == one.bootstrap.p
    assert swapped.bootstrap.low == pytest.approx(-one.bootstrap.high)
    assert [c.after.id for c in swapped.better] == [c.after.id for c in one.worse]


@pytest.mark.parametrize("values", [BEFORE, {"q1": 0.3}])
def test_a_run_and_itself_differ_in_nothing(values: Mapping[str, float]) -> None:
    found = compare(run_of(values), run_of(values))
    assert (found.better, found.worse, found.same) == ((), (), len(values))
    assert (found.bootstrap.mean, found.bootstrap.low, found.bootstrap.high, found.bootstrap.p) == (0, 0, 0, 1)


def test_one_question_proves_nothing() -> None:
    found = compare(run_of({"q1": 1.0}), run_of({"q1": 0.0}))
    assert (found.bootstrap.mean, found.bootstrap.p, found.significantly_worse) == (-1.0, 1.0, False)


@pytest.mark.parametrize(("count", "p"), [(2, 0.5), (5, 0.0625), (8, 2 / 2**8), (100, 1 / (RESAMPLES + 1))])
def test_p_is_never_below_what_so_few_changes_can_show(count: int, p: float) -> None:
    assert paired_bootstrap([-0.1] * count).p == pytest.approx(p)
    assert paired_bootstrap([-0.1 - n / 1000 for n in range(count)] + [0.0] * 50).p >= p


def test_without_zero_mean_the_p_value_is_that_of_a_t_test_on_many_questions() -> None:
    generator = random.Random(5)
    values = [generator.gauss(0.01, 0.2) for _ in range(2000)]
    mean = sum(values) / 2000
    error = math.sqrt(sum((value - mean) ** 2 for value in values) / 1999 / 2000)
    found = paired_bootstrap(values)
    assert found.p == pytest.approx(math.erfc(abs(mean) / error / math.sqrt(2)), abs=0.012)
    assert 0.001 < found.p < 0.9  # or the line above would say little
    assert found.low == pytest.approx(mean - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(mean + 1.96 * error, abs=0.1 * error)


def test_the_interval_covers_the_true_mean_and_the_test_errs_as_often_as_it_says() -> None:
    generator = random.Random(11)
    covered = alarms = 0
    for _ in range(200):
        found = paired_bootstrap([generator.gauss(0.05, 0.3) for _ in range(60)])
        covered += found.low <= 0.05 <= found.high
        alarms += paired_bootstrap([generator.gauss(0, 0.3) for _ in range(60)]).p < 0.05
    assert 178 <= covered <= 198  # 190 expected; the bounds are 4 standard deviations away
    assert 1 <= alarms <= 22  # 10 expected


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, 1.0]])
def test_differences_that_are_no_numbers_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        paired_bootstrap(values)


@pytest.mark.parametrize(
    ("other", "measure", "message"),
    [
        (run_of(AFTER, data="xyz", set="ships"), None, r"lighthouses \(abc\) and ships \(xyz\)"),
        (run_of(AFTER, k=5), None, "k is 10 in the first and 5 in the second"),
        (run_of(AFTER, k=5), "recall", "k is 10 in the first and 5 in the second"),
        (run_of(AFTER), "speed", r"no measure 'speed'. It has: nDCG@10, recall@5"),
        (run_of(AFTER, measures={"MRR@10": 0.5}), None, r"no measure 'nDCG@10'. It has: MRR@10"),
        (run_of({"q7": 0.1}), None, "no question in common"),
        (run_of({}), None, "no question in common"),
        (run_of([question("q1", 0.1), question("q1", 0.2)]), None, "several questions of one id"),
        (run_of({"q1": math.nan}), None, "question 'q1' has no nDCG@10"),
        (run_of([RunQuestion("q1", "?", {}, (), ())], measures={"nDCG@10": 0.5}), None, "question 'q1' has no nDCG@10"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_with_what_differs(other: Run, measure: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare(run_of(BEFORE), other, measure)


def test_a_measure_with_its_own_depth_compares_runs_of_different_depths() -> None:
    assert compare(run_of(BEFORE), run_of(AFTER, k=5), "recall@5").same == 5


def test_questions_of_one_run_only_are_named_and_left_out() -> None:
    found = compare(run_of({"q1": 0.1, "q2": 0.2}), run_of({"q2": 0.4, "q3": 1.0}))
    assert (found.only_a, found.only_b, found.questions) == (("q1",), ("q3",), 1)
    assert found.bootstrap.mean == pytest.approx(0.2)
    assert found.means["nDCG@10"] == (0.2, 0.4)


@pytest.mark.parametrize(
    ("relevant", "expected"),
    [
        ("d1", 2),  # the second document, in the third passage
        ("nowhere", 0),
        ("d0[15:25]", 2),  # touches the second passage
        ("d0[10:20]", 0),  # between the first two
        ("d1[0:1]", 0),
        ("odd[1:2]", 3),  # a document of that very name
    ],
)
def test_a_rank_counts_documents_or_for_spans_passages(relevant: str, expected: int) -> None:
    hits = [RunHit("d0", 0, 10, 0.9), RunHit("d0", 20, 30, 0.8), RunHit("d1", 5, 9, 0.7), RunHit("odd[1:2]", 0, 1, 0.6)]
    assert rank(question("q", 0.5, hits), relevant) == expected


def test_what_was_set_otherwise_is_named() -> None:
    other = run_of(AFTER, mode="dense", settings={"embedding_model": "small", "fusion": {"dense": 0.7}}, versions={})
    assert differences(run_of(BEFORE), other) == {
        "mode": ("full", "dense"),
        "settings.fusion.dense": ("0.3", "0.7"),
        "versions.chunking": ("1", "–"),
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSISTANT_DATA", str(tmp_path))
    return tmp_path / "eval" / "runs"


def kept(run: Run, folder: Path, day: int) -> str:
    return save_run(replace(run, date=f"2026-11-{day:02}T10:20:30+00:00"), folder).stem


def noisy(shift: float) -> dict[str, float]:
    generator = random.Random(2)
    return {f"q{n}": 0.5 + shift + generator.gauss(0, 0.05 if shift else 0.0) for n in range(80)}


def test_the_exit_code_is_1_only_when_the_second_is_significantly_worse(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, worse = kept(run_of(noisy(0)), folder, 1), kept(run_of(noisy(-0.1)), folder, 2)
    unsure = kept(run_of({**noisy(0), "q1": 0.0, "q2": 0.6}), folder, 3)
    assert main(["compare", base, worse]) == 1
    assert "B is significantly worse" in capsys.readouterr().out
    assert main(["compare", worse, base]) == 0
    assert "B is significantly better" in capsys.readouterr().out
    assert main(["compare", base, unsure]) == 0
    assert "no significant difference" in capsys.readouterr().out
    assert main(["compare", base, base]) == 0
    assert main(["compare", base, worse, "--measure", "recall@5"]) == 0


def test_mistakes_have_exit_code_2_and_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, foreign = kept(run_of(BEFORE), folder, 1), kept(run_of(BEFORE, data="other"), folder, 2)
    for arguments in (
        [name, "missing"],
        [name, "x" * 5000],
        [name, foreign],
        [name, name, "--measure", "x"],
        [name, name, "--show", "-1"],
    ):
        assert main(["compare", *arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("eval: ") and printed.err.count("\n") == 1


def test_the_most_changed_questions_are_shown_with_ranks_and_first_passages(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low = [RunHit("d9", 0, 5, 0.9, "About ships\x1b[2J\n\ud800"), RunHit("d1", 0, 5, 0.5, "About lamps")]
    before = run_of([question("q1", 0.3, low), question("q2", 1.0, low[::-1]), question("q3", 0.5), question("q4", 0.5)])
    after = run_of([question("q1", 1.0, low[::-1]), question("q2", 0.0, low[:1]), question("q3", 0.6), question("q4", 0.5)])
    names = [str(folder / f"{name}.json") for name in "ab"]
    folder.mkdir(parents=True)
    for path, run in zip(names, (before, after), strict=True):
        text = json.dumps(run, default=lambda value: value.__dict__)  # keeps the lone surrogate, as a foreign file may
        Path(path).write_text(text, encoding="utf-8")
    assert main(["compare", *names, "--show", "1"]) == 0
    printed = capsys.readouterr().out
    assert "+0.7000 (0.3000 -> 1.0000)  q1: What is q1?" in printed
    assert "-1.0000 (1.0000 -> 0.0000)  q2: What is q2?" in printed
    assert "q3: " not in printed and "q4: " not in printed
    assert "wanted d1: rank 2 -> rank 1" in printed
    assert "wanted d1: rank 1 -> not in the first 1" in printed
    assert "first in A  d9: About ships [2J" in printed
    assert "first in B  d1: About lamps" in printed
    assert "\x1b" not in printed
    printed.encode("utf-8")


def test_json_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = kept(run_of([*run_of(BEFORE).questions, question("q8", 0.1)]), folder, 1)
    other = kept(run_of(AFTER, mode="dense"), folder, 2)
    assert main(["compare", one, other, "--json", "--show", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["a"], found["b"], found["measure"]) == (one, other, "nDCG@10")
    assert (found["better"], found["worse"], found["same"], found["only_a"]) == (2, 2, 1, ["q8"])
    assert found["low"] < found["mean"] < found["high"]
    assert found["differences"] == {"mode": ["full", "dense"]}
    assert [(q["id"], q["before"], q["after"]) for q in found["most_worse"]] == [("q2", 0.9, 0.1)]
    assert found["most_better"][0]["relevant"] == [{"id": "d1", "rank_before": None, "rank_after": None}]


def test_a_run_keeps_the_best_passage_of_each_document_or_for_spans_every_passage() -> None:
    places = [("a", 0), ("b", 0), ("a", 50), ("c", 0)]
    chunks = [Chunk(f"{name}{start}", name, "", start, start + 1, "x", "", None, ()) for name, start in places]
    hits = [Hit(chunk, 0.5, 0.5, 0.5, 0.5, (), (), (chunk,), (chunk.start, chunk.end)) for chunk in chunks]
    assert [(hit.chunk.document_id, hit.chunk.start) for hit in _kept(hits, by_span=False)] == [("a", 0), ("b", 0), ("c", 0)]
    assert _kept(hits, by_span=True) == hits
