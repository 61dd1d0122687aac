import io
import zipfile
from pathlib import Path

import pytest

from assistant.documents import load_file
from assistant.errors import DocumentError
from assistant.loaders.epub import load_epub
from assistant.loaders.html import load_html
from assistant.loaders.xml import load_xml
from tests.conftest import ROOT

DOCS = ROOT.parent / "shared" / "data" / "loader_docs"
needs_docs = pytest.mark.skipif(not DOCS.is_dir(), reason="the sample documents are not here")
LIMIT = 50_000_000

# Each file, its title, and words that must stand in its text.
PAGES = {
    "markitdown/test_blog.html": (
        "Does Model and Inference Parameter Matter in LLM Applications? - A Case Study for MATH",
        ("## Experiment Setup", "- top_p: The parameter that controls", "92% vs. 70%"),
    ),
    "markitdown/test_serp.html": ("Microsoft wikipedia - Search", ("- Initial release: November 20, 1985", "en.wikipedia.org")),
    "markitdown/test_wikipedia.html": (
        "Microsoft",
        ("### 1972–1985: Founding", "- Founders: Bill Gates; Paul Allen\n", "US$211.9 billion (2023)"),
    ),
    "unstructured/example-10k-1p.html": ("example 10k 1p", ("| Common stock | GLXZ | OTCQB marketplace |", "Galaxy Gaming, Inc.")),
    "unstructured/example-10k.html": (
        "glxz-10k_20211231.htm",
        ("- Findings of suitability for the Company", "| Cash paid for interest |", "$16,058,714"),
    ),
    "unstructured/example-steelJIS-datasheet.html": (
        "SteelJIS: Japanese Steels and Alloys",
        ("Home Japanese steel grading", "日本語", "| 0.39 - 0.46 | 0.2 - 0.35 |", "成分"),
    ),
    "unstructured/example-steelJIS-datasheet-utf-16.html": ("SteelJIS: Japanese Steels and Alloys", ("日本語", "成分")),
    "unstructured/example-with-scripts.html": (
        "Russian Offensive Campaign Assessment, December 13",
        ("Belarusian forces remain unlikely to attack Ukraine despite a snap Belarusian military readiness check",),
    ),
    "unstructured/fake-html-cp1252.html": ("My First Heading", ("Die schöne Frau hat einen Kaffee", "15,50 €", "¡Qué rico!")),
    "unstructured/fake-html-lang-de.html": ("fake html lang de", ()),
    "unstructured/fake-html-pre.htm": ("fake html pre", ("```",)),
    "unstructured/fake-html-with-base64-image.html": ("fake html with base64 image", ("Test page",)),
    "unstructured/fake-html-with-duplicate-elements.html": ("Example heading.", ("Example heading.",)),
    "unstructured/fake-html-with-footer-and-header.html": ("My First Heading", ("My first paragraph.",)),
    "unstructured/fake-html-with-image-from-url.html": ("fake html with image from url", ("Test page",)),
    "unstructured/fake-html.html": (
        "My First Heading",
        ("- A test list\n  - With sub-bullets!", "| Column 1 | Column 2 |", "| Row 2, Cell 1 | Row 2, Cell 2 |"),
    ),
    "unstructured/ideas-page.html": ("How to Get New Ideas", ("January 2023", "The way to get new ideas is to notice anomalies")),
    "unstructured/language-docs/eng_spa_mult.html": ("eng spa mult", ("Todos los seres humanos nacen libres",)),
    "unstructured/factbook.xml": ("factbook", ("name: Canada\ncapital: Ottawa", "name: Trinidad & Tobado")),
    "unstructured/factbook-utf-16.xml": ("factbook utf 16", ("name: Canada\ncapital: Ottawa",)),
    "unstructured/language-docs/eng_spa_mult.xml": ("eng spa mult", ("content: All human beings",)),
    "markitdown/test_rss.xml": (
        "The Official Microsoft Blog",
        (
            "## Ignite 2024: Why nearly 70% of the Fortune 500",
            "Date: Tue, 19 Nov 2024",
            "Author: Frank X. Shaw",
            "Two things can be true",
        ),
    ),
    "markitdown/test.epub": ("Test EPUB Document", ("Author: Test Author", "# Chapter 1: Test Content", "- A bullet point")),
    "unstructured/language-docs/eng_spa_mult.epub": ("Untitled document", ("Todos los seres humanos nacen libres",)),
    "unstructured/winter-sports.epub": (
        "Winter Sports in Switzerland",
        ("Author: E. F. Benson", "## CHAPTER I THE SUN-SEEKER", "| II. | Rinks and Skaters | 23 |", "an amazingly silly proverb"),
    ),
}


