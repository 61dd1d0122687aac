"""Answers, passages and evaluation runs as HTML, so that nothing in them can load, submit or run.

Text from a model, a document or a file name reaches a page only through `shown` (escaped) or
`markdown_html` (rendered, then cleaned). Links exist only to passages on the page, made here after
the cleaning.
"""

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import replace

import nh3
from markdown_it import MarkdownIt

from assistant.chunking import Chunk
from assistant.documents import clean_line
from assistant.elsewhere import Elsewhere
from assistant.grounding import Citation, Statement
from assistant.receipts import Report
from assistant.retrieval import Hit
from assistant.snapshots import Answer
from eval.history import EMPTY, Point

Span = tuple[int, int]

_TAGS = {
    *("b", "i", "em", "strong", "p", "br", "hr", "sup", "span", "div", "a", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6", "details", "summary"),
}
# Control, direction, tag and zero-width characters and lone surrogates. The joiners U+200C and U+200D stay:
# words of several scripts need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_WRAPPED = re.compile(r"(?<=[^\s|])\n(?=[^\W\d_])")  # before a word, so not before a list item, table row or heading
_MARK = re.compile(r"\[(\d{1,4})(\??)\]|\[\?\]")
_DOUBT = "\ue000"  # stands where a statement begins that isn't supported, until the Markdown is HTML
_AROUND_CITED, _AROUND_OTHER = 160, 90  # characters shown on each side of what supports the answer
_RUNS = 20  # evaluation runs listed


def shown(text: str) -> str:
    """Return one line of untrusted text, such as a title, file name or error, ready to stand in HTML."""
    return html.escape(clean_line(_UNSEEN.sub("", text), 300))


def shown_lines(text: str) -> str:
    """Return untrusted text of several lines, ready to stand in HTML."""
    return html.escape(_UNSEEN.sub("", text))


def _one_block(markup: str) -> str:
    """Keep line ends and tabs out of `markup`: Gradio reads messages as Markdown, where they would end the HTML block."""
    return markup.strip().replace("\n", "&#10;").replace("\t", "&#9;")


def _markdown() -> MarkdownIt:
    # Without these rules links, images and HTML stay what they are: text with its address visible.
    off = ["link", "image", "autolink", "reference", "html_block", "html_inline"]
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").disable(off)


_MARKDOWN = _markdown()


def markdown_html(text: str) -> str:
    """Return Markdown as HTML of harmless elements; headings are demoted below those of the page."""
    tokens = _MARKDOWN.parse(_UNSEEN.sub("", text))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 3, 6)}"
    rendered = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    # Cleaned after rendering, never before: what comes out is what the page gets.
    return nh3.clean(rendered, tags=_TAGS, attributes={"ol": {"start"}}, url_schemes=set(), link_rel=None)


def _link_marks(markup: str, titles: dict[int, str], turn: int, statements: Sequence[Statement] = ()) -> str:
    """Turn `[n]` and `[n?]` outside code into links to the passage cards, and `[?]` into a badge; others stay text.

    The marks are those of `statements` in order. What stands between `_DOUBT` and a mark is set off.
    """
    rest = list(statements)
    doubted = False

    def link(match: re.Match[str]) -> str:
        nonlocal doubted
        statement = rest.pop(0) if rest else None
        doubted = False
        if match[0] == "[?]":
            return (
                f'<span class="cite unfound" title="{_differs(statement, "not found in the sources")}">not found</span>'
                if statement
                else match[0]
            )
        number = int(match[1])
        if number not in titles:
            return match[0]
        name = f'<span class="unseen">Source </span>{number}'  # Gradio drops aria attributes from messages
        href = f'href="#source-{turn}-{number}"'
        if match[2]:
            return f'<a class="cite partly" {href} title="{_differs(statement, "supported in part")}">{name} partly</a>'
        return f'<a class="cite" {href} title="{shown(titles[number])}">{name}</a>'

    def set_off(text: str) -> str:
        return f'<span class="doubt">{text}</span>' if doubted and text.strip() else text

    def marked(text: str) -> str:
        nonlocal doubted
        pieces, at = [], 0
        for match in re.finditer(f"{_DOUBT}|{_MARK.pattern}", text):
            pieces.append(set_off(text[at : match.start()]))
            at = match.end()
            if match[0] == _DOUBT:
                doubted = True
            else:
                pieces.append(link(match))
        return "".join([*pieces, set_off(text[at:])])

    pieces = re.split(r"(<[^>]*>)", markup)
    in_code = 0
    for position, piece in enumerate(pieces):
        if piece.startswith("<"):
            in_code += piece.startswith(("<code", "<pre")) - piece.startswith(("</code", "</pre"))
        else:
            pieces[position] = piece.replace(_DOUBT, "") if in_code else marked(piece)
    return "".join(pieces)


