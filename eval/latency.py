"""`python -m eval latency`: how fast is search, and in how much memory, when the corpus is large?

For each size a throw-away collection is made (`eval.synthetic`), indexed as the app does it, and searched
by a process of its own, with exact search beside the approximate index. The figures go to
`eval/results/latency.json` and from there into the README.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from assistant.collection import Collection
from assistant.embedding import Embedder, load_embedder
from assistant.errors import UserError
from assistant.settings import Settings, load_settings, stay_offline
from eval.bench import machine
from eval.readme import RESULTS, put_block, save_result
from eval.search_times import WARM_UP, in_fresh_process
from eval.synthetic import OWN, Progress, Source, fill, load_source, neighbour_cosines

RESULT = RESULTS / "latency.json"
_BYTES_PER_CHUNK = 20_000  # of disk, with the generation that is being made and SQLite's journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval latency`."""
    parser.add_argument("--sizes", default="1000,10000,100000", metavar="N,N", help="chunks (default 1000,10000,100000)")
    parser.add_argument("--queries", type=int, default=200, metavar="N", help="questions asked of each size (default 200)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="a set whose texts and questions are used (default: the corpus folder's texts)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--no-save", action="store_true", help="leave eval/results/ and the README as they are")


def run(options: argparse.Namespace) -> int:
    """Measure every size, print the figures, and keep them."""
    sizes = parse_sizes(options.sizes)
    if not 1 <= options.queries <= 10_000:
        raise UserError(f"--queries is {options.queries}: it must be between 1 and 10000.")
    settings = load_settings()
    stay_offline(settings)
    result = measure(sizes, options.queries, options.data, settings)
    print(json.dumps(result, ensure_ascii=False) if options.json else table(result))
    if not options.no_save:
        save_result(RESULT, result)
        put_block("latency", table(result))
    return 0


def parse_sizes(text: str) -> list[int]:
    """Return the sizes in `text`, ascending; `UserError` for one that is no number from 100 to 1,000,000."""
    sizes = set()
    for part in text.split(","):
        if not part.strip().isdecimal() or not 100 <= int(part) <= 1_000_000:
            raise UserError(f"--sizes: {part.strip()!r} is not a whole number from 100 to 1000000.")
        sizes.add(int(part))
    return sorted(sizes)


def measure(sizes: Sequence[int], queries: int, data: Path | None, settings: Settings) -> dict[str, Any]:
    """Return the figures of each size, with the machine and what the chunks were made of."""
    import psutil

    load = psutil.getloadavg()[0]
    with _scratch(settings, max(sizes)) as folder:
        embedder = load_embedder(settings, lambda line: print(f"  {line}", file=sys.stderr))
        with _bar("embedding real chunks") as progress:
            source = load_source(data, settings, embedder, progress)
        if len(source.questions) < 2:
            raise UserError("There are no questions to ask: put documents into the corpus folder, or name a set with --data.")
        questions = source.questions[: queries + WARM_UP]
        figures = [measure_size(size, source, questions, folder / str(size), embedder, settings) for size in sizes]
    return {
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "load": round(load, 1),
        "source": source.name,
        "real_chunks": len(source.chunks),
        "noise_cosine": round(float(np.median(neighbour_cosines(source.matrix))), 3),
        "sizes": figures,
    }


@contextmanager
def _scratch(settings: Settings, size: int) -> Iterator[Path]:
    """Give a folder for collections of up to `size` chunks, that is gone afterwards; `UserError` when disk is short."""
    from filelock import FileLock, Timeout

    folder = settings.data / "eval" / "latency"
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.with_suffix(".lock"), timeout=0):
            shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
            free, needed = shutil.disk_usage(folder.parent).free, size * _BYTES_PER_CHUNK
            if free < needed:
                raise UserError(
                    f"{size:,} chunks take {needed / 1e6:,.0f} MB of disk and {folder.parent} has {free / 1e6:,.0f} MB free: "
                    "make room, set ASSISTANT_DATA to another disk, or name smaller --sizes."
                )
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        raise UserError(f"Another 'eval latency' is running in {folder}: wait for it to end.") from None


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    from tqdm import tqdm

    with tqdm(desc=f"  {what}", unit=" chunks", leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def measure_size(
    size: int, source: Source, questions: Sequence[str], folder: Path, embedder: Embedder, settings: Settings
) -> dict[str, Any]:
    """Build a collection of `size` chunks in `folder`, search it in a fresh process, and return the figures."""
    clock = time.monotonic()
    collection = Collection(folder, embedder)
    try:
        with _bar(f"{size:,} chunks: catalogue") as progress:
            fill(collection, source, size, progress)
        filled = time.monotonic()
        with _bar(f"{size:,} chunks: indexes") as progress:
            collection.index.rebuild(progress)
        built = time.monotonic()
    finally:
        collection.close()
    return {
        "chunks": size,
        "catalogue_seconds": round(filled - clock, 1),
        "index_seconds": round(built - filled, 1),
        "catalogue_mb": _megabytes(folder.glob("catalog.sqlite3*")),
        "dense_mb": _megabytes(folder.glob("index/*/dense")),
        "lexical_mb": _megabytes(folder.glob("index/*/lexical")),
        **in_fresh_process(folder, settings, questions),
    }


def _megabytes(paths: Iterable[Path]) -> float:
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 1e6, 1)


def table(result: Mapping[str, Any]) -> str:
    """Return the README's table of a stored result."""
    sizes = result["sizes"]

    def row(what: str, cell: Callable[[Any], str], goal: str = "") -> str:
        return f"| {' | '.join([what, *(cell(size) for size in sizes), goal])} |"

    def times(name: str) -> Callable[[Any], str]:
        return lambda size: " / ".join(_short(size[f"{name}_ms"][part]) for part in ("p50", "p95", "p99")) + " ms"

    return "\n".join(
        [
            row("", lambda size: f"{size['chunks']:,} chunks", "goal at 100,000"),
            "| --- " * (len(sizes) + 2) + "|",
            row("passages for a question, with its embedding, p50 / p95 / p99", times("search"), "40 / 100 ms"),
            row("the same after three earlier questions", times("conversation")),
            row("of it, embedding the question", times("embed")),
            row("of it, dense search for 100 in Chroma", times("dense")),
            row("of it, lexical search for 100 in Tantivy", times("lexical")),
            row("exact dense search in memory, instead", times("exact")),
            row("recall@10 of dense search against exact", lambda size: f"{size['recall@10']:.3f}"),
            row("memory of the process", lambda size: f"{size['memory_mb'] / 1000:.2f} GB", "2 GB"),
            row(
                "on disk: catalogue + Chroma + Tantivy",
                lambda size: " + ".join(f"{size[f'{part}_mb']:,.0f}" for part in ("catalogue", "dense", "lexical")) + " MB",
            ),
            row("making both indexes", lambda size: f"{size['index_seconds']:,.0f} s"),
            "",
            f"Measured by `python -m eval latency{_data(result['source'])}` on {result['date']}: {result['machine']}; load before it {result['load']}. "
            f"{sizes[0]['queries']:,} different questions at each size; {result['real_chunks']:,} real chunks ({result['source']}), "
            "the others copies of them with words swapped and vectors moved as far as real neighbours lie "
            f"(cosine {result['noise_cosine']:.2f} in the middle). The files were just written, so the system holds them in memory.",
        ]
    )


def _data(source: str) -> str:
    return "" if source == OWN else f" --data {source}"


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"
