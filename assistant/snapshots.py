"""The snapshots of an answer: what the reader gets while a question is being answered, and the steps from one to the next."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from assistant.abstention import decide, features, unknown_words
from assistant.chat_model import Output
from assistant.collection import Collection
from assistant.elsewhere import Elsewhere
from assistant.extractive import extract
from assistant.filters import Filter
from assistant.grounding import Citation, Statement, count_line
from assistant.instructions import count_let_through, count_unread
from assistant.reading import Plan
from assistant.retrieval import Hit, leans
from assistant.scope import EVERYWHERE, Scope
from assistant.sentences import split_sentences
from assistant.settings import Level
from assistant.turns import About, Turn
from assistant.turns import retold as retold_sentences
from assistant.usage import Usage, cost_line
from assistant.written import Written

REFUSAL = "The documents don't seem to answer this question."
EMPTY_CORPUS = "There are no documents yet: add some, then ask again."
UNFOUND = "What the language model wrote stands in none of the documents."
INSTEAD = "These are the sentences of your documents that fit best."
RETOLD = "This is what was answered before, word for word."
UNCHECKED = "This is about the conversation itself; it was not checked against the documents."
NOT_SAID = "Nothing was said about that in this conversation."
NOT_ANSWERED = "Nothing has been answered in this conversation yet."
NEEDS_MODEL = "To say it in other words needs a language model, and none is used: this is the answer as it was."
NO_DOCUMENT = "No document matches the filter: widen it, then ask again."
MIDDLING = 0.5  # support taken for granted while a draft is being written, and where nothing can be looked up
_BEFORE = 2  # earlier questions, the newest, whose words count for one that leans on them

# Questions for a yes or a no, in English: a small model answers them with the question turned round.
_YES_OR_NO = re.compile(
    r"(?:(?:and|so|but|then|ok|if [^?]*,)\s+)?"
    r"(?!(?:can|could|do|will|would) (?:you|we)\b|was (?:ist|sind|war|kostet|kosten|hat|haben|macht|kann|muss|soll|wird|bedeutet|heißt|gibt)\b|may \d)"
    r"(?:(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|must|might)(?:n['’]t)?|can['’]t|won['’]t)\s",
    re.IGNORECASE,
)

# What may be the beginning of a longer word or number ("1" of "120"), up to the white space before it; in a script that writes
# no spaces, nothing.
_HALF = re.compile(
    r"(?:(?<=\s)|^)[^\s\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]{1,60}(?<=\w|[$€£¥~+'’*_(-])$|(?<=\s)\S{0,60}\d[.,:/]$|(?<=[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff])$"
)

State = Literal["waiting", "reading", "writing", "done", "stopped", "failed"]
Thumb = Literal["up", "down"]


@dataclass(frozen=True)
class Feedback:
    """What the reader thought of an answer. `question` is the id of the golden question that was made of it, if one was."""

    thumb: Thumb
    comment: str = ""
    question: str = ""


@dataclass(frozen=True)
class Answer:
    """One snapshot of an answer; each snapshot holds all of the answer so far, the last one is final.

    `text` is Markdown with citation marks, numbered by first use, that all occur in `citations`: `[1]` after a statement that
    a passage supports, `[1?]` after one that it supports in part, `[?]` after one that isn't found. `statements` are in order.
    `elsewhere` holds what other documents say in place of their values, with citations of its own.
    `passages` are what was found, best first. `unknown_words` are those of a refused question, as typed, that stand in
    none of the documents asked; `features` what the refusal was decided by. `note` is a line for the reader about something that
    went wrong, and `unread` counts sentences of the passages that give orders to the model and so were kept from it
    and from an answer without a model.
    `progress` is the part being read and of how many, when all is too much for one prompt. `quoted` says that the text is
    sentences of the documents, picked without a language model. `unfinished` says that the model can go on with it: it was
    stopped, broke off, or ran into its length limit. `follow_ups` are questions to ask next, which come after the last snapshot.
    `feedback` is what the reader thought of it, None until they said so.
    `scope` is what the question was limited to, and `asked` the question as it was searched, when it named that itself.
    `read` counts the passages the model read, `read_chunks` holds the ids of their chunks, `usage` what that cost. Times are in seconds since the question
    came, None until it happened; `seconds_thinking` is how long the model reasoned.
    """

    question: str
    text: str = ""
    reasoning: str = ""
    passages: tuple[Hit, ...] = ()
    citations: tuple[Citation, ...] = ()
    statements: tuple[Statement, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    state: State = "waiting"
    ahead: int = 0
    progress: tuple[int, int] | None = None
    refused: bool = False
    unknown_words: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    unread: int = 0
    quoted: bool = False
    unfinished: bool = False
    follow_ups: tuple[str, ...] = ()
    scope: Scope = EVERYWHERE
    asked: str = ""
    read: int = 0
    read_chunks: tuple[str, ...] = ()
    usage: Usage | None = None
    seconds_thinking: float | None = None
    seconds_to_passages: float | None = None
    seconds_to_first_token: float | None = None
    seconds: float | None = None
    feedback: Feedback | None = None

    @property
    def final(self) -> bool:
        """Whether this is the last snapshot."""
        return self.state in ("done", "stopped", "failed")

    @property
    def cited(self) -> tuple[Citation, ...]:
        """The citations of the text and of what is said elsewhere, by number and place."""
        every = {*self.citations, *(other.citation for other in self.elsewhere)}
        return tuple(sorted(every, key=lambda citation: (citation.number, citation.start)))

    @property
    def cost(self) -> str:
        """One line about what the answer cost: passages, tokens, seconds, model, money."""
        return cost_line(self.usage, len(self.passages), self.read, self.seconds)

    @property
    def found(self) -> str:
        """How many of its statements were found, in a line for the reader; empty when it has none."""
        return count_line(self.statements)

    def stopped(self) -> "Answer":
        """Return this snapshot as the final one of an answer that the reader stopped, without a word or number half written."""
        half = None if self.text.count("```") % 2 else _HALF.search(self.text)
        if half is None:
            return replace(self, state="stopped", note="Stopped.", unfinished=bool(self.text) and not self.quoted)
        text = f"{self.text[: half.start()]}…"
        whole = tuple(statement for statement in self.statements if statement.end <= half.start())
        return replace(self, text=text, statements=whole, state="stopped", note="Stopped.", unfinished=not self.quoted)


def is_guess(answer: Answer, written: Written, plan: Plan | None, level: Level) -> bool:
    """Whether to refuse in place of a draft; the evidence that `decide` weighs is that of the best passages for a point."""
    if written.code:
        return False
    if plan is None:
        return decide(answer.features, level)
    return written.refused or (level != "off" and not answer.citations)


def doubtful(output: Output, level: Level) -> bool:
    """Whether a draft may well be refused when it is whole: it is not shown in the making, to be taken back."""
    if output.refusing is None:
        return False
    return decide(features([MIDDLING], False, output.refusing), level)


def refusal(answer: Answer, collection: Collection, filter: Filter) -> Answer:
    """Return `answer` as one that says that the documents don't answer, and which words stand nowhere in them."""
    words = unknown_words(answer.question, lambda terms: collection.lacking(terms, filter))
    named = ", ".join(f'"{word}"' for word in words)
    text = f"{REFUSAL} Nowhere in them: {named}." if words else REFUSAL
    return replace(answer, text=text, citations=(), statements=(), refused=True, unknown_words=words)


