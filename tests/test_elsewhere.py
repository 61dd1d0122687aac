"""The reader is told of another value in another document, and of nothing that only looks like one."""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import pytest

from assistant.answer import Assistant
from assistant.cli import main
from assistant.elsewhere import Elsewhere, other_values
from assistant.embedding import Vectors
from assistant.filters import Filter
from assistant.grounding import Grounded, Grounding, ground
from assistant.snapshots import Answer
from assistant.turns import Turn
from eval.poison import load_poison
from tests.conftest import MakeSettings, connect, write_documents
from tests.scripted_server import ScriptedServer, answer
from ui.render import answer_html
from ui.render_sources import sources_html

# Question, answer, the document that says so, another, and what the reader is told of; "" is nothing.
CASES: dict[str, tuple[str, str, str, str, str]] = {
    "price": (
        "What does a day ticket for the Wellbach pool cost?", "€6.00",
        "# Wellbach pool\n\nDay ticket: €6.00.", "# Wellbach pool, prices\n\nOpen in summer. Day ticket: €4.50.", "€4.50",
    ),
    "date": (
        "What is the deadline for applications to the Hallen fund?", "15 March",
        "The deadline for applications to the Hallen fund is 15 March.",
        "# Hallen fund\n\nThe deadline for applications is 31 March, so that we have time to talk.", "31 March",
    ),
    "time": (
        "When does the Dornach town library open on weekdays?", "The Dornach town library opens at 11:00 on weekdays.",
        "The Dornach town library opens at 11:00 on weekdays.", "On weekdays the Dornach town library opens at 9:30.", "9:30",
    ),
    "who": (
        "Who is the contact for repairs at Kestrel House?", "Ines Holt",
        "Ines Holt is the contact for repairs at Kestrel House.",
        "On Monday the contact for repairs at Kestrel House is Marek Dorn.", "Marek Dorn",
    ),
    "who in a sentence": (
        "Who chairs the Fenwick society?", "Ruth Okafor chairs the Fenwick society.",
        "Ruth Okafor chairs the Fenwick society.", "# News\n\nJonas Lind chairs the Fenwick society.", "Jonas Lind",
    ),
    "speed": (
        "What is the speed limit on the Rovin campus?", "20 km/h",
        "The speed limit on the Rovin campus is 20 km/h.", "Mind the speed limit of about 30 km/h on the Rovin campus.", "about 30 km/h",
    ),
    "what is counted": (
        "How many inhabitants does Lower Tarrin have?", "3,910 inhabitants",
        "Lower Tarrin has 3,910 inhabitants.", "Lower Tarrin has 3,420 inhabitants and a church.", "3,420 inhabitants",
    ),
    "other year": (
        "How many people worked at Norrel at the end of 2022?", "210",
        "At the end of 2022, 210 people worked at Norrel.", "At the end of 2021, 190 people worked at Norrel.", "",
    ),
    "sibling product": (
        "How much memory does the Vireo server need?", "16 GB",
        "The Vireo server needs 16 GB of memory.", "The Vireo client needs 4 GB of memory.", "",
    ),
    "other group": (
        "How many days of vacation do full-time employees have?", "28 days",
        "Full-time employees have 28 days of vacation.", "Part-time employees have 14 days of vacation.", "",
    ),
    "other place": (
        "How many inhabitants does Lower Tarrin have?", "Lower Tarrin has 3,420 inhabitants.",
        "Lower Tarrin has 3,420 inhabitants.", "Upper Tarrin has 1,700 inhabitants.", "",
    ),
    "same value": (
        "How much did the training of the Orin model cost?", "$6m",
        "The training of the Orin model cost $6m.", "The training of the Orin model cost 6 million dollars, and the paper 2 million dollars.", "",
    ),
    "less exact": (
        "When was the Arve rowing club founded?", "12 May 1958",
        "The Arve rowing club was founded on 12 May 1958.", "The Arve rowing club was founded in 1958.", "",
    ),
    "other unit": (
        "How long is the Hollen bridge trail?", "40 minutes",
        "The Hollen bridge trail takes 40 minutes.", "The Hollen bridge trail is 412 metres long.", "",
    ),
    "other office": (
        "Who is the chair of the Fenwick society?", "Ruth Okafor",
        "Ruth Okafor is the chair of the Fenwick society.", "Jonas Lind is the treasurer of the Fenwick society.", "",
    ),
    "short name": (
        "Who is the contact for repairs at Kestrel House?", "Ines Holt",
        "Ines Holt is the contact for repairs at Kestrel House.", "The contact for repairs at Kestrel House is Ms Holt, on Monday.", "",
    ),
    "many values": (
        "How many students does Corvid college have?", "5,000",
        "Corvid college has 5,000 students.",
        "The students of Corvid college: 3,468 in law, 5,984 in medicine and 1,244 in music, which makes Corvid college large.", "",
    ),
    "unclear question": ("What does it cost?", "$12", "# Ticket\n\nIt costs $12.", "# Coat\n\nIt costs $200.", ""),
    "both named": (
        "When does the Dornach library open?", "One notice says the Dornach library opens at 9:30. The Dornach library opens at 11:00.",
        "One notice says the Dornach library opens at 9:30.", "The Dornach library opens at 11:00.", "",
    ),
    "refused": (
        "What is the height of the mill in Osk?", "The documents do not say.",
        "The mill in Osk is 12 metres high.", "The mill in Osk is 14 metres high.", "",
    ),
}  # fmt: skip
DOCUMENTS = {f"{name}/{at}.md": texts[at] for name, (_, _, *texts, _) in CASES.items() for at in (0, 1)}
DOCUMENTS["one document/0.md"] = (
    "# Hours\n\nThe Morvin mill opens at 10:00.\n\n" + "It grinds flour. " * 80 + "\n\nThe Morvin mill opens at 8:00."
)
# Names and titles are text of the documents like any other.
DOCUMENTS["script/0.md"] = "The ferry to Osk is run by Ines Holt. The ferry to Osk has two decks."
DOCUMENTS["script/1.md"] = (
    "# <script>alert(1)</script>\n\nThe ferry to Osk is run by Marek Dorn, <img src=x onerror=alert(1)>. The ferry to Osk carries 40 cars."
)
DOCUMENTS["talk/0.md"] = "# Wellbach pool\n\nDay ticket for children: €3.00."
DOCUMENTS["talk/1.md"] = "# Osk museum\n\nDay ticket for children: €2.00."


