"""A question becomes a cited answer: the whole story on one screen is `ask`."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.abstention import features
from assistant.addresses import Address, addresses
from assistant.catalog import DocumentInfo
from assistant.changes import Changes
from assistant.chat_model import ChatModel, Output
from assistant.chunking import Chunk
from assistant.collection import Collection
from assistant.continuing import going_on, joined, written_so_far
from assistant.elsewhere import other_values
from assistant.errors import ModelError, UserError
from assistant.filters import EVERYTHING, Filter, check_filter
from assistant.follow_ups import follow_ups
from assistant.grounding import Grounded, Grounding, ground
from assistant.lexical import terms
from assistant.pages import Pages
from assistant.places import Places
from assistant.prompt import build_messages, conversation_messages
from assistant.reading import Plan, answer_messages, fitting_notes, kept_notes, note_messages, plan_reading
from assistant.receipts import FileResult, Report
from assistant.retrieval import Hit, Mode
from assistant.scope import EVERYWHERE, Scope, narrowed, taken_out
from assistant.settings import Settings
from assistant.snapshots import (
    EMPTY_CORPUS,
    MIDDLING,
    NEEDS_MODEL,
    NO_DOCUMENT,
    UNCHECKED,
    Answer,
    doubtful,
    failed,
    finished,
    grown,
    is_guess,
    limited,
    quoted,
    refusal,
    sound,
    told_again,
)
from assistant.sync import Corpus
from assistant.turns import (
    About,
    Retelling,
    Turn,
    about_conversation,
    asks_change,
    cited_hits,
    live,
    present,
    recalled,
    searched_before,
)
from assistant.watching import Watching
from assistant.written import EMPTY, draft, repeats, settle

if TYPE_CHECKING:
    from collections.abc import Generator

    from langchain_core.messages import BaseMessage

MAX_QUESTION = 4000  # characters
_SNAPSHOT_SECONDS = 0.08  # more often than this nobody can read


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
    begun: Answer | None = None,
) -> Iterator[Answer]:
    """Answer `question`, the newest of a conversation of `turns` (oldest first), as growing snapshots.

    With `begun`, an `unfinished` answer to it, the model goes on with that, from the passages it rests on.

    The first snapshot holds the passages, before the model has read a word. A model that fails ends the answer with
    a note and state "failed" with what it wrote; when it wrote nothing, with the sentences that fit best (`quoted`).
    A question about the conversation itself is answered from the earlier answers. Closing the iterator frees
    the model at once. Raises `UserError` for a question that is empty or too long, and a filter that names
    what isn't there.
    """
    question = check_question(question)
    check_filter(filter, collection.catalog)
    began = time.monotonic()

    def now() -> float:
        return round(time.monotonic() - began, 3)

    about = about_conversation(question, turns)
    turns = live(turns, collection.catalog)
    if begun is not None:
        going = replace(begun, state="reading", note="", passages=present(begun.passages, collection.catalog))
        if not going.passages and not about:
            raise UserError("The documents that this answer rests on are gone: ask again.")
        yield going
        answer = yield from _write(going, about, None, turns, collection, chat_model, settings, now)
        yield replace(answer, seconds=round((begun.seconds or 0.0) + now(), 3))
        return
    earlier = searched_before(question, turns)
    plan = None if about or settings.extractive else plan_reading(question, collection, settings, filter, earlier)
    if plan is not None:
        hits = plan.hits
    else:
        hits = cited_hits(turns) if about else collection.passages_and_others(question, settings.passages, filter, earlier)
    answer = Answer(question, passages=tuple(hits), state="reading", seconds_to_passages=now())
    yield answer
    ready = _without_model(answer, about, turns, collection, settings, filter)
    answer = ready or (yield from _write(answer, about, plan, turns, collection, chat_model, settings, now))
    if answer.refused and not about and answer.passages:
        answer = refusal(answer, collection, filter)
    yield replace(answer, seconds=now())


def _without_model(
    answer: Answer, about: About, turns: Sequence[Turn], collection: Collection, settings: Settings, filter: Filter
) -> Answer | None:
    """Return the final answer where no language model is asked: nothing found, said before, or none wanted; else None."""
    if not answer.passages and not about:
        if collection.chunk_count() and not filter:
            return replace(refusal(answer, collection, filter), state="done")
        return replace(answer, text=NO_DOCUMENT if collection.chunk_count() else EMPTY_CORPUS, refused=True, state="done")
    known = recalled(answer.question, about, turns)
    if known is not None:
        return told_again(answer, known)
    if not settings.extractive:
        return None
    without_model = quoted(answer, about, turns, settings.abstain)
    if without_model.quoted and asks_change(answer.question, about):
        return replace(without_model, note=NEEDS_MODEL)
    return without_model


def _write(
    answer: Answer,
    about: About,
    plan: Plan | None,
    turns: Sequence[Turn],
    collection: Collection,
    chat_model: ChatModel,
    settings: Settings,
    now: Callable[[], float],
) -> "Generator[Answer, None, Answer]":
    """Yield the answer as the model writes it, each statement checked; return the last snapshot."""
    question, tokenizer, level = answer.question, collection.embedder.tokenizer, settings.abstain
    asked = question if plan is None else ""  # the names in a list are statements by themselves
    begun = written_so_far(answer.text)
    output, failure, shown_at, messages, shown = Output(begun), "", -1.0, list["BaseMessage"](), list(answer.passages)
    try:
        if plan is not None:
            answer, messages, error = yield from _read(answer, plan, collection, chat_model, settings)
            if error:
                raise error
        elif about:
            messages = conversation_messages(question, about, turns, settings, tokenizer)
        else:
            messages, shown = build_messages(question, [hit for hit in shown if not hit.beside], turns, settings, tokenizer)
        messages = going_on(messages, begun, settings) if begun else messages
        answer = replace(answer, read=len(shown), read_chunks=() if about else tuple(hit.chunk.id for hit in shown))
        grounding = (Retelling if about else Grounding)(shown, collection.passage_vectors(shown), collection.embedder)
        with closing(chat_model.stream(messages, draft=not about and plan is None and not begun)) as stream:
            for output in stream:
                output = replace(output, text=joined(begun, output.text, settings)) if begun else output
                answer = grown(answer, output, now())
                if repeats(output):
                    break  # which frees the model
                if now() - shown_at >= _SNAPSHOT_SECONDS:
                    shown_at = now()
                    shown_now = "" if doubtful(output, level) else draft(output, question)
                    text, statements, citations = ground(shown_now, grounding, final=False, question=asked)
                    yield replace(answer, text=text, citations=citations, statements=statements)
    except ModelError as error:
        failure = "" if begun and str(error) == EMPTY else str(error)  # nothing was missing
    answer = _counted(answer, output, messages, collection, settings)
    written = settle(output, question, failure)
    text, statements, citations = (
        ground(written.text, grounding, final=written.whole, question=asked)
        if written.checkable
        else Grounded(written.text, (), ())
    )
    answer = replace(answer, text=text, citations=citations, statements=statements, ahead=0)
    if not text and not written.failure:  # marks and nothing else
        written = replace(written, failure=EMPTY)
    if written.failure:
        return failed(answer, written.failure, about, turns, level)
    if about:
        # The model read the earlier answers and not the passages, so nothing of these was kept from it.
        answer = replace(finished(replace(answer, passages=()), written, refused=written.refused), passages=answer.passages)
        if not answer.citations and not answer.refused and not written.code:  # it may well be a translation
            note = f"{UNCHECKED} {answer.note}".rstrip()
            answer = replace(answer, text=answer.text.replace(" [?]", ""), statements=(), note=note)
        return answer
    if plan is None:
        supports = [statement.support for statement in statements]
        other_language = grounding.foreign(question) and grounding.foreign(text)
        if other_language or (not statements and ("```" in text or not terms(text))):
            supports.append(MIDDLING)  # what can't be looked up speaks neither for it nor against it
        answer = replace(answer, features=features(supports, written.refused, output.refusing))
    answer = finished(answer, written, is_guess(answer, written, plan, level), plan)
    if plan or written.code:
        return answer
    left = Grounded(answer.text, answer.statements, answer.citations)  # without statements when it is a refusal now
    if len(shown) < len(answer.passages):  # what wasn't read may say otherwise
        grounding = Grounding(answer.passages, collection.passage_vectors(answer.passages), collection.embedder)
    elsewhere = other_values(question, left, grounding, "\n".join(turn.question for turn in turns))
    return sound(replace(answer, elsewhere=elsewhere), level)


def _read(
    answer: Answer, plan: Plan, collection: Collection, chat_model: ChatModel, settings: Settings
) -> "Generator[Answer, None, tuple[Answer, list[BaseMessage], ModelError | None]]":
    """Return the messages that ask for the answer; what is too much for one prompt is read in parts, each for its notes.

    Only notes that their part supports are kept. An error of the model is returned with what was read until then.
    """
    question = answer.question
    if len(plan.parts) == 1:
        return answer, answer_messages(question, plan.kind, plan.parts[0]), None
    notes = []
    for number, part in enumerate(plan.parts, start=1):
        answer = replace(answer, progress=(number, len(plan.parts)), ahead=0)
        output, hits, messages = Output(), [hit for hit, _ in part], note_messages(question, part)
        try:
            with closing(chat_model.stream(messages)) as stream:
                for output in stream:
                    yield replace(answer, ahead=output.ahead)  # so that the reader can stop
                    if repeats(output):
                        break
        except ModelError as error:
            return _counted(answer, output, messages, collection, settings), messages, error
        answer = _counted(answer, output, messages, collection, settings)
        written = settle(output, question)
        grounding = Grounding(hits, collection.passage_vectors(hits), collection.embedder)
        notes.append(kept_notes(written, grounding, part))
    return answer, answer_messages(question, plan.kind, fitting_notes(notes, plan, question, settings, collection)), None


def _counted(
    answer: Answer, output: Output, messages: Sequence["BaseMessage"], collection: Collection, settings: Settings
) -> Answer:
    """Return `answer` with the cost of a request added; one that gave neither text nor numbers isn't known to have been read."""
    if output.usage is None or (output.usage.estimated and not (output.text or output.reasoning)):
        return answer
    usage = output.usage.counted(messages, output.reasoning + output.text, collection.embedder.tokenizer)
    return replace(answer, usage=(answer.usage.plus(usage) if answer.usage else usage).priced(settings))


