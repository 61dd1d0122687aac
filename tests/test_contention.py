"""Many threads that add, remove, search and sync at once, over the real catalogue and indexes."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from assistant.answer import Assistant
from assistant.catalog import Catalog
from assistant.errors import StorageError, UserError
from assistant.settings import Settings
from tests.conftest import WriteCorpus, write_documents

_THREADS = 20
_SECONDS = 6.0


class Crowd:
    """Threads that do something over and over, and what went wrong in them."""

    def __init__(self, assistant: Assistant, outside: Path) -> None:
        self.assistant, self.outside = assistant, outside
        self.wrong: list[BaseException] = []
        self.done = {"add": 0, "remove": 0, "search": 0, "sync": 0, "edit": 0, "list": 0}
        self._end = time.monotonic() + _SECONDS
        self._threads = [threading.Thread(target=self._run, args=[number]) for number in range(_THREADS)]

    def run(self) -> None:
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        kind = [*self.done][number % len(self.done)]
        chance = random.Random(number)
        while time.monotonic() < self._end:
            try:
                getattr(self, f"_{kind}")(number, chance)
                self.done[kind] += 1
            except UserError as error:
                if not any(words in str(error) for words in ("There is no document called", "by somebody else")):  # who was faster
                    self.wrong.append(error)
            except BaseException as error:
                self.wrong.append(error)
                return

    def _add(self, number: int, chance: random.Random) -> None:
        name = f"added-{number}-{chance.randrange(5)}.md"
        folder = write_documents(self.outside / str(number), {name: f"# Added\n\nThread {number} wrote {chance.random()}."})
        for result in self.assistant.add([folder / name]):
            assert result.ok, result

    def _remove(self, number: int, chance: random.Random) -> None:
        documents = self.assistant.documents()
        if len(documents) > 5:
            self.assistant.remove(chance.choice(documents).id)

    def _search(self, number: int, chance: random.Random) -> None:
        for hit in self.assistant.search(f"What did thread {number} write about islands?", 5):
            assert hit.chunk.text

    def _sync(self, number: int, chance: random.Random) -> None:
        report = self.assistant.sync()
        assert not report.problem and not report.failed, report

    def _edit(self, number: int, chance: random.Random) -> None:
        path = self.assistant.settings.corpus / f"edited-{number}.md"
        if chance.random() < 0.3:
            path.unlink(missing_ok=True)
        else:
            path.write_text(f"# Edited\n\nIsland {chance.random()} has lighthouses.", encoding="utf-8")
        time.sleep(0.05)

    def _list(self, number: int, chance: random.Random) -> None:
        with closing(Catalog(self.assistant.settings.data / "catalog.sqlite3", read_only=True)) as catalog:
            assert catalog.documents() is not None
            with pytest.raises(StorageError, match="readonly"):
                catalog.set_settings({"x": "y"})


def test_threads_that_add_remove_search_sync_and_watch_disturb_each_other_nowhere(
    settings: Callable[..., Settings], corpus: WriteCorpus, tmp_path: Path
) -> None:
    corpus({f"{n}.md": f"# Note {n}\n\nIsland {n} has {n} lighthouses." for n in range(10)})
    with closing(Assistant(settings(ASSISTANT_CHAT_MODEL="extractive"))) as assistant:
        watching = assistant.watch()
        crowd = Crowd(assistant, tmp_path / "outside")
        crowd.run()
        assert crowd.wrong == [] and min(crowd.done.values()) > 0, crowd.done
        watching.close(60)
        assert assistant.sync().problem == ""
        assert assistant.sync().idle
        files = sorted(path.name for path in assistant.settings.corpus.iterdir())
        documents = assistant.documents()
        assert sorted(name for info in documents for name in (info.id, *info.copies)) == files
        for info in documents:
            document = assistant.corpus.catalog.document(info.id)
            assert document is not None and document.text == (assistant.settings.corpus / info.id).read_text(encoding="utf-8")
        assert assistant.corpus.index.check() and assistant.corpus.catalog.count_behind() == 0
