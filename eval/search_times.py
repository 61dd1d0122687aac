"""How long search and its parts take in a fresh process, and how much memory that process has then."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from assistant.collection import Collection
from assistant.embedding import Vectors, load_embedder
from assistant.errors import UserError
from assistant.retrieval import CANDIDATES
from assistant.settings import Settings, stay_offline
from eval.bench import memory_mb

WARM_UP = 10  # searches that aren't counted
_TURNS = 3  # questions asked before, where a conversation is timed
_AT = 10  # of recall
_SAME = 1e-5  # cosines nearer to each other than this count as equal

Asked = TypeVar("Asked")
Given = TypeVar("Given")


def in_fresh_process(folder: Path, settings: Settings, questions: Sequence[str]) -> dict[str, Any]:
    """Return what `search_times` measures in a new process, whose memory holds nothing else."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(search_times, folder, settings, tuple(questions)).result()
        except BrokenProcessPool:
            raise UserError(
                "The process that searched was ended from outside, for want of memory perhaps: name smaller --sizes."
            ) from None


def search_times(folder: Path, settings: Settings, questions: Sequence[str]) -> dict[str, Any]:
    """Search the collection in `folder` for each question, and time the parts of search alone.

    Times are milliseconds: median, 95th and 99th percentile. The first questions, 10 or half of them, warm up. Memory is
    resident MB after the searches, mapped files of the indexes included; what follows isn't counted.
    """
    stay_offline(settings)
    clock = time.monotonic()
    embedder = load_embedder(settings)
    collection = Collection(folder, embedder)
    opened = time.monotonic() - clock
    warm_up = min(WARM_UP, len(questions) // 2)
    for question in questions[:warm_up]:
        collection.passages_and_others(question, settings.passages)
    asked = questions[warm_up:]
    try:
        search, _ = _timed("searching", asked, lambda question: collection.passages_and_others(question, settings.passages))
        talks = [(question, [asked[at - turn] for turn in range(_TURNS, 0, -1)]) for at, question in enumerate(asked)]
        talk, _ = _timed(
            "in conversations", talks, lambda talk: collection.passages_and_others(talk[0], settings.passages, earlier=talk[1])
        )
        memory = memory_mb(os.getpid())
        embed, vectors = _timed("embedding", asked, lambda question: embedder.embed([question])[0])
        dense, found = _timed("dense", vectors, lambda vector: collection.index.dense(vector, CANDIDATES))
        lexical, _ = _timed("lexical", asked, lambda question: collection.index.lexical(question, CANDIDATES))
        ids, _, matrix = collection.catalog.all_vectors(embedder.dim)
        exact, nearest = _timed("exact", vectors, lambda vector: exact_search(matrix, vector, CANDIDATES))
    finally:
        collection.close()
    row_of = {id: row for row, id in enumerate(ids)}
    rows = [[row_of[id] for id, _ in hits if id in row_of] for hits in found]
    return {
        "queries": len(asked),
        "open_seconds": round(opened, 1),
        "memory_mb": round(memory),
        "search_ms": search,
        "conversation_ms": talk,
        "embed_ms": embed,
        "dense_ms": dense,
        "lexical_ms": lexical,
        "exact_ms": exact,
        f"recall@{_AT}": recall(matrix, vectors, rows, nearest, _AT),
        f"recall@{CANDIDATES}": recall(matrix, vectors, rows, nearest, CANDIDATES),
    }


def _timed(what: str, asked: Sequence[Asked], work: Callable[[Asked], Given]) -> tuple[dict[str, float], list[Given]]:
    """Return percentiles in milliseconds of `work` on each of `asked`, and what it gave."""
    seconds, given = [], []
    for one in _progress(asked, what):
        clock = time.perf_counter()
        given.append(work(one))
        seconds.append(time.perf_counter() - clock)
    return {f"p{part}": round(1000 * float(np.percentile(seconds, part)), 2) for part in (50, 95, 99)}, given


def _progress(asked: Sequence[Asked], what: str) -> Iterator[Asked]:
    from tqdm import tqdm

    yield from tqdm(asked, desc=f"  {what}", unit=" questions", leave=False)


def exact_search(matrix: Vectors, vector: Vectors, limit: int) -> list[int]:
    """Return the rows of `matrix` `(n, dim)` with the greatest dot product with `vector` `(dim,)`, best first."""
    cosines = matrix @ vector
    limit = min(limit, len(cosines))
    best = np.argpartition(-cosines, limit - 1)[:limit]
    return [int(row) for row in best[np.argsort(-cosines[best], kind="stable")]]


def recall(
    matrix: Vectors, vectors: Sequence[Vectors], found: Sequence[Sequence[int]], exact: Sequence[Sequence[int]], at: int
) -> float:
    """Return the share, 0 to 1, of the `at` nearest rows that are among the first `at` of `found`, as a mean over `vectors`.

    `found` and `exact` hold rows of `matrix` for each vector, best first. A row as near as the last of the nearest counts:
    which of the two exact search names is chance.
    """
    shares = []
    for vector, rows, nearest in zip(vectors, found, exact, strict=True):
        wanted = nearest[:at]
        last = float(matrix[wanted[-1]] @ vector) - _SAME
        right = sum(float(matrix[row] @ vector) >= last for row in dict.fromkeys(rows[:at]))
        shares.append(right / len(wanted))
    return round(float(np.mean(shares)), 4)
