"""F4: many ask at once: one answer is written, the others see their place, too many are turned away, each gets his own answer."""

from pathlib import Path

from tests.conftest import settings_in
from tests.serving import running
from tests.tools.users import PROGRAM, Echo, ask_at_once, row, write_doors
from ui.desk import MOST_AT_ONCE


def test_each_of_six_and_of_twenty_users_gets_the_own_answer_in_turn(tmp_path: Path, models: Path) -> None:
    model = Echo(words=15, pause=0.03)
    options = settings_in(tmp_path, models, {})
    write_doors(options)
    try:
        with running(options, program=("-c", PROGRAM, model.url)) as app:
            for count in (6, 20):
                users, seconds = ask_at_once(app.url, count)
                print(row(users, seconds))
                assert [user.number for user in users if not user.text or user.foreign] == []
                told = [place for user in users for place in user.places]
                assert max(told) >= min(count, MOST_AT_ONCE) - 2 and all(user.places == sorted(user.places)[::-1] for user in users)
                assert sum(not user.places for user in users) <= 2 + sum(bool(user.turned_away) for user in users)
                assert bool(sum(user.turned_away for user in users)) == (count > MOST_AT_ONCE)
            assert not [line for line in app.lines if "Traceback" in line]
    finally:
        model.close()
