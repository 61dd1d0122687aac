"""`python -m eval indexing`: how fast documents become searchable, against the plain LangChain recipe in the same run.

Figures go to `eval/results/indexing.json` and from there into the README.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assistant.errors import UserError
from assistant.retrieval import Mode
from assistant.settings import Settings, load_settings, stay_offline
from eval.bench import machine
from eval.datasets import Dataset, load_dataset
from eval.measures import document_measures
from eval.readme import RESULTS, put_block, save_result

RESULT = RESULTS / "indexing.json"
PARTS = ("first", "files", "rebuild")
_DEPTH = 100  # chunks looked at to rank documents
MODES: tuple[Mode, ...] = ("dense", "full")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval indexing`."""
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="sets whose documents are indexed; the first with questions by document is searched",
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="first indexing, sync of many files, making the indexes again"
    )
    parser.add_argument("--files", type=int, default=10_000, metavar="N", help="files to sync (default 10000)")
    parser.add_argument(
        "--chunks", type=int, default=100_000, metavar="N", help="chunks whose indexes are made again (default 100000)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--no-save", action="store_true", help="leave eval/results/ and the README as they are")


def run(options: argparse.Namespace) -> int:
    """Measure the parts, print the figures, and keep them beside those of parts measured before."""
    if "first" in options.only and not options.data:
        raise UserError("Name the sets to be indexed with --data, or leave the first indexing out with --only files rebuild.")
    settings = load_settings()
    stay_offline(settings)
    folder = settings.data / "eval" / "indexing"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    work: dict[str, Callable[[], dict[str, Any]]] = {
        "first": lambda: first_indexing([load_dataset(path) for path in options.data], folder, settings),
        "files": lambda: in_process(many_files, folder / "files", settings, options.files),
        "rebuild": lambda: in_process(rebuild, folder / "rebuild", settings, options.chunks),
    }
    result: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    try:
        for part in options.only:
            print(f"{part}…", file=sys.stderr)
            note = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "load": round(os.getloadavg()[0], 1)}
            result[part] = {**note, **work[part]()}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result, ensure_ascii=False) if options.json else table(result))
    if not options.no_save:
        save_result(RESULT, result)
        put_block("indexing", table(result))
    return 0


