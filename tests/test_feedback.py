"""A thumb, a comment and a question for the evaluation: kept with the answer, and told back under it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.conversations import Conversations
from assistant.errors import UserError
from assistant.settings import Settings, load_settings
from assistant.snapshots import Feedback
from eval.golden_questions import own_questions
from eval.own_questions import change, entries
from tests.test_ui_render import PAYLOADS, Page, answer
from ui.feedback import give
from ui.render import answer_html


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"ASSISTANT_DATA": str(tmp_path)})


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Conversations]:
    with closing(Conversations(tmp_path / "conversations.sqlite3")) as opened:
        yield opened


def test_a_thumb_is_given_changed_and_taken_back(kept: Conversations, settings: Settings) -> None:
    id = kept.begin("", "So?")
    kept.keep(id, 0, answer())

    def after(act: str, text: str = "") -> Feedback | None:
        give(kept, settings, "", id, 0, act, text)
        return kept.answers("", id)[0].feedback

    for act in ("comment", "golden"):
        with pytest.raises(UserError, match="thumb up or down first"):
            after(act)
    assert after("up") == Feedback("up")
    assert after("comment", " Short \ud800 ") == Feedback("up", "Short ?")
    assert after("down") == Feedback("down", "Short ?")
    assert after("down") is None
    with pytest.raises(UserError, match="not there"):
        give(kept, settings, "", id, 1, "up", "")


def test_one_click_makes_a_draft_of_it_with_what_was_cited(kept: Conversations, settings: Settings) -> None:
    id, own = kept.begin("", "So?"), own_questions(settings)
    kept.keep(id, 0, answer())
    give(kept, settings, "", id, 0, "up", "")
    give(kept, settings, "", id, 0, "golden", "")
    [draft] = entries(own)[0]
    given = kept.answers("", id)[0].feedback
    assert given is not None and given.question == draft.id and draft.draft and draft.evidence
    change(own, draft.stamp, {"_id": draft.id, "text": draft.text, "unanswerable": True})
    with pytest.raises(UserError, match="among yours already"):
        give(kept, settings, "", id, 0, "golden", "")


def test_the_buttons_tell_what_was_chosen() -> None:
    plain, chosen = answer_html(answer(), 0), answer_html(replace(answer(), feedback=Feedback("up", "Good.")), 0)
    assert "judge-up" in plain and "chosen" not in plain and "judge-golden" not in plain
    assert 'class="judge judge-up chosen"' in chosen and "Good answer, chosen" in chosen and "Add to my questions" in chosen
    assert "Among my questions" in answer_html(replace(answer(), feedback=Feedback("down", "", "chat-1")), 0)
    assert "judge" not in answer_html(replace(answer(), state="writing"), 0)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_comment_stays_text(payload: str) -> None:
    page = answer_html(replace(answer(), feedback=Feedback("up", payload)), 0)
    Page(page)  # which reads nothing but what we make
    assert "\n" not in page
