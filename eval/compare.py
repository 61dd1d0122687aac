"""Did the last change help? `python -m eval compare RUN_A RUN_B` prints a comparison of two runs."""

import argparse
import json
import math
from dataclasses import asdict
from typing import Any

from assistant.errors import UserError
from assistant.settings import load_settings
from eval.comparison import Change, Comparison, compare, differences, rank
from eval.runs import Run, RunQuestion, find_run, one_line, runs_folder

_RELEVANT = 3  # of what should have been found, named for each question


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval compare`."""
    parser.description = (
        "Compare a later run B with a run A: exit code 1 when B is significantly worse (p < 0.05) by the measure compared."
    )
    parser.add_argument("a", metavar="RUN_A", help="the earlier run: its name, or the path of its file")
    parser.add_argument("b", metavar="RUN_B", help="the later run")
    parser.add_argument("--measure", metavar="NAME", help="compare by this measure (default: the main one, the first)")
    parser.add_argument("--show", type=int, default=5, metavar="N", help="most changed questions shown each way (default 5)")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the comparison; 1 when the second run is significantly worse, or 0."""
    if options.show < 0:
        raise UserError(f"--show is {options.show}: it must be 0 or more.")
    folder = runs_folder(load_settings())
    a, b = find_run(options.a, folder), find_run(options.b, folder)
    found = compare(a, b, options.measure)
    if options.json:
        print(json.dumps(_summary(a, b, found, options.show)))
    else:
        print("\n".join(_lines(a, b, found, options.show)))
    return 1 if found.significantly_worse else 0


def _summary(a: Run, b: Run, found: Comparison, show: int) -> dict[str, Any]:
    def change(change: Change) -> dict[str, Any]:
        before, after = change.before, change.after
        return {
            "id": after.id,
            "question": after.text,
            "before": before.measures[found.measure],
            "after": after.measures[found.measure],
            "difference": change.difference,
            "relevant": [
                {"id": id, "rank_before": rank(before, id) or None, "rank_after": rank(after, id) or None} for id in after.relevant
            ],
            "first_before": asdict(before.hits[0]) if before.hits else None,
            "first_after": asdict(after.hits[0]) if after.hits else None,
        }

    return {
        "a": a.name,
        "b": b.name,
        "measure": found.measure,
        **asdict(found.bootstrap),
        "significant": found.significant,
        "significantly_worse": found.significantly_worse,
        "questions": found.questions,
        "better": len(found.better),
        "worse": len(found.worse),
        "same": found.same,
        "only_a": list(found.only_a),
        "only_b": list(found.only_b),
        "means": {name: [None if math.isnan(mean) else mean for mean in means] for name, means in found.means.items()},
        "differences": {name: list(values) for name, values in differences(a, b).items()},
        "most_better": [change(one) for one in found.better[:show]],
        "most_worse": [change(one) for one in found.worse[:show]],
    }


def _lines(a: Run, b: Run, found: Comparison, show: int) -> list[str]:
    judged = found.bootstrap
    verdict = "no significant difference"
    if found.significant:
        verdict = "B is significantly worse" if judged.mean < 0 else "B is significantly better"
    lines = [
        f"A {one_line(a.name)}",
        f"B {one_line(b.name)}",
        f"{one_line(found.measure)} {judged.mean:+.4f}, 95% interval {judged.low:+.4f} to {judged.high:+.4f}, p = {judged.p:.2g}: {verdict}",
        f"{found.questions:,} questions: {len(found.better):,} better, {len(found.worse):,} worse, {found.same:,} the same",
    ]
    for which, ids in (("A", found.only_a), ("B", found.only_b)):
        if ids:
            more = f" and {len(ids) - 5:,} more" if len(ids) > 5 else ""
            lines.append(f"{len(ids):,} only in {which}, left out: {', '.join(one_line(id, 40) for id in ids[:5])}{more}")
    lines += ["", f"{'measure':18} {'A':>7} {'B':>7} {'B - A':>8}"]
    lines += [
        f"{one_line(name, 18):18} {_figure(before)} {_figure(after)} {_figure(after - before, sign='+')}"
        for name, (before, after) in found.means.items()
    ]
    changed = differences(a, b)
    if changed:
        lines += ["", "different in the two runs"]
        lines += [f"  {name}: {before} -> {after}" for name, (before, after) in changed.items()]
    for what, changes in (("better", found.better), ("worse", found.worse)):
        if changes and show:
            lines += ["", f"most {what}"]
            lines += [line for change in changes[:show] for line in _change_lines(change, found.measure)]
    return lines


def _figure(value: float, sign: str = "") -> str:
    return f"{'–':>{8 if sign else 7}}" if math.isnan(value) else f"{value:{sign}{8 if sign else 7}.4f}"


def _change_lines(change: Change, measure: str) -> list[str]:
    before, after = change.before, change.after
    lines = [
        f"  {change.difference:+.4f} ({before.measures[measure]:.4f} -> {after.measures[measure]:.4f})  "
        f"{one_line(after.id, 40)}: {one_line(after.text, 160)}"
    ]
    # Those whose place changed say most.
    relevant = sorted(after.relevant, key=lambda id: rank(before, id) == rank(after, id))
    for id in relevant[:_RELEVANT]:
        lines.append(f"    wanted {one_line(id, 60)}: {_place(before, id)} -> {_place(after, id)}")
    if len(relevant) > _RELEVANT:
        lines.append(f"    and {len(relevant) - _RELEVANT:,} more")
    for which, question in (("A", before), ("B", after)):
        hit = question.hits[0] if question.hits else None
        first = f"{one_line(hit.document, 60)}: {one_line(hit.text, 160)}" if hit else "nothing"
        lines.append(f"    first in {which}  {first}")
    return lines


def _place(question: RunQuestion, relevant: str) -> str:
    place = rank(question, relevant)
    return f"rank {place}" if place else f"not in the first {len(question.hits)}"
