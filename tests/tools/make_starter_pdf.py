"""Make the PDF of the starter document set.

    python tests/tools/make_starter_pdf.py [OUTPUT]

OUTPUT defaults to corpus/export-controls-briefing.pdf in this repository. The
text is kept in this file, page by page. The same release of reportlab writes the
same bytes each time: a fixed date stands in for the time of making, the file's
identifier is drawn from its content, and the page streams are left uncompressed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped, unused-ignore]
from reportlab.lib.styles import (  # type: ignore[import-untyped, unused-ignore]
    ParagraphStyle,
)
from reportlab.lib.units import mm  # type: ignore[import-untyped, unused-ignore]
from reportlab.platypus import (  # type: ignore[import-untyped, unused-ignore]
    BaseDocTemplate,
    Frame,
    PageBreak,
    PageTemplate,
    Paragraph,
)

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_OUTPUT = ROOT / "corpus" / "export-controls-briefing.pdf"

TITLE = "Export controls and the efficiency race: a briefing"
SUBJECT = "US export restrictions on advanced chips and DeepSeek's January 2025 debut"

MARGIN = 28 * mm

# One text per page. Blank lines part the blocks; "# " opens the title and "## " a
# heading, and every other block is a paragraph.
PAGES = (
    """
# Export controls and the efficiency race: a briefing

## 1. What this briefing covers

DeepSeek's debut in January 2025 raised a question that reaches beyond one company:
what happens when access to advanced chips is limited? This briefing looks at that
question in four steps. It explains export restrictions, describes how Chinese
developers responded to them, connects the response with the claims made about R1
and DeepSeek-V3, and ends with the reaction of the markets.

The briefing keeps facts, claims and estimates apart. Where a figure is reported,
claimed or estimated, the text says so. Explanations of terms and connections drawn
between the facts are the briefing's own.

## 2. What export restrictions are

An export restriction is a rule by which a government limits the sale of certain
goods to buyers abroad. It may forbid a sale, or it may require a licence first. The
terms export restriction and export control are often used for the same thing. The
restrictions that matter here are the US export restrictions on advanced chips.

Advanced chips matter because training a large AI model takes a very large number of
calculations. Specialised chips do many of these calculations at the same time. A
developer with fewer or slower chips has three broad choices: to train for longer,
to train a smaller model, or to find a way of reaching the same quality with fewer
calculations.

A restriction on chips acts on hardware. It does not act directly on methods, on
skill or on published models. That difference is the starting point for the rest of
this briefing.
""",
    """
## 3. How Chinese developers responded

US export restrictions on advanced chips led Chinese developers to collaborate. US
export restrictions on advanced chips also led Chinese developers to find techniques
that need less computing.

The two responses support each other. Developers who collaborate do not each have to
make the same costly mistakes, and a technique found by one group can save computing
for another. Open-source models fit this pattern in general: a published model lets
others begin from work that has already been done instead of starting from nothing.

Computing is the work that chips do. A technique that needs less computing reaches
its result with fewer calculations, with fewer chips or in less time. Such a
technique is useful to everyone, but it is most valuable to those for whom chips are
scarce.

## 4. Marina Zhang's view

Marina Zhang is an associate professor who studies China's high-tech industries.
According to Marina Zhang, software ingenuity and data efficiency can make up for
hardware limits.

The two terms can be explained simply. Software ingenuity means writing and
arranging programs cleverly, so that the available chips are used well. Data
efficiency means learning more from the same amount of data, or as much from less of
it. Hardware limits are the bounds set by the number and the speed of the chips at
hand.

Marina Zhang's view, as given here, is that such limits can be made up for. That is
not the same as saying that chips have stopped mattering, and it leaves open how far
the effect goes. A developer who has both clever methods and plenty of chips may
still be ahead of one who has only the methods.
""",
    """
## 5. The efficiency race

The phrase efficiency race is used here for competition over how little computing
and money a good model needs. DeepSeek's R1 entered this race with a strong claim:
R1 claims cutting-edge performance at a fraction of the cost. R1 builds on the
open-source DeepSeek-V3, which was reportedly trained for around $6 million (£4.2
million).

The numbers given for chips point the same way. R1 is claimed to need 2,000
specialised chips, while competitors are estimated to need 16,000. If these numbers
hold, R1 is an example of what Marina Zhang describes: methods making up for
hardware. That link is an interpretation made in this briefing.

## 6. The doubts

The link is only as strong as the numbers. Some in the AI community question the
cost figures given for R1 and DeepSeek-V3. Elon Musk suggested that DeepSeek may
hold more Nvidia chips than DeepSeek has disclosed.

