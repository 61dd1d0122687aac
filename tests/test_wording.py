import json

import pytest

from assistant.wording import REFUSALS, breaks_off, is_code, is_refusal, tidy, with_ellipsis, without_refusals

QUESTION = "Who founded the Lumen Observatory?"
FACT = "Ada Quill founded the Lumen Observatory in 1911."

REFUSED = """
NOT IN THE DOCUMENTS
**NOT IN THE DOCUMENTS**
Not in the documents.
NOT IN THE DOCUMENTS. The passages speak about bread.
The passages do not provide information about the price of tea.
The provided passages don't mention who built the bridge.
The passages do not contain any information about the price.
The text does not say when the museum opens.
The context does not specify the number of employees.
The documents don't seem to mention a warranty.
The given context doesn't explicitly state the answer.
None of the passages mention the author.
None of the provided documents discuss chips.
The passage says nothing about chips.
The passages contain no information about Mars.
The document makes no mention of a warranty.
The report does not mention chips.
The article doesn't specify the date.
I'm sorry, but I can't answer that from the passages.
I'm sorry, but the passages do not contain information about that.
I am sorry, I don't have enough information to answer.
Sorry, but there is no information about this in the documents.
Unfortunately, the passages do not say who won.
I cannot answer this question based on the passages.
I could not find any information about this.
I am unable to find the answer in the provided passages.
I don't know.
I do not have enough information to answer this question.
I have no information about that.
There is no mention of a library in the passages.
There is no information about the library.
There isn't enough information in the passages to answer the question.
There are no details about the price in the text.
There is no evidence of this in the passages.
No information is provided about the founder.
No information about the founder was found.
It is not mentioned in the passages.
This information is not available.
The answer is not given in the text.
The founder's name is not mentioned in the passages.
The price of the ticket is not specified in the provided context.
The exact date is not specified.
not mentioned in the passages
Not specified.
Not mentioned.
It is not discussed.
Not described.
Not included in the passages.
Information not available.
It is not provided in the text.
The answer is not given.
It is unclear from the passages who founded it.
It cannot be determined from the given passages.
The question cannot be answered from the documents.
Unable to determine from the passages.
It is unclear.
It is not possible to answer this question.
No documents found about tourism.
No answer found.
Based on the provided passages, there is no information about the founder.
According to the passages, it is not mentioned who founded the observatory.
While the passages discuss telescopes, they do not mention the founder.
The passages do not mention the founder [1]. Therefore, it is not possible to answer the question.
I'm sorry, but I cannot answer. Please provide more information.
The passages do not provide information about the founder. If you have other documents, please add them.
Die Passagen enthalten keine Informationen über den Gründer.
Les passages ne mentionnent pas le fondateur.
Los pasajes no mencionan al fundador.
""".strip().splitlines()

ANSWERED = """
The report does not mention chips, but says that sales fell.
Users do not need an account.
The documents do not need to be signed.
No.
No, the observatory was not founded by Ada Quill.
Ada Quill did not found the observatory.
The company did not disclose the price.
The price was not disclosed by the company.
The contract does not provide a warranty.
The contract does not include delivery.
The policy does not cover floods.
There is no information desk at the station.
There is no lift in the building.
There is no charge for children.
There is no evidence that the drug works.
There are no details on the receipt that a thief could use.
No data is sent to the server.
No information was given by the police.
No details were stolen.
Information is not stored on the phone.
Lunch is not provided.
It is not included.
This is not covered.
It isn't provided.
Not included.
Not covered.
Not listed.
Breakfast is not included in the price.
Users are not provided with an account.
The data does not leave the computer.
The document does not expire.
The text does not scroll on small screens.
Passages of the fort do not flood in winter.
The context window does not hold more than 4,096 tokens.
The sources do not run dry in summer.
I am legend is the name of the film.
The author says that he cannot find peace.
It is not possible to pay by card.
It is unclear why the team wore white.
These data provide no support for the use of supplements.
It is impossible to enter after ten.
The answer is 42.
The question was not whether but when.
It is not available in Germany.
The museum is not open on Mondays.
Nothing is known of his early life, which he never spoke of.
He was not named king until 1066.
The missing pages were not found until 1990.
Not before 1911.
Not every visitor needs a ticket.
None of the passengers survived.
None of the sources of the river freeze.
Unable to pay its debts, the company closed in 1988.
The model cannot read pictures.
They could not find the wreck for forty years.
Sorry is the title of the second single.
The passages do not mention the price, but they say that entry is free on Sundays.
The passages do not give a year. Ada Quill founded it after the war of 1905.
Please bring a ticket and a passport.
If you lose the card, call the bank.
While the war lasted, the bakery did not sell white bread.
""".strip().splitlines()


