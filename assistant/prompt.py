"""The prompt: which sentences of the passages the model reads, after the instructions and examples of `examples.py`."""

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from assistant.examples import opening, question_text
from assistant.instructions import readable, visible
from assistant.lexical import terms
from assistant.passages import FARTHEST
from assistant.retrieval import Hit
from assistant.table_rows import header_in
from assistant.turns import About, Turn, history, told

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from tokenizers import Tokenizer

    from assistant.settings import Settings

# What chat templates take for the start or end of a message or of thinking: in a document it is only text.
_CONTROL = re.compile(r"(<)(?=\||/?(?:s|think|start_of_turn|end_of_turn|bos|eos)>)|(\[)(?=/?INST\])", re.IGNORECASE)
# The share of what is read that earlier turns may take: of the room in the window, and of the passages' tokens for the
# embedded model, for which each token costs 15 ms.
_HISTORY_OF_ROOM, _HISTORY_OF_PASSAGES = 1 / 3, 0.6
_ANSWERS_OF_PASSAGES = 3  # times the passages' tokens, for a question about the conversation itself
OTHERS = 10  # times as many tokens of passages are read by other endpoints as by the embedded model
_LEAST_SENTENCES = 4
_WORTH_READING = 0.6  # of the best sentence's worth
_BESIDE = 0.7  # of its worth goes to the sentences before and after
_LABEL_CHARACTERS = 50  # of a document's title before its passage
_FRAME_TOKENS = 200  # the chat template around each message, and the words between the parts
# An upper estimate of a language model's tokens from the embedding model's: about the same for words, but
# that one takes a whole word of letters or signs that it doesn't know for a single token.
_TOKEN_RATIO = 1.15
_UNKNOWN = (
    (re.compile(r"\d{2,}"), 0.6),  # some models take every digit for a token
    (re.compile(r"[!-~]{30,}"), 0.75),  # keys, hashes, base64
    (re.compile(r"[\u0080-\u07ff]+"), 0.8),  # accents, Greek, Cyrillic, Hebrew, Arabic
    (re.compile(r"[\u0800-\u2fff\ua000-\uabff]+"), 3.0),  # scripts of South and South East Asia, signs
    (re.compile(r"[\u3040-\u31ff\uac00-\ud7ff]+"), 1.5),  # kana and hangul
    (re.compile(r"[\ue000-\U0010ffff]+"), 4.0),  # pictures and rare letters
)


def build_messages(
    question: str, hits: Sequence[Hit], turns: Sequence[Turn], settings: "Settings", tokenizer: "Tokenizer"
) -> tuple[list["BaseMessage"], list[Hit]]:
    """Return the messages for the model and the hits they show: passage `[n]` is the n-th of these hits.

    Passages are cut to the sentences nearest to the question, so that all fits `prompt_tokens` (ten
    times that for other endpoints) and the model's window; what does not fit is left out by rank. Earlier turns
    come by the rule of `turns.history` and take at most a third of the window.
    """
    from langchain_core.messages import HumanMessage

    room, wanted = _room(question, settings, tokenizer)
    share = int(_HISTORY_OF_ROOM * room)
    if settings.embedded:
        share = min(share, int(_HISTORY_OF_PASSAGES * wanted))
    earlier = history(turns, share, lambda text: count_tokens(text, tokenizer))
    budget = min(wanted, room - count_tokens(earlier, tokenizer))
    excerpts = select_sentences(question, hits, max(budget, 32), tokenizer)
    shown = [hit for hit, _ in excerpts]
    parts = [f"[{number}] {_label(hit)}: {text}" for number, (hit, text) in enumerate(excerpts, start=1)]
    passages = "\n\n".join(parts)
    if earlier:
        passages += f"\n\nEarlier in this conversation:\n{earlier.rstrip()}"
    return [*opening(), HumanMessage(defuse(question_text(passages, question)))], shown


def _room(question: str, settings: "Settings", tokenizer: "Tokenizer") -> tuple[int, int]:
    """Return the tokens of the window that passages and earlier turns can have, and those wanted for passages."""
    taken = settings.answer_tokens + _FRAME_TOKENS + opening_tokens(tokenizer) + count_tokens(question, tokenizer)
    room = settings.context_tokens - taken
    return room, settings.prompt_tokens * (1 if settings.embedded else OTHERS)


@lru_cache(maxsize=2)
def opening_tokens(tokenizer: "Tokenizer") -> int:
    """Return how many tokens the unchanging messages take; counted once, since it takes longer than all else here."""
    return count_tokens("\n".join(str(message.content) for message in opening()), tokenizer)


