"""S12: requests that no page sends, or far too much at once: an answer in one line, nothing in the log, nothing lost."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.conversations import Conversations, _written
from assistant.errors import UserError
from assistant.settings import load_settings
from assistant.snapshots import Answer
from tests.conftest import settings_in, write_documents
from tests.serving import App, running
from tests.visitor import Visitor

BEES = "Honey bees dance to show where flowers are."
LONG = "LONGTALK"  # the id of a conversation of ten thousand questions
BAD_VALUES: list[Any] = [
    [], {}, [None], {"a": []}, None, True, -1, 10**400, 1e308, "", "x" * 200_000, "\0", "../..", ["x"] * 1000, [[[[[[]]]]]], {"act": {}}
]  # fmt: skip
NO_JSON = ["", "[]", "null", "{", "[" * 50_000, '{"a":' * 5_000, '{"data": NaN}', '{"fn_index": 1e999}', '"\\ud800"', "\x00"]
WRONG: list[Any] = [None, True, -1, 10**30, "x" * 100_000, [], {}]
ACTS = ("rename", "open", "edit", "again", "sources", "leave", "sort", "page", "remove", "delete", "restore", "stop", 7, ["edit"])
DETAILS: list[Any] = [None, [], -1, 10**30, 0.5, "9" * 50_000, "\u202e\0"]
BAD_DETAILS: list[Any] = [
    *BAD_VALUES,
    *({"act": act, "to": to, "turn": to, "text": to} for act in ACTS for to in DETAILS),
    {"value": "text"}, {"value": {"text": None}}, {"value": {"text": []}}, {"index": []}, {"index": 0, "value": {"text": {}}},
]  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[App]:
    options = settings_in(tmp_path_factory.mktemp("bad"), models, {})
    write_documents(options.corpus, {"bees.md": f"# Bees\n\n{BEES}"})
    kept = Conversations(options.data / "conversations.sqlite3")
    kept._db.execute("INSERT INTO conversations VALUES (?, '', 'Long', 0, 0, NULL)", [LONG])
    row = _written(Answer("Why?", text="It is so.", state="done"))
    kept._db.executemany(
        "INSERT INTO turns (conversation, number, question, state, folded, answer, asked) VALUES (?, ?, 'Why?', 'done', 'why', ?, 0)",
        ((LONG, number, row) for number in range(10_000)),
    )
    kept.close()
    with running(options, ASSISTANT_CHAT_MODEL="extractive") as started:
        yield started


@pytest.fixture
def visitor(app: App) -> Iterator[Visitor]:
    made = Visitor(app.url)
    yield made
    made.close()


def ask(visitor: Visitor, question: str) -> str:
    """Ask through the page's own event; returns all that it shows."""
    event = visitor.event("question", "submit")
    return json.dumps([*visitor.perform(event, visitor.inputs(event, question=question))], ensure_ascii=False)


def quiet(app: App) -> bool:
    """Whether nothing went wrong in the server, as far as its log tells."""
    return not [line for line in app.lines if "Traceback" in line or "Error" in line]


def test_events_of_wrong_kinds_are_refused_in_one_line_and_leave_no_trace(app: App, visitor: Visitor) -> None:
    good = {event["id"]: visitor.inputs(event) for event in visitor.events}
    for event in visitor.events:
        if event["backend_fn"] is False:
            continue
        bodies: list[dict[str, Any]] = [visitor.body(event, value) for value in BAD_VALUES]
        bodies += [visitor.body(event, [value] * len(event["inputs"])) for value in BAD_VALUES if event["inputs"]]
        right = visitor.body(event, good[event["id"]])
        for name in ("fn_index", "session_hash", "trigger_id", "event_id", "batched", "simple_format"):
            bodies += [{**right, name: value} for value in WRONG]
        texts = [json.dumps(body) for body in bodies]
        texts += [*NO_JSON, json.dumps(right)[:-1]]
        for text in texts:
            reply = visitor.post(event, text.encode())
            assert reply.status_code in (200, 400, 404, 422), (event["api_name"], text[:200], reply.text[:500])
            assert "Traceback" not in reply.text and "/assistant/" not in reply.text
    assert quiet(app), app.lines
    assert BEES in ask(visitor, "How do honey bees dance?")


