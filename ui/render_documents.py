"""A document, its receipt and what became of files as HTML, in which, as in `render.py`, nothing can load or run."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from assistant.addresses import Address
from assistant.catalog import DocumentInfo
from assistant.changes import Changes
from assistant.chunking import Chunk
from assistant.receipts import FileResult, Report, counted
from ui.listing import key_of, type_of
from ui.render import dots, duration, line_html, shown, shown_lines

CHUNKS = 50  # shown at once
_LISTED = 100  # files told by name after a sync


def act_button(act: str, to: str, label: str, kind: str = "plain") -> str:
    """Return a button that `script.js` tells the server of; `to` is made here, never from a text."""
    return f'<button type="button" class="{kind}" data-act="{act}" data-to="{to}">{label}</button>'


def name_html(name: str) -> str:
    """Return the name of a file or its path, whatever letters it has: its parts in order, the ending at the right."""
    parts = [f'<bdi dir="ltr">{part}</bdi>' for part in shown(name).split("/")]
    return parts[0] if len(parts) == 1 else f'<bdi dir="ltr">{"/".join(parts)}</bdi>'


def local_time(stamp: str) -> str:
    """Return a time of the catalogue as people here read it."""
    try:
        return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return shown(stamp)


def size_text(size: int) -> str:
    """Return bytes in words."""
    for unit in ("B", "kB", "MB"):
        if size < 1000 or unit == "MB":
            break
        size /= 1000  # type: ignore[assignment]
    return f"{size:,.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"


def warning_html(text: str) -> str:
    """Return a line that warns the reader."""
    sign = '<span class="sign" aria-hidden="true">⚠</span><span class="unseen">Warning: </span>'
    return f'<span class="warned">{sign}{shown(text)}</span>'


# One document


def remove_button(file: str) -> str:
    """Return the button after which `script.js` asks once more, by the name in it."""
    return act_button("ask", key_of(file), f'Remove…<span class="unseen"> {shown(file)}</span>', "remove")


def document_html(
    info: DocumentInfo,
    chunks: Sequence[Chunk],
    page: int,
    parts: Sequence[DocumentInfo] = (),
    address: Address | None = None,
    told: str = "",
) -> str:
    """Return a document's receipt and one page of its text, chunk by chunk.

    `parts` are the documents inside it, `address` is where it was fetched, `told` is HTML of a line about it.
    """
    title = shown(info.title) or name_html(info.id)
    remove = remove_button(info.id) if info.id == (info.file or info.id) else ""
    again = f'<button type="button" class="again" data-again="{key_of(info.id)}">Index again</button>'
    ask = f'<button type="button" class="again" data-ask-in="document" data-key="{key_of(info.id)}">Ask in this document</button>'
    acts = f'<span class="acts">{"" if info.reason else ask}{again}{remove}</span>'
    back = f'<div class="bar">{act_button("back", "", "← All documents", "back")}{acts}</div>'
    head = f'{back}{told}<h2 dir="auto" tabindex="-1">{title}</h2>{_receipt(info, parts, address)}'
    if info.reason:
        return f'<article class="receipt" id="reading-{key_of(info.id)}-{page}">{head}</article>'
    pager = _pager(info, page)
    first = page * CHUNKS
    texts = "".join(_chunk(number, chunk) for number, chunk in enumerate(chunks, first + 1))
    text = f'<section class="text" aria-label="The text and its chunks"><h3 tabindex="-1">The text and its chunks</h3>{pager}{texts}{pager}</section>'
    return f'<article class="receipt" id="reading-{key_of(info.id)}-{page}">{head}{text}</article>'


def _receipt(info: DocumentInfo, parts: Sequence[DocumentInfo], address: Address | None) -> str:
    inside = info.file and info.file != info.id
    rows = {
        "Not indexed": f'<span class="bad">{shown(info.reason)}</span>' if info.reason else "",
        "Name": name_html(info.id),
        "Also as": ", ".join(name_html(copy) for copy in info.copies),
        "Lies in": name_html(info.file) if inside else "",
        "Holds": ", ".join(act_button("open", key_of(part.id), shown(part.title) or shown(part.id), "open") for part in parts),
        "Fetched": f"{shown(address.final_url)} ({local_time(address.fetched_at)})" if address else "",
        "Type": shown(type_of(info.id)),
        "Size": f"{size_text(info.size)}{' (the whole file)' if inside else ''}" if info.size else "",
        "Pages": f"{info.pages:,}" if info.pages else "",
        "Characters": f"{info.characters:,}" if not info.reason else "",
        "Chunks": f"{info.chunks:,}" if not info.reason else "",
        "Language": shown(info.language),
        "Took": f"{info.seconds:.2f} s" if info.seconds else "",
        "Tried" if info.reason else "Added": local_time(info.indexed_at),
        "Warnings": "".join(warning_html(warning) for warning in info.warnings),
        "Of its file": "".join(warning_html(warning) for warning in info.around),
    }
    pairs = (f'<dt>{label}</dt><dd dir="auto">{value}</dd>' for label, value in rows.items() if value)
    return f"<dl>{''.join(pairs)}</dl>"


def _pager(info: DocumentInfo, page: int) -> str:
    if info.chunks <= CHUNKS:
        return ""
    first, last = page * CHUNKS + 1, min((page + 1) * CHUNKS, info.chunks)
    before = act_button("page", str(page - 1), f"← Previous {CHUNKS}") if page else ""
    after = act_button("page", str(page + 1), f"Next {min(CHUNKS, info.chunks - last)} →") if last < info.chunks else ""
    return f'<p class="pager"><span>Chunks {first:,} to {last:,} of {info.chunks:,}</span>{before}{after}</p>'


def _chunk(number: int, chunk: Chunk) -> str:
    places = [f"p. {chunk.page}" if chunk.page else "", shown(chunk.heading), f"{counted(len(chunk.text), 'character')}"]
    where = " · ".join(filter(None, places))
    head = f'<header><strong>Chunk {number:,}</strong><span dir="auto">{where}</span></header>'
    return f'<section class="chunk" tabindex="-1" data-start="{chunk.start}" data-end="{chunk.end}" aria-label="Chunk {number}">{head}<div class="passage" dir="auto">{shown_lines(chunk.text)}</div></section>'


# What became of files


def results_html(results: Sequence[FileResult], total: int, running: bool = False, verb: str = "added") -> str:
    """Return what became of each file so far; `total` is how many there are, 0 when that isn't known."""
    listed = sorted(results, key=lambda result: (result.ok, not result.instead_of))[:_LISTED] if len(results) > _LISTED else results
    rows = "".join(_result(result, verb) for result in listed)
    failed = sum(not result.ok for result in results)
    count = (
        f"{len(results):,} of {total:,} done" if running else f"{len(results) - failed:,} of {total:,} {verb}" if total > 3 else ""
    )
    state = f'<p class="state" role="status">{count}{dots() if running else ""}</p>' if count else ""
    if len(results) > _LISTED:
        rows += (
            f'<li class="hint">and {len(results) - _LISTED:,} more, without a problem</li>'
            if failed < _LISTED
            else _rest(len(results))
        )
    return f'{state}<ul class="results">{rows}</ul>' if rows or state else ""


