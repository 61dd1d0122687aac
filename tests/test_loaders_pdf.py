"""PDFs made here with reportlab and by hand, and the reading of them."""

import io
import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import pypdfium2
import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders import parse
from assistant.loaders import pdf as pdf_loader

WORDS = [
    "the",
    "keeper",
    "of",
    "the",
    "harbour",
    "wrote",
    "down",
    "every",
    "ship",
    "that",
    "came",
    "in",
    "with",
    "the",
    "tide",
    "and",
    "what",
    "it",
    "carried",
    "so",
    "that",
    "the",
    "merchants",
    "of",
    "the",
    "town",
    "could",
    "send",
    "their",
    "carts",
    "to",
    "the",
    "quay",
    "before",
    "the",
    "unloading",
    "began",
    "in",
    "the",
    "early",
    "morning",
]


def made(draw: Callable[[Canvas], object], **options: object) -> bytes:
    """Return a PDF that `draw` draws."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, **options)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


def read(data: bytes, passwords: Sequence[str] = ()) -> Parsed:
    return parse(data, ".pdf", passwords)


def lines(canvas: Canvas, texts: Sequence[str], x: float = 72, top: float = 760, step: float = 14) -> float:
    """Draw `texts` below each other; returns where the next would stand."""
    for text in texts:
        canvas.drawString(x, top, text)
        top -= step
    return top


def prose(start: int, count: int, words: int = 6) -> list[str]:
    """Return `count` lines of running text; no two starts give the same."""
    return [" ".join(WORDS[(start + at * words + i) % len(WORDS)] for i in range(words)) for at in range(count)]


def by_hand(objects: Sequence[bytes]) -> bytes:
    """Return a PDF of `objects`, the first of which is the catalog."""
    body, places = b"%PDF-1.7\n", []
    for number, data in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, data)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    return body + b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        count,
        table,
        count,
        len(body),
    )


def stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<</Length %d%b>>stream\n%b\nendstream" % (len(data), more, data)


def one_page(content: bytes, font: bytes = b"", kids: bytes = b"3 0 R", count: int = 1, extra: Sequence[bytes] = ()) -> bytes:
    """Return a PDF whose page has the stream `content`."""
    return by_hand(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, count),
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
            content,
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica%b>>" % font,
            *extra,
        ]
    )


@pytest.fixture(scope="module")
def unicode_font() -> str:
    pdfmetrics.registerFont(TTFont("DejaVu", str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")))
    return "DejaVu"


def test_pages_start_where_their_text_starts() -> None:
    def draw(canvas: Canvas) -> None:
        for name in ("First", "", "Third"):
            if name:
                canvas.drawString(72, 700, f"{name} page says this.")
            canvas.showPage()

    parsed = read(made(draw))
    assert len(parsed.pages) == 3
    assert parsed.text[parsed.pages[0] :].startswith("First page")
    assert parsed.text[parsed.pages[2] :].startswith("Third page")
    assert parsed.pages[1] == parsed.pages[2]  # nothing is on it


@pytest.mark.parametrize("columns", [2, 3])
def test_columns_are_read_one_after_the_other_below_a_title_across_them(columns: int) -> None:
    texts = [[f"{name} {line}" for line in prose(at * 7, 12, words=4)] for at, name in enumerate("abc"[:columns])]

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 20)
        canvas.drawCentredString(300, 790, "The harbour books of the northern coast")
        canvas.setFont("Times-Roman", 10)
        # Line by line across the page, as some programs write.
        for row in range(12):
            for column in range(columns):
                canvas.drawString(40 + column * (540 // columns), 760 - row * 12, texts[column][row])
        canvas.drawString(40, 560, "A line across the whole page comes after all the columns and before nothing else at all.")

    parsed = read(made(draw))
    places = [parsed.text.find(text.split(" ", 1)[1][:18]) for text in [texts[0][0], texts[0][11]]]
    assert parsed.text.startswith("# The harbour books of the northern coast\n\n")
    joined = " ".join(" ".join(column) for column in texts)
    assert joined in parsed.text.replace("\n\n", " ").replace("\n", " ")
    assert parsed.text.rstrip().endswith("nothing else at all.")
    assert -1 not in places
    assert "|" not in parsed.text


def test_larger_and_bold_lines_are_headings_and_the_first_gives_the_title() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 22)
        canvas.drawString(72, 760, "Annual report")
        top = 720.0
        for size, name, heading in ((15, "Helvetica", "Sales"), (10, "Helvetica-Bold", "In the north")):
            canvas.setFont(name, size)
            canvas.drawString(72, top, heading)
            canvas.setFont("Helvetica", 10)
            top = lines(canvas, prose(3, 8, words=12), top=top - 24, step=12) - 20

    parsed = read(made(draw))
    assert [(h.level, h.text) for h in parsed.headings] == [(1, "Annual report"), (2, "Sales"), (3, "In the north")]
    assert all(parsed.text[h.start :].startswith(f"{'#' * h.level} {h.text}\n") for h in parsed.headings)
    assert parsed.title == "Annual report"


def test_headers_and_page_numbers_are_dropped_and_what_is_only_alike_is_kept() -> None:
    def draw(canvas: Canvas) -> None:
        for number in range(1, 7):
            canvas.drawString(72, 800, "Northern Shipping Company")
            lines(canvas, prose(number * 3, 10), top=760)
            canvas.drawString(72, 60, f"Total of the month: {number * 111}.50")
            canvas.drawString(72, 40, f"Confidential, page {number} of 6")
            canvas.showPage()

    text = read(made(draw)).text
    assert text.count("Northern Shipping Company") == 1  # the first page may be a letter
    assert "page 2 of 6" not in text
    assert all(f"Total of the month: {number * 111}.50" in text for number in range(1, 7))


def test_words_cut_at_a_line_end_are_joined_and_compounds_keep_their_hyphen() -> None:
    texts = ["The well-known harbour was ex-", "tended in 1904 by a well-", "known engineer of Anglo-", "German descent."]
    parsed = read(made(lambda canvas: lines(canvas, texts)))
    assert parsed.text.strip() == ("The well-known harbour was extended in 1904 by a well-known engineer of Anglo-German descent.")


def test_a_paragraph_goes_on_over_pages_and_the_page_starts_inside_it() -> None:
    def draw(canvas: Canvas) -> None:
        lines(canvas, [*prose(0, 5), "and the ships of the"])
        canvas.showPage()
        lines(canvas, ["northern fleet were counted twice.", "A second sentence."])

    parsed = read(made(draw))
    assert "the ships of the northern fleet were counted twice." in parsed.text
    assert parsed.text[parsed.pages[1] :].startswith("northern fleet")


def test_items_of_lists_stand_alone() -> None:
    texts = [
        "What to bring:",
        "• a warm coat",
        "• two pairs of gloves, one of",
        "them made of leather",
        "1. First step",
        "2) Second step",
    ]
    text = read(made(lambda canvas: lines(canvas, texts))).text
    items = [
        "What to bring:",
        "- a warm coat",
        "- two pairs of gloves, one of them made of leather",
        "1. First step",
        "2) Second step",
    ]
    assert text.strip().split("\n\n") == items


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_pages_that_are_turned_are_read_like_others(angle: int) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.translate(300, 400)
        canvas.rotate(angle)
        lines(canvas, prose(0, 10), x=-200, top=200)
        for row in range(4):
            for column, cell in enumerate((f"item {row}", str(10 + row), str(row * 100))):
                canvas.drawString(-200 + column * 120, -20 - row * 14, cell)

    def plain(canvas: Canvas) -> None:
        canvas.translate(300, 400)
        lines(canvas, prose(0, 10), x=-200, top=200)
        for row in range(4):
            for column, cell in enumerate((f"item {row}", str(10 + row), str(row * 100))):
                canvas.drawString(-200 + column * 120, -20 - row * 14, cell)

    assert read(made(draw)).text == read(made(plain)).text
    assert "| item 2 | 12 | 200 |" in read(made(plain)).text


def test_a_page_set_to_be_shown_turned_is_read(unicode_font: str) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(90)
        lines(canvas, ["One line on a turned page.", "And another."])

    assert "One line on a turned page." in read(made(draw)).text


def test_hebrew_and_arabic_keep_the_order_of_their_letters(unicode_font: str) -> None:
    hebrew, arabic = "שלום עולם זה טקסט בעברית", "مرحبا بالعالم"

    def draw(canvas: Canvas) -> None:
        canvas.setFont(unicode_font, 12)
        canvas.drawRightString(500, 700, hebrew[::-1])  # glyphs stand from left to right in the file
        canvas.drawRightString(500, 650, arabic[::-1])

    assert read(made(draw)).text.split("\n\n")[:2] == [hebrew, arabic]


def test_chinese_lines_are_joined_without_and_korean_ones_with_a_space() -> None:
    for name in ("STSong-Light", "HYSMyeongJo-Medium"):
        pdfmetrics.registerFont(UnicodeCIDFont(name))

    def draw(canvas: Canvas) -> None:
        canvas.setFont("STSong-Light", 12)
        lines(canvas, ["港口的管理员每天早上写下", "每一艘船的名字。"])
        canvas.setFont("HYSMyeongJo-Medium", 12)
        lines(canvas, ["항구의 관리인은 매일", "아침 배를 셌다."], top=600)

    assert read(made(draw)).text.strip() == "港口的管理员每天早上写下每一艘船的名字。\n\n항구의 관리인은 매일 아침 배를 셌다."


def test_ligatures_become_letters_and_soft_hyphens_go(unicode_font: str) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont(unicode_font, 12)
        canvas.drawString(72, 700, "ﬁnance oﬃcer, soft\u00adhyphen")

    assert read(made(draw)).text.strip() == "finance officer, softhyphen"


def test_characters_above_the_first_plane_are_read_and_glyphs_without_a_character_show() -> None:
    table = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        b"1 begincodespacerange <00> <FF> endcodespacerange\n"
        b"2 beginbfchar <41> <D83DDE00> <42> <0003> endbfchar endcmap end end"
    )
    content = stream(b"BT /F 12 Tf 50 700 Td (Smile A and B0.93 end) Tj ET")
    assert read(one_page(content, b"/ToUnicode 6 0 R", extra=[stream(table)])).text.strip() == "Smile 😀 and �0.93 end"


def test_what_is_printed_twice_to_look_bold_is_read_once() -> None:
    def draw(canvas: Canvas) -> None:
        for shift in (0, 0.4):
            canvas.drawString(72 + shift, 700, "Printed twice to look bold")
        canvas.drawString(72, 600, "Said once. Said once.")

    text = read(made(draw)).text
    assert text.count("Printed twice to look bold") == 1
    assert "Said once. Said once." in text


def test_invisible_text_that_a_scanner_put_there_is_read() -> None:
    def draw(canvas: Canvas) -> None:
        text = canvas.beginText(72, 700)
        text.setTextRenderMode(3)
        text.textLine("Recognised by the scanner")
        canvas.drawText(text)

    assert read(made(draw)).text.strip() == "Recognised by the scanner"


def table(canvas: Canvas, rows: Sequence[Sequence[str]], xs: Sequence[float], top: float = 700, step: float = 14) -> None:
    for at, row in enumerate(rows):
        for x, cell in zip(xs, row, strict=True):
            if x < 0:
                canvas.drawRightString(-x, top - at * step, cell)
            else:
                canvas.drawString(x, top - at * step, cell)


def test_rows_that_line_up_become_a_table() -> None:
    rows = [("Ship", "Arrived", "Tons"), ("Aurora", "3 May", "1,200"), ("Borealis", "", "85"), ("Cassiopeia", "9 May", "15,040")]

    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 740, "The ships of May are these:")
        table(canvas, rows, (72, 200, -360))
        canvas.drawString(72, 620, "All of them left again.")

    assert read(made(draw)).text == (
        "The ships of May are these:\n\n| Ship | Arrived | Tons |\n| --- | --- | --- |\n| Aurora | 3 May | 1,200 |\n"
        "| Borealis |  | 85 |\n| Cassiopeia | 9 May | 15,040 |\n\nAll of them left again.\n\n"
    )


def test_a_table_written_column_by_column_is_read_row_by_row() -> None:
    def draw(canvas: Canvas) -> None:
        for column, x in enumerate((72, 180, 290)):
            lines(canvas, [f"c{column} r{row}" for row in range(5)], x=x)

    assert "| c0 r2 | c1 r2 | c2 r2 |" in read(made(draw)).text


def test_lines_of_a_cell_are_joined_when_rows_stand_apart() -> None:
    def draw(canvas: Canvas) -> None:
        top = 700
        for name, cell in (("Aurora", ["carries coal and", "timber to the north"]), ("Borealis", ["carries wool", "and wine"])):
            canvas.drawString(72, top, name)
            canvas.drawString(420, top, str(top))
            lines(canvas, cell, x=200, top=top, step=12)
            top -= 40
        table(canvas, [("Castor", "nothing", "1")], (72, 200, 420), top=top)

    text = read(made(draw)).text
    assert "| Aurora | carries coal and timber to the north | 700 |" in text
    assert "| Borealis | carries wool and wine | 660 |" in text


def test_numbers_of_neighbouring_cells_are_never_glued() -> None:
    rows = [[str(1000 + row * 7 + column * 131) for column in range(8)] for row in range(30)]

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 8)
        table(canvas, rows, [72 + column * 21.0 for column in range(8)], step=10)  # 3 points apart

    words = read(made(draw)).text.replace("|", " ").split()
    assert [word for word in words if word.isdigit()] == [cell for row in rows for cell in row]


def test_a_single_row_of_cells_stays_a_line_of_its_own() -> None:
    def draw(canvas: Canvas) -> None:
        table(canvas, [("Invoice 17", "Date 3 May", "Sum 80.00")], (72, 250, 420))
        lines(canvas, prose(0, 4, words=12), top=640)

    assert read(made(draw)).text.split("\n\n")[0] == "Invoice 17 | Date 3 May | Sum 80.00"


def test_heads_beside_running_text_come_before_it() -> None:
    first, second = prose(0, 6, words=10), prose(5, 6, words=10)

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        for top, head, text in ((700, ("1.1", "The scope"), first), (600, ("1.2", "The purpose"), second)):
            lines(canvas, head, x=50, top=top, step=12)
            lines(canvas, text, x=180, top=top, step=12)

    text = read(made(draw)).text.replace("\n\n", " ").replace("\n", " ")
    assert text.strip() == f"1.1 The scope {' '.join(first)} 1.2 The purpose {' '.join(second)}"


def test_a_text_that_needs_a_password_says_so_and_is_read_with_it() -> None:
    data = made(lambda canvas: canvas.drawString(72, 700, "A secret."), encrypt=StandardEncryption("open", "owner", strength=128))
    with pytest.raises(DocumentError, match="protected by a password: set ASSISTANT_PASSWORDS"):
        read(data, ["wrong"])
    assert read(data, ["wrong", "open"]).text.strip() == "A secret."


def test_a_text_that_may_not_be_copied_is_read() -> None:
    lock = StandardEncryption("", "owner", canCopy=0, canPrint=0, strength=128)
    data = made(lambda canvas: canvas.drawString(72, 700, "No copies."), encrypt=lock)
    assert read(data, ["wrong"]).text.strip() == "No copies."


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("The harbour books", "The harbour books"),
        ("Microsoft Word - report final.doc", ""),
        ("untitled", ""),
        ("(anonymous)", ""),
        ("report_2024-final", ""),
        ("report.pdf", ""),
        ("123 456", ""),
        ("Wahlprogramm 2024", "Wahlprogramm 2024"),
    ],
)
def test_a_title_is_no_file_name(title: str, kept: str) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setTitle(title)
        canvas.drawString(72, 700, "Some text.")

    assert read(made(draw)).title == kept


def test_values_of_a_form_stand_beside_their_names_and_notes_are_read() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 720, "Name of the applicant:")
        canvas.acroForm.textfield(name="name", value="Jane Doe", x=220, y=712, width=200, height=20)
        canvas.drawString(72, 680, "Agreed:")
        canvas.acroForm.checkbox(name="agreed", checked=True, x=220, y=675)
        canvas.textAnnotation("Please check the date", Rect=[72, 600, 90, 620])
        canvas.freeTextAnnotation("Received in May", DA="/Helv 12 Tf 0 g", Rect=[72, 560, 300, 590])
        canvas.linkURL("https://example.com", (72, 500, 100, 520))

    text = read(made(draw)).text
    assert "| Name of the applicant: | Jane Doe |" in text or "Name of the applicant: | Jane Doe" in text
    assert "Agreed: | [x]" in text.replace("| Agreed", "Agreed")
    assert "Received in May" in text
    assert "Comment: Please check the date" in text
    assert "example.com" not in text


def test_attached_files_are_parts() -> None:
    document = pypdfium2.PdfDocument(made(lambda canvas: canvas.drawString(72, 700, "See the attached table.")))
    document.new_attachment("prices.csv").set_data(b"name,price\ntea,3\n")
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    parsed = read(buffer.getvalue())
    assert [(part.name, part.data) for part in parsed.parts] == [("prices.csv", b"name,price\ntea,3\n")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (one_page(stream(b""), kids=b"3 0 R " * 2001, count=2001), "2001 pages, over the limit of 2000"),
        (one_page(stream(b"BT /F 12 Tf (A) Tj ET")).replace(b"[3 0 R]", b"[2 0 R]"), "damaged"),
        (one_page(stream(zlib.compress(zlib.compress(b"A" * 50_000_000)), b"/Filter[/FlateDecode/FlateDecode]")), "over 40 MB"),
        (one_page(stream(zlib.compress(b"q Q " * 12_000_000), b"/Filter/FlateDecode")), "over 40 MB"),
        (one_page(stream(b"")), "no text was found"),
        (b"%PDF-1.7\n" + b"[" * 100_000, "damaged"),
    ],
    ids=["pages", "loop", "packed twice", "packed", "empty", "nested"],
)
def test_hostile_and_empty_files_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        read(data)


def test_a_damaged_page_is_named_and_the_others_are_read() -> None:
    good = one_page(stream(b"BT /F 12 Tf 50 700 Td (Still here) Tj ET"), kids=b"3 0 R 2 0 R", count=2)
    parsed = read(good)
    assert parsed.text.strip() == "Still here"
    assert parsed.warnings == ("no text on page 2 (damaged)",)


def test_a_text_over_the_limit_of_characters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_loader, "MAX_CHARACTERS", 100)
    with pytest.raises(DocumentError, match="10 million characters"):
        read(made(lambda canvas: lines(canvas, prose(0, 10))))


def test_a_page_with_thousands_of_scattered_words_is_read() -> None:
    spots = b"".join(b"BT /F 6 Tf %d %d Td (w%d) Tj ET\n" % (at * 7919 % 600, at * 104729 % 800, at) for at in range(8000))
    assert len(read(one_page(stream(spots))).text.split()) > 7000


def scan(text: str, size: int = 40) -> bytes:
    """Return a PNG with `text` on it."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (1200, 300), 255)
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
    ImageDraw.Draw(image).text((60, 100), text, fill=0, font=font)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def scanned(pages: Sequence[str]) -> bytes:
    """Return a PDF of pages: those that begin with `scan:` are pictures."""
    from reportlab.lib.utils import ImageReader

    def draw(canvas: Canvas) -> None:
        for page in pages:
            if page.startswith("scan:"):
                canvas.drawImage(ImageReader(io.BytesIO(scan(page[5:]))), 50, 500, 500, 125)
            else:
                canvas.drawString(72, 700, page)
            canvas.showPage()

    return made(draw)


