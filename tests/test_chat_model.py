"""The chat model against a real HTTP server that fails in every way a model server fails."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from assistant import chat_model
from assistant.chat_model import MAX_WAITING, ChatModel, Output, split_thinking
from assistant.errors import ModelError
from assistant.settings import Settings, load_settings
from tests.scripted_server import (
    Drop,
    Event,
    Finish,
    Hang,
    Headers,
    Pause,
    Raw,
    Repeat,
    Reply,
    Reset,
    ScriptedServer,
    Thought,
    answer,
    error,
    pieces,
    stream,
)

KEY = "sk-secret-0123456789abcdef"
MESSAGES: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage("Who founded the Lumen Observatory?")]
TEXT = "Ada Quill founded the Lumen Observatory in 1911."


def endpoint(scripted: ScriptedServer, **env: str) -> Settings:
    return load_settings({"OPENAI_BASE_URL": scripted.url, "OPENAI_API_KEY": KEY, **env})


def outputs(settings: Settings) -> list[Output]:
    with closing(ChatModel(settings)) as model:
        return list(model.stream(MESSAGES))


def failure(settings: Settings) -> tuple[Output, ModelError]:
    """Return the last output before the error, and the error."""
    last = Output()
    with closing(ChatModel(settings)) as model, pytest.raises(ModelError) as caught:
        for last in model.stream(MESSAGES):
            pass
    return last, caught.value


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_model, "_FIRST_SECONDS", 2.0)
    monkeypatch.setattr(chat_model, "_NEXT_SECONDS", 1.2)
    monkeypatch.setattr(chat_model, "_WHOLE_SECONDS", 4.0)


# The protocol


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_both_names_of_the_address_are_understood(scripted: ScriptedServer, variable: str) -> None:
    scripted.play(answer(TEXT))
    assert outputs(load_settings({variable: scripted.url}))[-1].text == TEXT
    assert scripted.requests[0].path == "/v1/chat/completions"


def test_without_a_language_model_there_is_nothing_to_stream() -> None:
    _, raised = failure(load_settings({"ASSISTANT_CHAT_MODEL": "extractive"}))
    assert "ASSISTANT_CHAT_MODEL" in str(raised)


def test_a_slash_at_the_end_of_the_address_changes_nothing(scripted: ScriptedServer) -> None:
    scripted.play(answer(TEXT))
    assert outputs(load_settings({"OPENAI_BASE_URL": scripted.url + "/"}))[-1].text == TEXT
    assert scripted.model_requests[0].path == "/v1/models"
    assert scripted.requests[0].path == "/v1/chat/completions"


def test_without_a_name_the_first_model_of_the_endpoint_is_asked(scripted: ScriptedServer) -> None:
    with closing(ChatModel(endpoint(scripted))) as model:
        assert list(model.stream(MESSAGES))[-1].text == "OK."
        assert scripted.requests[0].body["model"] == "scripted-1"
        assert model.name == "scripted-1"


def test_the_named_model_is_asked_and_the_endpoint_is_not_asked_for_its_models(scripted: ScriptedServer) -> None:
    outputs(endpoint(scripted, ASSISTANT_CHAT_MODEL="own-model"))
    assert scripted.requests[0].body["model"] == "own-model"
    assert not scripted.model_requests


def test_messages_arrive_as_they_are_with_a_limit_and_no_randomness(scripted: ScriptedServer) -> None:
    outputs(endpoint(scripted, ASSISTANT_ANSWER_TOKENS="77"))
    body = scripted.requests[0].body
    assert scripted.requests[0].messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who founded the Lumen Observatory?"},
    ]
    assert body["stream"] is True and body["temperature"] == 0
    assert 77 in (body.get("max_tokens"), body.get("max_completion_tokens"))


def test_the_key_is_sent_with_every_request(scripted: ScriptedServer) -> None:
    outputs(endpoint(scripted))
    assert scripted.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert scripted.model_requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_without_a_key_none_of_the_environment_is_sent(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings({"OPENAI_BASE_URL": scripted.url})
    for variable in ("OPENAI_API_KEY", "DEEPSEEK_API_KEY"):
        monkeypatch.setenv(variable, "sk-of-somebody-else")
    assert outputs(settings)[-1].text == "OK."
    sent = [request.headers.get("authorization", "") for request in scripted.requests + scripted.model_requests]
    assert not any("sk-of-somebody-else" in header for header in sent)


def test_the_text_grows_and_ends_whole(scripted: ScriptedServer) -> None:
    scripted.play(stream(*[event for piece in pieces(TEXT, 9) for event in (piece, Pause(0.03))], Finish()))
    texts = [output.text for output in outputs(endpoint(scripted))]
    assert texts[-1] == TEXT
    assert len(set(texts)) >= 4
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


def test_text_of_other_scripts_arrives_unharmed(scripted: ScriptedServer) -> None:
    text = "天文台由艾达创立。 أسست آدا المرصد. Ὅτι 🔭 ç é."
    scripted.play(answer(text, 1))
    assert outputs(endpoint(scripted))[-1].text == text


def test_a_slow_model_is_waited_for(scripted: ScriptedServer, impatient: None) -> None:
    scripted.play(stream(Pause(0.7), *[event for piece in pieces(TEXT, 12) for event in (piece, Pause(0.3))], Finish()))
    assert outputs(endpoint(scripted))[-1].text == TEXT


def test_control_comes_back_several_times_while_nothing_is_written(scripted: ScriptedServer) -> None:
    scripted.play(stream(Headers(), Pause(1.5), *pieces(TEXT, 9), Finish()))
    assert sum(not output.text for output in outputs(endpoint(scripted))) >= 4


def test_an_answer_cut_at_the_length_limit_says_so(scripted: ScriptedServer) -> None:
    scripted.play(stream(TEXT, Finish("length")))
    assert outputs(endpoint(scripted))[-1] == Output(TEXT, cut=True)
    scripted.play(answer(TEXT))
    assert not outputs(endpoint(scripted))[-1].cut


def test_two_answers_at_once_do_not_mix(scripted: ScriptedServer) -> None:
    model = ChatModel(endpoint(scripted))
    words = ["alpha", "beta", "gamma", "delta"]
    scripted.play(*[stream(*[event for _ in range(20) for event in (f"{word} ", Pause(0.01))], Finish()) for word in words])
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(list(model.stream(MESSAGES))[-1].text)) for _ in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    model.close()
    assert sorted(results) == sorted(f"{word} " * 20 for word in words)


# Reasoning

REASONING = "The user asks for a name. Ada Quill is named in passage 1."


def reasoning_forms() -> Iterator[tuple[str, list[Event]]]:
    yield "reasoning_content", [*[Thought(piece) for piece in pieces(REASONING, 5)], *pieces(TEXT, 5)]
    for size in (1, 2, 3, 5, 7, 1000):
        yield f"think tags in pieces of {size}", [*pieces(f"<think>\n{REASONING}\n</think>\n\n{TEXT}", size)]
        yield f"closing tag only in pieces of {size}", [*pieces(f"{REASONING}\n</think>\n\n{TEXT}", size)]


@pytest.mark.parametrize("events", [pytest.param(events, id=name) for name, events in reasoning_forms()])
def test_reasoning_is_told_from_the_answer(scripted: ScriptedServer, events: list[Event]) -> None:
    scripted.play(stream(*events, Finish()))
    last = outputs(endpoint(scripted))[-1]
    assert last == Output(TEXT, REASONING)


def test_reasoning_is_shown_while_it_comes_and_before_the_answer(scripted: ScriptedServer) -> None:
    for reply in (
        stream(Thought("First I read. "), Pause(0.4), Thought("Then I think."), Pause(0.4), TEXT, Finish()),
        stream("<think>First I read. ", Pause(0.4), "Then I think.</think>", Pause(0.4), TEXT, Finish()),
    ):
        scripted.play(reply)
        seen = outputs(endpoint(scripted))
        first = next(output for output in seen if output.reasoning)
        assert first.reasoning.strip() == "First I read." and first.text == ""
        assert seen[-1] == Output(TEXT, "First I read. Then I think.")


@pytest.mark.parametrize("content", [f"<think>{REASONING}</think>{TEXT}", f" \n<think>\n{REASONING}\n</think>\n{TEXT}"])
def test_at_no_character_does_a_think_tag_or_a_thought_look_like_the_answer(content: str) -> None:
    for length in range(len(content) + 1):
        reasoning, text = split_thinking(content[:length], final=False)
        assert TEXT.startswith(text.lstrip()), length
        assert REASONING.startswith(reasoning.removeprefix("\n")), length
    assert split_thinking(content, final=True) == (REASONING, TEXT)


def test_text_without_tags_is_all_answer_and_never_shrinks() -> None:
    for content in (TEXT, "a < b and b > c", "1 <t> 2 <thin", "It says <b>no</b>."):
        shown = [split_thinking(content[:length], final=False)[1] for length in range(len(content) + 1)]
        assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
        assert split_thinking(content, final=True) == ("", content)


def test_thoughts_that_never_end_are_no_answer(scripted: ScriptedServer) -> None:
    for events in ([Thought(REASONING)], [f"<think>{REASONING}"]):
        scripted.play(stream(*events, Finish("length")))
        last, raised = failure(endpoint(scripted))
        assert last.text == ""
        assert "empty" in str(raised)


# Failures: the last column is what the message must say

NEVER_STARTED = {
    "500": (error(500), ["error (500)", "again"]),
    "503": (error(503), ["error (503)", "again"]),
    "401": (error(401, f"Incorrect API key provided: {KEY}."), ["key", "OPENAI_API_KEY"]),
    "403": (error(403, f"{KEY} may not"), ["key", "OPENAI_API_KEY"]),
    "404": (error(404, "no such model"), ["OPENAI_BASE_URL", "ASSISTANT_CHAT_MODEL"]),
    "429": (error(429), ["429", "again"]),
    "400 for another reason": (error(400, f"bad request with {KEY}"), ["error (400)"]),
    "500 with a page of HTML": (Reply(status=500, body="<html>\n<h1>Oops</h1>\n</html>"), ["error (500)", "again"]),
    "prompt too long": (
        error(400, "the request exceeds the context", "exceed_context_size_error", n_prompt_tokens=20039, n_ctx=4096),
        ["longer than the model's window", "ASSISTANT_CONTEXT_TOKENS"],
    ),
    "closed before the status line": (stream(Drop()), ["running"]),
    "reset before the status line": (stream(Reset()), ["running"]),
    "closed before the first token": (stream(Headers(), Drop()), ["running"]),
    "hangs before the status line": (stream(Hang()), ["again"]),
    "hangs before the first token": (stream(Headers(), Hang()), ["again"]),
    "invalid JSON at once": (stream(Raw(b'data: {"choices": [{"delta"\n\n')), ["OPENAI_BASE_URL"]),
    "empty answer": (stream(Finish()), ["empty", "again"]),
    "only white space": (stream("\n", "  \n", Finish()), ["empty", "again"]),
    "nothing at all": (stream(Headers()), ["again"]),
    "a page of HTML with status 200": (Reply(body="<html>\n<title>Log in</title>\n</html>"), ["OPENAI_BASE_URL"]),
    "JSON of something else": (Reply(body='{"hello": "world"}'), ["OPENAI_BASE_URL"]),
    "an error inside the stream": (
        stream(Raw(b'data: {"error": {"message": "out of memory", "code": 500}}\n\n')),
        ["out of memory"],
    ),
}
BROKE_OFF = {
    "dies in mid-answer": (stream(TEXT, " And", Drop()), ["broke off", "again"]),
    "is reset in mid-answer": (stream(TEXT, " And", Pause(0.2), Reset()), ["broke off", "again"]),
    "ends without an end": (Reply((TEXT, " And"), chunked=False), ["broke off", "again"]),
    "hangs in mid-answer": (stream(TEXT, " And", Hang()), ["said nothing", "again"]),
    "invalid JSON in mid-answer": (stream(TEXT, " And", Pause(0.3), Raw(b"data: {not JSON\n\n")), ["OPENAI_BASE_URL"]),
    "an error in mid-answer": (
        stream(TEXT, " And", Pause(0.3), Raw(b'data: {"error": {"message": "out of memory", "code": 500}}\n\n')),
        ["out of memory"],
    ),
    "repeats for ever": (stream(TEXT, " And", Repeat(" and", 0.02)), ["took over", "again"]),
}


def check_message(raised: ModelError, parts: list[str]) -> None:
    message = str(raised)
    assert len(message.splitlines()) == 1 and 20 < len(message) < 300, message
    assert KEY not in message and KEY not in repr(raised)
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.parametrize("mode", NEVER_STARTED)
def test_a_model_that_never_starts_is_told_in_one_line_with_what_to_do(
    scripted: ScriptedServer, impatient: None, mode: str
) -> None:
    reply, parts = NEVER_STARTED[mode]
    scripted.play(reply)
    last, raised = failure(endpoint(scripted))
    assert last.text.strip() == "" and last.reasoning == ""
    check_message(raised, parts)
    # No silent second try, which would double the wait; but a 400 may be about the wish for numbers of tokens.
    assert len(scripted.requests) == (2 if mode == "400 for another reason" else 1)


@pytest.mark.parametrize("mode", BROKE_OFF)
def test_what_was_written_before_the_model_failed_is_kept(scripted: ScriptedServer, impatient: None, mode: str) -> None:
    reply, parts = BROKE_OFF[mode]
    scripted.play(reply)
    last, raised = failure(endpoint(scripted))
    assert last.text.startswith(f"{TEXT} And")
    check_message(raised, parts)
    assert scripted.requests[0].ended.wait(5)


@pytest.mark.parametrize("mode", ["500", "closed before the first token", "hangs before the first token", "empty answer"])
def test_the_next_question_is_answered_after_a_failure(scripted: ScriptedServer, impatient: None, mode: str) -> None:
    scripted.play(NEVER_STARTED[mode][0], answer(TEXT))
    with closing(ChatModel(endpoint(scripted))) as model:
        with pytest.raises(ModelError):
            list(model.stream(MESSAGES))
        assert list(model.stream(MESSAGES))[-1].text == TEXT


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_an_endpoint_that_is_down_is_named(scripted: ScriptedServer) -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    _, raised = failure(load_settings({"OPENAI_BASE_URL": url, "OPENAI_API_KEY": KEY, "ASSISTANT_CHAT_MODEL": "m"}))
    check_message(raised, [url, "running"])
    _, raised = failure(load_settings({"OPENAI_BASE_URL": url, "OPENAI_API_KEY": KEY}))
    check_message(raised, [url, "ASSISTANT_CHAT_MODEL"])


@pytest.mark.parametrize(
    "url", ["localhost:8080/v1", "http://", "http://[::1", "ftp://127.0.0.1/v1", "http://no-such-host.invalid/v1"]
)
def test_an_impossible_address_is_told_in_one_line(url: str) -> None:
    for more in ({}, {"ASSISTANT_CHAT_MODEL": "m"}):
        _, raised = failure(load_settings({"OPENAI_BASE_URL": url, "OPENAI_API_KEY": KEY, **more}))
        check_message(raised, [url])


@pytest.mark.parametrize(
    "reply",
    [
        error(401, f"{KEY} is wrong"),
        error(404),
        Reply(body="<html></html>"),
        Reply(body='{"data": []}'),
        Reply(body="[]"),
        Reply(body='{"data": [{"name": "x"}]}'),
        Reply(body='{"data": null}'),
        stream(Drop()),
    ],
)
def test_an_endpoint_that_names_no_model_is_told_with_the_setting_that_helps(scripted: ScriptedServer, reply: Reply) -> None:
    scripted.models_reply = reply
    _, raised = failure(endpoint(scripted))
    check_message(raised, [scripted.url, "ASSISTANT_CHAT_MODEL"])
    assert not scripted.requests


def test_a_failed_start_asks_once_and_the_next_question_tries_again(scripted: ScriptedServer) -> None:
    scripted.models_reply = error(500)
    with closing(ChatModel(endpoint(scripted))) as model:
        with pytest.raises(ModelError):
            list(model.stream(MESSAGES))
        assert len(scripted.model_requests) == 1
        assert model.status.startswith("failed: ")
        scripted.models_reply = None
        assert list(model.stream(MESSAGES))[-1].text == "OK."
        assert model.status == "ready"


@pytest.mark.parametrize("name", ["nonsense:model", "openai:", "no-provider-of-that-name", "anthropic:claude"])
def test_an_unknown_provider_names_the_setting(name: str) -> None:
    _, raised = failure(load_settings({"ASSISTANT_CHAT_MODEL": name}))
    check_message(raised, ["ASSISTANT_CHAT_MODEL", name])


# Stopping


def test_closing_the_stream_breaks_the_connection(scripted: ScriptedServer) -> None:
    scripted.play(stream("Ada ", Repeat("Quill ", 0.02)))
    with closing(ChatModel(endpoint(scripted))) as model:
        running = model.stream(MESSAGES)
        while not next(running).text:
            pass
        closed = time.monotonic()
        running.close()
        assert scripted.requests[0].ended.wait(5)
    assert scripted.requests[0].gone is not None and scripted.requests[0].gone - closed < 1


def test_a_model_that_writes_without_a_pause_gives_control_back_and_comes_to_an_end(scripted: ScriptedServer) -> None:
    scripted.play(stream("Ada ", Repeat("Quill. ")))
    moments = [time.monotonic()]
    ends: list[tuple[Output, str]] = []

    model = ChatModel(endpoint(scripted))

    def read() -> None:
        last = Output()
        try:
            for last in model.stream(MESSAGES):
                moments.append(time.monotonic())
        except ModelError as raised:
            ends.append((last, str(raised)))
        moments.append(time.monotonic())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(30)
    assert ends, f"the model still writes after 30 seconds; {len(moments) - 1} times control came back"
    last, message = ends[0]
    assert last.text.startswith("Ada Quill. Quill. ") and "again" in message
    # While nothing is yielded nobody can press Stop.
    assert max(later - earlier for earlier, later in pairwise(moments)) < 5
    assert scripted.requests[0].ended.wait(5)
    model.close()


def test_the_queue_has_an_end(scripted: ScriptedServer) -> None:
    scripted.play(stream(Headers(), Hang()))
    model = ChatModel(endpoint(scripted))
    waiting = [model.stream(MESSAGES) for _ in range(MAX_WAITING + 1)]
    for one in waiting:
        next(one)
    with pytest.raises(ModelError, match="waiting already"):
        next(model.stream(MESSAGES))
    waiting.pop().close()
    one = model.stream(MESSAGES)
    assert next(one).text == ""
    for each in [*waiting, one]:
        each.close()
    model.close()


def test_closing_the_model_ends_its_thread_and_connections_and_it_can_be_used_again(scripted: ScriptedServer) -> None:
    before = set(threading.enumerate())
    model = ChatModel(endpoint(scripted))
    for _ in range(2):
        assert list(model.stream(MESSAGES))[-1].text == "OK."
        model.close()
        assert [thread for thread in set(threading.enumerate()) - before if thread.name == "chat-model"] == []
    ChatModel(endpoint(scripted)).close()  # one that was never used


# Secrets and proxies


def test_the_key_is_in_no_text_about_the_settings(scripted: ScriptedServer) -> None:
    settings = endpoint(scripted)
    assert KEY not in repr(settings) and KEY not in str(settings)


@pytest.mark.parametrize("key", ["sk-secret\nnext-line", "sk-secret\r\nX-Evil: 1", "sk-secret-é", "sk-secret-密钥"])
@pytest.mark.parametrize("more", [{}, {"ASSISTANT_CHAT_MODEL": "m"}])
def test_a_key_that_was_pasted_wrongly_is_told_and_never_shown(scripted: ScriptedServer, key: str, more: dict[str, str]) -> None:
    settings = load_settings({"OPENAI_BASE_URL": scripted.url, "OPENAI_API_KEY": key, **more})
    _, raised = failure(settings)
    assert "secret" not in str(raised)
    check_message(raised, ["OPENAI_API_KEY"])


PROXIES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]


@pytest.mark.parametrize("more", [{}, {"ASSISTANT_CHAT_MODEL": "m"}])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_of_the_environment_never_sees_what_stays_on_this_machine(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, more: dict[str, str], scheme: str, host: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        for variable in PROXIES:
            monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:{proxy.getsockname()[1]}")
        scripted.play(answer(TEXT))
        url = scripted.url.replace("127.0.0.1", host)
        assert outputs(load_settings({"OPENAI_BASE_URL": url, "OPENAI_API_KEY": KEY, **more}))[-1].text == TEXT
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_no_key_is_written_to_the_data_folder_or_the_log(
    scripted: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(0)
    scripted.play(error(401, f"{KEY} is wrong"))
    failure(endpoint(scripted, ASSISTANT_DATA=str(tmp_path)))
    written = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    said = caplog.text + "".join(capfd.readouterr())
    assert KEY not in written
    assert KEY not in said


# Drafts


def drafted(scripted: ScriptedServer) -> list[Output]:
    with closing(ChatModel(endpoint(scripted))) as model:
        model._barred_tokens = (7, 9)  # what the embedded model's server says
        return list(model.stream(MESSAGES, draft=True))


@pytest.mark.parametrize("begins", ["Yes, it is", "No", "NOT IN THE DOCUMENTS", "not stated", "**Yes**, it is"])
def test_a_draft_that_begins_with_yes_no_or_the_refusal_is_written_anew(scripted: ScriptedServer, begins: str) -> None:
    scripted.play(answer(begins), answer(TEXT))
    found = drafted(scripted)
    assert found[-1].text == TEXT
    assert not any(output.text and not TEXT.startswith(output.text) for output in found)
    first, second = (request.body for request in scripted.requests)
    assert "logit_bias" not in first and first["logprobs"]
    assert second["logit_bias"] == {"7": -100, "9": -100}


@pytest.mark.parametrize("text", ["Nottingham", "Nobody knows.", "Yesterday", "42", "Notre-Dame is old."])
def test_a_draft_that_begins_with_a_longer_word_is_kept(scripted: ScriptedServer, text: str) -> None:
    scripted.play(answer(text))
    assert drafted(scripted)[-1].text == text
    assert len(scripted.requests) == 1
