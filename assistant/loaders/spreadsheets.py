"""Spreadsheets through python-calamine: each sheet a heading, each table on it in Markdown with its header."""

import datetime
import functools
import io
import re
import zipfile
from collections.abc import Sequence
from typing import Any

from assistant.documents import Parsed, clean_line
from assistant.errors import DocumentError
from assistant.loaders.building import MAX_TEXT, TOO_LONG, TextBuilder
from assistant.loaders.office import OLE, core_title, decrypted, open_office, parsing, refuse_encrypted_opendocument
from assistant.loaders.regions import Merge, regions
from assistant.loaders.tables import table_blocks
from assistant.loaders.zips import read_member

MAX_CELLS = 8_000_000  # of one sheet's rectangle; calamine holds it whole, 32 bytes a cell
_BLOCK = 1 << 22
_COLUMN = re.compile(rb""" r=["']([A-Z]{1,3})\d""")
_ROW = re.compile(rb"""row [^>]{,60}?r=["'](\d{1,7})""")
_NO_VALUE = re.compile(rb"</(?:\w+:)?f>\s*(?:</(?:\w+:)?c>|<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)")


def load_spreadsheet(data: bytes, passwords: Sequence[str]) -> Parsed:
    """Read all sheets, hidden ones too, with the values their formulas had when the file was saved.

    Raises `DocumentError` when it is damaged, no spreadsheet, or protected by a password that isn't known.
    """
    data = decrypted(data, passwords)
    title = ""
    warnings: list[str] = []
    if not data.startswith(OLE):
        title, warnings = _look_at(open_office(data))
    builder = TextBuilder()
    try:
        with parsing():
            warnings += _read(data, builder)
    except BaseException as error:
        # What calamine's Rust code gives up on; it is no `Exception`.
        if type(error).__name__ != "PanicException":
            raise
        raise DocumentError("it is damaged") from None
    if not builder.length:
        raise DocumentError("all its sheets are empty")
    return builder.parsed(title, tuple(warnings))


def _look_at(opened: zipfile.ZipFile) -> tuple[str, list[str]]:
    """Return the title and warnings of a workbook; refuse one whose sheets would fill the memory."""
    names = opened.namelist()
    refuse_encrypted_opendocument(opened)
    missing = 0
    for name in names:
        if name.startswith("xl/worksheets/") and name.endswith(".xml"):
            content = read_member(opened, name)
            missing += len(_NO_VALUE.findall(content))
            _check_extent(content)
    return core_title(opened), [
        f"{missing} formulas have no stored value: open the file in its program and save it"
    ] if missing else []


def _check_extent(content: bytes) -> None:
    """Refuse a sheet whose cells span a rectangle too large for the memory, with whatever little in it."""
    letters: set[bytes] = set()
    rows: set[bytes] = set()
    for start in range(0, len(content), _BLOCK):
        block = content[start : start + _BLOCK + 100]
        letters.update(_COLUMN.findall(block))
        rows.update(_ROW.findall(block))
    top, bottom = min(map(int, rows), default=1), max(map(int, rows), default=1)
    columns = [functools.reduce(lambda column, letter: column * 26 + letter - 64, name, 0) for name in letters]
    if columns and (bottom - top + 1) * (max(columns) - min(columns) + 1) > MAX_CELLS:
        raise DocumentError(
            f"the cells of a sheet are too many or too far apart: {bottom:,} rows and {max(columns):,} columns; split it"
        )


def _read(data: bytes, builder: TextBuilder) -> list[str]:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum

    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
    except PasswordError:
        raise DocumentError("it is protected by a password: set ASSISTANT_PASSWORDS") from None
    except CalamineError as error:
        raise DocumentError(f"it is damaged or no spreadsheet ({clean_line(str(error))})") from None
    warnings: list[str] = []
    for info in workbook.sheets_metadata:
        if info.typ != SheetTypeEnum.WorkSheet:
            continue
        try:
            sheet = workbook.get_sheet_by_name(info.name)
        except CalamineError as error:
            warnings.append(f"sheet {clean_line(info.name, 40)} can't be read ({clean_line(str(error))})")
            continue
        rows, whole = _rows(sheet, MAX_TEXT - builder.length)
        top, left = sheet.start or (0, 0)
        merges = [Merge(a - top, b - left, c - top, d - left) for (a, b), (c, d) in sheet.merged_cell_ranges or []]
        headed = False
        for region in regions(rows, merges):
            for block in table_blocks(region.rows, region.header_rows):
                if builder.length + len(block) > MAX_TEXT:
                    return [*warnings, TOO_LONG]
                if not headed:
                    builder.heading(2, info.name)
                    headed = True
                builder.add(block)
        if not whole:
            return [*warnings, TOO_LONG]
    return warnings


def _rows(sheet: Any, limit: int) -> tuple[list[list[str]], bool]:
    """Return the written cells of a sheet, up to `limit` characters, and whether that is all."""
    if sheet.height * sheet.width > MAX_CELLS:
        raise DocumentError(f"a sheet has {sheet.height:,} rows and {sheet.width:,} columns; split it")
    first = (sheet.start or (0, 0))[0]
    rows: list[list[str]] = []
    for number, row in enumerate(sheet.iter_rows()):
        if number < first:  # calamine begins at the top of the sheet, whatever is there
            continue
        rows.append([_written(cell) for cell in row])
        limit -= sum(map(len, rows[-1]))
        if limit < 0:
            return rows, False
    return rows, True


def _written(value: object) -> str:
    """Return a cell's value as a reader would write it."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.12g}"
        case datetime.datetime():
            return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
        case datetime.time():
            return value.isoformat("minutes" if value.second == 0 else "seconds")
        case datetime.timedelta():
            hours, seconds = divmod(round(value.total_seconds()), 3600)
            return f"{hours}:{seconds // 60:02}:{seconds % 60:02}"
        case _:
            return str(value)
