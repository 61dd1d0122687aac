"""Statements are scored and cited in code from the real embedding model's vectors, whatever marks the model wrote."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from assistant.embedding import Vectors
from assistant.grounding import Grounded, Grounding, Statement, _table_head, count_line, ground
from assistant.marks import LEADING, Quotes, checked_quotes, plain
from assistant.retrieval import Hit
from assistant.settings import load_settings
from assistant.sync import Corpus
from assistant.value_match import in_full
from tests.conftest import ROOT, MakeSettings, settings_in, write_documents


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Corpus]:
    folder = tmp_path_factory.mktemp("grounding")
    options = settings_in(folder, models, {})
    options = load_settings({"ASSISTANT_CORPUS": str(ROOT / "corpus"), "ASSISTANT_DATA": str(options.data)})
    corpus = Corpus(options)
    corpus.sync()
    yield corpus
    corpus.close()


def grounded(corpus: Corpus, hits: list[Hit], text: str, final: bool = True, question: str = "") -> Grounded:
    return ground(text, Grounding(hits, corpus.passage_vectors(hits), corpus.embedder), final, question)


def cite(starter: Corpus, question: str, text: str, final: bool = True) -> Grounded:
    return grounded(starter, starter.passages(question, 8), text, final, question)


FOUNDER = "Who founded DeepSeek?"
COST = "How much did it cost to train DeepSeek-V3?"
LOSS = "How much market value did Nvidia lose?"


def test_a_supported_sentence_is_cited_though_the_model_wrote_no_mark(starter: Corpus) -> None:
    text, [statement], [citation] = cite(starter, FOUNDER, "DeepSeek was founded in 2023 in Hangzhou by Liang Wenfeng.")
    assert text == "DeepSeek was founded in 2023 in Hangzhou by Liang Wenfeng. [1]"
    assert statement.mark == "supported" and statement.support > 0.8 and statement.citation == citation
    assert "Liang Wenfeng" in citation.quote
    document = starter.catalog.document(citation.chunk.document_id)
    assert document is not None
    assert document.text[citation.start : citation.end] == citation.quote


MARKS = ["[99]", "[1-3]", "【1】", "[^1]", " [2, 3]", "[1][2]", "[7†source]", " [1] [2]", "(1)", " (2)", "[1, p. 2]", "[1, page 3]"]
MARKS += ["¹", "¹²", "[1?]", "[?]", "(source 2)", "[Passage 1]", "[Source: 1]", "[[1]]", "[1; 2]", "[99999999999999999999]"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("28. April 2025", "28. April 2025"),
        ("3. March 2024", "3. March 2024"),
        ("1. May be used", "May be used"),
        ("2. Decisions", "Decisions"),
        ("2) Mai", "Mai"),
    ],
)
def test_a_day_is_no_list_number(text: str, expected: str) -> None:
    assert plain(text) == expected
    found = LEADING.match(text)
    assert found is not None and text[found.end() :] == expected


@pytest.mark.parametrize("mark", MARKS)
def test_marks_of_the_model_are_replaced_by_verified_ones(starter: Corpus, mark: str) -> None:
    for written in (f"DeepSeek was founded by Liang Wenfeng{mark}.", f"DeepSeek was founded by Liang Wenfeng.{mark}"):
        text, _, citations = cite(starter, FOUNDER, written)
        assert text == "DeepSeek was founded by Liang Wenfeng. [1]"
        assert [citation.number for citation in citations] == [1]


@pytest.mark.parametrize(
    "kept",
    [
        "It has (1) models, (2) tools.",
        "The area is 5 km².",
        "See equation (3).",
        "Call `a[1]` now.",
        "```\nx[1] = 2\n```",
        "10² is 100.",
    ],
)
def test_what_only_looks_like_a_mark_stays(starter: Corpus, kept: str) -> None:
    text = cite(starter, FOUNDER, kept).text
    assert text.replace(" [?]", "").replace(" [1?]", "") == kept


@pytest.mark.parametrize(
    "claim",
    [
        "The weather in Oslo is mild in spring. [1]",
        "Bananas are rich in potassium [3].",
        "Mark Zuckerberg made this remark about DeepSeek aboard Air Force One. [1]",
    ],
)
def test_what_no_passage_supports_is_marked_and_not_cited(starter: Corpus, claim: str) -> None:
    text, [statement], citations = cite(starter, "Who called DeepSeek's rise a wake-up call?", claim)
    assert text.endswith(". [?]") and text.count("[") == 1
    assert citations == () and statement.citation is None and statement.mark == "not found"


@pytest.mark.parametrize(
    ("question", "claim"),
    [
        (FOUNDER, "DeepSeek was founded in 1987 by Liang Wenfeng."),
        (FOUNDER, "DeepSeek was founded in Hangzhou in 2022 by Liang Wenfeng."),
        (FOUNDER, "DeepSeek was not founded by Liang Wenfeng."),
        (FOUNDER, "DeepSeek was founded in 2023 by Sam Altman."),
        (LOSS, "Nvidia lost nearly $60 billion of market value."),
        (LOSS, "Nvidia gained nearly $600 billion of market value."),
        (COST, "$60 million"),
        (COST, "DeepSeek-V3 was reportedly trained for around €6 million."),
        ("When was DeepSeek founded?", "in 2022"),
    ],
)
def test_what_contradicts_its_source_is_never_supported(starter: Corpus, question: str, claim: str) -> None:
    text, [statement], _ = cite(starter, question, claim)
    assert statement.mark != "supported" and "[1]" not in text


def test_the_reader_is_told_which_value_differs(starter: Corpus) -> None:
    [statement] = cite(starter, COST, "The training of DeepSeek-V3 cost about $60 million.").statements
    assert statement.mark == "partly" and statement.citation is not None and "$6 million" in statement.citation.quote
    assert statement.differs == ("the answer says $60 million, the source $6 million",)


def test_a_short_answer_is_cited_by_the_sentence_that_answers_the_question(starter: Corpus) -> None:
    text, [statement], [citation] = cite(starter, FOUNDER, "Liang Wenfeng")
    assert text == "Liang Wenfeng [1]" and statement.mark == "supported"
    assert "found" in citation.quote and "graduate" not in citation.quote
    graduate = cite(starter, "What did Liang Wenfeng study?", "information and electronic engineering")
    assert "graduate" in graduate.citations[0].quote


@pytest.mark.parametrize(
    ("question", "phrase", "said"),
    [
        (COST, "about $6 million", "$6 million"),
        (COST, "six million dollars", "$6 million"),
        ("When was DeepSeek founded?", "2023", "2023"),
        (LOSS, "nearly $600 billion", "$600 billion"),
        ("What did the US President call DeepSeek's rise?", 'a "wake-up call"', "wake-up call"),
        ("By how much did the Nikkei 225 fall?", "1.4 per cent", "1.4%"),
    ],
)
def test_short_answers_in_any_form_are_found(starter: Corpus, question: str, phrase: str, said: str) -> None:
    _, [statement], [citation] = cite(starter, question, phrase)
    assert statement.mark == "supported" and said in citation.quote


@pytest.mark.parametrize("wrong", ["Sam Altman", "Elon Musk", "Marina Zhang"])
def test_a_wrong_short_answer_is_not_supported(starter: Corpus, wrong: str) -> None:
    [statement] = cite(starter, FOUNDER, wrong).statements
    assert statement.mark != "supported"


def test_yes_and_no_are_grounded_with_their_question(starter: Corpus) -> None:
    def mark(question: str, text: str) -> str:
        [statement] = cite(starter, question, text).statements
        return statement.mark

    assert mark("Was DeepSeek founded in Hangzhou in 2023?", "Yes.") == "supported"
    assert mark("Was DeepSeek founded in Hangzhou in 2023?", "No.") != "supported"
    assert mark("Was DeepSeek founded in 2020?", "Yes.") != "supported"
    assert mark("Was DeepSeek founded in 2020?", "No, it was founded in 2023.") == "supported"


@pytest.mark.parametrize(
    "text",
    [
        "Here is what the documents say:",
        "## What is known",
        "Would you like to know more?",
        "The documents do not mention this.",
        "I hope this helps!",
        "| a | b |\n| --- | --- |",
        "...",
    ],
)
def test_what_claims_nothing_is_no_statement(starter: Corpus, text: str) -> None:
    assert cite(starter, FOUNDER, f"{text}\n\nDeepSeek was founded in Hangzhou.").statements[-1].mark == "supported"
    assert len(cite(starter, FOUNDER, f"{text}\n\nDeepSeek was founded in Hangzhou.").statements) == 1


def test_a_quote_is_verbatim_or_loses_its_quotation_marks(starter: Corpus) -> None:
    question = "What did the US President call DeepSeek's rise?"
    kept = 'The US President called DeepSeek\'s rise "a wake-up call" for US tech.'
    assert cite(starter, question, kept).text.startswith(kept)
    curly = "The President spoke of “A wake-up call” there."
    assert "“A wake-up call”" in cite(starter, question, curly).text
    invented = 'The US President called DeepSeek\'s rise "a sad day for us".'
    assert '"' not in cite(starter, question, invented).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("»Ja« und dann auch noch »Nein«", "»Ja« und dann auch noch »Nein«"),
        ("»Ja!« und dann auch noch »Nein«", "»Ja!« und dann auch noch »Nein«"),
        ('a 5" pipe or else a 6" pipe', 'a 5" pipe or else a 6" pipe'),
        ('He said ("it is all lost").', "He said (it is all lost)."),
        ("Il dit «tout est perdu ici».", "Il dit tout est perdu ici."),
        ('"The whole is lost," he said.', "The whole is lost, he said."),
    ],
)
def test_only_signs_around_a_quote_are_taken_off(text: str, expected: str) -> None:
    assert checked_quotes(text, Quotes([])) == expected


@pytest.mark.parametrize(
    ("after", "head"),
    [
        ("\n|---|---|\n| 1 | 2 |", True),
        ("  \r\n | :--- | ---: |\r\n", True),
        ("\n--|--", True),
        ("\n\n---", True),
        ("\n\t|--|", True),
        ("\n| - | - |\n", False),
        ("\n| 1 | 2 |\n|---|", False),
        ("\n-- said she\n", False),
        (" -- \n", False),
        ("\n" + "-" * 2000 + "x", False),
        ("", False),
    ],
)
def test_a_table_row_is_the_head_when_a_row_of_dashes_follows(after: str, head: bool) -> None:
    assert _table_head("| a | b |" + after, 9) is head


def test_marks_are_numbered_by_first_use_and_repeat_for_the_same_passage(starter: Corpus) -> None:
    written = "Nvidia lost nearly $600 billion of market value. DeepSeek was founded by Liang Wenfeng. Nvidia lost £482 billion of market value."
    hits = starter.search(FOUNDER, 2) + starter.search(LOSS, 2)
    text, _, citations = grounded(starter, hits, written)
    assert text.count("[1]") == 2
    assert text.index("[1]") < text.index("[2]")
    assert {citation.number for citation in citations} == {1, 2}


def test_every_mark_has_a_citation_and_every_statement_its_place(starter: Corpus) -> None:
    written = (
        "- **DeepSeek** was founded in Hangzhou [4]\n- Sunshine is nice [5]\n\n| city | year |\n| --- | --- |\n| Hangzhou | 2023 |"
    )
    text, statements, citations = cite(starter, FOUNDER, written)
    assert text.startswith("- **DeepSeek** was founded in Hangzhou [1]\n- Sunshine is nice [?]")
    assert text.endswith("|") and "| 2023 [" in text
    cited = [statement.citation for statement in statements if statement.citation]
    assert set(cited) == set(citations)
    assert [text[one.start : one.end] for one in statements][:2] == ["DeepSeek** was founded in Hangzhou", "Sunshine is nice"]
    for one in statements:
        assert text[one.end :].startswith((" [1]", " [1?]", " [2]", " [2?]", " [?]"))


def test_an_unfinished_sentence_has_no_mark_and_no_half_mark(starter: Corpus) -> None:
    for tail in ("", " [", " [1", "【", " [1, ", " (1"):
        text, statements, citations = cite(starter, FOUNDER, f"DeepSeek was founded by Liang Wenfeng{tail}", final=False)
        assert text == "DeepSeek was founded by Liang Wenfeng"
        assert not statements and not citations


def test_text_without_words_and_no_passages_at_all(starter: Corpus) -> None:
    assert cite(starter, FOUNDER, "...") == ("...", (), ())
    text, [statement], citations = ground("Anything at all.", Grounding([], [], starter.embedder), True)
    assert text == "Anything at all. [?]" and statement.mark == "not found" and citations == ()
    assert ground("Liang", Grounding([], [], starter.embedder), True, FOUNDER).text == "Liang [?]"


def test_a_statement_is_embedded_once_however_often_the_text_grows(starter: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    hits = starter.passages(FOUNDER, 8)
    grounding = Grounding(hits, starter.passage_vectors(hits), starter.embedder)
    asked: list[str] = []
    embed = starter.embedder.embed

    def noted(texts: Sequence[str]) -> Vectors:
        asked.extend(texts)
        return embed(texts)

    monkeypatch.setattr(starter.embedder, "embed", noted)
    written = "DeepSeek was founded by Liang Wenfeng. DeepSeek was founded in 2023. It is young."
    for end in range(len(written)):
        ground(written[:end], grounding, False, FOUNDER)
    ground(written, grounding, True, FOUNDER)
    assert len(asked) == len(set(asked)) <= 4


def test_the_count_tells_supported_and_partly_apart() -> None:
    one = Statement(0, 1, 0.9, "supported", None)
    partly, missing = Statement(0, 1, 0.5, "partly", None), Statement(0, 1, 0.1, "not found", None)
    assert count_line([]) == ""
    assert count_line([one]) == "1 of 1 statement found in the sources"
    assert count_line([one, one, partly, missing]) == "2 of 4 statements found in the sources, 1 partly"


SWAPS: list[tuple[str, str, str]] = [
    ("The bridge was opened in 1932.", "1932", "1936"),
    ("The tower cost $6 million to build.", "$6 million", "$60 million"),
    ("The lake is 45 kilometres long.", "45 kilometres", "54 kilometres"),
    ("The mill employs fifteen people.", "fifteen", "fifty"),
    ("The town council approved the plan.", "approved", "did not approve"),
    ("Turnout rose by 12% in the last election.", "rose by 12%", "fell by 12%"),
    ("The museum opened on 27 January 2025.", "27 January", "28 January"),
    ("Die Ausstellung endet am 28. April 2025.", "28. April", "27. April"),
    ("The mayor of the town is Ada Quill.", "Ada Quill", "Peter Moss"),
]


def test_another_day_flips_the_mark_of_a_short_answer(settings: MakeSettings, corpus: Callable[..., Path]) -> None:
    options = settings()
    corpus({"a.md": "# Die Schau\n\nDie Ausstellung endet am 28. April 2025."})
    opened = Corpus(options)
    try:
        opened.sync()
        question = "Wann endet die Ausstellung?"
        hits = opened.passages(question, 4)
        marks = [grounded(opened, hits, f"{day}. April 2025", question=question).statements[0].mark for day in (28, 27)]
        assert marks[0] == "supported" and marks[1] != "supported"
    finally:
        opened.close()


@pytest.mark.parametrize(("sentence", "value", "other"), SWAPS)
def test_a_passage_with_another_value_flips_the_mark(settings: MakeSettings, sentence: str, value: str, other: str) -> None:
    options = settings()
    for name, text, mark in (("right.md", sentence, "supported"), ("wrong.md", sentence.replace(value, other), "other")):
        write_documents(options.corpus, {name: f"# The town\n\nIt lies on a river. {text} There is a market on Fridays."})
        corpus = Corpus(options)
        try:
            corpus.sync()
            [statement] = grounded(corpus, corpus.passages(sentence, 4), sentence).statements
            if mark == "supported":
                assert statement.mark == "supported"
            else:
                assert statement.mark != "supported" and (statement.differs or statement.mark == "not found")
        finally:
            corpus.close()
            (options.corpus / name).unlink()


def test_two_sentences_that_follow_each_other_support_a_statement_together(settings: MakeSettings) -> None:
    options = settings()
    write_documents(
        options.corpus, {"mill.md": "# The mill\n\nThe mill was built by Ada Quill. It was opened in 1911. It burns coal."}
    )
    corpus = Corpus(options)
    try:
        corpus.sync()
        [statement] = grounded(corpus, corpus.passages("mill", 4), "The mill was built by Ada Quill and opened in 1911.").statements
        assert statement.citation is not None and statement.differs == ()
        assert "Ada Quill" in statement.citation.quote and "1911" in statement.citation.quote
    finally:
        corpus.close()


def test_a_hint_decides_among_equals(settings: MakeSettings, corpus: Callable[..., Path]) -> None:
    options = settings()
    corpus({"a.md": "# One\n\nThe mill was opened in 1911.", "b.md": "# Two\n\nThe mill was opened in 1911."})
    opened = Corpus(options)
    try:
        opened.sync()
        hits = opened.search("When was the mill opened?", 4)
        assert len(hits) == 2
        for number, hit in enumerate(hits, start=1):
            _, _, [citation] = grounded(opened, hits, f"The mill was opened in 1911 [{number}].")
            assert citation.chunk.id == hit.chunk.id
    finally:
        opened.close()


@pytest.mark.parametrize(
    ("question", "answer", "quote"),
    [
        ("What year did the startup get going?", "2023", "2023"),
        ("max size of an upload", "50 MB", "50 MB"),
        ("What day of the week did Tokyo stocks slide?", "Tuesday", "Tuesday"),
        ("which file types work", "PDF, Word, PowerPoint, Excel, web pages", "PDF, Word, PowerPoint, Excel, web pages"),
        ("health check command", "`assistant doctor`", "assistant doctor"),
    ],
)
def test_words_that_stand_in_a_passage_are_cited_though_the_question_is_worded_otherwise(
    starter: Corpus, question: str, answer: str, quote: str
) -> None:
    text, [statement], [citation] = cite(starter, question, answer)
    assert statement.mark != "not found" and "[1" in text
    assert quote in citation.quote


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("what did sam altman say he'd deliver", "Sam Altman promised better models."),
        ("swap in a bigger local model", "Set `ASSISTANT_CHAT_MODEL` to the path of a GGUF file to use a larger one."),
    ],
)
def test_a_sentence_of_a_passage_is_supported_word_for_word(starter: Corpus, question: str, answer: str) -> None:
    text, [statement], _ = cite(starter, question, answer)
    assert text == f"{answer} [1]"
    assert statement.mark == "supported" and not statement.differs


def test_british_and_american_spellings_agree(starter: Corpus) -> None:
    for spelling in ("2,000 specialized chips", "2,000 specialised chips"):
        [statement] = cite(starter, "How many chips does R1 need?", spelling).statements
        assert statement.mark == "supported"


def test_a_short_answer_gets_the_sign_and_the_doubt_that_its_source_has(starter: Corpus) -> None:
    text, [statement], [citation] = cite(starter, "How many dollars of Nvidia's worth vanished?", "600 billion")
    assert text.startswith("nearly $600 billion [1") and "nearly $600 billion" in citation.quote
    assert text[statement.start : statement.end] == "nearly $600 billion"
    assert cite(starter, COST, "€6 million").text.startswith("€6 million")


@pytest.mark.parametrize(
    ("phrase", "source", "full"),
    [
        ("600 billion", "It lost nearly $600 billion.", "nearly $600 billion"),
        ("3 trains", "From 3 pm three trains run.", "3 trains"),
        ("5", "A bag holds five apples and costs $5.", "5"),
        ("1984", "The essay is about 1984.", "1984"),
        ("in 20 rooms", "About 20 rooms are open.", "in 20 rooms"),
        ("50", "Up to 50 MB are taken.", "Up to 50 MB"),
    ],
)
def test_only_a_value_that_the_source_has_once_is_written_in_full(phrase: str, source: str, full: str) -> None:
    assert in_full(phrase, source) == full


@pytest.mark.parametrize("answer", ["[0, 1)", "The value lies in [0, 10)", "The area is π(d/2)²."])
def test_brackets_and_powers_at_the_end_of_an_answer_stay(starter: Corpus, answer: str) -> None:
    assert cite(starter, "Where does it lie?", answer).text.startswith(answer.rstrip("."))


def test_an_answer_in_another_language_is_told_from_one_that_is_made_up(starter: Corpus) -> None:
    hits = starter.passages(FOUNDER, 8)
    grounding = Grounding(hits, starter.passage_vectors(hits), starter.embedder)
    assert grounding.foreign("Das Unternehmen wurde vor einigen Jahren in dieser Stadt gegründet.")
    assert not grounding.foreign("The company was bought by a bank of the city in spring.")
    assert not grounding.foreign("Liang Wenfeng")


def test_each_sign_of_a_script_without_spaces_counts(tmp_path: Path, settings: MakeSettings) -> None:
    options = settings()
    write_documents(options.corpus, {"a.txt": "深度求索成立于2023年。总部位于杭州。"})
    corpus = Corpus(options)
    try:
        corpus.sync()
        assert cite(corpus, "深度求索何时成立?", "深度求索成立于2023年。").statements[0].mark == "supported"
        assert cite(corpus, "深度求索何时成立?", "深圳成立于1999年。").statements[0].mark != "supported"
    finally:
        corpus.close()
