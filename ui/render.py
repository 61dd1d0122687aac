"""Answers as HTML, so that nothing in them can load, submit or run.

Text from a model, a document or a file name reaches a page only through `shown` (escaped) or
`markdown_html` (rendered, then cleaned). Links exist only to passages on the page, made here after
the cleaning.
"""

import html
import re
from collections.abc import Sequence

import nh3
from markdown_it import MarkdownIt

from assistant.documents import clean_line
from assistant.elsewhere import Elsewhere
from assistant.extractive import shown_text
from assistant.grounding import Citation, Statement
from assistant.receipts import Report
from assistant.snapshots import Answer

_TAGS = {
    *("b", "i", "em", "strong", "p", "br", "hr", "sup", "span", "div", "a", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6", "details", "summary"),
}
# Control, direction, tag and zero-width characters and lone surrogates. The joiners U+200C and U+200D stay:
# words of several scripts need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_MARK = re.compile(r"\[(\d{1,4})(\??)\]|\[\?\]")
_DOUBT = "\ue000"  # stands where a statement begins that isn't supported, until the Markdown is HTML
_ALIKE = 24  # letters of a quote that tell it from others


def shown(text: str) -> str:
    """Return one line of untrusted text, such as a title, file name or error, ready to stand in HTML."""
    return html.escape(clean_line(_UNSEEN.sub("", text), 300))


def shown_lines(text: str) -> str:
    """Return untrusted text of several lines, ready to stand in HTML."""
    return html.escape(_UNSEEN.sub("", text))


def one_block(markup: str) -> str:
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


def _link_marks(markup: str, cited: Sequence[Citation], turn: int, statements: Sequence[Statement] = ()) -> str:
    """Turn `[n]` and `[n?]` outside code into links to the passage cards, and `[?]` into a badge; others stay text.

    The marks are those of `statements` in order. What stands between `_DOUBT` and a mark is set off. A link's class says which
    sentence it is about, its title what `reader.js` shows of that: a line each for the place, the quote, and what differs.
    """
    rest = list(statements)
    doubted = False
    since = ""  # the text after the mark before

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
        meant = _meant([one for one in cited if one.number == number], statement, since)
        if meant is None:
            return match[0]
        name = f'<span class="unseen">Source </span>{number}'  # Gradio drops aria attributes from messages
        href, at = f'href="#source-{turn}-{number}"', f"at-{number}-{meant.start}"
        if match[2]:
            told = f"{_told(meant)}&#10;{_differs(statement, 'supported in part')}"
            return f'<a class="cite partly {at}" {href} title="{told}">{name} partly</a>'
        return f'<a class="cite {at}" {href} title="{_told(meant)}">{name}</a>'

    def set_off(text: str) -> str:
        return f'<span class="doubt">{text}</span>' if doubted and text.strip() else text

    def marked(text: str) -> str:
        nonlocal doubted, since
        pieces, at = [], 0
        for match in re.finditer(f"{_DOUBT}|{_MARK.pattern}", text):
            pieces.append(set_off(text[at : match.start()]))
            since += text[at : match.start()]
            at = match.end()
            if match[0] == _DOUBT:
                doubted = True
            else:
                pieces.append(link(match))
                since = ""
        since += text[at:]
        return "".join([*pieces, set_off(text[at:])])

    pieces = re.split(r"(<[^>]*>)", markup)
    in_code = 0
    for position, piece in enumerate(pieces):
        if piece.startswith("<"):
            in_code += piece.startswith(("<code", "<pre")) - piece.startswith(("</code", "</pre"))
        else:
            pieces[position] = piece.replace(_DOUBT, "") if in_code else marked(piece)
    return "".join(pieces)


def _meant(candidates: Sequence[Citation], statement: Statement | None, before: str) -> Citation | None:
    """Return which of the citations of one number a mark is about: the statement's, or the one quoted before it."""
    if statement is not None and statement.citation in candidates:
        return statement.citation
    letters = _letters(html.unescape(before))
    quoted = (one for one in candidates if _letters(one.quote)[:_ALIKE] in letters)
    return next(quoted, candidates[0] if candidates else None)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _told(citation: Citation) -> str:
    chunk = citation.chunk
    page = "" if chunk.page is None else f", p. {chunk.page}"
    return f"{shown(f'{chunk.title or chunk.document_id}{page}')}&#10;{shown(shown_text(citation.quote))}"


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
    return one_block(
        f'<div class="asked" id="asked-{turn}"><div class="question" dir="auto">{shown_lines(question)}</div>{button_html("edit", "Edit")}</div>'
    )


def earlier_html(hidden: int, more: int) -> str:
    """Return what stands above the first message that is shown: how many questions are `hidden`, and a button for `more` of them."""
    count = f"{hidden:,} earlier question{'' if hidden == 1 else 's'} not shown."
    return one_block(f'<p class="earlier">{count} {button_html("earlier", "Show it" if more == 1 else f"Show {more}")}</p>')


def button_html(act: str, label: str) -> str:
    """Return a button that `script.js` acts upon; it finds the turn in the id around it."""
    return f'<button type="button" class="act act-{act}">{label}</button>'


def answer_html(answer: Answer, turn: int, last: bool = True) -> str:
    """Return one snapshot of an answer as a single block of HTML without line ends; the `last` one with what to ask next."""
    parts = [_scope_html(answer), _reasoning_html(answer), _state_html(answer)]
    if answer.text:
        markup = markdown_html(_with_doubts(answer.text, answer.statements))
        parts.append(f'<div class="text" dir="auto">{_link_marks(markup, answer.cited, turn, answer.statements)}</div>')
    parts += [_elsewhere_html(other, turn) for other in answer.elsewhere]
    if answer.note:
        parts.append(f'<div class="note" role="status">{shown_lines(answer.note)}</div>')
    if answer.final:
        parts.append(_foot_html(answer))
    if last and answer.follow_ups:
        listed = "".join(f"<li>{button_html('suggested', shown(question))}</li>" for question in answer.follow_ups)
        parts.append(f'<div class="next"><p class="hint">Ask next</p><ul dir="auto">{listed}</ul></div>')
    kind = "answer refused" if answer.refused else f"answer {answer.state}"
    return one_block(f'<div class="{kind}" id="answer-{turn}">{"".join(parts)}</div>')


def _scope_html(answer: Answer) -> str:
    return f'<p class="scope">In <span dir="auto">{shown(answer.scope.line)}</span></p>' if answer.scope else ""


def _elsewhere_html(other: Elsewhere, turn: int) -> str:
    mark = _link_marks(f"[{other.citation.number}]", [other.citation], turn)
    return f'<div class="note" role="status"><span dir="auto">{shown(other.line)}</span> {mark}.</div>'


def _reasoning_html(answer: Answer) -> str:
    if not answer.reasoning:
        return ""
    seconds = answer.seconds_thinking
    if not answer.final and not answer.text:
        label = f"Thinking{dots()}"
    else:
        label = "How the model came to it" if seconds is None else f"Thought for {duration(seconds)}"
    body = _link_marks(markdown_html(answer.reasoning), (), 0)
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
    found = answer.found or ("word for word from the sources" if answer.quoted and answer.citations else "")
    facts = [fact for fact in (found, sources, shown(answer.cost)) if fact]
    acts = "".join(
        (
            button_html("continue", "Continue") if answer.unfinished else "",
            button_html("widen", "Ask in all documents") if answer.scope and answer.refused else "",
            button_html("copy", "Copy") if answer.text else "",
            button_html("again", "Try again"),
        )
    )
    judged, comment = _feedback_html(answer)
    return f'<div class="foot"><span>{" · ".join(facts)}</span><div class="acts">{acts}{judged}</div></div>{comment}'


def _feedback_html(answer: Answer) -> tuple[str, str]:
    """Return the buttons for what the reader thinks of an answer (`feedback.js` acts upon them), and their comment."""
    given = answer.feedback
    if not answer.text:
        return "", ""

    def button(act: str, label: str, kind: str = "") -> str:
        return f'<button type="button" class="judge judge-{act}{kind}">{label}</button>'

    parts = []
    for thumb, label in (("up", "Good answer"), ("down", "Bad answer")):
        chosen = given is not None and given.thumb == thumb
        name = f'<span class="unseen">{label}{", chosen" if chosen else ""}</span>'
        parts.append(button(thumb, name, " chosen" if chosen else ""))
    if given is None:
        return "".join(parts), ""
    parts.append(button("comment", "Change comment" if given.comment else "Comment"))
    parts.append('<span class="taken">Among my questions</span>' if given.question else button("golden", "Add to my questions"))
    comment = f'<div class="comment" dir="auto">{shown_lines(given.comment)}</div>' if given.comment else ""
    return "".join(parts), comment


def line_html(text: str, kind: str = "note") -> str:
    """Return one line for the reader; `kind` is the CSS class: note, problem or hint."""
    return f'<p class="{kind}" role="{"alert" if kind == "problem" else "status"}">{shown(text)}</p>' if text else ""


def editing_html(last: bool) -> str:
    """Return the line shown while an earlier question is being changed; `last` says that no other follows it."""
    rest = "Its answer is" if last else "Its answer and all that follows are"
    return f'<p class="hint" role="status">You are changing a question. {rest} written anew. {button_html("leave", "Cancel")}</p>'


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
