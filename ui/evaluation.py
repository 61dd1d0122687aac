"""The tab that measures: evals on the user's own questions, the runs over time, one run, two compared, and the questions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import gradio as gr

from assistant.answer import Assistant
from assistant.errors import UserError
from eval.answers import MODE as ANSWERS
from eval.comparison import Comparison, compare
from eval.golden_questions import NoQuestions, find_quote, golden_files, load_golden, own_questions
from eval.history import Point, draw, stored_points
from eval.own_questions import Entry, Evidence, as_it_is, change, entries, reviewed
from eval.runs import Run, load_run, runs_folder
from eval.verdicts import Judged, judged
from ui.evaluating import Evaluating, Kind
from ui.events import details
from ui.listing import key_of
from ui.render import line_html
from ui.render_evaluation import Compared, Stock, comparison_html, measuring_html, run_html, runs_html
from ui.render_review import review_html

_BRIDGE = "document.addEventListener('assistant-evaluation', (event) => trigger('click', event.detail));"
_TYPED = 20_000  # characters that are read of the quotes that are typed
_LIKELY = 20  # chunks in whose documents a quote is looked for first
Updates = tuple[Any, ...]


@dataclass(frozen=True)
class View:
    """What one page shows: nothing before the tab was `opened`; a run or two at which page, and the question being changed."""

    opened: bool = False
    run: str = ""
    other: str = ""  # the later run, when two are compared
    measure: str = ""
    only_failures: bool = False
    page: int = 0
    runs_page: int = 0
    kept_page: int = 0
    editing: str = ""


@dataclass(frozen=True)
class EvaluationTab:
    """What the rest of the page needs of the tab: `show` is the event that fills it, `follow` tells what goes on.

    `follow` takes the view and what the page shows of the eval now; it returns the same anew and the updates of `watched`.
    """

    view: gr.State
    seen: gr.State
    watched: list[gr.HTML]
    show: dict[str, Any]
    follow: Callable[[View, Updates], tuple[Updates, list[Any]]]


def evaluation_tab(assistant: Assistant, evaluating: Evaluating) -> EvaluationTab:
    """Build the tab."""
    folder, own = runs_folder(assistant.settings), own_questions(assistant.settings)
    view, seen = gr.State(View()), gr.State(())
    told = gr.HTML(elem_id="eval-told")
    with gr.Column(elem_id="overview"):
        measuring = gr.HTML(line_html("Reading the runs…", "hint"), elem_id="measuring")
        review = gr.HTML(elem_id="review")
        runs = gr.HTML(elem_id="evaluation")
    detail = gr.HTML(elem_id="run")
    stamp = gr.HTML(visible="hidden")
    bridge = gr.HTML(elem_id="evaluation-bridge", js_on_load=_BRIDGE, visible="hidden")

    def measuring_now() -> str:
        stock = _stock(assistant, evaluating) if evaluating.running is None else Stock()
        return measuring_html(stock, evaluating.running, evaluating.last)

    def review_now(now: View) -> str:
        try:
            return review_html(*entries(own), now.editing, now.kept_page)
        except UserError as error:
            return line_html(str(error), "problem")

    def runs_now(now: View) -> str:
        found = stored_points(folder)
        light, dark = _plots(tuple(found)) if found else (b"", b"")
        return runs_html(found, light, dark, now.runs_page)

    def show(now: View) -> Updates:
        """Fill the tab; a form that is being filled in stays."""
        now = replace(now, opened=True)
        return now, "", measuring_now(), gr.skip() if now.editing else review_now(now), runs_now(now), _detail(now, folder)

    def only(now: View, **changed: Any) -> Updates:
        parts = ("told", "measuring", "review", "runs", "detail")
        return now, *({"told": "", **changed}.get(part, gr.skip()) for part in parts)

    def act(now: View, event: gr.EventData) -> Updates:
        """Do what a button asks for."""
        data = details(event)
        wish = str(data.get("act"))
        try:
            if wish in ("search", "answers", "stop"):
                if wish == "stop":
                    evaluating.stop()
                else:
                    evaluating.start(cast(Kind, wish), data.get("fresh") is True)
                return only(now, measuring=measuring_now())
            if wish in ("keep", "save", "throw", "edit", "leave", "kept"):
                now = _reviewed(now, wish, data, assistant, own)
                more = {"measuring": measuring_now()} if wish in ("keep", "save", "throw") and not evaluating.running else {}
                return only(now, review=review_now(now), **more)
            if wish == "runs":
                now = replace(now, runs_page=_number(data, "page"))
                return only(now, runs=runs_now(now))
            now = _turned(now, wish, data)
            return only(now, detail=_detail(now, folder))
        except Exception as error:
            return only(now, told=line_html(_reason(error), "problem"))

    def follow(now: View, before: Updates) -> tuple[Updates, list[Any]]:
        running = evaluating.running
        state = (running, evaluating.last)
        if not now.opened or state == before:
            return before, [gr.skip(), gr.skip()]
        ended = evaluating.last is not None and (not before or before[1] is not evaluating.last)
        return state, [measuring_now(), str(id(evaluating.last)) if ended else gr.skip()]

    quick: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    shown = [view, told, measuring, review, runs, detail]
    bridge.click(act, [view], shown, **quick)
    stamp.change(runs_now, [view], [runs], **quick)
    return EvaluationTab(view, seen, [measuring, stamp], {"fn": show, "inputs": [view], "outputs": shown, **quick}, follow)


def _number(data: dict[str, Any], name: str) -> int:
    text = str(data.get(name, ""))
    return int(text) if text.isdecimal() and len(text) < 7 else 0


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"Something went wrong ({type(error).__name__}): try again."


def _stock(assistant: Assistant, evaluating: Evaluating) -> Stock:
    """Return how many questions there are to measure with."""
    own = own_questions(assistant.settings)
    drafts = 0
    try:
        drafts = sum(entry.draft for entry in entries(own)[0])
        documents = evaluating.documents()
        questions, _ = load_golden(golden_files(own=own), documents)
    except NoQuestions:
        return Stock(drafts=drafts)
    except UserError as error:
        return Stock(drafts=drafts, problem=str(error))
    return Stock(len(questions), sum(question.unanswerable for question in questions), drafts)


@lru_cache(maxsize=4)
def _plots(found: tuple[Point, ...]) -> tuple[bytes, bytes]:
    """Return the plot for a light and for a dark page; nothing when it can't be drawn."""
    try:
        return draw(found, "light"), draw(found, "dark")
    except Exception:  # whatever the plot's library makes of a name, the table stands
        return b"", b""


