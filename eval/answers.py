"""`python -m eval answers`: are whole answers right, cited by what supports them, and refused where there is none?

The questions go through the app's own `assistant.answer.ask`, with the settings of the environment. Half of a set
that `eval abstain` fits thresholds on takes no part (`answer_sets.held_back`).
"""

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assistant import chunking, lexical
from assistant.embedding import load_embedder
from assistant.errors import UserError
from assistant.settings import Settings, load_settings, stay_offline
from eval.answer_measures import means, percentile, question_measures, wilson
from eval.answer_rows import AnswerRow, NotedModel, answer_settings, code_digest, collect, with_model_name
from eval.answer_sets import AnswerQuestion, AnswerSet, golden_answer_set, load_answer_set
from eval.bench import machine
from eval.retrieval import indexed
from eval.runs import Run, RunQuestion, runs_folder, save_run

MODE = "answers"  # of the runs
_OPENING = 600  # characters of an answer in a run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval answers`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="a BEIR folder with answers.jsonl, mtRAG's tasks.jsonl, or gold spans in questions.jsonl",
    )
    which.add_argument("--corpus", action="store_true", help="your corpus folder with your questions about it")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="ask the first N of the fixed order (default 200; 100 of dialogues; all of yours)"
    )
    parser.add_argument("--fresh", action="store_true", help="ask again what an earlier run of the same code and settings has")
    parser.add_argument("--json", action="store_true", help="print the measures as one JSON object")
    parser.add_argument("--no-save", action="store_true", help="don't keep the run")


def run(options: argparse.Namespace) -> int:
    """Ask, measure, print, and keep the run in the data folder."""
    settings = load_settings()
    stay_offline(settings)
    if options.limit is not None and options.limit < 1:
        raise UserError(f"--limit is {options.limit}: it must be 1 or more.")
    answer_set = golden_answer_set(settings) if options.corpus else load_answer_set(options.data)
    for note in (*answer_set.dataset.notes, *answer_set.notes):
        print(f"  {note}", file=sys.stderr)
    started = time.monotonic()
    limit = min(options.limit or answer_set.sample, len(answer_set.questions))
    settings, rows = answered(answer_set, limit, settings, options.fresh)
    questions = answer_set.questions[:limit]
    result = make_run(answer_set, questions, rows, settings, time.monotonic() - started)
    if not options.no_save:
        print(f"  kept as {save_run(result, runs_folder(settings))}", file=sys.stderr)
    found = summary(result, questions, rows)
    print(json.dumps(found, ensure_ascii=False) if options.json else "\n".join(_lines(found)))
    return 0


def answered(answer_set: AnswerSet, limit: int, settings: Settings, fresh: bool = False) -> tuple[Settings, list[AnswerRow]]:
    """Return the answers to the first `limit` questions, and the settings with the name of the model that gave them.

    Raises `UserError` when the model can't be used.
    """
    embedder = load_embedder(settings, lambda line: print(f"  {line}", file=sys.stderr))
    model = NotedModel(settings)
    try:
        settings = with_model_name(settings, model)
        with indexed(answer_set.dataset, settings, embedder) as collection:
            return settings, collect(answer_set, limit, collection, model, settings, fresh)
    finally:
        model.close()


def make_run(
    answer_set: AnswerSet, questions: Sequence[AnswerQuestion], rows: Sequence[AnswerRow], settings: Settings, seconds: float
) -> Run:
    """Return the run of `rows`, the answers to `questions`."""
    scores = [question_measures(question, row) for question, row in zip(questions, rows, strict=True)]
    return Run(
        set=answer_set.name,
        data=answer_set.data,
        mode=MODE,
        k=settings.passages,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        settings={
            **answer_settings(settings),
            "full_sample": len(questions) >= min(answer_set.sample, len(answer_set.questions)),
            "machine": machine(),
            **_costs(rows),
            "counts": counts(questions, rows),
        },
        models={"chat": {"name": settings.chat_model}},
        versions={
            "chunking": str(chunking.VERSION),
            "lexical": str(lexical.VERSION),
            "code": code_digest(),
            "python": ".".join(str(part) for part in sys.version_info[:3]),
        },
        measures=means(scores),
        unknown_qrels=answer_set.dataset.unknown_qrels,
        questions=tuple(
            RunQuestion(
                question.id,
                question.text,
                score,
                tuple(f"{span.document}[{span.start}:{span.end}]" for span in question.evidence),
                row.passages,
                {
                    "kind": question.kind,
                    "gold": list(question.golds),
                    "answer": row.text[:_OPENING],
                    "refused": row.refused,
                    "failure": row.note if row.state == "failed" else "",
                    "citations": [f"{span.document}[{span.start}:{span.end}]" for span in row.citations],
                    "quotes": list(row.quotes),
                    "seconds_to_first_token": row.seconds_to_first_token,
                    "seconds": row.seconds,
                },
                answer_set.dataset.beginnings(question.evidence),
            )
            for question, row, score in zip(questions, rows, scores, strict=True)
        ),
    )


