"""Events as servers really send them, and worse, become events that the client library can read."""

import json
from typing import Any

import pytest

from assistant.event_stream import DAMAGED, Mender


def chunk(content: object, **more: object) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": content}}], **more})


def read(stream: bytes, size: int = 10_000) -> tuple[str, list[str | None], bool]:
    """Return the text of a mended stream, the reasons of the end in it, and whether it ended with [DONE]."""
    mender = Mender()
    out = b"".join(mender.feed(stream[first : first + size]) for first in range(0, len(stream), size)) + mender.end()
    text, reasons, done = "", list[str | None](), False
    for event in out.decode().split("\n\n")[:-1]:
        assert event.startswith("data: ") and "\n" not in event
        if event == "data: [DONE]":
            done = True
            continue
        value: dict[str, Any] = json.loads(event.removeprefix("data: "))
        if "error" in value:
            reasons.append(f"error: {value['error']}")
            continue
        for choice in value["choices"]:
            text += choice["delta"].get("content", "")
            reasons.append(choice["finish_reason"])
    return text, [reason for reason in reasons if reason], done


A, B = chunk("Ada "), chunk("Quill")
WHOLE = {
    "as the protocol has it": f"data: {A}\n\ndata: {B}\n\n",
    "CRLF": f"data: {A}\r\n\r\ndata: {B}\r\n\r\n",
    "CR": f"data: {A}\r\rdata: {B}\r\r",
    "no space": f"data:{A}\n\ndata:{B}\n\n",
    "no blank lines": f"data: {A}\ndata: {B}\n",
    "no line end": f"data: {A}\n\ndata: {B}",
    "comments and other fields": f": keep-alive\n\nevent: message\nid: 7\nretry: 10\ndata: {A}\n\n:\n\n: ping\n\ndata: {B}\n\n",
    "two objects in one line": f"data: {A}{B}\n\n",
    "two objects with a comma": f"data: {A}, {B}\n\n",
    "one object in two lines": f"data: {A[:13]}\ndata: {A[13:]}\n\ndata: {B}\n\n",
    "without the word data": f"{A}\n{B}\n",
    "null, empty and absent deltas": f'data: {{"choices":[{{"delta":null}}]}}\n\ndata: {{"choices":[{{}}]}}\n\ndata: {A}\n\ndata: {chunk(None)}\n\ndata: {B}\n\n',
    "no choices, and events about something else": f'data: {{"choices":[]}}\n\ndata: {A}\n\ndata: {{"type":"ping"}}\n\ndata: 7\n\ndata: {B}\n\n',
    "usage alone": f'data: {A}\n\ndata: {B}\n\ndata: {{"choices":[],"usage":{{"prompt_tokens":3,"completion_tokens":2}}}}\n\n',
    "unknown fields": f"data: {chunk('Ada ', color='red', usage='much', id=7, model=['x'], created='now')}\n\ndata: {B}\n\n",
    "lists of text": f"data: {chunk(['Ada', ' '])}\n\ndata: {chunk([{'type': 'text', 'text': 'Quill'}])}\n\n",
    "a delta of text": 'data: {"choices":[{"delta":"Ada "}]}\n\ndata: {"choices":[{"text":"Quill"}]}\n\n',
    "a whole completion": json.dumps({"choices": [{"message": {"role": "assistant", "content": "Ada Quill"}}]}),
    "a whole completion in many lines": json.dumps({"choices": [{"message": {"content": "Ada Quill"}}]}, indent=2),
    "several choices": 'data: {"choices":[{"delta":{"content":"Ada Quill"}},{"delta":{"content":"Eve"}}]}\n\n',
}


@pytest.mark.parametrize("kind", WHOLE)
def test_all_that_is_usable_is_kept(kind: str) -> None:
    stream = WHOLE[kind].encode()
    for size in (1, 2, 7, 10_000):
        assert read(stream, size) == ("Ada Quill", [], False), size


DAMAGES = {
    "invalid JSON": "data: {oops\n\n",
    "half an object": f"data: {A[:20]}\n\n",
    "a delta of a number": 'data: {"choices":[{"delta":7}]}\n\n',
    "content that is true": f"data: {chunk(True)}\n\n",
    "a choice that is none": 'data: {"choices":["x"]}\n\n',
    "too deep": f"data: {'[' * 100_000}\n\n",
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_damaged_is_told_and_the_rest_kept(kind: str) -> None:
    stream = f"data: {A}\n\n{DAMAGES[kind]}data: {B}\n\ndata: [DONE]\n\n".encode()
    assert read(stream) == ("Ada Quill", [DAMAGED, "stop"], True)


def test_a_number_is_text() -> None:
    assert read(f"data: {chunk(1911)}\n\n".encode())[0] == "1911"


def test_bytes_that_are_not_utf_8_cost_their_letter_alone() -> None:
    stream = f"data: {A}\n\n".encode().replace(b"Ada", b"Ad\xff\xfea") + f"data: {B}\n\n".encode()
    assert read(stream) == ("Ad\ufffd\ufffda Quill", [], False)


def test_an_end_without_a_reason_gets_one_and_one_with_it_keeps_it() -> None:
    assert read(f"data: {A}\n\ndata: [DONE]\n\n".encode()) == ("Ada ", ["stop"], True)
    cut = json.dumps({"choices": [{"delta": {"content": "x"}, "finish_reason": "length"}]})
    assert read(f"data: {cut}\n\ndata: [DONE]\n\n".encode()) == ("x", ["length"], True)


def test_an_error_in_the_stream_stays_one() -> None:
    text, reasons, _ = read(f'data: {A}\n\ndata: {{"error":{{"message":"out of memory"}}}}\n\n'.encode())
    assert text == "Ada " and "out of memory" in str(reasons)


@pytest.mark.parametrize(
    "page", ["<!DOCTYPE html>\n<html>\n<body>Log in</body>\n</html>\n", '{"hello": "world"}', "\x00\x01\x02\n", "data: 7\n\n"]
)
def test_what_is_no_answer_at_all_is_damage(page: str) -> None:
    assert read(page.encode()) == ("", [DAMAGED], False)


def test_nothing_is_nothing() -> None:
    assert read(b"") == ("", [], False) == read(b": ping\n\n: ping\n\n")


def test_a_line_without_an_end_is_given_up() -> None:
    mender = Mender()
    out = mender.feed(b'data: {"choices":[{"delta":{"content":"')
    for _ in range(40):
        out += mender.feed(b"a" * 50_000)
    assert DAMAGED.encode() in out + mender.end()
    assert len(mender._line) < 1_100_000
