import gzip
import io
import random
import tarfile
import zipfile

import pytest

from assistant.decoding import decode_text
from assistant.errors import DocumentError
from assistant.loaders import parse
from assistant.loaders.kinds import recognise
from tests.conftest import ROOT

DOCS = ROOT.parent / "shared" / "data" / "loader_docs"
needs_docs = pytest.mark.skipif(not DOCS.is_dir(), reason="the sample documents are not here")
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (b"%PDF-1.7\n", ".pdf"),
        (b"\x00\x01 garbage \n%PDF-1.4\n1 0 obj\nendobj\n%%EOF", ".pdf"),
        (zipped({"[Content_Types].xml": b"", "word/document.xml": b""}), ".docx"),
        (zipped({"[Content_Types].xml": b"", "ppt/presentation.xml": b""}), ".pptx"),
        (zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}), ".xlsx"),
        (zipped({"[Content_Types].xml": b"", "xl/workbook.bin": b""}), ".xlsb"),
        (zipped({"mimetype": b"application/vnd.oasis.opendocument.text"}), ".odt"),
        (zipped({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"}), ".ods"),
        (zipped({"mimetype": b"application/epub+zip"}), ".epub"),
        (zipped({"word/document.xml": b"a folder that is called so"}), ".zip"),
        (b"{\\rtf1 text}", ".rtf"),
        (b"<!DOCTYPE html><p>x", ".html"),
        (b"a text that speaks of %PDF-1.7 files", ".txt"),
        (b'DAMAGED = b"%PDF-1.7 1 0 obj endobj %%EOF"', ".txt"),
        (zipped({"a.pdf": b"%PDF-1.4\n1 0 obj\nendobj\n%%EOF"}), ".zip"),
        (tarred("a.pdf", b"%PDF-1.4\n1 0 obj\nendobj\n%%EOF"), ".tar"),
        (b"\x00\x01 rubbish %PDF-1.4\n1 0 obj\nendobj\n%%EOF", ".pdf"),
        ("Привет".encode("utf-16"), ".txt"),
    ],
)
def test_content_tells_the_format(data: bytes, suffix: str) -> None:
    assert recognise(data).suffix == suffix


@pytest.mark.parametrize(
    ("data", "suffix", "reason"),
    [
        (PNG, ".pdf", "it is a PNG image, not a PDF"),
        (PNG, ".txt", "it is a PNG image, not a TXT"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(50), ".html", "it is a JPG image, not an HTML"),
        (b"MZ\x90\x00\x03\x00\x00\x00" + bytes(100), ".txt", "it is a Windows program"),
        (gzip.compress(b"text"), ".txt", "it is a gzip file"),
        (b"ID3\x04" + bytes(100), ".mp3", "it is an MP3 sound, which is not supported"),
        (b"text", ".xyz", r"this format \(.xyz\) is not supported"),
        (b"PK\x03\x04" + b"x" * 200, ".zip", "damaged"),
    ],
)
def test_what_is_not_supported_is_named(data: bytes, suffix: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse(data, suffix)


@pytest.mark.parametrize(
    ("data", "suffix", "warning", "text"),
    [
        (b"just text", ".pdf", "it is plain text, whatever its name says", "just text"),
        (b"<html><body><h1>Title</h1></body></html>", ".doc", "it is an HTML page, whatever its name says", "# Title"),
        (zipped({"a.txt": b"x"}), ".docx", "it is a ZIP archive, whatever its name says", ""),
        (zipped({"a.txt": b"x"}), ".txt", "it is a ZIP archive, whatever its name says", ""),
    ],
)
def test_a_wrong_name_is_a_warning(data: bytes, suffix: str, warning: str, text: str) -> None:
    parsed = parse(data, suffix)
    assert parsed.warnings[0] == warning
    assert parsed.text == text


def test_text_keeps_the_loader_of_its_name() -> None:
    page = b"<html><body><h1>Title</h1></body></html>"
    assert parse(page, ".txt").text == page.decode()
    assert parse(page, ".txt").warnings == ()


@needs_docs
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fake.doc", "it is an old Word file: save it as .docx"),
        ("fake-power-point.ppt", "it is an old PowerPoint file: save it as .pptx"),
    ],
)
def test_old_office_files_say_what_to_do(name: str, reason: str) -> None:
    data = (DOCS / "unstructured" / name).read_bytes()
    for suffix in (name[-4:], ".docx", ".txt"):
        with pytest.raises(DocumentError, match=reason):
            parse(data, suffix)


@needs_docs
@pytest.mark.parametrize("folder", ["markitdown", "unstructured", "unstructured/pdf", "unstructured/language-docs"])
def test_the_sample_documents_are_what_their_names_say(folder: str) -> None:
    known = {".pdf", ".docx", ".pptx", ".xlsx", ".odt", ".epub", ".msg", ".rtf", ".xls"}
    misnamed = {"password_protected.xlsx": ""}
    for path in (DOCS / folder).iterdir():
        if path.suffix in known:
            assert recognise(path.read_bytes()).suffix == misnamed.get(path.name, path.suffix), path.name


FRENCH = "Les élèves étaient très fatigués après cet été passé à Orléans. "
RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах. "
POLISH = "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. "
JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"
CHINESE = "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。"
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. "


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *(
            (FRENCH, encoding)
            for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
        ),
        *((FRENCH * times, "cp1252") for times in (1, 3, 50)),
        *((RUSSIAN * times, encoding) for times in (5, 50) for encoding in ("cp1251", "koi8_r", "cp866")),
        (POLISH * 30, "cp1250"),
        *((JAPANESE * times, encoding) for times in (1, 30) for encoding in ("cp932", "euc_jp")),
        *((CHINESE * times, "gb18030") for times in (1, 30)),
        *((KOREAN * times, "cp949") for times in (1, 30)),
        ("名前,年齢,住所\n佐藤太郎,30,東京\n", "cp932"),
        ("café naïve £5", "latin-1"),
        ("Größe: 5 µm, 20 °C", "cp1252"),
    ],
)
def test_the_encoding_is_found(text: str, encoding: str) -> None:
    assert decode_text(text.encode(encoding)).text == text


def test_a_doubtful_encoding_is_a_warning_and_a_sure_one_is_none() -> None:
    assert "read as cp1251" in decode_text((RUSSIAN * 5).encode("cp1251")).warnings[0]
    assert decode_text(FRENCH.encode("cp1252")).warnings == ()
    assert decode_text(RUSSIAN.encode()).warnings == ()


def test_what_is_declared_decides_unless_the_bytes_are_utf_8() -> None:
    assert decode_text("Größe".encode("mac_roman"), "macintosh").text == "Größe"
    assert decode_text("Größe".encode(), "iso-8859-1").text == "Größe"
    assert decode_text("日本".encode("iso2022_jp"), "ISO-2022-JP").text == "日本"
    assert decode_text("Größe".encode("cp1252"), "no-such-charset").text == "Größe"


def test_single_broken_characters_in_utf_8_are_told() -> None:
    decoded = decode_text(RUSSIAN.encode() * 10 + b"\xff and more \xd0")
    assert RUSSIAN in decoded.text
    assert decoded.warnings == ("2 characters could not be decoded (utf-8)",)


def test_random_bytes_are_no_text() -> None:
    chance = random.Random(7)
    for length in (200, 1000, 5000):
        for start in (b"", b"\xff\xfe", b"\xfe\xff"):
            for _ in range(50):
                with pytest.raises(DocumentError, match="binary"):
                    decode_text(start + chance.randbytes(length))
