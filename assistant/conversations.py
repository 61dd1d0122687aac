"""Conversations kept in `conversations.sqlite3` of the data folder: each answer as it was shown, with its sources.

An answer is stored while it is written, so that neither a closed page nor a server that ended loses more than its last second.
"""

import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.documents import clean_line
from assistant.errors import UserError
from assistant.marks import without_marks
from assistant.snapshots import Answer, Feedback

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VERSION = 2
INTERRUPTED = "The server ended while this answer was being written."
_TITLE, _LINE = 80, 200  # characters
_BEFORE = 16  # characters of a line before the first word that was searched for
_PLACES = re.compile(r'^\s*(?:@(?:"[^"]*"|[^\s"]+)[\s,]+)+')
_KEPT_DELETED = 7 * 86_400.0  # seconds that a deleted conversation can be had back
_MOST_FOUND = 200
_TABLES = """
CREATE TABLE conversations (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, title TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, deleted REAL
) STRICT;
CREATE INDEX conversations_of_user ON conversations (user, updated);
CREATE TABLE turns (
    conversation TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
    number INTEGER NOT NULL,
    question TEXT NOT NULL,
    state TEXT NOT NULL,
    folded TEXT NOT NULL, -- question and answer as `search` compares them
    answer TEXT NOT NULL,
    asked REAL NOT NULL,
    feedback TEXT NOT NULL DEFAULT '', -- what the reader thought of the answer, or nothing
    PRIMARY KEY (conversation, number)
) STRICT, WITHOUT ROWID;
"""


_FROM_1 = "ALTER TABLE turns ADD COLUMN feedback TEXT NOT NULL DEFAULT ''"


@dataclass(frozen=True)
class Talk:
    """A conversation in the list: its title, how many questions it has, and seconds since 1970 of its beginning and last answer."""

    id: str
    title: str
    turns: int
    created: float
    updated: float


@dataclass(frozen=True)
class Found:
    """A conversation that a search found, and the line of it that holds what was looked for."""

    talk: Talk
    line: str


