"""`@name` in a question limits it, and is taken out of what is searched; what means nothing or several things is refused with names."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.answer import Assistant
from assistant.errors import UserError
from assistant.filters import Filter
from assistant.scope import EVERYWHERE, Scope
from assistant.selections import Selection
from assistant.snapshots import REFUSAL
from tests.conftest import settings_in, write_documents

TEXTS = {
    "notes.md": "# Notes\n\nThe tide rises twice a day in the harbour.",
    "2023/report.md": "# Annual report\n\nProfit was 7 million in the year.",
    "2024/report.md": "# Annual report\n\nProfit was 9 million in the year.",
    "2024/two words.md": "# Two words\n\nThe lighthouse was painted red.",
    'odd/<b>bold</b> "q".md': "# Odd\n\nA parrot said hello to the baker.",
    "broken.pdf": "%PDF-1.7 and then nothing",
}


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Assistant]:
    settings = settings_in(tmp_path_factory.mktemp("scope"), models, {})
    write_documents(settings.corpus, TEXTS)
    with closing(Assistant(replace(settings, chat_model="extractive"))) as opened:
        opened.sync()
        opened.selections.save(Selection("Both reports", ("2023/report.md", "2024/report.md", "gone.md")))
        yield opened


@pytest.mark.parametrize(
    ("question", "asked", "scope"),
    [
        ("@notes.md when does the tide rise?", "when does the tide rise?", Scope(("notes.md",))),
        ("When does the tide rise? @NOTES.md", "When does the tide rise?", Scope(("notes.md",))),
        ("when does the tide rise, @notes.md?", "when does the tide rise?", Scope(("notes.md",))),
        ("What does @notes.md say about tides?", "What does it say about tides?", Scope(("notes.md",))),
        ("Summarise @2024/, please", "Summarise it, please", Scope((), ("2024",))),
        ("What was the profit? @2024", "What was the profit?", Scope((), ("2024",))),
        ('@"two words.md" what colour?', "what colour?", Scope(("2024/two words.md",))),
        ("@“two words.md” what colour?", "what colour?", Scope(("2024/two words.md",))),
        ('@"two words" what colour?', "what colour?", Scope(("2024/two words.md",))),
        ("@2023/report.md @2024/report.md profit?", "profit?", Scope(("2023/report.md", "2024/report.md"))),
        ("Compare @2023/report.md and @notes.md", "Compare them", Scope(("2023/report.md", "notes.md"))),
        ('@"both reports" what was the profit?', "what was the profit?", Scope((), (), ("Both reports",))),
        ('@"odd/<b>bold</b> \\"q\\".md" who said hello?', "who said hello?", Scope(('odd/<b>bold</b> "q".md',))),
        ("Write to anna@example.org about it?", "Write to anna@example.org about it?", EVERYWHERE),
        ('Who is "@notes.md" by?', 'Who is "@notes.md" by?', EVERYWHERE),
        ("5 @ 3?", "5 @ 3?", EVERYWHERE),
    ],
)
def test_names_are_taken_out_of_the_question(assistant: Assistant, question: str, asked: str, scope: Scope) -> None:
    assert assistant.scoped(question) == (asked, scope)


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("@note.md what?", "There is no document, folder or selection 'note.md': did you mean 'notes.md'?"),
        ("@report.md what?", "@report.md fits 2023/report.md, 2024/report.md: write more of its path."),
        ('@"annual report" what?', "@annual report fits 2023/report.md, 2024/report.md: write more of its path."),
        ("What did @elonmusk say?", 'To ask about the word itself, put it in quotation marks: "@elonmusk".'),
        ("@broken.pdf what?", "broken.pdf can't be searched, it was not indexed: it is damaged"),
        ("@notes.md", "The question is empty"),
        ("@<img/src=x> what?", "There is no document, folder or selection '<img/src=x>'"),
        (f"@{'x' * 3000} what?", "There is no document"),
    ],
)
def test_a_name_that_means_none_or_several_is_refused_in_one_line(assistant: Assistant, question: str, line: str) -> None:
    with pytest.raises(UserError) as raised:
        assistant.scoped(question)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_limited_question_is_answered_from_there_and_the_answer_says_so(assistant: Assistant) -> None:
    [*_, last] = assistant.ask("What was the profit? @2023/")
    assert "7 million" in last.text
    assert {hit.chunk.document_id for hit in last.passages} == {"2023/report.md"}
    assert (last.question, last.asked, last.scope.line) == ("What was the profit? @2023/", "What was the profit?", "2023/")


def test_a_name_in_the_question_goes_before_what_was_chosen(assistant: Assistant) -> None:
    [*_, last] = assistant.ask("@2024/report.md What was the profit?", scope=Scope((), ("2023",)))
    assert "9 million" in last.text
    assert last.scope == Scope(("2024/report.md",))


def test_a_refusal_says_that_it_looked_only_there(assistant: Assistant) -> None:
    [*_, last] = assistant.ask("When does the tide rise in the harbour?", scope=Scope((), ("2023",)))
    assert last.refused
    assert last.text.startswith(REFUSAL)
    assert last.text.endswith("Only 2023/ was searched.")
    [*_, everywhere] = assistant.ask("When does the tide rise in the harbour?")
    assert "twice a day" in everywhere.text
    assert not everywhere.scope


def test_a_selection_finds_what_is_left_of_it(assistant: Assistant) -> None:
    [*_, last] = assistant.ask("What was the profit?", scope=Scope(selections=("Both reports",)))
    assert {hit.chunk.document_id for hit in last.passages} == {"2023/report.md", "2024/report.md"}
    assert last.scope.line == "“Both reports”"


def test_a_selection_that_is_gone_or_has_nothing_left_is_refused(assistant: Assistant) -> None:
    with pytest.raises(UserError, match="no selection 'Reports': did you mean 'Both reports'"):
        assistant.scoped("What?", Scope(selections=("Reports",)))
    assistant.selections.save(Selection("Empty by now", ("gone.md",)))
    with pytest.raises(UserError, match="None of the documents of the selection 'Empty by now' is there any more"):
        assistant.scoped("What?", Scope(selections=("Empty by now",)))
    assistant.selections.delete("Empty by now")


@pytest.mark.parametrize("name", ["notes.md", " NOTES.md", "2024", "2024/"])
def test_a_selection_is_not_called_like_a_document_or_a_folder(assistant: Assistant, name: str) -> None:
    with pytest.raises(UserError, match="A document or folder is called"):
        assistant.places.check_free(name)
    assistant.places.check_free("notes")


def test_search_understands_the_names_and_joins_them_with_a_filter(assistant: Assistant) -> None:
    found = assistant.search("@2024/ profit", 10)
    assert {hit.chunk.document_id for hit in found} == {"2024/report.md", "2024/two words.md"}
    found = assistant.search("@2024/ profit", 10, Filter(documents=("2024/report.md", "notes.md")))
    assert {hit.chunk.document_id for hit in found} == {"2024/report.md"}
    with pytest.raises(UserError, match="both"):
        assistant.search("@2023/ profit", 10, Filter(documents=("notes.md",)))


def test_names_are_suggested_by_what_they_begin_with_then_by_words_in_them(assistant: Assistant) -> None:
    def suggested(typed: str) -> list[str]:
        return [place.name for place in assistant.places.suggest(typed, 5)]

    assert suggested("not") == ["notes.md"]
    assert suggested("report 2024") == ["2024/report.md"]
    assert suggested("annual") == ["2023/report.md", "2024/report.md"]
    assert suggested("both") == ["Both reports"]
    assert suggested("")[:2] == ["Both reports", "2023/"]
    assert suggested("zebra") == []


def test_new_documents_are_known_at_once(assistant: Assistant, tmp_path: Path) -> None:
    file = tmp_path / "fresh.md"
    file.write_text("# Fresh\n\nThe bread is baked at dawn.", encoding="utf-8")
    list(assistant.add([file]))
    assert assistant.scoped("@fresh.md when?") == ("when?", Scope(("fresh.md",)))
    assistant.remove("fresh.md")
    with pytest.raises(UserError, match=r"no document, folder or selection 'fresh\.md'"):
        assistant.scoped("@fresh.md when?")
