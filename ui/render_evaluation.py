"""Evaluation runs as HTML, in which, as in `render.py`, nothing can load or run."""

import base64
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant.receipts import counted
from eval.comparison import Change, Comparison, differences, place_of
from eval.history import Point
from eval.runs import Run, RunQuestion
from eval.verdicts import Judged
from ui.evaluating import Outcome, Progress
from ui.listing import key_of
from ui.render import dots, line_html, shown, shown_lines

ROWS = 20  # runs or questions at once
_CHANGED = 30  # questions shown each way
_HITS = 5
_SETTINGS = 40
_EMPTY = "There are no runs yet: measure above, or with <code>python -m eval retrieval --corpus</code>."
# What the measures are called on the page, and what they say.
_MEASURES = {
    "recall": ("recall", "how much of the expected text was found"),
    "precision": ("precision", "how much of what was found was expected"),
    "IoU": ("IoU", "what was found and expected, of what was found or expected"),
    "precision-omega": ("best precision", "the precision if exactly the right chunks were found"),
    "good": ("well done", "right and cited where there is an answer, refused where there is none"),
    "right": ("right", "holds the expected answer"),
    "right_cited": ("right and cited", "holds the expected answer, and cites where it stands"),
    "exact": ("exact", "is the expected answer word for word; a refusal counts 0"),
    "F1": ("F1", "words in common with the expected answer; a refusal counts 0"),
    "exact_answered": ("exact, if answered", "the same of those that were answered"),
    "F1_answered": ("F1, if answered", "the same of those that were answered"),
    "answered": ("answered", "of the questions that have an answer"),
    "refused": ("refused", "of the questions that have none"),
    "citation_recall": ("statements cited", "have a citation that supports them"),
    "citation_precision": ("citations sound", "support their statement"),
    "gold_citations": ("citations as expected", "point at what was expected"),
    "cites_gold": ("cites the place", "at least one citation points at what was expected"),
    "supported": ("supported", "of the statements, by the passages"),
}
_MINUTES, _SECONDS = "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"
_CUT = 300  # characters from which on a text of a run may have been cut


@dataclass(frozen=True)
class Stock:
    """How many questions about the documents there are, of them `unanswerable`; drafts to review; what is wrong with them."""

    questions: int = 0
    unanswerable: int = 0
    drafts: int = 0
    problem: str = ""


def act(name: str, label: str, kind: str = "plain", **values: object) -> str:
    """Return a button that `evaluation.js` tells the server of."""
    told = "".join(f' data-{key}="{shown_lines(str(value))}"' for key, value in values.items())
    return f'<button type="button" class="{kind}" data-eval="{name}"{told}>{label}</button>'


# Measuring


def measuring_html(stock: Stock, running: Progress | None, last: Outcome | None) -> str:
    """Return what there is to measure with, the buttons that begin, or how far it is."""
    if running is not None:
        return f'<section class="measuring" aria-label="Measure">{_progress_html(running)}</section>'
    parts = [line_html(stock.problem, "problem")]
    if stock.questions:
        found = counted(stock.questions - stock.unanswerable, "question") + " about your documents"
        more = f", and {stock.unanswerable:,} that they don't answer" if stock.unanswerable else ""
        parts.append(f'<p class="stock">{found}{more}.</p>')
        again = '<label><input type="checkbox" id="eval-fresh"> ask again what was answered before</label>'
        buttons = act("search", "Measure search", "go") + act("answers", "Measure answers", "go")
        parts.append(f'<div class="start">{buttons}{again}</div>')
        parts.append(
            '<p class="hint">Search takes a second or two. Answers take a few seconds each with the language model, which anybody '
            "who asks gets first; you can stop at any time and go on later.</p>"
        )
    elif not stock.problem:
        parts.append(_empty_html(stock.drafts))
    if last is not None:
        parts.append(_outcome_html(last))
    return f'<section class="measuring" aria-label="Measure">{"".join(parts)}</section>'