def page(body: str, head: str = "") -> bytes:
    return f"<html><head><meta charset=utf-8>{head}</head><body>{body}</body></html>".encode()


@needs_docs
@pytest.mark.parametrize("name", PAGES)
def test_sample_pages_and_books_are_read(name: str) -> None:
    path = DOCS / name
    title, words = PAGES[name]
    document = load_file(path, path.name, LIMIT).documents[0]
    assert document.title == title
    for word in words:
        assert word in document.text
    for unwanted in ("base64", "<div", "<td", "\ufffd", "function("):
        assert unwanted not in document.text
    for heading in document.headings:
        assert document.text[heading.start] == "#"


@needs_docs
def test_every_sample_page_is_looked_at() -> None:
    found = {path.relative_to(DOCS).as_posix() for ending in ("htm", "html", "xml", "epub") for path in DOCS.rglob(f"*.{ending}")}
    assert found == set(PAGES)


def test_tables_lists_and_code_become_markdown() -> None:
    body = """<h2>Data</h2><table><tr><th>Year<th>Sum</tr><tr><td rowspan=2>2024<td>7|8</tr><tr><td>9</tr></table>
    <ol start=3><li>three<ul><li>inner</ul><li><p>four</p><p>more</p></ol><pre>a\n  b</pre><p>10<sup>6</sup> H<sub>2</sub>O<sup>[1]</sup></p>"""
    assert load_html(page(body)).text == "\n\n".join(
        [
            "## Data",
            "| Year | Sum |\n| - | - |\n| 2024 | 7\\|8 |\n| 2024 | 9 |",
            "3. three\n   - inner\n4. four\n   more",
            "```\na\n  b\n```",
            "10^6 H2O[1]",
        ]
    )


def test_signs_in_cells_of_their_own_join_their_number() -> None:
    row = "<tr><td>Net loss<td>$<td>(5,000<td>)<td><td>12<td>%</tr>"
    assert (
        "| Net loss | $(5,000) | 12% |"
        in load_html(page(f"<table><tr><td>Item<td colspan=3>2023<td><td colspan=2>Share</tr>{row}</table>")).text
    )


def test_a_table_that_only_lays_out_the_page_leaves_paragraphs() -> None:
    assert load_html(page("<table><tr><td><h1>Title</h1><p>one</p><p>two</p></td></tr></table>")).text == "# Title\n\none\n\ntwo"
    assert load_html(page("<table><tr><td>•<td>first</tr><tr><td>•<td>second</tr></table>")).text == "- first\n- second"


@pytest.mark.parametrize(
    "hidden",
    [
        "<p style='display: none'>SECRET</p>",
        "<p hidden>SECRET</p>",
        "<p aria-hidden=true>SECRET</p>",
        "<p style='font-size:0'>SECRET</p>",
        "<p style='font-size:0px;color:red'>SECRET</p>",
        "<p style='visibility:hidden'>SECRET</p>",
        "<p style='opacity:0'>SECRET</p>",
        "<p style='color:#ffffff'>SECRET</p>",
        "<font color=white>SECRET</font>",
    ],
)
def test_hidden_text_is_left_out_and_told(hidden: str) -> None:
    parsed = load_html(page(f"<h1>Title</h1>{hidden}<p>seen</p>"))
    assert parsed.text == "# Title\n\nseen"
    assert parsed.warnings == ("text that is hidden in a browser was left out (6 characters)",)


def test_what_only_looks_hidden_is_kept() -> None:
    body = "<p style='font-size:0.9em;opacity:0.5'>small</p><div class=dark><p style='color:white'>on dark</p></div>"
    parsed = load_html(page(body))
    assert parsed.text == "small\n\non dark" and parsed.warnings == ()


def test_menus_and_pictures_are_left_out() -> None:
    body = """<nav><a href=/>Home</a></nav><main><h1>Story</h1><p>Told in enough words to be the text of the page itself.</p>
    <img src="data:image/png;base64,AAAA" alt="a picture"></main><footer>Imprint</footer>"""
    assert load_html(page(body)).text == "# Story\n\nTold in enough words to be the text of the page itself."


