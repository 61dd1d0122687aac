"""The language model: embedded by default, any LangChain chat model otherwise, streamed and stoppable."""

import asyncio
import ipaddress
import math
import queue
import re
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from assistant.errors import ModelError
from assistant.examples import REFUSAL_WORDS, YES_NO
from assistant.settings import Settings
from assistant.usage import Usage

if TYPE_CHECKING:
    import httpx
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

MAX_WAITING = 16  # questions in the queue of the embedded model; one more is refused
_FIRST_SECONDS, _NEXT_SECONDS, _WHOLE_SECONDS = 90.0, 30.0, 300.0  # until the first token, between two, for all
_TICK_SECONDS = 0.2  # how often a waiting caller gets control back, to be able to stop
_MAX_CHARACTERS = 200_000
_NEVER, _LIKELIEST = -100, 10  # bias of a token that may not be written; tokens whose probabilities are asked for
_FIRST_WORD = re.compile(r"\W*(\w+)\W")
_BARRED = {word.lower() for word in (*YES_NO, REFUSAL_WORDS.split()[0])}
_TAGS = ("<think>", "</think>")


@dataclass(frozen=True)
class Output:
    """All the model wrote so far. `ahead` counts the questions that are answered before this one.

    `cut` says that the model ran into its length limit, `damaged` that parts of what it sent could not be read.
    `refusing` is the probability, 0 to 1, that a draft had begun with the refusal instead, None where the server doesn't tell. `usage` tells what was read and written as
    far as the server told it (`Usage.counted` fills in the rest); None while nothing was.
    """

    text: str = ""
    reasoning: str = ""
    ahead: int = 0
    cut: bool = False
    damaged: bool = False
    refusing: float | None = None
    usage: Usage | None = field(default=None, compare=False)  # times differ from run to run


def split_thinking(content: str, final: bool) -> tuple[str, str]:
    """Split what a model wrote into (reasoning, answer) at `<think>` tags.

    Some servers send only the closing tag: then all before it is reasoning. Unless `final`, a tag
    that is only half there is held back.
    """
    if not final:
        for tag in _TAGS:
            for length in range(len(tag) - 1, 0, -1):
                if content.endswith(tag[:length]):
                    content = content[:-length]
                    break
    opened = content.lstrip().startswith(_TAGS[0])
    before, closing, after = content.partition(_TAGS[1])
    if closing:
        return before.replace(_TAGS[0], "", 1).strip(), after.lstrip()
    return (content.lstrip()[len(_TAGS[0]) :].strip(), "") if opened else ("", content)


