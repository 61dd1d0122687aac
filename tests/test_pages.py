"""Pages of PDFs as pictures: drawn in the child process, and a sentence marked where it stands."""

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph

from assistant.documents import Document, load_file
from assistant.errors import DocumentError
from assistant.loaders.pdf_drawing import MAX_PIXELS
from assistant.pages import Page, Pages, marks_on
from assistant.quote_places import Mark, count_quote, find_quote
from assistant.settings import Settings, load_settings

LIMIT = 50_000_000
QUOTE = "The lighthouse keeper counts every ship."


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "corpus").mkdir()
    return load_settings(
        {"ASSISTANT_CORPUS": str(tmp_path / "corpus"), "ASSISTANT_DATA": str(tmp_path), "ASSISTANT_PASSWORDS": "s3cret"}
    )


@pytest.fixture
def pages(settings: Settings) -> Iterator[Pages]:
    with closing(Pages(settings, lambda id: settings.corpus / id)) as pages:
        yield pages


Write = Callable[..., Document]


@pytest.fixture
def write(settings: Settings) -> Write:
    """Write a file into the corpus and read it; returns its document of that name, or the last one."""

    def write(name: str, data: bytes) -> Document:
        (settings.corpus / name).write_bytes(data)
        return load_file(settings.corpus / name, name, LIMIT, ["s3cret"]).documents[-1]

    return write


def drawn(*lines: str, size: tuple[float, float] = (595, 842), at: tuple[float, float] = (72, 700), **options: object) -> bytes:
    """A PDF of one page with lines of text, from the place `at` down."""
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=size, encrypt=options.get("encrypt"))
    for number, line in enumerate(lines):
        canvas.drawString(at[0], at[1] - 14 * number, line)
    canvas.showPage()
    canvas.save()
    return stream.getvalue()


def turned(data: bytes, rotation: int, crop: tuple[float, float, float, float] | None) -> bytes:
    """The same PDF with its first page turned, and cut to left, bottom, right and top."""
    stream = io.BytesIO()
    pdf = pypdfium2.PdfDocument(data)
    pdf[0].set_rotation(rotation)
    if crop:
        pdf[0].set_cropbox(*crop)
    pdf.save(stream)
    pdf.close()
    return stream.getvalue()


def flowing(text: str, columns: int) -> bytes:
    """A PDF with `text` in columns, its words cut at the ends of lines."""
    stream = io.BytesIO()
    template = BaseDocTemplate(stream, pagesize=(595, 842))
    width = 480 / columns
    frames = [Frame(57 + number * width, 60, width - 10, 720) for number in range(columns)]
    template.addPageTemplates([PageTemplate(frames=frames)])
    style = ParagraphStyle("text", hyphenationLang="en_GB", embeddedHyphenation=1, uriWasteReduce=0.3, alignment=4)
    template.build([Paragraph(part, style) for part in text.split("\n\n")])
    return stream.getvalue()


def marked(page: Page, document: Document, quote: str, number: int = 1, nth: int = 0) -> list[Mark]:
    start = -1
    for _ in range(nth + 1):
        start = document.text.index(quote, start + 1)
    return marks_on(page, document, number, start, start + len(quote))


