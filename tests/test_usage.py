"""What an answer cost: told by the server, or counted and marked as such."""

from collections.abc import Sequence
from contextlib import closing

import pytest
from langchain_core.messages import BaseMessage, HumanMessage

from assistant.chat_model import ChatModel
from assistant.errors import ModelError
from assistant.settings import load_settings
from assistant.usage import Usage, cost_line
from tests.conftest import EmbeddedServer
from tests.scripted_server import Finish, Pause, ScriptedServer, Thought, Used, answer, error, stream

MESSAGES: Sequence[BaseMessage] = [HumanMessage("Who founded the Lumen Observatory?")]


def used(model: ChatModel) -> Usage:
    usage = list(model.stream(MESSAGES))[-1].usage
    assert usage is not None
    return usage


def chat_model(url: str, **env: str) -> ChatModel:
    return ChatModel(load_settings({"OPENAI_BASE_URL": url, "ASSISTANT_CHAT_MODEL": "m", **env}))


def test_the_numbers_come_from_the_server_with_the_measured_times(scripted: ScriptedServer) -> None:
    scripted.play(stream(Pause(0.3), Thought("hm"), Pause(0.3), "Ada.", Finish(used=Used(312, 24, 64))))
    with closing(chat_model(scripted.url)) as model:
        usage = used(model)
    assert (usage.prompt_tokens, usage.answer_tokens, usage.cached_tokens, usage.estimated) == (312, 24, 64, False)
    assert usage.model == "m" and usage.seconds_reading >= 0.3 and usage.seconds_writing >= 0.3
    assert scripted.requests[0].body["stream_options"] == {"include_usage": True}


def test_without_numbers_the_tokens_are_to_be_counted(scripted: ScriptedServer) -> None:
    scripted.play(answer("Ada."))
    with closing(chat_model(scripted.url)) as model:
        usage = used(model)
    assert usage.estimated and usage.prompt_tokens == usage.answer_tokens == 0


def test_a_server_that_turns_the_wish_down_is_asked_without_it_from_then_on(scripted: ScriptedServer) -> None:
    scripted.knows_usage = False
    scripted.play(answer("Ada."))
    with closing(chat_model(scripted.url)) as model:
        assert [list(model.stream(MESSAGES))[-1].text for _ in range(2)] == ["Ada.", "Ada."]
    assert ["stream_options" in request.body for request in scripted.requests] == [True, False, False]


def test_another_mistake_is_tried_once_more_and_told_as_it_came(scripted: ScriptedServer) -> None:
    scripted.play(error(400, "no"), error(500), answer("Ada."))
    with closing(chat_model(scripted.url)) as model:
        with pytest.raises(ModelError, match="400"):
            list(model.stream(MESSAGES))
        assert list(model.stream(MESSAGES))[-1].text == "Ada."
    assert ["stream_options" in request.body for request in scripted.requests] == [True, False, True]


def test_a_prompt_that_is_too_long_is_not_sent_again(scripted: ScriptedServer) -> None:
    scripted.play(error(400, "the request exceeds the available context size", "exceed_context_size_error"))
    with closing(chat_model(scripted.url)) as model, pytest.raises(ModelError, match="window"):
        list(model.stream(MESSAGES))
    assert len(scripted.requests) == 1


def test_the_embedded_model_tells_its_numbers(embedded: EmbeddedServer) -> None:
    with closing(chat_model(embedded.url, OPENAI_API_KEY=embedded.key, ASSISTANT_ANSWER_TOKENS="16")) as model:
        usage = used(model)
        again = used(model)
    assert usage.prompt_tokens == embedded.count([{"role": "user", "content": str(MESSAGES[0].content)}])
    assert not usage.estimated and 1 <= usage.answer_tokens <= 16 and usage.seconds_writing > 0
    assert again.cached_tokens > 0


@pytest.mark.parametrize(
    "numbers",
    [
        {},
        {"input_tokens": -1, "output_tokens": 5},
        {"input_tokens": "many", "output_tokens": 5},
        {"input_tokens": True, "output_tokens": 5},
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": 5},
    ],
)
def test_numbers_that_make_no_sense_are_not_taken(numbers: dict[str, object]) -> None:
    assert Usage("m").told(numbers) == Usage("m")


def test_more_tokens_cached_than_read_are_taken_for_all() -> None:
    assert Usage("m").told({"input_tokens": 5, "output_tokens": 2, "input_token_details": {"cache_read": 9}}).cached_tokens == 5
    assert Usage("m").told({"input_tokens": 5, "output_tokens": 2, "input_token_details": None}).cached_tokens == 0


def test_money_is_told_only_with_a_price() -> None:
    usage = Usage("m", 1_000_000, 500_000, estimated=False)
    assert usage.priced(load_settings({})).money is None
    assert usage.priced(load_settings({"ASSISTANT_PRICE_IN": "0.28"})).money == pytest.approx(0.28)
    both = usage.priced(load_settings({"ASSISTANT_PRICE_IN": "0.28", "ASSISTANT_PRICE_OUT": "0.42", "ASSISTANT_CURRENCY": "CHF"}))
    assert both.money == pytest.approx(0.49)
    assert cost_line(both, 0, 0, None).endswith("m · 0.49 CHF")


def test_the_line_leaves_out_what_is_not_known() -> None:
    assert cost_line(None, 0, 0, None) == ""
    assert cost_line(None, 1, 0, 0.04) == "1 passage found · 0.0 s"
    assert (
        cost_line(Usage("m", 300, 1, estimated=False), 8, 5, 3.21) == "8 passages found, 5 read · 300 tokens in, 1 out · 3.2 s · m"
    )
    whole = Usage("m", 312, 24, 0, 2.0, 1.15, estimated=False, money=0.0, currency="USD")
    assert cost_line(whole, 8, 5, 3.2) == "8 passages found, 5 read · 312 tokens in, 24 out · 3.2 s, 20 tokens/s · m · $0.00"
