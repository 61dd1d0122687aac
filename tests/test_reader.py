"""The reader: a passage of an answer in its document, and the addresses of the pages of PDFs."""

import io
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assistant.answer import Assistant
from assistant.chunking import Chunk
from assistant.grounding import Citation
from assistant.retrieval import Hit
from assistant.snapshots import Answer
from tests.conftest import settings_in, write_documents
from ui.listing import key_of
from ui.reader import _cited, fates, routes, source_html
from ui.render import answer_html
from ui.render_reader import Place
from ui.render_sources import panel_html

SENTENCE = "The lighthouse keeper counts every ship that passes by."
HERE = Place(0, "c1.0", 3)


def pdf(pages: int) -> bytes:
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(595, 842))
    for number in range(1, pages + 1):
        canvas.drawString(72, 700, f"This is what stands on page number {number} of the book about lights.")
        canvas.drawString(72, 680, SENTENCE if number == 2 else "Nothing else of interest stands here.")
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Assistant]:
    settings = settings_in(tmp_path_factory.mktemp("reader"), models, {"ASSISTANT_CHAT_MODEL": "extractive"})
    (settings.corpus / "book.pdf").write_bytes(pdf(3))
    sections = "\n\n".join(f"## Part {number}\n\n{f'Words of part {number} go on and on here. ' * 25}" for number in range(6))
    text = f"# Notes\n\n{sections}\n\n## Table\n\n| Year | Ships |\n| --- | --- |\n| 2023 | 12 |\n| 2024 | 15 |\n"
    write_documents(settings.corpus, {"notes.md": text, "lights.py": "def count(ships):\n    return len(ships)\n"})
    with closing(Assistant(settings)) as made:
        assert made.sync().failed == []
        yield made


def cited(assistant: Assistant, id: str, quote: str) -> tuple[Chunk, int, int]:
    chunk = next(one for one in assistant.chunks(id, 0, 99) if quote in one.text)
    start = chunk.start + chunk.text.index(quote)
    return chunk, start, start + len(quote)


def test_the_sentence_is_marked_in_its_document_with_the_text_around(assistant: Assistant) -> None:
    chunk, start, end = cited(assistant, "notes.md", "Words of part 3 go on and on here.")
    html = source_html(assistant, HERE, chunk, start, end, "text", -1)
    assert re.findall("<mark>(.*?)</mark>", html) == ["Words of part 3 go on and on here."]
    assert html.index("passage around") < html.index("passage chosen") < html.rindex("passage around")
    number, count = assistant.corpus.catalog.chunk_place("notes.md", start)
    assert f"Passage {number + 1} of {count}" in html and 'data-seq="3"' in html
    assert '<div class="heading">Part 3</div>' in html
    following = source_html(assistant, HERE, chunk, start, end, "text", number + 1)
    assert f"Passage {number + 2} of {count}" in following and "Words of part 3" in following
    last = source_html(assistant, HERE, chunk, start, end, "text", 10**6)
    assert f"Passage {count} of {count}" in last and 'aria-label="Next' not in last and 'aria-label="Previous' in last
    assert 'aria-label="Previous' not in source_html(assistant, HERE, chunk, start, end, "text", 0)


def test_a_table_is_laid_out_with_its_row_marked_and_code_keeps_its_lines(assistant: Assistant) -> None:
    html = source_html(assistant, HERE, *cited(assistant, "notes.md", "| 2023 | 12 |"), "text", -1)
    assert "<td><mark> 2023 </mark></td><td><mark> 12 </mark></td>" in html and "<td>Year</td>" in html and "---" not in html
    code = source_html(assistant, HERE, *cited(assistant, "lights.py", "return len(ships)"), "text", -1)
    assert 'class="passage chosen code">def count(ships):\n    <mark>return' in code


def test_a_pdf_is_shown_as_a_page_with_the_sentence_marked(assistant: Assistant) -> None:
    source = cited(assistant, "book.pdf", SENTENCE)
    text = source_html(assistant, HERE, *source, "text", -1)
    assert 'data-read="page"' in text and "Page 2</div>" in text
    html = source_html(assistant, HERE, *source, "page", -1)
    assert html.count('class="spot"') == 1 and "Page 2 of 3" in html
    assert 'alt="Page 2 of book; the sentence is marked on it"' in html
    assert f'src="/page/{key_of("book.pdf")}/2.png?v=' in html
    other = source_html(assistant, HERE, *source, "page", 3)
    assert 'class="spot"' not in other and "Page 3 of 3" in other and "not found" not in other
    assert 'data-read="page"' not in source_html(assistant, HERE, *cited(assistant, "notes.md", "Words of part 1"), "text", -1)


def test_what_is_not_found_on_its_page_is_said_and_the_page_shown(assistant: Assistant) -> None:
    _, start, _ = cited(assistant, "book.pdf", SENTENCE)
    document = assistant.corpus.catalog.document("book.pdf")
    assert document
    with assistant.corpus.catalog.transaction() as db:  # as if its text were made in another way
        db.execute(
            "UPDATE documents SET text = replace(text, 'lighthouse keeper counts every', 'watcher of the seas looks at') WHERE id = 'book.pdf'"
        )
    try:
        [now] = [one for one in assistant.chunks("book.pdf", 0, 9) if "watcher of the seas" in one.text]
        html = source_html(assistant, HERE, now, start, start + 30, "page", -1)
        assert "was not found on the page" in html and "<img" in html and 'class="spot"' not in html
    finally:
        with assistant.corpus.catalog.transaction() as db:
            db.execute("UPDATE documents SET text = ? WHERE id = 'book.pdf'", [document.text])


