"""Questions asked through the app's own code; each answer is kept at once, so that an interrupted run goes on.

The answers of one set, one way to answer (settings, models, code) and one half are in one file under
`data/eval/answers/`, one JSON object a line.
"""

import ast
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import assistant
from assistant.abstention import load_fitted
from assistant.answer import ask
from assistant.chat_model import ChatModel, Output
from assistant.collection import Collection
from assistant.documents import clean_line
from assistant.errors import ModelError, UserError
from assistant.filters import EVERYTHING, Filter
from assistant.prompt import count_tokens
from assistant.sentences import split_sentences
from assistant.settings import Settings
from assistant.snapshots import Answer
from eval.answer_sets import AnswerQuestion, AnswerSet
from eval.datasets import GoldSpan
from eval.progress import Watch, tracked
from eval.runs import RunHit

# Modules of the app that can't change an answer, and what is fitted on answers.
_EDGES = {"cli.py", "conversations.py", "doctor.py", "sync.py", "settings.py", "usage.py", "abstention.json"}
# Settings that can't change an answer.
_PLACES = {"corpus", "data", "host", "port", "api_key", "threads", "upload_mb", "price_in", "price_out", "currency"}
_MARK = re.compile(r"\s*\[(?:\d+\??|\?)\]")
_MARKS = re.compile(r"(?:\s*\[\d+\])+\s*")
_FAILURES = 3  # answers in a row that the model failed at: it won't get better by itself
_HIT_TEXT, _HITS_WITH_TEXT = 300, 3


@dataclass(frozen=True)
class RowStatement:
    """One statement of an answer: its support 0 to 1, grounding's mark, and whether it has a citation."""

    text: str
    support: float
    mark: str
    cited: bool


@dataclass(frozen=True)
class AnswerRow:
    """What the app answered to one question. `draft` is what the model wrote, also when the app refused.

    `features` are what the refusal was decided by (`assistant.abstention`), none when it wasn't. Times are in seconds; that to the first token is None when
    the model was not asked. `elsewhere` holds the values of other documents that the reader was told of, `quotes` the texts of
    the citations, none in answers that were kept before there were these.
    """

    id: str
    text: str
    draft: str
    refused: bool
    state: str
    note: str
    citations: tuple[GoldSpan, ...]
    statements: tuple[RowStatement, ...]
    passages: tuple[RunHit, ...]
    features: Mapping[str, float]
    seconds_to_first_token: float | None
    seconds: float
    prompt_tokens: int
    answer_tokens: int
    elsewhere: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


class MadeWay(Exception):
    """An answer was left off because somebody else asks: the question has to be asked again."""


class NotedModel(ChatModel):
    """A chat model that notes what it was sent and wrote for the question it is at."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.prompt, self.draft, self.thoughts = "", "", ""

    def stream(self, messages: Sequence[Any], draft: bool = False) -> Generator[Output, None, None]:
        """Yield what the model writes, as `ChatModel.stream` does."""
        self.prompt = "\n".join(str(message.content) for message in messages)
        with closing(super().stream(messages, draft)) as stream:
            for output in stream:
                self.draft, self.thoughts = output.text, output.reasoning
                yield output


def with_model_name(settings: Settings, model: NotedModel) -> Settings:
    """Return `settings` with the name of the model, which an endpoint tells when they don't; `UserError` when it can't be asked."""
    if settings.chat_model:
        return settings
    try:
        model.start()
    except ModelError as error:
        raise UserError(str(error)) from None
    return replace(settings, chat_model=model.name)


def plain(text: str) -> str:
    """Return an answer without its citation marks."""
    return _MARK.sub("", text)


def collect(
    answer_set: AnswerSet,
    limit: int,
    collection: Collection,
    model: NotedModel,
    settings: Settings,
    fresh: bool = False,
    only: Callable[[str], Filter] = lambda id: EVERYTHING,
    watch: Watch | None = None,
) -> list[AnswerRow]:
    """Return the answers to the first `limit` questions, in order; those kept by an earlier run aren't asked again.

    `only` tells by a question's id which documents it is asked of. An answer that the model failed at counts, but isn't kept: the next run asks again. `fresh` forgets what was kept.
    `watch` is told how far it is.
    Raises `UserError` when the model can't be loaded or fails three times in a row.
    """
    path = rows_file(answer_set, collection, settings)
    if fresh:
        path.unlink(missing_ok=True)
    rows = {row.id: row for row in _stored(path)}
    asked = answer_set.questions[:limit]
    missing = [question for question in asked if question.id not in rows]
    if rows and missing and watch is None:
        print(f"  {len(asked) - len(missing):,} of {len(asked):,} answers are there from an earlier run", file=sys.stderr)
    failed = 0
    with _appending(path) as append:
        for question in tracked(missing, "answering", "questions", watch, len(asked) - len(missing)):
            row = None
            while row is None:
                with suppress(MadeWay):
                    row = ask_one(question, collection, model, settings, only(question.id))
            rows[row.id] = row
            if row.state == "failed":
                failed += 1
                if failed == _FAILURES:
                    raise UserError(f"The model failed at {failed} questions in a row ({row.note}): mend it and run this again.")
                continue
            failed = 0
            append(row)
    return [rows[question.id] for question in asked]


def ask_one(
    question: AnswerQuestion, collection: Collection, model: NotedModel, settings: Settings, filter: Filter = EVERYTHING
) -> AnswerRow:
    """Ask one question as the app does and return what became of it; `UserError` when the model can't be loaded."""
    try:
        model.start()
    except ModelError as error:
        raise UserError(str(error)) from None
    model.prompt = model.draft = model.thoughts = ""
    answer = Answer(question.text)
    for answer in ask(question.text, collection, model, settings, question.turns, filter):
        pass
    if (
        answer.quoted and not answer.features and not settings.extractive
    ):  # what stands in for the model's answer isn't measured as one
        answer = replace(answer, text="", citations=(), elsewhere=(), state="failed")
    prompt_tokens, answer_tokens = _tokens(model, collection)
    return AnswerRow(
        id=question.id,
        text=answer.text,
        draft=model.draft,
        refused=answer.refused,
        state=answer.state,
        note=answer.note,
        citations=tuple(GoldSpan(cited.chunk.document_id, cited.start, cited.end) for cited in answer.citations),
        statements=_statements(answer),
        passages=tuple(
            RunHit(
                hit.chunk.document_id,
                hit.chunk.start,
                hit.chunk.end,
                round(hit.score, 4),
                hit.chunk.text[:_HIT_TEXT] if rank < _HITS_WITH_TEXT else "",
            )
            for rank, hit in enumerate(answer.passages)
        ),
        features=answer.features,
        seconds_to_first_token=answer.seconds_to_first_token,
        seconds=answer.seconds or 0.0,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
        elsewhere=tuple(other.value for other in answer.elsewhere),
        quotes=tuple(clean_line(cited.quote, _HIT_TEXT) for cited in answer.citations),
    )