class ChatModel:
    """Streams answers from the model that the settings name; loads it at first use or by `start`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: BaseChatModel | None = None
        self._loading = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns: deque[object] = deque()
        self._free = threading.Condition()
        self._barred_tokens: tuple[int, ...] = ()
        self.name = settings.chat_model
        self.status = "not loaded"

    def start(self) -> None:
        """Load the model and read the unchanging part of the prompt; returns when it is ready.

        Raises `ModelError` with the way to mend it. A failed start is tried again by the next call.
        """
        with self._loading:
            if self._model is not None:
                return
            if self._settings.extractive:
                self.status = "ready"
                return
            self.status = "loading"
            try:
                self._model = self._load()
            except Exception as error:  # also what LangChain and its parts raise for odd names and addresses
                failure = error if isinstance(error, ModelError) else unusable(self._settings, error)
                self.status = f"failed: {failure}"
                raise failure from None
            self.status = "ready"

    def _load(self) -> "BaseChatModel":
        settings = self._settings
        if settings.base_url:
            if not settings.api_key.isascii() or not settings.api_key.isprintable():
                raise ModelError("OPENAI_API_KEY holds a line break or a letter that no key has: copy the key again.")
            self.name = settings.chat_model or _first_model(settings)
            return openai_compatible(self.name, settings.base_url, settings.api_key, settings)
        if settings.embedded:
            from assistant.embedded_model import start_server
            from assistant.model_files import model_file

            path = model_file(settings)
            self.name = path.stem
            url, key, self._barred_tokens = start_server(path, settings)
            return openai_compatible("embedded", url, key, settings)
        from langchain.chat_models import init_chat_model

        try:
            model: BaseChatModel = init_chat_model(settings.chat_model, temperature=0, max_tokens=settings.answer_tokens)
            return model
        except Exception as error:  # providers raise what they like
            raise ModelError(f"ASSISTANT_CHAT_MODEL {settings.chat_model!r} can't be used: {first_line(error)}") from None

    def close(self) -> None:
        """Close the connections and end the thread that reads them; the next question starts anew."""
        with self._loading:
            model, self._model = self._model, None
            loop, self._loop = self._loop, None
            self.status = "not loaded"
        plain = getattr(model, "http_client", None)
        if plain is not None:
            plain.close()
        if loop is not None:
            asyncio.run_coroutine_threadsafe(_hang_up(getattr(model, "http_async_client", None)), loop).result(5)
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(5)
            loop.close()

    @property
    def asked(self) -> int:
        """How many questions are being answered or wait for that."""
        return len(self._turns)

    @property
    def busy(self) -> bool:
        """Whether a question is being answered, or waits."""
        return bool(self._turns)

    @contextmanager
    def _turn(self) -> Iterator[object]:
        """Take a place in the queue; gives a ticket whose position `_ahead` tells."""
        ticket = object()
        with self._free:
            if len(self._turns) > MAX_WAITING:
                raise ModelError(f"{MAX_WAITING} questions are waiting already: try again in a minute.")
            self._turns.append(ticket)
        try:
            yield ticket
        finally:
            with self._free:
                self._turns.remove(ticket)
                self._free.notify_all()

    def _ahead(self, ticket: object) -> int:
        with self._free:
            position = self._turns.index(ticket)
            # Two cores write no faster for two at once; an endpoint takes all that come.
            if position == 0 or not self._settings.embedded or self._settings.base_url:
                return 0
            self._free.wait(_TICK_SECONDS)
            return self._turns.index(ticket)

    def stream(self, messages: Sequence["BaseMessage"], draft: bool = False) -> Generator[Output, None, None]:
        """Yield all that was written so far, several times a second, also while nothing is written.

        A `draft` of the embedded model doesn't begin with the refusal: it tells how likely that was
        (`Output.refusing`), so that this can be weighed with what else speaks for and against the draft. Nor does it begin
        with a yes or a no, which it gets wrong too often: it writes what the passages say instead.
        Closing the iterator breaks the connection, which frees the model. Raises `ModelError` when
        the model can't be reached, breaks off, says nothing or takes too long; what was yielded
        before stands.
        """
        if self._settings.extractive:
            raise ModelError("No language model is set: set ASSISTANT_CHAT_MODEL to one, such as 'embedded'.")
        with self._turn() as ticket:
            ahead = self._ahead(ticket)
            while ahead:
                yield Output(ahead=ahead)
                ahead = self._ahead(ticket)
            failures: list[ModelError] = []
            starter = threading.Thread(target=self._start_into, args=[failures], daemon=True)
            starter.start()
            while starter.is_alive():
                yield Output()
                starter.join(_TICK_SECONDS)
            if failures:
                raise failures[0]
            if draft and self._barred_tokens:
                yield from self._draft(messages)
            else:
                yield from self._stream_with_usage(messages)

    def _draft(self, messages: Sequence["BaseMessage"]) -> Iterator[Output]:
        """Stream; what begins with a refusal, a yes or a no is written anew, and then its tokens may not be.

        The tokens are barred only then: they also begin words such as "Nottingham".
        """
        output = Output()
        with closing(self._stream_with_usage(messages, draft=True)) as stream:
            for output in stream:
                if _begins_barred(output.text):
                    break
                yield output if _FIRST_WORD.match(output.text) else replace(output, text="")  # the word may go on
        if not _begins_barred(f"{output.text} "):
            yield output
        else:
            yield from self._stream_with_usage(messages, draft=True, barred=True)

    def _stream_with_usage(
        self, messages: Sequence["BaseMessage"], draft: bool = False, barred: bool = False
    ) -> Generator[Output, None, None]:
        """Stream; a server that turns down the request for numbers of tokens is asked once more without it, and never again."""
        try:
            yield from self._stream(messages, draft, barred)
        except _Rejected as rejected:
            assert self._model is not None
            self._model.stream_usage = False  # type: ignore[attr-defined]
            try:
                yield from self._stream(messages, draft, barred)
            except ModelError:
                self._model.stream_usage = True  # type: ignore[attr-defined]
                raise rejected.error from None

    def _start_into(self, failures: list[ModelError]) -> None:
        try:
            self.start()
        except ModelError as error:
            failures.append(error)

    def _stream(self, messages: Sequence["BaseMessage"], draft: bool, barred: bool) -> Iterator[Output]:
        from assistant.event_stream import DAMAGED

        arrived: queue.Queue[object] = queue.Queue()
        stopped = threading.Event()
        pumping = self._pump(messages, arrived, stopped, draft, barred)
        begun = heard = shown = time.monotonic()
        content = reasoning = finish = ""
        tokens: list[Any] = []
        usage = Usage(self.name)
        damaged = False
        try:
            while True:
                try:
                    item = arrived.get(timeout=_TICK_SECONDS)
                except queue.Empty:
                    item = None
                now = time.monotonic()
                if item is None:
                    limit = _NEXT_SECONDS if content or reasoning else _FIRST_SECONDS
                    if now - heard > limit:
                        raise ModelError(f"The model said nothing for {limit:.0f} seconds: try again.")
                elif isinstance(item, Exception):
                    failure = explain(item, self._settings, bool(content or reasoning))
                    if _turned_down(item) and getattr(self._model, "stream_usage", False):
                        raise _Rejected(failure)
                    tagged, text = split_thinking(content, final=True)
                    yield Output(text, reasoning or tagged, refusing=_refusing(tokens), usage=usage)
                    raise failure from None
                elif item is _END:
                    break
                else:
                    heard = now
                    thought, written, ended = _read_chunk(item)
                    usage = _used(usage, item, now - begun, first=not (content or reasoning))
                    tokens = tokens or _probabilities(item)
                    damaged, ended = (True, "") if ended == DAMAGED else (damaged, ended)
                    reasoning, content, finish = reasoning + thought, content + written, finish or ended
                if arrived.empty() or now - shown > _TICK_SECONDS:
                    tagged, text = split_thinking(content, final=False)
                    yield Output(text, reasoning or tagged, refusing=_refusing(tokens), usage=usage)
                    shown = time.monotonic()
                if now - begun > _WHOLE_SECONDS:
                    raise ModelError(f"The model took over {_WHOLE_SECONDS:.0f} seconds: try again, or choose a faster one.")
                if len(content) + len(reasoning) > _MAX_CHARACTERS:
                    raise ModelError(f"The model wrote over {_MAX_CHARACTERS:,} characters without an end: try again.")
            if not finish and not isinstance(self._model, _own_providers()):
                finish = "stop"  # other providers tell the end in their own ways
            tagged, text = split_thinking(content, final=True)
            if damaged and not (finish and text.strip()):
                yield Output(text, reasoning or tagged, usage=usage)
                raise _no_answer(self._settings)
            if not finish and (content or reasoning):
                yield Output(text, reasoning or tagged, refusing=_refusing(tokens), usage=usage)
                raise ModelError("The connection to the model broke off: ask again.")
            if not text.strip():
                raise ModelError("The model's answer was empty: ask again, or choose another model.")
            yield Output(
                text, reasoning or tagged, cut=finish == "length", damaged=damaged, refusing=_refusing(tokens), usage=usage
            )
        finally:
            stopped.set()  # some libraries swallow a cancellation and would read on
            pumping.cancel()

    def _pump(
        self,
        messages: Sequence["BaseMessage"],
        arrived: "queue.Queue[object]",
        stopped: threading.Event,
        draft: bool,
        barred: bool,
    ) -> "Future[None]":
        """Read the stream on the event loop; cancelling the future closes the connection at once."""
        with self._loading:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="chat-model", daemon=True)
                self._thread.start()
        model = self._model
        assert model is not None
        more: dict[str, Any] = {"logprobs": True, "top_logprobs": _LIKELIEST} if draft and self._barred_tokens else {}
        if barred:
            more["logit_bias"] = {str(token): _NEVER for token in self._barred_tokens}

        async def pump() -> None:
            try:
                chunks: AsyncIterator[Any] = model.astream(list(messages), **more)
                async for chunk in chunks:
                    if stopped.is_set():
                        return
                    arrived.put(chunk)
                arrived.put(_END)
            except Exception as error:  # handed to the thread that reads the queue
                arrived.put(error)

        return asyncio.run_coroutine_threadsafe(pump(), self._loop)


async def _hang_up(client: "httpx.AsyncClient | None") -> None:
    """End every reading on this event loop, then the client's connections."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    if client is not None:
        await client.aclose()


