"""Sets of documents and questions with what should be found, read from a folder."""

import hashlib
import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from assistant.catalog import Catalog
from assistant.documents import Document, clean_line, corpus_files, load_file
from assistant.errors import DocumentError, UserError
from assistant.settings import Settings

_GRADE = re.compile(r"[+-]?\d{1,3}")
_MAX_BYTES = 500_000_000
_BEGINNING = 300  # characters
_TURN = re.compile(r"^\|user\|:\s*", re.MULTILINE)


@dataclass(frozen=True)
class GoldSpan:
    """Characters `start` to `end` of the text of a document."""

    document: str
    start: int
    end: int


@dataclass(frozen=True)
class EvalQuestion:
    """A question and what should be found for it: documents with their grades, or spans of characters.

    `earlier` holds the questions asked before it in the conversation, oldest first.
    """

    id: str
    text: str
    documents: Mapping[str, int]
    spans: tuple[GoldSpan, ...] = ()
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """One set. `digest` stands for the content of the documents, `data` for that and the questions.

    `notes` are lines about what was left out; `unknown_qrels` counts judgements about documents that aren't there.
    `queries` is the stem of the file of questions when it isn't the set's own.
    """

    name: str
    documents: tuple[Document, ...]
    questions: tuple[EvalQuestion, ...]
    notes: tuple[str, ...] = ()
    unknown_qrels: int = 0
    queries: str = ""

    @property
    def by_span(self) -> bool:
        """Whether the questions name spans of characters, not whole documents."""
        return any(question.spans for question in self.questions)

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {document.id: document.text for document in self.documents}

    def beginnings(self, spans: Iterable[GoldSpan]) -> tuple[str, ...]:
        """Return the beginning of the text of each span."""
        return tuple(self._texts[span.document][span.start : min(span.end, span.start + _BEGINNING)] for span in spans)

    @property
    def digest(self) -> str:
        """A digest of the documents."""
        digest = hashlib.sha256()
        for document in self.documents:
            digest.update(f"{document.id}\0{document.title}\0{document.sha256}\n".encode())
        return digest.hexdigest()[:16]

    @property
    def data(self) -> str:
        """A digest of the documents, and of what should be found for each question, however it is worded."""
        digest = hashlib.sha256(self.digest.encode())
        for question in sorted(self.questions, key=lambda question: question.id):
            digest.update(repr((question.id, sorted(question.documents.items()), question.spans)).encode())
        return digest.hexdigest()[:16]


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for each line that isn't blank; `UserError` names the first bad line."""
    try:
        number = 0
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise UserError(f"{path}, line {number}: a JSON object is expected.")
                yield number, row
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text.") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {number}: not valid JSON ({error.msg}).") from None
    except (RecursionError, ValueError):
        raise UserError(f"{path}, line {number}: nested too deeply, or a number of thousands of digits.") from None
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error}).") from None


def text_field(row: Mapping[str, Any], name: str, path: Path, number: int, optional: bool = False) -> str:
    """Return a text of a line's object, "" when it is `optional` and missing; `UserError` when it is no text."""
    value = row.get(name)
    if value is None and optional:
        value = ""
    if isinstance(value, int) and name == "_id":
        value = str(value)
    if not isinstance(value, str):
        raise UserError(f"{path}, line {number}: {name!r} must be a text.")
    # Lone halves of UTF-16 pairs can be neither stored nor searched.
    return value.encode("utf-8", errors="replace").decode()


def identified(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield (line number, `_id`, object) for each line; `UserError` names a bad line, or an id used twice."""
    seen: dict[str, int] = {}
    for number, row in json_lines(path):
        id = text_field(row, "_id", path, number)
        if not id:
            raise UserError(f"{path}, line {number}: '_id' is empty.")
        if id in seen:
            raise UserError(f"{path}, line {number}: the id {clean_line(id)!r} was used on line {seen[id]} already.")
        seen[id] = number
        yield number, id, row


def load_dataset(folder: Path, queries: Path | None = None) -> Dataset:
    """Read a set: a BEIR folder, or one with `questions.jsonl` and the documents in `corpora/`.

    `queries` names another file of questions, by path or by its name in the folder. Raises `UserError`
    for a file that is missing, and names the line that is wrong.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder.")
    by_span = (folder / "questions.jsonl").is_file()
    if not by_span and not (folder / "corpus.jsonl").is_file():
        raise UserError(f"{folder} holds neither corpus.jsonl (BEIR layout) nor questions.jsonl (gold spans).")
    own = folder / ("questions.jsonl" if by_span else "queries.jsonl")
    asked = _queries_file(folder, queries, own.name)
    dataset = _span_dataset(folder, asked) if by_span else _beir_dataset(folder, asked)
    return dataset if asked.resolve() == own.resolve() else replace(dataset, queries=asked.stem)


def _queries_file(folder: Path, named: Path | None, default: str) -> Path:
    if named is None:
        return folder / default
    return named if named.is_file() else folder / named


def _conversation(text: str) -> tuple[str, tuple[str, ...]]:
    """Split a query of `|user|:` turns, as mtRAG writes them, into the last one and those before."""
    turns = [turn.strip() for turn in _TURN.split(text) if turn.strip()]
    return (turns[-1], tuple(turns[:-1])) if text.startswith("|user|:") and turns else (text, ())


def _beir_dataset(folder: Path, queries: Path) -> Dataset:
    documents, empty = [], list[str]()
    path = folder / "corpus.jsonl"
    for number, id, row in identified(path):
        title, text = text_field(row, "title", path, number, optional=True), text_field(row, "text", path, number)
        if text.strip():
            sha256 = hashlib.sha256(f"{title}\0{text}".encode()).hexdigest()
            documents.append(Document(id, clean_line(title), text, (), (), sha256))
        else:
            empty.append(id)
    qrels, unknown = _qrels(folder, {document.id for document in documents}.union(empty))
    questions, blank, unjudged = [], 0, 0
    for number, id, row in identified(queries):
        text, earlier = _conversation(text_field(row, "text", queries, number).strip())
        if not text:
            blank += 1
        elif not any(grade > 0 for grade in qrels.get(id, {}).values()):
            unjudged += 1
        else:
            questions.append(EvalQuestion(id, text, qrels[id], (), earlier))
    if not documents or not questions:
        raise UserError(
            f"{folder} holds {len(documents)} documents and {len(questions)} questions with judgements: nothing to measure."
        )
    notes = (
        (len(empty), "documents without text left out"),
        (blank, "empty queries left out"),
        (unjudged, "queries without a relevant document left out"),
        (unknown, "judgements name documents that the corpus doesn't hold; they count as not found"),
    )
    return Dataset(
        folder.resolve().name,
        tuple(documents),
        tuple(questions),
        tuple(f"{count:,} {what}" for count, what in notes if count),
        unknown,
    )


def _qrels(folder: Path, known: set[str]) -> tuple[dict[str, dict[str, int]], int]:
    """Return the grades by query and document, and how many judge a document that isn't known."""
    path = folder / "qrels" / "test.tsv"
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # splitlines would also cut at signs within an id
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text.") from None
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error}).") from None
    qrels: dict[str, dict[str, int]] = {}
    unknown = 0
    for number, line in enumerate(lines, 1):
        parts = line.rstrip("\r").split("\t")
        if not line.strip() or (number == 1 and parts[-1].strip() == "score"):
            continue
        if len(parts) != 3:
            raise UserError(f"{path}, line {number}: 'query-id, corpus-id, score' are expected, separated by tabs.")
        query, document, grade = parts
        if not _GRADE.fullmatch(grade.strip()):
            raise UserError(f"{path}, line {number}: the score {clean_line(grade, 20)!r} must be a whole number below 1000.")
        qrels.setdefault(query, {})[document] = int(grade)
        unknown += document not in known
    return qrels, unknown


