"""The list of conversations as HTML, in which, as in `render.py`, nothing can load or run."""

import html
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from assistant.conversations import Found, Talk
from ui.render import shown

_LISTED = 300  # conversations at once


def talks_html(talks: Sequence[Talk], today: date) -> str:
    """Return the list by day, the newest first; `script.js` marks the one on the page."""
    if not talks:
        return '<p class="hint">Your conversations are kept here.</p>'
    parts: list[str] = []
    label = ""
    for talk in talks[:_LISTED]:
        day = _day(datetime.fromtimestamp(talk.updated).date(), today)
        if day != label:
            parts.append(f"{'</ul>' if label else ''}<h2>{day}</h2><ul>")
            label = day
        parts.append(_row(talk))
    rest = f'<p class="hint">{len(talks) - _LISTED:,} older ones: search to find them.</p>' if len(talks) > _LISTED else ""
    return f'<nav aria-label="Conversations">{"".join(parts)}</ul>{rest}</nav>'


def found_html(found: Sequence[Found]) -> str:
    """Return what a search found, each with the line that holds it."""
    if not found:
        return '<p class="hint" role="status">No conversation holds all these words.</p>'
    rows = "".join(_row(one.talk, one.line) for one in found)
    return f'<nav aria-label="Conversations found"><ul>{rows}</ul></nav>'


def _day(day: date, today: date) -> str:
    if day >= today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    return f"{day.day} {day:%B}" + ("" if day.year == today.year else f" {day.year}")


def _row(talk: Talk, line: str = "") -> str:
    told = f'<span class="line" dir="auto">{shown(line)}</span>' if line else ""
    name = f'<span class="unseen"> {shown(talk.title)}</span>'
    return (
        f'<li><a href="?c={talk.id}" data-talk="{talk.id}"><span dir="auto">{shown(talk.title)}</span>{told}</a>'
        f'<details class="more"><summary aria-label="More">⋯{name}</summary><div>'
        f'<button type="button" data-talk-act="rename" data-to="{talk.id}">Rename</button>'
        f'<button type="button" data-talk-act="link" data-to="{talk.id}">Copy link</button>'
        f'<a href="export/{talk.id}.md" download>Export as Markdown</a>'
        f'<a href="export/{talk.id}.html" download>Export as HTML</a>'
        f'<a href="export/{talk.id}.json" download>Export as JSON</a>'
        f'<button type="button" class="remove" data-talk-act="delete" data-to="{talk.id}">Delete</button></div></details></li>'
    )


def here_html(id: str) -> str:
    """Return what tells `script.js` which conversation is on the page."""
    return f'<span data-id="{id}"></span>'


def sent_html(id: str, question: str, then: str, number: int) -> str:
    """Return the same with the question that has to leave the box, where only the page knows what was typed since.

    `then` comes in its place. Another `number` each time has the page drawn anew for the same question too.
    """
    told = f'data-sent="{html.escape(question)}" data-then="{html.escape(then)}" data-number="{number}"'
    return f'<span data-id="{id}" {told}></span>'


def deleted_html(title: str, id: str) -> str:
    """Return the line after a deletion, with the button that takes it back."""
    return (
        f'<p class="hint" role="status">“{shown(title)}” was deleted. '
        f'<button type="button" data-talk-act="restore" data-to="{id}">Undo</button></p>'
    )