_END = object()


class _Rejected(Exception):
    """The server turned the request down before it wrote anything; `error` is what the reader would be told."""

    def __init__(self, error: ModelError) -> None:
        self.error = error


def _turned_down(error: Exception) -> bool:
    """Whether a server may have turned down a request for what it asks, and not for its length."""
    import openai

    wrong = isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError)
    return wrong and not _too_long(error)


def _used(usage: Usage, chunk: Any, seconds: float, first: bool) -> Usage:
    """Return `usage` with the time and, when this chunk tells them, the numbers of tokens."""
    numbers = getattr(chunk, "usage_metadata", None)
    if numbers:
        usage = usage.told(numbers)
    if first:
        return replace(usage, seconds_reading=seconds)
    return replace(usage, seconds_writing=seconds - usage.seconds_reading)


def _own_providers() -> type:
    """Return the LangChain class that `openai_compatible` makes, whose servers always name the reason of the end."""
    from langchain_deepseek import ChatDeepSeek

    return ChatDeepSeek


def _read_chunk(chunk: Any) -> tuple[str, str, str]:
    """Return (reasoning, text, reason of the end or nothing) of one LangChain message chunk."""
    reasoning = chunk.additional_kwargs.get("reasoning_content") or ""
    text = ""
    for block in [chunk.content] if isinstance(chunk.content, str) else chunk.content:
        if isinstance(block, str):
            text += block
        elif block.get("type") in ("thinking", "reasoning"):
            reasoning += block.get("thinking") or block.get("reasoning") or ""
        else:
            text += block.get("text") or ""
    return reasoning, text, str((chunk.response_metadata or {}).get("finish_reason") or "")


