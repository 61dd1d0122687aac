"""Questions that a few passages can't answer: which they are, and what the model then gets to read."""

import re
from dataclasses import replace

import pytest

from assistant.answer import Assistant
from assistant.broad import is_count, kind, sides, topic
from assistant.filters import Filter
from assistant.prompt import count_tokens
from assistant.snapshots import REFUSAL, Answer
from tests.scripted_server import Drop, Finish, Hang, Headers, Reply, Request, ScriptedServer, answer, error, stream

KINDS = {
    "summary": """
Summarise the 2023 report
Please summarize the user guide.
Can you sum up the market reaction?
Give me a short summary of the contract
Give an overview of the export controls
Overview of the project
What are the main points of the memo?
What are the key findings about glaciers?
What are the main takeaways?
What is this document about?
What are these documents about?
What do the documents say?
What is the gist of the letter?
tl;dr of notes.md
Fasse den Bericht zusammen
Résumé du rapport
Resumen del informe
总结这份报告
""",
    "list": """
List all the companies mentioned
Please list the members of the committee.
Name all telescopes of the observatory
Give me all dates of payments
Show me a list of the ships
Which countries are mentioned?
What companies are named in the documents?
What are all the formats that can be read?
How many ships were built?
How many members are there?
Enumerate the steps
Liste alle Schiffe auf
Combien de navires y a-t-il ?
""",
    "compare": """
Compare R1 and V3
Please compare the price of R1 with that of o1
Contrast the two plans with the old one please
What is the difference between R1 and V3?
What are the differences between plan A and plan B in terms of price?
How does R1 differ from V3?
How is tea different from coffee?
How do Qwen and Llama compare on price?
cats vs. dogs
What do the two towns and the city have in common?
Vergleiche Berlin und Hamburg
Différences entre Paris et Lyon
比较北京和上海
""",
    "point": """
Who founded DeepSeek?
When was the summary published?
How much did sales rise compared to 2022?
Who wrote the overview of 1911?
What is the list price of the lamp?
How many
Name the founder of DeepSeek.
Is there a list of members?
What did you just say about chips?
Summarise your last answer
Compare your answer with what you said before
What is the difference engine?
Why did shares fall?
Where is the comparison published?
""",
}


@pytest.mark.parametrize(("question", "expected"), [(q, name) for name, lines in KINDS.items() for q in lines.strip().splitlines()])
def test_the_kind_of_a_question_is_told_by_its_words(question: str, expected: str) -> None:
    assert kind(question) == ("list" if question == "How many" else expected)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Compare R1 and V3", ("R1", "V3")),
        ("Compare the price of R1 with V3.", ("R1 price of", "V3 price of")),
        ("What is the difference between R1 and OpenAI o1 in terms of price?", ("R1 price", "OpenAI o1 price")),
        ("How does DeepSeek differ from OpenAI?", ("DeepSeek", "OpenAI")),
        ("How do Qwen and Llama compare on price?", ("Qwen price", "Llama price")),
        ("cats vs dogs", ("cats", "dogs")),
        ("比较北京和上海", ("北京", "上海")),
        ("Compare them", None),
    ],
)
def test_the_two_sides_of_a_comparison(question: str, expected: tuple[str, str] | None) -> None:
    assert sides(question) == expected


def test_the_topic_leaves_out_the_words_that_make_the_kind() -> None:
    assert topic("Summarise the documents") == [] == topic("Give me an overview of all files, please")
    assert topic("List all ships that are mentioned") == ["ship"]
    assert is_count("How many ships are there?") and not is_count("List the ships")


# What the model gets to read