def _empty_html(drafts: int) -> str:
    review = "<li>Review the drafts below: those you keep count.</li>" if drafts else ""
    return (
        '<div class="empty"><h2>No questions about your documents yet</h2><p>An evaluation asks questions of which you know where the answer '
        f"stands. To get some:</p><ul>{review}<li>In the <em>Ask</em> tab, give an answer a thumb and press <em>Add to my questions</em>.</li>"
        "<li>Run <code>assistant eval generate --yes</code>: the language model drafts some, which you review here.</li>"
        "<li>The 92 questions of <code>eval/golden/starter.jsonl</code> count while the starter documents are in your corpus.</li></ul></div>"
    )


def _progress_html(running: Progress) -> str:
    what = f"Measuring {running.kind}"
    if not running.total:
        return f'<div class="syncing"><p class="state" role="status">{what}{dots()}</p>{act("stop", "Stop", "danger")}</div>'
    facts = [f"{what}: {running.done:,} of {counted(running.total, 'question')}"]
    left = running.seconds_left
    if running.waiting:
        facts.append("waiting: somebody is asking")
    elif left is not None:
        facts.append(f"about {_roughly(left)} left")
    bar = f'<progress value="{running.done}" max="{running.total}" aria-label="{what}"></progress>'
    return f'<div class="syncing">{bar}<p class="state">{" · ".join(facts)}</p>{act("stop", "Stop", "danger")}</div>'


def _roughly(seconds: float) -> str:
    return f"{max(seconds, 1):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _outcome_html(last: Outcome) -> str:
    parts = [line_html(last.problem, "problem"), line_html(last.stopped)]
    if last.run:
        parts.append(
            f'<p class="outcome" role="status">Done. {act("open", "Show each question", "link", run=key_of(last.run))}</p>'
        )
    if last.notes:
        rows = "".join(f'<li dir="auto">{shown(note)}</li>' for note in last.notes[:ROWS])
        parts.append(f'<details class="notes"><summary>{counted(len(last.notes), "note")}</summary><ul>{rows}</ul></details>')
    return "".join(parts)


# All runs


def runs_html(runs: Sequence[Point], light: bytes, dark: bytes, page: int = 0) -> str:
    """Return the plot, left out when it can't be drawn, and a page of the table of `runs`, which come oldest first."""
    if not runs:
        return f'<p class="hint">{_EMPTY}</p>'
    plot = line_html("The plot can't be drawn; the table is complete.", "problem")
    if light:
        images = "".join(_image(kind, png) for kind, png in (("day", light), ("night", dark)))
        plot = f'<div class="plot" tabindex="0" role="group" aria-label="Plot of the runs">{images}</div>'
    newest = list(reversed(runs))
    rows = "".join(_run_row(run) for run in newest[page * ROWS : (page + 1) * ROWS])
    head = "<tr><th>Date</th><th>Set</th><th>Mode</th><th>Measure</th><th>Value</th><th>Questions</th></tr>"
    table = f'<table class="documents runs"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    pager = pager_html("runs", page, len(runs), "run")
    count = f'<p class="count">{counted(len(runs), "run")}, the newest first</p>'
    return f"<h2>Runs over time</h2>{plot}{count}{table}{pager}{_compare_form(newest)}"


def _image(kind: str, png: bytes) -> str:
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    return f'<img class="{kind}" src="{source}" alt="The main measure of each run over time; the table below has the same figures">'


def _run_row(run: Point) -> str:
    cells = (
        f'<td class="when">{run.date.astimezone():%Y-%m-%d %H:%M}</td><td class="name" dir="auto">{act("open", shown(run.set), "open", run=key_of(run.run))}</td>'
        f"<td>{shown(run.mode)}</td><td>{shown(run.label)}</td>"
    )
    return f'<tr>{cells}<td class="number">{run.value:.4f}</td><td class="number">{run.questions:,}</td></tr>'


def _compare_form(newest: Sequence[Point]) -> str:
    if len(newest) < 2:
        return ""
    after = newest[0]
    labels = _option_labels(newest)
    before = next((run for run in newest[1:] if (run.set, run.mode, run.k) == (after.set, after.mode, after.k)), newest[1])

    def select(name: str, label: str, chosen: Point) -> str:
        options = "".join(
            f'<option value="{key_of(run.run)}"{" selected" if run is chosen else ""}>{told}</option>'
            for run, told in zip(newest, labels, strict=True)
        )
        return f'<label>{label}<select name="{name}">{options}</select></label>'

    fields = select("a", "Earlier run", before) + select("b", "Later run", after)
    return f'<h2>Compare two runs</h2><div class="compare">{fields}{act("compare", "Compare", "go")}</div>'