def test_events_with_wrong_details_do_nothing_and_leave_no_trace(app: App, visitor: Visitor) -> None:
    for event in visitor.events:
        if not visitor.has_details(event):
            continue
        for detail in BAD_DETAILS:
            text = json.dumps(visitor.body(event, visitor.inputs(event), detail))
            reply = visitor.post(event, text.encode())
            assert reply.status_code in (200, 422), (event["api_name"], text[:300], reply.text[:500])
    assert quiet(app), app.lines
    assert BEES in ask(visitor, "How do honey bees dance?")
    assert (app.corpus / "bees.md").exists()


def test_what_a_page_asks_for_beside_events_leaves_no_trace_either(app: App, visitor: Visitor) -> None:
    for path in ("queue/data?session_hash=unknown", "queue/data?session_hash=", "queue/data", "upload_progress?upload_id=unknown"):
        visitor.client.get(f"/gradio_api/{path}")
    assert "session_not_found" in visitor.client.get("/gradio_api/queue/data?session_hash=unknown").text
    for path in (
        "api/predict",
        "call/ask",
        "run/ask",
        "component_server",
        "process_recording",
        "custom_component/1/client/a/b",
        "upload/",
    ):
        assert visitor.client.post(f"/gradio_api/{path}", json={"data": []}).status_code == 403, path
    for body in ('{"session_hash": "a", "fn_index": 1, "event_id": "b"}', "{}", "[]", "null", "x"):
        assert visitor.client.post(
            "/gradio_api/cancel", content=body, headers={"Content-Type": "application/json"}
        ).status_code in (200, 422)
    for path in (
        "/?c=" + "x" * 3000,
        "/?c=%00",
        "/?c=%ED%A0%80",
        "/export/%00.md",
        "/export/" + "x" * 4000 + ".json",
        "/page/x/" + "9" * 5000 + ".png",
    ):
        assert visitor.client.get(path).status_code in (200, 404)
    assert quiet(app), app.lines


def test_a_question_of_a_megabyte_is_refused_with_the_limit(app: App, visitor: Visitor) -> None:
    assert "The question has 1,000,000 characters, the limit is 4,000" in ask(visitor, "why " * 249_999 + "why?")
    event = visitor.event("question", "submit")
    assert visitor.post(event, b" " * 9_000_000).status_code == 413
    assert BEES in ask(visitor, "How do honey bees dance?")


def test_a_conversation_of_ten_thousand_questions_is_shown_and_can_be_left(app: App, visitor: Visitor) -> None:
    talks = visitor.event("talks-bridge", "click")
    shown = json.dumps(visitor.send(talks, visitor.inputs(talks), {"act": "open", "to": LONG}))
    assert "It is so." in shown
    assert "start a new one" in ask(visitor, "How do honey bees dance?")
    visitor.send(talks, visitor.inputs(talks), {"act": "open", "to": ""})
    assert BEES in ask(visitor, "How do honey bees dance?")


def test_searches_and_titles_of_megabytes_are_cut(app: App, visitor: Visitor) -> None:
    ask(visitor, "How do honey bees dance, and why?")
    listed = visitor.event("find-talk", "change")
    listing = str(visitor.send(listed, visitor.inputs(listed))[0])
    id = listing.split('data-talk="')[1].split('"')[0]
    talks = visitor.event("talks-bridge", "click")
    visitor.send(talks, visitor.inputs(talks), {"act": "rename", "to": id, "text": "t" * 200_000})
    listing = str(visitor.send(listed, visitor.inputs(listed))[0])
    assert "t" * 79 in listing and "t" * 81 not in listing
    assert f'data-talk="{id}"' in str(
        visitor.send(listed, visitor.inputs(listed, **{"find-talk": "t" * 50 + " bees" * 200_000}))[0]
    )
    search = visitor.event("query", "submit")
    assert "bees.md" in str(visitor.send(search, visitor.inputs(search, query="honey bees " * 100_000))[0])
    filter = visitor.event("filter", "change")
    assert "0 files of " in str(visitor.send(filter, visitor.inputs(filter, filter="w" * 1_000_000))[1])
    assert quiet(app), app.lines


def test_more_tokens_than_a_model_can_write_are_refused_at_the_start() -> None:
    for value in ("1000000000", "-1", "1e9", "nan"):
        with pytest.raises(UserError, match="ASSISTANT_ANSWER_TOKENS is"):
            load_settings({"ASSISTANT_ANSWER_TOKENS": value})
