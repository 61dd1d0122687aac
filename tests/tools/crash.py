"""Kill the process that indexes, again and again, and look at what is left: `python -m tests.tools.crash --write`.

Each trial copies an indexed folder that has changed since, starts a process that brings it up to date, adds, removes and
makes the index anew, ends it with SIGKILL, and examines the folder in a new process. With `--write` the table goes into
docs/reliability.md.
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from assistant.embedding import Embedder
from assistant.settings import stay_offline
from assistant.sync import Corpus
from eval.readme import put_block
from tests.tools.crash_check import Told, differences, faults, words_of
from tests.tools.crash_work import Points, WordEmbedder, change_corpus, make_corpus, persist_often, settings_of, use, work

ROOT = Path(__file__).parents[2]
_PATIENCE = 120.0  # seconds until a process counts as hanging
_PERSIST_EVERY = 100  # vectors; Chroma's own 1000 would need larger folders


def _send(pipe: int, line: str) -> None:
    os.write(pipe, line.encode() + b"\n")


Job = Callable[[Callable[[str], None]], None]


@dataclass
class Child:
    """A process that runs `job` and sends lines; a copy of this one, so that nothing is imported again."""

    job: Job
    pid: int = 0
    _pipe: int = 0

    def __post_init__(self) -> None:
        self._pipe, out = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(out)
            return
        code = 1
        try:
            self.job(partial(_send, out))
            code = 0
        except BaseException:
            os.write(out, f"crashed\t{' '.join(traceback.format_exc().split())[-1500:]}\t\n".encode())
        finally:
            os._exit(code)

    def lines(self) -> list[str]:
        """Return what it sent, once it has ended."""
        with os.fdopen(self._pipe, "rb") as pipe:
            return pipe.read().decode().splitlines()

    def ended(self, seconds: float) -> bool:
        """Whether it ended within `seconds`."""
        until = time.monotonic() + seconds
        while True:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(0.001)

    def runs(self) -> bool:
        """Whether it has not ended; what became of it is still to be asked."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def kill(self) -> bool:
        """End it at once; False when it had ended before."""
        os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == -signal.SIGKILL


@dataclass
class Tally:
    """What came of the trials of one kind."""

    kind: str
    trials: int = 0
    kills: int = 0
    late: int = 0  # trials in which all was done before the moment came
    rebuilt: int = 0
    found: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    reopen: list[float] = field(default_factory=list)

    def add(self, lines: Sequence[str], where: str) -> None:
        """Take in what one examination sent."""
        self.trials += 1
        opened = [line for line in lines if line.startswith("opened")]
        problems = [line for line in lines if not line.startswith("opened")]
        if opened:
            _, seconds, rebuilt = opened[0].split("\t")
            self.reopen.append(float(seconds))
            self.rebuilt += rebuilt == "True"
        else:
            problems = [f"bricked {line}" for line in problems or ["no answer"]]
        self.found.update({line.split()[0] for line in problems})
        self.examples += [f"{where}: {line}" for line in problems[:3]]


def examine(place: Path, told: Told, embedder: Embedder) -> Job:
    """Open what was left, send what is wrong with it; then sync, and send how it differs from the folder."""

    def job(send: Callable[[str], None]) -> None:
        use(embedder)
        started = time.monotonic()
        with closing(Corpus(settings_of(place))) as corpus:
            send(f"opened\t{time.monotonic() - started:.3f}\t{corpus.index.rebuilt}")
            for line in faults(corpus, told):
                send(line)
            report = corpus.sync()
            if report.problem or report.failed:
                send(f"broken sync: {report.problem} {report.failed}")
            everything = Told(words_of(corpus.settings.corpus), told.gone - set(words_of(corpus.settings.corpus).values()))
            for line in [*faults(corpus, everything), *differences(corpus)]:
                send(f"{line} (after a sync)")

    return job


