"""The tab that searches without a model: passages with their scores, for when words are enough and for people who tune."""

import time
from typing import Any

import gradio as gr

from assistant.answer import Assistant
from assistant.errors import UserError
from assistant.filters import parse_filter
from assistant.scope import narrowed, scope_of
from ui.render import line_html
from ui.render_sources import hits_html

_MODES = ["full", "hybrid", "dense", "lexical"]
_QUERY = 4000  # characters that are read of what is typed
_NAMES = 2000


def search_tab(assistant: Assistant) -> None:
    """Build the tab."""
    with gr.Row(elem_id="search", equal_height=False):
        query = gr.Textbox(
            "",
            placeholder="Search your documents: words or a question",
            label="Search your documents",
            show_label=False,
            container=False,
            max_lines=1,
            elem_id="query",
            submit_btn="Search",
            scale=3,
        )
    with gr.Accordion("Filters and mode", open=False, elem_id="narrow"):
        with gr.Row():  # two of them: one would leave its last field alone in a line
            mode = gr.Dropdown(_MODES, value="full", label="Mode", elem_id="mode", min_width=120)
            limit = gr.Slider(1, 50, value=10, step=1, label="Hits", elem_id="hits", min_width=160)
            types = gr.Textbox("", label="Types, such as pdf, md", max_lines=1, elem_id="types", min_width=140)
        with gr.Row():
            within = gr.Textbox(
                "",
                label="In: folders, selections or documents, separated by commas",
                max_lines=1,
                elem_id="within",
                min_width=220,
                scale=2,
            )
            day: dict[str, Any] = {"placeholder": "YYYY-MM-DD", "max_lines": 1, "min_width": 140}
            after = gr.Textbox("", label="Changed on or after", elem_id="after", **day)
            before = gr.Textbox("", label="Changed before", elem_id="before", **day)
    hint = "No language model is asked here. Name a folder, a selection or a document with @ to search only in it."
    found = gr.HTML(line_html(hint, "hint"), elem_id="found")

    def search(text: str, mode: str, limit: float, within: str, types: str, after: str, before: str) -> str:
        try:
            scope = scope_of([assistant.places.find(name) for name in _names(within)])
            only = parse_filter([], [], _names(types), after.strip() or None, before.strip() or None)
            only = narrowed(scope.filter(assistant.corpus.catalog, assistant.selections), only, assistant.corpus.catalog)
            clock = time.monotonic()
            hits = assistant.search(text[:_QUERY], int(limit), only, "full" if mode not in _MODES else mode)  # type: ignore[arg-type]
            return hits_html(hits, time.monotonic() - clock)
        except UserError as error:
            return line_html(str(error), "problem")

    # Or what is asked for while a search runs would be dropped.
    quick: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
    inputs = [query, mode, limit, within, types, after, before]
    gr.on(
        [query.submit, mode.input, limit.release, *(box.submit for box in (within, types, after, before))],
        search,
        inputs,
        [found],
        **quick,
    )


def _names(text: str) -> list[str]:
    return [name.strip().strip("/") for name in text[:_NAMES].split(",") if name.strip()]
