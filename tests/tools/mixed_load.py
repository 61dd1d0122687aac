"""Index many files while some people ask: do answers keep flowing?

    python -m tests.tools.mixed_load [--files 500] [--users 4] [--questions 10] [--pause 2] [--page docs/reliability.md]

Asks the starter corpus about itself in three rounds: with nothing else to do, while files are indexed, and the files are
indexed alone. ASSISTANT_CHAT_MODEL says who answers. The table goes between the marks `mixed load` of the page, if one is named.
"""

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from assistant.answer import Assistant
from assistant.documents import corpus_files, load_document
from assistant.sentences import split_sentences
from assistant.settings import Settings, load_settings, stay_offline
from eval.bench import QUESTIONS, machine
from eval.readme import ROOT, put_block

_FILE_SENTENCES = 16  # about 2,000 characters
_MOST_BYTES = 50_000_000  # of a file of the starter corpus


@dataclass(frozen=True)
class Asked:
    """What became of one question, in seconds since it was asked; `failed` tells why, when it did."""

    passages: float
    first: float
    whole: float
    failed: str = ""


@dataclass(frozen=True)
class Load:
    """The answers without indexing and with it, and the seconds that indexing took with users and alone."""

    quiet: list[Asked]
    busy: list[Asked]
    indexing: float
    alone: float


def ask_one(assistant: Assistant, question: str) -> Asked:
    """Ask one question; its first token is the first text that the reader sees."""
    began, first, answer = time.monotonic(), 0.0, None
    for answer in assistant.ask(question):
        if answer.text and not first:
            first = time.monotonic() - began
    assert answer is not None
    whole = time.monotonic() - began
    first = answer.seconds_to_first_token or first
    return Asked(answer.seconds_to_passages or 0.0, first or whole, whole, answer.note if answer.state == "failed" else "")


def ask_as_users(assistant: Assistant, users: int, questions: int, pause: float, more: Callable[[], bool]) -> list[Asked]:
    """Let `users` ask `questions` each, and go on as long as there is `more` to wait for; each rests before the next one."""
    asked: list[Asked] = []
    errors: list[BaseException] = []

    def user(number: int) -> None:
        rest = random.Random(number)  # so that they don't ask in step
        count = 0
        try:
            while count < questions or more():
                time.sleep(rest.uniform(0.5, 1.5) * pause)
                asked.append(ask_one(assistant, QUESTIONS[(number + count) % len(QUESTIONS)]))
                count += 1
        except BaseException as error:  # raised in the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=user, args=(number,)) for number in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return asked


def write_files(folder: Path, count: int) -> None:
    """Write `count` files of sentences of the starter corpus, drawn at random but the same each time."""
    sentences: list[str] = []
    for id, path in corpus_files(ROOT / "corpus"):
        text = load_document(path, id, _MOST_BYTES).text
        sentences += [text[start:end] for start, end in split_sentences(text) if end - start > 40]
    draw = random.Random(7)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        body = " ".join(draw.choices(sentences, k=_FILE_SENTENCES))
        (folder / f"notes {number:04}.txt").write_text(f"Notes {number}. {body}\n", encoding="utf-8")


def sync(assistant: Assistant) -> float:
    """Bring the index in step and return the seconds that took; a file that fails ends the program."""
    began = time.monotonic()
    report = assistant.sync()
    if report.failed or report.problem:
        raise SystemExit(report.problem or f"{report.failed[0].id}: {report.failed[0].message}")
    return time.monotonic() - began


def measure(settings: Settings, files: int, users: int, questions: int, pause: float) -> Load:
    """Run the three rounds, each over a corpus and a data folder that are thrown away."""
    with tempfile.TemporaryDirectory(prefix="mixed-load-") as folder:
        with closing(_opened(settings, Path(folder) / "with users")) as assistant:
            assistant.chat_model.start()
            ask_one(assistant, QUESTIONS[0])  # what is loaded at first use is loaded now
            quiet = ask_as_users(assistant, users, questions, pause, lambda: False)
            print(f"  {len(quiet)} answers without indexing", file=sys.stderr)
            write_files(assistant.settings.corpus / "notes", files)
            seconds: list[float] = []
            indexing = threading.Thread(target=lambda: seconds.append(sync(assistant)))
            indexing.start()
            busy = ask_as_users(assistant, users, questions, pause, indexing.is_alive)
            indexing.join()
            if not seconds:
                raise SystemExit("The files could not be indexed.")
            print(f"  {len(busy)} answers beside {seconds[0]:.0f} s of indexing", file=sys.stderr)
        with closing(_opened(settings, Path(folder) / "alone")) as assistant:
            write_files(assistant.settings.corpus / "notes", files)
            return Load(quiet, busy, seconds[0], sync(assistant))


def _opened(settings: Settings, folder: Path) -> Assistant:
    corpus, data = folder / "corpus", folder / "data"
    shutil.copytree(ROOT / "corpus", corpus)
    data.mkdir()
    (data / "models").symlink_to(settings.data.resolve() / "models")
    assistant = Assistant(replace(settings, corpus=corpus, data=data))
    sync(assistant)
    return assistant


def table(load: Load, files: int, users: int, pause: float, model: str) -> str:
    """Return the figures as a Markdown table."""

    def row(name: str, measure: Callable[[Asked], float], percentile: float, bar: float = 0.0) -> str:
        before, after = (float(np.percentile([measure(one) for one in asked], percentile)) for asked in (load.quiet, load.busy))
        ratio = after / max(before, 1e-9)
        digits = 3 if before < 1 else 1
        goal = f"at most {bar} times: {'yes' if ratio <= bar else 'no'}" if bar else ""
        return f"| {name} | {before:.{digits}f} s | {after:.{digits}f} s | {ratio:.2f} | {goal} |"

    failed = [sum(bool(one.failed) for one in asked) for asked in (load.quiet, load.busy)]
    return "\n".join(
        [
            "| what | users alone | while files are indexed | ratio | bar |",
            "| --- | --- | --- | --- | --- |",
            row("first token, p50", lambda one: one.first, 50),
            row("first token, p95", lambda one: one.first, 95, 1.5),
            row("whole answer, p50", lambda one: one.whole, 50),
            row("passages found, p50", lambda one: one.passages, 50),
            row("passages found, p99", lambda one: one.passages, 99),
            f"| answers; failed | {len(load.quiet)}; {failed[0]} | {len(load.busy)}; {failed[1]} | | none fails |",
            f"| {files} files indexed, without users | | {load.alone:.0f} s | | |",
            f"| {files} files indexed, beside users | | {load.indexing:.0f} s | {load.indexing / load.alone:.1f} | |",
            "",
            f"{users} users, each of whom rests {pause:g} s in the mean before the next question; {model}; "
            f"measured by `tests/tools/mixed_load.py` on {datetime.now(UTC).date().isoformat()}: {machine()}.",
        ]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Index many files while some people ask.")
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--questions", type=int, default=10, help="that each user asks at least in a round (default 10)")
    parser.add_argument("--pause", type=float, default=2.0, help="mean seconds between a user's questions (default 2)")
    parser.add_argument("--page", type=Path, help="a page with the marks `<!-- mixed load -->` and `<!-- /mixed load -->`")
    options = parser.parse_args()
    settings = load_settings()
    stay_offline(settings)
    load = measure(settings, options.files, options.users, options.questions, options.pause)
    model = "answers without a language model" if settings.extractive else settings.chat_model or "the embedded model"
    text = table(load, options.files, options.users, options.pause, model)
    print(text)
    if options.page:
        put_block("mixed load", text, readme=options.page)


if __name__ == "__main__":
    main()
