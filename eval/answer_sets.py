"""Questions to be answered in full, with their gold answers: SQuAD 2.0, mtRAG dialogues, any BEIR folder, your corpus.

A BEIR folder has its answers in `answers.jsonl` (`_id`, `answers`, and if you like `all_answers`, `unanswerable`,
`doc`), dialogues are in `tasks.jsonl` as mtRAG writes them. Of a set with gold spans (`questions.jsonl`) every second
question loses its spans: they are taken out of the documents, and nothing answers it any more.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, get_args

from assistant.documents import Document
from assistant.errors import UserError
from assistant.settings import Settings
from assistant.turns import Turn
from eval.datasets import Dataset, EvalQuestion, GoldSpan, identified, json_lines, load_corpus, load_dataset, text_field
from eval.golden_questions import golden_files, load_golden, own_questions

Kind = Literal["answerable", "partial", "unanswerable"]
Style = Literal["span", "written", "long"]
Half = Literal["held back", "fitting"]

_SAMPLE = 200  # questions asked unless told otherwise
_DIALOGUE_SAMPLE = 100


@dataclass(frozen=True)
class AnswerQuestion:
    """A question with what its answer should be, after `turns` of a conversation (oldest first).

    `golds` are the right answers: words of a document ("span"), a short answer in somebody's words ("written"), or a
    reference of several sentences ("long"); none when nobody wrote one. `evidence` is where the answer stands: whole
    documents in sets that name only these.
    """

    id: str
    text: str
    kind: Kind
    golds: tuple[str, ...] = ()
    style: Style = "span"
    evidence: tuple[GoldSpan, ...] = ()
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class AnswerSet:
    """Documents and the questions about them, in the order in which they are asked: a smaller sample is the start of a larger.

    `sample` is how many of them are asked unless told otherwise.
    """

    dataset: Dataset
    questions: tuple[AnswerQuestion, ...]
    sample: int
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The set's name."""
        return self.dataset.name

    @property
    def data(self) -> str:
        """A digest of the documents and of all questions with their answers."""
        digest = hashlib.sha256(self.dataset.digest.encode())
        for question in sorted(self.questions, key=lambda question: question.id):
            digest.update(repr(question).encode())
        return digest.hexdigest()[:16]


def held_back(group: str) -> bool:
    """Whether the questions of a group (an article, a conversation) only measure; the others fit thresholds.

    Groups whose SHA-256 is odd are held back: the split stays the same whatever else is in the set.
    """
    return bool(hashlib.sha256(group.encode()).digest()[-1] & 1)


def load_answer_set(folder: Path, half: Half = "held back") -> AnswerSet:
    """Read one half of the set in `folder`; of a set whose answers name no `doc`, all of it is held back.

    Raises `UserError` for a file that is missing, names the line that is wrong, and says when nothing is left.
    """
    dataset = load_dataset(folder)
    if (folder / "tasks.jsonl").is_file():
        questions, left, sample = *_dialogues(folder / "tasks.jsonl", dataset, half), _DIALOGUE_SAMPLE
    elif (folder / "answers.jsonl").is_file():
        questions, left, sample = *_answered(folder, dataset, half), _SAMPLE
    elif dataset.by_span:
        dataset = _without_evidence(dataset)
        questions, left, sample = *_spanned(dataset, half), _SAMPLE
    else:
        raise UserError(f"{folder} holds no answers.jsonl, tasks.jsonl or questions.jsonl: there is nothing to compare with.")
    if not questions:
        raise UserError(f"{folder} holds no questions with answers{' in this half' if left else ''}: nothing to measure.")
    other = "fitting the refusal threshold" if half == "held back" else "measuring"
    notes = (f"{left:,} questions are left for {other} (python -m eval abstain)",) if left else ()
    return AnswerSet(dataset, _in_order(questions), sample, notes)


def golden_answer_set(settings: Settings, documents: Sequence[Document] = ()) -> AnswerSet:
    """Return the user's corpus with all questions about it, the unanswerable ones too.

    The corpus folder is read unless `documents` are given. Raises `UserError` when there are no documents or no question
    about them is left.
    """
    documents, unreadable = (documents, []) if documents else load_corpus(settings)
    golden, notes = load_golden(golden_files(own=own_questions(settings)), documents)
    questions = [
        AnswerQuestion(
            question.id,
            question.text,
            "unanswerable" if question.unanswerable else "answerable",
            (question.answer,) if question.answer else (),
            "written",
            question.spans,
        )
        for question in golden
    ]
    asked = tuple(question.as_eval_question() for question in golden)
    return AnswerSet(Dataset("corpus", tuple(documents), asked), _in_order(questions), len(questions), (*unreadable, *notes))


def _in_order(questions: Sequence[AnswerQuestion]) -> tuple[AnswerQuestion, ...]:
    """Order by the SHA-256 of the ids, unanswerable ones and others in turn until one kind is used up."""
    mixed = sorted(questions, key=lambda question: hashlib.sha256(question.id.encode()).digest())
    others = [question for question in mixed if question.kind != "unanswerable"]
    unanswerable = [question for question in mixed if question.kind == "unanswerable"]
    return tuple(question for pair in zip_longest(others, unanswerable) for question in pair if question is not None)


