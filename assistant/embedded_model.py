"""The embedded language model: llama.cpp in this process, spoken to over HTTP on loopback."""

import os
import re
import secrets
import threading
from pathlib import Path
from typing import Any, NamedTuple

from assistant.errors import ModelError
from assistant.examples import REFUSAL_WORDS, YES_NO, opening, question_text
from assistant.settings import Settings

_SERVERS: list[Any] = []  # xllamacpp's server has no stop method; it lives as long as the process


class Started(NamedTuple):
    """A running server: its OpenAI-compatible address, its key, and the tokens barred when a draft is written anew."""

    url: str
    key: str
    barred_tokens: tuple[int, ...]


def start_server(path: Path, settings: Settings) -> Started:
    """Load the GGUF file at `path` and start its OpenAI-compatible server.

    The key is random and no other web page may call it. One short question is asked, which shows
    that the weights make sense and leaves the instructions in the server's cache. Raises
    `ModelError` when the model can't be loaded or writes nonsense.
    """
    # llama.cpp's workers spin while they wait; a shorter spin leaves the cores to others at no cost
    # to a quiet machine. It must be set before the library is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    import xllamacpp

    key = secrets.token_urlsafe(32)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.cors_origins = "http://127.0.0.1"
    params.cors_credentials = False
    params.endpoint_slots = False
    params.endpoint_props = False
    params.n_ctx = settings.context_tokens
    params.n_predict = settings.answer_tokens
    params.n_parallel = 1
    params.cache_ram_mib = 256
    params.timeout_read = params.timeout_write = 300
    params.offline = True
    params.verbosity = -1
    params.warmup = False
    threads = settings.threads or os.cpu_count() or 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    try:
        with _silent_stderr():
            server = xllamacpp.Server(params)
    except RuntimeError:
        raise ModelError(
            f"The model file {path} can't be loaded: it is damaged, of an unknown kind, or too large for the memory. "
            "Download it again or set ASSISTANT_CHAT_MODEL to another."
        ) from None
    _SERVERS.append(server)
    url = f"{server.listening_address}/v1"
    _try_out(url, key, path)
    return Started(url, key, _barred_tokens(server.listening_address, key, path))


def _barred_tokens(address: str, key: str, path: Path) -> tuple[int, ...]:
    """Return the token with which the refusal begins, however it is written, and those that are a yes or a no by themselves.

    A token that also stands within a sentence is none: "it is not" must still be sayable.
    """
    import httpx

    found: list[int] = []
    try:
        with httpx.Client(trust_env=False, timeout=60) as client:

            def tokens(text: str) -> list[int]:
                reply = client.post(f"{address}/tokenize", json={"content": text}, headers={"Authorization": f"Bearer {key}"})
                reply.raise_for_status()
                return [int(token) for token in reply.json()["tokens"]]

            for words in (*(case(REFUSAL_WORDS) for case in (str.upper, str.capitalize, str.lower)), *YES_NO):
                first, *more = tokens(words)
                # The first part of a short word may begin any other.
                if first not in tokens(f"it is {words}") and not (more and words in YES_NO):
                    found.append(first)
    except (httpx.HTTPError, KeyError, IndexError, ValueError, TypeError) as error:
        raise ModelError(f"The model file {path} was loaded but does not answer ({type(error).__name__}).") from None
    return tuple(dict.fromkeys(found))


def _try_out(url: str, key: str, path: Path) -> None:
    """Ask a question whose answer stands beside it; damaged weights load without an error and then write nonsense."""
    import httpx
    from langchain_core.messages import convert_to_openai_messages

    asked = question_text("[1] Harbour: The harbour opens at seven.", "When does the harbour open?")
    body = {
        "messages": [*convert_to_openai_messages(opening()), {"role": "user", "content": asked}],
        "max_tokens": 16,
        "temperature": 0,
    }
    try:
        with httpx.Client(trust_env=False, timeout=300) as client:
            reply = client.post(f"{url}/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})
        reply.raise_for_status()
        message = reply.json()["choices"][0]["message"]
        written = (message.get("content") or "") + (message.get("reasoning_content") or "")
    except (httpx.HTTPError, KeyError, IndexError, ValueError) as error:
        raise ModelError(f"The model file {path} was loaded but does not answer ({type(error).__name__}).") from None
    if not re.search(r"harbou?r|seven|7", written, re.IGNORECASE):
        raise ModelError(f"The model file {path} writes nonsense ({written[:20]!r}): it is damaged, download it again.")


class _silent_stderr:
    """Send the C library's own messages away while the model loads; they are written past Python."""

    _lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._saved = os.dup(2)
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)

    def __exit__(self, *error: object) -> None:
        os.dup2(self._saved, 2)
        os.close(self._saved)
        self._lock.release()
