"""Measure speed and memory on this machine: `python -m eval bench` (or `make bench`).

Keeps the figures in `eval/results/bench.json` and writes the README's table from them. Every figure is a
ratio against a named alternative in the same run, or a time on the machine that the result names.
"""

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assistant.settings import Settings, load_settings, stay_offline
from eval.readme import RESULTS, ROOT, put_block, save_result

RESULT = RESULTS / "bench.json"
QUESTIONS = (
    "Who founded DeepSeek, and when?",
    "How much market value did Nvidia lose?",
    "What did the US President call DeepSeek's rise?",
    "By how much did the Nikkei 225 fall?",
    "How many chips does R1 need compared with competitors?",
    "What did Sam Altman say about R1?",
    "What did Liang Wenfeng say about pricing?",
    "What does Marina Zhang think?",
    "How much did it cost to train DeepSeek-V3?",
    "How do I add my own documents?",
)


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    import psutil

    return float(psutil.Process(pid).memory_info().rss) / 1e6


def start(settings: Settings) -> dict[str, float]:
    """Start the server as a user does, twice; returns seconds and MB of the second, warm start."""
    environment = {
        **os.environ,
        "ASSISTANT_CORPUS": str(settings.corpus),
        "ASSISTANT_DATA": str(settings.data),
        "PYTHONUNBUFFERED": "1",
    }
    figures: dict[str, float] = {}
    for _ in range(2):
        clock = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "assistant.cli", "serve", "--port", "0"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        try:
            assert process.stdout is not None
            url = ""
            for line in process.stdout:
                found = re.search(r"http://\S+", line)
                if found:
                    url = found.group()
                    break
            with urllib.request.urlopen(url, timeout=30) as page:
                page.read()
            figures["warm_start_seconds"] = time.monotonic() - clock
            # The model loads meanwhile; its memory counts once it has answered the trial question.
            time.sleep(25)
            figures["server_memory_mb"] = memory_mb(process.pid)
        finally:
            process.terminate()
            process.wait(30)
    return figures


def answers(settings: Settings) -> dict[str, float]:
    """Ask the ten questions of the starter corpus once each; returns medians in seconds."""
    from assistant.answer import Assistant

    assistant = Assistant(settings)
    clock = time.monotonic()
    assistant.sync()
    assistant.chat_model.start()
    started = time.monotonic() - clock
    passages, first, whole = [], [], []
    for question in QUESTIONS:
        answer = None
        for answer in assistant.ask(question):
            pass
        assert answer is not None
        passages.append(answer.seconds_to_passages or 0.0)
        first.append(answer.seconds_to_first_token or 0.0)
        whole.append(answer.seconds or 0.0)
        print(f"  {whole[-1]:5.1f} s  {question}", file=sys.stderr)
    memory = memory_mb(os.getpid())
    assistant.close()
    return {
        "model_start_seconds": started,
        "passages_seconds_max": max(passages),
        "first_token_seconds_median": statistics.median(first),
        "answer_seconds_median": statistics.median(whole),
        "memory_mb": memory,
    }


def _rate(work: Callable[[], Any], count: int) -> float:
    work()
    best = float("inf")
    for _ in range(3):
        clock = time.monotonic()
        work()
        best = min(best, time.monotonic() - clock)
    return count / best


def embedding(settings: Settings) -> dict[str, float]:
    """Embed the same passages by sentence-transformers in fp32 and by the assistant, in turn."""
    import numpy as np
    from sentence_transformers import SentenceTransformer

    from assistant.bundled_embedding import _calibration_texts, model_folder
    from assistant.embedding import load_embedder

    # Passages of up to 165 tokens, as chunks are; the calibration texts are joined so that none stays as it was.
    words = " ".join(_calibration_texts()).split()
    texts = [" ".join(words[start : start + 110]) for start in range(0, len(words) - 110, 37)][:128]
    plain = SentenceTransformer(str(model_folder()), device="cpu")
    ours = load_embedder(settings)
    before = _rate(lambda: plain.encode(texts, show_progress_bar=False), len(texts))
    after = _rate(lambda: ours.embed(texts), len(texts))
    vectors = np.asarray(plain.encode(texts, normalize_embeddings=True, show_progress_bar=False))
    cosines = np.sum(vectors * ours.embed(texts), axis=1)
    return {
        "fp32_texts_per_second": before,
        "texts_per_second": after,
        "ratio": after / before,
        "mean_cosine": float(cosines.mean()),
    }


def machine() -> str:
    """Return processor, cores and memory in words."""
    import psutil

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        name = found.group(1) if found else name
    return f"{name}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB"


def table(result: dict[str, Any]) -> str:
    """Return the README's table of a stored result."""
    ratio = f"{result['ratio']:.1f} times ({result['texts_per_second']:.0f} against {result['fp32_texts_per_second']:.0f} texts/s)"
    rows = [
        ("warm start of `assistant serve` to the page", f"{result['warm_start_seconds']:.1f} s", "12 s"),
        ("loading the language model, in the background", f"{result['model_start_seconds']:.1f} s", ""),
        ("passages shown after asking, slowest of ten", f"{result['passages_seconds_max']:.2f} s", "0.5 s"),
        ("first token, median of ten questions", f"{result['first_token_seconds_median']:.1f} s", "5 s"),
        ("whole answer, median of ten questions", f"{result['answer_seconds_median']:.1f} s", "15 s"),
        ("embedding, against sentence-transformers in fp32", ratio, "1.8 times"),
        ("mean cosine to the fp32 vectors", f"{result['mean_cosine']:.3f}", ""),
        ("memory of the server with the model loaded", f"{result['server_memory_mb'] / 1000:.1f} GB", "3 GB"),
    ]
    lines = ["| what | measured | goal |", "| --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(
        [
            *lines,
            "",
            f"Measured by `make bench` on {result['date']}: {result['machine']}. Others were using the machine; see `eval/results/`.",
        ]
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(options: argparse.Namespace) -> int:
    """Run all measurements, store and print them."""
    settings = load_settings({"ASSISTANT_CORPUS": str(ROOT / "corpus"), "ASSISTANT_DATA": str(ROOT / "data")})
    stay_offline(settings)
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(settings, data=Path(folder))
        (ROOT / "data" / "models").mkdir(parents=True, exist_ok=True)
        (settings.data / "models").symlink_to(ROOT / "data" / "models")
        figures: dict[str, float] = {}
        for measure in (start, embedding, answers):
            print(f"{measure.__name__}…", file=sys.stderr)
            figures |= measure(settings)
    result = {
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        **{name: round(value, 3) for name, value in figures.items()},
    }
    save_result(RESULT, result)
    put_block("bench", table(result))
    print(table(result))
    return 0
