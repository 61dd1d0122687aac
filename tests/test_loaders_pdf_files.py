"""Every PDF of the collection of test files: what must be found in it, in this order, or why it is refused."""

import difflib
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders import parse
from tests.conftest import ROOT

FILES = ROOT.parent / "shared" / "data" / "loader_docs"
UNSTRUCTURED, MARKITDOWN = "unstructured/pdf", "markitdown"
SCANNED = "read by Tesseract: check quotes against the file"
pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason="the collection of test files isn't here")


@dataclass(frozen=True)
class Case:
    """A file: the number of its pages, texts that follow each other in it, headings, and texts that must not be there."""

    path: str
    pages: int
    texts: tuple[str, ...]
    headings: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    title: str | None = None
    warnings: tuple[str, ...] = ()
    scan: bool = False


CASES = [
    Case(
        f"{MARKITDOWN}/MEDRPT-2024-PAT-3847_medical_report_scan.pdf",
        3,
        ("SEATTLE GENERAL HOSPITAL", "142/88 mmHg", "PHYSICAL EXAMINATION", "TREATMENT PLAN"),
        warnings=(f"pages 1-3 were {SCANNED}",),
        scan=True,
    ),
    Case(
        f"{MARKITDOWN}/RECEIPT-2024-TXN-98765_retail_purchase.pdf",
        1,
        ("AUDIO-5521 1 @ $349.99\nMember Discount $-50.00\n$299.99\n", "TOTAL $821.14", "Thank you for shopping!"),
        headings=("TECHMART ELECTRONICS",),
        absent=("=====",),
    ),
    Case(
        f"{MARKITDOWN}/REPAIR-2022-INV-001_multipage.pdf",
        3,
        (
            "| Claim # | SF-1008 | Make | Jeep |",
            "| Body Labor | 2 | 150 | 300 |",
            "Minor rear bumper repair",
            "This is a preliminary estimate for the visible damage of the vehicle. Additional damage",
            "| Insured name | Bruce Wayne | Year | 2025 |",
        ),
        headings=("ZAVA AUTO REPAIR", "Preliminary Estimate (ID: EST-1008)"),
    ),
    Case(
        f"{MARKITDOWN}/SPARSE-2024-INV-1234_borderless_table.pdf",
        2,
        (
            "| Product Code | Location | Expected | Actual | Variance | Status |",
            "|  | B-07 |  | 289 | -23 |  |",
            "Cross-location verification protocols should be reviewed to prevent future discrepancies",
            "| SKU-4563 | Software | $120.00 | $18,720.00 |  | Critical |",
        ),
        headings=("INVENTORY RECONCILIATION REPORT", "Recommendations:"),
        title="INVENTORY RECONCILIATION REPORT",
    ),
    Case(
        f"{MARKITDOWN}/masterformat_partial_numbering.pdf",
        1,
        ("1. INTENT", ".1 The intent of this Request for Proposal (RFP) is to solicit", ".2 Available information"),
        title="",
    ),
    Case(
        f"{MARKITDOWN}/movie-theater-booking-2024.pdf",
        1,
        (
            "| Alt Order #: | SC-WINTER-2024 | Primary Contact: | Sarah Johnson |",
            "| December 2024 | 48 | $12,500.00 | $11,250.00 | 85% |",
            "| 2 | SCR-2 | 12/20/24 | 12/31/24 | Winter Wonderland | Standard | 4:30 PM | Daily | 24 | $150 | MT | $3,600 |",
            "$12,500.00 |",
        ),
        headings=("BOOKING ORDER", "Customer", "Totals"),
    ),
    Case(
        f"{MARKITDOWN}/test.pdf",
        1,
        ("Large language models (LLMs) are becoming", "at least three reasons confirming its general feasibility"),
        headings=("1 Introduction",),
    ),
    Case(
        "unstructured/language-docs/fr_olap.pdf",
        12,
        (
            "Résumé. Une façon d’assister l’analyse d’entrepôt de données repose sur l’exploitation",
            "un langage de manipulation de requêtes (appelé QSL) pour résumer",
            "Dans cette section, nous définissons formellement",
        ),
        headings=("Résumés et interrogations de logs de requêtes OLAP", "1 Introduction", "3 Le langage QSL"),
        title="Résumés et interrogations de logs de requêtes OLAP",
    ),
    Case(
        f"{UNSTRUCTURED}/DA-1p.pdf",
        1,
        ("There, perched atop the spire of the village chantry", "It is known that mages are able to walk the Fade"),
        headings=("MAIN GAME", "CREATURES", "Abomination", "Arcane Horror"),
    ),
    Case(
        f"{UNSTRUCTURED}/a1977-backus-p21.pdf",
        1,
        (
            "write recursive functions without a definition",
            "the operator <MLAST> works as follows:",
            "13.3.3 Summary of the properties",
        ),
    ),
    Case(f"{UNSTRUCTURED}/all-number-table.pdf", 1, ("| 200.01 | 1 |", "| 400.01 | 3 |", "| 1600.01 | 15 |")),
    Case(
        f"{UNSTRUCTURED}/chevron-page.pdf",
        1,
        (
            "We’re investing to grow in the Eastern Mediterranean",
            "2.5",
            "carbon intensity from our Eastern Mediterranean operations in 2022",
            "offshore platform engineer in Israel was employed by our operations in 2020",
            "~70%",
            "production in Israel is powered by Tamar and Leviathan fields as of 2022",
            "Chevron 2022 Corporate Sustainability Report",
        ),
        headings=("eastern mediterranean",),
    ),
    Case(
        f"{UNSTRUCTURED}/copy-protected.pdf",
        2,
        ("Abstract. Recent advances in document image analysis (DIA)", "LayoutParser provides a unified toolkit"),
        headings=("1 Introduction",),
    ),
    Case(f"{UNSTRUCTURED}/embedded-cmap-cidfont.pdf", 1, ("Heading in Helvetica", "should be extractable")),
    Case(
        f"{UNSTRUCTURED}/embedded-images-tables.pdf",
        1,
        ("Table 1\n", "| 2 | 1.9460 | 0.0596 | �0.8276 | 0.0002 | 121.440 | 1.5054 |", "The plot of inhibitor concentration"),
        title="Data on environmental sustainable corrosion inhibitor for stainless steel in aggressive environment",
    ),
    Case(
        f"{UNSTRUCTURED}/embedded-images.pdf",
        1,
        (
            "With the card in access zone 3, the vehicle will unlock.",
            "With the card on you, doors and luggage compartment door closed",
            "If the card has been within the detection area 3 for approximately 15 minutes",
        ),
        headings=("Hands-free unlocking, when approaching the vehicle;",),
    ),
    Case(f"{UNSTRUCTURED}/embedded-link.pdf", 1, ("This is the link.", "1. This is to test the index", "2. Now, what"), title=""),
    Case(f"{UNSTRUCTURED}/emphasis-text.pdf", 1, ("Test bold.", "Now Italic and bold."), title=""),
    Case(
        f"{UNSTRUCTURED}/failure-after-repair.pdf",
        76,
        ("What is cancer? … 4", "Glossary … 68", "Cancer is a disease of the cells", "- lobules – where milk is produced"),
        headings=("Understanding Breast Cancer", "Contents", "The breasts", "Q: What are the symptoms?"),
        title="Understanding Breast Cancer",
    ),
    Case(
        f"{UNSTRUCTURED}/fake-bold-sample.pdf",
        1,
        ("Normal text: Hello World", "BOLD TEXT SAMPLE", "The quick brown fox jumps over the lazy dog."),
    ),
    Case(f"{UNSTRUCTURED}/fake-memo-with-duplicate-page.pdf", 2, ("May 5, 2023", "Mallori", "May 5, 2023", "Mallori")),
    Case(f"{UNSTRUCTURED}/fake-memo.pdf", 1, ("To Whom it May Concern:", "20,000 bottles of water, 10,000 blankets"), title=""),
    Case(f"{UNSTRUCTURED}/figure-overlay-text.pdf", 1, ("Printed Name:", "Jane Doe")),
    Case(f"{UNSTRUCTURED}/header-test-doc.pdf", 1, ("I Am A Header", "Here is a lovely sentences."), headings=("Title",)),
    Case(
        f"{UNSTRUCTURED}/interface-config-guide-p93.pdf",
        1,
        (
            "pxc 1 create\n        port 1/x1/1/c1/1\n        no shutdown\n    exit\n",
            "A faceplate port that has been placed in the loopback mode",
            "- Only unused faceplate ports (not associated with an interface or SAP) can be referenced within a PXC ID",
            "With internal (or MAC-based) PXC",
        ),
        headings=("6.4 Internal PXC",),
        title="Interface Configuration Guide",
    ),
    Case(
        f"{UNSTRUCTURED}/invalid-pdf-structure-pdfminer-one-page.pdf",
        2,
        (
            "Federal agencies and our nation’s critical infrastructure— such as energy",
            "provide a good foundation for establishing a more comprehensive",
            "1.1: Establish cybersecurity requirements",
            "strategy. However, not all of the desirable characteristics",
        ),
        headings=("Threats Highlight the Importance of Establishing Leadership in Cybersecurity", "Opportunities"),
    ),
    Case(
        f"{UNSTRUCTURED}/korean-text-with-tables.pdf",
        1,
        (
            "| 주유 | 모든 주유소 |",
            "구매 및 충전, 상품권 구매건",
            "| 커피전문점 | 스타벅스, 투썸플레이스, 카페베네, 탐앤탐스, 커피빈, 엔제리너스, 할리스커피, 파스쿠찌, 아티제, 폴 바셋 |",
            "에서 확인",
        ),
        headings=("할인점·주유·온라인쇼핑몰 1.5% 빅포인트 적립",),
    ),
    Case(
        f"{UNSTRUCTURED}/layout-parser-paper-fast.pdf",
        2,
        ("Melissa Dell", "there are several practical difficulties for taking advantages", "2. A rich repository of pre-trained"),
        headings=("LayoutParser: A Unified Toolkit for Deep Learning Based Document Image Analysis", "1 Introduction"),
        title="LayoutParser: A Unified Toolkit for Deep Learning Based Document Image Analysis",
    ),
    Case(f"{UNSTRUCTURED}/layout-parser-paper-with-empty-pages.pdf", 4, ("Abstract.", "Keywords:", "unified toolkit")),
    Case(
        f"{UNSTRUCTURED}/layout-parser-paper-with-table.pdf",
        1,
        (
            "| Dataset | Base Model1 | Large Model | Notes |",
            "| PubLayNet [38] | F / M | M | Layouts of modern scientific documents |",
            "1 For each dataset, we train several models",
            "2 image = cv2 . imread (",
        ),
        headings=("3.1 Layout Detection Models",),
    ),
    Case(
        f"{UNSTRUCTURED}/list-item-example.pdf",
        2,
        ("- What challenges may arise in development?", "- What is the product idea, target market, and objective?", "- The role"),
        headings=("Module Two: Initial Planning and Step 1: Concept Development", "Module Three: Step 2: Design and Prototyping"),
    ),
    Case(
        f"{UNSTRUCTURED}/loremipsum-flat.pdf",
        1,
        ("Lorem ipsum dolor sit amet, consectetur adipiscing elit.", "Sed posuere sit amet", "Duis quis lacinia lacus."),
        warnings=(f"page 1 was {SCANNED}",),
        scan=True,
    ),
    Case(
        f"{UNSTRUCTURED}/multi-column-2p.pdf",
        2,
        (
            "Open-domain question answering relies on efficient passage retrieval",
            "by a simple dual-encoder framework",
            "Retrieval in open-domain QA is usually implemented using TF-IDF",
            "setting new state-of-the-art results on multiple open-domain",
        ),
        headings=("Dense Passage Retrieval for Open-Domain Question Answering", "Abstract", "1 Introduction", "2 Background"),
        title="Dense Passage Retrieval for Open-Domain Question Answering",
    ),
    Case(
        f"{UNSTRUCTURED}/multi-column.pdf",
        13,
        (
            "| TriviaQA | 78,785 | 60,413 | 8,837 | 11,313 |",
            "| None | BM25 | 59.1 | 66.9 | 55.0 | 70.9 | 68.8 | 73.7 | 76.7 | 71.1 | 84.1 | 80.0 |",
            "In this work, we demonstrated that dense retrieval can outperform",
        ),
        headings=("5.1 Main Results", "8 Conclusion", "References"),
    ),
    Case(
        f"{UNSTRUCTURED}/negative-coords.pdf",
        1,
        ("AirPort Extreme, Apple TV, AirPods", "Berlin, March 21, 2022", "- Life Cycle Assessment course and exam"),
        headings=("4 Conclusions", "Reviewer Credentials and Qualification"),
    ),
    Case(f"{UNSTRUCTURED}/password.pdf", 1, ("File with password",)),
    Case(
        f"{UNSTRUCTURED}/pdf-bad-color-space.pdf",
        1,
        (
            "climate change is an urgent threat to human well-being",
            "One of the key levers for reducing emissions from our operations is transitioning to clean energy.",
            "cleaner sources of power",
            "we recognize that we can’t achieve our goals alone",
        ),
        headings=("Net-zero carbon", "Our ambition", "Charting our path"),
    ),
    Case(f"{UNSTRUCTURED}/pdf-with-ocr-text.pdf", 1, ("keep you posted on the progress of the Foundation", "(f)", "mjgl0226")),
    Case(
        f"{UNSTRUCTURED}/pdf2image-memory-error-test-400p.pdf",
        400,
        (
            "(2) 2.3.59-5 - Changed RRR tax module recovery date from 2017 - 2023.",
            "(3) Audience: Wage & Investment (W&I), Large Business and International (LB&I), Small Business Self-Employed",
            "| 1 | 19-20 | MFT (required) |",
        ),
        headings=("MANUAL TRANSMITTAL", "Table of Contents"),
        absent=("page 26\n", "is for Official Use Only\n\nExhibit"),
    ),
    Case(
        f"{UNSTRUCTURED}/reliance.pdf",
        3,
        (
            "India’s largest corporate value creator",
            "17,81,841 crore",
            "2,32,822",
            "40 10-year Financial Highlights",
            "132 Risk and Governance",
            "The Reliance Integrated Annual Report has been prepared in alignment",
        ),
        headings=("We Care", "Table of Contents", "Financial Statements"),
        title="We Care",
    ),
    Case(
        f"{UNSTRUCTURED}/single_table.pdf",
        1,
        ("| Base 512 | 16,046 | 200.58 (121.01) | N/A |",),
        warnings=(f"page 1 was {SCANNED}",),
        scan=True,
    ),
    Case(
        f"{UNSTRUCTURED}/table-multi-row-column-cells.pdf",
        1,
        ("34.5%, n=1", "98.3% n=2", "1416 sec, n=3"),
        warnings=(f"page 1 was {SCANNED}",),
        scan=True,
    ),
    Case("unstructured/rotated-page-90.pdf", 1, ("Hello World Test Text", "Rotated page fixture")),
]