def told(opened: Assistant, name: str, question: str, text: str, before: str = "") -> tuple[Grounded, tuple[Elsewhere, ...]]:
    corpus = opened.corpus
    hits = corpus.passages(question, 8, filter=Filter(folders=(name,)))
    grounding = Grounding(hits, corpus.passage_vectors(hits), corpus.embedder)
    grounded = ground(text, grounding, True, question)
    return grounded, other_values(question, grounded, grounding, before)


@pytest.mark.parametrize("name", CASES)
def test_another_value_is_told_and_nothing_that_only_looks_like_one(opened: Assistant, name: str) -> None:
    question, text, _, there, expected = CASES[name]
    grounded, others = told(opened, name, question, text)
    if name != "refused":
        assert {statement.mark for statement in grounded.statements} == {"supported"}
    assert [other.value for other in others] == ([expected] if expected else [])
    for other in others:
        assert other.citation.number == 2 and other.citation.chunk.document_id == f"{name}/1.md"
        assert other.value in other.citation.quote and other.citation.quote in there
        assert other.line == f"Another passage says {expected}"


def test_nothing_is_told_of_the_same_document(opened: Assistant) -> None:
    question = "When does the Morvin mill open?"
    grounded, others = told(opened, "one document", question, "The Morvin mill opens at 10:00.")
    assert grounded.statements[0].mark == "supported" and others == ()


def test_earlier_questions_tell_what_a_question_is_about(opened: Assistant) -> None:
    question = "And the day ticket for children?"
    assert [other.value for other in told(opened, "talk", question, "€3.00")[1]] == ["€2.00"]
    assert told(opened, "talk", question, "€3.00", before="What does the Wellbach pool cost for adults?")[1] == ()


def test_a_passage_that_is_cited_already_keeps_its_number(opened: Assistant) -> None:
    question, text = "Who runs the ferry to Osk?", "The ferry to Osk carries 40 cars. The ferry to Osk is run by Ines Holt."
    grounded, [other] = told(opened, "script", question, text)
    assert [citation.chunk.document_id for citation in grounded.citations] == ["script/1.md", "script/0.md"]
    assert other.citation.number == 1 and other.citation.chunk == grounded.citations[0].chunk
    assert other.line == "Instead of Ines Holt, another passage says Marek Dorn"


