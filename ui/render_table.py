"""The table of the documents and what it is sieved by as HTML, in which, as in `render.py`, nothing can load or run."""

from collections.abc import Iterable, Sequence

from assistant.catalog import DocumentInfo
from assistant.receipts import counted
from assistant.selections import Selection
from ui.listing import NO_ORDER, NO_SIEVE, STATES, Counts, Listed, Order, Sieve, folder_of, key_of, type_of
from ui.render import shown
from ui.render_documents import act_button, local_time, name_html, remove_button, size_text, warning_html

ROWS = 200  # files on one page of the table
_PARTS = 20  # of what lies in one file
_WARNINGS = 3  # told in the table; the receipt has all
_FOLDERS = 500  # offered to choose from
_COLUMNS = {
    "name": "Document",
    "folder": "Folder",
    "type": "Type",
    "state": "State",
    "pages": "Pages",
    "chunks": "Chunks",
    "size": "Size",
    "added": "Added",
}


def documents_html(
    files: Sequence[Listed],
    total: int,
    sieve: Sieve = NO_SIEVE,
    order: Order = NO_ORDER,
    page: int = 0,
) -> str:
    """Return one page of the table of `files`, which `sieve` let pass of `total` documents."""
    if not total and not files:
        return '<p class="hint">There are no documents yet: add some above.</p>'
    page = max(0, min(page, (len(files) - 1) // ROWS))
    rows = "".join(_rows(listed) for listed in files[page * ROWS : (page + 1) * ROWS])
    tick = '<th class="tick"><input type="checkbox" data-tick-all aria-label="Tick all on this page"></th>'
    heads = tick + "".join(_head(column, label, order) for column, label in _COLUMNS.items())
    table = f'<table class="documents files"><thead><tr>{heads}<th><span class="unseen">Remove</span></th></tr></thead><tbody>{rows}</tbody></table>'
    pager = _pager(len(files), page)
    return f"{_count(files, total, sieve)}{table if files else ''}{pager}"


def _count(files: Sequence[Listed], total: int, sieve: Sieve) -> str:
    failed = sum(bool(listed.own and listed.own.reason) for listed in files)
    line = counted(total, "document")
    if sieve:
        line = f"{counted(len(files), 'file')} of {line}"
    line += f", {failed:,} not indexed" if failed else ""
    acts = ""
    if files and sieve:
        ask = _ask_in(sieve) if sieve.place else ""
        keep = "" if sieve.selection else '<button type="button" data-keep>Save these as a selection…</button>'
        own = '<button type="button" data-rename>Rename selection…</button><button type="button" data-forget>Delete selection…</button>'
        acts = f"{ask}{keep}{own if sieve.selection else ''}"
    clear = act_button("clear", "", "Show all") if sieve else ""
    return f'<p class="count"><span role="status">{line}</span>{acts}{clear}</p>'


def _ask_in(sieve: Sieve) -> str:
    kind, name = ("folder", sieve.folder) if sieve.folder else ("selection", sieve.selection)
    return f'<button type="button" data-ask-in="{kind}" data-key="{key_of(name)}">Ask in {shown(name)}{"/" if sieve.folder else ""}</button>'


def _pager(files: int, page: int) -> str:
    if files <= ROWS:
        return ""
    first, last = page * ROWS + 1, min((page + 1) * ROWS, files)
    before = act_button("turn", str(page - 1), f"← Previous {ROWS}") if page else ""
    after = act_button("turn", str(page + 1), f"Next {min(ROWS, files - last)} →") if last < files else ""
    return f'<p class="pager"><span>Files {first:,} to {last:,} of {files:,}</span>{before}{after}</p>'


def _head(column: str, label: str, order: Order) -> str:
    if column != order.column:
        return f"<th>{act_button('sort', column, label, 'sort')}</th>"
    sign, way = ("▼", "descending") if order.descending else ("▲", "ascending")
    hidden = f'<span aria-hidden="true">{sign}</span>'
    return f'<th aria-sort="{way}">{act_button("sort", column, f"{label} {hidden}", "sort")}</th>'


def _rows(listed: Listed) -> str:
    rest = "".join(_part(part) for part in listed.parts[:_PARTS])
    more = len(listed.parts) - _PARTS
    if more > 0:
        cells = f'<td></td><td class="name" colspan="{len(_COLUMNS) + 1}">and {counted(more, "more document")} in it: filter by name to see them</td>'
        rest += f'<tr class="part">{cells}</tr>'
    return _file_row(listed) + rest


def _file_row(listed: Listed) -> str:
    own, name = listed.own, listed.file.rpartition("/")[2]
    if own:
        title = f"<bdi>{shown(own.title)}</bdi>" if own.title else name_html(name)
        lines = [act_button("open", key_of(own.id), title, "open")]
        lines += [f'<span class="id">{name_html(name)}</span>'] if own.title and own.title != name else []
        lines += [f'<span class="id">also as {_some([name_html(copy) for copy in own.copies])}</span>'] if own.copies else []
        lines += [f'<span class="bad">Not indexed: {shown(own.reason)}</span>'] if own.reason else []
        lines.append(_warnings(own.warnings))
    else:
        held = f'<span class="id">holds {counted(len(listed.parts), "document")}</span>' if listed.parts else ""
        lines = [f"<strong>{name_html(name)}</strong>{held}", _warnings(listed.parts[0].around if listed.parts else ())]
    info = own or (listed.parts[0] if listed.parts else None)
    kind = "file" if own else "holder"
    if own and own.reason:
        kind += " failed"
    box = f'<input type="checkbox" data-tick="{key_of(listed.file)}" aria-label="Tick {shown(listed.file)}">'
    tick = box if info and not (own and own.reason) else ""
    cells = _cells(listed.file, own.pages if own else 0, own.chunks if own else 0, info.size if info else 0, info)
    state = f'<span class="state-{listed.state.replace(" ", "-")}">{STATES[listed.state]}</span>'
    remove = remove_button(listed.file) if info else ""
    return _row(listed.file, kind, tick, "".join(lines), cells | {"state": state}, remove)


def _part(info: DocumentInfo) -> str:
    inside = info.id[len(info.file) + 1 :] or info.id
    title = f"<bdi>{shown(info.title)}</bdi>" if info.title else name_html(inside)
    lines = [act_button("open", key_of(info.id), title, "open")]
    lines += [f'<span class="id">{name_html(inside)}</span>'] if info.title else []
    lines.append(_warnings(info.warnings))
    return _row(info.id, "part", "", "".join(lines), _cells(info.id, info.pages, info.chunks, 0, info, part=True), "")


def _cells(id: str, pages: int, chunks: int, size: int, info: DocumentInfo | None, part: bool = False) -> dict[str, str]:
    time = local_time(info.indexed_at) if info else ""
    return {
        "folder": "" if part else f'<span dir="auto">{shown(folder_of(id)).replace("/", "/<wbr>")}</span>' if folder_of(id) else "",
        "type": shown(type_of(id)),
        "state": "",
        "number pages": f"{pages:,}" if pages else "",
        "number chunks": f"{chunks:,}" if chunks else "",
        "number size": size_text(size) if size else "",
        "when": f'<span title="{time}">{time[:10]}</span>' if time else "",
    }


def _row(id: str, kind: str, tick: str, name: str, cells: dict[str, str], remove: str) -> str:
    others = "".join(f'<td class="{column}">{value}</td>' for column, value in cells.items())
    first = f'<td class="tick">{tick}</td><td class="name" dir="auto">{name}</td>'
    return f'<tr id="doc-{key_of(id)}" class="{kind}">{first}{others}<td class="end">{remove}</td></tr>'


def _warnings(lines: Sequence[str]) -> str:
    more = len(lines) - _WARNINGS
    rest = f'<span class="warned">and {counted(more, "more warning")}</span>' if more > 0 else ""
    return "".join(map(warning_html, lines[:_WARNINGS])) + rest


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


# What it is sieved by


def sieve_html(sieve: Sieve, found: Counts, selections: Sequence[Selection]) -> str:
    """Return the lists to choose a folder or selection, a type and a state from."""
    saved = _options((f"selection:{key_of(one.name)}", one.name, one.name == sieve.selection) for one in selections)
    most = {folder for folder, _ in found.folders.most_common(_FOLDERS)} | ({sieve.folder} if sieve.folder else set())
    names = sorted(most, key=str.casefold)
    folders = _options((f"folder:{key_of(name)}", f"{name}/ ({found.folders[name]:,})", name == sieve.folder) for name in names)
    groups = [
        f'<optgroup label="{label}">{options}</optgroup>'
        for label, options in (("Saved selections", saved), ("Folders", folders))
        if options
    ]
    types = _options(
        (f"type:{key_of(type)}", f"{type or 'none'} ({count:,})", type == sieve.type)
        for type, count in sorted(found.types.items())
        if type
    )
    states = _options(
        (f"state:{key_of(state)}", f"{label} ({found.states[state]:,})", state == sieve.state)
        for state, label in STATES.items()
        if found.states[state] or state == sieve.state
    )
    lists = [
        _select("place", "Folder or selection", "All folders", "".join(groups)),
        _select("type", "Type", "All types", types),
        _select("state", "State", "All states", states),
    ]
    now = " ".join(map(key_of, (sieve.folder, sieve.selection, sieve.type, sieve.state)))
    return f'<div class="choices" data-now="{now}">{"".join(lists)}</div>'


def _options(rows: Iterable[tuple[str, str, bool]]) -> str:
    return "".join(
        f'<option value="{value}"{" selected" if chosen else ""}>{shown(label)}</option>' for value, label, chosen in rows
    )


def _select(what: str, label: str, all: str, options: str) -> str:
    return f'<select data-sieve="{what}" aria-label="{label}"><option value="{what}:">{all}</option>{options}</select>'
