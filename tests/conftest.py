"""Fixtures that several test files share: settings in a fresh folder, a small corpus, a model server that fails on command."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from assistant.settings import Settings, load_settings, stay_offline
from tests.scripted_server import ScriptedServer, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from assistant.answer import Assistant
    from assistant.chunking import Chunk
    from assistant.embedding import Embedded

ROOT = Path(__file__).parents[1]

# A shell has what it runs in the background ignore Ctrl+C, and the programs that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# As the command line does it, before any of the libraries is imported.
stay_offline(load_settings({}))


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without settings of the assistant and without proxies, plus `more`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("ASSISTANT_", "OPENAI_", "DEEPSEEK_", "HF_", "GRADIO_", "LANGSMITH_", "LANGCHAIN_"))
        and not name.upper().endswith("_PROXY")
    }
    return {**kept, "PYTHONPATH": str(ROOT), **(more or {})}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings, keys and proxies of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.upper().startswith(("ASSISTANT_", "OPENAI_", "DEEPSEEK_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder with the quantised embedding model and the embedded language model, made by the first run of the tests."""
    named = os.environ.get("ASSISTANT_TEST_MODELS")
    folder = Path(named) if named else ROOT / "data" / "models"
    from assistant.embedding import load_embedder
    from assistant.model_files import model_file

    if folder.name != "models":
        raise pytest.UsageError(f"ASSISTANT_TEST_MODELS is {folder}: its last part must be 'models'.")
    settings = load_settings({"ASSISTANT_DATA": str(folder.parent)})
    settings.data.mkdir(parents=True, exist_ok=True)
    with (settings.data / ".tests").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one makes them
        load_embedder(settings)
        model_file(settings)
    return folder


MakeSettings = Callable[..., Settings]


def settings_in(folder: Path, models: Path, env: Mapping[str, str]) -> Settings:
    """Return settings with a corpus and a data folder under `folder`; the models are linked, not made again."""
    corpus, data = folder / "corpus", folder / "data"
    corpus.mkdir(exist_ok=True)
    data.mkdir(exist_ok=True)
    if not (data / "models").exists():
        (data / "models").symlink_to(models)
    return load_settings({"ASSISTANT_CORPUS": str(corpus), "ASSISTANT_DATA": str(data), **env})


@pytest.fixture
def settings(tmp_path: Path, models: Path) -> MakeSettings:
    """Make settings from environment variables given as keywords: `settings(ASSISTANT_PASSAGES="3")`."""

    def make(**env: str) -> Settings:
        return settings_in(tmp_path, models, env)

    return make


WriteCorpus = Callable[[Mapping[str, str]], Path]


def write_documents(folder: Path, documents: Mapping[str, str]) -> Path:
    """Write text files, name to text, into `folder` and return it."""
    for name, text in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> WriteCorpus:
    """Write documents into the corpus folder that `settings` names."""
    return lambda documents: write_documents(tmp_path / "corpus", documents)


@pytest.fixture
def chunks_embedded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many chunks the bundled model embeds, one number for each time it is asked."""
    from assistant.bundled_embedding import BundledEmbedder

    counts: list[int] = []
    real = BundledEmbedder.embed_chunks

    def counted(self: "BundledEmbedder", chunks: "Sequence[Chunk]") -> "list[Embedded]":
        counts.append(len(chunks))
        return real(self, chunks)

    monkeypatch.setattr(BundledEmbedder, "embed_chunks", counted)
    return counts


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A model server whose replies the test writes."""
    yield from serving()


@pytest.fixture(scope="module")
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator["Assistant"]:
    """An assistant that has indexed the `DOCUMENTS` of the test file."""
    from assistant.answer import Assistant

    settings = settings_in(tmp_path_factory.mktemp("documents"), models, {})
    write_documents(settings.corpus, request.module.DOCUMENTS)
    with closing(Assistant(settings)) as assistant:
        assert assistant.sync().failed == []
        yield assistant


def connect(assistant: "Assistant", scripted: ScriptedServer, **changes: int) -> None:
    """Give an open assistant a chat model that asks `scripted`."""
    from assistant.chat_model import ChatModel

    settings: Settings = replace(assistant.settings, base_url=scripted.url, chat_model="scripted-1", **changes)  # type: ignore[arg-type]
    assistant.settings = settings
    assistant.chat_model = ChatModel(settings)


@pytest.fixture
def assistant(opened: "Assistant", scripted: ScriptedServer) -> Iterator["Assistant"]:
    """The assistant of `opened`, which asks the scripted server."""
    before, model = opened.settings, opened.chat_model
    connect(opened, scripted)
    yield opened
    opened.chat_model.close()
    opened.settings, opened.chat_model = before, model


@pytest.fixture
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["Page"]:
    """A page of a real browser, with a profile of its own; a picture of how it looked at last stays in artifacts/tests/."""
    from playwright.sync_api import Error, sync_playwright

    from tests.browser import CHROMIUM, FLAGS

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=CHROMIUM, args=FLAGS, viewport={"width": 1280, "height": 800}
        )
        yield context.pages[0]
        name = re.sub(r"[^\w.-]+", "-", f"{request.path.stem}-{request.node.name}")
        with suppress(Error):  # a page that was closed
            context.pages[0].screenshot(path=ROOT / "artifacts" / "tests" / f"{name[:150]}.png", timeout=10_000)
        context.close()


@dataclass(frozen=True)
class Ran:
    """How a sub-process ended."""

    code: int
    out: str
    err: str


def run_python(*arguments: str, env: Mapping[str, str] | None = None, timeout: float = 240) -> Ran:
    """Run this Python with `arguments` in a clean environment plus `env`."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=clean_environment(env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def as_environment(settings: Settings, **more: str) -> dict[str, str]:
    """Return the environment variables that give a sub-process the folders of `settings`."""
    return {"ASSISTANT_CORPUS": str(settings.corpus), "ASSISTANT_DATA": str(settings.data), **more}


@dataclass(frozen=True)
class EmbeddedServer:
    """The real embedded model, served by another process: its server can't be stopped within this one."""

    url: str
    key: str
    pid: int
    barred: tuple[int, ...]

    def ask(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Post `body` to the server's own `path`, such as `/tokenize`."""
        with httpx.Client(trust_env=False, timeout=120) as client:
            reply = client.post(self.url.removesuffix("/v1") + path, json=body, headers={"Authorization": f"Bearer {self.key}"})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the text that the model reads for `messages`, in its own chat template."""
        return str(self.ask("/apply-template", {"messages": list(messages)})["prompt"])

    def count(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Return how many tokens the model reads for `messages`."""
        return len(self.ask("/tokenize", {"content": self.prompt(messages), "parse_special": True})["tokens"])


EMBEDDED_CONTEXT = 2048  # tokens: the smallest window that can be set

_SERVE = """
import json, sys
from assistant.embedded_model import start_server
from assistant.model_files import model_file
from assistant.settings import load_settings
settings = load_settings()
print(json.dumps(start_server(model_file(settings), settings)), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def embedded(models: Path) -> Iterator[EmbeddedServer]:
    """The real embedded model with a window of 2048 tokens, loaded once for all tests."""
    env = clean_environment({"ASSISTANT_DATA": str(models.parent), "ASSISTANT_CONTEXT_TOKENS": str(EMBEDDED_CONTEXT)})
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            url, key, barred = json.loads(process.stdout.readline())
            yield EmbeddedServer(url, key, process.pid, tuple(barred))
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
