"""Conversations outlive pages and servers: kept as they were shown, found again, had back after deletion."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.conversations import INTERRUPTED, Conversations
from assistant.errors import UserError
from assistant.snapshots import Answer, Feedback
from tests.test_ui_render import answer as shown_answer


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Conversations]:
    with closing(Conversations(tmp_path / "conversations.sqlite3")) as opened:
        yield opened


def talked(kept: Conversations, user: str, question: str, text: str = "So it is.") -> str:
    id = kept.begin(user, question)
    kept.keep(id, 0, Answer(question, text, state="done"))
    return id


def test_an_answer_comes_back_as_it_was_shown(kept: Conversations) -> None:
    answer = shown_answer()
    id = kept.begin("", answer.question)
    kept.keep(id, 0, answer)
    assert kept.answers("", id) == [answer]
    other = replace(answer, text="Other")
    kept.keep(id, 0, other)
    kept.keep(id, 1, answer)
    assert kept.answers("", id) == [other, answer] and kept.talk("", id).turns == 2
    kept.cut(id, 1)
    assert kept.answers("", id) == [other]


def test_what_was_being_written_when_the_server_ended_is_there_and_marked(tmp_path: Path) -> None:
    path = tmp_path / "conversations.sqlite3"
    kept = Conversations(path)
    id = kept.begin("", "How long?")
    kept.keep(id, 0, Answer("How long?", "Three days and a ha", state="writing"))
    # Not closed: the process was killed.
    with closing(Conversations(path)) as again:
        [answer] = again.answers("", id)
        assert (answer.state, answer.text, answer.note) == ("stopped", "Three days and a …", INTERRUPTED)
    kept.close()


def test_a_user_sees_only_their_own(kept: Conversations) -> None:
    id = talked(kept, "ann", "Whose is it?")
    assert [talk.id for talk in kept.talks("ann")] == [id] and kept.talks("bob") == []
    for act in (kept.answers, kept.talk, kept.delete):
        with pytest.raises(UserError, match="not there"):
            act("bob", id)
    with pytest.raises(UserError, match="not there"):
        kept.rename("bob", id, "Mine")
    assert kept.search("bob", "whose") == []


def test_the_newest_come_first_and_the_title_is_the_first_question(tmp_path: Path) -> None:
    clock = iter(range(1_000_000, 2_000_000))
    with closing(Conversations(tmp_path / "c.sqlite3", lambda: float(next(clock)))) as kept:
        first, second = talked(kept, "", "  The first\nquestion? "), talked(kept, "", "The second?")
        assert [(talk.id, talk.title) for talk in kept.talks("")] == [(second, "The second?"), (first, "The first question?")]
        kept.keep(first, 1, Answer("Again?", state="done"))
        assert [talk.id for talk in kept.talks("")] == [first, second]
        kept.rename("", second, "Another <b>title</b>")
        assert kept.talk("", second).title == "Another <b>title</b>"
        with pytest.raises(UserError, match="empty"):
            kept.rename("", second, " \n")


def test_a_search_finds_all_words_in_questions_answers_and_titles(kept: Conversations) -> None:
    bees = talked(kept, "", "What do bees do?", "They dance.\nÜber the WAGGLE dance much is known.")
    talked(kept, "", "What do cats do?", "They sleep.")
    [found] = kept.search("", "über waggle BEES")
    assert found.talk.id == bees and found.line == "Über the WAGGLE dance much is known."
    assert kept.search("", "bees sleep") == [] and kept.search("", "  ") == []
    assert len(kept.search("", "they")) == 2
    assert kept.search("", "%") == []
    talked(kept, "", "What do they eat?", "Bees live in hives [1], and what they like most of all is nectar [2?].")
    [found] = kept.search("", "nectar")
    assert found.line == "… is nectar."
    talked(kept, "", "Which animals?", "A preface. " * 80 + "The Zebra eats grass. " + "And so on. " * 80)
    [found] = kept.search("", "zebra grass")
    assert found.line.startswith("… The Zebra eats grass. And so on.") and len(found.line) <= 200


def test_the_places_named_first_are_no_part_of_the_title(kept: Conversations) -> None:
    for question, title in (
        ("@bees.md How do they dance?", "How do they dance?"),
        ('@"two words.pdf", @2023/ what was the profit?', "what was the profit?"),
        ("Compare @a.md and @b.md", "Compare @a.md and @b.md"),
        ("@bees.md ", "@bees.md"),
    ):
        assert kept.talk("", kept.begin("", question)).title == title


def test_a_deleted_one_can_be_had_back_for_seven_days(tmp_path: Path) -> None:
    now = [1e9]
    path = tmp_path / "c.sqlite3"
    with closing(Conversations(path, lambda: now[0])) as kept:
        one, other = talked(kept, "", "One?"), talked(kept, "", "Other?")
        for id in (one, other):
            kept.delete("", id)
        assert kept.talks("") == []
        with pytest.raises(UserError):
            kept.answers("", one)
        kept.restore("", one)
        assert [talk.id for talk in kept.talks("")] == [one] and len(kept.answers("", one)) == 1
    now[0] += 8 * 86_400
    with closing(Conversations(path, lambda: now[0])) as kept:
        kept.restore("", other)
        assert [talk.id for talk in kept.talks("")] == [one]


def test_a_file_that_is_none_or_newer_is_told_and_left_alone(tmp_path: Path) -> None:
    none = tmp_path / "none.sqlite3"
    none.write_bytes(b"not a database " * 100)
    newer = tmp_path / "newer.sqlite3"
    with closing(sqlite3.connect(newer)) as db:
        db.execute("PRAGMA user_version = 99")
    for path, reason in ((none, "can't be opened"), (newer, "newer version")):
        before = path.read_bytes()
        with pytest.raises(UserError, match=reason):
            Conversations(path)
        assert path.read_bytes() == before


def test_an_answer_of_another_version_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with closing(Conversations(path)) as kept:
        id = talked(kept, "", "One?")
        kept.keep(id, 1, Answer("Two?", "Yes.", state="done"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE turns SET answer = '{\"surprise\": 1}' WHERE number = 0")
    with closing(Conversations(path)) as kept:
        first, second = kept.answers("", id)
        assert first.question == "One?" and first.state == "failed" and "can't be read" in first.note
        assert second.text == "Yes."


def test_what_the_reader_thought_of_an_answer_is_kept_with_it_until_it_is_written_anew(kept: Conversations) -> None:
    id = talked(kept, "ann", "So?")
    given = Feedback("up", "Short.\nGood.", "chat-1")
    kept.judge("ann", id, 0, given)
    assert kept.answers("ann", id)[0].feedback == given
    kept.keep(id, 0, Answer("So?", "So it is, and more.", state="done"))  # gone on with
    assert kept.answers("ann", id)[0].feedback == given
    kept.judge("ann", id, 0, None)
    assert kept.answers("ann", id)[0].feedback is None
    kept.judge("ann", id, 0, given)
    kept.cut(id, 0)
    kept.keep(id, 0, Answer("So?", "No.", state="done"))
    assert kept.answers("ann", id)[0].feedback is None


def test_only_an_answer_of_ones_own_that_is_whole_can_be_judged(kept: Conversations) -> None:
    id = talked(kept, "ann", "So?")
    kept.keep(id, 1, Answer("And?", "Well", state="writing"))
    for user, turn in (("bob", 0), ("ann", 1), ("ann", 2)):
        with pytest.raises(UserError, match="not there"):
            kept.judge(user, id, turn, Feedback("down"))


def test_a_file_of_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript("""
            CREATE TABLE conversations (
                id TEXT PRIMARY KEY, user TEXT NOT NULL, title TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, deleted REAL
            ) STRICT;
            CREATE INDEX conversations_of_user ON conversations (user, updated);
            CREATE TABLE turns (
                conversation TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE, number INTEGER NOT NULL, question TEXT NOT NULL,
                state TEXT NOT NULL, folded TEXT NOT NULL, answer TEXT NOT NULL, asked REAL NOT NULL, PRIMARY KEY (conversation, number)
            ) STRICT, WITHOUT ROWID;
            INSERT INTO conversations VALUES ('abc', '', 'Old?', 1e9, 1e9, NULL);
            INSERT INTO turns VALUES ('abc', 0, 'Old?', 'done', 'old?', '{"question": "Old?", "text": "Yes.", "state": "done"}', 1e9);
            PRAGMA user_version = 1;
        """)
    for _ in range(2):
        with closing(Conversations(path)) as kept:
            [answer] = kept.answers("", "abc")
            assert (answer.text, answer.feedback) == ("Yes.", None)
            kept.judge("", "abc", 0, Feedback("down", "Too short"))
            assert kept.answers("", "abc")[0].feedback == Feedback("down", "Too short")
            kept.judge("", "abc", 0, None)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
