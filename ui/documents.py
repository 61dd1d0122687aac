"""The tab of the documents: adding, syncing, the table, and the view of one document."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from assistant.answer import Assistant
from assistant.catalog import DocumentInfo
from assistant.errors import UserError
from assistant.receipts import Report, counted
from assistant.selections import Selection
from ui.events import details, number_in
from ui.listing import STATES, Order, Shelf, Sieve, counts, key_of, wanted_files
from ui.render import line_html
from ui.render_documents import CHUNKS, changes_html, document_html, outcome_html, progress_html, results_html
from ui.render_table import documents_html, sieve_html
from ui.syncing import Syncing
from ui.uploads import UPLOAD_BRIDGE, Drop, added, drop_html, reason_of

_BRIDGE = "document.addEventListener('assistant-documents', (event) => trigger('click', event.detail));"
_AGAIN = "document.addEventListener('assistant-again', (event) => trigger('click', event.detail));"
_FILTER, _URL = 200, 4000  # characters that are read of what is typed
_GONE = "This document is not there any more."
Update = dict[str, Any]
Updates = tuple[Any, ...]


@dataclass(frozen=True)
class View:
    """What one reader looks at: the `part` of the table as it is sieved and ordered, and the document that is open at which page.

    `open` is empty when none is.
    """

    order: Order = field(default_factory=Order)
    sieve: Sieve = field(default_factory=Sieve)
    part: int = 0
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
    shelf = Shelf(assistant.documents, lambda: assistant.revision, lambda: assistant.report.left)
    view, seen, dropped = gr.State(View()), gr.State(()), gr.State(Drop())
    with gr.Column(elem_id="shelf"):
        with gr.Row(elem_id="manage", equal_height=False):
            with gr.Column(scale=1, min_width=280):
                gr.HTML(drop_html(assistant.settings.upload_mb), elem_id="files")
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
        with gr.Row(elem_id="sieve", equal_height=True):
            wanted = gr.Textbox(
                "", placeholder="Filter by name or title", show_label=False, label="Filter", container=False, elem_id="filter"
            )
            choices = gr.HTML(elem_id="choices")
        table = gr.HTML(elem_id="table")
    reading = gr.HTML(elem_id="reading")
    stamp = gr.HTML(visible="hidden")  # no state: those of events beside the queue tell of no change
    bridge = gr.HTML(elem_id="documents-bridge", js_on_load=_BRIDGE, visible="hidden")
    again = gr.HTML(elem_id="again-bridge", js_on_load=_AGAIN, visible="hidden")
    upload = gr.HTML(elem_id="upload-bridge", js_on_load=UPLOAD_BRIDGE, visible="hidden")

    def listed(now: View, words: str) -> tuple[str, str]:
        files = shelf.files()
        sieve = replace(now.sieve, words=words[:_FILTER].strip())
        saved, chosen, problem = _selections(assistant, sieve.selection)
        found = wanted_files(files, sieve, now.order, chosen)
        table = documents_html(found, len(shelf.documents()), sieve, now.order, now.part)
        return problem + table, sieve_html(sieve, counts(files), saved)

    def sieved(now: View, words: str) -> Updates:
        now = replace(now, part=0)
        return now, *listed(now, words)

    async def add(now: View, words: str, drop: Drop, event: gr.EventData) -> AsyncGenerator[Updates]:
        async with aclosing(added(assistant, syncing, details(event), drop)) as lots:
            async for html, drop in lots:
                yield html, drop, gr.skip(), gr.skip()
        yield gr.skip(), drop, *listed(now, words)

    def add_page(address: str, now: View, words: str) -> Iterator[Updates]:
        """Fetch a page and add it; its address stays in the box when that fails."""
        address = address[:_URL].strip()
        same = gr.skip(), gr.skip()
        if not address:
            yield line_html("Paste the address of the page first, such as https://…", "problem"), gr.skip(), *same
            return
        waiting = line_html("The sync that runs now is finished first.", "hint") if syncing.running else ""
        yield waiting + line_html(f"Fetching {address}…", "hint"), gr.Textbox(submit_btn=False), *same
        try:
            done = list(syncing.adding(lambda: iter([assistant.add_url(address)])))
            failed = not all(result.ok for result in done)
            shown = results_html(done, 1)
        except Exception as error:
            failed, shown = True, line_html(f"The page was not added: {reason_of(error)}", "problem")
        box = gr.Textbox(submit_btn="Add page") if failed else gr.Textbox(value="", submit_btn="Add page")
        yield shown, box, *listed(now, words)

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
            yield line_html(reason_of(error), "problem")

    def rebuild_now() -> Iterator[str]:
        yield line_html("Rebuilding the index. Questions are answered from the old one meanwhile.", "hint")
        try:
            began = time.monotonic()
            assistant.reindex()
            took = time.monotonic() - began
            yield line_html(f"The index is new: {counted(assistant.corpus.chunk_count(), 'chunk')} in {took:.1f} s.", "hint")
        except Exception as error:
            yield line_html(f"The index was not rebuilt, the old one stays: {reason_of(error)}", "problem")

    def read_again(now: View, words: str, event: gr.EventData) -> Iterator[Updates]:
        """Read and embed the open document again."""
        info = shelf.find(str(details(event).get("to")))
        if info is None:
            yield replace(now, open=""), "", line_html(_GONE, "problem"), *listed(now, words)
            return
        yield (
            gr.skip(),
            _document(assistant, shelf, info, now.page, line_html("Reading and embedding it again…", "hint")),
            *[gr.skip()] * 3,
        )
        try:
            result = assistant.read_again(info.id)
            kind = "hint" if result.ok else "problem"
            told = line_html(
                f"Read and embedded again: {result.message}." if result.ok else f"Not indexed: {result.message}.", kind
            )
        except Exception as error:
            told = line_html(reason_of(error), "problem")
        info = shelf.find(key_of(info.id))
        shown = _document(assistant, shelf, info, now.page, told) if info else ""
        yield replace(now, open=now.open if info else ""), shown, "" if info else told, *listed(now, words)

    def act(now: View, words: str, event: gr.EventData) -> Updates:
        """Do what a button or list in the table or in a document asks for."""
        data = details(event)
        wish, to = str(data.get("act")), str(data.get("to"))
        if wish in ("open", "page"):
            return look(now, words, wish, to, data.get("at"))
        shown, told, box = gr.skip(), gr.skip(), gr.skip()
        try:
            if wish == "sort":
                now = replace(now, order=now.order.by(to), part=0)
            elif wish == "turn":
                now = replace(now, part=number_in(data, "to"))
            elif wish == "sieve":
                now = replace(now, sieve=_chosen(assistant, shelf, now.sieve, to), part=0)
            elif wish == "clear":
                now, words, box = replace(now, sieve=Sieve(), part=0), "", ""
            elif wish == "remove":
                now, shown, told = replace(now, open="", page=0), "", _remove(assistant, shelf.file(to))
            elif wish in ("keep", "rename", "forget"):
                now, told = _change(assistant, shelf, now, words, wish, data)
            else:
                return replace(now, open=""), gr.skip(), gr.skip(), "", gr.skip(), gr.skip()
        except UserError as error:
            told = line_html(str(error), "problem")
        return now, *listed(now, words), shown, told, box

    def look(now: View, words: str, wish: str, to: str, at: object) -> Updates:
        """Open a document at a page of its text, or at the chunk that holds the character `at`."""
        info = shelf.find(to if wish == "open" else now.open)
        if info is None:
            return replace(now, open=""), *listed(now, words), "", line_html(_GONE, "problem"), gr.skip()
        page = number_in({"to": to}, "to") if wish == "page" else 0
        if wish == "open" and isinstance(at, int) and abs(at) < 1_000_000_000:
            page = assistant.corpus.catalog.chunk_place(info.id, at)[0] // CHUNKS
        return (
            replace(now, open=key_of(info.id), page=page),
            gr.skip(),
            gr.skip(),
            _document(assistant, shelf, info, page),
            "",
            gr.skip(),
        )

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    quick: dict[str, Any] = {**private, "queue": False}
    one: dict[str, Any] = {**private, "concurrency_limit": 1, "concurrency_id": "corpus"}
    show: dict[str, Any] = {"fn": listed, "inputs": [view, wanted], "outputs": [table, choices], **quick}
    upload.click(add, [view, wanted, dropped], [results, dropped, table, choices], trigger_mode="multiple", **one)
    url.submit(add_page, [url, view, wanted], [results, url, table, choices], **one)
    sync.click(sync_now, None, [progress, sync, stop, seen, results], **quick)
    stop.click(stop_now, None, [stop], **quick)
    ask.click(plan, None, [results], **private)
    rebuild.click(rebuild_now, None, [results], **one)
    again.click(read_again, [view, wanted], [view, reading, results, table, choices], **one)
    bridge.click(act, [view, wanted], [view, table, choices, reading, results, wanted], **quick)
    wanted.change(sieved, [view, wanted], [view, table, choices], **quick)
    stamp.change(**show)
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


def _selections(assistant: Assistant, name: str) -> tuple[list[Selection], frozenset[str], str]:
    """Return the saved selections, the documents of the one called `name`, and HTML of what is wrong with them."""
    try:
        saved = assistant.selections.all()
        chosen = assistant.selections.find(name).ids(assistant.corpus.catalog) if name else []
        return saved, frozenset(chosen), ""
    except UserError as error:
        return [], frozenset(), line_html(str(error), "problem")


def _chosen(assistant: Assistant, shelf: Shelf, sieve: Sieve, to: str) -> Sieve:
    """Return the sieve after a choice in one of its lists, such as `folder:KEY`; a list set back sends no key."""
    what, _, key = to.partition(":")
    if what == "folder":
        return replace(sieve, folder=shelf.folder(key), selection="")
    if what == "selection":
        name = next((one.name for one in assistant.selections.all() if key_of(one.name) == key), "")
        return replace(sieve, selection=name, folder="")
    if what == "type":
        return replace(sieve, type=next((type for type in counts(shelf.files()).types if key_of(type) == key), ""))
    if what == "state":
        return replace(sieve, state=next((state for state in STATES if key_of(state) == key), ""))
    return replace(sieve, folder="", selection="")


def _change(assistant: Assistant, shelf: Shelf, now: View, words: str, wish: str, data: dict[str, Any]) -> tuple[View, str]:
    """Save, rename or delete a selection; returns the view after that, and a line about it."""
    text, name = str(data.get("text") or ""), now.sieve.selection
    if wish == "forget":
        assistant.selections.delete(name)
        return replace(now, sieve=Sieve(), part=0), line_html(f"The selection “{name}” was deleted; its documents stay.", "hint")
    assistant.places.check_free(text)
    if wish == "rename":
        assistant.selections.rename(name, text)
        return replace(now, sieve=replace(now.sieve, selection=assistant.selections.find(text).name)), ""
    kept = assistant.selections.save(_selected(assistant, shelf, now, words, text, data.get("keys")))
    line = f"“{kept.name}” is saved: ask in it with @ or beside the question, or choose it here."
    return replace(now, sieve=Sieve(selection=kept.name), part=0), line_html(line, "hint")


def _selected(assistant: Assistant, shelf: Shelf, now: View, words: str, name: str, keys: object) -> Selection:
    """Return a selection of the ticked files, or of what the sieve lets pass: by its rule where it is one of folder and type alone."""
    if isinstance(keys, list) and keys:
        return Selection(name, tuple(file for key in keys if (file := shelf.file(str(key)))))
    sieve = replace(now.sieve, words=words[:_FILTER].strip())
    if sieve == Sieve(folder=sieve.folder, type=sieve.type) and sieve.folder:
        return Selection(name, folders=(sieve.folder,), types=(sieve.type.lower(),) if sieve.type else ())
    _, chosen, _ = _selections(assistant, sieve.selection)
    found = wanted_files(shelf.files(), sieve, now.order, chosen) if sieve else []
    return Selection(name, tuple(listed.file for listed in found if any(not info.reason for info in listed.all)))


def _document(assistant: Assistant, shelf: Shelf, info: DocumentInfo, page: int, told: str = "") -> str:
    """Return a document's view, with HTML of a line about it."""
    chunks = assistant.chunks(info.id, page * CHUNKS, CHUNKS) if not info.reason else []
    return document_html(info, chunks, page, shelf.inside(info.id), assistant.address(info.file), told)


def _remove(assistant: Assistant, file: str) -> str:
    """Remove a file; returns a line about it."""
    if not file:
        return line_html(_GONE, "problem")
    try:
        copies = assistant.remove(file)
    except Exception as error:
        return line_html(reason_of(error), "problem")
    stays = f" The same text stays as {', '.join(copies[:3])}{' and others' if len(copies) > 3 else ''}." if copies else ""
    return line_html(f"{file} was removed.{stays}", "hint")
