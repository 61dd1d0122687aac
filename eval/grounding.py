"""Is a statement's support told from its lack? `python -m eval grounding --data DIR`; with `--fit` the weights are fitted too.

DIR holds the sets: `qags`, `scifact`, `squad_v2_dev`. Weights are fitted on the articles of even numbers and measured on the
odd ones; the figures go to `eval/results/grounding.json` and the README's table, the weights to `assistant/support_weights.py`.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from assistant.chunking import Chunk, chunk_document
from assistant.documents import Document
from assistant.embedding import Embedder, load_embedder
from assistant.errors import UserError
from assistant.evidence import Evidence
from assistant.grounding import Grounding, Judgement
from assistant.retrieval import Hit
from assistant.settings import load_settings, stay_offline
from assistant.support import Features, PhraseFeatures
from eval.bench import machine
from eval.claims import Claim, load_claims
from eval.fitting import Sample, auroc, balanced_accuracy, calibration_error, error_rates, fit, write_weights
from eval.readme import RESULTS, put_block, save_result

RESULT = RESULTS / "grounding.json"
SETS = {
    "qags_cnndm": "sentences about news articles (qags_cnndm)",
    "qags_xsum": "one-line summaries of news (qags_xsum)",
    "scifact": "claims about abstracts (scifact)",
    "squad_phrases": "short answers to questions (squad_v2_dev)",
}
# The weight of each set and the share of true statements it is taken to have. Sentences that a model writes from passages are
# most like those of qags_cnndm: close to the text, and more often right than wrong.
_SHARES = {"qags_cnndm": (2.0, 0.7), "qags_xsum": (1.0, 0.5), "scifact": (1.0, 0.5), "squad_phrases": (1.0, 0.6)}
# Whose threshold is which: "supported" must hold where sentences are close to the text, "partly" where they are in other words.
FIRM = {"STATEMENT": {"qags_cnndm"}, "PHRASE": {"squad_phrases"}}
LOOSE = {"STATEMENT": {"qags_xsum", "scifact"}, "PHRASE": set[str]()}


def as_passage(document: Document, embedder: Embedder) -> Grounding:
    """Return a grounding in which the whole `document` is one passage."""
    chunks = chunk_document(document, embedder.tokenizer, embedder.max_tokens)
    start, end = chunks[0].start, chunks[-1].end
    sentences = tuple((chunk.start - start + a, chunk.start - start + b) for chunk in chunks for a, b in chunk.sentences)
    whole = Chunk(chunks[0].id, document.id, document.title, start, end, document.text[start:end], "", None, sentences)
    zeros = (0.0,) * len(sentences)
    hit = Hit(whole, 1.0, 0.0, 0.0, 0.0, zeros, zeros, tuple(chunks), (start, end))
    vectors = np.concatenate([item.sentences for item in embedder.embed_chunks(chunks)])
    return Grounding([hit], [vectors], embedder)


def prepared(claims: Sequence[Claim], embedder: Embedder) -> Iterator[tuple[Claim, Grounding]]:
    """Yield each claim with its grounded document, each document read once, with a progress bar."""
    from tqdm import tqdm

    current, held = "", None
    for claim in tqdm(sorted(claims, key=lambda claim: (claim.set, claim.document.id)), unit="claim", file=sys.stderr):
        key = f"{claim.set}\0{claim.document.id}"
        if held is None or key != current:
            current, held = key, as_passage(claim.document, embedder)
        yield claim, held


def features(evidence: Evidence, claim: Claim) -> tuple[float, ...] | None:
    """Return the features of the place that supports `claim` best; None when there is none."""
    place = evidence.phrase_place(claim.question, claim.text) if claim.question else evidence.place(claim.text)
    return tuple(place.features) if place else None


def fit_all(claims: Sequence[Claim], embedder: Embedder) -> None:
    """Fit the weights on the half of `claims` that is for it, and write them."""
    samples: dict[str, list[Sample]] = {"STATEMENT": [], "PHRASE": []}
    for claim, grounding in prepared([claim for claim in claims if claim.fitting], embedder):
        found = features(grounding.evidence, claim)
        if found is not None:
            samples["PHRASE" if claim.question else "STATEMENT"].append(Sample(found, claim.true, claim.set, str(claim.group)))
    written = {}
    for name, own in samples.items():
        there = {sample.set for sample in own}
        if not FIRM[name] & there:
            raise UserError(f"The weights {name} can't be fitted: none of {', '.join(sorted(FIRM[name]))} is there.")
        shares = {set: share for set, share in _SHARES.items() if set in there}
        model = fit(own, shares, sorted(FIRM[name] & there), sorted(LOOSE[name] & there))
        words = "; ".join(f"{set}: {rates}" for set, rates in error_rates(own, model, sorted(there)).items())
        fields = PhraseFeatures._fields if name == "PHRASE" else Features._fields
        written[name] = (
            model,
            fields,
            [f"Fitted on {len(own):,} claims. With these thresholds, on the claims fitted on:", *words.split("; ")],
        )
        print(f"{name}: supported from {model.supported}, partly from {model.partly}. {words}.", file=sys.stderr)
    write_weights(written)


def measure(claims: Sequence[Claim], embedder: Embedder) -> dict[str, dict[str, Any]]:
    """Return the figures of each set on `claims`, which no weights were fitted on."""
    rows: dict[str, list[_Row]] = {}
    for claim, grounding in prepared(claims, embedder):
        grounding.judge(claim.document.text[:40])  # what is read once for all statements of an answer is no time of one sentence
        clock = time.perf_counter()
        judged = grounding.judge(claim.text, question=claim.question)
        seconds = time.perf_counter() - clock
        clock = time.perf_counter()
        embedder.embed([f"{claim.question} {claim.text}"])
        embedding = time.perf_counter() - clock
        rows.setdefault(claim.set, []).append(_Row(claim.true, judged, 1000 * seconds, 1000 * embedding))
    return {name: _figures(found) for name, found in rows.items()}


class _Row(NamedTuple):
    """What was found of one claim, and the milliseconds it took, and those of embedding alone."""

    true: bool
    judged: Judgement
    ms: float
    embedding_ms: float


def _figures(rows: Sequence[_Row]) -> dict[str, Any]:
    true = [row.true for row in rows]
    support = [row.judged.support for row in rows]
    supported = [row.judged.mark == "supported" for row in rows]
    found = [row.judged.mark != "not found" for row in rows]
    return {
        "claims": len(rows),
        "true": sum(true),
        "balanced_accuracy_supported": round(balanced_accuracy(true, supported), 4),
        "balanced_accuracy_found": round(balanced_accuracy(true, found), 4),
        "auroc": round(auroc(true, support), 4),
        "ece": round(calibration_error(true, support), 4),
        "false_supported": round(sum(a and not b for a, b in zip(supported, true, strict=True)) / max(len(true) - sum(true), 1), 4),
        "true_not_found": round(sum(b and not a for a, b in zip(found, true, strict=True)) / max(sum(true), 1), 4),
        "ms_median": round(statistics.median(row.ms for row in rows), 2),
        "ms_p95": round(sorted(row.ms for row in rows)[int(0.95 * (len(rows) - 1))], 2),
        "ms_embedding": round(statistics.median(row.embedding_ms for row in rows), 2),
    }


def table(result: dict[str, Any]) -> str:
    """Return the README's table of a stored result."""
    lines = [
        "| held-back half of | claims, true | balanced accuracy: supported / found | AUROC | calibration error | false but supported | true but not found | ms a statement, p50 / p95 (of it embedding) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in result["sets"].items():
        lines.append(
            f"| {SETS[name]} | {row['claims']:,}, {row['true']:,} | {row['balanced_accuracy_supported']:.3f} / {row['balanced_accuracy_found']:.3f} "
            f"| {row['auroc']:.3f} | {row['ece']:.3f} | {row['false_supported']:.0%} | {row['true_not_found']:.0%} "
            f"| {row['ms_median']:.1f} / {row['ms_p95']:.1f} ({row['ms_embedding']:.1f}) |"
        )
    lines += [
        "",
        f"Measured by `python -m eval grounding` on {result['date']}: {result['machine']}, load {result['load']:.1f}. Goals: 0.75 on qags_cnndm, 5 ms a sentence.",
    ]
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with qags, scifact and squad_v2_dev")
    parser.add_argument("--fit", action="store_true", help="fit the weights first, and write assistant/support_weights.py")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--no-save", action="store_true", help="store nothing, leave the README as it is")


def run(options: argparse.Namespace) -> int:
    """Fit when asked to, measure, store and print."""
    settings = load_settings()
    stay_offline(settings)
    claims = load_claims(options.data)
    embedder = load_embedder(settings, lambda line: print(line, file=sys.stderr))
    if options.fit:
        fit_all(claims, embedder)
        print("The weights are written: run the command again without --fit to measure them.", file=sys.stderr)
        return 0
    load = os.getloadavg()[0]
    sets = measure([claim for claim in claims if not claim.fitting], embedder)
    result = {
        "machine": machine(),
        "load": round(load, 1),
        "date": datetime.now(UTC).date().isoformat(),
        "embedding": embedder.name,
        "sets": {name: sets[name] for name in SETS if name in sets},
    }
    if not options.no_save:
        save_result(RESULT, result)
        put_block("grounding", table(result))
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0
