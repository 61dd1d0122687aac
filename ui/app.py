"""The page: three tabs, to ask, for the documents, and for how well search does."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import gradio as gr

from assistant.answer import Assistant, check_question
from assistant.errors import UserError
from eval.history import draw, stored_points
from eval.runs import runs_folder
from ui.conversation import MAX_TURNS, Conversation
from ui.documents import DocumentsTab, documents_tab, follow
from ui.render import (
    answer_html,
    editing_html,
    evaluation_html,
    line_html,
    panel_html,
    question_html,
    status_html,
    welcome_html,
)
from ui.syncing import Syncing

TITLE = "Ask your documents"
EXAMPLES = (
    "Who founded DeepSeek, and when?",
    "How much market value did Nvidia lose?",
    "How did Chinese developers respond to US export restrictions?",
    "How do I add my own documents?",
)
ASKING = 17  # answers in the making at once: one is written, the core queues the others and tells their place
_OFTEN, _SELDOM = 0.7, 2.0  # seconds between two looks at what goes on: when something does, and when not
_BRIDGE = "document.addEventListener('assistant-act', (event) => trigger('click', event.detail));"
Update = dict[str, Any]
Updates = tuple[Any, ...]


def build(assistant: Assistant) -> gr.Blocks:
    """Return the app. Its look is added at launch (`serve.py`)."""
    syncing = Syncing(assistant)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as app:
        status = gr.HTML(elem_id="status")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Ask", id="ask"):
                _ask_tab(assistant)
            with gr.Tab("Documents", id="documents") as documents_page:
                tab = documents_tab(assistant, syncing)
            with gr.Tab("Evaluation", id="evaluation") as evaluation_page:
                show_runs = _evaluation_tab(assistant)
        documents_page.select(**tab.show)
        evaluation_page.select(**show_runs)
        _follow(app, assistant, syncing, status, tab)
    return app


def _follow(app: gr.Blocks, assistant: Assistant, syncing: Syncing, status: gr.HTML, tab: DocumentsTab) -> None:
    """Keep the line on top and the syncs on the page up to date, with one small request every few seconds."""
    timer = gr.Timer(_SELDOM)
    line_seen = gr.State("")

    def look(line_before: str, seen: Updates) -> Updates:
        model = assistant.chat_model
        running = syncing.running
        line = status_html(model.name, model.status, assistant.document_count(), running, assistant.notice)
        now, updates = follow(syncing, assistant.revision, _watched(assistant), seen, time.monotonic())
        often = running is not None or model.status in ("loading", "not loaded")
        tick = gr.Timer(_OFTEN if often else _SELDOM) if line != line_before or now != seen else gr.skip()
        return gr.skip() if line == line_before else line, line, now, *updates, tick

    outputs = [status, line_seen, tab.seen, tab.progress, tab.sync, tab.stop, tab.stamp, timer]
    quiet: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    gr.on([app.load, timer.tick], look, [line_seen, tab.seen], outputs, **quiet)


def _watched(assistant: Assistant) -> str:
    """Return the line about the watching of the folder."""
    watching = assistant.watching
    if watching is None:
        return ""
    if watching.status:
        return line_html(watching.status)
    return line_html("The folder is watched: what changes in it is indexed by itself.", "hint")


def _ask_tab(assistant: Assistant) -> None:
    settings = assistant.settings
    here = settings.embedded or settings.extractive
    model_place = "" if here else settings.base_url or settings.chat_model
    conversation = gr.State(Conversation(), time_to_live=86_400, delete_callback=Conversation.stop)
    with gr.Row(elem_id="columns", equal_height=False):
        with gr.Column(scale=3, min_width=320, elem_id="talk"):
            chat = gr.Chatbot(
                elem_id="chat",
                show_label=False,
                label="Conversation",
                container=False,
                layout="bubble",
                placeholder=welcome_html(TITLE, model_place),
                examples=[{"text": text} for text in EXAMPLES],
                buttons=[],
                feedback_options=None,
                sanitize_html=True,
                allow_tags=False,
                latex_delimiters=[],
                allow_file_downloads=False,
                group_consecutive_messages=False,
            )
            problem = gr.HTML(elem_id="problem")
            box = gr.Textbox(
                elem_id="question",
                show_label=False,
                label="Your question",
                placeholder="Ask a question about your documents",
                lines=1,
                max_lines=8,
                autofocus=True,
                container=False,
                submit_btn="Send",
                stop_btn=False,
            )
            with gr.Row(elem_id="below"):
                gr.HTML('<p class="hint">Enter sends, Shift+Enter starts a new line.</p>')
                fresh = gr.Button("New conversation", size="sm", elem_id="fresh", min_width=120)
        with gr.Column(scale=2, min_width=280, elem_id="side"):
            panel = gr.HTML(panel_html([]), elem_id="panel")
    bridge = gr.HTML(elem_id="bridge", js_on_load=_BRIDGE, visible="hidden")

    outputs = [chat, panel, problem, box]

    async def answering(talk: Conversation, question: str, turn: int) -> AsyncGenerator[Updates]:
        """Write one answer to the page; the question stays in the box when it can't be asked."""
        try:
            question = check_question(question)
            if talk.running:
                raise UserError("An answer is still being written: stop it first, or wait.")
            if turn >= MAX_TURNS:
                raise UserError(f"This conversation has {MAX_TURNS} questions: start a new one.")
        except UserError as error:
            yield gr.skip(), gr.skip(), line_html(str(error), "problem"), gr.skip()
            return
        before = _messages(talk, turn)
        panel_now = ""
        first = True
        async with aclosing(talk.ask(assistant, question, turn)) as snapshots:
            async for answer in snapshots:
                messages = [*before, *_exchange(talk, turn)]
                panel_before, panel_now = panel_now, panel_html(talk.answers)
                sources = gr.skip() if panel_now == panel_before else panel_now
                if first:
                    typing: Update = gr.Textbox(value="", submit_btn=False, stop_btn="Stop")
                elif answer.final:
                    typing = gr.Textbox(submit_btn="Send", stop_btn=False)
                else:
                    typing = gr.skip()
                yield messages, sources, "" if first else gr.skip(), typing
                first = False

    async def ask(talk: Conversation, question: str) -> AsyncGenerator[Updates]:
        turn = len(talk.answers) if talk.editing is None else talk.editing
        async with aclosing(answering(talk, question, turn)) as updates:
            async for update in updates:
                yield update

    async def suggest(talk: Conversation, picked: gr.SelectData) -> AsyncGenerator[Updates]:
        async with aclosing(answering(talk, str(picked.value.get("text", "")), len(talk.answers))) as updates:
            async for update in updates:
                yield update

    async def act(talk: Conversation, event: gr.EventData) -> AsyncGenerator[Updates]:
        """Do what a button in a message asks for: edit a question, or answer it again."""
        data = event._data or {}
        turn, wanted = data.get("turn"), data.get("act")
        if wanted == "leave":
            talk.editing = None
            yield gr.skip(), gr.skip(), "", ""
            return
        if not isinstance(turn, int) or not 0 <= turn < len(talk.answers):
            return
        question = talk.answers[turn].question
        if wanted == "again":
            async with aclosing(answering(talk, question, turn)) as updates:
                async for update in updates:
                    yield update
        elif wanted == "edit" and not talk.running:
            talk.editing = turn
            yield gr.skip(), gr.skip(), editing_html(last=turn == len(talk.answers) - 1), question

    def stop(talk: Conversation) -> None:
        talk.stop()

    def start_anew(talk: Conversation) -> Updates:
        talk.stop()
        return Conversation(), [], panel_html([]), "", gr.Textbox(submit_btn="Send", stop_btn=False)

    writing: dict[str, Any] = {
        "outputs": outputs,
        "show_progress": "hidden",
        "concurrency_limit": ASKING,
        "concurrency_id": "asking",
        "api_visibility": "private",
    }
    quick: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    box.submit(ask, [conversation, box], **writing)
    chat.example_select(suggest, [conversation], **writing)
    bridge.click(act, [conversation], **writing)
    box.stop(stop, [conversation], None, **quick)
    gr.on([fresh.click, chat.clear], start_anew, [conversation], [conversation, *outputs], **quick)


def _exchange(talk: Conversation, turn: int) -> list[dict[str, str]]:
    answer = talk.answers[turn]
    return [
        {"role": "user", "content": question_html(answer.question, turn)},
        {"role": "assistant", "content": answer_html(answer, turn)},
    ]


def _messages(talk: Conversation, turns: int) -> list[dict[str, str]]:
    return [message for turn in range(min(turns, len(talk.answers))) for message in _exchange(talk, turn)]


def _evaluation_tab(assistant: Assistant) -> dict[str, Any]:
    """Build the tab; returns the event that fills it."""
    page = gr.HTML(line_html("Reading the runs…", "hint"), elem_id="evaluation")

    def runs() -> str:
        found = stored_points(runs_folder(assistant.settings))
        try:
            png = draw(found) if found else b""
        except Exception:  # whatever the plot's library makes of a name, the table stands
            png = b""
        return evaluation_html(found, png)

    return {"fn": runs, "inputs": None, "outputs": [page], "show_progress": "hidden", "queue": False, "api_visibility": "private"}