def limited(answer: Answer, question: str, asked: str, scope: Scope) -> Answer:
    """Return the answer to `asked` as that to `question`, which was limited to `scope`; a refusal says so."""
    text = answer.text
    if scope and answer.final and answer.refused and text.startswith(REFUSAL):
        text = f"{text} Only {scope.line} was searched."
    return replace(answer, question=question, asked="" if asked == question else asked, scope=scope, text=text)


def grown(answer: Answer, output: Output, now: float) -> Answer:
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


def finished(answer: Answer, written: Written, refused: bool, plan: Plan | None = None) -> Answer:
    """Return the last snapshot of an answer that the model ended."""
    if refused:
        return replace(answer, text=REFUSAL, citations=(), statements=(), refused=True, state="done")
    unread = count_unread(answer.question, answer.passages)
    let_through = count_let_through(answer.question, answer.passages)
    orders = f"Kept from the model: {_counted(unread)} giving it orders." if unread else ""
    mentions = (
        f"Not kept from the model, since the question is about that: {_counted(let_through)} that may be orders to it."
        if let_through
        else ""
    )
    note = _line(plan.note if plan else "", written.note, orders, mentions)
    return replace(answer, state="done", note=note, unread=unread, unfinished=written.cut)


def _counted(sentences: int) -> str:
    return f"{sentences} sentence{'s' if sentences > 1 else ''} of the passages"


def _line(*notes: str) -> str:
    return " ".join(note for note in notes if note)


def _asks_yes_or_no(question: str) -> bool:
    """Whether the last sentence of `question` asks for a yes or a no, in English."""
    *_, (start, end) = split_sentences(question) or [(0, len(question))]
    return bool(_YES_OR_NO.match(question[start:end]))


def sound(answer: Answer, level: Level) -> Answer:
    """Return `answer`, or sentences of the passages when it is a yes-or-no question's and nothing of it was found in them."""
    if level == "off" or answer.refused or answer.citations or not answer.statements or not _asks_yes_or_no(answer.question):
        return answer
    instead = quoted(answer, "", (), level)
    if instead.refused:
        return instead
    return replace(instead, statements=(), note=_line(UNFOUND, INSTEAD, answer.note))


def failed(answer: Answer, failure: str, about: About, turns: Sequence[Turn], level: Level) -> Answer:
    """Return the last snapshot when the model failed: with what it wrote, or else with sentences of the passages."""
    if answer.text:
        return replace(answer, state="failed", note=f"{failure} What was written so far is kept.", unfinished=True)
    without_model = quoted(answer, about, turns, level)
    if without_model.refused:  # the model might have found more
        return replace(answer, state="failed", note=failure)
    return replace(without_model, note=_line(failure, RETOLD if about else INSTEAD, without_model.note))


def quoted(answer: Answer, about: About, turns: Sequence[Turn], level: Level) -> Answer:
    """Return the answer that needs no language model: the best sentences of the passages, or of the conversation."""
    question = answer.question
    before = " ".join(turn.question for turn in turns[-_BEFORE:]) if leans(question) else ""
    found = [hit for hit in answer.passages if not hit.beside]
    text, citations = retold_sentences(question, about, turns) if about else extract(question, found, level, before)
    unread = 0 if about else count_unread(question, answer.passages)
    note = f"Left out: {_counted(unread)} giving orders." if unread else ""
    if not text:
        nothing = "" if not about else NOT_SAID if any(turn.answered for turn in turns) else NOT_ANSWERED
        return replace(answer, text=nothing or REFUSAL, state="done", refused=True, note=note, unread=unread)
    return replace(answer, text=text, citations=citations, state="done", quoted=True, note=note, unread=unread)


def told_again(answer: Answer, turn: Turn) -> Answer:
    """Return the answer that repeats `turn`."""
    return replace(
        answer,
        text=turn.answer,
        citations=turn.citations,
        statements=turn.statements,
        elsewhere=turn.elsewhere,
        refused=turn.refused,
        state="done",
    )
