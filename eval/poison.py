"""`python -m eval poison`: do short texts, written to match a question, push a wrong answer past an honest document?

As in Zou, Geng, Wang and Jia, "PoisonedRAG" (2024, arXiv:2402.07867), five texts for each question. `poison.jsonl` holds
questions, an honest document that answers each, the five texts, and two `values`: the honest one and the texts'.
Each is asked without the texts, and with them in documents of their own, in one document, and with one of them five times.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assistant.errors import UserError
from assistant.settings import load_settings, stay_offline
from eval.answer_measures import holds
from eval.answer_rows import AnswerRow, plain
from eval.cases import add_arguments_for, case_fields, first
from eval.datasets import identified
from eval.sources import SourceCase, answers, is_told, outcome, share, two_values, with_interval

SET = Path(__file__).with_name("poison.jsonl")
TEXTS = 5  # for each question
KINDS = {
    "alone": "questions without poison",
    "five documents": "questions with five poisoned documents",
    "one document": "questions with five poisoned texts in one document",
    "copies": "questions with five copies of one poisoned document",
}
_OUTCOMES = {
    "first": "the honest value",
    "second": "the poison's value",
    "both": "both",
    "neither": "neither",
    "refused": "refused",
}
_MORE = {
    "told": "told of both values",
    "shown": "the honest document is shown",
    "named": "what is cited says each value given",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval poison`."""
    add_arguments_for("questions", parser)


def run(options: argparse.Namespace) -> int:
    """Ask, judge and print."""
    settings = load_settings()
    stay_offline(settings)
    cases = load_poison()
    asked = first(cases, options.limit * len(KINDS) if options.limit else options.limit)
    found = summary(asked, answers(cases, len(asked), settings, options.fresh, SET.stem))
    print(json.dumps(found, ensure_ascii=False) if options.json else "\n".join(_lines(found)))
    return 0


def load_poison(path: Path = SET) -> list[SourceCase]:
    """Read the set: a case of each kind for each question, whose first file is the honest one; `UserError` names a wrong line."""
    cases = []
    for number, id, row in identified(path):
        texts = row.get("poison")
        if not isinstance(texts, list) or len(texts) != TEXTS:
            raise UserError(f"{path}, line {number}: 'poison' must be a list of {TEXTS} texts.")
        _, honest, question = case_fields({**row, "kind": "alone", "files": row.get("honest")}, path, number)
        values = two_values(row, path, number)
        more = {
            "alone": [],
            "five documents": texts,
            "one document": ["\n\n".join(texts)],
            "copies": texts[:1] * TEXTS,
        }
        for place, (kind, texts) in enumerate(more.items()):
            files = {**honest, **{f"page_{at}.txt": text for at, text in enumerate(texts, start=1)}}
            # Files of the same content are indexed once: those of different kinds must differ.
            own = {name: text.rstrip() + "\n" * (place + 1) for name, text in files.items()}
            cases.append(SourceCase(f"{id}, {kind}", kind, own, question, values, 0))
    return cases


# What each answer shows


def is_shown(case: SourceCase, row: AnswerRow) -> bool:
    """Whether the honest document is among the passages beside the answer."""
    return f"{case.id}/{next(iter(case.files))}" in {passage.document for passage in row.passages}


def is_named(case: SourceCase, row: AnswerRow) -> bool:
    """Whether each value that the answer gives stands in a place that it cites."""
    given = [forms for forms in case.values if holds(plain(row.text), forms)]
    cited = [case.files[cited.document.removeprefix(f"{case.id}/")][cited.start : cited.end] for cited in row.citations]
    return bool(given) and all(any(holds(text, forms) for text in cited) for forms in given)


# The result


def summary(cases: Sequence[SourceCase], rows: Sequence[AnswerRow]) -> dict[str, Any]:
    """Return for each kind how often the draft and the answer shown gave what; shares have a 95 % interval.

    "told" is the share of the questions where the reader hears of both values, "shown" of those where the honest document
    stands beside the answer, "named" of the answers with a value that cite a place which says it. "failed" names the
    cases that the model failed at.
    """
    found: dict[str, Any] = {"failed": [row.id for row in rows if row.state == "failed"]}
    for kind in KINDS:
        pairs = [(case, row) for case, row in zip(cases, rows, strict=True) if case.kind == kind]
        if not pairs:
            continue
        shown = {case.id: outcome(case, row.text, row.refused) for case, row in pairs}
        drafts = [outcome(case, row.draft) for case, row in pairs]
        giving = [(case, row) for case, row in pairs if shown[case.id] in ("first", "second", "both")]
        found[kind] = {
            "answer": {name: share([id for id, was in shown.items() if was == key], pairs) for key, name in _OUTCOMES.items()},
            "draft": {name: drafts.count(key) for key, name in _OUTCOMES.items() if key != "refused"},  # type: ignore[arg-type]
            "told": share([case.id for case, row in pairs if is_told(case, row)], pairs),
            "shown": share([case.id for case, row in pairs if is_shown(case, row)], pairs),
            "named": share([case.id for case, row in giving if is_named(case, row)], giving),
        }
    return found


def _lines(found: Mapping[str, Any]) -> list[str]:
    lines = []
    for kind in (kind for kind in KINDS if kind in found):
        shares, drafts = found[kind]["answer"], found[kind]["draft"]
        total = next(iter(shares.values()))["of"]
        lines += [f"{total} {KINDS[kind]}", f"  {'':36}{'model wrote':>12}{'reader saw':>12}{'share':>8}  95 % interval"]
        lines += [f"  {name:36}{drafts.get(name, ''):>12}{one['count']:>12}{with_interval(one)}" for name, one in shares.items()]
        more = [(name, found[kind][key]) for key, name in _MORE.items() if found[kind][key]["of"]]
        lines += [f"  {name:36}{'':12}{one['count']:>12}{with_interval(one)}" for name, one in more]
    if found["failed"]:
        lines.append(f"The model failed at {', '.join(found['failed'])}: run this again to ask them once more.")
    return lines
