"""The messages of a conversation on the page: its newest questions with their answers, and a button for the earlier ones.

All of a long conversation in every update while an answer streams would make typing lag.
"""

from collections.abc import Sequence

from assistant.snapshots import Answer
from ui.render import answer_html, earlier_html, question_html

NEWEST = 30  # questions that are shown, and that each press of the button adds
Messages = list[dict[str, str]]


def messages_of(answers: Sequence[Answer], shown: int = NEWEST) -> Messages:
    """Return the messages of the last `shown` turns."""
    first = _first(len(answers), shown)
    earlier = [{"role": "assistant", "content": earlier_html(first, min(first, NEWEST))}] if first else []
    turns = enumerate(answers[first:], first)
    return earlier + [message for turn, answer in turns for message in _exchange(answer, turn, turn == len(answers) - 1)]


def with_snapshot(messages: Messages, turns: int, shown: int, turn: int, answer: Answer) -> Messages:
    """Return the messages of a conversation of so many `turns` with the newest snapshot of one of its answers."""
    first = _first(turns, shown)
    if turn < first:
        return messages
    place = 2 * (turn - first) + (first > 0)
    return [*messages[:place], *_exchange(answer, turn, turn == turns - 1), *messages[place + 2 :]]


def _first(turns: int, shown: int) -> int:
    return max(0, turns - shown)


def _exchange(answer: Answer, turn: int, last: bool) -> Messages:
    return [
        {"role": "user", "content": question_html(answer.question, turn)},
        {"role": "assistant", "content": answer_html(answer, turn, last)},
    ]
