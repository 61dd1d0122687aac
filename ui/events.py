"""What the events of the page may carry: whatever else comes is refused in one line, before Gradio or a handler stumbles over it."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import gradio as gr

_SESSION = re.compile(r"[\w-]{1,64}")
_DEEPEST = 20  # nested lists and objects


class BadEvent(ValueError):
    """An event that the page doesn't send."""


class Events:
    """The events of `app`, as requests to Gradio's queue name them."""

    def __init__(self, app: gr.Blocks) -> None:
        self._app = app

    def check(self, body: bytes) -> str:
        """Return which page sent an event; raises `BadEvent` when `body` is none that the page could have sent."""
        try:
            event = json.loads(body, parse_constant=_no_number, parse_float=_number)
            json.dumps(event, ensure_ascii=False).encode()  # lone surrogates can be neither stored nor sent
            nested = _depth(event)
        except (ValueError, RecursionError):
            raise BadEvent("This is no event of the page, or its text has half of a character in it.") from None
        if not isinstance(event, dict) or nested > _DEEPEST:
            raise BadEvent("This is no event of the page.")
        number, session = event.get("fn_index"), event.get("session_hash")
        function = self._app.fns.get(number) if type(number) is int else None
        if function is None or not isinstance(session, str) or not _SESSION.fullmatch(session):
            raise BadEvent("This page has no such event: load it again.")
        data, trigger = event.get("data"), event.get("trigger_id")
        if not isinstance(data, list) or len(data) != len(function.inputs) or event.get("batched") or event.get("simple_format"):
            raise BadEvent("This event has other parts on this page: load it again.")
        if trigger is not None and (type(trigger) is not int or trigger not in self._parts()):
            raise BadEvent("This page has no such part: load it again.")
        for part, value in zip(function.inputs, data, strict=True):
            if not all(_KINDS[kind](value) for kind in _KINDS if isinstance(part, kind)):
                raise BadEvent("A part of this page holds nothing of that kind: load the page again.")
        return session

    def has_news(self, session: str) -> bool:
        """Whether the page called `session` has sent events whose outcome it may ask for."""
        return session in self._app._queue.pending_messages_per_session

    def pending(self, session: str) -> bool:
        """Whether events of the page called `session` are not over, or it has not been told so."""
        return bool(self._app._queue.pending_event_ids_session.get(session))

    def _parts(self) -> set[int | None]:
        return {part for function in self._app.fns.values() for part, _ in function.targets}


def details(event: gr.EventData) -> dict[str, Any]:
    """Return what a script of the page told with an event; a visitor may have sent anything."""
    return event._data if isinstance(event._data, dict) else {}


def number_in(data: dict[str, Any], name: str) -> int:
    """Return the whole number called `name` in such details, 0 when there is none that a page would tell."""
    value = data.get(name)
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if type(value) is int and 0 <= value < 1_000_000_000 else 0


def _no_number(name: str) -> float:
    raise ValueError(name)


def _number(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def _depth(value: object) -> int:
    """Return how deep `value` is nested."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inside), default=0)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


_KINDS: dict[type, Callable[[Any], bool]] = {
    gr.State: lambda value: value is None,  # it is the server's
    gr.Textbox: _is_text,
    gr.Dropdown: lambda value: value is None or _is_text(value) or (isinstance(value, list) and all(map(_is_text, value))),
    gr.Radio: lambda value: value is None or _is_text(value),
    gr.Slider: _is_number,
    gr.Number: lambda value: value is None or _is_number(value),
    gr.Checkbox: lambda value: isinstance(value, bool),
    gr.File: lambda value: value is None,  # files come by another way (`uploads.py`)
}
