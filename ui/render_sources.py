"""The passages beside an answer, and what a search found, as HTML in which, as in `render.py`, nothing can load or run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from assistant.chunking import Chunk
from assistant.grounding import Citation
from assistant.retrieval import Hit
from assistant.sentences import Span
from assistant.snapshots import Answer
from assistant.whereabouts import LINES, Fate
from ui.layout import is_code, laid_out, marked, merged
from ui.listing import key_of
from ui.render import button_html, line_html, shown

_AROUND_CITED, _AROUND_OTHER = 160, 90  # characters shown on each side of what supports the answer
Fates = Mapping[Chunk, Fate]


def sources_html(answer: Answer, turn: int, fates: Fates = {}) -> str:  # noqa: B006  (it is never changed)
    """Return the cards of one answer's passages: cited ones by number, then those read and those only found, best first.

    Cited cards carry the id `source-{turn}-{number}` that the marks in the answer link to. `fates` says what became of the
    passages since.
    """
    cited: dict[int, list[Citation]] = {}
    for citation in answer.cited:
        cited.setdefault(citation.number, []).append(citation)
    cards = [_cited_card(turn, number, cited[number], fates) for number in sorted(cited)]
    for label, others in _others(answer):
        if label and others:
            cards.append(f'<h3 class="divider">{label}</h3>')
        cards += [_other_card(turn, place, hit, fates) for place, hit in others]
    if not cards:
        cards.append('<p class="hint">No passage was found for this question.</p>')
    back = button_html("back", "Back to the answer")
    head = f'<div class="for"><span dir="auto">{shown(answer.question)}</span>{back}</div>'
    return f'<section class="sources" id="sources-{turn}" data-turn="{turn}" aria-label="Sources">{head}{"".join(cards)}</section>'


def _others(answer: Answer) -> list[tuple[str, list[tuple[int, Hit]]]]:
    """Return the passages that are not cited, each with its place among all, in groups with what stands above each."""
    cited = {citation.chunk.id for citation in answer.cited}
    others = [(place, hit) for place, hit in enumerate(answer.passages) if not cited.intersection(part.id for part in hit.parts)]
    if not answer.final or not answer.read_chunks:
        return [("Also found, not cited" if cited else "", others)]
    read = [(place, hit) for place, hit in others if hit.chunk.id in answer.read_chunks]
    return [("Read, not cited", read), ("Found, not read", [one for one in others if one not in read])]


def panel_html(answer: Answer | None, turn: int = -1, fates: Fates = {}) -> str:  # noqa: B006  (it is never changed)
    """Return the sources of the answer of a turn, or what will stand there."""
    if answer is None:
        hint = "The passages that an answer rests on appear here. Each number in the answer leads to the sentence it comes from."
        return f'<div class="panel" data-turn="-1"><h2>Sources</h2><p class="hint">{hint}</p></div>'
    return f'<div class="panel" data-turn="{turn}"><h2>Sources</h2>{sources_html(answer, turn, fates)}</div>'


def _cited_card(turn: int, number: int, citations: Sequence[Citation], fates: Fates) -> str:
    chunk = citations[0].chunk
    spans = [(citation.start, citation.end) for citation in citations if citation.chunk.id == chunk.id]
    badge = f'<span class="badge" aria-hidden="true">{number}</span>'
    body = _passage_html(chunk, spans, _AROUND_CITED) + _open(turn, f"c{number}.{citations[0].start}")
    return (
        f'<article class="source cited" id="source-{turn}-{number}" tabindex="-1" aria-label="Source {number}">'
        f"{_card_head(chunk, badge)}{_fate(fates.get(chunk))}{body}</article>"
    )


def _other_card(turn: int, place: int, hit: Hit, fates: Fates) -> str:
    start, end = hit.gist
    text = hit.chunk.text[start - hit.chunk.start : end - hit.chunk.start]
    body = _passage_html(replace(hit.chunk, start=start, end=end, text=text), [hit.best_sentence], _AROUND_OTHER)
    head = _card_head(hit.chunk, "") + _fate(fates.get(hit.chunk))
    return f'<article class="source">{head}{body}{_open(turn, f"p{place}")}</article>'


def _open(turn: int, ref: str) -> str:
    """Return the button that opens the reader at a passage; `ref` is made here, never from a text."""
    return (
        f'<button type="button" class="act read" data-read="text" data-turn="{turn}" data-ref="{ref}">Read in its document</button>'
    )


def _fate(fate: Fate | None) -> str:
    line = LINES[fate] if fate else ""
    return f'<p class="fate">{line}</p>' if line else ""


def hits_html(hits: Sequence[Hit], seconds: float) -> str:
    """Return what a search found, best first, each chunk with its scores."""
    if not hits:
        return line_html(f"Nothing found, in {seconds * 1000:,.0f} ms.", "hint")
    cards = []
    for number, hit in enumerate(hits, 1):
        scores = {
            "score (fused)": hit.score,
            "meaning (dense)": hit.dense,
            "words (lexical)": hit.lexical,
            "best sentence": hit.sentence,
        }
        told = "".join(f"<span>{name} <b>{value:.3f}</b></span>" for name, value in scores.items())
        body = _passage_html(hit.chunk, [hit.best_sentence], _AROUND_CITED)
        badge = f'<span class="badge">{number}</span>'
        open = f'<button type="button" class="find" data-find="{key_of(hit.chunk.document_id)}" data-at="{hit.chunk.start}">Open in its document</button>'
        cards.append(f'<article class="source">{_card_head(hit.chunk, badge)}<p class="scores">{told}{open}</p>{body}</article>')
    line = f"{len(hits):,} chunk{'' if len(hits) == 1 else 's'} in {seconds * 1000:,.0f} ms"
    return f'<p class="count" role="status">{line}</p>{"".join(cards)}'


def _card_head(chunk: Chunk, badge: str) -> str:
    where = [shown(chunk.heading)] if chunk.heading else []
    if chunk.page is not None:
        where.append(f"p. {chunk.page}")
    where.append(shown(chunk.document_id))
    title = shown(chunk.title) or shown(chunk.document_id)
    return f'<header>{badge}<div><h3 dir="auto">{title}</h3><p class="where" dir="auto">{" · ".join(where)}</p></div></header>'


def _passage_html(chunk: Chunk, spans: Sequence[Span], around: int) -> str:
    """Return a chunk's text with `spans` (characters of the document) marked, folded to what lies near them."""
    text = chunk.text
    marks = merged([(max(start - chunk.start, 0), min(end - chunk.start, len(text))) for start, end in spans])
    written = marked if is_code(chunk.document_id) else laid_out
    full = f'<div class="passage" dir="auto">{written(text, marks, 0, len(text))}</div>'
    first, last = (marks[0][0], marks[-1][1]) if marks else (0, 0)
    start, end = _word_edge(text, first - around, -1), _word_edge(text, last + around, 1)
    if end - start > 0.8 * len(text):
        return full
    before, after = "…" if start else "", "…" if end < len(text) else ""
    excerpt = f'<div class="passage excerpt" dir="auto">{before}{written(text, marks, start, end).strip()}{after}</div>'
    return f'{excerpt}<details class="whole"><summary>Show all</summary>{full}</details>'


def _word_edge(text: str, position: int, step: int) -> int:
    """Return the nearest white space from `position` on in the direction of `step`, at most 40 characters away."""
    for at in range(position, position + 40 * step, step):
        if at <= 0 or at >= len(text):
            return 0 if at <= 0 else len(text)
        if text[at].isspace():
            return at
    return position
