"""The page: three tabs, to ask, for the documents, and for how well search does."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import gradio as gr

from assistant.answer import Assistant, check_question
from assistant.errors import UserError
from assistant.receipts import FileResult, Report
from eval.history import draw, stored_points
from eval.runs import runs_folder
from ui.conversation import MAX_TURNS, Conversation
from ui.relay import Relay
from ui.render import (
    answer_html,
    document_name,
    documents_html,
    editing_html,
    evaluation_html,
    line_html,
    panel_html,
    question_html,
    results_html,
    status_html,
    welcome_html,
)

TITLE = "Ask your documents"
EXAMPLES = (
    "Who founded DeepSeek, and when?",
    "How much market value did Nvidia lose?",
    "How did Chinese developers respond to US export restrictions?",
    "How do I add my own documents?",
)
ASKING = 17  # answers in the making at once: one is written, the core queues the others and tells their place
_BRIDGE = "document.addEventListener('assistant-act', (event) => trigger('click', event.detail));"
Update = dict[str, Any]
Updates = tuple[Any, ...]


def build(assistant: Assistant) -> gr.Blocks:
    """Return the app. Its look is added at launch (`serve.py`)."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as app:
        status = gr.HTML(elem_id="status")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Ask", id="ask"):
                _ask_tab(assistant)
            with gr.Tab("Documents", id="documents") as documents_tab:
                table, show_documents = _documents_tab(assistant)
            with gr.Tab("Evaluation", id="evaluation") as evaluation_tab:
                show_runs = _evaluation_tab(assistant)
        documents_tab.select(**show_documents)
        evaluation_tab.select(**show_runs)

        timer = gr.Timer(2)

        def model_status() -> Updates:
            model = assistant.chat_model
            loading = model.status in ("loading", "not loaded")
            return status_html(model.name, model.status, len(assistant.documents())), gr.Timer(active=loading)

        quiet: dict[str, Any] = {"outputs": [status, timer], "show_progress": "hidden", "queue": False, "api_visibility": "private"}
        gr.on([app.load, timer.tick, table.change], model_status, **quiet)
    return app


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


def _documents_tab(assistant: Assistant) -> tuple[gr.HTML, dict[str, Any]]:
    """Build the tab; returns its table and the event that fills it."""
    with gr.Row(elem_id="manage", equal_height=False):
        with gr.Column(scale=1, min_width=300):
            files = gr.File(label="Add files", file_count="multiple", type="filepath", height=150, elem_id="files")
            results = gr.HTML(elem_id="results")
        with gr.Column(scale=1, min_width=300):
            chosen = gr.Dropdown([], label="Remove a document", value=None, elem_id="chosen")
            with gr.Row():
                remove = gr.Button("Remove…", size="sm", interactive=False, elem_id="remove")
                sync = gr.Button("Sync now", size="sm", elem_id="sync")
            with gr.Group(visible=False, elem_id="confirm") as confirm:
                warning = gr.HTML()
                with gr.Row():
                    yes = gr.Button("Remove it", variant="stop", size="sm", elem_id="yes")
                    no = gr.Button("Keep it", size="sm", elem_id="no")
    wanted = gr.Textbox(placeholder="Filter by name or title", show_label=False, label="Filter", container=False, elem_id="filter")
    table = gr.HTML(elem_id="table")

    shown = [table, chosen]

    def listed(filter: str) -> Updates:
        documents = assistant.documents()
        choices = [(document_name(info), info.id) for info in documents]
        return documents_html(documents, filter[:200]), gr.Dropdown(choices=choices, value=None)

    async def add(paths: list[str] | None, filter: str) -> AsyncGenerator[Updates]:
        """Add the files one after the other; goes on when the page is closed."""
        if not paths:
            return
        sources = [Path(path) for path in paths]
        done: list[FileResult] = []
        yield results_html(done, len(sources), running=True), None, gr.skip(), gr.skip()

        def adding():  # type: ignore[no-untyped-def]
            try:
                yield from assistant.add(sources)
            finally:
                for source in sources:  # the corpus has its own copy
                    source.unlink(missing_ok=True)

        problem = ""
        try:
            async with aclosing(Relay(adding).batches()) as batches:
                async for batch in batches:
                    done += batch
                    yield results_html(done, len(sources), running=len(done) < len(sources)), gr.skip(), *listed(filter)
        except UserError as error:
            problem = line_html(str(error), "problem")
        except Exception as error:
            problem = line_html(f"Something went wrong ({type(error).__name__}): try again.", "problem")
        yield problem + results_html(done, len(sources)), gr.skip(), *listed(filter)

    def sync_now(filter: str, progress: gr.Progress = gr.Progress()) -> Updates:  # noqa: B008  (Gradio finds it there)
        def step(report: Report) -> None:
            progress((report.done, report.total), desc="Reading the corpus folder", unit="files")

        try:
            report = assistant.sync(step)
        except UserError as error:
            return line_html(str(error), "problem"), *listed(filter)
        counts = f"{len(report.results)} files read, {report.unchanged} unchanged, {report.removed} removed."
        return line_html(counts, "hint") + results_html(report.results, 0), *listed(filter)

    def choose(id: str | None) -> Updates:
        return gr.Button(interactive=bool(id)), gr.Group(visible=False)

    def ask_first(id: str | None) -> Updates:
        text = f"Remove {id} for good? The file in the corpus folder is deleted too." if id else ""
        return gr.Group(visible=bool(id)), line_html(text)

    def remove_it(id: str | None, filter: str) -> Updates:
        try:
            if id:
                assistant.remove(id)
            line = line_html(f"{id} was removed.", "hint") if id else ""
        except UserError as error:
            line = line_html(str(error), "problem")
        return line, gr.Group(visible=False), *listed(filter)

    private: dict[str, Any] = {"api_visibility": "private"}
    quick: dict[str, Any] = {**private, "show_progress": "hidden", "queue": False}
    one: dict[str, Any] = {**private, "concurrency_limit": 1, "concurrency_id": "corpus"}
    files.upload(add, [files, wanted], [results, files, *shown], show_progress="hidden", **one)
    sync.click(sync_now, [wanted], [results, *shown], show_progress_on=[results], **one)
    chosen.change(choose, [chosen], [remove, confirm], **quick)
    remove.click(ask_first, [chosen], [confirm, warning], **quick)
    no.click(lambda: gr.Group(visible=False), None, [confirm], **quick)
    yes.click(remove_it, [chosen, wanted], [results, confirm, *shown], show_progress="hidden", **one)
    wanted.change(lambda filter: documents_html(assistant.documents(), filter[:200]), [wanted], [table], **quick)
    return table, {"fn": listed, "inputs": [wanted], "outputs": shown, **quick}


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