def test_a_page_that_is_all_menu_keeps_it() -> None:
    assert "Imprint" in load_html(page("<footer>Imprint: Example Ltd, 1 Road</footer>")).text


def test_the_declared_charset_is_used() -> None:
    for charset in ("windows-1251", "koi8-r", "shift_jis"):
        text = "Привет" if charset != "shift_jis" else "日本"
        data = f"<html><head><meta charset='{charset}'></head><body><p>{text}</p></body></html>".encode(charset)
        assert load_html(data).text == text


def test_a_line_that_starts_with_a_hash_is_no_heading() -> None:
    assert load_html(page("<p># not a heading</p>")).headings == ()


def test_frames_and_endless_nesting_say_why_they_are_not_read() -> None:
    with pytest.raises(DocumentError, match="in other files"):
        load_html(b"<html><frameset><frame src='a.html'></frameset></html>")
    for data in (b"<div>" * 200_000 + b"deep", b"<ul><li>" * 100_000 + b"deep", b"<table><tr><td>" * 50_000 + b"deep"):
        with pytest.raises(DocumentError, match="nested"):
            load_html(data)


def test_a_page_without_a_body_is_read() -> None:
    assert load_html(b"<h1>Only</h1>text").text == "# Only\n\ntext"
    assert load_html(b"no tags at all").text == "no tags at all"


def test_feeds_show_their_items() -> None:
    feed = """<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><entry><title>One</title><link href="http://x/1"/>
    <updated>2024-05-01</updated><content type="html">&lt;p&gt;Body &lt;b&gt;text&lt;/b&gt;&lt;/p&gt;</content></entry></feed>"""
    parsed = load_xml(feed.encode())
    assert parsed.text == "# News\n\n## One\n\nDate: 2024-05-01\nLink: http://x/1\n\nBody text"
    assert parsed.title == "News"


def test_other_xml_shows_names_and_texts() -> None:
    data = b"""<order id="7"><shipTo><name>Ann</name><address><city>Rome</city></address></shipTo>
    <line sku="1"><qty>2</qty></line><note>Call <b>first</b> please</note></order>"""
    text = load_xml(data).text
    assert text.startswith("order (id 7)\n\n## ship To\nname: Ann\n\naddress\ncity: Rome")
    assert "line (sku 1)\nqty: 2" in text and "note: Call first please" in text


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b>&x;</b></a>', "entities"),
        (
            '<!DOCTYPE a [<!ENTITY l0 "lol">'
            + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
            + "]><a>&l9;</a>",
            "well-formed",
        ),
        ("<a><b></a>", "well-formed"),
        ("<a>" * 5000 + "</a>" * 5000, "well-formed"),
    ],
)
def test_xml_fetches_and_expands_nothing(document: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        load_xml(document.encode())


def book(chapters: dict[str, str], **more: bytes) -> bytes:
    manifest = "".join(f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(chapters))
    spine = "".join(f'<itemref idref="i{n}"/>' for n in reversed(range(len(chapters))))
    package = f"""<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
    <dc:title>The Book</dc:title><dc:creator>Ann</dc:creator></metadata><manifest>{manifest}</manifest><spine>{spine}</spine></package>"""
    container = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("mimetype", "application/epub+zip")
        file.writestr("META-INF/container.xml", container)
        file.writestr("OPS/book.opf", package)
        for name, text in chapters.items():
            file.writestr(f"OPS/{name}", f"<html xmlns='http://www.w3.org/1999/xhtml'><body>{text}</body></html>")
        for name, data in more.items():
            file.writestr(f"META-INF/{name}.xml", data)
    return buffer.getvalue()


def test_chapters_come_in_the_order_of_reading() -> None:
    parsed = load_epub(book({"b.xhtml": "<h1>Two</h1><p>b</p>", "a.xhtml": "<h1>One</h1><p>a &amp; a</p>"}))
    assert parsed.text == "Author: Ann\n\n# One\n\na & a\n\n# Two\n\nb"
    assert [heading.text for heading in parsed.headings] == ["One", "Two"]
    assert parsed.title == "The Book" and parsed.pages == ()


def test_books_without_text_or_damaged_say_why(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no chapters"):
        load_epub(book({"a.xhtml": ""}))
    with pytest.raises(DocumentError, match="damaged"):
        load_epub(book({"a.xhtml": "<p>x</p>"})[:300])
