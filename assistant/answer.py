"""A question becomes a cited answer: the whole story on one screen is `ask`."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assistant.abstention import decide, features, unknown_words
from assistant.catalog import DocumentInfo
from assistant.chat_model import ChatModel, Output
from assistant.collection import Collection
from assistant.errors import ModelError, UserError
from assistant.extractive import extract
from assistant.filters import EVERYTHING, Filter, check_filter
from assistant.grounding import Citation, Grounded, Grounding, Statement, count_line, ground
from assistant.instructions import count_unread
from assistant.prompt import build_messages, conversation_messages
from assistant.reading import Plan, answer_messages, fitting_notes, kept_notes, note_messages, plan_reading
from assistant.retrieval import Hit
from assistant.settings import Level, Settings
from assistant.sync import Corpus, FileResult, Report
from assistant.turns import About, Turn, about_conversation, cited_hits, live, recalled, retold, searched_before
from assistant.usage import Usage, cost_line
from assistant.written import Written, draft, repeats, settle

if TYPE_CHECKING:
    from collections.abc import Generator

    from langchain_core.messages import BaseMessage

MAX_QUESTION = 4000  # characters
REFUSAL = "The documents don't seem to answer this question."
EMPTY_CORPUS = "There are no documents yet: add some, then ask again."
INSTEAD = "These are the sentences of your documents that fit best."
RETOLD = "This is what was answered before, word for word."
UNCHECKED = "This is about the conversation itself; it was not checked against the documents."
NO_DOCUMENT = "No document matches the filter: widen it, then ask again."
_MIDDLING = 0.5  # support taken for granted while a draft is being written
_SNAPSHOT_SECONDS = 0.08  # more often than this nobody can read

State = Literal["waiting", "reading", "writing", "done", "stopped", "failed"]


@dataclass(frozen=True)
class Answer:
    """One snapshot of an answer; each snapshot holds all of the answer so far, the last one is final.

    `text` is Markdown with citation marks, numbered by first use, that all occur in `citations`: `[1]` after a statement that
    a passage supports, `[1?]` after one that it supports in part, `[?]` after one that isn't found. `statements` are in order.
    `passages` are what was found, best first. `unknown_words` are those of a refused question, as typed, that stand in
    none of the documents asked; `features` what the refusal was decided by. `note` is a line for the reader about something that
    went wrong, and `unread` counts sentences of the passages that give orders to the model and so were kept from it.
    `progress` is the part being read and of how many, when all is too much for one prompt. `quoted` says that the text is
    sentences of the documents, picked without a language model.
    `read` counts the passages the model read, `usage` what that cost. Times are in seconds since the question
    came, None until it happened; `seconds_thinking` is how long the model reasoned.
    """

    question: str
    text: str = ""
    reasoning: str = ""
    passages: tuple[Hit, ...] = ()
    citations: tuple[Citation, ...] = ()
    statements: tuple[Statement, ...] = ()
    state: State = "waiting"
    ahead: int = 0
    progress: tuple[int, int] | None = None
    refused: bool = False
    unknown_words: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    unread: int = 0
    quoted: bool = False
    read: int = 0
    usage: Usage | None = None
    seconds_thinking: float | None = None
    seconds_to_passages: float | None = None
    seconds_to_first_token: float | None = None
    seconds: float | None = None

    @property
    def final(self) -> bool:
        """Whether this is the last snapshot."""
        return self.state in ("done", "stopped", "failed")

    @property
    def cost(self) -> str:
        """One line about what the answer cost: passages, tokens, seconds, model, money."""
        return cost_line(self.usage, len(self.passages), self.read, self.seconds)

    @property
    def found(self) -> str:
        """How many of its statements were found, in a line for the reader; empty when it has none."""
        return count_line(self.statements)

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

    The first snapshot holds the passages, before the model has read a word. A model that fails ends the answer with
    a note and state "failed" with what it wrote; when it wrote nothing, with the sentences that fit best (`quoted`).
    A question about the conversation itself is answered from the earlier answers. Closing the iterator frees
    the model at once. Raises `UserError` for a question that is empty or too long, and a filter that names
    what isn't there.
    """
    question = check_question(question)
    check_filter(filter, collection.catalog)
    clock = time.monotonic()

    def now() -> float:
        return round(time.monotonic() - clock, 3)

    about = about_conversation(question, turns)
    turns = live(turns, collection.catalog)
    earlier = searched_before(question, turns)
    plan = None if about or settings.extractive else plan_reading(question, collection, settings, filter, earlier)
    if plan is not None:
        hits = plan.hits
    else:
        hits = cited_hits(turns) if about else collection.passages(question, settings.passages, filter=filter, earlier=earlier)
    answer = Answer(question, passages=tuple(hits), state="reading", seconds_to_passages=now())
    yield answer
    ready = _without_model(answer, about, turns, collection, settings, filter)
    if ready is not None:
        yield replace(ready, seconds=now())
        return

    tokenizer = collection.embedder.tokenizer
    phrases_answer = question if plan is None else ""  # the names in a list are statements by themselves
    output, failure, shown_at, messages, shown = Output(), "", -1.0, list["BaseMessage"](), list(hits)
    try:
        if plan is not None:
            answer, messages = yield from _read(answer, plan, collection, chat_model, settings)
        elif about:
            messages = conversation_messages(question, about, turns, settings, tokenizer)
        else:
            messages, shown = build_messages(question, hits, turns, settings, tokenizer)
        answer = replace(answer, read=len(shown))
        grounding = Grounding(shown, collection.passage_vectors(shown), collection.embedder)
        with closing(chat_model.stream(messages, draft=not about and plan is None)) as stream:
            for output in stream:
                answer = _grown(answer, output, now())
                if repeats(output):
                    break  # which frees the model
                if now() - shown_at >= _SNAPSHOT_SECONDS:
                    shown_at = now()
                    shown_now = "" if _doubtful(output, settings.abstain) else draft(output, question)
                    text, statements, citations = ground(shown_now, grounding, final=False, question=phrases_answer)
                    yield replace(answer, text=text, citations=citations, statements=statements)
    except ModelError as error:
        failure = str(error)
    if output.usage is not None and (output.text or output.reasoning):
        usage = output.usage.counted(messages, output.reasoning + output.text, tokenizer)
        answer = replace(answer, usage=(answer.usage.plus(usage) if answer.usage else usage).priced(settings))
    written = settle(output, question, failure)
    text, statements, citations = (
        ground(written.text, grounding, final=written.whole, question=phrases_answer)
        if written.checkable
        else Grounded(written.text, (), ())
    )
    answer = replace(answer, text=text, citations=citations, statements=statements, ahead=0)
    if written.failure:
        answer = _failed(answer, written.failure, about, turns, settings.abstain)
    elif about:
        answer = _finished(answer, written, refused=written.refused)
        if not answer.citations and not answer.refused and not answer.note:  # it may well be a translation
            answer = replace(answer, text=answer.text.replace(" [?]", ""), statements=(), note=UNCHECKED)
    else:
        if plan is None:
            supports = [statement.support for statement in statements]
            answer = replace(answer, features=features(supports, written.refused, output.confidence))
        answer = _finished(answer, written, _is_guess(answer, written, plan, settings.abstain), plan)
    if answer.refused and not about:
        answer = _refusal(answer, collection, filter)
    yield replace(answer, seconds=now())