def _differs(statement: Statement | None, otherwise: str) -> str:
    """Return what a reader is told about a statement that isn't supported."""
    return shown("; ".join(statement.differs) if statement and statement.differs else otherwise)


def _with_doubts(text: str, statements: Sequence[Statement]) -> str:
    """Return `text` with a sign where each statement begins that isn't supported."""
    text = text.replace(_DOUBT, "\ufffd")  # a model may write anything; the length stays
    for statement in reversed(statements):
        if statement.mark != "supported":
            text = text[: statement.start] + _DOUBT + text[statement.start :]
    return text


def question_html(question: str, turn: int) -> str:
    """Return what the reader asked, literally, with a button to change it."""
    return _one_block(
        f'<div class="asked" id="asked-{turn}"><div class="question" dir="auto">{shown_lines(question)}</div>{_button("edit", "Edit")}</div>'
    )


def _button(act: str, label: str) -> str:
    """Return a button that `script.js` acts upon; it finds the turn in the id around it."""
    return f'<button type="button" class="act act-{act}">{label}</button>'


def answer_html(answer: Answer, turn: int) -> str:
    """Return one snapshot of an answer as a single block of HTML without line ends."""
    titles = {citation.number: citation.chunk.title for citation in answer.cited}
    parts = [_reasoning_html(answer), _state_html(answer)]
    if answer.text:
        markup = markdown_html(_with_doubts(answer.text, answer.statements))
        parts.append(f'<div class="text" dir="auto">{_link_marks(markup, titles, turn, answer.statements)}</div>')
    parts += [_elsewhere_html(other, titles, turn) for other in answer.elsewhere]
    if answer.note:
        parts.append(f'<div class="note" role="status">{shown_lines(answer.note)}</div>')
    if answer.final:
        parts.append(_foot_html(answer))
    kind = "answer refused" if answer.refused else f"answer {answer.state}"
    return _one_block(f'<div class="{kind}" id="answer-{turn}">{"".join(parts)}</div>')


def _elsewhere_html(other: Elsewhere, titles: dict[int, str], turn: int) -> str:
    mark = _link_marks(f"[{other.citation.number}]", titles, turn)
    return f'<div class="note" role="status"><span dir="auto">{shown(other.line)}</span> {mark}.</div>'


def _reasoning_html(answer: Answer) -> str:
    if not answer.reasoning:
        return ""
    seconds = answer.seconds_thinking
    if not answer.final and not answer.text:
        label = f"Thinking{dots()}"
    else:
        label = "How the model came to it" if seconds is None else f"Thought for {duration(seconds)}"
    body = _link_marks(markdown_html(answer.reasoning), {}, 0)
    return f'<details class="reasoning"><summary>{label}</summary><div dir="auto">{body}</div></details>'


