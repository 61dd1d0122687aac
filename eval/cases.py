"""Questions that each have documents of their own: the base of the sets in `injections.jsonl`, `sources.jsonl` and `poison.jsonl`."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from assistant.answer import Assistant
from assistant.errors import UserError
from assistant.filters import Filter
from assistant.settings import Settings
from eval.answer_rows import NotedModel
from eval.datasets import text_field


@dataclass(frozen=True)
class Case:
    """One question about `files` (name to text), to be asked of these alone."""

    id: str
    kind: str
    files: Mapping[str, str]
    question: str


SomeCase = TypeVar("SomeCase", bound=Case)


def add_arguments_for(things: str, parser: argparse.ArgumentParser) -> None:
    """Declare the options of a measurement over such a set."""
    parser.add_argument("--limit", type=int, metavar="N", help=f"only the first N {things} of the set")
    parser.add_argument("--fresh", action="store_true", help="ask again what an earlier run of the same code and settings has")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def first(cases: Sequence[SomeCase], limit: int | None) -> Sequence[SomeCase]:
    """Return the first `limit` cases, all when it is None; `UserError` when it is less than 1."""
    if limit is not None and limit < 1:
        raise UserError(f"--limit is {limit}: it must be 1 or more.")
    return cases[:limit]


def case_fields(row: Mapping[str, Any], path: Path, number: int) -> tuple[str, dict[str, str], str]:
    """Return kind, files and question of one line of a set; `UserError` names the line when one is wrong."""
    kind, question = (text_field(row, name, path, number) for name in ("kind", "question"))
    files = row.get("files")
    if not isinstance(files, dict) or not files:
        raise UserError(f"{path}, line {number}: 'files' must be an object, name to text.")
    return kind, {str(name): str(text) for name, text in files.items()}, question


def documents_of(id: str) -> Filter:
    """Return the filter that allows the documents of one case in an app that `opened` gave."""
    return Filter(folders=(id,))


@contextmanager
def opened(cases: Sequence[Case], settings: Settings) -> Iterator[tuple[Assistant, NotedModel]]:
    """Give the app over the documents of `cases`, and its model, in a folder of its own that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="cases-") as folder:
        corpus, data = Path(folder) / "corpus", Path(folder) / "data"
        for case in cases:
            for name, text in case.files.items():
                path = corpus / case.id / Path(name).name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        data.mkdir()
        (settings.data / "models").mkdir(parents=True, exist_ok=True)
        (data / "models").symlink_to(settings.data / "models")
        with closing(
            Assistant(replace(settings, corpus=corpus, data=data), lambda line: print(f"  {line}", file=sys.stderr))
        ) as app:
            failed = app.sync().failed
            if failed:
                raise UserError(f"{failed[0].id} of the set can't be indexed: {failed[0].message}.")
            model = NotedModel(settings)
            app.chat_model = model
            yield app, model
