"""Statements and short answers with a person's judgement of whether their document says them: QAGS, SciFact, SQuAD 2."""

import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.documents import Document
from assistant.errors import UserError
from assistant.lexical import terms
from eval.datasets import identified, text_field

_SEED = 4
_PHRASES = 1200  # questions taken of SQuAD: half answered rightly, half with a phrase that answers another question


@dataclass(frozen=True)
class Claim:
    """A statement, or a short answer to `question`, and whether `document` says it. `group` is the number of its article."""

    set: str
    group: int
    text: str
    document: Document
    true: bool
    question: str = ""

    @property
    def fitting(self) -> bool:
        """Whether it belongs to the half that weights may be fitted on: articles of even numbers."""
        return self.group % 2 == 0


def load_claims(folder: Path) -> list[Claim]:
    """Return all claims in the sets `qags`, `scifact` and `squad_v2_dev` of `folder`; a set that isn't there is left out.

    Raises `UserError` when none is there, and names the line that is wrong.
    """
    claims: list[Claim] = []
    for name in ("cnndm", "xsum"):
        path = folder / "qags" / f"claims_{name}.jsonl"
        if path.is_file():
            claims += _qags(path, f"qags_{name}")
    if (folder / "scifact" / "claims.jsonl").is_file():
        claims += _scifact(folder / "scifact")
    if (folder / "squad_v2_dev" / "answers.jsonl").is_file():
        claims += _squad(folder / "squad_v2_dev")
    if not claims:
        raise UserError(f"{folder} holds none of qags/claims_cnndm.jsonl, scifact/claims.jsonl and squad_v2_dev/answers.jsonl.")
    return claims


def _document(id: str, title: str, text: str) -> Document:
    return Document(id, title, text, (), (), hashlib.sha256(f"{title}\0{text}".encode()).hexdigest())


def _qags(path: Path, name: str) -> list[Claim]:
    documents: dict[str, Document] = {}
    claims = []
    for number, id, row in identified(path):
        text, claim = text_field(row, "doc", path, number), text_field(row, "claim", path, number)
        article = re.fullmatch(r"\w+-(\d+)-\d+", id)
        if article is None or row.get("label") not in (0, 1):
            raise UserError(f"{path}, line {number}: '_id' must be SET-ARTICLE-SENTENCE and 'label' 0 or 1.")
        document = documents.setdefault(text, _document(f"{name}-{article[1]}", "", text))
        claims.append(Claim(name, int(article[1]), claim, document, bool(row["label"])))
    return claims


def _scifact(folder: Path) -> list[Claim]:
    path = folder / "corpus.jsonl"
    abstracts = {
        id: _document(id, text_field(row, "title", path, number, optional=True), text_field(row, "text", path, number))
        for number, id, row in identified(path)
    }
    path, claims = folder / "claims.jsonl", []
    for number, id, row in identified(path):
        text = text_field(row, "claim", path, number)
        labels = {str(evidence["doc"]): str(evidence["label"]) for evidence in _list(row, "evidence", path, number)}
        for cited in map(str, _list(row, "cited_doc_ids", path, number)):
            if cited in abstracts:
                # The number of the line: the ids follow the topics, so that odd and even ones are not alike.
                claims.append(Claim("scifact", number, text, abstracts[cited], labels.get(cited) == "SUPPORT"))
    return claims


def _list(row: dict[str, Any], name: str, path: Path, number: int) -> list[Any]:
    value = row.get(name)
    if not isinstance(value, list):
        raise UserError(f"{path}, line {number}: {name!r} must be a list.")
    return value


def _squad(folder: Path) -> list[Claim]:
    """Return right answers, and as many phrases of the same paragraph that don't answer the question."""
    path = folder / "corpus.jsonl"
    paragraphs = {
        id: _document(id, re.sub(r"_\d+$", "", id).replace("_", " "), text_field(row, "text", path, number))
        for number, id, row in identified(path)
    }
    articles = {title: number for number, title in enumerate(sorted({document.title for document in paragraphs.values()}))}
    questions = {
        id: text_field(row, "text", folder / "queries.jsonl", number) for number, id, row in identified(folder / "queries.jsonl")
    }
    asked: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    for number, id, row in identified(folder / "answers.jsonl"):
        if id in questions and row.get("doc") in paragraphs:
            asked[str(row["doc"])].append(
                (questions[id], [str(answer) for answer in _list(row, "answers", folder / "answers.jsonl", number)])
            )
    chance = random.Random(_SEED)
    right, wrong = [], []
    for id in sorted(asked):
        document = paragraphs[id]
        for question, answers in asked[id]:
            group = articles[document.title]
            if answers:
                right.append(Claim("squad_phrases", group, chance.choice(answers), document, True, question))
            other = _other_answer(question, answers, asked[id])
            if other:
                wrong.append(Claim("squad_phrases", group, other, document, False, question))
    return chance.sample(right, min(len(right), _PHRASES // 2)) + chance.sample(wrong, min(len(wrong), _PHRASES // 2))


def _other_answer(question: str, answers: Sequence[str], asked: Sequence[tuple[str, list[str]]]) -> str:
    """Return the answer to the question most like `question` that isn't one of its own; "" when there is none."""
    words = set(terms(question))
    own = {term for answer in answers for term in terms(answer)}
    kind = question.split(maxsplit=1)[0].lower()
    best = (-1.0, "")
    for other, theirs in asked:
        if other == question or not theirs or own & set(terms(theirs[0])):
            continue
        theirs_words = set(terms(other))
        alike = len(words & theirs_words) / max(len(words | theirs_words), 1) + 0.3 * (other.split(maxsplit=1)[0].lower() == kind)
        best = max(best, (alike, theirs[0]))
    return best[1]