def _option_labels(runs: Sequence[Point]) -> list[str]:
    """Return what each run is called in the lists: with its seconds where others would be called the same, then with a number."""
    labels = [_option(run) for run in runs]
    several = Counter(labels)
    labels = [_option(run, _SECONDS) if several[label] > 1 else label for run, label in zip(runs, labels, strict=True)]
    seen: Counter[str] = Counter()
    for place, label in enumerate(labels):
        seen[label] += 1
        labels[place] += f" ({seen[label]})" if seen[label] > 1 else ""
    return labels


def _option(run: Point, form: str = _MINUTES) -> str:
    return f"{run.date.astimezone():{form}} · {shown(run.set)} · {shown(run.mode)} · {shown(run.measure)} {run.value:.3f}"


def pager_html(name: str, page: int, count: int, what: str) -> str:
    """Return the buttons to the page before and the page after; nothing when all is on one."""
    if count <= ROWS:
        return ""
    first, last = page * ROWS + 1, min((page + 1) * ROWS, count)
    before = act(name, f"← Previous {ROWS}", "link", page=page - 1) if page else ""
    after = act(name, f"Next {min(ROWS, count - last)} →", "link", page=page + 1) if last < count else ""
    return f'<p class="pager"><span>{first:,} to {last:,} of {counted(count, what)}</span>{before}{after}</p>'


# One run


def run_html(run: Run, name: str, found: Sequence[Judged], only_failures: bool, page: int) -> str:
    """Return a run's measures and a page of its questions, `found`, the worst first."""
    failures = [one for one in found if one.verdict != "right"]
    listed = failures if only_failures else found
    head = (
        f'<div class="bar">{act("back", "← All runs", "link")}</div><h2 tabindex="-1" dir="auto">{_title(run)}</h2>'
        f'<p class="count">{run.moment.astimezone():%Y-%m-%d %H:%M} · {counted(len(run.questions), "question")} · {run.seconds:,.0f} s</p>'
    )
    kinds = (("all", "All", found, not only_failures), ("failures", "Not right", failures, only_failures))
    filters = "".join(
        act("filter", f"{label} ({len(some):,})", f"choice{' chosen' if on else ''}", only=key).replace(
            'type="button"', f'type="button" aria-pressed="{str(on).lower()}"', 1
        )
        for key, label, some, on in kinds
    )
    rows = "".join(_question_html(one, run) for one in listed[page * ROWS : (page + 1) * ROWS])
    none = '<p class="hint">Every question went well.</p>' if not listed else ""
    pager = pager_html("page", page, len(listed), "question")
    body = f'<div class="choices" role="group" aria-label="Which questions">{filters}</div>{none}{rows}{pager}'
    return f'<article class="run" id="run-{key_of(name)}-{page}">{head}{_measures_html(run.measures)}{body}</article>'


def _title(run: Run) -> str:
    return f"Answers about {shown(run.asked)}" if run.mode == "answers" else f"Search in {shown(run.asked)}, mode {shown(run.mode)}"


def _measure(name: str) -> str:
    return _MEASURES[name][0] if name in _MEASURES else shown(name)


def _measures_html(measures: Mapping[str, float]) -> str:
    pairs = "".join(f"<div><dt>{_measure(name)}</dt><dd>{value:.3f}</dd></div>" for name, value in measures.items())
    told = [_MEASURES[name] for name in measures if name in _MEASURES]
    rows = "".join(f"<li><b>{label}</b>: {meaning}</li>" for label, meaning in told)
    meanings = f'<details class="notes"><summary>What they mean</summary><ul>{rows}</ul></details>' if rows else ""
    return f'<dl class="figures">{pairs}</dl>{meanings}'


def _quote(text: str) -> str:
    """Return a text of a run, which may have been cut, as a quote."""
    words = " ".join(text.split())
    return f'<blockquote dir="auto">{shown_lines(words)}{"…" if len(text) >= _CUT else ""}</blockquote>' if words else ""


