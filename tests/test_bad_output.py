"""`Assistant.ask` when what the model writes is bad: nothing, the same again and again, half, wrapped or damaged."""

import json

import pytest

from assistant.answer import Assistant
from assistant.snapshots import REFUSAL, Answer
from tests.scripted_server import Drop, Event, Finish, Pause, Raw, Repeat, ScriptedServer, Thought, answer, pieces, stream

QUESTION = "Who founded the Lumen Observatory?"
FACT = "Ada Quill founded the Lumen Observatory in 1911"
OTHER = "The observatory stands on Mount Corran"
DOCUMENTS = {
    "observatory.md": f"# Lumen Observatory\n\n{FACT}. {OTHER}, 2,340 metres above the sea. Visitors are welcome on Sundays.\n",
    "bakery.txt": "The Harbour Bakery sells rye bread on Tuesdays. Fourteen people work there.\n",
}


def ask(assistant: Assistant, question: str = QUESTION) -> list[Answer]:
    snapshots = list(assistant.ask(question))
    assert [snapshot.final for snapshot in snapshots] == [False] * (len(snapshots) - 1) + [True]
    return snapshots


# Nothing


@pytest.mark.parametrize("written", ["", " \n\n", "\u200b", "```\n```", "{}", '{"answer": ""}', "```json\n{}\n```"])
def test_a_model_that_returns_nothing_is_told(assistant: Assistant, scripted: ScriptedServer, written: str) -> None:
    scripted.play(stream(written, Finish()), answer(f"{FACT}."))
    last = ask(assistant)[-1]
    assert last.quoted and last.text == f"{FACT}. [1]" and "empty" in last.note and last.passages
    assert ask(assistant)[-1].citations


# The same again and again

REPEATED: dict[str, tuple[list[Event], str]] = {
    "a sentence": ([f"{FACT}. ", Repeat("It has a dome. ", 0.01)], "It has a dome. [?]"),
    "a line": ([f"{FACT}.\n\n", Repeat("- It has a large dome.\n", 0.01)], "- It has a large dome. [?]"),
    "a phrase": ([f"{FACT}. It has", Repeat(" a dome and it has", 0.01)], "…"),
    "the answer": ([Repeat(f"{FACT}. ", 0.01)], f"{FACT}. [1]"),
    "two words, without a pause": ([f"{FACT}. And bears", Repeat(" and bears")], "And bears…"),
    "a cycle of sentences": (
        [f"{FACT}. ", Repeat("It has a dome. It has a stair. The dome can turn. ", 0.01)],
        "The dome can turn. [?]",
    ),
}


@pytest.mark.parametrize("kind", REPEATED)
def test_a_repetition_is_stopped_at_once_cut_off_and_told(assistant: Assistant, scripted: ScriptedServer, kind: str) -> None:
    events, end = REPEATED[kind]
    scripted.play(stream(*events), answer(f"{FACT}."))
    last = ask(assistant)[-1]
    assert last.state == "done" and "repeat" in last.note and not last.refused
    assert last.text.startswith(FACT) and last.text.endswith(end)
    assert len(last.text) < 200 and [citation.quote for citation in last.citations][:1] == [f"{FACT}."]
    request = scripted.requests[0]
    assert request.ended.wait(10) and request.gone is not None  # the model's slot is free
    assert ask(assistant)[-1].text == f"{FACT}. [1]"


def test_thoughts_that_go_in_circles_are_stopped(assistant: Assistant, scripted: ScriptedServer) -> None:
    thoughts = [Thought("But wait, who founded it? ") for _ in range(40)]
    scripted.play(stream(*thoughts, Pause(30), Finish()))
    last = ask(assistant)[-1]
    assert last.quoted and "thinking" in last.note and last.reasoning
    assert scripted.requests[0].ended.wait(10) and scripted.requests[0].gone is not None


def test_a_list_with_lines_that_are_alike_is_read_to_its_end(assistant: Assistant, scripted: ScriptedServer) -> None:
    lines = [f"- In 19{year} the observatory had {year - 10} visitors on Sundays.\n" for year in range(11, 60)]
    scripted.play(stream(f"{FACT}.\n\n", *lines, Finish()))
    last = ask(assistant)[-1]
    assert "In 1959 the observatory" in last.text and "repeat" not in last.note


# Half

