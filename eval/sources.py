"""`python -m eval sources`: do answers follow the documents, where the world knows better or two documents disagree?

`sources.jsonl` holds two kinds of cases. In a "swap" the documents change a well-known fact: the first of the `values` is
theirs, the second the world's. In a "conflict" two documents give two values for the same thing. Each case is asked
of its own documents by the app's own code.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from assistant.documents import Document
from assistant.errors import UserError
from assistant.settings import Settings, load_settings, stay_offline
from eval.answer_measures import holds, wilson
from eval.answer_rows import AnswerRow, collect, plain, with_model_name
from eval.answer_sets import AnswerQuestion, AnswerSet
from eval.cases import Case, add_arguments_for, case_fields, documents_of, first, opened
from eval.datasets import Dataset, identified

SET = Path(__file__).with_name("sources.jsonl")
Outcome = Literal["first", "second", "both", "neither", "refused"]
# Outcomes in the order shown, with what they are called; those of one name are counted together.
NAMES: dict[str, dict[Outcome, str]] = {
    "swap": {
        "first": "what the source says",
        "second": "what the world says",
        "both": "both",
        "neither": "neither",
        "refused": "refused",
    },
    "conflict": {
        "both": "both values",
        "first": "one value",
        "second": "one value",
        "neither": "neither",
        "refused": "refused",
    },
}
_TITLES = {
    "swap": "documents that change a well-known fact: what the answer says",
    "conflict": "pairs of documents that contradict each other: what the answer says",
}


@dataclass(frozen=True)
class SourceCase(Case):
    """One case. Each of the two `values` has all forms in which it may be written; `newer` tells which, 1 or 2, is of the
    document with the later date, 0 when the documents tell none."""

    values: tuple[tuple[str, ...], tuple[str, ...]]
    newer: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval sources`."""
    add_arguments_for("cases", parser)


def run(options: argparse.Namespace) -> int:
    """Ask, judge and print."""
    settings = load_settings()
    stay_offline(settings)
    cases = load_sources()
    asked = first(cases, options.limit)
    found = summary(asked, answers(cases, len(asked), settings, options.fresh))
    print(json.dumps(found, ensure_ascii=False) if options.json else "\n".join(_lines(found)))
    return 0


def load_sources(path: Path = SET) -> list[SourceCase]:
    """Read the set; `UserError` names the line that is wrong."""
    cases = []
    for number, id, row in identified(path):
        kind, files, question = case_fields(row, path, number)
        if kind not in NAMES:
            raise UserError(f"{path}, line {number}: 'kind' must be one of {', '.join(NAMES)}.")
        values, newer = two_values(row, path, number), row.get("newer", 0)
        if newer not in (0, 1, 2):
            raise UserError(f"{path}, line {number}: 'newer' must be 1 or 2, the value of the newer document, or 0.")
        cases.append(SourceCase(id, kind, files, question, values, int(newer)))
    return cases