@pytest.fixture
def no_tesseract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


needs_tesseract = pytest.mark.skipif(not shutil.which("tesseract"), reason="tesseract is not installed")
MIXED = ["A typed page.", "scan:Ships of May", "scan:Ships of June", "Another typed page.", "scan:Ships of July"]


@pytest.mark.usefixtures("no_tesseract")
def test_scanned_pages_are_named_when_they_cannot_be_read() -> None:
    parsed = read(scanned(MIXED))
    assert parsed.warnings == ("no text on pages 2-3, 5 (scanned?)",)
    with pytest.raises(DocumentError, match="it looks scanned, and it can be read when Tesseract is installed"):
        read(scanned(MIXED[1:3]))
    with pytest.raises(DocumentError, match="it is a picture: it can be read when Tesseract is installed"):
        parse(scan("Ships"), ".png")


@needs_tesseract
def test_scanned_pages_are_read_by_tesseract() -> None:
    parsed = read(scanned(MIXED))
    assert parsed.warnings == ("pages 2-3, 5 were read by Tesseract: check quotes against the file",)
    assert [parsed.text[start:].split("\n")[0].lstrip("# ") for start in parsed.pages] == [
        page.removeprefix("scan:") for page in MIXED
    ]


@needs_tesseract
def test_pictures_are_documents() -> None:
    parsed = parse(scan("The harbour in winter"), ".png")
    assert "The harbour in winter" in parsed.text
    assert parsed.warnings == ("read by Tesseract: check quotes against the file",)


