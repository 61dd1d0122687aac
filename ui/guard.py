"""What every request passes: which hosts and paths are served, how large a body may be, and safe headers."""

import asyncio
import re
from contextlib import nullcontext
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui import receiving
from ui.streams import Streams

if TYPE_CHECKING:
    from ui.events import Events

MAX_BODY = 1_000_000  # bytes of any request but an upload
_MAX_EVENT = 8_000_000  # bytes of an event: text that is far too long is told so by who reads it, not by a number
_DATA = "/gradio_api/queue/data"
# What Gradio itself would say, with a traceback in the log.
_NO_SESSION = 'data: {"msg":"unexpected_error","message":"This page is not known: load it again.","success":false,"session_not_found":true}\n\n'
_JOIN = "/gradio_api/queue/join"
_EVENTS = (_JOIN, "/gradio_api/run/predict")
_HEADERS = {
    # Gradio's page runs inline scripts, and its HTML component makes functions from strings.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "font-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# No file is served: `file=` would also fetch any address of the internet for a visitor. The others are of no use here.
_CLOSED = re.compile(
    r"/gradio_api/+(file|runs|run-history|proxy|deep_link|vibe|undo-vibe|dev/|stream/|api/|call/|component_server|process_recording"
    r"|run/(?!predict\?)|upload/|custom_component)|^/monitoring",
    re.IGNORECASE,
)


class Guard:
    """ASGI middleware around Gradio's app, which serves `port` of this machine."""

    def __init__(self, app: ASGIApp, port: int, events: "Events") -> None:
        self.app, self.events = app, events
        self.streams = Streams(events.pending)
        names = ("127.0.0.1", "localhost", "[::1]")
        self.hosts = {f"{name}:{port}" for name in names} | (set(names) if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # Gradio needs no web sockets
        send = _with_headers(send)
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
        elif scope["path"] == _DATA:
            session = QueryParams(scope["query_string"]).get("session_hash", "")
            if self.events.has_news(session):
                await self.streams.stream(self.app, session, scope, receive, send)
            else:
                await PlainTextResponse(_NO_SESSION, media_type="text/event-stream")(scope, receive, send)
        elif scope["path"] == receiving.PATH or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
        else:
            await self._with_small_body(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        # A page of another site whose name was pointed at this machine sends its own name as host.
        if headers.get("host", "").lower() not in self.hosts:
            return PlainTextResponse("This address is not served: use http://127.0.0.1 with the port.", 403)
        origin = headers.get("origin")
        if origin is not None and origin.lower().removeprefix("http://") not in self.hosts:
            return PlainTextResponse("Requests from other sites are not served.", 403)
        path = _decoded(scope["path"] + "?" + scope.get("query_string", b"").decode("latin-1"))
        return PlainTextResponse("Not served.", 403) if _CLOSED.search(path) else None

    async def _with_small_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_event = scope["path"] in _EVENTS
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > (_MAX_EVENT if is_event else MAX_BODY):
                await JSONResponse({"detail": "This is too long to be sent: shorten it."}, 413)(scope, receive, send)
                return
        session = ""
        if is_event:
            try:
                session = await asyncio.to_thread(self.events.check, bytes(body))
            except ValueError as error:
                await JSONResponse({"detail": str(error)}, 422)(scope, receive, send)
                return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        async with self.streams.sending(session) if scope["path"] == _JOIN else nullcontext():
            await self.app(scope, replay, send)


def _decoded(path: str) -> str:
    for _ in range(4):
        path, before = unquote(path), path
        if path == before:
            break
    return path


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return sending