class Trials:
    """Runs trials in `folder`, each in a copy of the same indexed folder."""

    def __init__(self, folder: Path, models: Path, large: int = 0) -> None:
        self._template, self._place = folder / "template", folder / "trial"
        self._large = large
        self._embedder = WordEmbedder()
        for path in (self._template, self._template / "data"):
            path.mkdir()
        (self._template / "data" / "models").symlink_to(models.resolve())
        make_corpus(self._template, large)
        lines = self._run(self._template, lambda send: self._index(self._template))
        if lines:
            raise SystemExit(f"The first sync failed: {lines}")
        shutil.copytree(self._template / "corpus", self._template / "before")
        change_corpus(self._template, large)
        before, after = words_of(self._template / "before"), words_of(self._template / "corpus")
        self._there = {path: word for path, word in after.items() if before.get(path) == word}

    def _index(self, place: Path) -> None:
        persist_often(_PERSIST_EVERY)
        use(self._embedder)
        with closing(Corpus(settings_of(place))) as corpus:
            report = corpus.sync()
            assert not report.problem and not report.failed, report

    def _run(self, place: Path, job: Job) -> list[str]:
        child = Child(job)
        if not child.ended(_PATIENCE):
            child.kill()
            return [*child.lines(), "bricked: it hangs"]
        return child.lines()

    def _fresh(self) -> Told:
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._template, self._place, symlinks=True)
        return Told(dict(self._there))

    def _worker(self, points: Points | None = None) -> Child:
        def job(send: Callable[[str], None]) -> None:
            persist_often(_PERSIST_EVERY)
            if points:
                points.install()
            work(self._place, self._embedder, send)
            if points:
                send("points\t" + json.dumps(points.names))

        return Child(job)

    def whole(self) -> tuple[float, list[str]]:
        """Run the work without an end to it; returns its seconds and the names of its commit points."""
        self._fresh()
        started = time.monotonic()
        child = self._worker(Points())
        if not child.ended(_PATIENCE):
            raise SystemExit("The work does not end.")
        lines = child.lines()
        wrong = [line for line in lines if line.startswith(("crashed", "problem"))]
        if wrong:
            raise SystemExit(f"The work fails even when nothing ends it: {wrong}")
        [names] = [json.loads(line.split("\t")[1]) for line in lines if line.startswith("points")]
        return time.monotonic() - started, names

    def trial(self, tally: Tally, wait: Callable[[Child], str], times: int = 1, points: Points | None = None) -> None:
        """Start the work, end it when `wait` returns, `times` over, then examine what is left."""
        told, kills = self._fresh(), 0
        for _ in range(times):
            child = self._worker(points)
            where = wait(child)
            kills += child.kill()
            for line in child.lines():
                if line.startswith(("there", "away", "gone")):
                    told.hear(line)
                elif not line.startswith("points"):
                    tally.found["failed"] += 1
                    tally.examples.append(line)
        tally.late += not kills
        tally.kills += kills
        tally.add(self._run(self._place, examine(self._place, told, self._embedder)), where)

    def at_random(self, count: int, seconds: float) -> Tally:
        """End the work at random moments; one time in four twice more before it is examined."""
        tally = Tally("at random moments")
        moments = random.Random(20)
        for number in range(count):

            def wait(child: Child) -> str:
                moment = moments.uniform(0, seconds)
                time.sleep(moment)
                return f"after {moment:.3f} s"

            self.trial(tally, wait, times=3 if number % 4 == 3 else 1)
        return tally

    def at_persist(self, count: int) -> Tally:
        """End the work when it writes the files of Chroma's vectors."""
        tally = Tally("while Chroma writes its vectors")
        moments = random.Random(21)
        for _ in range(count):

            def wait(child: Child) -> str:
                left = moments.randrange(1, 4 * self._large)
                before = self._vector_files()
                until = time.monotonic() + _PATIENCE
                while left and time.monotonic() < until and child.runs():
                    now = self._vector_files()
                    left -= now != before
                    before = now
                time.sleep(moments.choice((0, 0, 0, 0.0005, 0.001, 0.002)))
                return "a file of vectors"

            self.trial(tally, wait)
        return tally

    def _vector_files(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        with suppress(OSError):  # it is made and deleted meanwhile
            for path in (self._place / "data" / "index").glob("gen-*/dense/*/*"):
                status = path.stat()
                found[str(path)] = status.st_mtime_ns, status.st_size
        return found

    def at_points(self, names: Sequence[str], step: int) -> list[Tally]:
        """End the work before and after each commit point, or each `step`-th."""
        tallies: dict[str, Tally] = {}
        for at in range(1, len(names) + 1, step):
            name = names[at - 1]
            tally = tallies.setdefault(name.split(" ", 1)[1], Tally(f"before and after: {name.split(' ', 1)[1]}"))
            self.trial(tally, partial(_wait_for_end, f"point {at}, {name}"), points=Points(at))
        return [tallies[name] for name in sorted(tallies)]

    def races(self, count: int) -> Tally:
        """Start the work twice at the same moment: one owns the folder, the other is refused; nobody is killed."""
        tally = Tally("nothing: two start at the same moment")
        for _ in range(count):
            told = self._fresh()
            children = [self._worker(), self._worker()]
            if not all(child.ended(_PATIENCE) for child in children):
                raise SystemExit("A start does not end.")
            lines = [child.lines() for child in children]
            refused = sum(any(line.startswith("crashed") and "OwnedError" in line for line in each) for each in lines)
            if refused != 1:
                tally.found["owners"] += 1
                tally.examples.append(f"{2 - refused} owners: {lines}")
            for line in [line for each in lines for line in each if line.startswith(("there", "away", "gone"))]:
                told.hear(line)
            tally.add(self._run(self._place, examine(self._place, told, self._embedder)), "a race")
        return tally


def _wait_for_end(where: str, child: Child) -> str:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and child.runs():
        time.sleep(0.002)
    return where


def table(tallies: Sequence[Tally]) -> str:
    """Return the counts as a Markdown table."""
    total = Tally("**all**")
    for tally in tallies:
        total.trials += tally.trials
        total.kills += tally.kills
        total.rebuilt += tally.rebuilt
        total.late += tally.late
        total.found += tally.found
        total.reopen += tally.reopen
    head = "| killed, or what else | trials | kills | lost | ghosts | doubled | bricked | otherwise wrong | index made anew | seconds to open, median / most |"
    rows = [head, "| --- |" + " --- |" * 9]
    for tally in [*tallies, total]:
        counts = [tally.found[kind] for kind in ("lost", "ghost", "doubled", "bricked")]
        other = sum(tally.found.values()) - sum(counts)
        times = f"{statistics.median(tally.reopen):.2f} / {max(tally.reopen):.2f}" if tally.reopen else ""
        rows.append(
            f"| {tally.kind} | {tally.trials} | {tally.kills} | {' | '.join(map(str, [*counts, other, tally.rebuilt]))} | {times} |"
        )
    return "\n".join(rows)


def main() -> int:
    """Run the trials and print what came of them as JSON; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=ROOT / "data" / "models", help="folder with the embedding model")
    parser.add_argument("--random", type=int, default=100, metavar="N", help="kills at random moments")
    parser.add_argument("--persist", type=int, default=50, metavar="N", help="kills while Chroma writes its vectors")
    parser.add_argument("--large", type=int, default=18, metavar="N", help="files of 50 chunks for these")
    parser.add_argument("--step", type=int, default=1, metavar="N", help="take each N-th commit point, 0 for none")
    parser.add_argument("--race", type=int, default=10, metavar="N", help="two starts at the same moment")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    options = parser.parse_args()
    stay_offline(settings_of(ROOT))
    started = time.monotonic()
    tallies: list[Tally] = []

    def note(*more: Tally) -> None:
        tallies.extend(more)
        print(table(more), file=sys.stderr, flush=True)
        if options.write:
            text = f"{table(tallies)}\n\n{_footer(time.monotonic() - started, len(names))}"
            put_block("crashes", text, ROOT / "docs" / "reliability.md")

    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(Path(folder), options.models)
        seconds, names = min(trials.whole() for _ in range(3))  # others may use the machine
        if options.random:
            note(trials.at_random(options.random, seconds))
        if options.race:
            note(trials.races(options.race))
        if options.step:
            note(*trials.at_points(names, options.step))
    if options.persist:
        with tempfile.TemporaryDirectory() as folder:
            note(Trials(Path(folder), options.models, options.large).at_persist(options.persist))
    print(json.dumps([vars(tally) for tally in tallies], indent=1))
    return 1 if any(tally.found.total() for tally in tallies) else 0


def _footer(seconds: float, points: int) -> str:
    command = " ".join(["python -m tests.tools.crash", *sys.argv[1:]])
    load: Any = os.getloadavg()
    return (
        f"Measured by `{command}` on {date.today()} in {seconds / 60:.0f} minutes: {platform.machine()}, {os.cpu_count()} cores, "
        f"load {load[0]:.1f}, Python {platform.python_version()}. The work passes {points} commit points."
    )


if __name__ == "__main__":
    sys.exit(main())