HALF: dict[str, list[Event]] = {
    "at the length limit": [f"{FACT}. {OTHER}, 2,340 metres", Finish("length")],
    "by a broken connection": [f"{FACT}. {OTHER}, 2,340 metres", Pause(0.3), Drop()],
    "of its own accord": [f"{FACT}. {OTHER}, 2,340 metres above the", Finish()],
}


@pytest.mark.parametrize("kind", HALF)
def test_an_unfinished_sentence_is_kept_marked_and_never_supported(
    assistant: Assistant, scripted: ScriptedServer, kind: str
) -> None:
    scripted.play(stream(*HALF[kind]))
    last = ask(assistant)[-1]
    assert last.state == ("failed" if "connection" in kind else "done") and not last.refused
    assert last.text.startswith(f"{FACT}. [1] {OTHER}, 2,340 metres") and last.text.endswith("…")
    assert [citation.quote for citation in last.citations] == [f"{FACT}."]
    assert last.note and len(last.note.splitlines()) == 1


def test_a_finished_sentence_at_the_limit_keeps_its_mark(assistant: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(stream(f"{FACT}.", Finish("length")))
    assert ask(assistant)[-1].text == f"{FACT}. [1]"


# Wrapped

WRAPPED = {
    "JSON": json.dumps({"answer": f"{FACT} [1]."}),
    "JSON with more": json.dumps({"answer": f"{FACT}.", "sources": [1], "confidence": 0.9}, indent=1),
    "JSON in a fence": f"```json\n{json.dumps({'answer': f'{FACT}.'})}\n```",
    "a fence": f"```\n{FACT}.\n```",
    "an opening": f"According to the passages, {FACT} [1].",
    "two openings": f"Answer: Based on the provided passages, {FACT} [1].",
    "an echo": f"Question: {QUESTION}\nAnswer: {FACT}.",
    "a refusal after the answer": f"{FACT}. The passages do not mention her birthplace.",
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_reader_sees_the_answer_without_its_wrapping(assistant: Assistant, scripted: ScriptedServer, kind: str) -> None:
    scripted.play(stream(*[event for piece in pieces(WRAPPED[kind], 5) for event in (piece, Pause(0.02))], Finish()))
    *growing, last = ask(assistant)
    assert last.text == f"{FACT}. [1]" and last.state == "done" and last.note == ""
    for snapshot in growing:
        assert not snapshot.text.startswith(("{", "`", "According", "Question", "Answer", "Based")), snapshot.text


@pytest.mark.parametrize("value", [{"founder": "Ada Quill", "year": 1911}, ["Ada", "Quill"], {"answer": None}])
def test_other_json_is_shown_as_code_with_a_note(assistant: Assistant, scripted: ScriptedServer, value: object) -> None:
    scripted.play(answer(json.dumps(value)))
    last = ask(assistant)[-1]
    assert last.state == "done" and not last.refused and "code" in last.note and last.citations == ()
    assert json.loads(last.text.removeprefix("```json\n").removesuffix("\n```")) == value


OWN_WORDS = [
    "The passages do not provide information about who founded it.",
    "I'm sorry, but I can't find that in the passages.",
    "There is no mention of a founder in the provided passages.",
    "Based on the passages, it is not mentioned who founded it. Please provide more information.",
]


@pytest.mark.parametrize("written", OWN_WORDS)
def test_a_refusal_in_the_models_own_words_is_the_fixed_sentence(
    assistant: Assistant, scripted: ScriptedServer, written: str
) -> None:
    scripted.play(answer(written))
    last = ask(assistant)[-1]
    assert last.refused and last.text == REFUSAL and last.citations == () and last.note == ""


# Damaged


def event(content: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": content}}]}).encode() + b"\n\n"


FIRST, SECOND = f"{FACT[:20]}", f"{FACT[20:]}."
HARMLESS: dict[str, list[Event]] = {
    "choices missing": [Raw(b'data: {"id": "x", "object": "chat.completion.chunk"}\n\n')],
    "choices empty": [Raw(b'data: {"choices": []}\n\n')],
    "delta null": [Raw(b'data: {"choices": [{"index": 0, "delta": null}]}\n\n')],
    "delta missing": [Raw(b'data: {"choices": [{"index": 0}]}\n\n')],
    "content null": [Raw(event(None))],
    "usage alone": [Raw(b'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}}\n\n')],
    "usage of a wrong type": [Raw(b'data: {"choices": [], "usage": "much"}\n\n')],
    "unknown fields": [Raw(b'data: {"choices": [{"delta": {"mood": "good"}, "x": [1]}], "y": {"z": null}}\n\n')],
    "comments": [Raw(b": keep-alive\n\n:\n\n")],
    "CRLF": [Raw(event("").replace(b"\n\n", b"\r\n\r\n"))],
}
SPOILT: dict[str, list[Event]] = {
    "invalid JSON": [Raw(b"data: {oops\n\n")],
    "content a boolean": [Raw(event(True))],
    "a choice of text": [Raw(b'data: {"choices": ["x"]}\n\n')],
    "delta a number": [Raw(b'data: {"choices": [{"delta": 5}]}\n\n')],
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_events_without_text_do_no_harm(assistant: Assistant, scripted: ScriptedServer, kind: str) -> None:
    scripted.play(stream(FIRST, *HARMLESS[kind], SECOND, Finish()))
    last = ask(assistant)[-1]
    assert last.text == f"{FACT}. [1]" and last.state == "done" and last.note == ""


@pytest.mark.parametrize("kind", SPOILT)
def test_a_damaged_event_costs_itself_alone_and_is_told(assistant: Assistant, scripted: ScriptedServer, kind: str) -> None:
    scripted.play(stream(FIRST, *SPOILT[kind], SECOND, Finish()))
    last = ask(assistant)[-1]
    assert last.text == f"{FACT}. [1]" and last.state == "done"
    assert "damaged" in last.note and len(last.note.splitlines()) == 1


FORMS: dict[str, list[Event]] = {
    "no space after data": [
        Raw(event(FIRST).replace(b"data: ", b"data:")),
        Raw(event(SECOND).replace(b"data: ", b"data:")),
        Finish(),
    ],
    "two objects in one line": [Raw(event(FIRST).rstrip() + event(SECOND).removeprefix(b"data: ")), Finish()],
    "a list of parts": [Raw(event([{"type": "text", "text": FIRST}])), Raw(event([SECOND])), Finish()],
    "no blank lines": [Raw(event(FIRST)[:-1]), Raw(event(SECOND)[:-1]), Finish()],
    "no reason of the end": [Raw(event(FIRST)), Raw(event(SECOND)), Raw(b"data: [DONE]\n\n")],
    "no [DONE]": [
        FIRST,
        Raw(b'data: {"choices": [{"delta": {"content": ' + json.dumps(SECOND).encode() + b'}, "finish_reason": "stop"}]}\n\n'),
    ],
    "a completion in one piece": [
        Raw(json.dumps({"choices": [{"message": {"content": FIRST + SECOND}, "finish_reason": "stop"}]}).encode())
    ],
}


@pytest.mark.parametrize("kind", FORMS)
def test_streams_of_other_forms_are_understood(assistant: Assistant, scripted: ScriptedServer, kind: str) -> None:
    scripted.play(stream(*FORMS[kind]))
    last = ask(assistant)[-1]
    assert last.text == f"{FACT}. [1]" and last.state == "done" and last.note == ""


def test_content_that_is_a_number_is_text(assistant: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(stream(FACT.removesuffix("1911"), Raw(event(1911)), ".", Finish()))
    assert ask(assistant)[-1].text == f"{FACT}. [1]"


def test_bytes_that_are_not_utf_8_cost_their_letter_alone(assistant: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(stream(f"{FACT}. ", Raw(event("It is high.").replace(b"high", b"h\xffgh")), Finish()))
    assert ask(assistant)[-1].text == f"{FACT}. [1] It is h\ufffdgh. [?]"


def test_an_error_in_the_stream_is_told_with_what_the_server_says(assistant: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(stream(f"{FACT}. And", Pause(0.3), Raw(b'data: {"error": {"message": "out of memory", "code": 500}}\n\n')))
    last = ask(assistant)[-1]
    assert last.state == "failed" and "out of memory" in last.note and "kept" in last.note
    assert last.text == f"{FACT}. [1] And…" and len(last.note.splitlines()) == 1


def test_nothing_but_damage_is_told_in_one_line(assistant: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(stream(*[Raw(b"data: {oops\n\n")] * 3, Finish()))
    last = ask(assistant)[-1]
    assert last.quoted and "OPENAI_BASE_URL" in last.note and len(last.note.splitlines()) == 1
