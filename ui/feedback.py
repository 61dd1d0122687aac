"""What a reader thinks of an answer: a thumb, a comment, and the question that the evaluation asks from then on."""

from dataclasses import replace

from assistant.conversations import Conversations
from assistant.errors import UserError
from assistant.settings import Settings
from assistant.snapshots import Feedback, Thumb
from eval.golden_questions import own_questions
from eval.own_questions import add_draft, drafted

ACTS = ("up", "down", "comment", "golden")
_COMMENT = 2000  # characters


def give(kept: Conversations, settings: Settings, user: str, id: str, turn: int, act: str, text: str) -> None:
    """Do what a button under an answer asks for: one of `ACTS`; the thumb that was given already is taken back.

    `text` is the comment. Raises `UserError` when the answer isn't there, has no thumb yet, or its question is kept already.
    """
    answers = kept.answers(user, id)
    if not 0 <= turn < len(answers):
        raise UserError("This answer is not there any more.")
    answer = answers[turn]
    before = answer.feedback
    if act in ("up", "down"):
        thumb: Thumb = "up" if act == "up" else "down"
        if before is None:
            kept.judge(user, id, turn, Feedback(thumb))
        else:
            kept.judge(user, id, turn, None if before.thumb == thumb else replace(before, thumb=thumb))
        return
    if before is None:
        raise UserError("Give the answer a thumb up or down first.")
    if act == "comment":
        text = text.encode("utf-8", errors="replace").decode().strip()[:_COMMENT]
        kept.judge(user, id, turn, replace(before, comment=text))
    elif act == "golden":
        row = drafted(answer, before.thumb, before.comment)
        add_draft(own_questions(settings), row)
        kept.judge(user, id, turn, replace(before, question=str(row["_id"])))