def conversation_messages(
    question: str, about: About, turns: Sequence[Turn], settings: "Settings", tokenizer: "Tokenizer"
) -> list["BaseMessage"]:
    """Return the messages for a question about the conversation itself.

    The earlier answers stand in the passages' place, in full as far as they fit three times the passages' tokens and
    the model's window.
    """
    from langchain_core.messages import HumanMessage

    room, wanted = _room(question, settings, tokenizer)
    room = min(room, _ANSWERS_OF_PASSAGES * wanted)
    chosen = told(question, about, turns, room, lambda text: count_tokens(text, tokenizer))
    parts = [
        f"[{number}] You were asked: {turn.question}\nYou answered: {turn.plain}" for number, turn in enumerate(chosen, start=1)
    ]
    text = "\n\n".join(parts)
    if count_tokens(text, tokenizer) > room:  # one answer longer than all that can be read
        text = text[: len(text) * max(room, 32) // count_tokens(text, tokenizer)]
    passages = f"(this conversation so far)\n\n{text}"
    return [*opening(), HumanMessage(defuse(question_text(passages, question)))]


def defuse(text: str) -> str:
    """Return `text` with a space in what a chat template would take for the start or end of a message or of thinking.

    Characters that people don't see are left out.
    """
    return _CONTROL.sub(r"\1\2 ", visible(text))


def count_tokens(text: str, tokenizer: "Tokenizer") -> int:
    """Return an upper estimate of how many tokens a language model takes for `text`."""
    known = len(tokenizer.encode(text, add_special_tokens=False).ids) * _TOKEN_RATIO
    unknown = sum(len(found) * rate for kind, rate in _UNKNOWN for found in kind.findall(text))
    return math.ceil(known + unknown)


def _label(hit: Hit) -> str:
    return readable("", hit.chunk.title)[:_LABEL_CHARACTERS]


def select_sentences(question: str, hits: Sequence[Hit], budget: int, tokenizer: "Tokenizer") -> list[tuple[Hit, str]]:
    """Return (hit, text) with the sentences that matter most for `question`, at most about `budget` tokens.

    A sentence is worth its similarity to the question, the question's words in it, and how near
    its passage comes to the best; a sentence beside a good one is worth most of that, so that thoughts stay whole.
    Only the gists are read. Hits stay in order; a gap in a passage is marked by an ellipsis. A row of a table comes with
    the table's header.
    """
    words = set(terms(question))
    best = max((hit.score for hit in hits), default=0.0)
    worth: list[tuple[float, int, int]] = []
    for row, hit in enumerate(hits):
        values = []
        # 1 for the best passage, 0 for one that would just be left out. The score itself in its place left out the answer
        # of 15 % of the questions about the starter corpus, not 8 % (xquad 4, not 3; squad 7, not 6), in 200 tokens.
        standing = max(1 - (best - hit.score) / FARTHEST, 0.0)
        for (start, end), cosine in zip(hit.chunk.sentences, hit.sentence_scores, strict=True):
            shared = len(words.intersection(terms(hit.chunk.text[start:end]))) / max(len(words), 1)
            values.append(0.5 * cosine + 0.25 * shared + 0.25 * standing)
        for at, value in enumerate(values):
            beside = max(values[max(at - 1, 0) : at + 2])
            start, end = hit.chunk.sentences[at]
            if hit.gist[0] <= hit.chunk.start + start and hit.chunk.start + end <= hit.gist[1]:
                worth.append((max(value, _BESIDE * beside), row, at))
    chosen: dict[int, set[int]] = {}
    headers: set[tuple[int, str]] = set()
    used = 0
    ranked = sorted(worth, key=lambda item: (-item[0], item[1], item[2]))
    for place, (value, row, at) in enumerate(ranked):
        if place >= _LEAST_SENTENCES and value < _WORTH_READING * ranked[0][0]:
            break  # what is worth this little only costs seconds
        start, end = hits[row].chunk.sentences[at]
        text = readable(question, hits[row].chunk.text[start:end])
        if not text:
            continue
        cost = count_tokens(text, tokenizer)
        if row not in chosen:
            cost += count_tokens(_label(hits[row]), tokenizer) + 6
        header = header_read(question, hits[row], at)
        more = count_tokens(header, tokenizer) if header and (row, header) not in headers else 0
        if used + cost + more > budget:
            if not chosen:  # the best sentence is read in any case, cut to what fits
                rest = max(budget - cost, 0)
                head = f"{header[: len(header) * rest // more]} … " if more and rest else ""
                return [(hits[row], head + " ".join(text[: len(text) * budget // cost].split()))]
            break
        used += cost + more
        headers.add((row, header))
        chosen.setdefault(row, set()).add(at)
    return joined_sentences(question, hits, chosen)


def joined_sentences(question: str, hits: Sequence[Hit], chosen: Mapping[int, set[int]]) -> list[tuple[Hit, str]]:
    """Return (hit, text) of the `chosen` sentences, by place of the hit and place in it; a gap is marked by an ellipsis.

    Ahead of the first row of a table comes its header, when that isn't chosen.
    """
    excerpts = []
    for row in sorted(chosen):
        chunk, text, before = hits[row].chunk, "", -1
        said: set[str] = set()
        for at in sorted(chosen[row]):
            start, end = chunk.sentences[at]
            header = header_read(question, hits[row], at)
            if before >= 0:
                text += " " if at == before + 1 else " … "
            if header and header not in said:
                text += f"{header} … "
            sentence = " ".join(readable(question, chunk.text[start:end]).split())
            text += sentence
            said.update((header, sentence))
            before = at
        excerpts.append((hits[row], text))
    return excerpts


def header_read(question: str, hit: Hit, at: int) -> str:
    """Return the header of the table whose row the sentence `at` of `hit` is, as far as the model may read it; else ""."""
    header = header_in(hit.header, hit.chunk.text, hit.chunk.sentences[at][0])
    return " ".join(readable(question, header).split()) if header else ""