def _answered(folder: Path, dataset: Dataset, half: Half) -> tuple[list[AnswerQuestion], int]:
    """Return the questions of a BEIR folder that have a line in `answers.jsonl`, and how many are of the other half."""
    path = folder / "queries.jsonl"
    texts = {id: text_field(row, "text", path, number).strip() for number, id, row in identified(path)}
    evidence = _evidence(dataset)
    path = folder / "answers.jsonl"
    questions, left = list[AnswerQuestion](), 0
    for number, id, row in identified(path):
        golds = tuple(dict.fromkeys(_texts(row, "all_answers", path, number) or _texts(row, "answers", path, number)))
        unanswerable = row.get("unanswerable", not golds)
        if not isinstance(unanswerable, bool) or unanswerable == bool(golds):
            raise UserError(f"{path}, line {number}: either 'answers' with at least one text is expected, or 'unanswerable': true.")
        document = text_field(row, "doc", path, number, optional=True)
        if not texts.get(id):
            continue
        whole_set_measures = not document
        if (whole_set_measures or held_back(_article(document))) != (half == "held back"):
            left += 1
            continue
        kind: Kind = "unanswerable" if unanswerable else "answerable"
        questions.append(AnswerQuestion(id, texts[id], kind, golds, "span", () if unanswerable else evidence.get(id, ())))
    return questions, left


def _article(document: str) -> str:
    """Return the article of a paragraph named `Article_7`."""
    article, _, number = document.rpartition("_")
    return article if article and number.isdigit() else document


def _evidence(dataset: Dataset) -> Mapping[str, tuple[GoldSpan, ...]]:
    """Return for each question the whole of each document judged to answer it."""
    lengths = {document.id: len(document.text) for document in dataset.documents}
    return {
        question.id: tuple(GoldSpan(id, 0, lengths[id]) for id, grade in question.documents.items() if grade > 0 and id in lengths)
        for question in dataset.questions
    }


def _texts(row: Mapping[str, Any], name: str, path: Path, number: int) -> list[str]:
    value = row.get(name, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise UserError(f"{path}, line {number}: {name!r} must be a list of texts.")
    return [text.encode("utf-8", errors="replace").decode().strip() for text in value if text.strip()]


def _loses_evidence(question: EvalQuestion) -> bool:
    return held_back(f"evidence of {question.id}")


def _without_evidence(dataset: Dataset) -> Dataset:
    """Return the set with blanks where the spans of the questions stood that lose them; all other places stay the same."""
    texts = {document.id: document.text for document in dataset.documents}
    for span in (span for question in dataset.questions if _loses_evidence(question) for span in question.spans):
        text = texts[span.document]
        texts[span.document] = f"{text[: span.start]}{' ' * (span.end - span.start)}{text[span.end :]}"
    documents = tuple(
        replace(document, text=texts[document.id], sha256=hashlib.sha256(texts[document.id].encode()).hexdigest())
        for document in dataset.documents
    )
    return replace(dataset, documents=documents)


def _spanned(dataset: Dataset, half: Half) -> tuple[list[AnswerQuestion], int]:
    """Return the questions of one half, by document; one whose spans another lost is left out, for it is neither."""
    texts = {document.id: document.text for document in dataset.documents}
    questions, left = list[AnswerQuestion](), 0
    for question in dataset.questions:
        blank = [not texts[span.document][span.start : span.end].strip() for span in question.spans]
        if any(blank) != all(blank) or all(blank) != _loses_evidence(question):
            continue
        if held_back(question.spans[0].document) != (half == "held back"):
            left += 1
            continue
        kind: Kind = "unanswerable" if all(blank) else "answerable"
        evidence = () if all(blank) else question.spans
        questions.append(AnswerQuestion(question.id, question.text, kind, (), "span", evidence))
    return questions, left


@dataclass(frozen=True)
class _Task:
    """One turn of an mtRAG dialogue: what the person said, and what a good assistant would have answered."""

    id: str
    conversation: str
    number: int
    question: str
    answer: str
    kind: Kind


def _dialogues(path: Path, dataset: Dataset, half: Half) -> tuple[list[AnswerQuestion], int]:
    """Return a question for each turn of the dialogues, with the turns before it, and how many are of the other half."""
    conversations: dict[str, list[_Task]] = defaultdict(list)
    for task in _tasks(path):
        conversations[task.conversation].append(task)
    evidence = _evidence(dataset)
    questions, left = list[AnswerQuestion](), 0
    for conversation, tasks in conversations.items():
        if held_back(conversation) != (half == "held back"):
            left += len(tasks)
            continue
        turns: list[Turn] = []
        for task in sorted(tasks, key=lambda task: task.number):
            golds = (task.answer,) if task.kind != "unanswerable" else ()
            spans = () if task.kind == "unanswerable" else evidence.get(task.id, ())
            questions.append(AnswerQuestion(task.id, task.question, task.kind, golds, "long", spans, tuple(turns)))
            turns.append(Turn(task.question, task.answer))
    return questions, left


def _tasks(path: Path) -> Iterator[_Task]:
    seen = Counter[str]()
    for number, row in json_lines(path):
        try:
            id, conversation, turn = str(row["task_id"]), str(row["conversation_id"]), int(row["turn_id"])
            question, answer = str(row["user"]["text"]).strip(), str(row["agent"]["text"]).strip()
            kind = str(row["user"]["enrichments"]["Answerability"][0]).lower()
        except (KeyError, IndexError, TypeError, ValueError):
            raise UserError(
                f"{path}, line {number}: task_id, conversation_id, turn_id, user.text, user.enrichments.Answerability "
                "and agent.text are expected, as mtRAG has them."
            ) from None
        seen[id] += 1
        if seen[id] > 1 or kind not in get_args(Kind):
            what = f"the task_id {id!r} was used already" if seen[id] > 1 else f"the answerability {kind!r} is none of mtRAG's"
            raise UserError(f"{path}, line {number}: {what}.")
        if question:
            yield _Task(id, conversation, turn, question, answer, kind)  # type: ignore[arg-type]  # one of Kind