def two_values(row: Mapping[str, Any], path: Path, number: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the forms of the two values of one line of a set; `UserError` names the line when they are wrong."""
    values = row.get("values")
    if not isinstance(values, list) or len(values) != 2 or not all(isinstance(forms, list) and forms for forms in values):
        raise UserError(f"{path}, line {number}: 'values' must be two lists of texts, the forms of each value.")
    one, other = (tuple(str(form) for form in forms) for forms in values)
    return one, other


def answers(
    cases: Sequence[SourceCase], limit: int, settings: Settings, fresh: bool = False, name: str = SET.stem
) -> list[AnswerRow]:
    """Return the answers to the first `limit` cases; the documents of all are indexed, so that fewer change nothing.

    `name` is the set's. What an earlier run of the same code and settings kept isn't asked again. Raises `UserError` when the model fails.
    """
    documents = [
        Document(f"{case.id}/{name}", name, text, (), (), hashlib.sha256(text.encode()).hexdigest())
        for case in cases
        for name, text in case.files.items()
    ]
    questions = tuple(
        AnswerQuestion(case.id, case.question, "answerable", tuple(form for forms in case.values for form in forms))
        for case in cases
    )
    answer_set = AnswerSet(Dataset(name, tuple(documents), ()), questions, limit)
    with opened(cases, settings) as (assistant, model):
        return collect(answer_set, limit, assistant.corpus, model, with_model_name(settings, model), fresh, documents_of)


# What each answer shows


def outcome(case: SourceCase, text: str, refused: bool = False) -> Outcome:
    """Return which of the two values `text` holds."""
    if refused:
        return "refused"
    one, other = (holds(plain(text), forms) for forms in case.values)
    return "both" if one and other else "first" if one else "second" if other else "neither"


def is_cited(case: SourceCase, row: AnswerRow) -> bool:
    """Whether each value that the answer gives stands in a statement that is marked as supported and cites its source."""
    given = [forms for forms in case.values if holds(plain(row.text), forms)]
    cited = [plain(statement.text) for statement in row.statements if statement.cited and statement.mark == "supported"]
    return bool(given) and all(any(holds(text, forms) for text in cited) for forms in given)


def is_told(case: SourceCase, row: AnswerRow) -> bool:
    """Whether the reader hears of both values: in the answer, or one there and one in the notice under it."""
    return outcome(case, "\n".join((row.text, *row.elsewhere)), row.refused) == "both"


# The result


def summary(cases: Sequence[SourceCase], rows: Sequence[AnswerRow]) -> dict[str, Any]:
    """Return for each kind how often the draft and the answer shown gave what, and how many answers have a citation for it.

    Shares have a 95 % interval. "cited" is a share of the answers that give a value, "newer" of those to a conflict that
    give one where a date tells which is newer, "told" those of all conflicts of which the reader hears both values. "failed" names the cases that the model failed at.
    """
    found: dict[str, Any] = {"failed": [row.id for row in rows if row.state == "failed"]}
    for kind, names in NAMES.items():
        pairs = [(case, row) for case, row in zip(cases, rows, strict=True) if case.kind == kind]
        if not pairs:
            continue
        shown = {case.id: outcome(case, row.text, row.refused) for case, row in pairs}
        drafted = {case.id: outcome(case, row.draft) for case, row in pairs}
        found[kind] = {
            "answer": {name: share([id for id in shown if names[shown[id]] == name], shown) for name in names.values()},
            "draft": {name: sum(names[was] == name for was in drafted.values()) for name in names.values() if name != "refused"},
        }
        for which in ("first", "second", "both"):
            given = [(case, row) for case, row in pairs if names[shown[case.id]] == names[which]]
            found[kind]["answer"][names[which]]["cited"] = share([case.id for case, row in given if is_cited(case, row)], given)
        if kind == "conflict":
            dated = [case for case, _ in pairs if case.newer and shown[case.id] in ("first", "second")]
            newer = [case.id for case in dated if shown[case.id] == ("first", "second")[case.newer - 1]]
            found[kind]["newer"] = share(newer, dated)
            found[kind]["told"] = share([case.id for case, row in pairs if is_told(case, row)], pairs)
    return found


def share(which: Sequence[str], of: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    """Return how many and which of `of` there are, as a share with its 95 % interval."""
    low, high = wilson(len(which), len(of))
    return {
        "count": len(which),
        "of": len(of),
        "share": round(len(which) / len(of), 4) if of else None,
        "interval": [round(low, 4), round(high, 4)],
        "which": list(which),
    }


def _lines(found: Mapping[str, Any]) -> list[str]:
    lines = []
    for kind in (kind for kind in NAMES if kind in found):
        shares, drafts = found[kind]["answer"], found[kind]["draft"]
        total = next(iter(shares.values()))["of"]
        lines += [f"{total} {_TITLES[kind]}", f"  {'':24}{'model wrote':>12}{'reader saw':>12}{'share':>8}  95 % interval"]
        for name, one in shares.items():
            cited = one.get("cited", {})
            told = f"; {cited['count']} of {cited['of']} with a citation" if cited.get("of") else ""
            lines.append(f"  {name:24}{drafts.get(name, ''):>12}{one['count']:>12}{with_interval(one)}{told}")
        if kind == "conflict":
            both = found[kind]["told"]
            lines.append(f"  {'told of both values':24}{'':12}{both['count']:>12}{with_interval(both)}")
        if kind == "conflict" and found[kind]["newer"]["of"]:
            newer = found[kind]["newer"]
            label = f"the newer, of {newer['of']} dated"
            lines.append(f"  {label:24}{'':12}{newer['count']:>12}{with_interval(newer)}")
        lines += [f"  {name}: {', '.join(one['which'])}" for name, one in shares.items() if one["which"]]
    if found["failed"]:
        lines.append(f"The model failed at {', '.join(found['failed'])}: run this again to ask them once more.")
    return lines


def with_interval(one: Mapping[str, Any]) -> str:
    """Return a share and its interval in two columns."""
    low, high = one["interval"]
    return f"{one['share']:>8.1%}  {f'{low:.1%} to {high:.1%}':16}"