def _probabilities(chunk: Any) -> list[Any]:
    """Return what a chunk tells of the probabilities of its tokens, one entry a token; empty where the server doesn't."""
    try:
        return list(chunk.response_metadata["logprobs"]["content"])
    except (AttributeError, KeyError, TypeError):
        return []


def _begins_barred(text: str) -> bool:
    """Whether the first word of a draft, once it is whole, is a yes, a no or the refusal's first."""
    first = _FIRST_WORD.match(text)
    return first is not None and first[1].lower() in _BARRED


def _refusing(tokens: Sequence[Any]) -> float | None:
    """Return how likely a refusal was in place of the first of `tokens`; None where the server doesn't tell. A bias doesn't count."""
    try:
        starts = {REFUSAL_WORDS.split()[0], REFUSAL_WORDS.split()[0].capitalize()}
        likely = sum(math.exp(one["logprob"]) for one in tokens[0]["top_logprobs"] if one["token"].strip() in starts)
        return min(likely, 1.0)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return None


def openai_compatible(name: str, base_url: str, api_key: str, settings: Settings) -> "BaseChatModel":
    """Return the LangChain model for an OpenAI-compatible endpoint.

    It is LangChain's DeepSeek class because that one hands over `reasoning_content`; the protocol is
    the same.
    """
    import httpx
    from langchain.chat_models import init_chat_model

    from assistant.event_stream import mend

    # A proxy of the environment must not see what goes to this machine.
    trust = not _is_local(base_url)
    model: BaseChatModel = init_chat_model(
        name,
        model_provider="deepseek",
        base_url=base_url,
        api_key=api_key or "none",  # the client insists on one, servers without a key ignore it
        temperature=0,
        max_tokens=settings.answer_tokens,
        max_retries=0,
        stream_usage=True,
        stream_chunk_timeout=None,  # with its own wait around each chunk, a cancelled stream reads on to its end
        timeout=_FIRST_SECONDS,
        http_async_client=httpx.AsyncClient(trust_env=trust, timeout=_FIRST_SECONDS, event_hooks={"response": [mend]}),
        http_client=httpx.Client(trust_env=trust, timeout=_FIRST_SECONDS),
    )
    return model


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _first_model(settings: Settings) -> str:
    """Ask the endpoint which model it serves, for when ASSISTANT_CHAT_MODEL is not set."""
    import httpx

    hint = "set ASSISTANT_CHAT_MODEL to the model's name"
    try:
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        url = f"{settings.base_url.rstrip('/')}/models"
        reply = httpx.get(url, headers=headers, timeout=10, trust_env=not _is_local(url))
        reply.raise_for_status()
        return str(reply.json()["data"][0]["id"])
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ModelError(f"The endpoint {settings.base_url} can't be asked for its models ({first_line(error)}): {hint}.") from None
    except (KeyError, IndexError, TypeError, ValueError):
        raise ModelError(f"The endpoint {settings.base_url} names no model: {hint}.") from None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 characters, or its kind when it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def unusable(settings: Settings, error: Exception) -> ModelError:
    """Tell that the model can't even be set up, and which setting to look at."""
    if settings.base_url:
        return ModelError(
            f"OPENAI_BASE_URL {settings.base_url!r} can't be used ({type(error).__name__}): write it as http://HOST:PORT/v1."
        )
    return ModelError(f"ASSISTANT_CHAT_MODEL {settings.chat_model!r} can't be used: {first_line(error)}")