def duration(seconds: float) -> str:
    """Return seconds in words for the reader."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def dots() -> str:
    """Return three dots that move, for what is going on."""
    return '<span class="dots" aria-hidden="true"><span>.</span><span>.</span><span>.</span></span>'


def _state_html(answer: Answer) -> str:
    if answer.final or answer.text or (answer.state == "writing" and answer.reasoning):
        return ""
    if answer.ahead:
        line = f"Waiting: {answer.ahead} ahead"
    elif not answer.passages:
        line = "Searching"
    elif answer.progress:
        line = "Reading part {} of {}".format(*answer.progress)
    else:
        line = "Reading the passages"
    return f'<div class="state" role="status">{line}{dots()}</div>'


def _foot_html(answer: Answer) -> str:
    numbers = len({citation.number for citation in answer.citations})
    sources = f"{numbers} source{'s' if numbers > 1 else ''}" if numbers else ""
    facts = [fact for fact in (answer.found, sources, shown(answer.cost)) if fact]
    acts = (_button("copy", "Copy") if answer.text else "") + _button("again", "Try again")
    return f'<div class="foot"><span>{" · ".join(facts)}</span>{acts}</div>'


# Passages


def sources_html(answer: Answer, turn: int) -> str:
    """Return the cards of one answer's passages: cited ones by number, then the others, best first.

    Cited cards carry the id `source-{turn}-{number}` that the marks in the answer link to.
    """
    cited: dict[int, list[Citation]] = {}
    for citation in answer.cited:
        cited.setdefault(citation.number, []).append(citation)
    cited_chunks = {citation.chunk.id for citation in answer.cited}
    cards = [_cited_card(turn, number, cited[number]) for number in sorted(cited)]
    others = [_other_card(hit) for hit in answer.passages if not cited_chunks.intersection(part.id for part in hit.parts)]
    if cards and others:
        cards.append('<h3 class="divider">Also found, not cited</h3>')
    if not cards and not others:
        cards.append('<p class="hint">No passage was found for this question.</p>')
    back = _button("back", "Back to the answer")
    head = f'<div class="for"><span dir="auto">{shown(answer.question)}</span>{back}</div>'
    return f'<section class="sources" id="sources-{turn}" data-turn="{turn}" aria-label="Sources">{head}{"".join(cards + others)}</section>'


def panel_html(answers: Sequence[Answer]) -> str:
    """Return the sources of all turns; `script.js` shows those of one turn at a time."""
    if not answers:
        hint = "The passages that an answer rests on appear here. Each number in the answer leads to the sentence it comes from."
        return f'<div class="panel" data-turn="-1"><h2>Sources</h2><p class="hint">{hint}</p></div>'
    newest = len(answers) - 1
    sections = "".join(sources_html(answer, turn) for turn, answer in enumerate(answers) if answer.passages or turn == newest)
    return f'<div class="panel" data-turn="{newest}"><h2>Sources</h2>{sections}</div>'


def _cited_card(turn: int, number: int, citations: Sequence[Citation]) -> str:
    chunk = citations[0].chunk
    spans = [(citation.start, citation.end) for citation in citations if citation.chunk.id == chunk.id]
    badge = f'<span class="badge" aria-hidden="true">{number}</span>'
    body = _passage_html(chunk, spans, _AROUND_CITED)
    return (
        f'<article class="source cited" id="source-{turn}-{number}" tabindex="-1" aria-label="Source {number}">'
        f"{_card_head(chunk, badge)}{body}</article>"
    )


def _other_card(hit: Hit) -> str:
    start, end = hit.gist
    text = hit.chunk.text[start - hit.chunk.start : end - hit.chunk.start]
    body = _passage_html(replace(hit.chunk, start=start, end=end, text=text), [hit.best_sentence], _AROUND_OTHER)
    return f'<article class="source">{_card_head(hit.chunk, "")}{body}</article>'


def _card_head(chunk: Chunk, badge: str) -> str:
    where = [shown(chunk.heading)] if chunk.heading else []
    if chunk.page is not None:
        where.append(f"p. {chunk.page}")
    where.append(shown(chunk.document_id))
    title = shown(chunk.title) or shown(chunk.document_id)
    return f'<header>{badge}<div><h4 dir="auto">{title}</h4><p class="where" dir="auto">{" · ".join(where)}</p></div></header>'


def _passage_html(chunk: Chunk, spans: Sequence[Span], around: int) -> str:
    """Return a chunk's text with `spans` (characters of the document) marked, folded to what lies near them."""
    # Lines that a file wraps by hand flow again; the length stays, so the spans do too.
    text = _WRAPPED.sub(" ", chunk.text)
    marks = _merged([(max(start - chunk.start, 0), min(end - chunk.start, len(text))) for start, end in spans])
    full = f'<div class="passage" dir="auto">{_marked(text, marks, 0, len(text))}</div>'
    first, last = (marks[0][0], marks[-1][1]) if marks else (0, 0)
    start, end = _word_edge(text, first - around, -1), _word_edge(text, last + around, 1)
    if end - start > 0.8 * len(text):
        return full
    before, after = "…" if start else "", "…" if end < len(text) else ""
    excerpt = f'<div class="passage excerpt" dir="auto">{before}{_marked(text, marks, start, end).strip()}{after}</div>'
    return f'{excerpt}<details class="whole"><summary>Show all</summary>{full}</details>'


