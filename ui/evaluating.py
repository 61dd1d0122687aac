"""The eval that runs: one at a time for all open pages, of search or of answers, making way for people who ask."""

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

from assistant.answer import Assistant
from assistant.chat_model import ChatModel, Output
from assistant.documents import Document, clean_line
from assistant.errors import Cancelled, UserError
from assistant.settings import Settings
from eval.answer_rows import MadeWay, NotedModel, collect, with_model_name
from eval.answer_sets import golden_answer_set
from eval.answers import make_run
from eval.datasets import catalogued
from eval.golden_questions import golden_files, named_documents, own_questions
from eval.retrieval import golden_dataset, measure
from eval.runs import Run, runs_folder, save_run

Kind = Literal["search", "answers"]
_PASSAGES = 5  # depth, as on the command line
_LOOK = 0.2  # seconds between two looks at whether the model is free


@dataclass(frozen=True)
class Progress:
    """How far an eval is: questions done, of how many (0 before that is known), and whether it waits for somebody who asks."""

    kind: Kind
    done: int = 0
    total: int = 0
    first: int = 0  # that were there from an earlier run
    began: float = 0.0
    waiting: bool = False

    @property
    def seconds_left(self) -> float | None:
        """About how long it still takes; None before one question is done."""
        done = self.done - self.first
        return (time.monotonic() - self.began) / done * (self.total - self.done) if done > 0 else None


@dataclass(frozen=True)
class Outcome:
    """How the last eval ended: the name of its run, or why there is none; `notes` are lines about questions left out."""

    kind: Kind
    run: str = ""
    problem: str = ""
    stopped: str = ""
    notes: tuple[str, ...] = ()


class Evaluating:
    """Starts, stops and watches the evals of `assistant`."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.running: Progress | None = None
        self.last: Outcome | None = None

    def start(self, kind: Kind, fresh: bool = False) -> None:
        """Measure in a thread, which goes on when the page is closed; `fresh` asks what was answered before again.

        Raises `UserError` when an eval runs already.
        """
        with self._lock:
            if self.running:
                raise UserError("An eval runs already: wait for it, or stop it.")
            self._stop = threading.Event()
            self.running, self.last = Progress(kind), None
            self._thread = threading.Thread(target=self._run, args=[kind, fresh, self._stop], name="eval", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Have the eval that runs end at once; answers that are done are kept."""
        self._stop.set()

    def close(self, seconds: float) -> None:
        """Stop, and wait until that is done, for at most about `seconds`."""
        self.stop()
        if self._thread is not None:
            self._thread.join(seconds)

    def documents(self) -> Sequence[Document]:
        """Return what is indexed; with their texts those that the questions name. Raises `UserError` for a bad line."""
        settings, catalog = self._assistant.settings, self._assistant.corpus.catalog
        return catalogued(catalog, named_documents(golden_files(own=own_questions(settings))))

    def _run(self, kind: Kind, fresh: bool, stop: threading.Event) -> None:
        try:
            run, notes = self._search() if kind == "search" else self._answers(fresh, stop)
            outcome = Outcome(kind, save_run(run, runs_folder(self._assistant.settings)).stem, notes=notes)
        except Cancelled:
            outcome = Outcome(kind, stopped=self._stopped())
        except Exception as error:  # told on the page; the thread has nobody else to tell
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {clean_line(str(error))}"
            outcome = Outcome(kind, problem=reason)
        with self._lock:
            self.running, self.last = None, outcome

    def _stopped(self) -> str:
        now = self.running
        if now is None or now.kind == "search":
            return "Stopped: nothing is kept of it."
        if not now.done:
            return "Stopped before the first answer."
        return f"Stopped after {now.done:,} of {now.total:,} answers: they are kept, and the next run goes on there."

    def _watch(self, done: int, total: int) -> None:
        if self._stop.is_set():
            raise Cancelled("stopped")
        now = self.running
        assert now is not None
        if not now.total:
            now = replace(now, first=done, began=time.monotonic())
        self.running = replace(now, done=done, total=total)
        if now.kind == "search":  # it takes the processor from whoever writes an answer
            self._make_way()

    def _make_way(self) -> None:
        """Wait while somebody's question is being answered."""
        now = self.running
        while self._assistant.chat_model.asked:
            if now is not None:
                self.running = replace(now, waiting=True)
            if self._stop.wait(_LOOK):
                raise Cancelled("stopped")
        self.running = now

    def _documents(self) -> Sequence[Document]:
        documents = self.documents()
        if not documents:
            raise UserError("There are no documents yet: add some first.")
        return documents

    def _search(self) -> tuple[Run, tuple[str, ...]]:
        settings = self._assistant.settings
        dataset = golden_dataset(settings, documents=self._documents())
        return measure(dataset, self._assistant.corpus, settings, "full", _PASSAGES, self._watch), dataset.notes

    def _answers(self, fresh: bool, stop: threading.Event) -> tuple[Run, tuple[str, ...]]:
        answer_set = golden_answer_set(self._assistant.settings, self._documents())
        model = _LentModel(self._assistant.chat_model, self._assistant.settings, stop, self._make_way)
        began = time.monotonic()
        settings = with_model_name(self._assistant.settings, model)
        count = len(answer_set.questions)
        rows = collect(answer_set, count, self._assistant.corpus, model, settings, fresh, watch=self._watch)
        run = make_run(answer_set, answer_set.questions, rows, settings, time.monotonic() - began)
        return run, (*answer_set.dataset.notes, *answer_set.notes)


class _LentModel(NotedModel):
    """The app's own model, which is given back as soon as somebody else asks: what was being written is then asked again."""

    def __init__(self, model: ChatModel, settings: Settings, stop: threading.Event, make_way: Any) -> None:
        super().__init__(settings)
        self._lent, self._stop, self._make_way = model, stop, make_way

    def start(self) -> None:
        """Wait until nobody asks, and load the model; raises `Cancelled` when the eval is stopped."""
        self._make_way()
        self._lent.start()
        self.name = self._lent.name

    def stream(self, messages: Sequence[Any], draft: bool = False) -> Generator[Output, None, None]:
        """Yield what the model writes; raises `MadeWay` when somebody else asks, and `Cancelled` when the eval is stopped."""
        self.prompt = "\n".join(str(message.content) for message in messages)
        with closing(self._lent.stream(messages, draft)) as stream:
            for output in stream:
                if self._stop.is_set():
                    raise Cancelled("stopped")
                if self._lent.asked > 1:
                    raise MadeWay
                self.draft, self.thoughts = output.text, output.reasoning
                yield output
