"""`python -m eval table`: the README's table of retrieval quality, from the newest stored runs.

The figures, never the questions, are kept in `eval/results/retrieval.json`; a set that wasn't run again
keeps what it had there. Runs of `python -m eval answers` have a table of their own (`answer_table.py`).
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from assistant.errors import UserError
from assistant.retrieval import Mode
from assistant.settings import load_settings
from eval.answer_table import write_answers
from eval.readme import RESULTS, put_block, save_result
from eval.runs import Run, runs_folder, stored_runs

RESULT = RESULTS / "retrieval.json"
_DEFAULT: Mode = "full"
_MODES = sorted(get_args(Mode), key=lambda mode: mode == _DEFAULT)  # the default last, as in the table


class Goal(NamedTuple):
    """A set with one file of its questions ('' for its own), what to call these, and the figure to reach, as it is shown."""

    set: str
    queries: str
    questions: str
    figure: str


GOALS = (
    Goal("scifact", "", "claims", "0.755"),
    Goal("xquad_en", "", "", "0.980"),
    Goal("squad_v2_dev", "", "answerable", "0.945"),
    Goal("chroma_chunking", "", "", "90 / 8"),
    Goal("mtrag_clapnq", "queries_rewrite", "rewrites, pooled passages", "0.51"),
    Goal("mtrag_clapnq", "queries_questions", "last turns with history, pooled passages", "0.49"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval table`."""
    parser.add_argument("--runs", type=Path, metavar="FOLDER", help="folder of the runs (default: those of the data folder)")
    parser.add_argument("--also", nargs="+", default=[], metavar="SET", help="sets to show beside those that have a goal")


def run(options: argparse.Namespace) -> int:
    """Bring the stored figures up to date, write the table and print it."""
    folder = options.runs or runs_folder(load_settings())
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: 'python -m eval retrieval --data DIR' makes runs.")
    wanted = {(goal.set, goal.queries) for goal in GOALS}
    every = stored_runs(folder)
    answers = write_answers(every)
    if answers:
        print(f"{answers}\n")
    runs = [run for run in every if (run.set, run.queries) in wanted or run.set in options.also]
    result = {"sets": merged(load_result(RESULT), summaries(runs))}
    if not result["sets"]:
        if answers:
            return 0
        raise UserError(f"{folder} holds no runs of mode {_DEFAULT}: 'python -m eval retrieval --data DIR' makes them.")
    save_result(RESULT, result)
    put_block("retrieval", table(result))
    print(table(result))
    return 0


def load_result(path: Path) -> list[dict[str, Any]]:
    """Return the stored sets, none when there is no file yet; `UserError` when it isn't one that `save_result` wrote."""
    if not path.exists():
        return []
    try:
        sets = json.loads(path.read_text(encoding="utf-8"))["sets"]
        for each in sets:
            _row(each)
            merged([each], [each])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged: delete it and run 'python -m eval table' again.") from None
    return list(sets)


