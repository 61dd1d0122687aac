"""Answers go on without a page, are kept while they are written, and end at once when they are stopped."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.errors import UserError
from assistant.scope import EVERYWHERE, Scope
from assistant.snapshots import Answer
from assistant.turns import Turn
from ui import desk as desk_module
from ui.desk import Desk

SECONDS = 20


class Core:
    """Answers word by word, the next one when `go` allows it."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.closed = threading.Event()
        self.earlier: list[str] = []

    def __call__(
        self, question: str, turns: Sequence[Turn], *, scope: Scope = EVERYWHERE, begun: Answer | None = None
    ) -> Iterator[Answer]:
        self.earlier = [turn.question for turn in turns]
        try:
            for count in (1, 2, 3):
                self.go.acquire()
                yield Answer(question, " ".join(["word"] * count) + " ", state="writing")
            self.go.acquire()
            yield Answer(question, "word word word.", state="done")
        finally:
            self.closed.set()


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Conversations]:
    with closing(Conversations(tmp_path / "c.sqlite3")) as opened:
        yield opened


@pytest.fixture
def desk(core: Core, kept: Conversations) -> Iterator[Desk]:
    made = Desk(core, kept)
    yield made
    core.go.release(1000)
    made.close(SECONDS)


def followed(desk: Desk, id: str, act: dict[int, object] | None = None) -> list[Answer]:
    async def read() -> list[Answer]:
        seen = []
        async for _, answer in desk.follow(id, asyncio.Event()):
            seen.append(answer)
            release = (act or {}).get(len(seen))
            if callable(release):
                release()
        return seen

    return asyncio.run(asyncio.wait_for(read(), SECONDS))


def test_two_pages_see_the_same_answer_and_it_is_kept(desk: Desk, core: Core, kept: Conversations) -> None:
    id = desk.ask("", "", "How many?", 0)
    seen: list[list[Answer]] = []
    both = threading.Barrier(2, lambda: core.go.release(4))
    pages = [threading.Thread(target=lambda: seen.append(followed(desk, id, {1: lambda: both.wait(SECONDS)}))) for _ in range(2)]
    for page in pages:
        page.start()
    for page in pages:
        page.join(SECONDS)
    assert len(seen) == 2
    for answers in seen:
        assert answers[-1].text == "word word word." and answers[-1].final
    assert kept.answers("", id) == [seen[0][-1]] and desk.running(id) is None


def test_an_answer_goes_on_without_a_page_and_is_kept_while_it_is_written(
    desk: Desk, core: Core, kept: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "_KEEP_SECONDS", 0.0)
    id = desk.ask("", "", "How many?", 0)
    assert kept.answers("", id)[0].question == "How many?"  # at once
    core.go.release(2)
    while kept.answers("", id)[0].text != "word word ":
        pass
    core.go.release(2)
    assert core.closed.wait(SECONDS)
    while desk.running(id):
        pass
    assert kept.answers("", id)[0].state == "done"


def test_a_stop_ends_the_answer_for_the_reader_before_the_model_notices(desk: Desk, core: Core, kept: Conversations) -> None:
    id = desk.ask("", "", "How many?", 0)
    answers = followed(desk, id, {1: lambda: desk.stop(id)})
    assert answers[-1].state == "stopped" and not core.closed.is_set()
    assert kept.answers("", id)[0].state == "stopped"
    core.go.release(1)
    assert core.closed.wait(SECONDS)  # the model is freed with its next word
    assert kept.answers("", id)[0].state == "stopped"


def test_one_answer_at_a_time_in_a_conversation_and_a_new_question_takes_the_place_of_later_ones(
    desk: Desk, core: Core, kept: Conversations
) -> None:
    id = desk.ask("", "", "First?", 0)
    with pytest.raises(UserError, match="still being written"):
        desk.ask("", id, "Second?", 1)
    followed(desk, id, {1: lambda: core.go.release(4)})
    for turn, question in ((1, "Second?"), (2, "Third?"), (1, "Other?")):
        desk.ask("", id, question, turn)
        followed(desk, id, {1: lambda: core.go.release(4)})
        assert core.earlier == [answer.question for answer in kept.answers("", id)][:turn]
    assert [answer.question for answer in kept.answers("", id)] == ["First?", "Other?"]
    with pytest.raises(UserError, match="not there"):
        desk.ask("somebody", id, "Mine?", 2)


def test_what_breaks_is_told_in_the_answer(kept: Conversations) -> None:
    def breaking(
        question: str, turns: Sequence[Turn], *, scope: Scope = EVERYWHERE, begun: Answer | None = None
    ) -> Iterator[Answer]:
        yield Answer(question, "A wor", state="writing")
        raise RuntimeError("secret")

    desk = Desk(breaking, kept)
    id = desk.ask("", "", "How?", 0)
    desk.close(SECONDS)
    [answer] = kept.answers("", id)
    assert answer.state == "failed" and answer.text == "A wor" and "RuntimeError" in answer.note and "secret" not in answer.note
    with pytest.raises(UserError, match="ending"):
        desk.ask("", id, "Again?", 1)