@pytest.mark.parametrize("text", REFUSED)
def test_a_refusal_in_the_models_own_words_is_one(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize("text", ANSWERED)
def test_an_answer_about_absence_is_no_refusal(text: str) -> None:
    assert not is_refusal(text)


def test_a_refusal_is_noticed_while_it_is_written() -> None:
    text = "The passages do not provide any information about the founder."
    seen = [is_refusal(text[:end]) for end in range(len("The passages do not provide"), len(text))]
    assert all(seen)
    assert is_refusal("NOT IN") and not is_refusal("") and not is_refusal("Not")


def test_every_pattern_has_an_example() -> None:
    """A pattern that no line is an example of can only make mistakes."""
    plain = [line.strip("*_ ") for line in REFUSED]
    idle = [pattern.pattern for pattern in REFUSALS if not any(pattern.match(line) for line in plain)]
    assert not idle


@pytest.mark.parametrize(
    "refusal", ["The passages do not mention her birthplace.", "There is no information about her birthplace."]
)
def test_a_refusal_after_a_real_answer_is_left_out(refusal: str) -> None:
    assert without_refusals(f"{FACT} {refusal}") == FACT
    assert without_refusals(f"{FACT} {refusal} It stands on Mount Corran.") == f"{FACT} It stands on Mount Corran."
    assert without_refusals(refusal) == refusal
    assert without_refusals(FACT) == FACT


OPENED = [
    f"According to the passages, {FACT}",
    f"According to the provided passages, {FACT}",
    f"According to passage [1], {FACT}",
    f"Based on the provided passages, {FACT}",
    f"Based on the information provided in the passages, {FACT}",
    f"The passage states that {FACT}",
    f"The provided context mentions that {FACT}",
    f"As stated in the text, {FACT}",
    f"Answer: {FACT}",
    f"The answer is: {FACT}",
    f"Sure! {FACT}",
    f"Question: {QUESTION} Answer: {FACT}",
    f"Question: {QUESTION}\nAnswer: {FACT}",
    f"Q: {QUESTION}\nA: {FACT}",
    f"**Question:** {QUESTION}\n**Answer:** {FACT}",
    f"{QUESTION}\n{FACT}",
    f"{QUESTION} {FACT}",
    f"Question: {QUESTION}\n\nAccording to the documents: {FACT}",
    json.dumps({"answer": FACT}),
    json.dumps({"answer": FACT, "citations": [1]}, indent=2),
    json.dumps({"question": QUESTION, "answer": FACT}),
    f"```json\n{json.dumps({'answer': FACT})}\n```",
    f"```\n{FACT}\n```",
    f"```text\n{FACT}",
    f"\ufeff\n {FACT}",
]


@pytest.mark.parametrize("text", OPENED, ids=[ascii(text[:45]) for text in OPENED])
def test_what_stands_around_an_answer_is_taken_off(text: str) -> None:
    assert tidy(text, QUESTION, final=True) == FACT
    for end in range(len(text)):
        shown = tidy(text[:end], QUESTION, final=False)
        assert FACT.startswith(shown), f"after {end} characters the reader would see {shown!r}"


def test_the_first_letter_becomes_a_capital_but_a_name_stays() -> None:
    assert tidy("According to the passages, she left.", QUESTION, final=True) == "She left."
    assert tidy("According to the passages, iPhones sold well.", QUESTION, final=True) == "iPhones sold well."


KEPT = [
    FACT,
    "According to Ada Quill, the moon is far.",
    "According to the report of 1911, the moon is far.",
    "Based in Paris, she wrote.",
    "The text was found in a cave that floods.",
    "Question time is a programme.",
    "The answer is 42.",
    "According to the passages,",
    "[1] names the founder",
    "[1]",
    "Use `make serve` to start.",
]


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_an_opening_stays(text: str) -> None:
    assert tidy(text, QUESTION, final=True) == text


@pytest.mark.parametrize(
    "value", [{"founder": "Ada Quill", "year": 1911}, ["a", "b"], {"answer": {"who": "Ada"}}, {"answer": True}]
)
def test_other_json_becomes_code(value: object) -> None:
    text = tidy(json.dumps(value), QUESTION, final=True)
    assert is_code(text)
    assert json.loads(text.removeprefix("```json\n").removesuffix("\n```")) == value
    assert not is_code(FACT)


@pytest.mark.parametrize("text", ["{}", "[]", "```\n```", "```json\n{}\n```", '{"answer": ""}', "\u200b", ""])
def test_nothing_in_wrapping_is_nothing(text: str) -> None:
    assert tidy(text, QUESTION, final=True) == ""


def test_json_that_breaks_off_gives_the_text_so_far() -> None:
    whole = json.dumps({"answer": 'She said "no" \u2013 twice\nthen left.'})
    for end in range(len('{"answer": "S'), len(whole)):
        text = tidy(whole[:end], QUESTION, final=True)
        assert 'She said "no" \u2013 twice\nthen left.'.startswith(text), whole[:end]
    for odd in ("{", "[", '{"a', "{'answer': 'x'}", "[" * 5000, '{"answer": 1e999}'):
        assert isinstance(tidy(odd, QUESTION, final=True), str)


@pytest.mark.parametrize("text", ["She went to the", "She went, she saw,", "It was founded by", "because of the [1]"])
def test_an_end_where_no_sentence_ends_is_noticed(text: str) -> None:
    assert breaks_off(text)
    assert with_ellipsis(text).endswith("…")


@pytest.mark.parametrize(
    "text",
    [
        "Liang Wenfeng",
        FACT,
        "- rye bread",
        f"{FACT} [1]",
        "Yes",
        "about $6 million",
        "Terminal A",
        "turning the light on",
        "Vitamin A [1]",
        "sign in",
        "",
    ],
)
def test_a_whole_answer_does_not_break_off(text: str) -> None:
    assert not breaks_off(text)


@pytest.mark.parametrize("text", [FACT, f"{FACT[:-1]} [1].", "Really?", "天文台。", '"So it was."', "```\nx\n```", "| a | b |", ""])
def test_a_finished_sentence_gets_no_ellipsis(text: str) -> None:
    assert with_ellipsis(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NOT IN THE DOCUMENTS", True),
        ("Not in the documents.", True),
        (" NOT IN THE DOC", True),
        ("Not in the documents. The passages speak of ships.", True),
        ("Not", False),
        ("Nothing was lost.", False),
        ("", False),
    ],
)
def test_a_refusal_is_recognised_while_it_is_written(text: str, expected: bool) -> None:
    assert is_refusal(text) is expected