def _tokens(model: NotedModel, collection: Collection) -> tuple[int, int]:
    """Return the tokens that the model read and wrote, an upper estimate (`prompt.count_tokens`)."""
    tokenizer = collection.embedder.tokenizer
    return count_tokens(model.prompt, tokenizer), count_tokens(model.thoughts + model.draft, tokenizer)


def _statements(answer: Answer) -> tuple[RowStatement, ...]:
    """Return the statements of an answer; those of sentences that stand in the documents word for word are supported."""
    if answer.refused:
        return ()
    if not answer.quoted:
        return tuple(
            RowStatement(answer.text[one.start : one.end], one.support, one.mark, one.citation is not None)
            for one in answer.statements
        )
    found: list[RowStatement] = []
    for start, end in split_sentences(answer.text):
        marks = _MARKS.match(answer.text[start:end])
        sentence = answer.text[start + (marks.end() if marks else 0) : end]
        if marks and found:  # after the full stop they stand at the start of the next sentence
            found[-1] = RowStatement(found[-1].text, 1.0, "supported", True)
        if plain(sentence).strip():
            within = plain(sentence) != sentence
            found.append(RowStatement(plain(sentence), float(within), "supported" if within else "not found", within))
    return tuple(found)


def rows_file(answer_set: AnswerSet, collection: Collection, settings: Settings) -> Path:
    """Return the file of the answers to these questions with these settings, models and code."""
    made_with = {
        "data": answer_set.data,
        "embedding": collection.embedder.fingerprint,
        "settings": answer_settings(settings),
        "code": code_digest(),
        "threshold": "" if settings.abstain == "off" else repr([load_fitted(told) for told in (True, False)]),
    }
    key = hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()[:16]
    return settings.data / "eval" / "answers" / f"{answer_set.name[:60]}-{key}.jsonl"


def answer_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that can change an answer."""
    found = {name: value for name, value in asdict(settings).items() if name not in _PLACES}
    found["base_url"] = re.sub(r"//[^/@]*@", "//", settings.base_url)  # a password in an address goes into no file
    model = Path(settings.chat_model).expanduser()
    if settings.embedded and model.is_file():  # a file of one's own: another one of that name counts as another model
        found["chat_model_file"] = f"{model.stat().st_size} bytes of {model.stat().st_mtime_ns}"
    return found


def code_digest() -> str:
    """Return a digest of the app's code and prompt, whatever its comments and docstrings say."""
    digest = hashlib.sha256()
    for path in sorted(_package().iterdir()):
        if path.suffix == ".py" and path.name not in _EDGES:
            digest.update(f"{path.name}\0{ast.dump(_without_docstrings(path))}\0".encode())
        elif path.suffix in (".npy", ".txt", ".json") and path.name not in _EDGES:
            digest.update(f"{path.name}\0{_digest(path)}\0".encode())
    return digest.hexdigest()[:16]


def _package() -> Path:
    return Path(assistant.__path__[0])


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _without_docstrings(path: Path) -> ast.Module:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    return tree


def _stored(path: Path) -> Iterator[AnswerRow]:
    """Yield the answers in a file; a line that a killed run left half written is passed over and asked again."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            raw = json.loads(line)
            yield AnswerRow(
                **{
                    **raw,
                    "citations": tuple(GoldSpan(**each) for each in raw["citations"]),
                    "statements": tuple(RowStatement(**each) for each in raw["statements"]),
                    "passages": tuple(RunHit(**each) for each in raw["passages"]),
                    "elsewhere": tuple(raw.get("elsewhere", ())),
                    "quotes": tuple(raw.get("quotes", ())),
                }
            )
        except (ValueError, KeyError, TypeError):
            continue


@contextmanager
def _appending(path: Path) -> Iterator[Callable[[AnswerRow], None]]:
    """Give a function that appends an answer to a file; it is on the disk when the function returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # the last run was killed within a line
                file.write(b"\n")

        def append(row: AnswerRow) -> None:
            file.write(json.dumps(asdict(row), ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

        yield append