These doubts bear directly on the debate about export restrictions. If DeepSeek did
manage with few chips, the case shows how far efficient methods can go. If DeepSeek
holds many more chips than disclosed, the case says less about methods and raises
the question of how well the restrictions work. The facts gathered here do not
decide between these readings.

Sam Altman called R1 impressive for the price and promised better models. That
response treats efficiency as something to be answered with quality, and it leaves
the question of the disputed figures open.
""",
    """
## 7. Why the markets cared

Nvidia lost nearly $600 billion (£482 billion) of market value in the reaction to
DeepSeek's debut. Japanese shares related to AI fell as well. One possible
explanation is that a cheaper way of making models casts doubt on how many chips
will be bought. The efficiency that helps a developer with few chips can then be a
worry for those who invest in chips.

The US President called DeepSeek's rise "a wake-up call" for US tech, and also said
that getting the same result for less is a good thing. For a country that restricts
the export of chips, the first remark has a special edge: the restrictions apply to
Chinese developers, and a Chinese developer still drew wide attention with a claim
of low cost.

## 8. Prices and pace

DeepSeek was founded in Hangzhou in 2023 by Liang Wenfeng. In a July 2024 interview,
Liang Wenfeng said that DeepSeek had followed its own pace, calculated its costs and
set its prices. If prices follow costs, then any technique that needs less computing
may reach users as a lower price.

## 9. Points to keep in mind

First, restrictions on chips limit hardware, and Chinese developers answered with
collaboration and with techniques that need less computing. Second, the figures for
R1 and DeepSeek-V3 are claims, reports and estimates, and some of them are
questioned. Third, a fall in market value shows what investors expected, not whether
those figures are right. Fourth, a method that saves computing for a developer with
few chips may also help a developer with many, so the efficiency race need not be
limited to those whom the restrictions affect.
""",
)


def read_blocks(page: str) -> list[tuple[str, str]]:
    """Return the blocks of one page, each as (style name, text)."""
    blocks = []
    for block in page.strip().split("\n\n"):
        text = " ".join(block.split())
        for mark, style in (("# ", "title"), ("## ", "heading")):
            if text.startswith(mark):
                blocks.append((style, text.removeprefix(mark)))
                break
        else:
            blocks.append(("body", text))
    return blocks


def make_styles() -> dict[str, Any]:
    """Return the paragraph styles by name; words are never split at a hyphen."""
    body = ParagraphStyle(
        "body",
        fontName="Helvetica",
        fontSize=13,
        leading=20,
        spaceAfter=10,
        embeddedHyphenation=0,
        allowWidows=0,
        allowOrphans=0,
    )
    heading = ParagraphStyle(
        "heading",
        parent=body,
        fontName="Helvetica-Bold",
        fontSize=16.5,
        leading=22,
        spaceBefore=12,
        spaceAfter=8,
        keepWithNext=1,
    )
    title = ParagraphStyle(
        "title",
        parent=heading,
        fontSize=21,
        leading=26,
        spaceAfter=14,
        rightIndent=15 * mm,
    )
    return {"body": body, "heading": heading, "title": title}


def draw_footer(canvas: Any, document: Any) -> None:
    """Draw the page number, after the page's text so that it is also read last."""
    canvas.saveState()
    canvas.setFont("Helvetica", 9)
    canvas.drawCentredString(A4[0] / 2, 14 * mm, f"Page {document.page}")
    canvas.restoreState()


def make_pdf(output: Path) -> None:
    """Write the briefing to ``output``, making its folder where needed."""
    styles = make_styles()
    story: list[Any] = []
    for number, page in enumerate(PAGES):
        if number:
            story.append(PageBreak())
        for style, text in read_blocks(page):
            story.append(Paragraph(text, styles[style]))

    output.parent.mkdir(parents=True, exist_ok=True)
    document = BaseDocTemplate(
        str(output),
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=TITLE,
        subject=SUBJECT,
        author="",
        creator="",
        lang="en-GB",
        invariant=1,
        pageCompression=0,
    )
    frame = Frame(
        document.leftMargin,
        document.bottomMargin,
        document.width,
        document.height,
        leftPadding=0,
        rightPadding=0,
        topPadding=0,
        bottomPadding=0,
    )
    template = PageTemplate("page", frames=[frame], onPageEnd=draw_footer)
    document.addPageTemplates(template)
    document.build(story)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description="Make the starter set's PDF.")
    parser.add_argument("output", nargs="?", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args(arguments)
    make_pdf(options.output)
    print(options.output)


if __name__ == "__main__":
    main()
