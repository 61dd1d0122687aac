"""The conversations at the side of the page: found by day or by words, opened, renamed, deleted and had back."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import gradio as gr

from assistant.conversations import Conversations
from assistant.errors import UserError
from ui.events import details
from ui.render import line_html
from ui.render_talks import deleted_html, found_html, talks_html
from ui.talk import QUICK, Parts, Step, TalkTab, View

_BRIDGE = "document.addEventListener('assistant-talks', (event) => trigger('click', event.detail));"
_WANTED = 200  # characters that are read of what is looked for
Updates = tuple[Any, ...]


@dataclass(frozen=True)
class Sidebar:
    """Its parts: `here` of `parts` tells `script.js` which conversation is on the page; another `stamp` has the list filled again."""

    wanted: gr.Textbox
    talks: gr.HTML
    parts: Parts
    bridge: gr.HTML


def sidebar() -> Sidebar:
    """Build the empty list."""
    with gr.Sidebar(position="left", width=280, open=True, elem_id="sidebar"):
        gr.HTML(
            '<h1 class="unseen">Ask your documents</h1><button type="button" id="fresh" data-talk-act="open" data-to="">New conversation</button>',
            elem_id="begin",
        )
        wanted = gr.Textbox(
            "",
            placeholder="Search (Ctrl+K)",
            label="Search conversations",
            show_label=False,
            container=False,
            elem_id="find-talk",
        )
        told = gr.HTML(elem_id="told")
        talks = gr.HTML(elem_id="talks")
    parts = Parts(gr.HTML(elem_id="here", visible="hidden"), gr.HTML(visible="hidden"), told)
    return Sidebar(wanted, talks, parts, gr.HTML(elem_id="talks-bridge", js_on_load=_BRIDGE, visible="hidden"))


def wire(app: gr.Blocks, side: Sidebar, tab: TalkTab, kept: Conversations, user_header: str) -> None:
    """Have the list and the page follow each other. `user_header` names the header in which a proxy tells who asks."""

    def user_of(request: gr.Request) -> str:
        return str(request.headers.get(user_header, "")) if user_header else ""

    def load(now: View, request: gr.Request) -> Step:
        if not now.id:  # else the reader has asked before Gradio said that the page is loaded
            now = View(user_of(request), str(request.query_params.get("c", "")))
        return lambda: tab.show(now, passive=True)

    def listed(now: View, wanted: str, request: gr.Request) -> str:
        wanted = wanted[:_WANTED]
        user = now.user or user_of(request)
        return found_html(kept.search(user, wanted)) if wanted.strip() else talks_html(kept.talks(user), date.today())

    def act(now: View, data: dict[str, Any]) -> Updates:
        """Do what the list asks for."""
        wish, to, text = (str(data.get(name) or "") for name in ("act", "to", "text"))
        told, after = "", now
        try:
            if wish == "open":
                after = View(now.user, to)
            elif wish == "rename":
                kept.rename(now.user, to, text)
            elif wish == "restore":
                kept.restore(now.user, to)
                after = now if now.id else View(now.user, to)
            elif wish == "delete":
                told = deleted_html(kept.talk(now.user, to).title, to)
                kept.delete(now.user, to)
                after = View(now.user) if to == now.id else now
        except UserError as error:
            told = line_html(str(error), "problem")
        return tab.show(after, told, None if after is now else now.typed, passive=after is now)

    @tab.steps
    def acted(now: View, event: gr.EventData, request: gr.Request) -> Step:
        return lambda: act(now, details(event))

    app.unload(tab.forget)
    app.load(tab.steps(load, passive=True), [tab.view], tab.shown, **QUICK).then(**tab.following)
    side.bridge.click(acted, [tab.view], tab.shown, **QUICK).then(**tab.following)
    gr.on([side.wanted.change, side.parts.stamp.change], listed, [tab.view, side.wanted], [side.talks], **QUICK)