def _merged(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _word_edge(text: str, position: int, step: int) -> int:
    """Return the nearest white space from `position` on in the direction of `step`, at most 40 characters away."""
    for at in range(position, position + 40 * step, step):
        if at <= 0 or at >= len(text):
            return 0 if at <= 0 else len(text)
        if text[at].isspace():
            return at
    return position


def _marked(text: str, marks: Sequence[Span], start: int, end: int) -> str:
    """Return `text[start:end]` escaped, with `marks` in mark elements."""
    pieces: list[str] = []
    at = start
    for first, last in marks:
        first, last = max(first, start), min(last, end)
        if first < last:
            pieces.append(f"{shown_lines(text[at:first])}<mark>{shown_lines(text[first:last])}</mark>")
            at = last
    return "".join(pieces) + shown_lines(text[at:end])


def line_html(text: str, kind: str = "note") -> str:
    """Return one line for the reader; `kind` is the CSS class: note, problem or hint."""
    return f'<p class="{kind}" role="{"alert" if kind == "problem" else "status"}">{shown(text)}</p>' if text else ""


def editing_html(last: bool) -> str:
    """Return the line shown while an earlier question is being changed; `last` says that no other follows it."""
    rest = "Its answer is" if last else "Its answer and all that follows are"
    return f'<p class="hint" role="status">You are changing a question. {rest} written anew. {_button("leave", "Cancel")}</p>'


def status_html(name: str, status: str, documents: int, syncing: Report | None = None, notice: str = "") -> str:
    """Return the line that tells how many documents there are, whether they are being indexed and the language model is ready.

    `notice` is a line about the state of search, which follows it.
    """
    state, _, reason = status.partition(":")
    words = {"ready": "ready", "loading": "loading", "not loaded": "not loaded yet", "failed": "can't be used"}
    kind = {"ready": "good", "failed": "bad"}.get(state, "busy")
    count = f"{documents:,} document{'' if documents == 1 else 's'}"
    told = f"{shown(name)}: {words.get(state, shown(state))}"
    if name == "extractive":
        told = "no language model: answers are sentences of the documents"
    parts = [count, told]
    if syncing is not None and syncing.total:
        parts.insert(0, f"Indexing {syncing.done:,} of {syncing.total:,} files")
        kind = "bad" if state == "failed" else "busy"
    line = f'<span class="light {kind}" aria-hidden="true"></span>{" · ".join(parts)}'
    told_more = line_html(reason.strip(), "problem") if state == "failed" else ""
    return f'<p class="status">{line}</p>' + told_more + line_html(notice, "hint")


def welcome_html(title: str, model_place: str) -> str:
    """Return what an empty conversation shows; `model_place` names where questions are sent, empty for this computer."""
    where = (
        f"Questions and the passages found for them are sent to {shown(model_place)}."
        if model_place
        else "Nothing leaves this computer."
    )
    line = (
        f"A number after a statement leads to the sentence it rests on. What the documents don't say is marked “not found”. {where}"
    )
    return _one_block(f'<div class="welcome"><h2>{shown(title)}</h2><p>{line}</p></div>')


# Evaluation


def evaluation_html(runs: Sequence[Point], png: bytes) -> str:
    """Return the plot `png`, left out when empty, and a table of the newest of `runs`, which come oldest first."""
    if not runs:
        return f'<p class="hint">{shown(EMPTY)}</p>'
    plot = line_html("The plot can't be drawn; the table is complete.", "problem")
    if png:
        source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
        plot = f'<div class="plot"><img src="{source}" alt="The main measure of each run over time, as in the table"></div>'
    count = f"{len(runs):,} run{'s' if len(runs) > 1 else ''}"
    if len(runs) > _RUNS:
        count += f", the newest {_RUNS} are listed"
    head = "<tr><th>Date</th><th>Set</th><th>Mode</th><th>Measure</th><th>Value</th><th>Questions</th></tr>"
    rows = "".join(_run_row(run) for run in reversed(runs[-_RUNS:]))
    table = f'<table class="documents runs"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return f'{plot}<p class="count">{count}</p>{table}'


def _run_row(run: Point) -> str:
    cells = (
        f'<td class="when">{run.date.astimezone():%Y-%m-%d %H:%M}</td><td class="name" dir="auto"><strong>{shown(run.set)}</strong></td>'
        f"<td>{shown(run.mode)}</td><td>{shown(run.label)}</td>"
    )
    return f'<tr>{cells}<td class="number">{run.value:.4f}</td><td class="number">{run.questions:,}</td></tr>'
