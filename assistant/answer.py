"""A question becomes a cited answer: the whole story on one screen is `ask`."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from assistant.abstention import decide, features, unknown_words
from assistant.catalog import DocumentInfo
from assistant.chat_model import ChatModel, Output
from assistant.collection import Collection
from assistant.errors import ModelError, UserError
from assistant.filters import EVERYTHING, Filter, check_filter
from assistant.grounding import Citation, Grounding, ground
from assistant.prompt import Turn, build_messages, is_refusal
from assistant.retrieval import Hit
from assistant.settings import Settings
from assistant.sync import Corpus, FileResult, Report

MAX_QUESTION = 4000  # characters
REFUSAL = "The documents don't seem to answer this question."
EMPTY_CORPUS = "There are no documents yet: add some, then ask again."
NO_DOCUMENT = "No document matches the filter: widen it, then ask again."
_SNAPSHOT_SECONDS = 0.08  # more often than this nobody can read

State = Literal["waiting", "reading", "writing", "done", "stopped", "failed"]


@dataclass(frozen=True)
class Answer:
    """One snapshot of an answer; each snapshot holds all of the answer so far, the last one is final.

    `text` is Markdown with citation marks `[1]`, numbered by first use, that all occur in `citations`.
    `passages` are what was found, best first. `unknown_words` are those of a refused question, as typed, that stand in
    none of the documents asked; `features` what the refusal was decided by. `note` is a line for the reader about something that
    went wrong. Times are in seconds since the question came; None until it happened.
    """

    question: str
    text: str = ""
    reasoning: str = ""
    passages: tuple[Hit, ...] = ()
    citations: tuple[Citation, ...] = ()
    state: State = "waiting"
    ahead: int = 0
    refused: bool = False
    unknown_words: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    seconds_to_passages: float | None = None
    seconds_to_first_token: float | None = None
    seconds: float | None = None

    @property
    def final(self) -> bool:
        """Whether this is the last snapshot."""
        return self.state in ("done", "stopped", "failed")

    def stopped(self) -> "Answer":
        """Return this snapshot as the final one of an answer that the reader stopped."""
        return replace(self, state="stopped", note="Stopped.")


def check_question(question: str) -> str:
    """Return `question` without white space around it; `UserError` when it is empty or too long."""
    # Lone halves of UTF-16 pairs can be neither stored nor sent.
    question = question.encode("utf-8", errors="replace").decode().strip()
    if not question:
        raise UserError("The question is empty: type what you want to know.")
    if len(question) > MAX_QUESTION:
        raise UserError(
            f"The question has {len(question):,} characters, the limit is {MAX_QUESTION:,}: "
            "shorten it, or add the long text as a document and ask about it."
        )
    return question


def ask(
    question: str,
    collection: Collection,
    chat_model: ChatModel,
    settings: Settings,
    turns: Sequence[Turn] = (),
    filter: Filter = EVERYTHING,
) -> Iterator[Answer]:
    """Answer `question`, the newest of a conversation of `turns` (oldest first), as growing snapshots.

    The first snapshot holds the passages, before the model has read a word. A model that fails
    ends the answer with state "failed", a note, and what it wrote. Closing the iterator frees
    the model at once. Raises `UserError` for a question that is empty or too long, and a filter that names
    what isn't there.
    """
    question = check_question(question)
    check_filter(filter, collection.catalog)
    clock = time.monotonic()

    def now() -> float:
        return round(time.monotonic() - clock, 3)

    earlier = [turn.question for turn in turns]
    hits = collection.passages(question, settings.passages, filter=filter, earlier=earlier)
    answer = Answer(question, passages=tuple(hits), state="reading", seconds_to_passages=now())
    yield answer
    if not hits:
        if collection.chunk_count() and not filter:
            answer = _refusal(answer, collection, filter)
        else:
            answer = replace(answer, text=NO_DOCUMENT if collection.chunk_count() else EMPTY_CORPUS, refused=True)
        yield replace(answer, state="done", seconds=now())
        return

    messages, shown = build_messages(question, hits, turns, settings, collection.embedder.tokenizer)
    output = Output()
    shown_at = -1.0
    grounding = Grounding(shown, collection.passage_vectors(shown), collection.embedder)
    try:
        with closing(chat_model.stream(messages)) as stream:
            for output in stream:
                first_token = answer.seconds_to_first_token
                if first_token is None and (output.text or output.reasoning):
                    first_token = now()
                answer = replace(
                    answer,
                    state="writing" if output.text or output.reasoning else "waiting" if output.ahead else "reading",
                    ahead=output.ahead,
                    reasoning=output.reasoning,
                    seconds_to_first_token=first_token,
                )
                if now() - shown_at >= _SNAPSHOT_SECONDS:
                    shown_at = now()
                    text, citations = ground(output.text, grounding, final=False)
                    yield replace(answer, text="" if is_refusal(output.text) else text, citations=citations)
    except ModelError as error:
        text, citations = ground(output.text, grounding, final=True)
        note = f"{error} What was written so far is kept." if text else str(error)
        yield replace(answer, text=text, citations=citations, state="failed", note=note, ahead=0, seconds=now())
        return

    text, citations = ground(output.text, grounding, final=True)
    supports = [1.0 for _ in citations]
    answer = replace(answer, features=features(question, hits, supports, is_refusal(output.text)))
    if decide(answer.features, settings.abstain):
        answer = _refusal(answer, collection, filter)
    else:
        note = "The model reached its length limit; the answer may be cut off." if output.cut else ""
        answer = replace(answer, text=text, citations=citations, note=note)
    yield replace(answer, state="done", ahead=0, seconds=now())


def _refusal(answer: Answer, collection: Collection, filter: Filter) -> Answer:
    """Return `answer` as one that says that the documents don't answer, and which words stand nowhere in them."""
    words = unknown_words(answer.question, lambda terms: collection.lacking(terms, filter))
    named = ", ".join(f'"{word}"' for word in words)
    text = f"{REFUSAL} Nowhere in them: {named}." if words else REFUSAL
    return replace(answer, text=text, citations=(), refused=True, unknown_words=words)


