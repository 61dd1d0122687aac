"""Questions about the user's own corpus, checked against it when they are read.

They are kept in `eval/questions.jsonl` of the data folder (`own_questions.py`); `eval/golden/*.jsonl` holds those that come
with the starter corpus. One JSON object a line: `_id`, `text` (the question), then either `evidence`, a list of `document`
(its id) and `quote` (its words, verbatim) that holds every place which answers the question or a part of it, with a short
`answer` if there is one; or `"unanswerable": true`. A quote that stands in its document several times may have `start`, the
character at which the right one begins. A line with `"draft": true` doesn't count yet.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from assistant.documents import Document, clean_line
from assistant.errors import UserError
from assistant.settings import Settings
from eval.datasets import EvalQuestion, GoldSpan, identified, text_field

GOLDEN = Path(__file__).parent / "golden"
_QUOTE_LENGTH = 60  # characters of a quote in a message


class NoQuestions(UserError):
    """No question holds for the documents."""


@dataclass(frozen=True)
class GoldenQuestion:
    """A question about the corpus. `spans` are where its evidence stands; the corpus does not answer one without.

    `answer` is the shortest right answer; empty when it can't be answered or nobody wrote one.
    """

    id: str
    text: str
    spans: tuple[GoldSpan, ...] = ()
    answer: str = ""

    @property
    def unanswerable(self) -> bool:
        """Whether the right answer is that the documents don't say."""
        return not self.spans

    def as_eval_question(self) -> EvalQuestion:
        """Return it as a question of a retrieval eval."""
        return EvalQuestion(self.id, self.text, {span.document: 1 for span in self.spans}, self.spans)


def find_quote(text: str, quote: str, start: int = 0) -> tuple[int, int] | None:
    """Return the span of `quote` in `text`, any run of white space taken for any other; None when it isn't there.

    Where it stands several times, the span that begins at `start` is taken, or else the first.
    """
    words = quote.split()
    if not words:
        return None
    pattern = re.compile(r"\s+".join(re.escape(word) for word in words))
    found = (pattern.match(text, start) if start > 0 else None) or pattern.search(text)
    return found.span() if found else None


def own_questions(settings: Settings) -> Path:
    """Return where the user's own questions are."""
    return settings.data / "eval" / "questions.jsonl"


def golden_files(queries: Path | None = None, folder: Path = GOLDEN, own: Path | None = None) -> list[Path]:
    """Return the files of questions: all in `folder` and the user's `own`, or only `queries`, by path or by its name in `folder`."""
    if queries is None:
        return [*sorted(folder.glob("*.jsonl")), *([own] if own is not None and own.is_file() else [])]
    if own is not None and queries.name == own.name and not queries.is_file():
        return [own]
    return [queries if queries.is_file() else folder / queries]


def named_documents(files: Sequence[Path]) -> set[str]:
    """Return the ids of the documents that the questions in `files` name; raises as `load_golden` does."""
    rows = [(f"{path}, line {number}", row) for path in files for number, _, row in identified(path)]
    return {place.document for where, row in rows for place in _evidence(row, where)}


def load_golden(files: Sequence[Path], documents: Sequence[Document]) -> tuple[list[GoldenQuestion], list[str]]:
    """Return the questions of `files` that hold for `documents`, and lines about those left out.

    A question is left out when a document of its evidence is not there (counted), or when a quote occurs in
    its document no more (named). The unanswerable questions of a file go with its others: when the documents
    of all those are gone, they were about another corpus. Raises `UserError` for a bad line, named, and when
    nothing is left.
    """
    by_id = {document.id: document for document in documents}
    questions: list[GoldenQuestion] = []
    notes: list[str] = []
    left_out: Counter[str] = Counter()
    seen: dict[str, str] = {}
    for path in files:
        answerable, unanswerable, known = 0, [], False
        for number, id, row in identified(path):
            place = f"{path}, line {number}"
            if id in seen:
                raise UserError(f"{place}: the id {clean_line(id)!r} was used in {seen[id]} already.")
            seen[id] = place
            text = text_field(row, "text", path, number).strip()
            if not text:
                raise UserError(f"{place}: 'text' is empty: write the question there.")
            evidence, answer = _evidence(row, place), text_field(row, "answer", path, number, optional=True).strip()
            if row.get("draft") is True:
                left_out["drafts left out: delete '\"draft\": true' from the lines that are good"] += 1
            elif not evidence:
                unanswerable.append(GoldenQuestion(id, text))
            else:
                answerable += 1
                if not all(place.document in by_id for place in evidence):
                    left_out["questions about documents that are not in the corpus left out"] += 1
                    continue
                known = True
                spans, missing = _spans(evidence, by_id)
                notes += [f"{place}: left out, {document} no longer holds {quote!r}" for document, quote in missing]
                if not missing:
                    questions.append(GoldenQuestion(id, text, spans, answer))
        if known or not answerable:
            questions += unanswerable
        elif unanswerable:
            left_out["unanswerable questions about another corpus left out"] += len(unanswerable)
    notes += [f"{count:,} {what}" for what, count in left_out.items()]
    if not questions:
        where = ", ".join(str(path) for path in files) or str(GOLDEN)
        why = f" ({'; '.join(notes[:3])})" if notes else ""
        raise NoQuestions(
            f"No question in {where} holds for your documents{why}: keep some in the app, or 'python -m eval generate' makes some."
        )
    return questions, notes


class _Place(NamedTuple):
    document: str
    quote: str
    start: int


def _evidence(row: Mapping[str, Any], place: str) -> list[_Place]:
    """Return each piece of evidence; nothing for a question that is marked unanswerable, and for a draft that has none yet."""
    unanswerable, items = row.get("unanswerable", False), row.get("evidence", [])
    if row.get("draft") is True and not items:
        return []
    if not isinstance(unanswerable, bool) or not isinstance(items, list) or bool(items) == unanswerable:
        raise UserError(f"{place}: either 'evidence' with at least one quote is expected, or 'unanswerable': true.")
    pairs = []
    for item in items:
        document, quote = (item.get("document"), item.get("quote")) if isinstance(item, dict) else (None, None)
        if not (isinstance(document, str) and isinstance(quote, str) and quote.strip()):
            raise UserError(f"{place}: each 'evidence' must have the texts 'document' and 'quote'.")
        start = item.get("start", 0)
        pairs.append(_Place(document, quote, start if isinstance(start, int) else 0))
    return pairs


def _spans(evidence: Sequence[_Place], by_id: Mapping[str, Document]) -> tuple[tuple[GoldSpan, ...], list[tuple[str, str]]]:
    """Return where the quotes stand, and (document, start of the quote) of those that aren't there."""
    spans, missing = [], []
    for document, quote, start in evidence:
        found = find_quote(by_id[document].text, quote, start)
        if found is None:
            missing.append((clean_line(document), clean_line(quote, _QUOTE_LENGTH)))
        else:
            spans.append(GoldSpan(document, *found))
    return tuple(dict.fromkeys(spans)), missing
