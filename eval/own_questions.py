"""The user's own golden questions, in `eval/questions.jsonl` of the data folder: added, reviewed, changed.

The file is rewritten whole, under a lock, so that the page in several tabs and `eval generate` can change it at once. A line
that can't be read stays where it is.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from assistant.answer import check_question
from assistant.errors import UserError
from assistant.snapshots import Answer, Thumb
from eval.answer_rows import plain
from eval.drafts import as_words
from eval.runs import write_whole

_PATIENCE = 10.0  # seconds to wait for another process that writes
_MOST_QUOTES = 12  # offered for evidence
_ANSWER = 2000  # characters

Evidence = dict[str, Any]  # `document`, `quote`, and `start` and `end`, its characters when it was written down
Find = Callable[[str, str], Evidence | None]  # a quote, and the document to look into first: where it stands


@dataclass(frozen=True)
class Entry:
    """One line of the file. `stamp` stands for it as it was read: another one when it has changed since."""

    id: str
    row: Mapping[str, Any]
    stamp: str

    @property
    def text(self) -> str:
        """The question."""
        return str(self.row.get("text", ""))

    @property
    def draft(self) -> bool:
        """Whether it waits to be reviewed."""
        return self.row.get("draft") is True

    @property
    def evidence(self) -> list[Evidence]:
        """The quotes that answer it."""
        return _quotes(self.row.get("evidence"))

    @property
    def offered(self) -> list[Evidence]:
        """The quotes to choose evidence from, those chosen first."""
        found = self.evidence
        return found + [quote for quote in _quotes(self.row.get("quotes")) if not _among(quote, found)]


def entries(path: Path) -> tuple[list[Entry], list[str]]:
    """Return the questions in the file at `path`, none when it isn't there, and a line about each that can't be read."""
    found, bad = list[Entry](), list[str]()
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        entry = _entry(line)
        if entry is None:
            bad.append(f"{path}, line {number}: it can't be read, so it is left alone: mend or delete it.")
        else:
            found.append(entry)
    return found, bad


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a line to the file at `path`, which is whole at every moment, with the line or without."""
    with _rewriting(path) as lines:
        lines.append(_line(row))


def add_draft(path: Path, row: Mapping[str, Any]) -> None:
    """Add a draft, in place of another draft of the same question; `UserError` when the question was kept already."""
    with _rewriting(path) as lines:
        for at, line in enumerate(lines):
            entry = _entry(line)
            if entry is not None and as_words(entry.text) == as_words(str(row["text"])):
                if not entry.draft:
                    raise UserError("This question is among yours already: change it in the Evaluation tab.")
                lines[at] = _line(row)
                return
        lines.append(_line(row))


def change(path: Path, stamp: str, row: Mapping[str, Any] | None) -> None:
    """Replace the question that was read with `stamp`, or throw it away; `UserError` when it was changed since."""
    with _rewriting(path) as lines:
        for at, line in enumerate(lines):
            entry = _entry(line)
            if entry is not None and entry.stamp == stamp:
                lines[at : at + 1] = [] if row is None else [_line(row)]
                return
        raise UserError("This question was changed or thrown away meanwhile, in another tab perhaps: look at it again.")


def drafted(answer: Answer, thumb: Thumb, comment: str) -> dict[str, Any]:
    """Return the draft of a golden question that an answer gives.

    With a thumb up its citations are the evidence and its text the expected answer; a refusal makes it unanswerable. With a
    thumb down evidence is still to be given. `quotes` are what to choose it from.
    """
    cited = [_evidence(one.chunk.document_id, one.start, one.end, one.quote) for one in answer.cited]
    quotes = list(cited)
    for hit in answer.passages:
        start, end = hit.best_sentence
        quote = _evidence(hit.chunk.document_id, start, end, hit.chunk.text[start - hit.chunk.start : end - hit.chunk.start])
        if quote["quote"].strip() and not _among(quote, quotes):
            quotes.append(quote)
    row: dict[str, Any] = {
        "_id": f"chat-{secrets.token_hex(6)}",
        "text": answer.asked or answer.question,
        "draft": True,
        "thumb": thumb,
    }
    if thumb == "up" and answer.refused:
        row["unanswerable"] = True
    elif thumb == "up":
        row |= {"evidence": cited, "answer": " ".join(plain(answer.text).split())[:_ANSWER]}
    return row | {"quotes": quotes[:_MOST_QUOTES]} | ({"comment": comment} if comment else {})


