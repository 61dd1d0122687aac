"""Jupyter notebooks: text as written, code in fences, what was printed."""

import json
import re
from typing import Any

from assistant.decoding import decode_text
from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.html import html_to_markdown
from assistant.loaders.markdown import markdown_headings

_MAX_OUTPUT = 2000  # characters of what one cell printed
_COLOURS = re.compile(r"\x1b?\[[0-9;]*m")
_IMAGES = re.compile(r"!\[([^\]\n]*)\]\((?:attachment:|data:)[^)]*\)")


def load_notebook(data: bytes) -> Parsed:
    """Read a notebook of format 3 or 4; images and other data in it are left out.

    Raises `DocumentError` when it is none.
    """
    decoded = decode_text(data)
    try:
        notebook = json.loads(decoded.text)
        sheets = notebook.get("worksheets") or [notebook]
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        metadata = notebook.get("metadata") or {}
        language = (metadata.get("language_info") or metadata.get("kernelspec") or {}).get("name") or "python"
        blocks = [block for cell in cells for block in _cell(cell, str(language))]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"it is no Jupyter notebook, or damaged ({type(error).__name__})") from None
    text = "\n\n".join(blocks)
    headings = markdown_headings(text)
    title = next((heading.text for heading in headings if heading.level == 1), "")
    cut = sum("[the rest of the output is left out]" in block for block in blocks)
    warnings = (f"long outputs were cut in cells: {cut}",) if cut else ()
    return Parsed(text, title, headings, warnings=(*decoded.warnings, *warnings))


def _cell(cell: dict[str, Any], language: str) -> list[str]:
    kind = cell.get("cell_type")
    source = _joined(cell.get("source", cell.get("input", ""))).strip("\n")
    blocks: list[str] = []
    if kind == "markdown":
        blocks.append(_IMAGES.sub(r"\1", source))
    elif kind == "heading":  # format 3
        blocks.append("#" * int(cell.get("level", 1)) + " " + source)
    elif kind == "code" and source.strip():
        blocks.append(_fenced(source, re.sub(r"\W.*", "", language)))
    else:
        blocks.append(source)
    blocks += [_output(output) for output in cell.get("outputs") or []]
    return [block for block in blocks if block.strip()]


def _output(output: dict[str, Any]) -> str:
    """Return what a cell printed, gave back or failed with, as text; tables as Markdown."""
    kind = output.get("output_type")
    if kind == "stream":
        text = _joined(output.get("text", ""))
    elif kind in ("error", "pyerr"):
        text = f"{output.get('ename', '')}: {output.get('evalue', '')}"
    else:
        data = output.get("data") or output
        page = _joined(data.get("text/html", data.get("html", "")))
        if "<table" in page:
            return _cut(html_to_markdown(page)[0])
        if data.get("text/markdown"):
            return _cut(_joined(data["text/markdown"]))
        text = _joined(data.get("text/plain", data.get("text", "")))
        if text.startswith("<") and any(key.startswith("image/") or key in ("png", "jpeg", "svg") for key in data):
            return ""  # <Figure size 640x480 with 1 Axes>
    text = _cut(_COLOURS.sub("", text).strip("\n"))
    return _fenced(text, "") if text.strip() else ""


def _fenced(text: str, language: str) -> str:
    fence = "~~~~" if "```" in text else "```"
    return f"{fence}{language}\n{text}\n{fence}"


def _cut(text: str) -> str:
    if len(text) <= _MAX_OUTPUT:
        return text
    return text[:_MAX_OUTPUT].rpartition("\n")[0] + "\n[the rest of the output is left out]"


def _joined(source: object) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")
