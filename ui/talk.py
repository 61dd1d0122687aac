"""The tab to ask in: the conversation, the box for the next question, and the sources beside them."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any

import gradio as gr

from assistant.answer import Assistant, check_question
from assistant.conversations import Conversations
from assistant.errors import UserError
from assistant.scope import EVERYWHERE, Scope
from assistant.snapshots import Answer
from ui import feedback
from ui.desk import Desk
from ui.events import details
from ui.messages import NEWEST, messages_of, with_snapshot
from ui.reader import fates, reader
from ui.render import editing_html, line_html
from ui.render_sources import panel_html
from ui.render_talks import here_html, sent_html
from ui.welcome import welcome_html
from ui.where import scope_from, where_html

_BRIDGE = "document.addEventListener('assistant-act', (event) => trigger('click', event.detail));"
_PATIENCE = 2.0  # seconds that an answer on its way to a page is waited for
QUICK: dict[str, Any] = {"show_progress": "hidden", "queue": False, "trigger_mode": "multiple", "api_visibility": "private"}
_STREAMED: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "multiple",  # or the page would drop an event while an earlier one isn't over
    "concurrency_limit": None,
    "api_visibility": "private",
}
Update = dict[str, Any]
Updates = tuple[Any, ...]
Step = Callable[[], Updates]


@dataclass(frozen=True)
class View:
    """What one page shows: a conversation of `user` (`id` is empty before its first question), and the turn being changed.

    The newest `shown` turns are on the page. `scope` is where the next question looks: None is where the newest one did.
    `version` is that of what is shown, -1 before Gradio says that the page is loaded; an answer of it is `unfinished` when more
    may have been written since. `draft` is what was typed before a question was being changed.
    """

    user: str = ""
    id: str = ""
    editing: int | None = None
    scope: Scope | None = None
    version: int = -1
    unfinished: bool = False
    shown: int = NEWEST
    draft: str = ""

    @property
    def typed(self) -> str | None:
        """What the box shows when the reader turns to something else: None is what is in it."""
        return None if self.editing is None else self.draft


@dataclass(frozen=True)
class Parts:
    """Parts of the page that another conversation changes too: what tells which one it is, the list's stamp, and the line above it."""

    here: gr.HTML
    stamp: gr.HTML
    told: gr.HTML


@dataclass(frozen=True)
class TalkTab:
    """What the list of conversations needs: the state of the page, and how another conversation is shown in it.

    `steps` makes an event's function of one that returns the step to take; a step returns the updates of `shown`, as `show` does.
    The event `following` goes after it, for an answer that is being written. `forget` is for a page that is left. `news` takes
    what `behind` says of a page, and has the page filled again when that changes.
    """

    view: gr.State
    shown: list[Any]
    show: Callable[..., Updates]
    steps: Callable[..., Callable[..., Coroutine[None, None, Updates]]]
    following: dict[str, Any]
    forget: Callable[[gr.Request], None]
    behind: Callable[[View, gr.Request], str]
    news: gr.HTML


