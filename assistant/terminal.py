"""What the command line prints about documents: receipts, chunks, what a sync would do. Names and texts are untrusted."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from assistant.addresses import Address
from assistant.catalog import Catalog, DocumentInfo
from assistant.changes import Changes
from assistant.chunking import Chunk
from assistant.documents import clean_line
from assistant.errors import UserError
from assistant.filters import close_matches
from assistant.receipts import counted

# All but line end and tab; those of 8 bits too, and what turns the direction of writing, which could feign other text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST = 1000
_LINE = "─" * 40


def plain(text: str) -> str:
    """Return a text without what a terminal would obey."""
    return _CONTROL.sub("", text)


def line_of(text: str) -> str:
    """Return a name or message as one line."""
    return clean_line(text, _LONGEST)


def as_json(value: Any) -> str:
    """Return JSON that is safe to print: what a terminal would obey is written as escapes."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False, indent=2))


def listed(info: DocumentInfo) -> str:
    """Return the line about a document in the list."""
    if info.reason:
        return f"{line_of(info.id)}: not indexed, {line_of(info.reason)}"
    counts = [
        *([counted(info.pages, "page")] if info.pages else []),
        counted(info.chunks, "chunk"),
        *([counted(len(info.warnings), "warning")] if info.warnings else []),
        info.indexed_at,
    ]
    also = f"; also as {', '.join(map(line_of, info.copies))}" if info.copies else ""
    return f"{line_of(info.id)}: {info.title} ({', '.join(counts)}){also}"


def receipt(info: DocumentInfo, address: Address | None) -> Iterator[str]:
    """Yield the lines of a document's receipt; `address` is where its file was fetched."""
    yield line_of(info.id)
    rows = [
        ("not indexed", line_of(info.reason)),
        ("title", info.title),
        *(("also as", line_of(copy)) for copy in info.copies),
        ("lies in", line_of(info.file) if info.file != info.id else ""),
        ("address", line_of(address.url) if address else ""),
        ("led to", line_of(address.final_url) if address and address.final_url != address.url else ""),
        ("fetched at", address.fetched_at if address else ""),
        ("type", PurePosixPath(info.id).suffix.lower().lstrip(".")),
        ("size", f"{info.size:,} bytes" if info.file == info.id else ""),  # that of the file it lies in is not its own
        ("pages", f"{info.pages:,}" if info.pages else ""),
        ("characters", f"{info.characters:,}" if not info.reason else ""),
        ("chunks", f"{info.chunks:,}" if not info.reason else ""),
        ("language", clean_line(info.language)),
        ("took", f"{info.seconds:.2f} s" if info.seconds else ""),
        ("read at" if info.reason else "added at", info.indexed_at),
        *(("warning", line_of(warning)) for warning in info.warnings),
        *(("of its file", line_of(warning)) for warning in info.around),
    ]
    yield from (f"  {label:<11}  {value}" for label, value in rows if value)


def chunk_lines(number: int, count: int, chunk: Chunk) -> Iterator[str]:
    """Yield a chunk between two borders, with its number (from 1), span in characters, page and heading."""
    place = [
        *(f"chunk {number} of {count}", f"characters {chunk.start:,} to {chunk.end:,}"),
        *([f"p. {chunk.page}"] if chunk.page else []),
        *([clean_line(chunk.heading)] if chunk.heading else []),
    ]
    yield f"┌{_LINE} {', '.join(place)}"
    yield from (f"│ {line}" for line in plain(chunk.text).split("\n"))  # so that no text can feign a border
    yield f"└{_LINE}"


def find_receipt(catalog: Catalog, id: str) -> DocumentInfo:
    """Return the receipt of the document or failed file called `id`; a copy's is that of what it copies.

    Raises `UserError`, with names like it, when there is none.
    """
    infos = catalog.documents()
    for info in infos:
        if id == info.id or id in info.copies:
            return info
    inside = [info.id for info in infos if info.file == id]
    if inside:
        names = ", ".join(map(line_of, inside[:5])) + (f" and {len(inside) - 5} more" if len(inside) > 5 else "")
        raise UserError(f"{line_of(id)} has no text of its own, it holds {names}.")
    known = [name for info in infos for name in (info.id, *info.copies)]
    raise UserError(f"There is no document {clean_line(id)!r}: {close_matches(id, known, 'assistant list')}")


def shown(info: DocumentInfo, address: Address | None, text: str | None, chunks: Sequence[Chunk] | None) -> dict[str, Any]:
    """Return a receipt for programs, with the text and the chunks that were asked for."""
    return {
        **asdict(info),
        "address": asdict(address) if address else None,
        **({"text": text} if text is not None else {}),
        **({"chunk_list": [_chunk(number, chunk) for number, chunk in enumerate(chunks, 1)]} if chunks is not None else {}),
    }


def _chunk(number: int, chunk: Chunk) -> dict[str, Any]:
    row = {"number": number, "start": chunk.start, "end": chunk.end, "page": chunk.page}
    return {**row, "heading": chunk.heading, "text": chunk.text}


def plan(changes: Changes, known: Mapping[str, object]) -> dict[str, Any]:
    """Return what a sync would do, for programs: names by what would become of them, and how many stay as they are."""
    return {
        "new": [id for id in changes.read if id not in known],
        "changed": [id for id in changes.read if id in known],
        "moved": {old: entry.path for old, entry in changes.moved.items()},
        "same": {path: entry.same_as for path, entry in changes.same.items()},
        "removed": changes.removed,
        "unchanged": changes.unchanged + len(changes.touched),
        "problem": changes.problem,
    }


def plan_lines(made: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines about what `plan` gave."""
    yield from (f"{kind:<8} {line_of(id)}" for kind in ("new", "changed") for id in made[kind])
    yield from (f"{'moved':<8} {line_of(old)} -> {line_of(new)}" for old, new in made["moved"].items())
    yield from (f"{'same':<8} {line_of(id)} (as {line_of(owner)})" for id, owner in made["same"].items())
    yield from (f"{'removed':<8} {line_of(id)}" for id in made["removed"])
    counts = [f"{len(made[kind]):,} {kind}" for kind in ("new", "changed", "moved")]
    yield f"{', '.join(counts)}, {len(made['same']):,} same as another, {len(made['removed']):,} removed, {made['unchanged']:,} unchanged."
