"""Files and folders that a page sends: where they are dropped, and how they get into the corpus folder."""

import html
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.answer import Assistant
from assistant.documents import clean_line, supported_suffixes
from assistant.errors import UserError
from assistant.receipts import FileResult
from ui.events import number_in
from ui.receiving import discard, uploaded
from ui.relay import Relay
from ui.render import line_html
from ui.render_documents import results_html
from ui.syncing import Syncing

UPLOAD_BRIDGE = "document.addEventListener('assistant-upload', (event) => trigger('click', event.detail));"
_LOST = "it did not arrive whole: add it again"


@dataclass
class Drop:
    """What was dropped at once, and what became of it so far; `drop.js` sends its files in several lots."""

    id: str = ""
    results: list[FileResult] = field(default_factory=list)


def drop_html(upload_mb: int) -> str:
    """Return the place to drop files and folders on, which tells `drop.js` what can be read."""
    suffixes = html.escape(" ".join(supported_suffixes()))
    return (
        f'<div class="drop" data-suffixes="{suffixes}" data-most="{upload_mb * 1_000_000}"><p><strong>Drop files or folders here</strong></p>'
        '<p class="hint">Folders keep their structure.</p>'
        '<p class="picks"><button type="button" data-pick="pick-files">Choose files</button>'
        '<button type="button" data-pick="pick-folder">Choose a folder</button></p>'
        '<input type="file" id="pick-files" multiple tabindex="-1" aria-label="Files to add">'
        '<input type="file" id="pick-folder" webkitdirectory multiple tabindex="-1" aria-label="Folder to add">'
        '<p class="told" role="status"></p></div>'
    )


async def added(assistant: Assistant, syncing: Syncing, data: dict[str, Any], drop: Drop) -> AsyncGenerator[tuple[str, Drop]]:
    """Add a lot of uploaded files; yields what became of the drop so far. It goes on when the page is closed."""
    id, total, told = str(data.get("drop"))[:100], number_in(data, "total"), clean_line(str(data.get("told") or ""), 500)
    drop = drop if drop.id == id else Drop(id)
    files, lost = _arrived(data.get("files"), assistant.settings.uploads)
    drop.results += lost

    def adding() -> Iterator[FileResult]:
        try:
            yield from syncing.adding(lambda: assistant.add_as(files))
        finally:
            discard(path for path, _ in files)  # the corpus has its own copy

    def shown() -> str:
        return line_html(told, "hint") + results_html(drop.results, total, running=len(drop.results) < total)

    waiting = line_html("The group of files that is being indexed now is finished first.", "hint") if syncing.running else ""
    yield waiting + shown(), drop
    try:
        async with aclosing(Relay(adding).batches()) as batches:
            async for batch in batches:
                drop.results += batch
                yield shown(), drop
    except Exception as error:
        yield line_html(reason_of(error), "problem") + results_html(drop.results, total), drop


def _arrived(rows: object, uploads: Path) -> tuple[list[tuple[Path, str]], list[FileResult]]:
    """Return the files that lie among the uploads, each with its name, and a result for each of the others: a page may send any path."""
    files: list[tuple[Path, str]] = []
    lost: list[FileResult] = []
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, list) or len(row) != 2 or not all(isinstance(part, str) for part in row):
            continue
        name = row[1].encode("utf-8", "replace").decode()
        if uploaded(row[0], uploads):
            files.append((Path(row[0]), name))
        else:
            lost.append(FileResult(name, False, _LOST))
    return files, lost


def reason_of(error: Exception) -> str:
    """Return what a reader is told of an error."""
    return str(error) if isinstance(error, UserError) else f"Something went wrong ({type(error).__name__}): try again."
