import json
from pathlib import Path

import pytest

from assistant.documents import Parsed, load_file
from assistant.errors import DocumentError
from assistant.loaders import LOADERS, parse
from tests.conftest import ROOT

DOCS = ROOT.parent / "shared" / "data" / "loader_docs"
needs_docs = pytest.mark.skipif(not DOCS.is_dir(), reason="the sample documents are not here")
LIMIT = 50_000_000
FAKE = ("This is a test document to use for unit tests.\n\n", "Important points:")
COOKING = "Todos los seres humanos nacen libres e iguales en dignidad y derechos"

# Each file, and words that must stand in its text.
WORDS = {
    "unstructured/README.md": ("## Example Docs", "A 10-K SEC filing"),
    "unstructured/book-war-and-peace-1p.txt": ("CHAPTER I",),
    "unstructured/codeblock.md": ("HTML Example",),
    "unstructured/fake-email.txt": ("Roses are red",),
    "unstructured/eml/fake-email.txt": ("Roses are red",),
    "unstructured/fake-incomplete-json.txt": ("{",),
    "unstructured/fake-text.txt": FAKE,
    "unstructured/fake-text-utf-16.txt": FAKE,
    "unstructured/fake-text-utf-16-be.txt": FAKE,
    "unstructured/fake-text-utf-16-le.txt": FAKE,
    "unstructured/fake-text-utf-32.txt": FAKE,
    "unstructured/hebrew-text-base64-iso88598i.txt": ("8uPr5e8gVGVzbGEg",),
    "unstructured/norwich-city.txt": ("Norwich City",),
    "unstructured/simple-table.md": ("|",),
    "unstructured/umlauts-non-utf8.md": ("## können\n\nkönnen\n\näöüß",),
    "unstructured/umlauts-utf8.md": ("## können\n\nkönnen\n\näöüß",),
    "unstructured/language-docs/UDHR_first_article_all.txt": (COOKING, "すべての人間は", "Все люди рождаются"),
    "unstructured/language-docs/eng_afr_spa.txt": (COOKING, "Alle menslike wesens"),
    "unstructured/language-docs/eng_spa.txt": (COOKING,),
    "unstructured/language-docs/eng_spa_mult.txt": (COOKING,),
    "unstructured/language-docs/eng_spa_mult.md": (COOKING,),
    "unstructured/test_evaluate_files/filter_list.txt": ("pdf",),
}
REFUSED = {"unstructured/empty.txt": "it is empty", "unstructured/fake-text-all-whitespace.txt": "it is empty"}


def names(parsed: Parsed) -> list[tuple[int, str]]:
    """Return the headings, whose places must be starts of lines."""
    for heading in parsed.headings:
        assert heading.start == 0 or parsed.text[heading.start - 1] == "\n"
    return [(heading.level, heading.text) for heading in parsed.headings]


@needs_docs
@pytest.mark.parametrize("name", WORDS)
def test_sample_texts_are_read(name: str) -> None:
    text = load_file(DOCS / name, Path(name).name, LIMIT).documents[0].text
    for words in WORDS[name]:
        assert words in text
    assert "\ufffd" not in text


@needs_docs
@pytest.mark.parametrize("name", REFUSED)
def test_sample_texts_without_text_say_why(name: str) -> None:
    with pytest.raises(DocumentError, match=REFUSED[name]):
        load_file(DOCS / name, Path(name).name, LIMIT)


@needs_docs
def test_the_japanese_table_of_70_bytes_is_read() -> None:
    text = load_file(DOCS / "markitdown/test_mskanji.csv", "a.csv", LIMIT).documents[0].text
    for words in ("名前", "年齢", "佐藤太郎", "30", "東京", "三木英子", "髙橋淳", "名古屋"):
        assert words in text


def test_form_feeds_are_page_breaks() -> None:
    parsed = parse(b"one\n\ftwo\n\fthree\n\f", ".txt")
    assert [parsed.text[start:].split()[0] for start in parsed.pages] == ["one", "two", "three"]
    assert parse(b"one page\n\f", ".txt").pages == ()


