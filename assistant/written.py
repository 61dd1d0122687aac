"""What a language model wrote, made fit for the reader: wrapping off, repetition once, a broken end marked, and told what was wrong."""

from dataclasses import dataclass

from assistant.chat_model import Output
from assistant.repetition import repeats_from
from assistant.wording import breaks_off, is_code, is_refusal, tidy, with_ellipsis, without_refusals

EMPTY = "The model's answer was empty: ask again, or choose another model."
_REPEATED_THOUGHTS = "The model repeated itself while thinking and was stopped: ask again, or choose another model."


@dataclass(frozen=True)
class Written:
    """`text` as the reader gets it, still without our marks; empty when there is no answer, and `failure` says why.

    `whole` is False when its last sentence is unfinished and so must get no mark. `refused` says that it is a refusal and
    nothing else, `code` that it is a block of code, which nothing can be looked up for, `cut` that the model would have gone
    on. `note` tells what was wrong.
    """

    text: str
    whole: bool
    refused: bool
    code: bool
    cut: bool
    failure: str
    note: str

    @property
    def checkable(self) -> bool:
        """Whether there are statements to be looked up."""
        return bool(self.text) and not self.code


def repeats(output: Output) -> bool:
    """Whether the model, in its answer or before it in its reasoning, says the same over and over and should be stopped."""
    return repeats_from(output.text or output.reasoning) is not None


def draft(output: Output, question: str) -> str:
    """Return what can be shown of an answer that is still being written."""
    text = tidy(output.text, question, final=False)
    return "" if is_refusal(text) else text


def settle(output: Output, question: str, failure: str = "") -> Written:
    """Return all that the model wrote; `failure` is why it could not go on, if it couldn't."""
    repeated = repeats(output)
    text = without_refusals(once(tidy(once(output.text), question, final=True)))
    if not text:
        return Written("", True, False, False, False, failure or (_REPEATED_THOUGHTS if repeated else EMPTY), "")
    broken = bool(failure) or output.cut or repeated or breaks_off(text)
    shown = with_ellipsis(text) if broken else text
    notes = (
        (output.cut, "The model reached its length limit; the answer may be cut off."),
        (repeated, "The model began to repeat itself and was stopped."),
        (shown != text and not output.cut and not repeated, "The model broke off in mid-sentence."),
        (is_code(text), "The model answered in code, which can't be checked against the sources."),
        (output.damaged, "Parts of the model's reply were damaged and are left out."),
    )
    note = " ".join(line for true, line in notes if true)
    cut = broken and not repeated
    return Written(shown, shown == text, is_refusal(text), is_code(text), cut, failure, note)


def once(text: str) -> str:
    """Return `text` without what is repeated at its end."""
    return text[: repeats_from(text)]
