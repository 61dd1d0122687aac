"""Ask the running page a question and save pictures of it: light and dark, laptop and phone.

    python tests/tools/screenshot.py http://127.0.0.1:7860 pictures ["A question"]

Needs Debian's chromium. Exits with 1 when the page asked any other address for something, or logged an error.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from playwright.sync_api import Page, sync_playwright

from tests.browser import CHROMIUM, FLAGS, Seen

_SIZES = {"laptop": (1280, 800), "phone": (390, 844)}
_ANSWER_SECONDS = 240
_PDF_QUESTION = "How did Chinese developers respond to US export restrictions?"


def _take(page: Page, url: str, question: str, save: Path, name: str) -> None:
    def picture(what: str) -> None:
        page.wait_for_timeout(400)
        page.screenshot(path=str(save / f"{what}-{name}.png"))

    page.goto(url)
    page.wait_for_selector("#question textarea")
    page.wait_for_timeout(1000)
    picture("1-empty")
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel .source", timeout=60_000)
    picture("2-reading")
    page.wait_for_selector("#chat .answer.done, #chat .answer.refused, #chat .answer.failed", timeout=_ANSWER_SECONDS * 1000)
    picture("3-answer")
    mark = page.locator("#chat a.cite").first
    if mark.count():
        mark.click()
        page.wait_for_timeout(600)
        picture("4-source")
    page.goto(url)
    page.wait_for_selector("#question textarea")
    page.wait_for_timeout(1000)
    page.fill("#question textarea", f"@export-controls-briefing.pdf {_PDF_QUESTION}")
    page.keyboard.press("Escape")  # the names offered after @
    page.keyboard.press("Enter")
    page.wait_for_selector("#chat .answer .foot", timeout=_ANSWER_SECONDS * 1000)
    mark = page.locator("#chat a.cite").first
    if mark.count() and page.viewport_size and page.viewport_size["width"] > 860:
        mark.click()
        page.locator("#side article.reader").get_by_role("button", name="Page", exact=True).click()
        page.wait_for_timeout(2500)
    picture("5-page")
    page.get_by_role("tab", name="Search").click()
    page.locator("#query textarea, #query input").first.fill("export restrictions")
    page.keyboard.press("Enter")
    page.wait_for_selector("#found .source")
    picture("6-search")
    page.get_by_role("tab", name="Documents").click()
    page.wait_for_selector("#table table, #table .hint")
    picture("7-documents")
    page.locator("#table button.open").first.click()
    page.wait_for_selector("#reading article")
    picture("8-document")
    tab = page.get_by_role("tab", name="Evaluation")
    if tab.is_visible():
        tab.click()
        page.get_by_role("button", name="Measure search").click()
        page.wait_for_selector("#evaluation .plot, .plot", timeout=60_000)
        page.wait_for_timeout(1500)
        picture("9-evaluation")


def main(url: str, folder: str, question: str = "Who founded DeepSeek, and when?") -> int:
    """Take all pictures; returns the exit status."""
    save = Path(folder)
    save.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []

    with sync_playwright() as playwright:
        for size, (width, height) in _SIZES.items():
            for scheme in ("light", "dark"):
                with tempfile.TemporaryDirectory() as profile:
                    context = playwright.chromium.launch_persistent_context(
                        profile,
                        executable_path=CHROMIUM,
                        args=FLAGS,
                        viewport={"width": width, "height": height},
                        color_scheme="dark" if scheme == "dark" else "light",
                        has_touch=size == "phone",
                        is_mobile=size == "phone",
                    )
                    page = context.pages[0]
                    seen = Seen(page)
                    _take(page, url, question, save, f"{size}-{scheme}")
                    wrong += [f"foreign request: {address}" for address in seen.foreign]
                    wrong += [f"error on the page: {error}" for error in seen.errors]
                    context.close()
    for line in dict.fromkeys(wrong):
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
