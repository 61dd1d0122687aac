"""An answer that was stopped, broke off or ran into its limit is gone on with."""

from contextlib import closing
from pathlib import Path

import pytest

from assistant.answer import Assistant
from assistant.continuing import GO_ON, going_on, joined, written_so_far
from assistant.errors import UserError
from assistant.examples import question_text
from assistant.settings import load_settings
from assistant.snapshots import Answer
from tests.conftest import EmbeddedServer, settings_in, write_documents
from tests.scripted_server import Drop, Finish, ScriptedServer, answer, stream

QUESTION = "Who founded the Lumen Observatory?"
FACT = "Ada Quill founded the Lumen Observatory in 1911."
DOCUMENTS = {"observatory.md": f"# Lumen Observatory\n\n{FACT} Its largest telescope has a mirror of three metres.\n"}


def last_of(assistant: Assistant, begun: Answer | None = None) -> Answer:
    *_, last = assistant.ask(QUESTION, begun=begun)
    return last


def test_an_answer_cut_at_its_limit_is_gone_on_with_and_its_whole_text_is_checked(
    assistant: Assistant, scripted: ScriptedServer
) -> None:
    scripted.play(stream(f"{FACT} Its largest telescope", Finish("length")))
    begun = last_of(assistant)
    assert begun.unfinished and begun.text.endswith("…")
    scripted.play(answer("has a mirror of three metres."))
    whole = last_of(assistant, begun)
    assert whole.text == f"{FACT[:-1]}. [1] Its largest telescope has a mirror of three metres. [1]"
    assert whole.state == "done" and not whole.unfinished and [statement.support for statement in whole.statements]
    roles = [message["role"] for message in scripted.requests[-1].body["messages"][-2:]]
    assert roles == ["assistant", "user"]
    assert scripted.requests[-1].body["messages"][-2]["content"] == f"{FACT} Its largest telescope"
    assert whole.usage and begun.usage and whole.usage.answer_tokens > begun.usage.answer_tokens


def test_what_was_written_stays_when_going_on_fails_and_can_be_tried_again(assistant: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(stream(f"{FACT} Its largest", Drop()))
    begun = last_of(assistant)
    assert begun.state == "failed" and begun.unfinished
    scripted.play(stream(Drop()))
    again = last_of(assistant, begun)
    assert again.state == "failed" and again.unfinished and again.text.startswith(FACT[:-1])
    scripted.play(stream("telescope has a mirror of three metres.", Finish()))
    assert last_of(assistant, again).state == "done"


def test_a_model_with_nothing_to_add_ends_the_answer(assistant: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(stream(FACT, Finish("length")))
    begun = last_of(assistant)
    scripted.play(stream(Finish()))
    whole = last_of(assistant, begun)
    assert whole.state == "done" and not whole.unfinished and whole.text == f"{FACT[:-1]}. [1]"


def test_it_needs_the_documents_it_rests_on(tmp_path: Path, models: Path, scripted: ScriptedServer) -> None:
    settings = settings_in(tmp_path, models, {"OPENAI_BASE_URL": scripted.url})
    write_documents(settings.corpus, {**DOCUMENTS, "other.md": "Rye bread is sold on Tuesdays."})
    with closing(Assistant(settings)) as assistant:
        assistant.sync()
        scripted.play(stream(f"{FACT} Its largest", Drop()))
        begun = last_of(assistant)
        for hit in begun.passages:
            if (settings.corpus / hit.chunk.document_id).exists():
                assistant.remove(hit.chunk.document_id)
        with pytest.raises(UserError, match="are gone"):
            last_of(assistant, begun)


@pytest.mark.parametrize(
    ("begun", "more", "whole"),
    [
        ("The mirror is", "three metres wide.", "The mirror is three metres wide."),
        ("The mirror is", ", it seems, wide.", "The mirror is, it seems, wide."),
        ("The mirror is three", "The mirror is three metres wide.", "The mirror is three metres wide."),
        ("- one\n", "- two", "- one\n- two"),
        ("镜子", "很大。", "镜子很大。"),
        ("The mirror", "", "The mirror"),
    ],
)
def test_the_parts_are_joined_without_what_is_said_twice(begun: str, more: str, whole: str) -> None:
    assert joined(begun, more, load_settings({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})) == whole


def test_marks_and_the_ellipsis_are_not_sent_back() -> None:
    assert written_so_far("A fact. [1] Another [2?] and [?]…") == "A fact. Another and"


def test_the_embedded_model_goes_on_in_mid_sentence(embedded: EmbeddedServer) -> None:
    settings = load_settings({})
    question = question_text(f"[1] Lumen Observatory: {FACT}", QUESTION)
    from langchain_core.messages import HumanMessage, convert_to_openai_messages

    messages = going_on([HumanMessage(question)], "Ada Quill founded the Lumen Observatory", settings)
    assert GO_ON not in str(messages)
    body = {"messages": convert_to_openai_messages(messages), "max_tokens": 12, "temperature": 0}
    written = embedded.ask("/v1/chat/completions", body)["choices"][0]["message"]["content"]
    assert joined("Ada Quill founded the Lumen Observatory", written, settings).startswith(FACT[:-1])