def ink(page: Page) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of all that is printed on a page, in per cent."""
    image = Image.open(io.BytesIO(page.png)).convert("L").point(lambda value: 255 * (value < 128))
    left, top, right, bottom = image.getbbox() or (0, 0, 0, 0)
    return 100 * left / image.width, 100 * top / image.height, 100 * right / image.width, 100 * bottom / image.height


def hull(marks: list[Mark]) -> tuple[float, float, float, float]:
    return (
        min(mark.left for mark in marks),
        min(mark.top for mark in marks),
        max(mark.left + mark.width for mark in marks),
        max(mark.top + mark.height for mark in marks),
    )


@pytest.mark.parametrize("crop", [None, (50, 600, 500, 800)])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_the_mark_lies_on_the_printed_sentence_however_the_page_is_turned_and_cut(
    pages: Pages, write: Write, rotation: int, crop: tuple[float, float, float, float] | None
) -> None:
    document = write("a.pdf", turned(drawn(QUOTE), rotation, crop))
    page = pages.page(document, 1)
    found, printed = hull(marked(page, document, QUOTE)), ink(page)
    assert found[0] - 0.5 <= printed[0] and found[1] - 0.5 <= printed[1]
    assert found[2] + 0.5 >= printed[2] and found[3] + 0.5 >= printed[3]
    assert (found[2] - found[0]) * (found[3] - found[1]) < 3 * (printed[2] - printed[0]) * (printed[3] - printed[1])


def test_a_sentence_over_several_lines_has_a_mark_on_each(pages: Pages, write: Write) -> None:
    document = write(
        "a.pdf", drawn("Before it stands nothing. The lighthouse", "keeper counts ev-", "ery ship. After it comes more.")
    )
    page = pages.page(document, 1)
    marks = marked(page, document, "The lighthouse keeper counts every ship.")
    assert len(marks) == 3
    assert [round(mark.top) for mark in marks] == sorted({round(mark.top) for mark in marks})
    assert marks[0].left > marks[1].left + 5 and marks[2].width < 12


def test_what_is_read_in_columns_is_marked_in_its_column(pages: Pages, write: Write) -> None:
    filler = (
        "Extraordinarily comprehensive documentation characteristically accompanies internationally acknowledged undertakings. "
    )
    document = write("a.pdf", flowing("\n\n".join([filler * 6] * 5 + [QUOTE] + [filler * 6] * 2), columns=2))
    page = pages.page(document, 1)
    marks = marked(page, document, QUOTE)
    assert 1 <= len(marks) <= 3
    assert all(mark.left > 48 or mark.left + mark.width < 52 for mark in marks)
    for place in (0, len(document.text) // 2):  # any sentence is found
        start = document.text.index("Extraordinarily", place)
        assert marks_on(page, document, 1, start, document.text.index("undertakings.", start) + 13)


def test_of_equal_sentences_the_one_that_is_meant_is_marked(pages: Pages, write: Write) -> None:
    document = write("a.pdf", drawn(QUOTE, "Something else is told here.", QUOTE))
    page = pages.page(document, 1)
    first, second = (marked(page, document, QUOTE, nth=nth) for nth in (0, 1))
    assert first[0].top < second[0].top


def test_a_sentence_that_runs_over_two_pages_is_marked_on_both(pages: Pages, write: Write) -> None:
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(595, 842))
    for line in ("The lighthouse keeper counts", "every ship that passes by."):
        canvas.drawString(72, 700, line)
        canvas.showPage()
    canvas.save()
    document = write("a.pdf", stream.getvalue())
    end = document.text.index("passes by.") + 10
    for number in (1, 2):
        assert len(marks_on(pages.page(document, number), document, number, 0, end)) == 1


def test_what_is_not_on_the_page_is_not_marked(pages: Pages, write: Write) -> None:
    document = write("a.pdf", drawn("Something else is told on this page, and it is long enough."))
    page = pages.page(document, 1)
    assert find_quote(page.text, QUOTE) == []
    assert find_quote(page.text, "?! …") == []


@pytest.mark.parametrize(
    ("text", "quote", "found"),
    [
        ("one two\r\nthree. Four", "one  two three.", ["one two\r\nthree."]),
        ("the e\ufffe\r\nciency of o\ufb03ces", "the eciency of offices", ["the e\ufffe\r\nciency of o\ufb03ces"]),
        ("| 2023 | 12 % |", "2023 12", ["2023 | 12"]),
        ("Café au lait", "CAFÉ AU LAIT", ["Café au lait"]),
        ("灯塔守护者数着每一艘船。其他", "灯塔守护者数着\n每一艘船。", ["灯塔守护者数着每一艘船。"]),
        (
            "The keeper of the light 1 See the annex. counts every passing ship.",
            "The keeper of the light counts every passing ship.",
            ["The keeper of the light", "counts every passing ship."],
        ),
        ("The keeper of the light sleeps.", "The keeper of the light counts all of the ships at night.", []),
    ],
)
def test_a_quote_is_found_by_its_letters(text: str, quote: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in find_quote(text, quote)] == found


def test_equal_quotes_are_counted() -> None:
    assert count_quote("a ship, a\nship; a s-hip", "A ship") == 3
    assert count_quote("", "a") == count_quote("a", "") == 0


@pytest.mark.parametrize("size", [(14_400, 14_400), (14_400, 3), (20, 14_400), (595, 842)])
def test_a_page_of_any_size_has_few_pixels(pages: Pages, write: Write, size: tuple[float, float]) -> None:
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=size)
    canvas.setFont("Helvetica", 2)
    canvas.drawString(1, 1, QUOTE)
    canvas.save()
    page = pages.page(write("a.pdf", stream.getvalue()), 1)
    assert Image.open(io.BytesIO(page.png)).size == (page.width, page.height)
    assert page.width * page.height <= 1.1 * MAX_PIXELS


def test_a_pdf_with_a_password_is_drawn(pages: Pages, write: Write) -> None:
    document = write("a.pdf", drawn(QUOTE, encrypt=StandardEncryption("s3cret", canPrint=0)))
    assert len(marked(pages.page(document, 1), document, QUOTE)) == 1


def test_a_pdf_in_a_mail_or_an_archive_or_a_mail_in_an_archive_is_drawn(pages: Pages, write: Write) -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.org", "Offer"
    mail.set_content("See the offer.")
    mail.add_attachment(drawn(QUOTE), maintype="application", subtype="pdf", filename="offer.pdf")

    def packed(name: str, data: bytes) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("other.txt", "Something else is told here.")
            archive.writestr(name, data)
        return stream.getvalue()

    files = {"m.eml": bytes(mail), "z.zip": packed("in/offer.pdf", drawn(QUOTE)), "b.zip": packed("m.eml", bytes(mail))}
    for name, data in files.items():
        document = write(name, data)
        assert document.id.startswith(f"{name}/") and document.id.endswith("offer.pdf")
        assert len(marked(pages.page(document, 1), document, QUOTE)) == 1


def test_a_file_that_changed_or_went_is_not_drawn_but_what_was_drawn_is_kept(
    pages: Pages, write: Write, settings: Settings
) -> None:
    document = write("a.pdf", drawn(QUOTE))
    page = pages.page(document, 1)
    changed = write("b.pdf", drawn(QUOTE, "And more."))
    (settings.corpus / "b.pdf").write_bytes(drawn("Something else is told here."))
    with pytest.raises(DocumentError, match="has changed since it was indexed"):
        pages.page(changed, 1)
    (settings.corpus / "a.pdf").unlink()
    (settings.corpus / "b.pdf").unlink()
    assert pages.page(document, 1) is page
    with pytest.raises(DocumentError, match="can't be opened"):
        pages.page(changed, 1)


def test_only_the_newest_pages_are_kept(pages: Pages, write: Write) -> None:
    documents = [write(f"{number}.pdf", drawn(QUOTE, f"Number {number}.")) for number in range(9)]
    first = pages.page(documents[0], 1)
    assert all(pages.page(document, 1) for document in documents[1:])
    assert pages.page(documents[0], 1) is not first
    assert pages.page(documents[8], 1) is pages.page(documents[8], 1)


def test_a_page_that_is_not_there_and_a_link_out_of_the_folder_are_refused(
    pages: Pages, write: Write, settings: Settings, tmp_path: Path
) -> None:
    document = write("a.pdf", drawn(QUOTE))
    for number in (0, 2, 10**9):
        with pytest.raises(DocumentError, match="no page"):
            pages.page(document, number)
    outside = tmp_path / "outside.pdf"
    (settings.corpus / "a.pdf").rename(outside)
    (settings.corpus / "a.pdf").symlink_to(outside)
    with pytest.raises(DocumentError, match="not in the corpus folder"):
        pages.page(document, 1)
    (settings.corpus / "a.pdf").unlink()
    (settings.corpus / "b.pdf").write_bytes(outside.read_bytes())
    (settings.corpus / "a.pdf").symlink_to("b.pdf")
    assert pages.page(document, 1).pages == 1


def test_a_file_that_is_no_pdf_gets_a_reason_and_the_next_is_drawn(pages: Pages, write: Write) -> None:
    with pytest.raises(DocumentError, match="damaged or no PDF"):
        pages.page(write("a.md", b"# No PDF\n\nText."), 1)
    assert pages.page(write("b.pdf", drawn(QUOTE)), 1).text.strip() == QUOTE


def test_the_child_ends_when_nothing_is_drawn_and_starts_again(pages: Pages, write: Write) -> None:
    pages.page(write("a.pdf", drawn(QUOTE)), 1)
    assert pages._box._child and pages._box._child.running
    pages._box.rest()
    assert pages._box._child is None
    assert pages.page(write("b.pdf", drawn(QUOTE, "More.")), 1).pages == 1
