"""Runs of an eval of retrieval or answers: what was measured with what, kept as one JSON file each."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assistant.documents import clean_line
from assistant.errors import UserError
from assistant.settings import Settings


@dataclass(frozen=True)
class RunHit:
    """One retrieved passage: characters `start` to `end` of a document. `text` is its beginning, on the first hits only."""

    document: str
    start: int
    end: int
    score: float
    text: str = ""


@dataclass(frozen=True)
class RunQuestion:
    """One question with its measures, what should have been found, and what was found, best first.

    `relevant` holds ids of documents, or `id[start:end]` for spans of characters, `expected` the beginnings of the texts of
    such spans, as far as they were kept. `hits` are passages for
    spans, and for documents the best passage of each. `answer` says what was answered, in evals of whole answers.
    """

    id: str
    text: str
    measures: Mapping[str, float]
    relevant: tuple[str, ...]
    hits: tuple[RunHit, ...]
    answer: Mapping[str, Any] = field(default_factory=dict)
    expected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One eval of one set. `measures` are means over `questions`, 0 to 1; the first is the main one.

    `data` is a digest of the set's content: only runs of the same content can be compared.
    `date` is UTC in ISO 8601. `queries` is the stem of the file of questions when it wasn't the set's own.
    """

    set: str
    data: str
    mode: str
    k: int
    date: str
    seconds: float
    settings: Mapping[str, Any]
    models: Mapping[str, Any]
    versions: Mapping[str, str]
    measures: Mapping[str, float]
    unknown_qrels: int
    questions: tuple[RunQuestion, ...]
    queries: str = ""

    @property
    def asked(self) -> str:
        """The set, with the file of its questions when it wasn't its own: runs of one set are alike when this is."""
        return f"{self.set}-{self.queries}" if self.queries else self.set

    @property
    def name(self) -> str:
        """The name of the run's file, without its ending: set, questions, mode and date."""
        stamp = re.sub(r"\D", "", self.date)[:14]
        asked = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.asked[:150]).lstrip("-")  # or it would be taken for an option
        return f"{asked}-{self.mode}-{stamp[:8]}-{stamp[8:]}"

    @property
    def main_measure(self) -> str:
        """The name of the main measure."""
        return next(iter(self.measures))

    @property
    def moment(self) -> datetime:
        """`date` as a moment; `ValueError` when it is none."""
        moment = datetime.fromisoformat(self.date)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def one_line(text: str, length: int = 120) -> str:
    """Return text of a run as one line that can be printed and drawn anywhere, at most `length` characters."""
    return clean_line("".join(sign if sign.isprintable() else " " for sign in text), length)


def runs_folder(settings: Settings) -> Path:
    """Return the folder that holds the runs."""
    return settings.data / "eval" / "runs"


def save_run(run: Run, folder: Path) -> Path:
    """Write `run` into `folder` under its name and return the path; the file is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run.name}.json"
    write_whole(path, json.dumps(asdict(run), ensure_ascii=False).encode())
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` so that the file is the old or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load_run(path: Path) -> Run:
    """Read a run; `UserError` when the file is missing or not a run."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        questions = tuple(
            RunQuestion(
                str(q["id"]),
                str(q["text"]),
                {str(name): float(value) for name, value in q["measures"].items()},
                tuple(str(id) for id in q["relevant"]),
                tuple(
                    RunHit(str(h["document"]), int(h["start"]), int(h["end"]), float(h["score"]), str(h["text"])) for h in q["hits"]
                ),
                dict(q.get("answer", {})),
                tuple(str(text) for text in q.get("expected", ())),
            )
            for q in raw["questions"]
        )
        run = Run(
            set=str(raw["set"]),
            data=str(raw["data"]),
            mode=str(raw["mode"]),
            k=int(raw["k"]),
            date=str(raw["date"]),
            seconds=float(raw["seconds"]),
            settings=dict(raw["settings"]),
            models=dict(raw["models"]),
            versions=dict(raw["versions"]),
            measures={str(name): float(value) for name, value in raw["measures"].items()},
            unknown_qrels=int(raw["unknown_qrels"]),
            questions=questions,
            queries=str(raw.get("queries", "")),  # runs made before there was this field lack it
        )
        if not run.measures or not all(0 <= round(value, 6) <= 1 for value in run.measures.values()):
            raise ValueError("no measures")
        if not 1970 < run.moment.year < 2200:  # nothing can draw the years at the ends
            raise ValueError("no date of a run")
        return run
    except OSError as error:
        raise UserError(f"The run {path} can't be read ({error.strerror or error}).") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UserError(f"{path} is not a run that 'eval retrieval' or 'eval answers' wrote.") from None


def find_run(name: str, folder: Path) -> Run:
    """Return the run of that path, or of that name in `folder`; `UserError` names the runs there are."""
    paths = [Path(name), folder / f"{name.removesuffix('.json')}.json"]
    path = next((path for path in paths if _is_file(path)), None)
    if path is None:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json"))[-5:]) or "none; 'eval retrieval' makes them"
        raise UserError(f"There is no run {clean_line(name)!r} in {folder}. Newest: {known}.")
    return load_run(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for the disk, or one with a null in it
        return False


def stored_runs(folder: Path) -> list[Run]:
    """Return all runs in `folder`, oldest first; files that are no runs are passed over."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(load_run(path))
        except UserError:
            continue
    return sorted(found, key=lambda run: run.date)
