"""Which documents a question names, and that these are favoured but never the only ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.catalog import Catalog, FileState
from assistant.documents import Document
from assistant.mentions import Mentions
from assistant.sync import Corpus
from tests.conftest import settings_in, write_documents

TITLES = {
    "annual-report-2021.md": "Annual Report 2021",
    "annual-report-2022.md": "Annual Report 2022",
    "annual-report-2023.md": "Annual Report 2023",
    "chips.md": "Chips",
    "old/chips.md": "Potato chips",
    "company-and-founder.txt": "The company and its founder",
    "export-controls-briefing.pdf": "Export controls: a briefing",
    "r1-and-v3.html": "DeepSeek R1 and V3",
    "MarketReaction2025.md": "How markets reacted",
    "café-menü.txt": "Café Menü der Woche",
    "会议纪要.txt": "会议纪要",
    "minutes/2024-03-01.md": "Board meeting",
}


def put(catalog: Catalog, id: str, title: str) -> None:
    catalog.put_document(Document(id, title, "text", (), (), "0"), FileState(4, 1), [], [])


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path_factory.mktemp("mentions") / "catalog.sqlite3")
    for id, title in TITLES.items():
        put(catalog, id, title)
    yield catalog
    catalog.close()


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("In the 2023 report, what was the revenue?", ["annual-report-2023.md"]),
        ("What does the annual report for 2022 say about staff?", ["annual-report-2022.md"]),
        ("according to the 2021 annual report, who left?", ["annual-report-2021.md"]),
        ("Which staff does the 2023 Annual Report mention?", ["annual-report-2023.md"]),
        ("Compare the 2022 report with the 2023 report.", ["annual-report-2022.md", "annual-report-2023.md"]),
        ("How did sales change between the 2022 and 2023 reports?", ["annual-report-2022.md", "annual-report-2023.md"]),
        ("In the annual reports, who is the chair?", ["annual-report-2021.md", "annual-report-2022.md", "annual-report-2023.md"]),
        ("What is banned according to the briefing on export controls?", ["export-controls-briefing.pdf"]),
        ("In the paper on R1 and V3, what is cheaper?", ["r1-and-v3.html"]),
        ("In the chips document, what is a wafer?", ["chips.md", "old/chips.md"]),
        ("Who spoke, by the minutes of 2024-03-01?", ["minutes/2024-03-01.md"]),
        ("What is in ANNUAL-report-2021.MD?", ["annual-report-2021.md"]),
        ("What does chips.md say?", ["chips.md"]),
        ("Was steht in old/chips.md?", ["old/chips.md"]),
        ("Qu'y a-t-il dans café-menü.txt ?", ["café-menü.txt"]),
        ('What do "Annual report 2022" and others say?', ["annual-report-2022.md"]),
        ("What costs most in «Cafe Menu der Woche»?", ["café-menü.txt"]),
        ("《会议纪要》里谁发言了？", ["会议纪要.txt"]),
        ("Who wrote DeepSeek R1 and V3?", ["r1-and-v3.html"]),
        ("Summarise the market reaction 2025 paper", ["MarketReaction2025.md"]),
    ],
)
def test_a_question_names_documents(catalog: Catalog, question: str, expected: list[str]) -> None:
    assert Mentions(catalog).named(question) == expected


@pytest.mark.parametrize(
    "question",
    [
        "What chips does Huawei make?",
        "Who founded the company?",
        "Did the company report earnings in the US?",
        "How many of the companies report losses?",
        "What happened in 2023?",
        "In the report, what was the revenue?",
        "In the 2019 report, what was the revenue?",
        "A 2023 study of chips found that people like them.",
        "Transcription of the company's genes",
        "开会了吗？",
        "",
        "?",
        '"',
        ".md",
        "the report " * 300,
    ],
)
def test_ordinary_questions_name_none(catalog: Catalog, question: str) -> None:
    assert Mentions(catalog).named(question) == []


def test_names_follow_the_catalogue(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    mentions = Mentions(catalog)
    assert mentions.named("in the 2023 report") == []
    for year in (2022, 2023, 2024):
        put(catalog, f"report-{year}.md", f"Report {year}")
    assert mentions.named("in the 2023 report") == ["report-2023.md"]
    catalog.remove_file("report-2023.md")
    assert mentions.named("in the 2023 report") == []
    put(catalog, "report-2022.md", "Letters of 2023")
    assert mentions.named("in the 2022 report") == mentions.named("in the 2023 report") == ["report-2022.md"]
    assert mentions.named('"Report 2022"') == ["report-2022.md"] and mentions.named("Who wrote letters of 2023?") == []
    catalog.close()


def test_a_title_that_many_documents_share_is_a_topic_not_a_name(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    for number in range(10):
        put(catalog, f"{number}.md", f"Other {number}")
    for number in range(3):
        put(catalog, f"law-{number}.md", "European Union law")
    mentions = Mentions(catalog)
    assert mentions.named("Which courts apply European Union law?") == ["law-0.md", "law-1.md", "law-2.md"]
    put(catalog, "law-3.md", "European Union law")
    assert mentions.named("Which courts apply European Union law?") == []
    catalog.close()


# Only the names of the files say which year it is.
REPORTS = {
    f"annual-report-{year}.md": f"# Annual report\n\nRevenue was {amount} million euros. Profit doubled.\n\n"
    f"The company had {staff} employees at the end of the year."
    for year, amount, staff in ((2020, 3, 14), (2021, 4, 21), (2022, 6, 35), (2023, 9, 52))
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Corpus]:
    options = settings_in(tmp_path_factory.mktemp("reports"), models, {})
    write_documents(
        options.corpus, {**REPORTS, "other.md": "# Weather\n\nRevenue of umbrella shops grows when it rains in the 2023 season."}
    )
    corpus = Corpus(options)
    corpus.sync()
    yield corpus
    corpus.close()


@pytest.mark.parametrize("year", [2020, 2021, 2022, 2023])
@pytest.mark.parametrize(
    "question", ["In the {} report, what was the revenue?", "How many employees were there, according to annual-report-{}.md?"]
)
def test_a_named_document_comes_first_and_others_stay(reports: Corpus, question: str, year: int) -> None:
    hits = reports.search(question.format(year), 10)
    assert hits[0].chunk.document_id == f"annual-report-{year}.md"
    assert {hit.chunk.document_id for hit in hits} == {*REPORTS, "other.md"}
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True) and scores[-1] >= 0 and scores[0] <= 1


def test_a_named_document_far_from_the_question_is_still_a_candidate(reports: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.retrieval.CANDIDATES", 1)
    assert "other.md" not in {hit.chunk.document_id for hit in reports.search("What was the annual revenue?", 10)}
    assert "other.md" in {hit.chunk.document_id for hit in reports.search("What was the annual revenue in other.md?", 10)}
