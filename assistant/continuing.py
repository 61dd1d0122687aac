"""An answer that was stopped or broke off is gone on with, from where it ended."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from assistant.turns import without_marks

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from assistant.settings import Settings

GO_ON = "Your answer broke off. Write only what follows after its last word; repeat nothing of it."
_LEAST_REPEATED = 8  # characters at the end of the beginning that a model says again
_NO_SPACE = re.compile(r"[\s.,;:!?)\]}’'\-]|$")  # what follows a word without a space, and scripts that write none


def written_so_far(text: str) -> str:
    """Return the shown `text` of an answer as the model wrote it: without marks, and without the ellipsis we put at its end."""
    return without_marks(text).rstrip().removesuffix("…").rstrip()


def going_on(messages: Sequence["BaseMessage"], begun: str, settings: "Settings") -> list["BaseMessage"]:
    """Return `messages` with the beginning of the answer that the model is to go on with.

    The embedded model's server goes on with a last message that is the assistant's; others answer it, and so are asked to.
    """
    from langchain_core.messages import AIMessage, HumanMessage

    ending = [] if settings.embedded and not settings.base_url else [HumanMessage(GO_ON)]
    return [*messages, AIMessage(begun), *ending]


def joined(begun: str, more: str, settings: "Settings") -> str:
    """Return a beginning and what the model wrote after it as one text, without what it says again."""
    if begun.startswith(more):  # some servers send the beginning back
        return begun
    if settings.embedded and not settings.base_url:
        return more if more.startswith(begun) else begun + more
    more = more.removeprefix("…").lstrip(" ") if begun else more
    for length in range(min(len(begun), len(more)), _LEAST_REPEATED - 1, -1):
        if begun.endswith(more[:length]):
            return begun + more[length:]
    spaced = begun and more and not begun[-1].isspace() and not _NO_SPACE.match(more) and ord(begun[-1]) < 0x3040
    return f"{begun} {more}" if spaced else begun + more
