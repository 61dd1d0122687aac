"""One stream of events for each page, without the gap in which Gradio loses an event.

Gradio ends the stream of a page after the last event that it knows of, and the page opens another for the next one. But an
event that is sent before the page has read of that end is never delivered: the page takes the old stream for open.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_END = b'data: {"msg":"close_stream"'
_PATIENCE = 3.0  # seconds that a page gets to read that its stream ends


class Streams:
    """The streams of all pages; `pending` says whether a page has events that are not over."""

    def __init__(self, pending: Callable[[str], bool]) -> None:
        self._pending = pending
        self._sending = Counter[str]()  # events on their way from a page
        self._ending: dict[str, asyncio.Event] = {}  # is set when the page has read that its stream ends

    @asynccontextmanager
    async def sending(self, session: str) -> AsyncIterator[None]:
        """Hold an event of a page back while its stream ends, and let the stream go on until the event is known."""
        ending = self._ending.get(session)
        if ending is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), _PATIENCE)
        self._sending[session] += 1
        try:
            yield
        finally:
            self._sending[session] -= 1
            if not self._sending[session]:
                del self._sending[session]

    async def stream(self, app: ASGIApp, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream that `app` has for a page, over and over while there is more to come."""
        started, end = False, b""

        async def sending(message: Message) -> None:
            nonlocal started, end
            if message["type"] == "http.response.start":
                if not started:
                    started = True
                    await send(message)
            elif message.get("body", b"").startswith(_END):
                end = message["body"]
            elif not end:
                await send(message)

        while True:
            await app(scope, receive, sending)
            if not end:
                return
            if not self._sending[session] and not self._pending(session):
                break
            end = b""
        read = self._ending[session] = asyncio.Event()
        try:
            await send({"type": "http.response.body", "body": end, "more_body": True})
            with suppress(TimeoutError):
                await asyncio.wait_for(_left(receive), _PATIENCE)  # Gradio's script hangs up when it has read that
        finally:
            read.set()
            if self._ending.get(session) is read:
                del self._ending[session]
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