TOWNS = ("Avelin", "Borgo", "Calder", "Dunmore", "Estrel", "Fanning", "Gorlitz", "Haverby", "Ilston", "Jarrow", "Kelso", "Lenham")
FILLER = "The council met on Monday and spoke about roads, schools and the price of water for some hours. "
DOCUMENTS = {
    f"towns/{town.lower()}.txt": f"Notes on {town}\n\n{FILLER * 3}\n\nThe lighthouse of {town} was built in {1800 + 7 * n}. {FILLER * 2}\n"
    for n, town in enumerate(TOWNS)
} | {
    "tea.md": "# Tea\n\nTea is made from leaves. A cup of tea holds 40 milligrams of caffeine. " + FILLER * 6,
    "coffee.md": "# Coffee\n\nCoffee is made from roasted beans. A cup of coffee holds 95 milligrams of caffeine. " + FILLER * 6,
    "story.md": "# The voyage of the Meridian\n\n"
    + "\n\n".join(
        f"## Day {day}\n\nOn day {day} the Meridian sailed past cape number {day * 3}. The cook {name} served soup number {day}."
        for day, name in enumerate(("Ada", "Ben", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ina", "Jo", "Kim", "Lou"), start=1)
    ),
}


def as_embedded(assistant: Assistant, **changes: int) -> None:
    """Let the scripted server get what the embedded model would."""
    assistant.settings = replace(assistant.settings, base_url="", chat_model="embedded", **changes)  # type: ignore[arg-type]


def ask(assistant: Assistant, question: str, filter: Filter | None = None) -> list[Answer]:
    snapshots = list(assistant.ask(question, filter=filter) if filter else assistant.ask(question))
    assert [snapshot.final for snapshot in snapshots] == [False] * (len(snapshots) - 1) + [True]
    return snapshots


def prompt(request: Request) -> str:
    return request.messages[-1]["content"]


def test_a_list_holds_every_member_not_those_of_five_passages(assistant: Assistant, scripted: ScriptedServer) -> None:
    ask(assistant, "List all the lighthouses")
    text = prompt(scripted.requests[0])
    assert [town for town in TOWNS if f"The lighthouse of {town} was built" not in text] == []


def test_the_embedded_model_gets_every_member_too_without_the_filler(assistant: Assistant, scripted: ScriptedServer) -> None:
    as_embedded(assistant)
    ask(assistant, "How many lighthouses are there?")
    text = prompt(scripted.requests[0])
    assert [town for town in TOWNS if f"The lighthouse of {town} was built" not in text] == []
    assert count_tokens(text, assistant.corpus.embedder.tokenizer) < 1500


def test_a_number_that_is_stated_is_a_point(assistant: Assistant, scripted: ScriptedServer) -> None:
    ask(assistant, "How many milligrams of caffeine does a cup of tea hold?")
    assert "Write one line for each" not in prompt(scripted.requests[0])


@pytest.mark.parametrize("embedded", [False, True])
def test_a_comparison_holds_both_sides(assistant: Assistant, scripted: ScriptedServer, embedded: bool) -> None:
    if embedded:
        as_embedded(assistant)
    scripted.play(answer("A cup of tea holds 40 milligrams of caffeine. A cup of coffee holds 95 milligrams of caffeine."))
    last = ask(assistant, "What is the difference between tea and coffee in terms of caffeine?")[-1]
    text = prompt(scripted.requests[0])
    assert "A cup of tea holds 40 milligrams" in text and "A cup of coffee holds 95 milligrams" in text
    assert {citation.chunk.document_id for citation in last.citations} == {"tea.md", "coffee.md"}


@pytest.mark.parametrize("question", ["Summarise story.md", 'Summarise "The voyage of the Meridian"'])
def test_a_named_document_is_read_whole(assistant: Assistant, scripted: ScriptedServer, question: str) -> None:
    ask(assistant, question)
    text = prompt(scripted.requests[0])
    assert all(f"soup number {day}." in text for day in range(1, 13))
    assert "caffeine" not in text and "lighthouse" not in text


def test_the_only_document_that_the_filter_allows_is_read_whole(assistant: Assistant, scripted: ScriptedServer) -> None:
    ask(assistant, "What are the main points?", Filter(documents=("story.md",)))
    assert all(f"soup number {day}." in prompt(scripted.requests[0]) for day in range(1, 13))


def test_all_documents_have_their_part_in_a_summary_of_everything(assistant: Assistant, scripted: ScriptedServer) -> None:
    ask(assistant, "Summarise the documents")
    text = " ".join(prompt(request) for request in scripted.requests)
    assert [town for town in TOWNS if f"Notes on {town}" not in text] == [] and "Tea" in text and "Meridian" in text


def test_the_embedded_model_reads_the_most_telling_sentences_and_the_reader_is_told(
    assistant: Assistant, scripted: ScriptedServer
) -> None:
    as_embedded(assistant)
    last = ask(assistant, "Summarise the documents")[-1]
    assert len(scripted.requests) == 1
    assert count_tokens(prompt(scripted.requests[0]), assistant.corpus.embedder.tokenizer) < 1000
    assert last.passages and len(last.passages) < len(assistant.documents()) + 13
    scripted.play(answer("Tea is made from leaves."))
    assert re.search(r"Read (\d+ of \d+ passages|the most telling sentences)", ask(assistant, "Summarise the documents")[-1].note)


# Too much for one prompt: read in parts


def small(assistant: Assistant, scripted: ScriptedServer) -> None:
    """A window so small that the story takes several prompts."""
    assistant.settings = replace(assistant.settings, context_tokens=1024, answer_tokens=400)


NOTE = "On day {} the Meridian sailed past cape number {}."


def test_what_is_too_much_for_one_prompt_is_read_in_parts_and_put_together(assistant: Assistant, scripted: ScriptedServer) -> None:
    small(assistant, scripted)
    question = "Summarise everything"
    scripted.play(answer(NOTE.format(1, 3) + " Cats bark at the moon."), answer(NOTE.format(12, 36)), answer(NOTE.format(12, 36)))
    snapshots = ask(assistant, question)
    parts = [snapshot.progress for snapshot in snapshots if snapshot.progress and not snapshot.text]
    total = len(scripted.requests) - 1
    assert total >= 2 and list(dict.fromkeys(parts)) == [(n, total) for n in range(1, total + 1)]
    read = " ".join(prompt(request) for request in scripted.requests[:-1])
    assert all(f"soup number {day}." in read for day in range(1, 13))
    for request in scripted.requests:  # each within the window
        size = sum(count_tokens(message["content"], assistant.corpus.embedder.tokenizer) for message in request.messages)
        assert size + assistant.settings.answer_tokens <= assistant.settings.context_tokens
    combined = prompt(scripted.requests[-1])
    assert NOTE.format(12, 36) in combined and "Cats bark" not in combined and combined.count("soup") == 0
    last = snapshots[-1]
    assert last.state == "done" and [citation.chunk.document_id for citation in last.citations] == ["story.md"]
    assert last.usage is not None and last.usage.prompt_tokens > 1000  # all requests count


def test_stopping_between_and_within_parts_frees_the_model(assistant: Assistant, scripted: ScriptedServer) -> None:
    small(assistant, scripted)
    scripted.play(answer(NOTE.format(1, 3)), stream(Headers(), Hang()))
    snapshots = assistant.ask("Summarise everything")
    for snapshot in snapshots:
        if snapshot.progress and snapshot.progress[0] == 2 and len(scripted.requests) == 2:
            break
    snapshots.close()  # type: ignore[attr-defined]
    assert scripted.requests[1].ended.wait(10) and scripted.requests[1].gone is not None
    assert len(scripted.requests) == 2


@pytest.mark.parametrize(
    ("reply", "told", "counted"),
    [
        (error(500), "answered with an error (500)", 1),
        (stream("On day 1", Drop()), "broke off", 2),
        (stream(Finish()), "was empty", 1),
    ],
)
def test_a_model_that_fails_while_it_reads_is_told(
    assistant: Assistant, scripted: ScriptedServer, reply: Reply, told: str, counted: int
) -> None:
    small(assistant, scripted)
    scripted.play(answer(NOTE.format(1, 3)), reply)
    last = ask(assistant, "Summarise everything")[-1]
    assert last.final and last.note and len(last.note.splitlines()) == 1 and last.passages
    assert (last.state, last.text, last.quoted) == ("failed", "", False) and told in last.note
    assert len(scripted.requests) == 2 and last.usage is not None  # what was read until then counts
    lengths = [
        sum(count_tokens(message["content"], assistant.corpus.embedder.tokenizer) for message in request.messages)
        for request in scripted.requests
    ]
    assert last.usage.prompt_tokens == sum(lengths[:counted])


def test_a_broad_question_that_the_documents_do_not_answer_is_refused(assistant: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(answer("NOT IN THE DOCUMENTS"))
    last = ask(assistant, "List all dinosaurs")[-1]
    assert last.refused and last.text.startswith(REFUSAL)


def test_the_names_in_a_list_are_looked_up_one_by_one(assistant: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(answer("- Avelin\n- Borgo\n- Zanzibar"))
    last = ask(assistant, "List all towns that are mentioned")[-1]
    assert [statement.mark for statement in last.statements] == ["supported", "supported", "not found"]
    assert last.text.splitlines()[2] == "- Zanzibar [?]"


def test_a_refused_broad_question_names_no_words_that_only_make_its_kind(assistant: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(answer("NOT IN THE DOCUMENTS"))
    assert ask(assistant, "List all the dinosaurs mentioned")[-1].unknown_words == ("dinosaurs",)
