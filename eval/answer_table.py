"""The README's table of whole answers, from the newest full run of each set with the embedded model; `eval table` writes it.

The figures, never the questions, are kept in `eval/results/answers.json`; a set that wasn't run again keeps what it had.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assistant.errors import UserError
from eval.answer_measures import wilson
from eval.readme import RESULTS, put_block, save_result
from eval.runs import Run

RESULT = RESULTS / "answers.json"
# In the order of the table: the figures to reach, as they are shown.
GOALS = {
    "corpus": "right & cited 95 %, false answers 1 of 10",
    "squad_v2_dev": "F1 0.70, wrong refusals 10 %, false answers 40 %",
    "mtrag_clapnq": "",
}
_HEAD = (
    "set",
    "questions",
    "EM / F1 of those answered",
    "right",
    "right & cited",
    "wrong refusals",
    "false answers",
    "statements supported",
    "first token, median / p95",
    "whole answer, median / p95",
    "goal",
)


def write_answers(runs: Sequence[Run], path: Path = RESULT) -> str:
    """Bring the stored figures up to date with `runs` (oldest first), write the table and return it.

    When none of them is a full run of whole answers, nothing is written and "" is returned.
    Raises `UserError` when the stored figures are damaged or the README lacks the marks.
    """
    new = {run.set: _figures(run) for run in runs if _counts(run)}
    if not new:
        return ""
    sets = load_answers(path) | new
    order = {name: place for place, name in enumerate(GOALS)}
    result = {"sets": [sets[name] for name in sorted(sets, key=lambda name: (order.get(name, len(order)), name))]}
    save_result(path, result)
    put_block("answers", answer_table(result))
    return answer_table(result)


def load_answers(path: Path) -> dict[str, dict[str, Any]]:
    """Return the stored figures by set, none when there is no file yet; `UserError` when it isn't one of ours."""
    if not path.exists():
        return {}
    try:
        sets = json.loads(path.read_text(encoding="utf-8"))["sets"]
        answer_table({"sets": sets})
        return {str(each["set"]): dict(each) for each in sets}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged: delete it and run 'python -m eval table' again.") from None


def _counts(run: Run) -> bool:
    """Whether a run is one of whole answers to a set's full sample, with the default model."""
    return run.mode == "answers" and run.settings.get("full_sample") is True and run.settings.get("chat_model") == "embedded"


def _figures(run: Run) -> dict[str, Any]:
    kept = ("counts", "first_token_median", "first_token_p95", "seconds_median", "seconds_p95", "prompt_tokens", "answer_tokens")
    return {
        "set": run.set,
        "date": run.date,
        "data": run.data,
        "questions": len(run.questions),
        "abstain": run.settings.get("abstain", ""),
        "machine": run.settings.get("machine", ""),
        "measures": {name: round(value, 6) for name, value in run.measures.items()},
        **{name: run.settings[name] for name in kept if name in run.settings},
    }


def answer_table(result: Mapping[str, Any]) -> str:
    """Return the README's table of a stored result."""
    rows = [_row(each) for each in result["sets"]]
    days = sorted(each["date"][:10] for each in result["sets"])
    machines = "; ".join(dict.fromkeys(each["machine"] for each in result["sets"] if each["machine"]))
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    return "\n".join(
        [
            *(f"| {' | '.join(row)} |" for row in (_HEAD, ["---"] * len(_HEAD), *rows)),
            "",
            f"Written by `python -m eval table` from runs of `python -m eval answers` of {when}{f': {machines}' if machines else ''}. "
            "In brackets: 95 % intervals (Wilson). EM and F1 as SQuAD 2.0 has them.",
        ]
    )


def _row(each: Mapping[str, Any]) -> list[str]:
    measures, counts = each["measures"], each["counts"]

    def figure(name: str) -> str:
        return f"{measures[name]:.3f}" if name in measures else ""

    def seconds(name: str) -> str:
        return f"{each[f'{name}_median']:.1f} / {each[f'{name}_p95']:.1f} s" if f"{name}_median" in each else ""

    scores = [figure("exact_answered"), figure("F1_answered")]
    supported = f"{counts['statements_supported']:,} of {counts['statements']:,}" if counts["statements"] else ""
    return [
        each["set"],
        f"{each['questions']:,}, {counts['unanswerable']:,} unanswerable",
        " / ".join(score for score in scores if score),
        figure("right"),
        figure("right_cited"),
        _rate(counts["wrong_refusals"], counts["answerable"]),
        _rate(counts["false_answers"], counts["unanswerable"]),
        supported,
        seconds("first_token"),
        seconds("seconds"),
        GOALS.get(each["set"], ""),
    ]


def _rate(count: int, of: int) -> str:
    if not of:
        return ""
    low, high = wilson(count, of)
    return f"{count} of {of}: {100 * count / of:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
