"""Many people ask at once, through the real app over HTTP: who waits how long, who is turned away, does anybody get another's answer?

    python -m tests.tools.users [--users 1 2 4 8 16 32] [--words 20] [--pause 0.05] [--page docs/reliability.md]

The language model is a server that writes the door named in the question back, a word every `pause` seconds; the app takes it
for the embedded one, so that it answers one question at a time. The table goes between the marks `users` of the page, if one is named.
"""

import argparse
import re
import statistics
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from assistant.settings import Settings, load_settings
from eval.bench import machine
from eval.readme import put_block
from tests.conftest import settings_in, write_documents
from tests.scripted_server import Finish, Pause, Reply, Request, ScriptedServer, stream
from tests.serving import running
from tests.visitor import Visitor

_DOOR = re.compile(r"door K(\d{4})")
_MOST = 64  # users
_AGAIN_SECONDS = 0.5  # before one who was turned away asks again

# What `assistant serve` does, with another server in place of llama.cpp.
PROGRAM = """
import sys
import assistant.embedded_model
url = sys.argv.pop(1)
assistant.embedded_model.start_server = lambda *_: (url, "key", ())
from assistant.cli import main
sys.exit(main())
"""


class Echo(ScriptedServer):
    """Answers with the door that the question names."""

    def __init__(self, words: int, pause: float) -> None:
        super().__init__()
        self.words, self.pause = words, pause

    def take(self, request: Request) -> Reply:
        """Answer the newest question of `request`."""
        door = _DOOR.findall(request.messages[-1]["content"])[-1]
        self.requests.append(request)
        words = [f"The key of door K{door} hangs behind door K{door}.", *(f" Word{number}" for number in range(self.words)), "."]
        return stream(*(part for word in words for part in (word, Pause(self.pause))), Finish())


@dataclass
class User:
    """What became of one user's question; times in seconds since it was asked for the first time."""

    number: int
    first: float = 0.0
    whole: float = 0.0
    turned_away: int = 0
    places: list[int] = field(default_factory=list)  # in the queue, as the page told them
    text: str = ""
    foreign: int = 0  # updates that named another's door
    problem: str = ""


def ask(url: str, user: User, ready: threading.Barrier) -> None:
    """Ask as one user when all are `ready`, again and again until it is answered."""
    own = f"{user.number:04}"
    with closing(Visitor(url, timeout=600)) as visitor:
        event = visitor.event("question", "submit")
        inputs = visitor.inputs(event, question=f"Where does the key of door K{own} hang?")
        ready.wait(60)
        began = time.monotonic()
        while not user.text:
            for outputs in visitor.perform(event, inputs):
                chat = outputs[1] if isinstance(outputs[1], list) else []
                html = str(chat[-1]["content"]) if chat else ""
                if len(outputs) > 4 and isinstance(outputs[3], str):  # those of the event that follows have no such line
                    user.problem = outputs[3]
                user.places += [int(place) for place in re.findall(r"Waiting: (\d+) ahead", html)]
                if 'class="text"' in html and not user.first:
                    user.first = time.monotonic() - began
                user.foreign += bool({*re.findall(r"door K(\d{4})", html)} - {own})
                if 'class="foot"' in html:
                    user.text = html
            if not user.text:
                if "try again in a moment" not in user.problem:
                    raise AssertionError(f"No answer: {user.problem or outputs}")
                user.turned_away += 1
                time.sleep(_AGAIN_SECONDS)
        user.whole = time.monotonic() - began
        if f"door K{own}" not in user.text or "fit best" in user.text:
            raise AssertionError(f"Another answer: {user.text}")


def ask_at_once(url: str, count: int) -> tuple[list[User], float]:
    """Let `count` users ask at the same moment; returns what became of them, and the seconds until all were answered."""
    users = [User(number) for number in range(count)]
    errors: list[BaseException] = []

    def run(user: User) -> None:
        try:
            ask(url, user, ready)
        except BaseException as error:  # raised in the thread that waits
            errors.append(error)

    ready = threading.Barrier(count)
    threads = [threading.Thread(target=run, args=[user]) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return users, max(user.whole for user in users)


def write_doors(settings: Settings) -> None:
    """Write a document that names every door."""
    lines = "\n\n".join(f"The key of door K{number:04} hangs behind door K{number:04}." for number in range(_MOST))
    write_documents(settings.corpus, {"doors.md": f"# Keys\n\n{lines}\n"})


def row(users: list[User], seconds: float) -> str:
    """Return the figures of one round as a row of a Markdown table."""
    firsts = sorted(user.first for user in users)
    p95 = firsts[min(len(firsts) - 1, round(0.95 * (len(firsts) - 1)))]
    away = sum(bool(user.turned_away) for user in users)
    place = max((place for user in users for place in user.places), default=0)
    foreign, lost = sum(user.foreign for user in users), sum(not user.text for user in users)
    return f"| {len(users)} | {statistics.median(firsts):.1f} / {p95:.1f} s | {60 * len(users) / seconds:.0f} | {place} | {away} | {lost} | {foreign} |"


HEAD = (
    "| users at once | first words, p50 / p95 | answers a minute | furthest place told | turned away at first | lost | of another |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def main() -> None:
    """Measure, print the table, and put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--users", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--words", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    model = Echo(arguments.words, arguments.pause)
    rows = [HEAD]
    with tempfile.TemporaryDirectory(prefix="users-") as folder:
        options = settings_in(Path(folder), load_settings().data.resolve() / "models", {})
        write_doors(options)
        with running(options, program=("-c", PROGRAM, model.url)) as app:
            ask_at_once(app.url, 1)  # what is loaded at first use is loaded now
            for count in arguments.users:
                rows.append(row(*ask_at_once(app.url, count)))
                print(rows[-1], file=sys.stderr)
    model.close()
    what = f"{arguments.words} words, one every {arguments.pause * 1000:.0f} ms"
    note = f"Answers of {what}, one at a time; by `python -m tests.tools.users` on {datetime.now(UTC):%Y-%m-%d}: {machine()}."
    table = "\n".join([*rows, "", note])
    print(table)
    if arguments.page:
        put_block("users", table, arguments.page)


if __name__ == "__main__":
    main()
