"""What interrupted work left behind: files and folders that nothing uses."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from assistant.addresses import PART
from assistant.dense import stray_folders
from assistant.index import generation_folder
from assistant.settings import Settings


def leftovers(settings: Settings, generation: str) -> list[Path]:
    """Return what can be deleted of the data and corpus folders; `generation` of the indexes is in force (empty: not known).

    Only while nobody owns the data folder: a running app is about to use such files.
    """
    return sorted({*_in_data(settings.data, generation), *_in_corpus(settings.corpus)})


def _in_data(data: Path, generation: str) -> Iterator[Path]:
    index = data / "index"
    if generation:
        current = generation_folder(index, int(generation))
        yield from (path for path in index.glob("gen-*") if path != current)
        yield from stray_folders(current / "dense")
    yield from index.glob(".look-*")
    yield from (data / "models").glob(".making-*")
    yield from data.glob(".probe-*")
    yield from data.glob("*.part")


def _in_corpus(corpus: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(corpus):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in names if name.startswith(".") and name.endswith(PART))


def delete(paths: list[Path]) -> int:
    """Delete files and folders; returns the bytes that they held."""
    freed = 0
    for path in paths:
        freed += size(path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return freed


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())
