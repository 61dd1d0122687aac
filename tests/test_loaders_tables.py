import datetime
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from tokenizers import Tokenizer

from assistant.bundled_embedding import model_folder
from assistant.chunking import chunk_document
from assistant.documents import Document
from assistant.embedding import unbounded
from assistant.errors import DocumentError
from assistant.loaders import parse
from assistant.loaders.tables import GROUP_TOKENS, table_blocks, tokens
from tests.samples import SAMPLES, read

ROOT = Path(__file__).parents[1]

FILES: dict[str, list[str]] = {
    "markitdown/test.xls": [
        "## Sheet1",
        "| Alpha | Beta | Gamma | Delta |",
        "6ff4173b-42a5-4784-9b19-f49caff4d93d",
        "| 87 | 93 | 95 | 80 |",
    ],
    "markitdown/test.xlsx": ["## Sheet1", "| ColA | ColB | ColC | ColD |", "affc7dad-52dc-4b98-9b5d-51e65d8a8ad0"],
    "markitdown/test_mskanji.csv": ["| 名前 | 年齢 | 住所 |", "| 髙橋淳 | 35 | 名古屋 |"],
    "unstructured/2023-half-year-analyses-by-segment.xlsx": [
        "## Reconciliation 30 06 2023",
        "| In millions of CHF | Sales (a) |",
        "| Zone NA | 12553 | 2713 | 2632 | -81 | -29 | -44 | -337 |",
    ],
    "unstructured/emoji.xlsx": ["🤠😅"],
    "unstructured/more-than-1k-cells.xlsx": ["| x | x |"],
    "unstructured/stanley-cups.xlsx": [
        "## Stanley Cups Since 67",
        "| Team | Location | Stanley Cups |\n| - | - | - |\n| Blues | STL | 1 |",
    ],
    "unstructured/tests-example.xls": [
        "| FIB_PLUS | Multiple Fill in the Blank |",
        "Version",
        "| MAT | Match the lower-case greek letter",
    ],
    "unstructured/vodafone.xlsx": ["Operational metrics\n\n| Topic | Period | Page |", "| Guidance rates | FY 23/24 | 14 |"],
    "unstructured/xlsx-subtable-cases.xlsx": ["| b | c |\n| - | - |\n| d | e |", "2. e"],
    "unstructured/language-docs/eng_spa.xlsx": ["## Spanish", "Todos los seres humanos"],
    "unstructured/csv-with-escaped-commas.csv": ["| A | A | A | A,A | A |"],
    "unstructured/csv-with-line-delimiter.csv": ["| col1 | col2 | col3 |", "| g | h | i |"],
    "unstructured/csv-with-long-lines.csv": ["SpearmanCorrelationCoefficient", "- 2Unstim BasophilsCREBUnstim: 0.215627978"],
    "unstructured/semicolon-delimited.csv": ["| ut labore | et, dolore | magna aliqua |"],
    "unstructured/single-column.csv": ["- adipiscing, elit", "- dolore; magna aliqua"],
    "unstructured/stanley-cups-utf-16.csv": ["| Maple Leafs | TOR | 13 |"],
    "unstructured/stanley-cups-with-emoji.csv": ["| 👨\\U+1F3FB🔧 | TOR | 15 |"],
    "unstructured/stanley-cups.csv": ["| Maple Leafs | TOR | 13 |"],
    "unstructured/table-multi-row-column-cells-actual.csv": [
        "| Results Accuracy | Time to complete |",
        "| 98.3% n=2 (97.7%, n=3) | 1716 sec",
    ],
    "unstructured/table-semicolon-delimiter.csv": ["| 2023 | 2 | 143,1 | -814,38 |"],
}
REFUSED = {
    "unstructured/empty.xlsx": "all its sheets are empty",
    "unstructured/password_protected.xlsx": "protected by a password: set ASSISTANT_PASSWORDS",
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return unbounded((model_folder() / "tokenizer.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_each_sample_table_keeps_its_rows_and_headers(name: str) -> None:
    parsed = read(name)
    for words in FILES[name]:
        assert words in parsed.text
    for heading in parsed.headings:
        assert parsed.text.startswith(f"{'#' * heading.level} {heading.text}", heading.start)
    # Each group of rows begins with its header, and is small enough for a chunk.
    for block in parsed.text.split("\n\n"):
        if block.startswith("|"):
            assert block.split("\n")[1].startswith("| -")


@pytest.mark.parametrize("name", REFUSED)
def test_each_unreadable_sample_table_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(DocumentError, match=REFUSED[name]):
        read(name)


def test_no_sample_table_is_left_out_of_these_tests() -> None:
    if not SAMPLES.exists():
        pytest.skip("shared/data/loader_docs is not here")
    endings = (".csv", ".tsv", ".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
    there = {path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*") if path.suffix in endings}
    assert there == {*FILES, *REFUSED}


def workbook(fill: Callable[[Any, Any], object]) -> bytes:
    data = io.BytesIO()
    book = xlsxwriter.Workbook(data)
    fill(book, book.add_worksheet("Data"))
    book.close()
    return data.getvalue()


def sheet(*rows: tuple[object, ...]) -> str:
    """The text read from a workbook with these rows."""

    def fill(book: Any, page: Any) -> None:
        for number, row in enumerate(rows):
            page.write_row(number, 0, row)

    return parse(workbook(fill), ".xlsx").text


def test_numbers_dates_and_truths_read_as_a_person_writes_them() -> None:
    def fill(book: Any, page: Any) -> None:
        page.write_row(0, 0, ["kind", "value"])
        page.write_row(1, 0, ["whole", 1234567.0])
        page.write_row(2, 0, ["third", 0.1 + 0.2])
        page.write_row(3, 0, ["true", True])
        page.write(4, 0, "day")
        page.write_datetime(4, 1, datetime.datetime(2024, 3, 9), book.add_format({"num_format": "dd/mm/yy"}))
        page.write(5, 0, "moment")
        page.write_datetime(5, 1, datetime.datetime(2024, 3, 9, 17, 5), book.add_format({"num_format": "dd/mm/yy hh:mm"}))

    text = parse(workbook(fill), ".xlsx").text
    for row in (
        "| whole | 1234567 |",
        "| third | 0.3 |",
        "| true | TRUE |",
        "| day | 2024-03-09 |",
        "| moment | 2024-03-09 17:05:00 |",
    ):
        assert row in text


def test_tables_with_a_gap_between_them_are_not_glued() -> None:
    rows = [("City", "People", "", "", "Tool", "Owner"), ("Bonn", 3, "", "", "Saw", "Ann"), ("Ulm", 4, "", "", "Axe", "Bo")]
    below = [("Fruit", "Price"), ("Pear", 1.5), ("Plum", 2)]
    text = sheet(*rows, (), *below)
    assert "| City | People |\n| - | - |\n| Bonn | 3 |\n| Ulm | 4 |\n\n" in text
    assert "| Tool | Owner |\n| - | - |\n| Saw | Ann |\n| Axe | Bo |" in text
    assert "| Fruit | Price |\n| - | - |\n| Pear | 1.5 |" in text


def test_an_empty_row_under_the_header_or_between_numbers_does_not_cut_the_table() -> None:
    text = sheet(("Item", "2023", "", "2024"), (), ("Rent", 10, "", 11), (), ("Total", 12, "", 13))
    assert "| Item | 2023 | 2024 |\n| - | - | - |\n| Rent | 10 | 11 |\n| Total | 12 | 13 |" in text


def test_a_title_above_and_a_note_below_are_paragraphs() -> None:
    text = sheet(("Sales by region",), ("Region", "Sales"), ("North", 5), ("South", 6), ("Source: the ledger",))
    assert "Sales by region\n\n| Region | Sales |" in text
    assert text.endswith("| South | 6 |\n\nSource: the ledger\n")


def test_merged_cells_say_what_they_cover_in_each_row_and_over_each_column() -> None:
    def fill(book: Any, page: Any) -> None:
        page.write(0, 0, "")
        page.merge_range(0, 1, 0, 2, "2023")
        page.merge_range(0, 3, 0, 4, "2024")
        page.write_row(1, 1, ["Sales", "Cost", "Sales", "Cost"])
        page.merge_range(2, 0, 3, 0, "North")
        page.write_row(2, 1, [1, 2, 3, 4])
        page.write_row(3, 1, [5, 6, 7, 8])

    text = parse(workbook(fill), ".xlsx").text
    assert "| 2023 Sales | 2023 Cost | 2024 Sales | 2024 Cost |" in text
    assert "| North | 5 | 6 | 7 | 8 |" in text


def test_every_chunk_of_a_long_table_begins_with_its_header(tokenizer: Tokenizer) -> None:
    rows = [(f"Station {number}", "open from eight to six", number * 7) for number in range(300)]
    text = sheet(("Station", "Hours", "Visitors"), *rows)
    for title in ("Stations", "A much longer title of a workbook about the stations of the line"):
        document = Document("a.xlsx", title, text, (), (), "0" * 64)
        chunks = chunk_document(document, tokenizer)
        assert len(chunks) > 10
        for chunk in chunks:
            assert "| Station | Hours | Visitors |" in chunk.text.split("\n")[:3]
        assert sum(chunk.text.count("| Station 2") for chunk in chunks) == 111


def test_rows_too_wide_for_a_chunk_become_named_values_led_by_the_first() -> None:
    header = [f"Measured quantity number {number}" for number in range(60)]
    text = sheet(tuple(header), *[tuple(f"value {row}/{number}" for number in range(60)) for row in range(3)])
    blocks = [block for block in text.split("\n\n") if "value 2/" in block]
    assert len(blocks) > 1
    for block in blocks:
        assert block.startswith("- Measured quantity number 0: value 2/0")
        assert tokens(block) <= GROUP_TOKENS + 40
    assert "- Measured quantity number 59: value 2/59" in text


def test_an_endless_header_is_written_whole_only_once() -> None:
    header = "word " * 2000
    text = "\n\n".join(table_blocks([[header, "b"], *[[f"row {number}", "some more words"] for number in range(2000)]]))
    assert header.strip() in text
    assert len(text) < 200_000


def test_hidden_sheets_and_the_title_of_a_workbook_are_read() -> None:
    def fill(book: Any, page: Any) -> None:
        book.set_properties({"title": "The ledger"})
        page.write_row(0, 0, ["a", "b"])
        secret = book.add_worksheet("Secret")
        secret.write(0, 0, "under the stairs")
        secret.hide()

    parsed = parse(workbook(fill), ".xlsx")
    assert parsed.title == "The ledger"
    assert "## Secret\n\nunder the stairs" in parsed.text


def test_formulas_without_a_stored_value_are_told() -> None:
    data = workbook(lambda book, page: page.write_row(0, 0, ["sum", 5]))
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                content = content.replace(b"<v>5</v>", b"<f>SUM(C1:C9)</f>")
            new.writestr(name, content)
    parsed = parse(changed.getvalue(), ".xlsx")
    assert parsed.warnings == ("1 formulas have no stored value: open the file in its program and save it",)


def test_a_sheet_whose_cells_are_far_apart_is_refused_before_it_fills_the_memory() -> None:
    def fill(book: Any, page: Any) -> None:
        page.write(0, 0, "a")
        page.write(1_048_575, 16_383, "z")

    with pytest.raises(DocumentError, match="too far apart"):
        parse(workbook(fill), ".xlsx")


def test_damaged_workbooks_are_refused_in_one_line() -> None:
    whole = workbook(lambda book, page: page.write_row(0, 0, ["a", 1]))
    for data in (
        whole[: len(whole) // 2],
        whole[:30] + b"\xff" * 400 + whole[430:],
        b"PK\x03\x04 nothing",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 5000,
    ):
        with pytest.raises(DocumentError) as caught:
            parse(data, ".xlsx")
        assert "\n" not in str(caught.value)


def test_an_opendocument_spreadsheet_is_read() -> None:
    rows = (("Name", "Town"), ("Ann", "Bonn"))
    cell = "<table:table-cell office:value-type='string'><text:p>{}</text:p></table:table-cell>"
    cells = "".join(f"<table:table-row>{''.join(map(cell.format, row))}</table:table-row>" for row in rows)
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text"))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as ods:
        ods.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        ods.writestr(
            "META-INF/manifest.xml", '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
        )
        ods.writestr(
            "content.xml",
            f'<office:document-content {spaces}><office:body><office:spreadsheet><table:table table:name="People">{cells}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    assert parse(data.getvalue(), ".ods").text == "## People\n\n| Name | Town |\n| - | - |\n| Ann | Bonn |\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a,b\n1,2\n3,4\n", "| a | b |\n| - | - |\n| 1 | 2 |\n| 3 | 4 |\n"),
        ("a\tb\n1,5\t2\n", "| a | b |\n| - | - |\n| 1,5 | 2 |\n"),
        ("sep=;\na;b\n1;2\n", "| a | b |\n| - | - |\n| 1 | 2 |\n"),
        ("a,b,c\n1\n2,3,4,5\n6,7\n", "| a | b | c |  |\n| - | - | - | - |\n| 1 |  |  |  |\n| 2 | 3 | 4 | 5 |\n| 6 | 7 |  |  |\n"),
        ('name,said\nAnn,"one, ""two""\nthree"\n', '| name | said |\n| - | - |\n| Ann | one, "two" three |\n'),
        ("a,b\nx|y,2\n", "| a | b |\n| - | - |\n| x\\|y | 2 |\n"),
        ("just one\nand another\n", "- just one\n- and another\n"),
    ],
)
def test_delimited_files_of_all_kinds_become_the_same_tables(source: str, expected: str) -> None:
    assert parse(source.encode(), ".csv").text == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_western_encodings_of_csv_are_told_apart(encoding: str) -> None:
    source = "Straße;Größe\nHauptstraße;5,3\nÜberweg;7\n"
    assert "| Hauptstraße | 5,3 |" in parse(source.encode(encoding), ".csv").text


@pytest.mark.parametrize(
    ("encoding", "row"),
    [
        ("cp932", "佐藤太郎,東京"),
        ("gb18030", "张三在公司工作了十年,北京市海淀区学院路"),
        ("cp1251", "Иван,Москва"),
        ("euc_kr", "김철수,서울"),
    ],
)
def test_other_scripts_in_csv_are_recognised(encoding: str, row: str) -> None:
    assert f"| {row.replace(',', ' | ')} |" in parse(f"a,b\n{row}\n{row}\n".encode(encoding), ".csv").text


def test_a_quotation_mark_that_is_never_closed_swallows_nothing() -> None:
    source = 'a,b\n"open,1\n' + "".join(f"x{number},{number}\n" for number in range(200))
    text = parse(source.encode(), ".csv").text
    assert "| x150 | 150 |" in text


def test_a_csv_of_one_endless_line_is_read() -> None:
    text = parse(("a," * 100_000 + "end").encode(), ".csv").text
    assert "end" in text


def test_loading_a_csv_does_not_import_heavy_libraries() -> None:
    code = "import sys; from assistant.loaders import parse; parse(b'a,b\\n1,2', '.csv'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"pptx", "msoffcrypto", "python_calamine", "lxml", "torch"} & set(done.stdout.split())


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_of_an_enormous_table_the_first_millions_are_read_and_the_rest_is_told(suffix: str) -> None:
    rows = [("Number", "Words"), *((str(number), "some words that fill the row " * 4) for number in range(45_000))]
    if suffix == ".csv":
        data = "\n".join(map(",".join, rows)).encode()
    else:
        data = workbook(lambda book, page: [page.write_row(number, 0, row) for number, row in enumerate(rows)])
    parsed = parse(data, suffix)
    assert 4_000_000 < len(parsed.text) < 5_000_000
    assert "only about the first" in parsed.warnings[0]
