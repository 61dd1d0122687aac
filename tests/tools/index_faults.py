"""Damage the indexes in many ways and tell how often that is noticed: `python tests/tools/index_faults.py [--cycles N] [--trials N]`.

Prints a Markdown table. The models are those of the data folder that ASSISTANT_DATA names.
"""

import argparse
import json
import os
import random
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from assistant.audit import recall
from assistant.collection import Collection
from assistant.dense import _seal
from assistant.embedding import Embedder, load_embedder
from assistant.settings import load_settings, stay_offline
from eval.synthetic import Source, fill, load_source

_SIZE = 5000  # chunks
_DELETED = 0x01  # hnswlib's mark, in the third byte of an element


def synthetic_source(embedder: Embedder, most: int = 4000) -> Source:
    """Return up to `most` real chunks, of the starter corpus and the calibration texts."""
    settings = load_settings({"ASSISTANT_CORPUS": str(Path(__file__).parents[2] / "corpus")})
    source = load_source(None, settings, embedder, lambda done, total: None)
    return Source(source.name, source.chunks[:most], source.vectors[:most], source.questions)


def forget_vectors(dense: Path, share: float, seed: int) -> int:
    """Mark a share of the vectors in Chroma's graph as deleted, behind its back; returns how many. All counts stay right."""
    [level] = dense.glob("*/data_level0.bin")
    header = (level.parent / "header.bin").read_bytes()
    # hnswlib: version (32 bits here), then offset of the links, most elements, elements, bytes of each.
    _, most, count, size = struct.unpack_from("<QQQQ", header, 4)
    assert level.stat().st_size == most * size or level.stat().st_size == count * size, "another layout than expected"
    chosen = random.Random(seed).sample(range(count), round(share * count))
    with level.open("r+b") as file:
        for number in chosen:
            file.seek(number * size + 2)
            file.write(bytes([_DELETED]))
    (dense / "seal.json").write_text(json.dumps(_seal(dense, {})))  # or else the seal would tell
    return len(chosen)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _garble(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def _delete(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "data_level0.bin cut in half": lambda gen: _cut(_one(gen, "dense/*/data_level0.bin")),
    "data_level0.bin zeroed": lambda gen: _zero(_one(gen, "dense/*/data_level0.bin")),
    "link_lists.bin cut in half": lambda gen: _cut(_one(gen, "dense/*/link_lists.bin")),
    "link_lists.bin zeroed": lambda gen: _zero(_one(gen, "dense/*/link_lists.bin")),
    "header.bin garbage": lambda gen: _garble(_one(gen, "dense/*/header.bin")),
    "the metadata of the segment cut": lambda gen: _cut(_one(gen, "dense/*/index_metadata.*")),
    "the segment's folder gone": lambda gen: shutil.rmtree(_one(gen, "dense/*/data_level0.bin").parent),
    "chroma.sqlite3 garbage": lambda gen: _garble(gen / "dense/chroma.sqlite3"),
    "chroma.sqlite3 cut in half": lambda gen: _cut(gen / "dense/chroma.sqlite3"),
    "chroma.sqlite3 gone": lambda gen: (gen / "dense/chroma.sqlite3").unlink(),
    "Tantivy's meta.json garbage": lambda gen: _garble(gen / "lexical/meta.json"),
    "Tantivy's postings gone": lambda gen: _delete(gen / "lexical", "*.idx"),
    "the whole generation gone": shutil.rmtree,
}


def _one(folder: Path, pattern: str) -> Path:
    return next(folder.glob(pattern))


def _generation(data: Path) -> Path:
    return _one(data, "index/gen-*")


def _damaged(made: Path, folder: Path, embedder: Embedder) -> Iterator[str]:
    noticed, slowest = 0, 0.0
    for name, damage in DAMAGES.items():
        data = Path(shutil.copytree(made, folder / "copy"))
        damage(_generation(data))
        started = time.monotonic()
        with closing(Collection(data, embedder)) as collection:
            collection.search("a question", 5)
            seconds = time.monotonic() - started
            found = collection.index.rebuilt and collection.index.faults() == []
        noticed += found
        slowest = max(slowest, seconds)
        yield f"| {name} | {'noticed, made again' if found else 'MISSED'} | {seconds:.1f} s until a question is answered |"
        shutil.rmtree(data)
    yield f"| D4, all of these | {noticed} of {len(DAMAGES)} noticed | slowest {slowest:.1f} s |"


def _forgotten(made: Path, folder: Path, embedder: Embedder, trials: int) -> Iterator[str]:
    noticed = 0
    for trial in range(trials):
        data = Path(shutil.copytree(made, folder / "copy"))
        forget_vectors(_generation(data) / "dense", 0.02, trial)
        with closing(Collection(data, embedder)) as collection:
            noticed += collection.index.rebuilt
        shutil.rmtree(data)
    yield f"| D5, 2 % of the vectors gone from the graph, counts right | {noticed} of {trials} noticed at opening | |"


def _again(folder: Path, embedder: Embedder, source: Source, cycles: int) -> Iterator[str]:
    sizes: list[int] = []
    recalls: list[float] = []
    seconds: list[float] = []
    with closing(Collection(folder / "again", embedder)) as collection:
        for _ in range(cycles):
            started = time.monotonic()
            for id in collection.catalog.document_ids():
                collection.drop(id)
            fill(collection, source, _SIZE, lambda done, total: None)
            collection.flush()
            seconds.append(time.monotonic() - started)
            sizes.append(sum(path.stat().st_size for path in (folder / "again").rglob("*") if path.is_file()))
            assert collection.index._dense is not None
            recalls.append(recall(collection.index._dense, collection.catalog, embedder.dim, questions=500))
    yield (
        f"| D10, {_SIZE:,} chunks put in {cycles} times | disk last/first {sizes[-1] / sizes[0]:.2f}, recall@10 {recalls[0]:.4f} first,"
        f" {recalls[-1]:.4f} last | {sum(seconds) / len(seconds):.1f} s a cycle |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--cycles", type=int, default=10)
    options = parser.parse_args()
    settings = load_settings()
    stay_offline(settings)
    embedder = load_embedder(settings)
    source = synthetic_source(embedder)
    print("| fault | result | time |\n| --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(Collection(folder / "made", embedder)) as collection:
            fill(collection, source, _SIZE, lambda done, total: None)
            collection.reindex()
        for line in chain(
            _damaged(folder / "made", folder, embedder),
            _forgotten(folder / "made", folder, embedder, options.trials),
            _again(folder, embedder, source, options.cycles),
        ):
            print(line, flush=True)


if __name__ == "__main__":
    main()