def counts(questions: Sequence[AnswerQuestion], rows: Sequence[AnswerRow]) -> dict[str, int]:
    """Return how many questions there are of each kind, how many refused of these, and the marks of the statements."""
    kinds = Counter(question.kind for question in questions)
    refused = Counter(question.kind for question, row in zip(questions, rows, strict=True) if row.refused)
    marks = Counter(statement.mark for row in rows if not row.refused for statement in row.statements)
    return {
        "answerable": kinds["answerable"],
        "partial": kinds["partial"],
        "unanswerable": kinds["unanswerable"],
        "wrong_refusals": refused["answerable"],
        "false_answers": kinds["unanswerable"] - refused["unanswerable"],
        "statements": marks.total(),
        "statements_supported": marks["supported"],
        "statements_partly": marks["partly"],
        "failed": sum(row.state == "failed" for row in rows),
    }


def _costs(rows: Sequence[AnswerRow]) -> dict[str, float]:
    """Return seconds to the first token and to the end, median and 95th percentile, and tokens read and written, median."""
    first = [row.seconds_to_first_token for row in rows if row.seconds_to_first_token is not None]
    found: dict[str, float] = {}
    for name, values in (("first_token", first), ("seconds", [row.seconds for row in rows])):
        if values:
            found |= {f"{name}_median": round(statistics.median(values), 3), f"{name}_p95": round(percentile(values, 0.95), 3)}
    for name, tokens in (("prompt_tokens", [r.prompt_tokens for r in rows]), ("answer_tokens", [r.answer_tokens for r in rows])):
        found[name] = round(statistics.median(tokens))
    return found


def summary(result: Run, questions: Sequence[AnswerQuestion], rows: Sequence[AnswerRow]) -> dict[str, Any]:
    """Return what is printed of a run: its measures, and the two errors of abstention with their 95 % intervals (Wilson)."""
    numbers = counts(questions, rows)
    return {
        "set": result.set,
        "questions": len(questions),
        "model": result.models["chat"]["name"],
        "measures": {name: round(value, 4) for name, value in result.measures.items()},
        "wrong_refusals": rate(numbers["wrong_refusals"], numbers["answerable"]),
        "false_answers": rate(numbers["false_answers"], numbers["unanswerable"]),
        "counts": numbers,
        **_costs(rows),
        "run": result.name,
    }


def rate(count: int, of: int) -> dict[str, Any]:
    """Return a share with its 95 % interval (Wilson); null when there is nothing to have a share of."""
    low, high = wilson(count, of)
    return {"share": round(count / of, 4) if of else None, "low": round(low, 4), "high": round(high, 4), "count": count, "of": of}


def _lines(found: Mapping[str, Any]) -> list[str]:
    numbers = found["counts"]
    kinds = f"{numbers['answerable']:,} answerable, {numbers['unanswerable']:,} not, {numbers['partial']:,} in part"
    lines = [f"{found['set']}: {found['questions']:,} questions ({kinds}), {found['model']}"]
    lines += [f"  {name:20} {value:.4f}" for name, value in found["measures"].items()]
    lines += [rate_line(name.replace("_", " "), found[name]) for name in ("wrong_refusals", "false_answers")]
    lines.append(
        f"  of {numbers['statements']:,} statements {numbers['statements_supported']:,} are supported, "
        f"{numbers['statements_partly']:,} partly"
    )
    for name, label in (("first_token", "first token"), ("seconds", "whole answer")):
        if f"{name}_median" in found:
            lines.append(f"  {label}: median {found[f'{name}_median']:.1f} s, p95 {found[f'{name}_p95']:.1f} s")
    lines.append(f"  tokens, median: {found['prompt_tokens']:,} read, {found['answer_tokens']:,} written (estimated)")
    if numbers["failed"]:
        lines.append(f"  the model failed at {numbers['failed']:,} questions; the next run asks them again")
    return lines


def rate_line(name: str, found: Mapping[str, Any]) -> str:
    """Return a line about one of the errors of abstention."""
    if not found["of"]:
        return f"  {name}: no such questions"
    return (
        f"  {name}: {found['count']:,} of {found['of']:,}, {100 * found['share']:.1f} % "
        f"(95% interval {100 * found['low']:.1f} to {100 * found['high']:.1f})"
    )