def load_documents(folder: Path, max_bytes: int = _MAX_BYTES) -> tuple[list[Document], list[str]]:
    """Return the documents in `folder`, as the app reads them, and a line for each that can't be read or is too large."""
    documents: list[Document] = []
    notes = []
    for id, path in corpus_files(folder):
        try:
            documents += load_file(path, id, max_bytes).documents
        except (DocumentError, RecursionError) as error:
            reason = str(error) if isinstance(error, DocumentError) else "it is nested too deeply"
            notes.append(f"{clean_line(id)} left out: {reason}")
    return documents, notes


def load_corpus(settings: Settings) -> tuple[list[Document], list[str]]:
    """Return the documents of the user's corpus folder and a line for each that can't be read; `UserError` without any."""
    folder = settings.corpus
    if not folder.is_dir():
        raise UserError(f"The corpus folder {folder} does not exist: make it, or set ASSISTANT_CORPUS to your documents.")
    documents, notes = load_documents(folder, settings.upload_mb * 1_000_000)
    if not documents:
        why = f" that can be read ({notes[0]})" if notes else ""
        raise UserError(f"There are no documents{why} in {folder}: add some, or set ASSISTANT_CORPUS to your documents.")
    return documents, notes


def catalogued(catalog: Catalog, wanted: Container[str]) -> list[Document]:
    """Return the documents of a catalogue, in the order of `load_corpus`; only those that are `wanted` have their texts."""
    outlines = sorted(catalog.outlines(), key=lambda document: (_walked(document.file), document.id))
    return [catalog.document(one.id) or one if one.id in wanted else one for one in outlines]


def _walked(file: str) -> list[tuple[bool, str]]:
    """Return what sorts files as a walk meets them: those of a folder before the folders in it."""
    *folders, name = file.split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def _span_dataset(folder: Path, path: Path) -> Dataset:
    documents, notes = load_documents(folder / "corpora")
    if not documents:
        raise UserError(f"{folder / 'corpora'} holds no documents.")
    by_id = {document.id: document for document in documents}
    by_id.update({Path(document.id).stem: document for document in documents})
    questions, blank = [], 0
    for number, id, row in identified(path):
        text = text_field(row, "text", path, number).strip()
        document = by_id.get(text_field(row, "corpus_id", path, number))
        if document is None:
            raise UserError(f"{path}, line {number}: there is no document {clean_line(str(row['corpus_id']))!r} in corpora/.")
        spans = _spans(row, document, path, number)
        if text:
            questions.append(EvalQuestion(id, text, {document.id: 1}, spans))
        else:
            blank += 1
    if blank:
        notes.append(f"{blank:,} empty queries left out")
    if not questions:
        raise UserError(f"{path} holds no questions: nothing to measure.")
    return Dataset(folder.resolve().name, tuple(documents), tuple(questions), tuple(notes))


def _spans(row: Mapping[str, Any], document: Document, path: Path, number: int) -> tuple[GoldSpan, ...]:
    """Return the gold spans of a question, moved to where their words stand in the text as the app reads it."""
    spans = []
    try:
        for reference in row["references"]:
            start, end, content = int(reference["start_index"]), int(reference["end_index"]), str(reference["content"])
            if document.text[start:end] != content:
                start = document.text.find(content)
                end = start + len(content)
            if start < 0 or end <= start:
                raise UserError(f"{path}, line {number}: {clean_line(content, 60)!r} does not occur in {document.id}.")
            spans.append(GoldSpan(document.id, start, end))
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path}, line {number}: 'references' must be a list of content, start_index and end_index.") from None
    if not spans:
        raise UserError(f"{path}, line {number}: 'references' is empty.")
    return tuple(spans)