def test_nothing_is_embedded_without_a_candidate(opened: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    corpus = opened.corpus
    embed = corpus.embedder.embed

    def noted(texts: Sequence[str]) -> Vectors:
        asked.extend(texts)
        return embed(texts)

    for name, most in (("other year", 0), ("other place", 0), ("same value", 0), ("unclear question", 0), ("speed", 1)):
        question, text, *_ = CASES[name]
        hits = corpus.passages(question, 8, filter=Filter(folders=(name,)))
        grounding = Grounding(hits, corpus.passage_vectors(hits), corpus.embedder)
        grounded = ground(text, grounding, True, question)
        with monkeypatch.context() as patch:
            patch.setattr(corpus.embedder, "embed", noted)
            asked.clear()
            other_values(question, grounded, grounding)
        assert len(asked) == most, name


# In an answer


def ask(assistant: Assistant, name: str, question: str, turns: Sequence[Turn] = ()) -> Answer:
    *_, last = assistant.ask(question, turns, filter=Filter(folders=(name,)))
    return last


def test_the_reader_is_told_in_the_browser_and_whatever_the_document_says_is_escaped(
    assistant: Assistant, scripted: ScriptedServer
) -> None:
    scripted.play(answer("Ines Holt"))
    last = ask(assistant, "script", "Who runs the ferry to Osk?")
    assert last.text == "Ines Holt [1]" and [citation.number for citation in last.cited] == [1, 2]
    page = answer_html(last, 0)
    assert "Another passage says Marek Dorn" in page and 'href="#source-0-2"' in page and "<script" not in page
    cards = sources_html(last, 0)
    assert 'id="source-0-2"' in cards and "<mark>The ferry to Osk is run by Marek Dorn" in cards
    assert "<script" not in cards and "<img" not in cards and "&lt;script&gt;" in cards
    evil = replace(last, elsewhere=(replace(last.elsewhere[0], value="<script>alert(1)</script> [1]"),))
    page = answer_html(evil, 0)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; [1]" in page and "<script" not in page


def test_an_answer_told_again_tells_it_again_as_long_as_the_passage_is_there(
    assistant: Assistant, scripted: ScriptedServer
) -> None:
    question = CASES["time"][0]
    scripted.play(answer("11:00"))
    first = ask(assistant, "time", question)
    assert [other.value for other in first.elsewhere] == ["9:30"]
    turn = Turn(question, first.text, first.citations, first.refused, first.elsewhere)
    assert ask(assistant, "time", "Repeat that", [turn]).elsewhere == first.elsewhere
    [other] = first.elsewhere
    gone = replace(other, citation=replace(other.citation, chunk=replace(other.citation.chunk, id="gone")))
    again = ask(assistant, "time", "Repeat that", [replace(turn, elsewhere=(gone,))])
    assert again.text == first.text and again.citations == first.citations and again.elsewhere == ()


@pytest.mark.parametrize("text", ["The documents do not say.", "Bananas grow in Ecuador."])
def test_a_refused_or_unfounded_answer_tells_nothing_else(assistant: Assistant, scripted: ScriptedServer, text: str) -> None:
    scripted.play(answer(text))
    assert ask(assistant, "time", CASES["time"][0]).elsewhere == ()


def test_the_command_line_tells_it(settings: MakeSettings, scripted: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    options = settings()
    question, text, *documents, value = CASES["price"]
    write_documents(options.corpus, {f"{at}.md": document for at, document in enumerate(documents)})
    folders = ["--corpus", str(options.corpus), "--data", str(options.data)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", scripted.url)
        scripted.play(answer(text), answer(text))
        assert main([*folders, "ask", question]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[:2] == [f"{text} [1]", f"Another passage says {value} [2]."] and lines[3].startswith("  [2] 1.md: ")
        assert main([*folders, "ask", "--json", question]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answer"] == f"{text} [1]" and [cited["number"] for cited in found["citations"]] == [1]
    [other] = found["elsewhere"]
    assert other["value"] == value and other["citation"]["number"] == 2 and value in other["citation"]["quote"]


@pytest.mark.parametrize("id", ["spider", "director"])
def test_what_the_model_did_not_read_is_looked_at_too(settings: MakeSettings, scripted: ScriptedServer, id: str) -> None:
    case = next(case for case in load_poison() if case.id == f"{id}, five documents")
    honest, *_ = case.files
    (true, *_), (false, *_) = case.values
    options = settings()
    write_documents(options.corpus, case.files)
    with closing(Assistant(options)) as opened:
        opened.sync()
        connect(opened, scripted, prompt_tokens=8)
        scripted.play(answer(false))
        *_, last = opened.ask(case.question)
    assert true not in scripted.requests[0].messages[-1]["content"]
    assert last.text == f"{false} [1]" and honest in {hit.chunk.document_id for hit in last.passages}
    [other] = last.elsewhere
    assert true in other.value and other.citation.chunk.document_id == honest
