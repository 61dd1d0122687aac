"""The page: the conversations at its side, and tabs to ask, to search, for the documents, and for how well search does."""

import time
from typing import Any

import gradio as gr

from assistant.answer import Assistant
from assistant.conversations import Conversations
from ui.desk import Desk
from ui.documents import DocumentsTab, documents_tab, follow
from ui.evaluating import Evaluating
from ui.evaluation import EvaluationTab, evaluation_tab
from ui.evaluation import View as EvaluationView
from ui.render import line_html, status_html
from ui.search import search_tab
from ui.syncing import Syncing
from ui.talk import TalkTab, View, talk_tab
from ui.talks import sidebar, wire

TITLE = "Ask your documents"
_OFTEN, _SELDOM = 0.7, 2.0  # seconds between two looks at what goes on: when something does, and when not
Updates = tuple[Any, ...]


def build(assistant: Assistant, desk: Desk, kept: Conversations, evaluating: Evaluating) -> gr.Blocks:
    """Return the app. Its look is added at launch (`serve.py`)."""
    syncing = Syncing(assistant)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as app:
        side = sidebar()
        status = gr.HTML(elem_id="status")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Ask", id="ask"):
                talk = talk_tab(assistant, desk, kept, TITLE, side.parts)
            with gr.Tab("Search", id="search"):
                search_tab(assistant)
            with gr.Tab("Documents", id="documents") as documents_page:
                tab = documents_tab(assistant, syncing)
            with gr.Tab("Evaluation", id="evaluation") as evaluation_page:
                evaluation = evaluation_tab(assistant, evaluating)
        documents_page.select(**tab.show)
        evaluation_page.select(**evaluation.show)
        wire(app, side, talk, kept, assistant.settings.user_header)
        _follow(app, assistant, syncing, status, tab, talk, evaluation, evaluating, kept, side.parts.stamp)
    return app


def _follow(
    app: gr.Blocks,
    assistant: Assistant,
    syncing: Syncing,
    status: gr.HTML,
    tab: DocumentsTab,
    talk: TalkTab,
    evaluation: EvaluationTab,
    evaluating: Evaluating,
    kept: Conversations,
    talks_stamp: gr.HTML,
) -> None:
    """Keep the line on top and what goes on in each tab up to date, with one small request every few seconds."""
    timer = gr.Timer(_SELDOM)
    line_seen = gr.State("")

    def look(
        line_before: str, seen: Updates, view: View, eval_view: EvaluationView, eval_seen: Updates, request: gr.Request
    ) -> Updates:
        model = assistant.chat_model
        running = syncing.running
        line = status_html(model.name, model.status, assistant.document_count(), running, assistant.notice)
        now, updates = follow(syncing, assistant.revision, _watched(assistant), seen, time.monotonic())
        eval_now, eval_updates = evaluation.follow(eval_view, eval_seen)
        often = running is not None or evaluating.running is not None or model.status in ("loading", "not loaded")
        tick = gr.Timer(_OFTEN if often else _SELDOM) if line != line_before or now != seen or eval_now != eval_seen else gr.skip()
        line_update = gr.skip() if line == line_before else line
        told = (str(kept.revision), talk.behind(view, request))
        return line_update, line, now, *updates, eval_now, *eval_updates, tick, *told

    documents = [tab.seen, tab.progress, tab.sync, tab.stop, tab.stamp]
    outputs = [status, line_seen, *documents, evaluation.seen, *evaluation.watched, timer, talks_stamp, talk.news]
    quiet: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    inputs = [line_seen, tab.seen, talk.view, evaluation.view, evaluation.seen]
    gr.on([app.load, timer.tick], look, inputs, outputs, **quiet)


def _watched(assistant: Assistant) -> str:
    """Return the line about the watching of the folder."""
    watching = assistant.watching
    if watching is None:
        return ""
    if watching.status:
        return line_html(watching.status)
    return line_html("The folder is watched: what changes in it is indexed by itself.", "hint")