def test_front_matter_is_no_text() -> None:
    for end in ("---", "..."):
        parsed = parse(f"---\ntitle: 'A: b'\ntags: [x]\n{end}\n# One\n".encode(), ".md")
        assert parsed.title == "A: b" and parsed.text.strip() == "# One"
    assert parse(b"---\ntitle: open\n\ntext", ".md").text.startswith("---")


def test_names_with_underlines_stay_whole_in_headings() -> None:
    assert names(parse(b"# The _top_ `snake_case` **name**\n", ".md")) == [(1, "The top snake_case name")]


def test_headings_of_long_markdown_are_found_outside_of_code() -> None:
    block = "# One\n\ntext\n\n```\n# none\n```\n\n## Two\n\n"
    assert names(parse((block * 60_000).encode(), ".md"))[:4] == [(1, "One"), (2, "Two")] * 2


def test_restructured_text_keeps_its_text_and_finds_its_titles() -> None:
    source = "=====\nGuide\n=====\n\nIntro.\n\nUse ``run``\n===========\n\n.. include:: /etc/passwd\n.. raw:: html\n\n   <b>x</b>\n\nMore *on* it\n------------\n\nEnd.\n"
    parsed = parse(source.encode(), ".rst")
    assert parsed.text == source and parsed.title == "Guide"
    assert names(parsed) == [(1, "Guide"), (2, "Use run"), (3, "More on it")]


CODE = {
    ".py": (
        "class A(B):\n    def run(self):\n        def inner(): ...\n\nasync def top(): ...\n",
        [(1, "A"), (2, "run"), (1, "top")],
    ),
    ".ts": (
        "export default class Foo {\n}\nexport async function go() {\n}\nconst add = (a) => a;\nif (x) {\n}\n",
        [(1, "Foo"), (1, "go"), (1, "add")],
    ),
    ".java": (
        "public class Order {\n    private int a = 3;\n    public List<String> names(int a) throws E {\n        return f(a);\n    }\n}\n",
        [(1, "Order"), (2, "names")],
    ),
    ".c": (
        '/* they\n   are (so\n*/\nint main(int c, char **v)\n{\n    puts("x");\n}\nstruct point {\n};\nchar *name(void) {\n}\n',
        [(1, "main"), (1, "point"), (1, "name")],
    ),
    ".go": ("func (s *Server) Run(x int) error {\n}\ntype T struct {\n}\n", [(1, "Run"), (1, "T")]),
    ".rs": ("pub struct A;\nimpl<T> Show for A {\n    pub fn fmt(&self) {}\n}\n", [(1, "A"), (1, "Show for A"), (2, "fmt")]),
    ".rb": ("class A\n  def go?\n  end\nend\n", [(1, "A"), (2, "go?")]),
    ".sh": ("deploy() {\n}\nfunction other {\n}\n", [(1, "deploy"), (1, "other")]),
    ".sql": ("CREATE TABLE IF NOT EXISTS a.b (\n  id int\n);\n", [(1, "a.b")]),
    ".php": ("<?php\nclass A {\n    public function go($x) {\n    }\n}\n", [(1, "A"), (2, "go")]),
    ".yaml": ("a: 1\nlist:\n  - x: 2\n# c: d\n", [(1, "a"), (1, "list")]),
    ".toml": ("[tool.x]\na = 1\n", [(1, "tool.x")]),
    ".tex": ("\\title{Paper}\n\\section{Intro}\n\\subsection{More}\n", [(2, "Intro"), (3, "More")]),
    ".org": ("* Top :tag:\n** Sub\n", [(1, "Top"), (2, "Sub")]),
    ".css": ("a { color: red }\n", []),
}


@pytest.mark.parametrize("suffix", CODE)
def test_source_code_keeps_its_text_and_tells_where_one_stands(suffix: str) -> None:
    source, expected = CODE[suffix]
    parsed = parse(source.encode(), suffix)
    assert parsed.text == source
    assert names(parsed) == expected


def test_long_and_strange_lines_of_code_take_no_time() -> None:
    for line in ("foo<bar> " * 110 + "((((", "x" + "*&" * 400, "a " * 490, "const " * 160 + "a = (((("):
        assert parse((line + "\n").encode() * 2000, ".java").headings == ()


