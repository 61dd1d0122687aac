"""D13: kill -9 while answers stream: the question and what was written are there after the start, marked as broken off."""

from pathlib import Path

from tests.conftest import settings_in
from tests.tools.answers_killed import run


def test_questions_and_what_was_written_outlive_a_kill(tmp_path: Path, models: Path) -> None:
    done = run(settings_in(tmp_path, models, {}), kills=2, pages=4, seed=len("kill"))
    assert [fault for kill in done for fault in kill.faults] == []
    assert sum(kill.taken for kill in done) >= 4