def _without_model(
    answer: Answer, about: About, turns: Sequence[Turn], collection: Collection, settings: Settings, filter: Filter
) -> Answer | None:
    """Return the final answer where no language model is asked: nothing found, said before, or none wanted; else None."""
    if not answer.passages and not about:
        if collection.chunk_count() and not filter:
            answer = _refusal(answer, collection, filter)
        else:
            answer = replace(answer, text=NO_DOCUMENT if collection.chunk_count() else EMPTY_CORPUS, refused=True)
        return replace(answer, state="done")
    known = recalled(answer.question, about, turns)
    if known is None and not settings.extractive:
        return None
    answer = _retold(answer, known) if known is not None else _quoted(answer, about, turns, settings.abstain)
    return _refusal(answer, collection, filter) if answer.refused and not about else answer


def _read(
    answer: Answer, plan: Plan, collection: Collection, chat_model: ChatModel, settings: Settings
) -> "Generator[Answer, None, tuple[Answer, list[BaseMessage]]]":
    """Return the messages that ask for the answer; what is too much for one prompt is read in parts, each for its notes.

    Only notes that their part supports are kept. Raises `ModelError` when the model fails.
    """
    question = answer.question
    if len(plan.parts) == 1:
        return answer, answer_messages(question, plan.kind, plan.parts[0])
    notes = []
    for number, part in enumerate(plan.parts, start=1):
        answer = replace(answer, progress=(number, len(plan.parts)), ahead=0)
        output, hits, messages = Output(), [hit for hit, _ in part], note_messages(question, part)
        with closing(chat_model.stream(messages)) as stream:
            for output in stream:
                yield replace(answer, ahead=output.ahead)  # so that the reader can stop
                if repeats(output):
                    break
        if output.usage is not None:
            usage = output.usage.counted(messages, output.reasoning + output.text, collection.embedder.tokenizer)
            answer = replace(answer, usage=answer.usage.plus(usage) if answer.usage else usage)
        written = settle(output, question)
        grounding = Grounding(hits, collection.passage_vectors(hits), collection.embedder)
        notes.append(kept_notes(written, grounding, part))
    return answer, answer_messages(question, plan.kind, fitting_notes(notes, plan, question, settings, collection))


