"""The conversation before a question: what of it the model reads, what is searched, and questions about it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from assistant.catalog import Catalog
from assistant.elsewhere import Elsewhere
from assistant.grounding import Citation, Grounding, Judgement, Statement
from assistant.lexical import query_terms, terms
from assistant.retrieval import Hit, leans
from assistant.sentences import split_sentences

About = Literal["", "question", "repeat", "answer", "all"]
Count = Callable[[str], int]

_CUT = 200  # characters of a question, and of the first sentence of an answer, in a turn told shortly; also searched
_SHORT = 60  # characters of an answer that is searched whole
_NAMES = re.compile(r"\b[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*|\d[\d,.]*\d")
_MARK = re.compile(r"\s?\[(?:\d{1,4}(?:\?|(?:\s?[,–-]\s?\d{1,4})*)|\?)\]")
_SOURCES = re.compile(
    r"\n\s*(?:#+\s*|\*\*)?(?:Sources?|References)(?:\*\*)?(?::(?:\*\*)?\s*(?:$|[\[\d*•-])|\s*\n\s*[\[\d*•-]).*$",
    re.IGNORECASE | re.DOTALL,
)
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
)
_LAST = {"", "last", "previous", "latest", "recent", "only"}
# Words of a question about an answer that don't tell which one.
_SAYING = (
    "say said tell told mention answer reply write wrote written explain mean meant just already ever again earlier before "
    "last previous first so far sure certain right correct really please conversation chat"
)

_PLEASE = r"\W*(?:(?:please|ok|okay|so|and|now|but|can you|could you|would you|will you)[\s,]+)*"
_END = r"(?:[\s,]+(?:again|please|for me|so far|once more|one more time))*\W*$"
_ANSWER = r"(?:(?:your|the) (?:last |previous |above )?(?:answer|reply|response)|what you (?:just )?(?:said|wrote))"
_IT = rf"(?:that|this|it|{_ANSWER})"
_HOW = r" (?:in(?:to)?|to|as|more|with|using|for|shorter|simpler|longer|clearer|again)\b.{0,80}"
# A question about the conversation must say so: "you" and a word of saying, "my question", "our conversation". What only
# might be about it ("summarise this", "say more") is looked up in the documents.
_MY_QUESTION = re.compile(
    rf"^{_PLEASE}(?:what (?:was|is|were)|repeat|tell me|remind me of|which was)(?: again)? my "
    rf"(?:(?:very |most )?(?P<which>[\w-]+ )?questions?|question (?:(?:number|no\.?) |#)?(?P<number>\d{{1,4}})){_END}"
    rf"|^{_PLEASE}what was question number (?P<numbered>\d{{1,4}}){_END}"
    rf"|^{_PLEASE}what did I (?:just )?(?:ask)(?: you)?(?: (?:first|last|before|just now|earlier))?{_END}",
    re.IGNORECASE,
)
_REPEAT = re.compile(
    rf"^{_PLEASE}(?:repeat|say|give me|show me|write) {_IT}{_END}|^{_PLEASE}(?:what did you (?:just )?say|repeat){_END}",
    re.IGNORECASE,
)
_FROM = re.compile(
    rf"^{_PLEASE}(?:where (?:did|do) you (?:get|find|take|have|read) {_IT}(?: information| fact| figure)?(?: from)?"
    rf"|where (?:is|was|does|did) {_ANSWER} (?:come )?from|(?:which|what) (?:documents?|files?|sources?) (?:is|was|does|did) {_IT} (?:come )?from"
    rf"|(?:which|what) (?:documents|files|sources) (?:did|do) you (?:use|read|take|cite)(?: for {_IT})?|(?:what|which) (?:is|are|was|were) your sources?"
    rf"|(?:what|which) (?:is|was) your source (?:for|of) {_IT}){_END}",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    rf"^{_PLEASE}(?:(?:translate|rephrase|reword|rewrite|paraphrase|shorten|simplify) {_IT}(?:{_HOW})?"
    rf"|(?:summari[sz]e|put|say|write|explain|make) (?:{_IT}{_HOW}|{_ANSWER}))\W*$",
    re.IGNORECASE,
)
_YOU_SAID = re.compile(
    r"\b(?:(?:did|have|had) you (?:just |already |ever )?(?:say|said|tell|told|mean|meant|mention(?:ed)?|answer(?:ed)?|write|written|explain(?:ed)?)"
    r"|you (?:just |already |have |had )*(?:said|told me|mentioned|answered|wrote|explained)|(?:your|the) (?:last|previous|first|earlier) answers?)\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"\b(?:(?:summari[sz]e|sum up|recap|summary of|overview of|recap of) (?:\w+ )?(?:our|this|the) (?:whole |entire )?(?:conversation|chat|dialogue)"
    r"|(?:our|this|the) (?:conversation|chat|dialogue) so far|what (?:have|did) we (?:just )?(?:talk(?:ed)?|discuss(?:ed)?|cover(?:ed)?|speak|spoken)\b.{0,20}"
    r"|what (?:have I|did I) (?:asked|ask)(?: you)? so far)",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^(?:(?:yes|no|earlier|before|previously|just now|in (?:my|your|the) (?:\w+ )?answer)\b,?\s*)?"
    r"(?:(?:you|I)(?:['’]ve|['’]d| have| had)?(?: just| already| also| previously| earlier)?"
    r" (?:said|answered|replied|told (?:me|you)|mentioned|wrote|explained|stated)(?: earlier| before| just now)?"
    r"|(?:my|your|the) (?:last |previous |earlier )?answer was)(?: that\b|[:,])?\s+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Turn:
    """One earlier exchange of the conversation; `refused` says that the answer was that the documents don't say."""

    question: str
    answer: str
    citations: tuple[Citation, ...] = ()
    refused: bool = False
    elsewhere: tuple[Elsewhere, ...] = ()
    statements: tuple[Statement, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether there was an answer from the documents."""
        return bool(self.answer.strip()) and not self.refused

    @property
    def plain(self) -> str:
        """The answer without marks and lists of sources; "not answered" when there was none."""
        return without_marks(self.answer).strip() if self.answered else "not answered"


def without_marks(text: str) -> str:
    """Return the text of an answer without marks and lists of sources."""
    return _MARK.sub("", _SOURCES.sub("", text))


class Retelling(Grounding):
    """Judges what is told of earlier answers without "You said that": no passage says it was said."""

    def judge(self, statement: str, hints: frozenset[int] = frozenset(), question: str = "") -> Judgement:
        """Return what the passages say to `statement` without such an opening."""
        return super().judge(_OPENING.sub("", statement), hints, question)


def history(turns: Sequence[Turn], room: int, count: Count) -> str:
    """Return what of `turns` (oldest first) the model reads, at most `room` tokens as `count` counts them.

    The rule: the newest turns whole as long as they fit; from the first that does not, each as its question and the
    first sentence of its answer; from the first that does not fit even so, none.
    """
    lines = ""
    whole = True
    for turn in reversed(turns):
        told = f"Q: {_one_line(turn.question)}\nA: {_one_line(turn.plain)}\n"
        if whole and count(told + lines) > room:
            whole = False
        if not whole:
            told = f"Q: {_cut(turn.question)}\nA: {_cut(_first_sentence(turn.plain))}\n"
        if count(told + lines) > room:
            break
        lines = told + lines
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _first_sentence(text: str) -> str:
    spans = split_sentences(text)
    return text[spans[0][0] : spans[0][1]] if spans else text


def _cut(text: str) -> str:
    text = _one_line(text)
    return text if len(text) <= _CUT else text[: _CUT - 1].rstrip() + "…"


def searched_before(question: str, turns: Sequence[Turn]) -> list[str]:
    """Return what is searched beside `question`: the earlier questions, oldest first.

    For a question that leans on what was said, the names and numbers at the start of the last answer come before the last
    question: "What did he study?" is about the name that only the answer held. A short answer comes whole. On mtRAG
    that gives nDCG@10 0.494 instead of 0.492, the text of the answer in place of its names 0.491 (eval/RESULTS.md).
    """
    earlier = [turn.question for turn in turns]
    if turns and leans(question) and turns[-1].answered:
        start = turns[-1].plain[:_CUT]
        names = start if len(start) <= _SHORT else " ".join(dict.fromkeys(_NAMES.findall(start)))
        earlier[-1:] = [names, earlier[-1]] if names else [earlier[-1]]
    return earlier


def about_conversation(question: str, turns: Sequence[Turn]) -> About:
    """Return whether `question` is about the conversation itself, and what of it: by rule, in English only.

    "question": one of the reader's own; "repeat": the last answer once more; "answer": what was answered, in other
    words or to a part of it; "all": the whole conversation. Without an earlier turn nothing is.
    """
    if not turns:
        return ""
    if _MY_QUESTION.match(question):
        return "question"
    if _WHOLE.search(question):
        return "all"
    if _REPEAT.match(question) or _FROM.match(question):
        return "repeat"
    return "answer" if _CHANGE.match(question) or _YOU_SAID.search(question) else ""


def recalled(question: str, about: About, turns: Sequence[Turn]) -> Turn | None:
    """Return the answer that needs no model: one of the reader's questions, or the last answer with its citations."""
    if about == "repeat":
        from_sources = _FROM.match(question) and next((turn for turn in reversed(turns) if turn.citations), None)
        return from_sources or _newest(turns)
    if about != "question":
        return None
    found = _MY_QUESTION.match(question)
    which = ((found and (found["which"] or found["number"] or found["numbered"])) or "").strip().lower()
    if re.search(r"\bquestions\b", question, re.IGNORECASE):
        lines = "\n".join(f"{number}. {_one_line(turn.question)}" for number, turn in enumerate(turns, start=1))
        return Turn(question, lines)
    if re.search(r"(?<!-)\b(?:first|original|initial)\b", question, re.IGNORECASE):
        which = "first"
    ordinals = _ORDINALS.split()
    figure = re.fullmatch(r"(\d+)(?:st|nd|rd|th)?", which)
    number = len(turns) if which in _LAST else int(figure[1]) if figure else ordinals.index(which) + 1 if which in ordinals else 0
    if not 1 <= number <= len(turns):
        return Turn(question, f"You have asked {len(turns)} question{'s' if len(turns) > 1 else ''} so far.")
    name = (
        "last question" if which in _LAST else f"{ordinals[number - 1]} question" if number <= 20 else f"question number {number}"
    )
    return Turn(question, f"Your {name} was: “{_one_line(turns[number - 1].question)}”")


def _newest(turns: Sequence[Turn]) -> Turn | None:
    """Return the last turn with an answer; one that was stopped at once has none."""
    return next((turn for turn in reversed(turns) if turn.answer.strip()), None)


def asks_change(question: str, about: About) -> bool:
    """Whether `question` wants an earlier answer in other words, which only a language model can give."""
    return about == "answer" and bool(_CHANGE.match(question))


def _named(question: str) -> set[str]:
    """Return the terms after "did you say", without those of saying: what was said must have been about them."""
    said = _YOU_SAID.search(question)
    return set(query_terms(question[said.end() :])).difference(terms(_SAYING)) if said else set()


def _topic(question: str) -> set[str]:
    """Return the terms that tell which answer is meant: those named, else all but those of saying."""
    return _named(question) or set(query_terms(question)).difference(terms(_SAYING))


def _shared(words: set[str], turns: Sequence[Turn]) -> list[int]:
    """Return how many of `words` each turn holds; one that was itself about the conversation counts as holding none."""
    return [
        0 if about_conversation(turn.question, turns[:at]) else len(words.intersection(terms(f"{turn.question} {turn.plain}")))
        for at, turn in enumerate(turns)
    ]


def retold(question: str, about: About, turns: Sequence[Turn]) -> tuple[str, tuple[Citation, ...]]:
    """Return what can be told of the conversation without a model: each answer's first sentence, or one answer whole.

    Empty when nothing was answered, or nothing about what the question names.
    """
    answered = [at for at, turn in enumerate(turns) if turn.answered]
    if about == "all":
        lines = (f"- {_cut(turns[at].question)} {_cut(_first_sentence(turns[at].plain))}" for at in answered)
        return "\n".join(lines), ()
    if asks_change(question, about):
        newest = _newest(turns)
        return (newest.answer, newest.citations) if newest and newest.answered else ("", ())
    shared = _shared(_topic(question), turns)
    best = max(answered, key=lambda at: (shared[at], at), default=None)
    if best is None or (_named(question) and not shared[best]):
        return "", ()
    return turns[best].answer, turns[best].citations


def live(turns: Sequence[Turn], catalog: Catalog) -> list[Turn]:
    """Return `turns` with the citations whose passages are still there; an answer that lost one has no marks."""
    cited = {c.chunk.id for turn in turns for c in (*turn.citations, *(other.citation for other in turn.elsewhere))}
    there = {chunk.id for chunk in catalog.chunks(list(cited))}
    current = []
    for turn in turns:
        kept = tuple(citation for citation in turn.citations if citation.chunk.id in there)
        others = tuple(other for other in turn.elsewhere if other.citation.chunk.id in there)
        turn = replace(turn, elsewhere=others) if len(others) < len(turn.elsewhere) else turn
        current.append(turn if len(kept) == len(turn.citations) else replace(turn, answer=turn.plain, citations=(), statements=()))
    return current


def present(hits: Sequence[Hit], catalog: Catalog) -> tuple[Hit, ...]:
    """Return those of `hits` whose passages are still there."""
    there = {chunk.id for chunk in catalog.chunks([part.id for hit in hits for part in hit.parts])}
    return tuple(hit for hit in hits if all(part.id in there for part in hit.parts))


def told(question: str, about: About, turns: Sequence[Turn], room: int, count: Count) -> list[Turn]:
    """Return the turns that a model reads in place of passages, oldest first, whole, at most `room` tokens of them.

    All turns as far as they fit; for a question about one answer those that hold its words come before the newest. The
    first of them is told in any case.
    """
    if asks_change(question, about):
        turns = [_newest(turns) or turns[-1]]
    shared = _shared(_topic(question) if about == "answer" else set(), turns)
    ranked = sorted(range(len(turns)), key=lambda at: (shared[at], at), reverse=True)
    chosen: list[int] = []
    used = 0
    for at in ranked:
        used += count(f"{turns[at].question}\n{turns[at].plain}\n")
        if chosen and used > room:
            break
        chosen.append(at)
    return [turns[at] for at in sorted(chosen)]


def cited_hits(turns: Sequence[Turn]) -> list[Hit]:
    """Return the chunks that the answers of `turns` cite, each once, the newest turn's first, as hits.

    Their gist goes from the first to the last cited character, and what is cited counts as their evidence.
    """
    spans: dict[str, list[Citation]] = {}
    for turn in reversed(turns):
        for citation in turn.citations:
            spans.setdefault(citation.chunk.id, []).append(citation)
    hits = []
    for citations in spans.values():
        chunk = citations[0].chunk
        cited = tuple(
            float(any(c.start < chunk.start + end and chunk.start + start < c.end for c in citations))
            for start, end in chunk.sentences
        )
        gist = max(min(c.start for c in citations), chunk.start), min(max(c.end for c in citations), chunk.end)
        hits.append(Hit(chunk, 1.0, 0.0, 0.0, 0.0, (0.0,) * len(cited), cited, (chunk,), gist))
    return hits
