"""Files made to break their reader: bombs, loops, deep nesting, and text that regular expressions choke on."""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path

_OPERATORS = b"BT /F1 12 Tf 10 10 Td (word) Tj ET\n"


def _repeated(piece: bytes, size: int) -> Iterator[bytes]:
    block = piece * max(1, min(size, 1_000_000) // len(piece))
    for _ in range(size // len(block)):
        yield block


def _deflated(blocks: Iterable[bytes]) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(block) for block in blocks), packer.flush()])


def _pdf(objects: dict[int, bytes]) -> bytes:
    """Return a PDF of these objects; the first is its root."""
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (max(objects) + 1)
    for number in range(1, max(objects) + 1):
        out += b"%010d 00000 n \n" % places.get(number, 0)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (max(objects) + 1, start)
    return bytes(out)


def _pages(kids: bytes, count: int, content: bytes = b"", filters: bytes = b"") -> bytes:
    stream = b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), filters, content)
    return _pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count),
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R"
            b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
            4: stream,
        }
    )


def _pdf_bomb(size: int) -> bytes:
    return _pages(b"3 0 R", 1, _deflated(_repeated(_OPERATORS, size)), b"/Filter /FlateDecode")


def _pdf_double_bomb() -> bytes:
    twice = _deflated([_deflated(_repeated(_OPERATORS, 300_000_000))])
    return _pages(b"3 0 R", 1, twice, b"/Filter [/FlateDecode /FlateDecode]")