class Assistant:
    """Answers questions about one corpus. Owns the data folder until `close`."""

    def __init__(self, settings: Settings, report: Callable[[str], None] = lambda line: None) -> None:
        """Open the corpus; the language model is loaded by the first question or by `chat_model.start`.

        Raises `UserError` when a folder can't be used and `OwnedError` when another process has it.
        """
        self.settings = settings
        self.corpus = Corpus(settings, report)
        self.chat_model = ChatModel(settings)

    def close(self) -> None:
        """Give the data folder back."""
        self.chat_model.close()
        self.corpus.close()

    def search(self, query: str, limit: int, filter: Filter = EVERYTHING) -> list[Hit]:
        """Return the `limit` best passages for `query`, best first, of the documents that `filter` allows.

        Raises `UserError` for a query that is empty or too long, and a filter that names what isn't there.
        """
        check_filter(filter, self.corpus.catalog)
        return self.corpus.search(check_question(query), limit, filter=filter)

    def ask(self, question: str, turns: Sequence[Turn] = (), filter: Filter = EVERYTHING) -> Iterator[Answer]:
        """Answer `question` about the corpus, as `ask` does."""
        return ask(question, self.corpus, self.chat_model, self.settings, turns, filter)

    # The corpus, for the command line and the browser.

    def documents(self) -> list[DocumentInfo]:
        """Return what is indexed, by name, then what failed."""
        return self.corpus.documents()

    def sync(self, progress: Callable[[Report], None] = lambda report: None) -> Report:
        """Bring the index in step with the corpus folder; `progress` is called after each file."""
        return self.corpus.sync(progress)

    def add(self, paths: Sequence[Path]) -> Iterator[FileResult]:
        """Copy files into the corpus folder and index them, one result a file, in order."""
        return self.corpus.add(paths)

    def remove(self, id: str) -> None:
        """Delete a document from the corpus folder and the index; `UserError` when there is none called `id`."""
        self.corpus.remove(id)
