"""The user's own questions as HTML: drafts to be reviewed, those that were kept, and one of them being changed."""

from collections.abc import Sequence

from assistant.receipts import counted
from eval.own_questions import Entry, Evidence
from ui.render import line_html, shown, shown_lines
from ui.render_evaluation import ROWS, act, pager_html

_QUOTES = 3  # shown in the list; the form has all


def review_html(entries: Sequence[Entry], bad: Sequence[str], editing: str, page: int = 0) -> str:
    """Return the drafts, then a page of the questions that were kept; the one with the stamp `editing` as a form.

    `bad` are lines about what can't be read.
    """
    parts = [line_html(line, "problem") for line in bad[:ROWS]]
    drafts, kept = [entry for entry in entries if entry.draft], [entry for entry in entries if not entry.draft]
    if drafts:
        rows = "".join(_entry_html(entry, editing) for entry in drafts[:ROWS])
        more = (
            f'<p class="hint">and {len(drafts) - ROWS:,} more: they follow when these are done.</p>' if len(drafts) > ROWS else ""
        )
        parts.append(
            f'<h2 tabindex="-1">To review ({len(drafts):,})</h2><p class="hint">Drafts count in no evaluation until you keep them.</p>{rows}{more}'
        )
    if kept:
        shown_kept = kept[page * ROWS : (page + 1) * ROWS]
        opened = " open" if page or any(entry.stamp == editing for entry in kept) else ""
        rows = "".join(_entry_html(entry, editing) for entry in shown_kept)
        pager = pager_html("kept", page, len(kept), "question")
        parts.append(f'<details class="kept"{opened}><summary>Your own questions ({len(kept):,})</summary>{rows}{pager}</details>')
    return f'<section class="review" aria-label="Your questions">{"".join(parts)}</section>' if parts else ""


def _entry_html(entry: Entry, editing: str) -> str:
    return _form_html(entry) if entry.stamp == editing else _row_html(entry)


def _row_html(entry: Entry) -> str:
    comment = str(entry.row.get("comment", ""))
    parts = [f'<h3 dir="auto">{shown(entry.text)}</h3>']
    if comment:
        parts.append(f'<p class="comment" dir="auto">{shown_lines(comment)}</p>')
    answer = str(entry.row.get("answer", ""))
    if answer:
        parts.append(f'<p class="gold" dir="auto">{shown(answer)}</p>')
    evidence, unanswerable = entry.evidence, entry.row.get("unanswerable") is True
    parts += [_quote_html(quote) for quote in evidence[:_QUOTES]]
    if len(evidence) > _QUOTES:
        parts.append(f'<p class="hint">and {counted(len(evidence) - _QUOTES, "more quote")}</p>')
    if unanswerable:
        parts.append('<p class="hint">The documents don\'t answer it.</p>')
    whole = bool(evidence) or unanswerable
    if not whole:
        parts.append('<p class="note">Evidence is to be given: edit it, and choose where the answer stands.</p>')
    name = f'<span class="unseen"> {shown(entry.text)}</span>'
    keep = act("keep", f"Keep{name}", "go", to=entry.stamp) if entry.draft and whole else ""
    acts = keep + act("edit", f"Edit{name}", "second", to=entry.stamp) + act("ask", f"Throw away{name}", "second", to=entry.stamp)
    return f'<section class="question-row" id="question-{entry.stamp}">{"".join(parts)}<div class="acts">{acts}</div></section>'


def _quote_html(quote: Evidence) -> str:
    return f'<blockquote dir="auto">{shown(quote["quote"])}<cite>{shown(quote["document"])}</cite></blockquote>'


def _form_html(entry: Entry) -> str:
    chosen = len(entry.evidence)
    quotes = "".join(
        f'<label class="pick" dir="auto"><input type="checkbox" name="picked" value="{number}"{" checked" if number < chosen else ""}>'
        f"<span>{shown(quote['quote'])}<cite>{shown(quote['document'])}</cite></span></label>"
        for number, quote in enumerate(entry.offered)
    )
    offered = f"<fieldset><legend>Where the answer stands</legend>{quotes or '<p class=hint>Nothing was cited: paste a sentence below.</p>'}</fieldset>"
    unanswerable = " checked" if entry.row.get("unanswerable") is True else ""
    comment = str(entry.row.get("comment", ""))
    told = f'<p class="comment" dir="auto">{shown_lines(comment)}</p>' if comment else ""
    fields = (
        f'<label>Question<textarea name="text" rows="2" maxlength="4000" dir="auto">{shown_lines(entry.text)}</textarea></label>{told}{offered}'
        "<label>More sentences that answer it, word for word from your documents, one a line"
        '<textarea name="typed" rows="2" maxlength="20000" dir="auto"></textarea></label>'
        f'<label>Shortest right answer, if there is one<textarea name="answer" rows="2" maxlength="2000" dir="auto">{shown_lines(str(entry.row.get("answer", "")))}</textarea></label>'
        f'<label class="pick"><input type="checkbox" name="unanswerable"{unanswerable}><span>The documents don\'t answer it</span></label>'
    )
    acts = act("save", "Keep", "go", to=entry.stamp) + act("leave", "Cancel", "second")
    return f'<section class="question-row editing" id="question-{entry.stamp}" data-form>{fields}<div class="acts">{acts}</div></section>'