def read(path: str) -> Parsed:
    return parse((FILES / path).read_bytes(), ".pdf", ["password"])


def test_every_file_has_its_case() -> None:
    assert {case.path for case in CASES} == {path.relative_to(FILES).as_posix() for path in FILES.rglob("*.pdf")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.rpartition("/")[2])
def test_a_file_reads_well(case: Case) -> None:
    if case.scan and not shutil.which("tesseract"):
        pytest.skip("tesseract is not installed")
    parsed = read(case.path)
    assert len(parsed.pages) == case.pages
    assert list(parsed.pages) == sorted(parsed.pages)
    at = 0
    for text in case.texts:
        assert text in parsed.text[at:], text
        at = parsed.text.index(text, at) + len(text)
    assert set(case.headings) <= {heading.text for heading in parsed.headings}
    for heading in parsed.headings:
        assert parsed.text[heading.start :].startswith("#" * heading.level + " " + heading.text + "\n")
    assert not [text for text in case.absent if text in parsed.text]
    assert case.title in (None, parsed.title)
    assert parsed.warnings == case.warnings
    assert not re.search("[\x00-\x09\x0b-\x1f\ufffe]", parsed.text)


@pytest.mark.parametrize("case", [case for case in CASES if case.scan], ids=lambda case: case.path.rpartition("/")[2])
def test_a_scan_says_what_makes_it_readable(case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DocumentError, match="it looks scanned, and it can be read when Tesseract is installed"):
        read(case.path)


