"""The data of charts and the words of diagrams in Word and PowerPoint files."""

from collections.abc import Iterator
from typing import Any

from assistant.loaders.tables import table_blocks

_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_MAX_POINTS = 5000


def chart_blocks(root: Any) -> Iterator[str]:
    """Yield the title and the table of a chart's part: a row for each category, a column for each series."""
    title = root.find(f"{_CHART}chart/{_CHART}title")
    if title is not None and (text := drawing_text(title)):
        yield text
    rows: dict[str, dict[int, str]] = {}
    names: list[str] = []
    for series in root.iter(_CHART + "ser"):
        labels = _points(series, "cat") or _points(series, "xVal")
        for index, value in (_points(series, "val") or _points(series, "yVal")).items():
            rows.setdefault(labels.get(index, str(index + 1)), {})[len(names)] = value
        names.append(" ".join(_points(series, "tx").values()) or f"Series {len(names) + 1}")
    header = ["", *names]
    yield from table_blocks([header, *([label, *(row.get(n, "") for n in range(len(names)))] for label, row in rows.items())])


def _points(series: Any, name: str) -> dict[int, str]:
    """Return the cached values under a child of a series, by their index."""
    child = series.find(_CHART + name)
    if child is None:
        return {}
    points: dict[int, str] = {}
    for number, point in enumerate(child.iter(_CHART + "pt", _CHART + "v")):
        if number > _MAX_POINTS:
            break
        if point.tag == _CHART + "pt":
            index = str(point.get("idx") or "")
            points[int(index) if index.isdigit() else number] = _rounded(point.findtext(_CHART + "v") or "")
        elif point.getparent().tag == child.tag:
            points[0] = point.text or ""
    return points


def _rounded(text: str) -> str:
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def drawing_text(root: Any) -> str:
    """Return the paragraphs of drawing text under `root`, one a line."""
    lines = ("".join(run.text or "" for run in paragraph.iter(_DRAWING + "t")).strip() for paragraph in root.iter(_DRAWING + "p"))
    return "\n".join(line for line in lines if line)