def _is_guess(answer: Answer, written: Written, plan: Plan | None, level: Level) -> bool:
    """Whether to refuse in place of a draft; the evidence that `decide` weighs is that of the best passages for a point."""
    if written.code:
        return False
    if plan is None:
        return decide(answer.features, level)
    return written.refused or (level != "off" and not answer.citations)


def _doubtful(output: Output, level: Level) -> bool:
    """Whether a draft may well be refused when it is whole: it is not shown in the making, to be taken back."""
    if output.confidence is None:
        return False
    return decide(features([_MIDDLING], False, output.confidence), level)


def _refusal(answer: Answer, collection: Collection, filter: Filter) -> Answer:
    """Return `answer` as one that says that the documents don't answer, and which words stand nowhere in them."""
    words = unknown_words(answer.question, lambda terms: collection.lacking(terms, filter))
    named = ", ".join(f'"{word}"' for word in words)
    text = f"{REFUSAL} Nowhere in them: {named}." if words else REFUSAL
    return replace(answer, text=text, citations=(), statements=(), refused=True, unknown_words=words)


def _grown(answer: Answer, output: Output, now: float) -> Answer:
    """Return `answer` with the model's state; its text is for `ground` to add."""
    first, thinking = answer.seconds_to_first_token, answer.seconds_thinking
    if first is None and (output.text or output.reasoning):
        first = now
    if first is not None and output.reasoning and not output.text:
        thinking = round(now - first, 3)
    return replace(
        answer,
        state="writing" if output.text or output.reasoning else "waiting" if output.ahead else "reading",
        ahead=output.ahead,
        reasoning=output.reasoning,
        seconds_to_first_token=first,
        seconds_thinking=thinking,
    )


def _finished(answer: Answer, written: Written, refused: bool, plan: Plan | None = None) -> Answer:
    """Return the last snapshot of an answer that the model ended."""
    if refused:
        return replace(answer, text=REFUSAL, citations=(), statements=(), refused=True, state="done")
    unread = count_unread(answer.question, answer.passages)
    orders = (
        f"Kept from the model: {unread} sentence{'s' if unread > 1 else ''} of the passages giving it orders." if unread else ""
    )
    note = " ".join(line for line in (plan.note if plan else "", written.note, orders) if line)
    return replace(answer, state="done", note=note, unread=unread)


def _failed(answer: Answer, failure: str, about: About, turns: Sequence[Turn], level: Level) -> Answer:
    """Return the last snapshot when the model failed: with what it wrote, or else with sentences of the passages."""
    if answer.text:
        return replace(answer, state="failed", note=f"{failure} What was written so far is kept.")
    quoted = _quoted(answer, about, turns, level)
    if quoted.refused:  # the model might have found more
        return replace(answer, state="failed", note=failure)
    return replace(quoted, note=f"{failure} {RETOLD if about else INSTEAD}")


def _quoted(answer: Answer, about: About, turns: Sequence[Turn], level: Level) -> Answer:
    """Return the answer that needs no language model: the best sentences of the passages, or of the conversation."""
    text, citations = retold(answer.question, about, turns) if about else extract(answer.question, answer.passages, level)
    if not text:
        return replace(answer, text=REFUSAL, state="done", refused=True)
    return replace(answer, text=text, citations=citations, state="done", quoted=True)


def _retold(answer: Answer, turn: Turn) -> Answer:
    """Return the answer that repeats `turn`."""
    return replace(answer, text=turn.answer, citations=turn.citations, refused=turn.refused, state="done")


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