def test_a_source_that_changed_or_went_is_shown_as_it_was(assistant: Assistant) -> None:
    chunk, start, end = cited(assistant, "book.pdf", SENTENCE)
    changed = replace(chunk, text=chunk.text.replace("ship", "bird"))
    html = source_html(assistant, HERE, changed, start, end, "text", -1)
    assert "has changed since" in html and "passage chosen" in html and "<mark>The lighthouse keeper counts every bird" in html
    assert "Read the document as it is now" in html and 'data-read="page"' not in html
    now = source_html(assistant, HERE, changed, start, end, "text", 0)
    assert "counts every ship" in now and "<mark>" not in now
    gone = replace(chunk, id="none", document_id="gone.pdf", title="Gone <b>")
    html = source_html(assistant, HERE, gone, start, end, "page", -1)
    assert "no longer in the corpus" in html and f"<mark>{SENTENCE}</mark>" in html and "Gone &lt;b&gt;" in html
    assert "Open in Documents" not in html and "<img" not in html


def hit(chunk: Chunk) -> Hit:
    zeros = (0.0,) * len(chunk.sentences)
    return Hit(chunk, 1.0, 0.5, 2.0, 0.6, zeros, zeros, (chunk,), (chunk.start, chunk.end))


def test_the_panel_parts_what_was_cited_read_and_only_found_and_marks_what_changed(assistant: Assistant) -> None:
    chunks = assistant.chunks("notes.md", 0, 3)
    gone = replace(chunks[0], document_id="gone.md", id="none")
    citation = Citation(1, gone, gone.start, gone.start + 5)
    passages = (hit(gone), hit(chunks[1]), hit(chunks[2]))
    answer = Answer(
        "Why?", "So [1].", passages=passages, citations=(citation,), state="done", read=2, read_chunks=("none", chunks[1].id)
    )
    html = panel_html(answer, 0, fates(assistant.corpus.catalog, answer))
    places = [html.index(text) for text in ('id="source-0-1"', "no longer in the corpus", "Read, not cited", "Found, not read")]
    assert places == sorted(places) and html.count('class="fate"') == 1
    assert [html.index(f'data-ref="{ref}"') for ref in (f"c1.{gone.start}", "p1", "p2")] == sorted(
        html.index(f'data-ref="{ref}"') for ref in (f"c1.{gone.start}", "p1", "p2")
    )
    old = panel_html(replace(answer, read_chunks=()), 0)
    assert "Also found, not cited" in old and "not read" not in old


def test_cards_and_marks_name_what_they_open(assistant: Assistant) -> None:
    chunk = assistant.chunks("notes.md", 1, 1)[0]
    first, second = (Citation(1, chunk, chunk.start + a, chunk.start + b) for a, b in chunk.sentences[:2])
    text = f"- {second.quote} [1]\n- {first.quote[:-1]}! [1]"
    answer = Answer("Why?", text, passages=(hit(chunk),), citations=(first, second), state="done", quoted=True)
    marks = re.findall(r'class="cite at-1-(\d+)"', answer_html(answer, 0))
    if first.quote != second.quote:
        assert marks == [str(second.start), str(first.start)]
    assert _cited(answer, f"c1.{second.start}") == (chunk, second.start, second.end)
    assert _cited(answer, "c1.999999999") == (chunk, first.start, first.end)
    assert _cited(answer, "p0") == (chunk, chunk.start, chunk.end)
    for ref in ("p1", "c2.0", "", "c1", "../x", "c1.1; drop", "p٣"):
        assert _cited(answer, ref) is None
    assert "word for word from the sources" in answer_html(answer, 0)


def test_only_pages_of_pdfs_in_the_catalogue_are_served(assistant: Assistant) -> None:
    client = TestClient(Starlette(routes=routes(assistant)))
    key = key_of("book.pdf")
    served = client.get(f"/page/{key}/2.png?v=abc")
    assert served.status_code == 200 and served.content.startswith(b"\x89PNG")
    assert served.headers["content-type"] == "image/png" and served.headers["cache-control"].startswith("private")
    others = [f"/page/{key}/0.png", f"/page/{key}/4.png", f"/page/{key}/99999999999.png", f"/page/{key_of('notes.md')}/1.png"]
    others += [f"/page/{key_of('none.pdf')}/1.png", "/page/../../etc/passwd/1.png", f"/page/{key}/1.txt", "/page/book.pdf/1.png"]
    others += [f"/page/{key}/-1.png", f"/page/{key}%2f..%2f{key}/1.png", "/page//1.png"]
    assert {client.get(path).status_code for path in others} == {404}
    assert client.post(f"/page/{key}/1.png").status_code == 405
    (assistant.settings.corpus / "book.pdf").rename(assistant.settings.corpus / "book.moved")
    try:
        refused = client.get(f"/page/{key}/1.png")
    finally:
        (assistant.settings.corpus / "book.moved").rename(assistant.settings.corpus / "book.pdf")
    assert refused.status_code == 404 and "can't be opened" in refused.text
    assert str(assistant.settings.corpus) not in refused.text