def in_process(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Return what `work` gives in a fresh process, and how much memory that took at most, in MB."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = pool.submit(work, *arguments).result()
        return {**found, "peak_mb": round(pool.submit(_peak_mb).result())}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


# First indexing


def first_indexing(datasets: Sequence[Dataset], folder: Path, settings: Settings) -> dict[str, Any]:
    """Index the documents of the sets by the recipe and by the assistant, each twice in turn; the better time counts."""
    from eval.recipe import index

    corpus = folder / "corpus"
    for dataset in datasets:
        write_files(dataset, corpus / dataset.name)
    asked = next((dataset for dataset in datasets if not dataset.by_span), None)
    queries = [question.text for question in asked.questions] if asked else []
    recipe, ours = [], []
    for turn in range(2):
        recipe.append(in_process(index, corpus, folder / f"recipe-{turn}", queries))
        ours.append(in_process(sync_all, corpus, folder / f"ours-{turn}", settings, queries))
    best, other = min(ours, key=_seconds), min(recipe, key=_seconds)
    figures = {
        "sets": [dataset.name for dataset in datasets],
        "documents": sum(len(dataset.documents) for dataset in datasets),
        "seconds": round(best["seconds"], 1),
        "recipe_seconds": round(other["seconds"], 1),
        "ratio": round(other["seconds"] / best["seconds"], 2),
        "ratios": [round(a["seconds"] / b["seconds"], 2) for a, b in zip(recipe, ours, strict=True)],
        "chunks": best["chunks"],
        "recipe_chunks": other["chunks"],
        "peak_mb": best["peak_mb"],
        "recipe_peak_mb": other["peak_mb"],
    }
    if asked:
        figures["asked"] = asked.name
        for name, rankings in (("recipe", other["rankings"]), ("dense", best["dense"]), ("full", best["full"])):
            figures[f"ndcg_{name}"] = round(_ndcg(asked, rankings), 4)
    return figures


def _seconds(figures: Mapping[str, Any]) -> float:
    return float(figures["seconds"])


def _ndcg(dataset: Dataset, rankings: Sequence[Sequence[str]]) -> float:
    by_name = {_file_name(document.id): document.id for document in dataset.documents}
    found = {
        question.id: [by_name[name] for name in names if name in by_name]
        for question, names in zip(dataset.questions, rankings, strict=True)
    }
    measures = document_measures(dataset.questions, found, 10)
    return statistics.mean(next(iter(row.values())) for row in measures.values())


def _file_name(id: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in id)


def write_files(dataset: Dataset, folder: Path) -> None:
    """Write each document of a set as a Markdown file of its own."""
    folder.mkdir(parents=True)
    for document in dataset.documents:
        title = "" if dataset.by_span or not document.title else f"# {document.title}\n\n"
        (folder / f"{_file_name(document.id)}.md").write_text(title + document.text, encoding="utf-8")


def sync_all(corpus: Path, data: Path, settings: Settings, queries: Sequence[str]) -> dict[str, Any]:
    """Index `corpus` as `assistant sync` does, then search; the time counts the imports and the making of the index."""
    started = time.monotonic()
    stay_offline(settings)
    from assistant.sync import Corpus

    with closing(Corpus(_settings_in(data, corpus, settings))) as opened:
        report = opened.sync()
        seconds = time.monotonic() - started
        if report.failed or report.problem:
            raise UserError(f"Not all was indexed: {report.problem or report.failed[0].message}")
        rankings: dict[str, list[list[str]]] = {
            mode: [
                list(dict.fromkeys(Path(hit.chunk.document_id).stem for hit in opened.search(query, _DEPTH, mode)))
                for query in queries
            ]
            for mode in MODES
        }
        return {"seconds": seconds, "chunks": opened.chunk_count(), **rankings}


def _settings_in(data: Path, corpus: Path, settings: Settings) -> Settings:
    """Return settings with other folders; the models are linked, not made again."""
    data.mkdir(parents=True)
    (data / "models").symlink_to(settings.data / "models")
    return replace(settings, data=data, corpus=corpus)


# Sync of many files


def many_files(folder: Path, settings: Settings, count: int) -> dict[str, Any]:
    """Sync `count` files that are all indexed already, then change one, ten times, until it is found."""
    stay_offline(settings)
    from assistant.sync import Corpus

    corpus = folder / "corpus"
    for number in range(count):
        path = corpus / f"{number % 100:02}" / f"{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_note(number, "quiet"), encoding="utf-8")
    with closing(Corpus(_settings_in(folder / "data", corpus, settings))) as opened:
        first = opened.sync()
        unchanged = _timed(5, lambda turn: opened.sync())

        def change(turn: int) -> None:
            word = f"zebrafinch{turn}"
            (corpus / "07" / "7.md").write_text(_note(7, word), encoding="utf-8")
            opened.sync()
            assert word in opened.search(word, 1)[0].chunk.text

        return {
            "files": count,
            "chunks": first.chunks,
            "first_seconds": round(first.seconds, 1),
            "unchanged_seconds": unchanged,
            "changed_seconds": _timed(10, change),
        }


def _note(number: int, word: str) -> str:
    return f"# Note {number}\n\nIn the {word} harbour number {number} there are {number * 7 % 1009} boats, and {number % 31} of them are red.\n"


def _timed(times: int, work: Callable[[int], object]) -> list[float]:
    """Return how long each of some turns took, in seconds, shortest first."""
    found = []
    for turn in range(times):
        clock = time.monotonic()
        work(turn)
        found.append(round(time.monotonic() - clock, 3))
    return sorted(found)


# Both indexes from stored vectors


def rebuild(folder: Path, settings: Settings, count: int) -> dict[str, Any]:
    """Make the indexes of `count` chunks from the catalogue; `before_mb` is the most memory used until then."""
    stay_offline(settings)
    from assistant.collection import Collection
    from assistant.embedding import load_embedder
    from eval.synthetic import fill, load_source

    embedder = load_embedder(settings)
    source = load_source(None, settings, embedder, lambda done, total: None)
    with closing(Collection(folder, embedder)) as collection:
        fill(collection, source, count, lambda done, total: None)
    del source
    with closing(Collection(folder, embedder)) as collection:
        before = _peak_mb()
        clock = time.monotonic()
        collection.index.rebuild()
        seconds = time.monotonic() - clock
        return {
            "chunks": count,
            "seconds": round(seconds, 1),
            "before_mb": round(before),
            "vectors_mb": round(count * embedder.dim * 4 / 1e6),
        }


def table(result: Mapping[str, Any]) -> str:
    """Return the README's table of a stored result; parts that were not measured are left out."""
    lines = ["| what | measured | goal |", "| --- | --- | --- |"]
    notes = []
    if first := result.get("first"):
        lines += [
            f"| first indexing of {first['documents']:,} documents ({', '.join(first['sets'])}), against the recipe | {first['ratio']:.1f} times ({first['seconds']:.0f} against {first['recipe_seconds']:.0f} s; {first['chunks']:,} and {first['recipe_chunks']:,} chunks) | 3 times |",
            f"| its memory at most, against the recipe's | {first['peak_mb'] / 1000:.1f} against {first['recipe_peak_mb'] / 1000:.1f} GB | |",
        ]
        if "asked" in first:
            lines.append(
                f"| nDCG@10 on {first['asked']}: the recipe's, ours by vectors alone, ours in full | {first['ndcg_recipe']:.3f}, {first['ndcg_dense']:.3f}, {first['ndcg_full']:.3f} | not 0.005 less |"
            )
        notes.append(_measured("first", first))
    if files := result.get("files"):
        lines += [
            f"| sync of {files['files']:,} unchanged files, median of 5 | {statistics.median(files['unchanged_seconds']):.2f} s | 2 s |",
            f"| one changed file among them until it is found, median and slowest of 10 | {statistics.median(files['changed_seconds']):.2f} and {files['changed_seconds'][-1]:.2f} s | 1 s |",
        ]
        notes.append(_measured("files", files))
    if again := result.get("rebuild"):
        lines.append(
            f"| indexes of {again['chunks']:,} chunks made again from stored vectors | {again['seconds']:.0f} s, {again['peak_mb'] - again['before_mb']:,.0f} MB more at the most (the vectors are {again['vectors_mb']:,.0f} MB) | 180 s |"
        )
        notes.append(_measured("rebuild", again))
    return "\n".join(
        [
            *lines,
            "",
            "Measured by `python -m eval indexing --data DIR...`: "
            + "; ".join(notes)
            + ". The recipe: LangChain's RecursiveCharacterTextSplitter 1000/200, HuggingFaceEmbeddings all-MiniLM-L6-v2 in fp32, langchain-chroma (`eval/recipe.py`).",
        ]
    )


def _measured(part: str, figures: Mapping[str, Any]) -> str:
    return f"{part} on {figures['date']}, {figures['machine']}, load before {figures['load']}"
