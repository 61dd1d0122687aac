"""Answers and indexing at the same time: a sync makes way for answers, and both come to their end."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from assistant.answer import Assistant
from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import write_documents
from tests.tools.mixed_load import Asked, Load, ask_as_users, table

MakeSettings = Callable[..., Settings]
SECONDS = 60.0  # after which a test gives up waiting
BEES = {"bees.md": "# Bees\n\nHoney bees dance to tell each other where flowers are."}


def notes(count: int) -> dict[str, str]:
    return {
        f"notes/{number}.txt": f"Room {number} holds {number * 3} chairs. The key hangs at door {number}."
        for number in range(count)
    }


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_sync_waits_while_an_answer_is_open_and_goes_on_when_it_ends(settings: MakeSettings) -> None:
    options = settings(ASSISTANT_CHAT_MODEL="extractive")
    write_documents(options.corpus, BEES)
    with closing(Assistant(options)) as assistant:
        assistant.sync()
        answer = assistant.ask("Why do honey bees dance?")
        next(answer)
        write_documents(options.corpus, notes(3))
        syncing = in_thread(assistant.sync)
        syncing.join(1.0)
        assert syncing.is_alive() and len(assistant.documents()) == 1
        assert list(answer)[-1].text
        syncing.join(SECONDS)
        assert not syncing.is_alive() and len(assistant.documents()) == 4


def test_an_answer_that_is_given_up_lets_the_sync_go_on(settings: MakeSettings) -> None:
    options = settings(ASSISTANT_CHAT_MODEL="extractive")
    write_documents(options.corpus, BEES)
    with closing(Assistant(options)) as assistant:
        assistant.sync()
        answer = assistant.ask("Why do honey bees dance?")
        next(answer)
        write_documents(options.corpus, notes(1))
        syncing = in_thread(assistant.sync)
        answer.close()  # type: ignore[attr-defined]  # it is a generator
        syncing.join(SECONDS)
        assert not syncing.is_alive() and len(assistant.documents()) == 2


def test_a_large_file_makes_way_within_itself(settings: MakeSettings) -> None:
    options = settings()
    with closing(Corpus(options)) as corpus:
        embed, sizes, opened = corpus.embedder.embed_chunks, list[int](), threading.Event()

        def noted(chunks: list[object]) -> object:
            sizes.append(len(chunks))
            opened.set()
            return embed(chunks)  # type: ignore[arg-type]

        corpus.embedder.embed_chunks = noted  # type: ignore[method-assign, assignment]
        text = "\n\n".join(f"# Part {part}\n\n" + " ".join(notes(9).values()) + f" It is part {part}." for part in range(120))
        write_documents(options.corpus, {"long.md": text})
        syncing = in_thread(corpus.sync)
        assert opened.wait(SECONDS)
        with corpus.answering():
            time.sleep(0.5)  # the batch at hand is finished
            before = len(sizes)
            syncing.join(1.0)
            waited = syncing.is_alive() and len(sizes) == before
        syncing.join(SECONDS)
        assert waited and not syncing.is_alive() and sum(sizes) == corpus.chunk_count()
        assert sizes[0] == max(sizes) > sizes[-1]  # small ones once somebody has asked


def test_four_people_ask_while_sixty_files_are_indexed(settings: MakeSettings) -> None:
    options = settings(ASSISTANT_CHAT_MODEL="extractive")
    write_documents(options.corpus, BEES)
    with closing(Assistant(options)) as assistant:
        assistant.sync()
        write_documents(options.corpus, notes(60))
        reports = []
        syncing = in_thread(lambda: reports.append(assistant.sync()))
        asked = ask_as_users(assistant, 4, 3, 0.05, syncing.is_alive)
        syncing.join(SECONDS)
        [report] = reports
        assert (report.done, report.failed, report.problem) == (60, [], "")
        assert len(assistant.documents()) == 61
        assert len(asked) >= 12 and all(one.whole >= one.first > 0 and one.passages > 0 and not one.failed for one in asked)


def test_the_table_tells_whether_the_bar_is_kept(tmp_path: Path) -> None:
    quiet = [Asked(0.01, 2.0, 4.0)] * 4
    kept = table(Load(quiet, [Asked(0.02, 2.5, 5.0, "")] * 4, 40.0, 10.0), 500, 4, 2.0, "the embedded model")
    assert "| first token, p95 | 2.0 s | 2.5 s | 1.25 | at most 1.5 times: yes |" in kept
    assert "| 500 files indexed, beside users | | 40 s | 4.0 | |" in kept
    missed = table(Load(quiet, [Asked(0.02, 3.5, 5.0, "broken")], 40.0, 10.0), 500, 4, 2.0, "the embedded model")
    assert "| 3.5 s | 1.75 | at most 1.5 times: no |" in missed and "| answers; failed | 4; 0 | 1; 1 | | none fails |" in missed
