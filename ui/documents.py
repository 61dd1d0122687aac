"""The tab of the documents: adding, syncing, the table, and the view of one document."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gradio as gr

from assistant.answer import Assistant
from assistant.errors import UserError
from assistant.receipts import FileResult, Report, counted
from ui.listing import Order, Shelf
from ui.relay import Relay
from ui.render import line_html
from ui.render_documents import (
    CHUNKS,
    changes_html,
    document_html,
    documents_html,
    outcome_html,
    progress_html,
    results_html,
)
from ui.syncing import Syncing

_BRIDGE = "document.addEventListener('assistant-documents', (event) => trigger('click', event.detail));"
_FILTER, _URL = 200, 4000  # characters that are read of what is typed
Update = dict[str, Any]
Updates = tuple[Any, ...]


@dataclass(frozen=True)
class View:
    """What one reader looks at: the order of the table, and the document that is open (empty for none) at which page."""

    order: Order = field(default_factory=Order)
    open: str = ""
    page: int = 0


@dataclass(frozen=True)
class DocumentsTab:
    """What the rest of the page needs of the tab: `show` is the event that fills the table.

    `seen` is what the page shows of the sync: it is emptied by whatever changes that in another way. Another value of
    `stamp` has the table filled again.
    """

    progress: gr.HTML
    sync: gr.Button
    stop: gr.Button
    seen: gr.State
    stamp: gr.HTML
    show: dict[str, Any]


def documents_tab(assistant: Assistant, syncing: Syncing) -> DocumentsTab:
    """Build the tab."""
    shelf = Shelf(assistant.documents, lambda: assistant.revision)
    view, seen = gr.State(View()), gr.State(())
    with gr.Column(elem_id="shelf"):
        with gr.Row(elem_id="manage", equal_height=False):
            with gr.Column(scale=1, min_width=280):
                files = gr.File(label="Add files", file_count="multiple", type="filepath", height=132, elem_id="files")
                url = gr.Textbox(
                    "",
                    label="Add a page by its address",
                    placeholder="Add a page by its address: https://…",
                    show_label=False,
                    container=False,
                    elem_id="url",
                    max_lines=1,
                    max_length=_URL,
                    submit_btn="Add page",
                )
            with gr.Column(scale=1, min_width=280):
                with gr.Row(elem_id="syncing"):
                    sync = gr.Button("Sync now", size="sm", elem_id="sync", min_width=90)
                    ask = gr.Button("What would change?", size="sm", elem_id="plan", min_width=90)
                    rebuild = gr.Button("Rebuild index", size="sm", elem_id="rebuild", min_width=90)
                    stop = gr.Button("Stop", size="sm", elem_id="stop", variant="stop", visible=False, min_width=90)
                progress = gr.HTML(elem_id="progress")
        results = gr.HTML(elem_id="results")
        wanted = gr.Textbox(
            "", placeholder="Filter by name or title", show_label=False, label="Filter", container=False, elem_id="filter"
        )
        table = gr.HTML(elem_id="table")
    reading = gr.HTML(elem_id="reading")
    stamp = gr.HTML(visible="hidden")  # no state: those of events beside the queue tell of no change
    bridge = gr.HTML(elem_id="documents-bridge", js_on_load=_BRIDGE, visible="hidden")

    def listed(now: View, filter: str) -> str:
        return documents_html(shelf.documents(), filter[:_FILTER], now.order)

    def waiting() -> str:
        return line_html("The sync that runs now is finished first.", "hint") if syncing.running else ""

    async def add(paths: list[str] | None, now: View, filter: str) -> AsyncGenerator[Updates]:
        """Add the files one after the other; goes on when the page is closed."""
        if not paths:
            return
        sources = [Path(path) for path in paths]
        yield waiting() + results_html([], len(sources), running=True), None, gr.skip()

        def adding() -> Iterator[FileResult]:
            try:
                yield from syncing.adding(lambda: assistant.add(sources))
            finally:
                for source in sources:  # the corpus has its own copy
                    source.unlink(missing_ok=True)

        done: list[FileResult] = []
        problem = ""
        try:
            async with aclosing(Relay(adding).batches()) as batches:
                async for batch in batches:
                    done += batch
                    yield results_html(done, len(sources), running=len(done) < len(sources)), gr.skip(), gr.skip()
        except Exception as error:
            problem = line_html(_reason(error), "problem")
        yield problem + results_html(done, len(sources)), gr.skip(), listed(now, filter)

    def add_page(address: str, now: View, filter: str) -> Iterator[Updates]:
        """Fetch a page and add it; its address stays in the box when that fails."""
        address = address[:_URL].strip()
        if not address:
            yield line_html("Paste the address of the page first, such as https://…", "problem"), gr.skip(), gr.skip()
            return
        yield waiting() + line_html(f"Fetching {address}…", "hint"), gr.Textbox(submit_btn=False), gr.skip()
        try:
            done = list(syncing.adding(lambda: iter([assistant.add_url(address)])))
            failed = not all(result.ok for result in done)
            shown = results_html(done, 1)
        except Exception as error:
            failed, shown = True, line_html(f"The page was not added: {_reason(error)}", "problem")
        box = gr.Textbox(submit_btn="Add page") if failed else gr.Textbox(value="", submit_btn="Add page")
        yield shown, box, listed(now, filter)

    def sync_now() -> Updates:
        syncing.start()
        return progress_html(Report()), gr.Button(interactive=False), gr.Button(visible=True), (), ""

    def stop_now() -> Update:
        syncing.stop()
        update: Update = gr.Button("Stopping…", interactive=False)
        return update

    def plan() -> Iterator[str]:
        yield line_html("Comparing the folder with the index…", "hint")
        try:
            yield changes_html(assistant.changes())
        except Exception as error:
            yield line_html(_reason(error), "problem")

    def rebuild_now() -> Iterator[str]:
        yield line_html("Rebuilding the index. Questions are answered from the old one meanwhile.", "hint")
        try:
            began = time.monotonic()
            assistant.reindex()
            took = time.monotonic() - began
            yield line_html(f"The index is new: {counted(assistant.corpus.chunk_count(), 'chunk')} in {took:.1f} s.", "hint")
        except Exception as error:
            yield line_html(f"The index was not rebuilt, the old one stays: {_reason(error)}", "problem")

    def act(now: View, filter: str, event: gr.EventData) -> Updates:
        """Do what a button in the table or in a document asks for."""
        data = event._data or {}
        wish, to = str(data.get("act")), str(data.get("to"))
        if wish == "sort":
            now = replace(now, order=now.order.by(to))
            return now, listed(now, filter), gr.skip(), gr.skip()
        if wish == "remove":
            line = _remove(assistant, shelf.file(to))
            now = replace(now, open="", page=0)
            return now, listed(now, filter), "", line
        if wish in ("open", "page"):
            key, page = (to, 0) if wish == "open" else (now.open, int(to) if to.isdecimal() else 0)
            page_html = _document(assistant, shelf, key, page)
            if page_html:
                return replace(now, open=key, page=page), gr.skip(), page_html, gr.skip()
            gone = line_html("This document is not there any more.", "problem")
            return replace(now, open=""), listed(now, filter), "", gone
        return replace(now, open=""), gr.skip(), "", gr.skip()

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    quick: dict[str, Any] = {**private, "queue": False}
    one: dict[str, Any] = {**private, "concurrency_limit": 1, "concurrency_id": "corpus"}
    show: dict[str, Any] = {"fn": listed, "inputs": [view, wanted], "outputs": [table], **quick}
    files.upload(add, [files, view, wanted], [results, files, table], **one)
    url.submit(add_page, [url, view, wanted], [results, url, table], **one)
    sync.click(sync_now, None, [progress, sync, stop, seen, results], **quick)
    stop.click(stop_now, None, [stop], **quick)
    ask.click(plan, None, [results], **private)
    rebuild.click(rebuild_now, None, [results], **one)
    bridge.click(act, [view, wanted], [view, table, reading, results], **quick)
    gr.on([wanted.change, stamp.change], **show)
    return DocumentsTab(progress, sync, stop, seen, stamp, show)


def follow(syncing: Syncing, revision: int, watched: str, seen: Updates, clock: float) -> tuple[Updates, list[Any]]:
    """Return what a page that shows `seen` has to show of the syncs now, and the updates of its `progress`, `sync`, `stop`, `stamp`.

    `watched` is a line about the watching of the folder, `clock` any time in seconds.
    """
    running = syncing.running
    if running:
        html, stamp = progress_html(running), f"{clock // 10}"  # the table is filled again every ten seconds
    else:
        html, stamp = (outcome_html(syncing.last) if syncing.last else "") + watched, f"at {revision}"
    now = (html, running is not None, stamp)
    if now == seen:
        return now, [gr.skip()] * 4
    buttons = [gr.Button(interactive=not running), gr.Button("Stop", interactive=True, visible=bool(running))]
    same_buttons = len(seen) == 3 and seen[1] == now[1]
    return now, [html, *([gr.skip()] * 2 if same_buttons else buttons), stamp]


def _document(assistant: Assistant, shelf: Shelf, key: str, page: int) -> str:
    """Return a document's view, empty when there is none for `key`."""
    info = shelf.find(key)
    if info is None:
        return ""
    chunks = assistant.chunks(info.id, page * CHUNKS, CHUNKS) if not info.reason else []
    return document_html(info, chunks, page, shelf.inside(info.id), assistant.address(info.file))


def _remove(assistant: Assistant, file: str) -> str:
    """Remove a file; returns a line about it."""
    if not file:
        return line_html("This document is not there any more.", "problem")
    try:
        copies = assistant.remove(file)
    except Exception as error:
        return line_html(_reason(error), "problem")
    stays = f" The same text stays as {', '.join(copies[:3])}{' and others' if len(copies) > 3 else ''}." if copies else ""
    return line_html(f"{file} was removed.{stays}", "hint")


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"Something went wrong ({type(error).__name__}): try again."
