"""A conversation as a file: complete, with its sources, and harmless."""

import json
from dataclasses import replace

import pytest

from assistant.conversations import Talk
from assistant.snapshots import Feedback
from tests.test_ui_render import PAYLOADS, Page, answer, chunk
from ui.exports import as_html, as_json, as_markdown, as_text

TALK = Talk("abc", "Why do ships sink?", 2, 1e9, 1e9)


def test_markdown_has_the_quotes_as_footnotes() -> None:
    text = as_markdown(TALK, [answer("It is so [1]. Perhaps [1?]."), answer("", citations=(), note="Stopped.")])
    assert text.startswith("# Why do ships sink?\n\n2001-09-0")
    assert "It is so [^1-1]. Perhaps [^1-1] (in part)." in text
    [note] = [line for line in text.splitlines() if line.startswith("[^1-1]:")]
    assert "A title" in note and "p. 3" in note and "“First sentenc”" in note
    assert "*Stopped.*" in text


def test_nothing_of_an_answer_loads_in_markdown() -> None:
    text = as_markdown(TALK, [answer("See ![](http://a/?q=1), [x](//b), [r][1] and <img src=c> [1].\n\n[r]: http://d")])
    assert "!\\[](http" in text and "\\[x](//b)" in text and "\\<img" in text and "\\[r]: http" in text and "[^1-1]" in text


def test_an_answer_is_copied_with_its_sources() -> None:
    text = as_text(answer("It is so [1]."))
    assert text.startswith("It is so [1].\n\nSources\n[1] A title (") and "p. 3): “First sentenc”" in text
    assert as_text(answer("Nothing.", citations=())) == "Nothing.\n"


def test_html_is_one_page_with_the_quotes_below_each_answer() -> None:
    page = as_html(TALK, [answer("It is **so** [1].")])
    assert "<strong>so</strong>" in page and 'href="#n1-1"' in page and 'id="n1-1"' in page
    assert "<blockquote>First sentenc</blockquote>" in page and "default-src 'none'" in page


def test_json_has_all_that_is_known() -> None:
    data = json.loads(as_json(TALK, [answer()]))
    assert data["title"] == TALK.title and data["turns"][0]["citations"][0]["chunk"]["document_id"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_stays_text(payload: str) -> None:
    found = chunk(f"{payload} More of it.")
    shown = answer(payload, found=found, note=payload)
    page = as_html(replace(TALK, title=payload), [replace(shown, question=payload)])
    body = page[page.index("<body>") + len("<body>") : page.index("</body>")]
    assert all(href.startswith("#n1-") for href in Page(body).links)  # which reads nothing but what we make
    assert page[: page.index("<body>")].count("<title>") == 1 and "<script" not in page.lower()


def test_json_tells_what_the_reader_thought() -> None:
    data = json.loads(as_json(TALK, [replace(answer(), feedback=Feedback("down", "Wrong year"))]))
    assert data["turns"][0]["feedback"] == {"thumb": "down", "comment": "Wrong year", "question": ""}
