"""Kill the app with SIGKILL while answers stream, over and over: is each question there after the start, with what was written?

    python -m tests.tools.answers_killed [--kills 20] [--pages 3] [--seed 1]

`pages` ask at once; the app is killed at a random moment after that, started again, and asked for the conversations.
"""

import argparse
import random
import re
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from assistant.conversations import INTERRUPTED
from assistant.settings import Settings, load_settings
from tests.conftest import settings_in, write_documents
from tests.scripted_server import Finish, Pause, ScriptedServer, stream
from tests.serving import App, running
from tests.visitor import Visitor

_WORDS = 200
_PAUSE = 0.03  # seconds between two words
_BEFORE = "Honey bees dance. "


@dataclass
class Shown:
    """What a page had of its answer when the app was killed: the conversation's id, and the number of the last word."""

    question: str
    id: str = ""
    word: int = -1


@dataclass
class Kill:
    """What one kill did: how many questions had been taken, what was wrong after the start, and words shown and kept of each."""

    taken: int
    faults: list[str]
    words: list[tuple[int, int]]

    @property
    def behind(self) -> list[int]:
        """How many words of each answer were shown and are not there."""
        return [max(shown - kept, 0) for shown, kept in self.words]


def _look_on(app: App, shown: Shown) -> None:
    with suppress(httpx.HTTPError, ValueError), closing(Visitor(app.url)) as visitor:
        event = visitor.event("question", "submit")
        for outputs in visitor.perform(event, visitor.inputs(event, question=shown.question)):
            shown.id = "".join(re.findall(r'data-id="([^"]+)"', str(outputs[4:]))) or shown.id
            shown.word = max([shown.word, *_words(str(outputs[1]))])


def _words(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"Word(\d+)", text)]


def _kill(app: App, pages: int, seconds: float, written: bool, name: str) -> list[Shown]:
    """Ask from `pages`, and kill the app `seconds` after one question was taken, or a word `written`; returns what the pages had."""
    asked = [Shown(f"How do honey bees dance, {name} {number}?") for number in range(pages)]
    threads = [threading.Thread(target=_look_on, args=(app, shown)) for shown in asked]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 30
    while not any(shown.word >= 0 if written else shown.id for shown in asked) and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(seconds)
    app.process.kill()
    app.process.wait()
    for thread in threads:
        thread.join()
    return asked


def _found(app: App, asked: list[Shown]) -> Kill:
    """Compare what is there after the start with what the pages had."""
    taken = [shown for shown in asked if shown.id]
    kill = Kill(len(taken), [], [])
    with httpx.Client(base_url=app.url, trust_env=False, timeout=30) as client:
        for shown in taken:
            reply = client.get(f"/export/{shown.id}.json")
            turns = reply.json()["turns"] if reply.status_code == 200 else []
            if [turn["question"] for turn in turns] != [shown.question]:
                kill.faults.append(f"{shown.question}: {reply.status_code}, the question is lost")
                continue
            state, note, text = turns[0]["state"], turns[0]["note"], turns[0]["text"]
            words = _words(text)
            if (state, note) != ("stopped", INTERRUPTED):
                kill.faults.append(f"{shown.question}: {state} {note}")
            if words != [*range(len(words))] or (words and not text.startswith(_BEFORE.strip())):
                kill.faults.append(f"{shown.question}: other text: {text[:200]}")
            kill.words.append((shown.word + 1, len(words)))
    return kill


def run(options: Settings, kills: int, pages: int, seed: int) -> list[Kill]:
    """Kill the app `kills` times; returns what each did."""
    write_documents(options.corpus, {"bees.md": "# Bees\n\nHoney bees dance to show where flowers are."})
    chance, done, asked = random.Random(seed), list[Kill](), list[Shown]()
    model = ScriptedServer()
    model.play(stream(_BEFORE, *(part for number in range(_WORDS) for part in (f"Word{number} ", Pause(_PAUSE))), Finish()))
    try:
        for number in range(kills + 1):
            with running(options, OPENAI_BASE_URL=model.url) as app:
                if number:
                    done.append(_found(app, asked))
                    print(f"{number}: {done[-1]}", file=sys.stderr)
                if number < kills:
                    asked = _kill(app, pages, chance.uniform(0, 4), number % 4 != 3, f"{seed}-{number}")
    finally:
        model.close()
    return done


def main() -> None:
    """Kill, and print what that did."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pages", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="answers-killed-") as folder:
        options = settings_in(Path(folder), load_settings().data.resolve() / "models", {})
        done = run(options, arguments.kills, arguments.pages, arguments.seed)
    taken, faults = sum(kill.taken for kill in done), [fault for kill in done for fault in kill.faults]
    behind = [words * _PAUSE for kill in done for words in kill.behind]
    print(f"{len(done)} kills, {taken} questions taken, {len(faults)} lost or wrong; at most {max(behind):.1f} s of an answer lost")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