def _too_long(error: Exception) -> bool:
    described = f"{error} {getattr(error, 'body', '')} {error.__cause__} {getattr(error.__cause__, 'body', '')}"
    return "exceed_context_size" in described or "context_length_exceeded" in described


def explain(error: Exception, settings: Settings, begun: bool) -> ModelError:
    """Turn what the client library raised into one line for the reader; `begun` says that something was written."""
    import httpx
    import openai

    where = _where(settings)
    text = first_line(error)
    if settings.api_key:
        text = text.replace(settings.api_key, "…")
    if _too_long(error):
        return ModelError(
            "The question with its passages is longer than the model's window: raise ASSISTANT_CONTEXT_TOKENS, or ask less."
        )
    if isinstance(error, openai.APITimeoutError | httpx.TimeoutException):
        return ModelError(f"The model at {where} did not answer in time: try again.")
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return ModelError(f"The model at {where} refused the key: check OPENAI_API_KEY.")
    if isinstance(error, openai.RateLimitError):
        return ModelError(f"The model at {where} has too much to do (429): try again in a minute.")
    if isinstance(error, openai.NotFoundError):
        return ModelError(f"{where} does not know the model or the address: check OPENAI_BASE_URL and ASSISTANT_CHAT_MODEL.")
    if isinstance(error, openai.APIStatusError):
        return ModelError(f"The model at {where} answered with an error ({error.status_code}): try again.")
    if isinstance(error, openai.APIConnectionError | httpx.TransportError):
        if begun:
            return ModelError("The connection to the model broke off: ask again.")
        return ModelError(f"The model at {where} can't be reached: is it running?")
    if isinstance(error, openai.APIError):  # told in the stream, after a good start
        return ModelError(f"The model at {where} reported an error ({text}): try again.")
    if isinstance(error, ValueError):  # no JSON, or no part of an answer in it
        return _no_answer(settings)
    return ModelError(f"The model failed ({type(error).__name__}: {text}).")


def _where(settings: Settings) -> str:
    return settings.base_url or ("the embedded model" if settings.embedded else settings.chat_model)


def _no_answer(settings: Settings) -> ModelError:
    return ModelError(f"{_where(settings)} sent something that is no answer: try again, or check OPENAI_BASE_URL.")