def _question_html(one: Judged, run: Run) -> str:
    tag = f'<span class="verdict {one.verdict}">{one.verdict}</span>'
    figure = f"{_measure(run.main_measure)} {one.score:.2f}"
    head = f'<header>{tag}<h3 dir="auto">{shown(one.question.text)}</h3><p class="where" dir="auto">{shown(one.why)} · {figure}</p></header>'
    return f'<section class="asked-of">{head}{_expected_html(one)}{_got_html(one)}</section>'


def _expected_html(one: Judged, before: Judged | None = None) -> str:
    """Return what was expected and where it was found, in a comparison also where the run `before` found it."""
    question, told = one.question, one.question.answer
    parts = []
    golds = told.get("gold") if isinstance(told.get("gold"), list) else []
    if golds:
        parts.append(f'<p class="gold" dir="auto">{" / ".join(shown(str(gold)) for gold in golds or [])}</p>')
    if told.get("kind") == "unanswerable":
        parts.append('<p class="gold">that the documents don\'t say</p>')
    for number, (place, rank) in enumerate(zip(question.relevant, one.ranks, strict=True)):
        text = question.expected[number] if number < len(question.expected) else ""
        where = _rank(rank)
        if before is not None:
            ranks = dict(zip(before.question.relevant, before.ranks, strict=True))
            where = f"{_rank(ranks[place])} in A, {where} in B" if place in ranks else f"{where} in B"
        parts.append(
            f'<div class="place"><p class="where" dir="auto">{shown(place_of(place))} · <b class="{"" if rank else "bad"}">{where}</b></p>{_quote(text)}</div>'
        )
    return f'<div class="expected"><h4>Expected</h4>{"".join(parts)}</div>' if parts else ""


def _rank(rank: int) -> str:
    return f"rank {rank}" if rank else "not found"


def _got_html(one: Judged) -> str:
    question, told = one.question, one.question.answer
    parts = []
    if told:
        parts.append(f'<h4>Answer</h4><p class="given" dir="auto">{shown_lines(str(told.get("answer") or "none"))}</p>')
        cited = told.get("citations") if isinstance(told.get("citations"), list) else []
        quotes = told.get("quotes") if isinstance(told.get("quotes"), list) else []
        for number, place in enumerate(cited or []):
            quote = _quote(str(quotes[number])) if quotes and number < len(quotes) else ""
            parts.append(f'<div class="place"><p class="where" dir="auto">cites {shown(place_of(str(place)))}</p>{quote}</div>')
    hits = "".join(
        f'<li><p class="where" dir="auto">{shown(hit.document)} · {hit.start:,} to {hit.end:,} · score {hit.score:.3f}</p>'
        f"{_quote(hit.text)}</li>"
        for hit in question.hits[:_HITS]
    )
    what = f"<ol>{hits}</ol>" if hits else '<p class="hint">Nothing was found.</p>'
    opened = " open" if one.verdict == "wrong" and not told else ""
    parts.append(f"<details{opened}><summary>Passages found</summary>{what}</details>")
    return f'<div class="got">{"".join(parts)}</div>'


# Two runs


@dataclass(frozen=True)
class Compared:
    """Two runs with their comparison by the measure chosen, and by each measure that both have."""

    a: Run
    b: Run
    chosen: Comparison
    every: Mapping[str, Comparison]


def comparison_html(one: Compared, judged_a: Mapping[str, Judged], judged_b: Mapping[str, Judged]) -> str:
    """Return the measures side by side, and the questions that got better and worse; `judged_a` and `judged_b` are by id."""
    a, b, chosen = one.a, one.b, one.chosen
    form = _MINUTES if _named(a, _MINUTES) != _named(b, _MINUTES) else _SECONDS
    head = (
        f'<div class="bar">{act("back", "← All runs", "link")}</div><h2 tabindex="-1">Two runs compared</h2>'
        f'<dl class="two"><dt>A</dt><dd dir="auto">{_named(a, form)}</dd><dt>B</dt><dd dir="auto">{_named(b, form)}</dd></dl>'
    )
    note = ""
    if a.data != b.data:
        left = len(chosen.only_a) + len(chosen.only_b)
        note = line_html(
            "Documents or questions changed between the runs: only questions of which the same was expected are compared"
            + (f" ({left:,} left out)." if left else ".")
        )
    verdict = f'<p class="outcome" role="status">{_verdict(chosen)}</p>'
    lists = "".join(
        _changes_html(label, changes, chosen.measure, judged_a, judged_b)
        for label, changes in (("Worse", chosen.worse), ("Better", chosen.better))
    )
    return f'<article class="run" id="run-compared-{shown_lines(chosen.measure)}">{head}{note}{verdict}{_side_by_side(one)}{_set_otherwise(a, b)}{lists}</article>'