# One run, or two


def _turned(now: View, wish: str, data: dict[str, Any]) -> View:
    """Return what is to be seen after a button was pressed."""
    if wish == "open":
        return replace(now, run=str(data.get("run")), other="", page=0, only_failures=False)
    if wish == "compare":
        return replace(now, run=str(data.get("a")), other=str(data.get("b")), measure="")
    if wish == "measure":
        return replace(now, measure=str(data.get("measure")))
    if wish == "filter":
        return replace(now, only_failures=data.get("only") == "failures", page=0)
    if wish == "page":
        return replace(now, page=_number(data, "page"))
    return replace(now, run="", other="", page=0)


def _detail(now: View, folder: Path) -> str:
    """Return the view of a run or of two; nothing when none is open. Raises `UserError` when they aren't there or can't be compared."""
    if not now.run:
        return ""
    run, found = _run(now.run, folder)
    if not now.other:
        return run_html(run, now.run, found, now.only_failures, now.page)
    other, found_other = _run(now.other, folder)
    if now.run == now.other:
        raise UserError("These are one and the same run: choose two.")
    return comparison_html(_compared(run, other, now.measure), _by_id(found), _by_id(found_other))


def _run(key: str, folder: Path) -> tuple[Run, list[Judged]]:
    path = next((path for path in folder.glob("*.json") if key_of(path.stem) == key), None)
    if path is None:
        raise UserError("This run is not there any more.")
    state = path.stat()
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> tuple[Run, list[Judged]]:
    run = load_run(path)
    return run, judged(run)


def _by_id(found: list[Judged]) -> dict[str, Judged]:
    return {one.question.id: one for one in found}


def _compared(a: Run, b: Run, measure: str) -> Compared:
    if (a.mode == ANSWERS) != (b.mode == ANSWERS):
        raise UserError("One of these runs measured search, the other whole answers: choose two of a kind.")
    chosen = compare(a, b, measure or None, across=True)
    every: dict[str, Comparison] = {}
    for name in chosen.means:
        try:
            every[name] = compare(a, b, name, across=True)
        except UserError:  # one of them lacks it, or its depth is another
            continue
    return Compared(a, b, chosen, every)


# The user's questions


def _reviewed(now: View, wish: str, data: dict[str, Any], assistant: Assistant, own: Path) -> View:
    """Keep, change or throw away a question; returns what is to be seen then."""
    if wish == "kept":
        return replace(now, kept_page=_number(data, "page"), editing="")
    if wish == "leave":
        return replace(now, editing="")
    entry = _entry(own, str(data.get("to")))
    if wish == "edit":
        return replace(now, editing=entry.stamp)

    def find(quote: str, document: str) -> Evidence | None:
        return _found(quote, document, assistant)

    if wish == "throw":
        change(own, entry.stamp, None)
    elif wish == "keep":
        change(own, entry.stamp, as_it_is(entry, find))
    else:
        picked = [int(number) for number in data.get("picked", []) if str(number).isdecimal()]
        text, typed, answer = (str(data.get(name) or "")[:_TYPED] for name in ("text", "typed", "answer"))
        change(own, entry.stamp, reviewed(entry, text, answer, picked, typed, data.get("unanswerable") is True, find))
    return replace(now, editing="")


def _entry(own: Path, stamp: str) -> Entry:
    entry = next((entry for entry in entries(own)[0] if entry.stamp == stamp), None)
    if entry is None:
        raise UserError("This question was changed or thrown away meanwhile, in another tab perhaps: open this tab again.")
    return entry


def _found(quote: str, document: str, assistant: Assistant) -> Evidence | None:
    """Return where a quote stands word for word: in `document`, if there, or else in the most likely one."""
    catalog = assistant.corpus.catalog

    def ids() -> Iterator[str]:
        yield document
        if quote.strip():
            yield from (hit.chunk.document_id for hit in assistant.search(quote[:1000], _LIKELY))
        yield from (outline.id for outline in catalog.outlines())

    seen: set[str] = set()
    for id in ids():
        found = None if id in seen else catalog.document(id)
        seen.add(id)
        span = find_quote(found.text, quote) if found else None
        if found and span:
            return {"document": id, "quote": found.text[slice(*span)], "start": span[0], "end": span[1]}
    return None
