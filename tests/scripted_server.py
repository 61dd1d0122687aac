"""A real HTTP server on loopback that speaks OpenAI's protocol and fails on command."""

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_POLL_SECONDS = 0.005  # how often a waiting handler looks whether its client is still there


@dataclass(frozen=True)
class Thought:
    """A delta of `reasoning_content`."""

    text: str


@dataclass(frozen=True)
class Raw:
    """Bytes of the event stream, sent as they are."""

    data: bytes


@dataclass(frozen=True)
class Pause:
    """A wait, ended early when the client goes."""

    seconds: float


@dataclass(frozen=True)
class Repeat:
    """A text sent over and over until the client goes."""

    text: str
    pause: float = 0.0


@dataclass(frozen=True)
class Used:
    """The numbers of tokens, told in a chunk without text after the end of the answer."""

    prompt: int
    answer: int
    cached: int | None = None


@dataclass(frozen=True)
class Finish:
    """The proper end of a stream."""

    reason: str = "stop"
    used: Used | None = None


class Headers:
    """Send the status line and headers now; they are otherwise sent with the first delta."""


class Hang:
    """Say nothing more until the client goes."""


class Drop:
    """Close the connection in the middle of what is being sent."""


class Reset:
    """Break the connection with a TCP reset."""


Event = str | Thought | Raw | Pause | Repeat | Finish | Headers | Hang | Drop | Reset


@dataclass(frozen=True)
class Reply:
    """What one request for a completion is answered with: an error page, or a stream of events.

    A stream that `chunked` does not frame ends with the connection, as HTTP/1.0 does.
    """

    events: tuple[Event, ...] = ()
    status: int = 200
    body: str = ""
    chunked: bool = True


def stream(*events: Event) -> Reply:
    """Return a reply that sends `events`, strings as deltas of the answer."""
    return Reply(events)


def answer(text: str, size: int = 7) -> Reply:
    """Return a reply with `text` in deltas of `size` characters, properly ended."""
    return Reply((*pieces(text, size), Finish()))


def pieces(text: str, size: int) -> list[str]:
    """Cut `text` into pieces of `size` characters."""
    return [text[first : first + size] for first in range(0, len(text), size)]


def error(status: int, message: str = "scripted", type: str = "scripted_error", **more: object) -> Reply:
    """Return an error reply in OpenAI's form."""
    return Reply(status=status, body=json.dumps({"error": {"message": message, "type": type, "code": status, **more}}))


@dataclass
class Request:
    """One request as it came. `gone` is the `time.monotonic()` at which its client closed the connection early."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    begun: float
    sent: int = 0
    gone: float | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The messages of the conversation."""
        return list(self.body["messages"])


class _Gone(Exception):
    """The client closed the connection."""


class ScriptedServer:
    """Plays one reply after the other, the last one again and again, and keeps what it was asked."""

    def __init__(self, models: Iterable[str] = ("scripted-1", "scripted-2")) -> None:
        self.models = list(models)
        self.models_reply: Reply | None = None
        self.knows_usage = True  # one that doesn't turns down requests with `stream_options`
        self.requests: list[Request] = []
        self.model_requests: list[Request] = []
        self.arrived = threading.Event()
        self._replies: list[Reply] = [answer("OK.")]
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """What OPENAI_BASE_URL is to be."""
        return f"http://127.0.0.1:{self.port}/v1"

    def play(self, *replies: Reply) -> None:
        """Answer the next requests with `replies`, in order."""
        with self._lock:
            self._replies = list(replies)

    def take(self, request: Request) -> Reply:
        """Record a request for a completion and return its reply."""
        with self._lock:
            self.requests.append(request)
            if not self.knows_usage and "stream_options" in request.body:
                return error(400, "Unrecognized request argument supplied: stream_options", "invalid_request_error")
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        self.arrived.set()
        return reply

    def close(self) -> None:
        """Stop listening and let every hanging reply go."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        reply: Reply
        request_seen: Request
        started: bool

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

        def do_HEAD(self) -> None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            request = Request(self.path, _lower(self.headers), {}, time.monotonic())
            server.model_requests.append(request)
            if server.models_reply is not None:
                self.play(server.models_reply, request)
                return
            self.page(200, json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in server.models]}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = Request(self.path, _lower(self.headers), body, time.monotonic())
            self.play(server.take(request), request)

        def page(self, status: int, body: str) -> None:
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def play(self, reply: Reply, request: Request) -> None:
            self.reply, self.request_seen, self.started = reply, request, False
            try:
                if reply.body or reply.status != 200:
                    self.page(reply.status, reply.body)
                    return
                for event in reply.events:
                    self.perform(event)
                self.start()
                if reply.chunked:
                    self.wfile.write(b"0\r\n\r\n")
                else:
                    self.close_connection = True
            except (_Gone, OSError):
                if request.gone is None and not server.stopping.is_set():
                    request.gone = time.monotonic()
                self.close_connection = True
            finally:
                request.ended.set()

        def perform(self, event: Event) -> None:
            if isinstance(event, Drop | Reset):
                self.drop(event)
            elif isinstance(event, Hang):
                self.wait(None)
            elif isinstance(event, Pause):
                self.wait(event.seconds)
            elif isinstance(event, Headers):
                self.start()
            elif isinstance(event, Raw):
                self.send(event.data)
            elif isinstance(event, Thought):
                self.send(_delta({"reasoning_content": event.text}))
            elif isinstance(event, str):
                self.send(_delta({"content": event}))
            elif isinstance(event, Finish):
                self.send(_delta({}, event.reason) + (_usage(event.used) if event.used else b"") + b"data: [DONE]\n\n")
            else:
                data = _delta({"content": event.text})
                while True:
                    self.send(data)
                    self.wait(event.pause)

        def start(self) -> None:
            if self.started:
                return
            self.started = True
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            if self.reply.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Connection", "close")
            self.end_headers()

        def send(self, data: bytes) -> None:
            self.start()
            self.wait(0)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self.reply.chunked else data)
            self.request_seen.sent += 1

        def drop(self, event: Drop | Reset) -> None:
            if self.started and self.reply.chunked:
                half = _delta({"content": "this half of a chunk"})
                self.wfile.write(b"%x\r\n%s" % (len(half), half[: len(half) // 2]))
            if isinstance(event, Reset):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.request_seen.gone = self.request_seen.begun  # closed by us: not to be read as the client's doing
            raise _Gone

        def wait(self, seconds: float | None) -> None:
            """Wait `seconds`, or for good; raises `_Gone` as soon as the client has closed the connection."""
            until = None if seconds is None else time.monotonic() + seconds
            while True:
                readable, _, _ = select.select([self.connection], [], [], _POLL_SECONDS if seconds != 0 else 0)
                if (readable and not self.connection.recv(1, socket.MSG_PEEK)) or server.stopping.is_set():
                    raise _Gone
                if until is not None and time.monotonic() >= until:
                    return

    return Handler


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _delta(delta: dict[str, str], finish: str | None = None) -> bytes:
    event = {
        "id": "scripted",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "scripted-1",
        "choices": [{"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _usage(used: Used) -> bytes:
    usage: dict[str, Any] = {
        "prompt_tokens": used.prompt,
        "completion_tokens": used.answer,
        "total_tokens": used.prompt + used.answer,
    }
    if used.cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": used.cached}
    event = {
        "id": "scripted",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "scripted-1",
        "choices": [],
        "usage": usage,
    }
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def serving() -> Iterator[ScriptedServer]:
    """Run a server for the length of a fixture."""
    server = ScriptedServer()
    yield server
    server.close()