def _named(run: Run, form: str) -> str:
    return f"{_title(run)}, {run.moment.astimezone():{form}}, {counted(len(run.questions), 'question')}"


def _verdict(found: Comparison) -> str:
    judged = found.bootstrap
    words = "no significant difference: it may well be chance" if found.better or found.worse else "no difference"
    if found.significant:
        words = "B is significantly worse" if judged.mean < 0 else "B is significantly better"
    counts = (
        f"{counted(found.questions, 'question')}: {len(found.better):,} better, {len(found.worse):,} worse, {found.same:,} the same"
    )
    return f"By {_measure(found.measure)}, <strong>{words}</strong>. {counts}."


def _side_by_side(one: Compared) -> str:
    rows = []
    for name, (before, after) in one.chosen.means.items():
        found = one.every.get(name)
        judged = found.bootstrap if found else None
        cells = [_figure(before), _figure(after), _figure(after - before, "+")]
        cells += [f"{judged.low:+.3f} to {judged.high:+.3f}", f"{judged.p:.2g}"] if judged else ["–", "–"]
        chosen = name == one.chosen.measure
        label = (
            f"<strong>{_measure(name)}</strong>" if chosen or not found else act("measure", _measure(name), "link", measure=name)
        )
        kind = ' class="significant"' if found and found.significant else ""
        rows.append(f'<tr{kind}><th scope="row">{label}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>')
    head = "".join(f'<th scope="col">{label}</th>' for label in ("Measure", "A", "B", "B − A", "95 % interval", "p"))
    return f'<div class="wide" tabindex="0" role="group" aria-label="Measures"><table class="side"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _figure(value: float, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{sign}.3f}"


def _set_otherwise(a: Run, b: Run) -> str:
    changed = list(differences(a, b).items())
    if not changed:
        return ""
    rows = "".join(
        f'<li dir="auto">{shown(name)}: {shown(before)} → {shown(after)}</li>' for name, (before, after) in changed[:_SETTINGS]
    )
    return f'<details class="notes"><summary>Different in the two runs ({len(changed):,})</summary><ul>{rows}</ul></details>'


def _changes_html(
    label: str, changes: Sequence[Change], measure: str, judged_a: Mapping[str, Judged], judged_b: Mapping[str, Judged]
) -> str:
    if not changes:
        return ""
    rows = "".join(_change_html(change, measure, judged_a, judged_b) for change in changes[:_CHANGED])
    more = f'<p class="hint">and {len(changes) - _CHANGED:,} more</p>' if len(changes) > _CHANGED else ""
    return f"<h3>{label}: {len(changes):,}</h3>{rows}{more}"


def _change_html(change: Change, measure: str, judged_a: Mapping[str, Judged], judged_b: Mapping[str, Judged]) -> str:
    before, after = judged_a[change.before.id], judged_b[change.after.id]
    figure = f"{change.before.measures[measure]:.2f} → {change.after.measures[measure]:.2f}"
    kind = "right" if change.difference > 0 else "wrong"
    head = f'<header><span class="verdict {kind}">{change.difference:+.2f}</span><h3 dir="auto">{shown(change.after.text)}</h3><p class="where">{figure}</p></header>'
    sides = "".join(
        f'<div><h4>{name}</h4><p class="where" dir="auto">{shown(one.why)}</p>{_first(one.question)}</div>'
        for name, one in (("A", before), ("B", after))
    )
    return f'<section class="asked-of">{head}{_expected_html(after, before)}<div class="sides">{sides}</div></section>'


def _first(question: RunQuestion) -> str:
    """Return the answer, or the passage found first."""
    if question.answer:
        return f'<p class="given" dir="auto">{shown_lines(str(question.answer.get("answer") or "none"))}</p>'
    hit = question.hits[0] if question.hits else None
    if hit is None:
        return '<p class="hint">Nothing was found.</p>'
    return f'<p class="where" dir="auto">first: {shown(hit.document)}</p>{_quote(hit.text)}'