def _result(result: FileResult, verb: str) -> str:
    sign = "✓" if result.ok else "✗"
    message = shown(result.line) if result.ok else f"Not {verb}: {shown(result.message)}"
    warnings = "".join(warning_html(warning) for warning in result.warnings)
    return (
        f'<li class="{"good" if result.ok else "bad"}"><span class="tick" aria-hidden="true">{sign}</span>'
        f'<div dir="auto"><strong>{name_html(result.id)}</strong><span>{message}</span>{warnings}</div></li>'
    )


def progress_html(report: Report) -> str:
    """Return how far a running sync is."""
    if not report.total:
        return f'<p class="state">Looking for what changed in the folder{dots()}</p>'
    facts = [f"{report.done:,} of {counted(report.total, 'file')}"]
    if report.chunks:
        facts.append(f"{report.chunks_per_second:,.0f} chunks a second")
    left = report.seconds_left
    if report.done >= report.total:
        facts.append("finishing")
    elif left is not None:
        facts.append(f"about {_roughly(left)} left")
    current = f'<span class="current" dir="auto">{shown(report.current)}</span>' if report.current else ""
    bar = f'<progress value="{report.done}" max="{report.total}" aria-label="Indexing"></progress>'
    return f'<div class="syncing">{bar}<p class="state">{" · ".join(facts)}</p>{current}</div>'


def _roughly(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def outcome_html(report: Report) -> str:
    """Return what a sync brought: counts, then what failed and why, then the warnings."""
    counts = {
        "new": report.new,
        "changed": report.changed,
        "moved": report.moved,
        "same as another": report.same,
        "removed": report.removed,
        "failed": len(report.failed),
        "unchanged": report.unchanged,
    }
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "no files"
    speed = f"; {counted(report.chunks, 'chunk')} in {duration(report.seconds)}" if report.chunks else ""
    if report.chunks and report.seconds:
        speed += f", {report.chunks_per_second:,.0f} a second"
    parts = [line_html(report.problem, "problem")]
    if report.stopped:
        left = f" {counted(report.total - report.done, 'file')} left." if report.total > report.done else ""
        parts.append(line_html(f"Stopped: what is done is kept, and the next sync goes on there.{left}"))
    parts.append(f'<p class="outcome" role="status">{"Nothing changed" if report.idle else "Last sync"}: {told}{speed}.</p>')
    warned = [result for result in report.results if result.ok and result.warnings]
    for results in (report.failed, warned):
        rows = results_html(results[:_LISTED], 0, verb="indexed")
        parts.append(rows + _rest(len(results)))
    return "".join(parts)


def _rest(count: int) -> str:
    return f'<p class="hint">and {count - _LISTED:,} more, which the table shows.</p>' if count > _LISTED else ""


def changes_html(changes: Changes) -> str:
    """Return what a sync would do."""
    lists: Mapping[str, Iterable[tuple[str, str]]] = {
        "Would be added": [(id, "") for id in changes.read if id not in changes.known],
        "Would be read again": [(id, "") for id in changes.read if id in changes.known],
        "Would get another name": [(entry.path, f"was {old}") for old, entry in changes.moved.items()],
        "Has the same content as another": [(id, f"as {entry.same_as}") for id, entry in changes.same.items()],
        "Would be removed from the index": [(id, "") for id in changes.removed],
    }
    parts = [_planned(label, list(rows)) for label, rows in lists.items()]
    same = counted(changes.unchanged + len(changes.touched), "file")
    head = "A sync would do this now; nothing was done yet." if any(parts) else "A sync would change nothing."
    return f'{line_html(changes.problem, "problem")}<p class="outcome" role="status">{head} {same} unchanged.</p>{"".join(parts)}'


def _planned(label: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    items = "".join(f'<li dir="auto">{name_html(id)} <span class="hint">{shown(more)}</span></li>' for id, more in rows[:_LISTED])
    more = f'<p class="hint">and {len(rows) - _LISTED:,} more</p>' if len(rows) > _LISTED else ""
    return f'<h4>{label}: {len(rows):,}</h4><ul class="planned">{items}</ul>{more}'