def test_records_become_a_table_with_its_header_repeated() -> None:
    rows = [{"name": f"item {number}", "price": number} for number in range(100)] + [{"name": "last|one", "more": "x"}]
    text = parse(json.dumps(rows).encode(), ".json").text
    assert text.startswith("| name | price | more |\n") and text.count("| name | price | more |") > 3
    assert "| item 57 | 57 |  |" in text and "last\\|one" in text


def test_nested_json_becomes_lines_that_tell_their_path() -> None:
    value = {
        "title": "Shop",
        "open": True,
        "address": {"city": "Rome", "geo": [1.5, 2]},
        "items": [{"n": "x", "sub": [{"k": 1}]}, {"n": "y"}],
    }
    parsed = parse(json.dumps(value).encode(), ".json")
    assert parsed.title == "Shop"
    assert names(parsed) == [(1, "address"), (1, "items")]
    assert "title: Shop\nopen: true" in parsed.text
    assert "address › city: Rome\naddress › geo: 1.5, 2" in parsed.text
    assert "n: x\nsub 1 › k: 1\n\nn: y" in parsed.text


def test_broken_json_says_where() -> None:
    with pytest.raises(DocumentError, match=r"no valid JSON \(.*line 2\)"):
        parse(b'{"a":\n', ".json")
    for data in (b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"[" * 500 + b"{}" + b"]" * 500):
        with pytest.raises(DocumentError, match=r"JSON|nested|no text"):
            parse(data, ".json")


def test_json_lines_leave_out_broken_ones_and_say_so() -> None:
    parsed = parse(b'{"a": 1, "b": "x"}\nbroken\n{"a": 2, "b": "y"}\n', ".jsonl")
    assert "| 2 | y |" in parsed.text
    assert parsed.warnings == ("lines that are no valid JSON were left out: 1, the first is line 2",)
    with pytest.raises(DocumentError, match="no line"):
        parse(b"nothing\n", ".jsonl")


def test_notebooks_show_text_code_and_what_was_printed() -> None:
    table = "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
    outputs = [
        {"output_type": "stream", "text": ["1\n"]},
        {"output_type": "display_data", "data": {"image/png": "AAAA", "text/plain": "<Figure size 640x480>"}},
        {"output_type": "execute_result", "data": {"text/html": table, "text/plain": "  a b"}},
        {"output_type": "stream", "text": "line\n" * 5000},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "![plot](data:image/png;base64,AAAA)"]},
        {"cell_type": "code", "source": "print(1)", "outputs": outputs},
    ]
    parsed = parse(json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}).encode(), ".ipynb")
    assert parsed.text.startswith("# Title\nplot\n\n```python\nprint(1)\n```\n\n```\n1\n```\n\n| a | b |\n| - | - |\n| 1 | 2 |")
    assert parsed.title == "Title" and len(parsed.text) < 3000
    assert "AAAA" not in parsed.text and "Figure" not in parsed.text
    assert parsed.warnings == ("long outputs were cut in cells: 1",)


def test_notebooks_of_format_3_are_read_and_others_refused() -> None:
    cells = [{"cell_type": "heading", "level": 2, "source": "Old"}, {"cell_type": "code", "input": ["a = 1"], "outputs": []}]
    parsed = parse(json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}).encode(), ".ipynb")
    assert parsed.text == "## Old\n\n```python\na = 1\n```"
    for data in (b"{}", b"[1]", b"text", b'{"cells": [1]}'):
        with pytest.raises(DocumentError, match="no Jupyter notebook"):
            parse(data, ".ipynb")


def test_subtitles_are_what_is_said() -> None:
    srt = "1\n00:00:01,000 --> 00:00:02,000\n<i>Hello there,</i>\nyou.\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n"
    assert parse(srt.encode(), ".srt").text == "Hello there, you.\nBye"
    assert parse(b"WEBVTT\n\n00:01.000 --> 00:02.000\n<v Anna>Hi\n", ".vtt").text == "Anna: Hi"
    with pytest.raises(DocumentError, match="no times"):
        parse(b"text", ".srt")


def test_every_ending_of_a_text_format_refuses_binary_data() -> None:
    for suffix in LOADERS:
        with pytest.raises(DocumentError) as caught:
            parse(bytes(range(256)) * 8, suffix)
        assert "\n" not in str(caught.value)