class Conversations:
    """The conversations of all users. Safe for threads; one process at a time."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        """Open or make the file; answers that were being written when the last process ended are marked as such.

        Raises `UserError` when it can't be opened, or was made by a newer version.
        """
        self._lock = threading.RLock()
        self._now = now
        self.revision = 0  # another number whenever the list of conversations changed
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA foreign_keys = ON")
            self._prepare(path)
            self._end_interrupted()
        except sqlite3.DatabaseError as error:
            raise UserError(f"The conversations {path} can't be opened ({error}): move the file away to begin anew.") from None

    def _prepare(self, path: Path) -> None:
        [version] = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise UserError(f"The conversations {path} were made by a newer version: update, or move the file away.")
        self._db.execute("PRAGMA journal_mode = WAL")
        with self._transaction():
            for statement in [_TABLES.split(";"), [_FROM_1], []][version]:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {VERSION}")
            self._db.execute("DELETE FROM conversations WHERE deleted < ?", [self._now() - _KEPT_DELETED])
            self._db.execute("DELETE FROM conversations WHERE NOT EXISTS (SELECT 1 FROM turns WHERE conversation = id)")

    def _end_interrupted(self) -> None:
        rows = self._db.execute(
            "SELECT conversation, number, question, answer FROM turns WHERE state NOT IN ('done', 'stopped', 'failed')"
        ).fetchall()
        for conversation, number, question, stored in rows:
            self.keep(conversation, number, replace(_read(question, stored).stopped(), note=INTERRUPTED))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk ends it too
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction that raises `UserError` when nothing can be written."""
        try:
            with self._transaction():
                yield
        except sqlite3.Error as error:
            raise UserError(f"The conversation can't be kept ({error}): make room on the disk, then try again.") from None

    def begin(self, user: str, question: str) -> str:
        """Make a conversation that begins with `question`, its title without the places named first; returns its id."""
        title = clean_line(_PLACES.sub("", question) or question, _TITLE)
        id, now = secrets.token_urlsafe(12), self._now()
        with self._writing():
            self._db.execute("INSERT INTO conversations VALUES (?, ?, ?, ?, ?, NULL)", [id, user, title, now, now])
            self.revision += 1
        return id

    def keep(self, id: str, number: int, answer: Answer) -> None:
        """Store a snapshot as turn `number` (from 0), in place of an earlier one of it."""
        folded = f"{answer.question}\n{answer.text}".casefold()
        with self._writing():
            now = self._now()
            self._db.execute(
                "INSERT INTO turns (conversation, number, question, state, folded, answer, asked) VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET question = excluded.question, state = excluded.state, folded = excluded.folded, answer = excluded.answer",
                [id, number, answer.question, answer.state, folded, _written(answer), now],
            )
            self._db.execute("UPDATE conversations SET updated = max(updated, ?) WHERE id = ?", [now, id])
            self.revision += answer.final or answer.state == "waiting"

    def add(self, id: str, number: int, answer: Answer) -> bool:
        """Store an answer again, with more in it, when its turn is still there; returns whether it was."""
        with self._lock:
            place = "WHERE conversation = ? AND number = ? AND question = ? AND state = ?"
            values = [_written(answer), id, number, answer.question, answer.state]
            return self._db.execute(f"UPDATE turns SET answer = ? {place}", values).rowcount > 0

    def cut(self, id: str, turns: int) -> None:
        """Drop all turns but the first `turns`."""
        with self._writing():
            self._db.execute("DELETE FROM turns WHERE conversation = ? AND number >= ?", [id, turns])

    def answers(self, user: str, id: str) -> list[Answer]:
        """Return the answers of a conversation, oldest first. Raises `UserError` when `user` has none called `id`."""
        self.talk(user, id)
        with self._lock:
            rows = self._db.execute(
                "SELECT question, answer, feedback FROM turns WHERE conversation = ? ORDER BY number", [id]
            ).fetchall()
        return [replace(_read(question, stored), feedback=_read_feedback(feedback)) for question, stored, feedback in rows]

    def judge(self, user: str, id: str, number: int, feedback: Feedback | None) -> None:
        """Keep what the reader thought of the answer of turn `number`; None takes it back.

        Raises `UserError` when `user` has no such answer, or it is still being written.
        """
        self.talk(user, id)
        written = json.dumps(asdict(feedback), ensure_ascii=False) if feedback else ""
        with self._lock:
            changed = self._db.execute(
                "UPDATE turns SET feedback = ? WHERE conversation = ? AND number = ? AND state IN ('done', 'stopped', 'failed')",
                [written, id, number],
            ).rowcount
        if not changed:
            raise UserError("This answer is not there any more, or is still being written: look again.")

    def talk(self, user: str, id: str) -> Talk:
        """Return what the list says of a conversation. Raises `UserError` when `user` has none called `id`."""
        found = self._talks("user = ? AND deleted IS NULL AND id = ?", [user, id])
        if not found:
            raise UserError("This conversation is not there any more.")
        return found[0]

    def talks(self, user: str) -> list[Talk]:
        """Return the conversations of a user, the newest first."""
        # One whose first question could not be kept has none.
        return self._talks("user = ? AND deleted IS NULL AND EXISTS (SELECT 1 FROM turns WHERE conversation = id)", [user])

    def _talks(self, where: str, values: list[str]) -> list[Talk]:
        turns = "(SELECT count(*) FROM turns WHERE conversation = id)"
        with self._lock:
            rows = self._db.execute(
                f"SELECT id, title, {turns}, created, updated FROM conversations WHERE {where} ORDER BY updated DESC, id", values
            ).fetchall()
        return [Talk(*row) for row in rows]

    def search(self, user: str, wanted: str) -> list[Found]:
        """Return the conversations in whose title, questions or answers all words of `wanted` stand, the newest first."""
        words = wanted.casefold().split()
        if not words:
            return []
        found = []
        for talk in self.talks(user):
            with self._lock:
                rows = self._db.execute(
                    "SELECT number, folded FROM turns WHERE conversation = ? ORDER BY number", [talk.id]
                ).fetchall()
            texts = [talk.title.casefold(), *(text for _, text in rows)]
            if all(any(word in text for text in texts) for word in words):
                found.append(Found(talk, self._line_with(words, talk.id, rows)))
            if len(found) == _MOST_FOUND:
                break
        return found

    def _line_with(self, words: list[str], id: str, rows: list[tuple[int, str]]) -> str:
        """Return of a conversation the line that holds most of `words`, from the word before the first of them."""
        lines = ((turn, at, line) for turn, text in rows for at, line in enumerate(text.split("\n")))
        turn, at, best = max(lines, key=lambda line: sum(word in line[2] for word in words), default=(0, 0, ""))
        if not any(word in best for word in words):
            return ""
        with self._lock:
            row = self._db.execute(
                "SELECT question, answer FROM turns WHERE conversation = ? AND number = ?", [id, turn]
            ).fetchone()
        answer = _read(*row) if row else Answer("")
        there = f"{answer.question}\n{answer.text}".split("\n")
        line = " ".join(without_marks(there[at] if at < len(there) else best).split())
        folded = line.casefold()
        first = min((folded.find(word) for word in words if word in folded), default=0)
        start = line.rfind(" ", 0, first) + 1
        before = line.rfind(" ", 0, max(0, start - 1)) + 1
        start = before if first - before <= _BEFORE else start
        return clean_line(f"… {line[start:]}" if start else line, _LINE)

    def rename(self, user: str, id: str, title: str) -> None:
        """Give a conversation another title. Raises `UserError` when it is empty, or `user` has none called `id`."""
        title = clean_line(title, _TITLE)
        if not title:
            raise UserError("The title is empty: type one.")
        self.talk(user, id)
        with self._writing():
            self._db.execute("UPDATE conversations SET title = ? WHERE id = ?", [title, id])
            self.revision += 1

    def delete(self, user: str, id: str) -> None:
        """Delete a conversation; `restore` brings it back within seven days. Raises `UserError` when `user` has none called `id`."""
        self.talk(user, id)
        with self._writing():
            self._db.execute("UPDATE conversations SET deleted = ? WHERE id = ?", [self._now(), id])
            self.revision += 1

    def restore(self, user: str, id: str) -> None:
        """Bring a deleted conversation back."""
        with self._writing():
            self._db.execute("UPDATE conversations SET deleted = NULL WHERE user = ? AND id = ?", [user, id])
            self.revision += 1


@cache
def _adapter() -> "TypeAdapter[Answer]":
    from pydantic import TypeAdapter

    return TypeAdapter(Answer)


def _written(answer: Answer) -> str:
    return _adapter().dump_json(answer, exclude={"feedback"}).decode()


def _read(question: str, stored: str) -> Answer:
    try:
        return _adapter().validate_json(stored)
    except ValueError:  # pydantic's errors are such
        return Answer(question, state="failed", note="This answer was kept by another version and can't be read.")


def _read_feedback(stored: str) -> Feedback | None:
    try:
        return Feedback(**json.loads(stored)) if stored else None
    except (ValueError, TypeError):  # kept by another version
        return None
