"""Questions about the user's own corpus, kept in `eval/golden/*.jsonl` and checked against it when they are read.

One JSON object a line: `_id`, `text` (the question), then either `evidence`, a list of `document` (its id) and
`quote` (its words, verbatim) that holds every place which answers the question or a part of it, with a short
`answer` if there is one; or `"unanswerable": true`. A line with `"draft": true` doesn't count yet.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.documents import Document, clean_line
from assistant.errors import UserError
from eval.datasets import EvalQuestion, GoldSpan, identified, text_field

GOLDEN = Path(__file__).parent / "golden"
_QUOTE_LENGTH = 60  # characters of a quote in a message


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


def find_quote(text: str, quote: str) -> tuple[int, int] | None:
    """Return the span of `quote` in `text`, any run of white space taken for any other; None when it isn't there."""
    words = quote.split()
    found = re.search(r"\s+".join(re.escape(word) for word in words), text) if words else None
    return found.span() if found else None


def golden_files(queries: Path | None = None, folder: Path = GOLDEN) -> list[Path]:
    """Return the files of questions: `queries`, by path or by its name in `folder`, or else all in `folder`."""
    if queries is None:
        return sorted(folder.glob("*.jsonl"))
    return [queries if queries.is_file() else folder / queries]


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
                if not all(document in by_id for document, _ in evidence):
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
        raise UserError(f"No question in {where} holds for your documents{why}: 'python -m eval generate' makes some.")
    return questions, notes


def _evidence(row: Mapping[str, Any], place: str) -> list[tuple[str, str]]:
    """Return (document, quote) of each piece of evidence; nothing for a question that is marked unanswerable."""
    unanswerable, items = row.get("unanswerable", False), row.get("evidence", [])
    if not isinstance(unanswerable, bool) or not isinstance(items, list) or bool(items) == unanswerable:
        raise UserError(f"{place}: either 'evidence' with at least one quote is expected, or 'unanswerable': true.")
    pairs = []
    for item in items:
        document, quote = (item.get("document"), item.get("quote")) if isinstance(item, dict) else (None, None)
        if not (isinstance(document, str) and isinstance(quote, str) and quote.strip()):
            raise UserError(f"{place}: each 'evidence' must have the texts 'document' and 'quote'.")
        pairs.append((document, quote))
    return pairs


def _spans(
    evidence: Sequence[tuple[str, str]], by_id: Mapping[str, Document]
) -> tuple[tuple[GoldSpan, ...], list[tuple[str, str]]]:
    """Return where the quotes stand, and (document, start of the quote) of those that aren't there."""
    spans, missing = [], []
    for document, quote in evidence:
        found = find_quote(by_id[document].text, quote)
        if found is None:
            missing.append((clean_line(document), clean_line(quote, _QUOTE_LENGTH)))
        else:
            spans.append(GoldSpan(document, *found))
    return tuple(dict.fromkeys(spans)), missing