class Assistant:
    """Answers questions about one corpus. Owns the data folder until `close`."""

    def __init__(self, settings: Settings, report: Callable[[str], None] = lambda line: None) -> None:
        """Open the corpus; the language model is loaded by the first question or by `chat_model.start`.

        Raises `UserError` when a folder can't be used and `OwnedError` when another process has it.
        """
        self.settings = settings
        self.corpus = Corpus(settings, report)
        self.chat_model = ChatModel(settings)
        self.pages = Pages(settings, self.corpus.path)
        self.selections = self.corpus.selections
        self.places = Places(self.corpus.catalog, self.selections)
        self.watching: Watching | None = None

    def close(self) -> None:
        """Give the data folder back."""
        if self.watching is not None:
            self.watching.close()
        self.chat_model.close()
        self.pages.close()
        self.corpus.close()

    def search(self, query: str, limit: int, filter: Filter = EVERYTHING, mode: Mode = "full") -> list[Hit]:
        """Return the `limit` best chunks for `query`, best first, of the documents that `filter` allows and the query names with `@`.

        Raises `UserError` for a query that is empty or too long, and a filter or name that means what isn't there.
        """
        asked, scope = self.scoped(query)
        filter = narrowed(scope.filter(self.corpus.catalog, self.selections), filter, self.corpus.catalog)
        check_filter(filter, self.corpus.catalog)
        return self.corpus.search(asked, limit, mode, filter)

    def scoped(self, question: str, scope: Scope = EVERYWHERE) -> tuple[str, Scope]:
        """Return the question without the places that it names with `@`, and what it is limited to: these, or else `scope`.

        Raises `UserError` for a question that is empty or too long, for a name that means nothing or several things, and for
        a scope in which nothing can be searched.
        """
        asked, named = taken_out(check_question(question), self.places)
        scope = named or scope
        check_filter(scope.filter(self.corpus.catalog, self.selections), self.corpus.catalog)
        return check_question(asked), scope

    def ask(
        self,
        question: str,
        turns: Sequence[Turn] = (),
        filter: Filter = EVERYTHING,
        begun: Answer | None = None,
        scope: Scope = EVERYWHERE,
    ) -> Iterator[Answer]:
        """Answer `question` about the corpus, as `ask` does, from what it names with `@`, or else from `scope`; raises as `scoped`."""
        question = check_question(question)
        if begun is not None:  # it goes on where it looked
            asked, scope, begun = begun.asked or question, begun.scope, replace(begun, question=begun.asked or question)
        else:
            asked, scope = self.scoped(question, scope)
            filter = narrowed(scope.filter(self.corpus.catalog, self.selections), filter, self.corpus.catalog)
        answers = ask(asked, self.corpus, self.chat_model, self.settings, turns, filter, begun)
        with self.corpus.answering(), closing(answers):  # type: ignore[type-var]  # a generator: closing it frees the model
            for answer in answers:
                yield limited(answer, question, asked, scope)

    def follow_ups(self, answer: Answer, asked: Sequence[str], wanted: Callable[[], bool]) -> tuple[str, ...]:
        """Return questions to ask next, as `follow_ups` does; none without a language model, or while others wait for it."""
        if self.settings.extractive or answer.state != "done" or self.chat_model.busy:
            return ()
        with self.corpus.answering():
            return follow_ups(answer, asked, self.corpus.embedder, self.chat_model, wanted)

    # The corpus, for the command line and the browser.

    def documents(self) -> list[DocumentInfo]:
        """Return what is indexed, by name, then what failed."""
        return self.corpus.documents()

    def document_count(self) -> int:
        """Return how many documents there are, those that failed included."""
        return self.corpus.catalog.document_count()

    @property
    def revision(self) -> int:
        """Another number whenever the documents changed."""
        return self.corpus.catalog.revision

    def chunks(self, id: str, first: int, limit: int) -> list[Chunk]:
        """Return at most `limit` chunks of a document in the order of its text, from number `first` (from 0)."""
        return self.corpus.catalog.chunks_of(id, first, limit)

    def address(self, file: str) -> Address | None:
        """Return where on the web a file came from, if it did."""
        known = self.corpus.catalog.files().get(file)
        return addresses(self.settings.corpus).get(known.sha256) if known else None

    def sync(self, progress: Callable[[Report], None] = lambda report: None, stop: threading.Event | None = None) -> Report:
        """Bring the index in step with the corpus folder, as `Corpus.sync` does."""
        return self.corpus.sync(progress, stop)

    @property
    def report(self) -> Report:
        """The report of the sync that runs, whoever started it, or of the last one."""
        return self.corpus.report

    @property
    def last_report(self) -> Report | None:
        """The report of the last sync that found something to do."""
        return self.corpus.last_report

    def stop_sync(self) -> None:
        """Have the sync that runs end soon; what it did is kept, and the next one goes on there."""
        self.corpus.stop_sync()

    def watch(
        self,
        heard: Callable[[Report], None] = lambda report: None,
        said: Callable[[str], None] = lambda line: None,
        stop: threading.Event | None = None,
    ) -> Watching:
        """Keep the index in step with the corpus folder from now on, in a thread, as `Watching` does."""
        self.watching = Watching(self.corpus, heard, said, stop)
        return self.watching

    def changes(self) -> Changes:
        """Return what a sync would do now."""
        return self.corpus.changes()

    def add(self, paths: Sequence[Path]) -> Iterator[FileResult]:
        """Copy files into the corpus folder and index them, one result a file, in order."""
        return self.corpus.add(paths)

    def add_as(self, files: Sequence[tuple[Path, str]]) -> Iterator[FileResult]:
        """Copy files into the corpus folder under the paths given with them and index them, as `Corpus.add_as` does."""
        return self.corpus.add_as(files)

    def read_again(self, id: str) -> FileResult:
        """Read and embed a document again, as `Corpus.read_again` does."""
        return self.corpus.read_again(id)

    def add_url(self, url: str) -> FileResult:
        """Fetch what lies at `url`, keep it in the corpus folder and index it, as `Corpus.add_url` does."""
        return self.corpus.add_url(url)

    def remove(self, id: str) -> list[str]:
        """Delete a file from the corpus folder and the index, as `Corpus.remove` does; returns those of the same content, which stay."""
        return self.corpus.remove(id)

    def reindex(self, progress: Callable[[int, int], None] = lambda done, total: None, embed: bool = False) -> bool:
        """Make both indexes again from the catalogue, as `Collection.reindex` does; questions are answered meanwhile."""
        return self.corpus.reindex(progress, embed)

    @property
    def notice(self) -> str:
        """What the reader should know about the state of search, in one line, or nothing."""
        return self.corpus.notice
