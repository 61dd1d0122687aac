"""The answers being written: they go on when the page is closed, and any number of pages may look on."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from assistant.conversations import Conversations
from assistant.errors import UserError
from assistant.scope import EVERYWHERE, Scope
from assistant.snapshots import Answer
from assistant.turns import Turn

MAX_TURNS = 200  # questions of one conversation
MOST_AT_ONCE = 17  # answers in the making: one is written, the core queues the others and tells their place
_KEEP_SECONDS = 1.0  # between two snapshots that are stored


class Ask(Protocol):
    """What answers a question, as `Assistant.ask` does."""

    def __call__(
        self, question: str, turns: Sequence[Turn], *, scope: Scope = EVERYWHERE, begun: Answer | None = None
    ) -> Iterator[Answer]:
        """Yield growing snapshots; with `begun`, an unfinished answer, those of going on with it."""


def turn_of(answer: Answer) -> Turn:
    """Return an answer as what the next question of its conversation is understood by."""
    return Turn(answer.asked or answer.question, answer.text, answer.citations, answer.refused, answer.elsewhere, answer.statements)


@dataclass
class _Writing:
    """An answer in the making: turn number `turn`, the newest snapshot, and who is told when there is another."""

    turn: int
    answer: Answer
    ended: bool = False
    readers: set["_Reader"] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class _Reader:
    loop: asyncio.AbstractEventLoop
    news: asyncio.Event

    def tell(self) -> None:
        with suppress(RuntimeError):  # its loop has ended
            self.loop.call_soon_threadsafe(self.news.set)


class FollowUps(Protocol):
    """What finds questions to ask next, as `Assistant.follow_ups` does."""

    def __call__(self, answer: Answer, asked: Sequence[str], wanted: Callable[[], bool]) -> tuple[str, ...]:
        """Return them; none as soon as `wanted` says no."""


class Desk:
    """Writes the answers of all conversations, each in a thread of its own, and keeps them."""

    def __init__(self, ask: Ask, kept: Conversations, follow_ups: FollowUps = lambda answer, asked, wanted: ()) -> None:
        self._ask, self._kept, self._follow_ups = ask, kept, follow_ups
        self._lock = threading.Lock()
        self._writing: dict[str, _Writing] = {}
        self._versions: Counter[str] = Counter()
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def running(self, id: str) -> Answer | None:
        """The newest snapshot of the answer that is being written in a conversation."""
        writing = self._writing.get(id)
        return writing.answer if writing else None

    def version(self, id: str) -> int:
        """Another number whenever an answer of a conversation was begun or ended."""
        return self._versions[id]

    def ask(self, user: str, id: str, question: str, turn: int, scope: Scope = EVERYWHERE) -> str:
        """Begin to answer `question` as turn number `turn`, in place of that turn and all after it; returns the conversation's id.

        It is limited to `scope`, unless it names places itself. An empty `id` begins a conversation. Raises `UserError` when an
        answer of it, or too many others, are being written.
        """
        answers = self._kept.answers(user, id)[:turn] if id else []
        if len(answers) >= MAX_TURNS:
            raise UserError(f"This conversation has {MAX_TURNS} questions: start a new one.")
        return self._begin(user, id, Answer(question, scope=scope), answers)

    def go_on(self, user: str, id: str, turn: int) -> None:
        """Go on with the unfinished answer of a turn; those after it stay. Raises as `ask` does, and for a finished one."""
        answers = self._kept.answers(user, id)
        if not 0 <= turn < len(answers) or not answers[turn].unfinished:
            raise UserError("This answer is finished: ask another question.")
        self._begin(user, id, answers[turn], answers[:turn])

    def _begin(self, user: str, id: str, begun: Answer, before: Sequence[Answer]) -> str:
        turn = len(before)
        earlier = [turn_of(one) for one in before]
        with self._lock:
            if self._closed:
                raise UserError("The server is ending: start it again, then ask.")
            if id in self._writing:
                raise UserError("An answer is still being written: stop it first, or wait.")
            if len(self._writing) >= MOST_AT_ONCE:
                raise UserError("Many answers are being written now: try again in a moment.")
            id = id or self._kept.begin(user, begun.question)
            if not begun.unfinished:
                self._kept.cut(id, turn)
            writing = _Writing(turn, replace(begun, state="waiting", note=""))
            self._kept.keep(id, turn, writing.answer)
            self._writing[id] = writing
            self._versions[id] += 1
            thread = threading.Thread(target=self._write, args=[id, writing, earlier], name="answer", daemon=True)
            self._threads.add(thread)
        thread.start()
        return id

    def _write(self, id: str, writing: _Writing, earlier: Sequence[Turn]) -> None:
        answer = writing.answer
        try:
            stored = time.monotonic()
            snapshots = self._ask(answer.question, earlier, scope=answer.scope, begun=answer if answer.unfinished else None)
            with closing(snapshots):  # type: ignore[type-var]  # a generator: closing it frees the model
                for answer in snapshots:
                    if writing.ended:
                        break
                    self._show(writing, answer)
                    if time.monotonic() - stored > _KEEP_SECONDS and not answer.final:
                        with suppress(UserError):  # a full disk: the reader is told at the end
                            self._kept.keep(id, writing.turn, answer)
                        stored = time.monotonic()
        except UserError as error:
            answer = replace(answer, state="failed", note=str(error), ahead=0)
        except Exception as error:  # whatever broke, the reader keeps the page and what was written
            answer = replace(answer, state="failed", note=f"Something went wrong ({type(error).__name__}): try again.", ahead=0)
        self._end(id, writing, answer)
        with suppress(Exception):  # whatever goes wrong, the answer stands
            self._suggest(id, writing, [turn.question for turn in earlier])
        with self._lock:
            self._threads.discard(threading.current_thread())

    def _suggest(self, id: str, writing: _Writing, asked: Sequence[str]) -> None:
        """Add questions to ask next to an answer, unless somebody asks meanwhile: then the model is theirs at once."""
        version = self._versions[id]

        def wanted() -> bool:
            return not self._writing and not self._closed and self._versions[id] == version

        if wanted() and (found := self._follow_ups(writing.answer, asked, wanted)):
            with self._lock:
                if wanted() and self._kept.add(id, writing.turn, replace(writing.answer, follow_ups=found)):
                    self._versions[id] += 1

    def _show(self, writing: _Writing, answer: Answer) -> None:
        with self._lock:
            if not writing.ended:
                writing.answer = answer
            readers = list(writing.readers)
        for reader in readers:
            reader.tell()

    def _end(self, id: str, writing: _Writing, answer: Answer) -> None:
        """Keep the last snapshot, once: a reader who stops an answer doesn't wait until the model notices."""
        answer = answer if answer.final else answer.stopped()
        with self._lock:
            if writing.ended:
                return
            try:
                self._kept.keep(id, writing.turn, answer)
            except Exception as error:  # a full disk, most likely
                answer = replace(answer, note=f"{answer.note} This answer is on this page only. {error}".strip())
            del self._writing[id]  # before a reader sees the end, and asks on
            self._versions[id] += 1
            writing.answer, writing.ended = answer, True
        self._show(writing, answer)

    async def follow(self, id: str, news: asyncio.Event) -> AsyncGenerator[tuple[int, Answer]]:
        """Yield the turn and the newest snapshots of the answer being written in a conversation, the last one final; none when none is.

        The newest one comes again when somebody else sets `news`.
        """
        reader = _Reader(asyncio.get_running_loop(), news)
        with self._lock:
            writing = self._writing.get(id)
            if writing is None:
                return
            writing.readers.add(reader)
        try:
            answer = writing.answer
            yield writing.turn, answer
            while not answer.final:
                await reader.news.wait()
                reader.news.clear()
                answer = writing.answer
                yield writing.turn, answer
        finally:
            with self._lock:
                writing.readers.discard(reader)

    def stop(self, id: str) -> None:
        """End the answer being written in a conversation at once; what was written stays, marked as stopped."""
        writing = self._writing.get(id)
        if writing is not None:
            self._end(id, writing, writing.answer.stopped())

    def close(self, seconds: float) -> None:
        """Stop all answers, and wait until they are kept, for at most about `seconds`."""
        with self._lock:
            self._closed = True
            running, threads = list(self._writing), list(self._threads)
        for id in running:
            self.stop(id)
        end = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0))