def reviewed(
    entry: Entry, text: str, answer: str, picked: Sequence[int], typed: str, unanswerable: bool, find: Find
) -> dict[str, Any]:
    """Return the question as a person wants to keep it; `picked` are numbers of its `offered` quotes.

    `typed` holds more quotes, one a line; Raises `UserError` for an empty question, one
    without evidence that isn't said to be unanswerable, and a quote that stands in no document word for word.
    """
    text = check_question(text)
    row: dict[str, Any] = {"_id": entry.id, "text": text}
    offered = entry.offered
    wanted = [offered[number]["quote"] for number in picked if 0 <= number < len(offered)]
    wanted += [line.strip() for line in typed.splitlines() if line.strip()]
    if unanswerable:
        if wanted:
            raise UserError("Either choose evidence, or say that the documents don't answer it: not both.")
        return row | {"unanswerable": True}
    evidence = list[Evidence]()
    for quote in wanted:
        place = next((one for one in offered if one["quote"] == quote and _stands(one, find)), None) or find(quote, "")
        if place is None:
            raise UserError(f"“{' '.join(quote.split())[:80]}” stands in none of your documents word for word: copy it from one.")
        if not _among(place, evidence):
            evidence.append(place)
    if not evidence:
        raise UserError("Choose a sentence that answers it, paste one, or say that the documents don't answer it.")
    answer = " ".join(answer.encode("utf-8", errors="replace").decode().split())[:_ANSWER]
    return row | {"evidence": evidence} | ({"answer": answer} if answer else {})


def _stands(quote: Evidence, find: Find) -> bool:
    """Whether a quote still stands in its own document."""
    found = find(quote["quote"], quote["document"])
    return found is not None and found["document"] == quote["document"]


def as_it_is(entry: Entry, find: Find) -> dict[str, Any]:
    """Return a draft as a question that is kept unchanged; raises as `reviewed` does."""
    answer = str(entry.row.get("answer", ""))
    unanswerable = entry.row.get("unanswerable") is True
    return reviewed(entry, entry.text, answer, range(len(entry.evidence)), "", unanswerable, find)


def _evidence(document: str, start: int, end: int, quote: str) -> Evidence:
    return {"document": document, "quote": quote, "start": start, "end": end}


def _quotes(raw: object) -> list[Evidence]:
    """Return the sound ones among what a line holds of quotes."""
    items = raw if isinstance(raw, list) else []
    return [
        item
        for item in items
        if isinstance(item, dict) and isinstance(item.get("document"), str) and isinstance(item.get("quote"), str)
    ]


def _among(quote: Evidence, others: Sequence[Evidence]) -> bool:
    return any(quote["document"] == other["document"] and quote["quote"].split() == other["quote"].split() for other in others)


def _entry(line: str) -> Entry | None:
    try:
        row = json.loads(line)
        if isinstance(row, dict) and isinstance(row.get("_id"), str) and row["_id"] and isinstance(row.get("text"), str):
            return Entry(row["_id"], row, hashlib.sha256(line.strip().encode("utf-8", errors="replace")).hexdigest()[:16])
    except (ValueError, RecursionError):
        pass
    return None


def _line(row: Mapping[str, Any]) -> str:
    # Lone halves of UTF-16 pairs can't be stored.
    return json.dumps(row, ensure_ascii=False).encode("utf-8", errors="replace").decode()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n") if path.exists() else []
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: mend it, or move it away.") from None
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error}).") from None


@contextmanager
def _rewriting(path: Path) -> Iterator[list[str]]:
    """Give the lines of the file to change; it is written when that went well. One thread and one process at a time."""
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=_PATIENCE):
            lines = _lines(path)
            lines = [] if lines == [""] else lines
            yield lines
            write_whole(path, "".join(f"{line}\n" for line in lines).encode())
    except Timeout:
        raise UserError(f"{path} is being written by another process: try again.") from None
    except OSError as error:
        raise UserError(f"{path} can't be written ({error.strerror or error}): make room, or name another.") from None
