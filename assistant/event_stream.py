"""The event stream of an OpenAI-compatible server, mended before its client library reads it.

That library, and LangChain after it, give up at the first event that is not as they expect, and the rest
of the answer is lost. Here what is usable is kept, in the form they expect, and the rest is told as damage.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx

DAMAGED = "damaged"  # the reason of the end that stands for what could not be read; the stream goes on
_MOST = 1_000_000  # bytes of one event, far above any; a server that never ends its line is not read for ever


class Mender:
    """Turns the bytes of a stream, in pieces as they come, into events that the client library can read.

    Understood are: any line end, `data:` without its space, comments, several objects in one event and events
    without a blank line between them, bytes that are not UTF-8, `delta` or `content` of another type, a
    completion sent whole, and an end without a reason. What is not is replaced by one event whose reason of
    the end is `DAMAGED`.
    """

    def __init__(self) -> None:
        self._line = b""
        self._event = ""  # data that is no whole object yet
        self._useful = self._odd = self._ended = False

    def feed(self, data: bytes) -> bytes:
        """Return the events that are complete with `data`."""
        data = self._line + data
        held = b"\r" if data.endswith(b"\r") else b""  # the other half of the line's end may follow
        *lines, last = data.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._line = last + held
        if len(self._line) + len(self._event) > _MOST:
            lines, self._line, self._event = [*lines, b"data: {", b""], b"", ""
        return b"".join(event for line in lines for event in self._read(line.decode("utf-8", errors="replace")))

    def end(self) -> bytes:
        """Return the events that were not ended when the stream did."""
        events = [*self._read(self._line.decode("utf-8", errors="replace").rstrip("\r")), *self._blank()]
        if self._odd and not self._useful:
            events.append(_event(_chunk({}, DAMAGED)))
        return b"".join(events)

    def _read(self, line: str) -> Iterator[bytes]:
        name, colon, value = line.partition(":")
        if not line.strip():
            yield from self._blank()
        elif name == "data" and colon:
            yield from self._data(value.strip())
        elif self._event:
            self._event += f"\n{line}"
        elif line.lstrip().startswith("{"):  # JSON without the word, as servers send that don't stream
            yield from self._data(line.strip())
        elif name not in ("", "event", "id", "retry"):
            self._odd = True  # a page of HTML, say

    def _data(self, value: str) -> Iterator[bytes]:
        if value == "[DONE]":
            yield from self._blank()
            if self._useful and not self._ended:
                yield _event(_chunk({}, "stop"))
            yield b"data: [DONE]\n\n"
            return
        items, rest = _objects(value)
        if rest or not all(isinstance(item, dict) for item in items):
            self._event = f"{self._event}\n{value}" if self._event else value  # it may go on in the next line
            return
        yield from self._blank()
        for item in items:
            yield from self._mended(item)

    def _blank(self) -> Iterator[bytes]:
        """End an event: what of it is no object by now never will be."""
        items, rest = _objects(self._event)
        self._event = ""
        for item in items:
            yield from self._mended(item)
        if rest:
            yield _event(_chunk({}, DAMAGED))

    def _mended(self, item: object) -> Iterator[bytes]:
        if isinstance(item, dict) and item.get("error"):
            yield _event({"error": item["error"]})
            return
        choices = item.get("choices") if isinstance(item, dict) else None
        usage = _usage(item.get("usage")) if isinstance(item, dict) else None
        if not isinstance(item, dict) or (choices is None and usage is None):
            self._odd = True
            return
        if not choices:
            yield _event({**_chunk({}, None), "choices": [], "usage": usage})
            return
        choice = choices[0] if isinstance(choices, list) else choices
        mended = _choice(choice) if isinstance(choice, dict) else None
        if mended is None:
            yield _event(_chunk({}, DAMAGED))
            return
        self._useful = True
        self._ended = self._ended or bool(mended["finish_reason"])
        kept = {name: item[name] for name in ("model", "timings") if isinstance(item.get(name), str | dict)}
        yield _event({**_chunk({}, None), **kept, "choices": [mended], "usage": usage})


def _objects(text: str) -> tuple[list[object], str]:
    """Return the JSON values that follow each other in `text`, and what is left from the first that is none."""
    found: list[object] = []
    decoder = json.JSONDecoder()
    at = 0
    while at < len(text):
        if text[at].isspace() or text[at] == ",":
            at += 1
            continue
        try:
            item, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return found, text[at:]
        found.append(item)
    return found, ""


def _choice(choice: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a choice as the protocol has it, or None when its text can't be read."""
    delta = choice.get("delta", choice.get("message"))
    if delta is None:
        delta = {"content": choice.get("text")}
    if isinstance(delta, str | list):
        delta = {"content": delta}
    if not isinstance(delta, dict):
        return None
    content = _text(delta.get("content"))
    if content is None:
        return None
    mended: dict[str, Any] = {"role": "assistant", "content": content}
    for name in ("reasoning_content", "reasoning"):
        thought = _text(delta.get(name))
        if thought:
            mended["reasoning_content"] = thought
            break
    reason = choice.get("finish_reason")
    logprobs = choice.get("logprobs")
    return {
        "index": 0,
        "delta": mended,
        "finish_reason": str(reason) if reason else None,
        "logprobs": logprobs if isinstance(logprobs, dict) else None,
    }


def _text(content: object) -> str | None:
    """Return the text of `content`: of a string, a number, or a list of these and of `{"text": ...}`; None when it has none."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        text = content.get("text", content.get("content"))
        return text if isinstance(text, str) else None
    if isinstance(content, list):
        parts = [_text(part) for part in content]
        return "".join(part for part in parts if part) if any(part is not None for part in parts) or not parts else None
    return None if isinstance(content, bool) else str(content)


def _usage(usage: object) -> dict[str, Any] | None:
    if not isinstance(usage, dict):
        return None
    counts = [usage.get(name, 0) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    return usage if all(isinstance(count, int) for count in counts) else None


def _chunk(delta: Mapping[str, str], reason: str | None) -> dict[str, Any]:
    choices = [{"index": 0, "delta": dict(delta), "finish_reason": reason}]
    return {"id": "", "object": "chat.completion.chunk", "created": 0, "model": "", "choices": choices}


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


class _MendedStream(httpx.AsyncByteStream):
    """The stream `inner`, mended."""

    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        mender = Mender()
        async for data in self._inner:
            if events := mender.feed(data):
                yield events
        if events := mender.end():
            yield events

    async def aclose(self) -> None:
        await self._inner.aclose()


async def mend(response: httpx.Response) -> None:
    """Mend what `response` streams: an event hook of an `httpx.AsyncClient` that talks to a model server.

    Error pages and packed streams are left as they are.
    """
    plain = response.headers.get("content-encoding", "identity") == "identity"
    if response.status_code == 200 and plain and isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _MendedStream(response.stream)
