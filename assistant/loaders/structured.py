"""JSON and JSON Lines: records become tables or paragraphs, everything else lines of `path: value`."""

import json
from typing import Any

from assistant.decoding import decode_text
from assistant.documents import Heading, Parsed
from assistant.errors import DocumentError
from assistant.loaders.tables import table_blocks

_MAX_COLUMNS = 12
_MAX_CELL = 200  # characters; rows with longer ones are written as paragraphs
_MAX_DEPTH = 60


def load_json(data: bytes) -> Parsed:
    """Read JSON; raises `DocumentError` when it is broken, with the place."""
    decoded = decode_text(data)
    try:
        value = json.loads(decoded.text)
    except json.JSONDecodeError as error:
        raise DocumentError(f"it is no valid JSON ({error.msg}, line {error.lineno})") from None
    except (RecursionError, ValueError) as error:
        raise DocumentError(f"it is no JSON that can be read ({type(error).__name__})") from None
    return _parsed(value, decoded.warnings)


def load_json_lines(data: bytes) -> Parsed:
    """Read one JSON value a line; broken lines are told. Raises `DocumentError` when there is no other."""
    decoded = decode_text(data)
    values: list[Any] = []
    broken: list[int] = []
    for number, line in enumerate(decoded.text.split("\n"), start=1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except (ValueError, RecursionError):
                broken.append(number)
    if not values:
        raise DocumentError("no line of it is valid JSON")
    warnings = decoded.warnings
    if broken:
        warnings += (f"lines that are no valid JSON were left out: {len(broken)}, the first is line {broken[0]}",)
    return _parsed(values, warnings)


def _parsed(value: Any, warnings: tuple[str, ...]) -> Parsed:
    text = ""
    headings: list[Heading] = []
    title = ""
    if isinstance(value, dict):
        named = value.get("title") or value.get("name")
        title = named if isinstance(named, str) else ""
        # Each key that holds much is a heading over it.
        simple = {key: inner for key, inner in value.items() if not isinstance(inner, list | dict) or not inner}
        text = "\n".join(_lines(simple, ""))
        for key, inner in value.items():
            if key not in simple:
                text += "\n\n" if text else ""
                headings.append(Heading(len(text), 1, str(key)))
                text += f"# {' '.join(str(key).split())}\n\n" + _block(inner, str(key))
    else:
        text = _block(value, "")
    return Parsed(text, title, tuple(headings), warnings=warnings)


def _block(value: Any, path: str) -> str:
    """Write a value: flat records as a table, other lists of records as paragraphs, the rest as lines."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return _table(value) or "\n\n".join("\n".join(_lines(item, "")) for item in value if item)
    return "\n".join(_lines(value, path))


def _table(records: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for record in records for key in record))
    cells = [record.get(column) for record in records for column in columns]
    flat = all(not isinstance(cell, list | dict) and len(str(cell)) <= _MAX_CELL for cell in cells)
    if not flat or not columns or len(columns) > _MAX_COLUMNS or len(records) < 2:
        return ""
    rows = [[_written(record.get(column)) for column in columns] for record in records]
    return "\n\n".join(table_blocks([list(map(str, columns)), *rows]))


def _written(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _lines(value: Any, path: str, depth: int = 0) -> list[str]:
    """Return a line for each value in `value`, with the names that lead to it: `store › address › city: Rome`."""
    if depth > _MAX_DEPTH:
        raise DocumentError(f"its values are nested over {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in _lines(inner, f"{path} › {key}" if path else str(key), depth + 1)]
    if isinstance(value, list):
        if all(isinstance(item, int | float) or (isinstance(item, str) and len(item) <= _MAX_CELL) for item in value):
            # Short values stand in one line, coordinates too.
            joined = ", ".join(map(_written, value))
            return [f"{path}: {joined}" if path else joined] if value else []
        return [line for number, inner in enumerate(value, 1) for line in _lines(inner, f"{path} {number}".strip(), depth + 1)]
    written = _written(value)
    return [f"{path}: {written}" if path else written] if written else []