def summaries(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a summary of the newest default run of each set and file of questions.

    Runs of other modes stand beside it when they searched the same documents for the same questions with
    the same embedding model. `runs` are sorted oldest first; those with a reranker or of another depth than
    the default are passed over.
    """
    usable = [run for run in runs if _main_measures(run)]
    newest = {(run.set, run.queries): run for run in usable if run.mode == _DEFAULT}
    found = []
    for default in newest.values():
        beside = {run.mode: run for run in usable if _comparable(run, default)}
        found.append(
            {
                "set": default.set,
                "queries": default.queries,
                "data": default.data,
                "k": default.k,
                "model": dict(default.models.get("embedding", {})),
                "versions": _made(default),
                "machine": str(default.settings.get("machine", "")),
                "questions": len(default.questions),
                "modes": {mode: _figures(beside[mode]) for mode in _MODES if mode in beside},
            }
        )
    return found


def _main_measures(run: Run) -> tuple[str, ...]:
    """Return the names of the measures to show, none for a run with other settings than the default."""
    if run.settings.get("reranker"):
        return ()
    if run.k == 10 and "nDCG@10" in run.measures:
        return ("nDCG@10",)
    return ("recall", "IoU") if run.k == 5 and {"recall", "IoU"} <= run.measures.keys() else ()


def _comparable(run: Run, default: Run) -> bool:
    one, other = (
        (each.set, each.queries, each.data, each.k, each.models.get("embedding"), _made(each), len(each.questions))
        for each in (run, default)
    )
    return one == other


def _made(run: Run) -> dict[str, str]:
    """Return what the code that cut and indexed the texts calls its versions."""
    return {name: run.versions[name] for name in ("chunking", "lexical") if name in run.versions}


def _figures(run: Run) -> dict[str, Any]:
    return {
        "date": run.date,
        "measures": {name: round(value, 6) for name, value in run.measures.items()},
        **{name: run.settings[name] for name in ("median_seconds", "passages", "passage_tokens") if name in run.settings},
    }


def merged(stored: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all sets in the order of the goals, then by name; of a set that is in both, the newer one.

    Modes that weren't run again stay while they are about the same data and model.
    """
    sets = {(each["set"], each["queries"]): each for each in stored}
    for each in new:
        key = (each["set"], each["queries"])
        old = sets.get(key, each)
        same = all(old.get(name) == each.get(name) for name in ("data", "k", "model", "versions", "questions"))
        if old["modes"][_DEFAULT]["date"] > each["modes"][_DEFAULT]["date"]:
            old, each = each, old
        modes = {**(old["modes"] if same else {}), **each["modes"]}
        sets[key] = {**each, "modes": {mode: modes[mode] for mode in _MODES if mode in modes}}
    order = {(goal.set, goal.queries): place for place, goal in enumerate(GOALS)}
    return [sets[key] for key in sorted(sets, key=lambda key: (order.get(key, len(order)), key))]


def table(result: Mapping[str, Any]) -> str:
    """Return the README's table of a stored result."""
    head = ["set", "questions", "measure", *(f"{mode} (default)" if mode == _DEFAULT else mode for mode in _MODES), "goal"]
    rows = [_row(each) for each in result["sets"]]
    days = sorted(each["modes"][_DEFAULT]["date"][:10] for each in result["sets"])
    machines = dict.fromkeys(each["machine"] for each in result["sets"] if each["machine"])
    models = dict.fromkeys(str(each["model"].get("name", "")) for each in result["sets"])
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    return "\n".join(
        [
            *(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)),
            "",
            f"Written by `python -m eval table` from runs of `python -m eval retrieval` of {when}"
            f"{': ' if machines else ''}{'; '.join(machines)}. Embedding model: {', '.join(models)}. "
            "Recall and IoU are over characters, in per cent, for at most 5 passages; tokens are cl100k's.",
        ]
    )


def _row(each: Mapping[str, Any]) -> list[str]:
    goal = next((goal for goal in GOALS if (goal.set, goal.queries) == (each["set"], each["queries"])), None)
    called = goal.questions if goal else each["queries"]
    by_span = "IoU" in each["modes"][_DEFAULT]["measures"]
    figures = [_cell(each["modes"].get(mode, {}).get("measures", {}), by_span) for mode in _MODES]
    questions = f"{each['questions']:,} {called}".strip()
    default = each["modes"][_DEFAULT]
    size = f" ({default['passages']:.1f} passages of {default['passage_tokens']:,} tokens)" if "passages" in default else ""
    return [each["set"], questions, f"recall / IoU, %{size}" if by_span else "nDCG@10", *figures, goal.figure if goal else ""]


def _cell(measures: Mapping[str, float], by_span: bool) -> str:
    if not measures:
        return ""
    return f"{100 * measures['recall']:.1f} / {100 * measures['IoU']:.1f}" if by_span else f"{measures['nDCG@10']:.3f}"