def _zip(members: dict[str, Iterable[bytes]]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, blocks in members.items():
            with archive.open(name, "w", force_zip64=True) as member:
                for block in blocks:
                    member.write(block)
    return buffer.getvalue()


_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_TYPES = (
    b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    b'<Override PartName="/word/document.xml" ContentType='
    b'"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_RELATIONS = (
    b'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    b'<Relationship Id="rId1" Target="word/document.xml" Type='
    b'"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>'
)
_LAUGHS = "".join(
    f'<!ENTITY l{level} "{f"&l{level - 1};" * 10 if level else "ha" * 10}">' for level in range(10)
)  # ten times ten times ...


def docx(blocks: Iterable[bytes], doctype: str = "") -> bytes:
    """Return a Word document with these pieces of XML as its body."""
    head = f'<?xml version="1.0"?>{doctype}<w:document xmlns:w="{_WORD}"><w:body>'.encode()
    body = [head, *blocks, b"</w:body></w:document>"] if isinstance(blocks, list) else _around(head, blocks)
    return _zip({"[Content_Types].xml": [_TYPES], "_rels/.rels": [_RELATIONS], "word/document.xml": body})


def _around(head: bytes, blocks: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from blocks
    yield b"</w:body></w:document>"


def _zip_of_zips() -> bytes:
    data = _zip({"zero.txt": _repeated(b"0", 10_000_000)})
    for level in range(3):
        data = _zip({f"{number}.zip": [data] for number in range(10)})
    return data


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1_000_000_000)


def _lines(path: Path, piece: bytes, size: int) -> None:
    with path.open("wb") as file:
        file.writelines(_repeated(piece, size))


def _text(piece: bytes, size: int) -> Callable[[Path], None]:
    return lambda path: _lines(path, piece, size)


def _bytes(make: Callable[[], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(make())

    return write


_PARAGRAPH = f"<w:p><w:r><w:t>{'word ' * 40}</w:t></w:r></w:p>".encode()
_XXE = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
_FIRST_PDF = _pages(b"3 0 R", 1, _OPERATORS)

# Names of members and files that try to get out of the folder, or to break what shows them.
BAD_NAMES = (
    "../up.txt",
    "../../../../tmp/up.txt",
    "/etc/absolute.txt",
    "C:\\windows\\drive.txt",
    "..\\back.txt",
    "a/../../b.txt",
    "nul\0byte.txt",
    "x" * 400 + ".txt",
    "rtl\u202etxt.exe.txt",
    "CON.txt",
    "aux",
    ".env",
    ".hidden/x.txt",
    "new\nline.txt",
    "esc\x1b[31mape.txt",
    " .txt",
    "....txt",
    "~/home.txt",
    "$(touch x).txt",
    "; rm x.txt",
    "zero\u200bwidth.txt",
    "<img src=x onerror=alert(1)>.txt",
)

# File name -> what writes it. All of them may be refused; what must not happen is in test_sandbox.py.
HOSTILE: dict[str, Callable[[Path], None]] = {
    "flate-5-mb.pdf": _bytes(lambda: _pdf_bomb(5_000_000)),
    "flate-50-mb.pdf": _bytes(lambda: _pdf_bomb(50_000_000)),
    "flate-300-mb.pdf": _bytes(lambda: _pdf_bomb(300_000_000)),
    "flate-twice-300-mb.pdf": _bytes(_pdf_double_bomb),
    "page-tree-loop.pdf": _bytes(lambda: _pages(b"2 0 R 3 0 R", 2, _OPERATORS)),
    "one-page-100000-times.pdf": _bytes(lambda: _pages(b"3 0 R " * 100_000, 100_000, _OPERATORS)),
    "nested-arrays.pdf": _bytes(lambda: _pages(b"[" * 50_000 + b"]" * 50_000, 1)),
    "truncated.pdf": _bytes(lambda: _FIRST_PDF[: len(_FIRST_PDF) // 2]),
    "garbage.pdf": _bytes(lambda: b"%PDF-1.7\n" + bytes(range(256)) * 400),
    "bomb-210-mb.docx": _bytes(lambda: docx(_repeated(_PARAGRAPH, 210_000_000))),
    "bomb-190-mb.docx": _bytes(lambda: docx(_repeated(_PARAGRAPH, 190_000_000))),
    "xxe.docx": _bytes(lambda: docx([b"<w:p><w:r><w:t>before &x; after</w:t></w:r></w:p>"], _XXE)),
    "billion-laughs.docx": _bytes(lambda: docx([b"<w:p><w:r><w:t>&l9;</w:t></w:r></w:p>"], f"<!DOCTYPE d [{_LAUGHS}]>")),
    "truncated.docx": _bytes(lambda: docx([_PARAGRAPH])[:400]),
    "zip-of-zips.zip": _bytes(_zip_of_zips),
    "bomb-300-mb.zip": _bytes(lambda: _zip({"zero.txt": _repeated(b"0", 300_000_000)})),
    "names.zip": _bytes(lambda: _zip({name: [b"Some words about the weather."] for name in BAD_NAMES})),
    "bomb-210-mb.xlsx": _bytes(lambda: _zip({"xl/workbook.xml": _repeated(b"<c><v>1</v></c>", 210_000_000)})),
    "line-4-mb.txt": _text(b"word ", 4_000_000),
    "line-20-mb.txt": _text(b"word ", 20_000_000),
    "text-100-mb.txt": _text(b"a line of text\n", 100_000_000),
    "sparse-1-gb.txt": _sparse,
    "zeros.txt": _text(b"\0", 1_000_000),
    "nested-divs.html": _bytes(lambda: b"<div>" * 200_000 + b"deep" + b"</div>" * 200_000),
    "nested.json": _bytes(lambda: b"[" * 100_000 + b"]" * 100_000),
    "laughs.svg": _bytes(lambda: f'<?xml version="1.0"?><!DOCTYPE s [{_LAUGHS}]><svg><text>&l9;</text></svg>'.encode()),
    "laughs.xml": _bytes(lambda: f'<?xml version="1.0"?><!DOCTYPE s [{_LAUGHS}]><d>&l9;</d>'.encode()),
    "xxe.xml": _bytes(lambda: f'<?xml version="1.0"?>{_XXE}<d>before &x; after</d>'.encode()),
    **{
        f"{name}.{suffix}": _text(piece, 1_000_000)
        for name, piece in {
            "brackets": b"[",
            "stars": b"*",
            "spaces": b"x" + b" " * 999_999,
            "stops": b".",
            "quotes": b'"',
            "items": b"- a\n",
            "quoted": b"> ",
            "headings": b"# a\n\n",
            "cells": b"|a",
            "tags": b"<",
        }.items()
        for suffix in ("md", "html", "txt", "csv")
    },
}
