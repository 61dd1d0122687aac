"""CSV and TSV: encoding and delimiter are found, the rows become Markdown tables under their header."""

import csv
import re
from collections import Counter

from assistant.documents import Parsed, decode
from assistant.errors import DocumentError
from assistant.loaders.building import MAX_TEXT, TOO_LONG, TextBuilder
from assistant.loaders.regions import regions
from assistant.loaders.tables import table_blocks

_SAMPLE = 50_000  # characters looked at to find the delimiter
_DELIMITERS = ",;\t|"
_FIELD_LINES = 50  # a field of more lines is no field but a quotation mark that is never closed
# Western texts have few letters outside ASCII; those of other scripts have little else.
_FOREIGN_SHARE = 0.15
_FOREIGN = ["cp932", "gb18030", "big5", "euc_kr", "euc_jp", "cp1251"]


def load_delimited(data: bytes) -> Parsed:
    """Read rows divided by commas, semicolons, tabs or bars; with none of them each line is a row."""
    text = _decoded(data)
    warnings: tuple[str, ...] = ()
    if len(text) > MAX_TEXT:
        text = text[: text.rfind("\n", 0, MAX_TEXT) + 1 or MAX_TEXT]
        warnings = (TOO_LONG,)
    told = re.match(r"sep=(.)\n", text)
    if told:
        text = text[told.end() :]
    delimiter = told.group(1) if told else find_delimiter(text)
    rows = _rows(text, delimiter) if delimiter else [[line] for line in text.split("\n")]
    builder = TextBuilder()
    for region in regions([[cell.strip() for cell in row] for row in rows]):
        for block in table_blocks(region.rows, region.header_rows):
            if builder.length + len(block) > MAX_TEXT:
                return builder.parsed(warnings=(TOO_LONG,))
            builder.add(block)
    if not builder.length:
        raise DocumentError("it has no rows")
    return builder.parsed(warnings=warnings)


def _decoded(data: bytes) -> str:
    foreign = sum(byte > 127 for byte in data[:_SAMPLE]) > _FOREIGN_SHARE * len(data[:_SAMPLE])
    if foreign and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            from charset_normalizer import from_bytes

            found = from_bytes(data, cp_isolation=_FOREIGN).best()
            if found:
                data = str(found).encode()
    return decode(data)


def find_delimiter(text: str) -> str:
    """Return the delimiter by which most lines have the same number of fields, more than one; "" for a single column."""
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE and "\n" in sample:
        sample = sample[: sample.rfind("\n")]
    best, best_share = "", 0.5
    for delimiter in _DELIMITERS:
        widths = Counter(len(row) for row in _rows(sample, delimiter) if any(row))
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        share = count / widths.total() if widths else 0.0
        if width > 1 and share > best_share:
            best, best_share = delimiter, share
    if best:
        return best
    # Ragged rows: what stands in most lines.
    lines = [line for line in sample.split("\n") if line.strip()]
    held = {delimiter: sum(delimiter in line for line in lines) for delimiter in _DELIMITERS}
    most = max(held, key=lambda delimiter: held[delimiter])
    return most if held[most] >= 0.7 * len(lines) else ""


def _rows(text: str, delimiter: str) -> list[list[str]]:
    csv.field_size_limit(MAX_TEXT)
    lines = text.split("\n")
    try:
        rows = list(csv.reader((line + "\n" for line in lines), delimiter=delimiter, skipinitialspace=True))
        if not any(cell.count("\n") > _FIELD_LINES for row in rows for cell in row):
            return rows
    except csv.Error:
        pass
    return [line.split(delimiter) for line in lines]
