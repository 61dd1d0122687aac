"""`python -m eval retrieval`: does search find what it should?

The documents go through the app's own chunking, index and search (`assistant.collection`). A document
scores as its best chunk does. Gold spans are compared with the gists of the passages that an answer would be made from.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from filelock import FileLock, Timeout

from assistant import chunking, lexical
from assistant.catalog import FileState
from assistant.collection import Collection
from assistant.cross_encoder import load_reranker
from assistant.documents import Document
from assistant.embedding import Embedder, load_embedder
from assistant.errors import DocumentError, UserError
from assistant.retrieval import Hit, Mode
from assistant.settings import Settings, load_settings, stay_offline
from eval.bench import machine
from eval.datasets import Dataset, GoldSpan, load_corpus, load_dataset
from eval.golden_questions import golden_files, load_golden, own_questions
from eval.measures import cl100k_tokens, document_measures, span_measures
from eval.progress import Watch, tracked
from eval.runs import Run, RunHit, RunQuestion, runs_folder, save_run

_TOGETHER = 64  # documents embedded together
_CHUNKS = 200  # chunks searched for, from which documents are ranked
_TEXTS, _TEXT_LENGTH = 3, 300  # hits whose text goes into the run, and characters of each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval retrieval`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--data", type=Path, metavar="DIR", help="a BEIR folder, or one with questions.jsonl and corpora/")
    which.add_argument("--corpus", action="store_true", help="your corpus folder with your questions about it")
    parser.add_argument("--mode", choices=get_args(Mode), default="full", help="what ranks: the app uses full (default)")
    parser.add_argument(
        "-k", type=int, metavar="K", help="depth of nDCG and MRR (default 10), or passages for gold spans (default 5)"
    )
    parser.add_argument(
        "--queries",
        type=Path,
        metavar="FILE",
        help="other questions for the same judgements, or one file instead of all about your corpus",
    )
    parser.add_argument("--json", action="store_true", help="print the run as JSON, without its questions")
    parser.add_argument("--no-save", action="store_true", help="don't keep the run")


def run(options: argparse.Namespace) -> int:
    """Measure, print, and keep the run in the data folder."""
    settings = load_settings()
    stay_offline(settings)
    if options.k is not None and not 1 <= options.k <= 100:
        raise UserError(f"-k is {options.k}: it must be between 1 and 100.")
    dataset = golden_dataset(settings, options.queries) if options.corpus else load_dataset(options.data, options.queries)
    for note in dataset.notes:
        print(f"  {note}", file=sys.stderr)
    embedder = load_embedder(settings, lambda line: print(f"  {line}", file=sys.stderr))
    with indexed(dataset, settings, embedder) as collection:
        result = measure(dataset, collection, settings, options.mode, options.k or (5 if dataset.by_span else 10))
    if not options.no_save:
        path = save_run(result, runs_folder(settings))
        print(f"  kept as {path}", file=sys.stderr)
    _show(result, as_json=options.json)
    return 0


def golden_dataset(settings: Settings, queries: Path | None = None, documents: Sequence[Document] = ()) -> Dataset:
    """Return the user's corpus with the answerable questions about it, or those of the file `queries`.

    The corpus folder is read unless `documents` are given. Raises `UserError` when there are no documents or no question
    about them is left.
    """
    documents, unreadable = (documents, []) if documents else load_corpus(settings)
    questions, notes = load_golden(golden_files(queries, own=own_questions(settings)), documents)
    answerable = [question.as_eval_question() for question in questions if not question.unanswerable]
    if not answerable:
        raise UserError("All questions about your documents are unanswerable: there is nothing that search should find.")
    if len(answerable) < len(questions):
        notes.append(f"{len(questions) - len(answerable):,} unanswerable questions take no part: there is nothing to find")
    name = f"corpus-{queries.stem}" if queries else "corpus"
    return Dataset(name, tuple(documents), tuple(answerable), (*unreadable, *notes))


@contextmanager
def indexed(dataset: Dataset, settings: Settings, embedder: Embedder) -> Iterator[Collection]:
    """Give an index of the set's documents, kept in the data folder under a digest of their content and the model's.

    A second run finds it there; one that was interrupted is gone on with. One process at a time uses it.
    """
    folder = settings.data / "eval" / "indexes" / f"{dataset.digest}-{embedder.fingerprint}"
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < 500_000_000:
        raise UserError(f"Only {free / 1e6:.0f} MB of disk are free: make room, or delete {folder.parent}.")
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0).lock.release()
    except Timeout:
        print("  Another eval uses this set's index: waiting for it…", file=sys.stderr)
    with lock:
        collection = Collection(folder, embedder, lambda line: print(f"  {line}", file=sys.stderr), load_reranker(settings))
        known = collection.catalog.file_states()
        missing = [document for document in dataset.documents if known.get(document.id) != _state(document)]
        try:
            for batch in _progress(missing, "indexing"):
                _put(collection, batch)
            collection.flush()
            yield collection
        finally:
            collection.close()


def _state(document: Document) -> FileState:
    return FileState(len(document.text), int(document.sha256[:15], 16))


def _put(collection: Collection, documents: Sequence[Document]) -> None:
    try:
        collection.put([(document, _state(document)) for document in documents])
    except DocumentError:  # one of them has no text: find out which
        for document in documents:
            try:
                collection.put([(document, _state(document))])
            except DocumentError as error:
                collection.fail(document.id, _state(document), str(error))


def _progress(documents: Sequence[Document], what: str) -> Iterator[Sequence[Document]]:
    from tqdm import tqdm

    with tqdm(total=len(documents), desc=f"  {what}", unit=" documents", disable=not documents, leave=False) as bar:
        # Long and short ones apart: those embedded together take the time of the longest.
        ordered = sorted(documents, key=lambda document: len(document.text))
        for first in range(0, len(ordered), _TOGETHER):
            batch = ordered[first : first + _TOGETHER]
            yield batch
            bar.update(len(batch))


def measure(dataset: Dataset, collection: Collection, settings: Settings, mode: Mode, k: int, watch: Watch | None = None) -> Run:
    """Ask every question of the set and return the run; `watch` is told how far it is."""
    started = time.monotonic()
    # Only what the measures need is kept: all hits of thousands of questions would take gigabytes.
    rankings: dict[str, list[str]] = {}
    spans: dict[str, list[GoldSpan]] = {}
    kept: dict[str, tuple[RunHit, ...]] = {}
    gists: list[str] = []
    seconds = []
    for question in tracked(dataset.questions, "searching", "questions", watch):
        clock = time.monotonic()
        if dataset.by_span:
            hits = collection.passages(question.text, k, mode, earlier=question.earlier)
            spans[question.id] = [_span(hit) for hit in hits]
            gists += [_gist(hit) for hit in hits]
        else:
            hits = collection.search(question.text, _CHUNKS, mode, earlier=question.earlier)
            rankings[question.id] = list(dict.fromkeys(hit.chunk.document_id for hit in hits))
        seconds.append(time.monotonic() - clock)
        best = _kept(hits, dataset.by_span)[: max(k, _TEXTS)]
        kept[question.id] = tuple(_run_hit(hit, rank) for rank, hit in enumerate(best))
    if dataset.by_span:
        every = _every_chunk(collection)
        scores = {question.id: span_measures(question.spans, spans[question.id], every) for question in dataset.questions}
    else:
        scores = document_measures(dataset.questions, rankings, k)
    names = list(next(iter(scores.values())))
    reranker = collection.reranker if mode == "full" else None
    return Run(
        set=dataset.name,
        data=dataset.data,
        mode=mode,
        k=k,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 1),
        settings={
            "embedding_model": settings.embedding_model,
            "reranker": reranker.name if reranker else "",
            "median_seconds": round(statistics.median(seconds), 4),
            "machine": machine(),
            **(
                {"passages": round(len(gists) / len(spans), 2), "passage_tokens": round(statistics.fmean(cl100k_tokens(gists)))}
                if gists
                else {}
            ),
        },
        models={
            "embedding": {"name": collection.embedder.name, "fingerprint": collection.embedder.fingerprint},
            **({"reranker": {"name": reranker.name, "fingerprint": reranker.fingerprint}} if reranker else {}),
        },
        versions={
            "chunking": str(chunking.VERSION),
            "lexical": str(lexical.VERSION),
            "python": ".".join(str(part) for part in sys.version_info[:3]),
        },
        measures={name: statistics.fmean(score[name] for score in scores.values()) for name in names},
        unknown_qrels=dataset.unknown_qrels,
        queries=dataset.queries,
        questions=tuple(
            RunQuestion(
                question.id,
                question.text,
                scores[question.id],
                tuple(f"{span.document}[{span.start}:{span.end}]" for span in question.spans)
                or tuple(id for id, grade in question.documents.items() if grade > 0),
                kept[question.id],
                expected=dataset.beginnings(question.spans),
            )
            for question in dataset.questions
        ),
    )


def _span(hit: Hit) -> GoldSpan:
    return GoldSpan(hit.chunk.document_id, *hit.gist)


def _gist(hit: Hit) -> str:
    start, end = hit.gist
    return hit.chunk.text[start - hit.chunk.start : end - hit.chunk.start]


def _kept(hits: Sequence[Hit], by_span: bool) -> list[Hit]:
    """Return the hits for a run: for documents the best of each, so that the first k documents are there."""
    if by_span:
        return list(hits)
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(hit.chunk.document_id, hit)
    return list(best.values())


def _run_hit(hit: Hit, rank: int) -> RunHit:
    span = _span(hit)
    text = _gist(hit)[:_TEXT_LENGTH] if rank < _TEXTS else ""
    return RunHit(span.document, span.start, span.end, round(hit.score, 4), text)


def _every_chunk(collection: Collection) -> list[GoldSpan]:
    chunks = collection.catalog.chunks(collection.catalog.chunk_ids())
    return [GoldSpan(chunk.document_id, chunk.start, chunk.end) for chunk in chunks]


def _show(result: Run, as_json: bool) -> None:
    summary = {
        "set": result.set,
        "mode": result.mode,
        "questions": len(result.questions),
        "measures": {name: round(value, 4) for name, value in result.measures.items()},
        "unknown_qrels": result.unknown_qrels,
        "seconds": result.seconds,
        "median_seconds": result.settings["median_seconds"],
        "run": result.name,
        **{name: result.settings[name] for name in ("passages", "passage_tokens") if name in result.settings},
    }
    if as_json:
        print(json.dumps(summary, ensure_ascii=False))
        return
    print(
        f"{result.set}: {len(result.questions):,} questions, mode {result.mode}, {result.settings['median_seconds'] * 1000:.0f} ms each"
    )
    for name, value in result.measures.items():
        print(f"  {name:16} {value:.4f}")
    if "passages" in summary:
        print(f"  {summary['passages']} passages a question, of {summary['passage_tokens']:,} cl100k tokens")
