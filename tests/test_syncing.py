"""What open pages show of the syncs, whoever started them, over a real corpus."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from assistant.answer import Assistant
from assistant.settings import Settings
from tests.conftest import WriteCorpus
from ui.syncing import Syncing

SLOW = 60.0


@pytest.fixture
def opened(settings: Callable[..., Settings], corpus: WriteCorpus) -> Iterator[Assistant]:
    corpus({"bees.md": "# Bees\n\nBees dance.", "broken.pdf": "%PDF-1.7 x"})
    with closing(Assistant(settings())) as assistant:
        yield assistant


def wait(syncing: Syncing) -> None:
    end = time.monotonic() + SLOW
    while syncing.running:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_sync_that_was_asked_for_is_shown_even_when_nothing_changed(opened: Assistant) -> None:
    syncing = Syncing(opened)
    assert syncing.last is None and syncing.running is None
    syncing.start()
    assert syncing.running is not None
    wait(syncing)
    assert syncing.last is not None and (syncing.last.new, len(syncing.last.failed)) == (1, 1)
    syncing.start()
    wait(syncing)
    assert syncing.last.idle and syncing.last.unchanged == 2


def test_a_sync_by_another_is_shown_until_one_has_something_to_tell(opened: Assistant, corpus: WriteCorpus) -> None:
    syncing = Syncing(opened)
    first = opened.sync()
    opened.sync()
    assert syncing.last is first
    corpus({"otters.md": "# Otters\n\nOtters sleep."})
    assert opened.sync() is syncing.last


def test_a_second_start_does_not_make_a_second_sync(opened: Assistant) -> None:
    syncing = Syncing(opened)
    with opened.corpus._writing:  # the first one waits
        syncing.start()
        syncing.start()
        assert [thread.name for thread in threading.enumerate()].count("sync") == 1
    wait(syncing)


def test_what_is_added_by_hand_is_not_shown_as_a_sync(opened: Assistant, tmp_path_factory: pytest.TempPathFactory) -> None:
    syncing = Syncing(opened)
    before = opened.sync()
    file = tmp_path_factory.mktemp("added") / "whales.md"
    file.write_text("# Whales\n\nWhales sing.", encoding="utf-8")
    assert [result.ok for result in syncing.adding(lambda: opened.add([file]))] == [True]
    assert syncing.last is None or syncing.last is before