@dataclass(eq=False)
class _Stream:
    """An answer on its way to a page: `news` wakes it, `left` ends it, and it sends nothing any more once it is `over`."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    left: bool = False


def talk_tab(assistant: Assistant, desk: Desk, kept: Conversations, title: str, parts: Parts) -> TalkTab:
    """Build the tab."""
    view = gr.State(View())
    with gr.Row(elem_id="columns", equal_height=False):
        with gr.Column(scale=3, min_width=320, elem_id="talk"):
            chat = gr.Chatbot(
                elem_id="chat",
                show_label=False,
                label="Conversation",
                container=False,
                layout="bubble",
                placeholder=welcome_html(assistant, title),
                buttons=[],
                feedback_options=None,
                sanitize_html=True,
                allow_tags=False,
                latex_delimiters=[],
                allow_file_downloads=False,
                group_consecutive_messages=False,
            )
            problem = gr.HTML(elem_id="problem")
            where = gr.HTML(where_html(EVERYWHERE), elem_id="where")
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
            gr.HTML('<p class="hint">Enter sends, Shift+Enter starts a new line.</p>', elem_id="below")
        with gr.Column(scale=2, min_width=280, elem_id="side"):
            panel = gr.HTML(panel_html(None), elem_id="panel")
            reader(assistant, view, lambda now: _answers(kept, desk, now))
    bridge = gr.HTML(elem_id="bridge", js_on_load=_BRIDGE, visible="hidden")
    news = gr.HTML(visible="hidden")
    streams: dict[str, _Stream] = {}  # by page
    late: set[str] = set()  # pages of which a stream was left
    acting, taken = Counter[str](), Counter[str]()  # steps of readers that are being taken and that were, by page

    def sources_of(answers: list[Answer], turn: int) -> str:
        return panel_html(answers[turn], turn, fates(assistant.corpus.catalog, answers[turn])) if answers else panel_html(None)

    def version_of(now: View) -> int:
        """The desk's of a conversation; that of the documents for an empty page, which offers questions about them."""
        return desk.version(now.id) if now.id else assistant.revision

    def show(now: View, told: str = "", box: str | None = None, passive: bool = False) -> Updates:
        """Show all of a conversation, an empty page when it isn't there; `box` is put into the box unless it is None.

        The line about the reader's last question or wish goes, unless it is `passive`.
        """
        trouble = ""
        answers: list[Answer] = []
        version = version_of(now)
        if now.id:
            try:
                answers = kept.answers(now.user, now.id)
            except UserError as error:
                now, version, trouble = View(now.user), assistant.revision, line_html(str(error), "problem")
        sources = sources_of(answers, len(answers) - 1)
        scope = now.scope if now.scope is not None else answers[-1].scope if answers else EVERYWHERE
        now = replace(now, version=version, scope=scope, unfinished=any(not answer.final for answer in answers))
        box_now = _typing(now.unfinished, **({} if box is None else {"value": box}))
        chat_now = messages_of(answers, now.shown) or gr.Chatbot([], placeholder=welcome_html(assistant, title))
        problem_now = trouble or (gr.skip() if passive else "")
        return now, chat_now, sources, problem_now, box_now, where_html(scope), here_html(now.id), str(kept.revision), told

    def _again(now: View) -> Updates:
        """Show a conversation again that went on meanwhile; the sources on view stay until there are others."""
        after, messages, sources, *others = show(now, passive=True)
        return (after, messages, sources if now.unfinished or after.unfinished else gr.skip(), *others)

    def begin(now: View, question: str, turn: int, scope: Scope | None, box: str | None) -> Updates:
        question = check_question(question)
        _, scope = assistant.scoped(question, scope or EVERYWHERE)
        return show(View(now.user, desk.ask(now.user, now.id, question, turn, scope)), box=box)

    def ask(now: View, question: str) -> Updates:
        """Ask what is in the box. The page takes it out: keys may have been typed since."""
        updates = begin(now, question, _turns(now) if now.editing is None else now.editing, now.scope, None)
        after = updates[0]
        return (*updates[:6], sent_html(after.id, question, now.typed or "", after.version), *updates[7:])

    def limit(now: View, places: object) -> Updates:
        """Have the next question look only in some places."""
        scope = scope_from(places, assistant.places)
        assistant.scoped("?", scope)
        return _only(view=replace(now, scope=scope), where=where_html(scope), problem="" if now.editing is None else gr.skip())

    def _turns(now: View) -> int:
        try:
            return kept.talk(now.user, now.id).turns if now.id else 0
        except UserError:
            return 0

    def steps(event: Callable[..., Step], passive: bool = False) -> Callable[..., Coroutine[None, None, Updates]]:
        """Make a Gradio event's function of one that returns the step to take, and whose last argument is the request.

        What is on its way to the page for another conversation ends. A `passive` step is none of the reader's, and changes
        nothing when the reader was faster: the box is there a moment before Gradio says that the page is loaded.
        """

        @wraps(event)
        async def stepped(*args: Any) -> Updates:
            page = str(args[-1].session_hash)
            before, busy = taken[page], acting[page] > 0
            acting[page] += not passive
            try:
                updates = await asyncio.to_thread(event(*args))
            except UserError as error:
                updates = _only(problem=line_html(str(error), "problem"))
            finally:
                acting[page] -= not passive
                taken[page] += not passive
            if passive and (busy or acting[page] or taken[page] != before):
                return _only()
            if isinstance(updates[0], View):
                await leave(page)
            return updates

        return stepped

    async def leave(page: str) -> None:
        stream = streams.get(page)
        if stream is not None:
            stream.left = True
            stream.news.set()
            late.add(page)
            with suppress(TimeoutError):
                await asyncio.wait_for(stream.over.wait(), _PATIENCE)

    async def follow(now: View, request: gr.Request) -> AsyncGenerator[Updates]:
        """Send the answer being written in the conversation on the page to it, until it is whole.

        Each update stands for itself: of two that arrive together the page may see only the second.
        """
        nothing = (gr.skip(),) * 4
        yield nothing  # Gradio empties what an event without any update is about
        page = str(request.session_hash)
        await leave(page)
        mine = streams[page] = _Stream()
        try:
            if page in late:  # what came for another conversation may have arrived after this one was shown
                late.discard(page)
                yield (gr.skip(), *(await asyncio.to_thread(show, now))[1:3], gr.skip())
            last = None
            async with aclosing(desk.follow(now.id, mine.news)) as snapshots:
                async for turn, answer in snapshots:
                    if mine.left:
                        yield nothing  # the last update is sent again at the end
                        return
                    if last is None:
                        answers = await asyncio.to_thread(kept.answers, now.user, now.id)
                        messages = messages_of(answers, now.shown)
                    last = answer
                    yield (
                        replace(now, version=desk.version(now.id), unfinished=False) if answer.final else gr.skip(),
                        with_snapshot(messages, len(answers), now.shown, turn, answer),
                        panel_html(answer, turn),
                        _typing(False) if answer.final else gr.skip(),
                    )
            if last is None and now.unfinished:  # it ended before it could be followed
                view, messages, sources, *_ = await asyncio.to_thread(show, now)
                yield view, messages, sources, _typing(False)
        except UserError:  # deleted meanwhile
            yield nothing
        finally:
            mine.over.set()
            if streams.get(page) is mine:
                del streams[page]

    def forget(request: gr.Request) -> None:
        page = str(request.session_hash)
        late.discard(page)
        for counted in (acting, taken):
            counted.pop(page, None)

    def behind(now: View, request: gr.Request) -> str:
        """Return another text whenever the page has to be filled again, since another page asked or the documents changed."""
        page, version = str(request.session_hash), version_of(now)
        current = now.version in (-1, version) or page in streams or acting[page]
        return "" if current else f"{now.id} {version}"

    def act(now: View, typed: str, data: dict[str, Any]) -> Updates:
        """Do what a button in a message asks for: edit a question, answer it again, or show the sources of an answer."""
        turn, wanted = data.get("turn"), data.get("act")
        if wanted == "where":
            return limit(now, data.get("places"))
        if wanted == "refresh":  # what the page has of an answer stands still
            return _again(now)
        if wanted == "earlier":
            return _again(replace(now, shown=now.shown + NEWEST))
        if wanted == "example":
            return begin(now, str(data.get("text", "")), _turns(now), None, now.typed)
        if wanted == "leave":
            return show(replace(now, editing=None, scope=None), box=now.typed)
        answers = kept.answers(now.user, now.id) if now.id else []
        if not isinstance(turn, int) or not 0 <= turn < len(answers):
            return _only()
        question = answers[turn].question
        if wanted == "sources":
            return _only(panel=sources_of(answers, turn))
        if wanted in feedback.ACTS:
            feedback.give(kept, assistant.settings, now.user, now.id, turn, wanted, str(data.get("text") or ""))
            return _again(now)
        if wanted == "again":
            return begin(now, question, turn, answers[turn].scope, now.typed)
        if wanted == "suggested":
            return begin(now, _at(answers[turn].follow_ups, data.get("number")), len(answers), answers[turn].scope, now.typed)
        if wanted == "widen":
            return begin(now, answers[turn].asked or question, len(answers), None, now.typed)
        if wanted == "continue":
            desk.go_on(now.user, now.id, turn)
            return show(now)
        if wanted == "edit" and not desk.running(now.id):
            return _only(
                view=replace(now, editing=turn, scope=answers[turn].scope, draft=typed if now.editing is None else now.draft),
                problem=editing_html(last=turn == len(answers) - 1),
                box=gr.Textbox(question),
                where=where_html(answers[turn].scope),
            )
        return _only()

    @steps
    def asked(now: View, question: str, request: gr.Request) -> Step:
        return lambda: ask(now, question)

    @steps
    def acted(now: View, typed: str, event: gr.EventData, request: gr.Request) -> Step:
        return lambda: act(now, typed, details(event))

    def renewed(now: View, wish: str, request: gr.Request) -> Step:
        return lambda: _again(now) if wish and now.editing is None else _only()

    def stop(now: View) -> None:
        desk.stop(now.id)

    shown = [view, chat, panel, problem, box, where, parts.here, parts.stamp, parts.told]
    following = {"fn": follow, "inputs": [view], "outputs": [view, chat, panel, box], **_STREAMED}
    box.submit(asked, [view, box], shown, **QUICK).then(**following)
    bridge.click(acted, [view, box], shown, **QUICK).then(**following)
    news.change(steps(renewed, passive=True), [view, news], shown, **QUICK).then(**following)
    box.stop(stop, [view], None, **QUICK)
    return TalkTab(view, shown, show, steps, following, forget, behind, news)


def _answers(kept: Conversations, desk: Desk, now: View) -> list[Answer]:
    """Return the answers on the page, of one that is being written the newest snapshot."""
    try:
        answers = kept.answers(now.user, now.id) if now.id else []
    except UserError:
        return []
    running = desk.running(now.id)
    return [running if running and not answer.final else answer for answer in answers]


def _only(**changed: Any) -> Updates:
    """Return the updates of what a page shows, of which only some change."""
    return tuple(
        changed.get(name, gr.skip()) for name in ("view", "chat", "panel", "problem", "box", "where", "here", "stamp", "told")
    )


def _typing(running: bool, **more: Any) -> Update:
    """Return the update of the box: a question can be sent, or the answer being written stopped."""
    update: Update = gr.Textbox(submit_btn=not running and "Send", stop_btn=running and "Stop", **more)
    return update


def _at(questions: Sequence[str], number: object) -> str:
    return questions[number] if isinstance(number, int) and 0 <= number < len(questions) else ""
