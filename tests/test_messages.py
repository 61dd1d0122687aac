"""Which messages of a conversation a page shows."""

import re

from assistant.snapshots import Answer
from ui.messages import NEWEST, messages_of, with_snapshot


def conversation(turns: int) -> list[Answer]:
    return [
        Answer(f"Question {turn}?", text=f"Answer {turn}.", state="done", follow_ups=(f"Next {turn}?",)) for turn in range(turns)
    ]


def shown(messages: list[dict[str, str]]) -> list[int]:
    """Return the turns of which both messages are there, in their order."""
    text = "".join(message["content"] for message in messages)
    asked, answered = (re.findall(rf'id="{kind}-(\d+)"', text) for kind in ("asked", "answer"))
    assert asked == answered
    return [int(turn) for turn in asked]


def test_the_newest_turns_are_shown_with_a_button_for_the_others() -> None:
    for turns in (0, 1, 29, 30, 31, 90, 200):
        messages = messages_of(conversation(turns))
        assert shown(messages) == list(range(max(0, turns - NEWEST), turns))
        earlier = [message["content"] for message in messages if "act-earlier" in message["content"]]
        assert len(earlier) == (turns > NEWEST) and all(f"{turns - NEWEST:,} earlier question" in line for line in earlier)
        assert sum("Ask next" in message["content"] for message in messages) == (turns > 0)
    assert shown(messages_of(conversation(45), 60)) == list(range(45))


def test_a_snapshot_takes_the_place_of_its_turn_and_of_nothing_else() -> None:
    answers = conversation(40)
    for turn in range(40):
        now = Answer(f"Question {turn}?", text="So far")
        expected = messages_of([*answers[:turn], now, *answers[turn + 1 :]])
        assert with_snapshot(messages_of(answers), 40, NEWEST, turn, now) == expected