@needs_tesseract
def test_the_frames_of_a_tiff_are_pages() -> None:
    from PIL import Image

    frames = [Image.open(io.BytesIO(scan(text))) for text in ("First frame", "Second frame")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    parsed = parse(buffer.getvalue(), ".tiff")
    assert "Second frame" in parsed.text[parsed.pages[1] :]
    assert "First frame" in parsed.text[: parsed.pages[1]]


@needs_tesseract
@pytest.mark.parametrize(
    ("data", "reason"),
    [(bytes(range(256)), "binary data"), (scan("Ships")[:300], "damaged"), (scan(""), "no text was found")],
    ids=["garbage", "truncated", "blank"],
)
def test_pictures_that_cannot_be_read_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse(data, ".png")


@needs_tesseract
def test_a_picture_of_too_many_pixels_is_not_unpacked() -> None:
    import struct

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 12000, 12000, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    with pytest.raises(DocumentError, match="over 100 million pixels"):
        parse(bomb, ".png")


@needs_tesseract
def test_only_so_many_pages_are_read_by_tesseract(monkeypatch: pytest.MonkeyPatch) -> None:
    from assistant.loaders import ocr

    monkeypatch.setattr(ocr, "_MAX_PAGES", 1)
    assert read(scanned(MIXED)).warnings == (
        "page 2 was read by Tesseract: check quotes against the file",
        "no text on pages 3, 5 (not read: Tesseract reads 1 pages of a file at most)",
    )


@needs_tesseract
def test_tesseract_stops_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    from assistant.loaders import ocr

    monkeypatch.setattr(ocr, "_SECONDS", 0.3)
    assert read(scanned(MIXED)).warnings == ("no text on pages 2-3, 5 (not read: Tesseract stops after 0 seconds)",)
