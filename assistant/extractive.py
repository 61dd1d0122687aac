"""An answer without a language model: the sentences of the passages that fit the question best, word for word."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from assistant.chunking import Chunk
from assistant.grounding import Citation
from assistant.instructions import readable
from assistant.lexical import query_terms, terms
from assistant.passages import FARTHEST
from assistant.retrieval import Hit
from assistant.settings import Level
from assistant.table_rows import header_in, labelled

# Below this score of the best hit the passages are about something else. Of what squad_v2_dev and mtRAG answer, 0.325
# refuses at most 1 %, 0.4 at most 4 %; of questions about another collection 94 % and 100 % in a small one, 33 % and 81 %
# (squad), 4 % and 53 % (mtRAG) in large ones. What is on the topic without an answer, scores hardly tell: eval/RESULTS.md.
WEAK: Mapping[Level, float] = {"strict": 0.4, "balanced": 0.325, "off": 0.0}
_MOST = 3  # sentences for a question that asks for several things
_NEAR = 0.8  # of the best sentence's worth has each other one
_ALIKE = 0.6  # share of terms in common from which two sentences say the same
_SEVERAL = re.compile(
    r"^\s*(?:and\s+)?(?:how (?:do|does|did|can|is|are|was|were|should)|why|list|name (?:all|the|some)|explain|describe|compare|summari[sz]e|"
    r"what (?:are|were|happen\w*)|which \w+s (?:are|were|have|do|did)|tell me|give (?:me )?an overview)\b"
    r"|\b(?:summar(?:y|i[sz]e)|overview|difference|differences|compared|versus|vs|advantages|reasons|pros and cons|main points|all (?:the )?\w+s)\b",
    re.IGNORECASE,
)
# What a question asks for, and what the answer to it then holds. For names of people and places this gave nothing.
_ASKED_FOR = (
    (
        re.compile(r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|decade|century)\b", re.IGNORECASE),
        re.compile(
            r"\b(?:1\d|20)\d\d\b|\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b"
            r"|\b\d+(?:th|st|nd|rd) centur|\bcentur(?:y|ies)\b|\b\d{3,4}s\b"
        ),
    ),
    (
        re.compile(
            r"\bhow (?:many|much|old|tall|long|far|large|big|high|fast|often)\b|\bwhat (?:percent|number|amount|population)",
            re.IGNORECASE,
        ),
        re.compile(
            r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|hundred|thousand|million|billion|dozen|half|third"
            r"|quarter|twice|once)\b",
            re.IGNORECASE,
        ),
    ),
)
_HOLDS_IT = 0.06  # a sentence is worth more that holds what is asked for, and not only what the question says itself
# What the share of the earlier questions' terms is worth, for a question without a term of its own and for another that leans.
_BEFORE_EMPTY, _BEFORE = 0.25, 0.1
_LEANS = re.compile(r"\W*(?:this|that|these|those|it|its|they|their|them|he|his|she|her|such|both|here|there)\b", re.IGNORECASE)
_STARTS = re.compile(r"^(?:\s*(?:[-*+•▪◦‣]|\d{1,3}[.)]|#{1,6}|>)\s+)+")
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3}|~~)(?=\S)(.+?)(?<=\S)\1(?!\w)|(`+)([^`]+)\3")
_NOTE_MARK = re.compile(r"\s?\[{1,2}\^?\d{1,4}\]{1,2}")  # a footnote of the document, which would look like a mark of ours
_ITEM = re.compile(r"\s*(?:[-*+•▪◦‣]|\d{1,3}[.)])\s")
_NEXT_ITEM = re.compile(rf"([:;,.]?)\s*\n{_ITEM.pattern}")
_ASKS, _LEADS = re.compile(r"[?？][\s*_~`]*$"), re.compile(r"[:：][\s*_~`]*$")
_BORDER = re.compile(r"\s*\|\s*")


@dataclass(frozen=True)
class _Sentence:
    """A sentence of a passage; `start` and `end` are characters of the document."""

    worth: float
    row: int  # of its passage among the hits
    chunk: Chunk
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.chunk.text[self.start - self.chunk.start : self.end - self.chunk.start]


def asks_for_several(question: str) -> bool:
    """Whether the answer is likely to take more than one sentence: lists, comparisons, summaries, how and why (English)."""
    return _SEVERAL.search(question) is not None


def extract(question: str, hits: Sequence[Hit], level: Level = "balanced", before: str = "") -> tuple[str, tuple[Citation, ...]]:
    """Return the best sentences of `hits` (best first) as Markdown with marks `[1]`, and their citations.

    One sentence for a question about a single thing, up to three from different passages for others. A sentence
    that begins with a word such as "This" or "They" comes with the one before it, one that ends in a colon with the list
    or the sentence after it; one that asks something is not shown by itself. Empty when the passages hardly fit the
    question; `level` says how well they must. A sentence with terms of `before`, the earlier questions on which this one
    leans, is worth more. A row of a table is told with the header of each cell.
    """
    if not hits or hits[0].score < WEAK[level]:
        return "", ()
    chosen = _choose(question, _sentences(question, hits, before), _MOST if asks_for_several(question) else 1)
    numbers: dict[str, int] = {}
    lines: list[str] = []
    citations: list[Citation] = []
    for sentence in chosen:
        number = numbers.setdefault(sentence.chunk.id, len(numbers) + 1)
        lines.append(f"{_with_header(question, sentence, hits[sentence.row])} [{number}]")
        citations.append(Citation(number, sentence.chunk, sentence.start, sentence.end))
    text = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
    return text, tuple(sorted(citations, key=lambda citation: (citation.number, citation.start)))


def _with_header(question: str, sentence: _Sentence, hit: Hit) -> str:
    """Return what is shown of `sentence`: of a row of a table its cells, each with its header, or after all headers."""
    header = header_in(hit.header, hit.chunk.text, sentence.start - hit.chunk.start)
    if not header or _told(question, header) != header:
        return shown_text(sentence.text)
    return shown_text(labelled(header, sentence.text)) or f"{shown_text(header)}: {shown_text(sentence.text)}"


def shown_text(text: str) -> str:
    """Return a span of a document as one line without Markdown signs and footnote marks; semicolons part the items of a list."""
    text = _NEXT_ITEM.sub(lambda match: f"{match[1] or ';'} ", text)
    text = _EMPHASIS.sub(lambda match: match[2] or match[4], _STARTS.sub("", text))
    text = _BORDER.sub(" · ", text).strip(" ·") if text.lstrip().startswith("|") else text
    return " ".join(_NOTE_MARK.sub("", text).split())


def _sentences(question: str, hits: Sequence[Hit], before: str) -> list[_Sentence]:
    """Return the sentences of `hits` that say anything, best first; of those that give orders to a model, what else they say.

    Worth is the cosine to the question, the question's terms by their rarity, how near the passage comes to the best,
    and a date or number where the question asks for one (eval/RESULTS.md has what was tried).
    """
    best = hits[0].score
    holds = [holds for asks, holds in _ASKED_FOR if asks.search(question)]
    said = set(re.findall(r"\w+", question.lower()))
    leant_on = set(query_terms(before)).difference(terms(question))
    lean = (_BEFORE if terms(question) else _BEFORE_EMPTY) / max(len(leant_on), 1)
    found: list[_Sentence] = []
    for row, hit in enumerate(hits):
        standing = max(1 - (best - hit.score) / FARTHEST, 0.0)
        values = zip(hit.chunk.sentences, hit.sentence_scores, hit.evidence, strict=True)
        for (first, last), cosine, evidence in values:
            text = _told(question, hit.chunk.text[first:last])
            start = hit.chunk.start + hit.chunk.text.index(text, first)
            end = start + len(text)
            part = next((part for part in hit.parts if part.start <= start and end <= part.end), None)
            if part is None or not terms(text) or _ASKS.search(text):
                continue
            if _LEADS.search(text):
                end = _led_to(question, part, colon := end)
                if end == colon:
                    continue
            worth = 0.5 * cosine + 0.25 * (evidence - cosine) + 0.25 * standing
            worth += lean * len(leant_on.intersection(terms(text)))
            if any(match.group().lower() not in said for pattern in holds for match in pattern.finditer(text)):
                worth += _HOLDS_IT
            found.append(_Sentence(worth, row, part, start, end))
    return sorted(found, key=lambda sentence: (-sentence.worth, sentence.row, sentence.start))


def _led_to(question: str, chunk: Chunk, end: int) -> int:
    """Return where that ends to which a colon at character `end` of the document leads; `end` when that is nothing.

    It is the items of a list or one other sentence, within `chunk` and short of a heading.
    """
    whole = end
    for first, last in chunk.sentences:
        if chunk.start + first < whole:
            continue
        text, item = chunk.text[first:last], _ITEM.match(chunk.text, first)
        if chunk.text[whole - chunk.start : first].strip() or _told(question, text) != text or (whole > end and not item):
            break
        whole = chunk.start + last
        if not item:
            break
    return whole


def _told(question: str, text: str) -> str:
    """Return what of `text` may be told to the reader, word for word: what a model may read of it, if that is in one piece."""
    allowed = readable(question, text)
    return allowed if allowed in text else ""


def _choose(question: str, ranked: Sequence[_Sentence], most: int) -> list[_Sentence]:
    """Return the best of `ranked` that say different things, of different passages as far as there are any."""
    good = [sentence for sentence in ranked if sentence.worth >= _NEAR * ranked[0].worth]
    seen: list[_Sentence] = []
    for sentence in good:
        if not any(_alike(sentence, other) for other in seen):
            seen.append(sentence)
    firsts = [sentence for at, sentence in enumerate(seen) if all(sentence.row != other.row for other in seen[:at])]
    others = [sentence for sentence in seen if sentence not in firsts]
    chosen: list[_Sentence] = []
    for sentence in (_with_the_one_before(question, sentence) for sentence in firsts + others):
        overlaps = (one.chunk.id == sentence.chunk.id and one.start < sentence.end and sentence.start < one.end for one in chosen)
        if len(chosen) < most and not any(overlaps):
            chosen.append(sentence)
    return chosen


def _alike(one: _Sentence, other: _Sentence) -> bool:
    first, second = frozenset(terms(one.text)), frozenset(terms(other.text))
    return len(first & second) >= _ALIKE * min(len(first), len(second))


def _with_the_one_before(question: str, sentence: _Sentence) -> _Sentence:
    """Return `sentence`, begun one earlier when its first word points back and the two follow each other."""
    if not _LEANS.match(sentence.text):
        return sentence
    chunk = sentence.chunk
    for before, this in pairwise(chunk.sentences):
        together = not chunk.text[before[1] : this[0]].strip() and "\n\n" not in chunk.text[before[1] : this[0]]
        if chunk.start + this[0] == sentence.start and together:
            whole = _Sentence(sentence.worth, sentence.row, chunk, chunk.start + before[0], sentence.end)
            one_before = chunk.text[before[0] : before[1]]
            return whole if _told(question, one_before) == one_before and _told(question, whole.text) == whole.text else sentence
    return sentence
