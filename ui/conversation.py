"""One reader's conversation. It lives on the server; the page only shows it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from assistant.answer import Assistant
from assistant.errors import UserError
from assistant.snapshots import Answer
from assistant.turns import Turn
from ui.relay import Relay

MAX_TURNS = 50  # answers kept in one conversation; the page holds the passages of all of them


@dataclass
class Conversation:
    """The answers so far, oldest first; while one is written it is the last and not final."""

    answers: list[Answer] = field(default_factory=list)
    editing: int | None = None  # the turn whose question is being changed
    _relay: Relay[Answer] | None = None

    @property
    def running(self) -> bool:
        """Whether an answer is being written."""
        return self._relay is not None

    def stop(self) -> None:
        """End the answer being written; what was written stays, marked as stopped."""
        if self._relay is not None:
            self._relay.stop()

    async def ask(self, assistant: Assistant, question: str, turn: int) -> AsyncGenerator[Answer]:
        """Answer `question` as turn number `turn`, in place of that turn and all after it.

        Yields growing snapshots, which are also the last of `answers`. However it ends, also by
        closing, the last one is final.
        """
        del self.answers[turn:]
        earlier = [Turn(one.question, one.text, one.citations, one.refused, one.elsewhere, one.statements) for one in self.answers]
        answer = Answer(question)
        self.answers.append(answer)
        self.editing = None
        relay = self._relay = Relay(lambda: assistant.ask(question, earlier))
        try:
            yield answer
            async with aclosing(relay.batches()) as batches:
                async for batch in batches:
                    answer = self.answers[turn] = batch[-1]
                    yield answer
        except UserError as error:
            answer = replace(answer, state="failed", note=str(error), ahead=0)
        except Exception as error:  # whatever broke, the reader keeps the page and what was written
            answer = replace(answer, state="failed", note=f"Something went wrong ({type(error).__name__}): try again.", ahead=0)
        finally:
            relay.stop()
            self._relay = None
            self.answers[turn] = answer if answer.final else answer.stopped()
        yield self.answers[turn]
