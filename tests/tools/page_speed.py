"""Measure the page in a real browser: how soon it can be used, typing while an answer is written, and a long conversation.

    python tests/tools/page_speed.py [--models data/models] [--out eval/results/page.json]

The page of `gr.ChatInterface`, Gradio's smallest chat, is opened beside ours. Needs Debian's chromium.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from playwright.sync_api import Page, sync_playwright

from assistant.answer import Assistant
from assistant.conversations import Conversations
from tests.browser import CHROMIUM, FLAGS
from tests.conftest import ROOT, clean_environment, settings_in
from tests.scripted_server import Finish, Pause, serving, stream
from tests.serving import running

TURNS = 199
QUESTION = "How much market value did Nvidia lose?"
_OPENED, _WORDS = 7, 500
_SMALLEST = """
import sys
import gradio as gr
app = gr.ChatInterface(lambda message, history: message)
_, url, _ = app.launch(quiet=True, prevent_thread_lock=True)
print(url, flush=True)
sys.stdin.read()
"""
_FRAMES = """() => new Promise(done => {
  const log = [...document.querySelectorAll('#chat, #chat *')].find(one => one.scrollHeight > one.clientHeight + 400 && getComputedStyle(one).overflowY !== 'visible');
  log.scrollTop = log.scrollHeight;
  const frames = [], step = (log.scrollHeight - log.clientHeight) / 240;
  let last = performance.now(), left = 240;
  const frame = now => {
    frames.push(now - last); last = now; log.scrollTop -= step;
    --left > 0 ? requestAnimationFrame(frame) : done(frames.slice(1));
  };
  requestAnimationFrame(frame);
})"""
_WHOLE = "document.querySelectorAll('#chat .answer').length === document.querySelectorAll('#chat .answer .foot').length"
_TYPING = """() => {
  window.typed = [];
  document.querySelector('#question textarea').addEventListener('keydown', event => {
    requestAnimationFrame(() => setTimeout(() => window.typed.push(performance.now() - event.timeStamp)));
  });
}"""


def _median(times: list[float]) -> float:
    return round(statistics.median(times), 3)


def _p95(times: list[float]) -> float:
    return round(sorted(times)[int(0.95 * (len(times) - 1))], 1)


def opened(page: Page, url: str, usable: Callable[[], Any]) -> list[float]:
    """Return the seconds from the address to a page that takes a question, the browser's cache warm."""
    times = []
    for _ in range(_OPENED + 1):
        page.goto("about:blank")
        began = time.monotonic()
        page.goto(url, wait_until="commit")
        usable()
        times.append(time.monotonic() - began)
    return times[1:]


def typing(page: Page) -> list[float]:
    """Return the milliseconds from each key to the frame after it, while an answer is written."""
    page.evaluate(_TYPING)
    page.locator("#question textarea").press_sequentially("while it is written I go on typing all the time", delay=60)
    return [float(one) for one in page.evaluate("window.typed")]


@contextmanager
def smallest() -> Iterator[str]:
    """Serve Gradio's smallest chat from a process of its own; gives its address."""
    env = clean_environment({"GRADIO_ANALYTICS_ENABLED": "False"})
    with subprocess.Popen(
        [sys.executable, "-c", _SMALLEST], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(20)


@contextmanager
def browser_page() -> Iterator[Page]:
    """Give a page of a new browser."""
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=FLAGS, viewport={"width": 1280, "height": 800}
        )
        yield context.pages[0]
        context.close()


def long_conversation(data: Path, assistant: Assistant) -> str:
    """Keep a conversation of so many answers in a data folder; returns its id."""
    *_, answer = assistant.ask(QUESTION)
    with closing(Conversations(data / "conversations.sqlite3")) as kept:
        id = kept.begin("", "A long conversation")
        for turn in range(TURNS):
            kept.keep(id, turn, replace(answer, question=f"{QUESTION} ({turn + 1})"))
    return id


def measure(models: Path) -> dict[str, Any]:
    """Return all figures: seconds, and milliseconds where the name says so."""
    told: dict[str, Any] = {}
    words = [part for number in range(_WORDS) for part in (f"word {number} ", Pause(0.04))]
    with tempfile.TemporaryDirectory() as folder, smallest() as other, contextmanager(serving)() as model, browser_page() as page:
        settings = settings_in(Path(folder), models, {"ASSISTANT_CHAT_MODEL": "extractive"})
        for path in (ROOT / "corpus").iterdir():
            shutil.copy(path, settings.corpus)
        with closing(Assistant(settings)) as assistant:
            assistant.sync()
            id = long_conversation(settings.data, assistant)
        with running(replace(settings, chat_model="scripted-1"), OPENAI_BASE_URL=model.url) as app:
            box = page.locator("#question textarea")

            def usable() -> None:
                page.wait_for_selector("#talks a")  # what the page loads is there
                box.fill("x")

            told["first page, seconds"] = _median(opened(page, app.url, usable))
            told["Gradio's smallest chat, seconds"] = _median(opened(page, other, lambda: page.locator("textarea").first.fill("x")))
            told[f"conversation of {TURNS} turns, seconds"] = _median(
                opened(page, f"{app.url}/?c={id}", lambda: page.wait_for_selector(f"#answer-{TURNS - 1} .foot"))
            )
            while (earlier := page.locator("#chat .earlier button")).count():
                earlier.click()
                page.wait_for_timeout(1000)
            frames = [float(one) for one in page.evaluate(_FRAMES)]
            told["scrolling through all of it, milliseconds a frame (median, p95, longest)"] = [
                _median(frames),
                _p95(frames),
                round(max(frames), 1),
            ]
            for name, address in (("one turn", app.url), (f"{TURNS + 1} turns", f"{app.url}/?c={id}")):
                model.play(stream("Nvidia lost nearly $600 billion. ", *words, Finish()))
                page.goto(address)
                page.wait_for_selector("#talks a")
                page.wait_for_timeout(1000)
                box.fill(QUESTION)
                page.keyboard.press("Enter")
                page.get_by_text("word 3 ").last.wait_for(timeout=60_000)
                times = typing(page)
                assert page.locator("#chat .answer .foot").count() < page.locator("#chat .answer").count(), "it ended too soon"
                told[f"typing while an answer is written, {name}, milliseconds (median, p95, longest)"] = [
                    _median(times),
                    _p95(times),
                    round(max(times), 1),
                ]
                page.wait_for_function(_WHOLE, timeout=60_000)
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=ROOT / "data" / "models", help="folder with the embedding model")
    parser.add_argument("--out", type=Path, help="a file that keeps the figures")
    options = parser.parse_args()
    figures = measure(options.models)
    for name, value in figures.items():
        print(f"{name}: {value}")
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