def test_a_file_with_a_password_says_so() -> None:
    with pytest.raises(DocumentError, match="it is protected by a password: set ASSISTANT_PASSWORDS"):
        parse((FILES / UNSTRUCTURED / "password.pdf").read_bytes(), ".pdf", ["another"])


@pytest.mark.parametrize(
    "name",
    [
        "RECEIPT-2024-TXN-98765_retail_purchase",
        "REPAIR-2022-INV-001_multipage",
        "SPARSE-2024-INV-1234_borderless_table",
        "movie-theater-booking-2024",
        "test",
    ],
)
def test_the_words_that_another_reader_finds_are_there_in_order(name: str) -> None:
    def words(text: str) -> list[str]:
        plain = re.sub(r"(?<=\w)-\n(?=[a-z])", "", re.sub(r"\| ?-[-| ]+\|", "", text))  # it keeps words cut at line ends
        return re.findall(r"[^\W_]+(?:[.,:/@-][^\W_]+)*", plain)

    expected = words((FILES / MARKITDOWN / "expected_outputs" / f"{name}.md").read_text(encoding="utf-8"))
    found = words(read(f"{MARKITDOWN}/{name}.pdf").text)
    assert (Counter(expected) & Counter(found)).total() >= 0.97 * len(expected)
    assert difflib.SequenceMatcher(None, expected, found, autojunk=False).ratio() >= 0.97
